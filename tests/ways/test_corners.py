"""What hardly ever happens on the ways in: no stack that is left, helpers that fail, contexts that outlive their attempt."""

# ruff: noqa: D103  # stand-ins need no docstring

from __future__ import annotations

import asyncio
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

import redouble
from redouble import Attempt, constant, current_attempt, override, retry
from redouble.control.around import AROUND
from redouble.ways import block, wrap, wrap_async
from redouble.ways.closing import CloseLimit
from redouble.ways.opening import Opening, open_under

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

    from redouble.testing import FakeClock

policy = retry(attempts=2, on=OSError, backoff=constant(0))


def failing_with(fault: Exception) -> Callable[..., Any]:
    def fails(*args: Any) -> Any:
        raise fault

    return fails


def down() -> None:
    raise OSError("down")


async def down_later() -> None:
    raise OSError("down")


def test_without_stack_to_strip_the_error_of_the_operation_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole call whose traceback cannot be cut any more raises the operation's error, in both colours."""
    monkeypatch.setattr(wrap, "strip", failing_with(RecursionError()))
    monkeypatch.setattr(wrap_async, "strip", failing_with(RecursionError()))
    with override(attempts=1), pytest.raises(OSError, match="down"):
        policy(down)()
    with override(attempts=1), pytest.raises(OSError, match="down"):
        asyncio.run(policy(down_later)())
    assert AROUND.get() is None


@pytest.mark.parametrize("fault", [RecursionError("no stack"), LookupError("broken")], ids=["no stack", "broken"])
def test_a_call_that_cannot_be_made_hides_no_error(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """Whatever fails while the first failure is looked at, the operation's error is raised and the link is closed."""
    monkeypatch.setattr(wrap, "call_of", failing_with(fault))
    monkeypatch.setattr(wrap_async, "call_of", failing_with(fault))
    monkeypatch.setattr("redouble.control.faults.report", lambda *args: None)
    with pytest.raises(OSError, match="down"):
        policy(down)()
    with pytest.raises(OSError, match="down"):
        asyncio.run(policy(down_later)())
    assert AROUND.get() is None


def numbers_in(ended: Context) -> list[int]:
    """The numbers of the attempts that the ways in make in a context."""

    @policy
    def call() -> int:
        return cast("Attempt", current_attempt()).number

    @policy
    async def call_later() -> int:
        return cast("Attempt", current_attempt()).number

    def body() -> int:
        for attempt in policy:
            with attempt:
                return attempt.number
        return 0

    def send(coroutine: Any) -> int:
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        return int(ended.value.value)

    return [ended.run(call), ended.run(send, call_later()), ended.run(body)]


def test_a_context_may_outlive_the_attempt_in_which_it_was_copied() -> None:
    """A call in the copy of a context whose attempt has ended is a call of its own, whatever way it is made."""
    copies: list[Context] = []

    @policy
    def outer() -> None:
        copies.append(copy_context())

    outer()
    assert numbers_in(copies[0]) == [1, 1, 1]
    assert copies[0].run(current_attempt) is None


def test_a_retried_function_may_give_something_to_await_after_it_has_failed() -> None:
    """What a synchronous function returns to be awaited after a failure is its second attempt, which may fail as well."""
    tried: list[int] = []

    async def later() -> str:
        tried.append(cast("Attempt", current_attempt()).number)
        if len(tried) == 1:
            raise OSError("down")
        return "here"

    first = True

    @policy(attempts=3)
    def fetch() -> Awaitable[str]:
        nonlocal first
        if first:
            first = False
            raise OSError("down")
        return later()

    async def main() -> str:
        return await fetch()

    assert asyncio.run(main()) == "here"
    assert tried == [2, 3]


def test_a_coroutine_may_be_closed_in_a_copy_of_its_context() -> None:
    """A call that is closed where its link cannot be taken out leaves no attempt behind, and raises nothing."""

    class Never:
        def __await__(self) -> Generator[None, None, None]:
            yield

    copies: list[Context] = []

    @policy
    async def wait() -> None:
        copies.append(copy_context())
        await Never()

    coroutine = wait()
    copy_context().run(coroutine.send, None)
    copies[0].run(coroutine.close)
    assert copies[0].run(current_attempt) is None


def test_what_is_meant_for_the_caller_comes_out_of_a_block() -> None:
    """An error that the call itself raises instead of the body's is no fault, and is raised."""
    meant = TimeoutError("still pending")
    call = SimpleNamespace(raised=meant, failed=failing_with(meant))
    with pytest.raises(TimeoutError, match="still pending"):
        block._failed(cast("Any", call), OSError("down"))


def test_an_attempt_knows_whether_it_is_the_last(clock: FakeClock) -> None:
    """The last attempt is the one whose failure uses up the limit; without a limit there is none."""
    told: list[tuple[int | None, bool]] = []
    for attempt in policy(attempts=3):
        with attempt:
            told.append((attempt.limit, attempt.is_last))
            if attempt.number < 3:
                raise OSError("down")
    assert told == [(3, False), (3, False), (3, True)]
    for attempt in policy(attempts=None, deadline=10):
        with attempt:
            assert (attempt.limit, attempt.is_last) == (None, False)


def test_the_rules_are_loaded_when_somebody_asks() -> None:
    """`redouble.rules` is the module of that name, though nobody imported it."""
    import redouble.rules as module

    assert redouble.__getattr__("rules") is module


def test_what_is_opened_with_nothing_that_cuts_it_off_is_opened() -> None:
    """Without a limit the value comes as it is, and an error passes."""

    async def dial(answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def how(answer: Any) -> Opening:
        limit = CloseLimit(None, "dial")
        return Opening(dial, (answer,), "dial", "connect", closing=True, asynchronous=True, limit=limit)

    nobody = cast("Any", None)
    opened = asyncio.run(open_under(None, how(None), {}, nobody))
    assert (opened.value, opened.leave, opened.scope) == (None, None, None)
    with pytest.raises(OSError, match="down"):
        asyncio.run(open_under(None, how(OSError("down")), {}, nobody))
