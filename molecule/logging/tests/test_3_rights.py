"""What the collector may do, on the node, in the API and on the network; each tried, beside something that it may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.cluster import Cluster
from lib.lines import LABELS, LOGGING, NAMESPACE, Lines
from lib.service import MONITORING, PROMETHEUS, TRY, address, python_pod

# Who may ask the collector: namespace, labels, and at which of its ports somebody answers.
ASKING = {
    "prometheus": (MONITORING, PROMETHEUS, [True, False]),
    "impostor": (NAMESPACE, PROMETHEUS, [False, False]),
    "stranger": (NAMESPACE, LABELS, [False, False]),
    "neighbour": ("logging", {}, [False, False]),
}


@pytest.fixture(scope="module")
def pods(cluster: Cluster, lines: Lines) -> Iterator[None]:
    """Somebody of each kind, who listens on 8000 too."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MONITORING}})
    image = cluster.python_image()
    cluster.apply(*(python_pod(who, space, labels, image) for who, (space, labels, _) in ASKING.items()))
    try:
        for who, (space, _, _) in ASKING.items():
            cluster.kubectl("wait", f"pod/{who}", f"--namespace={space}", "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        for who, (space, _, _) in ASKING.items():
            cluster.kubectl("delete", "pod", who, f"--namespace={space}", "--wait=false")
        cluster.kubectl("delete", "namespace", MONITORING, "--wait=false")


def test_process_has_no_capability_and_gets_none(lines: Lines) -> None:
    text = lines.cluster.node_exec("cat", f"/proc/{lines.process()}/status")
    status = {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind][0], 16) == 0, kind
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]


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


@pytest.mark.parametrize(
    ("verb", "what", "answer"),
    [
        ("list", "pods", "yes"),
        ("watch", "pods", "yes"),
        ("delete", "pods", "no"),
        ("get", "pods --subresource=log", "no"),
        ("create", "pods --subresource=exec", "no"),
        ("get", "secrets", "no"),
        ("get", "configmaps", "no"),
        ("list", "nodes", "no"),
    ],
)
def test_api_gives_it_pods_and_nothing_else(cluster: Cluster, verb: str, what: str, answer: str) -> None:
    who = "--as=system:serviceaccount:logging:collector"
    assert (
        cluster.kubectl("auth", "can-i", verb, *what.split(), who, "--all-namespaces", check=False).split()[-1]
        == answer
    )


def test_collector_reaches_dns_the_api_server_and_the_log_host_alone(lines: Lines, pods: None) -> None:
    cluster = lines.cluster
    dns = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"][0]
    (api,) = cluster.get("endpoints", "kubernetes", "--namespace=default")["subsets"]
    stranger = cluster.get("pod", "stranger", f"--namespace={NAMESPACE}")
    prometheus = cluster.get("pod", "prometheus", f"--namespace={MONITORING}")
    wanted = {
        (lines.address, 443): True,
        (lines.address, 22): False,
        (lines.address, 9428): False,
        (api["addresses"][0]["ip"], api["ports"][0]["port"]): True,
        (address(dns), 53): True,
        (address(dns), 8080): False,
        (address(stranger), 8000): False,
        (address(prometheus), 8000): False,
    }
    # From its own network, as it has neither a shell nor anything else to run.
    process = str(lines.process())
    with ThreadPoolExecutor(8) as pool:
        reached = pool.map(lambda target: cluster.opens(process, target), wanted)
        assert dict(zip(wanted, reached, strict=True)) == wanted
    # Somebody without policies sees that what is closed is open.
    program = TRY.format(targets=[(lines.address, 443), (address(dns), 8080), (address(prometheus), 8000)])
    others = cluster.kubectl("exec", "stranger", f"--namespace={NAMESPACE}", "--", "python3", "-c", program)
    assert json.loads(others) == [True, True, True]


def test_prometheus_alone_reaches_the_metrics(lines: Lines, pods: None) -> None:
    pod = address(lines.cluster.get("pod", lines.collector, LOGGING))
    program = TRY.format(targets=[(pod, 8888), (pod, 13133)])

    def reached(who: str) -> list[bool]:
        inside = ["exec", who, f"--namespace={ASKING[who][0]}", "--", "python3", "-c", program]
        return list(json.loads(lines.cluster.kubectl(*inside)))

    with ThreadPoolExecutor(4) as pool:
        observed = dict(zip(ASKING, pool.map(reached, ASKING), strict=True))
    assert observed == {who: wanted for who, (_, _, wanted) in ASKING.items()}
    read = f"import urllib.request as r; print(r.urlopen('http://{pod}:8888/metrics', timeout=5).read().decode())"
    text = lines.cluster.kubectl("exec", "prometheus", f"--namespace={MONITORING}", "--", "python3", "-c", read)
    assert "otelcol_exporter_sent_log_records_total{" in text
