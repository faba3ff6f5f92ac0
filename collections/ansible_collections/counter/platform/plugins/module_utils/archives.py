# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""What docker archives say of the images in them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError


def config_digest(archive: Path) -> str:
    """Return the digest of the image's configuration in a docker archive, ``sha256:`` and 64 hex digits.

    Source: the image specification's ``manifest.json``, whose ``Config`` is ``HEX.json`` in archives of Docker's
    classic store and ``blobs/sha256/HEX`` in those of the OCI layout.
    """
    return f"sha256:{Path(image_manifest(archive)['Config']).name.removesuffix('.json')}"


def image_manifest(archive: Path) -> dict[str, Any]:
    """Return the entry of ``manifest.json`` for the first image in a docker archive: its configuration and layers.

    Raises :class:`CommandError` for an invalid docker archive.
    """
    manifest = json_member(archive, "manifest.json")
    if manifest is None:
        raise CommandError(f"invalid docker archive {archive}: it has no manifest.json")
    entry: dict[str, Any] = manifest[0]
    return entry


def daemon_ids(archive: Path) -> set[str]:
    """Return the ids under which a daemon may hold the image in a docker archive.

    Docker's classic store names an image by its configuration, containerd's by the manifest, which archives of the
    OCI layout have in ``index.json``.
    """
    index = json_member(archive, "index.json") or {"manifests": []}
    return {config_digest(archive), *(entry["digest"] for entry in index["manifests"])}


def json_member(archive: Path, name: str) -> Any:
    """Return what the JSON file ``name`` in a tar says; ``None`` where it has none."""
    try:
        with tarfile.open(archive) as tar:
            stream = tar.extractfile(name) if name in tar.getnames() else None
            return json.load(stream) if stream else None
    except tarfile.TarError as error:
        raise CommandError(f"{archive} cannot be read: {error}") from error
