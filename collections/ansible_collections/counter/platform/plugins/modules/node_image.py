#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Bring images onto the nodes of a kind cluster, unless they hold them already."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_image
short_description: Load images into a kind cluster's nodes, compared by name
description:
  - Imports the archives of images that a node's container runtime does not know by name and tag. The tag has to stand
    for the content, as those of M(counter.platform.artifacts) do.
options:
  nodes:
    description: Node containers.
    type: list
    elements: str
    required: true
  images:
    description: Images as M(counter.platform.artifacts) returns them, of which C(image) and C(archive) are read.
    type: list
    elements: dict
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Load an image into the nodes
  counter.platform.node_image:
    nodes: [web-control-plane]
    images: [{image: web:1, archive: /srv/web.tar}]
"""

RETURN = r"""
loaded:
  description: What was, or in check mode would be, loaded; C(NODE IMAGE) each.
  returned: always
  type: list
  elements: str
"""

import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils import engine
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module


def full_name(image: str) -> str:
    """Return ``image`` as the container runtime names it: a name without a registry is one of Docker Hub's."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


class NodeRuntime:
    """containerd on one node, by way of ``docker exec``."""

    def __init__(self, docker: str, node: str) -> None:
        self._exec = [docker, "exec", "--interactive", node, "ctr", "--namespace=k8s.io"]

    def images(self) -> set[str]:
        """Return the names of the images that the node holds."""
        return set(run([*self._exec, "images", "ls", "--quiet"]).split())

    def load(self, archive: Path) -> None:
        """Import a docker archive."""
        with archive.open("rb") as stream:
            done = subprocess.run(
                [*self._exec, "images", "import", "-"], stdin=stream, capture_output=True, check=False
            )
        if done.returncode != 0:
            raise CommandError(f"importing {archive} failed: {done.stderr.decode(errors='replace').strip()}")


AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "nodes": {"type": "list", "elements": "str", "required": True},
    "images": {"type": "list", "elements": "dict", "required": True},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Load the images that a node lacks, and return what RETURN says.

    Raises :class:`CommandError`, with the image's and the node's name, when that fails.
    """
    loaded: list[str] = []
    docker = engine.docker() or "docker"
    for node in params["nodes"]:
        runtime = NodeRuntime(docker, node)
        try:
            held = runtime.images()
        except CommandError as error:
            raise CommandError(f"cannot list the images of {node}: {error}") from error
        for entry in params["images"]:
            if full_name(entry["image"]) in held:
                continue
            try:
                if not check_mode:
                    runtime.load(Path(entry["archive"]))
            except (CommandError, OSError) as error:
                raise CommandError(f"cannot load {entry['image']} into {node}: {error}") from error
            loaded.append(f"{node} {entry['image']}")
    diff = {"before": "", "after": "".join(f"{line}\n" for line in loaded)}
    return {"changed": bool(loaded), "loaded": loaded, "diff": diff}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
