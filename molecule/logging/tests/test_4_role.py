"""Where the log host is found, and the role removes what it has made."""

import ipaddress
import json

import pytest
from lib.cluster import Cluster
from lib.docker import docker
from lib.environment import site
from lib.lines import Lines


def there(cluster: Cluster) -> set[str]:
    """Return what of the role is in the cluster."""
    kinds = "namespaces,clusterroles,clusterrolebindings"
    found = {name for name in cluster.kubectl("get", kinds, "--output=name").split() if "logging" in name}
    return {name.rpartition("/")[2] for name in found}


def test_node_and_log_host_cannot_take_each_others_address(cluster: Cluster, lines: Lines) -> None:
    lines.ready()
    (network,) = json.loads(docker("network", "inspect", cluster.name))
    (config,) = network["IPAM"]["Config"]
    anyones = ipaddress.ip_network(config["IPRange"])
    addresses = {
        found["Name"]: ipaddress.ip_interface(found["IPv4Address"]).ip for found in network["Containers"].values()
    }
    assert {name: address in anyones for name, address in addresses.items()} == {
        cluster.node: True, f"{cluster.name}-logs": False,
    }  # fmt: skip


@pytest.mark.soak
def test_absent_removes_the_namespace_and_the_rights(cluster: Cluster, lines: Lines) -> None:
    lines.ready()
    made = {"logging", "logging-collector"}
    assert there(cluster) == made
    for arguments, changed, stays in ((["--check"], 1, made), ([], 1, set()), ([], 0, set())):
        site("-e", "logging_state=absent", *arguments, tag="logs").ok(changed=changed)
        assert there(cluster) == stays
