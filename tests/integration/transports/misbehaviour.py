"""Ways in which an HTTP server misbehaves, and what a client makes of them: for the table of the transports.

A way is a list of acts for the server, and one request. `observe` plays it for a client, and tells how many requests
reached the server, which waits were made, what the caller got, and how many connections were left open.
"""

from __future__ import annotations

import gc
import io
import math
import socket
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from tests.integration.clients.flaky_server import (
    Act,
    FlakyServer,
    answer,
    closed_port,
    fall_silent,
    hang_up,
    head,
    reset,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0
"""Seconds that the clients wait for a server that answers."""

HASTE = 0.25
"""Seconds that they wait for one which says nothing."""

SETTLED = 0.5
"""Seconds that a connection has at most to be seen as closed."""

PAYLOAD = b"payload " * 4
BIG = b"x" * 3_000_000
OK = answer(200, body=b"done")
PART = head(200, ("Content-Length", "100")) + b"a part"


def redirect(to: str = "/next") -> Act:
    """A redirect."""
    return answer(302, (("Location", to),), b"")


def refuse(status: int, retry_after: str | None = None, body: bytes = b"{}") -> Act:
    """An answer that refuses, with or without a time to come back."""
    return answer(status, () if retry_after is None else (("Retry-After", retry_after),), body)


def refuse_until(seconds: int) -> Act:
    """A 503 whose Retry-After is a date, so many seconds from now."""

    def perform(connection: socket.socket) -> bool:
        now = math.ceil(time.time())
        dates = ("Date", formatdate(now, usegmt=True)), ("Retry-After", formatdate(now + seconds, usegmt=True))
        return answer(503, dates).perform(connection)

    return Act(perform)


@dataclass(frozen=True)
class Way:
    """One way to misbehave.

    Attributes:
        name: What the table says.
        acts: What the server does, one act a request; the last one is repeated.
        method: The request's method.
        key: Whether it bears an idempotency key.
        body: Its body: "bytes", "file", "generator", or empty for none.
        times: How many requests the caller makes, one after the other, with one client.
        refused: Whether nobody listens at all.
    """

    name: str
    acts: tuple[Act, ...] = (OK,)
    method: str = "GET"
    key: bool = False
    body: str = ""
    times: int = 1
    refused: bool = False


WAYS = (
    Way("connection refused", refused=True),
    Way("reset before the request is read", (reset(at_once=True),)),
    Way("reset after the request", (reset(),)),
    Way("reset within the headers", (reset(b"HTTP/1.1 200 OK\r\nContent-"),)),
    Way("reset within the body", (reset(PART),)),
    Way("body cut short", (hang_up(PART),)),
    Way("no answer in time", (fall_silent(),)),
    Way("body stalls", (fall_silent(PART),)),
    Way("500 once", (refuse(500), OK)),
    Way("502 once", (refuse(502), OK)),
    Way("503 for ever", (refuse(503),)),
    Way("503, Retry-After: 7", (refuse(503, "7"), OK)),
    Way("503, Retry-After: a date in 7 s", (refuse_until(7), OK)),
    Way("503, Retry-After: 0", (refuse(503, "0"), OK)),
    Way("503, Retry-After: 999999", (refuse(503, "999999"), OK)),
    Way("503, Retry-After: soon", (refuse(503, "soon"), OK)),
    Way("503, Retry-After: -5", (refuse(503, "-5"), OK)),
    Way("429, Retry-After: 2", (refuse(429, "2"), OK)),
    Way("408 once", (refuse(408), OK)),
    Way("421 once", (refuse(421), OK)),
    Way("425 once", (refuse(425), OK)),
    Way("404", (refuse(404),)),
    Way("not HTTP at all", (hang_up(b"220 mail.example.org ESMTP\r\n"),)),
    Way("redirects without end", (redirect(),)),
    Way("redirect, then a reset", (redirect(), reset(), OK)),
    Way("kept connection closed at its next use", (OK, hang_up(), OK), times=2),
    Way("503 with a body of 3 MB, twice", (refuse(503, body=BIG), refuse(503, body=BIG), OK)),
    Way("POST, reset after the request", (reset(), OK), "POST", body="bytes"),
    Way("POST, 500", (refuse(500), OK), "POST", body="bytes"),
    Way("POST, 503 with Retry-After: 1", (refuse(503, "1"), OK), "POST", body="bytes"),
    Way("POST with a key, 503", (refuse(503), OK), "POST", key=True, body="bytes"),
    Way("PUT of a file, 503", (refuse(503), OK), "PUT", body="file"),
    Way("PUT of a generator, 503", (refuse(503), OK), "PUT", body="generator"),
)


@dataclass
class Asked:
    """What a client is to do; it answers by the status of the last answer, after it has read that."""

    url: str
    method: str
    headers: dict[str, str]
    body: str
    times: int
    patience: float
    settle: Callable[[], None] = field(repr=False)  # to be called before the client is closed

    def content(self, *, is_async: bool = False) -> Any:
        """A new body."""
        if self.body == "file":
            return io.BytesIO(PAYLOAD)
        if self.body == "generator":
            return _chunks_async() if is_async else iter_chunks()
        return PAYLOAD if self.body else None


def iter_chunks() -> Any:
    """The payload, from a generator."""
    yield PAYLOAD[:7]
    yield PAYLOAD[7:]


async def _chunks_async() -> Any:
    for chunk in iter_chunks():
        yield chunk


@dataclass(frozen=True)
class Observed:
    """What came of a way.

    Attributes:
        requests: How many requests, or beginnings of one, reached the server.
        waits: Seconds between the attempts.
        got: The status of the answer, else the type of the error.
        left_open: How many connections were open when the caller was done, before the client was closed.
        lost: Whether a repeated request came without its body.
    """

    requests: int
    waits: tuple[float, ...]
    got: int | str
    left_open: int
    lost: bool

    @property
    def cell(self) -> str:
        """As the table shows it."""
        waits = f" ({', '.join(f'{each:.3g}' if each < 100 else f'{each:.0f}' for each in self.waits)})"
        extra = (", body lost" if self.lost else "") + (f", {self.left_open} open" if self.left_open > 1 else "")
        return f"{self.requests} → {self.got}{waits if self.waits else ''}{extra}"


class MisbehavingServer(FlakyServer):
    """As `FlakyServer`; it also counts the requests that it did not read to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = 0

    def _one(self, connection: socket.socket) -> bool:
        if self._acts[0].at_once and connection.recv(1, socket.MSG_PEEK):
            self.cut += 1
        return super()._one(connection)

    @property
    def open_connections(self) -> int:
        """How many the clients have not closed."""
        return len(self._open)

    def settled(self) -> int:
        """How many connections stay open: it takes a moment until the end of one is seen here."""
        gc.collect()
        ends = time.monotonic() + SETTLED
        while self.open_connections > 1 and time.monotonic() < ends:
            real_sleep(0.01)
        return self.open_connections


real_sleep = time.sleep


def observe(server: MisbehavingServer, way: Way, run: Callable[[Asked], int], waits: list[float]) -> Observed:
    """Play a way for a client; `waits` is where the waits are recorded, and is emptied first."""
    while server.open_connections:  # of the client before
        real_sleep(0.005)
    server.play(*way.acts)
    server.cut = 0
    waits.clear()
    left_open = 0

    def settle() -> None:
        nonlocal left_open
        left_open = server.settled()

    with closed_port() as nobody:
        url = f"http://127.0.0.1:{nobody}" if way.refused else server.url
        headers = {"Idempotency-Key": "order-7"} if way.key else {}
        patience = HASTE if any(act.silent for act in way.acts) else PATIENCE
        asked = Asked(url, way.method, headers, way.body, way.times, patience, settle)
        try:
            got: int | str = run(asked)
        except Exception as error:
            got = type(error).__name__
    lost = way.body != "" and any(b"payload" not in seen.body for seen in server.seen)
    made = tuple(round(each, 2) for each in waits)
    return Observed(len(server.seen) + server.cut, made, got, left_open, lost)
