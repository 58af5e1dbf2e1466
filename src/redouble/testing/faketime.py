"""On top of the floors: `fake_time`, which puts a fake clock under every policy beneath."""

from __future__ import annotations

import threading
from asyncio import BaseEventLoop
from typing import TYPE_CHECKING

from redouble.control.scope import current_clock, override
from redouble.core import checks
from redouble.testing.clock import FakeClock
from redouble.testing.hosts import current_loop, trio_is_here
from redouble.testing.loops import attach, driver_of
from redouble.testing.strict import FaultsHeard

if TYPE_CHECKING:
    from collections.abc import Callable


class fake_time:  # noqa: N801  # used as a verb: with fake_time() as clock:
    """Put a fresh `FakeClock`, and fixed draws, under every policy beneath this `with` (or `async with`).

    A context variable: it holds in this context and in those copied from it (tasks, `asyncio.to_thread`), and
    `clock.bind(fn)` carries it into a thread. An asyncio loop that runs the `with`, or is started beneath it, is attached
    to the clock; at the end all loops are back on real time, and traps are released. Timers keep their remaining time
    at both ends. In trio the waits of redouble are virtual, and all others too in a run that is started by
    `trio.run(main, clock=clock.trio)`.

    Args:
        draw: The value of every jitter draw: a float in [0, 1), or a callable that returns one.
        autoadvance: Whether time moves by itself; see `FakeClock`.
        everywhere: Whether it also holds for all other contexts of the process, beneath their own scopes: for test
            fixtures, which often run in another context than the test.
        strict: Whether the `with` fails at its end when a part of yours raised beneath it (a rule, an observer, a
            curve), which redouble otherwise only reports. An exception of the body is then its cause.

    Raises:
        TypeError, ValueError: When an argument is not of its kind.
        AssertionError: At the end of a strict one: it names all reported errors. Its cause is the body's exception, or
            the first of them.
        RuntimeError: When the same object is entered again.

    >>> from redouble import exponential, retry
    >>> from redouble.testing import fake_time, scripted
    >>> fetch = scripted(ConnectionResetError, ConnectionResetError, "body")
    >>> with fake_time(draw=0.5) as clock:
    ...     retry(backoff=exponential(1)).call(fetch), clock.sleeps, clock.now()
    ('body', [0.5, 1.0], 1.5)
    """

    def __init__(
        self,
        draw: float | Callable[[], float] = 0.5,
        autoadvance: bool = True,
        *,
        everywhere: bool = False,
        strict: bool = False,
    ) -> None:
        self._clock = FakeClock(autoadvance)
        self._override = override(clock=self._clock, draw=_as_draw(draw), everywhere=everywhere)
        self._faults = FaultsHeard(self._is_current) if checks.flag("strict", strict) else None
        self._entered = False

    def __enter__(self) -> FakeClock:
        if self._entered:
            raise RuntimeError("this fake_time has been entered before; make a new one with fake_time(...)")
        self._entered = True
        self._override.__enter__()
        if self._faults is not None:
            self._faults.listen()
        _open(+1)
        self._take_the_loop()
        return self._clock

    def _take_the_loop(self) -> None:
        loop = current_loop()
        if trio_is_here():
            from redouble.testing import trio_runs

            trio_runs.attach(self._clock._timeline)
        elif loop is not None:
            attach(loop, self._clock._timeline)

    def __exit__(self, *exc_info: object) -> None:
        timeline = self._clock._timeline
        timeline.closed = True
        _open(-1)
        self._override.__exit__(*exc_info)
        for driver in list(timeline.loops):
            driver.let_go(timeline)
        for trap in list(timeline.traps):
            trap.release()
        if self._faults is not None:
            self._faults.stop()
            error = exc_info[1] if any(exc_info) else None
            if error is None or isinstance(error, Exception):  # a KeyboardInterrupt or the like matters more
                self._faults.fail(error)

    def _is_current(self) -> bool:
        return current_clock() is self._clock

    async def __aenter__(self) -> FakeClock:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)


def _as_draw(draw: float | Callable[[], float]) -> Callable[[], float]:
    if callable(draw):
        function: Callable[[], float] = checks.asked("draw", draw)
        return function
    fixed = checks.number("draw", draw, least=0)
    if fixed >= 1:
        raise ValueError(f"draw must be a number in [0, 1) or a callable, got {checks.shown(draw)}")
    return lambda: fixed


_lock = threading.Lock()
_opened = 0
_run_forever = BaseEventLoop.run_forever


def _open(change: int) -> None:
    """Have event loops that start look for a `fake_time`, while any is open."""
    global _opened, _run_forever
    with _lock:
        if _opened == 0:
            _run_forever = BaseEventLoop.run_forever
        _opened += change
        BaseEventLoop.run_forever = _run_attached if _opened else _run_forever  # type: ignore[method-assign,assignment]


def _run_attached(loop: BaseEventLoop) -> None:
    """Stand in for `BaseEventLoop.run_forever`: run on the fake clock of the context that starts the loop, if any."""
    clock = current_clock()
    if loop.is_running():  # an error, which the original raises
        return _run_forever(loop)
    if isinstance(clock, FakeClock):
        attach(loop, clock._timeline)
    driver = driver_of(loop)
    if driver is None:
        return _run_forever(loop)
    driver.begin()
    try:
        _run_forever(loop)
    finally:
        driver.rest()  # attached it stays, for the next run
