"""Nothing is lost and nothing is counted twice, whatever happens to the pods."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
from lib.cluster import Cluster
from lib.command import run
from lib.counts import Counts
from lib.environment import PORT, URL
from lib.load import Load
from lib.network import count
from lib.prometheus import MONITORING
from lib.service import APP, REPLICAS_MAX, REPLICAS_MIN, address, as_somebody, name, service_pods, set_replicas
from lib.types import Json
from lib.wait import wait_for

pytestmark = pytest.mark.usefixtures("warnings")


ASK = """
import time, urllib.error, urllib.request
started = time.monotonic()
try:
    status = urllib.request.urlopen("http://{host}:9000/", timeout=20).status
except urllib.error.HTTPError as error:
    status = error.code
print(status, time.monotonic() - started)
"""
SIGNAL = """
import os, pathlib, signal
for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if entry.read_text().rpartition(") ")[2].split()[1] == "1" and int(entry.parent.name) != os.getpid():
        os.kill(int(entry.parent.name), signal.{signal})
"""


def send_workers(cluster: Cluster, pod: Json, signal: str) -> None:
    """Send the workers of a pod's service a signal, as in SIGSTOP."""
    inside = ["exec", name(pod), APP, "--container=service", "--", "python3", "-c"]
    cluster.kubectl(*inside, SIGNAL.format(signal=signal))


@pytest.fixture
def slow_pod(cluster: Cluster) -> Iterator[Json]:
    """A pod whose worker stands still until the end of the test."""
    pod = service_pods(cluster)[0]
    send_workers(cluster, pod, "SIGSTOP")
    yield pod
    send_workers(cluster, pod, "SIGCONT")


@pytest.mark.soak
def test_slow_service_is_504_and_counts_once(cluster: Cluster, others: None, slow_pod: Json) -> None:
    status, seconds = as_somebody(cluster, "client", ASK.format(host=address(slow_pod))).split()
    assert status == "504"
    assert 4.5 < float(seconds) < 7
    # The other pod serves meanwhile, once readiness has taken this one out.
    wait_for("the pod to be out", lambda: name(slow_pod) not in map(name, service_pods(cluster)), 30)
    # kube-proxy follows up to a second later; a request until then may still go to the pod that stands still.
    rules = ("iptables-save", "--table=nat")
    wait_for("kube-proxy to know it", lambda: f"{address(slow_pod)}:9000" not in cluster.node_exec(*rules), 30)
    before = count(URL)
    assert count(URL) == before + 1
    send_workers(cluster, slow_pod, "SIGCONT")
    wait_for("the pod to be back", lambda: name(slow_pod) in map(name, service_pods(cluster)), 30)
    # The request that was given up is counted now, once: it was sent once.
    assert count(URL) == before + 3


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
