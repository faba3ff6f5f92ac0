"""The proof itself, beside an environment that somebody uses: it has a machine of its own and touches nothing else."""

import pytest
from lib.cluster import Cluster
from lib.command import execute
from lib.docker import containers, docker
from lib.machine import OWNER_LABEL, MachineError, make_image
from lib.network import count

from tools.throwaway import machine

URL = "http://127.0.0.1:8080/"
IMAGE = "counter-platform/machine:bookworm"


@pytest.mark.soak
def test_live_environment_goes_on_and_leftovers_go() -> None:
    number = [count(URL) for _ in range(10)][-1]
    # What a killed run leaves behind, and what one of another clone has.
    ours, others = machine(), "counter-test-elsewhere"
    make_image("bookworm")
    started = ["run", "--detach", "--entrypoint=sleep"]
    docker(*started, f"--name={ours.name}", f"--label={OWNER_LABEL}={ours.owner}", IMAGE, "600")
    docker(*started, f"--name={others}", f"--label={OWNER_LABEL}=/srv/elsewhere", IMAGE, "600")
    try:
        # One test of the bare machine, `make down` on it: on this machine that would remove the environment.
        chosen = {"PYTEST_ADDOPTS": "-k test_down_with_nothing_there_changes_nothing"}
        run = execute("make", "test", "JOBS=bare", environment=chosen).ok()
        assert "1 passed" in run.output.splitlines()[-1]
        assert {others, Cluster("local").node} <= containers()
        assert ours.name not in containers()
    finally:
        docker("rm", "--force", others)
    assert count(URL) == number + 1


def test_container_of_somebody_else_is_refused_and_left_alone() -> None:
    ours = machine()
    docker("create", f"--name={ours.name}", docker("inspect", "--format={{.Image}}", "counter-local-logs"))
    try:
        with pytest.raises(MachineError, match=f"a container {ours.name} that was not made from here"):
            ours.start("bookworm", [])
        assert ours.is_there(), "it was not left alone"
    finally:
        docker("rm", ours.name)
