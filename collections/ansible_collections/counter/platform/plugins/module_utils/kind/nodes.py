# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""The node containers of kind clusters, as docker sees them, and whose they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.kind.record import Record

RECORD = "/etc/counter-platform"
"""Where a node mounts the folder of the record; the mount says which record the node belongs to."""
KIND_LABEL = "io.x-k8s.kind.cluster"


class ConflictError(CommandError):
    """A cluster must be left as it is; ``conflict`` is what the modules' RETURN says of it."""

    def __init__(self, conflict: str, message: str) -> None:
        super().__init__(message)
        self.conflict = conflict


@dataclass(frozen=True)
class Node:
    """A node container."""

    name: str
    identity: str
    running: bool
    cluster: str
    """kind's name of the cluster that it is a node of."""
    record: str
    """The folder on the machine that is mounted at :data:`RECORD`; empty where none is."""
    address: str
    """IPv4 address on the cluster's network; empty where it has none, as while it is stopped."""
    gateway: str
    """The machine's IPv4 address on that network; empty as well while the node is stopped."""
    started: str
    """When it was started last, in UTC, as the API writes times: ``2026-11-30T19:52:12Z``."""


def find_nodes(docker: str, record_dir: Path, name: str = "") -> list[Node]:
    """Return the node containers, running or not, that belong to a record or have a cluster's name.

    Args:
        docker: the client; without one there are no nodes.
        record_dir: folder of the record.
        name: kind's name of the cluster; empty for the nodes of the record alone.
    """
    found = []
    for entry in _nodes_of_all_clusters(docker):
        records = [mount["Source"] for mount in entry["Mounts"] if mount["Destination"] == RECORD]
        network = entry["NetworkSettings"]["Networks"].get(entry["HostConfig"]["NetworkMode"], {})
        node = Node(
            name=entry["Name"].lstrip("/"),
            identity=entry["Id"],
            running=entry["State"]["Running"],
            cluster=entry["Config"]["Labels"][KIND_LABEL],
            record=records[0] if records else "",
            address=network.get("IPAddress", ""),
            gateway=network.get("Gateway", ""),
            started=f"{entry['State']['StartedAt'][:19]}Z",
        )
        if node.cluster == name or node.record == str(record_dir):
            found.append(node)
    return found


def _nodes_of_all_clusters(docker: str) -> list[dict[str, Any]]:
    """Return every container of kind's as docker describes it; those of other clusters may go in the meantime."""
    if not docker:
        return []
    listing = [docker, "ps", "--all", "--quiet", "--filter", f"label={KIND_LABEL}"]
    identities = run(listing).split()
    while identities:
        try:
            described: list[dict[str, Any]] = json.loads(run([docker, "container", "inspect", *identities]))
        except CommandError:
            left = run(listing).split()
            if set(identities) <= set(left):
                raise
            identities = left
        else:
            return described
    return []


def made_nodes(nodes: list[Node], record: Record) -> list[Node]:
    """Return those of ``nodes`` that the record names: the cluster's, made to the end."""
    return [node for node in nodes if node.identity in record.made.get("nodes", [])]


def control_plane(nodes: list[Node]) -> Node:
    """Return the node with the control plane."""
    return next(node for node in nodes if node.name.endswith("control-plane"))


def has_moved(nodes: list[Node], record: Record) -> bool:
    """Return whether docker has given the control plane another address than its certificates are for."""
    address = control_plane(nodes).address
    return bool(address) and address != record.made.get("address", address)


def check_ownership(nodes: list[Node], record: Record, data_dir: Path, state_dir: str) -> None:
    """Raise :class:`ConflictError` where a cluster is not the environment's.

    Args:
        nodes: those of the cluster's name or record.
        record: what is in the cluster's data folder.
        data_dir: that folder.
        state_dir: state folder of the environment that asks.
    """
    if foreign := [node for node in nodes if node.record != str(data_dir / "record")]:
        raise ConflictError(
            "foreign",
            f"kind cluster {foreign[0].cluster} exists and was not made from here ({names_of(foreign)}); it was not "
            "modified",
        )
    if record.owner not in ("", state_dir):
        raise ConflictError(
            "other_environment", f"the cluster and its data in {data_dir} belong to {record.owner}; it was not modified"
        )
    if nodes and not record.owner:
        raise ConflictError(
            "record_gone",
            f"the record of the cluster is missing from {data_dir}, so what its nodes ({names_of(nodes)}) were made "
            "from is unknown; they were not modified",
        )


def names_of(nodes: list[Node]) -> str:
    """Return the names of nodes for a message."""
    return ", ".join(node.name for node in nodes)
