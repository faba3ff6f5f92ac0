"""Alerts by their causes, made for real: each fires, is sent to the webhook, and clears.

The cause of one, a week without a backup, cannot be made: tests/contracts/alerts_test.yml has it, as it has all others
by their figures.
"""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lib import causes
from lib.cluster import Cluster
from lib.docker import docker
from lib.prometheus import STEP, Prometheus
from lib.report import report
from lib.rules import alerts
from lib.wait import wait_for

HOOK_PORT = 9911
Causes = dict[Callable[[Cluster], AbstractContextManager[None]], set[str]]
ERRORS, LATENCY = ({f"Counter{what}BurnBudgetFast", f"Counter{what}BurnBudgetSlowly"} for what in ("Errors", "Latency"))
AWAY: Causes = {
    causes.valkey_is_away: {"ValkeyDown", "CounterNotReady", *ERRORS},
    causes.container_ends_again_and_again: {"PodRestartsOften"},
}
# What is made together, and how many seconds it may take until all have fired.
GROUPS: list[tuple[Causes, float]] = [
    # While Valkey is away, answers are slow as well.
    ({causes.valkey_answers_slowly: LATENCY}, 60),
    (AWAY, 180),
    (
        {
            causes.certificate_of_the_log_host_ends_soon: {"LogHostCertificateEnds"},
            causes.certificate_of_a_client_ends_soon: {"ClusterCertificatesEnd"},
            causes.collector_is_away: {"NoLinesArrive"},
            causes.disk_of_the_log_host_fills: {"LogHostDiskFills"},
            causes.client_fills_valkeys_memory: {"ValkeyMemoryFills"},
            causes.pod_is_busy: {"AutoscalerAtMaximum"},
        },
        780,
    ),
    ({causes.log_host_is_away: {"TargetDown", "CollectorQueueFills"}}, 300),
    ({causes.kubelet_is_away: {"NodeNotReady"}}, 300),
    ({causes.volume_fills: {"VolumeFills"}}, 420),
]
# They clear when hours are over: shown by their figures.
FOR_HOURS = {"CounterErrorsBurnBudgetSlowly", "CounterLatencyBurnBudgetSlowly"}
NOT_HERE = {"Watchdog", "BackupTooOld"}


class Hook:
    """What Alertmanager has sent: alerts, each with a status."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def take(self, body: bytes) -> None:
        """Take one message."""
        self.seen |= {(alert["labels"]["alertname"], alert["status"]) for alert in json.loads(body)["alerts"]}

    def has(self, status: str, names: set[str]) -> bool:
        """Return whether all of these have been told with this status."""
        return {(name, status) for name in names} <= self.seen


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

    (network,) = json.loads(docker("network", "inspect", cluster.name))
    gateway = next(entry["Gateway"] for entry in network["IPAM"]["Config"] if ":" not in entry["Gateway"])
    with ThreadingHTTPServer((gateway, HOOK_PORT), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


@dataclass
class Made:
    """When the cause of each alert began and when it was taken away, in seconds since 1970."""

    cluster: Cluster
    prometheus: Prometheus
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def causes(self, causes: Causes, seconds: float) -> Iterator[None]:
        """Make causes, wait until the alerts of all fire, and take the causes away after the block."""
        with ExitStack() as stack:
            missing: set[str] = set()
            for cause, names in causes.items():
                assert not names & self.prometheus.firing(), "it fires before its cause"
                missing |= names
                self.began |= dict.fromkeys(names, time.time())
                stack.enter_context(cause(self.cluster))

            def all_fired() -> bool:
                missing.difference_update(self._moments())
                return not missing

            try:
                wait_for("all to fire", all_fired, seconds, every=5)
            except TimeoutError as error:
                raise AssertionError(f"{', '.join(sorted(missing))} did not fire in {seconds} s") from error
            yield
            self.ended |= {name: time.time() for names in causes.values() for name in names}

    def wait_until_cleared(self, names: set[str], seconds: float) -> None:
        """Wait until none of these fires."""
        still: set[str] = set()

        def cleared() -> bool:
            still.clear()
            still.update(names & self.prometheus.firing())
            return not still

        try:
            wait_for("all to clear", cleared, seconds, every=5)
        except TimeoutError as error:
            raise AssertionError(f"{', '.join(sorted(still))} did not clear in {seconds} s") from error

    def write(self) -> None:
        """Leave the table: seconds from the cause's begin to the alert, and from its end until it had cleared."""
        fires, fired = self.prometheus.firing(), self._moments()
        with report("alerts.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["alert", "fires after", "clears after"])
            for alert in sorted(self.began):
                first = last = fired[alert][0]
                # Another cause may have made it fire again.
                while last + STEP in fired[alert]:
                    last += STEP
                clears = "" if alert in fires else f"{max(0, last + STEP - self.ended[alert]):.0f}"
                table.writerow([alert, f"{first - self.began[alert]:.0f}", clears])

    def _moments(self) -> dict[str, list[float]]:
        """Return when each alert fired since its cause began; without those that did not."""
        fired = self.prometheus.fired(min(self.began.values()))
        since = {alert: [at for at in fired.get(alert, []) if at >= began] for alert, began in self.began.items()}
        return {alert: moments for alert, moments in since.items() if moments}


@pytest.fixture
def made(cluster: Cluster, prometheus: Prometheus) -> Made:
    """Causes that a test makes."""
    return Made(cluster, prometheus)


def test_store_that_is_away_and_a_container_that_ends_again_and_again(made: Made, hook: Hook) -> None:
    with made.causes(AWAY, 180):
        # Alertmanager says nothing of what ValkeyDown explains: Prometheus has it all the same.
        wait_for("the webhook", lambda: hook.has("firing", {"ValkeyDown", "PodRestartsOften"}), 60)
    made.wait_until_cleared({"ValkeyDown", "CounterNotReady"}, 60)
    wait_for("the webhook", lambda: hook.has("resolved", {"ValkeyDown"}), 120)
    made.write()


@pytest.mark.soak
def test_each_alert_fires_by_its_cause_and_clears(made: Made) -> None:
    for group, seconds in GROUPS:
        with made.causes(group, seconds):
            pass
    assert set(made.began) == set(alerts()) - NOT_HERE
    # The longest of their windows is that of the objective's second pair.
    made.wait_until_cleared(set(made.began) - FOR_HOURS, 2400)
    made.write()
