"""Run the project as a person starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from platform_cluster import ROOT


@dataclass(frozen=True)
class Run:
    """What a command printed, its status and its duration in seconds."""

    status: int
    output: str
    seconds: float

    def recap(self, field: str, host: str = "localhost") -> int:
        """Return a number of Ansible's recap for a host, such as ``changed``."""
        (found,) = re.findall(rf"^{host} .*\b{field}=(\d+)", self.output, flags=re.MULTILINE)
        return int(found)

    def message(self) -> str:
        """Return everything on one line, as line breaks depend on the width of the terminal."""
        return " ".join(self.output.split())


def execute(*command: str, cwd: Path = ROOT, environment: dict[str, str] | None = None, timeout: float = 900) -> Run:
    """Run a command to its end, whatever its status."""
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=cwd,
        # Molecule forces colours upon what it starts, and that would win.
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    seconds = time.monotonic() - started
    print(f"\n{' '.join(command)}: status {done.returncode}, {seconds:.0f} s", file=sys.stderr)
    return Run(done.returncode, done.stdout, seconds)
