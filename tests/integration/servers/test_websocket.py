"""WebSocket: errors of a real server, by the synchronous and the asyncio client of websockets."""

from __future__ import annotations

import http
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from redouble import Verdict, exponential, retry

websockets = pytest.importorskip("websockets", reason="websockets is not installed: pip install websockets")
sync_client = pytest.importorskip("websockets.sync.client")
sync_server = pytest.importorskip("websockets.sync.server")
asyncio_client = pytest.importorskip("websockets.asyncio.client")
protocol = pytest.importorskip("websockets.server")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=10, backoff=exponential(0.02, maximum=0.1))
CLOSING = {
    1001: T,  # going away, says RFC 6455 7.4.1: "a server going down"
    1011: T,  # an unexpected condition
    1012: T,  # IANA: service restart
    1013: T,  # IANA: try again later
    1014: T,  # IANA: bad gateway
    1000: P,  # the purpose is fulfilled
    1002: P,  # a protocol error
    1003: P,  # data of a kind that is not accepted
    1007: P,  # data that is not what it says it is
    1008: P,  # against a policy
    1009: P,  # too big
    1010: P,  # an extension that the server does not have
    3000: P,  # unauthorized, as registered with IANA
    4000: P,  # what the application says it means
    4999: P,
}
STATUSES = {
    (401, None): (P, None),
    (403, None): (P, None),
    (404, None): (P, None),
    (404, "1"): (P, None),
    (429, "7"): (T, 7.0),
    (429, None): (T, None),
    (500, None): (T, None),
    (502, None): (T, None),
    (503, "3"): (T, 3.0),
    (503, None): (T, None),
    (504, None): (T, None),
    (301, None): (P, None),
}


class Server:
    """A WebSocket server that does with each connection what its path says: /close/1001, /status/503?Retry-After=3."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.server = sync_server.serve(
            self.talk, "127.0.0.1", 0, process_request=self.answer, max_size=100, compression=None
        )
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def answer(self, connection: Any, request: Any) -> Any:
        """Refuse the handshake where that was asked for."""
        self.paths.append(request.path)
        url = urlsplit(request.path)
        _, what, *args = url.path.split("/")
        if what == "status" and self.paths.count(request.path) <= int([*args, "1000"][1]):
            refusal = connection.respond(http.HTTPStatus(int(args[0])), "as asked")
            for name, value in parse_qsl(url.query):
                refusal.headers[name] = value
            return refusal
        return None

    def talk(self, connection: Any) -> None:
        """Wait for one message, then close as asked, or answer."""
        _, what, *args = urlsplit(connection.request.path).path.split("/")
        with suppress(websockets.ConnectionClosed):
            message = connection.recv()
            if what == "close":
                connection.close(int(args[0]), "as asked")
            elif what == "abort":
                connection.socket.shutdown(socket.SHUT_RDWR)
            elif what == "wait":
                connection.recv()
            else:
                connection.send(message)

    def stop(self) -> None:
        """Close all connections as a server that goes down does."""
        self.server.shutdown()
        self.thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that runs through all tests."""
    server = Server()
    yield server
    server.stop()


class Sync:
    """The synchronous client."""

    name = "websockets"

    def __init__(self, loop: Any) -> None:
        self.loop = loop

    def talk(
        self, port: int, path: str = "/", message: Any = "hello", *, host: str = "127.0.0.1", **options: Any
    ) -> Any:
        """Connect, send a message, and return what comes back."""
        with sync_client.connect(f"ws://{host}:{port}{path}", compression=None, proxy=None, **options) as connection:
            if isinstance(message, bytes):
                connection.send(message, text=True)
            else:
                connection.send(message)
            return connection.recv(timeout=10)


class Async(Sync):
    """The asyncio client."""

    name = "websockets (asyncio)"

    def talk(
        self, port: int, path: str = "/", message: Any = "hello", *, host: str = "127.0.0.1", **options: Any
    ) -> Any:
        async def main() -> Any:
            opened = asyncio_client.connect(f"ws://{host}:{port}{path}", compression=None, proxy=None, **options)
            connection = await opened
            try:
                if isinstance(message, bytes):
                    await connection.send(message, text=True)
                else:
                    await connection.send(message)
                return await connection.recv()
            finally:
                await connection.close()

        return self.loop(main)


@pytest.fixture(params=[Sync, Async], ids=["sync", "asyncio"])
def client(request: pytest.FixtureRequest, loop: Any) -> Sync:
    """Talks to servers."""
    made: Sync = request.param(loop)
    return made


@pytest.fixture
def failed(client: Sync, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a conversation that fails."""

    def check(
        port: int, verdict: Verdict, path: str = "/", *, applied: bool, hint: float | None = None, **options: Any
    ) -> None:
        with pytest.raises((websockets.WebSocketException, OSError)) as caught:
            client.talk(port, path, **options)
        told(client.name, caught.value, verdict, applied=applied, retry_after=hint)

    return check


@pytest.mark.parametrize("code", CLOSING)
def test_close_code(server: Server, failed: Any, code: int) -> None:
    """A connection that is closed after a message, which the server may have heeded, means what RFC 6455 says of it."""
    failed(server.port, CLOSING[code], f"/close/{code}", applied=True)


def test_lost(server: Server, failed: Any) -> None:
    """1006: the connection ends without a closing handshake."""
    failed(server.port, T, "/abort", applied=True)


def test_too_big(server: Server, failed: Any) -> None:
    """1009 by the server itself: the message stays as big as it is."""
    failed(server.port, P, message="x" * 1000, applied=True)


def test_no_utf8(server: Server, failed: Any) -> None:
    """1007 by the server itself: a text that is none."""
    failed(server.port, P, message=b"\xff\xff", applied=True)


def test_too_big_an_answer(server: Server, failed: Any) -> None:
    """1009 by the client: the server has heeded the message, its answer is too big for us."""
    failed(server.port, P, message="x" * 50, max_size=10, applied=True)


def test_server_ends(failed: Any, meanwhile: Any, host: Any) -> None:
    """1001 by a server that shuts down under the conversation: another one will be there."""
    server = Server()
    with meanwhile(lambda: host.wait_until(lambda: server.paths, "a client is there"), server.stop):
        failed(server.port, T, "/wait", applied=True)


def test_no_pong(host: Any, failed: Any) -> None:
    """A peer that is there no more: keepalive finds out, and the client closes with 1011."""
    failed(host.listener(accept_and_freeze), T, applied=True, ping_interval=0.05, ping_timeout=0.1, close_timeout=0.1)


def accept_and_freeze(connection: socket.socket) -> None:
    """Take part in the handshake, and in nothing after it."""
    peer = protocol.ServerProtocol()
    peer.receive_data(connection.recv(10_000))
    (request,) = peer.events_received()
    peer.send_response(peer.accept(request))
    for data in peer.data_to_send():
        connection.sendall(data)
    while connection.recv(10_000):
        pass


@pytest.mark.parametrize(("status", "retry_after"), STATUSES)
def test_refused_handshake(server: Server, failed: Any, status: int, retry_after: str | None) -> None:
    """The upgrade is answered with a status, which means what it means in HTTP; no message was sent."""
    verdict, hint = STATUSES[status, retry_after]
    query = f"?Retry-After={retry_after}" if retry_after else ""
    failed(server.port, verdict, f"/status/{status}{query}", applied=False, hint=hint)


def test_nothing_listens(host: Any, failed: Any) -> None:
    """A closed port: transient, and nothing was asked."""
    failed(host.unused_port(), T, applied=False)


def test_unknown_host(host: Any, failed: Any) -> None:
    """A name that does not exist will not exist a second later."""
    failed(80, P, host="nowhere.invalid", applied=False)


def test_silent_port(host: Any, failed: Any) -> None:
    """`open_timeout`: no handshake came about, and no message was sent."""
    failed(host.listener(), T, open_timeout=0.2, applied=False)


def test_hangs_up(host: Any, failed: Any) -> None:
    """A server, or a proxy before it, that accepts, and hangs up when it has read the request."""
    failed(host.listener(lambda connection: connection.recv(10_000)), T, applied=False)


def test_other_protocol(host: Any, failed: Any) -> None:
    """What answers is no WebSocket server, and no web server either: no retry makes one of it."""

    def greet(connection: socket.socket) -> None:
        connection.recv(10_000)  # else a thread of the synchronous client dies of a race, before the request is sent
        connection.sendall(b"220 mail.example ESMTP\r\n")

    failed(host.listener(greet), P, applied=False)


def test_no_upgrade(host: Any, failed: Any) -> None:
    """What answers is an ordinary web server that says 200."""

    def greet(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")

    failed(host.listener(greet), P, applied=False)


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_retry_after_is_waited_for(server: Server, client: Sync) -> None:
    """A handshake that was refused with 503 is repeated after the wait that the server asked for."""
    path = f"/status/503/2?Retry-After=0.2&of={client.name.split()[-1]}"
    began = time.monotonic()
    assert QUICK.call(client.talk, server.port, path) == "hello"
    assert server.paths.count(path) == 3
    assert 0.4 <= time.monotonic() - began < 2


def test_refusal_is_tried_once(server: Server, client: Sync) -> None:
    """A permanent error reaches the caller after one handshake."""
    path = f"/status/401?of={client.name.split()[-1]}"
    with pytest.raises(websockets.InvalidStatus):
        QUICK.call(client.talk, server.port, path)
    assert server.paths.count(path) == 1


def test_connect_waits_for_a_late_start(host: Any) -> None:
    """The server starts while `connect` tries, and is there when the body runs."""
    port = host.unused_port()
    servers: list[Any] = []

    def start(event: Any) -> None:
        if not servers:
            servers.append(sync_server.serve(lambda connection: connection.send("hello"), "127.0.0.1", port))
            threading.Thread(target=servers[0].serve_forever).start()

    policy = QUICK(observers=[start])
    with policy.connect(sync_client.connect, f"ws://127.0.0.1:{port}/", proxy=None) as connection:
        assert connection.recv(timeout=10) == "hello"
    servers[0].shutdown()
