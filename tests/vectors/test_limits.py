"""What other systems' tests expect of limits; the ids of the cases say which system, see test_account.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import (
    Backoff,
    BackoffController,
    EventKind,
    GaveUp,
    Reason,
    RetryPolicy,
    Wait,
    constant,
    current_attempt,
    exponential,
    fibonacci,
    linear,
    outcome,
    override,
    permanent,
    retry,
    sequence,
    transient,
)
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble import Event


class FlakyError(Exception):
    """An error that may pass."""


class FatalError(Exception):
    """An error that stays."""


def policy(**fields: Any) -> RetryPolicy:
    """A policy that retries FlakyError, with no limits but those that are given."""
    return RetryPolicy(
        **{"on": transient(FlakyError) | permanent(FatalError), "attempts": None, "deadline": None} | fields
    )


def grow(initial: float, factor: float = 2, maximum: float | None = None) -> Backoff:
    """An exponential curve without jitter and, unless one is given, without a maximum."""
    return exponential(initial, factor=factor, maximum=maximum, jitter=None)


def decisions(controller: BackoffController, count: int, took: float = 0.0) -> Iterator[Any]:
    """What follows from so many failures, one after the other: seconds to wait, or the reason of the end."""
    now = 0.0
    for _ in range(count):
        if controller.status.name in ("IDLE", "WAITING"):
            controller.start(now)
        now += took
        decision = controller.record_failure(FlakyError(), now, 0.0)
        if isinstance(decision, Wait):
            now += decision.delay
            yield decision.delay
        else:
            assert isinstance(decision, GaveUp)
            yield decision.reason


# Attempts.


@pytest.mark.parametrize(
    ("attempts", "retries"),
    [
        pytest.param(1, 0, id="cenkalti-09"),
        pytest.param(1, 0, id="cenkalti-14"),
        pytest.param(13, 12, id="polly-14"),
        pytest.param(3, 2, id="aws-02"),
        pytest.param(5, 4, id="aws-05"),
    ],
)
def test_attempts_count_the_first(attempts: int, retries: int) -> None:
    """So many attempts are one less retries, each of which is told."""
    told: list[EventKind] = []
    operation = scripted(*[FlakyError] * attempts)
    with fake_time(), pytest.raises(FlakyError) as caught:
        policy(attempts=attempts, observers=[lambda event: told.append(event.kind)]).call(operation)
    assert len(operation.calls) == attempts
    assert told == [EventKind.RETRY] * retries + [EventKind.GIVE_UP]
    assert outcome(caught.value).reason is Reason.ATTEMPTS  # type: ignore[union-attr]


@pytest.mark.parametrize("vector", ["cenkalti-08"])
def test_a_count_begins_again_after_a_reset(vector: str) -> None:
    """What was used before a reset does not count; the end stays the end until the next reset."""
    controller = BackoffController(policy(attempts=18, backoff=constant(0)))
    assert list(decisions(controller, 8)) == [0.0] * 8
    controller.reset()
    assert list(decisions(controller, 24)) == [0.0] * 17 + [Reason.ATTEMPTS] * 7
    controller.reset()
    assert list(decisions(controller, 1)) == [0.0]


@pytest.mark.parametrize("vector", ["temporal-06"])
def test_after_the_last_attempt_every_answer_is_the_end(vector: str) -> None:
    """Five attempts are four waits; the fifth and every later failure ends it."""
    controller = BackoffController(policy(attempts=5, backoff=grow(1)))
    assert list(decisions(controller, 6)) == [1.0, 2.0, 4.0, 8.0, Reason.ATTEMPTS, Reason.ATTEMPTS]


@pytest.mark.parametrize(
    ("script", "attempts", "expected"),
    [
        pytest.param([FlakyError, FlakyError, "answer"], 4, "answer", id="haskell-07-in-time"),
        pytest.param([FlakyError, FlakyError, FlakyError("last")], 3, "last", id="haskell-07-too-late"),
        pytest.param([FatalError("first"), FatalError("second")], 6, "first", id="haskell-07-unhandled"),
    ],
)
def test_the_arithmetic_of_attempts(script: list[Any], attempts: int, expected: str) -> None:
    """Two failures fit into three retries, three do not fit into two, and an unhandled error is not retried."""
    operation = policy(attempts=attempts)(scripted(*script))
    with fake_time():
        try:
            found = operation()
        except (FlakyError, FatalError) as error:
            found = str(error)
    assert found == expected


@pytest.mark.parametrize("vector", ["grpc-05"])
def test_the_accounting_of_four_attempts(vector: str) -> None:
    """Seven calls of at most four attempts against one server that remembers how often it was asked."""
    asked = iter(range(100))
    last = -1

    def ask() -> str:
        nonlocal last
        last = next(asked)
        if last in (0, 2, 5):
            return "ok"
        raise FatalError if last in (6, 8, 11) else FlakyError

    found = []
    with fake_time():
        for _ in range(7):
            try:
                found.append((policy(attempts=4).call(ask), last))
            except (FlakyError, FatalError) as error:
                found.append((type(error).__name__, last))
    ok, fatal = [("ok", at) for at in (0, 2, 5)], [("FatalError", at) for at in (6, 8, 11)]
    assert found == [*ok, *fatal, ("FlakyError", 15)]


@pytest.mark.parametrize("vector", ["grpc-13"])
def test_an_attempt_knows_how_many_failed_before_it(vector: str) -> None:
    """None before the first, then 1, 2, 3."""
    seen: list[int] = []

    def ask() -> None:
        attempt = current_attempt()
        assert attempt is not None
        seen.append(attempt.failures)
        raise FlakyError

    with fake_time(), pytest.raises(FlakyError):
        policy(attempts=4).call(ask)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("vector", ["haskell-01"])
def test_what_each_attempt_is_told(vector: str) -> None:
    """Each attempt knows the failures before it and the time since the first; each retry tells its wait."""
    seen: list[tuple[int, float]] = []
    waits: list[float | None] = []

    def ask() -> None:
        attempt = current_attempt()
        assert attempt is not None
        seen.append((attempt.failures, attempt.elapsed))
        raise FlakyError

    def hear(event: Event) -> None:
        waits.append(event.delay)

    with fake_time(), pytest.raises(FlakyError):
        policy(attempts=3, backoff=constant(0.0001), observers=[hear]).call(ask)
    assert seen == [(0, 0.0), (1, pytest.approx(0.0001)), (2, pytest.approx(0.0002))]
    assert waits == [0.0001, 0.0001, None]


@pytest.mark.parametrize("vector", ["haskell-08"])
@pytest.mark.parametrize(("failed_before", "calls"), [(0, 3), (1, 2), (2, 1)])
def test_going_on_from_what_was_written_down(vector: str, failed_before: int, calls: int) -> None:
    """The state is data: another process has as many attempts left as this one had."""
    limited = policy(attempts=3, backoff=constant(0))
    before = BackoffController(limited)
    assert len(list(decisions(before, failed_before))) == failed_before
    after = BackoffController.restore(limited, json.loads(json.dumps(before.snapshot(now=0.0))), now=99.0)
    assert list(decisions(after, calls)) == [0.0] * (calls - 1) + [Reason.ATTEMPTS]


# The deadline.


@pytest.mark.parametrize(
    ("limit", "elapsed", "wait", "expected"),
    [
        pytest.param(900, 10000, 1, Reason.DEADLINE, id="cenkalti-06"),
        pytest.param(10, 7, 4, Reason.DEADLINE, id="cenkalti-15-too-long"),
        pytest.param(10, 7, 3, 3.0, id="cenkalti-15-just-enough"),
        pytest.param(300, 360, 2, Reason.DEADLINE, id="temporal-05"),
    ],
)
def test_the_deadline_looks_ahead(limit: float, elapsed: float, wait: float, expected: Any) -> None:
    """A wait that would end after the deadline is not begun; one that ends with it is."""
    controller = BackoffController(policy(deadline=limit, backoff=constant(wait)))
    assert list(decisions(controller, 1, took=elapsed)) == [expected]


@pytest.mark.parametrize("vector", ["cenkalti-15"])
def test_no_sleep_that_cannot_pay_off(vector: str) -> None:
    """When the next attempt would come too late, the call ends now: nothing is slept and no retry is told."""
    told: list[EventKind] = []
    with fake_time() as clock:

        def slow() -> None:
            clock.advance(7)
            raise FlakyError

        with pytest.raises(FlakyError):
            policy(deadline=10, backoff=constant(4), observers=[lambda event: told.append(event.kind)]).call(slow)
        assert (clock.now(), clock.sleeps) == (7.0, [])
    assert told == [EventKind.GIVE_UP]


class Ticking:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.readings = 0

    def now(self) -> float:
        self.readings += 1
        return float(self.readings)

    def sleep(self, seconds: float, stop: object = None) -> None:
        raise AssertionError("no wait is expected")

    async def sleep_async(self, seconds: float, stop: object = None) -> None:
        raise AssertionError("no wait is expected")

    def call_later(self, seconds: float, callback: object) -> Any:
        raise AssertionError("no timer is expected")


@pytest.mark.parametrize("vector", ["cenkalti-07"])
def test_elapsed_is_by_the_clock_that_was_given(vector: str) -> None:
    """The time between the start and the question is what the injected clock says."""
    controller = BackoffController(policy(clock=Ticking()))
    controller.start()
    assert controller.elapsed == 1.0


@pytest.mark.parametrize("vector", ["polly-18"])
def test_no_wait_does_not_touch_the_clock(vector: str) -> None:
    """A wait of zero never reaches the sleeper."""
    operation = scripted(FlakyError, FlakyError, FlakyError, "answer")
    assert policy(clock=Ticking(), backoff=constant(0)).call(operation) == "answer"
    assert len(operation.calls) == 4


@pytest.mark.parametrize("vector", ["haskell-05"])
@given(
    base=st.integers(1, 100),
    limit=st.integers(1, 10000),
    curve=st.sampled_from([lambda base: grow(base), lambda base: fibonacci(base)]),
)
def test_the_waits_never_add_up_to_more_than_the_deadline(vector: str, base: int, limit: int, curve: Any) -> None:
    """Whatever the curve, all waits together fit into the deadline, also where its first wait cannot."""
    controller = BackoffController(policy(backoff=curve(base))(deadline=limit))
    *waits, end = decisions(controller, 60)
    assert end is Reason.DEADLINE
    assert sum(wait for wait in waits if isinstance(wait, float)) <= limit


# The end of a curve.


@pytest.mark.parametrize(
    ("curve", "waits"),
    [
        pytest.param(grow(1).take(3), [1.0, 2.0, 4.0], id="finagle-19"),
        pytest.param(grow(0.1).take(3), [0.1, 0.2, 0.4], id="effect-05"),
        pytest.param(sequence().then(constant(2).take(0)), [], id="zio-07"),
    ],
)
def test_the_end_of_the_curve_ends_the_call(curve: Backoff, waits: list[float]) -> None:
    """The waits are those of the curve, and after the last one nothing more is slept."""
    with fake_time() as clock, pytest.raises(FlakyError) as caught:
        policy(backoff=curve).call(scripted(*[FlakyError] * (len(waits) + 1)))
    assert clock.sleeps == waits
    assert outcome(caught.value).reason is Reason.CURVE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("initial", "maximum", "attempts", "waits"),
    [
        pytest.param(0.05, 20, 3, [0.05, 0.1], id="aws-01"),
        pytest.param(0.05, 20, 5, [0.05, 0.1, 0.2, 0.4], id="aws-05"),
        pytest.param(0.05, 0.2, 5, [0.05, 0.1, 0.2, 0.2], id="aws-06"),
        pytest.param(0.025, 20, 4, [0.025, 0.05, 0.1], id="aws-11"),
    ],
)
def test_waits_until_the_attempts_are_used_up(
    initial: float, maximum: float, attempts: int, waits: list[float]
) -> None:
    """Standard mode at the highest draw, where the shared quota is no limit."""
    controller = BackoffController(policy(attempts=attempts, backoff=grow(initial, maximum=maximum)))
    assert list(decisions(controller, attempts)) == pytest.approx([*waits, Reason.ATTEMPTS])


@pytest.mark.parametrize("vector", ["aws-09"])
def test_failures_and_curve_begin_again_after_a_success(vector: str) -> None:
    """Two failures, a success, a failure: the third wait is the first one again."""
    controller = BackoffController(policy(attempts=5, backoff=grow(0.05, maximum=20)))
    assert list(decisions(controller, 2)) == [0.05, 0.1]
    controller.start(now=1.0)
    controller.record_success(now=1.0)
    controller.start(now=1.0)
    assert controller.record_failure(FlakyError(), now=1.0, draw=0.0).delay == 0.05  # type: ignore[union-attr]


@pytest.mark.parametrize("vector", ["k8s-06"])
def test_a_reset_begins_the_curve_again(vector: str) -> None:
    """1, 2, 4, ... up to the maximum; after a reset it is the first wait again."""
    controller = BackoffController(policy(backoff=grow(1, maximum=50)))
    assert list(decisions(controller, 9)) == [1, 2, 4, 8, 16, 32, 50, 50, 50]
    controller.reset()
    assert list(decisions(controller, 1)) == [1.0]


@pytest.mark.parametrize("vector", ["k8s-10"])
def test_each_item_counts_its_own_failures(vector: str) -> None:
    """One policy, one controller an item: neither knows of the other's failures."""
    shared = policy(backoff=grow(0.001, maximum=1))
    a, b = BackoffController(shared), BackoffController(shared)
    assert list(decisions(a, 5)) == [0.001, 0.002, 0.004, 0.008, 0.016]
    assert list(decisions(b, 2)) == [0.001, 0.002]
    a.reset()
    assert list(decisions(a, 1)) == [0.001]


@pytest.mark.parametrize("vector", ["k8s-14"])
def test_a_stable_time_begins_the_curve_again(vector: str) -> None:
    """What restarts at once, then ever later, restarts at once again when it has got somewhere."""
    controller = BackoffController(policy(backoff=sequence(0).then(grow(10, maximum=300))))
    assert list(decisions(controller, 8)) == [0, 10, 20, 40, 80, 160, 300, 300]
    controller.start(now=0.0)
    controller.record_progress(now=600.0)
    assert controller.record_failure(FlakyError(), now=600.0, draw=0.0).delay == 0.0  # type: ignore[union-attr]


# Decided otherwise; test_account.py has the reasons.


@pytest.mark.parametrize("vector", ["polly-15"])
def test_events_number_attempts_from_one(vector: str) -> None:
    """Three retries are told with their waits, and with the number of the attempt that failed."""
    told: list[tuple[int, float | None]] = []
    with fake_time(), pytest.raises(FlakyError):
        policy(
            attempts=4, backoff=linear(2, step=2), observers=[lambda event: told.append((event.attempt, event.delay))]
        ).call(scripted(*[FlakyError] * 4))
    assert told == [(1, 2.0), (2, 4.0), (3, 6.0), (4, None)]


@pytest.mark.parametrize("vector", ["finagle-20"])
def test_attempts_are_numbered_from_one(vector: str) -> None:
    """Six attempts are 1 to 6."""
    numbers = []
    with fake_time(), pytest.raises(FlakyError):
        for attempt in policy(attempts=6):
            with attempt:
                numbers.append(attempt.number)
                raise FlakyError
    assert numbers == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("vector", ["polly-22"])
def test_events_tell_the_time_since_the_first_attempt(vector: str) -> None:
    """Two attempts of a minute, a second between them: 60 s at the first failure, 121 s at the end."""
    told: list[float] = []
    with fake_time() as clock:

        def slow() -> None:
            clock.advance(60)
            raise FlakyError

        with pytest.raises(FlakyError):
            policy(attempts=2, backoff=constant(1), observers=[lambda event: told.append(event.elapsed)]).call(slow)
    assert told == [60.0, 121.0]


@pytest.mark.parametrize(
    ("curve", "deadline", "waits"),
    [
        pytest.param(linear(1, step=1), 9, [1.0, 2.0, 3.0], id="finagle-06"),
        pytest.param(grow(0.1), 1, [0.1, 0.2, 0.4], id="effect-05-duration"),
        pytest.param(
            grow(0.05, maximum=10), 60.05, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10], id="temporal-04"
        ),
    ],
)
def test_a_wait_that_does_not_fit_is_neither_begun_nor_shortened(
    curve: Backoff, deadline: float, waits: list[float]
) -> None:
    """Where others go over the limit, or shorten the last wait, the call ends with the last wait that fits."""
    controller = BackoffController(policy(deadline=deadline, backoff=curve))
    assert list(decisions(controller, len(waits) + 1)) == pytest.approx([*waits, Reason.DEADLINE])


@pytest.mark.parametrize("vector", ["grpc-08"])
@pytest.mark.parametrize(
    ("written", "override_", "attempts"), [(9, 4, 4), (9, 7, 7), (3, 10, 10), (8, None, 8), (3, None, 3)]
)
def test_an_override_replaces_and_nothing_clamps(
    vector: str, written: int, override_: int | None, attempts: int
) -> None:
    """An override takes the place of what the policy says; without one the policy's number holds, however large."""
    operation = scripted(*[FlakyError] * 10)
    with fake_time(), pytest.raises(FlakyError):
        if override_ is None:
            policy(attempts=written).call(operation)
        else:
            with override(attempts=override_):
                policy(attempts=written).call(operation)
    assert len(operation.calls) == attempts


@pytest.mark.parametrize("vector", ["grpc-15"])
def test_what_a_policy_refuses(vector: str) -> None:
    """Zero attempts, negative waits, a shrinking factor and an empty set are refused; one attempt and no wait are not."""
    for refused in (
        lambda: retry(attempts=0),
        lambda: exponential(-1),
        lambda: exponential(maximum=-1),
        lambda: exponential(factor=0),
        lambda: retry(on=()),
    ):
        with pytest.raises((ValueError, TypeError), match="must be"):
            refused()
    assert retry(attempts=1).attempts == 1
    assert retry(attempts=9).attempts == 9
    assert exponential(0, maximum=0).delay(1, None, 0.5) == 0.0


@pytest.mark.parametrize("vector", ["zio-06"])
def test_negative_counts_are_refused(vector: str) -> None:
    """0, 1 and 42 retries are so many; fewer than none are refused."""
    for retries in (0, 1, 42):
        controller = BackoffController(policy(backoff=constant(0).take(retries)))
        assert list(decisions(controller, retries + 1)) == [0.0] * retries + [Reason.CURVE]
    with pytest.raises(ValueError, match="must be a whole number >= 0, got -5"):
        constant(0).take(-5)


@pytest.mark.parametrize(
    ("maximum", "failures"),
    [
        pytest.param(10, 7, id="k8s-02"),
        pytest.param(10, 7, id="k8s-03"),
        pytest.param(5, 7, id="k8s-08"),
        pytest.param(50, 7, id="k8s-09"),
    ],
)
def test_quiet_alone_begins_nothing_again(maximum: float, failures: int) -> None:
    """After a long silence the next failure waits as the curve says; progress, success or a reset begins it again."""
    expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0][:failures]
    controller = BackoffController(policy(backoff=grow(1, maximum=maximum)))
    assert list(decisions(controller, failures)) == [min(wait, maximum) for wait in expected]
    controller.start(now=1e6)
    assert controller.record_failure(FlakyError(), now=1e6, draw=0.0).delay == maximum  # type: ignore[union-attr]
    controller.start(now=2e6)
    controller.record_progress(now=2e6)
    assert controller.record_failure(FlakyError(), now=2e6, draw=0.0).delay == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("vector", ["zio-04"])
@pytest.mark.parametrize(("progresses", "last"), [(False, 4), (True, 10)])
def test_a_long_attempt_is_no_progress_unless_it_says_so(vector: str, progresses: bool, last: int) -> None:
    """An operation that takes long, then fails, has used an attempt like any other; `progress()` begins afresh."""
    counter = -1
    with fake_time() as clock:

        def work() -> int:
            nonlocal counter
            counter += 1
            if counter == 5:
                clock.advance(10)
            attempt = current_attempt()
            if counter >= 4 and progresses and attempt is not None:
                attempt.progress()
            if counter == 10:
                return counter
            raise FlakyError

        try:
            policy(attempts=5, backoff=constant(0)).call(work)
        except FlakyError:
            assert not progresses
    assert counter == last
