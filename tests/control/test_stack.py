"""Floor 2. Which retried calls surround a frame: found by walking frames, never by a context variable."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import current_attempt, deadline, remaining, retry
from redouble.control import stack
from redouble.control.stack import close_block, enclosing, known_by, least_left, open_block
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Call:
    """A retried call with so many seconds left."""

    def __init__(self, left: float | None = None) -> None:
        self.seconds = left

    def left(self) -> float | None:
        return self.seconds


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known and open here is forgotten afterwards."""
    monkeypatch.setattr(stack, "_readers", dict(stack._readers))
    monkeypatch.setattr(stack, "_codes", list(stack._codes))
    monkeypatch.setattr(stack, "blocks", {})


def inside(call: Call | None, body: Any) -> Any:
    """A wrapper of the user's: known by its code, read by its local variable."""
    return body()


def read(frame: FrameType) -> Call | None:
    """The call in a frame of `inside`."""
    found: Call | None = frame.f_locals["call"]
    return found


def found() -> list[Any]:
    """What surrounds the caller."""
    return list(enclosing(sys._getframe(1)))


def test_outside_of_everything_there_is_nothing() -> None:
    """No retried call surrounds plain code."""
    assert found() == [] and list(enclosing()) == [] and least_left(sys._getframe()) is None


def test_a_frame_of_known_code_is_found() -> None:
    """A wrapper is known by its code, and read by its own reader."""
    call = Call()
    assert inside(call, found) == []
    known_by(inside.__code__, read)
    assert inside(call, found) == [call]
    assert found() == []


def test_the_innermost_comes_first() -> None:
    """Calls within calls are given from the inside out."""
    outer, inner = Call(), Call()
    known_by(inside.__code__, read)
    assert inside(outer, lambda: inside(inner, found)) == [inner, outer]


def test_the_first_reader_of_a_code_stays() -> None:
    """Decorating many functions registers the wrapper's code once."""
    known_by(inside.__code__, read)
    count = len(stack._codes)
    known_by(inside.__code__, lambda frame: None)
    assert inside("call", found) == ["call"] and len(stack._codes) == count


def test_a_frame_without_a_call_yet() -> None:
    """A reader may find nothing in a frame; what is further out is found all the same."""
    outer = Call()
    known_by(inside.__code__, read)
    assert inside(outer, lambda: inside(None, found)) == [outer]


def test_the_walk_begins_where_it_is_told() -> None:
    """Without a frame it begins at the caller; with one it begins there."""
    call = Call()
    known_by(inside.__code__, read)
    assert inside(call, lambda: list(enclosing())) == [call]
    frame = inside(call, lambda: sys._getframe())
    assert list(enclosing(frame)) == [call]


def test_a_block_is_found_by_its_frame() -> None:
    """A block stands in the user's own frame: it is found there and beneath, until it is closed."""
    block, other = Call(), Call()
    here = id(sys._getframe())
    open_block(here, block)
    open_block(here, other)
    assert found() == [other, block]
    assert (lambda: found())() == [other, block]
    close_block(here, other)
    close_block(here, other)
    assert found() == [block]
    close_block(here, block)
    assert found() == [] and stack.blocks == {}


def test_a_block_that_was_never_opened() -> None:
    """Closing what is not open is harmless."""
    close_block(id(sys._getframe()), Call())
    assert stack.blocks == {}


def test_a_block_in_another_frame_is_not_found() -> None:
    """A block in a function that has called nothing of ours does not surround us."""

    def opens() -> Iterator[None]:
        open_block(id(sys._getframe()), Call())
        yield
        assert len(found()) == 1

    other = opens()
    next(other)
    assert found() == []
    assert list(other) == []  # it goes on, and finds its own


def test_blocks_and_wrappers_in_one_stack() -> None:
    """Both are found in the order in which they stand."""
    wrapper, block = Call(), Call()
    known_by(inside.__code__, read)

    def body() -> list[Any]:
        open_block(id(sys._getframe()), block)
        try:
            return found()
        finally:
            close_block(id(sys._getframe()), block)

    assert inside(wrapper, body) == [block, wrapper]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [(None, None, None), (5.0, None, 5.0), (None, 5.0, 5.0), (5.0, 7.0, 5.0), (7.0, 5.0, 5.0), (-1.0, 5.0, -1.0)],
)
def test_the_least_that_is_left(outer: float | None, inner: float | None, expected: float | None) -> None:
    """The least of what the calls around have left; those without a limit do not count."""
    known_by(inside.__code__, read)
    assert inside(Call(outer), lambda: inside(Call(inner), lambda: least_left(sys._getframe()))) == expected


def test_the_least_that_is_left_of_blocks() -> None:
    """Blocks count like wrappers."""
    here = id(sys._getframe())
    for seconds in (9.0, 4.0, None):
        open_block(here, Call(seconds))
    assert least_left(sys._getframe()) == 4.0


def test_the_least_that_is_left_beside_other_blocks() -> None:
    """Blocks of other frames, and of other threads, do not count."""
    open_block(-1, Call(1.0))
    assert least_left(sys._getframe()) is None


def test_a_call_for_which_no_stack_is_left() -> None:
    """A reader that runs out of stack leaves the others to bound."""

    def fails(frame: FrameType) -> Call | None:
        found = read(frame)
        if found is None:
            raise RecursionError
        return found

    known_by(inside.__code__, fails)
    assert inside(Call(5), lambda: inside(None, lambda: least_left(sys._getframe()))) == 5
    assert inside(None, lambda: inside(Call(5), lambda: least_left(sys._getframe()))) == 5


# Through the ways in.


def test_a_function_that_calls_itself_keeps_its_error() -> None:
    """What a decorated function that walks a tree fails with comes out of any depth that it reaches itself."""
    calls = 0

    @retry(on=LookupError, attempts=2, deadline=None)
    def walk(depth: int) -> None:
        nonlocal calls
        calls += 1
        if depth == 0:
            raise ConnectionResetError("bottom")
        walk(depth - 1)

    deepest = sys.getrecursionlimit() // 4
    with fake_time(), pytest.raises(ConnectionResetError, match="bottom"):
        walk(deepest)
    assert calls == deepest + 1


def test_the_deadline_of_the_outermost_bounds_what_is_far_below() -> None:
    """However many calls are between, each without a failure so far."""

    @retry
    def deeper(depth: int) -> Any:
        return deeper(depth - 1) if depth else (remaining(), current_attempt())

    with fake_time():
        left, attempt = retry(deadline=5).call(deeper, 100)
    assert left == 5.0 and attempt.remaining == 5.0


def test_a_decorated_function_is_found_from_deeper_down() -> None:
    """`remaining` and `current_attempt` see the call around, with its own deadline."""

    def deeper() -> tuple[Any, Any]:
        attempt = current_attempt()
        return remaining(), attempt and attempt.number

    @retry(deadline=5)
    def fetch() -> tuple[Any, Any]:
        return deeper()

    with fake_time():
        assert fetch() == (5.0, 1)
        assert deeper() == (None, None)


def test_a_thread_is_inside_of_nothing() -> None:
    """What a thread was started in does not surround what it runs."""
    seen: list[float | None] = []

    @retry(deadline=5)
    def fetch() -> None:
        thread = threading.Thread(target=lambda: seen.append(remaining()))
        thread.start()
        thread.join()

    with fake_time():
        fetch()
    assert seen == [None]


def test_a_block_is_found_from_deeper_down() -> None:
    """The attempt of a block surrounds its body, and nothing after it."""
    with fake_time():
        for attempt in retry(deadline=5):
            with attempt:
                assert remaining() == 5.0 and current_attempt() is attempt
        assert remaining() is None and current_attempt() is None


def test_the_least_of_calls_and_scopes() -> None:
    """Retried calls and deadline scopes bound together, and a call within a call has no more than what is left."""
    with fake_time(), deadline(7):

        @retry(deadline=9)
        def outer() -> Any:
            return retry(deadline=20).call(remaining), remaining()

        assert outer() == (7.0, 7.0)
        assert retry(deadline=3).call(remaining) == 3.0
