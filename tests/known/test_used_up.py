"""Floor 2. Which arguments a failed attempt has used up."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble.known.used_up import used_up


def put(body: Any, name: str = "a", **more: Any) -> None:
    """Some function that sends what it is given."""


class Bucket:
    """Something with methods."""

    def put(self, body: Any) -> None: ...

    @classmethod
    def make(cls, body: Any) -> None: ...


class Reader:
    """An object of somebody's, of which nothing may be run."""

    def __init__(self) -> None:
        self.closed = True

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    def __iter__(self) -> Any:
        raise AssertionError

    __next__ = read = tell = __iter__


class Sink(io.BytesIO):
    """A BytesIO with ideas of its own."""

    def tell(self) -> int:
        raise AssertionError

    readable = tell  # type: ignore[assignment]


def begun() -> Iterator[int]:
    """A generator of which something was taken."""
    numbers = (number for number in range(3))
    next(numbers)
    return numbers


def ended() -> Iterator[int]:
    """A generator with nothing left."""
    numbers = (number for number in range(3))
    list(numbers)
    return numbers


async def pages() -> AsyncIterator[int]:
    """Some asynchronous pages."""
    yield 1
    yield 2


def step(awaitable: Any) -> None:
    """Run an awaitable to its first wait or its end."""
    with pytest.raises(StopIteration):
        awaitable.send(None)


def begun_pages(closed: bool = False) -> Any:
    """Asynchronous pages of which one was taken."""
    found = pages()
    step(found.__anext__())  # type: ignore[attr-defined]
    if closed:
        step(found.aclose())  # type: ignore[attr-defined]
    return found


def moved(opened: Any) -> Any:
    """A file of which something was read."""
    opened.read(1)
    return opened


def in_lines(opened: Any) -> Any:
    """A text file in the middle of its lines, where it does not say where it is."""
    next(opened)
    return opened


def shut(opened: Any) -> Any:
    """A file that was closed."""
    opened.close()
    return opened


def moved_list() -> Any:
    """An iterator over a list of which something was taken."""
    numbers = iter([1, 2])
    next(numbers)
    return numbers


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file with two lines."""
    path = tmp_path / "report.csv"
    path.write_text("a\nb\n")
    return path


USED: dict[str, Callable[[Path], Any]] = {
    "generator": lambda _: begun(),
    "ended generator": lambda _: ended(),
    "async generator": lambda _: begun_pages(),
    "closed async generator": lambda _: begun_pages(closed=True),
    "map": lambda _: map(str, [1]),
    "zip": lambda _: zip([1], [2], strict=True),
    "enumerate": lambda _: enumerate([1]),
    "filter": lambda _: filter(None, [1]),
    "reversed": lambda _: reversed([1]),
    "dict": lambda _: iter({1: 2}),
    "dict items": lambda _: iter({1: 2}.items()),
    "set": lambda _: iter({1}),
    "range": lambda _: iter(range(3)),
    "sentinel": lambda _: iter(int, 1),
    "chain": lambda _: chain([1], [2]),
    "islice": lambda _: islice(count(), 3),
    "deque": lambda _: iter(deque([1])),
    "csv": lambda _: csv.reader(["a"]),
    "list that moved": lambda _: moved_list(),
    "BytesIO": lambda _: moved(io.BytesIO(b"ab")),
    "StringIO": lambda _: moved(io.StringIO("ab")),
    "closed BytesIO": lambda _: shut(io.BytesIO(b"ab")),
    "subclass of BytesIO": lambda _: moved(Sink(b"ab")),
    "text file": lambda path: moved(path.open()),
    "text file in lines": lambda path: in_lines(path.open()),
    "binary file": lambda path: moved(path.open("rb")),
    "raw file": lambda path: moved(path.open("rb", buffering=0)),
    "random file": lambda path: moved(path.open("r+b")),
    "closed file": lambda path: shut(path.open()),
    "text over bytes": lambda _: moved(io.TextIOWrapper(io.BytesIO(b"ab"))),
    "in a dict": lambda _: {"report": ("report.csv", moved(io.BytesIO(b"ab")), "text/csv")},
    "in a list": lambda _: [1, begun()],
}


@pytest.mark.parametrize("kind", USED)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_used_up(kind: str, text: Path) -> None:
    """What has begun, what a builtin iterates over and files that are not at their start: named, wherever they stand."""
    value = USED[kind](text)
    assert used_up(put, (value,), {}) == "body"
    assert used_up(put, ("x",), {"lines": value}) == "lines"
    assert used_up(put, ("x", "y", value), {}) == "argument 3"
    assert used_up(print, (1, value), {}) == "argument 2"


FRESH: dict[str, Callable[[Path], Any]] = {
    "generator": lambda _: (number for number in range(3)),
    "async generator": lambda _: pages(),
    "list": lambda _: iter([1]),
    "tuple": lambda _: iter((1,)),
    "str": lambda _: iter("ab"),
    "wide str": lambda _: iter("\u20ac"),
    "bytes": lambda _: iter(b"ab"),
    "bytearray": lambda _: iter(bytearray(b"ab")),
    "count": lambda _: count(),
    "BytesIO": lambda _: io.BytesIO(b"ab"),
    "subclass of BytesIO": lambda _: Sink(b"ab"),
    "text file": lambda path: path.open(),
    "binary file": lambda path: path.open("rb"),
    "appended": lambda path: path.open("a+"),
    "written": lambda path: path.open("w"),
    "somebody's": lambda _: Reader(),
    "somebody's in a file": lambda _: io.TextIOWrapper(io.BufferedReader(Raw())),
    "range": lambda _: range(3),
    "set": lambda _: {1},
    "deep": lambda _: [[[begun()]]],
    "far": lambda _: [*range(20), begun()],
    "class": lambda _: map,
    "nothing": lambda _: None,
    "temporary": lambda _: tempfile.SpooledTemporaryFile(),  # noqa: SIM115
}


class Raw(io.RawIOBase):
    """A stream of somebody's, which does not like to be asked."""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        raise AssertionError


@pytest.mark.parametrize("kind", FRESH)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_not_used_up(kind: str, text: Path) -> None:
    """What nobody has begun, what never ends, what is written to, and what cannot be told without foreign code."""
    assert used_up(put, (FRESH[kind](text),), {}) is None


def test_a_coroutine_is_awaited_once() -> None:
    """A coroutine that was awaited cannot be awaited again."""

    async def work() -> None: ...

    coroutine = work()
    assert used_up(put, (coroutine,), {}) is None
    step(coroutine)
    assert used_up(put, (coroutine,), {}) == "body"


def test_a_detached_file_is_used_up(text: Path) -> None:
    """A text file whose buffer was taken away is of no use any more."""
    opened = text.open()
    with opened.detach():
        assert used_up(put, (opened,), {}) == "body"


def test_temporary_files_are_wrappers() -> None:
    """The files of `tempfile` hold the real one."""
    with tempfile.NamedTemporaryFile() as named, tempfile.SpooledTemporaryFile() as spooled:
        for each in (named, spooled):
            each.write(b"ab")
            assert used_up(put, (each,), {}) == "body"
            each.seek(0)
            assert used_up(put, (each,), {}) is None


def test_a_pipe_does_not_tell() -> None:
    """A pipe does not know where it is."""
    ours, theirs = os.pipe()
    with os.fdopen(ours) as reading, os.fdopen(theirs, "w") as writing:
        writing.write("a\n")
        writing.flush()
        reading.readline()
        assert used_up(put, (reading,), {}) is None


def test_self_is_not_looked_at() -> None:
    """Neither the first argument of a method, nor what a bound method is bound to."""
    numbers = begun()

    @wraps(Bucket.put)
    def wrapped(*args: Any) -> None: ...

    def local(*args: Any) -> None: ...

    assert used_up(Bucket.put, (numbers,), {}) is None
    assert used_up(wrapped, (numbers,), {}) is None
    assert used_up(local, (numbers,), {}) == "argument 1"
    assert used_up(numbers.__next__, (), {}) is None
    assert used_up(Bucket.put, ("x", numbers), {}) == "body"
    assert used_up(Bucket().put, (numbers,), {}) == "body"
    assert used_up(Bucket.make, (numbers,), {}) == "body"
    assert used_up(lambda: put(numbers), (), {}) is None


def test_what_a_partial_brings_along() -> None:
    """The arguments of a partial are the call's, and shift the places of the others."""
    numbers = begun()
    assert used_up(partial(put, numbers), (), {}) == "body"
    assert used_up(partial(put, name=numbers), (), {}) == "name"
    assert used_up(partial(put, "x"), (numbers,), {}) == "name"
    assert used_up(partial(partial(print, "x"), "y"), (numbers,), {}) == "argument 1"
    assert used_up(partial(put, "x"), ("y",), {}) is None


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.dictionaries(st.text(), st.floats()))))
def test_plain_values_are_never_used_up(values: list[Any]) -> None:
    """Numbers, texts and what holds them can be handed in as often as one likes."""
    assert used_up(put, tuple(values), {"more": values}) is None
