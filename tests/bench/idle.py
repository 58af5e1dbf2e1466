"""The cost of doing nothing: idle `latest` loops and parked links, on each host.

    python tests/bench/idle.py [seconds] [loops]

For each host, 50 loops wait for 10 s, after a moment in which they come to rest: `latest` for a change, a parked link for a
reset. The figures are those of the whole process in that time: CPU time, and voluntary context switches, each of which is
a wakeup. `nothing` is the process without loops; `wakes` tells the seconds until all loops have ended when they are told
to. `latest` waits for an event of the host's own (`idle`), or for a `threading.Event` (`foreign`), which is the only kind
that it takes on trio.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from redouble import latest, reconnect, retry

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
LOOPS = int(sys.argv[2]) if len(sys.argv) > 2 else 50
REST = 1.0
ONCE = retry(attempts=1, observers=None)


def refuse() -> Any:
    """Dial in vain."""
    raise ConnectionRefusedError


async def refuse_async() -> Any:
    """Dial in vain, in a coroutine."""
    raise ConnectionRefusedError


class Idle:
    """`latest` loops without a change, which an event of their host would tell."""

    new_event: Callable[[], Any] = asyncio.Event

    def __init__(self, stop: Any) -> None:
        self.stop = stop

    def in_a_thread(self) -> None:
        latest(lambda: None, lambda state: None, threading.Event(), self.stop, ONCE)

    async def in_a_task(self) -> None:
        async def push(state: object) -> None: ...

        await latest(lambda: None, push, self.new_event(), self.stop, ONCE)


class Foreign(Idle):
    """`latest` loops in tasks, which a `threading.Event` would tell."""

    new_event = threading.Event


class Parked:
    """Links that have given up."""

    def __init__(self, stop: Any) -> None:
        self.policy = ONCE(stop=stop)

    def in_a_thread(self) -> None:
        for _ in reconnect(refuse, self.policy, give_up="park"):
            raise AssertionError

    async def in_a_task(self) -> None:
        async for _ in reconnect(refuse_async, self.policy, give_up="park"):
            raise AssertionError


class Nothing(Idle):
    """No loops at all: threads and tasks that end at once."""

    def in_a_thread(self) -> None:
        return

    async def in_a_task(self) -> None:
        return


def usage() -> tuple[float, int]:
    """Return the CPU seconds and the voluntary context switches of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_nvcsw


def measured(work: Callable[[], None]) -> tuple[float, int]:
    """Return the CPU seconds and context switches while something waits."""
    cpu, switches = usage()
    work()
    cpu_after, switches_after = usage()
    return cpu_after - cpu, switches_after - switches


def on_threads(kind: Any) -> tuple[float, int, float]:
    """Measure loops in threads."""
    stop = threading.Event()
    threads = [threading.Thread(target=kind(stop).in_a_thread) for _ in range(LOOPS)]
    for thread in threads:
        thread.start()
    time.sleep(REST)
    found = measured(lambda: time.sleep(SECONDS))
    began = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join()
    return *found, time.monotonic() - began


async def on_asyncio(kind: Any) -> tuple[float, int, float]:
    """Measure loops in tasks of asyncio."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(kind(stop).in_a_task()) for _ in range(LOOPS)]
    await asyncio.sleep(REST)
    cpu, switches = usage()
    await asyncio.sleep(SECONDS)
    cpu_after, switches_after = usage()
    began = time.monotonic()
    stop.set()
    await asyncio.wait(tasks)
    return cpu_after - cpu, switches_after - switches, time.monotonic() - began


async def on_trio(kind: Any) -> tuple[float, int, float]:
    """Measure loops in tasks of trio."""
    import trio

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(LOOPS):
            nursery.start_soon(kind(stop).in_a_task)
        await trio.sleep(REST)
        cpu, switches = usage()
        await trio.sleep(SECONDS)
        cpu_after, switches_after = usage()
        began = time.monotonic()
        stop.set()
    return cpu_after - cpu, switches_after - switches, time.monotonic() - began


def main() -> None:
    """Print a table."""
    logging.getLogger("redouble").setLevel(logging.CRITICAL)
    print(f"{LOOPS} loops, {SECONDS:g} s; Python {sys.version.split()[0]}")
    print(f"{'host':<10}{'loops':<10}{'CPU ms':>10}{'switches':>10}{'wakes s':>10}")
    hosts: dict[str, tuple[Callable[[Any], Any], list[type]]] = {
        "threads": (on_threads, [Nothing, Idle, Parked]),
        "asyncio": (lambda kind: asyncio.run(on_asyncio(kind)), [Nothing, Idle, Foreign, Parked]),
    }
    if importlib.util.find_spec("trio"):
        import trio

        hosts["trio"] = (lambda kind: trio.run(on_trio, kind), [Nothing, Foreign, Parked])
    for host, (run, kinds) in hosts.items():
        for kind in kinds:
            cpu, switches, wakes = run(kind)
            print(f"{host:<10}{kind.__name__.lower():<10}{1000 * cpu:>10.1f}{switches:>10}{wakes:>10.3f}")


if __name__ == "__main__":
    main()
