#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Make Debian root file systems from packages, once for each content of their inputs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_rootfs
short_description: Make Debian root file systems as tars, in a content-addressed cache
description:
  - Runs mmdebstrap against the mirrors that the machine's own apt is set up with; every package is checked against
    the release's signature.
  - Each result is named by the hash of its options. Newer packages come in when O(rootfs[].refresh) changes, so that
    a build never differs from the one before it for a reason that nobody gave.
options:
  rootfs:
    description: The root file systems.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the result in the cache.
        type: str
        required: true
      suite:
        description: Release to install.
        type: str
        required: true
      packages:
        description: Packages to install on top of the essential ones.
        type: list
        elements: str
        required: true
      newer:
        description: Packages to take from a newer release, with what they need from it, by release.
        type: dict
        default: {}
      remove:
        description: Paths to delete at the end, relative to the rootfs; shell patterns.
        type: list
        elements: str
        default: []
      refresh:
        description: Any text; another one makes the rootfs anew from the packages of the day.
        type: str
        required: true
  check_valid_until:
    description: Whether a release file past its expiry is refused.
    type: bool
    default: true
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
- name: Build the rootfs of the service's base image
  counter.platform.debian_rootfs:
    rootfs:
      - name: python-root
        suite: bookworm
        packages: [python3-minimal, ca-certificates]
        refresh: "2026-11"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
results:
  description: The root file systems, in the order in which they were given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the result in the cache.
      type: str
    path:
      description: The rootfs as a tar file.
      type: str
    key:
      description: Hash of the inputs.
      type: str
    changed:
      description: Whether this one was made.
      type: bool
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, Progress, digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow
from ansible_collections.counter.platform.plugins.module_utils.debian import mirrors, sources, write_client_settings
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

LEFT_OUT = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"]
"""Paths that dpkg does not unpack; the licences in /usr/share/doc/*/copyright stay."""
LEFT_OVER = [
    "var/cache/apt/*",
    "var/lib/apt/lists/*",
    "var/log/*.log",
    "var/log/apt",
    "var/cache/ldconfig/aux-cache",
]


def preferences(newer: dict[str, list[str]]) -> str:
    """Return apt preferences under which only the named packages come from each newer release."""
    blocks = []
    for release, packages in newer.items():
        blocks.append(f"Package: *\nPin: release n={release}*\nPin-Priority: 100\n")
        blocks.append(f"Package: {' '.join(packages)}\nPin: release n={release}*\nPin-Priority: 990\n")
    return "\n".join(blocks)


def bootstrap(rootfs: dict[str, Any], folder: Path, progress: Progress, *, check_valid_until: bool) -> None:
    """Make one of the option ``rootfs`` as ``folder/root.tar``. Raises :class:`CommandError` when mmdebstrap fails."""
    progress("reading package lists")
    (folder / "preferences").write_text(preferences(rootfs["newer"]))
    client = folder / "client.conf"
    write_client_settings(client)
    listed = sources(rootfs["suite"], list(rootfs["newer"]), mirrors())
    (folder / "sources.list").write_text("".join(f"{line}\n" for line in listed))
    wanted = [*rootfs["packages"], *(package for packages in rootfs["newer"].values() for package in packages)]
    command = [
        "mmdebstrap",
        "--variant=essential",
        "--format=tar",
        f"--include={','.join(wanted)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        '--aptopt=Acquire::Retries "3"',
        f"--setup-hook=copy-in {folder}/preferences /etc/apt/preferences.d/",
        f"--setup-hook=copy-in {client} /etc/apt/apt.conf.d/",
        # `:?` ends the hook should the rootfs ever be empty: the path must never be one of this machine's.
        f'--customize-hook=rm "${{1:?}}"/etc/apt/apt.conf.d/{client.name}',
        *(f'--customize-hook=rm -rf "${{1:?}}"/{path}' for path in removals(rootfs)),
        rootfs["suite"],
        str(folder / "root.tar"),
        str(folder / "sources.list"),
    ]
    if not check_valid_until:
        command.insert(1, '--aptopt=Acquire::Check-Valid-Until "false"')
    follow(command, lambda line: progress(line.strip()[:100]))
    for name in ("preferences", client.name, "sources.list"):
        (folder / name).unlink()


def removals(rootfs: dict[str, Any]) -> list[str]:
    """Return the paths that are deleted from a rootfs at the end."""
    return [*LEFT_OVER, *rootfs["remove"]]


ARGUMENTS: dict[str, Any] = {
    "rootfs": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "suite": {"type": "str", "required": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "newer": {"type": "dict", "default": {}},
            "remove": {"type": "list", "elements": "str", "default": []},
            "refresh": {"type": "str", "required": True},
        },
    },
    "check_valid_until": {"type": "bool", "default": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
    "origin": {"type": "path", "default": ""},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Make what the cache lacks, and return what RETURN says of all.

    When one cannot be made: ``failed``, ``msg`` with its name, and the ``results`` of the others.
    """
    cache = Path(params["cache"])
    store = ArtifactStore(cache, params["cache_days"])

    def one(rootfs: dict[str, Any]) -> dict[str, Any]:
        name: str = rootfs["name"]
        inputs = {option: rootfs[option] for option in ("suite", "packages", "newer", "refresh")}
        key = digest_of({**inputs, "remove": removals(rootfs)})
        make = partial(
            bootstrap,
            rootfs,
            progress=Progress(cache, f"Debian rootfs {name}"),
            check_valid_until=params["check_valid_until"],
        )
        try:
            # They are in the images that come from there.
            changed = not params["origin"] and store.ensure(name, key, make, check_mode=check_mode)
        except (CommandError, OSError) as error:
            return {"failed": True, "msg": f"cannot make the Debian rootfs {name}: {error}", "changed": False}
        return {"name": name, "path": str(store.path(name, key) / "root.tar"), "key": key, "changed": changed}

    # Each waits for the network at first, and works with one processor then.
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        results = list(workers.map(one, params["rootfs"]))
    changed = any(result["changed"] for result in results)
    failed = next((result for result in results if result.get("failed")), None)
    return {**(failed or {}), "changed": changed, "results": [result for result in results if "failed" not in result]}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
