"""poll: an interval that is a curve, and a limit of questions."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, StillPending, exponential, linear, outcome, pending, poll, retry, sequence, transient
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.testing import FakeClock


class NotYet(Exception):
    """Not ready."""


class TooFast(Exception):
    """Asked too often."""


anything: Any = poll  # to be given what a type checker would refuse
policy = retry(on=pending(NotYet) | transient(OSError))


def done(value: object) -> bool:
    return value == "done"


@pytest.fixture(params=["sync", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Poll a scripted answer until it is done, in both colours."""

    def ask(*outcomes: object, policy: Any = policy, **options: Any) -> Any:
        operation = scripted(*outcomes, asynchronous=request.param == "asyncio")
        asked = poll(operation, policy, until=done, **options)
        return asyncio.run(asked) if request.param == "asyncio" else asked

    return ask


def test_the_nth_wait_of_a_curve_follows_the_nth_question(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """Whatever came of it: pending values, pending errors and failures are asked about at one pace."""
    ask(1, OSError, NotYet, 2, "done", interval=linear(1, step=1))
    assert clock.sleeps == [1, 2, 3, 4]


def test_a_function_of_the_questions_is_a_curve(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """As everywhere."""
    ask(1, 2, 3, "done", interval=lambda asked: 10 if asked < 3 else 60)
    assert clock.sleeps == [10, 10, 60]


def test_a_curve_keeps_its_jitter(ask: Callable[..., Any]) -> None:
    """Many who wait for one answer do not ask in step."""
    waits = []
    for draw in (0.25, 0.75):
        with fake_time(draw=draw) as clock:
            ask(1, "done", interval=exponential(8))
        waits += clock.sleeps
    assert waits == [2, 6]


def test_no_curve_asks_more_often_than_ten_times_a_second(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """A wait of nothing would ask without end."""
    ask(1, 2, "done", interval=lambda asked: 0)
    assert clock.sleeps == [0.1, 0.1]


def test_slow_down_is_added_to_a_curve(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """Five seconds more for good, at every place of it."""
    ask(1, TooFast, 2, "done", interval=linear(1, step=1), slow_down=TooFast)
    assert clock.sleeps == [1, 7, 8]


def test_the_end_of_a_curve_ends_the_poll(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """As the deadline does: with the last value."""
    with pytest.raises(StillPending) as caught:
        ask(1, 2, 3, "done", interval=sequence(1, 2))
    assert (caught.value.value, clock.sleeps, outcome(caught.value).reason) == (3, [1, 2], Reason.CURVE)  # type: ignore[union-attr]


def test_a_policy_keeps_its_own_backoff_for_failures(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """The interval is for answers that are not ready then; the failures between count as questions of its curve."""
    ask(1, OSError, 2, "done", policy=policy(backoff=sequence(30)), interval=linear(1, step=1))
    assert clock.sleeps == [1, 30, 3]


def test_questions_end_a_poll_as_the_deadline_does(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """With the last value, and nothing is waited for after the last question."""
    with pytest.raises(StillPending) as caught:
        ask(1, 2, 3, "done", questions=3, interval=1)
    assert (caught.value.value, clock.sleeps, outcome(caught.value).reason) == (3, [1, 1], Reason.ATTEMPTS)  # type: ignore[union-attr]


def test_failed_questions_are_questions(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """So many in all are asked, however they end."""
    with pytest.raises(StillPending):
        ask(OSError, 1, OSError, 2, "done", questions=4, interval=1)
    assert clock.sleeps == [1, 1, 1]


@pytest.mark.parametrize("last", [OSError, NotYet])
def test_the_error_of_the_last_question_is_raised(
    clock: FakeClock, ask: Callable[..., Any], last: type[Exception]
) -> None:
    """Of one that failed, and of one that said not yet by an error."""
    with pytest.raises(last):
        ask(1, last, "done", questions=2)


def test_an_answer_to_the_last_question_is_one(clock: FakeClock, ask: Callable[..., Any]) -> None:
    """The limit is of questions, not of waits."""
    assert ask(1, "done", questions=2) == "done"


@pytest.mark.parametrize("questions", [0, -1, 2.5, True, "3"])
def test_questions_are_a_whole_number(questions: object) -> None:
    """Named with the rule and the value."""
    with pytest.raises((TypeError, ValueError), match="questions must be a whole number"):
        anything(print, questions=questions)


def test_a_curve_that_grows_from_its_own_waits_is_refused() -> None:
    """It would not know them between failures of other kinds."""
    with pytest.raises(ValueError, match="interval cannot be a curve with the jitter 'decorrelated'"):
        anything(print, interval=exponential(jitter="decorrelated"))
