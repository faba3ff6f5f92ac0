# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuse to run beside another run of the same environment.

Two runs at once would apply two sets of values in turn, and each would take the other's half for its own. The lock is
on the file of the option ``path``, whose folder is created, private to the user. Ansible's own process holds it for the
whole run, in all its plays, and the kernel releases it when that process ends, however it ends. Check mode takes none.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible loads an action before it forks the worker that runs it. The worker sends the locked file to a socket that
# only Ansible's own process keeps. Nothing reads it there: the file stays open, and locked, for as long as the socket.
RUN = os.getpid()
KEEPER, TO_KEEPER = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
os.register_at_fork(after_in_child=KEEPER.close)


class ActionModule(ActionBase):  # type: ignore[misc] # ansible ships no types
    """The action."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hold the lock for the process whose worker this is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, params = self.validate_argument_spec({"path": {"type": "path", "required": True}})
        if not self._task.check_mode:
            try:
                hold(Path(params["path"]))
            except OSError as error:
                raise AnsibleActionFail(str(error)) from error
        return result


def hold(path: Path) -> None:
    """Lock a file for this run. Raises :class:`AnsibleActionFail` with what is written there where another has it."""
    if os.getpid() == RUN:
        raise AnsibleActionFail("run_lock needs a strategy that loads actions before it forks, such as linear")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read()
            if holder.endswith(f"`kill {RUN}`"):
                return
            raise AnsibleActionFail(f"another run is under way since {holder}") from error
        stream.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        stream.write(f"{since}: process {RUN}, `{shlex.join(sys.argv)}`. Wait for it, or end it with `kill {RUN}`")
        stream.flush()
        socket.send_fds(TO_KEEPER, [b"locked"], [stream.fileno()])
