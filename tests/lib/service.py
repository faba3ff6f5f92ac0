"""The service in the cluster: its clients and its pods."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lib.cluster import Cluster
from lib.environment import READY
from lib.network import answers
from lib.types import Json
from lib.wait import wait_for

APP = "--namespace=counter"
REPLICAS_MIN, REPLICAS_MAX = 2, 4
OUTSIDE = "counter-try"
MONITORING = "monitoring"
CLIENT = {"counter-platform/client": "true"}
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
# Who there is besides the service and Valkey: namespace and labels.
OTHERS: dict[str, tuple[str, dict[str, str]]] = {
    "client": (OUTSIDE, CLIENT),
    "stranger": (OUTSIDE, {}),
    "prometheus": (MONITORING, PROMETHEUS),
    "impostor": (OUTSIDE, PROMETHEUS),
    "neighbour": ("counter", {}),
}
LISTEN = "import http.server as h; h.ThreadingHTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"


def python_pod(name: str, namespace: str, labels: dict[str, str], image: str, program: str = LISTEN) -> Json:
    """Return a pod with no rights that runs a Python program; by default it listens on 8000."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-c", program],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


def service_pods(cluster: Cluster) -> list[Json]:
    """Return the service's pods that are ready and stay, the oldest first."""
    pods = cluster.get(
        "pods", APP, "--selector=app.kubernetes.io/name=counter", "--sort-by=.metadata.creationTimestamp"
    )
    return [
        pod
        for pod in pods["items"]
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
    ]


@contextmanager
def busy_loop(cluster: Cluster, pod: str, seconds: int) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a pod of the service busy as long as the block runs, for so many seconds at most."""
    # `timeout` ends the loop inside the pod, whatever becomes of this process.
    loop = ["timeout", str(seconds), "sh", "-c", "while :; do :; done"]
    with subprocess.Popen([*cluster.command, "exec", pod, APP, "--container=service", "--", *loop]) as process:
        try:
            yield process
        finally:
            process.kill()


def address(pod: Json) -> str:
    return str(pod["status"]["podIP"])


def name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def set_replicas(cluster: Cluster, minimum: int, maximum: int) -> None:
    """Set how many pods the autoscaler may have, and return when there are as many and no others."""
    patch = {"spec": {"minReplicas": minimum, "maxReplicas": maximum}}
    cluster.kubectl("patch", "hpa", "counter", APP, f"--patch={json.dumps(patch)}")

    def bounded() -> bool:
        pods = cluster.get("pods", APP, "--selector=app.kubernetes.io/name=counter")["items"]
        return minimum <= len(pods) == len(service_pods(cluster)) <= maximum

    wait_for(f"{minimum} to {maximum} pods", bounded, 120)


def utilization(cluster: Cluster) -> int | None:
    """Return what the pods use of the processor as the autoscaler knows it, in percent; None where it does not."""
    (metric,) = cluster.get("hpa", "counter", APP)["status"].get("currentMetrics") or [{}]
    percent: int | None = metric.get("resource", {}).get("current", {}).get("averageUtilization")
    return percent


def wait_until_idle(cluster: Cluster) -> None:
    """Return when the service answers, with as many pods as it has without load, and the autoscaler wants no more."""
    wait_for("an answer", lambda: answers(READY), 120)
    # Its window would let them stay for a minute, and figures from before would bring them back.
    set_replicas(cluster, REPLICAS_MIN, REPLICAS_MIN)
    wait_for("the load to be over", lambda: (percent := utilization(cluster)) is not None and percent < 50, 120)
    set_replicas(cluster, REPLICAS_MIN, REPLICAS_MAX)
