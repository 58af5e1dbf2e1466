"""`redouble wait` on real servers that come up late, stay down, or refuse: TCP, HTTP, SSH's greeting, files, PostgreSQL, Redis."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.servers.conftest import Host, host, unused_port
from tests.integration.servers.test_postgres import Cluster, template
from tests.integration.shell.conftest import Terminal, begun, redouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["host", "template"]  # fixtures


@pytest.fixture
def web() -> Iterator[tuple[str, list[int]]]:
    """A web server that answers with the statuses of a list, the last one for good; and its log."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/health", statuses
        server.shutdown()
        thread.join()


def test_a_port_that_comes_up_late() -> None:
    """It waits until somebody listens, says what it waits for, and exits with 0."""
    port = unused_port()
    with begun("wait", f"tcp://127.0.0.1:{port}") as process:
        assert process.stderr is not None
        assert f"waiting for tcp://127.0.0.1:{port}: attempt 1 failed with Conn" in process.stderr.readline()
        with closing(socket.create_server(("127.0.0.1", port))):
            assert process.wait(20) == 0
        assert f"tcp://127.0.0.1:{port} is up, after" in process.stderr.read()


def test_all_have_to_be_up(tmp_path: Path, web: tuple[str, list[int]]) -> None:
    """A service that is unavailable at first, and a file that comes: both are waited for."""
    url, statuses = web
    statuses.extend([503, 503, 200])
    ready = tmp_path / "ready"
    with begun("wait", url, f"file:{ready}") as process:
        time.sleep(0.5)
        assert process.poll() is None
        ready.touch()
        assert process.wait(20) == 0


def test_the_deadline() -> None:
    """What is not up in time: exit code 1, in time, and the last error."""
    ran = redouble("wait", "--deadline", "1", f"tcp://127.0.0.1:{unused_port()}")
    assert ran.code == 1 and ran.seconds < 10 and "is not up, after" in ran.err and "Connection refused" in ran.err


def test_one_that_says_nothing() -> None:
    """A server that takes the connection and says nothing is cut off by the deadline."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        target = f"ssh://127.0.0.1:{silent.getsockname()[1]}"
        ran = redouble("wait", "--deadline", "1.5", "--timeout", "1", target)
    assert ran.code == 1 and ran.seconds < 10


def test_a_greeting(host: Host) -> None:
    """A server that greets as SSH does is up; one that hangs up is not yet."""
    up = host.listener(lambda connection: connection.sendall(b"SSH-2.0-test\r\n"))
    down = host.listener()
    assert redouble("wait", f"ssh://127.0.0.1:{up}").code == 0
    assert redouble("wait", "--deadline", "1", "--timeout", "0.5", f"ssh://127.0.0.1:{down}").code == 1


def test_a_page_that_is_not_there_is_no_matter_of_time(web: tuple[str, list[int]]) -> None:
    """404 cannot become up: exit code 2 at once, for the others too."""
    url, statuses = web
    statuses.append(404)
    ran = redouble("wait", "--deadline", "none", url, f"tcp://127.0.0.1:{unused_port()}")
    assert ran.code == 2 and "cannot become up: HTTPError" in ran.err


def test_postgres_late_and_with_a_wrong_password(host: Host, template: Path) -> None:
    """A database that starts later is waited for, its start-up included; a wrong password ends it at once."""
    cluster = Cluster(host, template)
    right = f"postgres://app:secret@127.0.0.1:{cluster.port}/postgres"
    with begun("wait", right) as process:
        assert process.stderr is not None
        assert "app:***@127.0.0.1" in process.stderr.readline()
        cluster.start()
        try:
            assert process.wait(30) == 0
            wrong = redouble("wait", right.replace("secret", "guess"))
        finally:
            cluster.service.kill()
    assert wrong.code == 2 and "password authentication failed" in wrong.err and "guess" not in wrong.err


def test_redis_late_and_with_a_wrong_password(host: Host) -> None:
    """The same for a Redis."""
    program, port = host.program("redis-server", "redis-server"), unused_port()
    right = f"redis://:secret@127.0.0.1:{port}/0"
    with begun("wait", right) as process:
        assert process.stderr is not None
        assert ":***@127.0.0.1" in process.stderr.readline()
        host.start(
            program, "--port", str(port), "--requirepass", "secret", "--save", "", "--dir", str(host.directory())
        )
        assert process.wait(30) == 0
    wrong = redouble("wait", right.replace("secret", "guess"))
    assert wrong.code == 2 and "cannot become up: AuthenticationError" in wrong.err


def test_ctrl_c(terminal: Callable[..., Terminal]) -> None:
    """Ctrl-C ends all waiting at once: 130, one word."""
    window = terminal("wait", f"tcp://127.0.0.1:{unused_port()}", f"tcp://127.0.0.1:{unused_port()}", columns=40)
    window.until("waiting for")
    window.type("\x03")
    assert window.ended() == 130 and "Interrupted." in window.shown and "Traceback" not in window.shown


def test_json_and_quiet(tmp_path: Path) -> None:
    """`--json` says an object a line, `--quiet` nothing."""
    (tmp_path / "ready").touch()
    (line,) = redouble("wait", "--json", f"file:{tmp_path}/ready").err.splitlines()
    told: dict[str, Any] = json.loads(line)
    assert told["up"] is True and told["attempts"] == 1
    assert redouble("wait", "--quiet", "--deadline", "0.5", f"file:{tmp_path}/never")[:3] == (1, "", "")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("db:5432", "must be a URL such as tcp://db:5432"),
        ("tcp://db", "must have a host and a port, such as tcp://db:5432, got 'tcp://db'"),
        ("gopher://db", "must be a URL such as tcp://db:5432"),
    ],
)
def test_a_target_that_is_none(target: str, said: str) -> None:
    """It is named, with what to write."""
    ran = redouble("wait", target)
    assert ran.code == 2 and said in ran.err


def test_a_client_that_is_missing_is_named() -> None:
    """Without psycopg one line says what to install."""
    code = "import sys; sys.modules['psycopg'] = None; from redouble.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "wait", "postgres://localhost/db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and "this target needs psycopg: pip install 'psycopg[binary]'" in done.stderr
