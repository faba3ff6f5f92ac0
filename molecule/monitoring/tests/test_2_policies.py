"""Who may talk to whom: docs/architecture.md's table about the monitoring, each cell tried with a new connection."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.cluster import Cluster
from lib.lines import Lines
from lib.policies import wanted
from lib.prometheus import MONITORING
from lib.service import OUTSIDE, address, python_pod, service_pods

PROCESSES = {
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "kube-state-metrics": "kube-state-metrics",
    "valkey-exporter": "prometheus-redis-exporter",
}


@pytest.fixture(scope="module")
def others(cluster: Cluster) -> Iterator[None]:
    """A pod without labels in Prometheus' namespace, and two in another."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}})
    image = cluster.python_image()
    places = {"neighbour": "monitoring", "stranger": OUTSIDE, "elsewhere": OUTSIDE}
    cluster.apply(*(python_pod(who, space, {}, image) for who, space in places.items()))
    for who, space in places.items():
        cluster.kubectl("wait", f"pod/{who}", f"--namespace={space}", "--for=condition=Ready", "--timeout=60s")
    yield
    cluster.kubectl("delete", "pod", "neighbour", MONITORING, "--now")
    cluster.kubectl("delete", "namespace", OUTSIDE, "--wait=false")


def targets(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Return the address and the port of each column."""

    def of(selector: str, namespace: str) -> str:
        label = f"--selector=app.kubernetes.io/name={selector}"
        (pod,) = cluster.get("pods", f"--namespace={namespace}", label)["items"]
        return address(pod)

    service = address(service_pods(cluster)[0])
    host, log_host = cluster.address, Lines(cluster).address
    return {
        "service 8080": (service, 8080),
        "proxy's metrics 8404": (service, 8404),
        "proxy 9000": (service, 9000),
        "Valkey 6379": (of("valkey", "counter"), 6379),
        "exporter 9121": (of("valkey-exporter", "monitoring"), 9121),
        "kube-state-metrics 8080": (of("kube-state-metrics", "monitoring"), 8080),
        "Alertmanager 9093": (of("alertmanager", "monitoring"), 9093),
        "Prometheus 9090": (of("prometheus", "monitoring"), 9090),
        "collector 8888": (of("collector", "logging"), 8888),
        "kubelet 10250": (host, 10250),
        "API server 6443": (host, 6443),
        "log host 443": (log_host, 443),
        "log host 22": (log_host, 22),
        "elsewhere": (address(cluster.get("pod", "elsewhere", f"--namespace={OUTSIDE}")), 8000),
    }


def test_every_cell_of_the_table(cluster: Cluster, others: None) -> None:
    table, where = wanted("The way of a metric"), targets(cluster)
    assert set(table) == {*PROCESSES, "neighbour", "stranger"}
    assert all(set(row) == set(where) for row in table.values())

    def process(who: str) -> str:
        if who in PROCESSES:
            return cluster.node_exec("pgrep", "--full", f"^(/usr/bin/)?{PROCESSES[who]}( |$)").split()[0]
        space = "monitoring" if who == "neighbour" else OUTSIDE
        uid = cluster.get("pod", who, f"--namespace={space}")["metadata"]["uid"]
        found = cluster.node_exec("sh", "-c", f"grep -l {uid.replace('-', '.')} /proc/[0-9]*/cgroup | head -1")
        return found.split("/")[2]

    cells = [(who, to) for who in table for to in where]
    processes = {who: process(who) for who in table}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda cell: cluster.opens(processes[cell[0]], where[cell[1]]), cells)
    wrong = [
        f"{who} -> {to} is {'open' if is_open else 'closed'}"
        for (who, to), is_open in zip(cells, found, strict=True)
        if is_open != table[who][to]
    ]
    assert not wrong, "; ".join(wrong)
