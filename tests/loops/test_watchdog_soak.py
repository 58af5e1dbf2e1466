"""A thousand bodies under a watchdog: each ended by exactly what its own gaps say, and nothing is left."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import DeadlineExceeded, watchdog
from redouble.testing import FakeClock, fake_time

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES, CYCLES = settings().max_examples // 20, 500
IDLE, CAP = 5, 20


@pytest.fixture(autouse=True, scope="module")
def silence() -> Iterator[None]:
    """Thousands of lines would say the same."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def expected(gaps: list[int], cancelled: int | None) -> tuple[str, int] | None:
    """What ends a body that touches after each gap, and when, in quarters of a second; `None`: two things at once."""
    now = touched = 0
    for gap in gaps:
        ends = {"next": now + gap, "idle": touched + 4 * IDLE, "cap": 4 * CAP}
        if cancelled is not None:
            ends["cancelled"] = cancelled
        first = min(ends.values())
        ending = [what for what, when in ends.items() if when == first]
        if len(ending) > 1:
            return None
        if ending != ["next"]:
            return ending[0], first
        now = touched = first
    return "end", now


async def play(gaps: list[int], cancelled: int | None, clock: FakeClock) -> tuple[str, float]:
    """What ends the body really, and when."""
    began = clock.now()
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later((10**9 if cancelled is None else cancelled) / 4, task.cancel)
    dog = watchdog(IDLE, CAP)
    try:
        async with dog:
            for gap in gaps:
                await asyncio.sleep(gap / 4)
                dog.touch()
    except DeadlineExceeded as error:
        assert dog.expired
        return ("idle" if "no progress" in str(error) else "cap"), (clock.now() - began) * 4
    except asyncio.CancelledError:
        task.uncancel()
        assert not dog.expired
        return "cancelled", (clock.now() - began) * 4
    finally:
        timer.cancel()
    assert not dog.expired
    return "end", (clock.now() - began) * 4


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_bodies_end_as_their_gaps_say(seed: int) -> None:
    """Also when they are cancelled at any moment; no task, timer or error outlives them."""
    chance = random.Random(seed)
    seen = set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CYCLES):
            gaps = [chance.choice((1, 3, 7, 11, 17, 23)) for _ in range(chance.randrange(12))]
            cancelled = 2 * chance.randrange(50) + 1 if chance.random() < 0.3 else None
            what = expected(gaps, cancelled)
            if what is None:
                continue
            got, when = await play(gaps, cancelled, clock)
            assert (got, when) == (what[0], pytest.approx(what[1]))
            seen.add(got)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(0)
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]

    with fake_time() as clock:
        asyncio.run(main())
    assert seen == {"end", "idle", "cap", "cancelled"}
