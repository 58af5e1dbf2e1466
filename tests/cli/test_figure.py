"""Pictures in files: SVG that is well formed and small, PNG through matplotlib, and what is said where neither works."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from redouble.cli import figure
from redouble.cli.chart import Series, Span
from redouble.cli.figure import Figure, Panel

SVG = "{http://www.w3.org/2000/svg}"
LINES = Figure(
    "Load & goodput",
    [
        Panel("load", [Series("yours <1>", [0.0, 50.0] * 120), Series("other", [100.0] * 240)]),
        Panel("goodput", [Series("yours <1>", [0.0] * 240), Series("other", [10.0] * 240)]),
    ],
    Span("outage", 60, 120),
)
BARS = Figure("Bars", [Panel("writes", [Series("one", [10.0]), Series("two", [2500.0])])])


def drawn(what: Figure) -> ET.Element:
    """The parsed SVG."""
    return ET.fromstring(figure.svg_of(what))


def texts(what: Figure) -> list[str]:
    """All that is written in the picture."""
    return [each.text or "" for each in drawn(what).iter(f"{SVG}text")]


def test_lines() -> None:
    """Each series is a line in each panel, the first on top; titles and names are there, escaped."""
    lines = [each.get("stroke") for each in drawn(LINES).iter(f"{SVG}polyline")]
    assert lines == [figure.COLOURS[1], figure.COLOURS[0]] * 2
    assert {"Load & goodput", "yours <1>", "other", "load", "goodput", "outage"} <= set(texts(LINES))
    assert [text for text in texts(LINES) if text.endswith(" s")] == ["0 s", "60 s", "120 s", "180 s", "240 s"] * 2


def test_points_lie_within_their_panel() -> None:
    """A line spans the width, the largest value is at the top of its panel and zero at its bottom."""
    first = next(iter(drawn(LINES).iter(f"{SVG}polyline")))
    points = [tuple(map(float, point.split(","))) for point in (first.get("points") or "").split()]
    assert len(points) == figure.POINTS
    assert {y for _, y in points} == {figure.TOP + 16.0}
    assert figure.LEFT < points[0][0] < points[-1][0] < figure.WIDTH - figure.RIGHT


def test_the_span_is_shaded() -> None:
    """The outage is a band from its beginning to its end."""
    bands = [each for each in drawn(LINES).iter(f"{SVG}rect") if each.get("fill") == "#ffebe9"]
    room = figure.WIDTH - figure.LEFT - figure.RIGHT
    assert [float(each.get("x", 0)) for each in bands] == [figure.LEFT + room / 4] * 2
    assert [float(each.get("width", 0)) for each in bands] == [room / 4] * 2


def test_bars() -> None:
    """Where there is no time, each series is a bar with its number and its name."""
    heights = [float(each.get("height", 0)) for each in drawn(BARS).iter(f"{SVG}rect")][1:]
    assert heights == pytest.approx([136 * 10 / 2500, 136], abs=0.1)
    assert texts(BARS) == ["Bars", "writes", "10", "one", "2,500", "two"]


def test_it_is_small_and_needs_nothing() -> None:
    """A picture is some kilobytes of text, without scripts and links."""
    text = figure.svg_of(LINES)
    assert len(text) < 12_000
    assert "script" not in text and "href" not in text and text.count("http") == 1


def test_files_are_written(tmp_path: Path) -> None:
    """The SVG is in the file that is named; without names nothing is written."""
    path = tmp_path / "out.svg"
    assert figure.save(LINES, str(path), None) == [str(path)]
    assert path.read_text(encoding="utf-8") == figure.svg_of(LINES)
    assert figure.save(LINES, None, None) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The message names the file and the reason."""
    path = tmp_path / "missing" / "out.svg"
    with pytest.raises(ValueError) as refused:
        figure.save(LINES, str(path), None)
    assert str(refused.value) == f"cannot write {path}: No such file or directory"


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib is missing the message says how to get it, and that SVG needs nothing."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(ValueError) as refused:
        figure.save(LINES, None, "out.png")
    assert str(refused.value) == "--png needs matplotlib: pip install 'redouble[plot]'; --svg needs nothing"


class Axes:
    """Notes what is drawn into it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **_: self.calls.append((name, args))


class Grid(list[Axes]):
    """As the array of axes that `subplots` makes."""

    def __getitem__(self, place: Any) -> Any:
        return list(self)


class Drawing:
    """Stands in for `matplotlib.figure.Figure`, whose calls it notes."""

    made: Drawing

    def __init__(self, **_: Any) -> None:
        Drawing.made = self
        self.axes: Grid = Grid()

    def suptitle(self, title: str) -> None:
        self.title = title

    def subplots(self, rows: int, *, squeeze: bool) -> Grid:
        self.axes.extend(Axes() for _ in range(rows))
        return self.axes

    def savefig(self, path: str, *, format: str) -> None:  # noqa: A002  # as matplotlib has it
        Path(path).write_text(f"{format} of {self.title}")


@pytest.fixture
def matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in where matplotlib would be."""
    monkeypatch.setitem(sys.modules, "matplotlib", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "matplotlib.figure", SimpleNamespace(Figure=Drawing))


@pytest.mark.usefixtures("matplotlib")
def test_png_of_lines(tmp_path: Path) -> None:
    """Matplotlib gets the same panels, series and span, the first series on top."""
    path = tmp_path / "out.png"
    assert figure.save(LINES, None, str(path)) == [str(path)]
    assert path.read_text() == "png of Load & goodput"
    calls = list.__getitem__(Drawing.made.axes, 0).calls
    assert [args[0] for name, args in calls if name == "plot"] == [[100.0] * 240, [0.0, 50.0] * 120]
    assert ("axvspan", (60, 120)) in calls


@pytest.mark.usefixtures("matplotlib")
def test_png_of_bars(tmp_path: Path) -> None:
    """Where there is no time, matplotlib draws bars."""
    figure.save(BARS, None, str(tmp_path / "out.png"))
    assert ("bar", (["one", "two"], [10.0, 2500.0])) in list.__getitem__(Drawing.made.axes, 0).calls


def test_png_with_matplotlib_itself(tmp_path: Path) -> None:
    """Where matplotlib is installed, what it writes is a PNG."""
    pytest.importorskip("matplotlib")
    for name, what in {"lines": LINES, "bars": BARS}.items():
        figure.save(what, None, str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
