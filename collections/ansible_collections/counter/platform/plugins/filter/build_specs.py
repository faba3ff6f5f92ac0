# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of images as what container_images builds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: build_specs
short_description: A table of images as what container_images builds
description:
  - Turns a table of images into the option O(counter.platform.container_images#module:images) of
    M(counter.platform.container_images).
  - Each is named C(counter-platform/NAME), a name that no registry's image has.
  - An image is a compiled program on an empty file system, or on a Debian rootfs (V(component)), or a Debian rootfs and
    nothing more (V(rootfs)). None has a Dockerfile.
positional: _input
options:
  _input:
    description:
      - By name, C(build) (V(component) or V(rootfs)) of each.
      - C(rootfs) names the Debian rootfs that the image is, or that a component lies on.
      - C(entrypoint) says whether a component is run where nobody names a command.
      - C(module) names the Go module of a component's program, C(node-programs) where it is left out.
      - C(tools) names further programs of the module that the image has.
      - C(files) lists further files of a component, each with C(path) below O(files) and C(dest).
    type: dict
    required: true
  files:
    description: Folder of what is copied into the images besides programs.
    type: path
    required: true
  rootfs:
    description: Results of M(counter.platform.debian_rootfs) by name.
    type: dict
    required: true
  programs:
    description: Results of M(counter.platform.go_programs) by module, which have a program for each component.
    type: dict
    required: true
  archives:
    description:
      - Folder of the context of another image that holds these, each as an archive named by C(image) of its entry.
        Empty, and they are images of their own.
    type: str
    default: ""
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Build the images
  counter.platform.container_images:
    images: >-
      {{ table | counter.platform.build_specs(files=role_path ~ '/files', rootfs=rootfs, programs=programs) }}
    docker: /usr/bin/docker
    cache: "{{ platform_cache_dir }}"
  vars:
    table:
      pause:
        image: registry.k8s.io/pause:3.10.2
        build: component
"""

RETURN = r"""
_value:
  description: One image for each entry of the table, in its order.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

Entry = Mapping[str, Any]


def build_specs(
    table: Mapping[str, Entry],
    files: str,
    rootfs: Mapping[str, Entry],
    programs: Mapping[str, Entry],
    archives: str = "",
) -> list[dict[str, Any]]:
    """Return the option ``images`` of container_images for a table of images.

    The arguments are the options of the filter. Raises :class:`AnsibleFilterError` with the image's name for another
    kind of build, and for a rootfs or Go module that is not there.
    """
    builds = []
    for name, entry in table.items():
        build: dict[str, Any] = {"name": f"counter-platform/{name}", "layers": [], "files": [], "entrypoint": []}
        if entry["build"] not in {"component", "rootfs"}:
            raise AnsibleFilterError(f"{name}: build is '{entry['build']}'; it has to be component or rootfs")
        if entry["build"] == "rootfs" or "rootfs" in entry:
            tar = _named(rootfs, entry.get("rootfs"), f"{name}: rootfs")
            build["layers"] = [{"path": tar["path"], "key": tar["key"]}]
        if entry["build"] == "component":
            compiled = _named(programs, entry.get("module", "node-programs"), f"{name}: Go module")
            build["files"] = [
                {"path": f"{compiled['path']}/{program}", "dest": f"usr/local/bin/{program}", "key": compiled["key"]}
                for program in [name, *entry.get("tools", [])]
            ] + [{"path": f"{files}/{file['path']}", "dest": file["dest"]} for file in entry.get("files", [])]
            build["entrypoint"] = [f"/usr/local/bin/{name}"] if entry.get("entrypoint") else []
        if archives:
            build["dest"] = f"{archives}/{entry['image']}.tar"
        elif entry["build"] == "rootfs":
            build["load"] = True
        builds.append(build)
    return builds


def _named(results: Mapping[str, Entry], name: str | None, what: str) -> Entry:
    if name is None or name not in results:
        raise AnsibleFilterError(f"{what} '{name}' is not there; there are {', '.join(results) or 'none'}")
    return results[name]


class FilterModule:
    """What Ansible asks for filters."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Return the filters by name."""
        return {"build_specs": build_specs}
