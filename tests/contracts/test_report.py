"""Panels as charts for a browser and a reader; molecule/monitoring writes a report."""

import html
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from contracts.project import load

from tools import charts, report

START, END = 1_764_000_000.0, 1_764_003_600.0  # 2025-11-24 16:00 UTC and an hour later
STEP = 60
RISING = charts.Line("<one & other>", [(START + STEP * minute, minute / 100) for minute in range(60)])


def test_values_are_readable() -> None:
    expected = {
        (0.005, "percentunit"): "0.5 %",
        (-405, "percentunit"): "-40 500 %",
        (76_000_000, "decbytes"): "76.0 MB",
        (0.012, "s"): "12.0 ms",
        (0, "s"): "0.0 s",
        (12.345, "reqps"): "12.3/s",
        (123456, "short"): "123 456",
        (0.25, "cores"): "0.25",
    }
    assert {case: charts.readable(*case) for case in expected} == expected


def drawn(*lines: charts.Line, unit: str = "short", theme: str = "light") -> str:
    return charts.svg(lines, unit, START, END, STEP, charts.THEMES[theme])


def texts(chart: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", chart)]


@pytest.mark.parametrize("theme", charts.THEMES)
def test_chart_has_its_axes_and_its_legend_in_words(theme: str) -> None:
    chart = drawn(RISING, charts.Line("second", RISING.points), unit="percentunit", theme=theme)
    found = texts(chart)
    assert {"UTC", "<one & other>", "second", "16:15", "16:30", "16:45"} <= set(found)
    assert any(text.endswith("%") for text in found)
    # Lines are told apart without colour, too.
    assert chart.count("stroke-dasharray") >= 1


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-0.03, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 7e6, [0, 2e6, 4e6, 6e6]),
        (0, 3.1e-4, [0, 1e-4, 2e-4, 3e-4]),
    ],
)
def test_values_on_the_scale_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert charts.value_ticks(low, high) == pytest.approx(ticks)


def test_times_on_the_scale_are_round() -> None:
    expected = {
        1: ["16:00", "16:15", "16:30", "16:45", "17:00"],
        24: ["18:00", "Nov 25", "06:00", "12:00"],
        96: ["Nov 25", "Nov 26", "Nov 27", "Nov 28"],
    }
    words = {hours: [text for _, text in charts.time_ticks(START, START + 3600 * hours)] for hours in expected}
    assert words == expected


def test_chart_loads_nothing_and_is_the_same_again() -> None:
    first, second = (drawn(RISING, theme="dark") for _ in range(2))
    assert first == second
    assert 'href="http' not in first
    assert "<script" not in first


def test_line_breaks_where_there_was_no_value() -> None:
    def moves(points: Sequence[tuple[float, float]]) -> int:
        """Return how often a pen is put down for a line with these points, the axes' own being the same."""
        return drawn(charts.Line("line", points)).count("M")

    assert moves([*RISING.points[:10], *RISING.points[11:]]) == moves(RISING.points) + 1


def test_scale_goes_below_zero_where_values_do() -> None:
    below = set()
    for unit, value in itertools.product(("percentunit", "short", "s"), (0, 5, -5)):
        found = texts(drawn(charts.Line("line", [(START, value), (END, value)]), unit=unit))
        if any(text.startswith(("-", "−")) for text in found):  # noqa: RUF001 # a minus sign
            below.add((unit, value))
    assert below == {("percentunit", -5), ("short", -5), ("s", -5)}


def test_chart_without_values_says_so() -> None:
    assert "no values in this time" in texts(drawn())


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("1h", "Prometheus cannot be asked: there is no .*/kubectl, which `make up` makes"),
        ("week", "span is 'week'; it has to be as in 30m, 6h or 2d"),
    ],
)
def test_report_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], span: str, message: str
) -> None:
    given = [f"--kubectl={tmp_path}/kubectl", "--kubeconfig=none", "--namespace=monitoring", f"--span={span}"]
    assert report.main([*given, "--title=none", str(tmp_path / "index.html")]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_names_and_titles_of_dashboards_are_there_once() -> None:
    boards = load(report.DASHBOARDS)
    assert len({board["title"] for board in boards}) == len({board["name"] for board in boards}) == len(boards)
    for board in boards:
        assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"])
        assert all(panel["description"].endswith(".") for panel in board["panels"])
        # As many letters as the queries of one panel have.
        assert all(len(panel["queries"]) <= 6 for panel in board["panels"])
