"""Count and figures go on where they were, when Valkey's pod or the whole node is killed."""

import time
from collections.abc import Callable

import pytest
from lib.cluster import Cluster
from lib.command import run
from lib.docker import docker
from lib.environment import PORT, READY, URL, site
from lib.load import Load
from lib.network import accepts, answers, count
from lib.prometheus import MONITORING, Prometheus
from lib.service import APP, wait_until_idle
from lib.wait import wait_for


def delete_valkey_by_force(cluster: Cluster) -> None:
    """Delete Valkey's pod without waiting for its end, so that another is started while it still runs."""
    before = cluster.get("pod", "counter-valkey-0", APP)["metadata"]["uid"]
    cluster.kubectl("delete", "pod", "counter-valkey-0", APP, "--grace-period=0", "--force")
    cluster.kubectl("rollout", "status", "statefulset/counter-valkey", APP, "--timeout=120s")
    assert cluster.get("pod", "counter-valkey-0", APP)["metadata"]["uid"] != before


def delete_valkey_five_times(cluster: Cluster) -> None:
    for _ in range(5):
        delete_valkey_by_force(cluster)
        wait_for("an answer", lambda: answers(READY), 120)
        time.sleep(1)


def kill_valkey(cluster: Cluster) -> None:
    """Kill Valkey's pod without letting it end."""
    cluster.node_exec("pkill", "--signal", "KILL", "--exact", "valkey-server")
    delete_valkey_by_force(cluster)


def delete_valkey_and_restart_node(cluster: Cluster) -> None:
    delete_valkey_by_force(cluster)
    wait_for("an answer", lambda: answers(READY), 120)
    time.sleep(3)
    docker("restart", "--time=0", cluster.node)


def oldest_figure(cluster: Cluster) -> float | None:
    """Return the time of the oldest figure that Prometheus has; None where the environment has no monitoring."""
    if not cluster.get("statefulsets", MONITORING)["items"]:
        return None
    cluster.kubectl("rollout", "status", "statefulset/prometheus", MONITORING, "--timeout=120s", timeout=130)
    return Prometheus(cluster).oldest()


@pytest.mark.parametrize(
    "kill",
    [
        delete_valkey_and_restart_node,
        *(pytest.param(kill, marks=pytest.mark.soak) for kill in (kill_valkey, delete_valkey_five_times)),
    ],
    ids=lambda kill: kill.__name__,
)
def test_count_goes_on_where_it_was(cluster: Cluster, kill: Callable[[Cluster], None]) -> None:
    wait_until_idle(cluster)
    oldest = oldest_figure(cluster)
    with Load(PORT, clients=4).running() as load:
        time.sleep(3)
        acknowledged = max(load.values)
        assert acknowledged > 0
        kill(cluster)
        wait_for("an answer", lambda: answers(READY), 240)
        time.sleep(3)
    counts = load.values
    assert len(counts) == len(set(counts)), "a number was given twice"
    assert max(counts) > acknowledged
    # What was not answered may have been counted; nothing else may be left out.
    left_out = max(counts) - min(counts) + 1 - len(counts)
    print(f"{kill.__name__}: {len(counts)} answered, {len(load.failures)} failed, {left_out} left out")
    wait_until_idle(cluster)
    left_out += count(URL) - max(counts) - 1
    assert 0 <= left_out <= len(load.failures)
    assert oldest_figure(cluster) == oldest


def test_host_port_that_docker_has_closed_is_opened_again(cluster: Cluster) -> None:
    before = count(URL)
    # As when it runs out of file descriptors: docker starts it with the node alone.
    run("pkill", "--full", f"docker-proxy .*-host-port {PORT} ")
    wait_for("the port to close", lambda: not accepts(PORT), 10)
    site().ok("Docker does not forward the port any more")
    assert count(URL) == before + 1
