"""Floor 1. The errors of websockets: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(name: str, *bases: type) -> Any:
    """A class that has the name of one of the client's."""
    return type(name, bases or (Exception,), {"__module__": "websockets.exceptions"})


BASE = kind("WebSocketException")
CLOSED = kind("ConnectionClosed", BASE)
handshake = kind("InvalidHandshake", BASE)
STATUS = kind("InvalidStatus", handshake)


class Headers:
    """As websockets' own: it gives pairs, and looking one up in vain is slow."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs = pairs

    def raw_items(self) -> Any:
        """All pairs, in order."""
        return iter(self.pairs)

    def get(self, name: str) -> str | None:
        """Not to be asked."""
        raise AssertionError(name)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def closed(received: Any, sent: Any = None) -> Any:
    """A connection that was closed."""
    error = CLOSED("x")
    error.rcvd = None if received is None else SimpleNamespace(code=received)
    error.sent = None if sent is None else SimpleNamespace(code=sent)
    return error


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ((1001, 1006, 1011, 1012, 1013, 1014), T),
        ((1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1015, 3000, 4000, 4999, 0), P),
    ],
)
def test_codes(codes: tuple[int, ...], verdict: Verdict) -> None:
    """The code that came decides, whatever the class says; a message may have been heeded."""
    for code in codes:
        found = ask(closed(code, sent=1000))
        assert found.verdict is verdict, code
        assert found.applied is (code != 1015)


@pytest.mark.parametrize(
    ("sent", "verdict"), [(None, T), (1000, T), (1011, T), (1002, P), (1009, P), (3000, T), ("1009", T)]
)
def test_no_code_that_came(sent: Any, verdict: Verdict) -> None:
    """Lost without a word, unless we ended it for what the other side had sent."""
    assert ask(closed(None, sent)).verdict is verdict
    assert ask(CLOSED("x")).verdict is T


@pytest.mark.parametrize(
    ("status", "headers", "verdict", "hint"),
    [
        (503, Headers(("Retry-After", "3"), ("Retry-After", "9")), T, 3.0),
        (429, {"retry-after": "3"}, T, 3.0),
        (500, None, T, None),
        (504, Headers(), T, None),
        (401, Headers(("Retry-After", "3")), P, None),
        (404, Headers(), P, None),
        (302, Headers(), P, None),
        (200, Headers(), P, None),
        ("503", None, P, None),
    ],
)
@pytest.mark.parametrize("name", ["InvalidStatus", "InvalidProxyStatus", "InvalidStatusCode"])
def test_handshakes(name: str, status: Any, headers: Any, verdict: Verdict, hint: float | None) -> None:
    """By the status; a server that refused a handshake was asked for nothing else."""
    error = kind(name, handshake)("x")
    if name == "InvalidStatusCode":
        error.status_code, error.headers = status, headers
    else:
        error.response = SimpleNamespace(status_code=status, headers=headers)
    found = ask(error)
    assert (found.verdict, found.applied, found.retry_after) == (verdict, False, hint)


@pytest.mark.parametrize(
    ("cause", "verdict"),
    [
        (EOFError("x"), T),
        (ConnectionResetError(), T),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), T),
        (ValueError("invalid HTTP status line"), P),
        (FileNotFoundError(errno.ENOENT, "x"), P),
        (None, P),
    ],
)
@pytest.mark.parametrize("name", ["InvalidMessage", "ProxyError"])
def test_answers_that_are_none(name: str, cause: Any, verdict: Verdict) -> None:
    """The cause tells whether the server hung up or speaks something else."""
    error = kind(name, handshake)("did not receive a valid HTTP response")
    error.__cause__ = cause
    found = ask(error)
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize(
    ("name", "base", "applied"),
    [
        ("InvalidURI", BASE, False),
        ("InvalidUpgrade", handshake, False),
        ("ConcurrencyError", BASE, False),
        ("ProtocolError", BASE, True),
        ("PayloadTooBig", BASE, True),
    ],
)
def test_the_others(name: str, base: Any, applied: bool) -> None:
    """All others are permanent."""
    found = ask(kind(name, base)("x"))
    assert (found.verdict, found.applied) == (P, applied)


def test_the_real_websockets() -> None:
    """The classes of websockets; with warnings as errors, so that `code` was not touched."""
    exceptions = pytest.importorskip("websockets.exceptions")
    from websockets.datastructures import Headers as RealHeaders
    from websockets.frames import Close
    from websockets.http11 import Response

    going = Close(1001, "going away")
    assert ask(exceptions.ConnectionClosedOK(going, going, True)).verdict is T
    assert ask(exceptions.ConnectionClosedError(None, None)).reason == "websockets.ConnectionClosedError [1006]"
    refused = exceptions.InvalidStatus(Response(503, "r", RealHeaders({"Retry-After": "3"})))
    assert (ask(refused).retry_after, ask(refused).applied) == (3.0, False)
