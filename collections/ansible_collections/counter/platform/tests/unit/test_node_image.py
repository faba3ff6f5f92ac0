"""Names of images on a node; loading them is tested on a real cluster."""

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


@pytest.mark.parametrize("check", [False, True])
def test_a_node_that_does_not_exist(run_module: RunModule, docker: Docker, check: bool) -> None:
    images = [{"image": "unit/image:1", "archive": "/nowhere/image.tar"}]
    said = run_module("node_image", nodes=[docker.name], images=images, check=check)["msg"]
    assert said.startswith(f"cannot list the images of {docker.name}: ")
    assert "No such container" in said
