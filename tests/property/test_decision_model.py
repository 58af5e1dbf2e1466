"""The controller beside a second implementation of the decision order, written from the contract alone.

Random stories of one connection are told to both: failures, results, successes, progress, resets, stops, late news, and
snapshots that go through JSON into another process. 1,000 of them in each run of the tests; by hand
`REDOUBLE_MODEL_RUNS=100000 python -m pytest tests/property/test_decision_model.py`, and `REDOUBLE_MODEL_SEED=42` tells
the story again that failed.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    Backoff,
    BackoffController,
    Classification,
    GaveUp,
    Reason,
    RetryBudget,
    RetryPolicy,
    Status,
    Verdict,
    Wait,
    constant,
    exponential,
    linear,
    retry,
    sequence,
)
from redouble.control.mark import mark
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = int(os.environ.get("REDOUBLE_MODEL_RUNS", "1000"))
SEED = os.environ.get("REDOUBLE_MODEL_SEED")
STEPS = 30
NEAR = 1e-6

CURVES = [
    constant(1),
    constant(0),
    sequence(0.5, 2),
    sequence(),
    linear(1, step=1, maximum=3),
    exponential(0.5, maximum=4, jitter=None),
    exponential(1, maximum=8, jitter="full"),
    exponential(0.5, maximum=6, jitter="decorrelated"),
]
OWN = [None, None, None, sequence(0.25, 3), constant(2), exponential(0.25, jitter="decorrelated")]
HINTS = [None, None, None, 0.5, 2.0, 4.0, 4.125, 30.0]
RESTING = (Status.IDLE, Status.WAITING, Status.SUCCEEDED)


@dataclass(frozen=True)
class Outcome:
    """What an attempt comes to. `nested`: an inner retry gave up on it during the attempt; `old`: before it."""

    verdict: Verdict
    hint: float | None
    applied: bool
    own: Backoff | None
    mark: str

    @property
    def classification(self) -> Classification:
        return Classification(self.verdict, self.hint, self.applied, self.own)


class FailureError(Exception):
    """An error that says itself what it is to be judged as."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        if outcome.mark != "none":
            reason = Reason.PERMANENT if outcome.mark == "permanent" else Reason.ATTEMPTS
            mark(self, GaveUp(reason, 2, 0.5), True)
            self._redouble_outcome["began"] = monotonic() + (-3600 if outcome.mark == "old" else 3600)  # type: ignore[attr-defined]


class OtherError(FailureError):
    """Another type, for the history."""


def judged(subject: Any) -> Classification | None:
    """The rule of the policies here, for errors and for results."""
    outcome = subject.outcome if isinstance(subject, FailureError) else subject
    return outcome.classification if isinstance(outcome, Outcome) else None


@dataclass
class Settings:
    """What a policy says."""

    attempts: int | None
    deadline: float | None
    curve: Backoff
    idempotent: bool | None
    nested: str
    max_hint: float | None
    long_hints: str
    burst: int | None
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def drawn(cls, dice: Random) -> Settings:
        return cls(
            dice.choice([None, 1, 2, 3, 5]),
            dice.choice([None, 0.5, 4.0, 20.0]),
            dice.choice(CURVES),
            dice.choice([None, True, True, False]),
            dice.choice(["once", "multiply"]),
            dice.choice([None, 4, 4, 4]),
            dice.choice(["stop", "stop", "cap"]),
            dice.choice([None, None, 0, 2]),
        )

    def policy(self) -> RetryPolicy:
        """The policy, with a retry budget that nothing but refunds fills."""
        budget = None if self.burst is None else RetryBudget(ratio=0, burst=self.burst, trickle=0)
        usual = retry(on=judged, result=judged, idempotent=self.idempotent, nested=self.nested, stop=self.stop)  # type: ignore[arg-type]
        usual = usual(max_hint=self.max_hint, long_hints=self.long_hints, budget=budget)  # type: ignore[arg-type]
        return usual.overridden(  # contradictions included
            attempts=self.attempts, deadline=self.deadline, backoff=self.curve, nested=self.nested
        )


End = tuple[Reason, int, float, float | None, tuple[tuple[str, int], ...], str | None]


@dataclass
class Model:
    """What the contract says of a controller, and nothing else."""

    says: Settings
    status: Status = Status.IDLE
    attempt: int = 0
    before: int = 0  # attempts of earlier episodes
    failures: int = 0
    asked: dict[Backoff | None, list[float]] = field(default_factory=dict)  # what each curve gave; None: the policy's
    history: dict[str, int] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    ends: float | None = None
    due: float | None = None
    end: End | None = None
    tokens: float = 0.0
    taken: float = 0.0  # by the last retry

    def fresh(self) -> None:
        """Everything begins again, but the numbers go on, and the budget, which others share."""
        self.status, self.failures, self.asked, self.before, self.history = Status.IDLE, 0, {}, self.attempt, {}
        self.started = self.ended = self.ends = self.due = self.end = None
        self.taken = 0.0

    def begin(self, now: float) -> None:
        """Time and deadline of an episode."""
        self.started = now
        self.ends = None if self.says.deadline is None else now + self.says.deadline

    def start(self, now: float) -> int:
        """An attempt begins."""
        if self.status is Status.SUCCEEDED:
            self.fresh()
        if self.started is None:
            self.begin(now)
        self.status, self.due = Status.ATTEMPTING, None
        self.attempt += 1
        return self.attempt

    def success(self, now: float) -> None:
        """The attempt succeeded: a retry that worked gets its token back."""
        self.status, self.failures, self.asked, self.ended = Status.SUCCEEDED, 0, {}, now
        if self.attempt - self.before > 1:
            self.tokens = min(float(self.says.burst or 0), self.tokens + self.taken)
        self.taken = 0.0

    def progress(self, now: float) -> None:
        """Failures, curve and deadline begin again."""
        self.failures, self.asked = 0, {}
        self.ends = None if self.says.deadline is None else now + self.says.deadline

    def drop(self, now: float) -> None:
        """A connection that was up has gone: a new episode, of which the attempt that succeeded is the first."""
        self.fresh()
        self.before = self.attempt - 1
        self.begin(now)

    def wait_is_over(self, now: float) -> None:
        """What was left of the wait has passed, whatever the clock says: all moments lie so much earlier."""
        lag = 0.0 if self.due is None else max(0.0, self.due - now)
        self.started = None if self.started is None else self.started - lag
        self.ends = None if self.ends is None else self.ends - lag
        self.due = None if self.due is None else min(self.due, now)

    def give_up(self, reason: Reason, now: float, outcome: Outcome | None = None, error: str | None = None) -> End:
        """The episode ends."""
        self.status = Status.STOPPED if reason is Reason.STOPPED else Status.GAVE_UP
        self.ended, self.due = now, None
        elapsed = 0.0 if self.started is None else now - self.started
        history = tuple(each for each in self.history.items() if each[0] != error)
        limit = "own" if reason is Reason.DEADLINE else None
        self.end = reason, self.attempt - self.before, elapsed, outcome and outcome.hint, history, limit
        return self.end

    def decide(self, outcome: Outcome, error: str | None, now: float, draw: float) -> float | End:
        """The order of the decision, a step a line; a wait, or the end."""
        steps = self.pending if outcome.verdict is Verdict.PENDING else self.transient
        if outcome.verdict is Verdict.PERMANENT:
            return self.give_up(Reason.PERMANENT, now, outcome, error)  # 3
        found = steps(outcome, error, now, draw)
        if isinstance(found, Reason):
            return self.give_up(found, now, outcome, error)
        self.status, self.due = Status.WAITING, now + found  # 12
        if error is not None and outcome.verdict is Verdict.TRANSIENT:
            self.history[error] = self.history.get(error, 0) + 1
        return found

    def transient(  # noqa: C901  # a list of questions, as the contract has it
        self, outcome: Outcome, error: str | None, now: float, draw: float
    ) -> float | Reason:
        """Steps 4 to 11."""
        says = self.says
        self.failures += 1
        if error is not None and outcome.mark == "nested" and says.nested == "once":
            return Reason.NESTED  # 4
        if outcome.applied and says.idempotent is False:
            return Reason.UNSAFE  # 5
        if says.stop.is_set():
            return Reason.STOPPED  # 6
        if says.attempts is not None and self.failures >= says.attempts:
            return Reason.ATTEMPTS  # 7
        given = self.asked.setdefault(outcome.own, [])
        curve = (outcome.own or says.curve).delay(len(given) + 1, given[-1] if given else None, draw)
        if curve is None:
            return Reason.CURVE  # 8
        given.append(curve)
        hint = 0.0
        if outcome.hint is not None:
            asked = self.asked_for(outcome.hint, draw)
            if asked is None or self.is_late(now + asked):
                return Reason.HINT  # 9
            hint = asked
        if self.is_late(now + max(curve, hint)):
            return Reason.DEADLINE  # 10
        cost = 5 / 14 if hint > curve else 1.0
        if says.burst is not None:
            if self.tokens < cost - 1e-9:
                return Reason.BUDGET  # 11
            self.tokens, self.taken = self.tokens - cost, cost
        return max(curve, hint)

    def pending(self, outcome: Outcome, error: str | None, now: float, draw: float) -> float | Reason:
        """No failure: steps 6, 9 and 10."""
        self.failures, self.asked = 0, {}
        if self.says.stop.is_set():
            return Reason.STOPPED  # 6
        if outcome.hint is not None:
            asked = self.asked_for(outcome.hint, draw)
            return Reason.HINT if asked is None or self.is_late(now + asked) else max(0.1, asked)  # 9
        every = 5.0 if outcome.own is None else max(0.1, outcome.own.delay(1, None, 0.5) or 0.0)
        return Reason.DEADLINE if self.is_late(now + every) else every  # 10

    def asked_for(self, hint: float, draw: float) -> float | None:
        """The wait that the server asked for, stretched; `None` where it asked for too much."""
        most = self.says.max_hint
        if most is not None and hint > most:
            if self.says.long_hints == "stop":
                return None
            return most
        return hint * (1 + 0.1 * draw)

    def is_late(self, moment: float) -> bool:
        """Whether a moment lies past the deadline."""
        return self.ends is not None and moment > self.ends


class Hand(SystemClock):
    """A clock whose reading is set by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class Story:
    """Two controllers (one is passed time and draw, one reads them) and the model, through the same story."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = Random(seed)
        self.says = says = Settings.drawn(dice)
        self.now, self.draw = 0.0, 0.5
        self.zeros = [0.0, 0.0]  # what each controller's clock reads when `now` is 0
        self.hand = Hand()
        self.passed = BackoffController(says.policy())
        self.reading = BackoffController(says.policy().overridden(clock=self.hand, draw=lambda: self.draw))
        self.model = Model(says, tokens=float(says.burst or 0))

    def step(self) -> None:
        """One thing happens, among those that can; most of the time an attempt begins or ends."""
        dice, model = self.dice, self.model
        self.pass_time(dice.choice([0.0, 0.0, 0.125, 0.5, 1.0, 3.0]))
        if dice.random() < 0.8 and model.status in RESTING:
            self.start()
        elif dice.random() < 0.85 and model.status is Status.ATTEMPTING:
            dice.choice([self.fail, self.fail, self.fail, self.result, self.succeed, self.get_somewhere])()
        else:
            dice.choice(
                [self.restart, self.restart, self.toggle_stop, self.reset, self.stop, self.late_news, self.misuse,
                 self.drop, self.ask_after_the_end]
            )()  # fmt: skip
        self.compare()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.hand.time = self.now + self.zeros[1]

    @property
    def at(self) -> float:
        """What is passed to the one controller."""
        return self.now + self.zeros[0]

    def start(self) -> None:
        """An attempt begins, when its wait is over: by the clock, or although the clock stands still."""
        if self.model.due is not None and self.now < self.model.due:
            if self.dice.random() < 0.5:
                self.pass_time(self.model.due - self.now)
                self.hand.time = max(self.hand.time, self.hand.time + self.reading.due_in())  # it may lack an ulp
            else:
                self.zeros[0] += self.model.due - self.now
                self.model.wait_is_over(self.now)
        number = self.model.start(self.now)
        assert self.passed.start(self.at) == self.reading.start() == number

    def outcome(self) -> Outcome:
        dice = self.dice
        self.draw = dice.choice([0.0, 0.25, 0.5, 0.875])
        verdict = dice.choice([Verdict.TRANSIENT] * 6 + [Verdict.PENDING] * 2 + [Verdict.PERMANENT])
        marks = ["none"] * 6 + ["old", "permanent", "nested"]
        return Outcome(verdict, dice.choice(HINTS), dice.random() < 0.6, dice.choice(OWN), dice.choice(marks))

    def fail(self) -> None:
        outcome, kind = self.outcome(), self.dice.choice([FailureError, FailureError, OtherError])
        expected = self.model.decide(outcome, kind.__name__, self.now, self.draw)
        number = self.model.attempt if self.dice.random() < 0.5 else None
        self.same(expected, self.passed.record_failure(kind(outcome), self.at, self.draw, number), outcome)
        self.same(expected, self.reading.record_failure(kind(outcome), attempt=number), outcome)

    def result(self) -> None:
        outcome = self.outcome()
        expected = self.model.decide(outcome, None, self.now, self.draw)
        self.same(expected, self.passed.record_result(outcome, self.at, self.draw), outcome)
        self.same(expected, self.reading.record_result(outcome), outcome)

    def same(self, expected: float | End, decision: Wait | GaveUp | None, outcome: Outcome | None) -> None:
        """The decision is the model's, and carries what the outcome was judged to be."""
        if isinstance(decision, Wait):
            assert decision.delay == expected
            assert not self.model.is_late(self.now + decision.delay)
        else:
            assert isinstance(decision, GaveUp)
            assert isinstance(expected, tuple), decision
            assert alike(decision, expected), (decision, expected)
        assert decision.classification == (None if outcome is None else outcome.classification)

    def succeed(self) -> None:
        self.model.success(self.now)
        if self.dice.random() < 0.5:
            self.passed.record_success(self.at)
            self.reading.record_success()
        else:
            assert self.passed.record_result("wanted", self.at) is None
            assert self.reading.record_result("wanted") is None

    def get_somewhere(self) -> None:
        self.model.progress(self.now)
        self.passed.record_progress(self.at)
        self.reading.record_progress()

    def drop(self) -> None:
        """A connection that was up has gone."""
        if self.model.status is Status.SUCCEEDED:
            self.model.drop(self.now)
            self.fail()

    def toggle_stop(self) -> None:
        (self.says.stop.clear if self.says.stop.is_set() else self.says.stop.set)()

    def reset(self) -> None:
        self.model.fresh()
        self.passed.reset()
        self.reading.reset()

    def stop(self) -> None:
        if self.model.end is None and self.dice.random() < 0.3:
            expected = self.model.give_up(Reason.STOPPED, self.now)
            self.same(expected, self.passed.stop(self.at), None)
            self.same(expected, self.reading.stop(), None)

    def late_news(self) -> None:
        """News of an older attempt changes nothing."""
        if self.model.end is None and self.model.attempt:
            current = self.model.status in (Status.ATTEMPTING, Status.SUCCEEDED)
            number = self.dice.randint(0, self.model.attempt - current)
            for controller in (self.passed, self.reading):
                assert controller.record_failure(FailureError(self.outcome()), attempt=number) is None
                assert controller.record_result(self.outcome(), attempt=number) is None

    def misuse(self) -> None:
        """What cannot be told now is refused, and changes nothing."""
        refused: list[Callable[[BackoffController], Any]] = []
        if self.model.status not in RESTING:
            refused = [BackoffController.start]
        elif self.model.status is not Status.SUCCEEDED:
            refused = [
                lambda controller: controller.record_failure(FailureError(self.outcome())),
                lambda controller: controller.record_result(self.outcome()),
                BackoffController.record_success,
                BackoffController.record_progress,
            ]
        for controller in (self.passed, self.reading):
            for call in refused:
                with pytest.raises(RuntimeError):
                    call(controller)

    def ask_after_the_end(self) -> None:
        """After the end the answer is the same again."""
        if self.model.end is not None:
            for controller in (self.passed, self.reading):
                for end in (
                    controller.record_failure(FailureError(self.outcome())),
                    controller.record_result("wanted"),
                ):
                    assert isinstance(end, GaveUp)
                    assert self.model.end is not None and alike(end, self.model.end), (end, self.model.end)

    def restart(self) -> None:
        """What is restored from JSON goes on; the time in between does not count, but for the wait that was due."""
        stored = [json.dumps(each) for each in (self.passed.snapshot(self.at), self.reading.snapshot())]
        self.model.wait_is_over(self.now)
        self.zeros = [float(self.dice.randint(-1000, 1000)) for _ in self.zeros]
        self.pass_time(0.0)
        passed, reading = map(json.loads, stored)
        self.passed = BackoffController.restore(self.passed.policy, passed, self.at)
        self.reading = BackoffController.restore(self.reading.policy, reading)

    def compare(self) -> None:
        """Both tell what the model says."""
        model = self.model
        for controller, now in ((self.passed, self.at), (self.reading, None)):
            assert (controller.status, controller.attempt) == (model.status, model.attempt)
            assert controller.failures == model.failures
            left = 0.0 if model.due is None else max(0.0, model.due - self.now)
            assert abs(controller.due_in(now) - left) < NEAR
        until = self.now if model.ended is None else model.ended
        elapsed = 0.0 if model.started is None else until - model.started
        assert abs(self.reading.elapsed - elapsed) < NEAR


def alike(end: GaveUp, expected: End) -> bool:
    """Whether an end tells what is expected; of the time that it took but for the last digits."""
    told = (end.reason, end.attempts, end.hint, end.history, end.limit)
    reason, attempts, elapsed, *rest = expected
    return told == (reason, attempts, *rest) and abs(end.elapsed - elapsed) < NEAR


def tell(seed: int) -> None:
    """Tell a story to the end; where the two differ, the error says which story and which step it was."""
    story = Story(seed)
    for number in range(STEPS):
        try:
            story.step()
        except BaseException as error:
            error.add_note(f"REDOUBLE_MODEL_SEED={seed}, step {number}, {story.says}")
            raise


def test_any_story() -> None:
    """Through any story the controllers decide, and tell, what the model says."""
    for seed in range(RUNS) if SEED is None else [int(SEED)]:
        tell(seed)


def test_the_stories_get_everywhere() -> None:
    """They come to each status and to each end, so that agreeing means something."""
    stories = [Story(seed) for seed in range(300)]
    statuses, reasons = set(), set()
    for story in stories:
        for _ in range(STEPS):
            story.step()
            statuses.add(story.model.status)
            reasons |= {story.model.end[0]} if story.model.end is not None else set()
    assert statuses == set(Status) and reasons == set(Reason)
