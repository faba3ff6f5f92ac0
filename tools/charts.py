"""Charts over time as SVG, for a light and for a dark page."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

WIDTH, HEIGHT = 420, 260  # as wide as a phone, so that its text is as large there as on a desk
FONT = 11
LETTER = 0.56 * FONT  # the mean width of one in a sans-serif font
TOP, RIGHT, ROW = 10, 18, 15
LEGEND_LETTERS = 66  # in a row over the whole width, with 8 for each line's sample
VALUES, TIMES = 6, 5  # as many steps on an axis at most
MARK_EVERY = 10  # points of a line, where it has marks
LINES = ("", "6 3", "2 2", "6 2 2 2", "1 4", "9 3")
MARKS = (
    "", "", "", "",
    '<circle r="2.5"/>', '<rect x="-2.5" y="-2.5" width="5" height="5"/>', '<path d="m0-3 3 5.5h-6z"/>',
    '<path d="m0-3.5 3.5 3.5-3.5 3.5-3.5-3.5z"/>',
)  # fmt: skip
MINUTE, HOUR, DAY = 60, 3600, 86400
TIME_STEPS = [
    *(MINUTE * count for count in (1, 2, 5, 10, 15, 30)),
    *(HOUR * count for count in (1, 2, 3, 6, 12)),
    *(DAY * count for count in (1, 2, 5, 10, 30)),
]
PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


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


def with_prefix(value: float, unit: str) -> str:
    """Return a value with the SI prefix that leaves one to three digits before the point, as in ``12.0 ms``."""
    power = 3 * math.floor(math.log10(abs(value)) / 3) if value else 0
    power = min(max(power, min(PREFIXES)), max(PREFIXES))
    return f"{value / 10**power:.1f} {PREFIXES[power]}{unit}"


def readable(value: float, unit: str) -> str:
    """Return a value with its unit, as a person reads it; ``unit`` is that of a panel."""
    if unit == "percentunit":
        return f"{readable(value * 100, 'short')} %"
    if unit == "decbytes":
        return with_prefix(value, "B")
    if unit == "s":
        return with_prefix(value, "s")
    if unit == "reqps":
        return f"{value:.3g}/s"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


def value_ticks(low: float, high: float) -> list[float]:
    """Return round values between two, at most :data:`VALUES` steps of 1, 2, 2.5 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10((high - low) / VALUES))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if (high - low) / (power * factor) <= VALUES)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def time_ticks(start: float, end: float) -> Iterator[tuple[float, str]]:
    """Yield round times of UTC between two, and what is written below: the hour, at midnight the day."""
    step = next((step for step in TIME_STEPS if (end - start) / step <= TIMES), TIME_STEPS[-1])
    for number in range(math.ceil(start / step), math.floor(end / step) + 1):
        at = datetime.fromtimestamp(number * step, UTC)
        yield number * step, at.strftime("%b %-d" if number * step % DAY == 0 else "%H:%M")


def pieces(points: Sequence[tuple[float, float]], step: float) -> list[list[tuple[float, float]]]:
    """Return points in pieces, which end where one point or more is missing."""
    found: list[list[tuple[float, float]]] = []
    for time, value in points:
        if not found or time - found[-1][-1][0] > 1.5 * step:
            found.append([])
        found[-1].append((time, value))
    return found


def limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the ends of the scale: with room for a line at zero, and below it only where values are."""
    values = [value for line in lines for _, value in line.points if math.isfinite(value)]
    low, high = min(values, default=0), max(values, default=0)
    if low >= 0:
        top = 1.05 * high or 1
        return -top / 30, top
    room = 0.05 * (max(high, 0) - low)
    return low - room, max(high, 0) + room


@dataclass(frozen=True)
class Plot:
    """The rectangle that lines are drawn in.

    Attributes:
        left, bottom: corner of it, in the units of the drawing; the others are :data:`TOP` and :data:`RIGHT`.
        start, end: times at its sides.
        low, high: values at its bottom and top.
    """

    left: float
    bottom: float
    start: float
    end: float
    low: float
    high: float

    def x(self, time: float) -> float:
        """Return where a time is."""
        return self.left + (time - self.start) / (self.end - self.start) * (WIDTH - RIGHT - self.left)

    def y(self, value: float) -> float:
        """Return where a value is."""
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - TOP)

    def line(self, line: Line, number: int, step: float, theme: Theme) -> str:
        """Return a line as SVG."""
        finite = [(time, value) for time, value in line.points if math.isfinite(value)]
        drawn = [[(self.x(time), self.y(value)) for time, value in piece] for piece in pieces(finite, step)]
        # A point alone is as long as it is wide.
        path = "".join(
            "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) + ("h1.6" if len(piece) == 1 else "")
            for piece in drawn
        )
        mark = MARKS[number % len(MARKS)]
        places = [place for piece in drawn for place in piece][::MARK_EVERY] if mark else []
        marks = "".join(f'<g transform="translate({x:.1f} {y:.1f})">{mark}</g>' for x, y in places)
        colour = theme.lines[number % len(theme.lines)]
        return f'<path d="{path}" {stroke(number, theme)}/><g fill="{colour}">{marks}</g>'


def stroke(number: int, theme: Theme) -> str:
    """Return how the line of a number is drawn: neighbours differ without colour too."""
    dashes = LINES[number % len(LINES)]
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'fill="none" stroke="{theme.lines[number % len(theme.lines)]}" stroke-width="1.6"{pattern}'


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Return words as SVG."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def legend(lines: Sequence[Line], theme: Theme, bottom: float, columns: int) -> str:
    """Return the names of lines below a plot, in columns, each with a sample."""
    width = (WIDTH - 2 * RIGHT) / columns
    entries = []
    for number, line in enumerate(lines):
        x, y = RIGHT + number % columns * width, bottom + number // columns * ROW
        mark = f'<g transform="translate({x + 11} {y - 4})" fill="{theme.lines[number % len(theme.lines)]}">'
        entries.append(
            f'<path d="M{x:.1f} {y - 4:.1f}h22" {stroke(number, theme)}/>{mark}{MARKS[number % len(MARKS)]}</g>'
            + text(x + 28, y, line.label)
        )
    return "".join(entries)


def svg(lines: Sequence[Line], unit: str, start: float, end: float, step: float, theme: Theme) -> str:
    """Return a chart as SVG of its own, in UTC.

    Args:
        lines: what is drawn.
        unit: of their values, as a panel has it.
        start: of the time that is shown, in seconds since 1970.
        end: of that time.
        step: seconds between two points of a line; where there are more, it had no value.
        theme: colours.
    """
    columns = max(1, min(3, LEGEND_LETTERS // (max((len(line.label) for line in lines), default=0) + 8)))
    rows = math.ceil(len(lines) / columns)
    low, high = limits(lines)
    values = [(value, readable(value, unit)) for value in value_ticks(low, high)]
    left = 10 + LETTER * max(len(words) for _, words in values)
    plot = Plot(left, HEIGHT - 34 - ROW * rows, start, end, low, high)
    middle, right = (left + WIDTH - RIGHT) / 2, WIDTH - RIGHT
    times = [(plot.x(time), words) for time, words in time_ticks(start, end)]
    grid = "".join(
        [f"M{left:.1f} {plot.y(value):.1f}H{right}" for value, _ in values]
        + [f"M{x:.1f} {TOP}V{plot.bottom}" for x, _ in times]
    )
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"',
        f' font-family="sans-serif" font-size="{FONT}" fill="{theme.text}">',
        f'<path d="{grid}" stroke="{theme.grid}" stroke-width="0.6"/>',
        f'<path d="M{left:.1f} {TOP}V{plot.bottom}H{right}" fill="none" stroke="{theme.grid}"/>',
        *(text(left - 5, plot.y(value) + FONT / 3, words, "end") for value, words in values),
        *(text(x, plot.bottom + FONT + 4, words, "middle") for x, words in times),
        text(middle, plot.bottom + 2 * FONT + 6, "UTC", "middle"),
        *(plot.line(line, number, step, theme) for number, line in enumerate(lines)),
        legend(lines, theme, HEIGHT - ROW * rows + 9, columns),
        "" if lines else text(middle, (TOP + plot.bottom) / 2, "no values in this time", "middle"),
        "</svg>",
    ]
    return "".join(drawn)
