#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetch Debian packages and all that they need, for a machine that reaches no mirror."""

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_packages
short_description: Fetch Debian packages with everything that they depend on
description:
  - Fetches packages of a release from the mirrors that this machine's apt is set up with, and all that they depend on
    down to the C library, so that nothing is missing whatever the other machine has.
  - Leaves them in the content-addressed cache as a folder that M(counter.platform.apt_packages) installs from.
options:
  name:
    description: Name of the result in the cache.
    type: str
    required: true
  suite:
    description: Debian release by its code name.
    type: str
    required: true
  packages:
    description: What is wanted.
    type: list
    elements: str
    required: true
  refresh:
    description: Another text fetches them anew; the mirrors' lists of today are no input.
    type: str
    required: true
  check_valid_until:
    description: Whether release files that are past their date are refused.
    type: bool
    default: true
extends_documentation_fragment: [counter.platform.cache]
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Fetch the container engine
  counter.platform.debian_packages:
    name: engine-bookworm
    suite: bookworm
    packages: [docker.io]
    refresh: "2026-01-31"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
path:
  description: The folder, which has an index that apt reads.
  returned: always
  type: str
key:
  description: Hash of the inputs.
  returned: always
  type: str
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, Progress, digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import follow, run
from ansible_collections.counter.platform.plugins.module_utils.debian import (
    APT_GET,
    mirrors,
    sources,
    write_client_settings,
)
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "suite": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "required": True},
    "refresh": {"type": "str", "required": True},
    "check_valid_until": {"type": "bool", "default": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
}


def fetch(params: dict[str, Any], folder: Path, progress: Progress) -> None:
    """Fetch packages into a folder. Raises :class:`CommandError` where apt cannot."""
    root = folder / ".apt"
    for name in ("etc/apt", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (root / name).mkdir(parents=True)
    # As nothing is installed, everything is fetched.
    (root / "status").touch()
    lines = sources(params["suite"], [], mirrors())
    (root / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in lines))
    # Not as arguments, which others see.
    settings = root / "apt.conf"
    write_client_settings(settings)
    apt = [*APT_GET, "-o", f"Dir={root}", "-o", f"Dir::State::status={root}/status", "-o", "APT::Sandbox::User=root"]
    if not params["check_valid_until"]:
        apt += ["-o", "Acquire::Check-Valid-Until=false"]
    progress("reading package lists")
    run([*apt, "update"], env={"LC_ALL": "C", "APT_CONFIG": str(settings)})
    install = ["install", "--download-only", "--no-install-recommends", *params["packages"]]
    follow([*apt, *install], lambda line: progress(line.strip()[:100]), env={"APT_CONFIG": str(settings)})
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        # apt writes a colon of an epoch as %3a, which it would take for one in a name of its own.
        package.rename(folder / package.name.replace("%3a", "-"))
    shutil.rmtree(root)
    (folder / "Packages").write_text("\n".join(map(described, sorted(folder.glob("*.deb")))))


def described(package: Path) -> str:
    """Return a package's paragraph of the index (source: Debian's repository format)."""
    control = run(["dpkg-deb", "--field", str(package)]).rstrip("\n")
    with package.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{control}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Fetch the packages unless the cache has them, and return what RETURN says.

    Raises :class:`CommandError` where apt cannot, :class:`OSError` where a file cannot be written.
    """
    cache = Path(params["cache"])
    store, progress = ArtifactStore(cache, params["cache_days"]), Progress(cache, f"packages {params['name']}")
    key = digest_of({option: params[option] for option in ("suite", "packages", "refresh")})
    changed = store.ensure(
        params["name"], key, lambda folder: fetch(params, folder, progress), check_mode=check_mode
    )  # fmt: skip
    return {"changed": changed, "path": str(store.path(params["name"], key)), "key": key}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS, cannot="cannot fetch the packages {name}: ")


if __name__ == "__main__":
    main()
