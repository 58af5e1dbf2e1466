"""What kind of callable a function is."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from redouble import retry
from redouble.calls.awaitable import is_awaitable
from redouble.ways import shape

if TYPE_CHECKING:
    from collections.abc import Iterator


def plain() -> None: ...


async def coroutine() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


@types.coroutine
def old_coroutine() -> Any:
    yield


class Plain:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


class Async:
    async def __call__(self) -> None: ...

    async def method(self) -> None: ...

    @classmethod
    async def of_class(cls) -> None: ...


class Endless:
    """Claims to wrap itself."""

    @property
    def __func__(self) -> Endless:
        return self

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    "fn",
    [coroutine, Async(), Async().method, Async.of_class, functools.partial(coroutine), mock.AsyncMock(),
     functools.partial(functools.partial(Async())), functools.partial(Async().method)],
)  # fmt: skip
def test_coroutine_functions(fn: Any) -> None:
    """Coroutine functions are known through partials, bound methods and callable objects."""
    assert shape.is_coroutine_function(fn)


@pytest.mark.parametrize(
    "fn",
    [plain, generator, async_generator, Plain(), Plain().method, Plain, Async, len, "text", None, mock.Mock(),
     mock.MagicMock(), Endless(), functools.partial(plain), lambda: coroutine()],
)  # fmt: skip
def test_others(fn: Any) -> None:
    """Nothing else is: not a class with an async `__call__`, nor what merely returns a coroutine."""
    assert not shape.is_coroutine_function(fn)


@pytest.mark.skipif(not hasattr(inspect, "markcoroutinefunction"), reason="Python 3.12 and later")
def test_marked_as_coroutine_functions() -> None:
    """A function that `inspect.markcoroutinefunction` marked is one."""

    def gives_a_coroutine() -> Any:
        return coroutine()

    class Marked:
        def __call__(self) -> Any:
            return coroutine()

    inspect.markcoroutinefunction(gives_a_coroutine)
    assert shape.is_coroutine_function(gives_a_coroutine)


def test_without_inspect() -> None:
    """Where nobody loaded `inspect`, nobody can have marked a function, and it is not loaded for the question."""
    code = (
        "import sys\nfrom redouble import retry\n"
        "async def f(): ...\n"
        "assert not __import__('redouble').ways.shape.is_coroutine_function(len)\n"
        "assert retry(len)('ab') == 2\n"
        "assert 'inspect' not in sys.modules, 'inspect was loaded'\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", f"sys = __import__('sys')\nsys.path[:0] = {sys.path!r}\n{code}"],
                   check=True, timeout=60)  # fmt: skip


class Custom:
    def __await__(self) -> Any:
        yield


def test_what_can_be_awaited() -> None:
    """Coroutines, tasks, futures, old-style coroutines and objects with `__await__`; nothing else."""

    async def main() -> list[bool]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        task = asyncio.create_task(coroutine())
        running = coroutine()
        found = [is_awaitable(each) for each in (future, task, running, old_coroutine(), Custom())]
        await task
        await running
        return found

    assert asyncio.run(main()) == [True] * 5
    for value in (generator(), async_generator(), None, 5, Custom, coroutine, object(), mock.Mock()):
        assert not is_awaitable(value)
        assert not inspect.isawaitable(value)


def test_old_style_coroutines_are_no_generator_functions() -> None:
    """A generator that `types.coroutine` made awaitable can be retried."""

    @retry
    @types.coroutine
    def old() -> Any:
        yield
        return "body"

    async def main() -> Any:
        return await old()

    assert asyncio.run(main()) == "body"


@pytest.mark.parametrize(
    ("fn", "name"),
    [(plain, "plain"), (Plain().method, "Plain.method"), (functools.partial(plain), "plain"), (len, "len"),
     (functools.partial(functools.partial(plain)), "plain"), (5, "int"), (Plain, "Plain")],
)  # fmt: skip
def test_names(fn: Any, name: str) -> None:
    """What logs and messages call a function."""
    assert shape.name_of(fn) == name


def test_names_of_objects() -> None:
    """An object without a name is called by something that tells what it is."""
    assert "Plain" in shape.name_of(Plain())
    assert shape.name_of(mock.Mock()) and isinstance(shape.name_of(mock.Mock()), str)
    assert isinstance(shape.name_of(Endless()), str)
