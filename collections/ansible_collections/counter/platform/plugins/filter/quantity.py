# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities as numbers, so that a role can compare them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: quantity
short_description: A Kubernetes quantity as a number
description:
  - Turns what resource requests and limits are written in into a number that can be compared.
positional: _input
options:
  _input:
    description: The quantity, such as V(100m), V(0.5) or V(64Mi).
    type: str
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# 0.1
- "{{ '100m' | counter.platform.quantity }}"
# 67108864.0
- "{{ '64Mi' | counter.platform.quantity }}"
"""

RETURN = r"""
_value:
  description: The number, in CPUs or bytes.
  type: float
"""

from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from kubernetes.utils import parse_quantity


def quantity(text: str) -> float:
    """Return a quantity as a number.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. Raises
    :class:`AnsibleFilterError` for anything else.
    """
    try:
        return float(parse_quantity(str(text)))
    except ValueError as error:
        raise AnsibleFilterError(f"'{text}' is no quantity; write it as in 100m, 0.5 or 64Mi") from error


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[[str], float]]:
        """Return the filters by name."""
        return {"quantity": quantity}
