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
  - A cluster that was made from something else is refused or, with O(replace=true), replaced. Its nodes are stopped,
    and new ones are made that mount the same volumes. If they do not become ready, they are removed and the old ones
    started.
  - Certificates of the control plane that end within O(renew_days) are renewed, and made anew where docker has given
    the node another address than they are for.
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
    description: Whether a cluster that was made from something else is replaced.
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
  owner:
    description: Number of the user to whom alone the kubeconfig and its folder shall belong.
    type: int
  wait_seconds:
    description: How long the cluster may take to become ready.
    type: int
    default: 300
  renew_days:
    description: How many days before their end certificates are renewed.
    type: int
    default: 60
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
    data_dir: /var/lib/counter-platform/local
    state_dir: .state/local
    kubeconfig: .state/local/kubeconfig
    kind: /usr/local/bin/kind
    docker: /usr/bin/docker
    cache: ~/.cache/counter-platform
"""

RETURN = r"""
nodes:
  description: Names of the node containers; of a creation that did not end where there are no others.
  returned: always
  type: list
  elements: str
addresses:
  description: IPv4 addresses of the nodes that run.
  returned: always
  type: list
  elements: str
gateway:
  description: IPv4 address by which the machine reaches the nodes; empty while the cluster's network is not there.
  returned: always
  type: str
action:
  description: >-
    What was, or in check mode would be, done: V(none), V(create), V(start), V(replace), V(adopt) where only the
    kubeconfig was gone, V(readdress) where the node's address was another, V(renew) or V(delete).
  returned: always
  type: str
conflict:
  description: >-
    Why a cluster of this name was left as it is: V(foreign) when it has not our record, V(other_environment) when its
    record is another environment's, V(record_gone) when its nodes are there and its record is not, V(settings) when it
    was made from something else and is not to be replaced.
  returned: when the module fails because of it
  type: str
changes:
  description:
    - "With the action V(replace), where the configuration of the nodes changes, each as C(path: old -> new)."
  returned: always
  type: list
  elements: str
certificates_end:
  description: When the control plane's certificates end, as in V(2027-11-25); empty without a cluster.
  returned: always
  type: str
"""

import base64
import datetime
import ipaddress
import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import Progress, write_whole
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

RECORD = "/etc/counter-platform"
"""Where a node mounts the folder of the record; the mount says which record the node belongs to."""
VOLUMES = "/var/local/volumes"
"""Where a node mounts the volumes."""
PKI = "/etc/kubernetes/pki"
"""Where a node has the control plane's certificates."""
MTU = "com.docker.network.driver.mtu"
KIND_LABEL = "io.x-k8s.kind.cluster"
OWNER_LABEL = "counter-platform.owner"


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
    cluster: str
    """kind's name of the cluster that it is a node of."""
    record: str
    """The folder on the machine that is mounted at :data:`RECORD`; empty where none is."""
    address: str
    """IPv4 address on the cluster's network; empty where it has none, as while it is stopped."""
    started: str
    """When it was started last, in UTC, as the API writes times: ``2026-11-30T19:52:12Z``."""


class Record:
    """What is known of a cluster, in a file that is there whole or not at all.

    Attributes:
        owner: path of the state folder of the environment that made it; empty without a record.
        current: of the nodes that were made to the end, empty where none were: ``kind`` (kind's name for the cluster),
            ``nodes`` (identities of containers), ``config``, ``certificates_end`` (a date) and, but for those of older
            versions, ``address`` (the control plane's, which its certificates are for).
        creating: ``kind`` and ``config`` of a creation that began and did not end; empty otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "record.json"
        try:
            content = json.loads(self._path.read_text())
        except FileNotFoundError:
            content = {}
        except json.JSONDecodeError as error:
            raise CommandError(f"{self._path} is damaged ({error}); nothing was touched") from error
        self.owner: str = content.get("owner", "")
        self.current: dict[str, Any] = content.get("current", {})
        self.creating: dict[str, Any] = content.get("creating", {})

    def write(self) -> None:
        """Write it; the folder is made where it is not there."""
        # What users count is nobody else's.
        self._path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.parent.mkdir(exist_ok=True)
        content = {"owner": self.owner, "current": self.current, "creating": self.creating}
        write_whole(self._path, json.dumps(content, indent=2))


class Cluster:
    """One kind cluster: its node containers, its record and its network."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.name: str = params["name"]
        self.image: str | None = params["image"]
        self.kubeconfig = Path(params["kubeconfig"])
        self.owner = str(Path(params["state_dir"]).resolve())
        self.data_dir = Path(params["data_dir"]).resolve()
        self.record = Record(self._record_dir)
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

    @property
    def _record_dir(self) -> Path:
        return self.data_dir / "record"

    @property
    def _volumes_dir(self) -> Path:
        return self.data_dir / "volumes"

    @property
    def names(self) -> tuple[str, str]:
        """kind's names of the cluster: nodes that replace others need other names than these have."""
        return self.name, f"{self.name}-b"

    def nodes(self) -> list[Node]:
        """Return the cluster's node containers, running or not, those of an unfinished replacement too."""
        found = []
        for entry in self._nodes_of_all_clusters():
            records = [mount["Source"] for mount in entry["Mounts"] if mount["Destination"] == RECORD]
            cluster = entry["Config"]["Labels"][KIND_LABEL]
            record = records[0] if records else ""
            if cluster == self.name or record == str(self._record_dir):
                name = entry["Name"].lstrip("/")
                network = entry["NetworkSettings"]["Networks"].get(self.name, {})
                address = network.get("IPAddress", "")
                started = f"{entry['State']['StartedAt'][:19]}Z"
                found.append(Node(name, entry["Id"], entry["State"]["Running"], cluster, record, address, started))
        return found

    def _nodes_of_all_clusters(self) -> list[dict[str, Any]]:
        """Return every container of kind's as docker describes it; those of other clusters may go in the meantime."""
        if not self._docker:
            return []
        listing = [self._docker, "ps", "--all", "--quiet", "--filter", f"label={KIND_LABEL}"]
        identities = run(listing).split()
        while identities:
            try:
                described: list[dict[str, Any]] = json.loads(run([self._docker, "container", "inspect", *identities]))
            except CommandError:
                left = run(listing).split()
                if set(identities) <= set(left):
                    raise
                identities = left
            else:
                return described
        return []

    def current(self, nodes: list[Node]) -> list[Node]:
        """Return those of ``nodes`` that the record names."""
        return [node for node in nodes if node.identity in self.record.current.get("nodes", [])]

    def leftovers(self, nodes: list[Node]) -> list[Node]:
        """Return those of ``nodes`` that are not the current ones: of a creation or a replacement that did not end."""
        return [node for node in nodes if node not in self.current(nodes)]

    def foreign(self, nodes: list[Node]) -> list[Node]:
        """Return those of ``nodes`` that have not our record."""
        return [node for node in nodes if node.record != str(self._record_dir)]

    def network(self) -> dict[str, Any]:
        """Return the network of the cluster's name as docker describes it; nothing where there is none."""
        return self._network(self.name)

    def _network(self, name: str) -> dict[str, Any]:
        if not self._docker:
            return {}
        try:
            (found,) = json.loads(run([self._docker, "network", "inspect", name]))
        except CommandError:
            return {}
        return dict(found)

    def owns_network(self) -> bool:
        """Return whether there is a network that this environment made for the cluster."""
        return (self.network().get("Labels") or {}).get(OWNER_LABEL) == self.owner

    def gateway(self) -> str:
        """Return the machine's IPv4 address on the cluster's network; an empty text where there is no such network."""
        configs = self.network().get("IPAM", {}).get("Config") or []
        addresses = [config["Gateway"] for config in configs if "Gateway" in config]
        return next((address for address in addresses if ":" not in address), "")

    def make_network(self) -> None:
        """Make the network; its lower half is for who asks for an address, its upper half for who takes any.

        A node cannot ask for one. With the upper half to itself it has the same one at every start, in whatever order
        docker starts what is on the network.
        """
        # The daemon's own setting is for its first network alone.
        mtu = self._network("bridge").get("Options", {}).get(MTU)
        create = [
            self._docker, "network", "create", f"--label={OWNER_LABEL}={self.owner}",
            "--opt=com.docker.network.bridge.enable_ip_masquerade=true",
            *([f"--opt={MTU}={mtu}"] if mtu else []),
        ]  # fmt: skip
        # Docker knows which addresses are free, and lets only those be asked for that it was told itself.
        run([*create, self.name])
        (free,) = self.network()["IPAM"]["Config"]
        run([self._docker, "network", "rm", self.name])
        _, upper = ipaddress.IPv4Network(free["Subnet"]).subnets()
        run([
            *create, f"--subnet={free['Subnet']}", f"--gateway={free['Gateway']}", f"--ip-range={upper}", self.name,
        ])  # fmt: skip

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
        """Return kind's whole configuration for this cluster, without its name."""
        mounts = [
            {"hostPath": str(self._record_dir), "containerPath": RECORD, "readOnly": True},
            {"hostPath": str(self._volumes_dir), "containerPath": VOLUMES},
        ]
        nodes = [
            {**node, "image": self.image, "extraMounts": [*node.get("extraMounts", []), *mounts]}
            for node in self._config.get("nodes") or [{"role": "control-plane"}]
        ]
        config = {key: value for key, value in self._config.items() if key != "name"}
        return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", **config, "nodes": nodes}

    def differences(self) -> list[str]:
        """Return what the nodes were made from and shall not be any more, as ``path: old -> new``."""
        return differences(self.record.current.get("config", {}), self.wanted())

    def create(self) -> None:
        """Make nodes beside those that there are, which do not run, and make them the cluster's.

        The record has the note of it from before anything is made until the nodes are ready.
        """
        name = next(name for name in self.names if name != self.record.current.get("kind"))
        self.record.owner = self.owner
        self.record.creating = {"kind": name, "config": self.wanted()}
        self.record.write()
        (self._volumes_dir / "node-1").mkdir(parents=True, exist_ok=True)
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.network():
            self.make_network()
        configuration = self._record_dir / "kind.json"
        configuration.write_text(json.dumps({**self.wanted(), "name": name}, indent=2))
        self.kubeconfig.unlink(missing_ok=True)
        command = [
            str(self._kind),
            "create",
            "cluster",
            f"--config={configuration}",
            f"--kubeconfig={self.kubeconfig}",
            f"--wait={self._wait_seconds}s",
        ]
        follow(command, self._tell, env=self._environment)
        made = [node for node in self.nodes() if node.cluster == name]
        self.wait_for_nodes(made)
        # kind joins nodes by a token that everybody knows, and that would admit others for a day.
        tokens = ["--namespace=kube-system", "--field-selector=type=bootstrap.kubernetes.io/token"]
        self._wait(made, "the tokens by which nodes join", "delete", "secrets", *tokens)
        # Later there are pods of others, whose faults must not keep a run from mending them. Now there are the
        # cluster's own, and whatever starts before its proxy and its DNS fails at first and is backed off.
        self._wait(
            made, "the cluster's own pods", "rollout", "status", "--namespace=kube-system", "daemonset,deployment"
        )
        self.kubeconfig.chmod(0o600)
        self.record.current = {
            "kind": name,
            "nodes": sorted(node.identity for node in made),
            "config": self.wanted(),
            "certificates_end": self._read_certificates_end(),
            "address": control_plane(made).address,
        }
        self.record.creating = {}
        self.record.write()

    def replace(self) -> None:
        """Make nodes in place of the current ones, on the same volumes; start the old ones again if that fails."""
        self._progress("stopping the old nodes")
        run([self._docker, "stop", *(node.name for node in self.current(self.nodes()))])
        try:
            self.create()
        except CommandError as error:
            self.remove_leftovers()
            self.start()
            raise CommandError(f"the new nodes did not become ready, and the old ones run again: {error}") from error
        self.remove_leftovers()

    def start(self) -> None:
        """Start stopped nodes, at whatever address, and wait until the API answers and the nodes are ready.

        Certificates that have ended meanwhile are renewed.
        """
        nodes = self.current(self.nodes())
        if stopped := [node.name for node in nodes if not node.running]:
            run([self._docker, "start", *stopped])
            nodes = self.current(self.nodes())
        if self.certificates_end_within(1):
            self.renew()
        if self.moved(nodes):
            self.readdress()
        self.wait_for_nodes(nodes)
        if self.record.creating or not self.kubeconfig.exists():
            # It may be that of nodes that were to replace these.
            self.write_kubeconfig()
            self.record.creating = {}
            self.record.write()

    def remove_leftovers(self) -> None:
        """Remove nodes that are not the current ones; the volumes are on the machine and stay."""
        if leftovers := self.leftovers(self.nodes()):
            run([self._docker, "rm", "--force", "--volumes", *(node.name for node in leftovers)])

    def delete(self) -> None:
        """Remove the cluster, its data and the network that was made for it; this works without kind."""
        if not self._docker:
            raise CommandError(f"no docker daemon answers, so cluster {self.name} was left as it is; start it first")
        if nodes := [node.name for node in self.nodes()]:
            run([self._docker, "rm", "--force", "--volumes", *nodes])
        if self.owns_network():
            run([self._docker, "network", "rm", self.name])
        self.kubeconfig.unlink(missing_ok=True)
        # What else somebody keeps in that folder is not the cluster's.
        for folder in (self._record_dir, self._volumes_dir):
            if folder.exists():
                shutil.rmtree(folder)
        if self.data_dir.exists() and not any(self.data_dir.iterdir()):
            self.data_dir.rmdir()

    def write_kubeconfig(self) -> None:
        """Write the kubeconfig of the current nodes."""
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = run(
            [str(self._kind), "get", "kubeconfig", f"--name={self.record.current['kind']}"], env=self._environment
        )
        write_whole(self.kubeconfig, content)
        self.kubeconfig.chmod(0o600)

    def certificates_end_within(self, days: int) -> bool:
        """Return whether the certificates end within so many days."""
        end = datetime.date.fromisoformat(self.record.current["certificates_end"])
        return end - datetime.datetime.now(datetime.UTC).date() < datetime.timedelta(days=days)

    def _read_certificates_end(self) -> str:
        """Return the day on which the kubeconfig's certificate ends; kubeadm makes all of them for the same time."""
        # Only here, as they take a tenth of a second that most runs can do without.
        import yaml
        from cryptography import x509

        (user,) = yaml.safe_load(self.kubeconfig.read_text())["users"]
        certificate = x509.load_pem_x509_certificate(base64.b64decode(user["user"]["client-certificate-data"]))
        return str(certificate.not_valid_after_utc.date())

    def renew(self) -> None:
        """Renew all certificates, restart what holds the old ones, and write the kubeconfig.

        kubelet renews its own while it runs, and cannot once they have ended (source: kubeadm's troubleshooting).
        """
        nodes = self.current(self.nodes())
        self._progress("renewing certificates")
        node = control_plane(nodes).name
        run([self._docker, "exec", node, "kubeadm", "certs", "renew", "all"])
        conf, user = "/kind/kubeadm.conf", f"--org=system:nodes --client-name=system:node:{node}"
        own = (
            f"kubeadm kubeconfig user --config={conf} {user} >/etc/kubernetes/kubelet.conf"
            " && rm --force /var/lib/kubelet/pki/kubelet* && systemctl restart kubelet"
        )
        run([self._docker, "exec", node, "sh", "-c", own])
        self._restart_control_plane(nodes)
        self.write_kubeconfig()
        self.record.current["certificates_end"] = self._read_certificates_end()
        self.record.write()

    def moved(self, nodes: list[Node]) -> bool:
        """Return whether docker has given the control plane another address than its certificates are for."""
        node = control_plane(nodes)
        return bool(node.address) and node.address != (
            self.record.current.get("address") or self._read_certified_address(node)
        )

    def _read_certified_address(self, node: Node) -> str:
        """Return the node's address where the API server's certificate is for it; an empty text where not."""
        from cryptography import x509

        try:
            content = run([self._docker, "exec", node.name, "cat", f"{PKI}/apiserver.crt"])
        except CommandError:
            return ""
        certificate = x509.load_pem_x509_certificate(content.encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return node.address if ipaddress.ip_address(node.address) in names.get_values_for_type(x509.IPAddress) else ""

    def readdress(self) -> None:
        """Make the certificates that name the node's address anew, and restart what holds the old ones.

        kind's node puts its new address into the configuration itself when it starts, and leaves the certificates.
        """
        nodes = self.current(self.nodes())
        node = control_plane(nodes)
        self._progress(f"making certificates for {node.address}")
        for phase, path in (("apiserver", "apiserver"), ("etcd-server", "etcd/server"), ("etcd-peer", "etcd/peer")):
            run([self._docker, "exec", node.name, "rm", "--force", f"{PKI}/{path}.crt", f"{PKI}/{path}.key"])
            make = ["kubeadm", "init", "phase", "certs", phase, "--config=/kind/kubeadm.conf"]
            run([self._docker, "exec", node.name, *make])
        self._restart_control_plane(nodes)
        # Until kubelet is let in again, the API tells of the node what was before.
        wanted = f"--for=jsonpath={{.status.addresses[?(@.type=='InternalIP')].address}}={node.address}"
        self._wait(nodes, "the node's new address", "wait", wanted, f"node/{node.name}")
        self.record.current["address"] = node.address
        self.record.write()

    def _restart_control_plane(self, nodes: list[Node]) -> None:
        # kubelet starts their containers again, which read the files anew. An API server goes on answering for a while
        # when it is to end, and only a new one is worth waiting for. The kernel keeps 15 letters of a name.
        end = (
            "for name in etcd kube-apiserver kube-controller kube-scheduler; do "
            'for pid in $(pgrep --exact "$name"); do kill "$pid"; timeout 120 tail --follow --pid="$pid" /dev/null; '
            "done; done"
        )
        run([self._docker, "exec", control_plane(nodes).name, "sh", "-c", end])
        self.wait_for_nodes(nodes)

    def _tell(self, line: str) -> None:
        if text := line.strip():
            self._progress(text)

    def wait_for_nodes(self, nodes: list[Node]) -> None:
        """Wait until the API of ``nodes`` answers, they are ready, and their kubelets have told of their pods.

        Until a kubelet that was started does, the API has what was before: pods that are ready, and do not run.
        """
        about = ["get", "nodes,pods", "--all-namespaces", "--output=json"]
        self._wait(nodes, "the nodes", *about, is_enough=lambda told: is_current(nodes, json.loads(told)["items"]))

    def _wait(
        self, nodes: list[Node], what: str, *command: str, is_enough: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Wait with a command of kubectl; kind's own ``--wait`` ends without an error when its time is over."""
        inside = [self._docker, "exec", control_plane(nodes).name]
        kubectl = [*inside, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"]
        limit = "--request-timeout=10s" if command[0] == "get" else "--timeout=10s"
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                if is_enough(run([*kubectl, *command, limit])):
                    return
                fault = "one is not ready, or its kubelet has told nothing since it was started"
            except CommandError as error:
                fault = str(error)
            if time.monotonic() > deadline:
                raise CommandError(f"{what} were not ready within {self._wait_seconds} s: {fault}")
            self._progress(f"waiting for {what}")
            time.sleep(1)


def is_current(nodes: list[Node], told: list[dict[str, Any]]) -> bool:
    """Return whether nodes are ready, and neither they nor a pod by what was before they were started.

    Args:
        nodes: as docker sees them.
        told: objects of the API, all nodes and pods.
    """
    started = {node.name: node.started for node in nodes}
    for entry in told:
        status = entry["status"]
        (ready,) = [it for it in status.get("conditions", []) if it["type"] == "Ready"] or [{"status": "False"}]
        if entry["kind"] == "Node":
            if ready["status"] != "True" or ready["lastHeartbeatTime"] < started.get(entry["metadata"]["name"], ""):
                return False
        elif ready["status"] == "True":
            running = [it["state"].get("running", {}).get("startedAt", "") for it in status["containerStatuses"]]
            if min(running) < started.get(entry["spec"]["nodeName"], ""):
                return False
    return True


def control_plane(nodes: list[Node]) -> Node:
    """Return the node with the control plane."""
    return next(node for node in nodes if node.name.endswith("control-plane"))


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return where two values of JSON differ, each as ``path: old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i in range(len(old)) for line in differences(old[i], new[i], f"{path}[{i}]")]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]


def decide(cluster: Cluster, state: str, *, replace: bool, renew_days: int) -> str:
    """Return what to do, as RETURN says of ``action``.

    Raises :class:`ConflictError` for a cluster that is not ours, and for one made from something else that shall not
    be replaced.
    """
    nodes = cluster.nodes()
    record = cluster.record
    if foreign := cluster.foreign(nodes):
        raise ConflictError(
            "foreign",
            f"there is a kind cluster {cluster.name} that was not made from here "
            f"({', '.join(node.name for node in foreign)}). It was left as it is",
        )
    if record.owner not in ("", cluster.owner):
        raise ConflictError(
            "other_environment",
            f"cluster {cluster.name} and its data in {cluster.data_dir} belong to {record.owner}. It was left as it is",
        )
    if nodes and not record.owner:
        raise ConflictError(
            "record_gone",
            f"the record of cluster {cluster.name} is gone from {cluster.data_dir}, so it is not known what its nodes "
            f"({', '.join(node.name for node in nodes)}) were made from. They were left as they are",
        )
    if state == "absent":
        there = nodes or record.owner or cluster.kubeconfig.exists() or cluster.owns_network()
        return "delete" if there else "none"
    current = cluster.current(nodes)
    if not current or len(current) != len(record.current["nodes"]):
        # Nothing was made to the end, or somebody removed it. The volumes are where they were.
        return "create"
    if changes := cluster.differences():
        resumed = record.creating.get("config") == cluster.wanted()
        if not replace and not resumed:
            raise ConflictError(
                "settings",
                f"cluster {cluster.name} was made from something else, and a change of it takes other nodes "
                f"({'; '.join(changes)})",
            )
        return "replace"
    if record.creating or len(current) < len(nodes) or not all(node.running for node in current):
        return "start"
    if cluster.moved(current):
        return "readdress"
    if not cluster.kubeconfig.exists():
        return "adopt"
    return "renew" if cluster.certificates_end_within(renew_days) else "none"


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
    "owner": {"type": "int"},
    "wait_seconds": {"type": "int", "default": 300},
    "renew_days": {"type": "int", "default": 60},
    "kind": {"type": "str"},
    "docker": {"type": "str", "required": True},
    "cache": {"type": "path", "required": True},
}

BEFORE = {
    "none": "as wanted",
    "create": "absent",
    "start": "stopped, or not replaced to the end",
    "replace": "made from something else",
    "adopt": "without its kubeconfig",
    "readdress": "with certificates for another address",
    "renew": "with certificates that end soon",
    "delete": "present",
}


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Make the cluster what ``params`` ask for, and return what RETURN says of it.

    When a cluster of this name must be left as it is: ``failed``, ``msg`` and ``conflict``. Raises
    :class:`CommandError` or :class:`OSError` when it cannot be what it shall be.
    """
    cluster = Cluster(params)
    owner: int | None = params["owner"]
    state: str = params["state"]
    try:
        action = decide(cluster, state, replace=params["replace"], renew_days=params["renew_days"])
    except ConflictError as error:
        return {"failed": True, "msg": str(error), "conflict": error.conflict}
    changes = cluster.differences() if action == "replace" else []
    if not check_mode:
        if action == "create":
            # Whatever nodes there are, they are not all.
            cluster.record.current = {}
        if action in {"create", "start", "replace"}:
            cluster.remove_leftovers()
        perform = {
            "delete": cluster.delete,
            "create": cluster.create,
            "start": cluster.start,
            "replace": cluster.replace,
            # A start looks after the address, ended certificates and a kubeconfig that is gone as well.
            "adopt": cluster.start,
            "readdress": cluster.start,
            "renew": cluster.renew,
        }
        if action in perform:
            perform[action]()
    nodes = cluster.nodes()
    nodes = cluster.current(nodes) or nodes
    if action in {"none", "adopt"} and state == "present":
        # The daemon starts nodes itself when it is started.
        cluster.wait_for_nodes(nodes)
    given = owner is not None and cluster.make_private(owner, check_mode=check_mode)
    return {
        "changed": action != "none" or given,
        "nodes": [node.name for node in nodes],
        "addresses": [node.address for node in nodes if node.address],
        "gateway": cluster.gateway(),
        "action": action,
        "changes": changes,
        "certificates_end": cluster.record.current.get("certificates_end", "") if state == "present" else "",
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
