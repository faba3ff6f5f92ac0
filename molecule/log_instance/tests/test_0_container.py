"""The machine as a container: it is reachable, comes back with its data, and is nobody else's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest
from lib.command import Run, execute
from lib.docker import docker
from lib.paths import ROOT
from lib.types import Json
from lib.wait import wait_for

ENVIRONMENT = "molecule"
NETWORK = f"counter-{ENVIRONMENT}"
NAME = f"{NETWORK}-logs"
STATE = str(ROOT / ".state" / ENVIRONMENT)


def playbook(*arguments: str) -> Run:
    """Run the role on the scenario's network."""
    environment = ["-e", f"platform_environment={ENVIRONMENT}"]
    return execute(
        "ansible-playbook", "-i", "inventories/local", "molecule/log_instance/converge.yml", *environment, *arguments
    )


def inspect(name: str = NAME) -> Json:
    """Return what docker knows of a container."""
    (found,) = json.loads(docker("inspect", name))
    return dict(found)


def running() -> bool:
    """Return whether systemd has started everything."""
    return docker("exec", NAME, "systemctl", "is-system-running", check=False) == "running"


@pytest.fixture
def another() -> Iterator[str]:
    """A name for a container that the test makes; it is removed at the end."""
    name = f"{NETWORK}-another"
    yield name
    docker("rm", "--force", "--volumes", name, check=False)


def test_machine_is_on_the_network_and_found_by_its_name() -> None:
    found = inspect()
    assert list(found["NetworkSettings"]["Networks"]) == [NETWORK]
    address = found["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    seen = docker("run", "--rm", f"--network={NETWORK}", found["Config"]["Image"], "getent", "hosts", NAME)
    assert seen.split()[0] == address
    assert docker("exec", NAME, "hostname") == NAME


def test_nothing_runs_on_it_that_it_does_not_need() -> None:
    assert docker("exec", NAME, "systemctl", "list-units", "--failed", "--no-legend") == ""
    listeners = docker("exec", NAME, "ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric").splitlines()
    # The engine's own DNS answers inside of every container.
    assert [line for line in listeners if "127.0.0.11" not in line] == []


def test_machine_that_dies_comes_back_with_its_data() -> None:
    docker("exec", NAME, "sh", "-c", "mkdir -p /var/lib/logs && echo kept >/var/lib/logs/line && sync")
    first = inspect()
    os.kill(first["State"]["Pid"], signal.SIGKILL)
    wait_for("another start", lambda: inspect()["State"]["StartedAt"] != first["State"]["StartedAt"], 30)
    wait_for("systemd", running, 60)
    assert inspect()["Id"] == first["Id"]
    assert docker("exec", NAME, "cat", "/var/lib/logs/line") == "kept"


def test_machine_that_was_stopped_is_started_and_kept() -> None:
    before = inspect()["Id"]
    docker("stop", NAME)
    run = playbook()
    assert run.status == 0, run.output
    assert run.recap("changed") == 1
    assert inspect()["Id"] == before
    wait_for("systemd", running, 30)


# A text that nobody gave before: the root and the image that belong to it are nowhere, as on a fresh machine.
UNMADE = ["-e", "platform_packages_date=never"]


def test_check_mode_announces_a_machine_whose_image_is_not_made_yet(another: str) -> None:
    run = playbook("--check", *UNMADE, "-e", f"log_instance_name={another}")
    assert run.status == 0, run.output
    assert f"{another} would be started from counter-platform/log-machine:" in run.message()
    assert docker("ps", "--all", "--quiet", f"--filter=name={another}") == ""


def test_check_mode_keeps_the_machine_whose_newer_image_is_not_made_yet() -> None:
    before = inspect()
    run = playbook("--check", *UNMADE)
    assert run.status == 0, run.output
    assert f"{NAME} was made from {before['Config']['Image']} and is kept, with its logs" in run.message()
    assert "would be started" not in run.message()
    # The root and the image of a machine that would be new, and not the machine that is there.
    assert run.recap("changed") == 2, run.output


@pytest.mark.soak
def test_newer_root_keeps_the_machine_and_says_so() -> None:
    docker("exec", NAME, "sh", "-c", "mkdir -p /var/lib/logs && echo old >/var/lib/logs/older")
    before = inspect()
    run = playbook("-e", "platform_packages_date=another-day")
    assert run.status == 0, run.output
    message = run.message()
    assert f"{NAME} was made from {before['Config']['Image']} and is kept, with its logs" in message
    assert "back the logs up" in message
    assert inspect()["Id"] == before["Id"]
    assert docker("exec", NAME, "cat", "/var/lib/logs/older") == "old"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_container_of_somebody_else_is_refused_and_left_alone(another: str, state: str) -> None:
    image = inspect()["Config"]["Image"]
    identity = docker("create", f"--name={another}", "--label=counter-platform.state=/another/clone", image)
    run = playbook("-e", f"log_instance_name={another}", "-e", f"log_instance_state={state}")
    assert run.status != 0
    assert f"There is a container {another} that was not made from here" in run.message()
    assert run.recap("changed") == 0
    assert inspect(another)["Id"] == identity


def test_without_the_clusters_network_it_says_what_to_do(another: str) -> None:
    nowhere = ["-e", f"log_instance_name={another}", "-e", "log_instance_network=counter-nowhere"]
    run = playbook(*nowhere)
    assert run.status != 0
    assert "There is no docker network counter-nowhere" in run.message()
    assert "playbooks/cluster.yml" in run.message()
    assert docker("ps", "--all", "--quiet", f"--filter=name={another}") == ""
    # Before the first run there is no network either, and check mode says what would come.
    check = playbook(*nowhere, "--check")
    assert check.status == 0, check.output
    assert check.recap("changed") == 1
    assert f"{another} would be started from" in check.message()


def test_removing_one_leaves_the_other(another: str) -> None:
    before = inspect()
    docker("create", f"--name={another}", f"--label=counter-platform.state={STATE}", before["Config"]["Image"])
    absent = ["-e", f"log_instance_name={another}", "-e", "log_instance_state=absent"]
    assert playbook(*absent, "--check").recap("changed") == 1
    assert docker("ps", "--all", "--quiet", f"--filter=name={another}")
    assert playbook(*absent).recap("changed") == 1
    assert docker("ps", "--all", "--quiet", f"--filter=name={another}") == ""
    assert playbook(*absent).recap("changed") == 0
    assert inspect()["Id"] == before["Id"]
    assert before["Config"]["Labels"]["counter-platform.state"] == STATE
