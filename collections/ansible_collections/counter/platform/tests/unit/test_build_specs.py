"""The table of images as what container_images builds."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.build_specs import FilterModule, build_specs

ROOTFS = {"valkey-root": {"name": "valkey-root", "path": "/cache/valkey-root/1/root.tar", "key": "1"}}
BASES = {"network-root": {"image": "base/network-root:2", "archive": "/cache/network-root/2/image.tar"}}
PROGRAMS = {
    "node-programs": {"path": "/cache/programs/3", "key": "3"},
    "elsewhere": {"path": "/cache/elsewhere/4", "key": "4"},
}


def build_of(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return what a table of one image becomes."""
    (build,) = build_specs({name: entry}, files="/role/files", rootfs=ROOTFS, bases=BASES, programs=PROGRAMS)
    return build


def program(name: str) -> dict[str, str]:
    """Return the file of a component's program."""
    return {"path": f"/cache/programs/3/{name}", "dest": f"files/usr/local/bin/{name}", "key": "3"}


def test_program_on_an_empty_file_system() -> None:
    assert build_of("etcd", {"image": "registry.k8s.io/etcd:3.6.8-0", "build": "component"}) == {
        "name": "counter-platform/etcd",
        "dockerfile": "/role/files/component/Dockerfile",
        "files": [program("etcd")],
        "build_args": {},
        "base_archives": [],
    }


def test_program_of_another_module() -> None:
    build = build_of("metrics-server", {"build": "component", "module": "elsewhere"})
    path, dest = "/cache/elsewhere/4/metrics-server", "files/usr/local/bin/metrics-server"
    assert build["files"] == [{"path": path, "dest": dest, "key": "4"}]


def test_program_by_a_dockerfile_of_its_own_is_named_to_it() -> None:
    entry = {"image": "registry.k8s.io/pause:3.10.2", "build": "component", "dockerfile": "entrypoint"}
    build = build_of("pause", entry)
    assert build["dockerfile"] == "/role/files/entrypoint/Dockerfile"
    assert build["build_args"] == {"PROGRAM": "pause"}


def test_program_on_a_base_image_with_further_files() -> None:
    entry = {
        "image": "registry.k8s.io/agent:v1",
        "build": "component",
        "rootfs": "network-root",
        "files": [{"path": "agent/rule", "dest": "rule"}],
    }
    build = build_of("agent", entry)
    assert build["files"] == [program("agent"), {"path": "/role/files/agent/rule", "dest": "files/rule"}]
    assert build["build_args"] == {"BASE": "base/network-root:2"}
    assert build["base_archives"] == ["/cache/network-root/2/image.tar"]


def test_rootfs_and_nothing_more_is_loaded_into_the_daemon() -> None:
    entry = {"image": "docker.io/valkey/valkey:8.1", "build": "rootfs", "rootfs": "valkey-root"}
    assert build_of("valkey", entry) == {
        "name": "counter-platform/valkey",
        "dockerfile": "/role/files/rootfs/Dockerfile",
        "files": [{"path": "/cache/valkey-root/1/root.tar", "dest": "root.tar", "key": "1"}],
        "load": True,
    }


def test_order_is_that_of_the_table() -> None:
    names = ["b", "c", "a"]
    table = {name: {"image": f"{name}:1", "build": "component"} for name in names}
    builds = build_specs(table, files="/role/files", rootfs={}, bases={}, programs=PROGRAMS)
    assert [build["name"] for build in builds] == [f"counter-platform/{name}" for name in names]


def test_invalid_entry_is_named() -> None:
    entries: dict[str, dict[str, str]] = {
        "some: build is 'pull'; it has to be component or rootfs": {"build": "pull"},
        "some: rootfs 'other' is not there; there are valkey-root": {"build": "rootfs", "rootfs": "other"},
        "some: rootfs 'None' is not there": {"build": "rootfs"},
        "some: Go module 'other' is not there; there are node-programs": {"build": "component", "module": "other"},
        "some: base image 'other' is not there; there are network-root": {"build": "component", "rootfs": "other"},
    }
    for said, entry in entries.items():
        with pytest.raises(AnsibleFilterError, match=said):
            build_of("some", {"image": "some:1", **entry})


def test_the_name_that_templates_use() -> None:
    assert FilterModule().filters() == {"build_specs": build_specs}
