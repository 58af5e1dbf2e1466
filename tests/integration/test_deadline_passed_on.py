"""The code of the how-to on passing a deadline on, between two real ends: WSGI and gRPC on loopback, ASGI driven by hand."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from redouble import constant, deadline, outcome, remaining, retry
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "pass-a-deadline-on.md"

SLACK = 4.0
"""Seconds that a busy machine may take on top; the times that are told apart differ by more."""


@pytest.fixture(scope="module")
def code() -> SimpleNamespace:
    """What the snippets of the page define."""
    found: dict[str, Any] = {"__name__": "page"}
    with fake_time(draw=0.5):
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            if not block.startswith(">>>"):
                exec(block, found)
    return SimpleNamespace(**found)


class Quiet(WSGIRequestHandler):
    """Keeps its log to itself."""

    def log_message(self, *args: object) -> None: ...


@contextmanager
def served(app: Any) -> Iterator[int]:
    """A WSGI server on a port of loopback."""
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def get(port: int, headers: dict[str, str]) -> str:
    """The body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def left_of(environ: Any, start_response: Any) -> list[bytes]:
    """Answers with what is left of the request's time."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(remaining()).encode()]


def test_what_is_left_arrives_on_the_other_side(code: SimpleNamespace) -> None:
    """The receiver has what the caller has left, less what the way may take; without a header what the service allows."""
    with served(code.WsgiDeadline(left_of, most=99.0)) as port:
        with deadline(19):
            arrived = float(get(port, code.timeout_header()))
        assert 19 - code.ON_ITS_WAY - SLACK < arrived <= 19 - code.ON_ITS_WAY
        assert 99 - SLACK < float(get(port, code.timeout_header())) <= 99


@pytest.mark.parametrize(
    "value", ["-1", "nan", "inf", "1e999", "9" * 400, "5, 7", "0x10", "1_0", "\u0663".encode().decode("latin-1"), ""]
)
def test_a_hostile_header_is_no_header(code: SimpleNamespace, value: str) -> None:
    """Whatever is sent, the scope is one that the service allows."""
    with served(code.WsgiDeadline(left_of, most=99.0)) as port:
        assert 99 - SLACK < float(get(port, {code.HEADER: value})) <= 99


def test_retries_on_the_other_side_end_with_the_callers_time(code: SimpleNamespace) -> None:
    """A service that would retry for a minute gives up before its caller does."""
    ends = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            retry(attempts=100, backoff=constant(2)).call(fails)
        except ConnectionResetError as error:
            ends.append(outcome(error))
        return [b"a fallback"]

    def fails() -> None:
        raise ConnectionResetError("no database")

    with served(code.WsgiDeadline(app)) as port, deadline(5):
        assert get(port, code.timeout_header()) == "a fallback"
    assert ends[0].limit == "scope" and ends[0].elapsed < 5 - code.ON_ITS_WAY


def test_a_streamed_body_is_bounded_and_closed(code: SimpleNamespace) -> None:
    """What is made while it is sent is beneath the scope; its `close` is called."""
    closed = []

    class Streamed:
        def __iter__(self) -> Iterator[bytes]:
            yield repr(remaining()).encode()

        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Callable[..., object]) -> Streamed:
        start_response("200 OK", [])
        return Streamed()

    with served(code.WsgiDeadline(app)) as port:
        assert float(get(port, {code.HEADER: "7"})) <= 7
    assert closed == [True]
    assert remaining() is None


# ASGI, by hand: its servers hand an application a scope, and two functions.


async def answered(app: Any, *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
    """The messages that an application sends."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    await app({"type": "http", "headers": list(headers)}, receive, send)
    return sent


def test_asgi_opens_a_scope(code: SimpleNamespace) -> None:
    """The application has what the header says, or what the service allows."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "left": remaining()})

    with fake_time():
        wrapped = code.AsgiDeadline(app, most=9.0)
        for value, left in [(b"4", 4.0), (b"-4", 9.0), (b"\xff\xfe", 9.0), (b"99", 9.0)]:
            assert asyncio.run(answered(wrapped, (b"x-timeout-seconds", value)))[0]["left"] == left
        assert asyncio.run(answered(wrapped))[0]["left"] == 9.0


def test_asgi_passes_what_is_no_request(code: SimpleNamespace) -> None:
    """A lifespan and a WebSocket are bounded by nothing."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], remaining()))

    asyncio.run(code.AsgiDeadline(app)({"type": "lifespan"}, None, None))
    assert seen == [("lifespan", None)]


def test_asgi_cancels_when_the_time_is_over(code: SimpleNamespace) -> None:
    """The answer is a 504; one that has begun is broken off, and an application's own error passes."""
    begun = {"type": "http.response.start", "status": 200}

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    async def begins(scope: Any, receive: Any, send: Any) -> None:
        await send(begun)
        await asyncio.sleep(3600)

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        async with deadline(0.1):
            await asyncio.sleep(3600)

    with fake_time() as clock:
        header = (b"x-timeout-seconds", b"1")
        assert [each.get("status") for each in asyncio.run(answered(code.AsgiDeadline(hangs), header))] == [504, None]
        assert clock.now() == 1.0
        for app in (begins, breaks):
            with pytest.raises(TimeoutError):
                asyncio.run(answered(code.AsgiDeadline(app), header))


# gRPC.


def test_grpc_passes_its_own(code: SimpleNamespace) -> None:
    """A servicer's retries end with the caller's timeout; without one the service's own limit bounds them."""
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed: pip install grpcio")
    lefts: list[float | None] = []

    class Servicer:
        @code.bounded
        def answer(self, request: bytes, context: Any) -> bytes:
            lefts.append(remaining())
            return request

    servicer = Servicer()

    class Handler(grpc.GenericRpcHandler):  # type: ignore[name-defined,misc]
        def service(self, details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(servicer.answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask = channel.unary_unary("/test/Unary")
            with deadline(29):
                assert ask(b"x", timeout=remaining(at_most=19), wait_for_ready=True) == b"x"
            assert ask(b"y") == b"y"
    finally:
        server.stop(0).wait()
    first, second = lefts
    assert first is not None and 19 - SLACK < first <= 19
    assert second is not None and 30 - SLACK < second <= 30


def test_a_hung_servicer_lets_the_caller_go_in_time() -> None:
    """The caller's own end: gRPC answers DEADLINE_EXCEEDED when what is left is over."""
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed: pip install grpcio")
    release = threading.Event()

    class Handler(grpc.GenericRpcHandler):  # type: ignore[name-defined,misc]
        def service(self, details: Any) -> Any:
            def hang(request: bytes, context: Any) -> bytes:
                release.wait(20)
                return b""

            return grpc.unary_unary_rpc_method_handler(hang)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, deadline(0.5):
            grpc.channel_ready_future(channel).result(timeout=20)
            began = time.monotonic()
            with pytest.raises(grpc.RpcError) as caught:
                retry(attempts=5).call(lambda: channel.unary_unary("/test/Unary")(b"x", timeout=remaining()))
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert time.monotonic() - began < 0.5 + SLACK
    finally:
        release.set()
        server.stop(0).wait()
