# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks in CIDR notation."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cidr
short_description: Whether something is a network in CIDR notation
description:
  - Whether it is an IPv4 or IPv6 network with its prefix length, and no bits are set behind the prefix.
positional: _input
options:
  _input:
    description: The network.
    type: raw
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# true
- "{{ '10.0.0.0/8' is counter.platform.cidr }}"
# false: a prefix of IPv4 is at most 32 bits long
- "{{ '10.0.0.0/33' is counter.platform.cidr }}"
"""

RETURN = r"""
_value:
  description: Whether it is a network.
  type: bool
"""

import ipaddress
import re
from collections.abc import Callable


def cidr(value: object) -> bool:
    """Return whether something is a network in CIDR notation, its prefix length included."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f.:]+/[0-9]+", value):
        return False
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


class TestModule:
    """What Ansible asks for tests."""

    def tests(self) -> dict[str, Callable[[object], bool]]:
        """Return the tests by name."""
        return {"cidr": cidr}
