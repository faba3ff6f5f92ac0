"""The site is taken apart: what it has counted and gathered outlives all but `make down`, which removes it all."""

import json
import re
import shutil
from pathlib import Path

import pytest
from lib.cluster import Cluster
from lib.command import execute
from lib.docker import containers, docker, running
from lib.killed import killed
from lib.lines import Lines
from lib.network import count
from lib.paths import ROOT

URL = "http://127.0.0.1:8080/"
OTHER_PORT = 8095


def lose_state_folder() -> None:
    """Remove the environment's state folder and its lock, and nothing of other environments."""
    shutil.rmtree(ROOT / ".state/local")
    (ROOT / ".state/local.lock").unlink()


@pytest.mark.soak
def test_lost_state_folder_costs_nothing() -> None:
    before, node = count(URL), Cluster("local").node
    lose_state_folder()
    execute("make", "up").ok()
    assert Cluster("local").node == node
    assert count(URL) == before + 1
    assert Lines(Cluster("local")).query("* | limit 1")


def test_lost_state_folder_and_no_more_logs_and_monitoring_cost_no_count_and_no_line() -> None:
    cluster, before = Cluster("local"), count(URL)

    def namespaces() -> set[str]:
        return {entry["metadata"]["name"] for entry in cluster.get("namespaces")["items"]}

    there, lines = namespaces(), Lines(cluster)
    node, password = cluster.node, (cluster.state / "valkey-password").read_text()
    secrets = {file: file.read_bytes() for file in lines.secrets.iterdir() if file.is_file()}
    lose_state_folder()
    execute("make", "up", "ARGS=-e platform_logs=false -e platform_monitoring=false").ok(
        "was taken over as it is, with its count"
    )
    assert cluster.node == node
    assert (cluster.state / "valkey-password").read_text() == password
    assert count(URL) == before + 1
    assert there - namespaces() == {"logging", "monitoring"}
    # Without logs nothing has asked for the log host's secrets: here they come from before.
    lines.secrets.mkdir(parents=True, exist_ok=True)
    for file, content in secrets.items():
        file.write_bytes(content)
    assert lines.query("* | limit 1"), "the log host has lost its lines"
    assert Path("/var/lib/counter-platform/local/volumes/prometheus/wal").is_dir()


def test_killed_upgrade_goes_on_and_the_count_with_it() -> None:
    before, old, new = count(URL), Cluster("local").node, "counter-local-b-control-plane"
    assert old != new
    # Another host port takes other nodes.
    changed = f"ARGS=-e platform_http_port={OTHER_PORT} -e platform_logs=false -e platform_monitoring=false"
    killed("make", "upgrade", changed, when="the new node to start", condition=lambda: running(new))
    # Nobody has to ask twice.
    execute("make", "up", changed).ok()
    assert Cluster("local").node == new
    assert count(f"http://127.0.0.1:{OTHER_PORT}/") == before + 1


def test_down_removes_what_up_made_and_nothing_else() -> None:
    # Of somebody else; the machine goes, and they with it.
    bystander = "counter-bystander"
    docker("network", "create", bystander)
    docker("volume", "create", bystander)
    docker("create", f"--name={bystander}", docker("inspect", "--format={{.Image}}", "counter-local-logs"))
    home = Path.home() / ".kube" / "config"
    home.parent.mkdir(exist_ok=True)
    home.write_text("somebody's own")
    mounts = json.loads(docker("inspect", Cluster("local").node))[0]["Mounts"]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    assert volumes
    run = execute("make", "down").ok("stays for the next time")
    assert not [name for name in containers() if name.startswith("counter-local")]
    assert "counter-local" not in docker("network", "ls", "--format={{.Name}}").split()
    assert not volumes & set(docker("volume", "ls", "--quiet").split())
    assert not (ROOT / ".state" / "local").exists()
    assert not Path("/var/lib/counter-platform/local").exists()
    assert re.search(r"count [1-9]\d*", run.message()), "it says what is lost"
    assert home.read_text() == "somebody's own"
    for kind in ("network", "volume", "container"):
        assert docker(kind, "inspect", bystander), f"the {kind} of somebody else is gone"
