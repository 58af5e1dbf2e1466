"""Floor 1. urllib's errors."""

from __future__ import annotations

import errno
import io
import socket
import ssl
import urllib.error
from email.message import Message
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors
from redouble.known.dispatch import Known


def answer(status: Any, headers: dict[str, str] | None = None, body: Any = None) -> urllib.error.HTTPError:
    """An HTTPError as urllib raises it."""
    message = Message()
    for name, value in (headers or {}).items():
        message[name] = value
    return urllib.error.HTTPError("http://x/?token=hunter2", status, "reason", message, body or io.BytesIO())


def ask(error: BaseException, known: Known = known_errors) -> Classification:
    """What the tables say, and they must say something."""
    found = known.ask(error)
    assert found is not None
    return found


def test_statuses_and_hints() -> None:
    """An HTTPError is judged by its status and its headers."""
    with answer(503, {"Retry-After": "2"}) as error:
        found = ask(error)
    assert (found.verdict, found.retry_after, found.applied) == (Verdict.TRANSIENT, 2.0, False)
    assert found.reason == "urllib.HTTPError 503"
    with answer(404) as error:
        assert ask(error).verdict is Verdict.PERMANENT


def test_dates_are_counted_from_the_wall_clock() -> None:
    """A Retry-After date needs a clock when the server sends no Date, and only then."""
    known = Known(wall=lambda: 784111777.0 - 30)
    with answer(429, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}) as error:
        assert ask(error, known).retry_after == 30.0
        error.headers["Date"] = "Sun, 06 Nov 1994 08:49:35 GMT"
        assert ask(error, known).retry_after == 2.0


def test_a_status_that_is_none() -> None:
    """An HTTPError without a status has no opinion."""
    with answer(None) as error:
        assert known_errors.ask(error) is None


def test_a_loaded_body_is_looked_at_and_left() -> None:
    """A pending login is recognised without consuming the body."""
    with answer(400, body=io.BytesIO(b'{"error":"authorization_pending"}')) as error:
        found = ask(error)
        assert error.read() == b'{"error":"authorization_pending"}'
    assert (found.verdict, found.applied) == (Verdict.PENDING, False)
    assert found.reason == "urllib.HTTPError 400 authorization_pending"


def test_a_stream_is_not_touched() -> None:
    """A body that is still on its way is not read: that could block, and would rob the caller."""
    stream = io.BufferedReader(io.BytesIO(b'{"error":"authorization_pending"}'))  # type: ignore[arg-type]
    with answer(400, body=stream) as error:
        assert ask(error).verdict is Verdict.PERMANENT
        assert stream.tell() == 0


def test_a_closed_body() -> None:
    """A body that was closed says nothing."""
    error = answer(400)
    error.close()
    assert ask(error).verdict is Verdict.PERMANENT


@pytest.mark.parametrize(
    ("reason", "verdict", "applied"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Verdict.TRANSIENT, False),
        (TimeoutError("timed out"), Verdict.TRANSIENT, False),
        (ConnectionResetError(), Verdict.TRANSIENT, True),
        (ssl.SSLEOFError(8, "EOF"), Verdict.TRANSIENT, False),
        (ssl.SSLCertVerificationError(1, "x"), Verdict.PERMANENT, False),
        (socket.gaierror(socket.EAI_AGAIN, "x"), Verdict.TRANSIENT, False),
        (socket.gaierror(socket.EAI_NONAME, "x"), Verdict.PERMANENT, False),
        (ValueError("x"), Verdict.PERMANENT, False),
        ("unknown url type: htp", Verdict.PERMANENT, False),
        (None, Verdict.PERMANENT, False),
    ],
)
def test_reasons(reason: Any, verdict: Verdict, applied: bool) -> None:
    """A URLError means what the error it carries means, in the time before the request was complete."""
    found = ask(urllib.error.URLError(reason))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_both_names_are_in_the_reason() -> None:
    """A reader sees what was carried, and by what."""
    found = ask(urllib.error.URLError(TimeoutError("timed out")))
    assert found.reason == "TimeoutError under urllib.URLError"


def test_a_download_that_was_cut() -> None:
    """A download got less than was announced."""
    found = ask(urllib.error.ContentTooShortError("retrieval incomplete", ("name", Message())))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)
