"""Panels, as dashboards of Grafana."""

import json

from ansible_collections.counter.platform.plugins.lookup.dashboards import LookupModule
from ansible_collections.counter.platform.plugins.module_utils.panels import DASHBOARDS


def test_each_panel_is_there_with_its_queries_and_its_unit() -> None:
    (written,) = LookupModule().run([])
    assert set(written) == {board.name for board in DASHBOARDS}
    for board in DASHBOARDS:
        found = json.loads(written[board.name])
        assert found["title"] == board.title
        panels = {panel["title"]: panel for panel in found["panels"]}
        assert list(panels) == [panel.title for panel in board.panels]
        for panel in board.panels:
            shown = panels[panel.title]
            assert [target["expr"] for target in shown["targets"]] == [query.expr for query in panel.queries]
            assert len({target["refId"] for target in shown["targets"]}) == len(panel.queries)
            assert shown["fieldConfig"]["defaults"]["unit"] == ("short" if panel.unit == "cores" else panel.unit)


def test_names_and_titles_are_there_once() -> None:
    assert len({board.title for board in DASHBOARDS}) == len({board.name for board in DASHBOARDS}) == len(DASHBOARDS)
    for board in DASHBOARDS:
        assert len({panel.title for panel in board.panels}) == len(board.panels)
        assert all(panel.description.endswith(".") for panel in board.panels)
