"""`make up` and `make down` as a person uses them, and what becomes of runs that were killed."""

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
from platform_cluster import CACHE, ROOT, Cluster, count, docker, newest, run, wait_for
from platform_run import execute

URL = "http://127.0.0.1:8080/"


def of_the_engine() -> dict[str, set[str]]:
    """Return the names of everything that the container engine holds, but for images."""
    return {
        "containers": set(docker("ps", "--all", "--format", "{{.Names}}").split()),
        "networks": set(docker("network", "ls", "--format", "{{.Name}}").split()),
        "volumes": set(docker("volume", "ls", "--quiet").split()),
    }


@pytest.fixture(scope="module", autouse=True)
def bystanders() -> Iterator[dict[str, set[str]]]:
    """Start without an environment, beside things of the engine that are none of ours."""
    execute("make", "down")
    for kind in ("network", "volume"):  # what a run of these tests that was killed may have left
        docker(kind, "rm", "counter-bystander", check=False)
    docker("network", "create", "counter-bystander")
    docker("volume", "create", "counter-bystander")
    before = of_the_engine()
    yield before
    execute("make", "down")
    docker("network", "rm", "counter-bystander")
    docker("volume", "rm", "counter-bystander")


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below ``pid``."""
    children = [int(line) for line in run("pgrep", "--parent", str(pid), check=False).stdout.split()]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def killed(*command: str, when: str, condition: "Path | str") -> None:
    """Start a command and kill all of it as soon as ``condition`` (a path, or a container's name) is there."""

    def there() -> bool:
        if isinstance(condition, Path):
            return any(condition.parent.glob(condition.name))
        return condition in docker("ps", "--format", "{{.Names}}").split()

    process = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(when, there, 300, every=0.2)
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


def test_killed_while_it_builds_an_image_and_started_again() -> None:
    built = newest("counter-platform_node")
    shutil.rmtree(built)
    build = ["ansible-playbook", "playbooks/images.yml"]
    killed(*build, when="the image's build to start", condition=built.parent / ".building-*")
    assert not built.exists(), "half an image looks like a whole one"
    run = execute(*build)
    assert run.status == 0, run.output
    assert (built / "image.tar").exists()
    assert not list(built.parent.glob(".building-*"))


def test_killed_while_it_makes_the_cluster_and_started_again() -> None:
    killed("make", "up", when="the node to start", condition="counter-local-control-plane")
    assert not (ROOT / ".state/local/cluster/made.json").exists()
    run = execute("make", "up")
    assert run.status == 0, run.output
    first = count(URL)
    assert count(URL) == first + 1


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


def test_down_removes_what_up_made_and_nothing_else(bystanders: dict[str, set[str]]) -> None:
    home = Path.home() / ".kube" / "config"
    before = home.read_bytes() if home.exists() else None
    run = execute("make", "down")
    assert run.status == 0, run.output
    assert "stays for the next time" in run.message()
    assert of_the_engine() == bystanders
    assert not (ROOT / ".state" / "local").exists()
    assert (home.read_bytes() if home.exists() else None) == before


def test_down_again_changes_nothing() -> None:
    run = execute("make", "down")
    assert run.status == 0, run.output
    assert run.recap("changed") == 0, run.output


def test_check_mode_before_the_first_run() -> None:
    run = execute("make", "check")
    assert run.status == 0, run.output
    assert run.recap("changed") >= 3, run.output
    assert not (ROOT / ".state" / "local").exists()
