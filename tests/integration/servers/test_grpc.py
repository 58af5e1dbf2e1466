"""gRPC: errors of a grpcio server in this process, by grpc and grpc.aio."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Verdict, exponential, retry

grpc = pytest.importorskip("grpc", reason="grpcio is not installed: pip install grpcio")
aio = pytest.importorskip("grpc.aio")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=10, backoff=exponential(0.02, maximum=0.1))
TIMEOUT = 10.0
CODES = {
    "UNAVAILABLE": (T, True),
    "DEADLINE_EXCEEDED": (T, True),
    "RESOURCE_EXHAUSTED": (T, False),
    "ABORTED": (T, False),
    "CANCELLED": (P, True),
    "UNKNOWN": (P, True),
    "INTERNAL": (P, True),
    "DATA_LOSS": (P, True),
    "INVALID_ARGUMENT": (P, False),
    "NOT_FOUND": (P, False),
    "ALREADY_EXISTS": (P, False),
    "PERMISSION_DENIED": (P, False),
    "FAILED_PRECONDITION": (P, False),
    "OUT_OF_RANGE": (P, False),
    "UNIMPLEMENTED": (P, False),
    "UNAUTHENTICATED": (P, False),
}
"""What each of the 16 codes means when a server chooses it: AIP-194, and code.proto for what was done."""


def message(number: int, value: bytes | int) -> bytes:
    """A field of a Protocol Buffers message, of less than 128 bytes or less than 2**28."""
    if isinstance(value, bytes):
        return bytes([number << 3 | 2, len(value)]) + value
    digits = [value >> shift & 0x7F for shift in (0, 7, 14, 21, 28)]
    return bytes([number << 3, *(digit | 0x80 for digit in digits[:-1]), digits[-1]])


def retry_info(seconds: int, nanos: int) -> bytes:
    """A `google.rpc.Status` with a `google.rpc.RetryInfo`, as the trailer `grpc-status-details-bin` has it."""
    duration = message(1, seconds) + message(2, nanos)
    detail = message(1, b"type.googleapis.com/google.rpc.RetryInfo") + message(2, message(1, duration))
    return message(1, 14) + message(2, b"busy") + message(3, detail)


class Handler(grpc.GenericRpcHandler):  # type: ignore[name-defined,misc]
    """Answers each request as it asks to be answered."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.arrived = threading.Event()

    def service(self, details: Any) -> Any:
        """Know one method alone."""
        if details.method == "/test/Unary":
            return grpc.unary_unary_rpc_method_handler(self.answer)
        if details.method == "/test/Stream":
            return grpc.unary_stream_rpc_method_handler(self.stream)
        return None

    def answer(self, request: bytes, context: Any) -> bytes:
        """Fail, wait, or answer."""
        asked = json.loads(request)
        self.requests.append(asked)
        self.arrived.set()
        if asked.get("sleep"):
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait(asked["sleep"])
        if asked.get("bug"):
            raise ZeroDivisionError
        if asked.get("trailers"):
            context.set_trailing_metadata([(name, as_trailer(value)) for name, value in asked["trailers"].items()])
        if "code" in asked and len(self.requests) <= asked.get("times", 1_000_000):
            context.abort(getattr(grpc.StatusCode, asked["code"]), "as asked")
        return b"x" * int(asked.get("size", 1))

    def stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Give one answer, then do as `answer` does."""
        yield b"first"
        yield self.answer(request, context)


def as_trailer(value: str) -> str | bytes:
    """Text, or bytes in hexadecimal digits."""
    return bytes.fromhex(value[4:]) if value.startswith("hex:") else value


class Server:
    """A gRPC server on a port of its own."""

    def __init__(self, **options: Any) -> None:
        self.handler = Handler()
        self.server = grpc.server(ThreadPoolExecutor(4), handlers=[self.handler], **options)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def stop(self) -> None:
        """End it now, and the calls that are under way with it."""
        self.server.stop(0).wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that runs through all tests."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def another() -> Iterator[Callable[..., Server]]:
    """Starts servers that a test may end as it likes."""
    started: list[Server] = []

    def start(**options: Any) -> Server:
        started.append(Server(**options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


class Sync:
    """Calls with grpc."""

    name = "grpc"

    def __init__(self, loop: Any) -> None:
        self.loop = loop

    @contextmanager
    def channel(self, address: str, secure: bool, options: Any) -> Iterator[Any]:
        """Open a channel for one call."""
        if secure:
            with grpc.secure_channel(address, grpc.ssl_channel_credentials(), options) as channel:
                yield channel
        else:
            with grpc.insecure_channel(address, options) as channel:
                yield channel

    def call(
        self,
        address: str,
        *,
        method: str = "Unary",
        secure: bool = False,
        timeout: float = TIMEOUT,
        options: Any = None,
        **asked: Any,
    ) -> Any:
        """Make one call; with `stream`, take all answers."""
        with self.channel(address, secure, options) as channel:
            if method == "Stream":
                return list(channel.unary_stream("/test/Stream")(json.dumps(asked).encode(), timeout=timeout))
            return channel.unary_unary(f"/test/{method}")(json.dumps(asked).encode(), timeout=timeout)


class Async(Sync):
    """Calls with grpc.aio."""

    name = "grpc.aio"

    def call(
        self,
        address: str,
        *,
        method: str = "Unary",
        secure: bool = False,
        timeout: float = TIMEOUT,
        options: Any = None,
        **asked: Any,
    ) -> Any:
        async def main() -> Any:
            if secure:
                opened = aio.secure_channel(address, grpc.ssl_channel_credentials(), options)
            else:
                opened = aio.insecure_channel(address, options)
            async with opened as channel:
                request = json.dumps(asked).encode()
                if method == "Stream":
                    return [answer async for answer in channel.unary_stream("/test/Stream")(request, timeout=timeout)]
                return await channel.unary_unary(f"/test/{method}")(request, timeout=timeout)

        return self.loop(main)


@pytest.fixture(params=[Sync, Async], ids=["sync", "asyncio"])
def client(request: pytest.FixtureRequest, loop: Any) -> Sync:
    """Makes calls."""
    made: Sync = request.param(loop)
    return made


@pytest.fixture
def failed(client: Sync, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a call that fails."""

    def check(port: int | str, verdict: Verdict, *, applied: bool, hint: float | None = None, **asked: Any) -> None:
        address = port if isinstance(port, str) else f"127.0.0.1:{port}"
        with pytest.raises(grpc.RpcError) as caught:
            client.call(address, **asked)
        told(client.name, caught.value, verdict, applied=applied, retry_after=hint)

    return check


@pytest.mark.parametrize("method", ["Unary", "Stream"])
@pytest.mark.parametrize("code", CODES)
def test_code(server: Server, failed: Any, code: str, method: str) -> None:
    """Each code means what AIP-194 says of it, also after a first answer."""
    verdict, applied = CODES[code]
    failed(server.port, verdict, applied=applied, code=code, method=method)


@pytest.mark.parametrize(
    ("code", "trailer", "verdict", "hint", "applied"),
    [
        ("UNAVAILABLE", "250", T, 0.25, False),
        ("INTERNAL", "-1", P, None, True),
        ("UNAVAILABLE", "-1", P, None, False),
        ("UNAVAILABLE", "soon", P, None, False),
        ("INVALID_ARGUMENT", "250", P, None, False),
    ],
)
def test_pushback(
    server: Server, failed: Any, code: str, trailer: str, verdict: Verdict, hint: float | None, applied: bool
) -> None:
    """`grpc-retry-pushback-ms`: so many milliseconds, or never again; a permanent code stays permanent."""
    trailers = {"grpc-retry-pushback-ms": trailer}
    failed(server.port, verdict, applied=applied, hint=hint, code=code, trailers=trailers)


@pytest.mark.parametrize(
    ("code", "verdict", "hint", "applied"),
    [
        ("UNAVAILABLE", T, 3.5, True),
        ("RESOURCE_EXHAUSTED", T, 3.5, False),
        ("ABORTED", T, 3.5, False),
        ("NOT_FOUND", P, None, False),
    ],
)
def test_retry_info(
    server: Server, failed: Any, code: str, verdict: Verdict, hint: float | None, applied: bool
) -> None:
    """google.rpc.RetryInfo in the status details: wait as long; a permanent code stays permanent."""
    trailers = {"grpc-status-details-bin": "hex:" + retry_info(3, 500_000_000).hex()}
    failed(server.port, verdict, applied=applied, hint=hint, code=code, trailers=trailers)


def test_nothing_listens(host: Any, failed: Any) -> None:
    """A closed port: transient, and nothing was asked."""
    failed(host.unused_port(), T, applied=False)


def test_unknown_host(failed: Any) -> None:
    """A name that does not exist will not exist a second later."""
    failed("nowhere.invalid:443", P, applied=False)


def test_silent_port(host: Any, failed: Any) -> None:
    """A server that accepts and says nothing, until the call's own timeout; whether it heard anything cannot be told."""
    failed(host.listener(), T, applied=True, timeout=0.3)


def test_hangs_up(host: Any, failed: Any) -> None:
    """A server, or a proxy before it, that accepts and hangs up: no connection came about."""
    failed(host.listener(lambda connection: None), T, applied=False)


def test_other_protocol(host: Any, failed: Any) -> None:
    """What answers is an HTTP/1 server: no retry makes a gRPC server of it."""
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def greet(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(answer)

    failed(host.listener(greet), P, applied=False)


def test_no_tls(server: Server, failed: Any) -> None:
    """The client speaks TLS, and the server does not."""
    failed(server.port, P, applied=False, secure=True)


def test_deadline(server: Server, failed: Any) -> None:
    """The call's timeout ran out while the server worked on it."""
    failed(server.port, T, applied=True, timeout=0.2, sleep=TIMEOUT)


def test_server_ends(another: Any, failed: Any, meanwhile: Any) -> None:
    """The server ends under the call, which it may have carried out."""
    server = another()
    with meanwhile(lambda: server.handler.arrived.wait(TIMEOUT), server.stop):
        failed(server.port, T, applied=True, sleep=TIMEOUT)


def test_too_many_calls(another: Any, failed: Any, meanwhile: Any, loops: Any) -> None:
    """The server's own limit of calls at once: it refused, and others will end."""
    server = another(maximum_concurrent_rpcs=1)

    def occupy() -> None:
        with pytest.raises(grpc.RpcError):
            Sync(None).call(f"127.0.0.1:{server.port}", sleep=TIMEOUT)

    with meanwhile(occupy):
        assert server.handler.arrived.wait(TIMEOUT)
        failed(server.port, T, applied=False)
        server.stop()


def test_bug_in_the_server(server: Server, failed: Any) -> None:
    """UNKNOWN by an exception in the server's code: nobody knows what it had done by then."""
    failed(server.port, P, applied=True, bug=True)


def test_unknown_method(server: Server, failed: Any) -> None:
    """A method that the server does not have."""
    failed(server.port, P, applied=False, method="Nothing")


def test_too_large_an_answer(server: Server, failed: Any) -> None:
    """An answer above the client's limit: the server has done its work."""
    options = [("grpc.max_receive_message_length", 100)]
    failed(server.port, P, applied=True, options=options, size=1000)


def test_too_large_a_request(server: Server, failed: Any) -> None:
    """A request above the client's limit: it was never sent."""
    options = [("grpc.max_send_message_length", 100)]
    failed(server.port, P, applied=False, options=options, padding="x" * 1000)


def test_not_ready_in_time(host: Any, told: Any) -> None:
    """`channel_ready_future` waited in vain: the channel goes on trying."""
    with (
        grpc.insecure_channel(f"127.0.0.1:{host.unused_port()}") as channel,
        pytest.raises(grpc.FutureTimeoutError) as caught,
    ):
        grpc.channel_ready_future(channel).result(timeout=0.1)
    told("grpc", caught.value, T, applied=True)


def test_cancelled(server: Server, told: Any) -> None:
    """A call that its caller cancelled."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary("/test/Unary").future(json.dumps({"sleep": TIMEOUT}).encode())
        call.cancel()
        with pytest.raises(grpc.FutureCancelledError) as caught:
            call.result()
    told("grpc", caught.value, P, applied=True)


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_pushback_is_waited_for(another: Any, client: Sync) -> None:
    """A call is repeated after the wait that the server asked for, and succeeds."""
    server = another()
    began = time.monotonic()
    asked: dict[str, Any] = {"code": "UNAVAILABLE", "times": 1, "trailers": {"grpc-retry-pushback-ms": "300"}}
    assert QUICK.call(client.call, f"127.0.0.1:{server.port}", **asked) == b"x"
    assert len(server.handler.requests) == 2
    assert 0.3 <= time.monotonic() - began < 2


def test_permanent_code_is_tried_once(another: Any, client: Sync) -> None:
    """A permanent error reaches the caller after one call."""
    server = another()
    with pytest.raises(grpc.RpcError):
        QUICK.call(client.call, f"127.0.0.1:{server.port}", code="FAILED_PRECONDITION")
    assert len(server.handler.requests) == 1


def test_late_start_in_asyncio(host: Any, loop: Any) -> None:
    """A decorated coroutine function is repeated until the server is there."""
    port = host.unused_port()
    servers: list[Server] = []

    def listen(event: Any) -> None:
        if not servers:
            late = Server.__new__(Server)
            late.handler = Handler()
            late.server = grpc.server(ThreadPoolExecutor(1), handlers=[late.handler])
            assert late.server.add_insecure_port(f"127.0.0.1:{port}") == port
            late.server.start()
            servers.append(late)

    @QUICK(observers=[listen])
    async def call() -> bytes:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer: bytes = await channel.unary_unary("/test/Unary")(b"{}", timeout=TIMEOUT)
            return answer

    assert loop(call) == b"x"
    servers[0].stop()
