"""On top of the floors: the fake clock, which waits without taking time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from math import isclose
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from redouble.core import checks
from redouble.testing import foreign_loops
from redouble.testing.hosts import current_loop, pass_turn, trio_is_here
from redouble.testing.loops import LoopDriver, attach, is_busy
from redouble.testing.timeline import Timeline
from redouble.testing.trap import Trap
from redouble.ways.shape import is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trio

    from redouble.control.budget import RetryBudget
    from redouble.control.clock import Stop, Timer
    from redouble.core.checks import Seconds
    from redouble.testing.trio_runs import TrioRun

P = ParamSpec("P")
R = TypeVar("R")

ROUNDS = 1000
"""The most rounds of the loop in `settle`: a task that spins on `asyncio.sleep(0)` is ready for ever."""

NEAR = 1e-9
"""A step that ends within these seconds of the next event is meant to reach it: sums of floats are not exact."""


class FakeClock:
    """A clock in virtual time: for sync code, threads, asyncio and trio. Nothing sleeps; a wait makes time pass.

    Time moves to the end of the earliest wait when all participants wait: every thread that runs a function carried by
    `bind`, and every attached event loop. Other threads take part only while they are in a wait; a thread that merely
    joins others does not hold time.

    The asyncio loop on which a coroutine uses this clock is *attached* to it until it stops: its own timers
    (`asyncio.sleep`, `asyncio.timeout`, `wait_for`, `call_later`) are in virtual time too, and time waits for functions
    that it runs in threads by `run_in_executor` or `asyncio.to_thread` as for bound functions. While sockets are open
    on the loop, it waits for them for `io_grace` real seconds before time moves. A loop without a selector (uvloop, the
    proactor of Windows), or one that is on another fake clock already, cannot be attached: there only waits on this
    clock are virtual. They let the other tasks run a few times, and then move time.

    A run of trio is on virtual time when started with it: `trio.run(main, clock=clock.trio)`. A run on another clock
    takes part as well, but only its waits on this clock are virtual. In both, time waits for functions in
    `trio.to_thread`.

    Two waits that end at the same moment end together, in no order.

    Args:
        autoadvance: Whether time moves by itself. `False`: only `advance()` and `advance_to_next()` move it.
        start: The first reading, in seconds.

    Attributes:
        sleeps: The waits requested so far, in seconds, in order, without waits of zero and timers.

    Raises:
        TypeError, ValueError: When an argument is not of its kind.

    >>> from redouble.testing import FakeClock
    >>> clock = FakeClock()
    >>> clock.sleep(2)
    >>> clock.sleep(0.5)
    >>> clock.now(), clock.sleeps
    (2.5, [2.0, 0.5])
    """

    def __init__(self, autoadvance: bool = True, start: float = 0.0) -> None:
        self._timeline = Timeline(checks.number("start", start, least=0), checks.flag("autoadvance", autoadvance))
        self.sleeps: list[float] = self._timeline.sleeps
        self._budgets: WeakKeyDictionary[RetryBudget, RetryBudget] = WeakKeyDictionary()
        self._trio: trio.abc.Clock | None = None

    # The protocol of clocks.

    def now(self) -> float:
        """Return the virtual time, in seconds."""
        self._contact()
        return self._timeline.now

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Block this thread for `seconds` of virtual time, or until `stop` is set. A zero wait returns at once.

        Raises:
            RuntimeError: When no time has passed for `patience` real seconds.
        """
        if seconds > 0:
            self._timeline.sleep(seconds, stop)

    async def sleep_async(self, seconds: float, stop: Stop | None = None) -> None:
        """Suspend this task, of asyncio or trio, for `seconds` of virtual time, or until `stop` is set.

        A zero wait only lets others run.

        Args:
            seconds: How long to wait, in virtual seconds.
            stop: A `threading.Event`, `asyncio.Event` or `trio.Event` that ends the wait early; `None`: no event. An
                event of the running loop ends it at once, any other within some real milliseconds.

        Raises:
            RuntimeError: When no time has passed for `patience` real seconds, or outside of asyncio and trio.
        """
        driver = self._contact()
        if seconds <= 0:
            await pass_turn()
        elif driver is None:
            await foreign_loops.sleep(self._timeline, seconds, stop)
        else:
            await driver.sleep(seconds, stop)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running loop (asyncio or trio) after `seconds` of virtual time, unless cancelled.

        Raises:
            RuntimeError: When called outside of asyncio and trio.
        """
        driver = self._contact()
        return (
            foreign_loops.call_later(self._timeline, seconds, callback)
            if driver is None
            else driver.call_later(seconds, callback)
        )

    @property
    def trio(self) -> trio.abc.Clock:
        """The same time as a clock for trio: with `trio.run(main, clock=clock.trio)` all time in the run is virtual.

        That is `trio.sleep`, cancel scopes, `trio.current_time`. With pytest-trio, a fixture that returns it is enough.

        Raises:
            ImportError: When trio (0.29 or later) is not installed.

        >>> import trio
        >>> from redouble.testing import FakeClock
        >>> clock = FakeClock()
        >>> trio.run(trio.sleep, 3600, clock=clock.trio)
        >>> clock.now()
        3600.0
        """
        if self._trio is None:
            from redouble.testing.trio_runs import TrioClock

            self._trio = TrioClock(self._timeline)
        return self._trio

    def _contact(self) -> LoopDriver | TrioRun | None:
        """Attach the running loop, unless it is on another clock; return its driver if it is on this one."""
        if trio_is_here():
            from redouble.testing import trio_runs

            return trio_runs.attach(self._timeline)
        loop = current_loop()
        return None if loop is None else attach(loop, self._timeline, passing=True)

    # The participants.

    def bind(self, fn: Callable[P, R]) -> Callable[P, R]:
        """Return `fn` for another thread: time waits for it, and it sees the caller's context variables.

        Time does not move while `fn` runs outside of a wait, nor, for `grace` real seconds, until it has been called
        for the first time. So threads that are all bound before the first is started take turns the same way in every
        run. Bind once for each thread; where `fn` itself waits for other threads, wrap that wait in `joining()`. For a
        coroutine bind the function that runs it: `lambda: asyncio.run(co())`.

        Raises:
            TypeError: When `fn` cannot be called, or does not run when it is called: a coroutine or generator function.

        >>> import threading
        >>> from redouble.testing import FakeClock
        >>> clock = FakeClock()
        >>> thread = threading.Thread(target=clock.bind(clock.sleep), args=(3,))
        >>> thread.start()
        >>> thread.join()
        >>> clock.now()
        3.0
        """
        if is_coroutine_function(fn):
            raise TypeError(
                "fn must be a plain function, since its coroutine would run elsewhere: bind `lambda: asyncio.run(co())`,"
                f" got {checks.shown(fn)}"
            )
        checks.plain_function("fn", fn)
        self._contact()
        context = contextvars.copy_context()

        @functools.wraps(fn)
        def in_context(*args: P.args, **kwargs: P.kwargs) -> R:
            return context.copy().run(fn, *args, **kwargs)  # a copy, because two threads cannot enter one context

        return self._timeline.carry(in_context, by=threading.get_ident())

    @contextlib.contextmanager
    def joining(self) -> Iterator[None]:
        """Let time go on while this thread waits for others: `with clock.joining():`.

        Needed in a bound function, and in a coroutine that blocks its event loop. Any other thread can join others
        without it, and is only faster with it (by `grace`).

        >>> import threading
        >>> from redouble.testing import FakeClock
        >>> clock = FakeClock()
        >>> thread = threading.Thread(target=clock.bind(clock.sleep), args=(3,))
        >>> thread.start()
        >>> with clock.joining():
        ...     thread.join()
        >>> clock.now()
        3.0
        """
        timeline, thread = self._timeline, threading.get_ident()
        with timeline.changed:
            timeline.park(thread)
            timeline.tick()
        try:
            yield
        finally:
            with timeline.changed:
                timeline.resume(thread)

    @property
    def grace(self) -> float:
        """The real seconds for which time waits for threads that it cannot see; 0.2 unless set.

        They count from the last sign of life of any thread: a bound function that begins, a wait that is requested. So
        `grace` need not grow with the number of threads. Out of sight are a bound function without a started thread,
        the result of one on its way to an event loop, and the next step of a thread that is not bound, just after a
        wait or a `bind`. On a slow machine set a longer one, and use `joining` in threads that join others.
        """
        return self._timeline.grace

    @grace.setter
    def grace(self, seconds: float) -> None:
        self._timeline.grace = checks.seconds("grace", seconds)

    @property
    def io_grace(self) -> float:
        """The real seconds for which time waits for the network, on a loop with open sockets; 0.05 unless set."""
        return self._timeline.io_grace

    @io_grace.setter
    def io_grace(self, seconds: float) -> None:
        self._timeline.io_grace = checks.seconds("io_grace", seconds)

    @property
    def patience(self) -> float:
        """The real seconds without any progress of time after which a wait raises a RuntimeError; 10.0 unless set.

        So a trap that is never released, or a bound function that never ends, fails a test instead of hanging it. On an
        event loop that has only timers of its own, the loop's `run_forever` raises it.
        """
        return self._timeline.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._timeline.patience = checks.seconds("patience", seconds)

    # Time by hand.

    def trap(self) -> Trap:
        """Hold time still until `release()`; see `Trap`. With several traps, all must be released."""
        self._contact()
        return Trap(self._timeline)

    def advance(self, seconds: Seconds) -> None:
        """Move time by hand, to the next event at most, and end the waits due then.

        An operation under test may call it for work that takes time. Timers of the calling event loop that become due
        run when the coroutine next awaits: `await clock.settle()`.

        Raises:
            ValueError: When the next event is nearer; time has not moved then.
        """
        self._contact()
        timeline = self._timeline
        step = checks.seconds("seconds", seconds)
        with timeline.changed:
            target, event = timeline.now + step, timeline.next_event()
            if event is not None and isclose(target, event[0], rel_tol=0.0, abs_tol=NEAR):
                target = event[0]
            if event is not None and target > event[0]:
                due, what = event
                raise ValueError(
                    f"cannot advance by {step:g} s, past the next event: {what},"
                    f" {due - timeline.now:g} s from now (at {due:g}); use advance_to_next()"
                )
            timeline.move_to(target)

    def advance_to_next(self) -> float:
        """Move time by hand to the next event: the earliest end of a wait, or timer of an event loop.

        Returns:
            The seconds by which time moved.

        Raises:
            RuntimeError: When there is no wait and no timer.
        """
        self._contact()
        timeline = self._timeline
        with timeline.changed:
            event, before = timeline.next_event(), timeline.now
            if event is None:
                raise RuntimeError("there is no next event to advance to: nothing waits on this clock")
            timeline.move_to(event[0])
            return timeline.now - before

    async def settle(self) -> None:
        """Let all ready tasks of this event loop, and all bound functions, run until they wait.

        Raises:
            RuntimeError: When a bound function has been running for `patience` real seconds.
        """
        self._contact()
        turn = _let_all_block if trio_is_here() else _let_a_few_rounds_pass
        began = monotonic()
        for _ in range(ROUNDS):
            if await turn() and not self._others_run(began):
                return

    def _others_run(self, began: float) -> bool:
        timeline = self._timeline
        with timeline.changed:
            if not timeline.activity.others_run():
                return False
            if monotonic() - began > timeline.patience:
                raise RuntimeError(timeline.complaint("settle()"))
            timeline.changed.wait(timeline.grace)
            return True

    def fresh_budget(self, budget: RetryBudget) -> RetryBudget:
        """Return the full budget that stands in for `budget` in this clock's time, the same at each call."""
        fresh = self._budgets.get(budget)
        if fresh is None:
            fresh = self._budgets[budget] = budget.fresh(self.now)
        return fresh

    def __repr__(self) -> str:
        return f"<FakeClock: now={self._timeline.now!r}, sleeps={self.sleeps}>"


async def _let_a_few_rounds_pass() -> bool:
    """Let the other tasks of an asyncio loop run; return whether none is ready any more."""
    await foreign_loops.let_others_run()
    return not is_busy(asyncio.get_running_loop())


async def _let_all_block() -> bool:
    """Let the other tasks of a run of trio run until all are blocked."""
    from redouble.testing.trio_runs import let_all_block

    await let_all_block()
    return True
