"""One table of scenarios, played through every surface: the same decisions, the same waits, the same events."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redouble import (
    Reason,
    RetryPolicy,
    StillPending,
    Stopped,
    constant,
    deadline,
    exponential,
    known_errors,
    outcome,
    override,
    pending,
    permanent,
    retry,
    sequence,
    transient,
)
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redouble import Event
    from redouble.testing import FakeClock

RESET = ConnectionResetError("reset by peer")
REFUSED = ConnectionRefusedError("nobody listens")
WRONG = ValueError("wrong")
BUSY = BlockingIOError("busy")


class Stage:
    """What a scenario can reach: the clock, and an event that stops its policy."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.stop = threading.Event()


class Do(NamedTuple):
    """An outcome that does something first, and then returns or raises."""

    act: Callable[[Stage], Any]


def takes(seconds: float, error: Exception) -> Do:
    """The attempt fails after so many seconds."""

    def act(stage: Stage) -> None:
        stage.clock.advance(seconds)
        raise error

    return Do(act)


def stops(error: Exception) -> Do:
    """The attempt sets `stop`, and fails."""

    def act(stage: Stage) -> None:
        stage.stop.set()
        raise error

    return Do(act)


def gives_up_inside(error: Exception) -> Do:
    """An inner retry gives up on the error during the attempt."""
    return Do(lambda _: retry(attempts=1, on=Exception, name="inner").call(scripted(error)))


def when_waiting(stage: Stage) -> dict[str, Any]:
    """`stop` is set as soon as a wait begins."""

    def set_it(event: Event) -> None:
        if event.delay is not None:
            stage.stop.set()

    return {"stop": stage.stop, "observers": [set_it]}


def stoppable(stage: Stage) -> dict[str, Any]:
    return {"stop": stage.stop}


def stopped_before(stage: Stage) -> dict[str, Any]:
    stage.stop.set()
    return {"stop": stage.stop}


Told = tuple[str, int, int, "float | str | None"]


class Scenario(NamedTuple):
    """What a policy meets, and what is to follow from it."""

    name: str
    policy: dict[str, Any]
    outcomes: Sequence[Any]
    ends: Any  # the value, the error itself, or the type of an error of ours
    waits: Sequence[float] = ()
    events: Sequence[Told] = ()  # kind, number of the attempt, failures, and the delay or why it gave up
    more: Callable[[Stage], dict[str, Any]] = lambda _: {}
    scope: Callable[[], Any] = contextlib.nullcontext


def retries(*told: tuple[int, int, float]) -> list[Told]:
    return [("RETRY", *each) for each in told]


def gives_up(number: int, failures: int, reason: str) -> Told:
    return ("GIVE_UP", number, failures, reason)


def wait(value: Any) -> bool:
    return value == "wait"


TWO_WAITS = retries((1, 1, 1.0), (2, 2, 1.0))
FOREVER: dict[str, Any] = {"attempts": None, "deadline": None}
TOLD_TO_WAIT = {"on": transient(OSError, retry_after=7)}
ASKED_AGAIN = {"result": pending(when=wait, every=2)}

SCENARIOS = [
    Scenario("success at once", {}, ["body"], "body"),
    Scenario("success of None", {}, [None], None),
    Scenario("fail, fail, ok", {}, [RESET, REFUSED, "body"], "body", [1, 1], [*TWO_WAITS, ("SUCCESS", 3, 2, None)]),
    Scenario("one object again and again", {}, [RESET, RESET, RESET], RESET, [1, 1],
             [*TWO_WAITS, gives_up(3, 3, "ATTEMPTS")]),
    Scenario("attempts used up", {"attempts": 2}, [REFUSED, RESET], RESET, [1],
             [*retries((1, 1, 1.0)), gives_up(2, 2, "ATTEMPTS")]),
    Scenario("a single attempt", {"attempts": 1}, [RESET], RESET, [], [gives_up(1, 1, "ATTEMPTS")]),
    Scenario("both default limits", {"backoff": constant(40)}, [RESET] * 2, RESET, [40],
             [*retries((1, 1, 40.0)), gives_up(2, 2, "DEADLINE")]),
    Scenario("a deadline lifts the attempts", {"deadline": 10, "backoff": constant(2)}, [RESET] * 5 + ["body"], "body",
             [2] * 5, [*retries(*((n, n, 2.0) for n in range(1, 6))), ("SUCCESS", 6, 5, None)]),
    Scenario("attempts lift the deadline", {"attempts": 4, "backoff": constant(40)}, [RESET] * 3 + ["body"], "body",
             [40] * 3, [*retries(*((n, n, 40.0) for n in range(1, 4))), ("SUCCESS", 4, 3, None)]),
    Scenario("no wait that cannot pay off", {"deadline": 10, "backoff": constant(4)}, [RESET] * 3, RESET, [4, 4],
             [*retries((1, 1, 4.0), (2, 2, 4.0)), gives_up(3, 3, "DEADLINE")]),
    Scenario("a wait that ends with the deadline", {"deadline": 8, "backoff": constant(4)}, [RESET, RESET, "body"],
             "body", [4, 4], [*retries((1, 1, 4.0), (2, 2, 4.0)), ("SUCCESS", 3, 2, None)]),
    Scenario("attempts take time", {"deadline": 10, "backoff": constant(4)}, [takes(3, REFUSED), takes(2.5, RESET)],
             RESET, [4], [*retries((1, 1, 4.0)), gives_up(2, 2, "DEADLINE")]),
    Scenario("the curve ends", {**FOREVER, "backoff": sequence(1, 2)}, [RESET] * 3, RESET, [1, 2],
             [*retries((1, 1, 1.0), (2, 2, 2.0)), gives_up(3, 3, "CURVE")]),
    Scenario("the draw spreads the waits", {"backoff": exponential(1)}, [RESET, RESET, "body"], "body", [0.5, 1],
             [*retries((1, 1, 0.5), (2, 2, 1.0)), ("SUCCESS", 3, 2, None)]),
    Scenario("no waiting", {"backoff": constant(0)}, [RESET, RESET, "body"], "body", [],
             [*retries((1, 1, 0.0), (2, 2, 0.0)), ("SUCCESS", 3, 2, None)]),
    Scenario("a curve of the rule's own", {"on": transient(ConnectionResetError, backoff=sequence(5, 6)) | OSError},
             [RESET, REFUSED, "body"], "body", [5, 1], [*retries((1, 1, 5.0), (2, 2, 1.0)), ("SUCCESS", 3, 2, None)]),
    Scenario("the server's hint", TOLD_TO_WAIT, [RESET, "body"], "body", [7.35],
             [*retries((1, 1, 7.35)), ("SUCCESS", 2, 1, None)]),
    Scenario("a hint below the curve", {**TOLD_TO_WAIT, "backoff": constant(9)}, [RESET, "body"], "body", [9],
             [*retries((1, 1, 9.0)), ("SUCCESS", 2, 1, None)]),
    Scenario("a hint above max_hint", {**TOLD_TO_WAIT, "max_hint": 6.9}, [RESET], RESET, [], [gives_up(1, 1, "HINT")]),
    Scenario("a hint of max_hint", {**TOLD_TO_WAIT, "max_hint": 7}, [RESET, "body"], "body", [7.35],
             [*retries((1, 1, 7.35)), ("SUCCESS", 2, 1, None)]),
    Scenario("a permanent error", {}, [WRONG], WRONG, [], [gives_up(1, 0, "PERMANENT")]),
    Scenario("a permanent error after a retry", {}, [RESET, WRONG], WRONG, [1],
             [*retries((1, 1, 1.0)), gives_up(2, 1, "PERMANENT")]),
    Scenario("no error is retried", {"on": None}, [RESET], RESET, [], [gives_up(1, 0, "PERMANENT")]),
    Scenario("what may have taken effect", {"idempotent": False}, [REFUSED, RESET], RESET, [1],
             [*retries((1, 1, 1.0)), gives_up(2, 2, "UNSAFE")]),
    Scenario("an inner retry gave up", {}, [gives_up_inside(RESET)], RESET, [], [gives_up(1, 1, "NESTED")]),
    Scenario("an inner retry gave up, and is multiplied", {"nested": "multiply"}, [gives_up_inside(RESET), "body"],
             "body", [1], [*retries((1, 1, 1.0)), ("SUCCESS", 2, 1, None)]),
    Scenario("stop set in an attempt", {}, [stops(RESET)], RESET, [], [gives_up(1, 1, "STOPPED")], stoppable),
    Scenario("stop set in a wait", {}, [RESET], RESET, [1], [*retries((1, 1, 1.0)), gives_up(1, 1, "STOPPED")],
             when_waiting),
    Scenario("stop set before a success", {}, ["body"], "body", [], [], stopped_before),
    Scenario("stop set before a failure", {}, [RESET], RESET, [], [gives_up(1, 1, "STOPPED")], stopped_before),
    Scenario("an error that is pending", {"on": pending(BlockingIOError, every=2) | known_errors},
             [BUSY, BUSY, "body"], "body", [2, 2], retries((1, 0, 2.0), (2, 0, 2.0))),
    Scenario("an error that is still pending", {"on": pending(BlockingIOError, every=2), "deadline": 5}, [BUSY] * 3,
             BUSY, [2, 2], [*retries((1, 0, 2.0), (2, 0, 2.0)), gives_up(3, 0, "DEADLINE")]),
    Scenario("pending is no failure", {"on": pending(BlockingIOError, every=2) | known_errors, "attempts": 2},
             [RESET, BUSY, RESET, RESET], RESET, [1, 2, 1],
             [*retries((1, 1, 1.0), (2, 0, 2.0), (3, 1, 1.0)), gives_up(4, 2, "ATTEMPTS")]),
    Scenario("never under 0.1 s", {"on": pending(BlockingIOError, every=0) | known_errors}, [BUSY, "body"], "body",
             [0.1], retries((1, 0, 0.1))),
    Scenario("a group of transient errors", {}, [ExceptionGroup("both", [RESET, REFUSED]), "body"], "body", [1],
             [*retries((1, 1, 1.0)), ("SUCCESS", 2, 1, None)]),
    Scenario("a scope's deadline", {**FOREVER, "backoff": constant(4)}, [RESET] * 3, RESET, [4, 4],
             [*retries((1, 1, 4.0), (2, 2, 4.0)), gives_up(3, 3, "DEADLINE")], scope=lambda: deadline(10)),
    Scenario("a scope's override", {}, [RESET], RESET, [], [gives_up(1, 1, "ATTEMPTS")],
             scope=lambda: override(attempts=1)),
]  # fmt: skip

RESULTS = [
    Scenario("an unwanted result", {"result": wait}, ["wait", "wait", "body"], "body", [1, 1],
             [*TWO_WAITS, ("SUCCESS", 3, 2, None)]),
    Scenario("unwanted to the end", {"result": wait}, ["wait"] * 3, "wait", [1, 1],
             [*TWO_WAITS, gives_up(3, 3, "ATTEMPTS")]),
    Scenario("unwanted and stopped in a wait", {"result": wait}, ["wait"], "wait", [1],
             [*retries((1, 1, 1.0)), gives_up(1, 1, "STOPPED")], when_waiting),
    Scenario("a permanently unwanted result", {"result": permanent(when=wait)}, ["wait"], "wait", [],
             [gives_up(1, 0, "PERMANENT")]),
    Scenario("unwanted and perhaps in effect", {"result": wait, "idempotent": False}, ["wait"], "wait", [],
             [gives_up(1, 1, "UNSAFE")]),
    Scenario("errors and results together", {"result": wait}, ["wait", RESET, "body"], "body", [1, 1],
             [*TWO_WAITS, ("SUCCESS", 3, 2, None)]),
    Scenario("a pending result", ASKED_AGAIN, ["wait", "wait", "body"], "body", [2, 2],
             retries((1, 0, 2.0), (2, 0, 2.0))),
    Scenario("still pending", {**ASKED_AGAIN, "deadline": 5}, ["wait"] * 3, StillPending, [2, 2],
             [*retries((1, 0, 2.0), (2, 0, 2.0)), gives_up(3, 0, "DEADLINE")]),
    Scenario("stopped while pending", ASKED_AGAIN, ["wait"], Stopped, [2],
             [*retries((1, 0, 2.0)), gives_up(1, 0, "STOPPED")], when_waiting),
    Scenario("pending when stopped", ASKED_AGAIN, ["wait"], Stopped, [], [gives_up(1, 0, "STOPPED")], stopped_before),
    Scenario("pending with a hint", {"result": transient(when=wait) | pending(when=lambda value: value == "later")},
             ["later", "wait", "body"], "body", [5, 1],
             [*retries((1, 0, 5.0), (2, 1, 1.0)), ("SUCCESS", 3, 1, None)]),
]  # fmt: skip

ORDER = [
    Scenario("3 PERMANENT before 4 NESTED", {}, [gives_up_inside(WRONG)], WRONG, [], [gives_up(1, 0, "PERMANENT")]),
    Scenario("4 NESTED before 5 UNSAFE", {"idempotent": False}, [gives_up_inside(RESET)], RESET, [],
             [gives_up(1, 1, "NESTED")]),
    Scenario("5 UNSAFE before 6 STOPPED", {"idempotent": False}, [stops(RESET)], RESET, [], [gives_up(1, 1, "UNSAFE")],
             stoppable),
    Scenario("6 STOPPED before 7 ATTEMPTS", {"attempts": 1}, [stops(RESET)], RESET, [], [gives_up(1, 1, "STOPPED")],
             stoppable),
    Scenario("7 ATTEMPTS before 8 CURVE", {"attempts": 2, "backoff": sequence(1)}, [RESET] * 2, RESET, [1],
             [*retries((1, 1, 1.0)), gives_up(2, 2, "ATTEMPTS")]),
    Scenario("8 CURVE before 9 HINT", {**TOLD_TO_WAIT, "max_hint": 1, "backoff": constant(1).take(0)}, [RESET], RESET,
             [], [gives_up(1, 1, "CURVE")]),
    Scenario("9 HINT before 10 DEADLINE", {**TOLD_TO_WAIT, "max_hint": 1, "deadline": 2}, [RESET], RESET, [],
             [gives_up(1, 1, "HINT")]),
    Scenario("9 HINT that does not fit the deadline", {**TOLD_TO_WAIT, "deadline": 7.3}, [RESET], RESET, [],
             [gives_up(1, 1, "HINT")]),
    Scenario("12 Wait", {**TOLD_TO_WAIT, "deadline": 7.4}, [RESET, "body"], "body", [7.35],
             [*retries((1, 1, 7.35)), ("SUCCESS", 2, 1, None)]),
]  # fmt: skip


class Played(NamedTuple):
    """What came of a scenario."""

    ended: Any
    waits: list[float]
    events: list[Event]
    calls: int


def play(surface: Any, scenario: Scenario, clock: FakeClock) -> Played:
    """Play a scenario through a surface."""
    stage, events, script = Stage(clock), [], scripted(*scenario.outcomes)

    def operation() -> Any:
        outcome = script()
        return outcome.act(stage) if isinstance(outcome, Do) else outcome

    fields = {"backoff": constant(1), "name": "fetch", **scenario.policy, **scenario.more(stage)}
    fields["observers"] = [*fields.get("observers", ()), events.append]
    try:
        with scenario.scope():
            ended = surface.play(RetryPolicy(**fields), operation)
    except Exception as error:
        ended = error
    return Played(ended, clock.sleeps, events, len(script.calls))


def told(event: Event) -> Told:
    """An event as the table writes it."""
    last = event.delay if event.reason is None else event.reason.name
    return event.kind.name, event.attempt, event.failures, last if not isinstance(last, float) else round(last, 6)


def named(scenario: Scenario) -> str:
    return scenario.name.replace(" ", "-")


def unmark() -> None:
    """The errors of the table are used again and again: take off what earlier calls wrote on them."""
    for error in (RESET, REFUSED, WRONG, BUSY):
        error.__dict__.clear()
        error.__traceback__ = error.__context__ = None


@pytest.mark.parametrize("scenario", [*SCENARIOS, *RESULTS, *ORDER], ids=named)
def test_every_surface_decides_alike(surfaces: list[Any], scenario: Scenario) -> None:
    """Value or error, waits, events and number of calls are those of the table; `outcome` says what the last event said."""
    for surface in surfaces:
        unmark()
        with fake_time(draw=0.5) as clock:
            assert_as_foretold(surface, scenario, play(surface, scenario, clock))


def assert_as_foretold(surface: Any, scenario: Scenario, played: Played) -> None:
    """What came of a scenario is what the table says."""
    if scenario in RESULTS and surface.is_connect:  # what is opened is no answer to be judged
        assert played == (scenario.outcomes[0], [], [], 1), surface.name
        return
    if isinstance(scenario.ends, type):
        assert type(played.ended) is scenario.ends, surface.name
    elif isinstance(scenario.ends, Exception):
        assert played.ended is scenario.ends, surface.name
    else:
        assert played.ended == scenario.ends, surface.name
    assert played.waits == pytest.approx(list(scenario.waits)), surface.name
    assert [told(event) for event in played.events] == list(scenario.events), surface.name
    assert played.calls == len(scenario.outcomes), surface.name
    assert {event.name for event in played.events} <= {"fetch"}, surface.name
    if isinstance(played.ended, Exception):
        assert_outcome_is_told(played.ended, played.events[-1])


def assert_outcome_is_told(error: Exception, event: Event) -> None:
    """An error that a call gave up on tells the reason, the attempts and the time of its last event."""
    end = outcome(error)
    if event.reason is Reason.PERMANENT and event.attempt == 1:
        assert end is None or end.name == "inner"
        return
    assert end is not None
    assert (end.reason, end.attempts, end.elapsed, end.name) == (event.reason, event.attempt, event.elapsed, "fetch")


def test_every_reason_is_in_the_table() -> None:
    """No way to give up is left out, but for the retry budget, which this version does not have."""
    said = {each[3] for scenario in [*SCENARIOS, *RESULTS, *ORDER] for each in scenario.events if each[0] == "GIVE_UP"}
    assert said == {reason.name for reason in Reason} - {"BUDGET"}


def test_events_name_the_error_and_why(surface: Any, clock: FakeClock) -> None:
    """An event carries the error object itself and its classification, and the time since the call began."""
    events: list[Event] = []
    error = ConnectionResetError("reset")
    surface.fail(retry(attempts=2, backoff=constant(3), observers=[events.append]), scripted(error, error))
    first, last = events
    assert first.error is last.error is error
    assert first.classification is not None and first.classification.reason.startswith("ConnectionResetError")
    assert first.classification == last.classification
    assert (first.elapsed, last.elapsed) == (0.0, 3.0)


def test_a_success_at_once_is_no_event(surface: Any, clock: FakeClock) -> None:
    """Observers hear of a success only where something failed before."""
    events: list[Event] = []
    assert surface.play(retry(observers=[events.append]), lambda: "body") == "body"
    assert events == []


def test_a_policy_has_no_state(surface: Any, clock: FakeClock) -> None:
    """A policy that gave up in one call begins afresh in the next."""
    policy = retry(attempts=2, backoff=constant(1))
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            surface.play(policy, scripted(ConnectionResetError, ConnectionResetError))
    assert clock.sleeps == [1, 1, 1]
