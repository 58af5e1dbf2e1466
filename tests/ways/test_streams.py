"""opening: what fails before the first item of a stream is tried again, what fails after it passes."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import trio

from redouble import (
    DeadlineExceeded,
    EventKind,
    Reason,
    RetryBudget,
    constant,
    deadline,
    outcome,
    override,
    policy_of,
    remaining,
    retry,
)
from redouble.testing import HANG, fake_time, scripted

if TYPE_CHECKING:
    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    """Virtual time for every test."""
    with fake_time() as clock:
        yield clock


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """What runs a coroutine function: asyncio, or trio."""
    return (lambda main: asyncio.run(main())) if request.param == "asyncio" else trio.run


def numbers(connect: Any, *items: Any) -> Generator[int, str | None, str]:
    """A stream that is connected first; an exception among the items is raised there."""
    connect()
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item
    return "the end"


async def numbers_async(connect: Any, *items: Any) -> AsyncGenerator[int, str | None]:
    await connect()
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


class Answer:
    """What a client gives for `stream=True`: to be looped over, and closed; no iterator by itself."""

    def __init__(self, *items: Any) -> None:
        self.items, self.closed = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self.closed += 1


class AsyncAnswer(Answer):
    """The same, for coroutines."""

    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> Any:
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield item

    async def close(self) -> None:  # type: ignore[override]  # as openai's AsyncStream has it
        self.closed += 1


async def listed(stream: Any) -> list[Any]:
    return [each async for each in stream]


# What fails before the first item.


def test_the_opening_of_a_generator_is_retried(clock: FakeClock) -> None:
    """A generator that fails before its first item is made anew after a wait, with the same arguments."""
    connect = scripted(OSError("1"), OSError("2"), None)
    assert list(policy.opening(numbers)(connect, 1, 2)) == [1, 2]
    assert clock.sleeps == [1, 1] and len(connect.calls) == 3


def test_the_opening_of_an_async_generator_is_retried(clock: FakeClock, run: Any) -> None:
    """So is that of an async generator, in asyncio and trio."""
    connect = scripted(OSError("1"), OSError("2"), None, asynchronous=True)
    assert run(lambda: listed(policy.opening(numbers_async)(connect, 1, 2))) == [1, 2]
    assert clock.sleeps == [1, 1] and len(connect.calls) == 3


def test_a_client_that_gives_something_to_loop_over(clock: FakeClock) -> None:
    """Of any other function the call and the first item are an attempt; what a failed one had opened is closed."""
    lost, answer = Answer(OSError("before the first item")), Answer("Hel", "lo")
    stream = policy.opening(scripted(OSError("refused"), lost, answer))()
    assert list(stream) == ["Hel", "lo"] and clock.sleeps == [1, 1]
    assert (lost.closed, answer.closed) == (1, 1)


def test_an_async_client_that_gives_something_to_loop_over(clock: FakeClock, run: Any) -> None:
    """A coroutine function, and a plain function that gives a coroutine, give what `async for` takes without an `await`."""
    lost, answer = AsyncAnswer(OSError("before the first item")), AsyncAnswer("Hel", "lo")
    create = scripted(OSError("refused"), lost, answer, asynchronous=True)
    assert run(lambda: listed(policy.opening(lambda: create())())) == ["Hel", "lo"]
    assert (clock.sleeps, lost.closed, answer.closed) == ([1, 1], 1, 1)
    create = scripted(OSError("refused"), AsyncAnswer("again"), asynchronous=True)
    assert run(lambda: listed(policy.opening(create)())) == ["again"]


def test_giving_up(clock: FakeClock) -> None:
    """The last error comes out of the first `next`, marked as every retried call's, with one frame of ours."""
    error = OSError("3")
    with pytest.raises(OSError, match="3") as caught:
        next(policy.opening(numbers)(scripted(OSError("1"), OSError("2"), error), 1))
    end = outcome(error)
    assert end is not None and (end.reason, end.attempts, end.name) == (Reason.ATTEMPTS, 3, "numbers")
    files = [entry.path.name for entry in caught.traceback if not isinstance(entry.path, str)]
    assert files.count("streams.py") == 1 and "wrap.py" not in files


def test_giving_up_in_a_coroutine(run: Any) -> None:
    """So it does in a coroutine."""
    connect = scripted(*[OSError("down")] * 3, asynchronous=True)
    with pytest.raises(OSError, match="down") as caught:
        run(lambda: listed(policy.opening(numbers_async)(connect, 1)))
    assert outcome(caught.value) is not None
    files = [entry.path.name for entry in caught.traceback if not isinstance(entry.path, str)]
    assert files.count("streams.py") == 1 and "wrap_async.py" not in files


def test_a_permanent_error_passes() -> None:
    """An error that is not to be retried passes at the first attempt."""
    connect = scripted(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        next(policy.opening(numbers)(connect, 1))


def test_nothing_runs_before_the_first_item_is_asked_for() -> None:
    """Making a stream calls nothing, whatever the function is; and it may be closed before it began."""
    for function in (numbers, lambda connect: connect()):
        connect = scripted()
        stream = policy.opening(function)(connect)
        stream.close()
        assert connect.calls == []


def test_a_stream_without_items(clock: FakeClock, run: Any) -> None:
    """A stream that ends at once is a success, and what a generator returns is handed on."""

    def delegating() -> Generator[Any, Any, None]:
        returned.append((yield from policy.opening(numbers)(scripted(None))))

    returned: list[Any] = []
    assert list(delegating()) == [] and returned == ["the end"]
    empty = AsyncAnswer()
    assert run(lambda: listed(policy.opening(lambda: empty)())) == [] and empty.closed == 1
    assert clock.sleeps == []


# What fails after the first item.


def test_what_fails_after_the_first_item_passes_untouched(clock: FakeClock) -> None:
    """No item comes twice: a later error passes at once, without a mark, and the stream is closed."""
    error = OSError("in the middle")
    answer = Answer(1, error)
    for stream in (policy.opening(numbers)(scripted(None), 1, error), policy.opening(lambda: answer)()):
        assert next(stream) == 1
        with pytest.raises(OSError, match="in the middle") as caught:
            next(stream)
        assert caught.value is error and outcome(error) is None and not hasattr(error, "__notes__")
    assert clock.sleeps == [] and answer.closed == 1


def test_what_fails_after_the_first_item_passes_untouched_in_a_coroutine(clock: FakeClock, run: Any) -> None:
    """So it does in asyncio and trio."""
    error = OSError("in the middle")
    answer = AsyncAnswer(1, error)

    async def main() -> None:
        connect = scripted(None, asynchronous=True)
        for stream in (policy.opening(numbers_async)(connect, 1, error), policy.opening(lambda: answer)()):
            assert await anext(stream) == 1
            with pytest.raises(OSError, match="in the middle") as caught:
                await anext(stream)
            assert caught.value is error and outcome(error) is None and not hasattr(error, "__notes__")

    run(main)
    assert clock.sleeps == [] and answer.closed == 1


def test_the_error_of_a_stream_matters_more_than_that_of_closing_it(run: Any) -> None:
    """Closing what is broken may fail, which hides nothing; closing what is whole may not fail in silence."""

    class Broken(Answer):
        def close(self) -> None:
            raise ValueError("cannot be closed")

    class BrokenAsync(AsyncAnswer):
        async def close(self) -> None:  # type: ignore[override]
            raise ValueError("cannot be closed")

    for items, expected in (((OSError("early"),), OSError), ((1, OSError("late")), OSError), ((1,), ValueError)):
        with pytest.raises(expected):
            list(retry(on=None).opening(lambda items=items: Broken(*items))())
        with pytest.raises(expected):
            run(lambda items=items: listed(retry(on=None).opening(lambda: BrokenAsync(*items))()))


# It is a generator.


def test_a_generator_stays_one(clock: FakeClock) -> None:
    """What is sent and thrown in passes through, from the first item on, and so does the value at the end."""

    def echo() -> Generator[Any, Any, str]:
        got: Any = "ready"
        while got != "stop":
            try:
                got = yield got
            except KeyError as error:
                got = repr(error)
        return "done"

    for opened in (policy.opening(echo), policy.opening(lambda: echo())):
        stream: Any = opened()
        assert isinstance(stream, Generator)
        assert (next(stream), stream.send("hello"), next(stream)) == ("ready", "hello", None)
        assert stream.throw(KeyError("k")) == "KeyError('k')"
        with pytest.raises(StopIteration) as caught:
            stream.send("stop")
        assert caught.value.value == "done"


def test_an_async_generator_stays_one(run: Any) -> None:
    """So they do in asyncio and trio."""

    async def echo() -> AsyncGenerator[Any, Any]:
        got: Any = "ready"
        while got != "stop":
            try:
                got = yield got
            except KeyError as error:
                got = repr(error)

    async def main() -> None:
        for opened in (policy.opening(echo), policy.opening(lambda: echo())):
            stream: Any = opened()
            assert isinstance(stream, AsyncGenerator)
            assert (await anext(stream), await stream.asend("hello"), await anext(stream)) == ("ready", "hello", None)
            assert await stream.athrow(KeyError("k")) == "KeyError('k')"
            with pytest.raises(StopAsyncIteration):
                await stream.asend("stop")

    run(main)


def test_what_is_thrown_into_a_stream_that_is_no_generator(run: Any) -> None:
    """It ends the stream, and closes it."""

    class Rows(Answer):
        def __iter__(self) -> Iterator[Any]:
            return iter(self.items)

    class AsyncRows(AsyncAnswer):
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            return 1

    answer, later = Rows(1, 2), AsyncRows()
    stream = policy.opening(lambda: answer)()
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError("k"))

    async def main() -> None:
        stream = policy.opening(lambda: later)()
        await anext(stream)
        with pytest.raises(KeyError):
            await stream.athrow(KeyError("k"))

    run(main)
    assert (answer.closed, later.closed) == (1, 1)


def test_a_stream_that_is_left_early_is_closed(run: Any) -> None:
    """Closing the stream closes the generator within, and the client's object."""
    ended: list[str] = []

    def rows() -> Iterator[int]:
        try:
            yield from (1, 2)
        finally:
            ended.append("sync")

    async def rows_async() -> Any:
        try:
            yield 1
        finally:
            ended.append("async")

    answer = AsyncAnswer(1, 2)

    async def main() -> None:
        for stream in (policy.opening(rows_async)(), policy.opening(lambda: answer)()):
            async with contextlib.aclosing(stream):
                assert await anext(stream) == 1

    with contextlib.closing(policy.opening(rows)()) as stream:
        assert next(stream) == 1
    run(main)
    assert ended == ["sync", "async"] and answer.closed == 1


def test_the_arguments_are_not_held_while_the_stream_lasts() -> None:
    """What was handed in is free as soon as the function lets it go, and so is the first item."""

    class Thing:
        pass

    def rows(thing: Thing) -> Iterator[Thing]:
        del thing
        yield Thing()
        yield Thing()

    for opened in (policy.opening(rows), policy.opening(lambda thing: rows(thing))):
        thing = Thing()
        free = weakref.ref(thing)
        stream = opened(thing)
        del thing
        first = weakref.ref(next(stream))
        next(stream)
        gc.collect()
        assert free() is None and first() is None


# The policy.


def test_the_time_limits_are_those_of_the_opening(clock: FakeClock, run: Any) -> None:
    """In a coroutine `attempt_timeout` cuts off an attempt that hangs, and no later item."""
    connect = scripted(HANG, None, asynchronous=True)
    slow = scripted(None, asynchronous=True)

    async def rows() -> Any:
        await connect()
        yield 1
        clock.advance(100)
        await slow()
        yield remaining()

    stream = retry(attempts=2, deadline=30, attempt_timeout=5, backoff=constant(1)).opening(rows)
    assert run(lambda: listed(stream())) == [1, None]
    assert clock.sleeps == [1] and clock.now() == 106


def test_a_deadline_cuts_off_an_opening(run: Any) -> None:
    """A written deadline ends an opening that hangs, from the last error, and so does a scope around it."""
    written = retry(attempts=None, deadline=5, backoff=constant(1), on=OSError)
    with pytest.raises(DeadlineExceeded) as caught:
        run(lambda: listed(written.opening(numbers_async)(scripted(OSError("first"), HANG, asynchronous=True), 1)))
    assert str(caught.value.__cause__) == "first"

    async def main() -> None:
        async with deadline(5):
            await listed(policy.opening(numbers_async)(scripted(HANG, asynchronous=True), 1))

    with pytest.raises(DeadlineExceeded):
        run(main)


def test_a_deadline_refuses_a_wait_that_does_not_fit(clock: FakeClock) -> None:
    """In threads a deadline ends the opening instead of a wait that would end after it."""
    with deadline(2.5) as limit, pytest.raises(OSError) as caught:
        next(retry(attempts=9, on=OSError, backoff=constant(1)).opening(numbers)(scripted(*[OSError("down")] * 9)))
    assert limit.ended(caught.value) and clock.sleeps == [1, 1]


def test_a_timeout_is_handed_to_each_opening() -> None:
    """`timeout_as` finds the parameter of the function, however that is wrapped; without it threads refuse a timeout."""
    got: list[float | None] = []

    def rows(url: str, timeout: float | None = None) -> Iterator[str]:
        got.append(timeout)
        if len(got) == 1:
            raise OSError("down")
        yield url

    limited = retry(on=OSError, attempt_timeout=5, deadline=30, timeout_as="timeout", backoff=constant(1))
    assert list(limited.opening(rows)("/")) == ["/"] and got == [5, 5]
    with pytest.raises(TypeError, match="attempt_timeout cannot cut off the synchronous"):
        retry(attempt_timeout=5).opening(rows)
    with pytest.raises(TypeError, match="attempt_timeout cannot cut off the synchronous"):
        next(retry(attempt_timeout=5).opening(lambda: rows("/"))())
    with pytest.raises(TypeError, match="timeout_as must name a keyword that"):
        retry(timeout_as="patience").opening(rows)


def test_stop_ends_the_waits_of_an_opening(run: Any) -> None:
    """A stop that is set ends the opening with its last error, on all hosts; a synchronous one refuses asyncio's event."""
    stop = threading.Event()
    stop.set()
    stopping = policy(stop=stop)
    with pytest.raises(OSError) as caught:
        next(stopping.opening(numbers)(scripted(OSError("down")), 1))
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.STOPPED
    with pytest.raises(OSError):
        run(lambda: listed(stopping.opening(numbers_async)(scripted(OSError("down"), asynchronous=True), 1)))
    with pytest.raises(TypeError, match="stop"):
        policy(stop=asyncio.Event()).opening(numbers)
    with pytest.raises(TypeError, match="stop"):
        next(policy(stop=asyncio.Event()).opening(lambda: [1])())


def test_observers_scopes_and_budgets(clock: FakeClock) -> None:
    """Observers hear of the opening as of a call, overrides reach it, and it asks the retry budget."""
    heard: list[EventKind] = []
    opened = policy(observers=[lambda event: heard.append(event.kind)], name="chat").opening(numbers)
    list(opened(scripted(OSError("down"), None), 1))
    assert heard == [EventKind.RETRY, EventKind.SUCCESS]
    with override(attempts=1), pytest.raises(OSError):
        list(opened(scripted(OSError("down")), 1))
    empty = RetryBudget(ratio=0, burst=0, trickle=0)
    with pytest.raises(OSError) as caught:
        list(policy(budget=empty).opening(numbers)(scripted(OSError("down")), 1))
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.BUDGET


def test_result_rules_are_not_asked() -> None:
    """A stream is no answer to be judged: it is there, or an error was."""
    assert list(policy(result=lambda value: True).opening(lambda: [1])()) == [1]


# How it is written.


def test_as_a_decorator() -> None:
    """It keeps the name, the signature and the kind, says its policy, and works on methods of all kinds."""

    class Chat:
        @policy.opening
        def ask(self, prompt: str, n: int = 1) -> Iterator[str]:
            """Ask."""
            yield from [prompt] * n

        @classmethod
        @policy.opening
        def of_class(cls) -> Iterator[type]:
            yield cls

        @policy.opening
        @staticmethod
        def static() -> Iterator[int]:
            yield 1

        @policy.opening
        async def later(self) -> Any:
            yield self

    assert list(Chat().ask("hi", n=2)) == ["hi", "hi"] and list(Chat().of_class()) == [Chat]
    assert list(Chat.static()) == [1]
    assert Chat.ask.__doc__ == "Ask." and str(inspect.signature(Chat.ask)).startswith("(self, prompt: 'str'")
    assert policy_of(Chat.ask) is policy
    assert inspect.isgeneratorfunction(Chat.ask) and inspect.isasyncgenfunction(Chat.later)


def test_decorators_of_calls_say_what_to_write() -> None:
    """The refusal of a generator function names `opening`."""
    for function in (numbers, numbers_async):
        with pytest.raises(TypeError, match=r"retry\.opening"):
            retry(function)
        with pytest.raises(TypeError, match=r"retry\.opening"):
            retry.call(function)


def test_what_cannot_be_looped_over_is_refused(run: Any) -> None:
    """A wrong function is refused when it is written, a wrong value at the first step; neither is retried."""
    anything = retry(on=Exception, backoff=constant(1))
    with pytest.raises(TypeError, match=r"opening takes a function .* got 5"):
        anything.opening(5)  # type: ignore[call-overload]
    number, coroutine = scripted(5), scripted(5, asynchronous=True)
    with pytest.raises(TypeError, match=r"scripted gave int.*write connect"):
        next(anything.opening(number)())
    with pytest.raises(TypeError, match="write `async for` instead of `for`"):
        next(anything.opening(lambda: coroutine())())
    with pytest.raises(TypeError, match="write `async for` instead of `for`"):
        next(anything.opening(lambda: numbers_async(None))())
    with pytest.raises(TypeError, match="write `for` instead of `async for`"):
        run(lambda: listed(anything.opening(lambda: [1])()))
    with pytest.raises(TypeError, match=r"gave int.*write connect"):
        run(lambda: listed(anything.opening(coroutine)()))


def test_a_stream_has_one_colour(run: Any) -> None:
    """The first use of a stream decides; the other kind of loop is refused then."""

    async def main() -> None:
        stream = policy.opening(lambda: AsyncAnswer(1, 2))()
        assert "Stream of" in repr(stream)
        assert await anext(stream) == 1
        with pytest.raises(TypeError, match="with `async for` already"):
            next(stream)
        await stream.aclose()
        stream = policy.opening(lambda: [1, 2])()
        assert next(stream) == 1
        with pytest.raises(TypeError, match="with a plain `for` already"):
            await anext(stream)
        assert list(stream) == [2]

    run(main)
