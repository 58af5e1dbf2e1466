"""One process of a fleet that shares a budget: threads that succeed, fail and retry, and count in shared memory.

    python fleet_member.py URL BOOK FIRST_SLOT THREADS SECONDS BURST RATIO

Each thread has a slot of four doubles in the file BOOK: successes on the first attempt, granted, refunded, denied. It
counts a success before its deposit and a grant after it, so that a reader who takes the grants first never sees too many.
"""

from __future__ import annotations

import mmap
import sys
import threading
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from redouble.adapters.redis import FleetBudget


def work(budget: FleetBudget, slot: Any, seed: int, ends: float) -> None:
    """Make calls, of which one in three fails at first."""
    draw = Random(seed).random
    hits = granted = refunded = denied = 0
    while monotonic() < ends:
        if draw() < 0.67:
            hits += 1
            slot[0] = hits
            budget.hits += 1
        elif budget.take():
            granted += 1
            slot[1] = granted
            if draw() < 0.5:
                refunded += 1
                slot[2] = refunded
                budget.refund()
        else:
            denied += 1
            slot[3] = denied


def main() -> None:
    """Run the threads, then print how the process sees the store."""
    url, book, first, threads, seconds, burst, ratio = sys.argv[1:]
    budget = FleetBudget("payments", url, burst=float(burst), ratio=float(ratio), share=0.001, timeout=5)
    ends = monotonic() + float(seconds)
    with Path(book).open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        view = memoryview(memory)
        doubles = view.cast("d")
        slots = [doubles[4 * i : 4 * i + 4] for i in range(int(first), int(first) + int(threads))]
        workers = [
            threading.Thread(target=work, args=(budget, slot, int(first) + i, ends)) for i, slot in enumerate(slots)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for slot in slots:
            slot.release()
        doubles.release()
        view.release()
    print("away" if budget.snapshot()["away"] else "there", threading.active_count())


if __name__ == "__main__":
    main()
