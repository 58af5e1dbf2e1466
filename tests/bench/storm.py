"""A retry storm and contention for one row, as `redouble simulate` plays them, for many retriers side by side.

    python tests/bench/storm.py [seeds]

Four tables, each figure a mean over several seeds (5), with the range of the recovery:

1. one process, with redouble's controller and several budgets: none, those of Finagle, Envoy and the AWS SDKs as they
   are published, and redouble's;
2. the same load from 10, 100, 400 and 1600 processes, with redouble's budget alone, with `share`, and with one that
   they share through a store, by the code that leases its tokens;
3. tenacity, stamina and backoff themselves, as far as they are installed: coroutines in virtual time against the same
   server and the same calls;
4. contention for one row, 100 and 50 clients.
"""

from __future__ import annotations

import asyncio
import logging
import random
import selectors
import sys
from collections import deque
from importlib import import_module
from importlib.util import find_spec
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from redouble import RetryBudget, constant, exponential, retry
from redouble.cli.contention import ConflictError, contend
from redouble.cli.simulate import STRATEGIES
from redouble.cli.storm import Client, Course, Server, clients_of, run
from redouble.cli.worlds import Contention, Storm

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from redouble import BackoffController, RetryPolicy

ATTEMPTS = 4
RETRY = retry(attempts=ATTEMPTS, on=TimeoutError)
FIXED = RETRY(backoff=constant(0.1))
STEADY = RETRY(backoff=exponential(jitter=None))
ONCE = retry(attempts=1, on=TimeoutError)


# Budgets of others.


class AwsQuota(Client):
    """The retry quota of the AWS SDKs: 500 units, a retry takes 14 and gives them back when it worked, a success adds 1."""

    FULL, COST = 500, 14

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__(policy, None)
        self._units = self.FULL

    def fail(self, call: BackoffController, now: float, draw: float) -> float | None:
        wait = super().fail(call, now, draw)
        if wait is None or self._units < self.COST:
            return None
        self._units -= self.COST
        return wait

    def succeed(self, call: BackoffController, now: float) -> None:
        self._units = min(self.FULL, self._units + (1 if call.attempt == 1 else self.COST))


class Finagle(Client):
    """The budget of Finagle and Linkerd: within 10 s, a fifth of the calls and ten a second may be retried."""

    SHARE, RESERVE, SECONDS = 0.2, 10, 10

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__(policy, None)
        self._recent: deque[tuple[float, float]] = deque()
        self._balance = 0.0

    def begin(self, now: float) -> BackoffController:
        self._add(now, self.SHARE)
        return super().begin(now)

    def fail(self, call: BackoffController, now: float, draw: float) -> float | None:
        wait = super().fail(call, now, draw)
        self._add(now, 0.0)
        if wait is None or self._balance + self.RESERVE * self.SECONDS < 1:
            return None
        self._add(now, -1.0)
        return wait

    def _add(self, now: float, amount: float) -> None:
        while self._recent and self._recent[0][0] <= now - self.SECONDS:
            self._balance -= self._recent.popleft()[1]
        self._recent.append((now, amount))
        self._balance += amount


class Envoy(Client):
    """The retry budget of Envoy: of the calls under way a fifth may be retries, and three always."""

    SHARE, LEAST = 0.2, 3

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__(policy, None)
        self._active = self._retries = 0

    def begin(self, now: float) -> BackoffController:
        self._active += 1
        return super().begin(now)

    def fail(self, call: BackoffController, now: float, draw: float) -> float | None:
        self._retries -= call.attempt > 1
        wait = super().fail(call, now, draw)
        if wait is None or self._retries >= max(self.LEAST, self.SHARE * self._active):
            self._active -= 1
            return None
        self._retries += 1
        return wait

    def succeed(self, call: BackoffController, now: float) -> None:
        self._retries -= call.attempt > 1
        self._active -= 1


def each(kind: type[AwsQuota | Finagle | Envoy]) -> Callable[[Storm], list[Client]]:
    """Processes with a budget of another's kind."""
    return lambda storm: [kind(RETRY) for _ in range(storm.processes)]


def ours(
    policy: RetryPolicy = RETRY, *, budget: bool = True, fleet: bool = False, shared: bool = False
) -> Callable[[Storm], list[Client]]:
    """Processes with redouble's budget, or none."""

    def made(storm: Storm) -> list[Client]:
        one = RetryBudget(share=1 / storm.processes if fleet else 1.0) if budget else None
        return clients_of(storm, policy, one, shared=shared)

    return made


# Libraries themselves, as coroutines in virtual time.


class Instant(selectors.SelectSelector):
    """A selector that does not wait: it moves the time of its loop to where the wait would end."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0.0
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without sockets, threads and real time."""

    def __init__(self) -> None:
        self.instant = Instant()
        super().__init__(self.instant)

    def time(self) -> float:
        return self.instant.now


def tenacity() -> Callable[..., Any]:
    """Tenacity with the waits that its documentation recommends for shared services."""
    library = import_module("tenacity")
    decorator: Callable[..., Any] = library.retry(
        stop=library.stop_after_attempt(ATTEMPTS),
        wait=library.wait_random_exponential(multiplier=0.1, max=20),
        retry=library.retry_if_exception_type(TimeoutError),
        reraise=True,
    )
    return decorator


def stamina() -> Callable[..., Any]:
    """Stamina with its defaults."""
    library = import_module("stamina")
    library.instrumentation.set_on_retry_hooks([])
    decorator: Callable[..., Any] = library.retry(on=TimeoutError, attempts=ATTEMPTS)
    return decorator


def backoff() -> Callable[..., Any]:
    """Backoff with its exponential waits and its full jitter."""
    library = import_module("backoff")
    decorator: Callable[..., Any] = library.on_exception(library.expo, TimeoutError, max_tries=ATTEMPTS)
    return decorator


LIBRARIES = {"tenacity": tenacity, "stamina": stamina, "backoff": backoff}


def drive(storm: Storm, decorator: Callable[..., Any]) -> Course:
    """Send the calls of a storm, each through a decorated coroutine function."""
    course, server = Course(storm), Server(storm)
    random.seed(storm.seed)

    @decorator
    async def request(second: int) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        course.attempts[second] += 1
        if now < storm.duration:
            course.load[int(now)] += 1
        answered = server.take(now)
        if answered is None or answered > now + storm.timeout:
            await asyncio.sleep(storm.timeout)
            raise TimeoutError
        await asyncio.sleep(answered - now)

    async def call(second: int) -> None:
        try:
            await request(second)
        except TimeoutError:
            return
        course.succeeded[second] += 1
        ended = asyncio.get_running_loop().time()
        if ended < storm.duration:
            course.good[int(ended)] += 1

    async def come() -> None:
        arrivals, now = Random(storm.seed), 0.0
        async with asyncio.TaskGroup() as calls:
            while True:
                later = now + arrivals.expovariate(storm.load * storm.capacity)
                if later >= storm.duration:
                    return
                arrivals.random()  # by which a process would be chosen
                await asyncio.sleep(later - asyncio.get_running_loop().time())
                now = later
                course.calls[int(now)] += 1
                calls.create_task(call(int(now)))

    play(come())
    return course


def play(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(coroutine)


# The tables.


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    found = list(values)
    return sum(found) / len(found)


def line(label: str, courses: list[Course]) -> str:
    """The figures of one strategy, over all seeds."""
    storm = courses[0].storm
    during = mean(course.amplification(storm.start, storm.end) for course in courses)
    after = mean(course.amplification(storm.end, storm.duration) for course in courses)
    back = [course.recovered for course in courses if course.recovered is not None]
    recovers = f"{mean(back):4.0f} s ({min(back)}-{max(back)})" if back else "   never"
    if back and len(back) < len(courses):
        recovers += f" in {len(back)} of {len(courses)} seeds"
    return f"{label:<34}{during:>8.2f}{after:>8.2f}  {recovers}"


def heading(title: str) -> str:
    """The head of a table of storms."""
    return f"\n{title:<34}{'outage':>8}{'after':>8}  recovers"


def one_process(seeds: int) -> None:
    """The first table."""
    print(heading("one process: attempts per call"))
    for label, made in [
        ("no retry", ours(ONCE, budget=False)),
        ("3 retries, fixed wait", ours(FIXED, budget=False)),
        ("3 retries, exponential", ours(STEADY, budget=False)),
        ("3 retries, full jitter", ours(RETRY, budget=False)),
        ("Finagle, 20 % + 10/s", each(Finagle)),
        ("Envoy, 20 %, least 3", each(Envoy)),
        ("AWS quota, 500/14/1", each(AwsQuota)),
        ("RetryBudget", ours()),
    ]:
        storms = [Storm(seed=seed) for seed in range(1, seeds + 1)]
        print(line(label, [run(storm, made(storm)) for storm in storms]))


def fleets(seeds: int) -> None:
    """The second table."""
    for processes in (10, 100, 400, 1600):
        print(heading(f"{processes} processes: attempts per call"))
        for label, made in [
            ("AWS quota", each(AwsQuota)),
            ("Finagle", each(Finagle)),
            ("RetryBudget alone", ours()),
            (f"RetryBudget, share=1/{processes}", ours(fleet=True)),
            ("RetryBudget, through a store", ours(shared=True)),
        ]:
            storms = [Storm(seed=seed, processes=processes) for seed in range(1, seeds + 1)]
            print(line(label, [run(storm, made(storm)) for storm in storms]))


def libraries(seeds: int) -> None:
    """The third table."""
    print(heading("libraries: attempts per call"))
    logging.disable()
    for name, made in LIBRARIES.items():
        if find_spec(name) is None:
            print(f"{name:<34}not installed")
            continue
        courses = [drive(Storm(seed=seed), made()) for seed in range(1, seeds + 1)]
        print(line(f"{name}, {ATTEMPTS} attempts", courses))


def contentions(seeds: int) -> None:
    """The fourth table."""
    for clients in (50, 100):
        print(f"\n{f'{clients} clients, one row':<34}{'writes':>8}{'ms':>8}")
        for label, curve in STRATEGIES.items():
            model = Contention(clients=clients, trials=20 * seeds)
            work = contend(model, retry(attempts=None, on=ConflictError, backoff=curve))
            print(f"{label:<34}{work.calls:>8.0f}{work.seconds * 1000:>8.0f}")


def main(seeds: int) -> None:
    """Print all of it."""
    began = perf_counter()
    for table in (one_process, fleets, libraries, contentions):
        table(seeds)
    print(f"\n{seeds} seeds, {perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
