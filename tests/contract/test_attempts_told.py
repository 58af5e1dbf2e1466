"""Events that are told only to who asks: that an attempt begins, and that a call needed no retry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from redouble import EventKind, constant, retry
from redouble.testing import scripted

if TYPE_CHECKING:
    from redouble import Event


class Asking:
    """An observer of attempts and of calls that succeed at once."""

    kinds = frozenset({EventKind.ATTEMPT, EventKind.CALL})

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def __call__(self, event: Event) -> None:
        self.told.append((event.kind.name, event.attempt))


def block(policy: Any, operation: Any) -> None:
    """Run the operation in a block."""
    for attempt in policy:
        with attempt:
            operation()


WAYS = {
    "call": lambda policy, operation: policy.call(operation),
    "decorator": lambda policy, operation: policy(operation)(),
    "block": block,
}


@pytest.mark.parametrize("way", WAYS)
def test_who_asks_hears_each_attempt_begin(way: str) -> None:
    """The first and the second, and nothing of a call that needed a retry."""
    asking = Asking()
    WAYS[way](retry(observers=[asking], backoff=constant(0)), scripted(ConnectionResetError, 1))
    assert asking.told == [("ATTEMPT", 1), ("ATTEMPT", 2)]


@pytest.mark.parametrize("way", WAYS)
def test_who_asks_hears_of_a_call_that_succeeds_at_once(way: str) -> None:
    """It needed no retry."""
    asking = Asking()
    WAYS[way](retry(observers=[asking], backoff=constant(0)), scripted(1))
    assert asking.told == [("ATTEMPT", 1), ("CALL", 1)]


def test_who_asks_hears_attempts_in_asyncio() -> None:
    """The same of a coroutine function."""
    asking = Asking()
    operation = scripted(ConnectionResetError, 1, asynchronous=True)
    asyncio.run(retry(observers=[asking], backoff=constant(0)).call(operation))
    assert asking.told == [("ATTEMPT", 1), ("ATTEMPT", 2)]
