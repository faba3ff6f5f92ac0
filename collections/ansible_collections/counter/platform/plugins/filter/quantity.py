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

import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
FACTORS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, **BINARY}


def quantity(text: str) -> float:
    """Return a quantity as a number.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. Raises
    :class:`AnsibleFilterError` for anything else. The Kubernetes client has a function for it; to load that client
    takes half a second, which each task that uses the filter would pay anew.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(text))
    if found is None or found[2] not in FACTORS:
        raise AnsibleFilterError(f"invalid quantity '{text}'; write it as in 100m, 0.5 or 64Mi")
    return float(found[1]) * FACTORS[found[2]]


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[[str], float]]:
        """Return the filters by name."""
        return {"quantity": quantity}
