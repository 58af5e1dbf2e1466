"""Measure the retry budget of a fleet on the loopback: the time of a decision, and the requests to the store.

    python tests/bench/fleet.py [redis-server] [decisions]

Starts a server of its own on a free port (`valkey-server` will do as well), then prints

1. for decisions one after the other (5,000), p50 and p99 in microseconds: of a retry for which the store is asked, of one
   for which a leased token is at hand, of a refusal, and of the script alone, by redis-py without a thread;
2. the same of the store's share of a retried coroutine's decision, and by how much the event loop is late meanwhile;
3. requests to the store for a model fleet: the storm of `redouble simulate` with 160 calls a second, from 1 to 1600
   processes (in virtual time).
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from statistics import quantiles
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any

import redis

from redouble import RetryBudget, constant, retry
from redouble.adapters.redis import SCRIPT, FleetBudget
from redouble.cli.storm import FleetClient, clients_of, run
from redouble.cli.worlds import Storm
from redouble.control.leases import FOREVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT = 5.0
PROCESSES = (1, 10, 100, 400, 1600)


@contextmanager
def server(program: str) -> Iterator[str]:
    """The URL of a server that lives as long as the block."""
    path = shutil.which(program)
    if path is None:
        sys.exit(f"{program} is not installed: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as directory:
        command = [path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait(port)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _wait(port: str) -> None:
    began = monotonic()
    with closing(redis.Redis(port=int(port))) as client:
        while monotonic() - began < 20:
            with suppress(redis.ConnectionError):
                client.ping()
                return
            sleep(0.01)
    sys.exit("the server does not answer")


def timed(decide: Callable[[], Any], decisions: int, before: Callable[[], None] | None = None) -> list[float]:
    """The microseconds of each decision."""
    found = []
    for _ in range(decisions):
        if before is not None:
            before()
        began = perf_counter()
        decide()
        found.append((perf_counter() - began) * 1e6)
    return found


def show(label: str, microseconds: list[float]) -> None:
    """Print the median and the 99th percentile."""
    cuts = quantiles(microseconds, n=100)
    print(f"{label:<46}{cuts[49]:8.1f}{cuts[98]:10.1f}")


def decisions(url: str, number: int) -> None:
    """The first table."""
    print(f"{'microseconds of a decision, ' + str(number) + ' of each':<46}{'p50':>8}{'p99':>10}")
    full = FleetBudget("full", url, burst=1e9, trickle=1e6, timeout=PATIENT)
    for _ in range(100):
        full.take()

    def empty_hands() -> None:
        full._hand, full._asked_at = 0.0, float("-inf")  # so that each decision asks, and for one token

    show("granted, the store is asked", timed(full.take, number, empty_hands))
    show("granted, a token is at hand", timed(full.take, number, lambda: setattr(full, "_hand", 5.0)))
    empty = FleetBudget("empty", url, burst=0, trickle=0, timeout=PATIENT)
    show("refused, the store is asked", timed(empty.take, number, lambda: setattr(empty, "_empty_until", 0.0)))
    empty.take()
    show("refused within the second after", timed(empty.take, number, lambda: setattr(empty, "_empty_until", 1e18)))
    with closing(redis.Redis.from_url(url)) as client:
        values = [repr(each) for each in (0.1, 1e9, 10.0, 0.1, 0.0, 0.0, 1.0, 1.0, FOREVER, 60_000, 0.0)]
        sha = client.script_load(SCRIPT)
        show("the script alone, by redis-py", timed(lambda: client.evalsha(sha, 1, "alone", *values), number))
    local = RetryBudget(burst=1e9)
    show("a RetryBudget of one process", timed(local.take, number))


def coroutines(url: str, number: int) -> None:
    """The second table."""
    budget = FleetBudget("coroutines", url, burst=1e9, trickle=1e6, timeout=PATIENT)
    fails = True

    @retry(budget=budget, backoff=constant(0))
    async def fetch() -> None:
        nonlocal fails
        fails = not fails
        if not fails:
            raise ConnectionResetError

    late: list[float] = []

    async def tick() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(0)
            late.append((perf_counter() - began) * 1e6)

    async def main() -> list[float]:
        took = []
        for _ in range(50):
            await fetch()
        ticking = asyncio.create_task(tick())
        for _ in range(number):
            budget._hand, budget._asked_at = 0.0, float("-inf")
            began = perf_counter()
            await fetch()
            took.append((perf_counter() - began) * 1e6)
        ticking.cancel()
        return took

    took = asyncio.run(main())
    show("a call with one retry in asyncio, backoff 0", took)
    show("the loop's other tasks are late meanwhile by", late)


def requests() -> None:
    """The third table."""
    print(f"\n{'requests to the store, 160 calls a second':<46}{'mean/s':>8}{'outage/s':>10}")
    for processes in PROCESSES:
        mean, outage = rates(Storm(processes=processes))
        print(f"{f'{processes} processes':<46}{mean:8.1f}{outage:10.1f}")


def rates(storm: Storm) -> tuple[float, float]:
    """Requests a second, over the whole storm and in its outage."""
    clients = clients_of(storm, retry(attempts=4, on=TimeoutError), RetryBudget(), shared=True)
    first, marks = clients[0], {}
    assert isinstance(first, FleetClient)

    def mark(share: float) -> None:
        marks[round(share * storm.duration)] = first.store.requests

    run(storm, clients, mark)
    return first.store.requests / storm.duration, (marks[storm.end] - marks[storm.start]) / storm.outage


def main(program: str = "redis-server", number: str = "5000") -> None:
    """Print all of it."""
    with server(program) as url:
        decisions(url, int(number))
        coroutines(url, int(number) // 5)
    requests()


if __name__ == "__main__":
    main(*sys.argv[1:])
