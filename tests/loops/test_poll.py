"""poll: the interval, what is ready, what ends it, and what is left behind."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import traceback
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    Classification,
    DeadlineExceeded,
    Reason,
    Rule,
    StillPending,
    Stopped,
    Verdict,
    constant,
    current_attempt,
    deadline,
    exponential,
    outcome,
    override,
    pending,
    poll,
    remaining,
    retry,
    transient,
)
from redouble.testing import HANG, fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redouble import RetryPolicy
    from redouble.testing import FakeClock


class NotYet(Exception): ...


class TooFast(Exception): ...


policy = retry(on=pending(NotYet) | transient(OSError))


def done(value: object) -> bool:
    return value == "done"


@pytest.fixture(params=["sync", "async", "lambda"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Poll a scripted answer: in sync code, a coroutine function, and a plain function that gives a coroutine."""

    def ask(*outcomes: object, policy: RetryPolicy = policy, **options: Any) -> Any:
        operation = scripted(*outcomes, asynchronous=request.param != "sync")
        ask.calls = operation.calls  # type: ignore[attr-defined]
        asked = poll((lambda: operation()) if request.param == "lambda" else operation, policy, **options)
        if request.param == "sync":
            return asked

        async def main() -> Any:
            return await asked

        return asyncio.run(main())

    return ask


# The interval.


def test_the_first_question_waits_for_nothing(ask: Any, clock: FakeClock) -> None:
    """An answer that is ready at once costs no wait, and without `until` every value is ready."""
    assert ask("running") == "running"
    assert clock.sleeps == []


@pytest.mark.parametrize(
    ("interval", "waited"), [(7, 7.0), (0.25, 0.25), (timedelta(minutes=1), 60.0), (0.001, 0.1), (None, 5.0)]
)
def test_the_interval(ask: Any, clock: FakeClock, interval: Any, waited: float) -> None:
    """Numbers and timedeltas; less than 0.1 s counts as that, for failures as well; 5 s unless told."""
    options = {} if interval is None else {"interval": interval}
    assert ask("no", OSError, NotYet, "done", until=done, **options) == "done"
    assert clock.sleeps == [waited] * 3


def test_the_interval_stands_for_that_of_the_rule(ask: Any, clock: FakeClock) -> None:
    """`every` of a pending rule is for calls; here the interval says how often."""
    assert ask(NotYet, "done", policy=retry(on=pending(NotYet, every=99)), interval=2) == "done"
    assert clock.sleeps == [2.0]


def test_the_curve_of_a_rule_is_for_its_failures(ask: Any, clock: FakeClock) -> None:
    """A rule's own backoff answers its failures, the others wait for the interval."""
    on = retry(on=transient(TimeoutError, backoff=constant(40)) | transient(OSError) | pending(NotYet))
    assert ask(TimeoutError, ConnectionResetError, NotYet, "done", policy=on, interval=2) == "done"
    assert clock.sleeps == [40.0, 2.0, 2.0]


def test_a_curve_that_is_overridden_is_written_too(ask: Any, clock: FakeClock) -> None:
    """`override(backoff=...)` around it answers failures, as one in the policy does."""
    with override(backoff=exponential(10, jitter=None)):
        assert ask(OSError, OSError, NotYet, OSError, "done", interval=2) == "done"
    assert clock.sleeps == [10.0, 20.0, 2.0, 10.0]


def hinting(seconds: float, verdict: Verdict = Verdict.PENDING) -> Callable[[object], Classification]:
    return lambda _: Classification(verdict, retry_after=seconds)


@pytest.mark.parametrize("seconds", [1, 60])
def test_a_hint_of_a_pending_answer_is_honoured(ask: Any, clock: FakeClock, seconds: float) -> None:
    """A server that says when to come back is believed, sooner or later than the interval (stretched by up to 10 %)."""
    hinted = retry(
        on=pending(NotYet, when=hinting(seconds)), result=lambda value: hinting(seconds)(0) if value == "no" else None
    )
    assert ask(NotYet, "no", "done", policy=hinted) == "done"
    assert clock.sleeps == [pytest.approx(seconds * 1.05)] * 2


def test_a_hint_of_a_failure_is_a_least_wait(ask: Any, clock: FakeClock) -> None:
    """After a failure the longer of interval and hint is waited."""
    on = retry(on=transient(TimeoutError, retry_after=60) | transient(OSError, retry_after=1))
    assert ask(TimeoutError, ConnectionResetError, "done", policy=on) == "done"
    assert clock.sleeps == [63.0, 5.0]


def test_a_hint_that_is_too_long_ends_it(ask: Any, clock: FakeClock) -> None:
    """A hint above `max_hint` is not waited for: a pending value is StillPending, with the value."""
    hinted = retry(result=lambda value: hinting(301)(0))
    with pytest.raises(StillPending, match="max_hint") as caught:
        ask("no", policy=hinted)
    assert caught.value.value == "no" and clock.sleeps == []


def test_slow_down_takes_anything_that_stands_for_a_rule(ask: Any, clock: FakeClock) -> None:
    """A predicate, a rule, a tuple of types: each tells the errors that lengthen the interval."""
    for slow_down in (lambda error: isinstance(error, TooFast), pending(TooFast), (TooFast, KeyError)):
        clock.sleeps.clear()
        assert ask(TooFast(), NotYet(), "done", interval=1, slow_down=slow_down) == "done"
        assert clock.sleeps == [6.0, 6.0]


def test_slow_down_resets_failures(ask: Any, clock: FakeClock) -> None:
    """It is a pending answer: it counts as no failure, and begins their count again."""
    outcomes = [OSError(), TooFast(), OSError(), "done"]
    assert ask(*outcomes, policy=policy(attempts=2), interval=1, slow_down=TooFast) == "done"
    assert clock.sleeps == [1.0, 6.0, 6.0]


def test_no_hint_goes_below_an_interval_that_was_lengthened(ask: Any, clock: FakeClock) -> None:
    """Once told to slow down, a shorter hint is no reason to be faster; a longer one still counts."""
    on = pending(NotYet, when=lambda error: hinting(error.args[0])(error))
    outcomes = [NotYet(2), TooFast(), NotYet(2), NotYet(60), "done"]
    assert ask(*outcomes, policy=retry(on=on), interval=1, slow_down=TooFast) == "done"
    assert clock.sleeps == [pytest.approx(2.1), 6.0, pytest.approx(6.3), 63.0]


def test_slow_down_in_a_group_counts_once(ask: Any, clock: FakeClock) -> None:
    """It is seen in a group as well, and lengthens the interval once for each answer."""
    group = ExceptionGroup("both", [TooFast(), TooFast()])
    assert ask(TooFast(), group, "done", policy=retry(on=None), interval=1, slow_down=TooFast) == "done"
    assert clock.sleeps == [6.0, 11.0]


def test_each_poll_has_an_interval_of_its_own(clock: FakeClock) -> None:
    """What one poll was told does not slow down the next one."""
    for _ in range(2):
        poll(scripted(TooFast(), "done"), policy, interval=1, slow_down=TooFast)
    assert clock.sleeps == [6.0, 6.0]


# What is ready.


def test_result_rules_say_what_is_pending(ask: Any, clock: FakeClock) -> None:
    """Without `until`, a value is pending when the policy's result rules say so."""
    judged = retry(result=pending(when=lambda value: value == "no"))
    assert ask("no", "no", "yes", policy=judged) == "yes"
    assert clock.sleeps == [5.0, 5.0]


def test_result_rules_come_before_until(ask: Any, clock: FakeClock) -> None:
    """`until` is asked only of what the policy's rules let pass: a value that they call a failure is one."""
    seen: list[object] = []

    def until(value: object) -> bool:
        seen.append(value)
        return value == "done"

    judged = retry(result=transient(when=lambda value: value == 503), attempts=2)
    assert ask(503, "no", 503, "done", policy=judged, until=until) == "done"
    assert seen == ["no", "done"]
    assert ask(503, 503, policy=judged, until=until) == 503  # as every unwanted result, it is returned in the end


def test_until_may_answer_anything_true_or_false(ask: Any, clock: FakeClock) -> None:
    """As Python's own predicates do."""
    assert ask({}, {"url": "/r"}, until=lambda job: job.get("url")) == {"url": "/r"}


def test_until_may_be_bool(ask: Any, clock: FakeClock) -> None:
    """`until=bool` waits for a true value; of another class each instance may be true, so it is refused."""
    assert ask(None, [], ["done"], until=bool) == ["done"]
    with pytest.raises(TypeError, match=r"until must be a function, or bool, and no other class, got <class 'int'>"):
        ask(until=int)


def test_what_until_raises_is_raised(ask: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that `until` cannot judge is neither ready nor waited for: its error says so at once."""
    with pytest.raises(KeyError, match="state") as caught:
        ask("no", {}, until=lambda job: job != "no" and job["state"])
    assert clock.sleeps == [5.0] and outcome(caught.value) is None
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    gc.collect()


def test_dropped_values_are_discarded_by_the_policys_rules(ask: Any, clock: FakeClock) -> None:
    """A rule that gives back what a dropped response holds is asked to, though `until` has judged."""
    dropped: list[object] = []

    class Responses(Rule):
        def ask(self, subject: Any, on_fault: Any = None) -> None:
            return None

        def discard(self, value: Any) -> None:
            dropped.append(value)

    assert ask("a", "b", "done", policy=retry(result=Responses()), until=done) == "done"
    assert dropped == ["a", "b"]
    assert ask("a", "done", until=done) == "done"


# What ends it.


def test_no_limits_unless_written(ask: Any, clock: FakeClock) -> None:
    """The default limits of calls do not hold: it may take days, and fail a thousand times."""
    assert ask(*[OSError] * 1000, *["no"] * 1000, "done", until=done) == "done"
    assert clock.now() == 10000.0


def test_the_deadline_is_the_expiry(ask: Any, clock: FakeClock) -> None:
    """At the deadline no question is asked any more; a failure is raised itself."""
    with pytest.raises(StillPending) as caught:
        ask(*["no"] * 9, policy=policy(deadline=15), until=done)
    assert caught.value.value == "no" and clock.now() == 10.0
    error = OSError("down")
    with pytest.raises(OSError, match="down") as failed:
        ask(NotYet(), error, policy=policy(deadline=10))
    assert failed.value is error and outcome(error).reason is Reason.DEADLINE  # type: ignore[union-attr]


def test_a_deadline_scope_bounds_it(ask: Any, clock: FakeClock) -> None:
    """A `deadline` around it ends it as well, and tells that it was that; its own does not put the blame there."""
    with deadline(12) as limit, pytest.raises(StillPending) as caught:
        ask(*["no"] * 9, until=done)
    assert limit.ended(caught.value) and not limit.expired and clock.now() == 10.0
    with deadline(12) as limit, pytest.raises(StillPending) as caught:
        ask(*["no"] * 9, policy=policy(deadline=10), until=done)
    assert not limit.expired


def test_progress_begins_the_deadline_again(ask: Any, clock: FakeClock) -> None:
    """An attempt that got somewhere has its whole time again, and what expires still expires at that moment."""
    times: list[float] = []

    def asks() -> str:
        times.append(clock.now())
        if len(times) == 2:
            current_attempt().progress()
        return "no"

    with pytest.raises(StillPending):
        poll(asks, policy(deadline=10), until=done)
    assert times == [0.0, 5.0, 10.0]


def test_a_slow_question_is_cut_off(clock: FakeClock) -> None:
    """In asyncio, a written deadline and an attempt_timeout end a question that hangs."""

    async def main() -> None:
        hanging = scripted("no", HANG, "done", asynchronous=True)
        assert await poll(hanging, policy(attempt_timeout=3), until=done) == "done"
        assert clock.sleeps == [5.0, 5.0] and clock.now() == 13.0
        with pytest.raises(StillPending) as caught:  # the deadline is the expiry, in every colour
            await poll(scripted(HANG, asynchronous=True), policy(deadline=3))
        assert isinstance(caught.value.__cause__, DeadlineExceeded)

    asyncio.run(main())


def test_what_expires_says_it_once(clock: FakeClock) -> None:
    """The text says whether any question was answered, the note after what it gave up, and neither repeats the other."""

    async def main() -> list[StillPending]:
        found = []
        for outcomes in ([HANG], ["no", HANG]):
            with pytest.raises(StillPending) as caught:
                await poll(scripted(*outcomes, asynchronous=True), policy(deadline=7), until=done)
            found.append(caught.value)
        return found

    unanswered, answered = asyncio.run(main())
    assert (str(unanswered), unanswered.value) == ("still pending: no question was answered in time", None)
    assert (str(answered), answered.value) == ("still pending", "no")
    with pytest.raises(StillPending) as caught:
        poll(scripted("no", "no"), policy(deadline=7), until=done)
    assert (str(caught.value), caught.value.value) == ("still pending", "no")
    for error in (unanswered, answered, caught.value):
        assert len(error.__notes__) == 1 and error.__notes__[0].startswith("gave up after ")


def test_timeout_as_hands_out_what_is_left(clock: FakeClock) -> None:
    """A synchronous function is told its time, as in calls; one that takes none is refused."""
    given: list[float] = []

    def asks(timeout: float = 60.0) -> str:
        given.append(round(timeout, 6))
        return "no"

    with pytest.raises(StillPending):
        poll(asks, policy(deadline=12, attempt_timeout=9, timeout_as="timeout"), until=done)
    assert given == [9.0, 7.0, 2.0]
    with pytest.raises(TypeError, match="timeout_as must name a keyword"):
        poll(lambda: "no", policy(timeout_as="timeout"))


def test_remaining_and_the_attempt_are_found_from_within(ask: Any, clock: FakeClock) -> None:
    """What asks finds its attempt and what is left, as in any retried call, also in asyncio."""
    found: list[Any] = []

    def note() -> str:
        found.append((current_attempt().number, round(remaining() or 0.0, 6)))
        return "done" if len(found) > 1 else "no"

    async def note_async() -> str:
        return note()

    assert poll(note, policy(deadline=12), until=done) == "done"
    assert found == [(1, 12.0), (2, 7.0)]
    found.clear()
    assert asyncio.run(poll(note_async, policy(deadline=12), until=done)) == "done"
    assert found == [(1, 12.0), (2, 7.0)]


def test_an_enclosing_retried_call_bounds_it(clock: FakeClock) -> None:
    """A poll inside a retried call ends with that one's deadline, in both colours."""
    ends: list[float] = []

    def inner() -> None:
        began = clock.now()
        with pytest.raises(StillPending):
            poll(lambda: "no", until=done)
        ends.append(clock.now() - began)

    async def inner_async() -> None:
        began = clock.now()
        with pytest.raises(StillPending):
            await poll(scripted(*["no"] * 9, asynchronous=True), until=done)
        ends.append(clock.now() - began)

    retry(deadline=12).call(inner)
    asyncio.run(retry(deadline=12).call(inner_async))
    assert ends == [10.0, 10.0]


@pytest.mark.parametrize(
    "last", ["no", 503, NotYet(), OSError()], ids=["value", "unwanted value", "pending error", "failure"]
)
def test_stop_is_always_stopped(ask: Any, clock: FakeClock, last: object) -> None:
    """Whoever stops it gets Stopped, whatever was the last thing to happen: from the last error, if there was one."""
    stop = threading.Event()
    judging = policy(result=transient(when=lambda value: value == 503))

    def asks(event: Any) -> None:
        if event.delay is not None:
            stop.set()

    for observers, waits in (((), 0), ((asks,), 1)):
        stop.clear() if observers else stop.set()
        before = len(clock.sleeps)
        with pytest.raises(Stopped) as caught:
            ask(last, "done", policy=judging(stop=stop, observers=observers), until=done)
        cause = caught.value.__cause__
        assert cause is (last if isinstance(last, Exception) else None)
        ended = outcome(caught.value)
        assert ended is not None and ended.reason is Reason.STOPPED and ended.attempts == 1
        assert len(clock.sleeps) <= before + waits and len(ask.calls) == 1


def test_a_stop_before_the_beginning(ask: Any, clock: FakeClock) -> None:
    """As any retried call it asks once; an answer that is ready then is returned."""
    stop = threading.Event()
    stop.set()
    assert ask("done", policy=policy(stop=stop), until=done) == "done"


def test_a_permanent_error_is_untouched(ask: Any, clock: FakeClock) -> None:
    """An error that no rule knows is raised at once, itself, with one frame of ours in its traceback."""
    error = KeyError("id")
    with pytest.raises(KeyError) as caught:
        ask("no", error, until=done)
    assert caught.value is error and len(ask.calls) == 2
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert sum("redouble/loops" in name or "redouble/ways" in name or "redouble/calls" in name for name in files) == 1


@pytest.mark.parametrize("last", ["no", OSError("down"), NotYet("yet")], ids=["value", "failure", "pending error"])
def test_one_frame_of_ours_where_a_wait_ends_it(ask: Any, clock: FakeClock, last: object) -> None:
    """Also what is raised after a wait that overslept carries one frame of ours."""
    slow = policy(deadline=20, observers=[lambda event: event.delay and clock.advance(18)])
    last = (
        type(last)(*last.args) if isinstance(last, Exception) else last
    )  # its own: frames of other tests stay with them
    with pytest.raises((OSError, NotYet, StillPending)) as caught:
        ask(last, policy=slow, until=done)
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert sum("redouble/loops" in name or "redouble/ways" in name or "redouble/calls" in name for name in files) == 1


def test_an_unwanted_value_is_returned_where_a_wait_ends_it(ask: Any, clock: FakeClock) -> None:
    """As in any retried call: a value that counts as a failure is what there is when the time is up."""
    judging = policy(deadline=20, result=transient(when=lambda value: value == 503))
    assert ask(503, policy=judging(observers=[lambda event: event.delay and clock.advance(18)])) == 503


def test_an_inner_give_up_is_a_failure_like_any_other(ask: Any, clock: FakeClock) -> None:
    """What a retried call within gave up on is asked for again at the interval."""
    inner = scripted(*[ConnectionResetError("down")] * 4, "done")

    def asks() -> Any:
        return retry(attempts=2, backoff=constant(1)).call(inner)

    assert poll(asks, retry(nested="once"), interval=7) == "done"
    assert clock.sleeps == [1.0, 7.0, 1.0, 7.0]


def test_cancellation_passes(clock: FakeClock) -> None:
    """A task that is cancelled in a wait or in a question ends at once, and nothing is asked any more."""

    async def main() -> None:
        for outcomes, after in (([NotYet()], 2), ([HANG], 2), ([NotYet(), HANG], 7)):
            operation = scripted(*outcomes, asynchronous=True)
            task = asyncio.create_task(poll(operation, policy))  # type: ignore[arg-type]
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(operation.calls) == len(outcomes)

    asyncio.run(main())


def test_what_is_no_exception_passes(ask: Any, clock: FakeClock) -> None:
    """Ctrl-C ends it, whatever the rules."""
    with pytest.raises(KeyboardInterrupt):
        ask("no", KeyboardInterrupt, policy=retry(on=lambda error: True), until=done)


# What is told, and what is left behind.


def test_events_are_those_of_a_call(ask: Any, clock: FakeClock) -> None:
    """RETRY with the wait, SUCCESS after failures; an `override` adds its observers once."""
    events: list[Any] = []
    with override(observers=[lambda event: events.append((event.kind.name, event.name, event.delay, event.failures))]):
        ask("no", OSError(), "done", policy=policy(name="job"), until=done)
    assert events == [("RETRY", "job", 5.0, 0), ("RETRY", "job", 5.0, 1), ("SUCCESS", "job", None, 1)]


def test_the_functions_name_is_the_label(clock: FakeClock) -> None:
    """Where the policy has no name, the function's stands in logs and outcomes."""
    with pytest.raises(NotYet) as caught:
        poll(scripted(NotYet()), policy(deadline=3))
    assert outcome(caught.value).name == "scripted"  # type: ignore[union-attr]


def test_the_policys_rules_are_those_of_an_override(ask: Any, clock: FakeClock) -> None:
    """`override(on=..., result=...)` replaces the policy's rules, not the poll's own."""
    with override(on=transient(KeyError), result=transient(when=lambda value: value == 503), attempts=5):
        assert ask(KeyError(), 503, TooFast(), "no", "done", until=done, slow_down=TooFast, interval=1) == "done"
    assert clock.sleeps == [1.0, 1.0, 6.0, 6.0]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("end", ["done", "denied", "expired"])
def test_nothing_is_held_on_to(clock: FakeClock, asynchronous: bool, end: str) -> None:
    """When it has returned or raised, the errors and values of the way there are gone without the collector."""

    class Failure(OSError): ...

    class Value: ...

    refs: list[Any] = []

    def kept(thing: Any) -> Any:
        refs.append(weakref.ref(thing))
        return thing

    def asks() -> Any:
        if len(refs) >= 8 and end != "expired":
            return "done" if end == "done" else 1 / 0
        if len(refs) % 2:
            return kept(Value())
        raise kept(Failure())

    async def asks_async() -> Any:
        return asks()

    limited = policy(deadline=100)

    def until(value: object) -> bool:
        return not isinstance(value, Value)

    async def main() -> None:  # asyncio.run itself keeps an error that comes out of it in a cycle
        gc.collect()
        gc.disable()
        try:
            with contextlib.suppress(ZeroDivisionError, StillPending):
                await poll(asks_async, limited, until=until) if asynchronous else poll(asks, limited, until=until)
            assert len(refs) >= 8 and [ref() for ref in refs] == [None] * len(refs)
        finally:
            gc.enable()

    asyncio.run(main())


def test_what_until_raised_is_in_no_cycle(clock: FakeClock) -> None:
    """The error and its frames are free as soon as the caller lets go of it."""

    class Odd(Exception): ...

    def until(value: object) -> bool:
        raise Odd

    gc.collect()
    gc.disable()
    try:
        try:
            poll(lambda: "no", until=until)
        except Odd as error:
            gone = weakref.ref(error)
        assert gone() is None
    finally:
        gc.enable()


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (lambda: poll(None), TypeError, "got None"),  # type: ignore[call-overload]
        (lambda: poll(print, 5), TypeError, "policy must be a RetryPolicy such as retry.attempts=5., got 5"),  # type: ignore[call-overload]
        (lambda: poll(print, interval=0), ValueError, "interval must be a duration in seconds .* > 0, got 0"),
        (lambda: poll(print, interval=float("inf")), ValueError, "interval must be"),
        (lambda: poll(print, interval="5"), TypeError, "interval must be a duration"),  # type: ignore[call-overload]
        (lambda: poll(print, until="done"), TypeError, "until must be a callable, got 'done'"),  # type: ignore[call-overload]
        (lambda: poll(print, until=asyncio.sleep), TypeError, "until must be a plain function"),
        (lambda: poll(print, slow_down=5), TypeError, "slow_down must be a rule"),  # type: ignore[call-overload]
        (lambda: poll(print, slow_down=KeyboardInterrupt), TypeError, "slow_down cannot take KeyboardInterrupt"),  # type: ignore[call-overload]
        (lambda: poll(print, retry(attempt_timeout=5)), TypeError, "attempt_timeout cannot cut off the synchronous"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, kind: type[Exception], message: str) -> None:
    """Before anything is asked, by a message that names argument, rule and value."""
    with pytest.raises(kind, match=message):
        arguments()


def test_an_asyncio_stop_is_looked_at_in_sync_code(clock: FakeClock) -> None:
    """Nothing is refused when it runs: a stop that cannot wake the thread ends the poll when it is seen to be set."""
    stop = asyncio.Event()
    stop.set()
    with override(stop=stop), pytest.raises(Stopped):
        poll(lambda: "wait", until=done)


def test_generator_functions_are_refused() -> None:
    """Nothing would ever run them."""

    def pages() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="is a generator function"):
        poll(pages)


def test_an_until_that_gives_something_to_await_is_refused() -> None:
    """Nobody awaits it, so it would always be ready: said at once, whatever the rules say, without a complaint."""

    async def is_ready(value: object) -> bool:
        return False

    until: Callable[[object], object] = lambda value: is_ready(value)  # noqa: E731  # hides what it is
    with fake_time(), pytest.raises(TypeError, match="until gives something to await; it must answer at once"):
        poll(lambda: "queued", retry(on=Exception), until=until)
