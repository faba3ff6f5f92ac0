# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Variables whose values a role cannot use."""

from __future__ import annotations

DOCUMENTATION = r"""
name: invalid_values
short_description: Those of a list of checks that fail
description:
  - Evaluates each check by itself. One that cannot be evaluated has failed, and the others are evaluated all the same.
    Ansible's own filters end with the first error.
positional: _input
options:
  _input:
    description: Checks, each with RV(valid), a template that is evaluated here, and anything else.
    type: list
    elements: dict
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# With web_port 0 and web_memory "much": [{name: web_port, use: 1 or more}, {name: web_memory, use: 64Mi or more}]
- "{{ web_values | counter.platform.invalid_values }}"
# web_values:
#   - {name: web_port, valid: "{{ web_port | int >= 1 }}", use: 1 or more}
#   - {name: web_memory, valid: "{{ web_memory | human_to_bytes >= 67108864 }}", use: 64Mi or more}
"""

RETURN = r"""
_value:
  description: The checks that failed, without RV(valid).
  type: list
  elements: dict
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from jinja2 import TemplateError


def invalid_values(checks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks that failed, without C(valid).

    The mappings that Ansible gives to a filter evaluate a template when its key is asked for.
    """
    return [{key: check[key] for key in check if key != "valid"} for check in checks if not _valid(check)]


def _valid(check: Mapping[str, Any]) -> bool:
    """Return whether a check is passed."""
    try:
        return bool(check["valid"])
    except (AnsibleError, TemplateError):
        return False


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Return the filters by name."""
        return {"invalid_values": invalid_values}
