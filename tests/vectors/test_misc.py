"""What another system's tests expect of a test clock; the ids of the cases say which system, see test_account.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from redouble.testing import FakeClock

HOUR = 3600.0


@pytest.mark.parametrize("vector", ["quartz-01"])
def test_a_trap_shows_a_wait_before_it_runs(vector: str) -> None:
    """The duration of a wait is seen while time stands still; moved by just that, the wait ends."""
    clock = FakeClock()
    with ThreadPoolExecutor() as pool, clock.trap() as trap:
        done = pool.submit(clock.bind(clock.sleep), HOUR)
        duration = trap.wait()
        assert duration == HOUR
        clock.advance(duration)
        done.result()
    assert clock.now() == HOUR


@pytest.mark.parametrize("vector", ["quartz-02"])
def test_advancing_past_the_next_event_is_an_error(vector: str) -> None:
    """A step beyond the end of a wait is refused by name, and nothing moves."""
    clock = FakeClock(autoadvance=False)
    with ThreadPoolExecutor() as pool, clock.trap() as trap:
        done = pool.submit(clock.bind(clock.sleep), 1.0)
        trap.wait()
        with pytest.raises(ValueError, match="past the next event"):
            clock.advance(2)
        assert clock.now() == 0.0
        assert clock.advance_to_next() == 1.0
        done.result()


# Decided otherwise; test_account.py has the reasons.


@pytest.mark.parametrize("vector", ["quartz-04"])
def test_a_negative_wait_is_none(vector: str) -> None:
    """It is over at once, at the current time, and neither the trap nor the list of waits shows it."""
    clock = FakeClock(start=5.0)
    with clock.trap() as trap:
        clock.sleep(-1.0)
        assert trap.waits == []
    assert (clock.now(), clock.sleeps) == (5.0, [])


@pytest.mark.parametrize("vector", ["quartz-06"])
def test_leaving_a_trap_releases_it(vector: str) -> None:
    """A trap that is closed with a caught wait lets time move again."""
    clock = FakeClock()
    with ThreadPoolExecutor() as pool:
        with clock.trap() as trap:
            done = pool.submit(clock.bind(clock.sleep), 1.0)
            trap.wait()
        done.result()
    assert clock.now() == 1.0
