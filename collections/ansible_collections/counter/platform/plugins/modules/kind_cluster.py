#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Make, start, replace or remove a kind cluster, and never one that somebody else made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kind_cluster
short_description: A kind cluster, present or absent, whose data outlives its nodes
description:
  - Keeps the cluster's ownership record and volumes in one folder, which outlives the node containers. The record says
    whose cluster it is, which nodes it has and what they were made from. Every node mounts it, which shows the record
    that a container belongs to. A cluster of that name without our record is left alone and refused.
  - A creation notes in the record that it began. Only a cluster with that note is taken for half made, and made again.
    Stopped nodes are started. A kubeconfig that is gone is written again.
  - A cluster whose configuration changed is refused or, with O(replace=true), its nodes are replaced. They are stopped,
    and new ones are made that mount the same volumes. If those do not become ready, they are removed and the old ones
    started.
  - Nodes are replaced in the same way, without being asked, where their certificates end within O(renew_days), or
    docker has given them another address than their certificates are for; and with O(replace=true) also where they do
    not become ready after a start.
options:
  name:
    description: Name of the cluster and of its network. Nodes that replace others are named NAME-b, and NAME again.
    type: str
    required: true
  state:
    description: Whether it shall be there.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: The node image. Needed with O(state=present).
    type: str
  config:
    description: kind's configuration (API V(kind.x-k8s.io/v1alpha4)), without name, node image and mounts of its own.
    type: dict
    default: {}
  replace:
    description: Whether nodes whose configuration changed, or that do not become ready, are replaced.
    type: bool
    default: false
  data_dir:
    description: Folder of the record and the volumes, of this cluster alone. Both go with O(state=absent).
    type: path
    required: true
  state_dir:
    description: The environment's state folder. Its path says whose cluster it is.
    type: path
    required: true
  kubeconfig:
    description: Where to write the cluster's own kubeconfig; the user's is never touched.
    type: path
    required: true
  kubeconfig_owner:
    description: Number of the user to whom alone the kubeconfig and its folder shall belong.
    type: int
  wait_seconds:
    description: How long the cluster may take to become ready.
    type: int
    default: 300
  renew_days:
    description: How many days before the end of their certificates nodes are replaced.
    type: int
    default: 1
  kind:
    description: The kind command. Needed with O(state=present).
    type: str
  cache:
    description: The cache folder, for progress.
    type: path
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Create the cluster
  counter.platform.kind_cluster:
    name: counter-local
    image: "{{ built.artifacts.node.image }}"
    data_dir: /var/lib/counter-platform/local
    state_dir: .state/local
    kubeconfig: .state/local/kubeconfig
    kind: /usr/local/bin/kind
    cache: ~/.cache/counter-platform
"""

RETURN = r"""
action:
  description: >-
    What was, or in check mode would be, done: V(none), V(create), V(start), V(adopt) where only the kubeconfig was
    gone, V(replace) where the configuration of the nodes changed, V(repair) where they were replaced for another
    reason, or V(delete).
  returned: always
  type: str
conflict:
  description: >-
    Why a cluster of this name was left as it is: V(foreign), V(other_environment) or V(record_gone) as in
    M(counter.platform.cluster_info), V(settings) when its configuration changed and it is not to be replaced,
    V(not_ready) when its nodes did not become ready.
  returned: when the module fails because of it
  type: str
changes:
  description:
    - "With the action V(replace), where the configuration changed, each as C(path: old -> new); with V(repair), the
      reasons."
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.counter.platform.plugins.module_utils import engine
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.kind.cluster import Cluster
from ansible_collections.counter.platform.plugins.module_utils.kind.nodes import (
    ConflictError,
    check_ownership,
    made_nodes,
)


def decide(cluster: Cluster, state: str, *, replace: bool, renew_days: int) -> tuple[str, list[str]]:
    """Return what to do and why, as RETURN says of ``action`` and ``changes``.

    Raises :class:`ConflictError` for a cluster that is not ours, and for one whose configuration changed and that shall
    not be replaced.
    """
    nodes = cluster.nodes()
    record = cluster.record
    check_ownership(nodes, record, cluster.data_dir, cluster.state_dir)
    if state == "absent":
        found = nodes or record.owner or cluster.kubeconfig.exists() or cluster.owns_network()
        return ("delete" if found else "none"), []
    made = made_nodes(nodes, record)
    if not made or len(made) != len(record.made["nodes"]):
        # Nothing was made to the end, or somebody removed it. The volumes are where they were.
        return "create", []
    if changes := cluster.changes():
        resumed = record.creating.get("config") == cluster.wanted()
        if not replace and not resumed:
            raise ConflictError(
                "settings",
                f"the configuration of cluster {cluster.name} changed, and its nodes have to be replaced "
                f"({'; '.join(changes)})",
            )
        return "replace", changes
    if faults := cluster.faults(made, renew_days):
        return "repair", faults
    if record.creating or len(made) < len(nodes) or not all(node.running for node in made):
        return "start", []
    return ("none" if cluster.kubeconfig.exists() else "adopt"), []


AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "image": {"type": "str"},
    "config": {"type": "dict", "default": {}},
    "replace": {"type": "bool", "default": False},
    "data_dir": {"type": "path", "required": True},
    "state_dir": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "kubeconfig_owner": {"type": "int"},
    "wait_seconds": {"type": "int", "default": 300},
    "renew_days": {"type": "int", "default": 1},
    "kind": {"type": "str"},
    "cache": {"type": "path", "required": True},
}

BEFORE = {
    "none": "as wanted",
    "create": "absent",
    "start": "stopped, or not replaced to the end",
    "replace": "with another configuration",
    "repair": "with nodes that have to be replaced",
    "adopt": "without its kubeconfig",
    "delete": "present",
}


def perform(cluster: Cluster, action: str, *, replace: bool) -> str:
    """Do what was decided, and return the action that it became."""
    if action == "create":
        # Whatever nodes there are, they are not all.
        cluster.record.made = {}
    if action in {"create", "start", "replace", "repair"}:
        cluster.remove_leftovers()
    if action == "delete":
        cluster.delete()
    elif action == "create":
        cluster.create()
    elif action in {"replace", "repair"}:
        cluster.replace()
    # The daemon starts nodes itself when it is started, so those that run are waited for too.
    elif cluster.start(replace=replace):
        return "repair"
    return action


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Make the cluster what ``params`` ask for, and return what RETURN says of it.

    When a cluster of this name must be left as it is: ``failed``, ``msg`` and ``conflict``. Raises
    ``CommandError`` or :class:`OSError` when it cannot be what it shall be.
    """
    cluster = Cluster(params, engine.docker())
    state: str = params["state"]
    replace: bool = params["replace"]
    try:
        action, changes = decide(cluster, state, replace=replace, renew_days=params["renew_days"])
        if state == "present" or action == "delete":
            if not check_mode:
                action = perform(cluster, action, replace=replace)
            elif action in {"none", "adopt"}:
                cluster.wait_for_nodes(cluster.made())
    except ConflictError as error:
        return {"failed": True, "msg": str(error), "conflict": error.conflict}
    user: int | None = params["kubeconfig_owner"]
    given = user is not None and cluster.make_private(user, check_mode=check_mode)
    return {
        "changed": action != "none" or given,
        "action": action,
        "changes": changes,
        "diff": {
            "before": f"{cluster.name}: {BEFORE[action]}\n",
            "after": f"{cluster.name}: {'as wanted' if action == 'none' else state}\n"
            + "".join(f"  {change}\n" for change in changes),
        },
    }


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS, required_if=[("state", "present", ["image", "kind"])])


if __name__ == "__main__":
    main()
