"""connect: only the opening is retried, and what was opened is closed."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, outcome, retry
from redouble.testing import HANG, scripted
from redouble.types import Connecting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))


pytestmark = pytest.mark.usefixtures("clock")


class Log(list[str]):
    """What happened, and how often opening fails before it works."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures

    def note(self, what: str) -> None:
        self.append(what)

    def maybe_fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("down")


class Closes:
    """Has nothing but `close`."""

    def __init__(self, log: Log) -> None:
        log.note("made")
        log.maybe_fail()
        self.log = log

    def close(self) -> None:
        self.log.note("close")


class Managed(Closes):
    """A context manager that may fail when it is entered."""

    def __init__(self, log: Log) -> None:
        log.note("made")
        self.log = log

    def __enter__(self) -> str:
        self.log.note("enter")
        self.log.maybe_fail()
        return "entered"

    def __exit__(self, *exc_info: object) -> None:
        self.log.note("exit")


class AsyncManaged(Closes):
    """An async context manager that may fail when it is entered."""

    def __init__(self, log: Log) -> None:
        log.note("made")
        self.log = log

    async def __aenter__(self) -> str:
        self.log.note("aenter")
        self.log.maybe_fail()
        return "entered"

    async def __aexit__(self, *exc_info: object) -> None:
        self.log.note("aexit")


class Both(Managed, AsyncManaged):
    """Can be used by `with` and by `async with`."""


class ClosesAsync:
    """Has nothing but an async `aclose`."""

    def __init__(self, log: Log) -> None:
        log.note("made")
        log.maybe_fail()
        self.log = log

    async def aclose(self) -> None:
        self.log.note("aclose")


class AsyncClose(Closes):
    """Its `close` is a coroutine function."""

    async def close(self) -> None:  # type: ignore[override]
        self.log.note("close")


class CloseGivesAwaitable(Closes):
    """Its `close` does not look asynchronous."""

    def close(self) -> Any:
        async def closing() -> None:
            self.log.note("close")

        return closing()


class Everything(Closes):
    async def aclose(self) -> None:
        self.log.note("aclose")


class Dial:
    """Both awaitable and an async context manager, as `websockets.connect` is."""

    def __init__(self, log: Log) -> None:
        log.note("made")
        self.log = log

    def __await__(self) -> Any:
        self.log.note("await")
        return self.__aenter__().__await__()

    async def __aenter__(self) -> str:
        self.log.note("aenter")
        self.log.maybe_fail()
        return "entered"

    async def __aexit__(self, *exc_info: object) -> None:
        self.log.note("aexit")


def awaited(kind: type[Any]) -> Any:
    async def opening(log: Log) -> Any:
        log.note("open")
        return kind(log)

    return opening


@contextlib.contextmanager
def generated(log: Log) -> Iterator[str]:
    log.note("enter")
    log.maybe_fail()
    try:
        yield "entered"
    finally:
        log.note("exit")


@contextlib.asynccontextmanager
async def generated_async(log: Log) -> Any:
    log.note("aenter")
    log.maybe_fail()
    try:
        yield "entered"
    finally:
        log.note("aexit")


SYNC = {
    "context manager": (Managed, ["made", "enter"], ["close"], ["body", "exit"]),
    "contextmanager": (generated, ["enter"], [], ["body", "exit"]),
    "close": (Closes, ["made"], [], ["body", "close"]),
    "both": (Both, ["made", "enter"], ["close"], ["body", "exit"]),
    "close and aclose": (Everything, ["made"], [], ["body", "close"]),
}

ASYNC = {
    "async context manager": (AsyncManaged, ["made", "aenter"], ["close"], ["body", "aexit"]),
    "asynccontextmanager": (generated_async, ["aenter"], [], ["body", "aexit"]),
    "context manager": (Managed, ["made", "enter"], ["close"], ["body", "exit"]),
    "both": (Both, ["made", "aenter"], ["close"], ["body", "aexit"]),
    "awaitable and async context manager": (Dial, ["made", "aenter"], [], ["body", "aexit"]),
    "awaitable of async context manager": (awaited(AsyncManaged), ["open", "made", "aenter"], ["close"],
                                           ["body", "aexit"]),
    "awaitable of context manager": (awaited(Managed), ["open", "made", "enter"], ["close"], ["body", "exit"]),
    "awaitable of close": (awaited(Closes), ["open", "made"], [], ["body", "close"]),
    "awaitable of aclose": (awaited(ClosesAsync), ["open", "made"], [], ["body", "aclose"]),
    "close": (Closes, ["made"], [], ["body", "close"]),
    "aclose": (ClosesAsync, ["made"], [], ["body", "aclose"]),
    "aclose before close": (Everything, ["made"], [], ["body", "aclose"]),
    "async close": (AsyncClose, ["made"], [], ["body", "close"]),
    "close that gives an awaitable": (CloseGivesAwaitable, ["made"], [], ["body", "close"]),
}  # fmt: skip


def use(connecting: Any, log: Log, error: BaseException | None = None) -> Any:
    with connecting as value:
        log.note("body")
        if error is not None:
            raise error
        return value


async def use_async(connecting: Any, log: Log, error: BaseException | None = None) -> Any:
    async with connecting as value:
        log.note("body")
        if error is not None:
            raise error
        return value


Row = tuple[Any, list[str], list[str], list[str]]


@pytest.mark.parametrize("row", SYNC.values(), ids=SYNC)
@pytest.mark.parametrize("failures", [0, 2])
def test_every_kind_of_factory(row: Row, failures: int, clock: FakeClock) -> None:
    """It is opened until that works, what failed attempts opened is closed, and what was opened is closed at the end."""
    factory, opening, failed, ending = row
    log = Log(failures)
    value = use(policy.connect(factory, log), log)
    assert value == "entered" or isinstance(value, factory)
    assert log == (opening + failed) * failures + opening + ending
    assert clock.sleeps == [1] * failures


@pytest.mark.parametrize("row", ASYNC.values(), ids=ASYNC)
@pytest.mark.parametrize("failures", [0, 2])
def test_every_kind_of_async_factory(row: Row, failures: int, clock: FakeClock) -> None:
    """So it is under `async with`, where async ways come before the others."""
    factory, opening, failed, ending = row
    log = Log(failures)
    value = asyncio.run(use_async(policy.connect(factory, log), log))
    assert value == "entered" or value.log is log
    assert log == (opening + failed) * failures + opening + ending
    assert clock.sleeps == [1] * failures


@pytest.mark.parametrize("row", SYNC.values(), ids=SYNC)
def test_errors_of_the_body_are_never_retried(row: Row) -> None:
    """They come out as they are, unmarked, after closing."""
    factory, opening, _, ending = row
    for error in (OSError("body's"), KeyboardInterrupt(), StopIteration()):
        log = Log()
        with pytest.raises(type(error)) as caught:
            use(policy.connect(factory, log), log, error)
        assert caught.value is error and outcome(error) is None
        assert log == opening + ending


@pytest.mark.parametrize("row", ASYNC.values(), ids=ASYNC)
def test_errors_of_the_body_are_never_retried_in_asyncio(row: Row) -> None:
    """So do those in coroutines."""
    factory, opening, _, ending = row
    for error in (OSError("body's"), asyncio.CancelledError(), StopAsyncIteration()):
        log = Log()

        async def main(log: Log = log, error: BaseException = error) -> None:
            with pytest.raises(type(error)) as caught:
                await use_async(policy.connect(factory, log), log, error)
            assert caught.value is error and outcome(error) is None

        asyncio.run(main())
        assert log == opening + ending


def test_a_context_manager_may_suppress(clock: FakeClock) -> None:
    """What the opened context manager's `__exit__` says about the body's error holds."""
    with policy.connect(contextlib.suppress, KeyError):
        raise KeyError("suppressed")

    class Suppresses(AsyncManaged):
        async def __aexit__(self, *exc_info: object) -> bool:
            return True

    async def main() -> None:
        async with policy.connect(Suppresses, Log()):
            raise KeyError("suppressed")

    asyncio.run(main())


def test_giving_up(clock: FakeClock) -> None:
    """When opening never works its error comes out, and all that was opened is closed."""
    log = Log(9)
    with pytest.raises(OSError, match="down") as caught:
        use(policy.connect(Managed, log), log)
    assert log == ["made", "enter", "close"] * 3
    assert outcome(caught.value).attempts == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [sqlite3.connect, io.StringIO])
def test_closing_real_things(kind: Any) -> None:
    """sqlite3's context manager ends a transaction and leaves the connection open: `closing=True` closes it."""
    with policy.connect(kind, ":memory:", closing=True) as thing:
        pass
    with pytest.raises((sqlite3.ProgrammingError, ValueError), match="closed"):
        thing.execute("select 1") if kind is sqlite3.connect else thing.read()


@pytest.mark.parametrize(("kind", "method"), [(Managed, "close"), (Both, "close"), (Everything, "aclose")])
def test_closing_in_place_of_entering(kind: type[Any], method: str) -> None:
    """With `closing=True` nothing is entered."""
    log = Log()
    if kind is not Everything:
        assert isinstance(use(policy.connect(kind, log, closing=True), log), kind)
        assert log == ["made", "body", "close"]
        log.clear()
    assert isinstance(asyncio.run(use_async(policy.connect(kind, log, closing=True), log)), kind)
    assert log == ["made", "body", method]
    log.clear()
    asyncio.run(use_async(policy.connect(awaited(kind), log, closing=True), log))
    assert log == ["open", "made", "body", method]


def test_closing_is_a_flag() -> None:
    """Nothing but `True` and `False`."""
    with pytest.raises(TypeError, match="closing"):
        policy.connect(Closes, Log(), closing="yes")


@pytest.mark.parametrize("factory", [AsyncManaged, Dial, generated_async, ClosesAsync, AsyncClose, awaited(Closes)])
def test_an_async_factory_under_with(factory: Any, clock: FakeClock) -> None:
    """It is a TypeError, which is not retried; nothing is left open or never awaited."""
    log = Log()
    with pytest.raises(TypeError, match=r"asynchronous|async with|no close"):
        use(policy(on=Exception).connect(factory, log), log)
    assert "body" not in log and clock.sleeps == []


def test_an_error_of_the_body_is_not_swallowed_by_an_awaitable_close() -> None:
    """A `close` that turns out to be asynchronous only when it is called suppresses nothing."""
    log = Log()
    with pytest.raises((KeyError, TypeError)):
        use(policy.connect(CloseGivesAwaitable, log), log, KeyError("body's"))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_cannot_be_closed_is_refused_by_name(asynchronous: bool, clock: FakeClock) -> None:
    """What has none of these is a TypeError that names the factory and the type, and is not retried."""

    def make() -> object:
        return object()

    with pytest.raises(
        TypeError, match=r"connect cannot close what .*make gives: object is no context manager"
    ) as caught:
        if asynchronous:
            asyncio.run(use_async(policy(on=Exception).connect(make), Log()))
        else:
            use(policy(on=Exception).connect(make), Log())
    assert "contextlib.contextmanager" in str(caught.value) and clock.sleeps == []
    assert outcome(caught.value) is None


@pytest.mark.parametrize("factory", [5, None, "host"])
def test_what_is_not_callable_is_refused(factory: Any) -> None:
    """At once."""
    with pytest.raises(TypeError, match=r"callable|takes a function"):
        policy.connect(factory)


def test_it_can_be_used_again() -> None:
    """One after the other: each `with` opens anew."""
    log = Log(1)
    connecting = policy.connect(Managed, log)
    for _ in range(2):
        use(connecting, log)
    asyncio.run(use_async(connecting, log))
    opened = ["made", "enter", "body", "exit"]
    assert log == ["made", "enter", "close", *opened, *opened, *opened]


def test_one_at_a_time() -> None:
    """While it is open it cannot be entered again; after an error it can."""
    log = Log()
    connecting = policy.connect(Managed, log)
    with connecting, pytest.raises(RuntimeError, match="is open already; call connect"), connecting:
        pass

    async def main() -> None:
        async with connecting:
            with pytest.raises(RuntimeError, match="is open already"):
                await connecting.__aenter__()

    asyncio.run(main())
    assert log == ["made", "enter", "exit"] * 2
    assert isinstance(connecting, Connecting)


def test_leaving_without_entering() -> None:
    """Nothing was opened, nothing is closed."""
    connecting = policy.connect(Closes, Log())
    assert connecting.__exit__(None, None, None) is None
    assert asyncio.run(connecting.__aexit__(None, None, None)) is None


def test_arguments_go_to_the_factory() -> None:
    """Positions and keywords."""
    factory = scripted(OSError, memoryview(b""))
    with policy.connect(factory, "host", port=80):
        pass
    assert factory.calls == [(("host",), {"port": 80})] * 2


class Stubborn(Closes):
    """Fails when it is entered, and when it is closed."""

    def __enter__(self) -> None:
        raise OSError("entering")

    def __exit__(self, *exc_info: object) -> None: ...

    def close(self) -> None:
        self.log.note("close")
        raise KeyError("closing")


class StubbornAsync(Closes):
    async def __aenter__(self) -> None:
        raise OSError("entering")

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def aclose(self) -> None:
        self.log.note("aclose")
        raise KeyError("closing")


class HalfAsync(Stubborn):
    """Cannot be entered, and its `close` is a coroutine function."""

    async def close(self) -> None:  # type: ignore[override]
        self.log.note("close")


class Bare:
    """Cannot be entered, and has nothing to be closed by."""

    def __init__(self, log: Log) -> None: ...

    def __enter__(self) -> None:
        raise OSError("entering")

    def __exit__(self, *exc_info: object) -> None: ...


class BareAsync:
    def __init__(self, log: Log) -> None: ...

    async def __aenter__(self) -> None:
        raise OSError("entering")

    async def __aexit__(self, *exc_info: object) -> None: ...


@pytest.mark.parametrize("kind", [Stubborn, HalfAsync, Bare])
def test_an_error_of_closing_hides_nothing(kind: type[Any]) -> None:
    """Where closing after a failed attempt fails, the attempt's own error counts."""
    log = Log()
    with pytest.raises(OSError, match="entering"):
        use(policy.connect(kind, log), log)


@pytest.mark.parametrize("kind", [StubbornAsync, BareAsync, Stubborn, Bare])
def test_an_error_of_closing_hides_nothing_in_asyncio(kind: type[Any]) -> None:
    """So it is in asyncio."""
    log = Log()
    with pytest.raises(OSError, match="entering"):
        asyncio.run(use_async(policy.connect(kind, log), log))
    assert log in (["made", "aclose"] * 3, ["made", "close"] * 3, [])


def test_an_async_close_after_a_failed_enter_is_awaited() -> None:
    """Under `async with` what failed to be entered is closed by awaiting its `close`, as at the end."""
    log = Log()
    with pytest.raises(OSError, match="entering"):
        asyncio.run(use_async(policy.connect(HalfAsync, log), log))
    assert log == ["made", "close"] * 3


def test_cancelled_while_opening(clock: FakeClock) -> None:
    """What was being opened is closed when the task is cancelled, and nothing is opened again."""
    log = Log()

    class Slow(AsyncManaged):
        async def __aenter__(self) -> str:
            await asyncio.sleep(60)
            return "entered"

    async def main() -> None:
        task = asyncio.create_task(use_async(policy.connect(Slow, log), log))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["made", "close"] and clock.now() == 1.0


def test_cut_off_while_opening(clock: FakeClock) -> None:
    """An opening that its time limit cuts off is tried again."""
    log = Log()
    opening = scripted(HANG, Closes(log), asynchronous=True)

    async def main() -> None:
        async with policy(attempt_timeout=3).connect(opening):
            await asyncio.sleep(60)

    asyncio.run(main())
    assert len(opening.calls) == 2 and clock.now() == 3 + 1 + 60
    assert log == ["made", "close"]


def test_the_deadline_does_not_cut_the_body(clock: FakeClock) -> None:
    """Only the connecting has it."""

    async def main() -> None:
        async with policy(deadline=5).connect(AsyncManaged, Log()):
            await asyncio.sleep(60)

    asyncio.run(main())
    assert clock.now() == 60.0


def test_result_rules_are_not_asked() -> None:
    """A connection is no answer."""
    judged: list[Any] = []
    with policy(result=judged.append).connect(Closes, Log()):
        pass
    assert judged == []


def test_the_name_is_the_factorys() -> None:
    """In events, and in what `outcome` tells."""
    names = []
    with policy(observers=[lambda event: names.append(event.name)]).connect(Closes, Log(1)):
        pass
    assert names == ["Closes", "Closes"]


def test_create_connection_is_not_called_before_the_with() -> None:
    """Making a `Connecting` opens nothing."""
    connecting = retry(deadline=90).connect(socket.create_connection, ("host.invalid", 1))
    assert isinstance(connecting, Connecting)
