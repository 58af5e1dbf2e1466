"""Floor 5. What ends around: each scope and watchdog around each retried call and loop, on threads, asyncio and trio."""

# ruff: noqa: D103  # the surfaces say what they are by their names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from redouble import (
    DeadlineExceeded,
    Stopped,
    constant,
    current_attempt,
    deadline,
    latest,
    outcome,
    override,
    poll,
    reconnect,
    resume,
    retry,
    watchdog,
)
from redouble.control.clock import SystemClock
from redouble.testing import FakeClock, fake_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

EVER = retry(on=Exception, attempts=None, backoff=constant(1), nested="multiply")
"""Retries each error for ever, so that nothing but what is around ends it."""

LIMIT = 5
MOST = 20  # calls, after which a test gives up: whatever is around has not ended it


class TrioClock(SystemClock):
    """Trio's own clock, whose time a `MockClock` makes virtual."""

    def now(self) -> float:
        return trio.current_time()


class Memory:
    """A checkpoint in memory."""

    cursor: Any = None

    def load(self) -> Any:
        return self.cursor

    def save(self, cursor: Any) -> None:
        self.cursor = cursor


class Operation:
    """What is called: does as told, and counts."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self.does, self.calls = does, 0

    def __call__(self, *_: object) -> Any:
        self.calls += 1
        if self.calls > MOST:
            raise KeyboardInterrupt("nothing has ended it")
        return self.does()


def call(op: Any) -> None:
    EVER(lambda: op())()


def block(op: Any) -> None:
    for attempt in EVER:
        with attempt:
            op()


def asking(op: Any) -> None:
    poll(op, EVER, interval=1)


def pushing(op: Any) -> None:
    latest(lambda: "state", op, threading.Event(), None, EVER)


def reading(op: Any) -> None:
    for page in resume(op, Memory(), EVER):
        with page:
            pass


def body_of_a_page(op: Any) -> None:
    for page in resume(lambda cursor: ((), None), Memory(), EVER):
        with page:
            op()


def dialling(op: Any) -> None:
    for session in reconnect(op, EVER):
        with session:
            pass


def body_of_a_session(op: Any) -> None:
    for session in reconnect(lambda: None, EVER, stable_after=0):
        with session:
            op()


def within_another(op: Any) -> None:
    EVER.call(asking, op)


SYNC = [call, block, asking, pushing, reading, body_of_a_page, dialling, body_of_a_session, within_another]


async def call_async(op: Any) -> None:
    await EVER(op.later)()


async def block_async(op: Any) -> None:
    async for attempt in EVER:
        async with attempt:
            await op.later()


async def asking_async(op: Any) -> None:
    await poll(op.later, EVER, interval=1)


async def pushing_async(op: Any) -> None:
    await latest(lambda: "state", op.later, threading.Event(), None, EVER)


async def reading_async(op: Any) -> None:
    async for page in resume(op.later, Memory(), EVER):
        async with page:
            pass


async def body_of_a_page_async(op: Any) -> None:
    async for page in resume(lambda cursor: ((), None), Memory(), EVER):
        async with page:
            await op.later()


async def dialling_async(op: Any) -> None:
    async for session in reconnect(op.later, EVER):
        async with session:
            pass


async def body_of_a_session_async(op: Any) -> None:
    async for session in reconnect(lambda: None, EVER, stable_after=0):
        async with session:
            await op.later()


async def within_another_async(op: Any) -> None:
    await EVER.call(asking_async, op)


ASYNC = [
    call_async,
    block_async,
    asking_async,
    pushing_async,
    reading_async,
    body_of_a_page_async,
    dialling_async,
    body_of_a_session_async,
    within_another_async,
]


class Later(Operation):
    """The same, for coroutines: `does` is a coroutine function."""

    async def later(self, *_: object) -> Any:
        return await self()


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[str]]:
    """The lines about watchdogs."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("watchdog:"):
                found.append(record.getMessage())

    logger, handler = logging.getLogger("redouble"), Handler()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def in_asyncio(main: Callable[[Callable[[float], Awaitable[None]], Callable[[], float]], Awaitable[None]]) -> None:
    """Run on asyncio's virtual time, with its sleep and its clock."""
    with fake_time() as clock:

        async def run() -> None:
            await main(asyncio.sleep, clock.now)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(run())


def in_trio(main: Callable[[Callable[[float], Awaitable[None]], Callable[[], float]], Awaitable[None]]) -> None:
    """Run on trio's virtual time."""

    async def run() -> None:
        began = trio.current_time()
        with override(clock=TrioClock()):
            await main(trio.sleep, lambda: trio.current_time() - began)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


def fail() -> Any:
    raise ConnectionResetError("down")


# Threads.


@pytest.mark.parametrize("surface", SYNC)
def test_a_watchdog_ends_what_fails_on_threads(clock: FakeClock, lines: list[str], surface: Any) -> None:
    """Its time over, a synchronous watchdog ends the call or loop beneath it, which goes on failing: its own error, once."""
    op = Operation(fail)
    expected = pytest.raises(DeadlineExceeded, match=r"^no progress for 5 s, after 5 s in all$")
    with expected as caught, watchdog(LIMIT) as dog:
        surface(op)
    assert dog.expired and clock.now() == LIMIT and op.calls == LIMIT and len(lines) == 1
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert outcome(caught.value) is None and outcome(caught.value.__cause__) is None


@pytest.mark.parametrize("surface", SYNC)
@pytest.mark.parametrize("method", ["touch", "check"])
def test_what_a_watchdog_says_is_not_retried(clock: FakeClock, lines: list[str], surface: Any, method: str) -> None:
    """What `touch()` and `check()` raise within an attempt comes out at once, whatever the rules say."""

    def late() -> Any:
        clock.advance(7)
        getattr(dog, method)()

    op = Operation(late)
    with pytest.raises(DeadlineExceeded, match="no progress for 5 s, after 7 s in all"), watchdog(LIMIT) as dog:
        surface(op)
    assert op.calls == 1 and len(lines) == 1


@pytest.mark.parametrize("surface", SYNC)
def test_what_is_touched_is_not_ended_on_threads(clock: FakeClock, surface: Any) -> None:
    """A watchdog that is touched ends nothing; the hard cap does."""

    def touching() -> Any:
        dog.touch()
        fail()

    op = Operation(touching)
    with pytest.raises(DeadlineExceeded, match="the hard cap of 12 s"), watchdog(LIMIT, 12) as dog:
        surface(op)
    assert clock.now() == 12 and op.calls == 12


@pytest.mark.parametrize("surface", SYNC)
def test_a_watchdog_ends_a_long_wait(clock: FakeClock, surface: Any) -> None:
    """A wait of an hour ends with the watchdog's time; no attempt follows it."""
    op = Operation(fail)
    with pytest.raises(DeadlineExceeded, match="after 5 s in all"), watchdog(LIMIT), override(backoff=constant(3600)):
        surface(op)
    assert clock.now() == LIMIT and op.calls == 1


@pytest.mark.parametrize("way", ["call", "resume", "latest"])
def test_a_wait_goes_on_where_another_thread_touches(clock: FakeClock, way: str) -> None:
    """A wait longer than the idle time is waited to its end, as long as the watchdog is touched meanwhile."""
    closed = threading.Event()

    def work() -> Any:
        if op.calls < 2:
            fail()
        closed.set()
        return ((), None)

    op = Operation(work)
    patient = EVER(backoff=constant(18))

    def touching() -> None:
        for _ in range(5):
            clock.sleep(4)
            dog.touch()

    with watchdog(LIMIT) as dog:
        thread = threading.Thread(target=clock.bind(touching))
        thread.start()
        if way == "call":
            patient.call(op)
        elif way == "latest":
            latest(lambda: "state", op, threading.Event(), closed, patient)
        else:
            for page in resume(op, Memory(), patient):
                with page:
                    pass
        assert clock.now() == 18 and op.calls == 2
        with clock.joining():
            thread.join()


@pytest.mark.parametrize("surface", SYNC)
def test_a_deadline_ends_what_fails_on_threads(clock: FakeClock, surface: Any) -> None:
    """A `with deadline()` around ends it with the operation's own error, which says that it was this scope."""
    op = Operation(fail)
    with pytest.raises(ConnectionResetError) as caught, deadline(LIMIT) as limit:
        surface(op)
    assert limit.ended(caught.value) and clock.now() <= LIMIT and op.calls <= LIMIT + 1


@pytest.mark.parametrize("around", [deadline, watchdog])
def test_answers_that_are_not_ready_are_ended(clock: FakeClock, around: Any) -> None:
    """A poll whose answers are no failures ends with what is around it as well."""
    op = Operation(lambda: "queued")
    with pytest.raises(TimeoutError), around(LIMIT):
        poll(op, EVER, until=lambda answer: answer == "done", interval=1)
    assert LIMIT - 1 <= clock.now() <= LIMIT and op.calls <= LIMIT + 1


def test_a_parked_link_is_ended(clock: FakeClock) -> None:
    """A link that is parked for good ends with what is around it."""
    for around in (deadline, watchdog):
        op = Operation(fail)
        with pytest.raises(DeadlineExceeded), around(LIMIT):
            list(reconnect(op, EVER(attempts=1), give_up="park"))
        assert op.calls == 1
    assert clock.now() == 2 * LIMIT


def test_a_read_that_gets_on_is_ended(clock: FakeClock) -> None:
    """Pages without an end, which nobody counts as progress, end with the watchdog, between two pages."""
    memory = Memory()
    with pytest.raises(DeadlineExceeded, match="no progress for 5 s"), watchdog(LIMIT):
        for page in resume(lambda cursor: ((), (cursor or 0) + 1), memory, EVER):
            with page:
                clock.advance(2)
    assert memory.cursor == 3


def test_an_idle_push_is_ended(clock: FakeClock) -> None:
    """`latest`, which waits for a change, ends with the watchdog; a deadline ends it in order."""
    op = Operation(lambda: None)
    with pytest.raises(DeadlineExceeded, match="after 5 s in all"), watchdog(LIMIT):
        pushing(op)
    assert clock.now() == LIMIT
    with deadline(LIMIT):
        pushing(op)
    assert clock.now() == 2 * LIMIT and op.calls == 2


def test_the_end_of_an_inner_scope_is_a_failure(clock: FakeClock) -> None:
    """What ends within the attempt, a watchdog or a call with a deadline of its own, is retried as any failure."""

    def inner() -> str:
        attempt = current_attempt()
        assert attempt is not None
        if attempt.number == 3:
            return "done"
        with watchdog(2) if attempt.number == 1 else deadline(2):
            asking(Operation(fail))
        return "not reached"

    assert EVER.call(inner) == "done" and clock.now() == 2 + 1 + 2 + 1


def test_the_outer_of_two_that_are_over_speaks(clock: FakeClock, lines: list[str]) -> None:
    """Where two watchdogs are over at once, the outer one ends it, so that nothing between tries something else."""
    with pytest.raises(DeadlineExceeded, match="after 5 s in all"), watchdog(LIMIT) as outer, watchdog(LIMIT) as within:
        call(Operation(fail))
    assert outer.expired and not within.expired and len(lines) == 1


def test_a_fallback_beneath_the_same_scope(clock: FakeClock) -> None:
    """Another way, tried beneath the scope which has ended the first one, is retried within what is left."""
    with deadline(LIMIT) as limit:
        try:
            retry(on=OSError, backoff=constant(9)).call(fail)
        except ConnectionResetError as error:
            first = error
        assert limit.ended(first)

        def second() -> str:
            if op.calls < 3:
                raise OSError("second way") from first
            return "done"

        op = Operation(second)
        assert EVER.call(op) == "done" and clock.now() == 2


# asyncio and trio.


HOSTS = pytest.mark.parametrize("run", [in_asyncio, in_trio])


@HOSTS
@pytest.mark.parametrize("surface", ASYNC)
@pytest.mark.parametrize(("form", "does"), [("async with", "fails"), ("async with", "hangs"), ("with", "fails")])
def test_a_watchdog_ends_coroutines(lines: list[str], run: Any, surface: Any, form: str, does: str) -> None:
    """In coroutines, too, it ends what fails for ever, in either form, and as `async with` also what hangs."""

    async def main(sleep: Any, now: Any) -> None:
        op = Later(lambda: sleep(3600) if does == "hangs" else failing())
        dog = watchdog(LIMIT)
        with pytest.raises(DeadlineExceeded, match=r"^no progress for 5 s, after 5 s in all$"):
            if form == "with":
                with dog:
                    await surface(op)
            else:
                async with dog:
                    await surface(op)
        assert dog.expired and now() == LIMIT and op.calls <= LIMIT

    async def failing() -> None:
        fail()

    run(main)
    assert len(lines) == 1


@HOSTS
@pytest.mark.parametrize("surface", ASYNC)
@pytest.mark.parametrize("form", ["async with", "with"])
@pytest.mark.parametrize("does", ["fails", "hangs"])
def test_a_deadline_ends_coroutines(run: Any, surface: Any, form: str, does: str) -> None:
    """A deadline ends what fails with its own error, and cuts off what hangs, and says that it was the one."""

    async def main(sleep: Any, now: Any) -> None:
        op = Later(lambda: sleep(3600) if does == "hangs" else failing())
        limit = deadline(LIMIT + 0.5)  # at 5 s itself a wait ends, too
        if surface in (body_of_a_page_async, body_of_a_session_async) and (form, does) == ("with", "hangs"):
            pytest.skip("the body of a page is the user's own, which a plain `with` does not cancel")
        with pytest.raises((ConnectionResetError, DeadlineExceeded)) as caught:
            if form == "with":
                with limit:
                    await surface(op)
            else:
                async with limit:
                    await surface(op)
        assert limit.ended(caught.value) and now() <= LIMIT + 0.5 and op.calls <= LIMIT + 1
        assert (type(caught.value) is DeadlineExceeded) is (does == "hangs")

    async def failing() -> None:
        fail()

    run(main)


@pytest.mark.parametrize("surface", ASYNC)
@pytest.mark.parametrize("around", [watchdog, deadline])
def test_a_cancellation_that_was_taken_for_a_failure(surface: Any, around: Any) -> None:
    """An operation that turns its cancellation into an error of its own is not tried again: the time is over."""

    async def main(sleep: Any, now: Any) -> None:
        async def converting() -> None:
            try:
                await sleep(3600)
            except asyncio.CancelledError:
                raise ConnectionResetError("cancelled, or broken?") from None

        op = Later(converting)
        with pytest.raises((DeadlineExceeded, ConnectionResetError)) as caught:
            async with around(LIMIT) as limit:
                await surface(op)
        assert op.calls == 1 and now() == LIMIT
        assert limit.expired and (around is watchdog or limit.ended(caught.value))
        assert around is deadline or type(caught.value) is DeadlineExceeded

    in_asyncio(main)


def test_a_thread_beneath_a_watchdog_of_asyncio_stops() -> None:
    """A loop in a thread, which nothing can cancel, ends with the watchdog around `asyncio.to_thread`."""
    ended: list[BaseException] = []

    def work(op: Any) -> None:
        try:
            asking(op)
        except BaseException as error:
            ended.append(error)
            raise

    with fake_time() as clock:

        async def main() -> None:
            with pytest.raises(DeadlineExceeded):
                async with watchdog(LIMIT):
                    await asyncio.to_thread(work, Operation(fail))

        asyncio.run(main())
    assert isinstance(ended[0], ConnectionResetError) and clock.now() <= LIMIT + 1


@HOSTS
def test_an_inner_watchdog_may_be_retried(run: Any) -> None:
    """A watchdog within the attempt is a timeout like any other to the retry around it."""

    async def main(sleep: Any, now: Any) -> None:
        rounds: list[int] = []

        @retry(backoff=constant(1))
        async def pull() -> str:
            rounds.append(1)
            async with watchdog(LIMIT):
                await poll(failing if len(rounds) < 3 else done, EVER, interval=1)
            return "done"

        async def done() -> str:
            return "ready"

        assert await pull() == "done" and now() == LIMIT + 1 + LIMIT + 1

    async def failing() -> None:
        fail()

    run(main)


# The other two ends from around: a retried call with a written deadline, and a stop that a scope hands down.

OUTER = retry(on=Exception, attempts=None, deadline=LIMIT, backoff=constant(1), nested="multiply")


@pytest.mark.parametrize("surface", SYNC)
def test_an_outer_call_with_a_deadline_ends_it_on_threads(clock: FakeClock, surface: Any) -> None:
    """What a retried call with a written deadline calls ends with that, and the outer call does not try again."""
    op = Operation(fail)
    with pytest.raises((ConnectionResetError, DeadlineExceeded)):
        OUTER.call(surface, op)
    assert clock.now() <= LIMIT and op.calls <= LIMIT + 1


@HOSTS
@pytest.mark.parametrize("surface", ASYNC)
@pytest.mark.parametrize("does", ["fails", "hangs"])
def test_an_outer_call_with_a_deadline_ends_coroutines(run: Any, surface: Any, does: str) -> None:
    """So it does in asyncio and trio, where the deadline also cuts off what hangs."""

    async def main(sleep: Callable[[float], Awaitable[None]], now: Callable[[], float]) -> None:
        async def fails() -> Any:
            fail()

        op = Later(fails if does == "fails" else lambda: sleep(1000))
        with pytest.raises((ConnectionResetError, TimeoutError)):
            await OUTER.call(surface, op)
        assert now() <= LIMIT and op.calls <= LIMIT + 1

    run(main)


@pytest.mark.parametrize("surface", SYNC)
def test_a_stop_from_around_ends_it_on_threads(clock: FakeClock, surface: Any) -> None:
    """A stop that `override` hands down ends each call and loop beneath it, after the attempt at hand."""
    stop = threading.Event()

    def stops() -> Any:
        if op.calls == 3:
            stop.set()
        fail()

    op = Operation(stops)
    with override(stop=stop), contextlib.suppress(ConnectionResetError, Stopped):
        surface(op)
    assert (op.calls, clock.now()) == (3, 2)


@HOSTS
@pytest.mark.parametrize("surface", ASYNC)
def test_a_stop_from_around_ends_coroutines(run: Any, surface: Any) -> None:
    """So it does in asyncio and trio, where it is an event of theirs."""

    async def main(sleep: Callable[[float], Awaitable[None]], now: Callable[[], float]) -> None:
        stop: Any = trio.Event() if run is in_trio else asyncio.Event()

        async def stops() -> Any:
            if op.calls == 3:
                stop.set()
            fail()

        op = Later(stops)
        with override(stop=stop), contextlib.suppress(ConnectionResetError, Stopped):
            await surface(op)
        assert (op.calls, now()) == (3, pytest.approx(2))

    run(main)
