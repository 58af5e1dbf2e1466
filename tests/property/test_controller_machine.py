"""The controller beside a small model of it that is written from the contract, through any story Hypothesis thinks of."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redouble import (
    Backoff,
    BackoffController,
    Classification,
    GaveUp,
    Reason,
    Status,
    SystemClock,
    Verdict,
    Wait,
    constant,
    exponential,
    retry,
    sequence,
)
from redouble.control.mark import mark

EIGHTHS = st.integers(0, 80).map(lambda count: count / 8)  # exact as floats, so that sums of them are
DRAWS = st.sampled_from([0.0, 0.25, 0.5, 0.875])
CURVES = [
    constant(1),
    constant(0),
    sequence(0.5, 2),
    sequence(),
    exponential(0.5, maximum=4, jitter=None),
    exponential(1, maximum=8, jitter="full"),
    exponential(0.5, maximum=6, jitter="decorrelated"),
]
OWN = [None, sequence(0.25, 3), constant(2)]


@dataclass(frozen=True)
class Outcome:
    """What an attempt comes to; `nested`: an inner retry gave up on it, `old`: it did so before this attempt."""

    verdict: Verdict
    hint: float | None
    applied: bool
    own: Backoff | None
    mark: str

    @property
    def classification(self) -> Classification:
        return Classification(self.verdict, self.hint, self.applied, self.own)


OUTCOMES = st.builds(
    Outcome,
    st.sampled_from([Verdict.TRANSIENT] * 4 + [Verdict.PENDING, Verdict.PERMANENT]),
    st.sampled_from([None, None, None, 0.0, 0.5, 2.0, 4.0, 4.125]),
    st.sampled_from([True, True, False]),
    st.sampled_from(OWN),
    st.sampled_from(["none", "none", "none", "old", "nested"]),
)


class FailureError(Exception):
    """An error that says itself what it is to be judged as."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        if outcome.mark != "none":
            mark(self, GaveUp(Reason.ATTEMPTS, 2, 0.5), True)
            self._redouble_outcome["at"] = monotonic() + (3600 if outcome.mark == "nested" else -3600)  # type: ignore[attr-defined]


def judged(subject: Any) -> Classification | None:
    """The rule of the policies here, for errors and for results."""
    outcome = subject.outcome if isinstance(subject, FailureError) else subject
    return outcome.classification if isinstance(outcome, Outcome) else None


@dataclass
class Model:
    """What the contract says of a controller, and nothing else."""

    attempts: int | None
    deadline: float | None
    curve: Backoff
    idempotent: bool | None
    nested: str
    max_hint: float
    stop: threading.Event
    status: Status = Status.IDLE
    attempt: int = 0
    before: int = 0  # attempts of earlier episodes
    failures: int = 0
    asked: dict[Backoff | None, list[float]] = field(default_factory=dict)  # what each curve gave; None: the policy's
    started: float | None = None
    ended: float | None = None
    ends: float | None = None
    due: float | None = None
    end: tuple[Reason, int, float, float | None] | None = None

    def fresh(self) -> None:
        """Everything begins again, but the numbers go on."""
        self.status, self.failures, self.asked, self.before = Status.IDLE, 0, {}, self.attempt
        self.started = self.ended = self.ends = self.due = self.end = None

    def begin(self, now: float) -> None:
        """Time and deadline of an episode."""
        self.started = now
        self.ends = None if self.deadline is None else now + self.deadline

    def start(self, now: float) -> int:
        if self.status is Status.SUCCEEDED:
            self.fresh()
        if self.started is None:
            self.begin(now)
        self.status, self.due = Status.ATTEMPTING, None
        self.attempt += 1
        return self.attempt

    def success(self, now: float) -> None:
        self.status, self.failures, self.asked, self.ended = Status.SUCCEEDED, 0, {}, now

    def progress(self, now: float) -> None:
        self.failures, self.asked = 0, {}
        self.ends = None if self.deadline is None else now + self.deadline

    def drop(self, now: float) -> None:
        """A connection that was up has gone: a new episode, of which the attempt that succeeded is the first."""
        number = self.attempt
        self.fresh()
        self.before = number - 1
        self.begin(now)

    def give_up(self, reason: Reason, now: float, hint: float | None = None) -> tuple[Any, ...]:
        self.status = Status.STOPPED if reason is Reason.STOPPED else Status.GAVE_UP
        self.ended, self.due = now, None
        self.end = (reason, self.attempt - self.before, 0.0 if self.started is None else now - self.started, hint)
        return self.end

    def decide(self, outcome: Outcome, is_error: bool, now: float, draw: float) -> float | tuple[Any, ...]:
        """The order of the decision; a wait, or the end."""
        hint = outcome.hint
        if outcome.verdict is Verdict.PERMANENT:  # 3
            return self.give_up(Reason.PERMANENT, now, hint)
        if outcome.verdict is Verdict.PENDING:
            self.failures, self.asked = 0, {}
            return self.stopped(outcome, now) or self.wait(outcome, self.pause(outcome, draw), now)
        self.failures += 1
        if is_error and outcome.mark == "nested" and self.nested == "once":  # 4
            return self.give_up(Reason.NESTED, now, hint)
        if outcome.applied and self.idempotent is False:  # 5
            return self.give_up(Reason.UNSAFE, now, hint)
        if ended := self.stopped(outcome, now):  # 6
            return ended
        if self.attempts is not None and self.failures >= self.attempts:  # 7
            return self.give_up(Reason.ATTEMPTS, now, hint)
        curve = self.curve if outcome.own is None else outcome.own
        given = self.asked.setdefault(outcome.own, [])
        answer = curve.delay(len(given) + 1, given[-1] if given else None, draw)
        if answer is None:  # 8
            return self.give_up(Reason.CURVE, now, hint)
        given.append(answer)
        return self.wait(outcome, max(answer, 0.0 if hint is None else hint * (1 + 0.1 * draw)), now)

    def stopped(self, outcome: Outcome, now: float) -> tuple[Any, ...] | None:
        """Step 6, which a pending answer has too."""
        return self.give_up(Reason.STOPPED, now, outcome.hint) if self.stop.is_set() else None

    def pause(self, outcome: Outcome, draw: float) -> float:
        """How long a pending answer is waited for: the hint, else the rule's own period, else 5 s."""
        if outcome.hint is not None:
            return max(0.1, outcome.hint * (1 + 0.1 * draw))
        own = None if outcome.own is None else outcome.own.delay(1, None, 0.5)
        return 5.0 if own is None else max(0.1, own)

    def wait(self, outcome: Outcome, seconds: float, now: float) -> float | tuple[Any, ...]:
        """The last steps, which failures and pending answers share."""
        if outcome.hint is not None and outcome.hint > self.max_hint:  # 9
            return self.give_up(Reason.HINT, now, outcome.hint)
        if self.ends is not None and now + seconds > self.ends:  # 10
            return self.give_up(Reason.DEADLINE, now, outcome.hint)
        self.status, self.due = Status.WAITING, now + seconds  # 12
        return seconds


class Hand(SystemClock):
    """A clock whose reading is set by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class Controllers(RuleBasedStateMachine):
    """Two controllers (one is passed time and draw, one reads them) and the model, through the same story."""

    @initialize(
        attempts=st.sampled_from([None, 1, 2, 3, 5]),
        deadline=st.sampled_from([None, 0.5, 4.0, 20.0]),
        curve=st.sampled_from(CURVES),
        idempotent=st.sampled_from([None, True, True, False]),
        nested=st.sampled_from(["once", "multiply"]),
    )
    def write_a_policy(
        self, attempts: int | None, deadline: float | None, curve: Backoff, idempotent: bool | None, nested: Any
    ) -> None:
        self.now, self.shift, self.next_draw = 0.0, 0.0, 0.5
        self.hand = Hand()
        stop = threading.Event()
        policy = retry(on=judged, result=judged, idempotent=idempotent, nested=nested, max_hint=4, stop=stop)
        policy = policy.overridden(attempts=attempts, deadline=deadline, backoff=curve)  # contradictions included
        self.model = Model(attempts, deadline, curve, idempotent, nested, 4.0, stop)
        self.passed = BackoffController(policy)
        self.reading = BackoffController(policy.overridden(clock=self.hand, draw=lambda: self.next_draw))

    @property
    def at(self) -> float:
        """What is passed to the one controller; the other's clock has another zero after each restoring."""
        return self.now + self.shift

    @rule(seconds=EIGHTHS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.hand.time += seconds

    @precondition(lambda self: self.model.status in (Status.IDLE, Status.WAITING, Status.SUCCEEDED))
    @rule()
    def start(self) -> None:
        number = self.model.start(self.now)
        assert self.passed.start(self.at) == self.reading.start() == number

    @precondition(lambda self: self.model.status in (Status.ATTEMPTING, Status.GAVE_UP, Status.STOPPED))
    @rule()
    def start_out_of_turn(self) -> None:
        for controller in (self.passed, self.reading):
            with pytest.raises(RuntimeError):
                controller.start()

    @precondition(lambda self: self.model.status in (Status.ATTEMPTING, Status.SUCCEEDED))
    @rule(outcome=OUTCOMES, draw=DRAWS, named=st.booleans())
    def fail(self, outcome: Outcome, draw: float, named: bool) -> None:
        if self.model.status is Status.SUCCEEDED:
            self.model.drop(self.now)
        expected = self.model.decide(outcome, True, self.now, draw)
        number = self.model.attempt if named else None
        self.next_draw = draw
        self.same(expected, self.passed.record_failure(FailureError(outcome), self.at, draw, number), outcome)
        self.same(expected, self.reading.record_failure(FailureError(outcome), attempt=number), outcome)

    @precondition(lambda self: self.model.status in (Status.IDLE, Status.WAITING, Status.SUCCEEDED))
    @rule(outcome=OUTCOMES, draw=DRAWS, seconds=EIGHTHS)
    def try_and_fail(self, outcome: Outcome, draw: float, seconds: float) -> None:
        """The three steps that most stories are made of, in one: so that stories get somewhere."""
        self.start()
        self.time_passes(seconds / 16)
        self.fail(outcome, draw, named=False)

    @precondition(lambda self: self.model.status is Status.ATTEMPTING)
    @rule(outcome=OUTCOMES, draw=DRAWS)
    def an_unwanted_result(self, outcome: Outcome, draw: float) -> None:
        expected = self.model.decide(outcome, False, self.now, draw)
        self.next_draw = draw
        self.same(expected, self.passed.record_result(outcome, self.at, draw), outcome)
        self.same(expected, self.reading.record_result(outcome), outcome)

    def same(self, expected: float | tuple[Any, ...], decision: Wait | GaveUp | None, outcome: Outcome) -> None:
        """The decision is the model's, and carries what the outcome was judged to be."""
        assert isinstance(decision, Wait | GaveUp)
        if isinstance(decision, Wait):
            assert decision.delay == expected
            assert decision.delay >= (0.1 if outcome.verdict is Verdict.PENDING else 0.0)
            assert self.model.ends is None or self.now + decision.delay <= self.model.ends
        else:
            assert (decision.reason, decision.attempts, decision.elapsed, decision.hint) == expected
        assert decision.classification == outcome.classification

    @precondition(lambda self: self.model.status is Status.ATTEMPTING)
    @rule(how=st.sampled_from(["success", "result"]))
    def succeed(self, how: str) -> None:
        self.model.success(self.now)
        if how == "success":
            self.passed.record_success(self.at)
            self.reading.record_success()
        else:
            assert self.passed.record_result("wanted", self.at) is None
            assert self.reading.record_result("wanted") is None

    @precondition(lambda self: self.model.status is Status.ATTEMPTING)
    @rule()
    def get_somewhere(self) -> None:
        self.model.progress(self.now)
        self.passed.record_progress(self.at)
        self.reading.record_progress()

    @precondition(lambda self: self.model.status in (Status.IDLE, Status.WAITING))
    @rule(outcome=OUTCOMES)
    def record_out_of_turn(self, outcome: Outcome) -> None:
        for controller in (self.passed, self.reading):
            for call in (
                lambda controller=controller: controller.record_failure(FailureError(outcome)),
                lambda controller=controller: controller.record_result(outcome),
                lambda controller=controller: controller.record_success(),
                lambda controller=controller: controller.record_progress(),
            ):
                with pytest.raises(RuntimeError):
                    call()

    @precondition(lambda self: self.model.attempt > 0 and self.model.end is None)
    @rule(outcome=OUTCOMES, data=st.data())
    def late_news(self, outcome: Outcome, data: st.DataObject) -> None:
        current = self.model.status in (Status.ATTEMPTING, Status.SUCCEEDED)
        number = data.draw(st.integers(0, self.model.attempt - current))
        for controller in (self.passed, self.reading):
            assert controller.record_failure(FailureError(outcome), attempt=number) is None
            assert controller.record_result(outcome, attempt=number) is None

    @precondition(lambda self: self.model.end is not None)
    @rule(outcome=OUTCOMES)
    def ask_after_the_end(self, outcome: Outcome) -> None:
        for controller in (self.passed, self.reading):
            for end in (controller.record_failure(FailureError(outcome)), controller.record_result("wanted")):
                assert isinstance(end, GaveUp)
                assert (end.reason, end.attempts, end.elapsed, end.hint) == self.model.end

    @rule()
    def set_the_stop(self) -> None:
        self.model.stop.set()

    @rule()
    def clear_the_stop(self) -> None:
        self.model.stop.clear()

    @precondition(lambda self: self.model.end is None)
    @rule(how=st.sampled_from(["stop", "expire"]))
    def end_it(self, how: str) -> None:
        expected = self.model.give_up(Reason.STOPPED if how == "stop" else Reason.DEADLINE, self.now)
        for end in (getattr(self.passed, how)(self.at), getattr(self.reading, how)()):
            assert (end.reason, end.attempts, end.elapsed, end.hint) == expected

    @rule()
    def reset(self) -> None:
        self.model.fresh()
        self.passed.reset()
        self.reading.reset()

    @rule(down=EIGHTHS, zero=st.integers(-1000, 1000))
    def restart_the_process(self, down: float, zero: int) -> None:
        """What is restored from JSON goes on as if nothing had been; the time in between does not count."""
        stored = [json.dumps(each) for each in (self.passed.snapshot(self.at), self.reading.snapshot())]
        self.shift += down + zero
        self.hand.time += down - zero
        passed, reading = map(json.loads, stored)
        self.passed = BackoffController.restore(self.passed.policy, passed, self.at)
        self.reading = BackoffController.restore(self.reading.policy, reading)
        for before, after in ((passed, self.passed.snapshot(self.at)), (reading, self.reading.snapshot())):
            assert before.pop("due_in") == pytest.approx(after.pop("due_in"))  # a wait with a hint is not exact
            assert before == after

    @invariant()
    def both_tell_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        model = self.model
        for controller, now in ((self.passed, self.at), (self.reading, None)):
            assert (controller.status, controller.attempt) == (model.status, model.attempt)
            assert controller.failures == model.failures
            assert model.attempts is None or controller.failures <= model.attempts
            left = 0.0 if model.due is None else max(0.0, model.due - self.now)
            assert controller.due_in(now) == pytest.approx(left, abs=1e-9)
            shift = self.shift if now is not None else self.hand.time - self.now
            ends = None if model.ends is None else model.ends + shift
            assert controller.ends == controller.own_end == ends
        until = self.now if model.ended is None else model.ended
        elapsed = 0.0 if model.started is None else until - model.started
        assert self.reading.elapsed == elapsed
        if model.ended is not None:
            assert self.passed.elapsed == elapsed


Controllers.TestCase.settings = settings(max_examples=100, stateful_step_count=40)


class TestControllers(Controllers.TestCase):  # type: ignore[name-defined,misc]
    """Any story: the controllers decide, and tell, what the model says."""
