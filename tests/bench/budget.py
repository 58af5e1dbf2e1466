"""Measure the costs of the retry budget, and hold it to its bound under threads.

    python tests/bench/budget.py [operations]

Prints nanoseconds for a success, a granted and a refused retry and a refund; then lets 8 threads at one budget with
the shortest switch interval, 2,000,000 operations unless told otherwise, while another thread checks the bound all the
time. The tests do the same with fewer operations.
"""

from __future__ import annotations

import sys
import threading
from random import Random
from time import monotonic, perf_counter
from timeit import repeat
from typing import NamedTuple

from redouble import RetryBudget

THREADS = 8
ROUNDING = 1e-6


class Count:
    """The deeds of one thread; only that thread writes."""

    def __init__(self) -> None:
        self.hits = self.granted = self.refunded = self.denied = 0


class Stress(NamedTuple):
    """The result of a run."""

    operations: int
    hits: int
    kept: int  # of the hits, those that no race lost
    granted: int
    denied: int
    refunded: int
    checks: int
    worst: float  # the largest excess over the bound that any check saw, in tokens: never above 0


def work(budget: RetryBudget, count: Count, operations: int, seed: int) -> None:
    """Succeed, fail and retry at random; one call in three fails at first."""
    chance = Random(seed).random
    for _ in range(operations):
        if chance() < 0.67:
            count.hits += 1  # before the deposit, so that the check never counts too few
            if chance() < 0.5:
                budget.hits += 1
            else:
                budget.hits = one_more(budget.hits)
        elif budget.take():
            count.granted += 1  # after the grant, so that the check never counts too many
            if chance() < 0.5:
                count.refunded += 1
                budget.refund()
        else:
            count.denied += 1


def one_more(hits: int) -> int:
    """An increment in which another thread may come in between, as it may in every one without a GIL."""
    return hits + 1


def excess(budget: RetryBudget, counts: list[Count], began: float) -> float:
    """By how many tokens the bound is passed at this moment; the grants are read first, their allowance last."""
    granted = sum(count.granted for count in counts)
    allowed = sum(count.refunded + budget.ratio * count.hits for count in counts)
    return granted - allowed - budget.burst - budget.trickle * (monotonic() - began)


def stress(operations: int, threads: int = THREADS, seed: int = 1) -> Stress:
    """Let threads at one budget, and check its bound while they work and at the end."""
    budget, counts, began = RetryBudget(), [Count() for _ in range(threads)], monotonic()
    share = operations // threads
    workers = [threading.Thread(target=work, args=(budget, each, share, seed + i)) for i, each in enumerate(counts)]
    before, worst, checks = sys.getswitchinterval(), float("-inf"), 0
    sys.setswitchinterval(1e-6)
    try:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            worst, checks = max(worst, excess(budget, counts, began)), checks + 1
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(before)
    worst, kept = max(worst, excess(budget, counts, began)), budget.snapshot()["successes"]
    sums = {name: sum(getattr(count, name) for count in counts) for name in ("hits", "granted", "denied", "refunded")}
    return Stress(operations=share * threads, kept=kept, checks=checks + 1, worst=worst, **sums)


def nanoseconds(statement: str, budget: RetryBudget) -> float:
    """The least of many short timings, which the rest of the machine leaves alone now and then."""
    times = repeat(statement, globals={"budget": budget}, number=2_000, repeat=500)
    return min(times) * 1e9 / 2_000


def main(operations: int) -> None:
    """Print the costs, then the run under threads."""
    full, empty = RetryBudget(burst=1e9), RetryBudget(burst=0)
    loop = nanoseconds("pass", full)
    for what, statement, budget in [
        ("a success", "budget.hits += 1", full),
        ("a granted retry", "budget.take(0.0)", full),
        ("a refused retry", "budget.take(0.0)", empty),
        ("a refund", "budget.refund()", full),
    ]:
        print(f"{what:<16} {nanoseconds(statement, budget) - loop:5.0f} ns")
    began = perf_counter()
    done = stress(operations)
    print(f"{done.operations} operations of {THREADS} threads in {perf_counter() - began:.0f} s: {done}")
    if done.worst > ROUNDING:
        sys.exit("the bound was passed")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
