"""The role run again: another setting keeps the figures, and taking the monitoring away takes nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.cluster import Cluster
from lib.command import run
from lib.docker import docker
from lib.network import answers
from lib.prometheus import MONITORING, Prometheus
from lib.service import READY, playbook
from lib.types import Json
from lib.wait import wait_for

VOLUMES = Path("/var/lib/counter-platform/molecule/volumes")


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
    """Return whether an object's name says that it is the monitoring's."""
    return " monitoring" in name


def wait_until_ready(cluster: Cluster) -> None:
    """Wait until a node that was started again has its pods."""
    wait_for("the service", lambda: answers(READY), 240)
    cluster.kubectl("rollout", "status", "statefulset/prometheus", MONITORING, "--timeout=120s", timeout=130)


@pytest.fixture
def small_disk(cluster: Cluster, prometheus: Prometheus) -> Iterator[Path]:
    """The volume of Alertmanager on a disk of its own, of 64 MB."""
    place, disk = VOLUMES / "alertmanager", VOLUMES / "disk"
    run("truncate", "--size=64M", str(disk))
    run("mkfs.ext4", "-q", str(disk))
    run("mount", "--options=loop", str(disk), str(place))
    place.chmod(0o777)
    docker("restart", "--time=0", cluster.node)
    wait_until_ready(cluster)
    yield place
    cluster.kubectl("scale", "statefulset/alertmanager", MONITORING, "--replicas=0")
    docker("stop", "--time=0", cluster.node)
    run("umount", str(place))
    disk.unlink()
    docker("start", cluster.node)
    wait_until_ready(cluster)
    cluster.kubectl("scale", "statefulset/alertmanager", MONITORING, "--replicas=1")


def test_another_setting_makes_another_pod_that_has_the_figures(cluster: Cluster, prometheus: Prometheus) -> None:
    oldest = "min_over_time(timestamp(up{job='prometheus'})[1h:15s])"
    before = prometheus.value(oldest)
    pod = cluster.get("pod", "prometheus-0", MONITORING)["metadata"]["uid"]
    played = playbook("-e", "monitoring_retention=14d", name="monitoring")
    assert played.status == 0, played.output
    assert cluster.get("pod", "prometheus-0", MONITORING)["metadata"]["uid"] != pod
    assert prometheus.value(oldest) == before
    cluster.kubectl("delete", "pod", "prometheus-0", MONITORING, "--grace-period=0", "--force")
    cluster.kubectl("rollout", "status", "statefulset/prometheus", MONITORING, "--timeout=120s", timeout=130)
    assert prometheus.value(oldest) == before


@pytest.mark.soak
def test_volume_that_fills_is_told_before_it_is_full(prometheus: Prometheus, small_disk: Path) -> None:
    wait_for("kubelet's figures", lambda: "kubelet" in prometheus.scraped(), 120)
    filling = small_disk / "filling"
    free = shutil.disk_usage(small_disk)
    with filling.open("wb") as stream:
        stream.write(b"0" * int(free.free - 0.05 * free.total))
    wait_for("the alert", lambda: "VolumeFills" in prometheus.firing(), 240)
    assert shutil.disk_usage(small_disk).free > 0
    filling.unlink()
    wait_for("its end", lambda: "VolumeFills" not in prometheus.firing(), 240)


def test_without_monitoring_all_of_it_goes_and_nothing_else(cluster: Cluster, prometheus: Prometheus) -> None:
    before = objects(cluster)
    assert {name.split()[0] for name in before if of_the_monitoring(name)} >= {"Namespace", "ClusterRole"}
    for arguments, changed, there in ((["--check"], 1, True), ([], 1, False), ([], 0, False)):
        played = playbook("-e", "platform_monitoring=false", *arguments, name="monitoring")
        assert (played.status, played.recap("changed")) == (0, changed), played.output
        assert any(of_the_monitoring(name) for name in objects(cluster)) is there
    assert objects(cluster) == {name: uid for name, uid in before.items() if not of_the_monitoring(name)}
    # What it had gathered is there for when it is wanted again.
    assert (VOLUMES / "prometheus/wal").is_dir()
