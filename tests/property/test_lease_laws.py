"""Laws of a budget that a store keeps for a fleet: its bound over all processes, whatever gets lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import RetryBudget
from redouble.control.budget import HINTED_COST
from redouble.control.leases import FOREVER, Bucket, LeasedBudget, Request

ROUNDING = 1e-6
PROCESSES = 3

settings_ = st.fixed_dictionaries(
    {
        "ratio": st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0, 1),
        "burst": st.sampled_from([0, 1, 20]) | st.floats(0, 50),
        "window": st.sampled_from([1, 10]) | st.floats(0.1, 100),
        "trickle": st.sampled_from([0, 1 / 300]) | st.floats(0, 1),
        "share": st.sampled_from([1.0, 0.25]),
        "strict": st.booleans(),
    }
)
times = st.sampled_from([0.0, 0.001, 1.0, 5.0, 10.0, 3600.0]) | st.floats(0, 20)
process = st.integers(0, PROCESSES - 1)
lost = st.sampled_from(["request", "reply", None, None, None])
steps = st.one_of(
    st.tuples(st.just("hits"), process, st.integers(1, 5) | st.integers(1, 100)),
    st.tuples(st.just("pass"), process, times),
    st.tuples(st.just("take"), process, st.tuples(st.booleans(), st.integers(1, 12))),
    st.tuples(st.just("refund"), process, st.booleans()),
    st.tuples(st.just("kill"), process, st.none()),
    st.tuples(st.just("network"), process, lost),
)


class Member(LeasedBudget):
    """One process, whose requests or replies may get lost."""

    __slots__ = ("fleet", "lost")

    def __init__(self, fleet: Fleet, settings: dict[str, Any]) -> None:
        self.fleet = fleet
        self.lost: str | None = None
        super().__init__(clock=lambda: fleet.now, **settings)

    def _wake(self) -> None:
        fleet = self.fleet
        while (request := self._next(fleet.now)) is not None:
            reply = None if self.lost == "request" else fleet.bucket.answer(request, fleet.now)
            if reply is None or self.lost is not None:
                fleet.was_away = True
                self._lose(fleet.now, ConnectionError())
            else:
                self._answered(request, reply, fleet.now, fleet.now)


class Fleet:
    """A story of some processes, with books of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.now = 0.0
        self.was_away = False
        self.settings = settings
        self.bucket = Bucket(RetryBudget(**settings))
        self.members = [Member(self, settings) for _ in range(PROCESSES)]
        self.alone = PROCESSES  # processes that may have had a burst of their own
        self.spent = 0.0
        self.out = {(each, hinted): 0 for each in range(PROCESSES) for hinted in (False, True)}
        self.successes = 0

    def play(self, step: tuple[str, int, Any]) -> None:
        """Do one thing."""
        kind, number, value = step
        member = self.members[number]
        if kind == "hits":
            member.hits += value
            self.successes += value
        elif kind == "pass":
            self.now += value
            for each in self.members:
                each._wake()
        elif kind == "network":
            member.lost = value
        elif kind == "kill":
            self.members[number] = Member(self, self.settings)
            self.alone += 1
            self.out[number, False] = self.out[number, True] = 0
        elif kind == "take":
            hinted, times = value
            for _ in range(times):
                if member.take(hinted=hinted):
                    self.spent += HINTED_COST if hinted else 1.0
                    self.out[number, hinted] += 1
        else:
            member.refund(hinted=value)
            if self.out[number, value] and not member.strict:
                self.out[number, value] -= 1
                self.spent -= HINTED_COST if value else 1.0

    @property
    def bound(self) -> float:
        """What may have been spent at most: with the store, and by the processes that lost it."""
        settings = self.settings
        own = self.alone * settings["share"] if self.was_away else 0.0
        return (settings["burst"] + settings["trickle"] * self.now) * (1 + own) + settings["ratio"] * self.successes


@given(settings=settings_, story=st.lists(steps, max_size=80))
def test_the_bound_of_a_fleet(settings: dict[str, Any], story: list[tuple[str, int, Any]]) -> None:
    """At every instant, over all processes: granted - refunded <= burst + ratio * successes + trickle * elapsed.

    A process that has lost the store adds its share of burst and trickle, and nothing else does: not a lost request or
    reply, not a process that is killed with its leases.
    """
    fleet = Fleet(settings)
    for step in story:
        fleet.play(step)
        assert fleet.spent <= fleet.bound + ROUNDING


@given(
    story=st.lists(st.tuples(times, st.integers(0, 200), st.booleans(), st.booleans()), max_size=40),
    ratio=st.floats(0, 1),
    burst=st.floats(0, 50),
    window=st.floats(0.1, 100),
    trickle=st.floats(0, 1),
)
def test_the_bucket_of_a_store_is_the_bucket(
    story: list[tuple[float, int, bool, bool]], ratio: float, burst: float, window: float, trickle: float
) -> None:
    """Asked for one token at a time by one process, it has the tokens that a `RetryBudget` has."""
    budget = RetryBudget(ratio, burst, window, trickle, clock=lambda: 0.0)
    bucket = Bucket(budget)
    bucket.answer(Request(0.0, 0.0, 0.0, 0.0, FOREVER), 0.0)
    now, back = 0.0, 0.0
    for passed, successes, hinted, works in story:
        now += passed
        budget.hits += successes
        cost = HINTED_COST if hinted else 1.0
        granted = budget.take(now, hinted)
        fresh = successes * min(1.0, window / passed) if passed else successes
        if granted:
            reply = bucket.answer(Request(fresh, back, cost, cost, FOREVER), now)
            assert reply.leased == pytest.approx(cost)
        else:
            reply = bucket.answer(Request(fresh, back, 0.0, 0.0, FOREVER), now)
        assert reply.tokens == pytest.approx(budget.snapshot(now)["tokens"], abs=ROUNDING)
        back = 0.0
        if granted and works:
            budget.refund(hinted)
            back = cost


@given(jumps=st.lists(st.floats(-1e6, 1e6), max_size=30), asked=st.lists(st.floats(0, 100), min_size=30, max_size=30))
def test_a_clock_that_jumps_gives_no_more_than_passed(jumps: list[float], asked: list[float]) -> None:
    """Whatever the clock of the store says, a process that asked before brings no more than its own time."""
    bucket = Bucket(RetryBudget(burst=100, trickle=0.5))
    bucket.answer(Request(0.0, 0.0, 100.0, 100.0, FOREVER), 0.0)
    now, elapsed = 0.0, 0.0
    for jump, since in zip(jumps, asked, strict=False):
        now += jump
        elapsed += since
        reply = bucket.answer(Request(0.0, 0.0, 0.0, 0.0, since), now)
        assert reply.tokens <= 0.5 * elapsed + ROUNDING


def test_a_clock_that_went_back_goes_on_from_there() -> None:
    """After a jump back the bucket fills as before: nothing has to be caught up with."""
    bucket = Bucket(RetryBudget(burst=100, trickle=0.5))
    bucket.answer(Request(0.0, 0.0, 100.0, 100.0, FOREVER), 1e6)
    bucket.answer(Request(0.0, 0.0, 0.0, 0.0, 1.0), 0.0)
    assert bucket.answer(Request(0.0, 0.0, 0.0, 0.0, 10.0), 10.0).tokens == pytest.approx(5)
