"""What hardly ever happens to a call: clocks that jump between two readings, and helpers that fail on the way out."""

# ruff: noqa: D103  # stand-ins need no docstring

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import pytest

from redouble import DeadlineExceeded, GaveUp, Reason, constant, outcome, retry
from redouble.calls import call as call_module
from redouble.calls.call import First, Judge, is_fault
from redouble.calls.tracebacks import forget_earlier_passes, strip
from redouble.control import tally
from redouble.control.around import AROUND

if TYPE_CHECKING:
    from collections.abc import Callable

policy = retry(attempts=3, on=OSError, backoff=constant(0))


def failing_with(fault: Exception) -> Callable[..., Any]:
    def fails(*args: Any) -> Any:
        raise fault

    return fails


def test_a_deadline_that_passes_during_the_wait_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but time was to be looked at, and it went on further than the wait: no other attempt begins."""
    jumped = 0.0
    made = 0

    def draw() -> float:  # the decision was timed before it
        nonlocal jumped
        jumped = 20.0
        return 0.5

    def fetch() -> None:
        nonlocal made
        made += 1
        raise OSError("down")

    monkeypatch.setattr(tally, "monotonic", lambda: monotonic() + jumped)
    with pytest.raises(OSError, match="down") as raised:
        policy(attempts=None, deadline=10, draw=draw).call(fetch)
    end = outcome(raised.value)
    assert made == 1
    assert end is not None and (end.reason, end.limit) == (Reason.DEADLINE, "own")


def test_a_judge_leaves_the_end_to_the_call() -> None:
    """By itself it says nothing of what follows from giving up."""
    end = GaveUp(Reason.ATTEMPTS, 3, 1.0)
    assert Judge(cast("Any", policy)).ends(end, OSError("down")) is None
    assert Judge(cast("Any", policy)).late().reason == call_module.TOO_LONG


def test_a_bound_that_cannot_be_left_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails where a call lets go is reported, and the operation's error is raised."""
    told: list[BaseException] = []
    monkeypatch.setattr("redouble.control.faults.report", lambda kind, thing, error, *rest: told.append(error))
    monkeypatch.setattr(call_module, "leave_bound", failing_with(LookupError("broken")))
    with pytest.raises(OSError, match="down"):
        for attempt in policy(attempts=1, deadline=10):
            with attempt:
                raise OSError("down")
    assert [repr(error) for error in told] == ["LookupError('broken')"]


def test_a_fault_that_cannot_be_reported_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's error matters more than the report of ours; what is no `Exception` passes."""
    monkeypatch.setattr("redouble.control.faults.report", failing_with(MemoryError()))
    assert is_fault("fetch", LookupError("broken"))
    with pytest.raises(KeyboardInterrupt):
        is_fault("fetch", KeyboardInterrupt())


def test_an_error_that_was_never_raised_has_no_frames_to_take_away() -> None:
    """Both ways of cutting a traceback leave an error without one as it is."""
    error = OSError("down")
    strip(error)
    forget_earlier_passes(error)
    assert error.__traceback__ is None


def test_a_first_attempt_that_is_cut_off_makes_its_call_then() -> None:
    """Where a deadline ends an attempt that had no call yet, the error says whose deadline it was, and keeps its cause."""
    cancelled = RuntimeError("cancelled")

    @policy(deadline=10)
    def fetch() -> TimeoutError:
        link = AROUND.get()
        assert link is not None
        return First(link).cut_off(cancelled)

    cut = fetch()
    assert type(cut) is DeadlineExceeded
    assert str(cut) == "the deadline of 10 s has passed"
    assert cut.__cause__ is cancelled


def test_a_note_says_how_to_turn_a_clients_own_retries_off() -> None:
    """Where a client had tried again by itself, the call gives up, and the note says what to write."""
    error = type("RetryError", (OSError,), {"__module__": "tenacity"})("tried again")
    with pytest.raises(OSError, match="tried again") as raised:
        policy.call(failing_with(error))
    end = outcome(raised.value)
    assert end is not None and (end.reason, end.attempts) == (Reason.NESTED, 1)
    assert any("has tried again by itself" in note for note in raised.value.__notes__)
