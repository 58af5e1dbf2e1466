"""A server on loopback that misbehaves as it is told, with raw sockets and a thread for each connection.

What it does is a list of acts: one for each request, or for each connection where an act does not wait for a request;
the last one is repeated. Nothing here sleeps: who is silent waits until the client hangs up, or the server is closed.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOST = "127.0.0.1"
LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""Linger for 0 seconds: closing a socket then resets the connection instead of ending it in good order."""
LAST_CHUNK = b"\r\n0\r\n\r\n"
GIVE_UP = 10.0
"""Seconds after which a connection is given up whose client neither speaks nor hangs up: a test hangs no longer."""


@dataclass(frozen=True)
class Seen:
    """A request that came in whole: its method, path and body, and its headers by their names in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""  # as it came: chunks and all


@dataclass(frozen=True)
class Act:
    """What the server does; `perform` tells whether the connection stays open for another request."""

    perform: Callable[[socket.socket], bool]
    at_once: bool = False  # without waiting for a request
    silent: bool = False  # until the client hangs up


def head(status: int, *headers: tuple[str, str]) -> bytes:
    """The first lines of an answer."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else "Other"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


JSON = (("Content-Type", "application/json"), ("X-Elastic-Product", "Elasticsearch"))


def answer(status: int = 200, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"{}") -> Act:
    """A whole answer, with the connection kept."""
    whole = head(status, *JSON, ("Content-Length", str(len(body))), *headers) + body

    def perform(connection: socket.socket) -> bool:
        connection.sendall(whole)
        return True

    return Act(perform)


def hang_up(sent: bytes = b"", at_once: bool = False) -> Act:
    """Send a part of an answer, or nothing at all, and close in good order."""

    def perform(connection: socket.socket) -> bool:
        if at_once:
            connection.recv(65536)  # the client's first words: bytes that nobody read would turn the end into a reset
        connection.sendall(sent)
        return False

    return Act(perform, at_once)


def reset(sent: bytes = b"", at_once: bool = False) -> Act:
    """Send a part of an answer, or nothing at all, and reset the connection."""

    def perform(connection: socket.socket) -> bool:
        if at_once:
            connection.recv(65536)
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        return False

    return Act(perform, at_once)


def damage(sent: bytes = b"") -> Act:
    """Under TLS: send a part of an answer, or nothing at all, then a record that nobody can decrypt."""

    def perform(connection: socket.socket) -> bool:
        connection.sendall(sent)
        socket.socket.sendall(connection, b"\x17\x03\x03\x00\x40" + b"?" * 64)
        while connection.recv(65536):
            pass
        return False

    return Act(perform)


def fall_silent(sent: bytes = b"", at_once: bool = False) -> Act:
    """Send a part of an answer, or nothing at all, and say no more."""

    def perform(connection: socket.socket) -> bool:
        connection.sendall(sent)
        while connection.recv(65536):
            pass
        return False

    return Act(perform, at_once, silent=True)


class FlakyServer:
    """The server: a `with` opens it on a free port, `play` says what it does.

    Args:
        tls: A context for its side of TLS; `None`: no TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self._tls = tls
        self._acts: deque[Act] = deque([answer()])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = False
        self._listener = socket.create_server((HOST, 0))
        self._threads = [threading.Thread(target=self._accept, name="flaky-server", daemon=True)]

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'http' if self._tls is None else 'https'}://{HOST}:{self.port}"

    def play(self, *acts: Act) -> None:
        """Do these from now on, and forget the requests that were seen."""
        with self._lock:
            self.seen.clear()
            self._acts = deque(acts)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._closing = True
            waiting = [self._listener, *self._open]
        for each in waiting:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes who waits there
        self._listener.close()
        for thread in self._threads:
            thread.join(GIVE_UP)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="flaky-connection", daemon=True)
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._open.add(connection)
                self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        served = connection
        try:
            connection.settimeout(GIVE_UP)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                served = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with self._lock:
                    self._open.add(served)
                if not _shook_hands(served):
                    return
            while self._one(served):
                pass
        except OSError:  # the client hung up first, or did not like our certificate
            pass
        finally:
            with self._lock:
                self._open -= {connection, served}
            served.close()

    def _one(self, connection: socket.socket) -> bool:
        with self._lock:
            act = self._acts[0]
        if not act.at_once:
            request = _read_request(connection)
            if request is None:
                return False
            with self._lock:
                self.seen.append(request)
                act = self._acts[0]
        with self._lock:
            if len(self._acts) > 1:
                self._acts.popleft()
        return act.perform(connection)


def _shook_hands(connection: ssl.SSLSocket) -> bool:
    """Whether TLS came about; if not, wait until the client has hung up, so that our alert reaches it before a reset."""
    try:
        connection.do_handshake()
    except ssl.SSLError:
        with socket.socket(fileno=connection.detach()) as raw, suppress(OSError):
            raw.settimeout(GIVE_UP)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        return False
    return True


def _read_request(connection: socket.socket) -> Seen | None:
    """A whole request, its body included; `None` when the client hung up."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return None
        received += part
    first, _, body = received.partition(b"\r\n\r\n")
    line, *rest = first.decode("latin-1").split("\r\n")
    method, path, _ = line.split(" ")
    pairs = (each.partition(":") for each in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = int(headers.get("content-length", "0"))
    chunked = "chunked" in headers.get("transfer-encoding", "")
    while len(body) < length or (chunked and not (b"\r\n" + body).endswith(LAST_CHUNK)):
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    return Seen(method, path, headers, body)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of ours on which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind((HOST, 0))
        yield reserved.getsockname()[1]


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that takes no more connections, so that on Linux and its like connecting gets no answer."""
    with ExitStack() as stack:
        listener, *fillers = (stack.enter_context(socket.socket()) for _ in range(4))
        listener.bind((HOST, 0))
        listener.listen(0)
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
