#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetch the wheels that a lock file names, once for each content of the lock."""

from __future__ import annotations

DOCUMENTATION = r"""
module: python_wheels
short_description: Fetch locked wheels into a content-addressed cache
description:
  - Exports the locked requirements of a uv project and downloads their wheels for a given Python, each checked against
    its hash, so that an image can be built from them without a network.
  - The folder also holds C(requirements.txt) with the hashes, for the build to check them again.
options:
  name:
    description: Name of the result in the cache.
    type: str
    required: true
  project:
    description: Folder with pyproject.toml and uv.lock.
    type: path
    required: true
  installer_groups:
    description: Dependency groups to download but to leave out of C(requirements.txt), such as pip itself.
    type: list
    elements: str
    default: []
  python_version:
    description: The Python that will run them, such as V(3.11).
    type: str
    required: true
  platforms:
    description: Platform tags that the target accepts.
    type: list
    elements: str
    default: [manylinux_2_28_x86_64, manylinux2014_x86_64]
  bin_dir:
    description: Folder with the controller's uv and python.
    type: path
    required: true
  cache:
    description: The cache folder.
    type: path
    required: true
  cache_days:
    description: How many days a result that nothing asks for stays in the cache, until another of its name is made.
    type: int
    default: 14
  origin:
    description: File that says from where results are fetched; empty, and they are made.
    type: path
    default: ""
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Fetch the wheels of the service
  counter.platform.python_wheels:
    name: counter-wheels
    project: app
    installer_groups: [image]
    python_version: "3.11"
    bin_dir: .venv/bin
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
path:
  description: Folder with the wheels and requirements.txt.
  returned: always
  type: str
key:
  description: Hash of the inputs.
  returned: always
  type: str
"""

import re
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, Progress, digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import follow, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from packaging.markers import Marker

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "project": {"type": "path", "required": True},
    "installer_groups": {"type": "list", "elements": "str", "default": []},
    "python_version": {"type": "str", "required": True},
    "platforms": {
        "type": "list",
        "elements": "str",
        "default": ["manylinux_2_28_x86_64", "manylinux2014_x86_64"],
    },
    "bin_dir": {"type": "path", "required": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
    "origin": {"type": "path", "default": ""},
}


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


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Fetch the wheels unless the cache has them, and return what RETURN says of them.

    Raises :class:`CommandError` when uv or pip fails, :class:`OSError` when a file cannot be written.
    """
    name: str = params["name"]
    cache, tools = Path(params["cache"]), Path(params["bin_dir"])
    progress = Progress(cache, f"wheels {name}")

    def export(groups: list[str]) -> str:
        options = [f"--group={group}" for group in groups]
        return run(
            [
                str(tools / "uv"),
                "export",
                "--quiet",
                "--frozen",
                "--no-emit-project",
                "--no-default-groups",
                "--no-header",
                "--no-annotate",
                *options,
            ],
            cwd=Path(params["project"]),
            env={"UV_CACHE_DIR": str(cache / "uv")},
        )

    requirements = export([])
    everything = export(params["installer_groups"])

    def download(folder: Path) -> None:
        wanted = folder / "everything.txt"
        wanted.write_text(meant_for(params["python_version"], everything))
        command = [
            str(tools / "python"),
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            f"--python-version={params['python_version']}",
            *(f"--platform={platform}" for platform in [*params["platforms"], "any"]),
            f"--dest={folder}",
            f"--requirement={wanted}",
        ]
        follow(command, lambda line: progress(line.strip()[:100]))
        wanted.unlink()
        (folder / "requirements.txt").write_text(requirements)

    key = digest_of(
        {
            "requirements": requirements,
            "everything": everything,
            "python": params["python_version"],
            "platforms": params["platforms"],
        }
    )
    store = ArtifactStore(cache, params["cache_days"])
    # They are in the image that comes from there.
    changed = not params["origin"] and store.ensure(name, key, download, check_mode=check_mode)
    return {"changed": changed, "path": str(store.path(name, key)), "key": key}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS, cannot="cannot fetch the wheels {name}: ")


if __name__ == "__main__":
    main()
