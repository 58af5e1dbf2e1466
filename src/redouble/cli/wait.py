"""On top of the floors: `redouble wait TARGET ...`, which waits until all targets are up, by the rules of `known_errors`."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from redouble import EventKind, Reason, current_attempt, deadline, exponential, known_errors, outcome, retry, transient
from redouble.cli.chart import style_of
from redouble.control.events import describe
from redouble.core import checks

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from redouble import Event

UP, LATE, NEVER = 0, 1, 2
"""The exit codes: all are up, the deadline came first, one cannot become up."""

GREEN, YELLOW, RED = 32, 33, 31


class End(NamedTuple):
    """The end of the wait for one target; `code` is `None` when it was stopped because another cannot become up."""

    target: str
    code: int | None
    error: Exception | None
    attempts: int
    seconds: float


def run(chosen: Namespace) -> int:
    """Wait for all targets side by side; return the exit code."""
    parser: ArgumentParser = chosen.parser
    try:
        limit = checks.seconds_or_none("deadline", chosen.deadline, positive=True)
        timeout = checks.seconds("timeout", chosen.timeout, positive=True)
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    stop = threading.Event()
    say = Say(quiet=chosen.quiet, as_json=chosen.json)
    with ThreadPoolExecutor(len(chosen.targets), thread_name_prefix="wait") as pool:
        try:
            ends = [pool.submit(wait_for, target, limit, timeout, stop, say) for target in chosen.targets]
            return max(end.result().code or UP for end in ends)
        except KeyboardInterrupt:
            stop.set()
            raise


def wait_for(target: str, limit: float | None, timeout: float, stop: threading.Event, say: Say) -> End:
    """Probe one target until it is up; where it cannot become up, stop waiting for the others too."""
    began, asked = monotonic(), 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        attempt = current_attempt()
        left = timeout if attempt is None or attempt.remaining is None else min(timeout, attempt.remaining)
        PROBES[urlsplit(target).scheme](target, max(left, 0.001))

    policy = retry(
        on=transient(FileNotFoundError) | known_errors,
        attempts=None,
        deadline=None,
        backoff=exponential(0.1, maximum=1.0, jitter="equal"),
        max_hint=None,
        stop=stop,
        observers=[partial(say.retry, target)],
        name=target,
    )
    error: Exception | None = None
    try:
        with deadline(limit):
            policy.call(ask)
    except Exception as raised:
        error = raised
    ended = End(target, UP if error is None else code_of(error), error, asked, monotonic() - began)
    if ended.code == NEVER:
        stop.set()
    say.end(ended)
    return ended


def code_of(error: Exception) -> int | None:
    """Return the exit code for a target: late, impossible, or `None` when it was stopped."""
    end = outcome(error)
    if end is None or end.reason is Reason.PERMANENT:
        return NEVER
    return None if end.reason is Reason.STOPPED else LATE


# The probes: each returns when the target is up, and raises an error when it is not.


def ask_tcp(target: str, timeout: float) -> None:
    """Open a connection."""
    socket.create_connection(address(target), timeout).close()


def ask_http(target: str, timeout: float) -> None:
    """Ask for a successful answer, without a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(target, timeout=timeout):
        pass


def ask_ssh(target: str, timeout: float) -> None:
    """Read the greeting of a server (RFC 4253, section 4.2)."""
    with socket.create_connection(address(target, 22), timeout) as connection:
        if not connection.recv(255).startswith(b"SSH-"):
            raise ConnectionResetError("the connection ended, or began, without the greeting of an SSH server")


def ask_file(target: str, _: float) -> None:
    """Look for a file."""
    parts = urlsplit(target)
    path = Path(unquote(parts.netloc + parts.path))
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def ask_postgres(target: str, timeout: float) -> None:
    """Log in to a database."""
    psycopg = needed("psycopg", "psycopg[binary]")
    psycopg.connect(target, connect_timeout=max(1, round(timeout))).close()


def ask_redis(target: str, timeout: float) -> None:
    """Log in and ping."""
    redis = needed("redis", "redouble[redis]")
    none = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    client = redis.Redis.from_url(target, socket_timeout=timeout, socket_connect_timeout=timeout, retry=none)
    try:
        client.ping()
    finally:
        client.close()


PROBES: dict[str, Callable[[str, float], None]] = {
    "tcp": ask_tcp,
    "http": ask_http,
    "https": ask_http,
    "ssh": ask_ssh,
    "file": ask_file,
    "postgres": ask_postgres,
    "postgresql": ask_postgres,
    "redis": ask_redis,
    "rediss": ask_redis,
}


def address(target: str, port: int = 0) -> tuple[str, int]:
    """Return the host and the port of a target."""
    parts = urlsplit(target)
    return parts.hostname or "", parts.port or port


def needed(module: str, package: str) -> Any:
    """Import a client.

    Raises:
        RuntimeError: When it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise RuntimeError(f"this target needs {module}: pip install '{package}'") from None


class Say:
    """Prints the progress of the wait on stderr, a line at a time.

    Args:
        quiet: Whether it prints no lines.
        as_json: Whether a line is a JSON object.
    """

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self._quiet, self._as_json = quiet, as_json
        self._colours = not as_json and style_of(sys.stderr).colours
        self._lock = threading.Lock()

    def retry(self, target: str, event: Event) -> None:
        """Print the first failure of a target, and each new kind of failure."""
        if event.kind is EventKind.RETRY and event.attempt == 1:
            text = describe(event).partition(": ")[2].partition("; trying again")[0]
            self._line(YELLOW, {"target": shown(target), "waiting": text}, f"waiting for {shown(target)}: {text}")

    def end(self, end: End) -> None:
        """Print the end of the wait."""
        name, after = shown(end.target), f"after {end.seconds:.1f} s"
        error = None if end.error is None else " ".join(str(end.error).split())
        fields = {"target": name, "up": error is None, "attempts": end.attempts, "seconds": end.seconds, "error": error}
        kind = type(end.error).__name__
        if error is None:
            self._line(GREEN, fields, f"{name} is up, {after}")
        elif end.code == LATE:
            self._line(
                RED,
                fields,
                f"{name} is not up, {after} and {end.attempts} attempts; the next one would come too late: {kind}: {error}",
            )
        elif end.code == NEVER:
            self._line(RED, fields, f"{name} cannot become up: {kind}: {error}")

    def _line(self, colour: int, fields: dict[str, Any], text: str) -> None:
        if self._quiet:
            return
        line = json.dumps(fields) if self._as_json else f"redouble: {text}"
        with self._lock, suppress(OSError):
            print(f"\033[{colour}m{line}\033[0m" if self._colours else line, file=sys.stderr, flush=True)


def shown(target: str) -> str:
    """Return a target without its password."""
    parts = urlsplit(target)
    if parts.password is None:
        return target
    return parts._replace(netloc=f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}").geturl()
