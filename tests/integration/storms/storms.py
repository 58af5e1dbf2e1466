"""What the storms share: how long they are, a server process that is killed and frozen, and counts of what is open."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Self

import pytest

from redouble.examples.surroundings.stage import listens, unused_port, wait_until

if TYPE_CHECKING:
    from types import TracebackType

OPEN_FILES = Path("/proc/self/fd")
needs_linux = pytest.mark.skipif(not OPEN_FILES.exists(), reason="needs Linux: /proc tells what a process has open")

SCALE = int(os.environ.get("REDOUBLE_STORM", "1"))
"""How many times as long the storms are: 1 takes half a minute, 100 an hour."""

PATIENCE = 60.0  # real seconds until something counts as lost, on a machine that is busy


def open_files() -> int:
    """Return how many files and sockets this process has open, when what is unreachable is gone."""
    gc.collect()
    return len(list(OPEN_FILES.iterdir()))


def wait_for_threads(before: set[threading.Thread]) -> None:
    """Wait until no other threads live than before; some end a moment after the work for which they were made."""
    wait_until(lambda: set(threading.enumerate()) <= before, "the threads have ended", PATIENCE)


class StormServer:
    """Runs the server, kills it (SIGKILL) and freezes it (SIGSTOP) at random moments, always on the same ports."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.websocket, self.tcp = unused_port(), unused_port()
        self.kills = self.freezes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._harm)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = str(Path(__file__).with_name("storm_server.py"))
        command = [sys.executable, program, str(self.websocket), str(self.tcp), str(self.random.randrange(2**32))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        wait_until(lambda: listens(self.websocket) and listens(self.tcp), "the server listens", PATIENCE)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            with self._process as process:
                process.kill()

    def freeze(self, seconds: float) -> None:
        """Let it stand still: its sockets stay open, and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._over.wait(seconds)
        self._process.send_signal(signal.SIGCONT)

    def _harm(self) -> None:
        while not self._over.wait(0.3 + self.random.random()):
            if self.kills <= self.freezes:
                self.kill()
                self.kills += 1
                self._over.wait(0.1)
                self.start()
            else:
                self.freeze(0.4)
                self.freezes += 1

    def __enter__(self) -> Self:
        self.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.kill()
