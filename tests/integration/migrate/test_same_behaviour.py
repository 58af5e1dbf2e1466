"""Rewritten code beside the code that it was, on the same failures under virtual time: calls, waits and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("libcst", reason="pip install redouble[migrate]")

from tests.integration.migrate.bringing import bring, play_new, play_old

FAILS: list[Any] = [ConnectionResetError("reset")] * 20
MIXED: list[Any] = [ConnectionResetError("reset"), TimeoutError("late"), ValueError("wrong"), "done"]
PASSES: list[Any] = [ConnectionResetError("reset"), TimeoutError("late"), "done"]
VALUES: list[Any] = [None, None, None, None, 7]
DRAWS = (0.0, 0.25, 0.999)


def tenacity(decorator: str) -> str:
    """Return a module whose `work` tenacity retries."""
    return f"import tenacity\n\n\n@tenacity.retry({decorator})\ndef work():\n    return operation()\n"


def qualified(text: str) -> str:
    """Return arguments with tenacity's strategies by their full names."""
    for word in ("stop_", "wait_", "retry_if_", "retry_any", "retry_all", "retry_never"):
        text = text.replace(word, f"tenacity.{word}").replace(f"tenacity.tenacity.{word}", f"tenacity.{word}")
    return text


STOPS = "stop=stop_after_attempt(6), reraise=True, "

TENACITY_CASES = {
    "waits nothing unless told": "stop=stop_after_attempt(4)",
    "waits a fixed time": STOPS + "wait=wait_fixed(3)",
    "waits between two times": STOPS + "wait=wait_random(min=1, max=3)",
    "waits up to a time": STOPS + "wait=wait_random(0, 2)",
    "waits the sum of two": STOPS + "wait=wait_fixed(3) + wait_random(0, 2)",
    "waits the sum of three": STOPS + "wait=wait_combine(wait_fixed(3), wait_random(0, 2), wait_exponential())",
    "waits ever longer": STOPS + "wait=wait_incrementing(start=1, increment=2, max=6)",
    "waits ever longer by default": STOPS + "wait=wait_incrementing()",
    "doubles": STOPS + "wait=wait_exponential()",
    "doubles from a multiplier up to a maximum": STOPS + "wait=wait_exponential(multiplier=0.5, max=5)",
    "has a floor": STOPS + "wait=wait_exponential(multiplier=1, min=4, max=10)",
    "has a floor above its maximum": STOPS + "wait=wait_exponential(multiplier=1, min=12, max=10)",
    "has another base": STOPS + "wait=wait_exponential(1, 100, 3, 2)",
    "spreads fully": STOPS + "wait=wait_random_exponential(multiplier=0.5, max=6)",
    "adds jitter within the maximum": STOPS + "wait=wait_exponential_jitter(multiplier=2, max=9, jitter=3)",
    "adds jitter by default": STOPS + "wait=wait_exponential_jitter()",
    "chains fixed waits": STOPS + "wait=wait_chain(wait_fixed(1), wait_fixed(2), wait_fixed(5))",
    "chains by lists": STOPS + "wait=wait_chain(*[wait_fixed(1) for i in range(2)] + [wait_fixed(4)])",
    "chains curves by the number of all attempts": STOPS + "wait=wait_chain(wait_fixed(1), wait_exponential(max=9))",
    "chains a curve that does not come last": STOPS
    + "wait=wait_chain(wait_random(1, 3), wait_incrementing(1, 1), wait_fixed(2))",
    "retries by type": STOPS + "retry=retry_if_exception_type(ConnectionError)",
    "retries by several types": STOPS + "retry=retry_if_exception_type((ConnectionError, TimeoutError))",
    "retries all but a type": STOPS + "retry=retry_if_not_exception_type(ValueError)",
    "retries all but several types": STOPS + "retry=retry_if_not_exception_type((ValueError, KeyError))",
    "retries by a predicate": STOPS + "retry=retry_if_exception(lambda e: isinstance(e, OSError))",
    "retries by what counts as true": STOPS + "retry=retry_if_exception(lambda e: e.args and 'reset')",
    "retries by a number, which is no wait": STOPS + "retry=retry_if_exception(lambda e: 2.5)",
    "retries by the message": STOPS + "retry=retry_if_exception_message(message='reset')",
    "retries by one of two": STOPS
    + "retry=retry_if_exception_type(ConnectionError) | retry_if_exception_type(TimeoutError)",
    "retries by a type or a predicate": STOPS
    + "retry=retry_if_exception_type(ConnectionError) | retry_if_exception(lambda e: str(e) == 'late')",
    "retries by a type or not another": STOPS
    + "retry=retry_any(retry_if_exception_type(KeyError), retry_if_not_exception_type(ValueError))",
    "retries by a type and a predicate": STOPS
    + "retry=retry_if_exception_type(OSError) & retry_if_exception(lambda e: str(e) != 'late')",
    "retries by a type and not another": STOPS
    + "retry=retry_all(retry_if_exception_type(OSError), retry_if_not_exception_type(TimeoutError))",
    "retries nothing": STOPS + "retry=retry_never",
    "retries results": "stop=stop_after_attempt(6), retry=retry_if_result(lambda value: value is None)",
    "gives up on results": "stop=stop_after_attempt(3), retry=retry_if_result(lambda value: value is None)",
    "retries all other results": "stop=stop_after_attempt(6), retry=retry_if_not_result(lambda value: value == 7)",
    "retries errors and results": "stop=stop_after_attempt(6), retry=retry_if_exception_type(OSError) | retry_if_result(lambda v: v is None)",
    "returns the last result": "stop=stop_after_attempt(3), retry=retry_if_result(lambda v: v is None), retry_error_callback=lambda state: state.outcome.result()",
    "stops at the first of two": "stop=stop_after_attempt(9) | stop_after_attempt(3), reraise=True",
    "stops at any": "stop=stop_any(stop_after_attempt(9), stop_after_attempt(4)), reraise=True",
    "stops after no attempt": "stop=stop_after_attempt(0), reraise=True",
}


@pytest.mark.parametrize("decorator", TENACITY_CASES.values(), ids=TENACITY_CASES)
def test_tenacity(tmp_path: Path, decorator: str) -> None:
    """A rewritten decorator calls as often, waits as long and ends alike."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    old = tenacity(qualified(decorator))
    same(tmp_path, old, (FAILS, MIXED, PASSES, VALUES))


def same(tmp_path: Path, old: str, scripts: tuple[list[Any], ...], takes: float = 0.0) -> str:
    """Check that rewritten code does the same, on each script and for each draw; return the new code."""
    brought = bring(tmp_path, old)
    assert brought.code == 0, brought.said
    for script in scripts:
        for draw in DRAWS:
            was, is_ = play_old(old, script, takes, draw), play_new(brought.text, script, takes, draw)
            assert was.calls == is_.calls and was.end == is_.end, (script, brought.text)
            assert was.waits == pytest.approx(is_.waits), (draw, brought.text)
    return brought.text


BLOCK = """
import tenacity

def work():
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_attempt(4), wait=tenacity.wait_fixed(2), reraise=True):
        with attempt:
            return operation()
"""
CALL = """
import tenacity

def work():
    retrying = tenacity.Retrying(stop=tenacity.stop_after_attempt(4), wait=tenacity.wait_fixed(2), reraise=True)
    return retrying(operation, 1)
"""
STAMINA_BLOCK = """
import stamina

def work():
    for attempt in stamina.retry_context(on=OSError, attempts=4, timeout=None):
        with attempt:
            return operation()
"""
STAMINA_CALLER = """
import stamina

def work():
    return stamina.RetryingCaller(attempts=4, timeout=None).on(OSError)(operation, 1)
"""


@pytest.mark.parametrize(
    "old", [BLOCK, CALL, STAMINA_BLOCK, STAMINA_CALLER], ids=["block", "call", "stamina block", "caller"]
)
def test_other_forms(tmp_path: Path, old: str) -> None:
    """A block, a direct call and a caller do what they did."""
    pytest.importorskip("stamina", reason="pip install stamina")
    same(tmp_path, old, (FAILS, PASSES))


STAMINA_CASES = {
    "its defaults": "on=OSError, timeout=None",
    "a tuple of types": "on=(ConnectionError, TimeoutError), attempts=3, timeout=None",
    "a predicate": "on=lambda e: isinstance(e, OSError), attempts=5, timeout=None",
    "waits of its own": "on=OSError, attempts=6, timeout=None, wait_initial=1, wait_max=9, wait_jitter=2, wait_exp_base=3",
    "no jitter": "on=OSError, attempts=6, timeout=None, wait_initial=1, wait_max=9, wait_jitter=0",
}


@pytest.mark.parametrize("decorator", STAMINA_CASES.values(), ids=STAMINA_CASES)
def test_stamina(tmp_path: Path, decorator: str) -> None:
    """A rewritten decorator of stamina's calls as often, waits as long and ends alike."""
    pytest.importorskip("stamina", reason="pip install stamina")
    same(
        tmp_path,
        f"import stamina\n\n@stamina.retry({decorator})\ndef work():\n    return operation()\n",
        (FAILS, MIXED, PASSES),
    )


BACKOFF_CASES = {
    "exponential with full jitter": "on_exception(backoff.expo, OSError, max_tries=6)",
    "exponential of its own": "on_exception(backoff.expo, OSError, max_tries=6, base=3, factor=0.5, max_value=9)",
    "exponential without jitter": "on_exception(backoff.expo, OSError, max_tries=6, jitter=None, max_value=9)",
    "exponential with a second more": "on_exception(backoff.expo, OSError, max_tries=6, jitter=backoff.random_jitter, max_value=9)",
    "fibonacci": "on_exception(backoff.fibo, OSError, max_tries=8, max_value=9)",
    "fibonacci without jitter": "on_exception(backoff.fibo, OSError, max_tries=8, jitter=None)",
    "constant": "on_exception(backoff.constant, OSError, max_tries=4, interval=3)",
    "constant by default": "on_exception(backoff.constant, OSError, max_tries=4, jitter=None)",
    "waits that end": "on_exception(backoff.constant, OSError, interval=[1, 2, 4], jitter=None)",
    "several types": "on_exception(backoff.expo, (ConnectionError, TimeoutError), max_tries=6)",
    "giving up early": "on_exception(backoff.expo, OSError, max_tries=6, giveup=lambda e: str(e) == 'late')",
    "falsy results": "on_predicate(backoff.constant, interval=1, max_tries=3)",
    "results by a predicate": "on_predicate(backoff.fibo, lambda v: v is None, max_tries=9)",
    "no limit": "on_exception(backoff.expo, OSError, max_value=2)",
}


@pytest.mark.parametrize("decorator", BACKOFF_CASES.values(), ids=BACKOFF_CASES)
def test_backoff(tmp_path: Path, decorator: str) -> None:
    """A rewritten decorator of backoff's calls as often, waits as long and ends alike."""
    pytest.importorskip("backoff", reason="pip install backoff")
    scripts = (
        (MIXED, PASSES, VALUES)
        if "max_tries" not in decorator and "interval" not in decorator
        else (FAILS, MIXED, PASSES, VALUES)
    )
    same(tmp_path, f"import backoff\n\n@backoff.{decorator}\ndef work():\n    return operation()\n", scripts)


RETRYING_CASES = {
    "its defaults": "stop_max_attempt_number=4",
    "a fixed wait": "stop_max_attempt_number=4, wait_fixed=1500",
    "exponential": "stop_max_attempt_number=7, wait_exponential_multiplier=500, wait_exponential_max=10000",
    "random": "stop_max_attempt_number=4, wait_random_min=1000, wait_random_max=2000",
    "incrementing": "stop_max_attempt_number=6, wait_incrementing_start=500, wait_incrementing_increment=1000, wait_incrementing_max=3000",
    "jitter": "stop_max_attempt_number=4, wait_fixed=1000, wait_jitter_max=500",
    "a predicate": "stop_max_attempt_number=4, retry_on_exception=lambda e: isinstance(e, ConnectionError)",
    "results": "stop_max_attempt_number=3, retry_on_result=lambda value: value is None",
}


@pytest.mark.parametrize("decorator", RETRYING_CASES.values(), ids=RETRYING_CASES)
def test_retrying(tmp_path: Path, decorator: str) -> None:
    """A rewritten decorator of retrying's waits seconds for its milliseconds, calls as often and ends alike."""
    pytest.importorskip("retrying", reason="pip install retrying")
    same(
        tmp_path,
        f"from retrying import retry\n\n@retry({decorator})\ndef work():\n    return operation()\n",
        (FAILS, MIXED, PASSES, VALUES),
    )


def test_a_floor_of_random_waits_keeps_the_bounds(tmp_path: Path) -> None:
    """Random waits with a floor keep their bounds; their spread differs, which is marked for review."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    old = tenacity(qualified(STOPS + "wait=wait_random_exponential(multiplier=1, min=2, max=10)"))
    brought = bring(tmp_path, old)
    assert "# redouble: review: waits lie within the same bounds" in brought.text
    for draw in DRAWS:
        for wait, failures in zip(play_new(brought.text, FAILS, draw=draw).waits, range(1, 6), strict=True):
            assert 2 <= wait <= max(2, min(2 ** (failures - 1), 10))


@pytest.mark.parametrize(
    "old",
    [
        tenacity(qualified("stop=stop_after_delay(10), wait=wait_fixed(3), reraise=True")),
        "import stamina\n\n@stamina.retry(on=OSError, attempts=None, timeout=10, wait_jitter=0, wait_initial=3)\ndef work():\n    return operation()\n",
        "import backoff\n\n@backoff.on_exception(backoff.constant, OSError, interval=3, max_time=10, jitter=None)\ndef work():\n    return operation()\n",
    ],
    ids=["tenacity", "stamina", "backoff"],
)
def test_a_limit_of_time_is_never_overrun(tmp_path: Path, old: str) -> None:
    """A limit of time is kept with at most one attempt less than before, and is marked for review."""
    pytest.importorskip("stamina", reason="pip install stamina")
    pytest.importorskip("backoff", reason="pip install backoff")
    brought = bring(tmp_path, old)
    was, is_ = play_old(old, FAILS, takes=0.5), play_new(brought.text, FAILS, takes=0.5)
    assert was.calls - 1 <= is_.calls <= was.calls and is_.end == was.end
    assert sum(is_.waits) + 0.5 * (is_.calls - 1) <= 10
    assert "deadline=10" in brought.text and "a coroutine is cut off at it" in brought.text


CAUGHT = """
from tenacity import RetryError, retry, retry_if_exception_type, stop_after_attempt


@retry(stop=stop_after_attempt(3))
def fetch():
    return operation()


def work():
    try:
        return fetch()
    except RetryError:
        return "caught"
"""


def test_a_caught_retry_error_is_caught_still(tmp_path: Path) -> None:
    """Code that catches tenacity's RetryError catches it after the change, and passes what it passed."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    same(tmp_path, CAUGHT, (FAILS, PASSES))


CAUGHT_RESULT = """
import tenacity


def work():
    again = tenacity.retry(
        retry=tenacity.retry_if_result(lambda value: value is None),
        stop=tenacity.stop_after_attempt(3),
        reraise=True,
    )
    try:
        return again(operation)()
    except tenacity.RetryError:
        return "caught"
"""


def test_a_caught_retry_error_of_a_result_is_caught_still(tmp_path: Path) -> None:
    """So it is where a result was unwanted to the end, of a function that a decorator is called with."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    same(tmp_path, CAUGHT_RESULT, (VALUES, VALUES[2:]))


NESTED = """
import tenacity


@tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True)
def inner():
    return operation()


@tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True)
def work():
    return inner()
"""


def test_nested_retries_multiply_still(tmp_path: Path) -> None:
    """Three attempts around three make nine calls, as they did."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    same(tmp_path, NESTED, (FAILS, PASSES))
    assert play_old(NESTED, FAILS).calls == 9


USED_UP = """
import tenacity


@tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True)
def send(items):
    list(items)
    return operation()


def work():
    return send(iter([1, 2]))
"""


def test_a_used_up_argument_is_passed_again_still(tmp_path: Path) -> None:
    """A call with an argument that the first attempt used up is made again, as it was."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    same(tmp_path, USED_UP, (FAILS, PASSES))


HINTED = """
import tenacity
import urllib.error


@tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(1), reraise=True)
def work():
    try:
        return operation()
    except ConnectionError:
        raise urllib.error.HTTPError("http://shop", 503, "busy", {"Retry-After": "7"}, None) from None
"""


def test_a_retry_after_is_not_looked_at_still(tmp_path: Path) -> None:
    """A server's Retry-After changes no wait, as it changed none."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    same(tmp_path, HINTED, (FAILS, PASSES))


ASYNC = """
import asyncio
import tenacity


@tenacity.retry(stop=tenacity.stop_after_attempt(4), wait=tenacity.wait_fixed(2), reraise=True)
async def decorated():
    return operation()


async def block():
    async for attempt in tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(2), reraise=True):
        with attempt:
            return await decorated()


def work():
    return asyncio.run(block())
"""


def test_coroutines(tmp_path: Path) -> None:
    """Coroutine functions and asynchronous blocks call as often and end alike."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    brought = bring(tmp_path, ASYNC)
    for script in (FAILS, PASSES):
        was, is_ = play_old(ASYNC.replace("wait_fixed(2)", "wait_none()"), script), play_new(brought.text, script)
        assert (was.calls, was.end) == (is_.calls, is_.end)
    assert play_new(brought.text, PASSES).waits == [2.0, 2.0]


RUNTIME = """
import backoff


@backoff.on_exception(backoff.runtime, OSError, value=lambda error: 5, jitter=None, max_tries=3)
def work():
    return operation()
"""


def test_a_wait_that_the_server_said_is_never_less(tmp_path: Path) -> None:
    """`backoff.runtime` becomes a hint: as many calls, and each wait is what it was or up to a tenth more."""
    pytest.importorskip("backoff", reason="pip install backoff")
    brought = bring(tmp_path, RUNTIME)
    was, is_ = play_old(RUNTIME, FAILS), play_new(brought.text, FAILS)
    assert (was.calls, was.end) == (is_.calls, is_.end) and "up to a tenth more" in brought.text
    assert all(old <= new <= old * 1.1 for old, new in zip(was.waits, is_.waits, strict=True))


SWITCHED = """
import stamina


@stamina.retry(on=OSError, attempts=5)
def fetch():
    return operation()


def work():
    with stamina.set_testing(True, attempts=2):
        return fetch()
"""


def test_stamina_in_testing_mode(tmp_path: Path) -> None:
    """In testing mode as many attempts are made, and nothing is waited for, as before."""
    pytest.importorskip("stamina", reason="pip install stamina")
    same(tmp_path, SWITCHED, (FAILS, PASSES))


CHANGED = """
import tenacity


@tenacity.retry(stop=tenacity.stop_after_delay(9), wait=tenacity.wait_fixed(2), reraise=True)
def fetch():
    return operation()


def work():
    return fetch.retry_with(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())()
"""


def test_retry_with(tmp_path: Path) -> None:
    """A call with other limits makes as many attempts, and waits as long."""
    pytest.importorskip("tenacity", reason="pip install tenacity")
    same(tmp_path, CHANGED, (FAILS, PASSES))
