#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Build or fetch what a catalogue describes, each named by the hash of everything that goes into it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifacts
short_description: Build or fetch programs, root file systems and images by a catalogue
description:
  - An entry of the catalogue says what something is made from, files or other entries by their names. Its key is the
    hash of all that, also of what the other entries are made from.
  - What the cache has under its key is left alone, on whatever machine the cache is. What it lacks is built in the
    order of the dependencies, and what only those need that are there is not built.
  - With O(origin) nothing is built. What is asked for is fetched by its key.
  - Images are built with C(docker build --network=none), those without a Dockerfile with no daemon at all. The docker
    client is the one of the search path.
options:
  catalogue:
    description:
      - "Entries by name, each with a C(type) and the options of that type. Those of every type are C(name), in the
        cache, where it differs from the entry's; C(deploy), whether it is used by itself although another entry has it;
        and C(enabled), whether it is among V(all) and the licences."
      - "C(go) compiles the Go module in the folder C(source). C(packages) are import paths, where C(tool) stands for
        all tools of the module; C(rename) gives programs other names; C(tags) are build tags; C(stamps) are values of
        string variables by package, in which C(@MODULE) at the end stands for the version that go.mod requires of it.
        The result is a folder with the programs."
      - "C(rootfs) is the Debian release C(suite) with C(packages), and with those of later releases in C(newer).
        C(remove) lists paths that are deleted at the end. Another text in C(refresh) builds it from what the mirrors
        have then. C(check_valid_until) false accepts a release file past its expiry. The result is a tar file."
      - "C(wheels) are those in the lock of the uv project in the folder C(project), for C(python_version) and
        C(platforms). Those of C(installer_groups) are left out of C(requirements.txt). The result is a folder."
      - "C(image) has C(files), each a C(path) on the machine, or below the result of the entry C(artifact), with its
        C(dest). Without C(dockerfile) they lie on the rootfs entries C(layers), and C(entrypoint) is the command. With
        C(dockerfile) they are the build context; C(base) is an image that the build gets as C(BASE_IMAGE) besides
        C(build_args), and C(images) are entries that it finds as archives, C(images/NAME.tar), by their C(replaces).
        C(name) is the image's, without a tag, C(counter-platform/NAME) where it is left out, and C(tag) the key.
        C(load) loads it into the daemon. The result is a docker archive."
      - "C(go_licences) has the licences of the modules in the entries C(programs), named by the program of the entry
        C(classifier). The result is a JSON file with SPDX expressions by C(MODULE@VERSION), empty for unknown ones."
    type: dict
    required: true
  names:
    description: Entries that are asked for. V(all) stands for the enabled ones that are not embedded in others.
    type: list
    elements: str
    default: [all]
  root:
    description: Folder that relative paths of the catalogue are below.
    type: path
    required: true
  bin_dir:
    description: Folder with the controller's go, uv and python.
    type: path
    required: true
  origin:
    description: File that says from where results are fetched; empty, and they are built.
    type: path
    default: ""
  background:
    description:
      - Start to build at the lowest priority, and return at once. Another task that asks for the same result waits for
        it, and builds what has not begun. What is not there when the run ends is given up.
      - Nothing is fetched from O(origin) in the background.
    type: bool
    default: false
extends_documentation_fragment: [counter.platform.cache]
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Build the image of a service
  counter.platform.artifacts:
    names: [hello]
    catalogue:
      hello-programs: {type: go, source: hello, packages: [.]}
      hello:
        type: image
        files: [{artifact: hello-programs, path: hello, dest: usr/local/bin/hello}]
        entrypoint: [/usr/local/bin/hello]
    root: "{{ platform_root }}"
    bin_dir: "{{ platform_bin_dir }}"
    cache: "{{ platform_cache_dir }}"
"""

RETURN = r"""
artifacts:
  description: By name what was asked for and all that it is made from.
  returned: always
  type: dict
  contains:
    artifact:
      description: What it is in the cache and in an origin, C(NAME/KEY).
      type: str
    key:
      description: Hash of the inputs.
      type: str
    path:
      description: The file, or the folder with the files.
      type: str
    embedded:
      description: Whether nothing uses it but other entries that have it in themselves.
      type: bool
    changed:
      description: Whether this one was built, fetched or loaded.
      type: bool
    image:
      description: Name and tag of an image.
      type: str
    archive:
      description: An image as a docker archive.
      type: str
    id:
      description: Digest of an image's configuration, C(sha256:…); empty in check mode when it is not built yet.
      type: str
"""

from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Workshop
from ansible_collections.counter.platform.plugins.module_utils.builders.container_image import ContainerImage
from ansible_collections.counter.platform.plugins.module_utils.catalogue import Catalogue
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

# It asks the daemon for images.
AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "catalogue": {"type": "dict", "required": True},
    "names": {"type": "list", "elements": "str", "default": ["all"]},
    "root": {"type": "path", "required": True},
    "bin_dir": {"type": "path", "required": True},
    "cache": {"type": "path", "required": True},
    "cache_days": {"type": "int", "default": 14},
    "origin": {"type": "path", "default": ""},
    "background": {"type": "bool", "default": False},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Build, fetch and load what is missing, and return what RETURN says.

    Raises :class:`CommandError` with the entry's name when it is invalid or cannot be made.
    """
    paths = {option: Path(params[option]) for option in ("cache", "root", "bin_dir")}
    catalogue = Catalogue(params["catalogue"], Workshop(**paths, days=params["cache_days"], origin=params["origin"]))
    names = catalogue.used() if params["names"] == ["all"] else params["names"]
    missing = catalogue.missing(names)
    changed = {entry.name for entry in missing}
    if not check_mode:
        catalogue.build(missing)
    for image in [catalogue[name] for name in names]:
        if isinstance(image, ContainerImage) and image.options["load"] and not image.is_loaded():
            changed.add(image.name)
            if not check_mode:
                image.load()
    artifacts = {
        entry.name: entry.about() | {"embedded": catalogue.is_embedded(entry.name), "changed": entry.name in changed}
        for entry in catalogue.closure(names)
    }
    return {"changed": bool(changed), "artifacts": artifacts}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
