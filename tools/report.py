"""Write what Prometheus knows of a span of time as one page that needs nothing else.

With ``collections`` in ``PYTHONPATH``: ``python -m tools.report --help``. It asks Prometheus for every panel, through
the API server, and prints the panels that have no values.
"""

import argparse
import base64
import html
import json
import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from ansible_collections.counter.platform.plugins.module_utils.artifacts import write_whole
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run

from tools.charts import THEMES, Line, readable, svg

Json = dict[str, Any]

DASHBOARDS = Path(__file__).parents[1] / "roles/monitoring/files/dashboards.yml"
POINTS = 240
SECONDS = {"m": 60, "h": 3600, "d": 86400}

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

    def lines(self, query: Json, start: float, end: float, step: int) -> list[Line]:
        """Return what a query is between two times."""
        # As Grafana does: four scrapes at least, so that a scrape may be missed.
        expr = query["expr"].replace("$__rate_interval", f"{max(60, 4 * step)}s")
        found = self.ask("query_range", query=expr, start=start, end=end, step=step)["result"]
        return [
            Line(
                re.sub(r"{{(\w+)}}", lambda name: series["metric"].get(name[1], ""), query["legend"]),  # noqa: B023
                [(float(moment), float(value)) for moment, value in series["values"] if value != "NaN"],
            )
            for series in found
        ]


def picture(lines: list[Line], panel: Json, start: float, end: float, step: int) -> str:
    """Return a chart for either kind of page, as elements of HTML."""
    drawn = {name: svg(lines, panel["unit"], start, end, step, theme).encode() for name, theme in THEMES.items()}
    data = {name: "data:image/svg+xml;base64," + base64.b64encode(chart).decode() for name, chart in drawn.items()}
    alternative = html.escape(f"{panel['title']}: {panel['description']}")
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{data["dark"]}">'
    return f'<picture>{dark}<img alt="{alternative}" src="{data["light"]}"></picture>'


def figure(lines: list[Line], panel: Json, start: float, end: float, step: int) -> str:
    """Return a panel as an element of HTML: what it is, the chart, and its values in words."""
    rows = "".join(
        f"<tr><th>{html.escape(line.label)}</th>"
        + "".join(
            f"<td>{readable(value, panel['unit'])}</td>"
            for value in (min(v for _, v in line.points), max(v for _, v in line.points), line.points[-1][1])
        )
        + "</tr>"
        for line in lines
    )
    head = "<thead><tr><th></th><th>least</th><th>most</th><th>last</th></tr></thead>"
    table = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else ""
    title, description = (html.escape(panel[key]) for key in ("title", "description"))
    caption = f"<figcaption><h3>{title}</h3><p>{description}</p></figcaption>"
    return f"<figure>{caption}{picture(lines, panel, start, end, step)}{table}</figure>"


def page(prometheus: Prometheus, title: str, start: float, end: float) -> tuple[str, list[str]]:
    """Return the page, and the panels that have no values."""
    step = max(15, round((end - start) / POINTS))
    body, empty = [], []
    for dashboard in yaml.safe_load(DASHBOARDS.read_text()):
        figures = []
        for panel in dashboard["panels"]:
            found = [line for query in panel["queries"] for line in prometheus.lines(query, start, end, step)]
            lines = [line for line in found if line.points]
            if not lines:
                empty.append(f"{dashboard['title']}: {panel['title']}")
            figures.append(figure(lines, panel, start, end, step))
        heading = html.escape(dashboard["title"])
        body.append(f'<h2>{heading}</h2><div class="panels">{"".join(figures)}</div>')
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (start, end))
    return PAGE.format(title=html.escape(title), body="\n".join(body), start=first, end=last), empty


def seconds_of(span: str) -> int:
    """Return how long a span such as ``6h`` is, in seconds. Raises :class:`ValueError` for any other text."""
    found = re.fullmatch(r"([1-9][0-9]*)([mhd])", span)
    if found is None:
        raise ValueError(f"span is '{span}'; it has to be as in 30m, 6h or 2d")
    return int(found[1]) * SECONDS[found[2]]


def write(options: argparse.Namespace) -> list[str]:
    """Write the page, and return the panels that have no values.

    Raises :class:`ValueError` for another span, and :class:`CommandError` where Prometheus cannot be asked.
    """
    end = time.time()
    start = end - seconds_of(options.span)
    if not options.kubectl.exists():
        raise CommandError(f"Prometheus cannot be asked: there is no {options.kubectl}, which `make up` makes")
    prometheus = Prometheus([str(options.kubectl), f"--kubeconfig={options.kubeconfig}"], options.namespace)
    text, empty = page(prometheus, options.title, start, end)
    folder = options.file.parent
    folder.mkdir(exist_ok=True)
    write_whole(options.file, text)
    options.file.chmod(0o600)
    for path in (folder, options.file):
        os.chown(path, folder.parent.stat().st_uid, -1)
    return empty


def main(arguments: list[str]) -> int:
    """Write the page that the arguments ask for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "file",
        type=Path,
        help="the page, in a folder that is created; it belongs to the owner of the folder around that",
    )
    parser.add_argument("--kubectl", type=Path, required=True)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--namespace", required=True, help="of Prometheus")
    parser.add_argument("--span", default="1h", help="how far back the charts go, as in 30m, 6h or 2d")
    parser.add_argument("--title", required=True)
    try:
        print(*write(parser.parse_args(arguments)), sep="\n")
    except (CommandError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
