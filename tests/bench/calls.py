"""What a decorated call costs beside a wrapper written by hand, as ratios measured in one run.

    python tests/bench/calls.py [rounds]

Each round times every candidate in turn, so that what else the machine does falls on all alike; the ratio is the median
over the rounds. Waiting is left out: the sleeps are stubs that return at once.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from itertools import repeat
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from handwritten import retry_by_hand, retry_by_hand_async

from redouble import retry

CALLS = 2_000


def succeeding(x: int) -> int:
    """Succeed at once."""
    return x


async def succeeding_async(x: int) -> int:
    """Succeed at once."""
    return x


def failing(times: int) -> Any:
    """A function that fails `times` times, then succeeds, then starts again."""
    failed = 0

    def work(x: int) -> int:
        nonlocal failed
        if failed < times:
            failed += 1
            raise ValueError("boom")
        failed = 0
        return x

    return work


def failing_async(times: int) -> Any:
    """As `failing`, for asyncio."""
    work = failing(times)

    async def work_async(x: int) -> int:
        result: int = work(x)
        return result

    return work_async


def timed(fn: Any) -> float:
    """Nanoseconds per call."""
    calls = repeat(None, CALLS)
    began = time.perf_counter_ns()
    for _ in calls:
        fn(1)
    return (time.perf_counter_ns() - began) / CALLS


async def timed_async(fn: Any) -> float:
    """Nanoseconds per awaited call."""
    calls = repeat(None, CALLS)
    began = time.perf_counter_ns()
    for _ in calls:
        await fn(1)
    return (time.perf_counter_ns() - began) / CALLS


async def no_sleep(_seconds: float) -> None:
    """Stand in for a wait."""
    return


def compare(name: str, ours: Any, by_hand: Any, measure: Any, rounds: int) -> None:
    """Print what both cost, and the median of their ratios."""
    both: list[tuple[float, float]] = []
    for number in range(rounds):
        pair = [ours, by_hand] if number % 2 else [by_hand, ours]
        taken = [measure(fn) for fn in pair]
        both.append((taken[0], taken[1]) if number % 2 else (taken[1], taken[0]))
    ratio = statistics.median(mine / theirs for mine, theirs in both)
    mine, theirs = (statistics.median(column) for column in zip(*both, strict=True))
    print(f"{name:<42} {mine:8.0f} ns {theirs:8.0f} ns   {ratio:5.2f}")


def main(rounds: int) -> None:
    """Print a line per case."""
    on = retry(on=ValueError)
    four = retry(on=ValueError, attempts=4, budget=None)  # every call fails, which a budget would not let pass
    print(f"{'Python ' + sys.version.split()[0]:<42} {'redouble':>11} {'by hand':>11}   ratio")
    compare("sync, success at once", on(succeeding), retry_by_hand(ValueError)(succeeding), timed, rounds)
    sleep, async_sleep = time.sleep, asyncio.sleep
    time.sleep = lambda _seconds: None
    asyncio.sleep = no_sleep  # type: ignore[assignment]
    try:
        hand = retry_by_hand(ValueError, attempts=4)
        compare("sync, three failures, then success", four(failing(3)), hand(failing(3)), timed, rounds)
        with asyncio.Runner() as runner:

            def measure(fn: Any) -> float:
                return runner.run(timed_async(fn))

            hand = retry_by_hand_async(ValueError)
            compare("asyncio, success at once", on(succeeding_async), hand(succeeding_async), measure, rounds)
            hand, ours = retry_by_hand_async(ValueError, attempts=4), four
            name = "asyncio, three failures, then success"
            compare(name, ours(failing_async(3)), hand(failing_async(3)), measure, rounds)
            name = "asyncio with a written deadline, success"
            compare(name, retry(on=ValueError, deadline=60)(succeeding_async), hand(succeeding_async), measure, rounds)
    finally:
        time.sleep, asyncio.sleep = sleep, async_sleep


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 31)
