"""Names of images on a node; loading them is tested on a real cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.modules.node_image import full_name
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule


def test_names_are_those_of_the_runtime() -> None:
    expected = {
        "busybox:1": "docker.io/library/busybox:1",
        "counter-platform/counter:1": "docker.io/counter-platform/counter:1",
        "a/b/c:1": "docker.io/a/b/c:1",
        "registry.k8s.io/pause:3.10": "registry.k8s.io/pause:3.10",
        "registry:5000/pause:3.10": "registry:5000/pause:3.10",
        "localhost/pause:3.10": "localhost/pause:3.10",
        "localhost:5000/pause": "localhost:5000/pause",
        # A point or a colon in the tag alone makes no registry.
        "pause:3.10": "docker.io/library/pause:3.10",
    }
    assert {image: full_name(image) for image in expected} == expected
    assert [name for name in expected.values() if full_name(name) != name] == []


@pytest.fixture
def arguments(docker: Docker, tmp_path: Path) -> dict[str, Any]:
    image = {"image": "unit/image:1", "archive": str(tmp_path / "image.tar")}
    return {"nodes": [f"{docker.name}-control-plane"], "images": [image], "docker": docker.client}


@pytest.mark.parametrize("check", [False, True])
def test_a_node_that_does_not_exist(run_module: RunModule, arguments: dict[str, Any], check: bool) -> None:
    result = run_module("node_image", arguments, check=check)
    node = arguments["nodes"][0]
    assert result["failed"]
    assert result["msg"].startswith(f"cannot list the images of {node}: ")
    assert "No such container" in result["msg"]


def test_no_nodes_nothing_to_do(run_module: RunModule, arguments: dict[str, Any]) -> None:
    result = run_module("node_image", {**arguments, "nodes": []})
    assert (result["changed"], result["loaded"]) == (False, [])
