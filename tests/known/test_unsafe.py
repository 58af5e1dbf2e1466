"""Floor 2. What to write where a failure was not retried because repeating it may do the thing twice."""

from __future__ import annotations

import pytest

from redouble.known.advice import advice_unsafe
from redouble.known.request import Sent


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (Sent(True), "a POST or PATCH was sent, without a key: "),
        (Sent(True, ("7f1c",)), "a POST or PATCH was sent, under a key that is not yours: "),
        (Sent(False), "it may have been done, and no method is seen that can be repeated: "),
        (None, "it may have been done, and no method is seen that can be repeated: "),
    ],
)
def test_the_advice_says_what_was_seen(sent: Sent | None, seen: str) -> None:
    """What was sent, and then each way to have it repeated."""
    advice = advice_unsafe(ConnectionAbortedError(), None, sent)
    assert advice.startswith(seen)
    assert "idempotent=True" in advice
    assert "redouble.idempotency_key(value)" in advice
    assert (
        "classify(error).reason == 'ConnectionAbortedError', applied=False) | known_errors if it was surely" in advice
    )


def test_a_key_does_not_help_against_a_word_of_ones_own() -> None:
    """Where `idempotent=False` is written, a key changes nothing, and is not advised; nor is a type for a result."""
    assert "idempotency_key" not in advice_unsafe(ConnectionAbortedError(), False, Sent(True))
    assert "transient" not in advice_unsafe(None, False)


def test_an_argument_that_is_used_up_comes_first() -> None:
    """Whatever was sent, with nothing left to send there is nothing to repeat."""
    advice = advice_unsafe(ConnectionAbortedError(), None, Sent(True), "argument 1")
    assert advice.startswith("argument 1 is used up: hand in a function that makes it")


def test_a_class_that_cannot_be_named() -> None:
    """The note is written all the same: nothing of ours may raise over a user's error."""

    class Unhashable(type):
        def __hash__(cls) -> int:
            raise RuntimeError("no")

    error = Unhashable("Busy", (Exception,), {})()
    assert "on=transient(..., applied=False) if it was surely not done" in advice_unsafe(error, None)
