"""The service answers through the host port, runs with no rights it does not need, and is fenced."""

from collections.abc import Iterator

import pytest
from platform_cluster import Cluster, count, fetch, wait_for

NAMESPACE = "--namespace=counter"
URL = "http://127.0.0.1:8088"
OUTSIDE = "counter-try"
CLIENT = {"counter-platform/client": "true"}


@pytest.fixture(scope="module")
def outside(cluster: Cluster) -> Iterator[str]:
    """A namespace without policies, for pods that try to reach the service."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}})
    yield OUTSIDE
    cluster.kubectl("delete", "namespace", OUTSIDE, "--wait=false")


def test_counts_are_consecutive(cluster: Cluster) -> None:
    counts = [count(f"{URL}/") for _ in range(20)]
    assert counts == list(range(counts[0], counts[0] + 20))


def test_probes_do_not_count(cluster: Cluster) -> None:
    before = count(f"{URL}/")
    for path in ("/healthz", "/readyz", "/metrics", "/version"):
        assert fetch(f"{URL}{path}")[0] == 200
    assert count(f"{URL}/") == before + 1


def test_namespace_admits_restricted_pods_only(cluster: Cluster) -> None:
    labels = cluster.get("namespace", "counter")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    refused = cluster.kubectl("run", "root", NAMESPACE, "--image=none", "--dry-run=server", check=False)
    assert "created" not in refused


def test_container_has_no_rights_that_it_does_not_need(cluster: Cluster) -> None:
    pod = cluster.get("pods", NAMESPACE)["items"][0]
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["securityContext"]["runAsUser"] == 65532
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    status = cluster.kubectl("exec", "deployment/counter", NAMESPACE, "--", "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


def test_ports_agree_from_the_service_to_the_container(cluster: Cluster) -> None:
    service = cluster.get("service", "counter", NAMESPACE)["spec"]
    assert [(port["port"], port["nodePort"]) for port in service["ports"]] == [(8080, 30080)]
    endpoints = cluster.get("endpointslices", NAMESPACE)["items"]
    assert [port["port"] for entry in endpoints for port in entry["ports"]] == [8080]
    assert sum(len(entry["endpoints"]) for entry in endpoints) >= 1


def test_autoscaler_goes_by_a_percentage(cluster: Cluster) -> None:
    (metric,) = cluster.get("hpa", "counter", NAMESPACE)["spec"]["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}

    def percentage() -> bool:
        current = cluster.get("hpa", "counter", NAMESPACE)["status"].get("currentMetrics") or [{}]
        return "averageUtilization" in current[0].get("resource", {}).get("current", {})

    wait_for("the autoscaler to have a percentage", percentage, 120)


def test_number_of_pods_is_the_autoscalers_alone(cluster: Cluster) -> None:
    deployment = cluster.get("deployment", "counter", NAMESPACE, "--show-managed-fields")
    (ours,) = [entry for entry in deployment["metadata"]["managedFields"] if entry["manager"] == "counter-platform"]
    assert "f:replicas" not in ours["fieldsV1"]["f:spec"]


def test_pod_with_the_clients_label_reaches_the_service(cluster: Cluster, outside: str) -> None:
    assert cluster.try_from_pod(outside, CLIENT, "counter.counter", 8080)


def test_pod_without_the_label_does_not(cluster: Cluster, outside: str) -> None:
    assert not cluster.try_from_pod(outside, {}, "counter.counter", 8080)


def test_without_the_agent_the_same_pod_gets_through(cluster: Cluster, outside: str) -> None:
    def reaches() -> bool:
        return cluster.try_from_pod(outside, {}, "counter.counter", 8080)

    with cluster.without_policy_agent():
        wait_for("a pod without the label to get through", reaches, 60)
    wait_for("the policy to act again", lambda: not reaches(), 60)


def test_service_itself_reaches_no_other_pod(cluster: Cluster) -> None:
    dns = cluster.get("service", "kube-dns", "--namespace=kube-system")["spec"]["clusterIP"]
    attempt = f"socket.create_connection(({dns!r}, 53), timeout=3)"
    program = f"import socket\ntry:\n    {attempt}\nexcept TimeoutError:\n    print('denied')"
    answer = cluster.kubectl("exec", "deployment/counter", NAMESPACE, "--", "python3", "-c", program)
    assert answer.strip() == "denied"
