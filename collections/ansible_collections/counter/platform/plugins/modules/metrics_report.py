#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Write what Prometheus knows of a span of time as one page that needs nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
module: metrics_report
short_description: The panels of the dashboards as one HTML page
description:
  - Asks Prometheus for every panel of C(module_utils/panels.py), through the API server, and writes the charts into one
    file that loads nothing from elsewhere.
options:
  kubectl:
    description: The kubectl command.
    type: path
    required: true
  kubeconfig:
    description: The kubeconfig.
    type: path
    required: true
  namespace:
    description: The namespace of Prometheus.
    type: str
    required: true
  span:
    description: How far back the charts go, as in V(30m), V(6h) or V(2d).
    type: str
    default: 1h
  title:
    description: The page's heading.
    type: str
    required: true
  dest:
    description: The file.
    type: path
    required: true
  owner:
    description: Number of the user whom the file shall belong to.
    type: int
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Write the last six hours
  counter.platform.metrics_report:
    kubectl: .state/local/bin/kubectl
    kubeconfig: .state/local/kubeconfig
    namespace: monitoring
    span: 6h
    title: local
    dest: .state/local/report/index.html
    owner: "{{ platform_owner }}"
"""

RETURN = r"""
empty:
  description: Panels that have no values in this time.
  returned: always
  type: list
  elements: str
"""

import base64
import html
import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible_collections.counter.platform.plugins.module_utils.artifacts import write_whole
from ansible_collections.counter.platform.plugins.module_utils.charts import THEMES, Line, readable, svg
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.panels import DASHBOARDS, Panel, Query

POINTS = 240
SECONDS = {"m": 60, "h": 3600, "d": 86400}

ARGUMENTS: dict[str, Any] = {
    "kubectl": {"type": "path", "required": True},
    "kubeconfig": {"type": "path", "required": True},
    "namespace": {"type": "str", "required": True},
    "span": {"type": "str", "default": "1h"},
    "title": {"type": "str", "required": True},
    "dest": {"type": "path", "required": True},
    "owner": {"type": "int", "required": True},
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 82rem; }}
h1 {{ font-size: 1.5rem; margin: 0; }}
h2 {{ font-size: 1.2rem; margin: 2rem 0 .5rem; }}
h3 {{ font-size: 1rem; margin: 0; }}
.panels {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }}
figure {{ margin: 0; padding: .75rem; border: 1px solid #8886; border-radius: .5rem; min-width: 0; }}
figure img {{ width: 100%; height: auto; display: block; }}
figcaption p {{ margin: 0 0 .25rem; font-size: .85rem; opacity: .85; }}
table {{ border-collapse: collapse; font-size: .8rem; width: 100%; }}
th, td {{ text-align: right; padding: .1rem .3rem; font-variant-numeric: tabular-nums; white-space: nowrap; }}
th:first-child {{ text-align: left; font-weight: normal; white-space: normal; overflow-wrap: anywhere; }}
thead th {{ font-weight: normal; opacity: .7; }}
</style>
<h1>{title}</h1>
<p>{start} to {end}, UTC</p>
{body}
</html>
"""


class Prometheus:
    """The Prometheus of a namespace, asked through the API server."""

    def __init__(self, kubectl: list[str], namespace: str) -> None:
        self._get = [*kubectl, "get", "--raw"]
        self._api = f"/api/v1/namespaces/{namespace}/services/prometheus:9090/proxy/api/v1"

    def ask(self, path: str, **values: Any) -> Any:
        """Return the data of an answer; raise :class:`CommandError` with kubectl's error if it fails."""
        try:
            return json.loads(run([*self._get, f"{self._api}/{path}?{urlencode(values)}"]))["data"]
        except CommandError as error:
            raise CommandError(f"Prometheus cannot be asked, and `make up` starts it: {error}") from error

    def lines(self, query: Query, start: float, end: float, step: int) -> list[Line]:
        """Return what a query is between two times."""
        # As Grafana does: four scrapes at least, so that a scrape may be missed.
        expr = query.expr.replace("$__rate_interval", f"{max(60, 4 * step)}s")
        found = self.ask("query_range", query=expr, start=start, end=end, step=step)["result"]
        return [
            Line(
                re.sub(r"{{(\w+)}}", lambda name: series["metric"].get(name[1], ""), query.legend),  # noqa: B023
                [(float(moment), float(value)) for moment, value in series["values"] if value != "NaN"],
            )
            for series in found
        ]


def picture(lines: list[Line], panel: Panel, start: float, end: float, step: int) -> str:
    """Return a chart for either kind of page, as elements of HTML."""
    drawn = {name: svg(lines, panel.unit, start, end, step, theme).encode() for name, theme in THEMES.items()}
    data = {name: "data:image/svg+xml;base64," + base64.b64encode(chart).decode() for name, chart in drawn.items()}
    alternative = html.escape(f"{panel.title}: {panel.description}")
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{data["dark"]}">'
    return f'<picture>{dark}<img alt="{alternative}" src="{data["light"]}"></picture>'


def figure(lines: list[Line], panel: Panel, start: float, end: float, step: int) -> str:
    """Return a panel as an element of HTML: what it is, the chart, and its values in words."""
    rows = "".join(
        f"<tr><th>{html.escape(line.label)}</th>"
        + "".join(
            f"<td>{readable(value, panel.unit)}</td>"
            for value in (min(v for _, v in line.points), max(v for _, v in line.points), line.points[-1][1])
        )
        + "</tr>"
        for line in lines
    )
    head = "<thead><tr><th></th><th>least</th><th>most</th><th>last</th></tr></thead>"
    table = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else ""
    caption = f"<figcaption><h3>{html.escape(panel.title)}</h3><p>{html.escape(panel.description)}</p></figcaption>"
    return f"<figure>{caption}{picture(lines, panel, start, end, step)}{table}</figure>"


def page(prometheus: Prometheus, title: str, start: float, end: float) -> tuple[str, list[str]]:
    """Return the page, and the panels that have no values."""
    step = max(15, round((end - start) / POINTS))
    body, empty = [], []
    for dashboard in DASHBOARDS:
        figures = []
        for panel in dashboard.panels:
            found = [line for query in panel.queries for line in prometheus.lines(query, start, end, step)]
            lines = [line for line in found if line.points]
            if not lines:
                empty.append(f"{dashboard.title}: {panel.title}")
            figures.append(figure(lines, panel, start, end, step))
        body.append(f'<h2>{html.escape(dashboard.title)}</h2><div class="panels">{"".join(figures)}</div>')
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (start, end))
    return PAGE.format(title=html.escape(title), body="\n".join(body), start=first, end=last), empty


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Write the page; return what RETURN says. Raises :class:`CommandError` where Prometheus cannot be asked."""
    span = re.fullmatch(r"([1-9][0-9]*)([mhd])", params["span"])
    if span is None:
        raise CommandError(f"span is '{params['span']}'; it has to be as in 30m, 6h or 2d")
    if check_mode:
        return {"changed": True, "empty": []}
    if not Path(params["kubectl"]).exists():
        raise CommandError(f"Prometheus cannot be asked: there is no {params['kubectl']}, which `make up` makes")
    end = time.time()
    kubectl = [params["kubectl"], f"--kubeconfig={params['kubeconfig']}"]
    prometheus = Prometheus(kubectl, params["namespace"])
    text, empty = page(prometheus, params["title"], end - int(span[1]) * SECONDS[span[2]], end)
    target = Path(params["dest"])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, text)
    target.chmod(0o600)
    for path in (target.parent, target):
        os.chown(path, params["owner"], -1)
    return {"changed": True, "empty": empty}


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
