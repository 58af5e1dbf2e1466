"""Floor 3. Which host runs the caller, where a module of one is missing or half imported."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from redouble.control.cancel import CancelScope
from redouble.control.host import Host, NoHost, in_asyncio_task, in_event_loop, in_trio, running_host

if TYPE_CHECKING:
    from collections.abc import Callable


def test_without_trio_nothing_runs_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has not imported trio is in none of its tasks, and is not made to import it."""
    monkeypatch.delitem(sys.modules, "trio", raising=False)
    assert in_trio() is False
    assert in_event_loop() is False
    with pytest.raises(NoHost, match="neither asyncio nor trio"):
        running_host()
    assert "trio" not in sys.modules


def test_a_module_that_is_half_imported_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may be importing trio or asyncio just now: nothing can run in it yet."""
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))
    assert in_trio() is False
    monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
    assert in_asyncio_task() is False
    assert in_event_loop() is False
    with pytest.raises(NoHost):
        running_host()


def test_asyncio_runs_its_tasks() -> None:
    """In a task of asyncio it is the host, with trio imported or not."""

    async def main() -> tuple[Host, bool]:
        return running_host(), in_event_loop()

    assert asyncio.run(main()) == (Host.ASYNCIO, True)


def test_a_cancel_scope_is_that_of_a_host() -> None:
    """The cancel scope of no host cannot cancel anything; one that was left is not fired any more."""
    clock: Any = None
    with pytest.raises(NotImplementedError):
        CancelScope(clock, None, None).fire()
    cancel_scope = CancelScope(clock, None, None)
    with pytest.raises(NotImplementedError):
        cancel_scope.exit(None)
    cancel_scope.fire()
    assert cancel_scope.fired is False


def test_a_timer_that_comes_after_the_end() -> None:
    """A clock whose timers cannot be cancelled fires nothing once the cancel scope is left."""
    callbacks: list[Callable[[], None]] = []

    class Late:
        def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
            callbacks.append(callback)
            return None

    class Noted(CancelScope):
        __slots__ = ()

        def _was_this(self, error: BaseException | None) -> bool:
            return self.fired

    clock: Any = Late()
    cancel_scope = Noted(clock, 1.0, None)
    assert cancel_scope.exit(None) is False
    callbacks[0]()
    assert cancel_scope.fired is False
