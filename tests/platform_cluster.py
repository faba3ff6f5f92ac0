"""What tests need to talk to a running environment: kubectl, docker, and pods that try connections."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

Json = dict[str, Any]


def cache() -> Path:
    """Return the cache folder by the rule of roles/platform/defaults/main/main.yml."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("COUNTER_PLATFORM_CACHE") or Path(caches, "counter-platform"))


CACHE = cache()


def run(*command: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed; raise with its output when it fails and ``check`` is set."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def docker_client() -> str | None:
    """Return the docker client, the one of the engine's package before others; None where there is none."""
    return shutil.which("docker", path=f"/usr/bin{os.pathsep}{os.environ['PATH']}")


def docker(*arguments: str, check: bool = True, timeout: float = 120) -> str:
    """Run the docker client and return its output without the last newline."""
    client = docker_client()
    assert client, "there is no docker client"
    return run(client, *arguments, check=check, timeout=timeout).stdout.strip()


def containers() -> set[str]:
    """Return the names of all containers, stopped ones too."""
    return set(docker("ps", "--all", "--format={{.Names}}").split())


def fetch(url: str) -> tuple[int, bytes]:
    """Return status and body of a GET request to an address of this machine."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 # tests name loopback addresses only
        return answer.status, answer.read()


def count(url: str) -> int:
    """Send a request that counts and return its number."""
    return int(json.loads(fetch(url)[1])["count"])


def wait_for(what: str, condition: Callable[[], Any], seconds: float, every: float = 1) -> float:
    """Return after how many seconds ``condition`` became true; fail, naming ``what``, when it does not in time."""
    started = time.monotonic()
    while not condition():
        passed = time.monotonic() - started
        assert passed < seconds, f"{what}: not within {seconds} s"
        time.sleep(every)
    return time.monotonic() - started


def newest(name: str) -> Path:
    """Return the folder of the cached result ``name`` that was used last."""
    results = [path for path in (CACHE / "artifacts" / name).iterdir() if path.is_dir()]
    return max(results, key=lambda path: path.stat().st_mtime)


class Cluster:
    """One environment's cluster, by its own kubectl and kubeconfig."""

    def __init__(self, environment: str, root: Path = ROOT) -> None:
        self.state = root / ".state" / environment
        self.name = f"counter-{environment}"
        self.command = [str(self.state / "bin" / "kubectl"), f"--kubeconfig={self.state / 'kubeconfig'}"]

    def kubectl(self, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """Run kubectl and return its output."""
        return run(*self.command, *arguments, check=check, timeout=timeout).stdout

    def get(self, *arguments: str) -> Json:
        """Return what ``kubectl get`` finds, as JSON."""
        found: Json = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def apply(self, *objects: Json, manager: str = "tests") -> None:
        """Apply objects on the server, as the fields of ``manager``."""
        listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        command = [*self.command, "apply", "--server-side", f"--field-manager={manager}", "--filename=-"]
        done = subprocess.run(command, input=listing, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def create_raw(self, path: str, body: Json) -> subprocess.CompletedProcess[str]:
        """Post an object to a path of the API and return how that ended."""
        command = [*self.command, "create", f"--raw={path}", "--filename=-"]
        return subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=False)

    def node_exec(self, *command: str) -> str:
        """Run a command on the node."""
        return docker("exec", f"{self.name}-control-plane", *command)

    @contextmanager
    def without_policy_agent(self) -> Iterator[None]:
        """Take the policy agent off every node, and bring it back."""
        agent = ["daemonset/network-policy-agent", "--namespace=kube-system"]

        def select(value: str | None) -> None:
            pods = {"spec": {"nodeSelector": {"counter-platform/nowhere": value}}}
            self.kubectl("patch", *agent, f"--patch={json.dumps({'spec': {'template': pods}})}")

        select("true")
        try:
            yield
        finally:
            select(None)
            self.kubectl("rollout", "status", *agent, "--timeout=60s")

    def python_image(self) -> str:
        """Return the image on the node that has Python and nothing of ours: tests make their pods of it."""
        images = self.node_exec("ctr", "--namespace=k8s.io", "images", "ls", "--quiet").splitlines()
        return next(image for image in images if "counter-platform/python-root" in image)
