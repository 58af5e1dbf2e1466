"""Floor 4. Several events as one, where nothing but looking at them tells whether they are set."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from redouble.calls.pause import AnyOf
from redouble.control.clock import STOP_POLL, SYSTEM

if TYPE_CHECKING:
    import pytest


def test_a_wait_of_no_time_for_events_of_two_kinds() -> None:
    """It says at once that none is set, or that one is."""
    mine, other = threading.Event(), asyncio.Event()
    both: Any = AnyOf(mine, other)
    assert both.wait(0) is False
    other.set()
    assert both.wait(0) is True


def test_events_that_wake_no_thread_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no event wakes a thread it sleeps in short steps, until one is set."""
    events = asyncio.Event(), asyncio.Event()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            events[1].set()

    monkeypatch.setattr(time, "sleep", sleep)
    assert AnyOf(*events).wait() is True
    assert slept == [STOP_POLL] * 3


def test_the_system_clock_looks_at_an_event_that_wakes_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait in a thread for an event of asyncio goes in short steps, until it is set."""
    event: Any = asyncio.Event()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        event.set()

    monkeypatch.setattr(time, "sleep", sleep)
    SYSTEM.sleep(3600.0, event)
    assert slept == [STOP_POLL]
