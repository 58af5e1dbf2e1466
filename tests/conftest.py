"""What holds for the whole suite: no test sleeps for real, and Hypothesis judges no timings."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from asyncio import BaseEventLoop
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from redouble.testing import FakeClock

# The examples of each law; a long run by hand asks for more (see CONTRIBUTING), and the soaks take a part of them.
EXAMPLES = int(os.environ.get("REDOUBLE_EXAMPLES", "50"))
settings.register_profile(
    "here", max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

REAL_TIME = {"integration", "bench"}  # folders of tests that are about real sockets and real time
SYNCHRONISING = {"subprocess", "multiprocessing"}  # they sleep in short steps until another process has got on
armed = False  # whether a real sleep is an error now


def refuse(what: str) -> None:
    """Fail the test: no `except Exception` of the code under test can swallow this."""
    __tracebackhide__ = True
    pytest.fail(f"{what}: a real sleep. Put it on virtual time (redouble.testing.fake_time) or into tests/integration")


def guarded_sleep(seconds: float) -> None:
    """Stands in for `time.sleep`, which only what synchronises with another process may use."""
    if armed and seconds > 0:
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        if caller.partition(".")[0] not in SYNCHRONISING:
            refuse(f"time.sleep({seconds!r}) in {caller}")
    real_sleep(seconds)


async def guarded_async_sleep(delay: float, result: Any = None) -> Any:
    """Stands in for `asyncio.sleep`, which may wait on an event loop whose time is not real."""
    loop = asyncio.get_running_loop()
    if armed and delay > 0 and getattr(loop.time, "__func__", None) is BaseEventLoop.time:
        refuse(f"asyncio.sleep({delay!r})")
    return await real_async_sleep(delay, result)


def guarded_wait(event: threading.Event, timeout: float | None = None) -> bool:
    """Stands in for `threading.Event.wait`: waiting for another thread is fine, letting the time run out is a sleep."""
    happened = real_wait(event, timeout)
    if armed and not happened and timeout is not None and timeout > 0:
        refuse(f"threading.Event.wait({timeout!r}) ran out")
    return happened


def pytest_collection_finish() -> None:
    """Leave all that the collection made out of garbage collections: tests of cycles ask for a thousand of them.

    Hypothesis makes its random generator before that, by a first example: it warns of one that seems to have no owner, and
    from Python 3.14 on a frozen owner is not seen.
    """
    given(none())(lambda nothing: None)()
    gc.collect()
    gc.freeze()


real_sleep: Callable[[float], None] = time.sleep
real_async_sleep: Callable[..., Any] = asyncio.sleep
real_wait: Callable[..., bool] = threading.Event.wait


@pytest.fixture(scope="session", autouse=True)
def guards() -> Iterator[None]:
    """Install the guards once, which is a tenth of what a short test takes; `pytest_runtest_protocol` arms them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", guarded_sleep)
        patch.setattr(asyncio, "sleep", guarded_async_sleep)
        patch.setattr(threading.Event, "wait", guarded_wait)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Make every real sleep an error while a test runs, except where tests are about real time."""
    global armed
    armed = REAL_TIME.isdisjoint(item.path.relative_to(item.config.rootpath).parts)
    try:
        return (yield)
    finally:
        armed = False


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """Virtual time under every policy of the test; all draws are 0.5."""
    from redouble.testing import fake_time  # here, so that the tests of what is imported begin without it

    with fake_time(draw=0.5) as clock:
        yield clock


@pytest.fixture
def no_heirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let advice name Python's own classes as in a program that has derived none from them: other tests, and clients, do."""
    from redouble.known import advice

    derived = advice._derived
    standard = {"builtins", *sys.stdlib_module_names}
    monkeypatch.setattr(advice, "_derived", lambda cls: [] if top_package(cls) in standard else derived(cls))


def top_package(cls: type) -> str:
    """The package that a class is from."""
    return str(cls.__module__).partition(".")[0]
