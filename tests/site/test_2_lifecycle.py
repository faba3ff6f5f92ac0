"""`make up` as a person uses it, and what becomes of runs that were killed; `local` stands at the end."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.cluster import Cluster
from lib.command import execute, run
from lib.docker import docker
from lib.machine import copy_project
from lib.network import count
from lib.paths import CACHE, ROOT
from lib.wait import wait_for

URL = "http://127.0.0.1:8080/"


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below ``pid``."""
    children = [int(line) for line in run("pgrep", "--parent", str(pid), check=False).stdout.split()]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def killed(*command: str, when: str, condition: "Path | str", cwd: Path = ROOT) -> None:
    """Start a command and kill all of it as soon as ``condition`` (a path, or a container's name) is there."""

    def there() -> bool:
        if isinstance(condition, Path):
            return any(condition.parent.glob(condition.name))
        return condition in docker("ps", "--format", "{{.Names}}").split()

    process = subprocess.Popen(
        command, cwd=cwd, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        # With an empty cache everything is built before there is a node.
        wait_for(when, there, 1800, every=0.2)
        time.sleep(2)
        assert process.poll() is None, f"{when}: the run ended before it could be killed"
    finally:
        # Modules run in sessions of their own; a machine that loses power ends them too.
        for victim in [*descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.wait()


def test_killed_while_it_compiles_and_started_again() -> None:
    programs = CACHE / "artifacts" / "node-programs"
    before = {path.name for path in programs.iterdir()} if programs.exists() else set()
    # A tag that nobody used yet compiles anew, below another key; what is there already is not touched.
    tags = json.dumps({"offline_images_go_tags": ["grpcnotrace", f"killed{time.time_ns()}"]})
    killed(
        "ansible-playbook", "playbooks/images.yml", "-e", tags,
        when="the compiler to start", condition=programs / ".building-*",
    )  # fmt: skip
    left = {path.name for path in programs.iterdir()} - before
    assert all(name.startswith(".") for name in left), f"half a result looks like a whole one: {left}"


@pytest.fixture
def other_node(tmp_path: Path) -> Iterator[Path]:
    """A copy of the project whose node image nobody has built; what it builds is gone afterwards."""
    copy = tmp_path / "counter-platform"
    copy_project(copy)
    with (copy / "roles/offline_images/files/node/Dockerfile").open("a") as stream:
        stream.write(f"# {time.time_ns()}\n")
    images = CACHE / "artifacts" / "counter-platform_node"
    before = set(images.glob("*"))
    yield copy
    for path in set(images.glob("*")) - before:
        shutil.rmtree(path)


@pytest.mark.soak
def test_killed_while_it_builds_an_image_and_started_again(other_node: Path) -> None:
    images = CACHE / "artifacts" / "counter-platform_node"
    before = set(images.glob("*"))
    build = ["ansible-playbook", "playbooks/images.yml"]
    killed(*build, when="the image's build to start", condition=images / ".building-*", cwd=other_node)
    assert set(images.glob("*")) == before, "half an image looks like a whole one"
    run = execute(*build, cwd=other_node)
    assert run.status == 0, run.output
    (built,) = set(images.glob("*")) - before
    assert (built / "image.tar").exists()
    assert not list(images.glob(".building-*"))


def test_killed_while_it_makes_the_cluster_and_started_again() -> None:
    killed("make", "up", when="the node to start", condition="counter-local-control-plane")
    assert not (ROOT / ".state/local/cluster/made.json").exists()
    run = execute("make", "up")
    assert run.status == 0, run.output
    first = count(URL)
    assert count(URL) == first + 1
    (node,) = Cluster("local").get("nodes")["items"]
    assert {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items()


def test_second_run_changes_nothing() -> None:
    run = execute("make", "up")
    assert run.status == 0, run.output
    assert run.recap("changed") == 0, run.output


def test_check_mode_tells_the_truth_about_a_finished_environment() -> None:
    run = execute("make", "check")
    assert run.status == 0, run.output
    assert run.recap("changed") == 0, run.output


def test_check_mode_tells_what_a_change_would_do_and_does_not_do_it() -> None:
    before = Cluster("local").get("hpa", "counter", "--namespace=counter")["spec"]
    run = execute("make", "check", "ARGS=-e counter_app_replicas_max=7")
    assert run.status == 0, run.output
    assert run.recap("changed") == 1, run.output
    assert Cluster("local").get("hpa", "counter", "--namespace=counter")["spec"] == before


def test_stopped_node_is_started_again() -> None:
    docker("stop", "counter-local-control-plane")
    run = execute("make", "up")
    assert run.status == 0, run.output
    wait_for("an answer", lambda: count(URL) >= 1, 60)
