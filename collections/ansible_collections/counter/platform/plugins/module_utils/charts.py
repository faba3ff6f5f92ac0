# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts over time as SVG, for a light and for a dark page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from math import nan
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, PercentFormatter

WIDTH, HEIGHT = 4.2, 2.6  # inches: as wide as a phone, so that its text is as large there as on a desk
LEGEND_LETTERS = 72  # in a row over the whole width, with 8 for each line's mark
LINES = ("-", "--", ":", "-.", (0, (1, 4)), (0, (8, 3)))
MARKERS = ("", "", "", "", "o", "s", "^", "D")


@dataclass(frozen=True)
class Theme:
    """Colours of a page; neighbours differ also for those who see few colours (Okabe and Ito's, dark and light)."""

    text: str
    grid: str
    lines: tuple[str, ...]


THEMES = {
    "light": Theme("#1f2328", "#d0d7de", ("#0072b2", "#b34700", "#00795a", "#8a3a6e", "#5c5c00", "#333333")),
    "dark": Theme("#e6edf3", "#3d444d", ("#56b4e9", "#e69f00", "#2fc99a", "#dd94bd", "#f0e442", "#cccccc")),
}


@dataclass(frozen=True)
class Line:
    """What is drawn as one line.

    Attributes:
        label: its name in the legend.
        points: times in seconds since 1970 and values, in the order of the times.
    """

    label: str
    points: Sequence[tuple[float, float]]


def readable(value: float, unit: str) -> str:
    """Return a value with its unit, as a person reads it; ``unit`` is one of :class:`panels.Panel`."""
    if unit == "percentunit":
        return f"{readable(value * 100, 'short')} %"
    if unit == "decbytes":
        return EngFormatter(unit="B", places=1)(value)
    if unit == "s":
        return EngFormatter(unit="s", places=1)(value)
    if unit == "reqps":
        return f"{value:.3g}/s"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


def _scale(axes: Axes, unit: str) -> None:
    if unit == "percentunit":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: readable(value, unit)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))


def day(time: float) -> float:
    """Return a time in seconds since 1970 as the days since then that matplotlib counts in."""
    return time / 86400


def with_gaps(points: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float]]:
    """Return points with one that is no number, at which a line breaks, where one or more are missing."""
    drawn: list[tuple[float, float]] = []
    for time, value in points:
        if drawn and time - drawn[-1][0] > 1.5 * step:
            drawn.append((time, nan))
        drawn.append((time, value))
    return drawn


def svg(lines: Sequence[Line], unit: str, start: float, end: float, step: float, theme: Theme) -> str:
    """Return a chart as SVG of its own, in UTC.

    Args:
        lines: what is drawn.
        unit: of their values, one of :class:`panels.Panel`.
        start: of the time that is shown, in seconds since 1970.
        end: of that time.
        step: seconds between two points of a line; where there are more, it had no value.
        theme: colours.
    """
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "counter-platform",
        "font.family": "sans-serif",
        "font.size": 8,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.text),
        "axes.edgecolor": theme.grid,
        "path.simplify": True,
    }
    with rc_context(settings):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        for number, line in enumerate(lines):
            points = with_gaps(line.points, step)
            axes.plot(
                [day(time) for time, _ in points],
                [value for _, value in points],
                label=line.label,
                color=theme.lines[number % len(theme.lines)],
                linestyle=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markevery=0.1,
                markersize=3,
                linewidth=1.4,
            )
        axes.set_xlim(day(start), day(end))
        values = [value for line in lines for _, value in line.points]
        low, high = axes.get_ylim()
        top = high if max(values, default=0) > 0 else 1
        # Room for a line at zero, and none for a scale below it where nothing is.
        axes.set_ylim(low if min(values, default=0) < 0 else -top / 30, top)
        locator = AutoDateLocator(tz=UTC, maxticks=6)  # type: ignore[no-untyped-call] # matplotlib's dates have no types
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        axes.set_xlabel("UTC")
        _scale(axes, unit)
        axes.grid(visible=True, color=theme.grid, linewidth=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if lines:
            longest = max(len(line.label) for line in lines)
            columns = max(1, min(3, LEGEND_LETTERS // (longest + 8)))
            figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=7)
        else:
            axes.text(0.5, 0.5, "no values in this time", transform=axes.transAxes, ha="center")
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()
