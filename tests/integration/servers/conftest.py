"""Real servers on free ports of the loopback, started for a module of tests and always stopped after it.

What an error should mean is said by the test that provoked it, and `told` compares: at the end of a run stands, for each
client, in how many of the provoked cases redouble was right.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import redouble
from redouble import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_UP = 20.0  # seconds that a server may take until it answers
SHUT_DOWN = 5.0  # seconds that it may take to go in peace

Scores = dict[str, Counter[str]]
SCORES = pytest.StashKey[Scores]()


class Case(NamedTuple):
    """One provoked error, what it should mean, and what redouble says; the error itself would keep its client alive."""

    client: str
    error: str
    label: Verdict
    said: Verdict


class Told:
    """Compares what redouble says of a provoked error with what was provoked."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.cases: list[Case] = []

    def __call__(
        self, client: str, error: Exception, verdict: Verdict, *, applied: bool, retry_after: float | None = None
    ) -> None:
        """Assert verdict, hint and `applied` at once, and count each for the summary."""
        found = redouble.classify(error)
        self.cases.append(Case(client, repr(error)[:200], verdict, found.verdict))
        right = self.scores.setdefault(client, Counter())
        right["cases"] += 1
        right["verdict"] += found.verdict is verdict
        right["hint"] += found.retry_after == retry_after
        right["applied"] += found.applied is applied
        expected = {"verdict": verdict, "retry_after": retry_after, "applied": applied}
        assert {name: getattr(found, name) for name in expected} == expected, f"{error!r}: {found.reason}"

    def nothing_permanent_is_retried(self) -> None:
        """Assert that none of the permanent errors that were provoked so far was called transient."""
        permanent = [case for case in self.cases if case.label is Verdict.PERMANENT]
        if not permanent:
            pytest.skip("looks back at the other tests of its file: run the whole file")
        wrong = [case for case in permanent if case.said is Verdict.TRANSIENT]
        assert not wrong, f"these must never be retried: {wrong}"


@pytest.fixture(scope="module")
def told(pytestconfig: pytest.Config) -> Told:
    """Compares errors with what they should mean; see `Told`."""
    return Told(pytestconfig.stash.setdefault(SCORES, {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print for each client how many of the provoked errors were judged rightly."""
    scores = config.stash.get(SCORES, {})
    if not scores:
        return
    terminalreporter.section("errors of real servers, judged rightly")
    columns = ("cases", "verdict", "hint", "applied")
    terminalreporter.write_line(f"{'client':24}" + "".join(f"{column:>9}" for column in columns))
    for client, right in sorted(scores.items()):
        terminalreporter.write_line(f"{client:24}" + "".join(f"{right[column]:9}" for column in columns))


def wait_until(happened: Callable[[], Any], what: str, timeout: float = START_UP) -> Any:
    """What `happened` returns, as soon as that is true; fails clearly when it never is."""
    end = time.monotonic() + timeout
    while not (found := happened()):
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout:.0f} s in vain: {what}")
        time.sleep(0.01)
    return found


def unused_port() -> int:
    """A port of the loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(place: int | Path) -> bool:
    """Whether somebody takes connections on a port, or on a unix socket."""
    unix = isinstance(place, Path)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(place) if unix else ("127.0.0.1", place)) == 0


class Service:
    """A server process and its output."""

    def __init__(self, command: list[str], log: Path, fatal: signal.Signals) -> None:
        self.command = command
        self.log = log
        self.fatal = fatal
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def wait_until(self, happened: Callable[[], Any], what: str = "is ready") -> None:
        """Wait for a condition; fails with the end of the log when the server ends before, or takes too long."""

        def settled() -> bool:
            return self.process.poll() is not None or bool(happened())

        wait_until(settled, f"{self.command} {what}\n{self.tail()}")
        if self.process.poll() is not None:
            pytest.fail(f"{self.command} ended with {self.process.returncode} before it {what}\n{self.tail()}")

    def tail(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-2000:]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server itself."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the server and its children at once, and wait until it is gone."""
        self.process.send_signal(self.fatal)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SHUT_DOWN)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the server in peace, or else at once."""
        self.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SHUT_DOWN)
        self.kill()


class Host:
    """Where the servers of one module live: a short directory, processes, and who they run as."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.unused_port = unused_port
        self.wait_until = wait_until
        self.listens = listens

    def directory(self, user: str | None = None) -> Path:
        """A new directory with a name short enough for unix sockets, which `user` owns."""
        path = Path(tempfile.mkdtemp(prefix="rd-", dir="/tmp"))
        self._stack.callback(shutil.rmtree, path, ignore_errors=True)
        if user is not None and os.geteuid() == 0:
            shutil.chown(path, user)
        return path

    def program(self, name: str, package: str, *places: str) -> str:
        """The path of a program; skips where it is not installed."""
        path = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", os.defpath), "/usr/sbin"]))
        if path is None:
            pytest.skip(f"{name} is not installed: apt-get install {package}")
        return path

    def as_user(self, user: str) -> list[str]:
        """What to put before a command of a server that refuses to run as root."""
        return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []

    def start(self, *command: str, fatal: signal.Signals = signal.SIGKILL) -> Service:
        """Start a server, that ends with the module at the latest, by the signal `fatal`."""
        service = Service(list(command), self.directory() / "log", fatal)
        self._stack.callback(service.kill)
        return service

    def run(self, *command: str) -> None:
        """Run a program that must succeed."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            pytest.fail(f"{list(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")

    def listener(self, greet: Callable[[socket.socket], None] | None = None) -> int:
        """The port of a server that says nothing; or that does with each connection what `greet` does, and hangs up."""
        server = self._stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        port: int = server.getsockname()[1]
        if greet is not None:
            thread = threading.Thread(target=_serve, args=(server, greet), daemon=True)
            thread.start()
            self._stack.callback(thread.join, SHUT_DOWN)
            self._stack.callback(server.shutdown, socket.SHUT_RDWR)
        return port


def _serve(server: socket.socket, greet: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.settimeout(1)
                greet(connection)


@pytest.fixture(scope="session", autouse=True)
def terminable() -> Iterator[None]:
    """Let whoever terminates the test run leave no servers behind: as Ctrl-C, it passes through the fixtures."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Starts servers, and stops them all at the end."""
    with ExitStack() as stack:
        yield Host(stack)


@pytest.fixture(scope="session")
def meanwhile() -> Callable[..., Any]:
    """Runs functions one after another in a thread, beside a `with` block; an error in them fails the test."""

    @contextmanager
    def running(*functions: Callable[[], Any]) -> Iterator[threading.Thread]:
        errors: list[BaseException] = []

        def run() -> None:
            try:
                for function in functions:
                    function()
            except BaseException as error:  # a skip is no Exception
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield thread
        thread.join(START_UP)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    return running


class Loop:
    """An event loop to call coroutine functions in from a synchronous test, in whatever thread it is."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call and await."""

        async def main() -> Any:
            return await function(*args, **kwargs)

        return self._runner.run(main())

    def close(self) -> None:
        """End the loop and what still runs in it."""
        self._runner.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    """An event loop for the length of a test."""
    with closing(Loop()) as loop:
        yield loop


@pytest.fixture
def loops() -> Iterator[Callable[[], Loop]]:
    """Makes event loops: one for each connection that is used from a thread of its own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Loop()))
