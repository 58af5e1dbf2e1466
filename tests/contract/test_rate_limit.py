"""Fifty tasks that meet one rate limit, against a server in virtual time: on threads, asyncio and trio."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import threading
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

from redouble import Cooldown, constant, retry, transient
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import RetryPolicy
    from redouble.testing import FakeClock

TASKS = 50
LATENCY = 0.05
"""Seconds that a request is under way."""


class TooManyRequestsError(Exception):
    """A 429 with its Retry-After."""

    def __init__(self, after: float) -> None:
        super().__init__("429 Too Many Requests")
        self.after = after


class Server:
    """Answers `quota` requests in each window of so many seconds, and the others by when the next one begins."""

    def __init__(self, clock: FakeClock, quota: int, window: float, used: int = 0) -> None:
        self.clock, self.quota, self.window = clock, quota, window
        self.requests, self.answered = 0, 0
        self._window, self._used = 0, used
        self._lock = threading.Lock()

    def answer(self) -> None:
        with self._lock:
            now = self.clock.now()
            self.requests += 1
            if int(now // self.window) != self._window:
                self._window, self._used = int(now // self.window), 0
            if self._used >= self.quota:
                raise TooManyRequestsError((self._window + 1) * self.window - now)
            self._used += 1
            self.answered += 1


def on_threads(policy: RetryPolicy, server: Server, clock: FakeClock, apart: float) -> None:
    @policy
    def request() -> None:
        clock.sleep(LATENCY)
        server.answer()

    def task(number: int) -> None:
        clock.sleep(apart * (number + 1))
        request()

    threads = [threading.Thread(target=clock.bind(lambda number=number: task(number))) for number in range(TASKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def on_asyncio(policy: RetryPolicy, server: Server, clock: FakeClock, apart: float) -> None:
    @policy
    async def request() -> None:
        await asyncio.sleep(LATENCY)
        server.answer()

    async def task(number: int) -> None:
        await asyncio.sleep(apart * (number + 1))
        await request()

    async def main() -> None:
        await asyncio.gather(*map(task, range(TASKS)))

    asyncio.run(main())


def on_trio(policy: RetryPolicy, server: Server, clock: FakeClock, apart: float) -> None:
    @policy
    async def request() -> None:
        await trio.sleep(LATENCY)
        server.answer()

    async def task(number: int) -> None:
        await trio.sleep(apart * (number + 1))
        await request()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(TASKS):
                nursery.start_soon(task, number)

    trio.run(main, clock=clock.trio)


HOSTS = [on_threads, on_asyncio, on_trio]

host = pytest.mark.parametrize("play", HOSTS, ids=lambda play: play.__name__)


def requests(
    play: Callable[..., None],
    cooldown: Cooldown | None,
    *,
    quota: int = 1000,
    window: float = 20,
    used: int = 0,
    apart: float = 0.02,
    **changes: object,
) -> int:
    """How many requests fifty tasks make until all of them are served; they begin so many seconds apart."""
    with fake_time(draw=Random(7).random) as clock:
        server = Server(clock, quota, window, used)
        rule = transient(TooManyRequestsError, retry_after=lambda error: error.after)
        fields = {"on": rule, "attempts": None, "backoff": constant(0.1), "cooldown": cooldown, **changes}
        play(retry(**fields), server, clock, apart)  # type: ignore[arg-type]
        assert server.answered == TASKS
        return server.requests


@host
def test_fifty_tasks_that_meet_one_limit_make_about_fifty_requests(play: Callable[..., None]) -> None:
    """Only those that were under way when the limit was met make a second request; without a cooldown all do."""
    assert 51 <= requests(play, Cooldown(), used=1000) <= 54
    assert requests(play, None, used=1000) == 100


@host
def test_without_the_hint_each_task_would_ask_and_ask(play: Callable[..., None]) -> None:
    """Waits of 7 s that heed no hint make four requests of each task in a limit of 20 s: two hundred."""
    rule = transient(TooManyRequestsError, retry_after=0)
    assert requests(play, None, used=1000, on=rule, backoff=constant(7)) == 200


@host
def test_a_limit_that_is_met_again_and_again(play: Callable[..., None]) -> None:
    """With ten requests in each window of ten seconds, all are served, by half as many requests."""
    assert requests(play, Cooldown(), quota=10, window=10) <= 75
    assert requests(play, None, quota=10, window=10) == 150


@host
def test_those_who_waited_do_not_come_at_once(play: Callable[..., None]) -> None:
    """They come spread over a tenth of what the server asked for."""
    with fake_time(draw=Random(7).random) as clock:
        arrivals: list[float] = []

        class Watched(Server):
            def answer(self) -> None:
                super().answer()
                arrivals.append(self.clock.now())

        server = Watched(clock, 1000, 20, used=1000)
        rule = transient(TooManyRequestsError, retry_after=lambda error: error.after)
        play(retry(on=rule, cooldown=Cooldown(), deadline=60), server, clock, 0.02)
    assert len(set(arrivals)) == TASKS
    assert min(arrivals) >= 20 and max(arrivals) <= 22 + LATENCY
    assert max(arrivals) - min(arrivals) > 1.5
