"""Operations that fail as told."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from redouble.testing import HANG, FakeClock, scripted


def test_outcomes_come_in_order() -> None:
    """Exceptions are raised, classes and instances alike; anything else is returned."""
    error = ValueError("told")
    operation = scripted(error, OSError, None, "done")
    with pytest.raises(ValueError, match="told") as caught:
        operation()
    assert caught.value is error
    with pytest.raises(OSError, match=r"^$"):
        operation()
    assert operation() is None
    assert operation() == "done"


def test_a_class_that_is_no_exception_is_returned() -> None:
    """Only exceptions are raised."""
    assert scripted(int)() is int


def test_it_records_its_calls() -> None:
    """The arguments of every call, of those that fail and of those beyond the script too."""
    operation = scripted(OSError)
    with pytest.raises(OSError, match=r"^$"):
        operation(1, a=2)
    with pytest.raises(AssertionError):
        operation()
    assert operation.calls == [((1,), {"a": 2}), ((), {})]


def test_values_are_never_compared() -> None:
    """Arrays and columns, whose `==` is no yes or no, are values like any other."""

    class Array:
        def __eq__(self, other: object) -> Array:  # type: ignore[override]
            return self

        __hash__ = None  # type: ignore[assignment]

        def __bool__(self) -> bool:
            raise ValueError("the truth value of an array is ambiguous")

    array = Array()
    assert scripted(array, 1)() is array


def test_a_call_beyond_the_script_is_an_assertion_error() -> None:
    """It names the number of the call, and the script."""
    operation = scripted("once")
    operation()
    with pytest.raises(AssertionError, match=r"call 2, but the script has 1 outcome\(s\): \('once',\)"):
        operation()


def test_threads_share_a_script() -> None:
    """Every outcome is taken once."""
    operation = scripted(*range(100))
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(operation, range(100))) == list(range(100))


def test_it_looks_like_a_function() -> None:
    """A policy takes it for what it stands for, and logs name it."""
    assert inspect.isfunction(scripted())
    assert not inspect.iscoroutinefunction(scripted())
    assert inspect.iscoroutinefunction(scripted(asynchronous=True))
    assert scripted().__name__ == scripted(asynchronous=True).__name__ == "scripted"  # type: ignore[attr-defined]


def test_the_asynchronous_kind() -> None:
    """A coroutine function plays the same script."""

    async def main() -> None:
        operation = scripted(OSError("told"), "done", asynchronous=True)
        with pytest.raises(OSError, match="told"):
            await operation(1)
        assert await operation(b=2) == "done"
        assert operation.calls == [((1,), {}), ((), {"b": 2})]

    asyncio.run(main())


def test_a_call_that_hangs() -> None:
    """HANG never ends by itself; a timeout cancels it, in virtual time."""
    clock = FakeClock()

    async def main() -> None:
        operation = scripted(HANG, "done", asynchronous=True)
        clock.now()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(operation(), 30)
        assert await operation() == "done"

    asyncio.run(main())


def test_only_coroutines_hang() -> None:
    """A synchronous call could never be ended, so the script is refused."""
    with pytest.raises(TypeError, match="HANG needs asynchronous=True"):
        scripted(HANG)
    assert repr(HANG) == "redouble.testing.HANG"
