# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""What the entries of a catalogue have in common, whatever they are built by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, Progress
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.go import go_environment
from ansible_collections.counter.platform.plugins.module_utils.origin import Origin


@dataclass(frozen=True)
class Workshop:
    """Where entries are built.

    Args:
        cache: the cache folder.
        days: how long an unused result stays there.
        root: folder that the catalogue's relative paths are below.
        bin_dir: folder with the controller's go, uv and python.
        origin: file of the source that results are fetched from; empty, and they are built.
    """

    cache: Path
    days: int
    root: Path
    bin_dir: Path
    origin: str

    @cached_property
    def store(self) -> ArtifactStore:
        """The results."""
        return ArtifactStore(self.cache, self.days)

    def file(self, path: str) -> Path:
        """Return the file or folder that a catalogue's path stands for."""
        return self.root / path

    @cached_property
    def compiler(self) -> str:
        """The Go compiler's version and target. Raises :class:`CommandError` where there is none."""
        go = self.bin_dir / "go"
        if not go.exists():
            raise CommandError(f"the go command {go} is not there; `make venv` installs it")
        return run([str(go), "env", "GOVERSION", "GOOS", "GOARCH"], env=go_environment(self.cache))


Kind = TypeVar("Kind", bound="Artifact")


class Artifact(ABC):
    """An entry of a catalogue: what it is made from, the key that follows from that, and how it is made."""

    TYPE: ClassVar[str]
    """The type in a catalogue."""
    OPTIONS: ClassVar[dict[str, Any]]
    """The entry's options besides those of :data:`COMMON`, as an argument spec."""
    MAKING: ClassVar[tuple[str, str]]
    """Verb and noun for messages, as in ``compile`` and ``the programs``."""

    def __init__(self, name: str, options: dict[str, Any], entries: Mapping[str, Artifact], workshop: Workshop) -> None:
        self.name = name
        self.options = options
        self.entries = entries
        self.workshop = workshop
        self.progress = Progress(workshop.cache, f"{'fetch' if workshop.origin else self.MAKING[0]} {name}")

    @property
    def stored(self) -> str:
        """Its name in the cache and in an origin."""
        return str(self.options["name"] or self.name)

    def others(self, names: Iterable[str], kind: type[Kind]) -> list[Kind]:
        """Return entries of one kind. Raises :class:`CommandError` where one is of another kind."""
        found = []
        for name in names:
            entry = self.entries[name]
            if not isinstance(entry, kind):
                raise CommandError(f"{self.name}: {name} is {entry.options['type']}, where {kind.TYPE} is needed")
            found.append(entry)
        return found

    @property
    def parts(self) -> list[str]:
        """The entries that it has in itself."""
        return []

    @property
    def needs(self) -> list[str]:
        """The entries that have to be there for it to be made."""
        return self.parts

    @cached_property
    @abstractmethod
    def key(self) -> str:
        """Hash of everything that goes into it."""

    @property
    def artifact(self) -> str:
        """What it is in the cache and in an origin, ``NAME/KEY``."""
        return f"{self.stored}/{self.key}"

    @property
    def folder(self) -> Path:
        """Where it is in the cache, or would be."""
        return self.workshop.store.path(self.stored, self.key)

    @property
    def path(self) -> Path:
        """What others use of it."""
        return self.folder

    def is_there(self) -> bool:
        """Return whether the cache has it, and record its use."""
        return self.workshop.store.has(self.stored, self.key)

    @abstractmethod
    def make(self, folder: Path) -> None:
        """Write it into a folder. Raises :class:`CommandError` or :class:`OSError`."""

    def fetch(self, folder: Path) -> None:
        """Bring it into a folder from the origin. Raises :class:`CommandError` where that has something else."""
        Origin.read(self.workshop.origin).files(self.stored, self.key, folder)

    def build(self) -> None:
        """Make or fetch it unless it is there. Raises :class:`CommandError` or :class:`OSError`."""
        if self.workshop.origin:
            self.progress("by the lock file")
        self.workshop.store.build(self.stored, self.key, self.fetch if self.workshop.origin else self.make)

    def about(self) -> dict[str, Any]:
        """Return what the module says of it."""
        return {"artifact": self.artifact, "key": self.key, "path": str(self.path)}


COMMON: dict[str, Any] = {
    "type": {"type": "str", "required": True},
    "name": {"type": "str"},
    "deploy": {"type": "bool", "default": False},
    "enabled": {"type": "bool", "default": True},
}
"""Options of every entry."""
