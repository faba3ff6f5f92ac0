# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of a host that differ from what they should be."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stale_files
short_description: Files and folders that are missing on a host or differ
description:
  - Compares a table of files with the C(files) that M(counter.platform.host_info) returned.
positional: _input, contents, found
options:
  _input:
    description:
      - Files and folders, each with C(path), C(owner) and C(group), which default to V(root), and C(mode), which
        defaults to V("0644").
    type: list
    elements: dict
    required: true
  contents:
    description: The content of each file, or nothing where only owner, group and mode are compared.
    type: list
    elements: str
    required: true
  found:
    description: What the host has, by path.
    type: dict
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# [{path: /etc/a}]
- "{{ [{'path': '/etc/a'}] | counter.platform.stale_files(['1'], {}) }}"
"""

RETURN = r"""
_value:
  description: The files that are missing, or have another owner, group, mode or content.
  type: list
  elements: dict
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

DEFAULTS = {"owner": "root", "group": "root", "mode": "0644"}


def stale_files(
    files: Sequence[Mapping[str, str]], contents: Sequence[str | None], found: Mapping[str, Any]
) -> list[Mapping[str, str]]:
    """Return the files that are not as ``found``. Raises :class:`ValueError` for another number of ``contents``."""
    wanted = [{name: file.get(name, default) for name, default in DEFAULTS.items()} for file in files]
    if contents:
        for state, content in zip(wanted, contents, strict=True):
            # The lookup template gives None for a template without any text.
            state["sha256"] = hashlib.sha256((content or "").encode()).hexdigest()
    states = [found.get(file["path"], {}) for file in files]
    return [
        file
        for file, wants, has in zip(files, wanted, states, strict=True)
        if any(has.get(name) != value for name, value in wants.items())
    ]


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[..., list[Mapping[str, str]]]]:
        """Return the filters by name."""
        return {"stale_files": stale_files}
