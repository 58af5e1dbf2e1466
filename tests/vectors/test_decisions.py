"""What other systems' tests expect to be retried, and how it ends; the ids say which system, see test_account.py."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import (
    BackoffController,
    DeadlineExceeded,
    Event,
    EventKind,
    GaveUp,
    Reason,
    RetryPolicy,
    Wait,
    classify,
    constant,
    exponential,
    outcome,
    permanent,
    retry,
    sequence,
    transient,
)
from redouble.testing import HANG, fake_time, scripted
from redouble.testing.strategies import policies

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Backoff


class FlakyError(Exception):
    """An error that may pass."""


class OtherFlakyError(Exception):
    """Another error that may pass."""


class FatalError(Exception):
    """An error that stays."""


RULES = transient(FlakyError) | permanent(FatalError)


def policy(**fields: Any) -> RetryPolicy:
    """A policy that retries FlakyError at once, with no limits but those that are given."""
    return RetryPolicy(**{"on": RULES, "attempts": None, "deadline": None, "backoff": constant(0)} | fields)


def grow(initial: float, maximum: float | None = None) -> Backoff:
    """A curve that doubles, without jitter."""
    return exponential(initial, maximum=maximum, jitter=None)


def caused(outer: Exception, inner: Exception) -> Exception:
    """The first error, caused by the second."""
    outer.__cause__ = inner
    return outer


# What is retried.


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        pytest.param([1], 1, id="cenkalti-10-value"),
        pytest.param([FlakyError(), 1], 2, id="cenkalti-10-transient"),
        pytest.param([caused(FatalError(), FlakyError())], 1, id="cenkalti-10-permanent"),
        pytest.param([caused(RuntimeError(), caused(FatalError(), FlakyError()))], 1, id="cenkalti-10-wrapped"),
        pytest.param([FlakyError()] * 4, 4, id="effect-08-failures"),
        pytest.param([FlakyError(), FlakyError(), ZeroDivisionError()], 3, id="effect-08-defect"),
        pytest.param([KeyboardInterrupt()], 1, id="haskell-06"),
    ],
)
def test_what_is_retried(script: list[Any], calls: int) -> None:
    """A permanent cause, an unknown error and an interrupt are not retried, wherever they come up."""
    operation = scripted(*script)
    if isinstance(script[-1], BaseException):
        with pytest.raises(type(script[-1])) as caught:
            policy(attempts=4).call(operation)
        assert caught.value is script[-1]
    else:
        assert policy(attempts=4).call(operation) == script[-1]
    assert len(operation.calls) == calls


@pytest.mark.parametrize(
    ("errors", "good", "elapsed"),
    [
        pytest.param(["KeepTrying"] * 4 + ["GiveUp"], "KeepTrying", 0.8, id="zio-05"),
        pytest.param([1, 2, 3], 3, 0.4, id="effect-08-predicate"),
    ],
)
def test_a_predicate_on_the_error(errors: list[Any], good: Any, elapsed: float) -> None:
    """Errors are retried while a predicate agrees; the first that it does not agree to is raised."""
    agree = (lambda error: error.args[0] == good) if isinstance(good, str) else (lambda error: error.args[0] < good)
    with fake_time() as clock, pytest.raises(FlakyError) as caught:
        policy(on=transient(FlakyError, when=agree), backoff=constant(0.2)).call(scripted(*map(FlakyError, errors)))
    assert clock.now() == pytest.approx(elapsed)
    assert caught.value.args[0] == errors[-1]


@pytest.mark.parametrize("vector", ["finagle-21"])
def test_each_kind_of_error_has_a_curve_of_its_own(vector: str) -> None:
    """The first rule that matches counts on its own curve, the others keep their place; an ended one ends the call."""
    rules = transient(FlakyError, backoff=sequence(10, 20, 30)) | transient(OtherFlakyError, backoff=sequence(15, 25))
    controller = BackoffController(policy(on=rules))
    one, two = FlakyError(), OtherFlakyError()
    found = []
    for error in (two, one, one, two, two):
        controller.start(now=0.0)
        decision = controller.record_failure(error, now=0.0, draw=0.0)
        found.append(decision.delay if isinstance(decision, Wait) else decision.reason)  # type: ignore[union-attr]
    assert found == [15.0, 10.0, 20.0, 25.0, Reason.CURVE]


@pytest.mark.parametrize("vector", ["aws-10"])
def test_throttling_has_a_slower_curve(vector: str) -> None:
    """An error that a rule knows to be throttling waits longer than the others."""
    rules = transient(OtherFlakyError, backoff=grow(1.0, maximum=20)) | transient(FlakyError)
    with fake_time() as clock:
        policy(on=rules, backoff=grow(0.05), attempts=3).call(scripted(OtherFlakyError, 200))
    assert clock.sleeps == [1.0]


@pytest.mark.parametrize("vector", ["k8s-13"])
def test_answers_are_judged_and_a_good_one_begins_afresh(vector: str) -> None:
    """The waits before each of eight requests to a host: they grow with every 429 and 5xx, a 300 clears them."""
    judge = transient(when=lambda code: code == 429 or code >= 500)
    controller = BackoffController(policy(result=judge, backoff=grow(1, maximum=60)))
    before, found = 0.0, []
    for code in (429, 500, 501, 502, 300, 500, 501, 502):
        found.append(before)
        controller.start(now=0.0)
        decision = controller.record_result(code, now=0.0, draw=0.0)
        before = decision.delay if isinstance(decision, Wait) else 0.0
    assert found == [0, 1, 2, 4, 8, 0, 1, 2]


def decide(failures: int, error: Exception, *, left: float | None = None, **fields: Any) -> Any:
    """The decision after the last of so many failures, in seconds or as a reason; `left`: until the deadline."""
    deadline = None if left is None else 1e6
    controller = BackoffController(policy(deadline=deadline, **fields))
    for _ in range(failures - 1):
        controller.start(now=0.0)
        assert isinstance(controller.record_failure(FlakyError(), now=0.0, draw=0.0), Wait)
    controller.start(now=0.0)
    now = 0.0 if left is None else 1e6 - left
    decision = controller.record_failure(error, now=now, draw=0.0)
    return decision.delay if isinstance(decision, Wait) else decision.reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("failures", "fields", "expected"),
    [
        (1, {"attempts": None, "backoff": grow(1.0)}, 1.0),
        (1, {"attempts": 1}, Reason.ATTEMPTS),
        (1, {"attempts": 5}, 0.001),
        (2, {"attempts": 5}, 0.002),
        (3, {"attempts": 5}, 0.004),
        (4, {"attempts": 5, "error": FatalError()}, Reason.PERMANENT),
        (4, {"attempts": 5}, 0.008),
        (5, {"attempts": 5}, Reason.ATTEMPTS),
        (5, {"attempts": 6, "backoff": grow(0.001, maximum=0.01)}, 0.01),
        (6, {"attempts": 8, "backoff": grow(0.001, maximum=0.01), "left": 0.005}, Reason.DEADLINE),
        (6, {"attempts": 8, "backoff": grow(0.001, maximum=0.01), "left": 60.0}, 0.01),
        (64, {"attempts": 100, "backoff": grow(0.001, maximum=0.01), "left": 60.0}, 0.01),
    ],
    ids="temporal-01-{}".format,
)
def test_the_decision_is_a_function(failures: int, fields: dict[str, Any], expected: Any) -> None:
    """Attempt, policy, error and time in, wait or reason out."""
    given_ = {"error": FlakyError(), "backoff": grow(0.001)} | fields
    assert decide(failures, **given_) == expected


@pytest.mark.parametrize(
    ("fields", "error", "reason"),
    [
        pytest.param({}, FatalError(), Reason.PERMANENT, id="cenkalti-18-permanent"),
        pytest.param({"backoff": sequence(0)}, FlakyError(), Reason.CURVE, id="cenkalti-18-exhausted"),
        pytest.param(
            {"backoff": sequence(0, 9), "deadline": 5}, FlakyError(), Reason.DEADLINE, id="cenkalti-18-elapsed"
        ),
        pytest.param({"stop": threading.Event()}, FlakyError(), Reason.STOPPED, id="cenkalti-18-stopped"),
    ],
)
def test_the_error_tells_why_it_ended(fields: dict[str, Any], error: Exception, reason: Reason) -> None:
    """What comes out is the operation's own last error, never a wrapper, and it says why nothing more was tried."""

    def last() -> None:
        if "stop" in fields:
            fields["stop"].set()
        raise error

    script = iter([scripted(FlakyError()), last])
    with fake_time(), pytest.raises(type(error)) as caught:
        policy(**fields).call(lambda: next(script)())
    assert caught.value is error
    assert outcome(error).reason is reason  # type: ignore[union-attr]
    assert outcome(error).attempts == 2  # type: ignore[union-attr]


# The two kinds of timeout.


@pytest.mark.parametrize("vector", ["temporal-02"])
def test_a_timeout_of_one_attempt_is_transient(vector: str) -> None:
    """An attempt that takes too long is tried again, whatever the rules say of other errors."""
    operation = scripted(HANG, "answer", asynchronous=True)
    with fake_time():
        assert asyncio.run(policy(attempt_timeout=1).call(operation)) == "answer"
    assert len(operation.calls) == 2


@pytest.mark.parametrize("vector", ["temporal-02"])
def test_the_timeout_of_the_whole_is_final(vector: str) -> None:
    """When the time for everything is up, nothing is tried again."""
    operation = scripted(HANG, "answer", asynchronous=True)
    with fake_time(), pytest.raises(DeadlineExceeded):
        asyncio.run(policy(deadline=1).call(operation))
    assert len(operation.calls) == 1


@pytest.mark.parametrize(
    ("rules", "retryable"),
    [
        pytest.param(transient(FlakyError), True, id="temporal-02-type"),
        pytest.param(permanent(OtherFlakyError) | transient(FlakyError), True, id="temporal-02-other-denied"),
        pytest.param(permanent(FlakyError, OtherFlakyError) | transient(Exception), False, id="temporal-02-denied"),
        pytest.param(
            permanent(when=lambda error: error.args == ("final",)) | transient(FlakyError),
            False,
            id="temporal-02-flagged",
        ),
    ],
)
def test_deny_lists(rules: Any, retryable: bool) -> None:
    """What is denied by type or by a flag on the error is not retried, however transient its kind is."""
    found = classify(FlakyError("final"), rules)
    assert (found.verdict.name == "TRANSIENT") is retryable


# Cancellation.


@pytest.mark.parametrize("vector", ["cenkalti-12"])
def test_a_cancellation_inside_ends_it(vector: str) -> None:
    """A task that is cancelled during its third attempt ends with the cancellation, and nothing is called again."""
    calls = 0

    async def operation() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        raise FlakyError

    with fake_time(), pytest.raises(asyncio.CancelledError):
        asyncio.run(policy(backoff=constant(0.001)).call(operation))
    assert calls == 3


@pytest.mark.parametrize("vector", ["cenkalti-13"])
def test_a_block_runs_once_even_when_stopped(vector: str) -> None:
    """The first pass of a block is made, also when it was stopped before it began."""
    stop, passes = threading.Event(), 0
    stop.set()
    for attempt in policy(stop=stop):
        with attempt:
            passes += 1
    assert passes == 1


# Invariants.


@pytest.mark.parametrize("vector", ["grpc-11"])
@given(
    policies(observers=()),
    st.lists(st.sampled_from(["flaky", "hint", "fatal"]), max_size=12),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 400),
)
def test_invariants_of_the_decision(
    vector: str, given_: RetryPolicy, script: list[str], draw: float, hint: float
) -> None:
    """Only transient errors wait, never beyond the attempts, never longer than curve and hint; success ends it."""
    hinted = transient(OtherFlakyError, retry_after=hint, applied=False)
    controller = BackoffController(given_(on=hinted | transient(FlakyError, applied=False) | permanent(FatalError)))
    kinds = {"flaky": FlakyError, "hint": OtherFlakyError, "fatal": FatalError}
    for failures, kind in enumerate(script, 1):
        controller.start(now=0.0)
        decision = controller.record_failure(kinds[kind](), now=0.0, draw=draw)
        if isinstance(decision, GaveUp):
            return
        assert isinstance(decision, Wait)
        assert kind != "fatal"
        assert given_.attempts is None or failures < given_.attempts
        assert decision.delay >= 0
        if kind == "hint":
            assert hint <= given_.max_hint
            assert decision.delay >= hint
    controller.start(now=0.0)
    assert controller.record_result("answer", now=0.0) is None


@pytest.mark.parametrize("vector", ["grpc-11"])
def test_without_rules_nothing_is_retried(vector: str) -> None:
    """`on=None` is no retry at all."""
    operation = scripted(FlakyError())
    with pytest.raises(FlakyError):
        policy(on=None).call(operation)
    assert len(operation.calls) == 1


# Decided otherwise; test_account.py has the reasons.


class Closable:
    """An answer that could be closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("vector", ["polly-19"])
def test_unwanted_results_are_not_closed(vector: str) -> None:
    """Six unwanted answers: the last one is returned as it is, and none is closed; only `connect` closes what it opened."""
    answers = [Closable() for _ in range(6)]
    found = policy(result=lambda answer: True, attempts=6).call(scripted(*answers))
    assert found is answers[-1]
    assert [answer.closed for answer in answers] == [False] * 6


def stopping(stop: threading.Event, outcome_: Any) -> Callable[[], Any]:
    """An operation during which the stop is set."""

    def operation() -> Any:
        stop.set()
        if isinstance(outcome_, Exception):
            raise outcome_
        return outcome_

    return operation


@pytest.mark.parametrize(
    ("when", "events"),
    [
        pytest.param("before", [EventKind.GIVE_UP], id="polly-20-before"),
        pytest.param("during a success", [], id="polly-20-success"),
        pytest.param("during a failure", [EventKind.GIVE_UP], id="polly-20-failure"),
        pytest.param("in an observer", [EventKind.RETRY, EventKind.GIVE_UP], id="polly-20-observer"),
        pytest.param("at the end of a wait", [EventKind.RETRY, EventKind.GIVE_UP], id="polly-20-wait"),
    ],
)
def test_a_stop_lets_one_attempt_end_by_itself(when: str, events: list[EventKind]) -> None:
    """A stop ends retrying: what runs is let end, its own answer or error comes out, and nothing is called again."""
    stop, told, error = threading.Event(), [], FlakyError()
    calls = 0

    def hear(event: Event) -> None:
        told.append(event.kind)
        if when == "in an observer":
            stop.set()

    def operation() -> str:
        nonlocal calls
        calls += 1
        if "during" in when:
            stop.set()
        if when == "during a success":
            return "answer"
        raise error

    if when == "before":
        stop.set()
    with fake_time(autoadvance=when != "at the end of a wait") as clock:
        ways = policy(stop=stop, backoff=constant(5), observers=[hear])
        if when == "during a success":
            assert ways.call(operation) == "answer"
        elif when == "at the end of a wait":
            thread = threading.Thread(target=clock.bind(lambda: swallow(ways, operation)))
            trap = clock.trap()
            thread.start()
            trap.wait()
            stop.set()
            clock.advance_to_next()
            thread.join()
        else:
            swallow(ways, operation)
    assert calls == 1
    assert told == events
    assert when == "during a success" or outcome(error).reason is Reason.STOPPED  # type: ignore[union-attr]


def swallow(ways: RetryPolicy, operation: Callable[[], object]) -> None:
    """Call, and let the error that comes out be."""
    with pytest.raises(FlakyError):
        ways.call(operation)


@pytest.mark.parametrize("vector", ["polly-21"])
def test_lines_are_logged_about_retries_only(vector: str, caplog: pytest.LogCaptureFixture) -> None:
    """A retry is INFO, the end is WARNING; an error that was permanent at once is the caller's alone."""
    caplog.set_level("INFO", "redouble")
    with fake_time():
        for script in ([FatalError()], [FlakyError(), FlakyError()]):
            with pytest.raises((FatalError, FlakyError)):
                policy(attempts=2).call(scripted(*script))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


@pytest.mark.parametrize("vector", ["finagle-22"])
@pytest.mark.parametrize(("errors", "waits"), [([2, 0], [10]), ([0, 1], []), ([2, 2, 0], [10, 20])])
def test_a_predicate_is_asked_of_every_failure(vector: str, errors: list[int], waits: list[float]) -> None:
    """A rule sees each failure, not only the first one."""
    rules = transient(FlakyError, when=lambda error: error.args[0] > 1)
    with fake_time() as clock, pytest.raises(FlakyError):
        policy(on=rules, backoff=sequence(10, 20, 30)).call(scripted(*map(FlakyError, errors)))
    assert clock.sleeps == waits


@pytest.mark.parametrize("vector", ["k8s-04"])
def test_conditions_and_counts(vector: str) -> None:
    """A condition that is not met is an unwanted answer, returned as it is after the last attempt; an error is raised."""
    unmet = retry(result=lambda met: met is False, on=None, backoff=constant(0))
    with pytest.raises(ValueError, match="attempts"):
        unmet(attempts=0)
    for attempts, script, answer in (
        (1, [False], False),
        (1, [True], True),
        (5, [False] * 5, False),
        (5, [False] * 2 + [True], True),
    ):
        operation = scripted(*script)
        assert unmet(attempts=attempts).call(operation) is answer
        assert len(operation.calls) == len(script)
    with pytest.raises(FatalError):
        unmet(attempts=5).call(scripted(FatalError()))


@pytest.mark.parametrize("vector", ["k8s-04"])
def test_conditions_and_a_stop(vector: str) -> None:
    """Stopped or too late before it begins, it still runs once; stopped during the fourth attempt, no fifth is made."""
    stop = threading.Event()
    unmet = retry(result=lambda met: met is False, on=None, backoff=constant(0), attempts=5, stop=stop)
    operation = scripted(False, False, False, False)
    count = iter(range(1, 5))

    def check() -> Any:
        if next(count) == 4:
            stop.set()
        return operation()

    assert unmet.call(check) is False
    assert len(operation.calls) == 4
    once = scripted(False)
    assert unmet.call(once) is False
    assert len(once.calls) == 1
