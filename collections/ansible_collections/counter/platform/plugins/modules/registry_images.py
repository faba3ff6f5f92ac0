#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Put what was built into a registry, and say by which digests it is there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_images
short_description: Fill a registry from the cache
description:
  - Each result of the cache becomes an image of the registry, with its key for a tag. Programs are an image of their
    files alone.
  - What the registry has already is left as it is, so it can be run again after an error.
options:
  artifacts:
    description: What to put there, C(NAME/KEY), as M(counter.platform.artifacts) returns it.
    type: list
    elements: str
    required: true
  registry:
    description: Host, port and what all names begin with.
    type: str
    required: true
  user:
    description: Who logs in; empty for nobody.
    type: str
    default: ""
  password:
    description: The user's password.
    type: str
    default: ""
  ca:
    description: File with the CA of the registry's certificate; empty for the system's.
    type: path
    default: ""
  cache:
    description: The cache folder.
    type: path
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Fill the registry
  counter.platform.registry_images:
    artifacts: ["{{ built.artifacts.collector.artifact }}"]
    registry: registry.example.com/platform
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
artifacts:
  description:
    - What is there, by C(NAME/KEY), with repository, digest, id and size. In check mode there is nothing below the
      names where something is not made yet.
  returned: always
  type: dict
"""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, Progress
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.origin import (
    ACCESS,
    archive_of_files,
    logged_in,
    repository_of,
)

ARGUMENTS: dict[str, Any] = {
    "artifacts": {"type": "list", "elements": "str", "required": True},
    **ACCESS,
    "cache": {"type": "path", "required": True},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Put there what is missing, and return what RETURN says.

    Raises :class:`CommandError` where the registry does not take it, :class:`OSError` where the cache lacks it.
    """
    cache, artifacts = Path(params["cache"]), params["artifacts"]
    store, progress = ArtifactStore(cache, days=1), Progress(cache, params["registry"])
    if check_mode and not (shutil.which("skopeo") and all(store.path(*it.split("/")).exists() for it in artifacts)):
        # What is not made yet would be new there, and without skopeo nobody can ask.
        return {"changed": True, "artifacts": {artifact: {} for artifact in artifacts}}
    found: dict[str, Any] = {}
    changed = False
    access = (params[option] for option in ACCESS)
    with tempfile.TemporaryDirectory(dir=cache) as folder, logged_in(*access) as registry:
        for artifact in artifacts:
            name, key = artifact.split("/")
            progress(name)
            archive = store.path(name, key) / "image.tar"
            if not archive.exists():
                archive = Path(folder) / "files.tar"
                archive_of_files(store.path(name, key), archive)
            entry, is_new = registry.push(archive, repository_of(name), key, check_mode=check_mode)
            changed = changed or is_new
            found[artifact] = asdict(entry) if entry else {}
    return {"changed": changed, "artifacts": found}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
