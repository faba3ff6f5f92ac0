"""The table of images as what container_images builds."""

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.build_specs import build_specs

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
PROGRAM = {"path": "/cache/programs/3/some", "dest": "usr/local/bin/some", "key": "3"}
PLAIN: dict[str, Any] = {"name": "counter-platform/some", "layers": [], "files": [], "entrypoint": []}


@pytest.mark.parametrize(
    ("entry", "build"),
    [
        ({"build": "component"}, {"files": [PROGRAM]}),
        (
            {"build": "component", "module": "elsewhere"},
            {"files": [PROGRAM | {"path": "/cache/elsewhere/4/some", "key": "4"}]},
        ),
        ({"build": "component", "entrypoint": True}, {"files": [PROGRAM], "entrypoint": ["/usr/local/bin/some"]}),
        (
            {"build": "component", "rootfs": "valkey-root", "files": [{"path": "agent/rule", "dest": "rule"}]},
            {"layers": LAYERS, "files": [PROGRAM, {"path": "/role/files/agent/rule", "dest": "rule"}]},
        ),
        ({"build": "rootfs", "rootfs": "valkey-root"}, {"layers": LAYERS}),
    ],
)
def test_build_of_an_entry(entry: dict[str, Any], build: dict[str, Any]) -> None:
    entry["image"] = "registry.example/some:1"
    # What nothing is built upon is loaded into the daemon.
    assert build_of("some", entry) == PLAIN | build | ({"load": True} if entry["build"] == "rootfs" else {})
    # What another one holds is an archive there.
    assert build_of("some", entry, "images") == PLAIN | build | {"dest": "images/registry.example/some:1.tar"}


def test_order_is_that_of_the_table() -> None:
    table = {name: {"image": f"{name}:1", "build": "component"} for name in ("b", "c", "a")}
    builds = build_specs(table, files="/role/files", rootfs={}, programs=PROGRAMS)
    assert [build["name"] for build in builds] == [f"counter-platform/{name}" for name in table]


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
