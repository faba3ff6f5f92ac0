"""Everything gives metrics, and every panel and rule finds its figures."""

import html
import json
import re
from http.client import HTTPConnection

import pytest
import yaml
from lib.environment import NAME, PORT, playbook
from lib.paths import ROOT
from lib.prometheus import MONITORING, Prometheus
from lib.service import OUTSIDE
from lib.wait import wait_for, wait_until_none

DASHBOARDS = yaml.safe_load((ROOT / "roles/monitoring/files/dashboards.yml").read_text())
JOBS = {
    "alertmanager", "apiserver", "cadvisor", "collector", "coredns", "counter", "counter-probe", "counter-proxy",
    "kube-state-metrics", "kubelet", "log-host", "log-store", "metrics-server", "prometheus", "valkey",
}  # fmt: skip
# Its alert takes a minute: test_4_alerts.py comes when it is over.
pytestmark = pytest.mark.usefixtures("ending")


@pytest.fixture(scope="module")
def requests(prometheus: Prometheus) -> None:
    """Requests that Prometheus has read of, and that are in what its rules record.

    Those of HEAD are not counted: other tests look at the count meanwhile.
    """
    client = HTTPConnection("127.0.0.1", PORT, timeout=10)
    # Service and proxy are asked at moments of their own.
    both = "counter_requests_total{route='/'}", "haproxy_frontend_http_responses_total{proxy='clients'}"
    measured = " and ".join(f"sum(rate({metric}[30s])) > 0" for metric in both)

    def read() -> bool:
        # A series that is new has no rate before its next value.
        for _ in range(10):
            client.request("HEAD", "/")
            assert client.getresponse().read() == b""
        return bool(prometheus.query(measured))

    wait_for("Prometheus to read of them", read, 60)
    recorded = "counter:errors:ratio_rate3d and on () counter:slow:ratio_rate3d"
    wait_for("what the rules record of them", lambda: prometheus.query(recorded), 60)


def test_every_target_gives_metrics(prometheus: Prometheus) -> None:
    wait_for("every target", lambda: prometheus.scraped() == JOBS, 60)
    wait_for("the probe", lambda: prometheus.value("probe_success") == 1, 60)


def faults(prometheus: Prometheus) -> list[str]:
    """Return which queries of panels find nothing, or more lines than their legend has names for."""
    found = []
    panels = [panel for board in DASHBOARDS for panel in board["panels"]]
    for title, query in ((panel["title"], query) for panel in panels for query in panel["queries"]):
        series = [labels for labels, _ in prometheus.query(query["expr"].replace("$__rate_interval", "60s"))]
        # A label that no legend shows would give two lines one name, once a pod is another.
        shown = set(re.findall(r"{{(\w+)}}", query["legend"]))
        if not series or not all(set(labels) == shown and all(labels.values()) for labels in series):
            found.append(f"{title}: {query['expr']} has {series}")
    return found


def test_every_panel_has_values(prometheus: Prometheus, requests: None) -> None:
    # What another job has just replaced gives no rate yet.
    wait_until_none("panels without values", lambda: faults(prometheus), 60, every=5)


def test_dashboards_are_where_grafanas_sidecar_looks(prometheus: Prometheus) -> None:
    maps = prometheus.cluster.get("configmaps", MONITORING, "--selector=grafana_dashboard=1")["items"]
    titles = {json.loads(text)["title"] for found in maps for text in found["data"].values()}
    assert titles == {board["title"] for board in DASHBOARDS}


def test_only_the_watchdog_fires(prometheus: Prometheus) -> None:
    # That of the pod that ends again and again is looked at by test_4_alerts.py.
    others = f'namespace!~"{OUTSIDE}-ending-.*"'
    wait_until_none("other alerts, or no watchdog", lambda: prometheus.told(others) ^ {"Watchdog"}, 60)
    assert prometheus.firing(others) == {"Watchdog"}


def test_report_is_one_page_that_loads_nothing(requests: None) -> None:
    file = f".state/{NAME}/report/index.html"
    page = ROOT / file
    page.unlink(missing_ok=True)
    run = playbook("report", "-e", "report_span=10m").ok(file)
    text = page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    titles = [panel["title"] for board in DASHBOARDS for panel in board["panels"]]
    assert all(f"<h3>{html.escape(title)}</h3>" in text for title in titles)
    # A chart for light pages and one for dark ones, of each panel; and nothing from elsewhere.
    assert text.count("data:image/svg+xml;base64,") == 2 * len(titles)
    assert not re.findall(r"""(?:src|href|srcset)=["'](?!data:)""", text)
    assert "without values" not in run.message()
