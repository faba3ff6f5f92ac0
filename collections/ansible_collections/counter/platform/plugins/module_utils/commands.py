# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a program whose output matters while it runs, and say what failed in words."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LAST_LINES = 25
"""How much of a failed program's output goes into its error."""


class CommandError(Exception):
    """A program ended with a status other than 0; the text has the command, the status and its last lines."""


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> str:
    """Run ``command`` to its end and return its standard output as text.

    ``env`` is added to the environment. Raises :class:`CommandError` on any status but 0, or when the program
    is not there.
    """
    try:
        done = subprocess.run(
            list(command), cwd=cwd, env={**os.environ, **(env or {})}, input=stdin, capture_output=True, check=False
        )
    except OSError as error:
        raise _not_run(command, error) from error
    if done.returncode != 0:
        raise _failure(command, done.returncode, done.stderr.decode(errors="replace").splitlines())
    return done.stdout.decode(errors="replace")


def follow(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run ``command`` to its end and hand each line of its output, standard error too, to ``on_line``.

    Raises :class:`CommandError` as :func:`run` does.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise _not_run(command, error) from error
    with process:
        for line in process.stdout or ():
            last.append(line.rstrip("\n"))
            on_line(line.rstrip("\n"))
    if process.returncode != 0:
        raise _failure(command, process.returncode, list(last))


def _not_run(command: Sequence[str], error: OSError) -> CommandError:
    # The file is another one than the program where the working folder is what is missing.
    where = "" if error.filename == command[0] else f": {error.filename}"
    return CommandError(f"{command[0]} cannot be run: {error.strerror}{where}")


def _failure(command: Sequence[str], status: int, output: Sequence[str]) -> CommandError:
    tail = "\n".join(output[-LAST_LINES:])
    return CommandError(f"{' '.join(command[:4])} … ended with status {status}:\n{tail}")
