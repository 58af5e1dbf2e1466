"""What the tests of the shell's commands share: `redouble` as a process, with pipes or with a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REDOUBLE = [sys.executable, "-m", "redouble"]
LONGEST = 30.0


class Ran(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str
    seconds: float


def redouble(*arguments: str) -> Ran:
    """Run `redouble` with pipes."""
    began = time.monotonic()
    done = subprocess.run([*REDOUBLE, *arguments], capture_output=True, text=True, timeout=LONGEST, check=False)
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def begun(*arguments: str) -> subprocess.Popen[str]:
    """Start `redouble` with pipes."""
    return subprocess.Popen([*REDOUBLE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Terminal:
    """A process whose session has a terminal of its own, as in a window.

    Args:
        columns: How wide it is.
        settings: Variables of the environment.
        command: The program and its arguments.
    """

    def __init__(self, command: list[str], columns: int, settings: dict[str, str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", 24, columns, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            unset = ("NO_COLOR", "COLUMNS", "TERM")
            environment = {key: value for key, value in os.environ.items() if key not in unset}
            os.execvpe(command[0], command, {**environment, "TERM": "xterm", **settings})
        self.shown = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def until(self, text: str) -> None:
        """Read until a text is shown."""
        end = time.monotonic() + LONGEST
        while text not in self.shown:
            assert time.monotonic() < end and self._read(), f"{text!r} is not in {self.shown!r}"

    def foreground(self) -> int:
        """The process group that has the terminal."""
        return os.tcgetpgrp(self._master)

    def ended(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        """Close the terminal."""
        os.close(self._master)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], LONGEST)[0]:
            return False
        try:
            chunk = os.read(self._master, 4096)
        except OSError:  # all of its processes have ended
            return False
        self.shown += chunk.decode(errors="replace").replace("\r\n", "\n")
        return bool(chunk)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Starts `redouble` in a terminal."""
    opened: list[Terminal] = []

    def start(*arguments: str, columns: int = 80, **settings: str) -> Terminal:
        opened.append(Terminal([*REDOUBLE, *arguments], columns, settings))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
