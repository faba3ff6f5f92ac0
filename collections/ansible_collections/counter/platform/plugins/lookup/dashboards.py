# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Grafana's dashboards, written by its own library from panels."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dashboards
short_description: Panels as dashboards of Grafana
description:
  - Turns dashboards into the JSON that Grafana's sidecar and its API take.
options:
  _terms:
    description:
      - The dashboards. Each has C(name), C(title) and C(panels).
      - Each panel has C(title), C(unit) by Grafana's name, or C(cores), C(description) and C(queries).
      - Each query has C(expr) in PromQL, and the C(legend) of its lines.
    type: list
    elements: dict
    required: true
  tag:
    description: Tag of every dashboard, and what the UIDs begin with.
    type: str
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Write one of them
  ansible.builtin.copy:
    content: "{{ lookup('counter.platform.dashboards', *dashboards, tag='mail')['queue'] }}"
    dest: queue.json
    mode: "0644"
"""

RETURN = r"""
_raw:
  description: The JSON of each dashboard by its name.
  type: list
  elements: dict
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def chart(panel: dict[str, Any]) -> timeseries.Panel:
    """Return a panel as Grafana's builder."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = (
        timeseries.Panel()
        .title(panel["title"])
        .description(panel["description"])
        .unit("short" if panel["unit"] == "cores" else panel["unit"])
        .datasource(DATASOURCE)
        .legend(legend.show_legend(True))
        .span(12)
        .height(8)
    )
    for letter, query in zip("ABCDEF", panel["queries"], strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query["expr"]).legend_format(query["legend"]).range()
        built.with_target(target)
    return built


def written(dashboard: dict[str, Any], tag: str) -> str:
    """Return a dashboard's JSON."""
    built = (
        builders.Dashboard(dashboard["title"])
        .uid(f"{tag}-{dashboard['name']}")
        .tags([tag])
        .time("now-1h", "now")
        .refresh("30s")
        .with_variable(builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for panel in dashboard["panels"]:
        built.with_panel(chart(panel))
    return str(JSONEncoder(sort_keys=True, indent=1).encode(built.build()))


class LookupModule(LookupBase):  # type: ignore[misc] # ansible ships no types
    """What Ansible asks for dashboards."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return them by their names."""
        self.set_options(var_options=variables, direct=kwargs)
        tag = self.get_option("tag")
        return [{dashboard["name"]: written(dashboard, tag) for dashboard in terms}]
