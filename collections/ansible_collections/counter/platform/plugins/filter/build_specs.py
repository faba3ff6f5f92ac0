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
  - An image is a compiled program on an empty file system, or on a base image (V(component)), or a Debian rootfs and
    nothing more (V(rootfs)).
positional: _input
options:
  _input:
    description:
      - By name, C(build) (V(component) or V(rootfs)) of each.
      - C(rootfs) names the Debian rootfs that the image is, or whose base image it starts from.
      - C(dockerfile) names the folder of a component's Dockerfile, C(component) where it is left out.
      - C(module) names the Go module of a component's program, C(node-programs) where it is left out.
      - C(tools) names further programs of the module that the image has.
      - C(files) lists further files of a component, each with C(path) below O(files) and C(dest).
    type: dict
    required: true
  files:
    description: Folder with the Dockerfiles, each in a folder of its own, and with what is copied into the images.
    type: path
    required: true
  rootfs:
    description: Results of M(counter.platform.debian_rootfs) by name.
    type: dict
    required: true
  bases:
    description: Results of M(counter.platform.container_images) for the base images by the name of their rootfs.
    type: dict
    required: true
  programs:
    description: Results of M(counter.platform.go_programs) by module, which have a program for each component.
    type: dict
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Build the images
  counter.platform.container_images:
    images: >-
      {{ table | counter.platform.build_specs(files=role_path ~ '/files', rootfs=rootfs, bases=bases,
      programs=programs) }}
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
    bases: Mapping[str, Entry],
    programs: Mapping[str, Entry],
) -> list[dict[str, Any]]:
    """Return the option ``images`` of container_images for a table of images.

    The arguments are the options of the filter. Raises :class:`AnsibleFilterError` with the image's name for another
    kind of build, and for a rootfs, base image or Go module that is not there.
    """
    builds = []
    for name, entry in table.items():
        build: dict[str, Any] = {"name": f"counter-platform/{name}"}
        if entry["build"] == "rootfs":
            tar = _named(rootfs, entry.get("rootfs"), f"{name}: rootfs")
            build |= {
                "dockerfile": f"{files}/rootfs/Dockerfile",
                "files": [{"path": tar["path"], "dest": "root.tar", "key": tar["key"]}],
                "load": True,
            }
        elif entry["build"] == "component":
            base = _named(bases, entry["rootfs"], f"{name}: base image") if "rootfs" in entry else None
            compiled = _named(programs, entry.get("module", "node-programs"), f"{name}: Go module")
            inside = [
                {
                    "path": f"{compiled['path']}/{program}",
                    "dest": f"files/usr/local/bin/{program}",
                    "key": compiled["key"],
                }
                for program in [name, *entry.get("tools", [])]
            ]
            further = [
                {"path": f"{files}/{file['path']}", "dest": f"files/{file['dest']}"} for file in entry.get("files", [])
            ]
            build |= {
                "dockerfile": f"{files}/{entry.get('dockerfile', 'component')}/Dockerfile",
                "files": [*inside, *further],
                "build_args": {"BASE": base["image"]} if base else {"PROGRAM": name} if "dockerfile" in entry else {},
                "base_archives": [base["archive"]] if base else [],
            }
        else:
            raise AnsibleFilterError(f"{name}: build is '{entry['build']}'; it has to be component or rootfs")
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
