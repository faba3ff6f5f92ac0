"""Prometheus as it runs in the cluster, asked in its own pod, and the alerts that reach Alertmanager."""

from __future__ import annotations

import json

from lib.cluster import Cluster
from lib.types import Json

MONITORING = "--namespace=monitoring"


class Prometheus:
    """The running Prometheus of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values that an expression has now."""
        inside = ["exec", "prometheus-0", MONITORING, "--", "promtool", "query", "instant", "--format=json"]
        found: list[Json] = json.loads(self.cluster.kubectl(*inside, "http://127.0.0.1:9090", expr))
        return [(series["metric"], float(series["value"][1])) for series in found]

    def value(self, expr: str) -> float:
        """Return the only value of an expression, 0 where there is none."""
        values = [value for _, value in self.query(expr)]
        assert len(values) <= 1, values
        return values[0] if values else 0.0

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {labels["alertname"] for labels, _ in self.query('ALERTS{alertstate="firing"}')}

    def told(self) -> set[str]:
        """Return the names of the alerts on Alertmanager's page."""
        inside = ["exec", "alertmanager-0", MONITORING, "--", "amtool", "--alertmanager.url=http://127.0.0.1:9093"]
        alerts: list[Json] = json.loads(self.cluster.kubectl(*inside, "alert", "query", "--output=json"))
        return {alert["labels"]["alertname"] for alert in alerts}

    def scraped(self) -> set[str]:
        """Return the jobs all of whose targets give metrics."""
        up = self.query("min by (job) (up)")
        return {labels["job"] for labels, value in up if value == 1}
