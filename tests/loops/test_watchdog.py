"""Floor 4. The watchdog, in both colours, and the clamp that keeps one limit beneath others; on virtual time."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redouble import DeadlineExceeded, clamp_under, constant, deadline, outcome, override, remaining, retry, watchdog
from redouble.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged on `redouble`, in a list that grows."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    logger, handler = logging.getLogger("redouble"), Handler()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; no task may be left, and no timer on the loop."""

    async def checked() -> Any:
        try:
            return await main
        finally:
            loop: Any = asyncio.get_running_loop()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert [timer for timer in getattr(loop, "_scheduled", ()) if not timer.cancelled()] == []

    return asyncio.run(checked())


# In asyncio.


def test_what_makes_no_progress_is_ended(clock: FakeClock, lines: list[str]) -> None:
    """Without a touch the body is cancelled after `idle` seconds: `DeadlineExceeded`, and one line."""

    async def main() -> None:
        dog = watchdog(90)
        with pytest.raises(DeadlineExceeded, match=r"^no progress for 90 s, after 90 s in all$") as caught:
            async with dog:
                await asyncio.sleep(3600)
        assert dog.expired and isinstance(caught.value.__cause__, asyncio.CancelledError)
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    run(main())
    assert clock.now() == 90
    assert lines == ["WARNING redouble: watchdog: no progress for 90 s, after 90 s in all; what was under way ends"]


def test_what_is_touched_goes_on(clock: FakeClock, lines: list[str]) -> None:
    """Every touch begins the idle time anew, however long it all takes."""

    async def main() -> None:
        async with watchdog(1) as dog:
            for _ in range(100):
                await asyncio.sleep(0.9)
                dog.touch()
        assert not dog.expired

    run(main())
    assert clock.now() == pytest.approx(90) and lines == []


def test_it_counts_from_the_last_touch(clock: FakeClock) -> None:
    """The end comes `idle` seconds after the last touch, not with the timer's own period."""

    async def main() -> None:
        async with watchdog(10) as dog:
            await asyncio.sleep(9)
            dog.touch()
            await asyncio.sleep(0.5)
            dog.touch()
            await asyncio.sleep(3600)

    with pytest.raises(DeadlineExceeded, match=r"after 19\.5 s in all"):
        run(main())
    assert clock.now() == 19.5


def test_one_timer_at_a_time(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is touched there is one timer, which looks again when it was early."""
    set_, real = [], clock.call_later

    def call_later(seconds: float, callback: Any) -> Any:
        set_.append(seconds)
        return real(seconds, callback)

    monkeypatch.setattr(clock, "call_later", call_later)

    async def main() -> None:
        async with watchdog(10) as dog:
            for _ in range(1000):
                await asyncio.sleep(0.025)
                dog.touch()

    run(main())
    assert len(set_) == 3 and set_[0] == 10 and clock.now() == pytest.approx(25)


def test_the_hard_cap(clock: FakeClock, lines: list[str]) -> None:
    """The hard cap ends also what is touched all the time."""

    async def main() -> None:
        async with watchdog(10, hard_cap=timedelta(seconds=25)) as dog:
            while True:
                await asyncio.sleep(1)
                dog.touch()

    with pytest.raises(DeadlineExceeded, match=r"^the hard cap of 25 s has passed$"):
        run(main())
    assert clock.now() == 25 and len(lines) == 1


def test_the_hard_cap_alone(clock: FakeClock) -> None:
    """Without an idle time only the cap counts."""

    async def main() -> None:
        async with watchdog(None, 5):
            await asyncio.sleep(3600)

    with pytest.raises(DeadlineExceeded, match="the hard cap of 5 s"):
        run(main())


@pytest.mark.parametrize("cap", [None, 0, -1, 0.0, float("-inf"), timedelta(0), timedelta(seconds=-5)])
def test_no_hard_cap(clock: FakeClock, cap: Any) -> None:
    """`None`, 0 and below are no cap; with no idle time either, nothing is ever ended."""

    async def main() -> None:
        async with watchdog(None, cap) as dog:
            dog.touch()
            dog.check()
            await asyncio.sleep(10**6)
        assert not dog.expired

    run(main())


def test_what_is_done_in_time(clock: FakeClock, lines: list[str]) -> None:
    """A body that ends, or raises, before its time is left alone, and no timer stays behind."""

    async def main() -> None:
        async with watchdog(5) as dog:
            await asyncio.sleep(4)
        with pytest.raises(ValueError, match="own"):
            async with dog:
                raise ValueError("own")
        with pytest.raises(TimeoutError) as caught:
            async with dog:
                raise TimeoutError("own")
        assert type(caught.value) is TimeoutError and not dog.expired
        await asyncio.sleep(60)

    run(main())
    assert lines == []


def test_somebody_elses_cancellation(clock: FakeClock, lines: list[str]) -> None:
    """A task that is cancelled by others ends with `CancelledError`, also when the watchdog's time is over meanwhile."""

    async def watched(dog: watchdog) -> None:
        async with dog:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(20)  # it takes its time to end, and the watchdog's passes

    async def main() -> None:
        dog = watchdog(10)
        task = asyncio.create_task(watched(dog))
        await asyncio.sleep(5)
        task.cancel("by the user")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not dog.expired

    run(main())
    assert lines == []


@pytest.mark.parametrize("around", ["deadline", "timeout", "watchdog"])
def test_a_deadline_around_it_wins(clock: FakeClock, lines: list[str], around: str) -> None:
    """When a deadline around it ends at the same moment, that one's error is raised, and the watchdog says nothing."""
    outer: Any = {"deadline": deadline, "timeout": asyncio.timeout, "watchdog": watchdog}[around]

    async def main() -> None:
        dog = watchdog(5)
        limit = outer(5)
        with pytest.raises(TimeoutError):
            async with limit, dog:
                await asyncio.sleep(3600)
        assert not dog.expired and (limit.expired() if around == "timeout" else limit.expired)

    run(main())
    assert clock.now() == 5 and len(lines) == (1 if around == "watchdog" else 0)


def test_an_inner_end_is_not_the_outer_ones(clock: FakeClock) -> None:
    """The inner of two watchdogs ends first, and the outer body goes on."""

    async def main() -> None:
        async with watchdog(50) as outer:
            with pytest.raises(DeadlineExceeded, match="for 10 s"):
                async with watchdog(10):
                    await asyncio.sleep(3600)
            await asyncio.sleep(30)
        assert not outer.expired

    run(main())
    assert clock.now() == 40


def test_a_body_that_swallows_the_cancellation(clock: FakeClock, lines: list[str]) -> None:
    """Who catches the cancellation and goes on has not been ended."""

    async def main() -> None:
        async with watchdog(5) as dog:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                dog.touch()
        assert not dog.expired

    run(main())
    assert lines == []


def test_touched_while_it_ends(clock: FakeClock) -> None:
    """What is being cancelled may still touch the watchdog; that does not change what is said of the end."""

    async def main() -> None:
        async with watchdog(5) as dog:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(2)
                dog.touch()

    with pytest.raises(DeadlineExceeded, match="no progress for 5 s, after 5 s in all"):
        run(main())


def test_a_retried_call_beneath_is_ended(clock: FakeClock) -> None:
    """A retried call in the body does not catch the cancellation, whatever it waits for."""

    async def fail() -> None:
        raise ConnectionResetError

    async def main() -> None:
        async with watchdog(5):
            await retry(attempts=None, backoff=constant(2)).call(fail)

    with pytest.raises(DeadlineExceeded):
        run(main())
    assert clock.now() == 5


def test_the_end_may_be_retried_around_it(clock: FakeClock) -> None:
    """A retried function that holds the watchdog is tried again after its end, as after any timeout."""
    rounds: list[int] = []

    @retry(attempts=3, backoff=constant(1))
    async def pull() -> str:
        rounds.append(1)
        async with watchdog(5):
            await asyncio.sleep(3600 if len(rounds) < 3 else 1)
        return "done"

    assert run(pull()) == "done"
    assert clock.now() == 5 + 1 + 5 + 1 + 1


@pytest.mark.parametrize("inner", [False, True])
def test_the_end_may_be_retried_around_it_in_sync_code(clock: FakeClock, inner: bool) -> None:
    """The same in synchronous code, also when it came out of a retried call in the body."""
    rounds: list[int] = []

    def work(dog: watchdog) -> None:
        clock.advance(6 if len(rounds) < 3 else 1)
        dog.touch()

    @retry(attempts=3, backoff=constant(1))
    def pull() -> str:
        rounds.append(1)
        with watchdog(5) as dog:
            retry.call(work, dog) if inner else work(dog)
        return "done"

    assert pull() == "done" and clock.now() == 6 + 1 + 6 + 1 + 1


def test_it_needs_a_task(clock: FakeClock) -> None:
    """Where nothing can be cancelled it says so, and holds for nobody."""
    dog = watchdog(5)
    coroutine = dog.__aenter__()
    loop = asyncio.new_event_loop()
    try:
        asyncio._set_running_loop(loop)
        with pytest.raises(RuntimeError, match="neither asyncio nor trio runs this coroutine"):
            coroutine.send(None)
    finally:
        asyncio._set_running_loop(None)
        loop.close()
    with dog:
        assert not dog.expired


def test_it_is_open_once(clock: FakeClock) -> None:
    """One and the same cannot be entered twice at a time; one after the other is fine, and begins anew."""
    dog = watchdog(5)
    with dog, pytest.raises(RuntimeError, match="open already"), dog:
        pass
    clock.advance(10)
    with dog:
        dog.check()
    dog.__exit__(None, None, None)  # a second exit is harmless
    with deadline(5):
        dog.__exit__(None, None, None)
        assert remaining() == 5


def test_touched_from_another_thread(clock: FakeClock) -> None:
    """Work in a thread may touch it."""

    def work(dog: watchdog) -> None:
        for _ in range(5):
            clock.sleep(4)
            dog.touch()

    async def main() -> None:
        async with watchdog(5) as dog:
            await asyncio.to_thread(work, dog)

    run(main())
    assert clock.now() == 20


# In synchronous code.


def test_sync_code_hears_of_it_when_it_touches(clock: FakeClock, lines: list[str]) -> None:
    """Under a plain `with` the touch, or the check, that comes too late raises, every time, and logs once."""
    with pytest.raises(DeadlineExceeded, match="no progress for 5 s, after 7 s in all") as caught, watchdog(5) as dog:
        dog.touch()
        clock.advance(2)
        dog.touch()
        dog.check()
        clock.advance(5)
        with pytest.raises(DeadlineExceeded):
            dog.check()
        dog.touch()
    assert dog.expired and caught.value.__cause__ is None
    assert len(lines) == 1 and lines[0].startswith("WARNING redouble: watchdog: no progress for 5 s")


def test_sync_code_that_never_asks_is_not_ended(clock: FakeClock, lines: list[str]) -> None:
    """Nothing can interrupt it; and outside of the `with` touching means nothing."""
    with watchdog(5) as dog:
        clock.advance(50)
    dog.touch()
    dog.check()
    assert not dog.expired and lines == []


def test_the_hard_cap_in_sync_code(clock: FakeClock) -> None:
    """It counts from the beginning, touched or not."""
    with pytest.raises(DeadlineExceeded, match="the hard cap of 5 s"), watchdog(4, 5) as dog:
        while True:
            clock.advance(1)
            dog.touch()
    assert clock.now() == 5


def test_a_retried_call_beneath_does_not_retry_it(clock: FakeClock) -> None:
    """A retried call in the body takes the end for no failure of its own, though timeouts are transient."""
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        clock.advance(6)
        dog.touch()

    with pytest.raises(DeadlineExceeded) as caught, watchdog(5) as dog:
        retry(attempts=9).call(work)
    assert len(calls) == 1 and outcome(caught.value) is None


def test_check_in_asyncio(clock: FakeClock, lines: list[str]) -> None:
    """A coroutine that holds up the loop can ask, too; there is one line, and it was the watchdog."""

    async def main() -> None:
        dog = watchdog(5)
        with pytest.raises(DeadlineExceeded, match="no progress"):
            async with dog:
                clock._timeline.now += 7  # computing, without awaiting
                dog.check()
        assert dog.expired

    run(main())
    assert len(lines) == 1


def test_the_clock_in_scope(clock: FakeClock) -> None:
    """It goes by the clock that `override` names."""
    other = FakeClock()
    with override(clock=other), pytest.raises(DeadlineExceeded), watchdog(5) as dog:
        clock.advance(50)
        dog.touch()
        other.advance(50)
        dog.touch()


def test_on_the_system_clock() -> None:
    """Without a fake clock it goes by the system's."""
    with watchdog(3600) as dog:
        dog.touch()
        assert 3590 < dog.left() <= 3600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "idle must be a duration in seconds (int, float or timedelta) > 0 or None, got 0"),
        ((-1,), "idle must be a duration in seconds (int, float or timedelta) > 0 or None, got -1"),
        (("90",), "idle must be a duration in seconds (int, float or timedelta) > 0 or None, got '90'"),
        ((True,), "idle must be a duration"),
        ((90, float("nan")), "hard_cap must be a duration in seconds (int, float or timedelta) >= 0 or None, got nan"),
        ((90, "x"), "hard_cap must be a duration"),
        ((90, False), "hard_cap must be a duration"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, message: str) -> None:
    """Mistakes are refused where they are written."""
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        watchdog(*arguments)


# The clamp.


@pytest.mark.parametrize(
    ("value", "ceilings", "result"),
    [
        (45, (90,), 45.0),
        (67.5, (90,), 67.5),
        (45, (), 45.0),
        (10**6, (None, 0, -1, timedelta(0)), 10**6),
        (timedelta(seconds=30), (timedelta(seconds=40), None), 30.0),
        (0, (90,), 0.0),
    ],
)
def test_what_fits_is_untouched(lines: list[str], value: Any, ceilings: Any, result: float) -> None:
    """A value beneath its limit, or at it, comes back as it is, in silence; what is no ceiling is none."""
    found = clamp_under(value, *ceilings)
    assert found == result and type(found) is float and lines == []


@pytest.mark.parametrize(
    ("value", "ceilings", "fraction", "result"),
    [
        (120, (90,), 0.75, 67.5),
        (45, (90, 30), 0.75, 22.5),
        (45, (30, 90, None, 0), 0.75, 22.5),
        (1, (0.2,), 0.5, 0.1),
        (timedelta(minutes=2), (timedelta(seconds=90),), 1, 90.0),
    ],
)
def test_what_does_not_fit_is_clamped(
    lines: list[str], value: Any, ceilings: Any, fraction: float, result: float
) -> None:
    """A value above its limit becomes the limit, and one warning names both."""
    assert clamp_under(value, *ceilings, fraction=fraction) == result
    (line,) = lines
    asked = value.total_seconds() if isinstance(value, timedelta) else value
    assert line.startswith(f"WARNING redouble: a limit of {asked:g} s was asked for, {result:g} s is used")


def test_the_setting_is_named(lines: list[str]) -> None:
    """The warning names the setting that asked for more, where it is told."""
    assert clamp_under(120, 90, name="export_timeout") == 67.5
    (line,) = lines
    assert line.startswith("WARNING redouble: export_timeout of 120 s was asked for, 67.5 s is used")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((45, 90), {"name": ""}, "name must be a string that is not empty, or None, got ''"),
        ((45, 90), {"name": 3}, "name must be a string that is not empty, or None, got 3"),
        ((None, 90), {}, "value must be a duration in seconds"),
        ((-1, 90), {}, "value must be a duration in seconds (int, float or timedelta) >= 0, got -1"),
        ((45, "90"), {}, "each ceiling must be a duration"),
        ((45, 90), {"fraction": 0}, "fraction must be a number in (0, 1], got 0"),
        ((45, 90), {"fraction": 1.5}, "fraction must be a number in [0, 1], got 1.5"),
        ((45, 90), {"fraction": "x"}, "fraction must be a number"),
    ],
)
def test_wrong_arguments_of_the_clamp(arguments: Any, options: Any, message: str) -> None:
    """Mistakes are refused, naming argument, rule and value."""
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        clamp_under(*arguments, **options)
