#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Write the bill of materials of a container image, once for each content of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_sbom
short_description: Write an image's bill of materials (SBOM)
description:
  - Reads the Debian and Python packages out of an image's layers, so that it lists what is in the image and not what
    was meant to be, and writes them as CycloneDX 1.6 (JSON) into the content-addressed cache.
options:
  name:
    description: Name of the result in the cache.
    type: str
    required: true
  image:
    description: Name and tag of the image.
    type: str
    required: true
  id:
    description: Digest of the image's configuration; empty in check mode while the image is not built.
    type: str
    required: true
  archive:
    description: The image as a docker archive.
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
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Write the image's SBOM
  counter.platform.image_sbom:
    name: counter-sbom
    image: "{{ image.image }}"
    id: "{{ image.id }}"
    archive: "{{ image.archive }}"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
path:
  description: The bill of materials.
  returned: always
  type: str
"""

import tarfile
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.archives import image_manifest
from ansible_collections.counter.platform.plugins.module_utils.artifacts import ArtifactStore, digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

DPKG_STATUS = "var/lib/dpkg/status"
RELEASE = "usr/lib/os-release"
REMOVED = ".wh."
"""A file with this prefix in a layer removes the one of the rest of its name (source: OCI image specification)."""


def descriptions(archive: Path) -> dict[str, str]:
    """Return the text of the files that name packages, by path, as the topmost layer of a docker archive has them."""
    found: dict[str, str] = {}
    layers = image_manifest(archive)["Layers"]
    with tarfile.open(archive) as image:
        for layer in layers:
            with tarfile.open(fileobj=image.extractfile(layer)) as content:
                for entry in content:
                    path = PurePosixPath(entry.name.removeprefix("./"))
                    if path.name.startswith(REMOVED):
                        gone = path.with_name(path.name.removeprefix(REMOVED))
                        found = {name: text for name, text in found.items() if not _below(name, gone)}
                    elif entry.isfile() and _names_packages(path):
                        stream = content.extractfile(entry)
                        found[str(path)] = stream.read().decode() if stream else ""
    return found


def _below(name: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(name).is_relative_to(folder)


def _names_packages(path: PurePosixPath) -> bool:
    is_python = path.name == "METADATA" and path.parent.suffix == ".dist-info"
    return is_python or str(path) in (DPKG_STATUS, RELEASE)


def packages(texts: dict[str, str]) -> list[PackageURL]:
    """Return the packages that :func:`descriptions` found, sorted, as package URLs."""
    release = dict(line.split("=", 1) for line in texts.get(RELEASE, "").splitlines() if "=" in line)
    distribution = f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '').strip(chr(34))}".rstrip("-")
    found = []
    for paragraph in texts.get(DPKG_STATUS, "").split("\n\n"):
        fields = HeaderParser().parsestr(paragraph.lstrip("\n"))
        if fields["Status"] == "install ok installed":
            qualifiers = {"arch": fields["Architecture"], "distro": distribution}
            found.append(PackageURL("deb", "debian", fields["Package"], fields["Version"], qualifiers))
    for path, text in texts.items():
        if path not in (DPKG_STATUS, RELEASE):
            fields = HeaderParser().parsestr(text)
            found.append(PackageURL("pypi", None, fields["Name"], fields["Version"]))
    return sorted(found, key=str)


def document(image: str, identity: str, contents: list[PackageURL]) -> str:
    """Return the bill of materials as CycloneDX JSON."""
    name, _, tag = image.rpartition(":")
    bom = Bom()
    bom.metadata.component = Component(type=ComponentType.CONTAINER, name=name, version=tag, bom_ref=identity)
    parts = [
        Component(type=ComponentType.LIBRARY, name=url.name, version=url.version, purl=url, bom_ref=str(url))
        for url in contents
    ]
    bom.components.update(parts)
    bom.register_dependency(bom.metadata.component, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2)


ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "id": {"type": "str", "required": True},
    "archive": {"type": "path", "required": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Write the bill of materials unless the cache has it, and return what RETURN says of it.

    Raises :class:`CommandError` when the archive cannot be read.
    """
    name, image, identity = (params[option] for option in ("name", "image", "id"))
    store = ArtifactStore(Path(params["cache"]), params["cache_days"])
    key = digest_of({"image": image, "id": identity})

    def write(folder: Path) -> None:
        contents = packages(descriptions(Path(params["archive"])))
        (folder / "sbom.cdx.json").write_text(document(image, identity, contents))

    try:
        changed = store.ensure(name, key, write, check_mode=check_mode)
    except (CommandError, OSError, tarfile.TarError, KeyError) as error:
        raise CommandError(f"cannot write the bill of materials of {image}: {error!r}") from error
    return {"changed": changed, "path": str(store.path(name, key) / "sbom.cdx.json")}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
