#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Write the bills of materials of images and programs, once for each content of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_sbom
short_description: Write bills of materials (SBOM) of images and programs
description:
  - Reads the Debian packages, the Python packages and the Go modules out of results in the cache, so that it lists what
    is there and not what was meant to be, with the licence of each.
  - A result with C(image.tar) is read as an image, layer by layer, and so are the images that it carries in
    containerd's store. Of any other result the Go programs are read.
  - Writes them as CycloneDX 1.6 (JSON) into the cache.
options:
  artifacts:
    description: Results in the cache, C(NAME/KEY) each.
    type: list
    elements: str
    required: true
  go_licences:
    description: Result of M(counter.platform.artifacts) of the type C(go_licences). Without it no Go module has one.
    type: path
    default: ""
  go:
    description: The go command, which reads Go programs.
    type: path
    required: true
  dest:
    description: Folder that gets a copy of each, C(NAME.cdx.json), and has no others.
    type: path
    default: ""
extends_documentation_fragment: [counter.platform.cache]
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Write the image's SBOM
  counter.platform.image_sbom:
    artifacts: ["{{ image.artifact }}"]
    go: "{{ platform_bin_dir }}/go"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
results:
  description: The bills of materials, in the order in which the results were given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What it is of.
      type: str
    path:
      description: The file.
      type: str
    changed:
      description: Whether it was written.
      type: bool
"""

import json
import os
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.archives import image_manifest
from ansible_collections.counter.platform.plugins.module_utils.artifacts import (
    ArtifactStore,
    Progress,
    digest_of,
    write_whole,
)
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.licences import REFERENCE
from ansible_collections.counter.platform.plugins.module_utils.materials import Part, of_folder, of_image
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_supported_id

FORM = 1
"""Another number writes every bill of materials anew: what is read, or how it is written, has changed."""


def document(about: Component, parts: list[Part]) -> str:
    """Return the bill of materials of something as CycloneDX JSON."""
    bom = Bom()
    bom.metadata.component = about
    components = [
        Component(
            type=ComponentType.LIBRARY,
            name=part.name,
            version=part.url.version,
            purl=part.url,
            bom_ref=str(part.url),
            licenses=[licence(part.licence)] if part.licence else [],
            evidence=ComponentEvidence(occurrences=[Occurrence(location=place) for place in sorted(part.places)])
            if part.places
            else None,
        )
        for part in parts
    ]
    bom.components.update(components)
    bom.register_dependency(about, components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def licence(expression: str) -> License:
    """Return an expression in the form that CycloneDX has for it: an identifier, a name, or an expression."""
    if is_supported_id(expression):
        return DisjunctiveLicense(id=expression)
    if expression.startswith(REFERENCE) and " " not in expression:
        return DisjunctiveLicense(name=expression.removeprefix(REFERENCE))
    return LicenseExpression(expression)


def write(folder: Path, artifact: str, source: Path, go_licences: str, go: str, progress: Progress) -> None:
    """Write the bill of materials of a result. Raises :class:`CommandError` with its name where it cannot be read."""
    name, _, key = artifact.partition("/")
    progress(f"reading {name}")
    try:
        known = json.loads(Path(go_licences).read_text()) if go_licences else {}
        archive = source / "image.tar"
        if archive.exists():
            image, _, tag = (image_manifest(archive)["RepoTags"] or [f"{name}:{key}"])[0].rpartition(":")
            kind, parts = ComponentType.CONTAINER, of_image(archive, known, go)
        else:
            image, tag, kind, parts = name, key, ComponentType.APPLICATION, of_folder(source, known, go)
    except (CommandError, OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise CommandError(f"cannot write the bill of materials of {artifact}: {error!r}") from error
    about = Component(type=kind, name=image, version=tag, bom_ref=artifact)
    (folder / "sbom.cdx.json").write_text(document(about, parts))


def copy(source: Path, target: Path) -> None:
    """Put a file at a place that belongs to the owner of the folder."""
    write_whole(target, source.read_text())
    if os.geteuid() == 0:
        owner = target.parent.stat()
        os.chown(target, owner.st_uid, owner.st_gid)


ARGUMENTS: dict[str, Any] = {
    "artifacts": {"type": "list", "elements": "str", "required": True},
    "go_licences": {"type": "path", "default": ""},
    "go": {"type": "path", "required": True},
    "dest": {"type": "path", "default": ""},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Write what the cache and the folder ``dest`` lack, and return what RETURN says.

    Raises :class:`CommandError` when a result cannot be read.
    """
    cache, go_licences = Path(params["cache"]), params["go_licences"]
    store, progress = ArtifactStore(cache, params["cache_days"]), Progress(cache, "bill of materials")
    dest = Path(params["dest"]) if params["dest"] else None
    results = []
    for artifact in params["artifacts"]:
        name, _, key = artifact.partition("/")
        source = store.path(name, key)
        # An image is not the same in every byte each time that it is made.
        identity = (source / "id").read_text() if (source / "id").exists() else ""
        licences = Path(go_licences).parent.name if go_licences else ""
        inputs = {"form": FORM, "artifact": artifact, "id": identity, "go_licences": licences}
        its_name, its_key = f"{name}-sbom", digest_of(inputs)
        make = partial(
            write, artifact=artifact, source=source, go_licences=go_licences, go=params["go"], progress=progress
        )
        changed = store.ensure(its_name, its_key, make, check_mode=check_mode)
        path = store.path(its_name, its_key) / "sbom.cdx.json"
        if dest is not None:
            target = dest / f"{name}.cdx.json"
            is_there = path.exists() and target.exists() and target.read_bytes() == path.read_bytes()
            if not is_there and not check_mode:
                copy(path, target)
            changed, path = changed or not is_there, target
        results.append({"name": name, "path": str(path), "changed": changed})
    others = set(dest.glob("*.cdx.json")) - {Path(result["path"]) for result in results} if dest else set()
    if not check_mode:
        for other in others:
            other.unlink()
    return {"changed": bool(others) or any(result["changed"] for result in results), "results": results}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
