"""What the collector may do, on the node and on the network; each tried, beside something that it may."""

from collections.abc import Iterator

import pytest
from lib.cluster import Cluster
from lib.command import status_of
from lib.lines import LABELS, LOGGING, NAMESPACE, Lines
from lib.policies import pods, process, reached
from lib.service import MONITORING, PROMETHEUS, address
from lib.types import Json

# Who asks the collector, where it is, and its labels.
ASKING: dict[str, tuple[str, dict[str, str]]] = {
    "prometheus-0": (MONITORING, PROMETHEUS),
    "impostor": (NAMESPACE, PROMETHEUS),
    "stranger": (NAMESPACE, LABELS),
    "neighbour": ("logging", {}),
}


@pytest.fixture(scope="module")
def asking(cluster: Cluster, lines: Lines) -> Iterator[dict[str, Json]]:
    """The pods of those who ask; where there is no Prometheus, another pod is in its place."""
    monitored = cluster.kubectl("get", "pod", "prometheus-0", f"--namespace={MONITORING}", "--ignore-not-found")
    started = {who: place for who, place in ASKING.items() if not (monitored and who == "prometheus-0")}
    with pods(cluster, started):
        yield {who: cluster.get("pod", who, f"--namespace={space}") for who, (space, _) in ASKING.items()}


def test_process_has_no_capability_and_gets_none(lines: Lines) -> None:
    status = status_of(lines.cluster.node_exec("cat", f"/proc/{lines.process()}/status"))
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_files_of_the_node_are_those_that_it_needs(lines: Lines) -> None:
    mounts = lines.cluster.node_exec("cat", f"/proc/{lines.process()}/mounts").splitlines()
    options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    assert "ro" in options["/"]
    assert "ro" in options["/var/log/pods"]
    assert "rw" in options["/var/lib/collector"]
    pod = lines.cluster.get("pod", lines.collector, LOGGING)["spec"]
    assert {volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume} == {
        "/var/log/pods",
        "/var/lib/collector",
    }


def test_collector_reaches_dns_the_api_server_and_the_log_host_alone(lines: Lines, asking: dict[str, Json]) -> None:
    cluster = lines.cluster
    dns = address(cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"][0])
    (api,) = cluster.get("endpoints", "kubernetes", "--namespace=default")["subsets"]
    at = {who: address(pod) for who, pod in asking.items()}
    wanted = {
        (lines.address, 443): "open",
        (lines.address, 22): "closed",
        (lines.address, 9428): "closed",
        (api["addresses"][0]["ip"], api["ports"][0]["port"]): "open",
        (dns, 53): "open",
        (dns, 8080): "closed",
        (at["impostor"], 8000): "closed",
        (at["prometheus-0"], 8000): "closed",
    }
    # From its own network, as it has neither a shell nor anything else to run.
    assert reached(cluster, str(lines.process()), *wanted) == wanted
    # Somebody without policies sees that what is closed is open.
    stranger = process(cluster, asking["stranger"])
    others = reached(cluster, stranger, (lines.address, 443), (dns, 8080), (at["impostor"], 8000))
    assert set(others.values()) == {"open"}, others


def test_prometheus_alone_reaches_the_metrics(lines: Lines, asking: dict[str, Json]) -> None:
    pod = address(lines.cluster.get("pod", lines.collector, LOGGING))
    metrics, health = (pod, 8888), (pod, 13133)
    for who, found in asking.items():
        there = reached(lines.cluster, process(lines.cluster, found), metrics, health)
        assert there == {metrics: "open" if who == "prometheus-0" else "closed", health: "closed"}, who
    # Kubelet's probes come from the node itself.
    assert reached(lines.cluster, "1", health) == {health: "open"}
