"""Everything gives metrics, every panel and rule finds its figures, and the counts agree."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime

import pytest
from ansible_collections.counter.platform.plugins.module_utils.panels import DASHBOARDS, Panel
from lib.cluster import Cluster
from lib.command import execute
from lib.environment import PORT
from lib.lines import Lines
from lib.load import Load
from lib.paths import ROOT
from lib.prometheus import MONITORING, Prometheus
from lib.service import APP
from lib.wait import wait_for

JOBS = {
    "alertmanager", "apiserver", "cadvisor", "collector", "coredns", "counter", "counter-proxy", "kube-state-metrics",
    "kubelet", "log-host", "log-store", "metrics-server", "prometheus", "valkey",
}  # fmt: skip
PANELS = [pytest.param(panel, id=f"{board.name}: {panel.title}") for board in DASHBOARDS for panel in board.panels]


@pytest.fixture(scope="module")
def requests(prometheus: Prometheus) -> int:
    """Requests that were sent, read by Prometheus since, and in what its rules record."""
    load = Load(PORT).run(100)
    # Service and proxy are asked at moments of their own.
    both = "counter_requests_total{route='/'}", "haproxy_frontend_http_responses_total{proxy='clients'}"
    counted = " and ".join(f"sum(rate({metric}[30s])) > 0" for metric in both)
    wait_for("Prometheus to read of them", lambda: prometheus.query(counted), 60)
    recorded = "counter:errors:ratio_rate3d and on () counter:slow:ratio_rate3d"
    wait_for("what the rules record of them", lambda: prometheus.query(recorded), 60)
    return len(load.values)


def test_every_target_gives_metrics(prometheus: Prometheus) -> None:
    wait_for("every target", lambda: prometheus.scraped() == JOBS, 60)


@pytest.mark.parametrize("panel", PANELS)
def test_panel_has_values(prometheus: Prometheus, requests: int, panel: Panel) -> None:
    for query in panel.queries:
        expr = query.expr.replace("$__rate_interval", "60s")
        found = prometheus.query(expr)
        assert found, expr
        # A label that no legend shows would give two lines one name, once a pod is another.
        shown = set(re.findall(r"{{(\w+)}}", query.legend))
        assert all(set(labels) == shown and all(labels.values()) for labels, _ in found), found


def test_dashboards_are_where_grafanas_sidecar_looks(prometheus: Prometheus) -> None:
    maps = prometheus.cluster.get("configmaps", MONITORING, "--selector=grafana_dashboard=1")["items"]
    titles = {json.loads(text)["title"] for found in maps for text in found["data"].values()}
    assert titles == {board.title for board in DASHBOARDS}


def test_only_the_watchdog_fires(prometheus: Prometheus) -> None:
    wait_for("the watchdog", lambda: prometheus.told() == {"Watchdog"}, 60)
    assert prometheus.firing() == {"Watchdog"}


def test_sent_counted_stored_and_logged_requests_are_as_many_over_a_rollout(
    cluster: Cluster, prometheus: Prometheus
) -> None:
    # A pod that ends takes along what it counted after its last scrape. Valkey stays.
    increments = 'redis_commands_total{cmd="incr"}'
    quiet = "changes(redis_commands_total{cmd='incr'}[40s])"
    wait_for("what was counted before to be read", lambda: prometheus.value(quiet) == 0, 90)
    before, began = prometheus.value(increments), datetime.now(UTC)
    with Load(PORT).running() as load:
        cluster.kubectl("rollout", "restart", "deployment/counter", APP)
        cluster.kubectl("rollout", "status", "deployment/counter", APP, "--timeout=120s", timeout=130)
    load.check_exact()
    sent = len(load.values)
    assert max(load.values) - min(load.values) + 1 == sent
    wait_for("the increase", lambda: prometheus.value(increments) - before == sent, 60)
    of_them = f'_time:>={began:%Y-%m-%dT%H:%M:%SZ} logger:="counter.request" path:="/" status:="200"'
    lines = Lines(cluster)

    def logged() -> int:
        (row,) = lines.query(f"{of_them} | stats count() lines")
        return int(row["lines"])

    wait_for("a line of each", lambda: logged() == sent, 60)


def test_report_is_one_page_that_loads_nothing(prometheus: Prometheus, requests: int) -> None:
    page = ROOT / ".state/molecule/report/index.html"
    page.unlink(missing_ok=True)
    run = execute(
        "ansible-playbook", "-i", "inventories/local", "playbooks/report.yml", "-e", "platform_environment=molecule",
        "-e", f"platform_root={ROOT}", "-e", "report_span=10m",
    )  # fmt: skip
    assert run.status == 0, run.output
    assert ".state/molecule/report/index.html" in run.message()
    text = page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    assert all(f"<h3>{html.escape(panel.title)}</h3>" in text for board in DASHBOARDS for panel in board.panels)
    # A chart for light pages and one for dark ones, of each panel; and nothing from elsewhere.
    assert text.count("data:image/svg+xml;base64,") == 2 * sum(len(board.panels) for board in DASHBOARDS)
    assert not re.findall(r"""(?:src|href|srcset)=["'](?!data:)""", text)
    assert "no values" not in run.message()
