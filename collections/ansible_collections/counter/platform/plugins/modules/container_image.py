#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Build a container image without a network, tagged by the hash of everything that goes into it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Build an image into a content-addressed archive
description:
  - Builds with C(docker build --network=none) from the listed files alone and keeps the result as an archive, from
    which any daemon or node can load it.
  - The key is the hash of the Dockerfile, the files, the build arguments and the base images. An image whose key is in
    the cache is not built, on whatever machine the cache is.
options:
  name:
    description: Name of the image, without a tag.
    type: str
    required: true
  tag:
    description: Tag; the key where it is left out.
    type: str
  dockerfile:
    description: The Dockerfile.
    type: path
    required: true
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
  docker:
    description: The docker client; may be empty in check mode.
    type: str
    required: true
  cache:
    description: The cache folder.
    type: path
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Build the image of the service
  counter.platform.container_image:
    name: counter-platform/counter
    dockerfile: app/Dockerfile
    files:
      - {path: app/src, dest: src}
    docker: /usr/bin/docker
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
image:
  description: Name and tag.
  returned: always
  type: str
archive:
  description: The image as a docker archive.
  returned: always
  type: str
id:
  description: Digest of the image's configuration, C(sha256:…); empty in check mode when it is not built yet.
  returned: always
  type: str
key:
  description: Hash of the inputs.
  returned: always
  type: str
loadable:
  description: Image, id and archive, as M(counter.platform.node_image) takes them.
  returned: always
  type: dict
"""

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.counter.platform.plugins.module_utils.artifacts import (
    ArtifactStore,
    Progress,
    digest_of,
    digest_of_tree,
)
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run


def content_key(entry: dict[str, Any]) -> str:
    """Return the hash that stands for one entry of ``files``."""
    if entry["key"]:
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


def config_digest(archive: Path) -> str:
    """Return the digest of the image's configuration in a docker archive, ``sha256:`` and 64 hex digits.

    Source: the image specification's ``manifest.json``, whose ``Config`` is ``HEX.json`` in archives of Docker's
    classic store and ``blobs/sha256/HEX`` in those of the OCI layout.
    """
    manifest = json_member(archive, "manifest.json")
    if manifest is None:
        raise CommandError(f"{archive} has no manifest.json; it is no docker archive")
    return f"sha256:{Path(manifest[0]['Config']).name.removesuffix('.json')}"


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


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "tag": {"type": "str"},
            "dockerfile": {"type": "path", "required": True},
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
            "docker": {"type": "str", "required": True},
            "cache": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    name, docker, cache = params["name"], params["docker"], Path(params["cache"])
    artifact = name.replace("/", "_")
    progress = Progress(cache, f"image {name}")
    store = ArtifactStore(cache)
    try:
        key = digest_of(
            {
                "name": name,
                "tag": params["tag"],
                "dockerfile": Path(params["dockerfile"]).read_text(),
                "files": {entry["dest"]: content_key(entry) for entry in params["files"]},
                "build_args": params["build_args"],
                "bases": [Path(archive).parent.name for archive in params["base_archives"]],
            }
        )
        image = f"{name}:{params['tag'] or key}"

        def build(folder: Path) -> None:
            for archive in params["base_archives"]:
                run([docker, "load", "--quiet", "--input", archive])
            context = folder / "context"
            context.mkdir()
            for entry in params["files"]:
                place(Path(entry["path"]), context / entry["dest"])
            arguments = [f"--build-arg={option}={value}" for option, value in params["build_args"].items()]
            follow(
                [
                    docker,
                    "build",
                    "--network=none",
                    f"--file={params['dockerfile']}",
                    f"--tag={image}",
                    *arguments,
                    str(context),
                ],
                lambda line: progress(line.strip()[:100]),
                env={"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
            )
            progress("saving")
            run([docker, "save", "--output", str(folder / "image.tar"), image])
            shutil.rmtree(context)
            (folder / "id").write_text(config_digest(folder / "image.tar"))

        folder = store.path(artifact, key)
        archive = folder / "image.tar"
        changed = store.ensure(artifact, key, build, check_mode=module.check_mode)
        if params["load"]:
            # Under a given tag the daemon may hold an image of other inputs.
            held = (
                bool(docker)
                and archive.exists()
                and run([docker, "image", "ls", "--quiet", "--no-trunc", image]).strip() in daemon_ids(archive)
            )
            changed = changed or not held
            if not held and not module.check_mode:
                progress("loading into the daemon")
                run([docker, "load", "--quiet", "--input", str(archive)])
    except (CommandError, OSError) as error:
        module.fail_json(msg=f"cannot build the image {name}: {error}")
    identity = (folder / "id").read_text() if (folder / "id").exists() else ""
    loadable = {"image": image, "id": identity, "archive": str(archive)}
    module.exit_json(changed=changed, key=key, loadable=loadable, **loadable)


if __name__ == "__main__":
    main()
