"""Pushing the newest snapshot, as a workspace agent does it: what must hold, on virtual time."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import exponential, known_errors, latest, log_retries, permanent, retry, transient

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.testing import FakeClock


class Unimplemented(Exception): ...


class Unavailable(Exception): ...


policy = retry(
    on=permanent(Unimplemented) | transient(Unavailable) | known_errors,
    backoff=exponential(0.25, maximum=30, jitter=None),
    name="push",
)


class World:
    """What owns the state, and the server that it is pushed to; `run` plays both until the loop ends."""

    def __init__(self, clock: FakeClock, asynchronous: bool) -> None:
        kind: Any = asyncio.Event if asynchronous else threading.Event
        self.clock = clock
        self.asynchronous = asynchronous
        self.changed, self.closed, self.stop = kind(), kind(), kind()
        self.state: Any = 1
        self.pushed: list[tuple[float, Any]] = []
        self.waits: list[float] = []
        self.outcomes: list[Any] = []

    def publish(self, state: Any) -> None:
        self.state = state
        self.changed.set()

    def push(self, state: Any) -> Any:
        """The server takes the next outcome; after the last one the owner closes."""
        self.pushed.append((self.clock.now(), state))
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.closed.set()
        if callable(outcome) and not isinstance(outcome, type):
            outcome = outcome()
        if isinstance(outcome, (BaseException, type)):
            raise outcome
        return outcome

    async def push_async(self, state: Any) -> Any:
        return self.push(state)

    def heard(self, event: Any) -> None:
        if event.delay is not None:
            self.waits.append(event.delay)

    def run(
        self,
        *outcomes: Any,
        at: dict[float, Callable[[], object]] | None = None,
        push: Any = None,
        policy: Any = policy,
        **options: Any,
    ) -> Any:
        """Play until the loop ends; `at`: what the owner does when."""
        self.outcomes[:] = outcomes
        watched = policy(observers=[*policy.observers, self.heard])
        push = push or (self.push_async if self.asynchronous else self.push)

        def loop() -> Any:
            return latest(lambda: self.state, push, self.changed, self.closed, watched, **options)

        return asyncio.run(self._play(loop, at or {})) if self.asynchronous else self._play_threads(loop, at or {})

    async def _play(self, loop: Callable[[], Any], at: dict[float, Any]) -> Any:
        for seconds, action in at.items():
            asyncio.get_running_loop().call_later(seconds, action)
        return await loop()

    def _play_threads(self, loop: Callable[[], Any], at: dict[float, Any]) -> Any:
        """Run the loop, and act at these times: all are bound, and have begun before any waits."""
        begun = threading.Barrier(len(at) + 1)

        def later(seconds: float, action: Callable[[], object]) -> None:
            begun.wait(60)
            self.clock.sleep(seconds)
            action()

        owners = [threading.Thread(target=self.clock.bind(later), args=each) for each in at.items()]

        def run_beside() -> Any:
            for owner in owners:
                owner.start()
            begun.wait(60)
            try:
                return loop()
            finally:
                with self.clock.joining():
                    for owner in owners:
                        owner.join()

        return self.clock.bind(run_beside)()

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.pushed]

    @property
    def states(self) -> list[Any]:
        return [state for _, state in self.pushed]


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def world(request: pytest.FixtureRequest, clock: FakeClock) -> World:
    """An owner and a server, of either colour."""
    return World(clock, request.param)


def down() -> Unavailable:
    return Unavailable("no connection")


def test_k01_ten_failures(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """K-1: the waits double from 0.25 s to 30 s, and each warning says its own."""
    with caplog.at_level(logging.INFO):
        loud = policy(observers=[log_retries(level=logging.WARNING)])
        assert world.run(*[down() for _ in range(10)], "ok", policy=loud) is None
    assert world.waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert world.times[-1] == sum(world.waits) and world.states == [1] * 11
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == len(caplog.records) == 10
    for warning, wait in zip(warnings, world.waits, strict=True):
        assert warning.endswith(f"trying again in {wait:.3g} s")


def push_if_implemented(world: World, *outcomes: Any) -> None:
    """The agent's own code: a server that is too old is told of once, and no error."""
    try:
        world.run(*outcomes)
    except Unimplemented:
        logging.getLogger("agent").warning("the server does not take snapshots")


def test_k02_unimplemented_on_the_first_push(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """K-2: a server that does not know the call is asked once; the caller's `except` makes it a normal end."""
    push_if_implemented(world, Unimplemented("push"), "never")
    assert world.pushed == [(0.0, 1)] and world.waits == []
    assert [record.getMessage() for record in caplog.records] == ["the server does not take snapshots"]


def test_k03_unimplemented_after_two_failures(world: World) -> None:
    """K-3: the same after failures that were retried."""
    push_if_implemented(world, down(), down(), Unimplemented("push"), "never")
    assert world.waits == [0.25, 0.5] and world.times == [0.0, 0.25, 0.75]


def test_k04_a_rejection_is_no_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """K-4: what `push` returns from is done with, accepted or not; the next change delivers again."""
    with caplog.at_level(logging.INFO):
        world.run("rejected", "accepted", at={5: lambda: world.publish(2)})
    assert world.pushed == [(0.0, 1), (5.0, 2)] and world.waits == [] and not caplog.records


def test_k05_the_first_push_says_so(world: World) -> None:
    """K-5: a flag of the caller's stays true until a push has come through, a rejected one included."""
    sent: list[tuple[Any, bool]] = []
    initial = True

    def push(state: Any) -> Any:
        nonlocal initial
        sent.append((state, initial))
        world.push(state)
        initial = False

    async def push_async(state: Any) -> Any:
        push(state)

    chosen = push_async if world.asynchronous else push
    world.run(down(), "rejected", "ok", at={5: lambda: world.publish(2)}, push=chosen)
    assert sent == [(1, True), (1, True), (2, False)]


def test_k06_bursts_coalesce(world: World) -> None:
    """K-6: two versions that are published while a push is under way are pushed as one: the newer."""

    def burst() -> str:
        world.publish(2)
        world.publish(3)
        return "ok"

    world.run(burst, "ok")
    assert world.states == [1, 3]


def test_k07_a_fresh_curve_for_each_push(world: World) -> None:
    """K-7: a push that needed three retries leaves nothing of that to the next one."""
    world.run(down(), down(), down(), "ok", down(), "ok", at={60: lambda: world.publish(2)})
    assert world.waits == [0.25, 0.5, 1.0, 0.25] and world.states == [1, 1, 1, 1, 2, 2]


def test_k08_cancelled_while_it_waits(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """K-8: a cancellation in a wait passes; nothing is pushed or said any more."""
    world = World(clock, asynchronous=True)
    world.outcomes[:] = [down(), "never"]

    async def main() -> None:
        loop = latest(lambda: 1, world.push_async, world.changed, world.closed, policy)
        task = asyncio.create_task(loop)
        await asyncio.sleep(0.1)
        said = len(caplog.records)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(100)
        assert len(caplog.records) == said == 1

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert world.pushed == [(0.0, 1)]


def test_k09_not_a_moment_too_early(clock: FakeClock) -> None:
    """K-9: with time held still, nothing is pushed before the whole wait is over, and then at once."""
    world = World(clock, asynchronous=True)
    world.outcomes[:] = [down(), "ok"]

    async def main() -> None:
        trap = clock.trap()
        task = asyncio.create_task(latest(lambda: 1, world.push_async, world.changed, world.closed, policy))
        assert await trap.wait_async() == 0.25
        assert len(world.pushed) == 1
        clock.advance(0.249999)
        await clock.settle()
        assert len(world.pushed) == 1
        clock.advance(0.000001)
        await task
        assert len(world.pushed) == 2

    asyncio.run(main())


def test_k09_not_a_moment_too_early_in_a_thread(clock: FakeClock) -> None:
    """K-9: the same in sync code."""
    world = World(clock, asynchronous=False)
    world.outcomes[:] = [down(), "ok"]
    with clock.trap() as trap:
        loop = clock.bind(lambda: latest(lambda: 1, world.push, world.changed, world.closed, policy))
        worker = threading.Thread(target=loop)
        worker.start()
        assert trap.wait() == 0.25
        assert len(world.pushed) == 1
        clock.advance(0.249999)
        assert worker.is_alive() and len(world.pushed) == 1
        clock.advance(0.000001)
        worker.join()
    assert len(world.pushed) == 2


def test_k10_closed_while_it_waits_for_a_change(world: World) -> None:
    """K-10: closing ends the loop normally, at once."""
    assert world.run("ok", "never", at={7: world.closed.set}) is None
    assert world.pushed == [(0.0, 1)] and world.clock.now() == 7.0


def test_k11_closed_while_it_backs_off(world: World) -> None:
    """K-11: closing ends the wait after a failure as well: nothing is pushed after it."""
    assert world.run(*[down() for _ in range(9)], "never", at={20: world.closed.set}) is None
    assert world.times == [0.0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75] and world.clock.now() == 20.0


def test_k12_the_pushers_own_timeout_is_a_failure(world: World) -> None:
    """K-12: a push that took too long is tried again: whose time was up is never mistaken."""
    if world.asynchronous:

        async def push(state: Any) -> Any:
            async with asyncio.timeout(3):
                if not world.pushed:
                    world.pushed.append((world.clock.now(), state))
                    await asyncio.sleep(60)
                world.push(state)

        world.run("ok", push=push)
        assert world.times == [0.0, 3.25]
    else:
        world.run(TimeoutError("no answer"), "ok")
        assert world.times == [0.0, 0.25]


def test_k13_not_ready_yet(world: World) -> None:
    """K-13: as long as there is no state nothing is pushed; the first one is pushed when it is announced."""
    world.state = None
    world.run("ok", at={2: lambda: world.publish(None), 3: lambda: world.publish(1)})
    assert world.pushed == [(3.0, 1)]


def test_k14_a_change_supersedes_what_waits(world: World) -> None:
    """K-14: with `supersede` a change ends the wait after a failure, and the newest state goes next."""
    failing = [down() for _ in range(6)]
    world.run(*failing, "ok", at={10: lambda: world.publish(2)}, supersede=True)
    assert world.pushed == [(0.0, 1), (0.25, 1), (0.75, 1), (1.75, 1), (3.75, 1), (7.75, 1), (10.0, 2)]


def test_k14_without_it_the_same_state_is_tried_again(world: World) -> None:
    """K-14: by default the wait is waited, and what failed goes first; the newest follows at once."""
    failing = [down() for _ in range(6)]
    world.run(*failing, "ok", "ok", at={10: lambda: world.publish(2)})
    assert world.pushed[-2:] == [(15.75, 1), (15.75, 2)]


def test_k15_a_missing_pusher_is_refused(world: World) -> None:
    """K-15: without something to push with, nothing is read and nothing is begun."""
    read: list[int] = []
    for missing in (None, 5, "push"):
        with pytest.raises(TypeError, match="push must be a callable, got"):
            latest(lambda: read.append(1), missing, world.changed, world.closed, policy)  # type: ignore[call-overload]
    assert read == []
