#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare the free space of file systems with what is needed on each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_space
short_description: Fail where a file system has less free space than needed, or runs no program
description:
  - Adds up what is needed by file system, since several folders may be on one, and compares it with the free space.
  - A folder that is not there yet counts for the file system that it would be on. It changes nothing.
options:
  needs:
    description: What is needed, and where.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: A folder.
        type: path
        required: true
      gib:
        description: Free space that is needed in it, in GiB.
        type: int
        required: true
      programs:
        description: Whether programs are run in it, which the mount option noexec forbids.
        type: bool
        default: false
      remedy:
        description: What to do where there is less, or no program would run, as a sentence.
        type: str
        required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Validate the free disk space
  counter.platform.disk_space:
    needs:
      - path: /var/lib/docker
        gib: 4
        remedy: Free some, as by `docker system prune`.
"""

RETURN = r"""
free:
  description: Free space in GiB by path.
  returned: always
  type: dict
"""

import os
import shutil
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "needs": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "gib": {"type": "int", "required": True},
            "programs": {"type": "bool", "default": False},
            "remedy": {"type": "str", "required": True},
        },
    }
}


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(folder for folder in [path, *path.parents] if folder.exists())


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what RETURN says; ``failed`` and ``msg`` where space is missing. The same in check mode."""
    free: dict[str, int] = {}
    by_file_system: dict[int, list[dict[str, Any]]] = {}
    wrong: list[str] = []
    for need in params["needs"]:
        folder = existing(Path(need["path"]).absolute())
        free[need["path"]] = shutil.disk_usage(folder).free // 2**30
        by_file_system.setdefault(folder.stat().st_dev, []).append(need)
        if need["programs"] and os.statvfs(folder).f_flag & os.ST_NOEXEC:
            wrong.append(f"{need['path']} is on a file system with the mount option noexec. {need['remedy']}")
    for needs in by_file_system.values():
        first = needs[0]["path"]
        if free[first] >= sum(need["gib"] for need in needs):
            continue
        others = "".join(f", and {need['gib']} more on the same disk in {need['path']}" for need in needs[1:])
        remedies = " ".join(dict.fromkeys(need["remedy"] for need in needs))
        wrong.append(f"{first} has {free[first]} GiB free and {needs[0]['gib']} are needed{others}. {remedies}")
    failure = {"failed": True, "msg": " ".join(wrong)} if wrong else {}
    return {"changed": False, "free": free, **failure}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
