#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuse to run beside another run of the same environment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: One run at a time
description:
  - Writes down which process of Ansible works on something, and fails when another one does that is still alive. Two
    runs at once would apply two sets of values in turn, and each would take the other's half for its own.
  - Holds for the whole run, in all its plays, and needs no end; what a killed run wrote is taken over by the next.
  - Its work is done by its action, in Ansible's own process. In check mode it does nothing, as check mode changes
    nothing.
options:
  path:
    description: The file to write to; its folder is made, private to the user.
    type: path
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Refuse a second run
  counter.platform.run_lock:
    path: .state/local.lock
"""

RETURN = r"""
holder:
  description: The process that holds it.
  returned: always
  type: int
"""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

ARGUMENTS: dict[str, Any] = {"path": {"type": "path", "required": True}}


def started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks since its boot; an empty text where there is none.

    A number of a process is given again, with this beside it it is not: field 22 of proc_pid_stat(5).
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def hold(path: Path, pid: int) -> None:
    """Write down that a process holds the lock.

    Raises :class:`CommandError` when another process that is alive holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        try:
            holder = json.loads(stream.read() or "{}")
        except json.JSONDecodeError:
            holder = {}
        mine = {"pid": pid, "started": started(pid)}
        if mine.items() <= holder.items():
            return
        if holder and started(holder["pid"]) == holder["started"]:
            raise CommandError(
                f"another run is under way since {holder['since']}: process {holder['pid']}, `{holder['command']}`. "
                f"Wait for it, or end it with `kill {holder['pid']}`"
            )
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        stream.truncate(0)
        stream.write(json.dumps({**mine, "since": time.strftime("%Y-%m-%d %H:%M:%S"), "command": command}))


def ensure(params: dict[str, Any], *, check_mode: bool, pid: int | None = None) -> dict[str, Any]:
    """Hold the lock for a process, by default the one that started this; return what RETURN says of it."""
    pid = pid or os.getppid()
    if not check_mode:
        hold(Path(params["path"]), pid)
    return {"changed": False, "holder": pid}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
