"""Runs that are killed, as by a machine that loses power."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable

from lib.command import run
from lib.paths import ROOT
from lib.wait import wait_for


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below ``pid``."""
    children = [int(line) for line in run("pgrep", "--parent", str(pid), check=False).stdout.split()]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def killed(*command: str, when: str, condition: Callable[[], bool], after: float = 2) -> None:
    """Start a command and kill all of it ``after`` so many seconds from the moment when ``condition`` is true."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            # With an empty cache everything is built before there is a node.
            wait_for(when, condition, 1800, every=0.2)
            time.sleep(after)
            said.seek(0)
            assert process.poll() is None, f"{when}: the run ended before it could be killed:\n{said.read().decode()}"
        finally:
            # Modules run in sessions of their own; a machine that loses power ends them too.
            for victim in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            process.wait()
