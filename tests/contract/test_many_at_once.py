"""One policy used by many tasks and threads at once: every count is independent."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, current_attempt, outcome, retry

if TYPE_CHECKING:
    from redouble import Event
    from redouble.testing import FakeClock

TASKS, THREADS = 300, 32

heard: list[Event] = []
policy = retry(attempts=5, on=OSError, backoff=constant(1), observers=[heard.append], budget=None)  # all fail at once
seen: dict[int, list[tuple[int, int]]] = {}


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    heard.clear()
    seen.clear()


def try_(caller: int) -> int:
    """Fails `caller % 6` times; a caller of 5 failures gives up."""
    attempt = current_attempt()
    assert attempt is not None
    seen.setdefault(caller, []).append((attempt.number, attempt.failures))
    if len(seen[caller]) <= caller % 6:
        raise OSError(caller)
    return caller


@policy
def decorated(caller: int) -> int:
    return try_(caller)


@policy
async def decorated_async(caller: int) -> int:
    await asyncio.sleep(caller % 7 / 10)
    return try_(caller)


def by_block(caller: int) -> int:
    for attempt in policy:
        with attempt:
            return try_(caller)
    raise AssertionError


async def by_async_block(caller: int) -> int:
    async for attempt in policy:
        with attempt:
            await asyncio.sleep(caller % 7 / 10)
            return try_(caller)
    raise AssertionError


async def by_late_call(caller: int) -> int:
    return await policy.call(lambda: decorated_async.__wrapped__(caller))  # type: ignore[attr-defined,no-any-return]


def check(results: list[Any], callers: int) -> None:
    """Every caller saw its own attempts 1, 2, 3, ..., and got its own value or its own error."""
    for caller, result in zip(range(callers), results, strict=True):
        failures = caller % 6
        assert seen[caller] == [(n, n - 1) for n in range(1, min(failures + 1, 5) + 1)]
        if failures < 5:
            assert result == caller
        else:
            assert result.args == (caller,) and outcome(result).attempts == 5
    kinds = Counter(event.kind.name for event in heard)
    shares = Counter(caller % 6 for caller in range(callers))
    assert kinds["RETRY"] == sum(min(failures, 4) * count for failures, count in shares.items())
    assert kinds["GIVE_UP"] == shares[5]
    assert kinds["SUCCESS"] == sum(shares[failures] for failures in range(1, 5))


@pytest.mark.parametrize("way", [decorated_async, by_async_block, by_late_call])
def test_hundreds_of_tasks(clock: FakeClock, way: Any) -> None:
    """Tasks that wait at the same time do not see each other's attempts, failures or errors."""

    async def main() -> list[Any]:
        return await asyncio.gather(*(way(caller) for caller in range(TASKS)), return_exceptions=True)

    check(asyncio.run(main()), TASKS)


@pytest.mark.parametrize("way", [decorated, by_block, lambda caller: policy.call(try_, caller)])
def test_thirty_two_threads(monkeypatch: pytest.MonkeyPatch, way: Any) -> None:
    """Nor do threads that run at the same time."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    together = threading.Barrier(THREADS)
    callers = THREADS * 6

    def work(number: int) -> list[Any]:
        together.wait(60)
        results = []
        for caller in range(number, callers, THREADS):
            try:
                results.append(way(caller))
            except OSError as error:
                results.append(error)
        return results

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(work, range(THREADS)))
    check([parts[caller % THREADS][caller // THREADS] for caller in range(callers)], callers)


def test_threads_in_virtual_time(clock: FakeClock) -> None:
    """Threads on one fake clock wait together."""
    results: list[Any] = [None] * 8

    def work(caller: int) -> None:
        try:
            results[caller] = decorated(caller)
        except OSError as error:
            results[caller] = error

    threads = [threading.Thread(target=clock.bind(work), args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    with clock.joining():
        for thread in threads:
            thread.join()
    check(results, 8)
    assert clock.now() == 4.0


def test_a_call_inside_of_itself(clock: FakeClock) -> None:
    """A decorated function that calls itself has an episode for each level."""
    depths = []

    @policy(attempts=2)
    def down(depth: int) -> int:
        attempt = current_attempt()
        assert attempt is not None
        depths.append((depth, attempt.number))
        if attempt.number == 1:
            raise OSError("first")
        return depth if depth == 0 else down(depth - 1)

    assert down(2) == 0
    assert depths == [(2, 1), (2, 2), (1, 1), (1, 2), (0, 1), (0, 2)]
