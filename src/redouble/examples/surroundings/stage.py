"""On top of all floors: the parts that all examples share: prints with the time, options, free ports, installed clients."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

HOST = "127.0.0.1"
_began = float(os.environ.setdefault("STAGE_BEGAN", str(time.monotonic())))  # the programs that it starts need


def say(text: str) -> None:
    """Print a line with the seconds since the program began."""
    print(f"{time.monotonic() - _began:6.2f} s  {text}", flush=True)


def show_log(level: int = logging.WARNING) -> None:
    """Print the log lines of redouble, too."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("          %(name)s %(levelname)s: %(message)s"))
    logging.getLogger("redouble").addHandler(handler)
    logging.getLogger("redouble").setLevel(level)


# The command line.


def start(main: Callable[..., None], *hosts: str, words: str = "", level: int = logging.WARNING) -> None:
    """Call an example's `main` with the host and the words of the command line; print redouble's log.

    Args:
        main: The example's function.
        hosts: The hosts that can run it, the default first.
        words: The names of the words that may stand on the command line, separated by spaces.
        level: The level from which log lines are printed.
    """
    options = _parser(hosts, words).parse_args()
    show_log(level)
    with limited(options.seconds):
        main(options.on, *options.words)


def _parser(hosts: Sequence[str], words: str) -> argparse.ArgumentParser:
    module = sys.modules["__main__"]
    spec = module.__spec__
    parser = argparse.ArgumentParser(
        prog=f"python -m {spec.name}" if spec else None,
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = "what runs it; %(default)s unless given"
    parser.add_argument("--on", type=_installed, choices=hosts, default=hosts[0], help=what)
    parser.add_argument(
        "--seconds", type=float, help="end after so many seconds, as by Ctrl-C; unless given, it runs to its own end"
    )
    parser.set_defaults(words=[])
    if words:
        names = tuple(words.split())
        parser.add_argument("--part", dest="words", nargs=len(names), metavar=names, help="do one part of it alone")
    return parser


def _installed(host: str) -> str:
    if host == "trio":
        client(host)
    return host


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Press Ctrl-C after some seconds; end quietly when the user or this has pressed it."""
    timer = None if seconds is None else threading.Timer(seconds, _interrupt)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted: the end")
    finally:
        if timer is not None:
            timer.cancel()


def _interrupt() -> None:
    if hasattr(signal, "pthread_kill"):  # wakes also a thread that sleeps
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def run(host: str, main: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Run a coroutine function on asyncio or trio."""
    if host == "trio":
        client("trio").run(main, *args)
    else:
        asyncio: Any = importlib.import_module("asyncio")
        asyncio.run(main(*args))


# Clients and programs that must be installed.


def client(name: str) -> Any:
    """Import a third-party module.

    Raises:
        SystemExit: When an example is run and the module is not installed: exit code 2, with a line that names the
            package.
        ModuleNotFoundError: When an example is imported and the module is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        text = f"{package} is not installed: pip install {package}"
        spec = sys.modules["__main__"].__spec__
        if spec is None or not spec.name.startswith("redouble.examples."):
            raise ModuleNotFoundError(text, name=name) from error
    print(text, file=sys.stderr)
    raise SystemExit(2)


def find_program(name: str) -> str | None:
    """Return the path of a program, also in Debian's folders for servers; `None` where there is none."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


# The loopback.


def unused_port() -> int:
    """Return a free port of the loopback."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Return whether connections to a port are accepted."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def wait_until(happened: Callable[[], Any], what: str, timeout: float = 10.0) -> Any:
    """Return the result of `happened`, as soon as it is true.

    Raises:
        TimeoutError: When it does not become true in time.
    """
    end = time.monotonic() + timeout
    while not (found := happened()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s in vain until {what}")
        time.sleep(0.01)
    return found
