"""What becomes of an environment when runs are killed, things fail and time passes; `local` stands at the end."""

import base64
import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from lib.cluster import Cluster
from lib.command import execute, run
from lib.docker import docker, running
from lib.killed import killed
from lib.network import answers, count, count_when_answered
from lib.paths import ROOT
from lib.wait import wait_for

pytestmark = pytest.mark.soak
URL = "http://127.0.0.1:8080/"
RECORD = Path("/var/lib/counter-platform/local/record/record.json")
# A change of the host port takes other nodes.
OTHER_PORT = 8095


def on_other_port(target: str) -> tuple[str, ...]:
    """Return the command that makes a target with the other host port and without logs."""
    return ("make", target, f"ARGS=-e platform_http_port={OTHER_PORT} -e platform_logs=false")


def test_killed_while_it_makes_the_cluster_and_started_again() -> None:
    execute("make", "down").ok()
    killed("make", "up", when="the node to start", condition=lambda: running("counter-local-control-plane"))
    assert not json.loads(RECORD.read_text())["current"]
    execute("make", "up").ok()
    assert [count(URL), count(URL)] == [1, 2]
    (node,) = Cluster("local").get("nodes")["items"]
    assert {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items()


def test_change_that_takes_other_nodes_is_announced_and_not_done_by_the_way() -> None:
    before, node = count(URL), Cluster("local").node
    check, up = execute(*on_other_port("check")), execute(*on_other_port("up"))
    announced = (f"hostPort: 8080 -> {OTHER_PORT}", "make upgrade")
    check.ok(*announced)
    up.failed(*announced, changed=0)
    assert Cluster("local").node == node
    assert count(URL) == before + 1


def test_upgrade_that_fails_brings_the_old_nodes_back() -> None:
    before, node = count(URL), Cluster("local").node
    with socket.create_server(("127.0.0.1", OTHER_PORT)):
        execute(*on_other_port("upgrade")).failed("and the old ones run again", "address already in use")
    assert Cluster("local").node == node
    wait_for("an answer", lambda: answers(f"{URL}readyz"), 120)
    assert count_when_answered(URL) == before + 1


def test_certificates_are_replaced_by_an_upgrade_in_their_last_days() -> None:
    before = count(URL)
    kubeconfig = ROOT / ".state/local/kubeconfig"
    old, record = kubeconfig.read_text(), json.loads(RECORD.read_text())
    record["current"]["certificates_end"] = str(datetime.now(UTC).date() + timedelta(days=59))
    RECORD.write_text(json.dumps(record))
    execute("make", "up").ok("run make upgrade before", changed=0)
    assert kubeconfig.read_text() == old
    execute("make", "upgrade").ok("were replaced, on the same volumes: the certificates end on")
    assert kubeconfig.read_text() != old
    assert Cluster("local").get("nodes")["items"], "the API server takes the new one"
    assert json.loads(RECORD.read_text())["current"]["certificates_end"] > record["current"]["certificates_end"]
    assert count(URL) == before + 1


def test_certificates_that_ended_while_the_machine_was_off_are_replaced() -> None:
    before, node = count(URL), Cluster("local").node
    short = "sed 's/^kind: ClusterConfiguration$/&\\ncertificateValidityPeriod: 1s/' /kind/kubeadm.conf >/short.conf"
    docker("exec", node, "sh", "-c", f"{short} && kubeadm certs renew all --config=/short.conf")
    user = f"--org=system:nodes --client-name=system:node:{node} --validity-period=1s"
    made = docker("exec", node, "sh", "-c", f"kubeadm kubeconfig user --config=/kind/kubeadm.conf {user}")
    (about,) = yaml.safe_load(made)["users"]
    pem = b"".join(base64.b64decode(about["user"][f"client-{part}-data"]) for part in ("certificate", "key")).decode()
    kubelet = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    run("docker", "exec", "--interactive", node, "sh", "-c", f"rm {kubelet} && cat >{kubelet}", stdin=pem)
    docker("stop", node)
    record = json.loads(RECORD.read_text())
    record["current"]["certificates_end"] = str(datetime.now(UTC).date() - timedelta(days=1))
    RECORD.write_text(json.dumps(record))
    execute("make", "up").ok("were replaced, on the same volumes: the certificates end on")
    assert count(URL) == before + 1
    assert json.loads(RECORD.read_text())["current"]["certificates_end"] > str(datetime.now(UTC).date())


def test_stopped_node_is_started_again() -> None:
    before = count(URL)
    docker("stop", Cluster("local").node)
    execute("make", "up").ok()
    assert count(URL) == before + 1


def test_count_goes_on_when_the_machines_docker_was_restarted() -> None:
    before = count(URL)
    run("systemctl", "restart", "docker")
    wait_for("the service, without a run", lambda: answers(f"{URL}readyz"), 300)
    # Docker starts what it had in any order.
    docker("stop", Cluster("local").node, "counter-local-logs")
    docker("start", "counter-local-logs")
    docker("start", Cluster("local").node)
    wait_for("the service, without a run", lambda: answers(f"{URL}readyz"), 300)
    execute("make", "up").ok(changed=0)
    assert count(URL) == before + 1


def test_node_that_docker_gave_another_address_is_replaced() -> None:
    before, node, stranger = count(URL), Cluster("local").node, "counter-local-stranger"
    # As a version wrote it that did not know of addresses.
    record = json.loads(RECORD.read_text())
    del record["current"]["address"]
    RECORD.write_text(json.dumps(record))
    execute("make", "check").ok(changed=0)
    record["current"]["address"] = Cluster("local").address
    RECORD.write_text(json.dumps(record))
    docker("stop", node)
    image = docker("inspect", "--format={{.Config.Image}}", "counter-local-logs")
    docker("run", "--detach", f"--name={stranger}", "--network=counter-local", image, "sleep", "infinity")
    try:
        docker("start", node)
        execute("make", "check").ok("would be replaced, on the same volumes: the node's address changed")
        execute("make", "up").ok("were replaced, on the same volumes: the node's address changed")
        assert count(URL) == before + 1
        execute("make", "up").ok(changed=0).ok(changed=0, host="logs")
    finally:
        docker("rm", "--force", stranger)


def test_patched_packages_are_rolled_out_on_the_node_that_is_there() -> None:
    def images() -> dict[str, str]:
        pods = Cluster("local").get("pods", "--namespace=counter")["items"]
        specs = [
            entry for pod in pods for kind in ("initContainers", "containers") for entry in pod["spec"].get(kind, [])
        ]
        return {entry["name"]: entry["image"] for entry in specs}

    before, node, old = count(URL), Cluster("local").node, images()
    execute("make", "up", "ARGS=-e platform_packages_date=patched").ok()
    assert Cluster("local").node == node
    new = images()
    assert set(new) == {"proxy", "service", "valkey"}
    assert not [name for name in new if new[name] == old[name]]
    assert count(URL) == before + 1


def test_upgrade_killed_at_three_points_loses_no_count() -> None:
    def ended() -> bool:
        record = json.loads(RECORD.read_text())
        return not record["creating"] and record["current"]["kind"] == new

    before, old = count(URL), Cluster("local").node
    new = "counter-local-b" if old == "counter-local-control-plane" else "counter-local"
    upgrade = on_other_port("upgrade")
    killed(*upgrade, when="the old node to stop", condition=lambda: not running(old), after=0)
    killed(*upgrade, when="the new node to start", condition=lambda: running(f"{new}-control-plane"))
    killed(*upgrade, when="the new node to be ready", condition=ended, after=0)
    execute(*on_other_port("up")).ok()
    assert Cluster("local").node == f"{new}-control-plane"
    assert not docker("ps", "--all", "--quiet", f"--filter=name=^{old}$")
    assert count(f"http://127.0.0.1:{OTHER_PORT}/") == before + 1
    execute(*on_other_port("up")).ok(changed=0)
    execute("make", "upgrade").ok()
    assert count(URL) == before + 2
