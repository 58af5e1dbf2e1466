"""Floor 4. The drivers of threads and coroutines, where what they were handed fails."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from redouble.calls.hosts import coroutines, threads
from redouble.calls.pause import Pause
from redouble.calls.script import ATTEMPT
from redouble.control import faults
from redouble.control.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of what is reported."""
    lines: list[str] = []
    monkeypatch.setattr(faults, "listeners", [lambda line, error: lines.append(line)])
    return lines


def deep_call(error: Exception) -> Any:
    """A call whose operation raises, and which has no stack left to judge that."""

    def operation() -> None:
        raise error

    def failed(_: Exception) -> bool:
        raise RecursionError

    return SimpleNamespace(
        fn=operation, args=(), kwargs={}, given=None, failed=failed, raised=None, error=None, tally=None
    )


def script_of(call: Any, closed: list[str]) -> Generator[Any, None, None]:
    """One attempt, and no other step."""
    try:
        yield ATTEMPT, call
    finally:
        closed.append("closed")


def test_an_error_that_no_stack_is_left_to_judge() -> None:
    """It is raised as it is, in threads and in coroutines, and the script is closed."""
    error, closed = ValueError("mine"), list[str]()
    call = deep_call(error)
    with pytest.raises(ValueError, match="mine") as raised:
        threads.drive(script_of(call, closed))
    assert raised.value is error
    assert call.raised is error
    call = deep_call(error)
    with pytest.raises(ValueError, match="mine") as raised:
        asyncio.run(coroutines.drive(script_of(call, closed)))
    assert raised.value is error
    assert call.raised is error
    assert closed == ["closed", "closed"]


def test_what_wants_to_be_awaited_in_a_thread() -> None:
    """It says how to write it; the coroutine is closed, as are the steps."""
    seen: list[str] = []

    async def never() -> None:
        seen.append("awaited")

    wanted = never()

    def steps(value: Any) -> Generator[Any, Any, None]:
        try:
            yield value
        finally:
            seen.append("closed")

    with pytest.raises(TypeError, match="async with"):
        threads.perform(steps(wanted))
    with pytest.raises(RuntimeError, match="cannot reuse"):
        wanted.send(None)
    with pytest.raises(TypeError, match="async with"):
        threads.perform(steps(object()))
    assert seen == ["closed", "closed"]


def test_steps_that_await_nothing() -> None:
    """What they return is returned, and what they raise is raised, also a `StopIteration` of their own."""

    def steps(error: BaseException | None) -> Generator[Any, Any, int]:
        if error is not None:
            raise error
        return 3
        yield

    assert threads.perform(steps(None)) == 3
    with pytest.raises(RuntimeError, match="other"):
        threads.perform(steps(RuntimeError("other")))
    ended = StopIteration("mine")
    with pytest.raises(StopIteration) as raised:
        threads.perform(steps(ended))
    assert raised.value is ended


class Broken:
    """A clock that cannot wait."""

    def sleep(self, seconds: float, stop: Any = None) -> None:
        raise ValueError("no time")

    async def sleep_async(self, seconds: float, stop: Any = None) -> None:
        raise ValueError("no time")


def test_a_clock_that_cannot_wait() -> None:
    """A pause that is nobody's raises what the clock raised; that of a call tells the call."""
    told: list[str] = []
    clock: Any = Broken()
    call: Any = SimpleNamespace(closing=None, clock_failed=lambda fault: told.append(str(fault)))
    with pytest.raises(ValueError, match="no time"):
        threads.pause(Pause(clock, 1.0, (), "a loop"))
    threads.pause(Pause(clock, 1.0, (), "a loop", call))
    with pytest.raises(ValueError, match="no time"):
        asyncio.run(coroutines.pause(Pause(clock, 1.0, (), "a loop")))
    asyncio.run(coroutines.pause(Pause(clock, 1.0, (), "a loop", call)))
    assert told == ["no time", "no time"]


def test_an_error_whose_traceback_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is raised all the same, and the fault is logged."""

    def broken(error: BaseException) -> Any:
        raise ValueError("no traceback")

    monkeypatch.setattr(threads, "without_head", broken)
    error = KeyError("mine")
    call: Any = SimpleNamespace(raised=error, tally=SimpleNamespace(name="a call whose traceback cannot be kept"))
    with caplog.at_level(logging.WARNING, "redouble"), pytest.raises(KeyError) as raised:
        threads.raise_held(call)
    assert raised.value is error
    assert "no traceback" in caplog.text


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_dropped_result_is_closed_before_the_pause(reports: list[str], seconds: float) -> None:
    """The pause of a call awaits what closes its last result once; a failure there is reported, and no more."""
    seen: list[str] = []

    async def closing() -> None:
        seen.append("closed")
        raise ValueError("cannot close")

    class Quick:
        async def sleep_async(self, seconds: float, stop: Any = None) -> None:
            seen.append(f"slept {seconds}")

    clock: Any = Quick()
    call: Any = SimpleNamespace(closing=closing(), policy=SimpleNamespace(result="the rule"))
    asyncio.run(coroutines.pause(Pause(clock, seconds, (), "a loop", call)))
    assert call.closing is None
    assert seen == (["closed", "slept 1.0"] if seconds else ["closed"])
    assert [line.rpartition("; ")[2] for line in reports] == ["the dropped result is left as it is"]


def test_finishing_with_nothing() -> None:
    """A call that has nothing left to await is left as it is."""
    call: Any = SimpleNamespace(closing=None)
    asyncio.run(coroutines._finish(call))
    assert call.closing is None


def test_closing_where_no_host_is() -> None:
    """What closes something is awaited without a limit where neither asyncio nor trio runs it."""

    async def closing() -> str:
        return "closed"

    finishing = coroutines.finish(closing(), SYSTEM, 1.0, True)
    with pytest.raises(StopIteration) as ended:
        finishing.send(None)
    assert ended.value.value == "closed"
