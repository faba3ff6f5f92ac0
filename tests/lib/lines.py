"""Lines that pods of a scenario write, what the log host has of them, and what the collector says of itself."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from lib.cluster import Cluster
from lib.docker import docker
from lib.logs import Logs
from lib.service import python_pod
from lib.types import Json
from lib.wait import wait_for

# That of an earlier run may still be on its way out.
NAMESPACE = f"writers-{uuid.uuid4().hex[:8]}"
LOGGING = "--namespace=logging"
LABELS = {"app.kubernetes.io/name": "writer"}

NUMBERED = """
import json, time
for first in range(0, {count}, {rate} // 10):
    for number in range(first, min(first + {rate} // 10, {count})):
        print(json.dumps({{"level": "info", "message": "line", "run": {run!r}, "number": number}}))
    print(end="", flush=True)
    time.sleep(0.1)
"""


def numbered(run: str, count: int, rate: int) -> str:
    """Return a program that writes numbered lines of JSON, ``rate`` of them a second, and ends."""
    return NUMBERED.format(run=run, count=count, rate=rate)


def unique() -> str:
    """Return a word that no other line has."""
    return uuid.uuid4().hex


class Lines:
    """Pods that write, and the log host of the same environment."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.host = f"{cluster.name}-logs"
        self.secrets = cluster.state / "logs"

    @property
    def address(self) -> str:
        return docker("inspect", self.host, "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    @property
    def logs(self) -> Logs:
        """The log host's interface."""
        return Logs(self.host, self.address, self.secrets)

    def query(self, query: str) -> list[dict[str, str]]:
        """Return what a LogsQL query of the last day finds."""
        return self.logs.query(query, hours=24)

    def counted(self, run: str) -> dict[str, tuple[int, int]]:
        """Return for each pod of a run how many of its lines have arrived, and how many different numbers they have."""
        found = self.query(f"run:={run} | stats by (pod) count() lines, count_uniq(number) numbers")
        return {row["pod"]: (int(row["lines"]), int(row["numbers"])) for row in found}

    def wait_for_all(self, run: str, pods: dict[str, int], seconds: float = 60) -> dict[str, tuple[int, int]]:
        """Wait until every number of every pod has arrived, and what may still come twice; return what there is."""

        def arrived() -> bool:
            there = self.counted(run)
            return all(there.get(pod, (0, 0))[1] >= count for pod, count in pods.items())

        wait_for(f"the lines of {run}", arrived, seconds)
        time.sleep(3)
        return self.counted(run)

    def start(self, **programs: str) -> None:
        """Start a pod for each program, by its name; a pod ends with its program."""
        image = self.cluster.python_image()
        pods = []
        for name, program in programs.items():
            pod = python_pod(name, NAMESPACE, LABELS, image, program)
            pod["spec"] |= {"restartPolicy": "Never"}
            pod["spec"]["containers"][0]["name"] = "writer"
            pods.append(pod)
        self.cluster.apply(*pods)

    def wait_for_end(self, *pods: str, seconds: float = 60) -> None:
        """Wait until pods have ended well."""
        names = [f"pod/{pod}" for pod in pods]
        waiting = ["wait", *names, f"--namespace={NAMESPACE}", "--for=jsonpath={.status.phase}=Succeeded"]
        self.cluster.kubectl(*waiting, f"--timeout={seconds:.0f}s", timeout=seconds + 10)

    def query_until(self, query: str, count: int) -> list[Json]:
        """Return what a query finds when it finds as many lines; whoever wants to see that none is doubled waits."""

        def enough() -> list[Json]:
            found = self.query(query)
            return found if len(found) >= count else []

        return wait_for(f"{count} lines by {query}", enough, 30)

    @contextmanager
    def without_log_host(self) -> Iterator[None]:
        """Take the log host away from the collector, which finds nobody at its port."""
        docker("exec", self.host, "systemctl", "stop", "nginx")
        try:
            yield
        finally:
            docker("exec", self.host, "systemctl", "start", "nginx")

    @property
    def collector(self) -> str:
        """The name of the collector's pod that stays."""
        pods = self.cluster.get("pods", LOGGING, "--selector=app.kubernetes.io/name=collector")["items"]
        (found,) = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return str(found)

    def ready(self) -> None:
        """Wait until the collector's DaemonSet is rolled out."""
        self.cluster.kubectl("rollout", "status", "daemonset/collector", LOGGING, "--timeout=90s")

    def restart_collector(self) -> None:
        """Delete the collector's pod and wait for the next one."""
        self.cluster.kubectl("delete", "pod", self.collector, LOGGING)
        self.ready()

    def process(self) -> int:
        return int(self.cluster.node_exec("pgrep", "--exact", "collector"))

    def metrics(self) -> dict[str, float]:
        """Return the collector's own metrics by their names, those of all labels added up, and by name and labels."""
        path = f"/api/v1/namespaces/logging/pods/{self.collector}:8888/proxy/metrics"
        found: dict[str, float] = {}
        for line in self.cluster.kubectl("get", f"--raw={path}").splitlines():
            if parsed := re.match(r"(\w+)(\{.*\})? (\S+)$", line):
                name, labels, value = parsed[1], parsed[2] or "", float(parsed[3])
                found[name] = found.get(name, 0) + value
                found[name + labels] = value
        return found
