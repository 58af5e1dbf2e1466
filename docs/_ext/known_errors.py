"""Writes the tables of docs/reference/known-errors.md anew out of the rows of the package.

    python docs/_ext/known_errors.py

with redouble installed. What stands above the mark in that page is written by hand, what stands below it is made here.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

import facts
import sources

from redouble.known.tables import everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.known.row import Row

PAGE = Path(__file__).parents[1] / "reference" / "known-errors.md"
MARK = "<!-- What follows is written by docs/_ext/known_errors.py: change the rows, not this. -->"

HEADERS = "response headers"
WAITS = {
    ("botocore", "ClientError"): HEADERS,
    ("google", "GoogleAPICallError"): f"{HEADERS}, RetryInfo",
    ("grpc", "RpcError"): "pushback, RetryInfo",
    ("pymongo", "PyMongoError"): "`baseBackoffMS`",
}
"""Where the wait that a server asks for is read, of the classes that do not simply have an HTTP status."""


def page() -> str:
    """The page as it should be: what stands above the mark, and the tables."""
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return "\n".join([f"{written}{MARK}", "", *tables()])


def tables() -> Iterator[str]:
    """The lines of all tables, each beneath the heading of its domain."""
    for module, rows in everything():
        about = facts.about(module)
        heading, colon, rest = about.partition(":")
        yield from (f"## {heading.rstrip('.')}", "", *([about, ""] if colon and rest else []))
        yield from table(rows)
        yield ""


def table(rows: tuple[Row, ...]) -> Iterator[str]:
    """The lines of one table; rows that say the same of several codes, or of several classes, share a line."""
    yield "| error | verdict | applied | wait | what it says | source |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for _, same in groupby(rows, key=lambda row: (row.package, row.name if row.code else "", *said(row))):
        yield line(list(same))


def said(row: Row) -> tuple[str, ...]:
    """What a row says, apart from what it says it of."""
    return (row.verdict.value, str(row.applied), wait(row), row.note, row.source)


def line(rows: list[Row]) -> str:
    """The line of rows that say the same."""
    first = rows[0]
    cells = (
        names(rows),
        f"`{first.verdict.name}`",
        "perhaps" if first.applied else "no",
        wait(first),
        first.note,
        sources.linked(first.source),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def names(rows: list[Row]) -> str:
    """The classes that the rows are about, or one class and its codes."""
    first = rows[0]
    if first.code:
        return f"`{first.package}.{first.name}`: " + ", ".join(f"`{row.code}`" for row in rows)
    return ", ".join(f"`{row.package}.{row.name}`" for row in rows)


def wait(row: Row) -> str:
    """What is read of the wait that a server asks for."""
    if row.verdict.value == "permanent":
        return ""
    if row.code.endswith("by status") or (row.package, row.name) == ("http", "status"):
        return WAITS.get((row.package, row.name), HEADERS)
    return WAITS.get((row.package, row.name), "") if row.code else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
