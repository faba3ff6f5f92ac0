"""Alerts by their causes, made for real: each fires, is sent to the webhook, and clears.

Causes that a test cannot make, or not in minutes, are in tests/contracts/alerts_test.yml.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lib.cluster import Cluster
from lib.docker import docker
from lib.load import Load
from lib.network import answers
from lib.prometheus import Prometheus
from lib.report import write_figures
from lib.service import APP, OUTSIDE, PORT, READY, python_pod
from lib.wait import wait_for

HOOK_PORT = 9911


class Hook:
    """What Alertmanager has sent, by alert: when each status was told first, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], float] = {}

    def take(self, body: bytes) -> None:
        """Take one message."""
        for alert in json.loads(body)["alerts"]:
            self.seen.setdefault((alert["labels"]["alertname"], alert["status"]), time.monotonic())

    def has(self, status: str, names: set[str]) -> bool:
        """Return whether all of these have been told with this status."""
        return {(name, status) for name in names} <= set(self.seen)


@pytest.fixture(scope="module")
def hook(cluster: Cluster) -> Iterator[Hook]:
    """The receiver that the scenario's monitoring_webhook_url names: this machine, at the network's gateway."""
    told = Hook()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    (network,) = json.loads(docker("network", "inspect", "counter-molecule"))
    gateway = next(entry["Gateway"] for entry in network["IPAM"]["Config"] if ":" not in entry["Gateway"])
    with ThreadingHTTPServer((gateway, HOOK_PORT), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


def check(hook: Hook, causes: set[str], made: float, ended: float, seconds: int) -> None:
    """Wait until alerts have cleared; leave how many seconds after its cause came and went each fired and cleared."""
    wait_for(f"{', '.join(causes)} to clear", lambda: hook.has("resolved", causes), seconds)
    times = {
        name: [round(hook.seen[name, "firing"] - made), round(hook.seen[name, "resolved"] - ended)]
        for name in sorted(causes)
    }
    write_figures(f"alerts-{min(causes)}.json", {"fired and cleared after seconds": times})


def test_store_that_is_away_and_a_container_that_ends_again_and_again(
    cluster: Cluster, prometheus: Prometheus, hook: Hook
) -> None:
    causes = {"ValkeyDown", "CounterNotReady", "CounterErrorsBurnBudgetFast", "PodRestartsOften"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}})
    ending = python_pod("ending", OUTSIDE, {}, cluster.python_image())
    ending["spec"]["containers"][0]["command"] = ["python3", "-c", "raise SystemExit('out of ideas')"]
    made = time.monotonic()
    try:
        cluster.apply(ending)
        # Whoever holds a connection goes on to be answered, with 503.
        with Load(PORT, clients=100).running():
            cluster.kubectl("scale", "statefulset/counter-valkey", APP, "--replicas=0")
            time.sleep(15)
        # Alertmanager says nothing of what ValkeyDown explains: Prometheus has it all the same.
        missing = set(causes)

        def all_fired() -> bool:
            missing.difference_update(prometheus.firing())
            return not missing

        try:
            wait_for("all to fire", all_fired, 150)
        except TimeoutError as error:
            raise AssertionError(f"{', '.join(sorted(missing))} did not fire") from error
        wait_for("the webhook", lambda: hook.has("firing", {"ValkeyDown", "PodRestartsOften"}), 60)
    finally:
        cluster.kubectl("scale", "statefulset/counter-valkey", APP, "--replicas=1")
        cluster.kubectl("delete", "namespace", OUTSIDE)
    ended = time.monotonic()
    wait_for("the service", lambda: answers(READY), 60)
    check(hook, {"ValkeyDown"}, made, ended, 120)
