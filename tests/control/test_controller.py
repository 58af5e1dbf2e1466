"""Floor 3. The controller: every step of the decision, their order, statuses, misuse, late news, snapshots."""

from __future__ import annotations

import gc
import itertools
import json
import random
import threading
import weakref
from math import inf, nan
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    Backoff,
    BackoffController,
    Classification,
    GaveUp,
    Reason,
    RetryPolicy,
    Rule,
    Status,
    Verdict,
    Wait,
    constant,
    exponential,
    pending,
    permanent,
    retry,
    sequence,
    transient,
)
from redouble.control import faults, tally
from redouble.control.mark import mark
from redouble.testing import FakeClock
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

ENDED = (Status.GAVE_UP, Status.STOPPED)


class PermanentError(Exception):
    """An error that the rules of these tests take for permanent."""


class NotReadyError(Exception):
    """An error that the rules of these tests take for pending."""


class UnansweredError(OSError):
    """An error of a client that may show its request; builtin errors never do."""

    def __init__(self, request: Request | None = None) -> None:
        super().__init__()
        if request is not None:
            self.request = request


class Request:
    """A request as the errors of HTTP clients show it."""

    def __init__(self, method: str, **headers: str) -> None:
        self.method = method
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Recorder(Backoff):
    """A curve that remembers what it was asked, and answers from a list."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[int, float | None, float]] = []

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        self.asked.append((failures, previous, draw))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


def patient(**fields: Any) -> RetryPolicy:
    """A policy without limits that retries OSErrors after 1 s, with draws of 0.5, and knows inner retries."""
    rules = permanent(PermanentError) | pending(NotReadyError, every=2) | transient(OSError)
    usual: dict[str, Any] = {"on": rules, "attempts": None, "deadline": None, "backoff": constant(1), "nested": "once"}
    return RetryPolicy(**usual | {"draw": lambda: 0.5} | fields)


def begun(now: float = 0.0, **fields: Any) -> BackoffController:
    """A controller whose first attempt is under way."""
    controller = BackoffController(patient(**fields))
    controller.start(now)
    return controller


def event_set() -> threading.Event:
    """A stop that is set."""
    stop = threading.Event()
    stop.set()
    return stop


def given_up(error: Exception, ago: float = -60.0) -> Exception:
    """An error on which another retry gave up that began so many seconds ago; below 0: during the attempt, whenever it begins."""
    mark(error, GaveUp(Reason.ATTEMPTS, 2, 0.1), True)
    error._redouble_outcome["began"] = monotonic() - ago  # type: ignore[attr-defined]
    return error


def hinted(seconds: Any) -> Rule:
    """A rule whose errors come with a wait that the server asked for."""
    return transient(OSError, retry_after=seconds)


def unwanted(value: object) -> bool:
    """A rule for results that wants none."""
    return True


def reason(decision: Wait | GaveUp | None) -> Reason:
    """The reason of a decision that has to be an end."""
    assert isinstance(decision, GaveUp)
    return decision.reason


def delay(decision: Wait | GaveUp | None) -> float:
    """The seconds of a decision that has to be a wait."""
    assert isinstance(decision, Wait)
    return decision.delay


@pytest.fixture
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been logged yet that is logged once."""
    monkeypatch.setattr(faults, "_said", set())


# The steps of the decision.


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_step_1_what_is_no_exception_passes(kind: type[BaseException]) -> None:
    """What is no Exception is permanent for a rule that would take anything."""
    controller = begun(on=lambda error: True)
    decision = controller.record_failure(kind())
    assert reason(decision) is Reason.PERMANENT and controller.failures == 0


def test_step_1_before_2_no_rule_is_asked_about_what_passes() -> None:
    """Rules never see what is no Exception."""
    asked: list[object] = []
    begun(on=asked.append).record_failure(KeyboardInterrupt())
    assert asked == []


def test_step_2_the_classification_comes_with_the_decision() -> None:
    """The error is classified by the policy's rules, and both decisions carry what was found."""
    found = Classification(Verdict.TRANSIENT, None, False, None, "told so", True)
    controller = begun(on=lambda error: found, attempts=2)
    wait = controller.record_failure(OSError())
    controller.start()
    end = controller.record_failure(OSError())
    assert isinstance(wait, Wait) and isinstance(end, GaveUp)
    assert wait.classification is end.classification is found


def test_step_2_every_rule_sees_the_error_before_its_cause() -> None:
    """A rule that looks at causes may know the cause where none knows the error."""
    error = ValueError()
    error.__cause__ = OSError()
    deep = transient(OSError, causes=True)
    assert delay(begun(on=deep).record_failure(error)) == 1.0
    assert reason(begun(on=deep | permanent(ValueError)).record_failure(error)) is Reason.PERMANENT


def test_step_3_a_permanent_error_ends_it() -> None:
    """PERMANENT gives up at once, and is no failure that counts."""
    controller = begun()
    assert reason(controller.record_failure(PermanentError())) is Reason.PERMANENT
    assert controller.status is Status.GAVE_UP and controller.failures == 0


def test_step_3_an_unknown_error_is_permanent() -> None:
    """What no rule knows is permanent."""
    assert reason(begun().record_failure(ValueError())) is Reason.PERMANENT


def test_step_3_without_rules_every_error_is_permanent() -> None:
    """With `on=None` no error is retried."""
    assert reason(begun(on=None).record_failure(OSError())) is Reason.PERMANENT


def test_step_4_an_inner_retry_gave_up_during_the_attempt() -> None:
    """An error on which an inner retry gave up during this attempt is not retried again."""
    assert reason(begun().record_failure(given_up(OSError()))) is Reason.NESTED


def test_step_4_an_inner_retry_gave_up_before_the_attempt() -> None:
    """The mark of a retry that ended before this attempt began means nothing for it."""
    assert delay(begun().record_failure(given_up(OSError(), ago=60))) == 1.0


def test_step_4_each_attempt_counts_for_itself() -> None:
    """An error that was marked during the first attempt is a fresh failure of the second."""
    controller = begun()
    error = given_up(OSError(), ago=0.0)
    controller.record_failure(OSError())
    while monotonic() <= error._redouble_outcome["began"]:  # type: ignore[attr-defined]
        pass  # a clock that moves in coarse steps
    controller.start(2.0)
    assert delay(controller.record_failure(error, 3.0)) == 1.0


def test_step_4_an_inner_end_as_permanent_does_not_count() -> None:
    """What was beyond the rules of the inner retry need not be beyond those of this one."""
    error = OSError()
    mark(error, GaveUp(Reason.PERMANENT, 2, 0.1), True)
    error._redouble_outcome["began"] += 60.0  # type: ignore[attr-defined]
    assert delay(begun().record_failure(error)) == 1.0


def test_step_4_for_ever_means_for_ever() -> None:
    """Where `attempts=None` is written an inner give-up is a failure like any other, unless `nested` is written too."""
    for fields, kind in (({}, Wait), ({"nested": "once"}, GaveUp), ({"nested": "multiply"}, Wait)):
        controller = BackoffController(retry(on=OSError, attempts=None, **fields))
        controller.start(0.0)
        assert isinstance(controller.record_failure(given_up(OSError()), 0.0), kind)


@pytest.mark.parametrize("now", [0.0, -1e6, 1e12])
def test_step_4_is_told_by_real_time_whatever_now_is_passed(now: float) -> None:
    """Marks are compared with `time.monotonic`, also where another event loop's readings are passed."""
    assert reason(begun(now).record_failure(given_up(OSError()), now + 1)) is Reason.NESTED
    assert delay(begun(now).record_failure(given_up(OSError(), ago=60), now + 1)) == 1.0


@pytest.mark.parametrize("clock", [None, FakeClock(), FakeClock(start=1e12)])
def test_step_4_is_told_by_real_time_whatever_clock_there_is(clock: Any) -> None:
    """Marks are compared with `time.monotonic`, also where the policy's clock tells another time."""
    controllers = [BackoffController(patient(clock=clock)) for _ in range(2)]
    for controller in controllers:
        controller.start()
    assert reason(controllers[0].record_failure(given_up(OSError()))) is Reason.NESTED
    assert delay(controllers[1].record_failure(given_up(OSError(), ago=60))) == 1.0


def test_step_4_looks_at_causes_and_at_the_leaves_of_groups() -> None:
    """The mark may sit on an explicit cause, on a leaf of a group, or on the cause of a leaf."""
    caused = OSError()
    caused.__cause__ = given_up(OSError())
    group = ExceptionGroup("", [OSError(), ExceptionGroup("", [given_up(OSError())])])
    caused_by_group = OSError()
    caused_by_group.__cause__ = group
    for error in (caused, group, caused_by_group):
        assert reason(begun().record_failure(error)) is Reason.NESTED


def test_step_4_looks_at_the_causes_of_leaves() -> None:
    """A leaf that was raised from a marked error is as good as marked: it is classified by that cause too."""
    leaf = OSError()
    leaf.__cause__ = given_up(OSError())
    assert reason(begun().record_failure(ExceptionGroup("", [leaf]))) is Reason.NESTED


def test_step_4_does_not_look_at_the_context() -> None:
    """What was merely being handled when the error was raised has no say."""
    error = OSError()
    error.__context__ = given_up(OSError())
    assert delay(begun().record_failure(error)) == 1.0


def test_step_4_is_lifted_by_multiply() -> None:
    """With `nested="multiply"` retries multiply."""
    assert delay(begun(nested="multiply").record_failure(given_up(OSError()))) == 1.0


def test_step_5_an_error_that_may_have_been_applied() -> None:
    """What is not idempotent is not repeated when the failed attempt may have taken effect."""
    assert reason(begun(idempotent=False).record_failure(OSError())) is Reason.UNSAFE


def test_step_5_an_error_that_surely_had_no_effect() -> None:
    """What surely had no effect is repeated, idempotent or not."""
    rule = transient(OSError, applied=False)
    error = UnansweredError(Request("POST"))
    assert delay(begun(idempotent=False, on=rule).record_failure(OSError())) == 1.0
    assert delay(begun(idempotent=False, on=rule).record_failure(error)) == 1.0
    assert delay(begun(on=rule).record_failure(error)) == 1.0


@pytest.mark.parametrize(
    ("request_", "idempotent", "safe"),
    [
        (Request("POST"), None, False),
        (Request("patch"), None, False),
        (Request("POST", Idempotency_Key="1"), None, False),  # a controller cannot know whose key that is
        (Request("GET"), None, True),
        (Request("PUT"), None, True),
        (Request("POST"), True, True),
        (Request("GET"), False, False),
    ],
)
def test_step_5_what_the_request_says(request_: Request, idempotent: bool | None, safe: bool) -> None:
    """`None` decides by the request that the error shows; True and False decide by themselves."""
    decision = begun(idempotent=idempotent).record_failure(UnansweredError(request_))
    assert isinstance(decision, Wait) is safe
    assert safe or reason(decision) is Reason.UNSAFE


def test_step_5_a_request_that_only_the_class_shows() -> None:
    """A request need not be in the error's `__dict__` to be seen."""

    class ShownError(OSError):
        @property
        def request(self) -> Request:
            return Request("POST")

    assert reason(begun().record_failure(ShownError())) is Reason.UNSAFE


def test_step_5_the_request_of_a_cause_and_of_a_leaf() -> None:
    """The request may be shown by an explicit cause or by a leaf of a group."""
    posted = UnansweredError(Request("POST"))
    caused = OSError()
    caused.__cause__ = posted
    for error in (caused, ExceptionGroup("", [OSError(), posted])):
        assert reason(begun().record_failure(error)) is Reason.UNSAFE


def test_step_6_stop_is_set() -> None:
    """Once `stop` is set no failure is retried."""
    controller = begun(stop=event_set())
    assert reason(controller.record_failure(OSError())) is Reason.STOPPED
    assert controller.status is Status.STOPPED


def test_step_6_stop_is_not_set() -> None:
    """A stop that is not set changes nothing."""
    assert delay(begun(stop=threading.Event()).record_failure(OSError())) == 1.0


@pytest.mark.parametrize("attempts", [1, 2, 3, 10])
def test_step_7_attempts_are_used_up(attempts: int) -> None:
    """The last of so many failures in a row ends it, the first attempt included."""
    controller = BackoffController(patient(attempts=attempts))
    for _ in range(attempts - 1):
        controller.start(0.0)
        assert delay(controller.record_failure(OSError(), 0.0)) == 1.0
    controller.start(0.0)
    end = controller.record_failure(OSError(), 0.0)
    assert reason(end) is Reason.ATTEMPTS
    assert isinstance(end, GaveUp) and end.attempts == controller.failures == attempts


def test_step_7_no_limit_of_attempts() -> None:
    """With `attempts=None` nothing is used up."""
    controller = BackoffController(patient(attempts=None))
    for number in range(1, 1000):
        assert controller.start(0.0) == number
        assert delay(controller.record_failure(OSError(), 0.0)) == 1.0


def test_step_8_the_curve_has_ended() -> None:
    """A curve with two waits allows three attempts."""
    controller = begun(backoff=sequence(1, 2))
    waits = []
    for _ in range(2):
        waits.append(delay(controller.record_failure(OSError())))
        controller.start()
    assert waits == [1.0, 2.0]
    assert reason(controller.record_failure(OSError())) is Reason.CURVE


@pytest.mark.parametrize(
    ("hint", "draw", "expected"),
    [
        (4.0, 0.0, 4.0),
        (4.0, 0.5, 4.2),
        (4.0, 0.999, 4.3996),
        (0.0, 0.5, 1.0),
        (0.5, 0.999, 1.0),
        (300.0, 0.5, 315.0),
    ],
)
def test_step_9_the_longer_of_curve_and_hint(hint: float, draw: float, expected: float) -> None:
    """The server's wish is stretched by up to a tenth, and waited for when the curve is shorter."""
    assert delay(begun(on=hinted(hint)).record_failure(OSError(), 0.0, draw)) == pytest.approx(expected)


@pytest.mark.parametrize(("hint", "ends"), [(300.0, False), (300.001, True), (1e9, True)])
def test_step_9_a_hint_above_max_hint(hint: float, ends: bool) -> None:
    """The hint itself, before it is stretched, is compared with `max_hint`; equal is fine."""
    decision = begun(on=hinted(hint)).record_failure(OSError(), 0.0, 0.999)
    assert isinstance(decision, GaveUp) is ends
    if isinstance(decision, GaveUp):
        assert (decision.reason, decision.hint) == (Reason.HINT, hint)


def test_step_9_no_hint_is_allowed() -> None:
    """With `max_hint=0` any wish of the server's but zero ends it."""
    assert reason(begun(on=hinted(0.001), max_hint=0).record_failure(OSError())) is Reason.HINT
    assert delay(begun(on=hinted(0), max_hint=0).record_failure(OSError())) == 1.0
    assert delay(begun(max_hint=0).record_failure(OSError())) == 1.0


def test_step_9_the_curve_does_not_see_the_hint() -> None:
    """What the curve gets as its last wait is what it gave itself, also where a hint made it longer."""
    curve = Recorder(1.0, 2.0)
    controller = begun(on=hinted(8), backoff=curve)
    controller.record_failure(OSError(), 0.0, 0.25)
    controller.start(9.0)
    controller.record_failure(OSError(), 9.0, 0.75)
    assert curve.asked == [(1, None, 0.25), (2, 1.0, 0.75)]


@pytest.mark.parametrize(("deadline", "ends"), [(10.0, False), (10.5, False), (9.9, True)])
def test_step_10_a_wait_that_ends_after_the_deadline(deadline: float, ends: bool) -> None:
    """A wait may end on the deadline, but not after it: it ends now, before a last sleep that cannot pay off."""
    controller = begun(100.0, deadline=deadline, backoff=constant(4))
    decision = controller.record_failure(OSError(), 106.0)
    if not ends:
        assert delay(decision) == 4.0
        return
    assert reason(decision) is Reason.DEADLINE
    assert isinstance(decision, GaveUp) and decision.elapsed == 6.0


def test_step_10_the_first_attempt_fixes_the_deadline() -> None:
    """The time counts from the first attempt, attempts and waits together."""
    for second, kind in ((14.0, Wait), (14.5, GaveUp)):
        controller = BackoffController(patient(deadline=5))
        controller.start(10.0)
        assert delay(controller.record_failure(OSError(), 12.0)) == 1.0
        controller.start(13.0)
        assert isinstance(controller.record_failure(OSError(), second), kind)


def test_step_10_says_whose_deadline_it_was() -> None:
    """A controller knows no deadline but its policy's, and says so; other ends are no deadline's."""
    by_time, by_attempts = begun(deadline=5), begun(attempts=1)
    ends = [each.record_failure(OSError(), 4.5) for each in (by_time, by_attempts)]
    assert [each.limit for each in ends if isinstance(each, GaveUp)] == ["own", None]


def test_step_10_the_stretched_hint_counts() -> None:
    """It is the wait that would be made which is compared with the deadline, and the server is blamed for it."""
    assert delay(begun(on=hinted(10), deadline=10).record_failure(OSError(), 0.0, 0.0)) == 10.0
    assert reason(begun(on=hinted(10), deadline=10).record_failure(OSError(), 0.0, 0.01)) is Reason.HINT


def test_step_10_a_hint_that_fits_leaves_the_curve_to_the_deadline() -> None:
    """Where the curve waits longer than the server asked for, it is the deadline that ends it."""
    assert (
        reason(begun(on=hinted(2), deadline=10, backoff=constant(9)).record_failure(OSError(), 5.0)) is Reason.DEADLINE
    )


def test_step_10_without_a_wait_the_deadline_itself_is_in_time() -> None:
    """A wait of zero on the deadline is still allowed, a moment later it is not."""
    assert delay(begun(deadline=5, backoff=constant(0)).record_failure(OSError(), 5.0)) == 0.0
    assert reason(begun(deadline=5, backoff=constant(0)).record_failure(OSError(), 5.001)) is Reason.DEADLINE


def test_step_12_wait() -> None:
    """Where nothing speaks against it, it waits."""
    controller = begun(attempts=3, deadline=60)
    decision = controller.record_failure(OSError(), 0.5)
    assert isinstance(decision, Wait) and decision.delay == 1.0
    assert decision.classification.verdict is Verdict.TRANSIENT
    assert (controller.status, controller.failures, controller.due_in(0.5)) == (Status.WAITING, 1, 1.0)


# Their order: what both steps would end is ended by the first of them.


def test_step_3_before_4_permanent_before_nested() -> None:
    """A permanent error stays one, whoever gave up on it."""
    assert reason(begun().record_failure(given_up(PermanentError()))) is Reason.PERMANENT


def test_step_4_before_5_nested_before_unsafe() -> None:
    """That an inner retry gave up is said before that the attempt may have taken effect."""
    assert reason(begun(idempotent=False).record_failure(given_up(OSError()))) is Reason.NESTED


def test_step_5_before_6_unsafe_before_stopped() -> None:
    """What may not be repeated ends as such, also when it was to be stopped."""
    controller = begun(idempotent=False, stop=event_set())
    assert reason(controller.record_failure(OSError())) is Reason.UNSAFE
    assert controller.status is Status.GAVE_UP


def test_step_6_before_7_stopped_before_attempts() -> None:
    """The stop is looked at before the attempts are counted."""
    assert reason(begun(stop=event_set(), attempts=1).record_failure(OSError())) is Reason.STOPPED


def test_step_7_before_8_attempts_before_curve() -> None:
    """The attempts are counted before the curve is asked."""
    curve = Recorder()
    assert reason(begun(attempts=1, backoff=curve).record_failure(OSError())) is Reason.ATTEMPTS
    assert curve.asked == []
    assert reason(begun(attempts=1, backoff=sequence()).record_failure(OSError())) is Reason.ATTEMPTS


def test_step_8_before_9_curve_before_hint() -> None:
    """A curve that has ended is not prolonged by a hint, however long that is."""
    for hint in (1, 301):
        assert reason(begun(backoff=sequence(), on=hinted(hint)).record_failure(OSError())) is Reason.CURVE


def test_step_9_before_10_hint_before_deadline() -> None:
    """A hint that is too long is said before that it would end after the deadline."""
    assert reason(begun(on=hinted(301), deadline=60).record_failure(OSError())) is Reason.HINT


def ladder() -> list[tuple[Reason, dict[str, Any]]]:
    """What makes each step end it, in their order; each holds beside all those below it."""
    asked = {"on": hinted(5), "result": transient(when=unwanted, retry_after=5)}
    return [
        (Reason.UNSAFE, {"idempotent": False}),
        (Reason.STOPPED, {"stop": event_set()}),
        (Reason.ATTEMPTS, {"attempts": 1}),
        (Reason.CURVE, {"backoff": sequence()}),
        (Reason.HINT, {**asked, "max_hint": 1}),
        (Reason.HINT, asked),
        (Reason.DEADLINE, {"deadline": 1}),
    ]


@pytest.mark.parametrize("rung", range(7))
def test_each_step_comes_before_all_below_it(rung: int) -> None:
    """With everything below it true as well, a step is the reason; for errors and for results alike."""
    fields = {name: value for _, each in ladder()[rung:] for name, value in each.items()}
    controllers = [begun(**{"result": unwanted, "max_hint": 300} | fields) for _ in range(2)]
    expected = ladder()[rung][0]
    assert reason(controllers[0].record_failure(OSError(), 0.5)) is expected
    assert reason(controllers[1].record_result("unwanted", 0.5)) is expected


def test_all_at_once() -> None:
    """With every step true, permanent comes first, then nested."""
    fields = {name: value for _, each in ladder() for name, value in each.items()}
    rules = permanent(PermanentError) | hinted(5)
    assert reason(begun(**{**fields, "on": rules}).record_failure(given_up(PermanentError()), 0.5)) is Reason.PERMANENT
    assert reason(begun(**{**fields, "on": rules}).record_failure(given_up(OSError()), 0.5)) is Reason.NESTED


# Results.


def test_without_rules_every_result_is_wanted() -> None:
    """`None` says that the value is wanted, and the success is recorded."""
    controller = begun()
    assert controller.record_result(None) is None and controller.status is Status.SUCCEEDED


def test_a_wanted_result() -> None:
    """A value of which no rule has an opinion is wanted."""
    controller = begun(result=lambda value: value == "busy")
    assert controller.record_result("done") is None and controller.status is Status.SUCCEEDED


def test_a_result_takes_the_steps_from_2_to_12() -> None:
    """An unwanted value counts as a failure, is waited for and gives up as one."""
    controller = begun(result=lambda value: value == "busy", attempts=2)
    wait = controller.record_result("busy", 0.0)
    assert isinstance(wait, Wait) and wait.delay == 1.0 and controller.failures == 1
    controller.start(1.0)
    end = controller.record_result("busy", 1.0)
    assert reason(end) is Reason.ATTEMPTS and controller.status is Status.GAVE_UP


def test_a_permanent_result() -> None:
    """A value may be permanent too."""
    assert reason(begun(result=permanent(when=unwanted)).record_result(1)) is Reason.PERMANENT


def test_a_pending_result() -> None:
    """A value may say that the answer is not ready."""
    assert delay(begun(result=pending(when=unwanted, every=7)).record_result(1)) == 7.0


def test_the_draw_of_a_result() -> None:
    """The draw of a result is the policy's, or the one that is passed."""
    fields: dict[str, Any] = {"result": unwanted, "backoff": exponential(8)}
    assert delay(begun(**fields).record_result(1, 0.0)) == 4.0
    assert delay(begun(**fields).record_result(1, 0.0, 0.25)) == 2.0


def test_a_rule_for_results_that_raises(unsaid: None, caplog: pytest.LogCaptureFixture) -> None:
    """It has no opinion, so the value is wanted; and it is logged."""

    def broken(value: object) -> bool:
        raise KeyError("broken")

    assert begun(result=broken).record_result(1) is None
    assert "raised KeyError" in caplog.text


# PENDING.


def test_pending_is_no_failure() -> None:
    """PENDING resets the failures and waits what its rule says."""
    controller = begun(attempts=2)
    controller.record_failure(OSError(), 0.0)
    controller.start(1.0)
    assert delay(controller.record_failure(NotReadyError(), 1.0)) == 2.0
    assert (controller.failures, controller.status) == (0, Status.WAITING)
    controller.start(3.0)
    assert delay(controller.record_failure(OSError(), 3.0)) == 1.0


def test_pending_lets_the_curve_begin_again() -> None:
    """After PENDING the curve begins with its first wait, and knows no last one."""
    curve = Recorder(1.0, 2.0)
    controller = begun(backoff=curve)
    for error in (OSError(), NotReadyError(), OSError()):
        controller.record_failure(error, 0.0)
        controller.start(0.0)
    assert curve.asked == [(1, None, 0.5), (1, None, 0.5)]


@pytest.mark.parametrize(
    ("every", "expected"), [(0.0, 0.1), (0.05, 0.1), (0.1, 0.1), (0.2, 0.2), (5.0, 5.0), (3600.0, 3600.0)]
)
def test_pending_waits_what_its_rule_says(every: float, expected: float) -> None:
    """Not under 0.1 s, without any spread."""
    for draw in (0.0, 0.5, 0.999):
        controller = begun(on=pending(NotReadyError, every=every))
        assert delay(controller.record_failure(NotReadyError(), 0.0, draw)) == expected


@pytest.mark.parametrize(("hint", "draw", "expected"), [(0.0, 0.5, 0.1), (0.05, 0.999, 0.1), (8.0, 0.5, 8.4)])
def test_pending_waits_what_the_server_says(hint: float, draw: float, expected: float) -> None:
    """A hint wins over the rule's own period, is stretched like any other, and is never under 0.1 s."""
    found = Classification(Verdict.PENDING, hint, backoff=constant(60))
    assert delay(begun(on=lambda error: found).record_failure(NotReadyError(), 0.0, draw)) == pytest.approx(expected)


def test_pending_without_any_period() -> None:
    """Where nobody says how long, it is 5 s."""
    assert delay(begun(on=lambda error: Verdict.PENDING).record_failure(NotReadyError())) == 5.0


def test_pending_with_a_curve_that_has_ended() -> None:
    """A classification of the user's with a curve that gives no wait counts as saying nothing."""
    found = Classification(Verdict.PENDING, backoff=sequence())
    assert delay(begun(on=lambda error: found).record_failure(NotReadyError())) == 5.0


def test_pending_is_asked_neither_4_nor_5_nor_7_nor_8() -> None:
    """Nested, unsafe, attempts and curve are about failures."""
    fields: dict[str, Any] = {"idempotent": False, "attempts": 1, "backoff": sequence()}
    assert delay(begun(**fields).record_failure(given_up(NotReadyError()))) == 2.0


def test_pending_step_6_stopped() -> None:
    """A stop that is set ends a pending answer; one that is not changes nothing."""
    controller = begun(stop=event_set())
    assert reason(controller.record_failure(NotReadyError())) is Reason.STOPPED
    assert controller.status is Status.STOPPED
    assert delay(begun(stop=threading.Event()).record_failure(NotReadyError())) == 2.0


def test_pending_step_6_before_9_stopped_before_hint() -> None:
    """The stop is looked at before the hint."""
    found = Classification(Verdict.PENDING, 301.0)
    fields: dict[str, Any] = {"on": lambda error: found}
    assert reason(begun(stop=event_set(), **fields).record_failure(NotReadyError())) is Reason.STOPPED
    assert reason(begun(**fields).record_failure(NotReadyError())) is Reason.HINT


def test_pending_step_9_before_10_hint_before_deadline() -> None:
    """A hint that is too long is said before that it would end after the deadline."""
    found = Classification(Verdict.PENDING, 301.0)
    assert reason(begun(on=lambda error: found, deadline=5).record_failure(NotReadyError())) is Reason.HINT


def test_pending_step_10_deadline() -> None:
    """A pending answer may be asked for on the deadline, but not after it."""
    assert delay(begun(deadline=5).record_failure(NotReadyError(), 3.0)) == 2.0
    assert reason(begun(deadline=5).record_failure(NotReadyError(), 3.1)) is Reason.DEADLINE


# A rule's own curve.


class LimitedError(Exception):
    """An error whose rule has a curve of its own."""


class SlowedError(Exception):
    """An error whose rule has an equal curve."""


def with_own(own: Backoff, **fields: Any) -> BackoffController:
    """A controller whose policy has a curve, and two of its rules another one."""
    rules = (
        transient(LimitedError, backoff=own)
        | transient(SlowedError, backoff=own)
        | transient(OSError)
        | pending(NotReadyError)
    )
    return begun(on=rules, **{"backoff": sequence(1, 2, 4, 8)} | fields)


def play(controller: BackoffController, *errors: Exception) -> list[float | Reason]:
    """What follows from each of the errors, one attempt after the other."""
    found: list[float | Reason] = []
    for error in errors:
        if controller.status is Status.WAITING:
            controller.start(0.0)
        decision = controller.record_failure(error, 0.0)
        found.append(decision.delay if isinstance(decision, Wait) else reason(decision))
    return found


def test_a_rules_own_curve_counts_its_own_failures() -> None:
    """Each curve counts the failures that it answers itself; `failures` counts them all."""
    controller = with_own(sequence(10, 20, 30))
    found = play(controller, LimitedError(), OSError(), OSError(), LimitedError(), OSError(), LimitedError())
    assert found == [10.0, 1.0, 2.0, 20.0, 4.0, 30.0]
    assert controller.failures == 6


def test_the_policys_curve_first() -> None:
    """It makes no difference which curve is asked first."""
    assert play(with_own(sequence(10, 20)), OSError(), OSError(), LimitedError(), OSError()) == [1.0, 2.0, 10.0, 4.0]


def test_rules_with_an_equal_curve_count_apart() -> None:
    """A rule's curve counts that rule's failures, also where another rule has an equal curve."""
    assert play(with_own(sequence(10, 20, 30)), LimitedError(), SlowedError(), LimitedError()) == [10.0, 10.0, 20.0]


def test_a_rules_own_curve_ends() -> None:
    """When the curve of a rule ends, so does the call."""
    assert play(with_own(sequence(10)), LimitedError(), OSError(), LimitedError()) == [10.0, 1.0, Reason.CURVE]


def test_attempts_count_the_failures_of_all_curves() -> None:
    """The limit of attempts is about failures in a row, whichever curve answered."""
    assert play(with_own(sequence(10, 20), attempts=3), LimitedError(), OSError(), LimitedError()) == [
        10.0,
        1.0,
        Reason.ATTEMPTS,
    ]


def test_own_curves_begin_again_after_pending() -> None:
    """PENDING, progress and a success let every curve begin again."""
    assert play(with_own(sequence(10, 20)), LimitedError(), OSError(), NotReadyError(), LimitedError(), OSError()) == [
        10.0,
        1.0,
        5.0,
        10.0,
        1.0,
    ]


def test_own_curves_begin_again_after_progress() -> None:
    """After progress every curve begins with its first wait."""
    controller = with_own(sequence(10, 20))
    play(controller, LimitedError(), OSError())
    controller.start()
    controller.record_progress()
    assert play(controller, LimitedError(), OSError()) == [10.0, 1.0]


def test_own_curves_begin_again_after_a_success() -> None:
    """After a success every curve begins with its first wait."""
    controller = with_own(sequence(10, 20))
    play(controller, LimitedError(), OSError())
    controller.start()
    controller.record_success()
    controller.start()
    assert play(controller, LimitedError(), OSError()) == [10.0, 1.0]


def test_each_curve_is_given_its_own_last_wait() -> None:
    """What a curve gets as its last wait is what it gave itself."""
    own, usual = Recorder(10.0, 20.0), Recorder(1.0, 2.0)
    play(with_own(own, backoff=usual), LimitedError(), OSError(), LimitedError(), OSError())
    assert own.asked == [(1, None, 0.5), (2, 10.0, 0.5)]
    assert usual.asked == [(1, None, 0.5), (2, 1.0, 0.5)]


def test_the_hint_of_a_rule_with_its_own_curve() -> None:
    """A hint is compared with the rule's own curve."""
    rule = transient(OSError, retry_after=5, backoff=constant(10))
    assert delay(begun(on=rule).record_failure(OSError(), 0.0, 0.0)) == 10.0


# What goes wrong in the user's own parts.


@pytest.mark.parametrize(
    "answer", [RuntimeError("broken"), nan, inf, -inf, -1.0, 1.1e9, "soon", [], 1j, object()], ids=repr
)
@pytest.mark.parametrize("own", [False, True])
def test_a_curve_that_goes_wrong_has_ended(
    answer: Any, own: bool, unsaid: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A curve that raises or answers nonsense ends the call with the user's error, and is logged once."""
    for _ in range(2):
        curve = Recorder(answer)
        fields: dict[str, Any] = {"on": transient(OSError, backoff=curve)} if own else {"backoff": curve}
        assert reason(begun(**fields).record_failure(OSError())) is Reason.CURVE
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "it counts as ended" in caplog.text


@pytest.mark.parametrize("answer", [0, 3, 3.5, 1e9])
@pytest.mark.parametrize("own", [False, True])
def test_a_curve_of_the_users_own(answer: Any, own: bool) -> None:
    """Any number of seconds up to 10**9 is a wait."""
    curve = Recorder(answer)
    fields: dict[str, Any] = {"on": transient(OSError, backoff=curve)} if own else {"backoff": curve}
    assert delay(begun(**fields).record_failure(OSError())) == answer


def test_a_curve_that_cannot_be_hashed() -> None:
    """A rule's own curve that is no value like ours does not hide the user's error."""

    class Unhashable(Recorder):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return self is other

    decision = begun(on=transient(OSError, backoff=Unhashable(7.0))).record_failure(OSError())
    assert isinstance(decision, Wait | GaveUp)


@pytest.mark.parametrize("hint", ["5", nan, -5.0, inf, [], object()], ids=repr)
@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.PENDING])
def test_a_hint_that_is_nonsense(hint: Any, verdict: Verdict) -> None:
    """A classification of the user's with a hint that is no duration does not hide the user's error."""
    found = Classification(verdict, hint)
    decision = begun(on=lambda error: found).record_failure(OSError())
    assert isinstance(decision, GaveUp) or 0 <= delay(decision) <= 1e9


class SealedError(OSError):
    """An error that lets nobody look at it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"{name} is not for you")


def test_an_error_that_cannot_be_looked_at() -> None:
    """An error whose class guards its attributes is judged by its type alone."""
    assert delay(begun().record_failure(SealedError())) == 1.0
    assert reason(begun(idempotent=False).record_failure(SealedError())) is Reason.UNSAFE


@pytest.mark.parametrize("broken", [1.0, -0.1, nan, inf, "half", None, RuntimeError("broken")], ids=repr)
def test_a_draw_that_goes_wrong(broken: Any, unsaid: None, caplog: pytest.LogCaptureFixture) -> None:
    """A draw that raises or answers nonsense is logged once, and 0.5 is taken."""

    def draw() -> Any:
        if isinstance(broken, Exception):
            raise broken
        return broken

    for _ in range(2):
        assert delay(begun(draw=draw, backoff=exponential(8)).record_failure(OSError())) == 4.0
    assert len(caplog.records) == 1 and "0.5 is taken" in caplog.text


def test_a_clock_that_goes_wrong(unsaid: None, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that raises seems to stand still, which is logged once; the error is judged all the same."""

    class Stopping(SystemClock):
        readings = iter((5.0, 7.0))

        def now(self) -> float:
            return next(self.readings)  # and then it breaks

    controller = BackoffController(patient(clock=Stopping(), deadline=10, attempts=9))
    controller.start()
    assert delay(controller.record_failure(OSError())) == 1.0
    assert (controller.elapsed, controller.due_in()) == (2.0, 1.0)
    assert len(caplog.records) == 1 and "it seems to stand still" in caplog.text


def test_a_clock_that_has_never_worked(unsaid: None) -> None:
    """A clock that fails from the beginning reads zero."""

    class Broken(SystemClock):
        def now(self) -> float:
            raise RuntimeError("broken")

    for now, kind in ((9.0, Wait), (9.5, GaveUp)):
        controller = BackoffController(patient(clock=Broken(), deadline=10))
        controller.start()
        assert isinstance(controller.record_failure(OSError(), now), kind)


def test_the_systems_draw_is_the_random_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a draw it is the generator of `random`, which forked workers do not share."""
    before = random.getstate()
    try:
        random.seed(7)
        monkeypatch.setattr(tally, "_system_draw", None)  # as before the first failure of a process
        first, second = (BackoffController(retry(on=OSError, backoff=exponential(8))) for _ in range(2))
        first.start()
        second.start()
        waits = [delay(each.record_failure(OSError())) for each in (first, second)]
        random.seed(7)
        assert waits == [8 * random.random(), 8 * random.random()]
    finally:
        random.setstate(before)


# Time and draw: passed, or read.


def test_now_and_draw_are_read_when_they_are_not_passed() -> None:
    """`now` and `draw` default to the policy's clock and draw, and passing them wins."""
    clock = FakeClock(start=100.0)
    controller = BackoffController(patient(clock=clock, draw=lambda: 0.25, backoff=exponential(8), deadline=50))
    controller.start()
    clock.advance(3)
    assert delay(controller.record_failure(OSError())) == 2.0
    assert (controller.elapsed, controller.due_in()) == (3.0, 2.0)
    clock.advance(1)
    assert (controller.due_in(), controller.due_in(104.5), controller.due_in(200.0)) == (1.0, 0.5, 0.0)
    controller.start(110.0)
    assert delay(controller.record_failure(OSError(), 111.0, 0.75)) == 12.0


def test_a_wait_that_is_over_has_passed() -> None:
    """Without `now` an attempt begins when its wait was due at the earliest, whatever a clock that stands still says."""
    controller = BackoffController(patient(clock=FakeClock(start=100.0), deadline=5, backoff=constant(2)))
    controller.start()
    told = []
    for _ in range(3):
        decision = controller.record_failure(OSError())
        told.append((type(decision), controller.elapsed))
        if isinstance(decision, Wait):
            controller.start()
    assert told == [(Wait, 0.0), (Wait, 2.0), (GaveUp, 4.0)]


@pytest.mark.parametrize("draw", [1.0, -0.1, 5.0, nan, inf])
def test_a_draw_out_of_range(draw: float) -> None:
    """A draw that is passed and is none is refused, and changes nothing."""
    controller = begun(result=unwanted)
    before = controller.snapshot(1.0)
    for record in (controller.record_failure, controller.record_result):
        with pytest.raises(ValueError, match=r"draw must be .*\[0, 1\), got"):
            record(OSError(), 1.0, draw)
    assert controller.snapshot(1.0) == before


def test_without_a_clock_it_is_the_systems() -> None:
    """Without a clock the time is `time.monotonic`."""
    controller = BackoffController(patient(deadline=50, backoff=constant(40)))
    before = monotonic()
    controller.start()
    assert 0.0 <= controller.elapsed <= monotonic() - before
    assert reason(controller.record_failure(OSError(), before + 50)) is Reason.DEADLINE


# Statuses, and misuse.


def made(status: Status) -> BackoffController:
    """A controller in the given status, after one attempt where it has one."""
    controller = BackoffController(patient(backoff=constant(10)))
    if status is Status.IDLE:
        return controller
    controller.start(0.0)
    if status is Status.WAITING:
        controller.record_failure(OSError(), 1.0)
    elif status is Status.SUCCEEDED:
        controller.record_success(1.0)
    elif status is Status.GAVE_UP:
        controller.record_failure(PermanentError(), 1.0)
    elif status is Status.STOPPED:
        controller.stop(1.0)
    return controller


@pytest.mark.parametrize("status", Status)
def test_every_status_can_be_reached(status: Status) -> None:
    """The six statuses are where they are said to be."""
    assert made(status).status is status


def test_a_fresh_controller() -> None:
    """Before the first attempt everything is zero."""
    controller = BackoffController(patient(name="fetch", deadline=5))
    assert (controller.status, controller.attempt, controller.failures) == (Status.IDLE, 0, 0)
    assert (controller.elapsed, controller.due_in()) == (0.0, 0.0)
    assert (controller.name, controller.policy.name) == ("fetch", "fetch")


@pytest.mark.parametrize("status", [Status.IDLE, Status.WAITING, Status.SUCCEEDED])
def test_start_begins_an_attempt(status: Status) -> None:
    """An attempt begins from IDLE, WAITING and SUCCEEDED, and is told its number."""
    controller = made(status)
    before = controller.attempt
    assert controller.start(20.0) == controller.attempt == before + 1
    assert controller.status is Status.ATTEMPTING


@pytest.mark.parametrize("status", [Status.ATTEMPTING, Status.GAVE_UP, Status.STOPPED])
def test_start_out_of_turn(status: Status) -> None:
    """Starting while an attempt is under way, or after the end, raises and changes nothing."""
    controller = made(status)
    with pytest.raises(RuntimeError) as caught:
        controller.start()
    expected = f"start() is for an idle, waiting or succeeded controller, this one is {status.value}"
    assert str(caught.value) == expected
    assert (controller.status, controller.attempt) == (status, 1)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("record_failure", (Status.IDLE, Status.WAITING)),
        ("record_result", (Status.IDLE, Status.WAITING, Status.SUCCEEDED)),
        ("record_success", (Status.IDLE, Status.WAITING, Status.SUCCEEDED, *ENDED)),
        ("record_progress", (Status.IDLE, Status.WAITING, Status.SUCCEEDED, *ENDED)),
    ],
)
@pytest.mark.parametrize("status", Status)
def test_recording_out_of_turn(method: str, wrong: tuple[Status, ...], status: Status) -> None:
    """What is recorded while no attempt is under way raises and changes nothing; in turn it does not."""
    controller = made(status)
    arguments = {"record_failure": (OSError(),), "record_result": (1,)}.get(method, ())
    before = controller.snapshot(2.0)
    if status not in wrong:
        getattr(controller, method)(*arguments)
        return
    with pytest.raises(RuntimeError) as caught:
        getattr(controller, method)(*arguments)
    assert str(caught.value) == f"{method}() needs an attempt under way, this controller is {status.value}"
    assert controller.snapshot(2.0) == before


@pytest.mark.parametrize("status", ENDED)
def test_after_the_end_the_end_is_said_again(status: Status) -> None:
    """After giving up or stopping every outcome is answered with the same GaveUp."""
    controller = made(status)
    end = controller.record_failure(OSError(), 50.0)
    assert isinstance(end, GaveUp)
    assert end.reason is (Reason.PERMANENT if status is Status.GAVE_UP else Reason.STOPPED)
    assert controller.record_failure(KeyError(), 60.0) is end
    assert controller.record_failure(OSError(), attempt=1) is end
    assert controller.record_result("wanted") is end
    assert controller.status is status


def test_a_drop_after_a_success_is_a_failure() -> None:
    """A failure after a success tells of a connection that was dropped, which is waited for like any other."""
    controller = made(Status.SUCCEEDED)
    assert delay(controller.record_failure(OSError(), 1.0)) == 10.0
    assert (controller.status, controller.failures) == (Status.WAITING, 1)


def test_a_drop_begins_a_new_episode() -> None:
    """Attempts, time and deadline count from the drop on, however long the connection had been up."""
    controller = BackoffController(patient(deadline=10, attempts=3, backoff=constant(4)))
    controller.start(0.0)
    controller.record_success(1.0)
    assert delay(controller.record_failure(OSError(), 7200.0)) == 4.0
    assert controller.failures == 1
    controller.start(7204.0)
    end = controller.record_failure(OSError(), 7207.0)
    assert isinstance(end, GaveUp)
    assert (end.reason, end.attempts, end.elapsed) == (Reason.DEADLINE, 2, 7.0)


# Late news.


@pytest.mark.parametrize("status", [Status.ATTEMPTING, Status.WAITING, Status.SUCCEEDED])
def test_late_news_of_an_older_attempt(status: Status) -> None:
    """What is told of an attempt that is not the last one changes nothing."""
    controller = made(Status.WAITING)
    controller.start(20.0)
    if status is Status.WAITING:
        controller.record_failure(OSError(), 21.0)
    elif status is Status.SUCCEEDED:
        controller.record_success(21.0)
    before = controller.snapshot(22.0)
    assert controller.record_failure(PermanentError(), 22.0, attempt=1) is None
    assert controller.record_result("late", 22.0, attempt=1) is None
    assert (controller.status, controller.snapshot(22.0)) == (status, before)


def test_late_news_of_the_attempt_that_has_ended() -> None:
    """While waiting, another failure of the attempt that has just ended is late news too."""
    controller = made(Status.WAITING)
    assert controller.record_failure(OSError(), 2.0, attempt=1) is None
    assert controller.record_result("late", 2.0, attempt=1) is None
    assert controller.failures == 1


def test_late_news_after_a_reset() -> None:
    """Numbers are not used again, so an attempt that a reset abandoned is told from the new one."""
    controller = made(Status.ATTEMPTING)
    controller.reset()
    assert controller.record_failure(OSError(), attempt=1) is None
    assert controller.start(5.0) == 2
    assert controller.record_failure(OSError(), 5.0, attempt=1) is None
    assert delay(controller.record_failure(OSError(), 5.0, attempt=2)) == 10.0


def test_news_of_the_current_attempt() -> None:
    """Naming the attempt that is under way is the same as naming none."""
    assert delay(made(Status.ATTEMPTING).record_failure(OSError(), attempt=1)) == 10.0
    assert made(Status.ATTEMPTING).record_result(1, attempt=1) is None
    assert delay(made(Status.SUCCEEDED).record_failure(OSError(), attempt=1)) == 10.0


@pytest.mark.parametrize("status", [Status.IDLE, Status.ATTEMPTING, Status.WAITING, Status.SUCCEEDED])
def test_news_of_an_attempt_that_has_not_begun(status: Status) -> None:
    """A number that is still to come is a mistake."""
    controller = made(status)
    expected = f"attempt must have begun: the last one that has is {controller.attempt}, got 9"
    for record in (controller.record_failure, controller.record_result):
        with pytest.raises(ValueError) as caught:
            record(OSError(), attempt=9)
        assert str(caught.value) == expected


# Success, progress, reset.


def test_a_success_lets_failures_and_curve_begin_again() -> None:
    """After a success the failures, the curve and the deadline begin again; the numbers go on."""
    controller = begun(deadline=15, backoff=sequence(1, 2))
    assert play(controller, OSError(), OSError()) == [1.0, 2.0]
    controller.start(9.0)
    controller.record_success(9.5)
    assert (controller.failures, controller.status) == (0, Status.SUCCEEDED)
    assert controller.start(100.0) == 4
    assert delay(controller.record_failure(OSError(), 101.0)) == 1.0
    assert controller.elapsed != 0.0
    controller.start(102.0)
    assert reason(controller.record_failure(OSError(), 113.5)) is Reason.DEADLINE


def test_attempts_are_told_since_the_episode_began() -> None:
    """After a success, and after a reset, GaveUp counts attempts from one again."""
    controller = made(Status.SUCCEEDED)
    controller.start(5.0)
    end = controller.record_failure(PermanentError(), 7.0)
    assert isinstance(end, GaveUp) and (end.attempts, end.elapsed) == (1, 2.0)
    controller.reset()
    controller.start(10.0)
    controller.record_failure(OSError(), 11.0)
    assert controller.start(21.0) == 4
    end = controller.record_failure(PermanentError(), 25.0)
    assert isinstance(end, GaveUp) and (end.attempts, end.elapsed) == (2, 15.0)


def test_progress_lets_failures_curve_and_deadline_begin_again() -> None:
    """After progress it is as if the attempt had just begun the first time; the time that passed is still told."""
    controller = begun(deadline=10, backoff=sequence(1, 2), attempts=2)
    controller.record_failure(OSError(), 5.0)
    controller.start(6.0)
    controller.record_progress(9.0)
    assert (controller.failures, controller.status) == (0, Status.ATTEMPTING)
    assert delay(controller.record_failure(OSError(), 18.0)) == 1.0
    controller.start(19.0)
    end = controller.record_failure(OSError(), 19.0)
    assert isinstance(end, GaveUp)
    assert (end.reason, end.attempts, end.elapsed) == (Reason.ATTEMPTS, 3, 19.0)


def test_progress_is_read_from_the_clock() -> None:
    """Without `now` the deadline begins again by the policy's clock."""
    for later, kind in ((9, Wait), (9.5, GaveUp)):
        clock = FakeClock()
        controller = BackoffController(patient(clock=clock, deadline=10))
        controller.start()
        clock.advance(4)
        controller.record_progress()
        clock.advance(later)
        assert isinstance(controller.record_failure(OSError()), kind)


def test_progress_without_a_deadline() -> None:
    """Progress makes no deadline where there is none."""
    controller = made(Status.ATTEMPTING)
    controller.record_progress(5.0)
    assert delay(controller.record_failure(OSError(), 1e6)) == 10.0


@pytest.mark.parametrize("status", Status)
def test_reset_makes_everything_fresh(status: Status) -> None:
    """A reset leads back to IDLE from everywhere; only the numbers go on."""
    controller = made(status)
    number = controller.attempt
    controller.reset()
    assert (controller.status, controller.failures, controller.attempt) == (Status.IDLE, 0, number)
    assert (controller.elapsed, controller.due_in()) == (0.0, 0.0)
    assert controller.start(100.0) == number + 1
    assert delay(controller.record_failure(OSError(), 103.0)) == 10.0
    assert controller.failures == 1


def test_reset_lets_the_deadline_begin_again() -> None:
    """After a reset the next attempt fixes a new deadline."""
    for later, kind in ((59.0, Wait), (59.5, GaveUp)):
        controller = begun(deadline=10)
        controller.record_failure(OSError(), 9.5)
        assert controller.status is Status.GAVE_UP
        controller.reset()
        controller.start(50.0)
        assert isinstance(controller.record_failure(OSError(), later), kind)


# stop.


@pytest.mark.parametrize("status", [Status.IDLE, Status.ATTEMPTING, Status.WAITING, Status.SUCCEEDED])
def test_stop_ends_it(status: Status) -> None:
    """After `stop()` no attempt begins any more."""
    controller = made(status)
    end = controller.stop(4.0)
    assert (end.reason, end.attempts, end.hint, end.classification) == (Reason.STOPPED, controller.attempt, None, None)
    assert end.elapsed == (0.0 if status is Status.IDLE else 4.0)
    assert controller.status is Status.STOPPED and controller.due_in() == 0.0
    assert controller.record_failure(OSError()) is end
    with pytest.raises(RuntimeError):
        controller.start()


def test_stop_is_read_from_the_clock() -> None:
    """Without `now` the end is when the policy's clock says."""
    clock = FakeClock()
    controller = BackoffController(patient(clock=clock))
    controller.start()
    clock.advance(3)
    assert controller.stop().elapsed == 3.0


# What it tells.


def test_elapsed_counts_up_to_the_end() -> None:
    """The time counts from the first attempt, through waits, and stands still at the end."""
    clock = FakeClock()
    controller = BackoffController(patient(clock=clock, attempts=2))
    controller.start()
    clock.advance(1)
    controller.record_failure(OSError())
    clock.advance(2)
    assert controller.elapsed == 3.0
    controller.start()
    clock.advance(4)
    controller.record_failure(OSError())
    clock.advance(100)
    assert controller.elapsed == 7.0


@pytest.mark.parametrize("passed", [False, True])
def test_elapsed_stands_still_at_a_success(passed: bool) -> None:
    """A success is an end, whether its time is passed or read from the clock; the next attempt begins anew."""
    clock = FakeClock()
    controller = BackoffController(patient(clock=clock))
    controller.start()
    clock.advance(5)
    controller.record_success(*([5.0] if passed else []))
    clock.advance(5)
    assert controller.elapsed == 5.0
    controller.start()
    clock.advance(2)
    assert controller.elapsed == 2.0


def test_elapsed_goes_on_after_a_drop() -> None:
    """A connection that was dropped is tried again, so the time goes on."""
    clock = FakeClock()
    controller = BackoffController(patient(clock=clock))
    controller.start()
    controller.record_success(1.0)
    clock.advance(3)
    controller.record_failure(OSError())
    before = controller.elapsed
    clock.advance(2)
    assert controller.elapsed == before + 2.0
    controller.start()
    clock.advance(2)
    assert controller.elapsed == before + 4.0


def test_elapsed_is_never_negative() -> None:
    """A clock that is read backwards makes no negative time."""
    controller = begun(10.0)
    end = controller.record_failure(PermanentError(), 9.0)
    assert isinstance(end, GaveUp) and end.elapsed == 0.0


def test_nothing_is_due_while_an_attempt_is_under_way() -> None:
    """An attempt that begins before the wait is over ends it."""
    controller = made(Status.WAITING)
    assert controller.due_in(2.0) == 9.0
    controller.start(3.0)
    assert controller.due_in(4.0) == 0.0
    controller.record_success(5.0)
    assert controller.due_in(6.0) == 0.0


def test_the_end_tells_how_it_came_about() -> None:
    """GaveUp carries reason, attempts, elapsed, name, the hint as the server said it, and the classification."""
    controller = begun(10.0, on=hinted(7), attempts=1, name="fetch")
    end = controller.record_failure(OSError(), 12.5)
    assert isinstance(end, GaveUp) and end.classification is not None
    assert (end.reason, end.attempts, end.elapsed, end.name, end.hint) == (Reason.ATTEMPTS, 1, 2.5, "fetch", 7.0)
    assert end.classification.retry_after == 7.0


def test_the_name_may_be_set() -> None:
    """Who knows a better name than the policy's sets it."""
    controller = begun()
    controller.name = "better"
    assert controller.stop().name == "better"


def test_no_error_is_kept() -> None:
    """The controller holds no error: it would be a cycle through the frames of the error's traceback."""

    class WeakError(OSError):
        pass

    gc.disable()
    try:
        for fields in ({}, {"attempts": 1}):
            controller = begun(**fields)
            error = WeakError()
            seen = weakref.ref(error)
            controller.record_failure(error)
            del error
            assert seen() is None
    finally:
        gc.enable()


def test_statuses_and_reasons_are_shown_by_name() -> None:
    """The reprs are what one would write."""
    assert [repr(status) for status in (Status.IDLE, Status.GAVE_UP)] == ["Status.IDLE", "Status.GAVE_UP"]
    assert repr(Reason.ATTEMPTS) == "Reason.ATTEMPTS"


# Snapshots.


def story(name: str) -> BackoffController:
    """A controller somewhere in its life, by 100.0 at the latest."""
    if name in Status.__members__:
        return made(Status[name])
    controller = with_own(sequence(10, 20, 30), deadline=1000, attempts=9, backoff=exponential(1, jitter=None))
    if name == "own curves":
        for error, now in zip((LimitedError(), OSError(), LimitedError()), itertools.count(1.0), strict=False):
            controller.record_failure(error, now)
            controller.start(now)
    elif name == "late episode":
        controller.record_success(1.0)
        controller.start(50.0)
        controller.record_failure(OSError(), 51.0)
    elif name == "stopped by hint":
        controller = begun(on=hinted(301), name="fetch")
        controller.record_failure(OSError(), 3.0)
    return controller


STORIES = [*Status.__members__, "own curves", "late episode", "stopped by hint"]


@pytest.mark.parametrize("name", STORIES)
def test_a_snapshot_goes_through_json(name: str) -> None:
    """A snapshot is plain data: it comes back the same from JSON."""
    snapshot = story(name).snapshot(100.0)
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot


@pytest.mark.parametrize("name", STORIES)
def test_a_snapshot_changes_nothing(name: str) -> None:
    """Taking a snapshot is no event: the next one is the same."""
    controller = story(name)
    assert controller.snapshot(100.0) == controller.snapshot(100.0)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("now", [100.0, 0.0, 5e6])
def test_what_is_restored_is_what_was_stored(name: str, now: float) -> None:
    """A restored controller tells all that the stored one told, at whatever reading; a wait that was due is over."""
    controller = story(name)
    stored = controller.snapshot(100.0)
    restored = BackoffController.restore(controller.policy, stored, now)
    due = None if stored["due_in"] is None else 0.0
    assert restored.snapshot(now) == stored | {"due_in": due}
    told = [(each.status, each.attempt, each.failures) for each in (restored, controller)]
    assert told[0] == told[1]


def test_a_wait_that_was_due_counts_as_waited_in_full() -> None:
    """What was left of the wait has passed when the controller is restored, for the time told and for the deadline."""
    for later, kind in ((4.0, Wait), (4.5, GaveUp)):
        controller = begun(deadline=20, backoff=constant(8))
        controller.record_failure(OSError(), 0.0)
        restored = BackoffController.restore(controller.policy, controller.snapshot(3.0), 500.0)
        assert restored.due_in(500.0) == 0.0
        assert restored.start(500.0) == 2
        decision = restored.record_failure(OSError(), 500.0 + later)
        assert isinstance(decision, kind)
        assert not isinstance(decision, GaveUp) or decision.elapsed == 12.5


@pytest.mark.parametrize("name", STORIES)
def test_a_restored_controller_goes_on_exactly(name: str) -> None:
    """The same outcomes give the same decisions; the time in between does not count."""
    controller = story(name)
    restored = BackoffController.restore(controller.policy, controller.snapshot(100.0), 5000.0)
    for step, error in enumerate((OSError(), LimitedError(), OSError(), NotReadyError(), OSError(), PermanentError())):
        at = 100.0 + 40 * step
        for each, shift in ((controller, 0.0), (restored, 4900.0)):
            if each.status in (Status.IDLE, Status.WAITING, Status.SUCCEEDED):
                each.start(at + shift)
        found = [controller.record_failure(error, at), restored.record_failure(error, at + 4900.0)]
        plain = [(each.reason, each.attempts, each.elapsed) if isinstance(each, GaveUp) else each for each in found]
        assert plain[0] == plain[1]


def test_a_snapshot_has_no_clock_readings() -> None:
    """The same story on a clock that reads otherwise gives the same snapshot."""
    snapshots = []
    for zero in (0.0, 1024.0, -4096.0):
        controller = begun(zero, deadline=60)
        controller.record_failure(OSError(), zero + 2.0)
        snapshots.append(controller.snapshot(zero + 2.5))
    assert snapshots[0] == snapshots[1] == snapshots[2]
    assert (snapshots[0]["elapsed"], snapshots[0]["deadline_in"], snapshots[0]["due_in"]) == (2.5, 57.5, 0.5)


@pytest.mark.parametrize("passed", [False, True])
@pytest.mark.parametrize("ended", ["failure", "success", "stop"])
def test_a_snapshot_keeps_the_end(ended: str, passed: bool) -> None:
    """How long it took is told up to the end, also when the snapshot is taken later."""
    clock = FakeClock()
    controller = BackoffController(patient(clock=clock))
    controller.start()
    clock.advance(5)
    now = (5.0,) if passed else ()
    if ended == "failure":
        controller.record_failure(PermanentError(), *now)
    else:
        (controller.record_success if ended == "success" else controller.stop)(*now)
    clock.advance(5)
    restored = BackoffController.restore(controller.policy, controller.snapshot())
    clock.advance(5)
    assert (restored.elapsed, restored.status) == (5.0, controller.status)


def test_a_snapshot_keeps_an_end_at_zero() -> None:
    """An end at the reading 0.0 is an end like any other."""
    clock = FakeClock()
    controller = BackoffController(patient(clock=clock))
    controller.start()
    controller.stop()
    clock.advance(1)
    assert BackoffController.restore(controller.policy, controller.snapshot()).elapsed == 0.0


def test_a_snapshot_is_read_from_the_clock() -> None:
    """Without `now` both directions use the policy's clock."""
    for later, kind in ((42.0, Wait), (43.0, GaveUp)):
        here, there = FakeClock(), FakeClock(start=1e6)
        controller = BackoffController(patient(clock=here, deadline=60, backoff=constant(8)))
        controller.start()
        here.advance(2)
        controller.record_failure(OSError())
        here.advance(3)
        restored = BackoffController.restore(
            patient(clock=there, deadline=60, backoff=constant(8)), controller.snapshot()
        )
        restored.start()
        there.advance(later)
        assert isinstance(restored.record_failure(OSError()), kind)


def test_what_was_given_up_stays_so() -> None:
    """A restored end answers GaveUp again, with what can be kept of it."""
    controller = begun(on=hinted(301), name="fetch")
    end = controller.record_failure(OSError(), 3.0)
    restored = BackoffController.restore(controller.policy, controller.snapshot(9.0), 0.0)
    assert restored.record_failure(OSError()) == GaveUp(Reason.HINT, 1, 3.0, "fetch", 301.0)
    assert isinstance(end, GaveUp) and end.classification is not None


def test_the_curves_of_a_snapshot_survive_unused() -> None:
    """A rule's own curve that is not asked between two snapshots is not forgotten."""
    controller = story("own curves")
    first = BackoffController.restore(controller.policy, controller.snapshot(100.0), 100.0)
    first.record_failure(OSError(), 100.0)
    second = BackoffController.restore(controller.policy, first.snapshot(100.0), 100.0)
    second.start(200.0)
    assert delay(second.record_failure(LimitedError(), 200.0)) == 30.0


def test_a_restored_attempt_is_under_way_since_now() -> None:
    """An inner retry that gave up after the restoring gave up during the attempt."""
    snapshot = made(Status.ATTEMPTING).snapshot(5.0)
    for ago, kind in ((-60.0, GaveUp), (60.0, Wait)):
        restored = BackoffController.restore(patient(), snapshot, 0.0)
        assert isinstance(restored.record_failure(given_up(OSError(), ago), 0.0), kind)


SNAPSHOT = made(Status.WAITING).snapshot(2.0)


@pytest.mark.parametrize("field", SNAPSHOT)
def test_a_snapshot_that_lacks_something(field: str) -> None:
    """What is no whole snapshot is refused."""
    junk = {name: value for name, value in SNAPSHOT.items() if name != field}
    with pytest.raises(ValueError, match=r"^snapshot must be what BackoffController\.snapshot\(\) gave, got "):
        BackoffController.restore(patient(), junk)


@pytest.mark.parametrize("junk", [None, 5, "snapshot", [], {}, {"version": 1}, object()], ids=repr)
def test_what_is_no_snapshot(junk: Any) -> None:
    """Anything else than a snapshot is refused with the same words."""
    with pytest.raises(ValueError, match=r"^snapshot must be what BackoffController\.snapshot\(\) gave, got "):
        BackoffController.restore(patient(), junk)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 1),
        ("version", None),
        ("status", "RUNNING"),
        ("status", 5),
        ("status", None),
        ("attempt", "1"),
        ("attempt", 1.5),
        ("attempt", -1),
        ("attempt", None),
        ("earlier", None),
        ("earlier", "0"),
        ("failures", -1),
        ("failures", "x"),
        ("failures", 0.5),
        ("elapsed", "x"),
        ("elapsed", nan),
        ("elapsed", inf),
        ("deadline_in", "x"),
        ("deadline_in", nan),
        ("due_in", "x"),
        ("due_in", nan),
        ("previous", "x"),
        ("previous", nan),
        ("curves", 5),
        ("curves", ["x"]),
        ("curves", {"constant(1.0)": 5}),
        ("curves", {"constant(1.0)": ["x", 1.0]}),
        ("gave_up", 5),
        ("gave_up", {}),
        ("gave_up", {"reason": "WHIM", "attempts": 1, "elapsed": 0.0, "name": None, "hint": None, "limit": None}),
        ("gave_up", {"reason": "CURVE", "attempts": 1, "elapsed": 0.0, "name": None, "hint": None, "limit": "mine"}),
    ],
)
def test_a_snapshot_with_junk_in_it(field: str, value: Any) -> None:
    """A snapshot of another version, or one that was meddled with, is refused."""
    with pytest.raises(ValueError, match=r"^snapshot must be what BackoffController\.snapshot\(\) gave, got "):
        BackoffController.restore(patient(), {**SNAPSHOT, field: value})


@pytest.mark.parametrize("status", ["GAVE_UP", "STOPPED"])
def test_a_snapshot_of_an_end_without_a_reason(status: str) -> None:
    """An end has to say how it came about."""
    with pytest.raises(ValueError, match="snapshot must be what"):
        BackoffController.restore(patient(), {**SNAPSHOT, "status": status})


@pytest.mark.parametrize("read", [lambda made: made.snapshot(3.0), lambda made: made.elapsed])
def test_reading_does_not_need_an_attempt(read: Callable[[BackoffController], Any]) -> None:
    """What a controller tells can be asked in every status."""
    for status in Status:
        read(made(status))


# Driven by callbacks.


def test_failed_answers_in_seconds() -> None:
    """A callback's "closed" needs no error and no `start`: it counts, and the answer is the wait, or `None` to give up."""
    controller = BackoffController(retry(attempts=7, on=OSError, backoff=constant(2)))
    waits = [controller.failed(now=2.0 * each) for each in range(7)]
    assert waits == [2.0] * 6 + [None]
    assert (controller.retries, controller.failures, controller.status) == (6, 7, Status.GAVE_UP)
    assert controller.failed(now=99.0) is None
    controller.reset()
    assert controller.failed(now=100.0) == 2.0 and controller.retries == 0


def test_failed_twice_is_one_failure() -> None:
    """An end that a client tells by two callbacks counts once: the second gets what is left of the wait."""
    controller = BackoffController(retry(attempts=3, on=OSError, backoff=constant(2)))
    controller.start(now=0.0)
    assert (controller.failed(OSError(), now=1.0), controller.failed(now=1.5)) == (2.0, 1.5)
    assert (controller.failures, controller.attempt) == (1, 1)


def test_failed_after_a_success_is_a_drop() -> None:
    """With a connection that was up the counting begins again: its drop is the first failure, its dials are retries."""
    controller = BackoffController(retry(attempts=2, on=OSError, backoff=constant(2)))
    controller.failed(now=0.0)
    controller.start(now=2.0)
    controller.record_success(now=2.0)
    assert (controller.failed(now=60.0), controller.failures, controller.retries) == (2.0, 1, 0)
    controller.start(now=62.0)
    assert controller.retries == 1


def test_failed_judges_and_stops() -> None:
    """A permanent error gives up at once, and after `stop` every failure does."""
    controller = BackoffController(retry(on=OSError))
    assert controller.failed(ValueError("a bug"), now=0.0) is None
    controller = BackoffController(retry(on=OSError))
    controller.stop(now=0.0)
    assert controller.failed(OSError(), now=1.0) is None and controller.status is Status.STOPPED


def test_a_key_is_the_same_in_every_attempt_and_after_a_restart() -> None:
    """The server knows the request again, also when another process makes it; after a success it is another effect."""
    controller = begun(backoff=constant(1), idempotent=False)
    key = controller.idempotency_key()
    assert isinstance(controller.record_failure(ConnectionResetError(), 0.0), Wait)
    stored = json.loads(json.dumps(controller.snapshot(0.0)))
    restored = BackoffController.restore(controller.policy, stored, 500.0)
    restored.start(500.0)
    assert restored.idempotency_key() == key
    restored.record_success(501.0)
    restored.start(502.0)
    assert restored.idempotency_key() != key
    controller.reset()
    controller.start(9.0)
    assert controller.idempotency_key() != key


def test_a_key_vouches_for_one_attempt() -> None:
    """Also for one that was under way when the snapshot was taken: the process may have died over it."""
    controller = begun(backoff=constant(1), idempotent=False)
    assert controller.idempotency_key("order-7") == "order-7"
    restored = BackoffController.restore(controller.policy, controller.snapshot(0.0), 500.0)
    assert isinstance(restored.record_failure(ConnectionResetError(), 500.0), Wait)
    restored.start(501.0)
    end = restored.record_failure(ConnectionResetError(), 501.0)
    assert isinstance(end, GaveUp) and end.reason is Reason.UNSAFE


def test_a_key_is_for_an_attempt() -> None:
    """Between attempts there is no request that could bear it; and it is a text."""
    with pytest.raises(RuntimeError, match="idempotency_key"):
        BackoffController(retry).idempotency_key()
    with pytest.raises(ValueError, match="value must be a string that is not empty"):
        begun().idempotency_key("")


@pytest.mark.parametrize("key", [7, ""])
def test_a_key_of_a_snapshot_that_is_none(key: object) -> None:
    """Refused, as anything else is that no snapshot has."""
    with pytest.raises(ValueError, match=r"snapshot must be what BackoffController.snapshot\(\) gave"):
        BackoffController.restore(retry, begun().snapshot(0.0) | {"key": key}, 0.0)
