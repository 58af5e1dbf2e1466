"""On top of the floors: clients that contend for one row, in virtual time, driven by redouble's controller and curves.

The model is that of the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015): optimistic concurrency control.
Each client reads the row and its version, and writes if the version is still the same; else it backs off and begins
again. `redouble.cli.simulate` prints and draws the result.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from redouble import BackoffController, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import RetryPolicy
    from redouble.cli.worlds import Contention


class ConflictError(Exception):
    """Another client has written in between."""


CONFLICT = ConflictError("another client has written in between")


class Work(NamedTuple):
    """The work and the time of one trial, or of several on average.

    Fields:
        calls: Writes that reached the server.
        seconds: The time until the last client was done.
        gave_up: Clients that have not written.
    """

    calls: float
    seconds: float
    gave_up: float


def contend(model: Contention, policy: RetryPolicy, progress: Callable[[float], None] | None = None) -> Work:
    """Play all trials with one policy, which retries `ConflictError`; return the means.

    Args:
        model: The clients and the network.
        policy: The policy of every client; a conflict is its failure.
        progress: Called after each trial with the share of trials that are over.
    """
    chance = Random(model.seed)
    trials = []
    for trial in range(model.trials):
        trials.append(_Trial(model, policy, chance).play())
        if progress is not None:
            progress((trial + 1) / model.trials)
    return Work(*(sum(figures) / len(trials) for figures in zip(*trials, strict=True)))


class _Trial:
    """One trial: a server with one row, and the messages that are under way to it."""

    def __init__(self, model: Contention, policy: RetryPolicy, chance: Random) -> None:
        self._model = model
        self._chance = chance
        self._calls = self._version = self._number = 0
        self._messages: list[tuple[float, int, BackoffController, int | None]] = []
        self._last = 0.0
        self._gave_up = 0
        for _ in range(model.clients):
            self._read(BackoffController(policy), 0.0)

    def play(self) -> Work:
        """Let every message arrive."""
        while self._messages:
            now, _, client, read = heappop(self._messages)
            if read is None:  # the server answers a read with the version; the client sends its write at once
                self._send(client, now + self._leg() + self._leg(), self._version)
            else:
                self._write(client, now, read)
        return Work(self._calls, self._last, self._gave_up)

    def _leg(self) -> float:
        return abs(self._chance.gauss(self._model.leg, self._model.spread))

    def _send(self, client: BackoffController, arrives: float, version: int | None) -> None:
        self._number += 1
        heappush(self._messages, (arrives, self._number, client, version))

    def _read(self, client: BackoffController, now: float) -> None:
        client.start(now)
        self._send(client, now + self._leg(), None)

    def _write(self, client: BackoffController, now: float, read: int) -> None:
        """Let a write arrive; the answer tells the client whether the row still had the version that it read."""
        self._calls += 1
        told = now + self._leg()
        self._last = max(self._last, told)
        if read == self._version:
            self._version += 1
            client.record_success(told)
            return
        decision = client.record_failure(CONFLICT, told, self._chance.random())
        if isinstance(decision, Wait):
            self._read(client, told + decision.delay)
        else:
            self._gave_up += 1
