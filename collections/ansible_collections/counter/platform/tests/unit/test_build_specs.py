"""The table of images as what container_images builds."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.build_specs import FilterModule, build_specs

ROOTFS = {"valkey-root": {"name": "valkey-root", "path": "/cache/valkey-root/1/root.tar", "key": "1"}}
PROGRAMS = {
    "node-programs": {"path": "/cache/programs/3", "key": "3"},
    "elsewhere": {"path": "/cache/elsewhere/4", "key": "4"},
}


def build_of(name: str, entry: dict[str, Any], archives: str = "") -> dict[str, Any]:
    """Return what a table of one image becomes."""
    (build,) = build_specs({name: entry}, files="/role/files", rootfs=ROOTFS, programs=PROGRAMS, archives=archives)
    return build


LAYERS = [{"path": "/cache/valkey-root/1/root.tar", "key": "1"}]


def program(name: str) -> dict[str, str]:
    """Return the file of a component's program."""
    return {"path": f"/cache/programs/3/{name}", "dest": f"usr/local/bin/{name}", "key": "3"}


def test_program_on_an_empty_file_system() -> None:
    assert build_of("etcd", {"image": "registry.k8s.io/etcd:3.6.8-0", "build": "component"}) == {
        "name": "counter-platform/etcd",
        "layers": [],
        "files": [program("etcd")],
        "entrypoint": [],
    }


def test_program_of_another_module() -> None:
    build = build_of("metrics-server", {"build": "component", "module": "elsewhere"})
    path, dest = "/cache/elsewhere/4/metrics-server", "usr/local/bin/metrics-server"
    assert build["files"] == [{"path": path, "dest": dest, "key": "4"}]


def test_program_that_is_run_without_a_command() -> None:
    assert build_of("pause", {"build": "component", "entrypoint": True})["entrypoint"] == ["/usr/local/bin/pause"]


def test_program_on_a_rootfs_with_further_files() -> None:
    further = [{"path": "agent/rule", "dest": "rule"}]
    build = build_of("agent", {"build": "component", "rootfs": "valkey-root", "files": further})
    assert build["layers"] == LAYERS
    assert build["files"] == [program("agent"), {"path": "/role/files/agent/rule", "dest": "rule"}]


def test_rootfs_and_nothing_more_is_loaded_into_the_daemon() -> None:
    entry = {"image": "docker.io/valkey/valkey:8.1", "build": "rootfs", "rootfs": "valkey-root"}
    assert build_of("valkey", entry) == {
        "name": "counter-platform/valkey",
        "layers": LAYERS,
        "files": [],
        "entrypoint": [],
        "load": True,
    }


def test_image_that_another_one_holds_is_an_archive_there() -> None:
    build = build_of("etcd", {"image": "registry.k8s.io/etcd:3.6.8-0", "build": "component"}, "images")
    assert build["dest"] == "images/registry.k8s.io/etcd:3.6.8-0.tar"
    assert "load" not in build


def test_order_is_that_of_the_table() -> None:
    names = ["b", "c", "a"]
    table = {name: {"image": f"{name}:1", "build": "component"} for name in names}
    builds = build_specs(table, files="/role/files", rootfs={}, programs=PROGRAMS)
    assert [build["name"] for build in builds] == [f"counter-platform/{name}" for name in names]


def test_invalid_entry_is_named() -> None:
    no_rootfs = "some: rootfs 'other' is not there; there are valkey-root"
    entries: list[tuple[str, dict[str, str]]] = [
        ("some: build is 'pull'; it has to be component or rootfs", {"build": "pull"}),
        (no_rootfs, {"build": "rootfs", "rootfs": "other"}),
        ("some: rootfs 'None' is not there", {"build": "rootfs"}),
        ("some: Go module 'other' is not there; there are node-programs", {"build": "component", "module": "other"}),
        (no_rootfs, {"build": "component", "rootfs": "other"}),
    ]
    for said, entry in entries:
        with pytest.raises(AnsibleFilterError, match=said):
            build_of("some", {"image": "some:1", **entry})


def test_the_name_that_templates_use() -> None:
    assert FilterModule().filters() == {"build_specs": build_specs}
