"""What hardly ever happens to the loops: a link that is told something before it loops, or while it closes."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, latest, poll, reconnect, retry
from redouble.loops import LinkStatus
from redouble.loops.link import Wish
from redouble.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

POLICY = retry(on=OSError, backoff=constant(1))


class Conn:
    """A connection that does something when it is closed, and has no `shutdown`."""

    def __init__(self, on_close: Callable[[], object] = lambda: None) -> None:
        self.closed = 0
        self.on_close = on_close

    def close(self) -> None:
        self.closed += 1
        self.on_close()


pytestmark = pytest.mark.usefixtures("clock")


def test_a_link_without_a_loop_has_nothing_to_end() -> None:
    """What is asked of a link that nobody loops over does nothing, and the first loop begins as ever."""
    made: list[Conn] = []

    def dial() -> Conn:
        made.append(Conn())
        return made[-1]

    link: Any = reconnect(dial, POLICY)
    link.reset()
    link.reconnect()
    link.close()
    assert (link.status, link.attempt, made) == (LinkStatus.IDLE, 0, [])
    for session in link:
        with session:
            break
    assert [conn.closed for conn in made] == [1]


def test_a_link_may_be_entered_and_never_looped_over() -> None:
    """The end of `async with link:` has nothing to close then."""

    async def main() -> LinkStatus:
        link: Any = reconnect(Conn, POLICY)
        async with link:
            pass
        return LinkStatus(link.status)

    assert asyncio.run(main()) is LinkStatus.IDLE


def test_a_loop_that_has_not_dialled_yet_may_be_told() -> None:
    """What is asked before the first pass wakes nobody; a close ends the loop before it dials."""
    dialled: list[int] = []
    link: Any = reconnect(lambda: dialled.append(1), POLICY)
    sessions = iter(link)
    link.reset()
    link.close()
    assert list(sessions) == []
    assert dialled == []


def test_a_wish_for_a_new_connection_is_not_forgotten_for_a_lesser_one(clock: FakeClock) -> None:
    """A `reset()` after a `reconnect()` still means a dial at once."""
    dials: list[float] = []
    made: list[Conn] = []

    def dial() -> Conn:
        dials.append(clock.now())
        made.append(Conn())
        return made[-1]

    link: Any = reconnect(dial, POLICY)
    for session in link:
        with session:
            if len(made) == 2:
                break
            link.reconnect()
            link.reset()
    assert dials == [0.0, 0.0]
    assert [conn.closed for conn in made] == [2, 1]  # shut down by the wish, then closed by the end of the `with`


def test_a_session_that_is_closing_is_not_broken_again() -> None:
    """A close that is asked for while the connection closes ends the loop, and closes nothing a second time."""
    made: list[Conn] = []

    def dial() -> Conn:
        made.append(Conn(lambda: link.close()))
        return made[-1]

    link: Any = reconnect(dial, POLICY)
    for session in link:
        with session:
            pass
    assert [conn.closed for conn in made] == [1]


def test_a_session_ends_once() -> None:
    """A second end of the same session is refused, in a coroutine too."""

    async def main() -> Conn:
        conn = Conn()

        async def dial() -> Conn:
            return conn

        link: Any = reconnect(dial, POLICY)
        async for session in link:
            async with session:
                link.close()
            with pytest.raises(RuntimeError, match="closed already"):
                await session.__aexit__(None, None, None)
        return conn

    assert asyncio.run(main()).closed == 1


def test_an_iterator_that_goes_before_its_session_leaves_it_open() -> None:
    """Whoever holds a session that was entered may let go of the loop: the end of the `async with` closes it."""

    async def main() -> list[int]:
        conn = Conn()

        async def dial() -> Conn:
            return conn

        link: Any = reconnect(dial, POLICY)
        sessions = aiter(link)
        session = await anext(sessions)
        async with session:
            del sessions
            gc.collect()
            told = [conn.closed]
            assert link.status is LinkStatus.CONNECTED
        return [*told, conn.closed]

    assert asyncio.run(main()) == [0, 1]


def test_a_fresh_start_before_the_first_dial_has_no_counts_to_forget() -> None:
    """The wish is granted where there is no call yet: it is gone."""
    link: Any = reconnect(Conn, POLICY)
    sessions = iter(link)
    link.reset()
    line = link._line
    assert line._wish is Wish.FRESH
    line._forgive()
    assert line._wish is None
    del sessions


def test_a_push_whose_call_cannot_be_made_raises_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was begun, so there is nothing to let go of."""

    def fails(*args: Any) -> Any:
        raise LookupError("broken")

    monkeypatch.setattr("redouble.loops.latest.new_call", fails)
    with pytest.raises(LookupError, match="broken"):
        asyncio.run(pushed())


async def pushed() -> None:
    """Push one state, then end."""
    changed, closed = asyncio.Event(), asyncio.Event()
    changed.set()
    await latest(lambda: "state", push, changed=changed, closed=closed, policy=POLICY)


async def push(state: str) -> None:
    """Accept a state."""


def test_an_answer_that_is_cut_off_after_an_error_is_that_error(clock: FakeClock) -> None:
    """A poll that its expiry cuts off while it asks again raises the error that it held."""
    asked: list[int] = []

    async def ask() -> str:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionResetError("gone")
        await clock.sleep_async(1000)
        return "late"

    async def main() -> Any:
        return await poll(ask, POLICY(deadline=10))

    with pytest.raises(ConnectionResetError, match="gone"):
        asyncio.run(main())
    assert len(asked) == 2
