"""That the guard against real sleeps, in conftest.py, does guard."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest


def test_a_real_sleep_fails_the_test() -> None:
    """`time.sleep` fails the test before it sleeps, and says what to do."""
    with pytest.raises(pytest.fail.Exception, match=r"time\.sleep\(60\) in .*: a real sleep\. Put it on virtual time"):
        time.sleep(60)


def test_a_real_asyncio_sleep_fails_the_test() -> None:
    """`asyncio.sleep` fails the test on an event loop whose time is real."""
    with pytest.raises(pytest.fail.Exception, match=r"asyncio\.sleep\(60\): a real sleep"):
        asyncio.run(asyncio.sleep(60))


def test_an_event_that_is_waited_for_in_vain_fails_the_test() -> None:
    """`Event.wait` fails the test when its time runs out."""
    with pytest.raises(pytest.fail.Exception, match=r"Event\.wait\(0\.001\) ran out: a real sleep"):
        threading.Event().wait(0.001)


def test_yielding_is_no_sleep() -> None:
    """A sleep of 0 lets others run, and is no error."""
    time.sleep(0)
    assert asyncio.run(asyncio.sleep(0, "yielded")) == "yielded"


def test_synchronising_is_no_sleep() -> None:
    """Waiting for a thread that answers, or for another process, is no error."""
    event = threading.Event()
    threading.Timer(0, event.set).start()
    assert event.wait(60)
    assert subprocess.run([sys.executable, "-I", "-c", ""], timeout=60, check=False).returncode == 0


def test_virtual_time_is_no_sleep() -> None:
    """`asyncio.sleep` is no error on an event loop whose time is virtual."""
    from redouble.testing import fake_time

    async def nap() -> str:
        return await asyncio.sleep(60, "rested")

    with fake_time():
        assert asyncio.run(nap()) == "rested"
