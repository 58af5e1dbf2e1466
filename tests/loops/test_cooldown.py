"""A cooldown in the loops: their attempts wait for what the server asked of another call."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Cooldown, Event, EventKind, constant, latest, poll, reconnect, resume, retry
from redouble.loops import Checkpoint
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redouble import RetryPolicy
    from redouble.testing import FakeClock

SHARED = Cooldown("loops")


class Memory(Checkpoint):
    """A checkpoint that is forgotten."""

    def load(self) -> Any:
        return 0

    def save(self, cursor: Any) -> None: ...


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """Virtual time, in which the server has asked for ten seconds; all draws are 0.5."""
    with fake_time(draw=0.5) as clock:
        SHARED.under(clock).hold(10)
        yield clock


def policy(*observers: Callable[[Event], object], **changes: Any) -> RetryPolicy:
    """A policy that shares the cooldown."""
    return retry(cooldown=SHARED, backoff=constant(1), observers=observers, **changes)


def polled(policy: RetryPolicy, at: Callable[[], None]) -> None:
    poll(at, policy)


def pushed(policy: RetryPolicy, at: Callable[[], None]) -> None:
    closed = threading.Event()

    def push(state: int) -> None:
        at()
        closed.set()

    latest(lambda: 1, push, threading.Event(), closed, policy)


def read(policy: RetryPolicy, at: Callable[[], None]) -> None:
    def fetch(cursor: int) -> tuple[list[int], int | None]:
        at()
        return [], None

    for page in resume(fetch, Memory(), policy):
        with page:
            pass


def connected(policy: RetryPolicy, at: Callable[[], None]) -> None:
    for session in reconnect(lambda: Connection(at), policy):
        with session:
            break


class Connection:
    def __init__(self, at: Callable[[], None]) -> None:
        at()

    def close(self) -> None: ...


async def connected_async(policy: RetryPolicy, at: Callable[[], None]) -> None:
    async def open_() -> Connection:
        return Connection(at)

    async for session in reconnect(open_, policy):
        async with session:
            break


async def read_async(policy: RetryPolicy, at: Callable[[], None]) -> None:
    async def fetch(cursor: int) -> tuple[list[int], int | None]:
        at()
        return [], None

    async for page in resume(fetch, Memory(), policy):
        async with page:
            pass


async def polled_async(policy: RetryPolicy, at: Callable[[], None]) -> None:
    async def ask() -> None:
        at()

    await poll(ask, policy)


LOOPS = [polled, pushed, read, connected, polled_async, read_async, connected_async]

loop = pytest.mark.parametrize("play", LOOPS, ids=lambda play: play.__name__)


def run(play: Callable[..., Any], policy: RetryPolicy, at: Callable[[], None]) -> None:
    """Play a loop, on an event loop if need be."""
    if inspect.iscoroutinefunction(play):
        asyncio.run(play(policy, at))
    else:
        play(policy, at)


@loop
def test_the_first_attempt_of_a_loop_waits(play: Callable[..., Any], clock: FakeClock) -> None:
    """A question, a push, a fetch and a dial begin when the server wants them."""
    at: list[float] = []
    told: list[Event] = []
    run(play, policy(told.append), lambda: at.append(clock.now()))
    assert at == [10.5]
    assert [(event.kind, event.attempt, event.delay) for event in told][:1] == [(EventKind.HELD, 1, 10.5)]


@loop
def test_its_later_attempts_wait(play: Callable[..., Any], clock: FakeClock) -> None:
    """What another call was told during a wait holds here too."""
    at: list[float] = []

    def operate() -> None:
        at.append(clock.now())
        if len(at) == 1:
            raise ConnectionResetError("reset")

    def lengthen(event: Event) -> None:
        if event.kind is EventKind.RETRY:
            SHARED.under(clock).hold(20)

    run(play, policy(lengthen, attempts=5), operate)
    assert at == [10.5, 31.5]


@loop
def test_a_stop_ends_the_wait(play: Callable[..., Any], clock: FakeClock) -> None:
    """A loop that is stopped ends in order; what asks, pushes or fetches is not called, but for a poll's first question."""
    at: list[float] = []
    stop = threading.Event()
    run(play, policy(lambda event: stop.set(), stop=stop), lambda: at.append(clock.now()))
    assert at == ([0.0] if "polled" in play.__name__ else [])
    assert clock.now() == 0.0


def test_a_push_sends_the_newest_state(clock: FakeClock) -> None:
    """What changed while the push was held back is what is sent."""
    changed, closed, sent, states = threading.Event(), threading.Event(), [], iter("ab")

    def push(state: str) -> None:
        sent.append(state)
        closed.set()

    latest(lambda: next(states), push, changed, closed, policy(lambda event: changed.set()))
    assert sent == ["b"] and clock.now() == 10.5


def test_a_person_who_resets_a_link_does_not_wait(clock: FakeClock) -> None:
    """`link.reset()` dials at once, also where a cooldown holds the dial back."""
    at: list[float] = []
    link: Any = reconnect(lambda: Connection(lambda: at.append(clock.now())), policy(lambda event: link.reset()))
    for session in link:
        with session:
            break
    assert at == [0.0]


def test_a_loop_has_none_of_its_own() -> None:
    """`cooldown=True` is a decorated function's."""
    own = retry(cooldown=True)
    loops: list[Callable[[], object]] = [
        lambda: poll(int, own),
        lambda: latest(lambda: 1, print, threading.Event(), None, own),
        lambda: resume(lambda cursor: ([], None), Memory(), own),
        lambda: reconnect(open, own),
    ]
    for made in loops:
        with pytest.raises(ValueError, match="cooldown=True is one for each decorated function"):
            made()


def test_answers_that_are_not_ready_hold_nothing_back(clock: FakeClock) -> None:
    """The interval of one poll is no limit for others; its questions wait for what others were told."""
    assert poll(scripted("queued", "done"), policy(), until=lambda job: job == "done", interval=3) == "done"
    assert clock.sleeps == [10.5, 3.0]
