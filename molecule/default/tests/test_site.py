"""The whole site as it is when the run ends: it counts, it runs, and the autoscaler has figures."""

from lib.cluster import Cluster
from lib.environment import URL
from lib.network import count
from lib.service import APP, utilization
from lib.wait import wait_until_none


def test_requests_are_counted_and_pods_run_and_have_figures(cluster: Cluster) -> None:
    first = count(URL)
    assert count(URL) == first + 1
    assert "counter-" in cluster.kubectl("top", "pods", APP)
    assert utilization(cluster) is not None
    wait_until_none("pods that do not run", cluster.not_running, 60)
