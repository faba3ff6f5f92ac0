# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The licences of the Go modules that programs were linked from.

Only what compiles has the modules' source, so the answer is a result like the programs themselves, and comes from where
they come from.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Artifact
from ansible_collections.counter.platform.plugins.module_utils.builders.go_programs import GoPrograms
from ansible_collections.counter.platform.plugins.module_utils.commands import run
from ansible_collections.counter.platform.plugins.module_utils.go import go_environment
from ansible_collections.counter.platform.plugins.module_utils.go_buildinfo import Module
from ansible_collections.counter.platform.plugins.module_utils.licences import together
from ansible_collections.counter.platform.plugins.module_utils.materials import modules_in

FORM = 1
"""Another number names all licences anew."""
LICENCE_FILE = re.compile(r"(un)?licen[cs]es?|copying(\.lesser)?|.*[-_.]licen[cs]e", re.IGNORECASE)
ENDINGS = re.compile(r"([-.](md|txt|rst|apache|mit|bsd|apache2|apache-2\.0|mpl-2\.0))+$", re.IGNORECASE)
"""What may follow the name of a licence file."""


def escaped(text: str) -> str:
    """Return a module's path or version as Go writes it in names of folders (source: the module reference)."""
    return re.sub("[A-Z]", lambda letter: f"!{letter[0].lower()}", text)


def licence_files(folder: Path) -> list[Path]:
    """Return the licence files at the top of a module's source."""
    names = (path for path in folder.iterdir() if LICENCE_FILE.fullmatch(ENDINGS.sub("", path.name)))
    return sorted(path for path in names if path.is_file())


def expression(files: list[Path], named: dict[str, list[str]]) -> str:
    """Return the expression for a module with these files; empty where one of them is of no known licence."""
    found = [named[str(path)] for path in files]
    return together(name for names in found for name in names) if all(found) else ""


class GoLicences(Artifact):
    """C(licences.json), SPDX expressions by C(MODULE@VERSION); empty where a licence file is of no known licence."""

    TYPE = "go_licences"
    OPTIONS: ClassVar[dict[str, Any]] = {
        "programs": {"type": "list", "elements": "str", "required": True},
        "classifier": {"type": "str", "required": True},
    }
    MAKING = ("name", "the licences")

    @property
    def parts(self) -> list[str]:
        return [self.options["classifier"]]

    @property
    def needs(self) -> list[str]:
        return [*self.parts, *(programs.name for programs in self._programs)]

    @property
    def _programs(self) -> list[GoPrograms]:
        named = self.others(self.options["programs"], GoPrograms)
        return [programs for programs in named if programs.options["enabled"]]

    @cached_property
    def key(self) -> str:
        artifacts = sorted(programs.artifact for programs in self._programs)
        classifier = self.entries[self.options["classifier"]].key
        return digest_of({"form": FORM, "programs": artifacts, "classifier": classifier})

    @property
    def path(self) -> Path:
        return self.folder / "licences.json"

    def make(self, folder: Path) -> None:
        """Read the licence files at the top of each module's source, in Go's cache or fetched and verified."""
        files: dict[Module, list[Path]] = {}
        for programs in self._programs:
            self.progress(f"looking for the modules of {programs.name}")
            modules = modules_in(programs.path, str(self.workshop.bin_dir / "go"))
            if missing := [module for module in modules if not self._source_of(module).is_dir()]:
                self._fetch(missing, programs.source)
            files |= {module: licence_files(self._source_of(module)) for module in modules}
        paths = "".join(f"{path}\n" for found in files.values() for path in found)
        self.progress(f"reading {len(files)} licences")
        classifier = self.entries[self.options["classifier"]].path / "licences"
        named = json.loads(run([str(classifier)], stdin=paths.encode()))
        licences = {str(module): expression(found, named) for module, found in files.items()}
        (folder / "licences.json").write_text(json.dumps(licences, indent=1, sort_keys=True))

    def _source_of(self, module: Module) -> Path:
        modules = Path(go_environment(self.workshop.cache)["GOMODCACHE"])
        return modules / f"{escaped(module.path)}@{escaped(module.version)}"

    def _fetch(self, modules: list[Module], source: Path) -> None:
        """Fetch modules that Go's cache lacks, verified against the go.sum of what was compiled."""
        with tempfile.TemporaryDirectory() as temporary:
            for name in ("go.mod", "go.sum"):
                # A copy, as Go may write into them.
                if (source / name).exists():
                    shutil.copy(source / name, temporary)
            command = [str(self.workshop.bin_dir / "go"), "mod", "download", *map(str, modules)]
            run(command, cwd=Path(temporary), env=go_environment(self.workshop.cache))
