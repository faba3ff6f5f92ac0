#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Make, start or remove a kind cluster, and never one that somebody else made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kind_cluster
short_description: A kind cluster, present or absent
description:
  - Every node mounts the cluster's own state folder, so that the running containers show whose cluster it is, what it
    was made from, and whether its creation ended. A cluster of that name without this ownership record is left alone
    and refused.
  - A cluster whose creation was interrupted is removed and made again; stopped nodes are started.
options:
  name:
    description: Name of the cluster.
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
    description: kind's configuration (API V(kind.x-k8s.io/v1alpha4)), without name, node image and ownership record.
    type: dict
    default: {}
  state_dir:
    description: Folder that holds the cluster's ownership record; one for each cluster.
    type: path
    required: true
  kubeconfig:
    description: Where to write the cluster's own kubeconfig; the user's is never touched.
    type: path
    required: true
  owner:
    description: Number of the user to whom alone the kubeconfig and its folder shall belong.
    type: int
  wait_seconds:
    description: How long the cluster may take to become ready.
    type: int
    default: 300
  kind:
    description: The kind command. Needed with O(state=present).
    type: str
  docker:
    description: The docker client; may be empty in check mode.
    type: str
    required: true
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
    image: "{{ offline_images_node_image }}"
    state_dir: .state/local/cluster
    kubeconfig: .state/local/kubeconfig
    kind: /usr/local/bin/kind
    docker: /usr/bin/docker
    cache: ~/.cache/counter-platform
"""

RETURN = r"""
conflict:
  description:
    - Why a cluster of this name was left as it is. It was not made from here (V(foreign)), or it was made with other
      settings or another node image (V(settings)).
  returned: when the task fails for that reason
  type: str
nodes:
  description: Names of the node containers.
  returned: always
  type: list
  elements: str
gateway:
  description: IPv4 address by which the machine reaches the nodes; empty while the cluster's network is not there.
  returned: always
  type: str
action:
  description: What was, or in check mode would be, done.
  returned: always
  type: str
"""

import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import Progress, digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

RECORD_MOUNT = "/etc/counter-platform"
"""Where a node mounts the state folder; the mount is what says that the cluster is ours."""
LABEL = "io.x-k8s.kind.cluster"


class ConflictError(CommandError):
    """A cluster of this name must be left as it is; ``conflict`` is what RETURN says of it."""

    def __init__(self, conflict: str, message: str) -> None:
        super().__init__(message)
        self.conflict = conflict


@dataclass(frozen=True)
class Node:
    """A node container as docker sees it."""

    name: str
    identity: str
    running: bool
    owner: str
    """The folder on the machine that is mounted at :data:`RECORD_MOUNT`; empty where none is."""


class Cluster:
    """One kind cluster, its node containers and its ownership record."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.name: str = params["name"]
        self.image: str | None = params["image"]
        self.state_dir = Path(params["state_dir"]).resolve()
        self.kubeconfig = Path(params["kubeconfig"])
        self._config: dict[str, Any] = params["config"]
        self._wait_seconds: int = params["wait_seconds"]
        self._kind: str | None = params["kind"]
        self._docker: str = params["docker"]
        self._progress = Progress(Path(params["cache"]), f"cluster {self.name}")
        # kind calls the docker it finds in PATH; it has to be the one that was chosen.
        folders = [str(Path(self._docker).parent), os.environ.get("PATH", "")]
        self._environment = {
            "PATH": os.pathsep.join(folders),
            "KIND_EXPERIMENTAL_PROVIDER": "docker",
            # A network of its own keeps environments apart, and can be removed with the cluster.
            "KIND_EXPERIMENTAL_DOCKER_NETWORK": self.name,
        }
        self._made = self.state_dir / "made.json"

    def nodes(self) -> list[Node]:
        """Return the cluster's node containers, running or not."""
        if not self._docker:
            return []
        identities = run([self._docker, "ps", "--all", "--quiet", "--filter", f"label={LABEL}={self.name}"]).split()
        if not identities:
            return []
        found = []
        for entry in json.loads(run([self._docker, "container", "inspect", *identities])):
            owners = [mount["Source"] for mount in entry["Mounts"] if mount["Destination"] == RECORD_MOUNT]
            found.append(
                Node(entry["Name"].lstrip("/"), entry["Id"], entry["State"]["Running"], owners[0] if owners else "")
            )
        return found

    def network_exists(self) -> bool:
        """Return whether the cluster's own network is there."""
        if not self._docker:
            return False
        return self.name in run([self._docker, "network", "ls", "--format", "{{.Name}}"]).split()

    def gateway(self) -> str:
        """Return the machine's IPv4 address on the cluster's network; an empty text where there is no such network."""
        if not self._docker:
            return ""
        try:
            (network,) = json.loads(run([self._docker, "network", "inspect", self.name]))
        except CommandError:
            return ""
        addresses = [config["Gateway"] for config in network["IPAM"]["Config"] if "Gateway" in config]
        return next((address for address in addresses if ":" not in address), "")

    def make_private(self, owner: int, *, check_mode: bool) -> bool:
        """Give the kubeconfig and its folder to ``owner`` and to nobody else, unless in check mode.

        Return whether they were anybody else's.
        """
        wrong = [
            (path, mode)
            for path, mode in ((self.kubeconfig.parent, 0o700), (self.kubeconfig, 0o600))
            if path.exists() and (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) != (owner, mode)
        ]
        if not check_mode:
            for path, mode in wrong:
                os.chown(path, owner, -1)
                path.chmod(mode)
        return bool(wrong)

    def wanted(self) -> dict[str, Any]:
        """Return kind's whole configuration for this cluster."""
        mount = {"hostPath": str(self.state_dir), "containerPath": RECORD_MOUNT, "readOnly": True}
        nodes = [
            {**node, "image": self.image, "extraMounts": [*node.get("extraMounts", []), mount]}
            for node in self._config.get("nodes") or [{"role": "control-plane"}]
        ]
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            **self._config,
            "name": self.name,
            "nodes": nodes,
        }

    def made(self) -> dict[str, Any]:
        """Return the record of the last creation that ended: ``config`` and ``nodes``; empty without a whole one."""
        try:
            content: dict[str, Any] = json.loads(self._made.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content

    def create(self) -> None:
        """Create the cluster and write the record last, so that an interrupted creation has none."""
        for folder in (self.kubeconfig.parent, self.state_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._made.unlink(missing_ok=True)
        configuration = self.state_dir / "kind.json"
        configuration.write_text(json.dumps(self.wanted(), indent=2))
        command = [
            str(self._kind),
            "create",
            "cluster",
            f"--name={self.name}",
            f"--config={configuration}",
            f"--kubeconfig={self.kubeconfig}",
            f"--wait={self._wait_seconds}s",
        ]
        follow(command, self._report, env=self._environment)
        self.wait_for_nodes()
        # Later there are pods of others, whose faults must not keep a run from mending them. Now there are the
        # cluster's own, and whatever starts before its proxy and its DNS fails at first and is backed off.
        self._wait("the cluster's own pods", "rollout", "status", "--namespace=kube-system", "daemonset,deployment")
        self.kubeconfig.chmod(0o600)
        nodes = sorted(node.identity for node in self.nodes())
        self._made.write_text(json.dumps({"config": digest_of(self.wanted()), "nodes": nodes}))

    def start(self) -> None:
        """Start stopped nodes and wait until the API answers and the nodes are ready."""
        run([self._docker, "start", *(node.name for node in self.nodes() if not node.running)])
        self.wait_for_nodes()

    def remove_nodes(self) -> None:
        """Remove the nodes, the kubeconfig and the ownership record; the network stays, and whoever else is on it."""
        if not self._docker:
            raise CommandError(f"no docker daemon answers, so cluster {self.name} was left as it is; start it first")
        if nodes := [node.name for node in self.nodes()]:
            run([self._docker, "rm", "--force", "--volumes", *nodes])
        for path in (self._made, self.state_dir / "kind.json", self.kubeconfig):
            path.unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove the cluster and its network.

        This is all that ``kind delete cluster`` does, and the network besides; it works without kind.
        """
        self.remove_nodes()
        if self.network_exists():
            run([self._docker, "network", "rm", self.name])

    def _report(self, line: str) -> None:
        if text := line.strip():
            self._progress(text)

    def wait_for_nodes(self) -> None:
        """Wait until the API answers and the nodes are ready."""
        self._wait("the nodes", "wait", "--for=condition=Ready", "node", "--all")

    def _wait(self, what: str, *command: str) -> None:
        """Wait with a command of kubectl; kind's own ``--wait`` ends without an error when its time is over."""
        control_plane = next(node.name for node in self.nodes() if node.name.endswith("control-plane"))
        kubectl = [self._docker, "exec", control_plane, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"]
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                run([*kubectl, *command, "--timeout=10s"])
            except CommandError as error:
                if time.monotonic() > deadline:
                    raise CommandError(f"{what} were not ready within {self._wait_seconds} s: {error}") from error
                self._progress(f"waiting for {what}")
                time.sleep(1)
            else:
                return


def decide(cluster: Cluster, state: str) -> str:
    """Return what to do: ``none``, ``create``, ``recreate``, ``start`` or ``delete``.

    Raises :class:`ConflictError` for a cluster that is not ours, and for one made with other settings.
    """
    nodes = cluster.nodes()
    foreign = [node.name for node in nodes if node.owner != str(cluster.state_dir)]
    if foreign:
        raise ConflictError(
            "foreign",
            f"there is a kind cluster {cluster.name} that was not made from here ({', '.join(foreign)}). It was left "
            f"as it is",
        )
    made = cluster.made()
    if state == "absent":
        return "delete" if nodes or made or cluster.kubeconfig.exists() or cluster.network_exists() else "none"
    if not nodes:
        return "create"
    if made.get("nodes") != sorted(node.identity for node in nodes):
        return "recreate"
    if made["config"] != digest_of(cluster.wanted()):
        raise ConflictError(
            "settings",
            f"cluster {cluster.name} was made with other settings or another node image, and a kind cluster cannot be "
            f"changed in place",
        )
    return "none" if all(node.running for node in nodes) else "start"


AS_ROOT = True

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "image": {"type": "str"},
    "config": {"type": "dict", "default": {}},
    "state_dir": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "owner": {"type": "int"},
    "wait_seconds": {"type": "int", "default": 300},
    "kind": {"type": "str"},
    "docker": {"type": "str", "required": True},
    "cache": {"type": "path", "required": True},
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Make the cluster what ``params`` ask for, and return what RETURN says of it.

    When a cluster of this name must be left as it is: ``failed``, ``msg`` and ``conflict``. Raises
    :class:`CommandError` or :class:`OSError` when the cluster cannot be what is asked for.
    """
    cluster = Cluster(params)
    owner: int | None = params["owner"]
    state: str = params["state"]
    try:
        action = decide(cluster, state)
    except ConflictError as error:
        return {"failed": True, "msg": str(error), "conflict": error.conflict}
    if not check_mode:
        if action == "delete":
            cluster.delete()
        if action == "recreate":
            cluster.remove_nodes()
        if action in {"create", "recreate"}:
            cluster.create()
        if action == "start":
            cluster.start()
    if action == "none" and state == "present":
        # The daemon starts nodes itself when it is started.
        cluster.wait_for_nodes()
    given = owner is not None and cluster.make_private(owner, check_mode=check_mode)
    before = {"none": "as wanted", "create": "absent", "recreate": "half made", "start": "stopped", "delete": "present"}
    return {
        "changed": action != "none" or given,
        "nodes": [node.name for node in cluster.nodes()],
        "gateway": cluster.gateway(),
        "action": action,
        "diff": {
            "before": f"{cluster.name}: {before[action]}\n",
            "after": f"{cluster.name}: {'as wanted' if action == 'none' else state}\n",
        },
    }


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS, required_if=[("state", "present", ["image", "kind"])])


if __name__ == "__main__":
    main()
