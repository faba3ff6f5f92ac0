# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Which modules Go programs were linked from, as the compiler's command reads it out of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.counter.platform.plugins.module_utils.commands import run


@dataclass(frozen=True)
class Module:
    """A module that is linked into a program."""

    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.path}@{self.version}"


@dataclass(frozen=True)
class BuildInfo:
    """The release of Go that linked a program, as in 1.26.6, and the modules in it, without the one that was built."""

    go: str
    modules: tuple[Module, ...]


def build_infos(folder: Path, go: str) -> dict[str, BuildInfo]:
    """Return what the Go programs below a folder say of their making, by their paths in it.

    ``go`` is the command. Raises :class:`CommandError` where it fails, as for a folder that is not there.
    """
    listed = run([go, "version", "-m", str(folder)], env={"GOTOOLCHAIN": "local"})
    found = {}
    for program in filter(None, re.split(r"\n(?!\t)", listed)):
        head, *lines = program.split("\n\t")
        path, _, release = head.rpartition(": ")
        release = release.partition(" ")[0].removeprefix("go")
        found[str(Path(path).relative_to(folder))] = BuildInfo(release, tuple(_modules(lines)))
    return found


def _modules(lines: Iterable[str]) -> list[Module]:
    found: list[Module] = []
    for line in lines:
        word, *values = line.split("\t")
        # The main module has a checksum where it was fetched; otherwise it is what was built, and ours.
        if word == "dep" or (word == "mod" and len(values) > 2 and values[2]):
            found.append(Module(values[0], values[1]))
        elif word == "=>":
            found[-1] = Module(values[0], values[1])
    # What replaces a module without a version is a folder beside the program's source, and no other's.
    return sorted((module for module in found if module.version), key=str)
