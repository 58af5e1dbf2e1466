"""On top of the floors: the demo's flaky service, an HTTP server with real sockets on a loopback port.

At first its port refuses connections. Once booted, it resets the first connection, answers the second request with 503
and `Retry-After`, and from then on works; `redouble demo --serve` repeats these three phases.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import chain, cycle, repeat
from socketserver import TCPServer
from threading import Thread
from typing import Self

ANSWER = "42"

LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""Linger for 0 seconds: closing a socket then resets the connection instead of ending it in good order."""


class FlakyService:
    """The service: a `with` reserves its port, `boot()` makes it listen.

    Args:
        milliseconds: The wait in the 503's header `retry-after-ms`, besides `Retry-After: 1`, which has only whole
            seconds. `None`: no such header.
        port: The port. 0: a free one.
        again: Whether it begins anew after it has worked.
    """

    def __init__(self, milliseconds: int | None = None, *, port: int = 0, again: bool = False) -> None:
        self._milliseconds = milliseconds
        story = ("reset", "busy", "works")
        self._story = cycle(story) if again else chain(story, repeat("works"))
        self._server = TCPServer(("127.0.0.1", port), self._handler(), bind_and_activate=False)
        self._server.allow_reuse_address = again
        self._thread = Thread(target=self._answer, name="flaky-service", daemon=True)

    @property
    def url(self) -> str:
        """The URL, valid once the service has booted."""
        host, port = self._server.socket.getsockname()
        return f"http://{host}:{port}/"

    def boot(self) -> None:
        """Begin to listen."""
        self._server.server_activate()
        self._thread.start()

    def serve(self) -> None:
        """Answer in this thread, until it is interrupted."""
        self._server.server_activate()
        self._server.serve_forever()

    def _answer(self) -> None:
        """Answer until the service ends, or at once where it has: Ctrl-C may come while this thread is being started."""
        with suppress(OSError, ValueError):
            self._server.serve_forever(0.01)

    def __enter__(self) -> Self:
        try:
            self._server.server_bind()  # the port is reserved, but connections are refused: no socket listens
        except OSError:
            self._server.server_close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        story, milliseconds = self._story, self._milliseconds

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                now = next(story)
                if now == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                    self.connection.close()
                elif now == "busy":
                    hints = {} if milliseconds is None else {"retry-after-ms": str(milliseconds)}
                    self.answer(503, "try later", {"Retry-After": "1"} | hints)
                else:
                    self.answer(200, ANSWER, {})

            def answer(self, status: int, text: str, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Print no line: the demo prints the client's view."""

        return Handler
