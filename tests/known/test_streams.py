"""Floor 1. Streams that end too early, and the plumbing of HTTP."""

from __future__ import annotations

import asyncio
import http.client

import pytest

from redouble import Verdict, classify


@pytest.mark.parametrize(
    "error",
    [
        EOFError(),
        asyncio.IncompleteReadError(b"half", 10),
        http.client.IncompleteRead(b"half", 5),
        http.client.RemoteDisconnected("closed without response"),
    ],
)
def test_cut_short(error: Exception) -> None:
    """The answer did not come to its end: try again, if the operation may be repeated."""
    found = classify(error)
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)


def test_asyncio_streams_for_real() -> None:
    """A StreamReader that ends early, and one whose separator never comes."""

    async def read(separator: bytes) -> bytes:
        reader = asyncio.StreamReader(limit=4)
        reader.feed_data(b"1234567890")
        reader.feed_eof()
        return await (reader.readexactly(20) if not separator else reader.readuntil(separator))

    with pytest.raises(asyncio.IncompleteReadError) as early:
        asyncio.run(read(b""))
    assert classify(early.value).reason == "asyncio.IncompleteReadError"
    with pytest.raises(asyncio.LimitOverrunError) as overrun:
        asyncio.run(read(b"\n"))
    assert classify(overrun.value).verdict is Verdict.PERMANENT


@pytest.mark.parametrize(
    "error",
    [
        http.client.CannotSendRequest("Request-sent"),
        http.client.CannotSendHeader(),
        http.client.ResponseNotReady("Idle"),
        http.client.BadStatusLine("SSH-2.0"),
        http.client.LineTooLong("header line"),
        http.client.InvalidURL("bad"),
        http.client.UnknownProtocol("HTTP/7"),
        http.client.NotConnected(),
        http.client.HTTPException("got more than 100 headers"),
    ],
)
def test_mistakes(error: Exception) -> None:
    """Calls in the wrong order and ports that do not speak HTTP do not heal."""
    assert classify(error).verdict is Verdict.PERMANENT
