"""Where the log host is found, and the role removes what it has made."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from lib.cluster import Cluster
from lib.command import Run, execute
from lib.docker import docker
from lib.environment import PORT
from lib.lines import Lines
from lib.paths import ROOT


def removal(folder: Path, *arguments: str) -> Run:
    """Run the role with nothing wanted of it."""
    roles = ["container_engine", "offline_images", "kind_cluster", {"role": "logging", "logging_state": "absent"}]
    playbook = folder / "removal.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "become": True, "roles": roles}]))
    given = ["-e", "platform_environment=molecule", "-e", f"platform_root={ROOT}", "-e", f"platform_http_port={PORT}"]
    return execute("ansible-playbook", "-i", "inventories/local", str(playbook), *given, *arguments)


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


def test_absent_removes_the_namespace_and_the_rights(cluster: Cluster, lines: Lines, tmp_path: Path) -> None:
    made = {"logging", "logging-collector"}
    lines.ready()
    assert there(cluster) == made
    checked = removal(tmp_path, "--check")
    assert (checked.status, checked.recap("changed")) == (0, 1), checked.output
    assert there(cluster) == made
    removed = removal(tmp_path)
    assert (removed.status, removed.recap("changed")) == (0, 1), removed.output
    assert there(cluster) == set()
    again = removal(tmp_path)
    assert (again.status, again.recap("changed")) == (0, 0), again.output
