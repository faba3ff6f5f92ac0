# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""A catalogue of what can be built: a graph whose entries name each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import COMMON, Artifact, Workshop
from ansible_collections.counter.platform.plugins.module_utils.builders.container_image import ContainerImage
from ansible_collections.counter.platform.plugins.module_utils.builders.debian_rootfs import DebianRootfs
from ansible_collections.counter.platform.plugins.module_utils.builders.go_licences import GoLicences
from ansible_collections.counter.platform.plugins.module_utils.builders.go_programs import GoPrograms
from ansible_collections.counter.platform.plugins.module_utils.builders.python_wheels import PythonWheels
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.go import drop_build_cache

BUILDERS: dict[str, type[Artifact]] = {
    builder.TYPE: builder for builder in (GoPrograms, DebianRootfs, PythonWheels, ContainerImage, GoLicences)
}


class Catalogue(Mapping[str, Artifact]):
    """The entries by name.

    Args:
        entries: options by name; raises :class:`CommandError` with the name where they are invalid.
        workshop: where they are built.
    """

    def __init__(self, entries: Mapping[str, dict[str, Any]], workshop: Workshop) -> None:
        self._workshop = workshop
        self._entries: dict[str, Artifact] = {}
        for name, options in entries.items():
            builder = BUILDERS.get(options.get("type", ""))
            if builder is None:
                raise CommandError(f"{name}: type is '{options.get('type')}'; use one of {', '.join(BUILDERS)}")
            checked = ArgumentSpecValidator(COMMON | builder.OPTIONS).validate(options)
            if checked.error_messages:
                raise CommandError(f"{name}: {'; '.join(checked.error_messages)}")
            self._entries[name] = builder(name, checked.validated_parameters, self, workshop)
        for name, entry in self.items():
            if unknown := [part for part in entry.parts if part not in self]:
                raise CommandError(f"{name} needs '{unknown[0]}', which the catalogue does not have")
        try:
            TopologicalSorter({name: entry.parts for name, entry in self.items()}).prepare()
        except CycleError as error:
            raise CommandError(f"entries need each other: {' -> '.join(error.args[1])}") from error
        self._embedded = {part for entry in self.values() for part in entry.parts}

    def __getitem__(self, name: str) -> Artifact:
        """Return an entry. Raises :class:`CommandError` where there is none of that name."""
        if name not in self._entries:
            raise CommandError(f"the catalogue has no '{name}'; it has {', '.join(self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def is_embedded(self, name: str) -> bool:
        """Return whether nothing uses an entry but others that have it in themselves."""
        return name in self._embedded and not self[name].options["deploy"]

    def used(self) -> list[str]:
        """Return the enabled entries that are used by themselves."""
        return [name for name, entry in self.items() if entry.options["enabled"] and not self.is_embedded(name)]

    def closure(self, names: Iterable[str]) -> list[Artifact]:
        """Return entries and all that is needed to make them, each after what it needs."""
        needs: dict[str, list[str]] = {}
        left = list(names)
        while left:
            name = left.pop()
            if name not in needs:
                needs[name] = self[name].needs
                left += needs[name]
        return [self[name] for name in TopologicalSorter(needs).static_order()]

    def missing(self, names: Iterable[str]) -> list[Artifact]:
        """Return what has to be made or fetched for these entries to be there, each after what it needs.

        With an origin they come from there, and what they are made from is not needed.
        """
        wanted = set(names)
        lacking = []
        closure = self.closure(wanted)
        for entry in closure:
            with self._failing(entry):
                _ = entry.key
        for entry in reversed(closure):
            # Asked of each, as the cache keeps what is used.
            if not entry.is_there() and entry.name in wanted:
                lacking.append(entry)
                wanted |= set() if self._workshop.origin else set(entry.needs)
        return lacking[::-1]

    def build(self, entries: list[Artifact]) -> None:
        """Make or fetch entries in their order. Raises :class:`CommandError` with the name of the first that fails."""
        # Each waits for the network at first, and works with one processor then.
        alone = [entry for entry in entries if isinstance(entry, DebianRootfs)]
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            list(workers.map(self._build, alone))
        for entry in entries:
            if entry not in alone:
                self._build(entry)
        if entries:
            self._drop_build_cache()

    def _build(self, entry: Artifact) -> None:
        with self._failing(entry):
            entry.build()

    @contextmanager
    def _failing(self, entry: Artifact) -> Iterator[None]:
        verb, noun = entry.MAKING
        try:
            yield
        except (CommandError, OSError) as error:
            verb = "fetch" if self._workshop.origin else verb
            raise CommandError(f"cannot {verb} {noun} {entry.name}: {error}") from error

    def _drop_build_cache(self) -> None:
        """Remove Go's build cache once the programs that a run takes are there."""
        run_takes = [name for name in self.used() if not isinstance(self[name], GoLicences)]
        programs = [entry for entry in self.closure(run_takes) if isinstance(entry, GoPrograms)]
        if all(entry.is_there() for entry in programs):
            drop_build_cache(self._workshop.cache)
