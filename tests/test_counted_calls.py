"""What a call costs, counted: every function of redouble that runs in a scenario is in the reviewed counted_calls.txt.

A timing says how fast one machine was; a count is the same on all of them, so that one more function on the path of a
success cannot hide in noise. Written anew by `python tests/test_counted_calls.py`, with redouble installed on the oldest
Python; then read the difference.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import constant, retry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

REVIEWED = Path(__file__).with_name("counted_calls.txt")
PACKAGE = str(Path(redouble.__file__).parent)


def failing(times: int) -> Callable[[], None]:
    """An operation that fails so many times before each success."""
    left = times

    def operation() -> None:
        nonlocal left
        if left:
            left -= 1
            raise ConnectionResetError
        left = times

    return operation


def failing_async(times: int) -> Any:
    """The same, as a coroutine function."""
    once = failing(times)

    async def operation() -> None:
        once()

    return operation


def block(policy: Any) -> Callable[[], None]:
    """A block that succeeds at once."""

    def run() -> None:
        for attempt in policy:
            with attempt:
                pass

    return run


def block_async(policy: Any) -> Any:
    """The same, in a coroutine function."""

    async def run() -> None:
        async for attempt in policy:
            async with attempt:
                pass

    return run


def deep(call: Callable[[], None], frames: int) -> Callable[[], None]:
    """A call so many frames down."""

    def descend(left: int) -> None:
        if left:
            descend(left - 1)
        else:
            call()

    return lambda: descend(frames)


PLAIN = retry(on=ConnectionError, budget=None, backoff=constant(0))
SCENARIOS: dict[str, Any] = {
    "success": PLAIN(failing(0)),
    "success, asyncio": PLAIN(failing_async(0)),
    "success with a cooldown": PLAIN(cooldown=True)(failing(0)),
    "success with a written deadline, asyncio": PLAIN(deadline=60)(failing_async(0)),
    "two failures, then success": PLAIN(failing(2)),
    "two failures, then success, 400 frames deep": deep(PLAIN(failing(2)), 400),
    "two failures, then success, asyncio": PLAIN(failing_async(2)),
    "give-up after three": PLAIN(failing(9**9)),
    "give-up after three, asyncio": PLAIN(failing_async(9**9)),
    "block, success": block(PLAIN),
    "block, success, asyncio": block_async(PLAIN),
    "block with a written deadline, success, asyncio": block_async(PLAIN(deadline=60)),
}


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the functions of redouble that are called or gone on with."""
    counts: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _arg: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            where = Path(code.co_filename).relative_to(PACKAGE)
            counts[f"{where.as_posix()} {code.co_qualname}"] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield counts
    finally:
        sys.setprofile(before)


def counts_of(scenario: str) -> Counter[str]:
    """What one call runs when all that is found out once has been: the third."""
    call, counts = SCENARIOS[scenario], Counter[str]()

    async def run() -> None:
        nonlocal counts
        for _ in range(3):
            with suppress(ConnectionResetError), counting() as counts:
                found = call()
                if found is not None:
                    await found

    log = logging.getLogger("redouble")
    level = log.level
    log.setLevel(logging.CRITICAL)  # a silent logger, whatever handlers the other tests have
    try:
        asyncio.run(run()) if "asyncio" in scenario else drive(run())
    finally:
        log.setLevel(level)
    return counts


def drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing, without an event loop."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def report() -> str:
    """Every scenario with its functions, those called most first."""
    lines = []
    for scenario in SCENARIOS:
        counts = counts_of(scenario)
        lines += [f"{scenario}: {counts.total()}"]
        lines += [
            f"    {times} {function}" for function, times in sorted(counts.items(), key=lambda at: (-at[1], at[0]))
        ]
        lines += [""]
    return "\n".join(lines)


def reviewed() -> dict[str, dict[str, int]]:
    """The reviewed file: how often each function may run in each scenario."""
    found = {}
    for part in REVIEWED.read_text(encoding="utf-8").strip().split("\n\n"):
        heading, *lines = part.splitlines()
        counts = [line.split(maxsplit=1) for line in lines]
        found[heading.rpartition(":")[0]] = {function: int(times) for times, function in counts}
    return found


def test_the_reviewed_scenarios_are_these() -> None:
    """None is missing and none is left over."""
    assert list(reviewed()) == list(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_call_costs_no_more_than_was_reviewed(scenario: str) -> None:
    """It runs no other function of redouble, and none more often; a newer Python may run fewer."""
    assert counts_of(scenario) - Counter(reviewed()[scenario]) == Counter()


def test_depth_costs_nothing() -> None:
    """Four hundred frames down a call runs what it runs at the top."""
    shallow = counts_of("two failures, then success")
    assert counts_of("two failures, then success, 400 frames deep") == shallow


if __name__ == "__main__":
    REVIEWED.write_text(report(), encoding="utf-8")
