"""What redouble's adapters make of a server that misbehaves, on loopback and in virtual time, and that the docs say so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

for _name in ("httpx", "requests", "urllib3", "aiohttp"):
    pytest.importorskip(_name, reason=f"{_name} is not installed: pip install {_name}")

from tests.integration.transports.misbehaviour import WAYS, MisbehavingServer, Way, observe  # after the skip
from tests.integration.transports.runs import OURS, virtual_waits

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "http-transports.md"

ONCE, TWICE, ALL = (), (0.05,), (0.05, 0.1)
EXPECTED: dict[str, tuple[int, tuple[float, ...], int | str]] = {
    "connection refused": (0, ALL, "error"),
    "reset before the request is read": (3, ALL, "error"),
    "reset after the request": (3, ALL, "error"),
    "reset within the headers": (3, ALL, "error"),
    "reset within the body": (3, ALL, "error"),
    "body cut short": (3, ALL, "error"),
    "no answer in time": (3, ALL, "error"),
    "body stalls": (3, ALL, "error"),
    "500 once": (2, TWICE, 200),
    "502 once": (2, TWICE, 200),
    "503 for ever": (3, ALL, 503),
    "503, Retry-After: 7": (2, (7.35,), 200),
    "503, Retry-After: a date in 7 s": (2, (7.35,), 200),
    "503, Retry-After: 0": (2, TWICE, 200),
    "503, Retry-After: 999999": (1, ONCE, 503),
    "503, Retry-After: soon": (2, TWICE, 200),
    "503, Retry-After: -5": (2, TWICE, 200),
    "429, Retry-After: 2": (2, (2.1,), 200),
    "408 once": (2, TWICE, 200),
    "421 once": (2, TWICE, 200),
    "425 once": (2, TWICE, 200),
    "404": (1, ONCE, 404),
    "not HTTP at all": (1, ONCE, "error"),
    "redirect, then a reset": (3, TWICE, 200),
    "kept connection closed at its next use": (3, TWICE, 200),
    "503 with a body of 3 MB, twice": (3, ALL, 200),
    "POST, reset after the request": (1, ONCE, "error"),
    "POST, 500": (1, ONCE, 500),
    "POST, 503 with Retry-After: 1": (2, (1.05,), 200),
    "POST with a key, 503": (2, TWICE, 200),
    "PUT of a file, 503": (2, TWICE, 200),
    "PUT of a generator, 503": (1, ONCE, 503),
}
"""Requests that reach the server, waits, and what the caller gets: alike for every client, but for what follows."""

PARTICULAR: dict[tuple[str, str], tuple[int, tuple[float, ...], int | str]] = {
    # httpx has one class for an answer that is no HTTP and for one that broke off.
    ("httpx", "not HTTP at all"): (3, ALL, "error"),
    ("httpx async", "not HTTP at all"): (3, ALL, "error"),
    # Each client has a limit of its own.
    ("httpx", "redirects without end"): (21, ONCE, "error"),
    ("httpx async", "redirects without end"): (21, ONCE, "error"),
    ("requests", "redirects without end"): (31, ONCE, "error"),
    ("urllib3", "redirects without end"): (4, ONCE, "error"),
    ("aiohttp", "redirects without end"): (10, ONCE, "error"),
}


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[MisbehavingServer]:
    """The server."""
    with MisbehavingServer() as server:
        yield server


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("client", OURS)
def test_what_an_adapter_makes_of_it(misbehaving: MisbehavingServer, client: str, way: Way) -> None:
    """So many requests, these waits, this outcome; no body is lost, and no connection but one is left open."""
    with virtual_waits() as waits:
        seen = observe(misbehaving, way, OURS[client], waits)
    outcome = "error" if isinstance(seen.got, str) else seen.got
    assert (seen.requests, seen.waits, outcome) == (PARTICULAR.get((client, way.name)) or EXPECTED[way.name])
    assert not seen.lost
    assert seen.left_open <= 1
    if client != "httpx async":
        assert column_of_redouble(client)[way.name] == seen.cell


def column_of_redouble(client: str) -> dict[str, str]:
    """The last column of the page's table for a client, by the first."""
    lines = PAGE.read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {client} |"))
    found = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[cells[0]] = cells[-1]
    return found
