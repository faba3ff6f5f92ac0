"""A cluster that is ours, patched no more than this machine needs, and private."""

import json
import socket

import pytest
import yaml
from lib.cluster import Cluster
from lib.docker import docker
from lib.paths import ROOT


def test_node_is_ready_with_the_version_of_the_table(cluster: Cluster) -> None:
    (node,) = cluster.get("nodes")["items"]
    conditions = {entry["type"]: entry["status"] for entry in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    table = yaml.safe_load((ROOT / "roles/platform/defaults/main/artifacts.yml").read_text())
    assert node["status"]["nodeInfo"]["kubeletVersion"] == table["kubernetes_version"]


def test_nobody_else_may_join(cluster: Cluster) -> None:
    tokens = "--field-selector=type=bootstrap.kubernetes.io/token"
    assert cluster.get("secrets", "--namespace=kube-system", tokens)["items"] == []


def test_pod_has_a_limit_of_processes(cluster: Cluster) -> None:
    of_pods = "find /sys/fs/cgroup -path '*-pod*.slice/pids.max' -exec cat {} +"
    assert set(cluster.node_exec("sh", "-c", of_pods).split()) == {"1024"}


def test_policy_agent_listens_on_no_address_of_the_network(cluster: Cluster) -> None:
    networks = json.loads(docker("inspect", "--format={{json .NetworkSettings.Networks}}", cluster.node))
    address = networks[cluster.name]["IPAddress"]
    cluster.node_exec("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9080")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 9080), 5)


def test_machine_has_inotify_instances_for_several_clusters(cluster: Cluster) -> None:
    assert int(cluster.node_exec("cat", "/proc/sys/fs/inotify/max_user_instances")) >= 1024


def test_packets_are_as_large_as_the_daemon_has_them(cluster: Cluster) -> None:
    (bridge,) = json.loads(docker("network", "inspect", "bridge"))
    interfaces = "cat /sys/class/net/eth0/mtu /sys/class/net/veth*/mtu"
    assert set(cluster.node_exec("sh", "-c", interfaces).split()) == {
        bridge["Options"]["com.docker.network.driver.mtu"]
    }


def test_kubelet_is_patched_only_where_the_machine_needs_it(cluster: Cluster) -> None:
    kubelet = yaml.safe_load(cluster.node_exec("cat", "/var/lib/kubelet/config.yaml"))
    cgroup = docker("info", "--format", "{{.CgroupVersion}}")
    # kubeadm leaves a value out where it is the default, which for failCgroupV1 is true.
    assert kubelet.get("failCgroupV1", True) is (cgroup == "2")
    assert kubelet["cgroupRoot"] == "/kubelet"


def test_no_unit_of_the_node_failed(cluster: Cluster) -> None:
    assert cluster.node_exec("systemctl", "--failed", "--no-legend", "--plain") == ""
