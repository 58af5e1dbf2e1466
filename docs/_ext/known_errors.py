"""Writes the pages of docs/reference/known-errors, and the list of them, anew out of the rows of the package.

    python docs/_ext/known_errors.py

with redouble installed. What stands above the mark in known-errors.md is written by hand; all else is made here.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

import facts
import sources

from redouble.known.tables import PLACES, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.known.row import Row

PAGE = Path(__file__).parents[1] / "reference" / "known-errors.md"
FOLDER = PAGE.with_suffix("")
MARK = "<!-- What follows is written by docs/_ext/known_errors.py: change the rows, not this. -->"
MADE = "<!-- Written by docs/_ext/known_errors.py: change the rows, not this. -->"
BADGES = {"transient": "↻ `TRANSIENT`", "permanent": "✕ `PERMANENT`", "pending": "… `PENDING`"}

HEADERS = "response headers"
WAITS = {
    ("botocore", "ClientError"): HEADERS,
    ("google", "GoogleAPICallError"): f"{HEADERS}, RetryInfo",
    ("grpc", "RpcError"): "pushback, RetryInfo",
    ("pymongo", "PyMongoError"): "`baseBackoffMS`",
}
"""Where the wait that a server asks for is read, of the classes that do not simply have an HTTP status."""


def page() -> str:
    """The page that lists the others, as it should be: what stands above the mark, and a line for each client."""
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return "\n".join(
        [f"{written}{MARK}", "", *listed(), "", "```{toctree}", ":hidden:", "", *names_of_pages(), "```", ""]
    )


def listed() -> Iterator[str]:
    """The lines of the list: each client, and how many of its rows say that an error may pass or stays."""
    yield "| client | ↻ transient | ✕ permanent | what its table goes by |"
    yield "| --- | --- | --- | --- |"
    for module, rows in everything():
        counts = [str(sum(row.verdict.value == verdict for row in rows)) for verdict in ("transient", "permanent")]
        yield f"| [{title(module)}](known-errors/{name(module)}.md) | {' | '.join(counts)} | {facts.about(module)} |"


def names_of_pages() -> Iterator[str]:
    """The entries of the table of contents."""
    return (f"known-errors/{name(module)}" for module, _ in everything())


def pages() -> dict[str, str]:
    """The page of each client, by its file name."""
    return {f"{name(module)}.md": "\n".join(client(module, rows)) for module, rows in everything()}


def client(module: str, rows: tuple[Row, ...]) -> Iterator[str]:
    """The lines of the page of one client."""
    yield from (MADE, "", f"# Errors of {title(module)}: which are retried", "", facts.about(module), "")
    yield "↻ may pass, and is tried again; ✕ stays, and is not; … is not ready, and is asked for again. *applied*:"
    yield "[whether the failed attempt may have taken effect](../known-errors.md)."
    yield ""
    yield from table(rows)
    yield ""


def name(module: str) -> str:
    """The last part of the name of a module."""
    return module.rpartition(".")[2]


def title(module: str) -> str:
    """The packages that a table is about, as their users call them."""
    found = [package for package, place in PLACES.items() if place == name(module)]
    return {"http_status": "HTTP statuses", "sqlstate": "SQLSTATE", "builtins": "Python"}.get(
        name(module), ", ".join(found)
    )


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
        BADGES[first.verdict.value],
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


def write() -> None:
    """Write all pages, and delete those of tables that are no more."""
    PAGE.write_text(page(), encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for file, text in made.items():
        (FOLDER / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
