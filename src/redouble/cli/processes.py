"""On top of the floors: one command as a process group of its own, which owns the terminal like a shell's job.

redouble passes its signals on to the group. Ctrl-C and Ctrl-Z come from the terminal itself, since the group is in the
foreground while it runs.
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
"""The seconds between SIGTERM and SIGKILL."""

LOOK = 0.02
"""The seconds between looks at a process that may also stop (Ctrl-Z) or run out of time."""

KEPT = 65536
"""The characters of a command's output that are kept for a search: the last ones."""

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
        search: Whether the output is kept for a search; then it passes through pipes, and not straight to the terminal.
    """

    def __init__(self, command: Sequence[str], *, search: bool = False) -> None:
        self.command: list[str] = list(command)
        self.stop: threading.Event = threading.Event()
        self.ended_by: int | None = None
        self._search = search
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, seconds: float | None) -> tuple[int, str]:
        """Run the command once.

        Args:
            seconds: The time limit. `None`: without a limit.

        Returns:
            The exit code (negative: the signal that ended it), and the end of the output where it is searched.

        Raises:
            subprocess.TimeoutExpired: When the time was over; then the whole group is gone. OSError: When it cannot be
            started.
        """
        pipe = subprocess.PIPE if self._search else None
        with terminal_lent() as lend:
            self._process = process = subprocess.Popen(self.command, process_group=0, stdout=pipe, stderr=pipe)
            try:
                lend(process.pid)
                if self.ended_by is not None:  # the signal came while the process was starting
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
                if stopped not in (signal.SIGTTIN, signal.SIGTTOU):  # it only used the terminal too early
                    lend.back()
                    os.kill(os.getpid(), signal.SIGSTOP)  # until the shell continues this process
                lend(process.pid)
                signal_group(process, signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Pass signals on to the group; a signal to end also prevents further attempts."""
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
    """A thread that copies a pipe to a stream at once, and keeps the last characters."""

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
        """Return the end of the output when all is copied; do not wait for a grandchild that keeps the pipe open."""
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
    """Yield a `Lend`, where redouble is in the foreground of a terminal; take the terminal back at the end."""
    terminal = None
    with suppress(OSError):
        terminal = 0 if os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp() else None
    lend = Lend(terminal)
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else taking it back would stop this process
    try:
        yield lend
    finally:
        lend.back()
        signal.signal(signal.SIGTTOU, before)


def stopped_by(process: subprocess.Popen[bytes]) -> int | None:
    """Return the signal that has stopped a process since the last look (Ctrl-Z does); `None` where none has."""
    with suppress(ChildProcessError):
        found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG)
        return None if found is None else found.si_status
    return None


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to all processes of a group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the rest of a group, if any: by SIGTERM, and after `GRACE` seconds by SIGKILL."""
    if process.poll() is None:
        signal_group(process, signal.SIGTERM)
        signal_group(process, signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        signal_group(process, signal.SIGKILL)
        process.wait()
