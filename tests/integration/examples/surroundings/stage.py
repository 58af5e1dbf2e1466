"""What all examples stand on: their clock of print-outs, free ports, and one line that says what is missing."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
_began = float(os.environ.setdefault("STAGE_BEGAN", str(time.monotonic())))  # programs that it starts count on


def say(text: str) -> None:
    """Print a line with the seconds since the program began."""
    print(f"{time.monotonic() - _began:6.2f} s  {text}", flush=True)


def show_log(level: int = logging.WARNING) -> None:
    """Print also what redouble logs."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("          %(name)s %(levelname)s: %(message)s"))
    logging.getLogger("redouble").addHandler(handler)
    logging.getLogger("redouble").setLevel(level)


def client(name: str) -> Any:
    """A third-party client; without it the program ends with exit code 2 and a line that says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError:
        _leave(f"{name} is not installed: pip install {name}")


def program(name: str, package: str) -> str:
    """The path of a program; without it the program ends with exit code 2 and a line that says what to install."""
    path = find_program(name)
    if path is None:
        _leave(f"{name} is not installed: apt-get install {package}")
    assert path is not None
    return path


def find_program(name: str) -> str | None:
    """The path of a program, looked for also where Debian keeps servers."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


def _leave(text: str) -> Any:
    print(text, file=sys.stderr)
    raise SystemExit(2)


def unused_port() -> int:
    """A port of the loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(happened: Callable[[], Any], what: str, timeout: float = 10.0) -> Any:
    """What `happened` returns, as soon as that is true.

    Raises:
        TimeoutError: When it never is.
    """
    end = time.monotonic() + timeout
    while not (found := happened()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s in vain until {what}")
        time.sleep(0.01)
    return found


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
