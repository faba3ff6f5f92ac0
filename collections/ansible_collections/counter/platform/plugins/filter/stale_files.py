# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of a host that differ from what they should be, told from one listing of them all."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stale_files
short_description: Files and folders that a host has otherwise, or not at all
description:
  - Compares a table of files with what C(find) and C(sha256sum) say of them, so that a role starts a module only for
    those that it has to write.
positional: _input, found
options:
  _input:
    description:
      - Files, each with C(path), C(mode) as in V("0644"), C(owner) and C(group), which are V(root) where they are left
        out, and C(content), which a folder has none of.
    type: list
    elements: dict
    required: true
  found:
    description: Lines of C(find -printf '%m %u:%g %p\n') and of C(sha256sum), in any order and among any others.
    type: list
    elements: str
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
# [{path: /etc/b, mode: "0644", content: "2"}]
- "{{ [{'path': '/etc/a', 'mode': '0755'}, {'path': '/etc/b', 'mode': '0644', 'content': '2'}]
  | counter.platform.stale_files(['755 root:root /etc/a', '644 root:root /etc/b', '6b86b273ff34...  /etc/b']) }}"
"""

RETURN = r"""
_value:
  description: Those of the files that are not there, or are with another owner, mode or content.
  type: list
  elements: dict
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence


def stale_files(files: Sequence[Mapping[str, str]], found: Iterable[str]) -> list[Mapping[str, str]]:
    """Return those of ``files`` whose lines of find and sha256sum are not in ``found``."""
    known = set(found)

    def lines(file: Mapping[str, str]) -> set[str]:
        owner, group = file.get("owner", "root"), file.get("group", "root")
        state = f"{int(file['mode'], 8):o} {owner}:{group} {file['path']}"
        if "content" not in file:
            return {state}
        return {state, f"{hashlib.sha256(file['content'].encode()).hexdigest()}  {file['path']}"}

    return [file for file in files if not lines(file) <= known]


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[..., list[Mapping[str, str]]]]:
        """Return the filters by name."""
        return {"stale_files": stale_files}
