# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The wheels that a uv project's lock names, each checked against its hash, for builds without a network."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Artifact
from ansible_collections.counter.platform.plugins.module_utils.commands import follow, run
from packaging.markers import Marker


def meant_for(python: str, requirements: str) -> str:
    """Return the exported requirements that a Python has, such as 3.13, without their markers.

    pip looks at markers as the Python that it runs by, whatever it downloads for.
    """
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    kept = []
    # A requirement, and its hashes in lines of their own below it.
    for block in re.split(r"^(?=\S)", requirements, flags=re.MULTILINE):
        requirement, semicolon, rest = block.partition(" ; ")
        marker, newline, hashes = rest.partition("\n")
        if not semicolon:
            kept.append(block)
        elif Marker(marker.rstrip("\\ ")).evaluate(environment):
            kept.append(f"{requirement} \\{newline}{hashes}" if hashes else f"{requirement}\n")
    return "".join(kept)


class PythonWheels(Artifact):
    """A folder with wheels and C(requirements.txt) with their hashes, for the build to check them again."""

    TYPE = "wheels"
    OPTIONS: ClassVar[dict[str, Any]] = {
        "project": {"type": "str", "required": True},
        "installer_groups": {"type": "list", "elements": "str", "default": []},
        "python_version": {"type": "str", "required": True},
        "platforms": {
            "type": "list",
            "elements": "str",
            "default": ["manylinux_2_28_x86_64", "manylinux2014_x86_64"],
        },
    }
    MAKING = ("fetch", "the wheels")

    @cached_property
    def key(self) -> str:
        return digest_of(
            {
                "requirements": self._requirements,
                "everything": self._everything,
                "python": self.options["python_version"],
                "platforms": self.options["platforms"],
            }
        )

    @cached_property
    def _requirements(self) -> str:
        return self._export([])

    @cached_property
    def _everything(self) -> str:
        return self._export(self.options["installer_groups"])

    def _export(self, groups: list[str]) -> str:
        return run(
            [
                str(self.workshop.bin_dir / "uv"),
                "export",
                "--quiet",
                "--frozen",
                "--no-emit-project",
                "--no-default-groups",
                "--no-header",
                "--no-annotate",
                *(f"--group={group}" for group in groups),
            ],
            cwd=self.workshop.file(self.options["project"]),
            env={"UV_CACHE_DIR": str(self.workshop.cache / "uv")},
        )

    def make(self, folder: Path) -> None:
        """Download them by pip."""
        python = self.options["python_version"]
        wanted = folder / "everything.txt"
        wanted.write_text(meant_for(python, self._everything))
        command = [
            str(self.workshop.bin_dir / "python"),
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            f"--python-version={python}",
            *(f"--platform={platform}" for platform in [*self.options["platforms"], "any"]),
            f"--dest={folder}",
            f"--requirement={wanted}",
        ]
        follow(command, lambda line: self.progress(line.strip()[:100]))
        wanted.unlink()
        (folder / "requirements.txt").write_text(self._requirements)
