"""On top of all floors: a WebSocket server of a terminal's lines: it can be killed and started again on the same port."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from redouble.examples.surroundings.stage import HOST, client, listens, unused_port, wait_until

if TYPE_CHECKING:
    from types import TracebackType


class TerminalServer:
    """Serves in threads of this process.

    It sends `lines` numbered lines, beginning after the number that the client names as `resume`, and then keeps
    silent.

    Attributes:
        refuse: The HTTP status with which the upgrade is refused; `None`: it is not.
        close: The code with which each connection is closed at once; `None`: it is not.
        dials: The query of each dial, in order.
    """

    def __init__(self, *, lines: int = 3, pace: float = 0.0, port: int | None = None) -> None:
        self.port: int = port or unused_port()
        self.url: str = f"ws://{HOST}:{self.port}"
        self.lines = lines
        self.pace = pace
        self.refuse: int | None = None
        self.close: int | None = None
        self.dials: list[str] = []
        self._connections: set[Any] = set()
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._gone = threading.Event()

    def start(self) -> None:
        """Listen."""
        self._gone.clear()
        serve = client("websockets.sync.server").serve
        self._server = serve(self._talk, HOST, self.port, process_request=self._look_at, close_timeout=1)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """End each connection without a close frame, as when a network cable is pulled out and the peer notices."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End without close frames."""
        if self._server is not None and self._thread is not None:
            self._gone.set()
            self._server.shutdown()
            self.drop()
            self._thread.join()
            self._server = None

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    def _look_at(self, connection: Any, request: Any) -> Any:
        self.dials.append(urlsplit(request.path).query)
        return None if self.refuse is None else connection.respond(self.refuse, "no\n")

    def _talk(self, connection: Any) -> None:
        self._connections.add(connection)
        try:
            if self.close is not None:
                connection.close(self.close)
            seen = int(parse_qs(urlsplit(connection.request.path).query).get("resume", ["0"])[0])
            for number in range(seen + 1, seen + 1 + self.lines):
                if self._gone.wait(self.pace):
                    return
                connection.send(str(number))
            for _ in connection:
                pass
        except client("websockets.exceptions").ConnectionClosed:
            pass
        finally:
            self._connections.discard(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


class TerminalProcess:
    """Serves the same in a process of its own, which can be killed with SIGKILL."""

    def __init__(self, *, pace: float) -> None:
        self.port: int = unused_port()
        self.url: str = f"ws://{HOST}:{self.port}"
        self._command = [sys.executable, "-m", __name__, str(self.port), str(pace)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen; return as soon as it does."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
        wait_until(lambda: listens(self.port), "the terminal's server listens")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


def main() -> None:
    """Serve until standard input ends, so that it ends with the program that started it."""
    server = TerminalServer(lines=10**6, pace=float(sys.argv[2]), port=int(sys.argv[1]))
    server.start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
