"""On top of the floors: a fleet that shares its retry budget through a store, in virtual time.

The processes lease their tokens by the same code as with a real store (`redouble.control.leases`); the store answers at
once and is never away.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from redouble.control.leases import IDLE, Bucket, LeasedBudget

if TYPE_CHECKING:
    from redouble import RetryBudget
    from redouble.control.leases import Reply, Request


class Store:
    """The store: one bucket, and the time.

    Attributes:
        now: Virtual seconds.
        requests: The number of requests to it.
    """

    def __init__(self, budget: RetryBudget) -> None:
        self.now: float = 0.0
        self.requests: int = 0
        self._bucket = Bucket(budget)
        self._due: list[tuple[float, int, LeaseOfStore]] = []  # when each process looks for unused tokens
        self._number = 0

    def move(self, now: float) -> None:
        """Let time pass; do the due work at its time."""
        while self._due and self._due[0][0] <= now:
            at, _, budget = heappop(self._due)
            self.now = max(self.now, at)
            budget.look()
        self.now = max(self.now, now)

    def answer(self, request: Request) -> Reply:
        """Answer a request now."""
        self.requests += 1
        return self._bucket.answer(request, self.now)

    def remind(self, budget: LeaseOfStore) -> None:
        """Let a process look for unused tokens."""
        self._number += 1
        heappush(self._due, (self.now + IDLE, self._number, budget))


class LeaseOfStore(LeasedBudget):
    """The budget of one process."""

    __slots__ = ("_reminded", "_store")

    def __init__(self, store: Store, budget: RetryBudget) -> None:
        self._store = store
        self._reminded = False
        super().__init__(clock=lambda: store.now, **budget._settings())

    def look(self) -> None:
        """Give back unused tokens."""
        self._reminded = False
        self._wake()

    def _wake(self) -> None:
        store = self._store
        while (request := self._next(store.now)) is not None:
            self._answered(request, store.answer(request), store.now, store.now)
        if self._hand + self._owed > 0 and not self._reminded:
            self._reminded = True
            store.remind(self)
