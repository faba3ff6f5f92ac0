#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Prove with connections that a cluster enforces its network policies."""

from __future__ import annotations

DOCUMENTATION = r"""
module: policy_probe
short_description: Prove that network policies are enforced
description:
  - From a pod with Python, connects to two ports of a service, of which a policy admits one.
  - Waits until the admitted one answers, and then until it is the only one. Check mode tries once.
options:
  namespace:
    description: The namespace of client and service.
    type: str
    required: true
  client:
    description: Whose pod connects; C(KIND/NAME).
    type: str
    required: true
  service:
    description: Name of the service.
    type: str
    required: true
  admitted:
    description: The port that the policy admits.
    type: int
    required: true
  denied:
    description: The port that it denies, and at which the service's pods listen.
    type: int
    required: true
  wait_seconds:
    description: How long the admitted port may take to answer, in seconds.
    type: int
    required: true
extends_documentation_fragment: [counter.platform.cluster]
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Verify that network policies are enforced
  counter.platform.policy_probe:
    kubectl: .state/local/bin/kubectl
    kubeconfig: .state/local/kubeconfig
    namespace: policy-probe
    client: deployment/client
    service: server
    admitted: 8001
    denied: 8002
    wait_seconds: 180
"""

RETURN = r"""
answered:
  description: The ports that answered in the end.
  returned: success
  type: list
  elements: int
"""

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

ENFORCED_WITHIN_SECONDS = 10
"""How long a policy may take to act once the pods talk."""

# New connections each time: established ones survive a change of policy. The agent takes connections in the order in
# which they come, so once the admitted one, which comes last, is answered, the denied one has been decided upon.
PROGRAM = """
import select, socket, sys
address = socket.gethostbyname(sys.argv[1])
admitted, denied = map(int, sys.argv[2:])
tried = {port: socket.socket() for port in (denied, admitted)}
for port, connection in tried.items():
    connection.setblocking(False)
    connection.connect_ex((address, port))
for port, seconds in ((admitted, 2), (denied, 0.5)):
    _, ended, _ = select.select([], [tried[port]], [], seconds)
    if ended and not tried[port].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        print(port)
"""

ARGUMENTS: dict[str, Any] = {
    "kubectl": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "namespace": {"type": "str", "required": True},
    "client": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "admitted": {"type": "int", "required": True},
    "denied": {"type": "int", "required": True},
    "wait_seconds": {"type": "int", "required": True},
}


class Probe:
    """The client and the two ports."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._admitted: int = params["admitted"]
        self._wait_seconds: int = params["wait_seconds"]
        ports = [str(params["admitted"]), str(params["denied"])]
        self._command = [
            params["kubectl"],
            f"--kubeconfig={params['kubeconfig']}",
            f"--namespace={params['namespace']}",
            *["exec", params["client"], "--", "python3", "-c", PROGRAM, params["service"], *ports],
        ]

    def answered(self) -> list[int]:
        """Return the ports that answer. Raises :class:`CommandError` when the client cannot be asked."""
        return [int(line) for line in run(self._command).split()]

    def enforced(self, answered: list[int]) -> bool:
        """Return whether these are the ports that answer under the policy."""
        return answered == [self._admitted]

    def wait(self) -> list[int]:
        """Return the ports that answer in the end. Raises :class:`CommandError` as :meth:`answered` does."""
        answered = self._until(lambda ports: self._admitted in ports, self._wait_seconds)
        if self._admitted not in answered or self.enforced(answered):
            return answered
        return self._until(self.enforced, ENFORCED_WITHIN_SECONDS)

    def _until(self, condition: Callable[[list[int]], bool], seconds: float) -> list[int]:
        deadline = time.monotonic() + seconds
        while True:
            late = time.monotonic() > deadline
            try:
                answered = self.answered()
            except CommandError:
                if late:
                    raise
            else:
                if late or condition(answered):
                    return answered
            time.sleep(0.5)


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the ports that answer, without waiting in check mode.

    Raises :class:`CommandError` when the client cannot be asked, or the policy is not enforced.
    """
    probe = Probe(params)
    answered = probe.answered() if check_mode else probe.wait()
    if not probe.enforced(answered):
        raise CommandError(
            f"with a policy that admits port {params['admitted']} alone, these ports answered: "
            f"{', '.join(map(str, answered)) or 'none'}"
        )
    return {"changed": False, "answered": answered}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
