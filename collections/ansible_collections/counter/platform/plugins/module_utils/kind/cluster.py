# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""One kind cluster: make, start, replace and remove its nodes, and what is kept beside them."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.artifacts import Progress, write_whole
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.kind.nodes import (
    RECORD,
    ConflictError,
    Node,
    control_plane,
    find_nodes,
    has_moved,
    made_nodes,
    names_of,
)
from ansible_collections.counter.platform.plugins.module_utils.kind.record import Record

VOLUMES = "/var/local/volumes"
"""Where a node mounts the volumes."""
MTU = "com.docker.network.driver.mtu"
OWNER_LABEL = "counter-platform.owner"


class Cluster:
    """One kind cluster: its node containers, its record and its network."""

    def __init__(self, params: dict[str, Any], docker: str) -> None:
        self.name: str = params["name"]
        self.image: str | None = params["image"]
        self.kubeconfig = Path(params["kubeconfig"])
        self.state_dir = str(Path(params["state_dir"]).resolve())
        self.data_dir = Path(params["data_dir"]).resolve()
        self.record = Record(self._record_dir)
        self._config: dict[str, Any] = params["config"]
        self._wait_seconds: int = params["wait_seconds"]
        self._kind: str | None = params["kind"]
        self._docker = docker
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
        return find_nodes(self._docker, self._record_dir, self.name)

    def made(self) -> list[Node]:
        """Return the nodes that were made to the end; those that are missing were removed by somebody."""
        return made_nodes(self.nodes(), self.record)

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
        return (self.network().get("Labels") or {}).get(OWNER_LABEL) == self.state_dir

    def make_network(self) -> None:
        """Make the network; its lower half is for who asks for an address, its upper half for who takes any.

        A node cannot ask for one. With the upper half to itself it has the same one at every start, in whatever order
        docker starts what is on the network.
        """
        # The daemon's own setting is for its first network alone.
        mtu = self._network("bridge").get("Options", {}).get(MTU)
        create = [
            self._docker, "network", "create", f"--label={OWNER_LABEL}={self.state_dir}",
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

    def make_private(self, user: int, *, check_mode: bool) -> bool:
        """Give the kubeconfig and its folder to a user, by number, and to nobody else, unless in check mode.

        Return whether they were anybody else's.
        """
        wrong = [
            (path, mode)
            for path, mode in ((self.kubeconfig.parent, 0o700), (self.kubeconfig, 0o600))
            if path.exists() and (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) != (user, mode)
        ]
        if not check_mode:
            for path, mode in wrong:
                os.chown(path, user, -1)
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

    def changes(self) -> list[str]:
        """Return where the configuration differs from the one that the nodes were made from: ``path: old -> new``."""
        return differences(self.record.made.get("config", {}), self.wanted())

    def faults(self, nodes: list[Node], renew_days: int) -> list[str]:
        """Return why made nodes have to be replaced although they have the wanted configuration."""
        found = []
        if self.record.certificates_end_within(renew_days):
            found.append(f"the certificates end on {self.record.certificates_end}")
        if has_moved(nodes, self.record):
            addresses = f"{self.record.made['address']} -> {control_plane(nodes).address}"
            found.append(f"the node's address changed: {addresses}")
        return found

    def create(self) -> None:
        """Make nodes beside those that there are, which do not run, and make them the cluster's.

        The record has the note of it from before anything is made until the nodes are ready.
        """
        name = next(name for name in self.names if name != self.record.made.get("kind"))
        self.record.owner = self.state_dir
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
        follow(command, self._report, env=self._environment)
        made = [node for node in self.nodes() if node.cluster == name]
        self.wait_for_nodes(made)
        # kind joins nodes by a token that everybody knows, and that would admit others for a day.
        tokens = ["--namespace=kube-system", "--field-selector=type=bootstrap.kubernetes.io/token"]
        delete = ["delete", "secrets", *tokens, "--timeout=10s"]
        self._wait(made, "the bootstrap tokens were not deleted", delete)
        # Later there are pods of others, whose faults must not keep a run from mending them. Now there are the
        # cluster's own, and whatever starts before its proxy and its DNS fails at first and is backed off.
        status = ["rollout", "status", "--namespace=kube-system", "daemonset,deployment", "--timeout=10s"]
        self._wait(made, "the cluster's own pods were not ready", status)
        self.kubeconfig.chmod(0o600)
        self.record.made = {
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
        run([self._docker, "stop", *(node.name for node in self.made())])
        try:
            self.create()
        except CommandError as error:
            self.remove_leftovers()
            self._start_stopped()
            self._complete()
            raise CommandError(f"the new nodes did not become ready, and the old ones run again: {error}") from error
        self.remove_leftovers()

    def start(self, *, replace: bool) -> bool:
        """Start stopped nodes and wait until the API answers and the nodes are ready; return whether they are others.

        Nodes are replaced where docker gives them another address, which their certificates are not for, and, with
        ``replace``, where they do not become ready. Raises :class:`ConflictError` where they do not otherwise.
        """
        self._start_stopped()
        if has_moved(self.made(), self.record):
            self.replace()
            return True
        try:
            self._complete()
        except CommandError as error:
            if not replace:
                raise ConflictError("not_ready", str(error)) from error
            self.replace()
            return True
        return False

    def _start_stopped(self) -> None:
        if stopped := [node.name for node in self.made() if not node.running]:
            run([self._docker, "start", *stopped])

    def _complete(self) -> None:
        """Wait for the made nodes, and write what a creation that did not end, or a lost state folder, took away."""
        self.wait_for_nodes(self.made())
        if self.record.creating or not self.kubeconfig.exists():
            # It may be that of nodes that were to replace these.
            self._write_kubeconfig()
            self.record.creating = {}
            self.record.write()

    def remove_leftovers(self) -> None:
        """Remove nodes that are not the current ones; the volumes are on the machine and stay."""
        nodes = self.nodes()
        made = made_nodes(nodes, self.record)
        if leftovers := [node.name for node in nodes if node not in made]:
            run([self._docker, "rm", "--force", "--volumes", *leftovers])

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

    def _write_kubeconfig(self) -> None:
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = run(
            [str(self._kind), "get", "kubeconfig", f"--name={self.record.made['kind']}"], env=self._environment
        )
        write_whole(self.kubeconfig, content)
        self.kubeconfig.chmod(0o600)

    def _read_certificates_end(self) -> str:
        """Return the day on which the kubeconfig's certificate ends; kubeadm makes all of them for the same time."""
        # Only here, as they take a tenth of a second that most runs can do without.
        import yaml
        from cryptography import x509

        (user,) = yaml.safe_load(self.kubeconfig.read_text())["users"]
        certificate = x509.load_pem_x509_certificate(base64.b64decode(user["user"]["client-certificate-data"]))
        return str(certificate.not_valid_after_utc.date())

    def _report(self, line: str) -> None:
        if text := line.strip():
            self._progress(text)

    def wait_for_nodes(self, nodes: list[Node]) -> None:
        """Wait until the API of ``nodes`` answers, they are ready, and their kubelets have reported their pods.

        Until a kubelet that was started does, the API has what was before: pods that are ready, and do not run.
        """
        get = ["get", "nodes,pods", "--all-namespaces", "--output=json", "--request-timeout=10s"]
        self._wait(
            nodes, "the nodes were not ready", get, lambda answer: is_current(nodes, json.loads(answer)["items"])
        )

    def _wait(
        self, nodes: list[Node], fault: str, command: list[str], is_enough: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Wait with a command of kubectl; kind's own ``--wait`` ends without an error when its time is over."""
        inside = [self._docker, "exec", control_plane(nodes).name]
        kubectl = [*inside, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"]
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                if is_enough(run([*kubectl, *command])):
                    return
                reason = f"{names_of(nodes)} is not ready, or its kubelet has not reported since it was started"
            except CommandError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise CommandError(f"{fault} within {self._wait_seconds} s: {reason}")
            self._progress("waiting until the cluster is ready")
            time.sleep(1)


def is_current(nodes: list[Node], objects: list[dict[str, Any]]) -> bool:
    """Return whether nodes are ready, and neither they nor a pod by what was before they were started.

    Args:
        nodes: as docker sees them.
        objects: of the API, all nodes and pods.
    """
    started = {node.name: node.started for node in nodes}
    for entry in objects:
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


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return where two values of JSON differ, each as ``path: old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i in range(len(old)) for line in differences(old[i], new[i], f"{path}[{i}]")]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]
