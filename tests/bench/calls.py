"""What a decorated call costs beside a wrapper written by hand, as ratios measured in one run.

    python tests/bench/calls.py [rounds]

Each round times every candidate in turn, so that what else the machine does falls on all alike; the ratio is the median
over the rounds, with its quartiles. Waiting is left out: the sleeps are stubs that return at once. The log is silent.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import statistics
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from itertools import repeat
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from handwritten import limit_by_hand, retry_by_hand, retry_by_hand_async, tell_around

from redouble import constant, retry

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
    """Print what both cost, the median of their ratios, and between what the middle half of them lies."""
    both: list[tuple[float, float]] = []
    for number in range(rounds):
        pair = [ours, by_hand] if number % 2 else [by_hand, ours]
        taken = [measure(fn) for fn in pair]
        both.append((taken[0], taken[1]) if number % 2 else (taken[1], taken[0]))
    low, ratio, high = statistics.quantiles((mine / theirs for mine, theirs in both), n=4)
    mine, theirs = (statistics.median(column) for column in zip(*both, strict=True))
    print(f"{name:<46} {mine:8.0f} ns {theirs:8.0f} ns   {ratio:5.2f}  ({low:.2f} to {high:.2f})", flush=True)


async def suspending(x: int) -> int:
    """Give way to the event loop once."""
    await asyncio.tasks.sleep(0)
    return x


def giving_up(fn: Any) -> Any:
    """Call what always fails."""

    def call(x: int) -> None:
        with suppress(ValueError):
            fn(x)

    return call


def giving_up_async(fn: Any) -> Any:
    """Await what always fails."""

    async def call(x: int) -> None:
        with suppress(ValueError):
            await fn(x)

    return call


def deep(fn: Any, frames: int) -> Any:
    """Time calls so many frames down."""

    def descend(left: int) -> Any:
        return descend(left - 1) if left else timed(fn)

    return lambda: descend(frames)


def block(policy: Any) -> Any:
    """A block that succeeds at once."""

    def call(x: int) -> int:
        for attempt in policy:
            with attempt:
                return x
        return x

    return call


def block_async(policy: Any) -> Any:
    """The same, in a coroutine function."""

    async def call(x: int) -> int:
        async for attempt in policy:
            async with attempt:
                return x
        return x

    return call


def in_threads(fn: Any) -> float:
    """Nanoseconds per call, of eight threads that call at once."""
    with ThreadPoolExecutor(8) as threads:
        began = time.perf_counter_ns()
        for done in [threads.submit(timed, fn) for _ in range(8)]:
            done.result()
        return (time.perf_counter_ns() - began) / CALLS / 8


async def waiting(decorate: Any, tasks: int) -> float:
    """Bytes per task that waits between two attempts."""
    failed = 0

    async def work(x: int) -> None:
        nonlocal failed
        failed += 1
        raise ValueError(x)

    work = decorate(work)
    gc.collect()
    tracemalloc.start()
    running = [asyncio.ensure_future(work(each)) for each in range(tasks)]
    while failed < tasks:
        await asyncio.tasks.sleep(0)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return used / tasks


def main(rounds: int) -> None:
    """Print a line per case."""
    logging.getLogger("redouble").setLevel(logging.CRITICAL)
    on = retry(on=ValueError)
    four = retry(on=ValueError, attempts=4, budget=None)  # every call fails, which a budget would not let pass
    five = retry(on=ValueError, attempts=5, budget=None)
    written = retry(on=ValueError, attempts=3, deadline=60)
    print(f"{'Python ' + sys.version.split()[0]:<46} {'redouble':>11} {'by hand':>11}   ratio")

    hour = retry(on=ValueError, attempts=2, budget=None, backoff=constant(3600), deadline=None)
    with asyncio.Runner() as runner:
        by_hand = retry_by_hand_async(ValueError, attempts=2, initial=1e6, maximum=1e6, deadline=1e9)
        mine, theirs = (runner.run(waiting(each, 20_000)) for each in (hour, by_hand))
    print(f"{'bytes per waiting asyncio task':<46} {mine:8.0f}    {theirs:8.0f}      {mine / theirs:5.2f}")

    sync, by_hand = on(succeeding), retry_by_hand(ValueError)(succeeding)
    compare("sync, success at once", sync, by_hand, timed, rounds)
    compare("  beside one that sets a context variable", sync, tell_around(by_hand), timed, rounds)
    compare("  without the budget", on(budget=None)(succeeding), by_hand, timed, rounds)
    compare("  with a written deadline", written(succeeding), by_hand, timed, rounds)
    compare("  with a cooldown", on(cooldown=True)(succeeding), by_hand, timed, rounds)
    for number in range(5):
        ContextVar(f"another {number}", default=0).set(number)
    compare("  with five other variables set", sync, by_hand, timed, rounds)
    compare("  in eight threads", sync, by_hand, in_threads, rounds)
    compare("sync block, success at once", block(on), by_hand, timed, rounds)
    sleep, async_sleep = time.sleep, asyncio.sleep
    time.sleep = lambda _seconds: None
    asyncio.sleep = no_sleep  # type: ignore[assignment]
    try:
        hand = retry_by_hand(ValueError, attempts=4)
        threefold = four(failing(3))
        compare("sync, three failures, then success", threefold, hand(failing(3)), timed, rounds)
        sys.setrecursionlimit(3000)
        depths = deep(threefold, 800), deep(threefold, 0)
        compare("  800 frames deep, beside depth 0", *depths, lambda measured: measured(), rounds)
        hand = retry_by_hand(ValueError, attempts=5)
        ours, by_hand = giving_up(five(failing(9**9))), giving_up(hand(failing(9**9)))
        compare("sync, give-up after five", ours, by_hand, timed, rounds)
        for variables in ("", ", five other variables set"):
            context = copy_context() if variables else Context()
            with asyncio.Runner() as runner:

                def measure(fn: Any, runner: Any = runner, context: Any = context) -> float:
                    return runner.run(timed_async(fn), context=context)

                hand = retry_by_hand_async(ValueError)
                compare_with = hand(succeeding_async)
                compare(f"asyncio, success at once{variables}", on(succeeding_async), compare_with, measure, rounds)
                if variables:
                    break
                compare("asyncio block, success at once", block_async(on), compare_with, measure, rounds)
                limited = limit_by_hand(60)(compare_with)
                compare("asyncio, written deadline", written(succeeding_async), limited, measure, rounds)
                by_hand = limit_by_hand(60)(hand(suspending))
                compare("  with one suspension", written(suspending), by_hand, measure, rounds)
                compare("asyncio block, written deadline", block_async(written), limited, measure, rounds)
                hand = retry_by_hand_async(ValueError, attempts=4)
                name = "asyncio, three failures, then success"
                compare(name, four(failing_async(3)), hand(failing_async(3)), measure, rounds)
                hand = retry_by_hand_async(ValueError, attempts=5)
                ours, by_hand = giving_up_async(five(failing_async(9**9))), giving_up_async(hand(failing_async(9**9)))
                compare("asyncio, give-up after five", ours, by_hand, measure, rounds)
    finally:
        time.sleep, asyncio.sleep = sleep, async_sleep


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 31)
