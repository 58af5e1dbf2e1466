"""`fake_time(strict=True)`: what is only reported otherwise fails the test."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Backoff, constant, exponential, retry
from redouble.control import faults
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def unheard() -> Iterator[None]:
    """Whatever happens, nothing goes on listening."""
    assert faults.listeners == []
    yield
    assert faults.listeners == []


def bad_rule(error: BaseException) -> bool:
    """A rule with a bug."""
    raise ZeroDivisionError("in a rule")


def bad_observer(event: object) -> None:
    """An observer with a bug."""
    raise LookupError("in an observer")


class BadStop(threading.Event):
    def is_set(self) -> bool:
        raise OSError("in a stop")


def bad_draw() -> float:
    """A source of chance with a bug."""
    raise ArithmeticError("in a draw")


def failing(**fields: Any) -> Callable[[], object]:
    """A call that is retried once, by a policy with these fields."""
    return lambda: retry(**{"backoff": exponential(1)} | fields).call(scripted(ConnectionResetError, "body"))


def test_a_rule_that_raises() -> None:
    """At the end the test fails, with the line that the log has, and the rule's own error beneath."""
    with (
        pytest.raises(
            AssertionError, match=r"this was reported:\n- rule .*bad_rule.* raised ZeroDivisionError"
        ) as caught,
        fake_time(strict=True),
        pytest.raises(KeyError),
    ):
        retry(on=bad_rule).call(scripted(KeyError))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_observer_that_raises() -> None:
    """So does an observer; the call itself has gone well."""
    with pytest.raises(AssertionError, match=r"- observer .*bad_observer raised LookupError"):  # noqa: SIM117
        with fake_time(strict=True):
            assert failing(observers=[bad_observer])() == "body"


def test_a_draw_that_raises() -> None:
    """So does what a curve needs."""
    with pytest.raises(AssertionError) as caught, fake_time(bad_draw, strict=True):
        failing()()
    assert isinstance(caught.value.__cause__, ArithmeticError)


def test_a_curve_that_raises() -> None:
    """So does a curve of one's own."""

    class BadCurve(Backoff):
        def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
            raise ValueError("in a curve")

    with pytest.raises(AssertionError, match=r"- curve .*BadCurve.* raised ValueError"), fake_time(strict=True):  # noqa: SIM117
        with pytest.raises(ConnectionResetError):
            failing(backoff=BadCurve())()


def test_all_are_named_once() -> None:
    """Each report has one line, however often it came (four events, two observers); the error comes from the first."""
    with pytest.raises(AssertionError) as caught, fake_time(strict=True):
        for _ in range(2):
            failing(observers=[bad_observer, lambda event: 1 / 0])()
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("reported, 8 times in all:")
    assert [line.partition(" raised ")[2].partition(";")[0] for line in lines[1:]] == [
        "LookupError('in an observer')",
        "ZeroDivisionError('division by zero')",
    ]
    assert isinstance(caught.value.__cause__, LookupError)


def test_what_was_logged_before_counts() -> None:
    """The log says each kind once in the life of a process; each test fails for itself."""
    for _ in range(2):
        with pytest.raises(AssertionError, match="observer"), fake_time(strict=True):
            failing(observers=[bad_observer])()


def test_a_body_that_raises_is_the_cause() -> None:
    """The test's own failure is not hidden, and neither is what was reported before it."""
    mine = KeyError("mine")
    with pytest.raises(AssertionError, match="observer") as caught, fake_time(strict=True):
        failing(observers=[bad_observer])()
        raise mine
    assert caught.value.__cause__ is mine


def test_a_body_that_raises_and_nothing_reported() -> None:
    """What the body raised goes on as it is."""
    with pytest.raises(KeyError), fake_time(strict=True):
        raise KeyError


def test_an_interrupt_matters_more() -> None:
    """What is no `Exception` leaves the block as it is, whatever was reported."""
    with pytest.raises(KeyboardInterrupt), fake_time(strict=True):
        failing(observers=[bad_observer])()
        raise KeyboardInterrupt


def test_in_a_task_and_in_a_thread() -> None:
    """What is reported in contexts copied from this one counts."""
    with pytest.raises(AssertionError, match="observer"):  # noqa: SIM117
        with fake_time(strict=True):
            asyncio.run(asyncio.to_thread(failing(observers=[bad_observer])))

    async def main() -> None:
        with pytest.raises(AssertionError, match="observer"):
            async with fake_time(strict=True):
                await asyncio.create_task(asyncio.to_thread(failing(observers=[bad_observer])))

    asyncio.run(main())


def test_a_stop_that_cannot_tell() -> None:
    """A wait asks its stop from a thread of the clock's own; what goes wrong there counts as well."""
    with pytest.raises(AssertionError, match=r"- stop .*BadStop.* raised OSError"):  # noqa: SIM117
        with fake_time(strict=True) as clock:
            clock.sleep(1, BadStop())


def test_another_context_does_not_count() -> None:
    """What is reported in a thread that nothing was bound for is not beneath; `everywhere` takes it in."""
    fail = failing(observers=[bad_observer], backoff=constant(0))

    def run_elsewhere() -> None:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join(20)

    with fake_time(strict=True):
        run_elsewhere()
    with pytest.raises(AssertionError, match="observer"), fake_time(strict=True, everywhere=True):
        run_elsewhere()


def test_the_nearest_clock_decides() -> None:
    """Beneath another `fake_time` that one's `strict` holds."""
    with fake_time(strict=True), fake_time():
        failing(observers=[bad_observer])()
    with pytest.raises(AssertionError, match="observer"), fake_time(), fake_time(strict=True):
        failing(observers=[bad_observer])()


def test_otherwise_it_is_only_reported() -> None:
    """Without `strict` the test passes."""
    with fake_time():
        assert failing(observers=[bad_observer])() == "body"


@pytest.mark.parametrize("strict", [1, None, "yes"])
def test_strict_is_a_flag(strict: Any) -> None:
    """Anything else is refused, by name."""
    with pytest.raises(TypeError, match="strict must be"):
        fake_time(strict=strict)
