"""Floor 3. Scopes: deadlines, what remains, and overridden fields; through threads, tasks and copied contexts."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import (
    DeadlineExceeded,
    Event,
    Reason,
    RetryPolicy,
    StillPending,
    constant,
    deadline,
    outcome,
    override,
    pending,
    remaining,
    retry,
    transient,
)
from redouble.control import scope
from redouble.control.around import AROUND
from redouble.control.clock import SYSTEM
from redouble.control.scope import current_clock, effective
from redouble.testing import HANG, FakeClock, scripted
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT = retry(on=OSError, attempts=None, deadline=None, backoff=constant(1))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Every scope that a test opens is closed at its end."""
    yield
    assert (scope.overriding, scope._everywhere, AROUND.get()) == (0, [], None)


def in_thread(fn: Callable[[], Any]) -> Any:
    """What a function returns in a thread of its own, which starts with a context of its own."""
    found: list[Any] = []
    thread = threading.Thread(target=contextvars.Context().run, args=(lambda: found.append(fn()),))
    thread.start()
    thread.join()
    return found[0]


def fails() -> None:
    """An operation that never works."""
    raise OSError("down")


# deadline, as `with`.


def test_a_deadline_tells_what_is_left(clock: FakeClock) -> None:
    """What is left shrinks with the time, down to zero and no further."""
    with deadline(5) as limit:
        assert (remaining(), limit.expired) == (5.0, False)
        clock.advance(4.5)
        assert (remaining(), limit.expired) == (0.5, False)
        clock.advance(1)
        assert (remaining(), limit.expired) == (0.0, True)
    assert remaining() is None


@pytest.mark.parametrize(("seconds", "left"), [(5, 5.0), (2.5, 2.5), (timedelta(minutes=1), 60.0), (0, 0.0)])
def test_a_deadline_takes_every_duration(clock: FakeClock, seconds: Any, left: float) -> None:
    """Seconds may be an int, a float or a timedelta; zero is allowed."""
    with deadline(seconds):
        assert remaining() == left


def test_no_deadline(clock: FakeClock) -> None:
    """`None` bounds nothing, and lets the scopes around it hold."""
    with deadline(None) as limit:
        clock.advance(1e6)
        assert (remaining(), limit.expired) == (None, False)
        assert PATIENT(attempts=2).call(scripted(OSError(), 1)) == 1
    with deadline(5), deadline(None):
        assert remaining() == 5.0


@pytest.mark.parametrize(
    ("value", "kind"),
    [("5", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError)],
)
def test_a_deadline_that_is_no_duration(value: Any, kind: type[Exception]) -> None:
    """A bad duration is refused where the scope is made, with argument, rule and value."""
    with pytest.raises(kind) as caught:
        deadline(value)
    expected = (
        f"seconds of deadline() must be a duration in seconds (int, float or timedelta) >= 0 or None, got {value!r}"
    )
    assert str(caught.value) == expected


def test_a_deadline_bounds_retried_calls(clock: FakeClock) -> None:
    """No wait begins that would end after it; the call ends with its own error, and the scope says it was its end."""
    with deadline(3.5) as limit, pytest.raises(OSError, match="down") as caught:
        PATIENT.call(fails)
    end = outcome(caught.value)
    assert end is not None and (end.reason, end.limit, end.attempts) == (Reason.DEADLINE, "scope", 4)
    assert clock.now() == 3.0 and limit.ended(caught.value) and not limit.expired


def test_a_deadline_bounds_pending_answers(clock: FakeClock) -> None:
    """No question is asked after it: what is still not ready then is `StillPending`, and the scope says so."""
    policy = retry(result=pending(when=lambda value: value is None, every=2), deadline=None)
    with deadline(5) as limit, pytest.raises(StillPending) as caught:
        policy.call(lambda: None)
    assert clock.now() == 4.0 and limit.ended(caught.value)


def test_the_earlier_of_the_two_deadlines_counts(clock: FakeClock) -> None:
    """The policy's own deadline and the scope's hold together; the one that comes first is the limit that is told."""
    found = []
    for own, around in ((2.5, 9), (9, 2.5), (4, 4)):
        with deadline(around) as limit, pytest.raises(OSError) as caught:
            PATIENT(deadline=own).call(fails)
        end = outcome(caught.value)
        assert end is not None
        found.append((end.attempts, end.limit, limit.ended(caught.value)))
    assert found == [(3, "own", False), (3, "scope", True), (5, "own", False)]


def test_a_scope_is_not_blamed_for_what_the_server_asked(clock: FakeClock) -> None:
    """A hint that does not fit ends the call as the server's word."""
    with deadline(5) as limit, pytest.raises(OSError) as caught:
        PATIENT(on=transient(OSError, retry_after=9)).call(fails)
    end = outcome(caught.value)
    assert end is not None and (end.reason, end.hint, end.limit) == (Reason.HINT, 9.0, None)
    assert not limit.ended(caught.value) and not limit.expired


def test_a_deadline_of_no_time_lets_each_call_run_once(clock: FakeClock) -> None:
    """With nothing left an operation still gets its one attempt."""
    operation = scripted(OSError("one"), OSError("two"))
    with deadline(0):
        for _ in range(2):
            with pytest.raises(OSError):
                PATIENT.call(operation)
    assert len(operation.calls) == 2 and clock.now() == 0.0


def test_a_deadline_reaches_nested_calls_and_blocks(clock: FakeClock) -> None:
    """Every retried call beneath is bound, however it is made."""
    with deadline(2.5):
        with pytest.raises(OSError):
            for attempt in PATIENT:
                with attempt:
                    fails()
        assert clock.now() == 2.0

        @PATIENT
        def outer() -> Any:
            return PATIENT.call(fails)

        with pytest.raises(OSError):
            outer()
    assert clock.now() == 2.0


def test_a_call_that_gives_up_for_another_reason_blames_nobody(clock: FakeClock) -> None:
    """The scope says that it was its end only when it was."""
    with deadline(100) as limit:
        for policy in (PATIENT(attempts=2), PATIENT(deadline=2.5)):
            with pytest.raises(OSError):
                policy.call(fails)
        assert not limit.expired


@pytest.mark.parametrize(("outer", "inner"), [(2.5, 9), (9, 2.5)])
def test_the_scope_that_ends_first_is_blamed(clock: FakeClock, outer: float, inner: float) -> None:
    """Of nested scopes the one that bounded the call says that it was its end."""
    with deadline(outer) as around, deadline(inner) as within:
        with pytest.raises(OSError) as caught:
            PATIENT.call(fails)
        assert (around.ended(caught.value), within.ended(caught.value)) == (outer == 2.5, inner == 2.5)
    assert not around.ended(OSError()) and not within.ended(OSError())


def test_a_scope_tells_its_end_from_a_cause(clock: FakeClock) -> None:
    """An error that was raised from the one that a scope ended counts as well, and so does a leaf of a group."""
    with deadline(2.5) as limit:
        try:
            PATIENT.call(fails)
        except OSError as error:
            ended = error
    around = ValueError()
    around.__cause__ = ended
    assert limit.ended(around) and limit.ended(ExceptionGroup("", [KeyError(), around]))


def test_what_ended_in_time_does_not_expire_later(clock: FakeClock) -> None:
    """Once the scope has ended, the time that passes afterwards is no longer its affair."""
    with deadline(5) as limit:
        clock.advance(1)
    clock.advance(100)
    assert not limit.expired


def test_what_has_expired_stays_so(clock: FakeClock) -> None:
    """A scope whose time was over when it ended says so afterwards."""
    with deadline(5) as limit:
        clock.advance(5)
    assert limit.expired
    clock.advance(100)
    assert limit.expired


def test_a_scope_is_used_again(clock: FakeClock) -> None:
    """A scope that has ended may be entered again, and begins afresh."""
    limit = deadline(5)
    for _ in range(2):
        with limit:
            assert (remaining(), limit.expired) == (5.0, False)
            clock.advance(6)
            assert limit.expired


def test_an_open_scope_is_not_entered_again(clock: FakeClock) -> None:
    """Entering it twice at once is refused, and the scope goes on as it was."""
    with deadline(5) as limit:
        with (
            pytest.raises(RuntimeError, match=r"this deadline scope is open already; make a new one with deadline\("),
            limit,
        ):
            pytest.fail("not reached")
        assert remaining() == 5.0


def test_an_error_in_the_body_passes(clock: FakeClock) -> None:
    """The scope swallows nothing, and ends with it."""
    with pytest.raises(KeyError), deadline(5):
        raise KeyError
    assert remaining() is None


def test_open_scopes_from_the_inside_out(clock: FakeClock) -> None:
    """The scope that is over first decides, wherever it stands, and one without a limit changes nothing."""
    with deadline(9), deadline(None), deadline(7):
        assert remaining() == 7.0
    with deadline(7), deadline(None), deadline(9):
        assert remaining() == 7.0


# deadline, as `async with`.


def test_an_async_deadline_cancels(clock: FakeClock) -> None:
    """What still runs when the time is up is cancelled, and DeadlineExceeded raised from the cancellation."""
    limit = deadline(2.5)

    async def main() -> None:
        async with limit:
            await asyncio.sleep(3600)

    with pytest.raises(DeadlineExceeded, match=r"^the deadline of 2\.5 s has passed$") as caught:
        asyncio.run(main())
    assert clock.now() == pytest.approx(2.5) and limit.expired
    assert isinstance(caught.value.__cause__, asyncio.CancelledError) and isinstance(caught.value, TimeoutError)


def test_an_async_deadline_that_is_kept(clock: FakeClock) -> None:
    """What is done in time is not disturbed, then or later."""

    async def main() -> float | None:
        async with deadline(5) as limit:
            await asyncio.sleep(1)
            left = remaining()
        await asyncio.sleep(100)
        assert not limit.expired
        return left

    assert asyncio.run(main()) == pytest.approx(4.0)


def test_an_async_deadline_of_none(clock: FakeClock) -> None:
    """`async with deadline(None)` cancels nothing."""

    async def main() -> float | None:
        async with deadline(None):
            await asyncio.sleep(100)
            return remaining()

    assert asyncio.run(main()) is None


def test_an_async_deadline_bounds_retried_calls(clock: FakeClock) -> None:
    """A retried call ends before a wait that would end too late, with its own error."""

    async def operation() -> None:
        fails()

    async def main() -> tuple[bool, bool]:
        async with deadline(2.5) as limit:
            with pytest.raises(OSError, match="down") as caught:
                await PATIENT.call(operation)
        return limit.ended(caught.value), limit.expired

    assert asyncio.run(main()) == (True, False) and clock.now() == pytest.approx(2.0)


def test_an_async_deadline_tells_that_it_cancelled_its_body(clock: FakeClock) -> None:
    """The error that it raises stands for it, and for no scope around it."""

    async def main() -> tuple[bool, bool, bool]:
        async with deadline(9) as around:
            with pytest.raises(DeadlineExceeded) as caught:
                async with deadline(2) as limit:
                    await clock.sleep_async(5)
            return limit.ended(caught.value), limit.expired, around.ended(caught.value)

    assert asyncio.run(main()) == (True, True, False)


def test_an_async_deadline_cuts_an_attempt(clock: FakeClock) -> None:
    """An attempt that hangs is cut off with everything else."""

    async def main() -> None:
        async with deadline(2.5):
            await PATIENT.call(scripted(OSError(), HANG, asynchronous=True))

    with pytest.raises(DeadlineExceeded):
        asyncio.run(main())
    assert clock.now() == pytest.approx(2.5)


def test_an_outer_cancellation_passes_an_async_deadline(clock: FakeClock) -> None:
    """A cancellation from outside is not taken for the scope's own, also when both fall together."""

    async def main(after: float) -> None:
        limits: list[deadline] = []

        async def body() -> None:
            async with deadline(5) as limit:
                limits.append(limit)
                await asyncio.sleep(3600)

        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(after, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    for after in (1, 5):
        asyncio.run(main(after))


def test_an_error_in_an_async_body_passes(clock: FakeClock) -> None:
    """An error of the body's own is not replaced, a TimeoutError included."""

    async def main() -> None:
        async with deadline(5):
            raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine") as caught:
        asyncio.run(main())
    assert type(caught.value) is TimeoutError


def test_async_deadlines_within_each_other(clock: FakeClock) -> None:
    """The scope that ends first ends what is in it, and no more."""
    ended: list[float] = []

    async def main() -> None:
        async with deadline(3) as outer:
            with suppress(DeadlineExceeded):
                async with deadline(1):
                    await asyncio.sleep(3600)
            ended.append(clock.now())
            assert not outer.expired
            async with deadline(100):
                await asyncio.sleep(3600)

    with pytest.raises(DeadlineExceeded, match="3 s"):
        asyncio.run(main())
    assert ended == [pytest.approx(1.0)] and clock.now() == pytest.approx(3.0)


def test_a_scope_that_cannot_be_entered_is_not_left_open() -> None:
    """Where the clock cannot set a timer, the scope raises, and bounds nothing afterwards."""

    class Timerless(FakeClock):
        def call_later(self, seconds: float, callback: Any) -> Any:
            raise NotImplementedError("no timers")

    async def main() -> float | None:
        limit = deadline(5)
        for _ in range(2):
            with pytest.raises(NotImplementedError):
                async with limit:
                    pytest.fail("not reached")
        return remaining()

    with override(clock=Timerless()):
        assert asyncio.run(main()) is None


# deadline, where contexts are copied.


def test_a_deadline_holds_in_tasks_that_start_beneath(clock: FakeClock) -> None:
    """A task sees the scopes that were open where it was started, and those alone."""

    async def job() -> float | None:
        return remaining()

    async def main() -> list[float | None]:
        before = asyncio.create_task(job())
        with deadline(5):
            beneath = asyncio.create_task(job())
            return [await before, await beneath, await asyncio.to_thread(remaining)]

    assert asyncio.run(main()) == [None, 5.0, 5.0]


def test_a_task_that_outlives_a_scope(clock: FakeClock) -> None:
    """A scope bounds it for as long as it is open, the outer ones for as long as they are."""

    async def job() -> list[float | None]:
        await asyncio.sleep(0.25)
        return [remaining()]

    async def main() -> None:
        with deadline(2):
            with deadline(1):
                task = asyncio.create_task(job())
            assert await task == [pytest.approx(1.75)]
        with deadline(1):
            task = asyncio.create_task(job())
        assert await task == [None]
        with deadline(1):
            task = asyncio.create_task(job())
            assert await task == [pytest.approx(0.75)]

    asyncio.run(main())


def test_a_retried_call_that_outlives_its_deadline(clock: FakeClock) -> None:
    """A task of the background is not bounded for ever by what held when it was started."""
    operation = scripted(*[OSError("down")] * 9, "body", asynchronous=True)

    async def job() -> object:
        await asyncio.sleep(10)
        assert remaining() is None
        return await PATIENT.call(operation)

    async def main() -> None:
        with deadline(1) as limit:
            task = asyncio.create_task(job())
        assert await task == "body" and not limit.expired

    asyncio.run(main())


def test_a_task_that_outlives_an_override(clock: FakeClock) -> None:
    """The fields are replaced for as long as the scope is open, whoever else has one open, called or as a block."""

    async def job() -> list[int]:
        await asyncio.sleep(1)
        counts = []
        for way in (call, block):
            for others in (nullcontext(), override(name="mine"), held_elsewhere()):
                operation = scripted(OSError, OSError, "body")
                with others:
                    way(operation)
                counts.append(len(operation.calls))
        return counts

    def call(operation: Callable[[], Any]) -> None:
        with suppress(OSError):
            PATIENT.call(operation)

    def block(operation: Callable[[], Any]) -> None:
        with suppress(OSError):
            for attempt in PATIENT:
                with attempt:
                    operation()

    async def main() -> None:
        with override(attempts=2):
            with override(attempts=1):
                task = asyncio.create_task(job())
            assert await task == [2] * 6
        with override(attempts=1):
            task = asyncio.create_task(job())
        assert await task == [3] * 6

    asyncio.run(main())


@contextmanager
def held_elsewhere() -> Iterator[None]:
    """An override that somebody else has open meanwhile, in another thread."""
    scope = override(name="theirs")
    in_thread(scope.__enter__)
    yield
    in_thread(scope.__exit__)


@pytest.mark.parametrize("everywhere", [False, True])
def test_scopes_that_are_closed_out_of_order(clock: FakeClock, everywhere: bool) -> None:
    """Generators may be: each scope holds until it is closed itself, and nothing is left behind."""

    def stream(*scopes: Any) -> Iterator[None]:
        with scopes[0], scopes[1]:
            yield

    first = stream(deadline(1), override(attempts=1, everywhere=everywhere))
    second = stream(deadline(2), override(name="second", everywhere=everywhere))
    for each in (first, second):
        next(each)
    assert (remaining(), effective(PATIENT).attempts, effective(PATIENT).name) == (1.0, 1, "second")
    first.close()
    assert (remaining(), effective(PATIENT).attempts, effective(PATIENT).name) == (2.0, None, "second")
    second.close()
    assert (remaining(), effective(PATIENT).attempts, effective(PATIENT).name) == (None, None, None)


def test_a_scope_that_is_used_again_within_one_that_was_within_it(clock: FakeClock) -> None:
    """A scope may come to stand in another that stood in it: looking for them has an end."""
    one, two = deadline(5), deadline(7)
    outer, inner = override(attempts=1), override(name="inner")
    for scopes in ((one, two), (outer, inner)):
        for each in scopes:
            each.__enter__()
        scopes[0].__exit__()
        scopes[0].__enter__()
    assert (remaining(), effective(PATIENT).attempts, effective(PATIENT).name) == (5.0, 1, "inner")
    for each in (two, one, outer, inner):
        each.__exit__()


def test_a_deadline_does_not_reach_other_threads(clock: FakeClock) -> None:
    """A thread with a context of its own is not bound; a copied context carries the scope into it."""
    with deadline(5):
        assert in_thread(remaining) is None
        context = contextvars.copy_context()
        assert in_thread(lambda: context.run(remaining)) == 5.0


def test_deadlines_of_tasks_do_not_mix(clock: FakeClock) -> None:
    """A hundred tasks at once each have their own."""

    async def job(seconds: int) -> float | None:
        with deadline(seconds):
            await asyncio.sleep(0)
            return remaining()

    async def main() -> list[float | None]:
        return await asyncio.gather(*map(job, range(100)))

    assert asyncio.run(main()) == [float(each) for each in range(100)]


def test_a_clock_that_fails_in_a_scope_does_not_hide_the_error() -> None:
    """A clock that breaks beneath a deadline ends the call with the user's error."""

    class Breaking(FakeClock):
        broken = False

        def now(self) -> float:
            if self.broken:
                raise RuntimeError("broken")
            return super().now()

    clock = Breaking()
    with override(clock=clock, draw=lambda: 0.5), deadline(5), pytest.raises(OSError, match="down"):
        clock.broken = True
        PATIENT(attempts=2).call(fails)


# remaining.


def test_remaining_outside_of_everything() -> None:
    """Where nothing bounds it is `None`, or what it is at most."""
    assert remaining() is None and remaining(None) is None
    assert remaining(5) == remaining(at_most=timedelta(seconds=5)) == 5.0
    assert type(remaining(5)) is float


def test_remaining_at_most(clock: FakeClock) -> None:
    """The lesser of what is left and what it may be at most."""
    with deadline(5):
        assert (remaining(3), remaining(9), remaining(0)) == (3.0, 5.0, 0.0)
        clock.advance(6)
        assert (remaining(3), remaining()) == (0.0, 0.0)


@pytest.mark.parametrize(("value", "kind"), [("5", TypeError), (True, TypeError), (-1, ValueError)])
def test_remaining_at_most_something_odd(value: Any, kind: type[Exception]) -> None:
    """What is no duration is refused by name."""
    with pytest.raises(kind, match="at_most must be a duration"):
        remaining(value)


def test_remaining_is_the_least_of_scopes_and_calls(clock: FakeClock) -> None:
    """Scopes and the deadlines of the retried calls around count alike."""
    seen: list[float | None] = []

    def operation() -> None:
        seen.append(remaining())

    with deadline(5):
        for seconds in (3, 9, None):
            retry(deadline=seconds).call(operation)
    assert seen == [3.0, 5.0, 5.0]


# override.


def test_override_replaces_fields_of_every_policy(clock: FakeClock) -> None:
    """Policies beneath have the fields that are written here, and keep the others."""
    operation = scripted(*[OSError()] * 9)
    with override(attempts=2):
        with pytest.raises(OSError):
            PATIENT.call(operation)
        assert len(operation.calls) == 2
        with pytest.raises(OSError):
            for attempt in PATIENT:
                with attempt:
                    operation()
        assert len(operation.calls) == 4
    with pytest.raises(OSError):
        PATIENT(attempts=3).call(operation)
    assert len(operation.calls) == 7


def test_override_keeps_the_rest() -> None:
    """What is not replaced stays, and the policy itself is not changed."""
    policy = retry(attempts=5, name="fetch", backoff=constant(3))
    with override(attempts=2, name="other"):
        found = effective(policy)
        assert (found.attempts, found.name, found.backoff) == (2, "other", constant(3))
        assert type(found) is RetryPolicy
        assert effective(policy) is found
    assert effective(policy) is policy and policy.attempts == 5


def test_inner_overrides_win() -> None:
    """The innermost value of a field counts; other fields of outer scopes hold still."""
    with override(attempts=5, name="outer"), override(attempts=2):
        found = effective(PATIENT)
        assert (found.attempts, found.name) == (2, "outer")
    assert effective(PATIENT) is PATIENT


def test_override_adds_observers(clock: FakeClock) -> None:
    """Observers are added to the policy's own, the policy's first, then the outer scope's."""
    told: list[str] = []

    def teller(name: str) -> Callable[[Event], None]:
        return lambda event: told.append(f"{name} {event.kind.name}")

    policy = PATIENT(attempts=2, observers=[teller("own")])
    with override(observers=[teller("outer")]), override(observers=[teller("inner")]), suppress(OSError):
        policy.call(fails)
    assert told == [f"{name} {kind}" for kind in ("RETRY", "GIVE_UP") for name in ("own", "outer", "inner")]
    assert len(policy.observers) == 1


def test_override_with_one_stop_for_all(clock: FakeClock) -> None:
    """One stop event ends every retried call beneath."""
    stop = threading.Event()
    stop.set()
    with override(stop=stop), pytest.raises(OSError) as caught:
        PATIENT.call(fails)
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.STOPPED


def test_override_leaves_the_other_limit_as_it_was() -> None:
    """What is to make policies tighter must not lift the other limit of those that have both by default."""
    with override(attempts=2):
        assert (effective(retry).attempts, effective(retry).deadline) == (2, 60.0)
    with override(deadline=7):
        assert (effective(retry).attempts, effective(retry).deadline) == (3, 7.0)
        assert effective(retry(attempts=5)).attempts == 5


def test_override_does_not_mind_contradictions() -> None:
    """What contradicts the policies beneath is theirs to live with: an admin tool must not fail for that."""
    with override(deadline=1, attempts=5):
        found = effective(retry(attempt_timeout=9, deadline=10, backoff=redouble.sequence(1)))
    assert (found.deadline, found.attempt_timeout, found.attempts) == (1.0, 9.0, 5)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"attempts": 0}, ValueError, "attempts must be a whole number >= 1 or None, got 0"),
        ({"attempts": True}, TypeError, "attempts must be a whole number >= 1 or None, got True"),
        ({"atempts": 1}, TypeError, "retry has no field 'atempts'"),
        ({"everywhere": 1}, TypeError, "everywhere must be True or False, got 1"),
        ({"attempt_timeout": 9, "deadline": 5}, ValueError, "attempt_timeout must not be above deadline"),
        ({"observers": print}, TypeError, "observers must be a tuple or list of callables"),
    ],
)
def test_override_checks_what_is_written(fields: dict[str, Any], kind: type[Exception], message: str) -> None:
    """A bad field is refused where the scope is made, not at the first call beneath."""
    with pytest.raises(kind) as caught:
        override(**fields)
    assert str(caught.value).startswith(message)


def test_an_open_override_is_not_entered_again() -> None:
    """Entering it twice at once is refused; once it has ended it may be used again."""
    changed = override(attempts=2)
    for _ in range(2):
        with changed as entered:
            assert entered is changed and effective(PATIENT).attempts == 2
            with pytest.raises(
                RuntimeError, match=r"this override scope is open already; make a new one with override"
            ):
                changed.__enter__()
            assert effective(PATIENT).attempts == 2
        assert effective(PATIENT) is PATIENT


def test_override_ends_with_an_error() -> None:
    """An error in the body passes, and ends the scope."""
    with pytest.raises(KeyError), override(attempts=2):
        raise KeyError
    assert effective(PATIENT) is PATIENT


def test_override_does_not_keep_every_policy() -> None:
    """A worker that makes a policy for each call beneath does not use more and more memory."""
    with override(name="worker") as changed:
        for number in range(1, 2000):
            assert effective(retry(attempts=number)).attempts == number
        assert len(changed._made) < 500


def test_a_policy_of_before_is_not_taken_for_another() -> None:
    """A policy that takes the place of one that was dropped is not mistaken for it."""
    with override(name="worker"):
        for number in range(1, 2000):
            found = effective(retry(attempts=number, on=None))
            assert found.attempts == number


def test_override_counts_the_open_scopes() -> None:
    """While no scope is open, no call need look for one."""
    assert scope.overriding == 0
    with override(attempts=1), override(attempts=2):
        assert scope.overriding == 2
    assert scope.overriding == 0


def test_override_names_the_clock() -> None:
    """The clock that holds is the innermost that any scope names, else the system's."""
    one, two = FakeClock(), FakeClock()
    assert current_clock() is SYSTEM
    with override(clock=one):
        assert current_clock() is one
        with override(attempts=1):
            assert current_clock() is one
            with override(clock=two):
                assert current_clock() is two
            with override(clock=None):
                assert current_clock() is one
    with override(attempts=1):
        assert isinstance(current_clock(), SystemClock)


# override, where contexts are copied.


def attempts_here() -> int | None:
    """How many attempts a policy has where this is called."""
    return effective(PATIENT).attempts


def test_override_holds_in_tasks_that_start_beneath() -> None:
    """A task sees the overrides that were open where it was started."""

    async def job() -> int | None:
        await asyncio.sleep(0)
        return attempts_here()

    async def main() -> list[int | None]:
        before = asyncio.create_task(job())
        with override(attempts=2):
            beneath = asyncio.create_task(job())
            return [await before, await beneath, await asyncio.to_thread(attempts_here)]

    assert asyncio.run(main()) == [None, 2, 2]


def test_override_does_not_reach_other_threads() -> None:
    """A thread with a context of its own is left alone; a copied context carries the scope into it."""
    with override(attempts=2):
        assert in_thread(attempts_here) is None
        context = contextvars.copy_context()
        assert in_thread(lambda: context.run(attempts_here)) == 2


def test_override_in_threads_at_once() -> None:
    """Scopes of many threads do not mix, and their count is right at the end."""
    barrier = threading.Barrier(16)
    found: dict[int, set[int | None]] = {}

    def work(number: int) -> None:
        barrier.wait()
        seen = set()
        for _ in range(50):
            with override(attempts=number):
                seen.add(attempts_here())
        found[number] = seen

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: {number} for number in range(1, 17)}


def test_override_everywhere_reaches_other_contexts() -> None:
    """With `everywhere` it also holds where no scope is open, in threads and contexts that were not copied."""
    with override(attempts=2, everywhere=True):
        assert attempts_here() == 2
        assert in_thread(attempts_here) == 2
    assert attempts_here() is None and in_thread(attempts_here) is None


def test_a_scope_of_its_own_wins_over_everywhere() -> None:
    """A scope that a context opens itself stands upon the one that holds everywhere."""

    def mine() -> tuple[Any, ...]:
        with override(name="mine"):
            found = effective(PATIENT)
        return found.attempts, found.name, attempts_here()

    with override(attempts=2, everywhere=True):
        assert in_thread(mine) == (2, "mine", 2)
        assert mine() == (2, "mine", 2)


def test_scopes_that_hold_everywhere_within_each_other() -> None:
    """The last one opened holds elsewhere; each ends for itself, in any order."""
    one, two = override(attempts=1, everywhere=True), override(attempts=2, everywhere=True)
    with one, two:
        assert in_thread(attempts_here) == 2
    with one:
        assert in_thread(attempts_here) == 1
    one.__enter__()
    in_thread(two.__enter__)
    one.__exit__()
    assert in_thread(attempts_here) == 2 and attempts_here() == 2
    in_thread(two.__exit__)
    assert attempts_here() is None


def test_an_event_loop_stop_is_looked_at_in_synchronous_code(clock: FakeClock) -> None:
    """Nothing is refused at run time: a scope's event of an event loop ends a synchronous call as any other."""
    stop = asyncio.Event()

    def operation() -> None:
        if clock.now() == 2.0:
            stop.set()
        fails()

    with override(stop=stop), pytest.raises(OSError) as caught:
        PATIENT.call(operation)
    end = outcome(caught.value)
    assert end is not None and (end.reason, end.attempts) == (Reason.STOPPED, 3)


@pytest.mark.parametrize("name", ["deadline", "override", "remaining"])
def test_scopes_are_documented_where_they_are_exported(name: str) -> None:
    """What users import has its documentation, and names itself as it is imported."""
    exported = getattr(redouble, name)
    assert exported.__doc__ and (name == "remaining" or exported.__module__ == "redouble")
