#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Name the licences of the Go modules in programs, once for each set of programs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: go_licences
short_description: Name the licences of the Go modules in compiled programs
description:
  - Asks each program which modules it was linked from, and reads the licence files at the top of each module's source
    in Go's module cache, where the compiler left it. What is not there any more is fetched and verified against go.sum.
  - Only what compiles has the source, so the answer is a result in the cache like the programs themselves, and comes
    from where they come from.
  - The result has C(licences.json), SPDX expressions by C(MODULE@VERSION). A module with a licence file that is of no
    known licence has an empty one.
options:
  programs:
    description: Results of M(counter.platform.go_programs), of which C(artifact) and C(source) are read.
    type: list
    elements: dict
    required: true
  classifier:
    description: Folder, named by its key, with the program C(licences) that names the licences of files.
    type: path
    required: true
  go:
    description: The go command.
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
- name: Name the licences of the node's programs
  counter.platform.go_licences:
    programs: ["{{ programs }}"]
    classifier: "{{ classifier.path }}"
    go: "{{ platform_bin_dir }}/go"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
artifact:
  description: What it is in the cache and in an origin, C(NAME/KEY).
  returned: always
  type: str
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, Progress, digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.go import go_environment
from ansible_collections.counter.platform.plugins.module_utils.go_buildinfo import Module
from ansible_collections.counter.platform.plugins.module_utils.licences import together
from ansible_collections.counter.platform.plugins.module_utils.materials import modules_in
from ansible_collections.counter.platform.plugins.module_utils.origin import Origin

NAME = "go-licences"
FORM = 1
"""Another number names all licences anew."""
LICENCE_FILE = re.compile(r"(un)?licen[cs]es?|copying(\.lesser)?|.*[-_.]licen[cs]e", re.IGNORECASE)
ENDINGS = re.compile(r"([-.](md|txt|rst|apache|mit|bsd|apache2|apache-2\.0|mpl-2\.0))+$", re.IGNORECASE)
"""What may follow the name of a licence file."""

ARGUMENTS: dict[str, Any] = {
    "programs": {"type": "list", "elements": "dict", "required": True},
    "classifier": {"type": "path", "required": True},
    "go": {"type": "path", "required": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
    "origin": {"type": "path", "default": ""},
}


def escaped(text: str) -> str:
    """Return a module's path or version as Go writes it in names of folders (source: the module reference)."""
    return re.sub("[A-Z]", lambda letter: f"!{letter[0].lower()}", text)


def folder_of(module: Module, cache: Path) -> Path:
    """Return where Go keeps a module's source."""
    return Path(go_environment(cache)["GOMODCACHE"]) / f"{escaped(module.path)}@{escaped(module.version)}"


def fetch(modules: list[Module], source: Path, go: str, cache: Path) -> None:
    """Fetch modules that Go's cache lacks, verified against the go.sum of what was compiled."""
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("go.mod", "go.sum"):
            # A copy, as Go may write into them.
            if (source / name).exists():
                shutil.copy(source / name, temporary)
        run([go, "mod", "download", *map(str, modules)], cwd=Path(temporary), env=go_environment(cache))


def licence_files(folder: Path) -> list[Path]:
    """Return the licence files at the top of a module's source."""
    names = (path for path in folder.iterdir() if LICENCE_FILE.fullmatch(ENDINGS.sub("", path.name)))
    return sorted(path for path in names if path.is_file())


def expression(files: list[Path], named: dict[str, list[str]]) -> str:
    """Return the expression for a module with these files; empty where one of them is of no known licence."""
    found = [named[str(path)] for path in files]
    return together(name for names in found for name in names) if all(found) else ""


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Name the licences unless the cache has them, and return what RETURN says.

    Raises :class:`CommandError` when a program cannot be read, or Go or the classifier fails.
    """
    cache, classifier = Path(params["cache"]), Path(params["classifier"])
    store, progress = ArtifactStore(cache, params["cache_days"]), Progress(cache, "licences of Go modules")
    artifacts = sorted(entry["artifact"] for entry in params["programs"])
    key = digest_of({"form": FORM, "programs": artifacts, "classifier": classifier.name})

    def name_all(folder: Path) -> None:
        if params["origin"]:
            progress("fetching")
            Origin.read(params["origin"]).files(NAME, key, folder)
            return
        files: dict[Module, list[Path]] = {}
        for entry in params["programs"]:
            progress(f"looking for the modules of {entry['artifact']}")
            modules = modules_in(store.path(*entry["artifact"].split("/")), params["go"])
            if missing := [module for module in modules if not folder_of(module, cache).is_dir()]:
                fetch(missing, Path(entry["source"]), params["go"], cache)
            files |= {module: licence_files(folder_of(module, cache)) for module in modules}
        paths = "".join(f"{path}\n" for found in files.values() for path in found)
        progress(f"reading {len(files)} licences")
        named = json.loads(run([str(classifier / "licences")], stdin=paths.encode()))
        licences = {str(module): expression(found, named) for module, found in files.items()}
        (folder / "licences.json").write_text(json.dumps(licences, indent=1, sort_keys=True))

    changed = store.ensure(NAME, key, name_all, check_mode=check_mode)
    return {"changed": changed, "path": str(store.path(NAME, key) / "licences.json"), "artifact": f"{NAME}/{key}"}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS, cannot="cannot name the licences of Go modules: ")


if __name__ == "__main__":
    main()
