"""Panels, as dashboards of Grafana."""

import json
from typing import Any

from ansible.plugins.loader import lookup_loader

PANELS: list[dict[str, Any]] = [
    {
        "title": "Messages",
        "unit": "reqps",
        "description": "What arrives and what leaves.",
        "queries": [
            {"expr": "sum by (queue) (rate(received_total[$__rate_interval]))", "legend": "{{queue}} in"},
            {"expr": "sum by (queue) (rate(sent_total[$__rate_interval]))", "legend": "{{queue}} out"},
        ],
    },
    {
        "title": "CPU",
        "unit": "cores",
        "description": "Of all pods.",
        "queries": [{"expr": "sum(cpu_seconds_total)", "legend": "used"}],
    },
]


def test_each_panel_is_there_with_its_queries_and_its_unit() -> None:
    given = {"name": "queue", "title": "Mail: queue", "panels": PANELS}
    lookup = lookup_loader.get("counter.platform.dashboards")
    (written,) = lookup.run([given, {**given, "name": "other", "title": "Other", "panels": []}], tag="mail")
    found = {name: json.loads(text) for name, text in written.items()}
    assert {name: (board["title"], board["uid"], board["tags"]) for name, board in found.items()} == {
        "queue": ("Mail: queue", "mail-queue", ["mail"]),
        "other": ("Other", "mail-other", ["mail"]),
    }
    shown = [
        {
            "title": panel["title"],
            "unit": panel["fieldConfig"]["defaults"]["unit"],
            "description": panel["description"],
            "queries": [{"expr": target["expr"], "legend": target["legendFormat"]} for target in panel["targets"]],
        }
        for panel in found["queue"]["panels"]
    ]
    # Grafana has no unit of that name.
    assert shown == [PANELS[0], {**PANELS[1], "unit": "short"}]
    letters = [[target["refId"] for target in panel["targets"]] for panel in found["queue"]["panels"]]
    assert letters == [["A", "B"], ["A"]]
