"""A running environment's cluster."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from lib.command import run
from lib.docker import containers, docker
from lib.paths import ROOT
from lib.types import Json


class Cluster:
    """One environment's cluster, by its own kubectl and kubeconfig."""

    def __init__(self, environment: str) -> None:
        self.state = ROOT / ".state" / environment
        self.name = f"counter-{environment}"
        self.command = [str(self.state / "bin" / "kubectl"), f"--kubeconfig={self.state / 'kubeconfig'}"]

    @property
    def node(self) -> str:
        """The name of the node's container: an upgrade changes it, and the next one changes it back."""
        names = [f"{self.name}{generation}-control-plane" for generation in ("", "-b")]
        (found,) = containers() & set(names)
        return found

    def kubectl(self, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """Run kubectl and return its output."""
        return run(*self.command, *arguments, check=check, timeout=timeout).stdout

    def get(self, *arguments: str) -> Json:
        """Return what ``kubectl get`` finds, as JSON."""
        found: Json = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def not_running(self) -> list[str]:
        """Return the names of the pods, of all namespaces, that do not run."""
        pods = self.get("pods", "--all-namespaces")["items"]
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] != "Running"]

    def apply(self, *objects: Json, manager: str = "tests") -> None:
        """Apply objects on the server, as the fields of ``manager``."""
        listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        command = ["apply", "--server-side", f"--field-manager={manager}", "--filename=-"]
        run(*self.command, *command, stdin=listing)

    def node_exec(self, *command: str) -> str:
        """Run a command on the node."""
        return docker("exec", self.node, *command)

    @property
    def address(self) -> str:
        """The address of the only node."""
        (node,) = self.get("nodes")["items"]
        (found,) = [entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"]
        return str(found)

    @contextmanager
    def without(self, daemonset: str, namespace: str) -> Iterator[None]:
        """Take a DaemonSet's pods off every node, and bring them back."""
        what = [f"daemonset/{daemonset}", f"--namespace={namespace}"]

        def select(value: str | None) -> None:
            pods = {"spec": {"nodeSelector": {"counter-platform/nowhere": value}}}
            self.kubectl("patch", *what, f"--patch={json.dumps({'spec': {'template': pods}})}")

        select("true")
        try:
            yield
        finally:
            select(None)
            self.kubectl("rollout", "status", *what, "--timeout=60s")

    def python_image(self) -> str:
        """Return the image on the node that has Python and nothing of ours: tests make their pods of it."""
        images = self.node_exec("ctr", "--namespace=k8s.io", "images", "ls", "--quiet").splitlines()
        return next(image for image in images if "counter-platform/python-root" in image)
