#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Build container images without a network, each named by the hash of everything that goes into it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_images
short_description: Build images into content-addressed archives
description:
  - Builds with C(docker build --network=none) from the listed files alone and keeps each result as an archive, from
    which any daemon or node can load it.
  - The key is the hash of the Dockerfile, the files, the build arguments and the base images. An image whose key is in
    the cache is not built, on whatever machine the cache is.
  - One task takes all images that do not stand on each other, since starting a module costs more than looking for one.
options:
  images:
    description: The images.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the image, without a tag.
        type: str
        required: true
      tag:
        description: Tag; the key where it is left out.
        type: str
      dockerfile:
        description: The Dockerfile. Without one the image is its layers and files, and needs no daemon.
        type: path
      layers:
        description: Tar files that an image without a Dockerfile has below its files, the lowest first.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The tar file.
            type: path
            required: true
          key:
            description: Hash of the content.
            type: str
            required: true
      entrypoint:
        description: Command of an image without a Dockerfile.
        type: list
        elements: str
        default: []
      files:
        description: What the build sees, each a file or a folder and where it stands in the build context.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: File or folder on the machine.
            type: path
            required: true
          dest:
            description: Path in the context.
            type: str
            required: true
          key:
            description: Hash of the content where it is known already; saves reading it.
            type: str
      images:
        description:
          - Images that the build sees as archives. They are options like those of O(images), with O(images[].dest), and
            without a Dockerfile. They are made for this build alone, and are no results.
        type: list
        elements: dict
        default: []
      build_args:
        description: Values for the Dockerfile's ARG lines.
        type: dict
        default: {}
      base_archives:
        description: Archives of the images that the Dockerfile starts from; loaded into the daemon before the build.
        type: list
        elements: path
        default: []
      load:
        description: Whether the daemon shall hold the image too.
        type: bool
        default: false
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
    description: Names of images that are nothing but a part of others. With O(origin), they are not fetched.
    type: list
    elements: str
    default: []
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Build the image of the service
  counter.platform.container_images:
    images:
      - name: counter-platform/counter
        dockerfile: app/Dockerfile
        files:
          - {path: app/src, dest: src}
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
results:
  description: The images, in the order in which they were given.
  returned: always
  type: list
  elements: dict
  contains:
    image:
      description: Name and tag.
      type: str
    archive:
      description: The image as a docker archive.
      type: str
    id:
      description: Digest of the image's configuration, C(sha256:…); empty in check mode when it is not built yet.
      type: str
    key:
      description: Hash of the inputs.
      type: str
    artifact:
      description: What it is in the cache and in an origin, C(NAME/KEY).
      type: str
    carried:
      description: Whether its name is one of O(carried).
      type: bool
    changed:
      description: Whether this one was built or loaded.
      type: bool
    loadable:
      description: Image and archive, as M(counter.platform.node_image) takes them.
      type: dict
"""

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils import engine
from ansible_collections.counter.platform.plugins.module_utils.archives import (
    config_digest,
    content,
    image_content,
    write_archive,
    write_layer,
)
from ansible_collections.counter.platform.plugins.module_utils.artifacts import (
    ArtifactStore,
    Progress,
    digest_of,
    digest_of_tree,
)
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.origin import Origin

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HELD = "[{{json .RootFS.Layers}}, {{json .Config}}]"


def content_key(entry: dict[str, Any]) -> str:
    """Return the hash that stands for one entry of ``files``."""
    if entry.get("key"):
        return str(entry["key"])
    path = Path(entry["path"])
    if path.is_dir():
        return digest_of_tree(path)
    return digest_of({"content": path.read_bytes().hex(), "executable": os.access(path, os.X_OK)})


def place(source: Path, target: Path) -> None:
    """Put ``source`` at ``target`` in the build context, by hard link where the file system allows it."""

    def link(origin: str, copy: str) -> None:
        try:
            # A link to a symbolic link would carry the name and not the content, which is what the key stands for.
            os.link(os.path.realpath(origin), copy)
        except OSError:
            shutil.copy2(origin, copy)

    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True, ignore=ignore)
    else:
        link(str(source), str(target))


def image_key(wanted: dict[str, Any]) -> str:
    """Return the key of one of the option ``images``."""
    inputs = {
        "name": wanted["name"],
        "tag": wanted.get("tag"),
        "files": {entry["dest"]: content_key(entry) for entry in wanted["files"]},
    }
    if not wanted.get("dockerfile"):
        layers = [layer["key"] for layer in wanted["layers"]]
        return digest_of({**inputs, "layers": layers, "settings": settings_of(wanted)})
    return digest_of(
        {
            **inputs,
            "dockerfile": Path(wanted["dockerfile"]).read_text(),
            "build_args": wanted["build_args"],
            "bases": [Path(archive).parent.name for archive in wanted["base_archives"]],
            "images": {part["dest"]: image_key(part) for part in wanted["images"]},
        }
    )


def settings_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of an image without a Dockerfile, with the PATH that docker gives every image."""
    return {"Entrypoint": wanted["entrypoint"] or None, "Env": [f"PATH={PATH}"], "WorkingDir": "/"}


def assemble(wanted: dict[str, Any], image: str, archive: Path) -> None:
    """Write an image without a Dockerfile as an archive. Raises :class:`OSError` when a file cannot be read."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        content, top = Path(temporary, "content"), Path(temporary, "top.tar")
        content.mkdir()
        for entry in wanted["files"]:
            place(Path(entry["path"]), content / entry["dest"])
        layers = [Path(layer["path"]) for layer in wanted["layers"]]
        if wanted["files"]:
            write_layer(top, content)
            layers.append(top)
        write_archive(archive, image, layers, settings_of(wanted))


class Builder:
    """Builds images into one cache, or brings them there from an origin."""

    def __init__(self, cache: Path, days: int, origin: str, carried: list[str], *, check_mode: bool) -> None:
        self._origin = origin
        self._carried = carried
        self._cache = cache
        self._store = ArtifactStore(cache, days)
        self._check_mode = check_mode

    def ensure(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Build one of the option ``images`` unless the cache has it, and return what RETURN says of it.

        Raises :class:`CommandError` when the build fails, :class:`OSError` when one of its files cannot be read.
        """
        key = image_key(wanted)
        image = f"{wanted['name']}:{wanted['tag'] or key}"
        artifact = wanted["name"].replace("/", "_")
        progress = Progress(self._cache, f"image {wanted['name']}")

        def make(folder: Path) -> None:
            if self._origin:
                progress("fetching")
                Origin.read(self._origin).image(artifact, key, image, folder)
            else:
                self._build(wanted, image, folder, progress)
            (folder / "id").write_text(config_digest(folder / "image.tar"))

        is_carried = wanted["name"] in self._carried
        is_wanted = not (self._origin and is_carried)
        changed = is_wanted and self._store.ensure(artifact, key, make, check_mode=self._check_mode)
        folder = self._store.path(artifact, key)
        archive = folder / "image.tar"
        if wanted["load"] and not self._holds(image, archive):
            changed = True
            if not self._check_mode:
                progress("loading into the daemon")
                run([self._docker, "load", "--quiet", "--input", str(archive)])
        identity = (folder / "id").read_text() if (folder / "id").exists() else ""
        loadable = {"image": image, "archive": str(archive)}
        made = {"artifact": f"{artifact}/{key}", "key": key, "id": identity, "carried": is_carried}
        return {"changed": changed, **made, "loadable": loadable, **loadable}

    @functools.cached_property
    def _docker(self) -> str:
        return engine.docker() or "docker"

    def _build(self, wanted: dict[str, Any], image: str, folder: Path, progress: Progress) -> None:
        if not wanted["dockerfile"]:
            assemble(wanted, image, folder / "image.tar")
            return
        for archive in wanted["base_archives"]:
            run([self._docker, "load", "--quiet", "--input", archive])
        context = folder / "context"
        context.mkdir()
        for entry in wanted["files"]:
            place(Path(entry["path"]), context / entry["dest"])
        for part in wanted["images"]:
            (context / part["dest"]).parent.mkdir(parents=True, exist_ok=True)
            assemble(part, part["name"], context / part["dest"])
        arguments = [f"--build-arg={option}={value}" for option, value in wanted["build_args"].items()]
        dockerfile = f"--file={wanted['dockerfile']}"
        follow(
            [self._docker, "build", "--network=none", dockerfile, f"--tag={image}", *arguments, str(context)],
            lambda line: progress(line.strip()[:100]),
            env={"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
        )
        progress("saving")
        run([self._docker, "save", "--output", str(folder / "image.tar"), image])
        shutil.rmtree(context)

    def _holds(self, image: str, archive: Path) -> bool:
        """Return whether the daemon has this image: under a given tag it may hold one of other inputs."""
        if not archive.exists():
            return False
        try:
            # `image ls` finds no name that is written out with docker.io/library.
            held = run([self._docker, "image", "inspect", "--format", HELD, image])
        except CommandError:
            return False
        return content(*json.loads(held)) == image_content(archive)


AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "images": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "tag": {"type": "str"},
            "dockerfile": {"type": "path"},
            "layers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "key": {"type": "str", "required": True, "no_log": False},
                },
            },
            "entrypoint": {"type": "list", "elements": "str", "default": []},
            "images": {"type": "list", "elements": "dict", "default": []},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "dest": {"type": "str", "required": True},
                    "key": {"type": "str", "no_log": False},
                },
            },
            "build_args": {"type": "dict", "default": {}},
            "base_archives": {"type": "list", "elements": "path", "default": []},
            "load": {"type": "bool", "default": False},
        },
    },
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
    "origin": {"type": "path", "default": ""},
    "carried": {"type": "list", "elements": "str", "default": []},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Build and load the images that cache and daemon lack, and return what RETURN says of all.

    When one cannot be built: ``failed``, ``msg`` with its name, and the ``results`` before it.
    """
    builder = Builder(
        Path(params["cache"]),
        params["cache_days"],
        params["origin"],
        params["carried"],
        check_mode=check_mode,
    )
    verb = "fetch" if params["origin"] else "build"
    results: list[dict[str, Any]] = []
    for wanted in params["images"]:
        try:
            results.append(builder.ensure(wanted))
        except (CommandError, OSError) as error:
            return {"failed": True, "msg": f"cannot {verb} the image {wanted['name']}: {error}", "results": results}
    return {"changed": any(result["changed"] for result in results), "results": results}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
