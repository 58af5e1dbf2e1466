"""Laws that hold for every policy and every story, through the controller and through the ways in."""

from __future__ import annotations

import json
from itertools import count
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import (
    BackoffController,
    Classification,
    Event,
    EventKind,
    GaveUp,
    Reason,
    RetryPolicy,
    Status,
    Verdict,
    Wait,
    constant,
    exponential,
    outcome,
    retry,
    sequence,
)
from redouble.core.backoff import CEILING
from redouble.testing import fake_time
from redouble.testing.strategies import backoffs, policies
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

draws = st.floats(0, 1, exclude_max=True)
durations = st.sampled_from([0.0, 0.001, 0.5, 30.0]) | st.floats(0, 1e5, allow_subnormal=False)
verdicts = st.sampled_from([Verdict.TRANSIENT] * 5 + [Verdict.PENDING])
hints = st.none() | st.floats(0, 400, allow_subnormal=False)


class Step(NamedTuple):
    """One attempt: how long it takes, what it comes to, and the draw for what follows."""

    takes: float
    found: Classification
    draw: float


steps = st.builds(
    Step,
    durations,
    st.builds(Classification, verdicts, hints, st.booleans(), st.none() | backoffs()),
    draws,
)
stories = st.lists(steps, max_size=8)


class ToldError(Exception):
    """An error that says itself what it is to be judged as."""

    def __init__(self, found: Classification) -> None:
        super().__init__(found.verdict.value)
        self.found = found


def judged(error: Any) -> Classification | None:
    """The rule of the policies here."""
    return error.found if isinstance(error, ToldError) else None


def played(controller: BackoffController, story: list[Step], began: float = 0.0) -> list[Wait | GaveUp]:
    """All decisions of a story, each wait slept exactly."""
    decisions: list[Wait | GaveUp] = []
    now = began
    for step in story:
        controller.start(now)
        now += step.takes
        decision = controller.record_failure(ToldError(step.found), now, step.draw)
        assert decision is not None
        decisions.append(decision)
        if isinstance(decision, GaveUp):
            break
        now += decision.delay
    return decisions


def plain(decision: Wait | GaveUp) -> tuple[Any, ...]:
    """A decision, without what a snapshot does not keep."""
    if isinstance(decision, Wait):
        return (decision.delay,)
    return decision.reason, decision.attempts, decision.elapsed, decision.hint


# The laws of the controller.


@given(policies(), stories)
def test_no_wait_ends_after_the_deadline(policy: RetryPolicy, story: list[Step]) -> None:
    """Whatever happens, it never waits past its deadline, which counts from the first attempt."""
    now = 0.0
    for step, decision in zip(story, played(BackoffController(policy(on=judged)), story), strict=False):
        now += step.takes
        if isinstance(decision, Wait):
            now += decision.delay
            assert policy.deadline is None or now <= policy.deadline


@given(policies(), stories)
def test_every_wait_is_in_range(policy: RetryPolicy, story: list[Step]) -> None:
    """A wait is finite, never negative, never above what curve and hint can ask for; pending ones last 0.1 s."""
    longest = max(CEILING, policy.max_hint * 1.1)
    for step, decision in zip(story, played(BackoffController(policy(on=judged)), story), strict=False):
        if isinstance(decision, Wait):
            assert isfinite(decision.delay) and 0.0 <= decision.delay <= longest
            assert decision.delay >= (step.found.retry_after or 0.0)
            assert decision.delay >= 0.1 or step.found.verdict is Verdict.TRANSIENT


@given(policies(backoff=exponential(0.5, maximum=8.0)), stories)
def test_a_wait_stays_within_the_cap_unless_the_server_says_more(policy: RetryPolicy, story: list[Step]) -> None:
    """The maximum of the curve holds for every wait that no hint and no rule's own curve made longer."""
    for step, decision in zip(story, played(BackoffController(policy(on=judged)), story), strict=False):
        usual = step.found.retry_after is None and step.found.backoff is None
        if isinstance(decision, Wait) and usual and step.found.verdict is Verdict.TRANSIENT:
            assert decision.delay <= 8.0


@given(policies(), stories)
def test_failures_are_never_above_attempts(policy: RetryPolicy, story: list[Step]) -> None:
    """Failures in a row never exceed the limit, and reaching it is the end."""
    controller = BackoffController(policy(on=judged))
    now = 0.0
    for step in story:
        controller.start(now)
        decision = controller.record_failure(ToldError(step.found), now, step.draw)
        if policy.attempts is not None:
            assert controller.failures <= policy.attempts
            assert controller.failures < policy.attempts or isinstance(decision, GaveUp)
        if isinstance(decision, GaveUp):
            assert decision.attempts == controller.attempt
            break
        assert isinstance(decision, Wait)
        now += decision.delay


@given(policies(), st.lists(steps, min_size=1, max_size=20))
def test_an_end_has_its_reason(policy: RetryPolicy, story: list[Step]) -> None:
    """What it says to have ended it is true."""
    controller = BackoffController(policy(on=judged))
    decisions = played(controller, story)
    end, step = decisions[-1], story[len(decisions) - 1]
    if isinstance(end, Wait):
        return
    hint = step.found.retry_after
    assert {
        Reason.UNSAFE: policy.idempotent is False and step.found.applied,
        Reason.ATTEMPTS: policy.attempts is not None and controller.failures >= policy.attempts,
        Reason.CURVE: policy.backoff.length is not None or step.found.backoff is not None,
        Reason.HINT: hint is not None and (hint > policy.max_hint or policy.deadline is not None),
        Reason.DEADLINE: policy.deadline is not None,
    }[end.reason]
    assert controller.status is Status.GAVE_UP and end.hint == hint and end.classification == step.found


class Hand(SystemClock):
    """A clock whose reading is set by hand."""

    time = 0.0

    def now(self) -> float:
        return self.time


@given(policies(), stories)
def test_passed_or_read_makes_no_difference(policy: RetryPolicy, story: list[Step]) -> None:
    """The same outcomes give the same decisions with time and draw passed, or read from clock and draw."""
    policy = policy(on=judged)
    hand, given_draws = Hand(), iter([step.draw for step in story])
    reading = BackoffController(policy.overridden(clock=hand, draw=lambda: next(given_draws)))
    for step, decision in zip(story, played(BackoffController(policy), story), strict=False):
        reading.start()
        hand.time += step.takes
        assert reading.record_failure(ToldError(step.found)) == decision
        hand.time += decision.delay if isinstance(decision, Wait) else 0.0


@given(policies(), stories, st.integers(-(2**40), 2**40))
def test_only_differences_of_time_matter(policy: RetryPolicy, story: list[Step], zero: int) -> None:
    """Where a clock has its zero makes no difference."""
    policy = policy(on=judged)
    eighths = [Step(round(step.takes) / 8, step.found, step.draw) for step in story]
    usual = [plain(each) for each in played(BackoffController(policy.overridden(deadline=None)), eighths)]
    moved = [plain(each) for each in played(BackoffController(policy.overridden(deadline=None)), eighths, zero)]
    assert [each[:1] for each in usual] == [each[:1] for each in moved]


@given(stories)
def test_a_snapshot_is_small(story: list[Step]) -> None:
    """However long the story, a snapshot holds no more than a number for each curve."""
    controller = BackoffController(retry(on=judged, attempts=None, deadline=None))
    played(controller, story)
    assert len(controller.snapshot()["curves"]) <= len({step.found.backoff for step in story})


# The ways in decide alike.

CURVES = [constant(1), sequence(0.5, 2), sequence(), exponential(0.5, jitter=None), exponential(1, jitter="full")]
eighths = st.integers(0, 40).map(lambda number: number / 8)
told_steps = st.builds(
    Step,
    eighths,
    st.builds(
        Classification,
        st.sampled_from([Verdict.TRANSIENT] * 6 + [Verdict.PENDING, Verdict.PERMANENT]),
        st.sampled_from([None, None, None, 0.25, 2.0, 301.0]),
        st.booleans(),
        st.sampled_from([None, None, sequence(0.25, 3)]),
    ),
    st.sampled_from([0.0, 0.25, 0.5, 0.875]),
)


@st.composite
def told_policies(draw: st.DrawFn) -> RetryPolicy:
    """Policies whose decisions are exact in floats."""
    fields = {
        "attempts": draw(st.sampled_from([None, 1, 2, 3, 5])),
        "deadline": draw(st.sampled_from([None, 0.5, 4.0, 20.0])),
        "backoff": draw(st.sampled_from(CURVES)),
        "idempotent": draw(st.sampled_from([None, True, False])),
    }
    return retry(on=judged, result=judged, name="law").overridden(**fields)


class Heard(NamedTuple):
    """What can be seen of a call from outside."""

    waits: list[float]
    reason: Reason | None
    attempts: int
    took: float
    value: object


def by_call(policy: RetryPolicy, operation: Callable[[], object]) -> object:
    """A direct call."""
    return policy.call(operation)


def by_decorator(policy: RetryPolicy, operation: Callable[[], object]) -> object:
    """A decorated function."""

    @policy
    def decorated() -> object:
        return operation()

    return decorated()


def by_block(policy: RetryPolicy, operation: Callable[[], object]) -> object:
    """A block."""
    value = None
    for attempt in policy:
        with attempt:
            value = operation()
    return value


def through(way: Callable[[RetryPolicy, Any], object], policy: RetryPolicy, story: list[Step]) -> Heard:
    """Play a story through one of the ways in; after its last step the operation works."""
    told: list[Event] = []
    drawn = [0.5]
    with fake_time(draw=lambda: drawn[0]) as clock:
        numbers = count()

        def operation() -> str:
            number = next(numbers)
            if number == len(story):
                return "body"
            clock.advance(story[number].takes)
            drawn[0] = story[number].draw
            raise ToldError(story[number].found)

        caught, value = None, None
        try:
            value = way(policy.overridden(observers=[told.append]), operation)
        except ToldError as error:
            caught = error
        waits = [event.delay for event in told if event.delay is not None]
        assert clock.sleeps == [wait for wait in waits if wait]
        return Heard(waits, ended_by(caught, told), next(numbers), clock.now(), value)


def ended_by(error: ToldError | None, told: list[Event]) -> Reason | None:
    """The reason of an end, which the error and the last event agree about."""
    if error is None:
        return None
    end, last = outcome(error), told[-1]
    reason = Reason.PERMANENT if end is None else end.reason
    assert (last.kind, last.reason, last.error) == (EventKind.GIVE_UP, reason, error)
    return reason


def by_hand(policy: RetryPolicy, story: list[Step]) -> Heard:
    """The same story, by a controller alone."""
    decisions = played(BackoffController(policy), story)
    waits = [each.delay for each in decisions if isinstance(each, Wait)]
    attempts = len(decisions)
    took = 0.0
    for step, decision in zip(story, decisions, strict=False):
        took += step.takes
        took += decision.delay if isinstance(decision, Wait) else 0.0
    if decisions and isinstance(decisions[-1], GaveUp):
        return Heard(waits, decisions[-1].reason, attempts, took, None)
    return Heard(waits, None, attempts + 1, took, "body")


def restored(policy: RetryPolicy, story: list[Step], at: int | None, zero: int) -> list[tuple[Any, ...]]:
    """What is decided in a story in which the process is restarted `at` a step; times are whole eighths."""
    controller, now, found = BackoffController(policy), 0.0, []
    for number, step in enumerate(story):
        if number == at:
            snapshot = json.loads(json.dumps(controller.snapshot(now)))
            now += zero
            controller = BackoffController.restore(policy, snapshot, now)
        controller.start(now)
        now += step.takes
        decision = controller.record_failure(ToldError(step.found), now, step.draw)
        assert decision is not None
        found.append(plain(decision))
        if isinstance(decision, GaveUp):
            break
        now += ceil(decision.delay * 8) / 8  # nobody wakes up at the very moment
    return found


@given(told_policies(), st.lists(told_steps, max_size=9), st.integers(0, 8), st.integers(-(2**20), 2**20))
def test_restoring_anywhere_changes_nothing(policy: RetryPolicy, story: list[Step], at: int, zero: int) -> None:
    """A snapshot through JSON before any attempt, restored at any reading of any clock, changes no decision."""
    assert restored(policy, story, at, zero) == restored(policy, story, None, 0)


@settings(max_examples=2 * settings().max_examples)
@given(told_policies(), st.lists(told_steps, max_size=7), st.sampled_from([by_call, by_decorator, by_block]))
def test_every_way_in_decides_as_the_controller(policy: RetryPolicy, story: list[Step], way: Any) -> None:
    """Called, decorated or in a block: the same waits, the same end, the same number of attempts, the same time."""
    assert through(way, policy, story) == by_hand(policy, story)
