"""On top of the floors: a figure of numbers over time, or of bars, as SVG (written here) or PNG (by matplotlib)."""

from __future__ import annotations

from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from redouble.cli.chart import Series, Span

COLOURS = ("#1a7f37", "#cf222e", "#6e7781", "#0969da", "#8250df", "#bf8700")
"""The colours of the series in their order, the same as in the terminal."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 760, 150, 56, 16, 40, 46
"""The sizes in the SVG, in pixels: the figure, one panel, and the margins."""

POINTS = 120
"""The points of a line: enough to show every turn, few enough for a small file."""


class Panel(NamedTuple):
    """Series over one another, or (where each of them has one value) bars."""

    title: str
    series: Sequence[Series]

    @property
    def top(self) -> float:
        """The largest value."""
        return max((max(each.values, default=0.0) for each in self.series), default=0.0) or 1.0


class Figure(NamedTuple):
    """A figure: panels one beneath the other; `span` is shaded, where the x axis is time."""

    title: str
    panels: Sequence[Panel]
    span: Span | None = None


def save(figure: Figure, svg: str | None, png: str | None) -> list[str]:
    """Write the files that are named; return their names.

    Raises:
        ValueError: When matplotlib is missing, or a file cannot be written.
    """
    written = []
    try:
        if svg is not None:
            Path(svg).write_text(svg_of(figure), encoding="utf-8")
            written.append(svg)
        if png is not None:
            _draw(figure, png)
            written.append(png)
    except OSError as error:
        raise ValueError(f"cannot write {error.filename or png}: {error.strerror or error}") from error
    return written


# SVG.


def svg_of(figure: Figure) -> str:
    """Return the figure as SVG: a few lines of text, without scripts, fonts or external resources."""
    height = TOP + len(figure.panels) * (HEIGHT + GAP) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#24292f">',
        f"<title>{escape(figure.title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-weight="600">{escape(figure.title)}</text>',
    ]
    if figure.span is not None:
        lines += _legend(figure.panels[0].series)
    for place, panel in enumerate(figure.panels):
        lines += _panel(panel, figure.span, TOP + 16 + place * (HEIGHT + GAP))
    return "\n".join([*lines, "</svg>", ""])


def _legend(named: Sequence[Series]) -> Iterator[str]:
    at = LEFT
    for place, series in enumerate(named):
        yield f'<rect x="{at}" y="26" width="10" height="10" fill="{_colour(place)}"/>'
        yield f'<text x="{at + 14}" y="35">{escape(series.label)}</text>'
        at += 30 + 7 * len(series.label)


def _panel(panel: Panel, span: Span | None, top: int) -> Iterator[str]:
    bottom, right = top + HEIGHT, WIDTH - RIGHT
    yield f'<text x="{LEFT}" y="{top - 4}" fill="#57606a">{escape(panel.title)}</text>'
    length = len(panel.series[0].values)
    if span is not None:
        first, last = (_x(min(length, place), length) for place in (span.first, span.last))
        yield f'<rect x="{_short(first)}" y="{top}" width="{_short(last - first)}" height="{HEIGHT}" fill="#ffebe9"/>'
        yield f'<text x="{_short(first + 4)}" y="{top + HEIGHT // 2}" fill="#82071e">{escape(span.label)}</text>'
    yield f'<path d="M{LEFT} {top}V{bottom}H{right}" fill="none" stroke="#8c959f"/>'
    if span is None:
        yield from _bars(panel, bottom)
        return
    for share in (0, 0.5, 1):
        y = bottom - share * HEIGHT
        yield f'<text x="{LEFT - 6}" y="{_short(y + 4)}" text-anchor="end">{share * panel.top:,.0f}</text>'
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, anchor = _short(_x(share * length, length)), "end" if share == 1 else "middle"
        yield f'<text x="{x}" y="{bottom + 15}" text-anchor="{anchor}">{share * length:g} s</text>'
    for place, series in reversed(list(enumerate(panel.series))):  # the first one lies on top of the others
        yield _line(series, panel.top, place, bottom)


def _line(series: Series, top: float, place: int, bottom: int) -> str:
    values, length = series.values, len(series.values)
    step = max(1, -(-length // POINTS))
    points = []
    for first in range(0, length, step):
        part = values[first : first + step]
        mean = sum(part) / len(part)
        points.append(f"{_short(_x(first + len(part) / 2, length))},{_short(bottom - mean / top * HEIGHT)}")
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{_colour(place)}" stroke-width="1.5"/>'


def _bars(panel: Panel, bottom: int) -> Iterator[str]:
    width = (WIDTH - LEFT - RIGHT) / len(panel.series)
    for place, series in enumerate(panel.series):
        high = _short(series.values[0] / panel.top * (HEIGHT - 14))
        x, y = _short(LEFT + (place + 0.2) * width), _short(bottom - float(high))
        yield f'<rect x="{x}" y="{y}" width="{_short(0.6 * width)}" height="{high}" fill="{_colour(place)}"/>'
        middle = _short(LEFT + (place + 0.5) * width)
        yield f'<text x="{middle}" y="{_short(float(y) - 3)}" text-anchor="middle">{series.values[0]:,.0f}</text>'
        yield f'<text x="{middle}" y="{bottom + 15}" text-anchor="middle">{escape(series.label)}</text>'


def _x(place: float, length: int) -> float:
    return LEFT + place / length * (WIDTH - LEFT - RIGHT)


def _short(number: float) -> str:
    """Return a number with at most one digit after the point: smaller parts of a pixel are not visible."""
    return f"{number:.1f}".removesuffix(".0")


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


# PNG.


def need_matplotlib() -> Any:
    """Import matplotlib, and return the module that draws.

    Raises:
        ValueError: When it is not installed; the message says how to get it.
    """
    try:
        return import_module("matplotlib.figure")
    except ImportError as error:
        raise ValueError("--png needs matplotlib: pip install 'redouble[plot]'; --svg needs nothing") from error


def _draw(figure: Figure, path: str) -> None:
    size = (WIDTH / 100, 2.2 * len(figure.panels))
    drawn = need_matplotlib().Figure(figsize=size, dpi=150, layout="constrained")
    drawn.suptitle(figure.title)
    for axes, panel in zip(drawn.subplots(len(figure.panels), squeeze=False)[:, 0], figure.panels, strict=True):
        _plot(axes, panel, figure.span)
    drawn.savefig(path, format="png")


def _plot(axes: Any, panel: Panel, span: Span | None) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9)
    if span is None:
        labels = [series.label for series in panel.series]
        axes.bar(labels, [series.values[0] for series in panel.series], color=COLOURS[: len(labels)])
        return
    axes.axvspan(span.first, span.last, color="#ffebe9")
    for place, series in reversed(list(enumerate(panel.series))):
        axes.plot(series.values, label=series.label, color=_colour(place), linewidth=1.2)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, loc="upper right")
