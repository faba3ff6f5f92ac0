"""The whole site: a request is counted, and load makes pods come and go."""

import subprocess
import time

from platform_cluster import Cluster, count, wait_for

NAMESPACE = "--namespace=counter"
URL = "http://127.0.0.1:8088/"
SCALE_DOWN_SECONDS = 60


def ready_pods(cluster: Cluster) -> int:
    """Return the number of the service's pods that are ready."""
    return int(cluster.get("deployment", "counter", NAMESPACE)["status"].get("readyReplicas", 0))


def test_two_requests_are_counted_one_after_the_other() -> None:
    first = count(URL)
    assert count(URL) == first + 1


def test_every_node_is_ready_and_every_pod_runs(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert nodes
    assert all(
        {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items() for node in nodes
    )

    def waiting() -> list[str]:
        pods = cluster.get("pods", "--all-namespaces")["items"]
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] != "Running"]

    wait_for("every pod to run", lambda: not waiting(), 60)


def test_top_and_the_autoscaler_have_figures_when_the_run_ends(cluster: Cluster) -> None:
    assert "counter-" in cluster.kubectl("top", "pods", NAMESPACE)
    (metric,) = cluster.get("hpa", "counter", NAMESPACE)["status"]["currentMetrics"]
    assert metric["resource"]["current"]["averageUtilization"] >= 0


def test_busy_loop_scales_up_and_rest_scales_down(cluster: Cluster) -> None:
    wait_for("one pod to start from", lambda: ready_pods(cluster) == 1, 180)
    # `timeout` ends the loop inside the pod, whatever becomes of this process.
    loop = subprocess.Popen(
        [
            *cluster.command,
            "exec",
            "deployment/counter",
            NAMESPACE,
            "--",
            "timeout",
            "75",
            "sh",
            "-c",
            "while :; do :; done",
        ]
    )
    try:
        wait_for("a second pod to be ready", lambda: ready_pods(cluster) >= 2, 60)
        loop.wait(timeout=90)
        rested = time.monotonic()
        wait_for("one pod to be left", lambda: ready_pods(cluster) == 1, SCALE_DOWN_SECONDS + 120)
        # One reading of the metrics may lie before the end of the loop.
        assert time.monotonic() - rested > SCALE_DOWN_SECONDS - 30
    finally:
        loop.kill()


def test_count_is_exact_again_with_one_pod(cluster: Cluster) -> None:
    # A pod that is leaving still answers what reaches it, with a count of its own.
    wait_for("leaving pods to be gone", lambda: len(cluster.get("pods", NAMESPACE)["items"]) == 1, 60)
    first = count(URL)
    assert [count(URL) for _ in range(50)] == list(range(first + 1, first + 51))
