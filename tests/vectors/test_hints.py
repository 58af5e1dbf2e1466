"""What other systems' tests expect of a server's hints; the ids of the cases say which system, see test_account.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from redouble import BackoffController, Reason, RetryPolicy, Wait, constant, exponential, sequence, transient
from redouble.core.hints import from_headers

if TYPE_CHECKING:
    from redouble import Backoff


class BusyError(Exception):
    """The server is busy, and may say for how long in the headers of its answer."""

    def __init__(self, **headers: str | None) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


RULE = transient(BusyError, retry_after=lambda error: from_headers(error.headers, None))


def decisions(errors: list[BusyError], backoff: Backoff, **fields: Any) -> list[Any]:
    """What follows from these failures, one after the other: seconds to wait, or the reason of the end."""
    controller = BackoffController(
        RetryPolicy(**{"on": RULE, "backoff": backoff, "attempts": None, "deadline": None} | fields)
    )
    found: list[Any] = []
    for error in errors:
        controller.start(now=0.0)
        decision = controller.record_failure(error, now=0.0, draw=0.0)
        found.append(decision.delay if isinstance(decision, Wait) else decision.reason)  # type: ignore[union-attr]
    return found


def grow(initial: float, maximum: float | None = None) -> Backoff:
    """A curve that doubles, without jitter."""
    return exponential(initial, maximum=maximum, jitter=None)


def after(seconds: float) -> BusyError:
    """The server asks for so many seconds."""
    return BusyError(retry_after=str(seconds))


@pytest.mark.parametrize(
    ("hint", "curve", "wait"),
    [
        pytest.param("1", constant(2), 2.0, id="k8s-15-shorter"),
        pytest.param("5", constant(2), 5.0, id="k8s-15-longer"),
        pytest.param(None, constant(0.002).capped(0.1), 0.002, id="polly-17-none"),
        pytest.param("-1", constant(0.002).capped(0.1), 0.002, id="polly-17-negative"),
        pytest.param("5", constant(0.002).capped(0.1), 5.0, id="polly-17-above-the-cap"),
    ],
)
def test_hint_and_curve(hint: str | None, curve: Backoff, wait: float) -> None:
    """The longer of the two holds; the curve's cap is none for hints, and what is malformed is no hint."""
    assert decisions([BusyError(retry_after=hint)], curve) == [wait]


@pytest.mark.parametrize("vector", ["cenkalti-17"])
def test_an_ended_curve_beats_a_hint(vector: str) -> None:
    """A server that says when to come back does not bring back what has ended."""
    assert decisions([after(5)], sequence()) == [Reason.CURVE]


# Decided otherwise; test_account.py has the reasons.


@pytest.mark.parametrize("vector", ["cenkalti-16"])
def test_a_hint_does_not_begin_the_curve_again(vector: str) -> None:
    """Plain, plain, a hint of 10 s, plain, plain: the curve goes on counting."""
    errors = [BusyError(), BusyError(), after(10), BusyError(), BusyError()]
    assert decisions(errors, grow(1)) == [1, 2, 10, 8, 16]


@pytest.mark.parametrize("vector", ["grpc-07"])
def test_a_pushback_does_not_begin_the_curve_again(vector: str) -> None:
    """Plain, plain, a pushback of 3 s, plain, plain: the curve goes on counting, up to its maximum."""
    errors = [BusyError(), BusyError(), after(3), BusyError(), BusyError()]
    assert decisions(errors, grow(0.1, maximum=1), attempts=6) == pytest.approx([0.1, 0.2, 3, 0.8, 1.0])


@pytest.mark.parametrize("vector", ["aws-07"])
@pytest.mark.parametrize(("milliseconds", "wait"), [("1500", 1.5), ("0", 0.05), ("10000", 10.0), ("invalid", 0.05)])
def test_a_long_hint_is_believed(vector: str, milliseconds: str, wait: float) -> None:
    """A hint is waited for as the server says, up to `max_hint`; a shorter or malformed one leaves the curve's wait."""
    error = BusyError(retry_after_ms=milliseconds)
    assert decisions([error], grow(0.05, maximum=20), attempts=3) == [wait]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"attempts": 1}, Reason.ATTEMPTS, id="temporal-07-attempts"),
        pytest.param({"attempts": 3, "max_hint": 0.5}, Reason.HINT, id="temporal-07-max-hint"),
        pytest.param({"attempts": 3, "deadline": 0.6}, Reason.HINT, id="temporal-07-deadline"),
        pytest.param({"attempts": 3}, 0.7, id="temporal-07-within"),
    ],
)
def test_limits_hold_for_hints(fields: dict[str, Any], expected: Any) -> None:
    """A hint is bounded by attempts and deadline, is not cut by the curve's cap, and above `max_hint` ends the call."""
    assert decisions([after(0.7)], grow(0.001, maximum=0.5), **fields) == [expected]
