"""On top of the floors: one command as a process group of its own, which has the terminal as a shell's job would.

Signals that reach redouble are handed on to the group. Ctrl-C and Ctrl-Z come to it from the terminal itself, since it is the
foreground group while it runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

GRACE = 5.0
"""Seconds that a group has between SIGTERM and SIGKILL."""

LOOK = 0.02
"""How often, in seconds, a process is looked at that may also stop (Ctrl-Z) or run out of time."""

KEPT = 65536
"""How many characters of a command's output are kept to be searched: the last ones."""

HANDED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")
    if hasattr(signal, name)
)
ENDING = frozenset(
    getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM") if hasattr(signal, name)
)


class Job:
    """A command that may run several times, one process group at a time.

    Args:
        command: The program and its arguments.
        search: Whether the output is kept to be searched; it is then passed on through pipes, not by the terminal.
    """

    def __init__(self, command: Sequence[str], *, search: bool = False) -> None:
        self.command = list(command)
        self.stop = threading.Event()
        self.ended_by: int | None = None
        self._search = search
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, seconds: float | None) -> tuple[int, str]:
        """Run the command once.

        Args:
            seconds: How long it may take. `None`: as long as it likes.

        Returns:
            Its exit code (negative: the signal that ended it), and the end of its output where it is searched.

        Raises:
            subprocess.TimeoutExpired: When its time was over; the whole group is gone then.
            OSError: When it cannot be started.
        """
        pipe = subprocess.PIPE if self._search else None
        with terminal_lent() as lend:
            self._process = process = subprocess.Popen(self.command, process_group=0, stdout=pipe, stderr=pipe)
            try:
                lend(process.pid)
                if self.ended_by is not None:  # the signal came while the process was being made
                    signal_group(process, self.ended_by)
                outputs = [Copied(source, out) for source, out in self._pipes(process)]
                self._wait(process, seconds, lend)
                text = "".join(output.text() for output in outputs)
            finally:
                kill_group(process)
                self._process = None
        return process.returncode, text

    def _pipes(self, process: subprocess.Popen[bytes]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        if process.stdout is not None and process.stderr is not None:
            yield process.stdout, sys.stdout.buffer
            yield process.stderr, sys.stderr.buffer

    def _wait(self, process: subprocess.Popen[bytes], seconds: float | None, lend: Lend) -> None:
        end = None if seconds is None else monotonic() + seconds
        while process.poll() is None:
            if end is not None and monotonic() >= end:
                raise subprocess.TimeoutExpired(self.command, seconds or 0.0)
            stopped = stopped_by(process)
            if stopped is not None:
                if stopped not in (signal.SIGTTIN, signal.SIGTTOU):  # it only asked for the terminal too early
                    lend.back()
                    os.kill(os.getpid(), signal.SIGSTOP)  # until the shell continues us
                lend(process.pid)
                signal_group(process, signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Hand signals on to the group; one that asks to end lets no further attempt begin."""
        before = {number: signal.signal(number, self._handle) for number in HANDED_ON}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number in ENDING:
            self.ended_by = number
            self.stop.set()
        if self._process is not None:
            signal_group(self._process, number)


class Copied:
    """A thread that copies a pipe to a stream as it comes, and keeps the end of it."""

    def __init__(self, source: IO[bytes], out: IO[bytes]) -> None:
        self._kept = b""
        self._source, self._out = source, out
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        with self._source, suppress(ValueError):
            while chunk := os.read(self._source.fileno(), KEPT):
                self._kept = (self._kept + chunk)[-KEPT:]
                with suppress(OSError):
                    self._out.write(chunk)
                    self._out.flush()

    def text(self) -> str:
        """Return the end of what was copied, once all has been; a grandchild that keeps the pipe open is not waited for."""
        self._thread.join(1.0)
        return self._kept.decode(errors="replace")


class Lend:
    """Makes a process group the foreground of the terminal, and takes the terminal back."""

    def __init__(self, terminal: int | None) -> None:
        self._terminal = terminal
        self._own = os.getpgrp()

    def __call__(self, group: int) -> None:
        self._give(group)

    def back(self) -> None:
        """Take the terminal back."""
        self._give(self._own)

    def _give(self, group: int) -> None:
        if self._terminal is not None:
            with suppress(OSError):  # the process may be gone already
                os.tcsetpgrp(self._terminal, group)


@contextmanager
def terminal_lent() -> Iterator[Lend]:
    """Yield what lends the terminal, where there is one and we are its foreground; it is taken back at the end."""
    terminal = None
    with suppress(OSError):
        terminal = 0 if os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp() else None
    lend = Lend(terminal)
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else taking it back would stop us
    try:
        yield lend
    finally:
        lend.back()
        signal.signal(signal.SIGTTOU, before)


def stopped_by(process: subprocess.Popen[bytes]) -> int | None:
    """Return the signal that has stopped a process since the last look, as Ctrl-Z does; `None` where none has."""
    with suppress(ChildProcessError):
        found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG)
        return None if found is None else found.si_status
    return None


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to all processes of a group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a group: asked by SIGTERM, after `GRACE` seconds by SIGKILL; nothing where all is over."""
    if process.poll() is None:
        signal_group(process, signal.SIGTERM)
        signal_group(process, signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        signal_group(process, signal.SIGKILL)
        process.wait()
