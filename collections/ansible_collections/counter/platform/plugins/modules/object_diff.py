#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare Kubernetes objects with those of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_diff
short_description: Whether objects differ from those of a cluster
description:
  - Asks the API server what applying the objects would change, by C(kubectl diff --server-side).
  - It takes a third of the time that M(kubernetes.core.k8s) takes to apply objects without a change, most of which is
    spent on loading its libraries.
  - Changes nothing and prints nothing of the objects.
options:
  definition:
    description: The objects.
    type: list
    elements: dict
    required: true
  field_manager:
    description: Whose fields they are.
    type: str
    required: true
extends_documentation_fragment: [counter.platform.cluster]
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Compare the objects
  counter.platform.object_diff:
    definition: "{{ lookup('ansible.builtin.template', 'deployment.yml.j2') | from_yaml_all | list }}"
    field_manager: counter-platform
    kubectl: .state/local/bin/kubectl
    kubeconfig: .state/local/kubeconfig
"""

RETURN = r"""
differs:
  description: Whether applying them would change something; also true when the API server cannot say, as before their
    namespace is there.
  returned: always
  type: bool
"""

import json
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

ARGUMENTS: dict[str, Any] = {
    "definition": {"type": "list", "elements": "dict", "required": True},
    "field_manager": {"type": "str", "required": True},
    "kubectl": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what RETURN says; the same in check mode."""
    command = [
        params["kubectl"],
        f"--kubeconfig={params['kubeconfig']}",
        "diff",
        "--server-side",
        f"--field-manager={params['field_manager']}",
        "--filename=-",
    ]
    objects = {"apiVersion": "v1", "kind": "List", "items": params["definition"]}
    try:
        # Whatever a person looks at differences with, only the status is of use here.
        run(command, stdin=json.dumps(objects).encode(), env={"KUBECTL_EXTERNAL_DIFF": ""})
    except CommandError:
        return {"changed": False, "differs": True}
    return {"changed": False, "differs": False}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
