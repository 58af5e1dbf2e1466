"""latest under a thousand pushes of a flaky server, with changes, ends and cancellations at random moments."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import exponential, latest, retry
from redouble.testing import fake_time

if TYPE_CHECKING:
    from redouble import RetryPolicy
    from redouble.testing import FakeClock

CHANGES, EXAMPLES = 100, settings().max_examples // 5  # 1,000 in all, each with a push or more
LONGEST = 700.0  # seconds after which what is left to push has been pushed: more failures in a row than there are


class Lost(ConnectionError):  # noqa: N818  # short, as in a log
    """A failure that may pass."""


class State:
    """A version."""

    def __init__(self, version: int) -> None:
        self.version = version


class World:
    """An owner that changes its state, and a server that fails often; it holds what must hold at every push."""

    def __init__(self, clock: FakeClock, seed: int, kind: Any) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self.changed, self.closed, self.stop = kind(), kind(), kind()
        self.version = 0
        self.pushed: list[int] = []
        self.accepted: list[int] = []
        self.refs: list[Any] = []
        self.pushing = False
        self.over = False
        self.in_a_row = 0

    @property
    def policy(self) -> RetryPolicy:
        return retry(backoff=exponential(0.25, maximum=30), stop=self.stop)

    def keep(self, thing: Any) -> Any:
        self.refs.append(weakref.ref(thing))
        return thing

    def alive(self) -> list[Any]:
        return [ref() for ref in self.refs if ref() is not None]

    def get(self) -> State | None:
        return self.keep(State(self.version)) if self.version else None

    def change(self) -> None:
        self.version += 1
        self.changed.set()

    def pauses(self) -> list[float]:
        """When the owner changes its state: in bursts, and with long rests."""
        return [self.random.choice([0.0, 0.01, 0.3, 2.0, 40.0]) * self.random.random() for _ in range(CHANGES)]

    def begin(self, state: State) -> float:
        """A push begins; how long it will take."""
        assert not self.over, "a push after the end"
        assert not self.pushing, "two pushes at once"
        assert not self.pushed or state.version >= self.pushed[-1], "an older state after a newer one"
        self.pushing = True
        self.pushed.append(state.version)
        return self.random.choice([0.0, 0.0, 0.1, 1.0])

    def end(self, state: State) -> None:
        """It ends: by a failure, but never more than six in a row."""
        self.pushing = False
        if self.random.random() < 0.6 and self.in_a_row < 6:
            self.in_a_row += 1
            raise self.keep(Lost("no connection"))
        self.in_a_row = 0
        self.accepted.append(state.version)

    def settled(self) -> None:
        """All changes have been made, and there was time: the last state has come through, and nothing is held."""
        assert self.accepted[-1] == self.version == CHANGES
        assert self.alive() == []


async def push_until(world: World, end: str, at: float, supersede: bool) -> None:
    """The loop and its owner as tasks, up to the end that was chosen."""

    async def push(state: State) -> None:
        try:
            await asyncio.sleep(world.begin(state))
        except asyncio.CancelledError:
            world.pushing = False
            raise
        world.end(state)

    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(
        latest(world.get, push, world.changed, world.closed, world.policy, supersede=supersede)
    )
    ends = {"closed": world.closed.set, "stop": world.stop.set, "cancel": task.cancel}
    if end in ends:
        loop.call_later(at, ends[end])
    for pause in world.pauses():
        await asyncio.sleep(pause)
        world.change()
    await asyncio.sleep(LONGEST)
    if end == "settled":
        world.settled()
        world.closed.set()
    await asyncio.wait([task])
    assert task.cancelled() if end == "cancel" else task.result() is None
    world.over = True
    del task, ends
    await asyncio.sleep(LONGEST)
    assert world.alive() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@settings(max_examples=EXAMPLES)
@given(
    st.integers(min_value=0),
    st.sampled_from(["settled", "settled", "closed", "stop", "cancel"]),
    st.floats(0, 600),
    st.booleans(),
)
def test_the_last_state_wins(seed: int, end: str, at: float, supersede: bool) -> None:
    """Never two pushes at once, none older than the one before, the last state last, and nothing is left behind."""
    gc.collect()
    gc.disable()
    try:
        with fake_time(draw=random.Random(seed).random) as clock:
            asyncio.run(push_until(World(clock, seed, asyncio.Event), end, at, supersede))
    finally:
        gc.enable()


@settings(max_examples=EXAMPLES)
@given(st.integers(min_value=0), st.booleans())
def test_the_last_state_wins_in_threads(seed: int, supersede: bool) -> None:
    """The same with a thread that pushes and a thread that changes."""
    with fake_time(draw=random.Random(seed).random) as clock:
        world = World(clock, seed, threading.Event)

        def push(state: State) -> None:
            clock.sleep(world.begin(state))
            world.end(state)

        def own() -> None:
            for pause in world.pauses():
                clock.sleep(pause)
                world.change()
            clock.sleep(LONGEST)
            world.settled()
            world.closed.set()

        owner = threading.Thread(target=clock.bind(own))
        owner.start()
        latest(world.get, push, world.changed, world.closed, world.policy, supersede=supersede)
        owner.join()
        assert world.closed.is_set() and world.alive() == []
