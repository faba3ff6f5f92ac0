"""Alerts by their causes, made for real: each fires, and clears.

The cause of one, a week without a backup, cannot be made: tests/contracts/alerts_test.yml has it, as it has all others
by their figures.
"""

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from operator import methodcaller

import pytest
from lib import causes
from lib.cluster import Cluster
from lib.prometheus import STEP, Prometheus
from lib.report import report
from lib.rules import alerts
from lib.wait import wait_for, wait_until_none
from lib.webhook import Webhook

Causes = dict[Callable[[Cluster], AbstractContextManager[None]], set[str]]
ERRORS, LATENCY = ({f"Counter{what}BurnBudgetFast", f"Counter{what}BurnBudgetSlowly"} for what in ("Errors", "Latency"))
AWAY: Causes = {causes.valkey_is_away: {"ValkeyDown", "CounterUnreachable", *ERRORS}}
# What is made together, and how many seconds it may take until all have fired.
GROUPS: list[tuple[Causes, float]] = [
    # While Valkey is away, answers are slow as well.
    ({causes.valkey_answers_slowly: LATENCY}, 60),
    (AWAY, 180),
    (
        {
            causes.certificate_of_the_log_host_ends_soon: {"LogHostCertificateEnds"},
            causes.certificate_of_a_client_ends_soon: {"ClusterCertificatesEnd"},
            methodcaller("without", "collector", "logging"): {"NoLinesArrive"},
            causes.lines_are_too_old: {"LogStoreDropsLines"},
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
RESTARTS = "PodRestartsOften"
NOT_HERE = {"Watchdog", "BackupTooOld", RESTARTS}


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
            names = set[str]().union(*causes.values())
            for cause, own in causes.items():
                assert not own & self.prometheus.firing(), "it fires before its cause"
                self.began |= dict.fromkeys(own, time.time())
                stack.enter_context(cause(self.cluster))
            wait_until_none("alerts that do not fire", lambda: names - self._moments().keys(), seconds, every=5)
            yield
            self.ended |= dict.fromkeys(names, time.time())

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


def test_container_that_ends_again_and_again_is_reported(hook: Webhook, ending: ExitStack) -> None:
    wait_for("the webhook", lambda: hook.has("firing", RESTARTS, namespace=causes.ENDING), 180)
    ending.close()


@pytest.mark.soak
def test_each_alert_fires_by_its_cause_and_clears(cluster: Cluster, prometheus: Prometheus, hook: Webhook) -> None:
    made = Made(cluster, prometheus)
    for group, seconds in GROUPS:
        with made.causes(group, seconds):
            if group is AWAY:
                # Alertmanager says nothing of what ValkeyDown explains: Prometheus has it all the same.
                wait_for("the webhook", lambda: hook.has("firing", "ValkeyDown"), 60)
    assert set(made.began) == set(alerts()) - NOT_HERE
    # The longest of their windows is that of the objective's second pair.
    clearing = {RESTARTS, *made.began} - FOR_HOURS
    wait_until_none("alerts that do not clear", lambda: clearing & prometheus.firing(), 2400, every=5)
    wait_for("the webhook", lambda: hook.has("resolved", "ValkeyDown"), 120)
    made.write()
