"""Draws the states of a link and of a page out of the tables by which they move.

    python docs/_ext/states.py

with redouble installed. Only the places of the states are written here; `tests/docs/test_states.py` holds the pictures to
the tables.
"""

from __future__ import annotations

from math import hypot
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from redouble.loops.link import MOVES as LINK
from redouble.loops.reading import MOVES as PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parents[1] / "how-to" / "states"

LINK_PLACES = {
    "IDLE": (90, 240),
    "CONNECTING": (450, 50),
    "WAITING": (410, 240),
    "PARKED": (590, 430),
    "CONNECTED": (860, 50),
    "CLOSING": (860, 430),
}
PAGE_PLACES = {
    "GIVEN": (90, 60),
    "OPEN": (350, 60),
    "DEALT_WITH": (680, 60),
    "FAILED": (350, 200),
    "COMMITTED": (680, 200),
}

WIDE, HIGH = 62, 20  # half the size of a state
AT = 0.36  # where the words of a move stand that has one back: nearer to its start, so that those of the other do not
STYLE = """
.page { fill: #ffffff } .state { fill: #ddf4ff; stroke: #0969da } .move { fill: none; stroke: #57606a }
.head { fill: #57606a } text { fill: #24292f; text-anchor: middle; dominant-baseline: central }
.why { font-size: 12px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .state { fill: #121d2f; stroke: #4493f8 } .move { stroke: #9198a1 }
.head { fill: #9198a1 } text { fill: #f0f6fc } .why { stroke: #0d1117 }
}"""


def drawing(title: str, places: Mapping[str, tuple[int, int]], moves: Mapping[tuple[Any, Any], str]) -> str:
    """Return a picture of some states, and of all moves between them."""
    width = max(x for x, _ in places.values()) + 110
    height = max(y for _, y in places.values()) + 60
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            ' font-family="system-ui, sans-serif" font-size="14">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
            *(move(places, start.name, end.name) for start, end in moves),
            *(why(places, start.name, end.name, words) for (start, end), words in moves.items()),
            *(state(name, *place) for name, place in places.items()),
            "</svg>\n",
        ]
    )


def state(name: str, x: int, y: int) -> str:
    """Draw a state."""
    box = f'<rect class="state" x="{x - WIDE}" y="{y - HIGH}" width="{2 * WIDE}" height="{2 * HIGH}" rx="8"/>'
    return f'{box}\n<text x="{x}" y="{y}">{name.replace("_", " ")}</text>'


def move(places: Mapping[str, tuple[int, int]], start: str, end: str) -> str:
    """Draw an arrow, bent to its right, so that one back has its own way."""
    (x0, y0), (xm, ym), (x1, y1) = way(places, start, end)
    return f'<path class="move" marker-end="url(#head)" d="M{x0:.0f} {y0:.0f}Q{xm:.0f} {ym:.0f} {x1:.0f} {y1:.0f}"/>'


def why(places: Mapping[str, tuple[int, int]], start: str, end: str, words: str) -> str:
    """Write beside an arrow what makes the move."""
    (x0, y0), (xm, ym), (x1, y1) = way(places, start, end)
    at = AT if (end, start) in {(start.name, end.name) for start, end in (*LINK, *PAGE)} else 0.5
    before, after = (1 - at) ** 2, at**2  # of a quadratic curve; the rest is that of the middle
    x = before * x0 + (1 - before - after) * xm + after * x1
    y = before * y0 + (1 - before - after) * ym + after * y1
    return f'<text class="why" x="{x:.0f}" y="{y:.0f}">{escape(words.replace("`", ""))}</text>'


def way(places: Mapping[str, tuple[int, int]], start: str, end: str) -> tuple[tuple[float, float], ...]:
    """Return where an arrow begins, by which point it is bent, and where it ends."""
    (xa, ya), (xb, yb) = places[start], places[end]
    long = hypot(xb - xa, yb - ya)
    bend = 26
    middle = (xa + xb) / 2 - (yb - ya) / long * bend, (ya + yb) / 2 + (xb - xa) / long * bend
    return edge((xa, ya), middle), middle, edge((xb, yb), middle)


def edge(at: tuple[int, int], towards: tuple[float, float]) -> tuple[float, float]:
    """Return where the line from the middle of a state to a point leaves its box."""
    dx, dy = towards[0] - at[0], towards[1] - at[1]
    share = min(WIDE / abs(dx) if dx else 9.0, HIGH / abs(dy) if dy else 9.0)
    return at[0] + share * dx, at[1] + share * dy


def pictures() -> Iterator[tuple[Path, str]]:
    """Give each picture, with its place."""
    yield FOLDER / "link.svg", drawing("The states of a link", LINK_PLACES, LINK)
    yield FOLDER / "page.svg", drawing("The states of a page", PAGE_PLACES, PAGE)


if __name__ == "__main__":
    for path, text in pictures():
        path.write_text(text, encoding="utf-8")
