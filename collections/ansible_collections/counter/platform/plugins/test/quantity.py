# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities within bounds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: quantity
short_description: Whether something is a Kubernetes quantity within bounds
description:
  - Whether it is a quantity of the minimum's kind, CPUs such as V(100m) or bytes such as V(64Mi), within the bounds.
positional: _input, minimum, maximum
options:
  _input:
    description: The quantity.
    type: raw
    required: true
  minimum:
    description: The minimum.
    type: str
    required: true
  maximum:
    description: The maximum. One that is invalid or below the minimum is ignored, as its own check refuses it.
    type: str
author: counter-platform contributors
"""

EXAMPLES = r"""
# true
- "{{ '100m' is counter.platform.quantity('10m', '0.5') }}"
# false: bytes instead of CPUs
- "{{ '64Mi' is counter.platform.quantity('10m') }}"
"""

RETURN = r"""
_value:
  description: Whether it is such a quantity.
  type: bool
"""

import re
from collections.abc import Callable

from ansible_collections.counter.platform.plugins.filter.quantity import quantity as number

CPUS = re.compile(r"[0-9]+([.][0-9]+)?m?")
# No m: 64m would be less than a byte.
BYTES = re.compile(r"[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?")


def quantity(value: object, minimum: str, maximum: object = None) -> bool:
    """Return whether something is a quantity of the minimum's kind and within the bounds.

    Raises :class:`AnsibleFilterError` where the minimum is invalid.
    """
    kind = CPUS if CPUS.fullmatch(minimum) else BYTES

    def usable(text: object) -> bool:
        return kind.fullmatch(str(text)) is not None and number(str(text)) >= number(minimum)

    return usable(value) and (not usable(maximum) or number(str(value)) <= number(str(maximum)))


class TestModule:
    """What Ansible asks for tests."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return the tests by name."""
        return {"quantity": quantity}
