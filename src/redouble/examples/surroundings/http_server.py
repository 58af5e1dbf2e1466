"""On top of all floors: an HTTP server on a free port of the loopback, in threads; subclasses give the answers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from redouble.examples.surroundings.stage import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class Request(NamedTuple):
    """Is a request; its parameters are those of the query and of a form together."""

    method: str
    path: str
    parameters: dict[str, str]
    body: str


class Answer(NamedTuple):
    """Is an answer; a body that is not bytes is sent as JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = {}


HANG_UP = Answer(0, b"")
"""Close the connection without an answer."""


class HttpServer:
    """Serves HTTP in threads, `with HttpServer() as server:`; answers by `answer`, and remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closing: threading.Event = threading.Event()
        self._http = _Listener((HOST, 0), _Handler)
        self._http.answers = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self.url: str = f"http://{HOST}:{self._http.server_port}"

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request; may block on `closing`."""
        raise NotImplementedError

    def paths(self) -> list[str]:
        """Return the path of each request, in order."""
        return [request.path for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    answers: HttpServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        split = urlsplit(self.path)
        form = body if "form" in self.headers.get("Content-Type", "") else ""
        parameters = {name: values[-1] for name, values in parse_qs(f"{split.query}&{form}").items()}
        request = Request(self.command, split.path, parameters, body)
        assert isinstance(self.server, _Listener)
        server = self.server.answers
        server.requests.append(request)
        self._send(server.answer(request))

    def _send(self, answer: Answer) -> None:
        if answer is HANG_UP:
            self.close_connection = True
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Log nothing."""
