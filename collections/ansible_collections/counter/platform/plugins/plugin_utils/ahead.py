# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Compile in the background of a run: at the lowest priority, one result after the other, and no longer than the run.

Whoever asks for such a result waits for the lock that the artifact store has on it, or makes it where nothing has begun
yet. So an error here needs no report: the task that asks meets it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

COLLECTIONS = Path(__file__).parents[5]


def start(params: dict[str, Any], run: int) -> None:
    """Begin to build what the options of M(counter.platform.artifacts) describe, and return at once.

    Args:
        params: the options.
        run: the process with which the compiler ends.
    """
    process = subprocess.Popen(
        [sys.executable, __file__, str(run)],
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A group of its own, which can be ended as one.
        start_new_session=True,
        # As that of a module: see run_module.
        umask=0o022,
        text=True,
    )
    if process.stdin is not None:
        with process.stdin:
            json.dump(params, process.stdin)


def end_with(run: int) -> None:
    """Wait for the end of a process, and end this one and the compiler."""
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(run)], [], [])
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Compile by the options on the standard input until the run of the only argument ends."""
    from ansible_collections.counter.platform.plugins.module_utils.entry import give_back
    from ansible_collections.counter.platform.plugins.modules import artifacts

    threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    # A session is a group of its own for the scheduler, and the priority above counts inside of it.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")
    params = json.load(sys.stdin)
    cache = Path(params["cache"])
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "ahead.lock").open("w") as lock:
        # Side by side they would compile what they share twice.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            artifacts.ensure(params, check_mode=False)
        finally:
            if os.geteuid() == 0 and cache.stat().st_uid != 0:
                give_back(cache)


if __name__ == "__main__":
    main()
