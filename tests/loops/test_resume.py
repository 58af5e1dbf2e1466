"""Floor 4. Long reads: what is fetched, given, committed and retried, in both colours, on virtual time."""

# ruff: noqa: D103  # stand-ins need no docstring; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    Backoff,
    DeadlineExceeded,
    Reason,
    constant,
    current_attempt,
    deadline,
    outcome,
    override,
    pending,
    remaining,
    resume,
    retry,
    watchdog,
)
from redouble.control.faults import _said
from redouble.loops import Stalled
from redouble.testing import HANG, FakeClock, fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

policy = retry(on=OSError, backoff=constant(1))
BOOK: dict[Any, tuple[list[int], Any]] = {None: ([1, 2], "b"), "b": ([3], "c"), "c": ([4, 5], None)}


class Memory:
    """A checkpoint that remembers, and what it was asked."""

    def __init__(self, cursor: Any = None, stalls: Any = 0) -> None:
        self.cursor, self.stalls = cursor, stalls
        self.saved: list[Any] = []

    def load(self) -> Any:
        return self.cursor

    def save(self, cursor: Any) -> Any:
        self.cursor = cursor
        self.saved.append(cursor)

    def load_stalls(self) -> Any:
        return self.stalls

    def save_stalls(self, stalls: int) -> Any:
        self.stalls = stalls


class AsyncMemory(Memory):
    """The same, with coroutine functions."""

    async def load(self) -> Any:
        return super().load()

    async def save(self, cursor: Any) -> Any:
        super().save(cursor)

    async def load_stalls(self) -> Any:
        return super().load_stalls()

    async def save_stalls(self, stalls: int) -> Any:
        super().save_stalls(stalls)


def turn(cursor: Any) -> Any:
    return BOOK[cursor]


def by_for(reading: Any, body: Callable[[Any, Any], Any] = lambda page, items: None) -> None:
    for page in reading:
        with page as items:
            body(page, items)


def by_async_for(reading: Any, body: Callable[[Any, Any], Any] = lambda page, items: None) -> None:
    async def main() -> None:
        async for page in reading:
            async with page as items:
                body(page, items)

    asyncio.run(main())


@pytest.fixture(params=[by_for, by_async_for], ids=["for", "async for"])
def play(request: pytest.FixtureRequest) -> Any:
    """Either colour."""
    return request.param


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """Virtual time, draws of 0.5; no line that is logged once has been logged."""
    _said.clear()
    with fake_time(draw=0.5) as clock:
        yield clock


def collect(into: list[Any]) -> Callable[[Any, Any], Any]:
    return lambda page, items: into.extend(items)


# Reading on.


def test_every_page_comes_once_and_is_committed(play: Any, clock: FakeClock) -> None:
    """The pages come in their order, each one's next cursor is saved after it, and at the end the cursor is cleared."""
    memory, read = Memory(), []
    events: list[Any] = []
    fetch = scripted(*BOOK.values())
    play(resume(fetch, memory), lambda page, items: events.append((page.cursor, page.next, list(memory.saved))))
    assert events == [(None, "b", []), ("b", "c", ["b"]), ("c", None, ["b", "c"])]
    assert memory.saved == ["b", "c", None] and clock.sleeps == []
    play(resume(turn, memory), collect(read))
    assert read == [1, 2, 3, 4, 5]


def test_it_begins_where_the_checkpoint_says(play: Any, clock: FakeClock) -> None:
    """A run begins with the cursor that was saved."""
    read: list[int] = []
    play(resume(turn, Memory("c")), collect(read))
    assert read == [4, 5]


def test_one_reading_may_be_run_again(play: Any, clock: FakeClock) -> None:
    """Each `for` is a run of its own, which asks the checkpoint anew."""
    memory, read = Memory(), []
    reading = resume(turn, memory)
    play(reading, collect(read))
    memory.cursor = "c"
    play(reading, collect(read))
    assert read == [1, 2, 3, 4, 5, 4, 5]
    assert repr(reading) == "<redouble.loops.Resuming turn>"


def test_items_may_be_anything(play: Any, clock: FakeClock) -> None:
    """What a page holds is nobody's business, nor whether a cursor is true."""
    seen: list[Any] = []
    book: dict[Any, Any] = {None: (None, 0), 0: ("text", ""), "": ((), None)}
    play(resume(lambda cursor: book[cursor], Memory()), lambda page, items: seen.append(items))
    assert seen == [None, "text", ()]


def test_a_stream_with_nothing_new_is_asked_again(clock: FakeClock) -> None:
    """A cursor that stays is no end and no advance: the loop goes on from it."""
    fetch = scripted(([], "a"), ([1], "b"), ([], "b"), ([2], None))
    memory, read = Memory("a"), []
    by_for(resume(fetch, memory), collect(read))
    assert read == [1, 2] and memory.saved == ["a", "b", "b", None]


def test_async_parts_are_awaited(clock: FakeClock) -> None:
    """In the asynchronous form `fetch` and the checkpoint may be coroutine functions, or functions over such."""
    memory, read = AsyncMemory(), []

    async def turn_later(cursor: Any) -> Any:
        await asyncio.sleep(1)
        return BOOK[cursor]

    by_async_for(resume(lambda cursor: turn_later(cursor), memory, stall_after=2), collect(read))
    assert read == [1, 2, 3, 4, 5] and memory.saved == ["b", "c", None] and clock.now() == 3.0


# Failing.


def test_a_failing_fetch_is_retried(play: Any, clock: FakeClock) -> None:
    """A transient error of `fetch` is retried by the policy, and nothing of it is seen by the body."""
    fetch = scripted(OSError(), OSError(), ([1], "b"), OSError(), ([2], None))
    memory, read, attempts = Memory(), [], []

    def body(page: Any, items: Any) -> None:
        read.extend(items)
        attempts.append(page.attempt)

    play(resume(fetch, memory, policy), body)
    assert read == [1, 2] and attempts == [3, 2] and clock.sleeps == [1, 1, 1]
    assert [args for args, _ in fetch.calls] == [(None,), (None,), (None,), ("b",), ("b",)]


def test_a_failing_body_gets_the_same_page_again(play: Any, clock: FakeClock) -> None:
    """A transient error of the body fetches the same page again and gives it again; nothing has been committed."""
    memory, given = Memory(), []
    dealing = scripted(None, ConnectionResetError(), ConnectionResetError(), None, None)

    def body(page: Any, items: Any) -> None:
        given.append((page.cursor, list(memory.saved)))
        dealing()

    fetch = scripted(BOOK[None], BOOK["b"], BOOK["b"], BOOK["b"], BOOK["c"])
    play(resume(fetch, memory, policy), body)
    assert given == [(None, []), ("b", ["b"]), ("b", ["b"]), ("b", ["b"]), ("c", ["b", "c"])]
    assert memory.saved == ["b", "c", None] and clock.sleeps == [1, 1]


def test_failures_of_fetch_and_body_count_together(play: Any, clock: FakeClock) -> None:
    """Failures in a row are counted until a page commits, wherever they happened; then they begin again."""
    fetch = scripted(OSError(), ([1], "b"), OSError("the third"))
    memory = Memory()
    with pytest.raises(OSError, match="the third") as caught:
        play(resume(fetch, memory, policy(attempts=3)), lambda page, items: scripted(OSError("the second"))())
    assert memory.saved == [] and clock.sleeps == [1, 1]
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.ATTEMPTS and end.attempts == 3
    fetch = scripted(OSError(), OSError(), ([1], "b"), OSError(), OSError(), ([2], None))
    play(resume(fetch, memory, policy(attempts=3)))
    assert memory.saved == ["b", None]


@pytest.mark.parametrize("where", ["fetch", "body"])
def test_a_permanent_error_propagates(play: Any, clock: FakeClock, where: str) -> None:
    """An error that no rule knows reaches the caller at once, and the page stays uncommitted."""
    memory, error = Memory("b"), ValueError("bad")
    fetch = scripted(*([error] if where == "fetch" else [BOOK["b"]]))
    with pytest.raises(ValueError, match="bad") as caught:
        play(resume(fetch, memory, policy), scripted(error))
    assert caught.value is error and memory.saved == [] and len(fetch.calls) == 1


def test_a_body_that_gives_up_propagates(play: Any, clock: FakeClock) -> None:
    """When the policy gives up in the body, that error comes out of the `with`, marked with how it ended."""
    memory = Memory()
    with pytest.raises(ConnectionResetError) as caught:
        play(
            resume(scripted(BOOK[None], BOOK[None]), memory, policy(attempts=2)),
            scripted(*[ConnectionResetError()] * 2),
        )
    assert caught.value.__notes__ == ["gave up after 2 attempts in 1.00 s: attempts used up"]
    assert memory.saved == [] and clock.sleeps == [1]


def test_a_run_after_a_failed_one_goes_on(play: Any, clock: FakeClock) -> None:
    """What was committed before a failure is not read again, and nothing is left out."""
    memory, read = Memory(), []
    with pytest.raises(ValueError, match="bad"):
        play(resume(scripted(BOOK[None], BOOK["b"], ValueError("bad")), memory), collect(read))
    assert memory.cursor == "c"
    play(resume(turn, memory), collect(read))
    assert read == [1, 2, 3, 4, 5]


def test_an_error_on_which_an_inner_retry_gave_up_is_a_failure_like_any_other(play: Any, clock: FakeClock) -> None:
    """The loop retries what an inner retry gave up on."""
    fetch = scripted(OSError(), OSError(), ([1], None))
    play(resume(lambda cursor: retry(attempts=2, on=OSError, backoff=constant(7)).call(fetch), Memory(), policy))
    assert clock.sleeps == [7, 1]


def test_a_page_that_is_not_ready_is_asked_for_later(play: Any, clock: FakeClock) -> None:
    """An error that is pending is no failure."""
    fetch = scripted(*[BlockingIOError()] * 5, ([1], None))
    play(resume(fetch, Memory(), retry(on=pending(BlockingIOError, every=3), attempts=1)))
    assert clock.sleeps == [3] * 5


def test_a_hint_of_the_server_is_obeyed(play: Any, clock: FakeClock) -> None:
    """The wait that a rule reads from an error holds for pages too, and so does the longest one allowed."""
    from redouble import transient

    busy = transient(OSError, retry_after=30)
    with override(draw=lambda: 0.0):
        play(resume(scripted(OSError(), ([1], None)), Memory(), retry(on=busy)))
    assert clock.sleeps == [30]
    with pytest.raises(OSError) as caught:
        play(resume(scripted(OSError()), Memory(), retry(on=busy, max_hint=20)))
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.HINT


def test_the_curve_begins_again_with_every_page(play: Any, clock: FakeClock) -> None:
    """A commit is progress: the next failure waits as a first one does."""
    from redouble import sequence

    fetch = scripted(OSError(), OSError(), ([1], "b"), OSError(), ([2], None))
    play(resume(fetch, Memory(), policy(backoff=sequence(1, 2, 4))))
    assert clock.sleeps == [1, 2, 1]


def test_there_is_no_limit_unless_one_is_written(play: Any, clock: FakeClock) -> None:
    """A loop goes on for as long as the outage, also with the policy that gives up after three attempts elsewhere."""
    play(resume(scripted(*[ConnectionResetError()] * 99, ([1], None)), Memory()))
    assert len(clock.sleeps) == 99


def test_observers_hear_of_it(play: Any, clock: FakeClock) -> None:
    """Observers hear of retries, of the page that succeeded after failures, and of the end, under fetch's name."""
    heard: list[Any] = []
    fetch = scripted(OSError(), ([1], "b"), ValueError())
    with pytest.raises(ValueError):
        play(
            resume(
                fetch,
                Memory(),
                policy(observers=[lambda event: heard.append((event.kind.name, event.name, event.attempt))]),
            )
        )
    assert heard == [("RETRY", "scripted", 1), ("SUCCESS", "scripted", 2), ("GIVE_UP", "scripted", 1)]


def test_result_rules_are_not_asked(play: Any, clock: FakeClock) -> None:
    """A page is no answer to be judged."""
    memory = Memory()
    play(resume(turn, memory, policy(result=lambda value: True)))
    assert memory.saved == ["b", "c", None]


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_an_error_that_would_end_the_loop_in_silence(play: Any, clock: FakeClock, kind: type[Exception]) -> None:
    """`StopIteration` from `fetch` does not pass for the end of the read, neither at once nor after a wait."""
    memory = Memory()

    async def fetch_later(cursor: Any) -> Any:
        raise kind

    def fetch(cursor: Any) -> Any:
        raise kind

    used = fetch_later if play is by_async_for and kind is StopAsyncIteration else fetch
    with pytest.raises(RuntimeError, match=f"fetch raised {kind.__name__}|StopIteration"):
        play(resume(used, memory))
    with pytest.raises(RuntimeError, match=f"fetch raised {kind.__name__}|StopIteration"), deadline(1):
        play(resume(used, memory, retry(on=kind, backoff=constant(1))))
    assert memory.saved == []


def test_the_same_error_object_does_not_grow(play: Any, clock: FakeClock) -> None:
    """However often the same object comes back, from `fetch` and from the body, its traceback is as after one pass."""

    def length(error: BaseException) -> int:
        at, count = error.__traceback__, 0
        while at is not None:
            at, count = at.tb_next, count + 1
        return count

    def run(rounds: int, where: str) -> int:
        error = OSError("cached")
        failing = scripted(*[error] * rounds)
        fetch = failing if where == "fetch" else turn
        with pytest.raises(OSError) as caught:
            play(resume(fetch, Memory(), policy(attempts=rounds)), lambda page, items: failing())
        return length(caught.value)

    for where in ("fetch", "body"):
        assert run(30, where) == run(2, where)


def test_one_frame_of_ours_in_a_traceback(play: Any, clock: FakeClock) -> None:
    """An error of `fetch` shows one frame of the library, and one of the body none."""

    def ours(error: BaseException | None) -> list[str]:
        at, found = error and error.__traceback__, []
        while at is not None:
            found.append(at.tb_frame.f_globals["__name__"])
            at = at.tb_next
        return [name for name in found if name.startswith("redouble.") and "testing" not in name]

    for fetch, frames in ((lambda cursor: turn(99), ["redouble.loops.resume"]), (turn, [])):
        with pytest.raises(KeyError) as caught:
            play(resume(fetch, Memory()), lambda page, items: {}[0])
        assert ours(caught.value) == frames


# Committing a part, and what a page knows.


def commit(page: Any, *cursor: Any) -> None:
    """Commit in either colour: the checkpoint of these tests waits for nothing."""
    steps = page.commit(*cursor)
    if steps is not None:
        with pytest.raises(StopIteration):
            steps.send(None)


ROWS: dict[Any, Any] = {
    None: ("abcd", "e"),
    "a": ("abcd", "e"),
    "c": ("cd", "e"),
    "e": ("efgh", None),
    "g": ("gh", None),
}


def test_a_part_of_a_page_may_be_committed(play: Any, clock: FakeClock) -> None:
    """`page.commit(cursor)` saves that cursor: after a failure the rest of the page is fetched, and only that."""
    memory, read, fetched = Memory(), [], []
    failures = [ConnectionResetError(), ConnectionResetError()]

    def fetch(cursor: Any) -> Any:
        fetched.append(cursor)
        return ROWS[cursor]

    def body(page: Any, items: str) -> None:
        for row in items:
            if row in "dh" and failures and len(fetched) in (1, 3):
                raise failures.pop()
            read.append(row)
            if row in "bf":
                commit(page, "c" if row == "b" else "g")
                assert memory.cursor in ("c", "g")

    play(resume(fetch, memory, policy(attempts=2)), body)
    assert "".join(read) == "abc" + "cd" + "efg" + "gh" and fetched == [None, "c", "e", "g"]
    assert memory.saved == ["c", "e", "g", None]


def test_a_part_that_was_committed_is_where_the_next_run_begins(play: Any, clock: FakeClock) -> None:
    """A permanent failure after `page.commit(cursor)` leaves that cursor, and the run has advanced."""
    memory = Memory(stalls=1)

    def body(page: Any, items: Any) -> None:
        commit(page, "c")
        raise ValueError("bad")

    reading = resume(ROWS.get, memory, stall_after=2)
    with pytest.raises(ValueError, match="bad"):
        play(reading, body)
    assert memory.cursor == "c" and memory.stalls == 0 and reading.advanced


def test_a_part_that_is_committed_is_progress(play: Any, clock: FakeClock) -> None:
    """Failures in a row, the curve and the deadline begin again with it; the same cursor once more is none."""
    memory, rounds = Memory("a"), []

    def body(page: Any, items: Any) -> None:
        rounds.append(page.cursor)
        if len(rounds) > 3:
            return
        commit(page, f"{len(rounds)}")
        raise ConnectionResetError

    play(resume(lambda cursor: ([], None), memory, policy(attempts=2, deadline=1.5)), body)
    assert rounds == ["a", "1", "2", "3"] and clock.sleeps == [1, 1, 1]
    rounds.clear()
    with pytest.raises(ConnectionResetError):
        play(
            resume(lambda cursor: ([], None), Memory("a"), policy(attempts=2)),
            lambda page, items: (commit(page, "a"), scripted(ConnectionResetError())()),
        )


def test_committing_the_end_within_a_page(play: Any, clock: FakeClock) -> None:
    """`commit(None)` is the whole of the last page, and refused within any other: it would begin the read anew."""
    memory = Memory()

    def body(page: Any, items: Any) -> None:
        if page.next is not None:
            with pytest.raises(ValueError, match=r"commit\(None\) would say that everything has been read"):
                commit(page, None)
        else:
            commit(page, None)
            with pytest.raises(RuntimeError, match="once"):
                commit(page)

    play(resume(turn, memory), body)
    assert memory.saved == ["b", "c", None]


def test_a_kept_page_keeps_its_own_cursor(play: Any, clock: FakeClock) -> None:
    """A page that is kept tells its own cursor, next and attempt, whatever came after it, and commits nothing any more."""
    kept: list[Any] = []
    fetch = scripted(BOOK[None], OSError(), BOOK["b"], BOOK["c"])
    play(resume(fetch, Memory(), policy), lambda page, items: kept.append(page))
    assert [(page.cursor, page.next, page.attempt) for page in kept] == [(None, "b", 1), ("b", "c", 2), ("c", None, 1)]
    assert repr(kept[1]) == "<redouble.Page of scripted, attempt 2, committed>"
    for page in kept:
        with pytest.raises(RuntimeError, match="once"):
            commit(page)


def test_whether_a_run_advanced_is_to_be_seen(play: Any, clock: FakeClock) -> None:
    """`advanced` is about the newest run: false at its beginning, true once a cursor moved on."""
    memory = Memory("b")
    reading = resume(scripted(BOOK["b"], ValueError(), ValueError(), ([], "c")), memory)
    assert not reading.advanced
    for advanced in (True, False):
        with pytest.raises(ValueError):
            play(reading)
        assert reading.advanced is advanced
    assert memory.cursor == "c"


# Leaving.


@pytest.mark.parametrize("where", ["inside", "behind"])
def test_a_break_commits_nothing(clock: FakeClock, where: str) -> None:
    """Who leaves the loop by `break` gets that page again, whether its `with` has ended or not."""
    memory = Memory()
    for page in resume(turn, memory):
        with page as items:
            if items == [3] and where == "inside":
                break
        if items == [3]:
            break
    assert memory.saved == ["b"]

    async def main() -> None:
        async for page in resume(turn, memory):
            async with page as items:
                if items == [4, 5] and where == "inside":
                    break
            if items == [4, 5]:
                break

    asyncio.run(main())
    assert memory.saved == ["b", "c"]


def test_a_return_commits_nothing_and_continue_does(clock: FakeClock) -> None:
    """`return` leaves the loop, `continue` goes on with it."""
    memory = Memory()

    def read() -> None:
        for page in resume(turn, memory):
            with page as items:
                if items == [1, 2]:
                    continue
                return

    read()
    assert memory.saved == ["b"]


def test_a_page_may_be_committed_by_hand(clock: FakeClock) -> None:
    """`commit()` commits at once, so that one can leave with the page that has been dealt with; it is not saved twice."""
    memory = Memory()
    for page in resume(turn, memory):
        with page as items:
            page.commit()
            assert memory.cursor == page.next
            with pytest.raises(RuntimeError, match="once"):
                page.commit()
            if items == [3]:
                break
    assert memory.saved == ["b", "c"]

    async def main() -> None:
        async for page in resume(turn, memory):
            async with page:
                await page.commit()

    asyncio.run(main())
    assert memory.saved == ["b", "c", None]


def test_a_page_may_be_committed_behind_its_with(clock: FakeClock) -> None:
    """`commit()` works between the end of the `with` and the next page, too, and the loop goes on after it."""
    memory, read = Memory(), []
    for page in resume(turn, memory):
        with page as items:
            read.extend(items)
        page.commit()
        assert memory.cursor == page.next
    assert read == [1, 2, 3, 4, 5] and memory.saved == ["b", "c", None]
    with pytest.raises(RuntimeError, match="open"):
        page.commit()


def test_an_error_after_a_commit_ends_the_run(play: Any, clock: FakeClock) -> None:
    """What has been committed cannot come again: an error of the body after that is raised, also a transient one."""
    memory = Memory()
    with pytest.raises(ConnectionResetError):
        for page in resume(turn, memory, policy):
            with page:
                page.commit()
                raise ConnectionResetError
    assert memory.saved == ["b"] and clock.sleeps == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("where", ["fetch", "body"])
def test_what_is_no_exception_passes(clock: FakeClock, error: type[BaseException], where: str) -> None:
    """`KeyboardInterrupt` and its kin end the run untouched, and commit nothing."""
    memory = Memory()
    fetch = scripted(error()) if where == "fetch" else turn
    with pytest.raises(error):
        by_for(resume(fetch, memory, policy, stall_after=1), scripted(error()))
    assert memory.saved == [] and memory.stalls == 0


def test_interrupted_in_a_wait(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a wait ends the run; no page comes any more."""

    def interrupt(seconds: float, stop: Any = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep", interrupt)
    pages = iter(resume(scripted(OSError()), Memory(), policy))
    with pytest.raises(KeyboardInterrupt):
        next(pages)
    assert list(pages) == []


@pytest.mark.parametrize("where", ["fetch", "body", "wait", "save"])
def test_a_cancellation_passes(clock: FakeClock, where: str) -> None:
    """A task that is cancelled ends at once wherever it is, with nothing committed and nothing left running."""
    memory = AsyncMemory()
    if where == "save":
        memory.save = scripted(HANG, asynchronous=True)  # type: ignore[method-assign]
    outcomes = {"fetch": [HANG], "wait": [OSError()]}.get(where, [BOOK[None]])

    async def read() -> None:
        async for page in resume(
            scripted(*outcomes, asynchronous=True), memory, policy(backoff=constant(99)), stall_after=9
        ):
            async with page:
                if where == "body":
                    await asyncio.sleep(99)

    async def main() -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(5)
        task.cancel("by the user")
        with pytest.raises(asyncio.CancelledError, match="by the user"):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert memory.saved == [] and memory.stalls == 0 and clock.now() == 5


def test_nothing_outlives_the_loop(play: Any, clock: FakeClock) -> None:
    """When the loop has ended, errors and items are free, without any help of the garbage collector."""

    class Items(list[int]):
        pass

    class DownError(OSError):
        def __init__(self) -> None:
            alive.append(weakref.ref(self))

    alive: list[weakref.ref[Any]] = []

    def fetch(cursor: Any) -> Any:
        if len(alive) < 3:
            raise DownError
        items = Items()
        alive.append(weakref.ref(items))
        return items, None

    gc.collect()
    gc.disable()
    try:
        play(resume(fetch, Memory(), policy))
        assert [ref() for ref in alive] == [None] * 4
        alive.clear()
        with pytest.raises(DownError):
            play(resume(fetch, Memory(), policy(attempts=2)))
        assert alive[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["break", "error", "cancelled"])
def test_nothing_outlives_a_loop_that_is_left(  # noqa: C901  # one story, in both colours
    play: Any, clock: FakeClock, how: str
) -> None:
    """A loop that is left is free at once, with what it fetched by, its items and its error."""

    class Fetch:
        def __call__(self, cursor: Any) -> Any:
            items = Items()
            alive.append(weakref.ref(items))
            return items, "next"

    class Items(list[int]):
        pass

    class BadError(ValueError):
        pass

    def body(page: Any, items: Any) -> None:
        if how == "cancelled":
            raise KeyboardInterrupt
        error = BadError()
        alive.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    def leave() -> None:
        fetch = Fetch()
        alive.append(weakref.ref(fetch))
        reading = resume(fetch, Memory(), policy(deadline=5))
        if how != "break":
            play(reading, body)
        elif play is by_for:
            for page in reading:
                with page:
                    break
        else:
            asyncio.run(leave_later(reading))

    async def leave_later(reading: Any) -> None:
        async for page in reading:
            async with page:
                break

    alive: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(BadError, KeyboardInterrupt):
            leave()
        if play is by_async_for:
            gc.collect()  # the event loop's own cycles
        assert len(alive) >= 2 and [found for ref in alive if (found := ref()) is not None] == []
        assert remaining() is None and current_attempt() is None
    finally:
        gc.enable()


# Stopping, and the time.


@pytest.mark.parametrize("kind", [threading.Event, asyncio.Event])
def test_stop_ends_the_loop_in_order(clock: FakeClock, kind: Any) -> None:
    """When `stop` is set no further page comes; the one at hand is committed."""
    stop, memory = kind(), Memory()
    play = by_for if kind is threading.Event else by_async_for
    play(resume(turn, memory, policy(stop=stop)), lambda page, items: stop.set())
    assert memory.saved == ["b"]
    play(resume(turn, memory, policy(stop=stop)))
    assert memory.saved == ["b"]


@pytest.mark.parametrize("where", ["fetch", "body"])
def test_stop_ends_what_is_failing(play: Any, clock: FakeClock, where: str) -> None:
    """A transient failure after `stop` is set ends the run in order; a permanent one is still raised."""
    stop = threading.Event()
    memory = Memory("b", 0)

    def fail(error: Exception) -> Any:
        stop.set()
        raise error

    def run(error: Exception) -> None:
        fetch: Any = (lambda cursor: fail(error)) if where == "fetch" else turn
        play(resume(fetch, memory, policy(stop=stop), stall_after=1), lambda page, items: fail(error))

    run(OSError())
    assert memory.saved == [] and memory.stalls == 0
    stop.clear()
    with pytest.raises(Stalled):
        run(ValueError())


def test_stop_wakes_a_wait(play: Any, clock: FakeClock) -> None:
    """Set during a wait, `stop` ends the run at once."""
    stop = threading.Event()
    fetch = scripted(OSError())
    run = clock.bind(lambda: play(resume(fetch, Memory(), policy(stop=stop, backoff=constant(3600)))))
    thread = threading.Thread(target=run)

    def then_stop() -> None:
        clock.sleep(10)
        stop.set()

    stopper = threading.Thread(target=clock.bind(then_stop))
    thread.start()
    stopper.start()
    with clock.joining():
        thread.join()
        stopper.join()
    assert len(fetch.calls) == 1 and clock.now() < 3600


def test_an_asyncio_stop_is_looked_at_in_sync_code(clock: FakeClock) -> None:
    """An `asyncio.Event` ends the synchronous loop in order, too: it is looked at between two pages."""
    stop, memory = asyncio.Event(), Memory()
    by_for(resume(turn, memory, policy(stop=stop)), lambda page, items: stop.set())
    assert memory.saved == ["b"]


def test_a_written_deadline_begins_again_with_every_page(play: Any, clock: FakeClock) -> None:
    """The policy's deadline is for one page; the fourth wait of the second page would end after it."""
    fetch = scripted(OSError(), OSError(), ([1], "b"), OSError(), OSError(), OSError(), OSError("the last"))
    with pytest.raises(OSError, match="the last") as caught:
        play(resume(fetch, Memory(), policy(deadline=3.5)))
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.DEADLINE and end.elapsed == 3 and clock.sleeps == [1] * 5


def test_a_wait_that_oversleeps(play: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a wait took longer than the deadline leaves, the last error is raised, and counts as stalled."""
    real = clock.sleep

    def oversleep(seconds: float, stop: Any = None) -> None:
        real(seconds + 10)

    async def oversleep_async(seconds: float, stop: Any = None) -> None:
        await asyncio.sleep(seconds + 10)

    monkeypatch.setattr(clock, "sleep", oversleep)
    monkeypatch.setattr(clock, "sleep_async", oversleep_async)
    memory = Memory()
    with pytest.raises(OSError, match="down"):
        play(resume(scripted(OSError("down")), memory, policy(deadline=5), stall_after=2))
    assert memory.stalls == 1
    with pytest.raises(Stalled) as caught:
        play(resume(scripted(OSError("down")), memory, policy(deadline=5), stall_after=2))
    assert str(caught.value.__cause__) == "down"


def test_a_deadline_scope_bounds_the_waits(play: Any, clock: FakeClock) -> None:
    """No wait begins that would end after a scope around the loop, and the scope says that it was its end."""
    with pytest.raises(OSError) as caught, deadline(2.5) as limit:
        play(resume(scripted(*[OSError()] * 3), Memory(), policy))
    assert clock.sleeps == [1, 1] and limit.ended(caught.value)


def test_no_page_is_begun_after_a_deadline_scope(play: Any, clock: FakeClock) -> None:
    """When the time is over between two pages no further one is fetched; the one before is committed."""
    memory = Memory()
    with pytest.raises(DeadlineExceeded, match="between two pages") as caught, deadline(2) as limit:
        play(resume(turn, memory), lambda page, items: clock.advance(2))
    assert memory.saved == ["b"] and limit.expired and limit.ended(caught.value)


def test_the_time_of_the_body_is_not_counted(play: Any, clock: FakeClock) -> None:
    """A written deadline is for fetching and waiting: a body that takes long and then fails gets its page again."""
    memory, bodies = Memory(), scripted(ConnectionResetError(), ConnectionResetError(), None, None, None)

    def body(page: Any, items: Any) -> None:
        clock.advance(100)
        bodies()

    play(resume(turn, memory, policy(deadline=3)), body)
    assert memory.saved == ["b", "c", None] and clock.sleeps == [1, 1]
    with pytest.raises(ConnectionResetError) as caught:
        play(resume(turn, Memory(), policy(deadline=3)), lambda page, items: scripted(ConnectionResetError())())
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.DEADLINE and end.attempts == 4


def test_what_is_called_within_is_bounded(play: Any, clock: FakeClock) -> None:
    """`current_attempt()` finds the page's in `fetch` and in the body; the deadline is the fetch's alone."""
    seen: list[Any] = []

    def look(*_: Any) -> Any:
        found = current_attempt()
        seen.append((remaining(), found and found.number))
        return [1], None

    play(resume(look, Memory(), policy(deadline=20)), look)
    assert seen == [(20, 1), (None, 1)] and remaining() is None and current_attempt() is None


def test_a_hanging_fetch_is_cut_off(clock: FakeClock) -> None:
    """In asyncio `attempt_timeout` cuts off a fetch, which is a transient failure, and never the body."""
    fetch = scripted(HANG, HANG, ([1], None), asynchronous=True)
    memory = Memory()

    async def main() -> None:
        async for page in resume(fetch, memory, policy(attempt_timeout=4)):
            async with page:
                await asyncio.sleep(100)

    asyncio.run(main())
    assert memory.saved == [None] and clock.now() == 4 + 1 + 4 + 1 + 100


def test_a_written_deadline_cuts_off_a_fetch(clock: FakeClock) -> None:
    """In asyncio a written deadline cuts off the fetch under way: `DeadlineExceeded`, from the last error."""
    with pytest.raises(DeadlineExceeded) as caught:
        by_async_for(resume(scripted(OSError("before"), HANG, asynchronous=True), Memory(), policy(deadline=10)))
    assert clock.now() == 10 and str(caught.value.__cause__) == "before"


def test_a_timeout_is_handed_to_fetch(play: Any, clock: FakeClock) -> None:
    """`timeout_as` gives each fetch the time that it has."""
    seen: list[float] = []

    def fetch(cursor: Any, *, timeout: float) -> Any:
        seen.append(timeout)
        clock.advance(3)
        if len(seen) < 3:
            raise OSError
        return [1], None

    play(resume(fetch, Memory(), policy(deadline=12, attempt_timeout=6, timeout_as="timeout")))
    assert seen == [6, 6, 4]


def test_a_policy_is_overridden(play: Any, clock: FakeClock) -> None:
    """`override` holds for loops."""
    with override(attempts=1), pytest.raises(OSError):
        play(resume(scripted(OSError()), Memory(), policy))
    assert clock.sleeps == []


# Stalling.


def test_runs_that_come_to_nothing_are_counted(play: Any, clock: FakeClock) -> None:
    """The n-th failed run in a row without an advance raises `Stalled` from its error; later ones fetch nothing."""
    memory = Memory("b")
    for stalls in (1, 2):
        with pytest.raises(ValueError, match="bad"):
            play(resume(scripted(ValueError("bad")), memory, stall_after=3))
        assert memory.stalls == stalls
    with pytest.raises(Stalled, match=r"stalled: 3 of 3 runs in a row of scripted failed .* at cursor 'b'") as caught:
        play(resume(scripted(ValueError("bad")), memory, stall_after=3))
    assert (caught.value.cursor, caught.value.name) == ("b", "scripted")
    assert str(caught.value.__cause__) == "bad" and (caught.value.stalls, caught.value.stall_after) == (3, 3)
    assert not isinstance(caught.value, TimeoutError)
    fetch = scripted()
    for _ in range(2):
        with pytest.raises(Stalled, match="stalled: 3 of 3 runs") as caught:
            play(resume(fetch, memory, stall_after=3))
        assert fetch.calls == [] and caught.value.__cause__ is None and caught.value.cursor == "b"
    assert memory.cursor == "b"


def test_a_body_that_fails_stalls_too(play: Any, clock: FakeClock) -> None:
    """A run that ends with an error of the body counts as one that ends with an error of `fetch`."""
    with pytest.raises(Stalled, match="1 of 1") as caught:
        play(resume(turn, Memory(), stall_after=1), scripted(ValueError("bad")))
    assert str(caught.value.__cause__) == "bad"


def test_a_higher_limit_tries_again(play: Any, clock: FakeClock) -> None:
    """Raising the limit re-arms; then an advance sets the count to 0."""
    memory = Memory(None, 2)
    with pytest.raises(Stalled, match="2 of 2"):
        play(resume(turn, memory, stall_after=2))
    play(resume(turn, memory, stall_after=3))
    assert memory.stalls == 0 and memory.saved == ["b", "c", None]


def test_a_run_that_advanced_does_not_count(play: Any, clock: FakeClock) -> None:
    """A run that fails after it has committed a page leaves the count at 0."""
    memory = Memory(None, 1)
    with pytest.raises(ValueError, match="bad"):
        play(resume(scripted(BOOK[None], ValueError("bad")), memory, stall_after=2))
    assert memory.stalls == 0


def test_a_cursor_that_stays_is_no_advance(play: Any, clock: FakeClock) -> None:
    """A page whose next cursor is its own does not set the count back."""
    memory = Memory("a", 1)
    with pytest.raises(Stalled, match="2 of 2"):
        play(resume(scripted(([], "a"), ValueError()), memory, stall_after=2))


def test_a_break_leaves_the_count(clock: FakeClock) -> None:
    """A run that was left by `break` tells nothing."""
    memory = Memory(None, 1)
    for page in resume(turn, memory, stall_after=2):
        with page:
            break
    assert memory.stalls == 1


@pytest.mark.parametrize("where", ["fetch", "body", "wait", "save"])
@pytest.mark.parametrize("around", ["deadline", "watchdog", "retry"])
def test_a_deadline_that_ends_the_run_counts(clock: FakeClock, where: str, around: str) -> None:
    """A run that a deadline or a watchdog around it cancels has failed; the next one is refused."""
    memory = AsyncMemory()
    if where == "save":
        memory.save = scripted(HANG, asynchronous=True)  # type: ignore[method-assign]
    outcomes = {"fetch": [HANG], "wait": [OSError()]}.get(where, [BOOK[None]])
    forever = policy(backoff=constant(1))

    async def read() -> None:
        fetch = scripted(*outcomes, *[OSError()] * 99, asynchronous=True)
        patient = forever(backoff=constant(4)) if where == "wait" else forever
        async for page in resume(fetch, memory, patient, stall_after=1):
            async with page:
                if where == "body":
                    await asyncio.sleep(99)

    async def main() -> None:
        if around == "deadline":
            async with deadline(5):
                await read()
        elif around == "watchdog":
            async with watchdog(5):
                await read()
        else:
            await retry(deadline=5).call(read)

    if where == "wait" and around != "watchdog":  # there the loop sees by itself that no wait can pay off
        with pytest.raises((Stalled, DeadlineExceeded)):
            asyncio.run(main())
    else:
        with pytest.raises(DeadlineExceeded):
            asyncio.run(main())
    assert memory.stalls == 1
    with pytest.raises(Stalled, match="1 of 1"):
        asyncio.run(read())


def test_a_cancellation_leaves_the_count(clock: FakeClock) -> None:
    """A run that somebody cancels tells nothing, also beneath a deadline that has not passed."""
    memory = Memory(None, 1)

    async def read() -> None:
        async with deadline(60), watchdog(60):
            async for page in resume(scripted(HANG, asynchronous=True), memory, stall_after=2):
                async with page:
                    pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert memory.stalls == 1


def test_a_count_that_takes_too_long_to_save(clock: FakeClock) -> None:
    """A checkpoint that hangs does not hold up a run that is being cancelled for ever: it is given 5 s."""
    memory = AsyncMemory()
    memory.save_stalls = scripted(HANG, asynchronous=True)  # type: ignore[method-assign]

    async def main() -> None:
        async with watchdog(10):
            async for _ in resume(scripted(HANG, asynchronous=True), memory, policy, stall_after=1):
                pass

    with pytest.raises(DeadlineExceeded):
        asyncio.run(main())
    assert clock.now() == 15


def test_a_read_within_a_read_that_stalled_counts(play: Any, clock: FakeClock) -> None:
    """`Stalled` of a long read in the body is a failure of the run like any other."""
    memory = Memory()
    with pytest.raises(Stalled, match="3 of 3"):
        play(
            resume(turn, memory, stall_after=2),
            lambda page, items: by_for(resume(turn, Memory(None, 3), stall_after=3)),
        )
    assert memory.stalls == 1


def test_a_count_that_cannot_be_saved(play: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong in counting does not hide the error: it is logged, once."""
    memory = Memory()
    memory.save_stalls = scripted(OSError("disk full"), OSError("disk full"))  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            play(resume(scripted(ValueError("bad")), memory, stall_after=5))
    assert caplog.text.count("the stalled run is not counted") == 1


def test_a_stalled_error_can_be_pickled() -> None:
    """It crosses to another process as it is."""
    stalled = Stalled(2, 3, {"page": 7}, "fetch")
    again = pickle.loads(pickle.dumps(stalled))
    assert str(again) == str(stalled) and (again.stalls, again.stall_after) == (2, 3)
    assert (again.cursor, again.name) == ({"page": 7}, "fetch")


FAULTY = [
    "redouble.loops.reading.Reading._counts",
    "redouble.loops.reading.Reading._is_stalled",
    "redouble.control.tally.Tally.decide",
    "redouble.calls.call.forget_earlier_passes",
    "redouble.calls.call.judge_exception",
]


@pytest.mark.parametrize("where", ["fetch", "body"])
@pytest.mark.parametrize("faulty", FAULTY)
def test_a_fault_of_ours_hides_no_error(
    play: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: Any, where: str, faulty: str
) -> None:
    """Whatever goes wrong between catching an error and raising it is reported, and the error comes out."""
    real = OSError("the second") if "earlier" in faulty else ValueError("real")
    failing = scripted(*([OSError("the first")] if "earlier" in faulty else []), real)
    reading = resume(failing if where == "fetch" else turn, Memory("b"), policy, stall_after=3)

    def fault(*_: Any, **__: Any) -> Any:
        if failing.calls:
            raise ZeroDivisionError("a fault")
        return False  # before anything was caught nothing is guarded

    monkeypatch.setattr(faulty, fault)
    with pytest.raises(type(real)) as caught:
        play(reading, lambda page, items: failing())
    assert caught.value is real and "a fault" in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal on Windows")
def test_what_a_signal_raises_while_a_run_ends(clock: FakeClock) -> None:
    """The handler of a signal that raises while the count is saved is meant for the caller, not a fault to be reported."""

    class ShutDown(Exception):  # noqa: N818  # it is a wish
        pass

    def handle(*_: Any) -> None:
        raise ShutDown

    memory = Memory()
    memory.save_stalls = lambda stalls: signal.raise_signal(signal.SIGUSR1)  # type: ignore[method-assign]
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(ShutDown):
            by_for(resume(scripted(ValueError("bad")), memory, policy, stall_after=3))
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("part", ["on", "observers", "clock", "backoff", "stop"])
def test_a_faulty_part_hides_no_error(play: Any, clock: FakeClock, part: str) -> None:
    """A rule, an observer, a clock, a curve and a stop that raise leave the error of the fetch as the one that comes out."""

    def raises(*_: Any) -> Any:
        raise ZeroDivisionError("faulty")

    class Faulty:
        now = sleep = call_later = is_set = wait = clear = raises

        async def sleep_async(self, *_: Any) -> None:
            raises()

    class FaultyCurve(Backoff):
        delay = raises

    parts: dict[str, Any] = {
        "on": [raises, OSError],
        "observers": [raises],
        "clock": Faulty(),
        "backoff": FaultyCurve(),
        "stop": Faulty(),
    }
    errors = [OSError("first"), OSError("last")]
    with pytest.raises(OSError) as caught:
        play(resume(scripted(*errors), Memory(), policy(attempts=2, **{part: parts[part]}), stall_after=3))
    assert caught.value in errors


# A checkpoint that fails.


def test_a_cursor_that_cannot_be_saved(play: Any, clock: FakeClock) -> None:
    """What `save` raises is not retried and propagates; the page is not committed and comes again with the next run."""
    memory, read = Memory(), []
    real, memory.save = memory.save, scripted(OSError("disk full"))  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk full"):
        play(resume(turn, memory, policy, stall_after=9), collect(read))
    assert memory.stalls == 1 and clock.sleeps == []
    memory.save = real  # type: ignore[method-assign]
    play(resume(turn, memory, policy), collect(read))
    assert read == [1, 2, 1, 2, 3, 4, 5]


def test_a_cursor_that_cannot_be_loaded(play: Any, clock: FakeClock) -> None:
    """What `load` raises propagates, before anything is fetched."""
    memory, fetch = Memory(), scripted()
    memory.load = scripted(OSError("gone"))  # type: ignore[method-assign]
    with pytest.raises(OSError, match="gone"):
        play(resume(fetch, memory, policy))
    assert fetch.calls == []


@pytest.mark.parametrize("stalls", [-1, None, "1", True])
def test_a_count_that_is_none(play: Any, clock: FakeClock, stalls: Any) -> None:
    """A checkpoint that gives no number of stalled runs is refused."""
    with pytest.raises(
        (TypeError, ValueError), match=r"what Checkpoint\.load_stalls gives must be a whole number >= 0"
    ):
        play(resume(turn, Memory(None, stalls), stall_after=2))


# Mistakes.


def test_a_forgotten_with(clock: FakeClock) -> None:
    """A loop whose pages are never entered would commit nothing and never end: it is refused at the second pass."""
    with pytest.raises(RuntimeError, match="write `with page as items:`"):
        for _ in resume(turn, Memory()):
            pass

    async def main() -> None:
        async for _ in resume(turn, Memory()):
            pass

    with pytest.raises(RuntimeError, match="write `async with page as items:`"):
        asyncio.run(main())


def test_a_page_is_entered_once(clock: FakeClock) -> None:
    """A page is entered once, and the next one does not come while it is open."""
    pages = iter(resume(turn, Memory()))
    assert iter(pages) is pages and aiter(later := aiter(resume(turn, Memory()))) is later
    page = next(pages)
    with page:
        with pytest.raises(RuntimeError, match="still open"):
            next(pages)
        with pytest.raises(RuntimeError, match="enters a page once"):
            page.__enter__()


@pytest.mark.parametrize("found", [None, [[], None], ([],), ([], None, 1), iter(())])
def test_what_is_no_page(play: Any, clock: FakeClock, found: Any) -> None:
    """What is no tuple of two is a mistake in the program: refused, whatever the rules say."""
    with pytest.raises(TypeError, match=r"fetch must return a tuple \(items, next\), got"):
        play(resume(scripted(found), Memory(), retry(on=Exception)))


@pytest.mark.parametrize("part", ["fetch", "load", "save", "load_stalls"])
def test_async_parts_are_refused_in_sync_code(clock: FakeClock, part: str) -> None:
    """In a plain `for` nobody awaits: said by name, and without a complaint about a coroutine."""
    memory = Memory()
    later: Any = scripted(BOOK[None], asynchronous=True)
    if part != "fetch":
        setattr(memory, part, later)
    with pytest.raises(TypeError, match=f"{part} gives something to await: write `async for"):
        by_for(resume(later if part == "fetch" else turn, memory, stall_after=2))

    class Later:
        def __await__(self) -> Any:
            yield

    with pytest.raises(TypeError, match="fetch gives something to await"):
        by_for(resume(scripted(Later()), Memory()))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None, Memory()), {}, "fetch must be a callable, got None"),
        ((turn, None), {}, "checkpoint must have the methods load, save, got None"),
        ((turn, Memory), {}, "checkpoint must have the methods load, save, got <class"),
        ((turn, Memory(), 3), {}, "policy must be a RetryPolicy"),
        ((turn, Memory()), {"stall_after": 0}, "stall_after must be a whole number >= 1 or None, got 0"),
        ((turn, Memory()), {"stall_after": 2.5}, "stall_after must be a whole number >= 1 or None, got 2.5"),
        ((turn, {}), {"stall_after": 1}, "load, save, load_stalls, save_stalls for stall_after, got {}"),
        ((turn, Memory(), retry(timeout_as="timeout")), {}, "timeout_as must name a keyword that turn takes"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, options: Any, message: str) -> None:
    """Mistakes are refused where they are written, naming argument, rule and value."""
    import re

    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        resume(*arguments, **options)


def test_an_attempt_timeout_needs_a_keyword_in_sync_code(clock: FakeClock) -> None:
    """Nothing can stop a synchronous fetch."""
    with pytest.raises(TypeError, match="cannot cut off the synchronous turn"):
        by_for(resume(turn, Memory(), policy(attempt_timeout=5)))


def test_a_watchdog_around_is_not_retried(play: Any, clock: FakeClock) -> None:
    """In synchronous code the watchdog speaks in `touch()`: its end is the end, and no failure to be retried."""
    memory = Memory()

    def body(page: Any, items: Any) -> None:
        clock.advance(11)
        dog.check()

    def fetch(cursor: Any) -> Any:
        if clock.now() > 20:
            dog.check()
        clock.advance(11)
        raise OSError

    with pytest.raises(DeadlineExceeded, match="no progress for 10 s"), watchdog(10) as dog:
        play(resume(turn, memory, retry(on=Exception), stall_after=5), body)
    assert memory.stalls == 1
    with pytest.raises(DeadlineExceeded, match="no progress for 10 s"), watchdog(10) as dog:
        play(resume(fetch, memory, retry(on=Exception), stall_after=5))
    assert memory.stalls == 2


def test_what_the_checkpoint_raises_within_commit_is_not_retried(clock: FakeClock) -> None:
    """As without `commit()` it ends the run, whatever the rules say of it, and nothing holds it."""
    fetch, memory = scripted(BOOK[None]), Memory()
    memory.save = scripted(OSError("disk full"))  # type: ignore[method-assign]
    kept: list[Any] = []
    with pytest.raises(OSError, match="disk full"):
        for page in resume(fetch, memory, policy(attempts=2)):
            kept.append(page._reading)
            with page:
                page.commit()
    assert (len(fetch.calls), clock.sleeps, kept[0].unsaved) == (1, [], None)


def test_what_the_checkpoint_raises_within_commit_is_not_retried_in_asyncio(clock: FakeClock) -> None:
    """The same in a coroutine, where `commit(cursor)` is awaited and a stalled run is counted."""
    fetch, memory = scripted(BOOK[None], asynchronous=True), AsyncMemory()
    memory.save = scripted(OSError("disk full"), asynchronous=True)  # type: ignore[method-assign]

    async def main() -> None:
        async for page in resume(fetch, memory, policy(attempts=2), stall_after=5):
            async with page:
                await page.commit("a")

    with pytest.raises(OSError, match="disk full"):
        asyncio.run(main())
    assert (len(fetch.calls), clock.sleeps, memory.stalls) == (1, [], 1)


def test_an_error_of_the_body_after_a_failed_commit_is_retried(clock: FakeClock) -> None:
    """An error of the body's own is judged by the rules, also where it comes of one that the checkpoint raised."""
    memory = Memory()
    memory.save = scripted(OSError("disk full"), *[None] * 3)  # type: ignore[method-assign]

    def body(page: Any, items: Any) -> None:
        if page.attempt == 1:
            try:
                page.commit()
            except OSError as error:
                raise ConnectionError("mine") from error

    by_for(resume(turn, memory, policy), body)
    assert clock.sleeps == [1.0]


def test_a_run_that_got_no_page_is_counted(play: Any, clock: FakeClock) -> None:
    """A fetch that returns no page comes to nothing like one that raises, and again and again it is stalled."""
    memory = Memory()
    with pytest.raises(TypeError, match="fetch must return"):
        play(resume(lambda cursor: None, memory, stall_after=2))  # type: ignore[arg-type,return-value]
    assert memory.stalls == 1
    with pytest.raises(Stalled) as caught:
        play(resume(lambda cursor: None, memory, stall_after=2))  # type: ignore[arg-type,return-value]
    assert isinstance(caught.value.__cause__, TypeError)
