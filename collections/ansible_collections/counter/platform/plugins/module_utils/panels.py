# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""What is looked at: panels by what they are about, for Grafana's dashboards and for the report alike."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS = 'haproxy_frontend_http_responses_total{proxy="clients"'
SECONDS = 'counter_request_duration_seconds_bucket{route="/"}'
CPU = "rate(container_cpu_usage_seconds_total"
OF_THE_SERVICE = 'container=~"service|proxy",pod=~"counter-.+"'
OF_THE_AUTOSCALER = 'horizontalpodautoscaler="counter"'


@dataclass(frozen=True)
class Query:
    """One line or several in a panel.

    Attributes:
        expr: in PromQL; ``$__rate_interval`` stands for a window that fits the panel's step.
        legend: of each line, with its labels as in ``{{pod}}``.
    """

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A chart over time.

    Attributes:
        title: what it shows.
        unit: of its values, by Grafana's name: ``reqps`` a second, ``s``, ``decbytes``, ``percentunit`` of 1, or
            ``short`` for numbers, or ``cores``.
        description: how to read it.
        queries: what is drawn.
    """

    title: str
    unit: str
    description: str
    queries: tuple[Query, ...]


@dataclass(frozen=True)
class Dashboard:
    """Panels about one thing; its name is that of its file."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def quantile(share: float) -> Query:
    """Return the query of the time that a share of the service's answers stays below."""
    expr = f"histogram_quantile({share}, sum by (le) (rate({SECONDS}[$__rate_interval])))"
    return Query(expr, f"{share:.0%} at most")


DASHBOARDS = (
    Dashboard("service", "Counter: service", (
        Panel("Requests", "reqps", "What clients are answered by the proxies, by the class of the status.", (
            Query(f"sum by (code) (rate({REQUESTS}}}[$__rate_interval])) > 0", "{{code}}"),
        )),
        Panel("Errors", "percentunit", "The share of requests that failed. The objective is 0.1 % in 30 days.", (
            Query(
                f'sum(rate({REQUESTS},code="5xx"}}[$__rate_interval])) / sum(rate({REQUESTS}}}[$__rate_interval]))',
                "failed",
            ),
        )),
        Panel("Duration", "s", "How long the service's answers take. The objective is 99 % within 100 ms.", (
            quantile(0.5), quantile(0.95), quantile(0.99),
        )),
        Panel("Count", "short", "Numbers given out since the oldest of these pods started, by pod and together.", (
            Query('sum by (pod) (counter_requests_total{route="/",status="200"})', "{{pod}}"),
            Query('sum(counter_requests_total{route="/",status="200"})', "all"),
        )),
        Panel("Error budget left", "percentunit", "Of what may fail; below 0 the objective is missed.", (
            Query("1 - counter:errors:ratio_rate3d / 0.001", "errors, 3 days"),
            Query("1 - counter:slow:ratio_rate3d / 0.01", "latency, 3 days"),
        )),
        Panel("Connections", "short", "Connections that clients hold to each proxy, which takes 5000.", (
            Query('sum by (pod) (haproxy_frontend_current_sessions{proxy="clients"})', "{{pod}}"),
        )),
    )),
    Dashboard("autoscaler", "Counter: autoscaler", (
        Panel("CPU of the service's pods", "cores", "Of service and proxy together, by pod.", (
            Query(f"sum by (pod) ({CPU}{{{OF_THE_SERVICE}}}[$__rate_interval]))", "{{pod}}"),
        )),
        Panel("CPU against the target", "percentunit", "Of what was requested, and what the autoscaler aims at.", (
            Query(
                f"sum({CPU}{{{OF_THE_SERVICE}}}[$__rate_interval]))"
                f' / sum(kube_pod_container_resource_requests{{resource="cpu",{OF_THE_SERVICE}}})',
                "used",
            ),
            Query(
                f"max(kube_horizontalpodautoscaler_spec_target_metric{{{OF_THE_AUTOSCALER},"
                'metric_target_type="utilization"}) / 100', "target",
            ),
        )),
        Panel("Pods", "short", "Wanted by the autoscaler, ready, and the most that there may be.", (
            Query(f"max(kube_horizontalpodautoscaler_status_desired_replicas{{{OF_THE_AUTOSCALER}}})", "wanted"),
            Query('max(kube_deployment_status_replicas_ready{deployment="counter"})', "ready"),
            Query(f"max(kube_horizontalpodautoscaler_spec_max_replicas{{{OF_THE_AUTOSCALER}}})", "at most"),
        )),
    )),
    Dashboard("valkey", "Counter: Valkey", (
        Panel("Commands", "reqps", "What Valkey executes, by command.", (
            Query("sum by (cmd) (rate(redis_commands_total[$__rate_interval])) > 0", "{{cmd}}"),
        )),
        Panel("Time of a command", "s", "Mean of each command; an increment is on the disk before it ends.", (
            Query(
                "sum by (cmd) (rate(redis_commands_duration_seconds_total[$__rate_interval]))"
                " / (sum by (cmd) (rate(redis_commands_total[$__rate_interval])) > 0)", "{{cmd}}",
            ),
        )),
        Panel("Memory", "decbytes", "What Valkey holds, and its limit.", (
            Query("max(redis_memory_used_bytes)", "used"),
            Query('max(kube_pod_container_resource_limits{container="valkey",resource="memory"})', "limit"),
        )),
        Panel("Clients", "short", "Connections to Valkey.", (Query("max(redis_connected_clients)", "connected"),)),
        Panel("Disk left", "percentunit", "Of the disk that the volume is on.", (
            Query(
                'min(kubelet_volume_stats_available_bytes{persistentvolumeclaim="data-counter-valkey-0"}'
                " / (kubelet_volume_stats_available_bytes + kubelet_volume_stats_used_bytes))", "left",
            ),
        )),
    )),
    Dashboard("cluster", "Cluster", (
        Panel("CPU by namespace", "cores", "CPU that the containers of each namespace use.", (
            Query(f'sum by (namespace) ({CPU}{{container!=""}}[$__rate_interval]))', "{{namespace}}"),
        )),
        Panel("Memory by namespace", "decbytes", "Memory of containers that cannot be given back.", (
            Query('sum by (namespace) (container_memory_working_set_bytes{container!=""})', "{{namespace}}"),
        )),
        Panel("Restarts", "short", "Restarts of containers in the last hour.", (
            Query("sum by (namespace) (increase(kube_pod_container_status_restarts_total[1h]))", "{{namespace}}"),
        )),
        Panel("API server", "reqps", "Requests to the API server, by what is asked.", (
            Query("sum by (verb) (rate(apiserver_request_total[$__rate_interval])) > 0", "{{verb}}"),
        )),
        Panel("DNS", "reqps", "Answers of CoreDNS, by their code.", (
            Query("sum by (rcode) (rate(coredns_dns_responses_total[$__rate_interval]))", "{{rcode}}"),
        )),
        Panel("Targets without metrics", "short", "Of each job, those that cannot be asked.", (
            Query("sum by (job) (1 - up)", "{{job}}"),
        )),
        Panel("Alerts", "short", "Alerts that fire, by name.", (
            Query('sum by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),
        )),
    )),
    Dashboard("logs", "Logs", (
        Panel("Lines", "reqps", "Lines that collectors read, and records that the log store took or dropped.", (
            Query("sum(rate(otelcol_receiver_accepted_log_records_total[$__rate_interval]))", "read"),
            Query("sum(rate(vl_rows_ingested_total[$__rate_interval]))", "stored"),
            Query('sum(rate(vl_rows_dropped_total{reason!="debug"}[$__rate_interval]))', "dropped"),
        )),
        Panel("Collector's queue", "percentunit", "How full the queue on each node's disk is.", (
            Query("max by (pod) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "{{pod}}"),
        )),
        Panel("Log host's disk left", "percentunit", "Of each file system; lines are refused below a tenth.", (
            Query(
                'min by (mountpoint) (node_filesystem_avail_bytes{job="log-host"}'
                " / (node_filesystem_avail_bytes + node_filesystem_size_bytes - node_filesystem_free_bytes))",
                "{{mountpoint}}",
            ),
        )),
        Panel("Memory", "decbytes", "Of the log store, and of each collector.", (
            Query('max(process_resident_memory_bytes{job="log-store"})', "log store"),
            Query("max by (pod) (otelcol_process_memory_rss_bytes)", "{{pod}}"),
        )),
    )),
)  # fmt: skip
