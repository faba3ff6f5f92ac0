# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Docker archives: what they say of the images in them, and how one is written without a daemon."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError

# What the image specification says of running a container; clients leave out some of the rest.
SETTINGS = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")


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


def image_content(archive: Path) -> dict[str, Any]:
    """Return what tells the image in a docker archive from others: what :func:`content` returns of its configuration.

    Raises :class:`CommandError` for an invalid docker archive.
    """
    name = image_manifest(archive)["Config"]
    about = json_member(archive, name)
    if about is None:
        raise CommandError(f"invalid docker archive {archive}: it has no {name}")
    return content(about["rootfs"]["diff_ids"], about["config"])


def content(layers: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells an image from others, whatever store holds it.

    An image's id does not: the classic store takes the configuration's digest, containerd's that of a manifest, which
    it writes itself for archives without one.

    Args:
        layers: digests of the uncompressed layers, the lowest first.
        settings: the configuration's ``config``; names as in the image specification. Empty ones count as missing.
    """
    return {"layers": list(layers), **{name: settings[name] for name in SETTINGS if settings.get(name)}}


def json_member(archive: Path, name: str) -> Any:
    """Return what the JSON file ``name`` in a tar says; ``None`` where it has none."""
    try:
        with tarfile.open(archive) as tar:
            stream = tar.extractfile(name) if name in tar.getnames() else None
            return json.load(stream) if stream else None
    except tarfile.TarError as error:
        raise CommandError(f"{archive} cannot be read: {error}") from error


def write_layer(layer: Path, content: Path) -> None:
    """Write what is in a folder as the layer of an image: root's, without times, in the order of the names.

    The same files give the same bytes.
    """

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
        return entry

    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT, dereference=True) as tar:
        for path in sorted(content.rglob("*")):
            tar.add(path, str(path.relative_to(content)), recursive=False, filter=plain)


def write_archive(archive: Path, image: str | None, layers: Sequence[Path], settings: Mapping[str, Any]) -> None:
    """Write an image as a docker archive, without a daemon; the same input gives the same bytes.

    Source: the image specification's ``manifest.json``, and its configuration.

    Args:
        archive: the file.
        image: name and tag; none, and the archive has no name for it.
        layers: tar files, the lowest first.
        settings: of the configuration, such as ``Entrypoint``.
    """
    digests = [_digest(layer) for layer in layers]
    about = {"architecture": "amd64", "os": "linux", "config": dict(settings)}
    config = json.dumps({**about, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]}})
    name, names = f"{hashlib.sha256(config.encode()).hexdigest()}.json", [f"{digest}.tar" for digest in digests]
    manifest = [{"Config": name, "RepoTags": [image] if image else None, "Layers": names}]
    # Without spaces, as docker writes it: the build of the node reads it by sed.
    texts = {name: config, "manifest.json": json.dumps(manifest, separators=(",", ":"))}
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for member, text in texts.items():
            _add(tar, member, io.BytesIO(text.encode()), len(text.encode()))
        for member, layer in dict(zip(names, layers, strict=True)).items():
            with layer.open("rb") as stream:
                _add(tar, member, stream, layer.stat().st_size)


def _add(tar: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    tar.addfile(entry, stream)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
