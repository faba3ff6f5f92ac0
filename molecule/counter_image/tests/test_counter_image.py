"""The service's image: lean, not root, sure of outgoing TLS, and rebuilt layer by layer."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_cluster import CACHE, ROOT, count, docker, fetch, newest, run, wait_for


@pytest.fixture(scope="module")
def image() -> str:
    """The image, loaded into the daemon from its archive."""
    result = newest("counter-platform_counter")
    docker("load", "--quiet", "--input", str(result / "image.tar"))
    return f"counter-platform/counter:{result.name}"


@pytest.fixture(scope="module")
def address(image: str) -> Iterator[str]:
    """The service from its image, with no rights at all and a root that cannot be written."""
    docker(
        "run", "--detach", "--name=counter-molecule-image", "--read-only", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "--publish=127.0.0.1:8089:8080", image,
    )  # fmt: skip
    url = "http://127.0.0.1:8089"

    def ready() -> bool:
        try:
            return fetch(f"{url}/readyz")[0] == 200
        except OSError:
            return False

    try:
        wait_for("the service", ready, 60)
        yield url
    finally:
        docker("rm", "--force", "counter-molecule-image")


def test_counts_from_one_with_a_read_only_root_and_no_capability(address: str) -> None:
    counts = [count(f"{address}/") for _ in range(10)]
    assert counts == list(range(1, 11))


def test_user_is_a_number_and_not_root(image: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image) == "65532:65532"


def test_exposes_the_port_that_it_listens_on(image: str) -> None:
    assert json.loads(docker("image", "inspect", "--format", "{{json .Config.ExposedPorts}}", image)) == {
        "8080/tcp": {}
    }


def test_certificates_of_the_system_are_there_and_used(image: str) -> None:
    program = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(docker("run", "--rm", "--network=none", "--entrypoint=python3", image, "-c", program)) > 100


def test_nothing_to_install_packages_with_is_left(image: str) -> None:
    program = "import importlib.util, shutil; print(importlib.util.find_spec('pip'), shutil.which('apt-get'))"
    answer = docker("run", "--rm", "--network=none", "--entrypoint=python3", image, "-c", program)
    assert answer == "None None"


def test_tag_is_the_hash_of_the_content(image: str) -> None:
    archive = CACHE / "artifacts" / "counter-platform_counter" / image.rsplit(":", 1)[1]
    assert (archive / "id").read_text() == docker("image", "inspect", "--format", "{{.Id}}", image)


def test_changed_code_reuses_the_layer_of_the_dependencies(image: str, tmp_path: Path) -> None:
    base = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "counter-platform/python-root").splitlines()[0]
    run("cp", "--recursive", str(ROOT / "app/src"), str(tmp_path / "src"))
    run("cp", "--recursive", str(newest("counter-wheels")), str(tmp_path / "wheels"))
    build = [
        "docker", "build", "--network=none", f"--build-arg=BASE_IMAGE={base}", f"--file={ROOT / 'app/Dockerfile'}",
        "--tag=counter-molecule:changed", str(tmp_path),
    ]  # fmt: skip
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    outputs = []
    for change in ("# one\n", "# two\n"):
        (tmp_path / "src/counter/changed.py").write_text(change)
        outputs.append(subprocess.run(build, env=environment, capture_output=True, text=True, check=True).stderr)
    docker("image", "rm", "counter-molecule:changed")
    steps = [line.split(" ", 1)[0] for line in outputs[1].splitlines() if "compileall -q -j 0" in line or "pip" in line]
    assert any(line == f"{step} CACHED" for step in steps for line in outputs[1].splitlines()), outputs[1]


def test_size_stays_lean(image: str) -> None:
    # Python's own slim image is about as large without any service in it.
    assert int(docker("image", "inspect", "--format", "{{.Size}}", image)) < 200_000_000
