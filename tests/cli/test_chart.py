"""Pictures in a terminal: strips, bars and the progress bar, in what the terminal can show."""

from __future__ import annotations

import io

import pytest

from redouble.cli import chart
from redouble.cli.chart import Progress, Series, Span, Style

SERIES = [Series("yours", [0] * 15 + [12] * 8 + [24] * 7), Series("other", [1] * 30)]
SPAN = Span("outage", 6, 18)
PLAIN = Style(columns=40, blocks=False, colours=False)
BLOCKS = Style(columns=40, blocks=True, colours=False)
COLOURS = Style(columns=40, blocks=True, colours=True)


class Stream(io.StringIO):
    """An output that says it is a terminal, or not, and has an encoding."""

    def __init__(self, *, terminal: bool = True, encoding: str | None = "utf-8") -> None:
        super().__init__()
        self.terminal, self.told = terminal, encoding

    def isatty(self) -> bool:
        return self.terminal

    @property
    def encoding(self) -> str | None:  # type: ignore[override]
        return self.told


def test_strips_in_blocks() -> None:
    """Each series is three lines high, all of one scale, its name at the lowest; the span is beneath."""
    assert chart.strips("load", SERIES, SPAN, BLOCKS) == [
        "load (full height: 24)",
        "                                 ███████",
        "                         ▄▄▄▄▄▄▄▄███████",
        "  yours                  ███████████████",
        "",
        "",
        "  other  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁",
        "               |---outage--|        30 s",
    ]


def test_strips_in_ascii() -> None:
    """Where the encoding has no blocks, a series is one line of characters that grow darker."""
    lines = chart.strips("load", SERIES, SPAN, PLAIN)
    assert lines == [
        "load (full height: 24)",
        "  yours                  ========@@@@@@@",
        "  other  ...............................",
        "               |---outage--|        30 s",
    ]
    assert "".join(lines).isascii()


def test_strips_in_colours() -> None:
    """Each series has a colour of its own; lines without anything have none."""
    lines = chart.strips("load", SERIES, SPAN, COLOURS)
    assert lines[3] == "  yours  \x1b[32m                ███████████████\x1b[0m"
    assert lines[4] == ""
    assert lines[6].startswith("  other  \x1b[31m▁")


def test_what_is_above_zero_is_seen() -> None:
    """A value that would round to nothing has the least height, and zero has none."""
    assert [chart.height(value, 1000.0, 8) for value in (0, 0.001, 1, 1000)] == [0, 1, 1, 8]


def test_nothing_at_all() -> None:
    """Where every value is zero there is a scale nevertheless, and an empty strip."""
    assert chart.strips("load", [Series("yours", [0] * 30)], SPAN, PLAIN)[:2] == ["load (full height: 1)", "  yours"]
    assert chart.bars([("yours", 0.0)], "", PLAIN) == ["  yours   0"]


@pytest.mark.parametrize(("values", "width"), [(range(7), 3), (range(7), 7), (range(3), 10), ([5.0], 4)])
def test_bins(values: list[float], width: int) -> None:
    """However many values there are, each bin is their mean in its part, and lies between the least and the largest."""
    binned = chart.binned_to(values, width)
    assert len(binned) == width
    assert min(values) <= min(binned) <= max(binned) <= max(values)


@pytest.mark.parametrize(
    ("span", "line"),
    [
        (Span("outage", 20, 60), "    |outage|   100 s"),
        (Span("outage", 20, 40), "    |ou|       100 s"),
        (Span("outage", 20, 20), "    ||         100 s"),
        (Span("outage", 90, 100), "                  ||"),
        (Span("outage", 99, 200), "                    |"),
        (Span("outage", 0, 300), "|------outage------|"),
    ],
)
def test_the_ruler(span: Span, line: str) -> None:
    """The span is marked where it is and named as far as there is room; the length is told where it fits."""
    assert chart.ruler(100, span, 20) == line


def test_bars() -> None:
    """Bars have one scale, their names at the left and their numbers behind them."""
    rows = [("one", 10.0), ("two", 2500.0)]
    assert chart.bars(rows, " ms", PLAIN) == ["  one  # 10 ms", f"  two  {'#' * 24} 2,500 ms"]
    assert chart.bars(rows, " ms", COLOURS)[0] == "  one  \x1b[32m█\x1b[0m 10 ms"


@pytest.mark.parametrize(
    ("columns", "width"), [("80", 80), ("10", chart.NARROWEST), ("1000", chart.WIDEST), ("100", 100)]
)
def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """Pictures are as wide as the terminal, within reason."""
    monkeypatch.setenv("COLUMNS", columns)
    assert chart.style_of(Stream()).columns == width
    lines = chart.strips("load", SERIES, SPAN, chart.style_of(Stream(terminal=False)))
    assert max(map(len, lines)) == width


@pytest.mark.parametrize(
    ("encoding", "blocks"), [("utf-8", True), ("ascii", False), ("latin-1", False), (None, False), ("no such", False)]
)
def test_blocks_need_an_encoding(encoding: str | None, blocks: bool) -> None:
    """Blocks are drawn only where the output can encode them."""
    assert chart.style_of(Stream(encoding=encoding)).blocks is blocks


@pytest.mark.parametrize(
    ("terminal", "environment", "colours"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_who_gets_colours(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], colours: bool
) -> None:
    """Colours are for terminals, unless NO_COLOR is set to something or the terminal is dumb."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chart.style_of(Stream(terminal=terminal)).colours is colours


def test_progress_in_a_terminal() -> None:
    """A bar grows on one line, each percent once, and is wiped away at the end."""
    out = Stream()
    with Progress("yours", out) as progress:
        for share in (0.0, 0.001, 0.5, 0.5, 1.0):
            progress(share)
    shown = out.getvalue().split("\r")
    assert shown == [
        "",
        "yours [                    ]   0 %",
        "yours [##########          ]  50 %",
        "yours [####################] 100 %",
        "\x1b[K",
    ]


def test_progress_elsewhere_is_silent() -> None:
    """In a file or a pipe there is no bar."""
    out = Stream(terminal=False)
    with Progress("yours", out) as progress:
        progress(0.5)
    assert out.getvalue() == ""
