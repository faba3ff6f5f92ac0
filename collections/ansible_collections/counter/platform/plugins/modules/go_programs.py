#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Compile the tools of one Go module, once for each content of their inputs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: go_programs
short_description: Compile programs from Go modules into a content-addressed cache
description:
  - Builds the C(tool) packages of one Go module together, so that what they share is compiled once.
  - Modules are verified against go.sum, and go.sum against the checksum database when it was written.
  - The result is named by the hash of the module's files, the compiler's version and the options, so nothing is built
    twice. An interrupted build goes on where it stopped, since the compiler keeps its own cache.
options:
  name:
    description: Name of the result in the cache.
    type: str
    required: true
  source:
    description: Folder of the module.
    type: path
    required: true
  packages:
    description: Import paths to build; V(tool) stands for every tool of the module.
    type: list
    elements: str
    default: [tool]
  rename:
    description: New names for programs, where the import path's last part says too little.
    type: dict
    default: {}
  tags:
    description: Build tags.
    type: list
    elements: str
    default: []
  stamps:
    description: Values that the linker writes into string variables.
    type: list
    elements: dict
    default: []
    suboptions:
      package:
        description: Import path of the variables' package.
        type: str
        required: true
      variables:
        description: Values by the variable's name.
        type: dict
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
  carried:
    description: Whether they are nothing but a part of an image. With O(origin), they are not fetched.
    type: bool
    default: false
  ahead:
    description:
      - Begin to compile at the lowest priority, and go on with the next task. Another task that asks for the same
        result waits for it, and compiles what has not begun. What is not there when the run ends is given up.
      - Nothing is fetched from O(origin) ahead.
    type: bool
    default: false
  last:
    description: Whether no program follows that is compiled from the same packages. Go's build cache is removed then.
    type: bool
    default: false
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Compile the node's programs
  counter.platform.go_programs:
    name: node-programs
    source: "{{ role_path }}/files/node-programs"
    go: "{{ playbook_dir }}/.venv/bin/go"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
path:
  description: Folder with the programs.
  returned: always
  type: str
key:
  description: Hash of the inputs.
  returned: always
  type: str
artifact:
  description: What they are in the cache and in an origin, C(NAME/KEY).
  returned: always
  type: str
source:
  description: Folder of the module.
  returned: always
  type: str
carried:
  description: As given.
  returned: always
  type: bool
"""

import shutil
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import (
    ArtifactStore,
    Progress,
    digest_of,
    digest_of_tree,
)
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.go import (
    compiling,
    drop_archives,
    drop_build_cache,
    go_environment,
)
from ansible_collections.counter.platform.plugins.module_utils.origin import Origin

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "source": {"type": "path", "required": True},
    "packages": {"type": "list", "elements": "str", "default": ["tool"]},
    "rename": {"type": "dict", "default": {}},
    "tags": {"type": "list", "elements": "str", "default": []},
    "stamps": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "package": {"type": "str", "required": True},
            "variables": {"type": "dict", "required": True},
        },
    },
    "go": {"type": "path", "required": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
    "origin": {"type": "path", "default": ""},
    "carried": {"type": "bool", "default": False},
    "ahead": {"type": "bool", "default": False},
    "last": {"type": "bool", "default": False},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Compile what ``params`` describe unless the cache has it, and return what RETURN says of it.

    Raises :class:`CommandError` when the compiler is not there or fails, :class:`OSError` when a file cannot be read.
    """
    name: str = params["name"]
    source, cache, go = Path(params["source"]), Path(params["cache"]), params["go"]
    stamps = [
        f"-X {stamp['package']}.{variable}={value}"
        for stamp in params["stamps"]
        for variable, value in stamp["variables"].items()
    ]
    flags = [
        "-trimpath",
        # The linker would drop it, and the compiler needs a tenth of its time to write it.
        "-gcflags=all=-dwarf=false",
        "-mod=readonly",
        f"-tags={','.join(params['tags'])}",
        "-ldflags=" + " ".join(["-s", "-w", *stamps]),
    ]
    environment = go_environment(cache)
    progress = Progress(cache, f"{'fetch' if params['origin'] else 'compile'} {name}")

    def compile_into(folder: Path) -> None:
        progress("listing packages and fetching modules")
        listed = run([go, "list", "-deps", *flags, *params["packages"]], cwd=source, env=environment)
        total = len(listed.splitlines())
        done = 0

        def count(line: str) -> None:
            nonlocal done
            done += 1
            progress(f"{done} of at most {total} packages, now {line}")

        # Gigabytes, which /tmp may not have; with the folder goes what a killed compiler leaves.
        scratch = folder / ".go-build"
        scratch.mkdir()
        build = [go, "build", "-v", *flags, "-o", f"{folder}/", *params["packages"]]
        with compiling(cache):
            follow(build, count, cwd=source, env={**environment, "GOTMPDIR": str(scratch)})
        shutil.rmtree(scratch)
        drop_archives(cache)
        for old, new in params["rename"].items():
            (folder / old).rename(folder / new)

    if shutil.which(go) is None:
        raise CommandError(f"the go command {go} is not there; `make venv` installs it")
    key = digest_of(
        {
            "source": digest_of_tree(source),
            "compiler": run([go, "env", "GOVERSION", "GOOS", "GOARCH"], env=environment),
            "flags": flags,
            "packages": params["packages"],
            "rename": params["rename"],
        }
    )
    store = ArtifactStore(cache, params["cache_days"])

    def fetch_into(folder: Path) -> None:
        progress("by the lock file")
        Origin.read(params["origin"]).files(name, key, folder)

    make = fetch_into if params["origin"] else compile_into
    is_wanted = not (params["origin"] and params["carried"])
    changed = is_wanted and store.ensure(name, key, make, check_mode=check_mode)
    if params["last"] and not check_mode:
        drop_build_cache(cache)
    made = {"path": str(store.path(name, key)), "key": key, "artifact": f"{name}/{key}"}
    return {"changed": changed, **made, "source": str(source), "carried": params["carried"]}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS, cannot="cannot compile {name}: ")


if __name__ == "__main__":
    main()
