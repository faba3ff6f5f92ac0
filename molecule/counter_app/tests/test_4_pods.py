"""Nothing is lost and nothing is counted twice, whatever happens to the pods."""

import json
import time
from collections.abc import Callable

import pytest
from lib.cluster import Cluster
from lib.command import run
from lib.counts import Counts
from lib.environment import PORT
from lib.load import Load
from lib.prometheus import MONITORING
from lib.service import APP, REPLICAS_MAX, REPLICAS_MIN, name, service_pods, set_replicas
from lib.wait import wait_for

pytestmark = pytest.mark.usefixtures("warnings")


def restart(cluster: Cluster) -> None:
    """Replace every pod."""
    cluster.kubectl("rollout", "restart", "deployment/counter", APP)
    cluster.kubectl("rollout", "status", "deployment/counter", APP, "--timeout=180s", timeout=200)


def scale(cluster: Cluster) -> None:
    """Go up to four pods and back to two."""
    try:
        set_replicas(cluster, REPLICAS_MAX, REPLICAS_MAX)
        set_replicas(cluster, REPLICAS_MIN, REPLICAS_MIN)
    finally:
        set_replicas(cluster, REPLICAS_MIN, REPLICAS_MAX)


def remove(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pod", name(service_pods(cluster)[0]), APP)


def drain(cluster: Cluster) -> None:
    """Evict every pod there is, as a drain of the node does, each as soon as the budget lets it go."""
    victims = {name(pod) for pod in service_pods(cluster)}

    def evicted(pod: str) -> bool:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "counter"}}
        create = ("create", f"--raw=/api/v1/namespaces/counter/pods/{pod}/eviction", "--filename=-")
        answer = run(*cluster.command, *create, stdin=json.dumps(eviction), check=False)
        assert answer.returncode == 0 or "disruption budget" in answer.stderr, answer.stderr
        return answer.returncode == 0

    refused = 0
    for victim in sorted(victims):
        while not evicted(victim):
            refused += 1
            time.sleep(0.5)
    assert refused, "the budget let both pods go at once"
    there = ("pods", APP)
    wait_for("the old pods to be gone", lambda: not victims & {name(pod) for pod in cluster.get(*there)["items"]}, 90)
    wait_for("the new pods", lambda: len(service_pods(cluster)) >= 2, 90)


def restart_and_drain(cluster: Cluster) -> None:
    restart(cluster)
    drain(cluster)


@pytest.mark.parametrize(
    "disturb",
    [restart_and_drain, *(pytest.param(disturb, marks=pytest.mark.soak) for disturb in (scale, remove))],
    ids=lambda disturb: disturb.__name__,
)
def test_no_request_is_lost(cluster: Cluster, disturb: Callable[[Cluster], None]) -> None:
    counts = Counts(cluster) if cluster.get("statefulsets", MONITORING)["items"] else None
    if counts:
        counts.begin()
    with Load(PORT).running() as load:
        time.sleep(2)
        disturb(cluster)
        time.sleep(8)  # until pods that go have gone
    load.check_exact()
    if counts:
        counts.check(len(load.values))
    print(f"{disturb.__name__}: {len(load.values)} requests, the slowest {max(load.seconds):.2f} s")
    assert len(load.values) > 500
