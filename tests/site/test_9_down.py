"""`make down` removes what `make up` made, and nothing else."""

import json
import re
from pathlib import Path

import pytest
from lib.cluster import Cluster
from lib.command import execute
from lib.docker import containers, docker
from lib.paths import ROOT

NETWORK = "counter-local"


@pytest.fixture
def bystander(live: None) -> str:
    """A network, a volume and a container of somebody else; the machine goes, and they with it."""
    docker("network", "create", "counter-bystander")
    docker("volume", "create", "counter-bystander")
    docker("create", "--name=counter-bystander", "counter-platform/machine:bookworm")
    return "counter-bystander"


def test_down_removes_what_up_made_and_nothing_else(bystander: str) -> None:
    home = Path.home() / ".kube" / "config"
    home.parent.mkdir(exist_ok=True)
    home.write_text("somebody's own")
    mounts = json.loads(docker("inspect", Cluster("local").node))[0]["Mounts"]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    assert volumes
    run = execute("make", "down")
    assert run.status == 0, run.output
    assert "stays for the next time" in run.message()
    assert not [name for name in containers() if name.startswith("counter-local")]
    assert NETWORK not in docker("network", "ls", "--format={{.Name}}").split()
    assert not volumes & set(docker("volume", "ls", "--quiet").split())
    assert not (ROOT / ".state" / "local").exists()
    assert not Path("/var/lib/counter-platform/local").exists()
    assert re.search(r"count [1-9]\d*", run.message()), "it says what is lost"
    assert home.read_text() == "somebody's own"
    for kind in ("network", "volume", "container"):
        assert docker(kind, "inspect", bystander), f"the {kind} of somebody else is gone"


def test_down_again_changes_nothing() -> None:
    run = execute("make", "down")
    assert run.status == 0, run.output
    assert run.recap("changed") == 0, run.output
