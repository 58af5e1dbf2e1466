"""The life of a connection on every host: dropped on purpose, never entered, ended in order, slow to close."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio

from redouble import (
    DeadlineExceeded,
    EventKind,
    Reason,
    constant,
    deadline,
    outcome,
    override,
    permanent,
    reconnect,
    retry,
    transient,
)
from redouble.control import faults
from redouble.loops import LinkStatus
from redouble.loops.link import Line
from redouble.testing import FakeClock, fake_time, scripted
from redouble.types import SystemClock
from redouble.ways import closing as ways_closing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from redouble import Event


class Over(Exception):
    """The script is over."""


RULES = permanent(Over, PermissionError) | transient(OSError)
POLICY = retry(on=RULES, backoff=constant(30))


class Conn:
    """A connection: closed by `close`, once."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Site:
    """A scripted place to dial, and what observers heard of the link to it."""

    def __init__(self, *script: Any, policy: Any = POLICY, asynchronous: bool = True, **options: Any) -> None:
        self.script = list(script)
        self.dials = 0
        self.conns: list[Any] = []
        self.events: list[Event] = []
        open_ = self.dial_async if asynchronous else self.dial
        self.link: Any = reconnect(open_, policy(observers=[self.events.append]), **options)

    def dial(self) -> Any:
        self.dials += 1
        step = self.script.pop(0) if self.script else Over("the script is over")
        if isinstance(step, BaseException):
            raise step
        self.conns.append(step)
        return step

    async def dial_async(self) -> Any:
        step = self.dial()
        if callable(step):
            self.conns.pop()
            step = await step()
            self.conns.append(step)
        return step

    @property
    def told(self) -> list[str]:
        return [event.kind.name for event in self.events]


def on_asyncio(main: Callable[[], Awaitable[Any]]) -> Any:
    with fake_time(draw=0.5):
        return asyncio.run(main())  # type: ignore[arg-type]  # a coroutine function


def on_trio(main: Callable[[], Awaitable[Any]]) -> Any:
    with fake_time(draw=0.5) as clock:
        return trio.run(main, clock=clock.trio)


@pytest.fixture(params=[on_asyncio, on_trio], ids=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Any:
    """Each law of coroutines holds in asyncio and in trio."""
    return request.param


async def later(seconds: float, act: Callable[[], object]) -> None:
    await anyio.sleep(seconds)
    act()


def through_a_thread(act: Callable[[], object]) -> None:
    """Another thread does it; the event loop stands still meanwhile, and so does virtual time."""
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


# Ending a session on purpose.


def test_reconnect_ends_the_live_session_and_dials_at_once(run: Any) -> None:
    """The body is cancelled where it waits; no failure is counted, no wait announced, and the next dial comes at once."""
    site = Site(Conn(), Conn())
    seen = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(later, 10, site.link.reconnect)
            async for session in site.link:
                async with session:
                    if session.number == 2:
                        seen.append((anyio.current_time(), site.link.failures))
                        break
                    began = anyio.current_time()
                    await anyio.sleep(1000)
            seen.append(seen[0][0] - began)

    run(main)
    assert seen == [(seen[0][0], 0), pytest.approx(10)]
    assert site.told == ["CONNECTED", "DROPPED", "CONNECTED"]
    assert [conn.closed for conn in site.conns] == [1, 1]


def test_reconnect_from_within_the_body(run: Any) -> None:
    """The body itself may ask, whether it waits afterwards or is done: the request is not left to hit another wait."""
    site = Site(Conn(), Conn(), Conn())

    async def main() -> None:
        async for session in site.link:
            async with session:
                if session.number == 3:
                    break
                site.link.reconnect()
                if session.number == 1:
                    await anyio.sleep(1000)
            await anyio.sleep(0)  # where a cancellation that was left over would be raised
        await anyio.sleep(1)

    run(main)
    assert site.told == ["CONNECTED", "DROPPED"] * 2 + ["CONNECTED"]


def test_reconnect_from_a_thread(run: Any) -> None:
    """A thread may ask, too, while the link is connected, parked or waits."""
    site = Site(Conn(), OSError(), Conn(), policy=POLICY(attempts=1), give_up="park")
    statuses = []

    async def ask_when(status: LinkStatus) -> None:
        while site.link.status is not status:
            await anyio.sleep(1)
        statuses.append(status)
        through_a_thread(site.link.reconnect)

    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                await ask_when(LinkStatus.CONNECTED)
                await ask_when(LinkStatus.PARKED)

            group.start_soon(ask)
            async for session in site.link:
                async with session:
                    if session.number == 3:
                        break
                    await anyio.sleep(1000)

    run(main)
    assert statuses == [LinkStatus.CONNECTED, LinkStatus.PARKED]
    assert site.told == ["CONNECTED", "DROPPED", "GIVE_UP", "PARKED", "CONNECTED"]


@pytest.mark.parametrize("where", ["body", "drop", "between"])
@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_reconnect_is_never_lost_around_a_drop(run: Any, where: str, error: Exception | None) -> None:
    """However it falls between the drop of a connection and its decision, the next dial comes without a wait."""
    site = Site(Conn(), Conn())

    class Dropping:
        def __call__(self, event: Event) -> None:
            if event.kind is EventKind.DROPPED and where == "drop":
                site.link.reconnect()

    site.link = reconnect(site.dial_async, POLICY(observers=[Dropping(), site.events.append]))

    async def main() -> float:
        async for session in site.link:
            async with session:
                if session.number == 2:
                    break
                began = anyio.current_time()
                if where == "body":
                    site.link.reconnect()
                if error is not None:
                    raise error
            if where == "between":
                site.link.reconnect()
        return anyio.current_time() - began

    assert run(main) == pytest.approx(0, abs=0.01)
    assert site.dials == 2


def test_reconnect_during_a_dial_is_that_dial(run: Any) -> None:
    """A dial under way is what was asked for; only the failures before it are forgotten."""
    site: Site

    async def dial() -> Conn:
        await anyio.sleep(1)
        site.link.reconnect()
        assert site.link.status is LinkStatus.CONNECTING
        return Conn()

    site = Site(OSError(), dial)

    async def main() -> None:
        async for session in site.link:
            async with session:
                await anyio.sleep(1)
                assert (site.dials, site.link.failures, site.link.status) == (2, 0, LinkStatus.CONNECTED)
                break

    run(main)
    assert site.told == ["RETRY", "CONNECTED"]


def test_what_the_body_makes_of_its_end_is_the_end_that_was_asked_for(run: Any) -> None:
    """A body that turns its cancellation into an error of its own has ended as it was asked to."""
    site = Site(Conn(), Conn())

    async def main() -> None:
        async for session in site.link:
            async with session:
                if session.number == 2:
                    break
                site.link.reconnect()
                try:
                    await anyio.sleep(1000)
                except BaseException:
                    raise PermissionError("in the middle of a line") from None

    run(main)
    assert site.told == ["CONNECTED", "DROPPED", "CONNECTED"]


def test_a_cancellation_by_somebody_else_passes(run: Any) -> None:
    """Who is cancelled from outside, at the same moment as the session, is cancelled."""
    site = Site(Conn(), Conn())
    ended = []

    async def loop(scope: Any) -> None:
        async for session in site.link:
            async with session:
                site.link.reconnect()
                scope.cancel()
                await anyio.sleep(1000)
        ended.append("in order")

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await loop(scope)

    run(main)
    assert (ended, site.dials, site.conns[0].closed) == ([], 1, 1)
    assert site.link.status is LinkStatus.IDLE


def test_a_task_group_in_the_body_is_ended(run: Any) -> None:
    """A body that reads and writes in two tasks ends as a whole."""
    site = Site(Conn(), Conn())

    async def main() -> None:
        async for session in site.link:
            async with session:
                if session.number == 2:
                    break
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 1000)
                    group.start_soon(later, 5, site.link.reconnect)

    run(main)
    assert site.told == ["CONNECTED", "DROPPED", "CONNECTED"]


@pytest.mark.parametrize("error", [PermissionError("by a task"), KeyboardInterrupt()])
def test_a_group_of_which_a_part_is_the_end_that_was_asked_for(run: Any, error: BaseException) -> None:
    """What a task of the body makes of its end is part of that end; what is no Exception passes, without our part."""
    site = Site(Conn(), Conn())

    async def task() -> None:
        try:
            await anyio.sleep(1000)
        finally:
            raise error

    async def main() -> None:
        async for session in site.link:
            async with session:
                if session.number == 2:
                    break
                async with anyio.create_task_group() as group:
                    group.start_soon(task)
                    group.start_soon(later, 5, site.link.reconnect)
                    await anyio.sleep(1000)

    if isinstance(error, Exception):
        run(main)
    else:
        with pytest.raises(BaseException) as caught:  # a group, or what is in it
            run(main)
        found = caught.value
        assert (found.exceptions if isinstance(found, BaseExceptionGroup) else (found,)) == (error,)
    assert [conn.closed for conn in site.conns] == [1] * site.dials


def test_close_ends_the_loop_in_order(run: Any) -> None:
    """From a session, a wait, a park and a dial: no error, nothing left open, and the link can be looped over again."""

    async def slow() -> Conn:
        await anyio.sleep(1000)
        return Conn()

    async def main(site: Site) -> float:
        began: float = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(later, 10, site.link.close)
            async for session in site.link:
                async with session:
                    await anyio.sleep(1000)
            group.cancel_scope.cancel()
        return anyio.current_time() - began

    for script, options in [([Conn()], {}), ([OSError()], {}), ([OSError()], {"half_open": 500}), ([slow], {})]:
        site = Site(*script, policy=POLICY(attempts=1 if options else None), **options)
        assert run(lambda site=site: main(site)) == pytest.approx(10, abs=0.1)
        assert (site.link.status, [conn.closed for conn in site.conns]) == (LinkStatus.IDLE, [1] * len(site.conns))
        site.script = [Conn()]
        assert run(lambda site=site: main(site)) == pytest.approx(10, abs=0.1)


class Shared:
    """An event that is none of `threading`'s, such as one of `multiprocessing`: it can be asked, and waited for."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()

    def is_set(self) -> bool:
        return not self.gate.locked()

    def set(self) -> None:
        self.gate.release()

    def wait(self, timeout: float) -> bool:
        if self.gate.acquire(timeout=timeout):
            self.gate.release()
        return self.is_set()


@pytest.mark.parametrize("kind", [threading.Event, anyio.Event, Shared])
def test_stop_ends_a_session_where_that_is_asked_for(run: Any, kind: Any) -> None:
    """With `stop_sessions` the policy's stop cancels the body, closes its connection and ends the loop, whatever event it is."""
    site = Site(Conn(), asynchronous=True)

    async def main() -> float:
        stop = kind() if kind is not anyio.Event else anyio.Event()._event if run is on_asyncio else trio.Event()
        site.link = reconnect(site.dial_async, POLICY(stop=stop), stop_sessions=True)
        async with anyio.create_task_group() as group:
            group.start_soon(later, 10, stop.set)
            async for session in site.link:
                async with session:
                    await anyio.sleep(1000)
            return float(anyio.current_time())
        raise AssertionError

    assert run(main) % 100 == pytest.approx(10, abs=0.1)
    assert (site.link.status, site.conns[0].closed) == (LinkStatus.IDLE, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "redouble-stop"]


def test_stop_leaves_a_session_alone_by_default(run: Any) -> None:
    """Without `stop_sessions` a session comes to its own end, and then the loop ends; so it does with a stop that never comes."""
    ends = []

    async def main(stop: threading.Event | None, **options: Any) -> None:
        site = Site(Conn(), policy=POLICY(stop=stop), **options)
        async with anyio.create_task_group() as group:
            group.start_soon(later, 10, threading.Event().set if stop is None else stop.set)
            async for session in site.link:
                async with session:
                    await anyio.sleep(20)
                    ends.append(site.link.status)
                if stop is None:
                    break

    run(lambda: main(threading.Event()))
    run(lambda: main(None, stop_sessions=True))
    assert ends == [LinkStatus.CONNECTED] * 2


def test_a_session_entered_after_the_stop_ends_at_once(run: Any) -> None:
    """A stop that is set between the loop and the `with` is not missed, and what watched a session ends with it."""
    stop = threading.Event()
    site = Site(Conn(), Conn(), policy=POLICY(stop=stop), stop_sessions=True)
    seen = []

    async def main() -> None:
        async for session in site.link:
            if session.number == 2:
                stop.set()
            async with session:
                seen.append(session.number)
                await anyio.sleep(10)
                seen.append("slept")

    run(main)
    assert seen == [1, "slept", 2] and [conn.closed for conn in site.conns] == [1, 1]
    assert not stop._cond._waiters  # type: ignore[attr-defined]


@pytest.mark.parametrize("fails", [False, True])
def test_close_from_within_a_dial(run: Any, fails: bool) -> None:
    """A dial that closes its own link, and is done with that, leaves no cancellation behind for what its task does next."""

    async def main() -> str:
        async def dial() -> Conn:
            link.close()
            if fails:
                raise PermissionError("revoked")
            return Conn()

        link: Any = reconnect(dial, POLICY)
        with contextlib.suppress(PermissionError):
            async for _ in link:
                pytest.fail("nothing is wanted any more")
        await anyio.sleep(1)
        return "went on"

    assert run(main) == "went on"


# The same in threads.


@pytest.mark.parametrize("kind", [threading.Event, Shared])
def test_stop_ends_the_session_of_a_thread_where_that_is_asked_for(kind: Any) -> None:
    """The connection is shut down, so that a blocked read ends, and with it the loop."""
    ours, theirs = pair()
    stop, reading = kind(), threading.Event()
    stopper = threading.Thread(target=lambda: (reading.wait(), stop.set()))
    stopper.start()
    site = Site(ours, asynchronous=False, policy=POLICY(stop=stop), stop_sessions=True)
    for session in site.link:
        with session as sock:
            reading.set()
            sock.recv(100)  # blocks until it is shut down
    stopper.join()
    theirs.close()
    assert ours.fileno() == -1 and site.dials == 1


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


@pytest.mark.parametrize("from_body", [False, True])
def test_reconnect_in_threads_ends_a_blocked_read(from_body: bool) -> None:
    """The connection is shut down and closed, so that a thread that reads from it wakes; the next dial comes at once."""
    pairs = [pair(), pair()]
    site = Site(*(ours for ours, _ in pairs), asynchronous=False)
    reading = threading.Event()
    asker = threading.Thread(target=lambda: (reading.wait(), site.link.reconnect()))
    asker.start()
    for session in site.link:
        with session as sock:
            if session.number == 2:
                break
            reading.set()
            if from_body:
                asker.join()
            while sock.recv(100):  # blocks until it is shut down
                pytest.fail("nobody sent anything")
    asker.join()
    assert site.told == ["CONNECTED", "DROPPED", "CONNECTED"]
    assert [ours.fileno() for ours, _ in pairs] == [-1, -1]
    for _, theirs in pairs:
        theirs.close()


def test_close_in_threads_ends_the_loop() -> None:
    """A thread that reads is ended in order by `close`, and so is one that waits or is parked for good."""
    ours, theirs = pair()
    site = Site(ours, asynchronous=False)
    for session in site.link:
        with session as sock:
            threading.Thread(target=site.link.close).start()
            sock.recv(100)
    theirs.close()
    assert (site.told, ours.fileno()) == (["CONNECTED"], -1) or site.told == ["CONNECTED", "DROPPED"]
    parked = threading.Event()

    def hear(event: Event) -> None:
        if event.kind in (EventKind.PARKED, EventKind.RETRY):
            parked.set()

    for policy in (POLICY(attempts=1, observers=[hear]), POLICY(observers=[hear])):
        parked.clear()
        link = reconnect(scripted(OSError(), OSError()), policy, give_up="park")
        closer = threading.Thread(target=lambda link=link: (parked.wait(), link.close()))
        closer.start()
        assert list(link) == []
        closer.join()
        assert link.status is LinkStatus.IDLE


def test_a_connection_that_cannot_be_shut_down_is_closed() -> None:
    """What `shutdown` raises, as of a socket that is not connected any more, keeps nothing open."""

    class Gone(Conn):
        def shutdown(self, _how: int) -> None:
            raise OSError("not connected")

    site = Site(Gone(), Conn(), asynchronous=False)
    for session in site.link:
        with session:
            if session.number == 2:
                break
            site.link.reconnect()
            assert site.conns[0].closed == 1
    assert site.told == ["CONNECTED", "DROPPED", "CONNECTED"]


class Watched(threading.Event):
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        return super().is_set()


Watched.__module__ = "threading"


@pytest.mark.parametrize("with_stop", [False, True])
def test_a_parked_thread_is_woken_by_nothing_but_what_happens(with_stop: bool) -> None:
    """A parked link waits once, for as long as nothing happens: it does not look at its events again and again."""
    stop = Watched()

    parked = threading.Event()
    policy = POLICY(
        attempts=1,
        stop=stop if with_stop else None,
        observers=[lambda event: event.kind is EventKind.PARKED and parked.set()],
    )
    link = reconnect(scripted(OSError(), Over()), policy, give_up="park")

    def loop() -> None:
        with pytest.raises(Over):
            list(link)

    thread = threading.Thread(target=loop)
    thread.start()
    parked.wait()
    thread.join(0.05)
    looks = stop.looks
    thread.join(0.12)  # more than two turns of what polls
    assert stop.looks == looks
    link.reset()
    thread.join()


def test_stop_wakes_a_parked_thread() -> None:
    """The policy's `stop` is waited for beside what `reset` and its kin ring, and each of them wakes at once."""
    stop, parked = threading.Event(), threading.Event()
    hear = [lambda event: event.kind is EventKind.PARKED and parked.set()]
    policy = POLICY(attempts=1, stop=stop, observers=hear)
    link = reconnect(scripted(OSError(), OSError()), policy, give_up="park")
    ended = []
    thread = threading.Thread(target=lambda: ended.append(list(link)))
    thread.start()
    parked.wait()
    parked.clear()
    link.reset()
    parked.wait()
    stop.set()
    link.reset()  # both at once
    thread.join()
    assert (ended, link.attempt) == ([[]], 2)


# Sessions that nobody enters.


def test_an_unentered_session_of_a_thread_is_closed_as_the_iterator_goes() -> None:
    """`break` before the `with` closes the connection at once, and the link can be looped over again."""
    site = Site(Conn(), Conn(), asynchronous=False)
    session = None
    for session in site.link:  # noqa: B007  # which is used after it
        break
    assert (site.conns[0].closed, site.link.status) == (1, LinkStatus.IDLE)
    assert session is not None
    with pytest.raises(RuntimeError, match="enters a session once, as soon as the loop has given it"), session:
        pass
    for second in site.link:
        with second:
            break
    assert [conn.closed for conn in site.conns] == [1, 1]


def test_an_error_before_the_with_closes_too() -> None:
    """What ends a loop between its session and the `with` leaves nothing open."""
    site = Site(Conn(), asynchronous=False)

    def loop() -> None:
        for _ in site.link:
            raise ValueError("before the with")

    with pytest.raises(ValueError, match="before the with"):
        loop()
    assert site.conns[0].closed == 1


def test_an_unentered_session_is_closed_by_the_next_loop(run: Any) -> None:
    """In a coroutine the first step of the next loop closes what the loop before left open."""
    site = Site(Conn(), Conn())

    async def main() -> None:
        async for _ in site.link:
            break
        assert site.conns[0].closed == 0
        async for session in site.link:
            assert site.conns[0].closed == 1
            async with session:
                break

    run(main)
    assert [conn.closed for conn in site.conns] == [1, 1]


def test_async_with_closes_what_a_loop_left_open(run: Any) -> None:
    """The end of `async with link:` closes a session that was never entered, and ends the loop."""

    class Managed(Conn):
        async def __aenter__(self) -> Managed:
            await anyio.sleep(1)
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            await anyio.sleep(1)
            self.closed += 1

    conns = [Managed(), Managed()]
    link = reconnect(lambda: conns[0], POLICY)

    async def main() -> None:
        async with link as same:
            assert same is link
            async for _ in link:
                break
        assert conns[0].closed == 1
        async with link:
            async for session in link:
                async with session:
                    break

    run(main)
    assert (conns[0].closed, link.status) == (2, LinkStatus.IDLE)


def test_async_with_closes_a_session_that_is_only_held(run: Any) -> None:
    """Also where the loop itself is still there."""
    site = Site(Conn())

    async def main() -> None:
        async with site.link:
            sessions = aiter(site.link)
            await anext(sessions)
        assert site.conns[0].closed == 1
        with pytest.raises(StopAsyncIteration):
            await anext(sessions)

    run(main)


def test_close_closes_what_a_loop_left_open(run: Any) -> None:
    """`link.close()` closes a session of a loop that is gone in a task of its own, also from a thread."""
    site = Site(Conn(), Conn())

    async def main() -> None:
        async for _ in site.link:
            break
        site.link.close()
        await anyio.sleep(1)
        async for _ in site.link:
            break
        through_a_thread(site.link.close)
        await anyio.sleep(1)

    run(main)
    assert [conn.closed for conn in site.conns] == [1, 1]


def test_a_loop_that_may_still_enter_its_session_keeps_it(run: Any) -> None:
    """While the loop that was given a session is there, no other loop may begin."""
    site = Site(Conn())

    async def main() -> None:
        sessions = aiter(site.link)
        session = await anext(sessions)
        with pytest.raises(RuntimeError, match="another loop is at work on this link"):
            aiter(site.link)
        async with session:
            pass

    run(main)


# Giving up.


def test_giving_up_raises() -> None:
    """Unless parking is asked for, used-up attempts raise the operation's own error, marked, as everywhere else."""
    error = ConnectionRefusedError("the third")
    site = Site(OSError(), OSError(), error, policy=POLICY(attempts=3), asynchronous=False)
    with fake_time(), pytest.raises(ConnectionRefusedError) as caught:
        list(site.link)
    assert caught.value is error
    gave_up = outcome(error)
    assert gave_up is not None and (gave_up.reason, gave_up.attempts) == (Reason.ATTEMPTS, 3)
    assert site.told == ["RETRY", "RETRY", "GIVE_UP"]
    assert (site.link.attempt, site.link.failures, site.link.gave_up) == (3, 3, None)


def test_ends_in_order_are_given_up_with_an_error_of_their_own() -> None:
    """A server that accepts and closes leaves no error to raise: a ConnectionError says so, marked."""
    site = Site(Conn(), Conn(), policy=POLICY(attempts=2), asynchronous=False)
    with fake_time(), pytest.raises(ConnectionError, match="the connection ended in order") as caught:
        for session in site.link:
            with session:
                pass
    gave_up = outcome(caught.value)
    assert gave_up is not None and gave_up.reason is Reason.ATTEMPTS
    assert [conn.closed for conn in site.conns] == [1, 1]


def test_park_true_parks_all_permanent_errors() -> None:
    """`park=True` waits for somebody where an error would end the loop, and gives up by raising all the same."""
    site = Site(PermissionError(), Conn(), asynchronous=False, park=True)
    with fake_time() as clock:
        clicker = threading.Thread(target=clock.bind(lambda: (clock.sleep(100), site.link.reset())))
        clicker.start()
        for session in site.link:
            with session:
                break
        clicker.join()
    assert site.told == ["GIVE_UP", "PARKED", "CONNECTED"]
    site = Site(OSError(), policy=POLICY(attempts=1), asynchronous=False, park=True)
    with pytest.raises(OSError):  # the bare one of the script
        list(site.link)


def test_half_open_asks_for_parking() -> None:
    """A link that is to try once now and then does not raise when it gives up."""
    site = Site(OSError(), Conn(), policy=POLICY(attempts=1), asynchronous=False, half_open=900)
    with fake_time() as clock:
        for session in site.link:
            with session:
                break
        assert clock.now() == 900


@pytest.mark.parametrize("host", ["threads", "asyncio", "trio"])
def test_a_scope_around_the_loop_ends_it(host: str) -> None:
    """A wait that does not fit the scope ends the loop on every host, also where giving up parks."""
    site = Site(OSError("down"), asynchronous=host != "threads", give_up="park")

    async def main() -> None:
        async for _ in site.link:
            pytest.fail("no session")

    with deadline(5) as limit, pytest.raises(OSError, match="down") as caught:
        if host == "threads":
            list(site.link)
        else:
            (on_asyncio if host == "asyncio" else on_trio)(main)
    assert limit.ended(caught.value)
    assert site.told == ["GIVE_UP"]


def test_an_async_scope_cancels_a_session(run: Any) -> None:
    """`async with deadline()` around the loop cancels the body, and the loop does not take that for a drop."""
    site = Site(Conn(), Conn())

    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            async with deadline(5):
                async for session in site.link:
                    async with session:
                        await anyio.sleep(1000)

    run(main)
    assert (site.dials, site.told, site.conns[0].closed) == (1, ["CONNECTED"], 1)


# Ends in order, told by errors.


def named(module: str, name: str, *bases: type, **attributes: Any) -> type[Any]:
    return type(name, bases or (Exception,), {"__module__": module, **attributes})


ConnectionClosedOK = named("websockets.exceptions", "ConnectionClosedOK")
ConnectionClosedError = named("websockets.exceptions", "ConnectionClosedError")
WSMessageTypeError = named("aiohttp.client_exceptions", "WSMessageTypeError", TypeError)
DisconnectError = named("asyncssh.misc", "DisconnectError", code=11)
EndOfStream = named("anyio._core._exceptions", "EndOfStream")
Derived = type("Derived", (ConnectionClosedOK,), {})


def hands_off(error: Any) -> int:
    raise ValueError("hands off")


Guarded = named("asyncssh.misc", "DisconnectError", code=property(hands_off))


IN_ORDER = [
    ConnectionClosedOK(),
    Derived(),
    EOFError(),
    asyncio.IncompleteReadError(b"", 4),
    EndOfStream(),
    DisconnectError(),
    WSMessageTypeError("Received message 8:1000 is not WSMsgType.TEXT"),
    TypeError("Received message 257:None is not str"),
    TypeError("Received message WSMsgType.CLOSING:None is not bytes"),
    ExceptionGroup("two tasks", [ConnectionClosedOK(), ExceptionGroup("", [EOFError()])]),
]
NOT_IN_ORDER = [
    ConnectionClosedError(),
    asyncio.IncompleteReadError(b"ab", 4),
    type("L", (DisconnectError,), {"code": 10})(),
    TypeError("Received message 8:1011 is not str"),
    TypeError("something else"),
    ExceptionGroup("two tasks", [ConnectionClosedOK(), ValueError()]),
    Guarded(),
]


@pytest.mark.parametrize("error", IN_ORDER, ids=lambda error: type(error).__name__)
def test_an_orderly_close_is_an_end_in_order(error: Exception) -> None:
    """Whoever reads it, it ends the session like the end of its body: nobody sees the error, and the link dials again."""
    site = Site(Conn(), Conn(), policy=POLICY(on=RULES), asynchronous=False)
    with fake_time():
        for session in site.link:
            with session:
                if session.number == 2:
                    break
                raise error
    assert site.told == ["CONNECTED", "DROPPED", "RETRY", "SUCCESS", "CONNECTED"]
    assert [event.error for event in site.events[1:3]] == [None, None]


@pytest.mark.parametrize("error", NOT_IN_ORDER, ids=lambda error: type(error).__name__)
def test_what_only_looks_like_an_orderly_close_is_judged(error: Exception) -> None:
    """A message that was cut off, another code and a bug are what the rules say of them."""
    site = Site(Conn(), policy=POLICY(on=RULES), asynchronous=False)
    with fake_time(), pytest.raises(type(error)):
        for session in site.link:
            with session:
                raise error


def test_an_orderly_close_of_a_dial_is_judged() -> None:
    """Only a session ends in order: a dial that is closed so has failed."""
    site = Site(ConnectionClosedOK(), asynchronous=False)
    with pytest.raises(ConnectionClosedOK):
        list(site.link)


def test_a_probe_needs_no_closing(run: Any) -> None:
    """`open_` may give None."""

    async def probe() -> None:
        await anyio.sleep(1)

    link = reconnect(probe, POLICY)

    async def main() -> None:
        async for session in link:
            async with session as nothing:
                assert nothing is None
                break

    run(main)
    for session in reconnect(lambda: None, POLICY):
        with session as nothing:
            assert nothing is None
            break


# Closing that takes its time.


class Slow(Conn):
    """Its end takes so long; `statuses` are seen meanwhile."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def __aenter__(self) -> Slow:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.closed += 1


def test_a_close_that_hangs_is_cancelled(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """After close_timeout the link goes on without it, with one line in the log; until then it is CLOSING."""
    site = Site(Slow(1000), Slow(4))
    seen: list[Any] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(later, 3, lambda: seen.append(site.link.status))
            async for session in site.link:
                async with session:
                    began = anyio.current_time()
                    if session.number == 2:
                        break
                    site.link.reconnect()
                seen.append(anyio.current_time() - began)

    run(main)
    assert seen == [LinkStatus.CLOSING, pytest.approx(5, abs=0.1)]
    assert [conn.closed for conn in site.conns] == [1, 1]
    assert caplog.text.count("closing took longer than 5 s and was cancelled") == 1


def test_connect_bounds_closing_too(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """As of a link, with a limit of one's own, and none with None."""

    async def main() -> list[float]:
        took = []
        for options in ({"close_timeout": 2}, {"close_timeout": None}, {}):
            async with POLICY.connect(Slow, 7, **options):
                began = anyio.current_time()
            took.append(anyio.current_time() - began)
        return took

    assert run(main) == [pytest.approx(seconds, abs=0.1) for seconds in (2, 7, 5)]
    assert caplog.text.count("and was cancelled") == 2


def test_the_error_of_the_body_outlives_a_close_that_hangs(run: Any) -> None:
    """A close that is cancelled does not hide what the body has to say."""

    async def main() -> None:
        async with POLICY.connect(Slow, 1000):
            raise PermissionError("of the body")

    with pytest.raises(PermissionError, match="of the body"):
        run(main)


def test_a_plain_close_that_outlives_its_cancellation_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """In asyncio it goes on in a task of its own, and the link without it."""
    events: list[str] = []

    class Stubborn:
        async def aclose(self) -> None:
            task = asyncio.current_task()
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                await asyncio.sleep(100)
            events.append(f"closed at {asyncio.get_running_loop().time():g}")
            assert asyncio.current_task() is not task

    async def main() -> None:
        async with POLICY.connect(Stubborn):
            pass
        events.append(f"gone on at {asyncio.get_running_loop().time():g}")
        await asyncio.sleep(200)

    on_asyncio(main)
    assert events == ["gone on at 5", "closed at 105"]
    assert caplog.text.count("did not heed its cancellation; it goes on alone") == 1


def test_a_plain_close_that_hangs_is_cancelled(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What has nothing but an `aclose` is limited as a context manager is; an error of it comes out."""

    class Plain:
        async def aclose(self) -> None:
            await anyio.sleep(1000)

    class Broken:
        async def aclose(self) -> None:
            await anyio.sleep(1)
            raise PermissionError("closing")

    async def main() -> float:
        began = anyio.current_time()
        async with POLICY.connect(Plain):
            pass
        with pytest.raises(PermissionError, match="closing"):
            async with POLICY.connect(Broken):
                pass
        return anyio.current_time() - began

    assert run(main) == pytest.approx(6, abs=0.1)
    assert caplog.text.count("closing took longer than 5 s and was cancelled") == 1


def test_a_clock_without_timers_limits_nothing(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Where a clock cannot call back, opening and closing have no limit, and that is said."""

    class Poor(SystemClock):
        def call_later(self, seconds: float, callback: Any) -> Any:
            raise NotImplementedError

    class Plain(Conn):
        async def aclose(self) -> None:
            await anyio.sleep(100)
            self.closed += 1

    async def dial() -> Plain:
        await anyio.sleep(100)
        return plain

    plain = Plain()
    faults._said.clear()

    async def main() -> None:
        with override(clock=Poor()):
            async with POLICY(attempt_timeout=20).connect(dial):
                pass

    run(main)
    assert plain.closed == 1
    assert "attempts have no time limit" in caplog.text


def test_a_session_that_is_to_end_before_it_is_entered(run: Any) -> None:
    """A request that falls between the loop's step and the `with` ends the body at its first wait."""
    site = Site(Conn(), Conn())

    async def main() -> None:
        async for session in site.link:
            if session.number == 1:
                site.link.reconnect()
            async with session:
                if session.number == 2:
                    break
                await anyio.sleep(1000)

    run(main)
    assert site.told == ["CONNECTED", "DROPPED", "CONNECTED"]


@pytest.mark.parametrize("host", ["asyncio", "trio"])
def test_who_asks_when_the_host_is_gone(host: str) -> None:
    """A link whose event loop has ended in the middle of a session takes requests without a word."""
    site = Site(Conn())
    kept = []

    async def main() -> None:
        kept.append(aiter(site.link))
        kept.append(await anext(kept[0]))

    (on_asyncio if host == "asyncio" else on_trio)(main)
    site.link.reset()
    site.link.reconnect()
    site.link.close()
    assert site.dials == 1


def test_a_ring_that_has_been_dealt_with_ends_no_rest() -> None:
    """A request that was granted, and whose ring comes late, shortens no wait."""
    site = Site(OSError(), OSError(), Conn())
    heard = site.events.append

    def hear(event: Event) -> None:
        heard(event)
        if event.kind is EventKind.RETRY and event.failures == 1 and site.dials == 1:
            bell = site.link._line._bell
            asyncio.get_running_loop().call_later(3, bell.ring)

    site.link = reconnect(site.dial_async, POLICY(observers=[hear]))

    async def main() -> float:
        async for session in site.link:
            async with session:
                break
        return asyncio.get_running_loop().time()

    assert on_asyncio(main) == 60


def test_a_cancellation_while_closing_passes(run: Any) -> None:
    """Who is cancelled from outside while a connection closes is cancelled."""

    async def main() -> float:
        began = anyio.current_time()
        with anyio.move_on_after(3) as scope:
            async with POLICY.connect(Slow, 1000):
                pass
        assert scope.cancelled_caught
        return anyio.current_time() - began

    assert run(main) == pytest.approx(3, abs=0.1)


@asynccontextmanager
async def with_a_task(closing: float = 0.0, opening: float = 0.0) -> AsyncIterator[str]:
    """What many clients of trio are: a connection that runs a task of its own, in a nursery."""
    async with anyio.create_task_group() as group:
        await anyio.sleep(opening)
        group.start_soon(anyio.sleep_forever)
        yield "conn"
        await anyio.sleep(closing)
        group.cancel_scope.cancel()


def test_a_connection_with_a_nursery_may_be_limited(run: Any) -> None:
    """Limits of dials, of sessions and of closing are scopes around it, so that trio's stack of them stays in order."""
    openings = [100.0, 1.0, 1.0]
    events: list[str] = []
    policy = retry(deadline=500, backoff=constant(1), observers=[lambda event: events.append(event.kind.name)])
    link = reconnect(lambda: with_a_task(1000, openings.pop(0)), policy, connect_timeout=20)

    async def main() -> None:
        async for session in link:
            async with session as conn:
                assert conn == "conn"
                if not openings:
                    break
                link.reconnect()
                await anyio.sleep(1000)
        async with policy(attempt_timeout=20).connect(with_a_task, 1000, 1) as conn:
            assert conn == "conn"

    run(main)
    assert events == ["RETRY", "SUCCESS", "CONNECTED", "DROPPED", "CONNECTED"]


# Closing in threads.


def test_a_thread_closes_beside_itself_where_the_limit_is_written(caplog: pytest.LogCaptureFixture) -> None:
    """A daemon thread with a copy of the context closes, and is let go when it takes too long."""
    hang = threading.Event()
    closed_by: list[Any] = []

    class Hanging(Conn):
        def close(self) -> None:
            closed_by.append(threading.current_thread())
            hang.wait()

    with POLICY.connect(Hanging, close_timeout=0.01):
        pass
    assert (closed_by[0].daemon, closed_by[0].is_alive()) == (True, True)
    assert caplog.text.count("closing takes longer than 0.01 s; it goes on alone, in a thread") == 1
    hang.set()
    closed_by[0].join()
    with POLICY.connect(Hanging):
        pass
    assert closed_by[1] is threading.current_thread()


def test_where_no_thread_can_be_started_closing_is_done_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of the interpreter; and `None` waits without a word."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    conns = [Conn() for _ in range(3)]
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for conn, options in zip(conns, ({}, {"close_timeout": 60}, {"close_timeout": None}), strict=True):
        with POLICY.connect(lambda conn=conn: conn, **options):
            pass
    assert [conn.closed for conn in conns] == [1, 1, 1]


def test_what_closing_beside_raises_comes_out() -> None:
    """An error, and the suppression of one, are those of closing in place."""

    @contextmanager
    def translating() -> Iterator[None]:
        try:
            yield
        except ValueError:
            return
        except KeyError as error:
            raise PermissionError("translated") from error

    with POLICY.connect(translating, close_timeout=60):
        raise ValueError("suppressed")
    with pytest.raises(PermissionError, match="translated"), POLICY.connect(translating, close_timeout=60):
        raise KeyError("body")


def test_a_thread_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a close is waited for, and a line says so after a while: where else would one look?"""
    said, lines = threading.Event(), []  # type: ignore[var-annotated]

    class Hanging(Conn):
        def close(self) -> None:
            said.wait()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            said.set()

    handler = Heard()
    logging.getLogger("redouble").addHandler(handler)
    monkeypatch.setattr(threading.Timer, "__init__", _short(threading.Timer.__init__))
    try:
        with POLICY.connect(Hanging):
            pass
    finally:
        logging.getLogger("redouble").removeHandler(handler)
    assert ["closing takes longer than 5 s, and is waited for; write close_timeout=5" in line for line in lines] == [
        True
    ]


def _short(init: Any) -> Any:
    return lambda timer, _seconds, *args: init(timer, 0.0, *args)


def test_nothing_is_left_of_a_loop_that_is_gone() -> None:
    """A loop that was left by `break` holds neither its function nor its last error, with the collector off."""

    class Held:
        def __call__(self) -> Conn:
            return Conn()

    held = Held()
    ref = weakref.ref(held)
    gc.collect()
    gc.disable()
    try:
        for session in reconnect(held, POLICY):
            with contextlib.suppress(ValueError), session:
                break
        del held, session
        assert ref() is None
    finally:
        gc.enable()


def test_a_default_limit_can_be_told_from_a_written_one() -> None:
    """The same number, written or not, means another thing to a thread."""
    assert ways_closing.CLOSE_TIMEOUT == 5.0
    assert FakeClock is not None
    for wrong, kind in ((0, ValueError), ("5", TypeError)):
        with pytest.raises(kind, match="close_timeout must be"):
            POLICY.connect(Conn, close_timeout=wrong)


# Between catching an error and raising it.


@pytest.mark.parametrize(
    ("place", "of"),
    [(place, of) for place in ("_drop", "_parking", "ends", "error") for of in ("dial", "body")]
    + [("_forgive", "dial")],
)
def test_a_fault_of_ours_hides_no_error(place: str, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in the link while an error is judged, that error comes out, and nothing stays open."""

    def broken(*_args: object) -> Any:
        raise RuntimeError("a fault of ours")

    error = PermissionError("of the operation")
    site = Site(error if of == "dial" else Conn(), asynchronous=False)
    monkeypatch.setattr(Line, place, broken)
    with pytest.raises(PermissionError) as caught:
        for session in site.link:
            with session:
                raise error
    assert caught.value is error
    assert [conn.closed for conn in site.conns] == [1] * len(site.conns)
    assert site.link.status is LinkStatus.IDLE


class Hostile(Exception):
    """Guards everything that could be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise ValueError("hands off")


def test_an_error_that_guards_its_attributes_comes_out() -> None:
    """Nothing that an error does when it is looked at hides it."""
    site = Site(Conn(), asynchronous=False)
    error = Hostile()
    caught: BaseException | None = None
    try:
        for session in site.link:
            with session:
                raise error
    except Hostile as found:
        caught = found
    assert caught is error
