#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Wait until workloads are rolled out, and show what their pods went through where they are not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Wait for the rollout of workloads, for conditions and for an answer
description:
  - Waits for all of it at the same time. Where something does not come in time, the namespace's last events and the
    pods' last log lines are in the error.
  - Changes nothing. Check mode asks once.
options:
  namespace:
    description: The namespace of all objects.
    type: str
    required: true
  workloads:
    description: Deployments, StatefulSets and DaemonSets that have to be rolled out; C(KIND/NAME) each.
    type: list
    elements: str
    required: true
  conditions:
    description: Conditions that have to be true, by object; C(KIND/NAME) each.
    type: dict
    default: {}
  url:
    description: An address that has to answer a GET request with status 200.
    type: str
  selector:
    description: Label selector of the pods whose log lines an error shows.
    type: str
    required: true
  timeout:
    description: Seconds that all of it may take.
    type: int
    required: true
extends_documentation_fragment: [counter.platform.cluster]
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Wait for the rollout
  counter.platform.rollout:
    kubectl: .state/local/bin/kubectl
    kubeconfig: .state/local/kubeconfig
    namespace: web
    workloads: [deployment/web]
    conditions: {horizontalpodautoscaler/web: ScalingActive}
    url: http://127.0.0.1:8080/readyz
    selector: app.kubernetes.io/name=web
    timeout: 120
"""

RETURN = r"""
refused:
  description: Whether nothing accepts connections at O(url), though everything else has come.
  returned: when the module fails
  type: bool
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.loopback import ask

LAST_EVENTS = 15
LAST_LINES = 10
REFUSED_SECONDS = 10
"""How long an address may refuse connections after everything else has come."""

ARGUMENTS: dict[str, Any] = {
    "kubectl": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "namespace": {"type": "str", "required": True},
    "workloads": {"type": "list", "elements": "str", "required": True},
    "conditions": {"type": "dict", "default": {}},
    "url": {"type": "str"},
    "selector": {"type": "str", "required": True},
    "timeout": {"type": "int", "required": True},
}


class Rollout:
    """What is waited for, in one namespace."""

    def __init__(self, params: dict[str, Any], timeout: int) -> None:
        self._params = params
        self._timeout = timeout
        self._kubectl = [
            params["kubectl"],
            f"--kubeconfig={params['kubeconfig']}",
            f"--namespace={params['namespace']}",
        ]
        self.refused = False
        """What RETURN says."""

    def missing(self) -> list[str]:
        """Wait, and return what did not come in time."""
        waits: list[Callable[[], str]] = [
            partial(self._wait, name, "rollout", "status", name) for name in self._params["workloads"]
        ]
        for name, condition in self._params["conditions"].items():
            waits.append(partial(self._wait, f"{condition} of {name}", "wait", name, f"--for=condition={condition}"))
        started = time.monotonic()
        with ThreadPoolExecutor(len(waits) or 1) as pool:
            missing = [text for text in pool.map(lambda wait: wait(), waits) if text]
        if self._params["url"] and not missing:
            # Not before: it may be answered by pods that are about to be taken out.
            missing += filter(None, [self._wait_for_answer(started + self._timeout)])
        return missing

    def evidence(self) -> str:
        """Return the namespace's last events and the pods' last log lines."""
        events = self._try("get", "events", "--sort-by=.lastTimestamp").splitlines()[-LAST_EVENTS:]
        logs = self._try(
            "logs", f"--selector={self._params['selector']}", "--all-containers", "--prefix", f"--tail={LAST_LINES}"
        )
        return "\n".join(["Its events:", *events, "Its last log lines:", logs])

    def _wait(self, what: str, *command: str) -> str:
        try:
            run([*self._kubectl, *command, f"--timeout={self._timeout}s"])
        except CommandError as error:
            return f"{what}: {error}"
        return ""

    def _wait_for_answer(self, deadline: float) -> str:
        """Ask until the address answers: what is on the way to it may follow the pods by a moment."""
        refused_until = float("inf")
        url: str = self._params["url"]
        while True:
            try:
                with ask(url, timeout=5):
                    return ""
            except OSError as error:
                now = time.monotonic()
                is_refused = isinstance(getattr(error, "reason", None), ConnectionRefusedError)
                refused_until = min(refused_until, now + REFUSED_SECONDS) if is_refused else float("inf")
                self.refused = now > refused_until
                if self.refused or now > deadline:
                    return f"{url}: {error}"
            time.sleep(0.5)

    def _try(self, *command: str) -> str:
        try:
            return run([*self._kubectl, *command])
        except CommandError as error:
            return str(error)


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Wait, in check mode for a second; where something does not come, ``failed`` with what RETURN says."""
    rollout = Rollout(params, min(params["timeout"], 1) if check_mode else params["timeout"])
    if missing := rollout.missing():
        said = "\n".join(["This did not come:", *missing, *([] if check_mode else [rollout.evidence()])])
        return {"failed": True, "msg": said, "refused": rollout.refused}
    return {"changed": False}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
