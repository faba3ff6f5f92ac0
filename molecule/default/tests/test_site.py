"""The whole site as it is when the run ends: it counts, it runs, and the autoscaler has figures."""

from lib.cluster import Cluster
from lib.environment import URL
from lib.network import count
from lib.service import APP, utilization
from lib.wait import wait_for


def test_two_requests_are_counted_one_after_the_other() -> None:
    first = count(URL)
    assert count(URL) == first + 1


def test_every_node_is_ready_and_every_pod_runs(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert nodes
    assert all(
        {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items() for node in nodes
    )
    wait_for("every pod to run", lambda: not cluster.not_running(), 60)


def test_top_and_the_autoscaler_have_figures_when_the_run_ends(cluster: Cluster) -> None:
    assert "counter-" in cluster.kubectl("top", "pods", APP)
    percent = utilization(cluster)
    assert percent is not None
    assert percent >= 0
