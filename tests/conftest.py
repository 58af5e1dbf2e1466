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
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def refuse(what: str) -> None:
    """Fail the test: no `except Exception` of the code under test can swallow this."""
    __tracebackhide__ = True
    pytest.fail(f"{what}: a real sleep. Put it on virtual time (redouble.testing.fake_time) or into tests/integration")


def guarded_sleep(seconds: float) -> None:
    """Stands in for `time.sleep`, which only what synchronises with another process may use."""
    caller = str(sys._getframe(1).f_globals.get("__name__"))
    if seconds > 0 and caller.partition(".")[0] not in SYNCHRONISING:
        refuse(f"time.sleep({seconds!r}) in {caller}")
    real_sleep(seconds)


async def guarded_async_sleep(delay: float, result: Any = None) -> Any:
    """Stands in for `asyncio.sleep`, which may wait on an event loop whose time is not real."""
    loop = asyncio.get_running_loop()
    if delay > 0 and getattr(loop.time, "__func__", None) is BaseEventLoop.time:
        refuse(f"asyncio.sleep({delay!r})")
    return await real_async_sleep(delay, result)


def guarded_wait(event: threading.Event, timeout: float | None = None) -> bool:
    """Stands in for `threading.Event.wait`: waiting for another thread is fine, letting the time run out is a sleep."""
    happened = real_wait(event, timeout)
    if not happened and timeout is not None and timeout > 0:
        refuse(f"threading.Event.wait({timeout!r}) ran out")
    return happened


def pytest_collection_finish() -> None:
    """Leave all that the collection made out of garbage collections: tests of cycles ask for a thousand of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def earlier_modules_are_left_out() -> None:
    """The same for what earlier modules and their reports left behind."""
    gc.collect()
    gc.freeze()


real_sleep: Callable[[float], None] = time.sleep
real_async_sleep: Callable[..., Any] = asyncio.sleep
real_wait: Callable[..., bool] = threading.Event.wait


@pytest.fixture(autouse=True)
def no_real_sleep(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every real sleep an error, except where tests are about real time."""
    if REAL_TIME.isdisjoint(request.path.relative_to(request.config.rootpath).parts):
        monkeypatch.setattr(time, "sleep", guarded_sleep)
        monkeypatch.setattr(asyncio, "sleep", guarded_async_sleep)
        monkeypatch.setattr(threading.Event, "wait", guarded_wait)


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """Virtual time under every policy of the test; all draws are 0.5."""
    from redouble.testing import fake_time  # here, so that the tests of what is imported begin without it

    with fake_time(draw=0.5) as clock:
        yield clock
