# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Variables that look like a role's and that no role knows."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_variables
short_description: Variables that have a role's prefix and are none of its own
description:
  - Finds misspelt variables of roles by their argument specs. Ansible itself passes by a variable that nothing reads.
  - A role's variables are the options of its entry points and the facts that it documents, C(NAME) in the description
    of C(main). Names with another prefix than that of a role are nobody's, and left alone.
positional: _input, roles
options:
  _input:
    description: Names of variables, as the lookup P(ansible.builtin.varnames#lookup) lists them.
    type: list
    elements: str
    required: true
  roles:
    description: Folder of the roles.
    type: path
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# [{name: web_replica_max, role: web, nearest: web_replicas_max, secret: false}]
- "{{ ['web_replica_max'] | counter.platform.unknown_variables('/srv/clone/roles') }}"
"""

RETURN = r"""
_value:
  description: Each unknown variable, with its role, the known name that is most like it (empty where none is), and
    whether its value may be a secret.
  type: list
  elements: dict
"""

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.yaml import yaml_load

SECRET = re.compile(r"key|pass|secret|token")


def unknown_variables(names: Iterable[str], roles: str) -> list[dict[str, Any]]:
    """Return those of ``names`` that have the prefix of a role in the folder ``roles`` and are none of its variables.

    Each is a dict of C(name), C(role), C(nearest) and C(secret). Raises :class:`AnsibleFilterError` where the folder
    has no argument spec: every name would be known.
    """
    known = {path.parts[-3]: _known(path) for path in Path(roles).glob("*/meta/argument_specs.yml")}
    if not known:
        raise AnsibleFilterError(f"{roles} has no role with an argument spec")
    unknown = []
    for name in sorted(names):
        role = max((role for role in known if name.startswith(f"{role}_")), key=len, default=None)
        if role is None or any(name in own for own in known.values()):
            continue
        # Without the prefix, which would make all of a role's names alike.
        rest = {own.removeprefix(f"{role}_"): own for own in sorted(known[role])}
        nearest = "".join(rest[like] for like in difflib.get_close_matches(name.removeprefix(f"{role}_"), rest, n=1))
        secret = SECRET.search(f"{name} {nearest}") is not None
        unknown.append({"name": name, "role": role, "nearest": nearest, "secret": secret})
    return unknown


def _known(spec: Path) -> set[str]:
    """Return the options and the documented facts of an argument spec."""
    points = yaml_load(spec.read_text())["argument_specs"]
    options = {name for point in points.values() for name in point.get("options", {})}
    return options | set(re.findall(r"\bC\((\w+)\)", " ".join(points["main"].get("description", []))))


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Return the filters by name."""
        return {"unknown_variables": unknown_variables}
