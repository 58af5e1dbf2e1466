"""Scopes across surfaces: deadlines that bound what is beneath, remaining time, and override."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    Reason,
    constant,
    current_attempt,
    deadline,
    outcome,
    override,
    pending,
    remaining,
    retry,
)
from redouble.testing import HANG, fake_time, scripted

if TYPE_CHECKING:
    from redouble import Event
    from redouble.testing import FakeClock

policy = retry(attempts=9, on=OSError, backoff=constant(4))
DOWN = [OSError("down")] * 9


def reason(error: BaseException) -> Reason:
    end = outcome(error)
    assert end is not None
    return end.reason


def test_a_scope_bounds_every_call_beneath(surface: Any, clock: FakeClock) -> None:
    """No wait is begun that would end after the scope; the scope says that it was its end."""
    with deadline(10) as limit:
        error = surface.fail(policy, scripted(*DOWN))
    assert reason(error) is Reason.DEADLINE and clock.sleeps == [4, 4]
    assert limit.ended(error) and not limit.expired


def test_a_scope_of_none_bounds_nothing(surface: Any, clock: FakeClock) -> None:
    """`deadline(None)` is no limit."""
    with deadline(None) as limit:
        assert surface.play(policy, scripted(*DOWN[:5], "body")) == "body"
    assert not limit.expired


def test_a_scope_bounds_several_calls_together(surface: Any, clock: FakeClock) -> None:
    """What the first call used is not there for the second."""
    with deadline(10):
        assert surface.play(policy, scripted(*DOWN[:2], "body")) == "body"
        assert surface.fail(policy, scripted(*DOWN[:1])) is DOWN[0]
    assert clock.sleeps == [4, 4]


def test_the_nearest_of_all_limits_counts(surface: Any, clock: FakeClock) -> None:
    """Of nested scopes and the policy's own deadline the least holds."""
    for own, inner, outer, waits in (
        (9, 99, 99, 2),
        (99, 9, 99, 2),
        (99, 99, 9, 2),
        (99, 99, None, 8),
        (5, 9, None, 1),
    ):
        clock.sleeps.clear()
        with deadline(outer), deadline(inner):
            surface.fail(policy(deadline=own, attempts=9), scripted(*DOWN))
        assert clock.sleeps == [4] * waits


def test_a_deadline_bounds_what_is_retried_inside(surface: Any, clock: FakeClock) -> None:
    """A policy's own deadline bounds the retried calls inside of its attempts, on every surface."""
    lefts = []

    def operation() -> None:
        lefts.append(remaining())
        policy.call(scripted(*DOWN))

    error = surface.fail(retry(on=OSError, deadline=10), operation)
    assert reason(error) is Reason.NESTED
    assert lefts == [10.0] and clock.sleeps == [4, 4]


def test_a_deadline_travels_with_copied_contexts(clock: FakeClock) -> None:
    """A task or thread that is given a copy of the context is inside of the attempt, and of the scopes, as well."""

    def look() -> tuple[float | None, int | None]:
        attempt = current_attempt()
        return remaining(), None if attempt is None else attempt.number

    async def child() -> tuple[float | None, int | None]:
        return look()

    async def main() -> None:
        async for attempt in policy(deadline=10):
            with attempt:
                assert await asyncio.create_task(child()) == (10.0, 1)
                assert await asyncio.to_thread(look) == (10.0, 1)
                with deadline(3):
                    assert await asyncio.create_task(child()) == (3.0, 1)
                    assert await asyncio.to_thread(remaining) == 3.0

    asyncio.run(main())


def test_remaining_is_the_least_of_all(surface: Any, clock: FakeClock) -> None:
    """Of the scopes, the retried calls around and `at_most`; never below 0."""
    seen: list[float | None] = []

    def operation() -> str:
        with deadline(6):
            seen.extend([remaining(), remaining(5), remaining(at_most=2)])
        seen.append(remaining())
        clock.advance(3)
        with deadline(99):
            seen.append(remaining())
        return "body"

    assert surface.play(policy(attempts=None, deadline=8), operation) == "body"
    assert seen == [6.0, 5.0, 2.0, 8.0, 5.0]
    assert remaining() is None and remaining(7) == 7.0
    with deadline(0):
        assert remaining() == 0.0


def test_a_default_deadline_is_not_handed_down(surface: Any, clock: FakeClock) -> None:
    """The default one is handed to nothing beneath: it only refuses waits."""
    seen = []
    surface.play(retry, lambda: seen.append(remaining()))
    assert seen == [None]


def test_current_attempt_on_every_surface(surface: Any, clock: FakeClock) -> None:
    """An operation finds its attempt, the first and the later ones."""
    seen = []

    def operation() -> str:
        attempt = current_attempt()
        assert attempt is not None
        seen.append((attempt.number, attempt.failures, attempt.remaining))
        if len(seen) < 3:
            raise OSError("down")
        return "body"

    assert surface.play(policy(deadline=20, attempts=None), operation) == "body"
    assert seen == [(1, 0, 20.0), (2, 1, 16.0), (3, 2, 12.0)]


def test_an_async_scope_cancels_every_surface(surface: Any, clock: FakeClock) -> None:
    """`async with` ends a wait, or, of code that never suspends, the retrying."""
    if not surface.is_async:
        pytest.skip("nothing can cancel synchronous code")

    async def main() -> BaseException | None:
        async with deadline(10) as limit:
            error = await surface.caught(policy, scripted(*DOWN))
        assert error is not None and limit.ended(error) and not limit.expired
        return error

    assert asyncio.run(main()) is DOWN[0] and clock.sleeps == [4, 4]


def test_expired_says_whose_end_it_was(clock: FakeClock) -> None:
    """Of two nested async scopes the one that cut says so."""

    async def main() -> None:
        async with deadline(100) as outer:
            with pytest.raises(TimeoutError):
                async with deadline(5) as inner:
                    await retry.call(scripted(HANG, asynchronous=True))
        assert (outer.expired, inner.expired) == (False, True)

    asyncio.run(main())


def test_override_replaces_fields_beneath(surface: Any, clock: FakeClock) -> None:
    """Of every policy used beneath; afterwards it is as before."""
    with override(attempts=1):
        surface.fail(policy, scripted(*DOWN))
    assert clock.sleeps == []
    with override(backoff=constant(2), attempts=5), override(attempts=3):
        surface.fail(policy, scripted(*DOWN))
    assert clock.sleeps == [2, 2]
    surface.fail(policy(attempts=2), scripted(*DOWN))
    assert clock.sleeps == [2, 2, 4]


def test_override_adds_observers(surface: Any, clock: FakeClock) -> None:
    """Those of the policy hear as well."""
    heard: list[list[Event]] = [[], [], []]
    with override(observers=[heard[1].append]), override(observers=[heard[2].append]):
        surface.fail(policy(attempts=2, observers=[heard[0].append]), scripted(*DOWN))
    assert heard[0] == heard[1] == heard[2] and len(heard[0]) == 2


def test_override_does_not_refuse_contradictions(surface: Any, clock: FakeClock) -> None:
    """What only contradicts a policy beneath holds all the same."""
    with override(deadline=1, backoff=constant(1).take(1)):
        error = surface.fail(policy(attempts=9), scripted(*DOWN))
    assert reason(error) in (Reason.CURVE, Reason.DEADLINE)


def test_one_stop_event_for_a_whole_worker(surface: Any, clock: FakeClock) -> None:
    """An override stops every policy beneath, also those made later."""
    stop = threading.Event()
    with override(stop=stop):
        assert surface.play(retry(on=OSError), scripted(OSError, "body")) == "body"
        stop.set()
        error = surface.fail(retry(on=OSError), scripted(*DOWN))
    assert reason(error) is Reason.STOPPED


def test_an_override_keeps_no_policies(surface: Any, clock: FakeClock) -> None:
    """A worker that runs beneath one for weeks, making a policy for each call, holds on to none of them."""

    class Marker:
        def __call__(self, event: Event) -> None: ...

    async def body() -> int:
        held = []
        for _ in range(200):
            marker = Marker()
            held.append(weakref.ref(marker))
            await surface.attempt(retry(observers=[marker], attempts=2), lambda: "body")
        del marker
        gc.collect()
        return sum(ref() is not None for ref in held)

    with override(stop=threading.Event()):
        assert surface.run(body()) <= 100


def test_override_in_another_thread(clock: FakeClock) -> None:
    """It is a context variable: other threads do not see it, contexts that are copied do."""
    seen: list[int] = []

    def attempt() -> None:
        operation = scripted(*[OSError] * 2, "body")
        with contextlib.suppress(OSError):
            policy(backoff=constant(0)).call(operation)
        seen.append(len(operation.calls))

    with override(attempts=1):
        for target in (attempt, clock.bind(attempt)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [3, 1]


def test_nested_retries_do_not_multiply(surface: Any, clock: FakeClock) -> None:
    """Three levels of three attempts make three calls, not 27."""
    operation = scripted(*DOWN)
    given = retry(attempts=3, on=OSError, backoff=constant(1))
    error = surface.fail(given, lambda: given.call(lambda: given.call(operation)))
    assert len(operation.calls) == 3 and reason(error) is Reason.NESTED


def test_nested_once_sees_through_causes_and_groups(surface: Any, clock: FakeClock) -> None:
    """An error that stands for one on which an inner retry gave up is not retried either."""

    def wrapped() -> None:
        try:
            policy(attempts=1).call(scripted(OSError("inner")))
        except OSError as error:
            raise OSError("outer") from error

    def grouped() -> None:
        try:
            policy(attempts=1).call(scripted(OSError("inner")))
        except OSError as error:
            raise ExceptionGroup("both", [error, OSError("other")]) from None

    for operation in (wrapped, grouped):
        assert reason(surface.fail(policy, operation)) is Reason.NESTED


def test_an_old_give_up_is_no_nested_one(surface: Any, clock: FakeClock) -> None:
    """An error object on which a retry gave up before this attempt is retried as any other."""
    error = OSError("cached")
    surface.fail(policy(attempts=1), scripted(error))
    operation = scripted(error, error, "body")
    assert surface.play(policy, operation) == "body"


def test_pending_is_bounded_by_a_scope(surface: Any, clock: FakeClock) -> None:
    """An answer that is not ready ends with the scope, too."""
    if surface.is_connect:
        pytest.skip("what is opened is no answer to be judged")
    waiting = retry(result=pending(when=lambda value: True, every=2), attempts=None)
    with deadline(5) as limit:
        error = surface.fail(waiting, lambda: "wait")
    assert isinstance(error, TimeoutError) and limit.ended(error) and clock.sleeps == [2, 2]


def test_virtual_time_is_a_scope_too(surface: Any) -> None:
    """Two tests one after the other have a clock each."""
    for _ in range(2):
        with fake_time() as clock:
            surface.fail(policy(attempts=2), scripted(*DOWN))
            assert clock.sleeps == [4] and clock.now() == 4.0
