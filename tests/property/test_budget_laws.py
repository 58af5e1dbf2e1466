"""Laws of the retry budget, over random schedules: its bound, and that it counts as its definition says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from redouble import RetryBudget
from redouble.control.budget import HINTED_COST

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDING = 1e-6

settings_ = st.fixed_dictionaries(
    {
        "ratio": st.sampled_from([0.0, 0.1, 0.2, 1.0]) | st.floats(0, 1),
        "burst": st.sampled_from([0, 1, 20]) | st.floats(0, 100),
        "window": st.sampled_from([1, 10]) | st.floats(0.01, 1000),
        "trickle": st.sampled_from([0, 1 / 300, 0.5]) | st.floats(0, 10),
        "strict": st.booleans(),
        "share": st.sampled_from([1.0, 0.25, 1 / 1600]),
    }
)
times = st.sampled_from([0.0, 0.001, 1.0, 10.0, 3600.0]) | st.floats(0, 100)
steps = st.one_of(
    st.tuples(st.just("hits"), st.integers(1, 300)),
    st.tuples(st.just("pass"), times),
    st.tuples(st.just("go back"), times),
    st.tuples(st.sampled_from(["take", "refund"]), st.booleans()),
    st.tuples(st.just("read"), st.none()),
    st.tuples(st.just("stale"), st.none()),
    st.tuples(st.just("look"), st.none()),
)


class Schedule:
    """One story of a budget, with books of its own: they count what happened, not what the budget says."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.now = 0.0
        self.latest = 0.0
        self.budget = RetryBudget(**settings, clock=lambda: self.now)
        self.spent = 0.0  # in tokens, less what was refunded and may be
        self.out = {False: 0, True: 0}
        self.successes = 0
        self.old = 0

    def play(self, step: tuple[str, Any]) -> None:
        """Do one thing."""
        kind, value = step
        if kind == "hits":
            self.budget.hits += value
            self.successes += value
        elif kind in ("pass", "go back"):
            self.now += value if kind == "pass" else -value
            self.latest = max(self.latest, self.now)
        elif kind == "read":
            self.old = self.budget.hits
        elif kind == "stale":  # a thread that had read the count long ago writes it back with its own success
            self.budget.hits = self.old + 1
            self.successes += 1
            self.old = 0
        elif kind == "look":
            self.budget.snapshot()
        elif kind == "take":
            self.take(hinted=value)
        else:
            self.refund(hinted=value)

    def take(self, *, hinted: bool) -> None:
        """Want a retry."""
        if self.budget.take(self.now, hinted):
            self.spent += HINTED_COST if hinted else 1.0
            self.out[hinted] += 1

    def refund(self, *, hinted: bool) -> None:
        """A retry worked, or somebody says so."""
        self.budget.refund(hinted)
        if self.out[hinted] and not self.budget.strict:
            self.out[hinted] -= 1
            self.spent -= HINTED_COST if hinted else 1.0

    @property
    def bound(self) -> float:
        """What may have been spent at most, in tokens."""
        budget = self.budget
        return (budget.burst + budget.trickle * self.latest) * budget.share + budget.ratio * self.successes


@given(settings=settings_, story=st.lists(steps, max_size=60))
def test_the_bound(settings: dict[str, Any], story: list[tuple[str, Any]]) -> None:
    """At every instant: granted - refunded <= burst + ratio * first_try_successes + trickle * elapsed."""
    schedule = Schedule(settings)
    for step in story:
        schedule.play(step)
        assert schedule.spent <= schedule.bound + ROUNDING
    told = schedule.budget.snapshot()
    assert told["spent"] == pytest.approx(schedule.spent, abs=ROUNDING)
    assert told["successes"] <= schedule.successes
    assert told["elapsed"] <= schedule.latest


def reference(ratio: float, burst: float, window: float, trickle: float) -> Callable[..., bool]:
    """The bucket as its definition has it, word for word; for one process, without races."""
    tokens, seen, at = float(burst), 0, 0.0

    def take(now: float, cost: float, hits: int, back: float) -> bool:
        nonlocal tokens, seen, at
        passed, new = now - at, hits - seen
        at, seen = now, hits
        if tokens > burst:
            tokens = burst + (tokens - burst) * max(0, 1 - passed / window)
        else:
            tokens = min(burst, tokens + trickle * passed)
        tokens += ratio * new * min(1, window / passed if passed else 1) + back
        assume(abs(tokens - cost + 1e-9) > 1e-12)  # there the order of the operations decides
        if tokens < cost - 1e-9:
            return False
        tokens -= cost
        return True

    return take


@given(
    story=st.lists(st.tuples(times, st.integers(0, 300), st.booleans(), st.booleans()), max_size=40),
    ratio=st.floats(0, 1),
    burst=st.floats(0, 50),
    window=st.floats(0.1, 100),
    trickle=st.floats(0, 1),
)
def test_it_counts_as_it_is_defined(
    story: list[tuple[float, int, bool, bool]], ratio: float, burst: float, window: float, trickle: float
) -> None:
    """Whatever happens between two retries, the second is granted exactly where the definition grants it."""
    budget = RetryBudget(ratio, burst, window, trickle, clock=lambda: 0.0)
    expected = reference(ratio, burst, window, trickle)
    now, back = 0.0, 0.0
    for passed, successes, hinted, works in story:
        now += passed
        budget.hits += successes
        cost = HINTED_COST if hinted else 1.0
        granted = budget.take(now, hinted)
        assert granted == expected(now, cost, budget.hits, back)
        back = 0.0
        if granted and works:
            budget.refund(hinted)
            back = cost


@given(settings=settings_, story=st.lists(steps, max_size=40))
def test_looking_changes_nothing(settings: dict[str, Any], story: list[tuple[str, Any]]) -> None:
    """The same story with a snapshot after each step ends in the same state."""
    one, other = Schedule(settings), Schedule(settings)
    for step in story:
        one.play(step)
        other.play(step)
        other.budget.snapshot()
    assert one.budget.snapshot() == other.budget.snapshot()
