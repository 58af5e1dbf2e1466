"""On top of the floors: a retry storm in virtual time, driven by redouble's own controller, budget and curves.

Calls come at random to one server, which answers in the order of arrival. For a while it is slower than the rate of
calls. The retries of its clients decide whether it recovers: the server also works on requests that have timed out, and
that keeps a storm alive after its cause is gone (Bronson et al., "Metastable Failures in Distributed Systems", 2021).
`redouble.cli.simulate` prints and draws the result.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from redouble import BackoffController, RetryBudget, Wait
from redouble.cli.store import LeaseOfStore, Store
from redouble.cli.worlds import WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import RetryPolicy
    from redouble.cli.worlds import Storm

ENOUGH = 0.99
"""The share of calls that succeed in a service that has recovered."""

GRACE = 60
"""The seconds for which retries go on after the last call began: a policy without a limit would never end."""

TIMED_OUT = TimeoutError("timed out")


class Server:
    """Answers requests in the order of arrival, even those that have timed out."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._slow = storm.capacity * storm.left
        self._before = storm.capacity * storm.start  # work that can be done until the outage begins
        self._until = self._before + self._slow * storm.outage  # and until it ends
        self._room = storm.capacity * storm.queue
        self._promised = 0.0

    def done(self, now: float) -> float:
        """Return the work possible until `now`, in requests."""
        storm = self._storm
        if now <= storm.start:
            return now * storm.capacity
        if now <= storm.end:
            return self._before + (now - storm.start) * self._slow
        return self._until + (now - storm.end) * storm.capacity

    def _when(self, work: float) -> float:
        """Return the time until which this much work is possible: the inverse of `done`."""
        storm = self._storm
        if work <= self._before:
            return work / storm.capacity
        if work <= self._until and self._slow:
            return storm.start + (work - self._before) / self._slow
        return storm.end + (work - self._until) / storm.capacity

    def take(self, now: float) -> float | None:
        """Return the time of the answer to a request that arrives at `now`; `None` when it is dropped."""
        done = self.done(now)
        waiting = self._promised - done
        if waiting >= self._room:
            return None
        self._promised = 1.0 + (self._promised if waiting > 0 else done)
        return self._when(self._promised)


class Now:
    """The clock of the budgets: it is set to the time of each event."""

    __slots__ = ("moment",)

    def __init__(self) -> None:
        self.moment: float = 0.0

    def __call__(self) -> float:
        return self.moment


class Client:
    """One process: its policy, with the budget that its calls share; the controller asks it, as in every call.

    Args:
        policy: Of its calls.
        budget: Theirs; `None`: none.
        now: The clock of that budget.
    """

    def __init__(self, policy: RetryPolicy, budget: RetryBudget | None, now: Now | None = None) -> None:
        self._policy = policy(budget=budget)
        self._now = now or Now()

    def begin(self, now: float) -> BackoffController:
        """Begin a call."""
        controller = BackoffController(self._policy)
        controller.start(now)
        return controller

    def fail(self, call: BackoffController, now: float, draw: float) -> float | None:
        """Return how long the call waits before its next attempt; `None` when it gives up."""
        self._now.moment = now
        decision = call.record_failure(TIMED_OUT, now, draw)
        return decision.delay if isinstance(decision, Wait) else None

    def succeed(self, call: BackoffController, now: float) -> None:
        """End the call."""
        call.record_success(now)


class Course:
    """The result of a storm, second by second.

    Attributes:
        calls: Calls that began in each second.
        succeeded: Those of them that succeeded in the end.
        attempts: The attempts of these calls.
        load: Attempts that reached the server in each second.
        good: Calls that succeeded in each second.
    """

    calls: list[int]
    succeeded: list[int]
    attempts: list[int]
    load: list[int]
    good: list[int]

    def __init__(self, storm: Storm) -> None:
        self.storm: Storm = storm
        self.calls, self.succeeded, self.attempts, self.load, self.good = ([0] * storm.duration for _ in range(5))

    @property
    def recovered(self) -> int | None:
        """The seconds after the outage until every later window of calls has 99 % success; `None`: never."""
        first = int(self.storm.end + 0.999)
        last_bad = max(
            (s for s in range(first, len(self.calls) - WINDOW + 1) if not self._is_good(s)), default=first - 1
        )
        return None if last_bad == len(self.calls) - WINDOW else last_bad + 1 - first

    def _is_good(self, second: int) -> bool:
        window = slice(second, second + WINDOW)
        return sum(self.succeeded[window]) >= ENOUGH * sum(self.calls[window])

    def amplification(self, first: float, last: float) -> float:
        """Return the attempts per call, of the calls that began between two seconds."""
        window = slice(int(first), int(last))
        return sum(self.attempts[window]) / max(1, sum(self.calls[window]))

    def success(self, first: float, last: float) -> float:
        """Return the share of success, of the calls that began between two seconds."""
        window = slice(int(first), int(last))
        return sum(self.succeeded[window]) / max(1, sum(self.calls[window]))


class FleetClient(Client):
    """One process of a fleet that shares its budget through a store."""

    def __init__(self, policy: RetryPolicy, store: Store, budget: RetryBudget) -> None:
        super().__init__(policy, LeaseOfStore(store, budget))
        self.store = store

    def fail(self, call: BackoffController, now: float, draw: float) -> float | None:
        self.store.move(now)
        return super().fail(call, now, draw)

    def succeed(self, call: BackoffController, now: float) -> None:
        self.store.move(now)
        super().succeed(call, now)


def clients_of(
    storm: Storm, policy: RetryPolicy, budget: RetryBudget | None = None, *, shared: bool = False
) -> list[Client]:
    """Return the processes of a storm.

    Args:
        storm: Gives the number of processes.
        policy: The policy of every call.
        budget: Each process gets a full one with these settings; `None`: no budget.
        shared: Whether all processes share one through a store, which answers at once and is never away.
    """
    if shared and budget is not None:
        store = Store(budget)
        return [FleetClient(policy, store, budget) for _ in range(storm.processes)]
    now = Now()
    made = [None if budget is None else budget.fresh(now) for _ in range(storm.processes)]
    return [Client(policy, own, now) for own in made]


def run(storm: Storm, clients: list[Client], progress: Callable[[float], None] | None = None) -> Course:
    """Play a storm.

    Args:
        storm: The server, its outage and the calls.
        clients: From `clients_of`, or others with the same methods; each call belongs to a random one.
        progress: Called every virtual second with the share of the time that is over.

    Returns:
        The course: the same for the same storm and clients.
    """
    return _Play(storm, clients).play(progress)


class _Call(NamedTuple):
    """A call under way."""

    client: Client
    controller: BackoffController
    second: int  # in which it began


class _Play:
    """A storm under way: the calls that come, and the events that are due."""

    def __init__(self, storm: Storm, clients: list[Client]) -> None:
        self._storm = storm
        self._clients = clients
        self._arrivals = Random(storm.seed)  # apart from the other generator, so that every policy meets the same calls
        self._chance = Random(f"waits of {storm.seed}")
        self._server = Server(storm)
        self._course = Course(storm)
        self._number = 0  # of the last event: of two due at once, the older one goes first
        self._due: list[tuple[float, int, _Call, bool | None]] = []  # how the attempt ends; `None`: the next one begins

    def play(self, progress: Callable[[float], None] | None) -> Course:
        """Go from event to event, until the last call has ended or its time is over."""
        until, due = self._storm.duration, self._due
        arrival = self._next_arrival(0.0)
        while due or arrival < until:
            if arrival < until and (not due or arrival <= due[0][0]):
                later = self._next_arrival(arrival)
                if progress is not None and int(later) > int(arrival):
                    progress(min(1.0, later / until))
                self._begin(arrival)
                arrival = later
            else:
                now, _, call, succeeded = heappop(due)
                if succeeded is None:
                    call.controller.start(now)
                    self._request(call, now)
                elif succeeded:
                    self._succeed(call, now)
                else:
                    self._fail(call, now)
        return self._course

    def _next_arrival(self, now: float) -> float:
        return now + self._arrivals.expovariate(self._storm.load * self._storm.capacity)

    def _begin(self, now: float) -> None:
        client = self._clients[int(self._arrivals.random() * len(self._clients))]
        second = int(now)
        self._course.calls[second] += 1
        self._request(_Call(client, client.begin(now), second), now)

    def _request(self, call: _Call, now: float) -> None:
        """Make an attempt; its end is known at once, since the server keeps the order of arrival."""
        self._course.attempts[call.second] += 1
        if now < self._storm.duration:
            self._course.load[int(now)] += 1
        answered, given_up = self._server.take(now), now + self._storm.timeout
        if answered is None or answered > given_up:
            self._at(given_up, call, False)
        else:
            self._at(answered, call, True)

    def _succeed(self, call: _Call, now: float) -> None:
        call.client.succeed(call.controller, now)
        self._course.succeeded[call.second] += 1
        if now < self._storm.duration:
            self._course.good[int(now)] += 1

    def _fail(self, call: _Call, now: float) -> None:
        wait = call.client.fail(call.controller, now, self._chance.random())
        if wait is not None and now + wait < self._storm.duration + GRACE:
            self._at(now + wait, call, None)

    def _at(self, time: float, call: _Call, succeeded: bool | None) -> None:
        self._number += 1
        heappush(self._due, (time, self._number, call, succeeded))
