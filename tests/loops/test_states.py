"""The states that the docs draw: random stories of links and pages make the moves of the tables, each of them and no other."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import constant, permanent, reconnect, resume, retry, transient
from redouble.loops import link as links
from redouble.loops import reading
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = retry(on=permanent(PermissionError) | transient(OSError), attempts=2, backoff=constant(20))
ENDS: list[Any] = [None, OSError("dropped"), PermissionError("revoked"), EOFError("closed"), "break"]
ASKED = ["nothing", "reset", "reconnect", "close"]


class Conn:
    """A connection."""

    def close(self) -> None:
        """Nothing is left of it."""


def recorded(patch: pytest.MonkeyPatch, kind: type, name: str) -> set[tuple[Any, Any]]:
    """Note each move of an attribute that is a property."""
    found: set[tuple[Any, Any]] = set()
    own = vars(kind)[name]

    def move(self: Any, to: Any) -> None:
        if own.fget(self) is not to:
            found.add((own.fget(self), to))
        own.fset(self, to)

    patch.setattr(kind, name, property(own.fget, move))
    return found


@pytest.fixture
def faults_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing of redouble's own is reported."""
    yield
    reported = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert not reported


# Each step of a story is what a dial does, and the end of its session, and what is asked for meanwhile.
DIALS = st.tuples(
    st.sampled_from(["up", "up", "slow", "down", "revoked"]), st.sampled_from(ENDS), st.sampled_from(ASKED)
)
STORIES = st.lists(DIALS, max_size=6)
WISHES = st.lists(st.tuples(st.sampled_from([1, 10, 100]), st.sampled_from(ASKED[1:])), max_size=3)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "give_up": st.just("park"),
        "park": st.just(True),
        "half_open": st.just(7),
        "stable_after": st.sampled_from([0, 5]),
    },
)


async def play(  # noqa: C901  # one story, as it is told
    story: list[Any], wishes: list[Any], options: dict[str, Any], enters: bool
) -> None:
    """Play a story on a link, of which others wish something meanwhile, and which they close in the end."""
    steps = iter(story)
    step: Any = ("up", None, "nothing")

    async def dial() -> Conn:
        nonlocal step
        step = next(steps, ("up", "break", "nothing"))
        if step[0] == "slow":
            link.close()
        elif step[0] != "up":
            raise (OSError if step[0] == "down" else PermissionError)(step[0])
        return Conn()

    link: Any = reconnect(dial, POLICY, **options)

    async def loop() -> None:
        async for session in link:
            if not enters:
                break
            async with session:
                await asyncio.sleep(3)
                if step[2] != "nothing":
                    getattr(link, step[2])()
                    await asyncio.sleep(1)
                if isinstance(step[1], BaseException):
                    raise step[1]
                if step[1] == "break":
                    break

    async def wake() -> None:
        for seconds, wish in [*wishes, (1000, "close")]:
            await asyncio.sleep(seconds)
            getattr(link, wish)()

    waking = asyncio.ensure_future(wake())
    try:
        async with link:
            await loop()
    except (OSError, EOFError):
        return
    finally:
        waking.cancel()


def test_a_link_moves_as_it_is_drawn(monkeypatch: pytest.MonkeyPatch, faults_told: None) -> None:
    """Whatever happens to a link, its status moves along the table that the docs draw, and random stories see all of it."""
    seen = recorded(monkeypatch, links.Line, "status")

    @settings(max_examples=300, derandomize=True)
    @given(STORIES, WISHES, OPTIONS, st.sampled_from([True, True, True, False]))
    def stories(story: list[Any], wishes: list[Any], options: dict[str, Any], enters: bool) -> None:
        with fake_time():
            asyncio.run(play(story, wishes, options, enters))
        assert seen <= set(links.MOVES)

    stories()
    assert seen == set(links.MOVES)


BODIES = st.lists(
    st.sampled_from(["ends", "fails", "breaks", "commits", "commits a part", "commits, fails"]), max_size=6
)


def test_a_page_moves_as_it_is_drawn(monkeypatch: pytest.MonkeyPatch, faults_told: None) -> None:
    """Whatever a body does with its page, the page moves along the table that the docs draw, and stories see all of it."""
    seen = recorded(monkeypatch, reading.Turn, "state")

    @settings(max_examples=200, derandomize=True)
    @given(BODIES)
    def stories(bodies: list[str]) -> None:
        steps, memory = iter(bodies), Memory()
        with fake_time():
            try:
                for page in resume(lambda cursor: ([], (cursor or 0) + 1), memory, POLICY):
                    step = next(steps, "breaks")
                    with page:
                        if step.startswith("commits"):
                            page.commit(*([page.next - 0.5] if step == "commits a part" else []))
                        if step.endswith("fails"):
                            raise OSError(step)
                        if step == "breaks":
                            break
            except OSError:
                pass
        assert seen <= set(reading.MOVES)

    stories()
    assert seen == set(reading.MOVES)


class Memory:
    """A checkpoint in memory."""

    cursor: Any = None

    def load(self) -> Any:
        """Return the cursor."""
        return self.cursor

    def save(self, cursor: Any) -> None:
        """Keep the cursor."""
        self.cursor = cursor
