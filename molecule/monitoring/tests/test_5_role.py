"""Figures outlive pods; taking the monitoring away takes nothing else."""

import json

import pytest
from lib.causes import VOLUMES
from lib.cluster import Cluster
from lib.environment import site
from lib.prometheus import MONITORING, Prometheus
from lib.types import Json

pytestmark = pytest.mark.soak


def objects(cluster: Cluster) -> dict[str, Json]:
    """Return what others than the monitoring have in the cluster, by kind, namespace and name."""
    kinds = (
        "deployments,statefulsets,daemonsets,services,configmaps,secrets,networkpolicies,serviceaccounts,"
        "roles,rolebindings,clusterroles,clusterrolebindings,persistentvolumes,storageclasses,namespaces"
    )
    found = json.loads(cluster.kubectl("get", kinds, "--all-namespaces", "--output=json"))["items"]
    return {
        f"{item['kind']} {item['metadata'].get('namespace', '')} {item['metadata']['name']}": item["metadata"]["uid"]
        for item in found
    }


def of_the_monitoring(name: str) -> bool:
    return " monitoring" in name


def test_another_setting_makes_another_pod_that_has_the_figures(cluster: Cluster, prometheus: Prometheus) -> None:
    before = prometheus.oldest()
    pod = cluster.get("pod", "prometheus-0", MONITORING)["metadata"]["uid"]
    site("-e", "monitoring_retention=14d", tag="monitoring").ok()
    assert cluster.get("pod", "prometheus-0", MONITORING)["metadata"]["uid"] != pod
    assert prometheus.oldest() == before
    cluster.kubectl("delete", "pod", "prometheus-0", MONITORING, "--grace-period=0", "--force")
    cluster.kubectl("rollout", "status", "statefulset/prometheus", MONITORING, "--timeout=120s", timeout=130)
    assert prometheus.oldest() == before


def test_without_monitoring_all_of_it_goes_and_nothing_else(cluster: Cluster, prometheus: Prometheus) -> None:
    before = objects(cluster)
    assert {name.split()[0] for name in before if of_the_monitoring(name)} >= {"Namespace", "ClusterRole"}
    for arguments, changed, there in ((["--check"], 1, True), ([], 1, False), ([], 0, False)):
        site("-e", "platform_monitoring=false", *arguments, tag="monitoring").ok(changed=changed)
        assert any(of_the_monitoring(name) for name in objects(cluster)) is there
    assert objects(cluster) == {name: uid for name, uid in before.items() if not of_the_monitoring(name)}
    # What it had gathered is there for when it is wanted again.
    assert (VOLUMES / "prometheus/wal").is_dir()
