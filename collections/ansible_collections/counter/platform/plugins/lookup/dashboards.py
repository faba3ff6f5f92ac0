# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Grafana's dashboards, written by its own library from the table of panels."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dashboards
short_description: Grafana's dashboards of the platform
description:
  - Each panel of C(module_utils/panels.py) as a panel of Grafana's, in the form that its sidecar and its API take.
options: {}
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Write one of them
  ansible.builtin.copy:
    content: "{{ lookup('counter.platform.dashboards')['service'] }}"
    dest: service.json
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
from ansible_collections.counter.platform.plugins.module_utils.panels import DASHBOARDS, Dashboard, Panel
from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def chart(panel: Panel) -> timeseries.Panel:
    """Return a panel as Grafana's builder."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit("short" if panel.unit == "cores" else panel.unit)
        .datasource(DATASOURCE)
        .legend(legend.show_legend(True))
        .span(12)
        .height(8)
    )
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        built.with_target(prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend).range())
    return built


def written(dashboard: Dashboard) -> str:
    """Return a dashboard's JSON."""
    built = (
        builders.Dashboard(dashboard.title)
        .uid(f"counter-platform-{dashboard.name}")
        .tags(["counter-platform"])
        .time("now-1h", "now")
        .refresh("30s")
        .with_variable(builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for panel in dashboard.panels:
        built.with_panel(chart(panel))
    return str(JSONEncoder(sort_keys=True, indent=1).encode(built.build()))


class LookupModule(LookupBase):  # type: ignore[misc] # ansible ships no types
    """What Ansible asks for dashboards."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return them by their names."""
        self.set_options(var_options=variables, direct=kwargs)
        return [{dashboard.name: written(dashboard) for dashboard in DASHBOARDS}]
