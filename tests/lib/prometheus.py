"""Prometheus as it runs in the cluster, asked by way of the API server, and the alerts that reach Alertmanager."""

import json
import time
from urllib.parse import urlencode

from lib.cluster import Cluster
from lib.types import Json

MONITORING = "--namespace=monitoring"
STEP = 5
"""Seconds between two moments at which :meth:`Prometheus.fired` looks."""


class Prometheus:
    """The running Prometheus of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values that an expression has now."""
        found = self._ask("query", query=expr)
        return [(series["metric"], float(series["value"][1])) for series in found]

    def value(self, expr: str) -> float:
        """Return the only value of an expression, 0 where there is none."""
        values = [value for _, value in self.query(expr)]
        assert len(values) <= 1, values
        return values[0] if values else 0.0

    def oldest(self) -> float:
        """Return the time of the oldest figure of the last hour, in seconds since 1970."""
        return self.value("min_over_time(timestamp(up{job='prometheus'})[1h:15s])")

    def firing(self, *matchers: str) -> set[str]:
        """Return the names of the alerts that fire, of those whose labels match."""
        selected = ",".join(('alertstate="firing"', *matchers))
        return {labels["alertname"] for labels, _ in self.query(f"ALERTS{{{selected}}}")}

    def fired(self, since: float) -> dict[str, list[float]]:
        """Return the moments, ``STEP`` apart, at which each alert has fired since one; in seconds since 1970."""
        expr = 'count by (alertname) (ALERTS{alertstate="firing"})'
        found = self._ask("query_range", query=expr, start=str(since), end=str(time.time()), step=str(STEP))
        return {series["metric"]["alertname"]: [moment for moment, _ in series["values"]] for series in found}

    def told(self, *matchers: str) -> set[str]:
        """Return the names of the alerts on Alertmanager's page, of those whose labels match."""
        inside = ["exec", "alertmanager-0", MONITORING, "--", "amtool", "--alertmanager.url=http://127.0.0.1:9093"]
        alerts: list[Json] = json.loads(self.cluster.kubectl(*inside, "alert", "query", "--output=json", *matchers))
        return {alert["labels"]["alertname"] for alert in alerts}

    def scraped(self) -> set[str]:
        """Return the jobs all of whose targets give metrics."""
        up = self.query("min by (job) (up)")
        return {labels["job"] for labels, value in up if value == 1}

    def _ask(self, what: str, **parameters: str) -> list[Json]:
        # Kubelet is not on this way: it may be what an alert is about.
        path = f"/api/v1/namespaces/monitoring/pods/prometheus-0:9090/proxy/api/v1/{what}?{urlencode(parameters)}"
        found: list[Json] = json.loads(self.cluster.kubectl("get", f"--raw={path}"))["data"]["result"]
        return found
