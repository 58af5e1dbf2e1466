"""What programs did that their authors had every right to do, and what came of it."""

# ruff: noqa: D103  # stand-ins need no docstring; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import trio

from redouble import (
    BackoffController,
    DeadlineExceeded,
    GaveUp,
    Reason,
    constant,
    current_attempt,
    deadline,
    outcome,
    override,
    poll,
    remaining,
    retry,
    transient,
)
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

R = ConnectionResetError
P = retry(backoff=constant(0), budget=None)


@pytest.mark.parametrize("policy", [retry(deadline=10), retry(deadline=10, attempt_timeout=5), retry])
def test_a_nursery_is_connected_beneath_a_written_deadline(policy: Any) -> None:
    """What is entered in trio stays in the order of its scopes: no time limit of ours is left around it."""
    done = []

    async def work() -> None:
        done.append(True)

    async def main() -> None:
        async with deadline(60), policy.connect(trio.open_nursery) as nursery:
            nursery.start_soon(work)

    trio.run(main)
    assert done == [True]


def test_an_argument_that_the_second_attempt_used_up_is_seen() -> None:
    """Not every attempt gets as far as reading it: sending an empty rest would be no repetition."""
    sent: list[list[int]] = []

    def upload(rows: Iterator[int]) -> None:
        sent.append([] if not sent else list(rows))
        raise ConnectionRefusedError("restarting") if len(sent) == 1 else R("in flight")

    with pytest.raises(R) as caught:
        P.call(upload, (row for row in range(3)))
    assert sent == [[], [0, 1, 2]]
    assert outcome(caught.value).reason is Reason.UNSAFE  # type: ignore[union-attr]


def test_an_argument_that_an_unwanted_attempt_used_up_is_seen() -> None:
    """A result is judged as an error is: the rows are gone."""
    sent = []

    def upload(rows: Iterator[int]) -> bool:
        sent.append(list(rows))
        return False

    assert P(result=lambda done: not done).call(upload, (row for row in range(3))) is False
    assert sent == [[0, 1, 2]]


def inner_of(calls: list[int]) -> Callable[[], None]:
    @retry(attempts=2, backoff=constant(0))
    def inner() -> None:
        calls.append(1)
        raise R

    return inner


@pytest.mark.parametrize("levels", [1, 2])
def test_levels_in_a_pools_thread_do_not_multiply(levels: int) -> None:
    """However many retries there are in the thread, the one outside takes their give-up for what it is."""
    calls: list[int] = []
    within = inner_of(calls) if levels == 1 else P(inner_of(calls))
    with ThreadPoolExecutor(1) as pool, pytest.raises(R):
        P(lambda: pool.submit(within).result())()
    assert len(calls) == 2


def test_a_controller_sees_an_inner_give_up_also_beneath_a_call() -> None:
    """Its attempts have no link of their own; what was given up within them was given up all the same."""

    def body() -> object:
        controller = BackoffController(retry(attempts=5))
        controller.start()
        with pytest.raises(R) as caught:
            inner_of([])()
        return controller.record_failure(caught.value)

    for decision in (body(), P.call(body)):
        assert isinstance(decision, GaveUp)
        assert decision.reason is Reason.NESTED


@contextlib.contextmanager
def scopes() -> Iterator[None]:
    with override(attempts=1), deadline(5):
        yield


@pytest.mark.parametrize("policy", [P, P(deadline=60), P(result=lambda value: None)])
def test_a_scope_that_an_attempt_opens_goes_on_after_it(policy: Any) -> None:
    """A connection may be a scope, and a function may enter one on its caller's stack."""
    with policy.connect(scopes):
        assert remaining(9.0) <= 5.0
    assert remaining() is None
    with contextlib.ExitStack() as stack:
        policy.call(lambda: stack.enter_context(deadline(5)) and None)
        assert remaining(9.0) <= 5.0
    assert remaining() is None


def test_a_scope_that_a_coroutine_opens_goes_on_after_it() -> None:
    """The same in a task."""

    async def main() -> None:
        with contextlib.ExitStack() as stack:

            @P
            async def enter() -> None:
                stack.enter_context(deadline(5))

            await enter()
            assert remaining(9.0) <= 5.0
        assert remaining() is None

    asyncio.run(main())


def test_an_override_hands_timeouts_to_those_who_take_one() -> None:
    """By their own signatures, over what the policy says, and to nobody who takes none."""

    @retry
    def positional(url: str, timeout: float | None = None) -> float | None:
        return timeout

    @retry
    def without(url: str) -> str:
        return url

    @retry(timeout_as="timeout", deadline=10)
    def other(url: str, timeout: float | None = None, connect_timeout: float | None = None) -> object:
        return timeout, connect_timeout

    with override(timeout_as="timeout", attempt_timeout=2):
        assert (positional("u", 30), positional("u"), without("u")) == (2, 2, "u")
    with override(timeout_as="connect_timeout", attempt_timeout=2):
        assert other("u", 3) == (3, 2)


def test_a_cut_off_awaitable_keeps_the_error_before_it() -> None:
    """A function that fails, and then gives something to await, is one call with one last error."""
    calls = []

    def start() -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise R("first")
        return asyncio.sleep(60)

    async def main() -> None:
        with pytest.raises(DeadlineExceeded) as caught:
            await P(deadline=5).call(start)
        assert repr(caught.value.__cause__) == "ConnectionResetError('first')"

    with fake_time():
        asyncio.run(main())


def test_an_attempt_that_is_kept_keeps_no_argument() -> None:
    """Who holds the attempt holds its figures, and nothing of the call."""

    class Argument:
        pass

    kept = []

    def work(argument: Argument) -> None:
        kept.append(current_attempt())
        if len(kept) == 1:
            raise R

    argument = Argument()
    alive = weakref.ref(argument)
    P.call(work, argument)
    del argument
    gc.collect()
    assert alive() is None
    assert kept[0] is not None


def test_a_hint_that_does_not_fit_is_not_blamed_on_max_hint_alone() -> None:
    """Ten seconds are allowed, only not in what is left."""
    with fake_time(), pytest.raises(ValueError, match="busy") as caught, deadline(1):
        retry(on=transient(ValueError, retry_after=10)).call(scripted(ValueError("busy")))
    assert "past the deadline" in caught.value.__notes__[0]


def test_what_polls_end_with_has_a_note_like_every_error() -> None:
    """Whichever limit ended it."""
    for limit in ({"questions": 2}, {"interval": lambda asked: 1 if asked < 2 else None}):
        with fake_time(), pytest.raises(TimeoutError) as caught:
            poll(lambda: "queued", until=lambda state: False, **limit)
        assert len(caught.value.__notes__) == 1


def test_who_is_told_nothing_gets_no_advice_either(caplog: pytest.LogCaptureFixture) -> None:
    """`observers=None` silences the log, advice included."""

    def fail() -> None:
        raise LookupError

    with override(observers=None), pytest.raises(LookupError):
        retry.call(fail)
    assert caplog.records == []
