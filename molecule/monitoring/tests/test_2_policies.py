"""Who may talk to whom: docs/architecture.md's table about the monitoring, each cell tried with a new connection."""

from lib.cluster import Cluster
from lib.lines import Lines
from lib.policies import Table, observed, pods, wanted, wrong
from lib.service import MONITORING, OUTSIDE, address, service_pods
from lib.types import Json
from lib.wait import wait_for, wait_until_none

ELSEWHERE = f"{OUTSIDE}-metrics"
OTHERS: dict[str, tuple[str, dict[str, str]]] = {
    "neighbour": (MONITORING, {}),
    "stranger": (ELSEWHERE, {}),
    "elsewhere": (ELSEWHERE, {}),
}
TABLE = wanted("Metrics path")


def workloads(cluster: Cluster) -> dict[tuple[str, str], Json]:
    """Return a pod of each workload, by namespace and name, once another job has not just taken the collector away."""
    there = {}
    for pod in cluster.get("pods", "--all-namespaces", "--field-selector=status.phase=Running")["items"]:
        about = pod["metadata"]
        # Workloads go by their label, and pods of tests, which may have the same label, by their name.
        workload = (
            about.get("labels", {}).get("app.kubernetes.io/name") if "ownerReferences" in about else about["name"]
        )
        if "deletionTimestamp" not in about:
            there[about["namespace"], workload] = pod
    return there if ("logging", "collector") in there else {}


def table_of(cluster: Cluster) -> Table:
    there = wait_for("the collector", lambda: workloads(cluster), 60)
    asking = {who: there[OTHERS[who][0] if who in OTHERS else MONITORING, who] for who in TABLE}
    service, log_host, node = address(service_pods(cluster)[0]), Lines(cluster).address, cluster.address
    where = {
        "service 8080": (service, 8080),
        "proxy's metrics 8404": (service, 8404),
        "proxy 9000": (service, 9000),
        "Valkey 6379": (address(there["counter", "valkey"]), 6379),
        "exporter 9121": (address(asking["valkey-exporter"]), 9121),
        "blackbox exporter 9115": (address(asking["blackbox-exporter"]), 9115),
        "kube-state-metrics 8080": (address(asking["kube-state-metrics"]), 8080),
        "Alertmanager 9093": (address(asking["alertmanager"]), 9093),
        "Prometheus 9090": (address(asking["prometheus"]), 9090),
        "collector 8888": (address(there["logging", "collector"]), 8888),
        "kubelet 10250": (node, 10250),
        "API server 6443": (node, 6443),
        "log host 443": (log_host, 443),
        "log host 22": (log_host, 22),
        "elsewhere": (address(there[ELSEWHERE, "elsewhere"]), 8000),
    }
    assert all(set(row) == set(where) for row in TABLE.values())
    return observed(cluster, asking, where)


def test_every_cell_of_the_table(cluster: Cluster) -> None:
    exporters = {"kube-state-metrics", "valkey-exporter", "blackbox-exporter"}
    assert set(TABLE) - set(OTHERS) == {"prometheus", "alertmanager", *exporters}
    assert set(OTHERS) - set(TABLE) == {"elsewhere"}
    with pods(cluster, OTHERS):
        # What another job replaces or stops meanwhile is closed to everybody; a policy stays wrong.
        wait_until_none("wrong cells", lambda: wrong(TABLE, table_of(cluster)), 60)
