"""Commands of this machine: what helps a test has to succeed, what it tests may end as it will."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lib.paths import ROOT


def run(
    *command: str, stdin: str | None = None, timeout: float = 300, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed; raise with its output when it fails and ``check`` is set."""
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def status_of(text: str) -> dict[str, str]:
    """Return the fields of a process from the text of its ``/proc/PID/status``."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


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

    def ok(self, *words: str, changed: int | None = None, host: str = "localhost") -> Self:
        """Return this; fail unless it ended well, its message has all words, and so much was changed on a host."""
        assert self.status == 0, self.output
        return self._says(words, changed, host)

    def failed(self, *words: str, changed: int | None = None, host: str = "localhost") -> Self:
        """Return this; fail unless it failed, its message has all words, and so much was changed on a host."""
        assert self.status != 0, self.output
        return self._says(words, changed, host)

    def _says(self, words: tuple[str, ...], changed: int | None, host: str) -> Self:
        missing = [word for word in words if word not in self.message()]
        assert not missing, f"there is no {missing} in this:\n{self.output}"
        assert changed is None or self.recap("changed", host) == changed, self.output
        return self


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


@contextmanager
def until_interrupted(*command: str, environment: dict[str, str] | None = None) -> Iterator[list[str]]:
    """Run a command for as long as the block runs; after that the list has all that it printed, as its item."""
    said: list[str] = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield said
        finally:
            # As a terminal does it: to everything in the foreground.
            os.killpg(process.pid, signal.SIGINT)
            said.append(process.communicate(timeout=60)[0])
