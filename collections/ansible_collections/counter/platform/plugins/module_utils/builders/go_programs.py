# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs of one Go module, compiled together so that what they share is compiled once."""

from __future__ import annotations

import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of, digest_of_tree
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Artifact
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.go import compiling, drop_archives, go_environment

REQUIRED = re.compile(r"^(?:require )?\s*(\S+) (v\S+)", re.MULTILINE)
MODULE = re.compile(r"@(\S+)$")
"""In a stamp, the module whose version it is."""


class GoPrograms(Artifact):
    """Programs by name in a folder. Modules are verified against go.sum."""

    TYPE = "go"
    OPTIONS: ClassVar[dict[str, Any]] = {
        "source": {"type": "str", "required": True},
        "packages": {"type": "list", "elements": "str", "default": ["tool"]},
        "rename": {"type": "dict", "default": {}},
        "tags": {"type": "list", "elements": "str", "default": []},
        "stamps": {"type": "dict", "default": {}},
    }
    MAKING = ("compile", "the programs")

    @property
    def source(self) -> Path:
        """Folder of the module."""
        return self.workshop.file(self.options["source"])

    @cached_property
    def key(self) -> str:
        return digest_of(
            {
                "source": digest_of_tree(self.source),
                "compiler": self.workshop.compiler,
                "flags": self._flags,
                "packages": self.options["packages"],
                "rename": self.options["rename"],
            }
        )

    @property
    def _flags(self) -> list[str]:
        stamps = [
            f"-X {package}.{variable}={MODULE.sub(self._version_of, str(value))}"
            for package, variables in self.options["stamps"].items()
            for variable, value in variables.items()
        ]
        return [
            "-trimpath",
            # The linker would drop it, and the compiler needs a tenth of its time to write it.
            "-gcflags=all=-dwarf=false",
            "-mod=readonly",
            f"-tags={','.join(self.options['tags'])}",
            "-ldflags=" + " ".join(["-s", "-w", *stamps]),
        ]

    def _version_of(self, module: re.Match[str]) -> str:
        required = dict(REQUIRED.findall((self.source / "go.mod").read_text()))
        if module[1] not in required:
            raise CommandError(f"{self.source}/go.mod does not require {module[1]}")
        return str(required[module[1]])

    def make(self, folder: Path) -> None:
        """Compile them. An interrupted build resumes where it stopped, since the compiler keeps its own cache."""
        cache, go = self.workshop.cache, str(self.workshop.bin_dir / "go")
        packages: list[str] = self.options["packages"]
        environment = go_environment(cache)
        self.progress("listing packages and fetching modules")
        listed = run([go, "list", "-deps", *self._flags, *packages], cwd=self.source, env=environment)
        total = len(listed.splitlines())
        done = 0

        def count(line: str) -> None:
            nonlocal done
            done += 1
            self.progress(f"{done} of at most {total} packages, now {line}")

        # Gigabytes, which /tmp may not have; with the folder goes what a killed compiler leaves.
        scratch = folder / ".go-build"
        scratch.mkdir()
        build = [go, "build", "-v", *self._flags, "-o", f"{folder}/", *packages]
        with compiling(cache):
            follow(build, count, cwd=self.source, env={**environment, "GOTMPDIR": str(scratch)})
        shutil.rmtree(scratch)
        drop_archives(cache)
        for old, new in self.options["rename"].items():
            (folder / old).rename(folder / new)
