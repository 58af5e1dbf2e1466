"""A cooldown that calls share, by every way in: attempts wait for what the server asked of another call."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import trio

from redouble import Cooldown, DeadlineExceeded, Event, EventKind, Reason, constant, outcome, override, retry, transient
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Surface

    from redouble import RetryPolicy
    from redouble.testing import FakeClock


class Told:
    """An observer that keeps what it is told, and may do something when it hears of a kind."""

    def __init__(self, kind: EventKind = EventKind.HELD, then: Callable[[], object] = lambda: None) -> None:
        self.kinds = (EventKind.RETRY, EventKind.HELD, EventKind.GIVE_UP, EventKind.ATTEMPT)
        self.kind, self.then = kind, then
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if event.kind is self.kind:
            self.then()

    @property
    def lines(self) -> list[tuple[Any, ...]]:
        return [(event.kind.name, event.attempt, event.delay, event.delay_by) for event in self.events]


@pytest.fixture
def cooldown(clock: FakeClock) -> Cooldown:
    """The one that `policy` names, in the time of the test."""
    return SHARED.under(clock)


SHARED = Cooldown("contract")


def policy(told: Told | None = None, **changes: Any) -> RetryPolicy:
    """A policy that shares the cooldown."""
    fields = {"backoff": constant(1), "cooldown": SHARED, "attempts": 3, **changes}
    return retry(observers=[told or Told()], **fields)


def test_a_first_attempt_waits(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """It begins when the time is over, spread by a tenth of the hint at most; its number is 1, and observers hear of it."""
    cooldown.hold(10)
    told, at = Told(), []
    assert surface.play(policy(told), lambda: at.append(clock.now())) is None
    assert at == [10.5] and clock.sleeps == [10.5]
    assert told.lines[-2:] == [("HELD", 1, 10.5, "cooldown"), ("ATTEMPT", 1, None, None)]


def test_the_wait_counts_against_the_deadline(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """A call that was held back for 10.5 of its 12 seconds has none left for a wait of two."""
    cooldown.hold(10)
    error = surface.fail(policy(deadline=12, attempts=9, backoff=constant(2)), scripted(*[ConnectionResetError] * 9))
    end = outcome(error)
    assert end is not None and (end.reason, end.attempts, end.elapsed) == (Reason.DEADLINE, 1, 10.5)


@pytest.mark.parametrize("limit", [{"deadline": 10}, {"max_hint": 9}], ids=str)
def test_a_first_attempt_that_cannot_wait_so_long_is_made(
    surface: Surface, clock: FakeClock, cooldown: Cooldown, limit: dict[str, float]
) -> None:
    """Past the deadline or above max_hint the server's own answer is what the caller has to see, at once."""
    cooldown.hold(10)
    told = Told()
    assert surface.play(policy(told, **limit), scripted("served")) == "served"
    assert clock.sleeps == [] and set(told.lines) == {("ATTEMPT", 1, None, None)}


def test_a_capped_first_attempt_waits_for_max_hint(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """With `long_hints="cap"` no attempt is held back for more than max_hint."""
    cooldown.hold(1000)
    assert surface.play(policy(max_hint=9, long_hints="cap"), scripted("served")) == "served"
    assert clock.sleeps == [9.0]


def test_a_capped_hold_ends_where_only_rounding_is_left(clock: FakeClock, cooldown: Cooldown) -> None:
    """What the sums of floats leave of `max_hint` is not waited for: no time would ever pass by it."""
    began, most = 100.1, 9.1
    rest = most - (began + most - began)
    assert rest > 0 and began + most + rest == began + most
    clock.advance(began)
    cooldown.hold(1000)

    class Alarm(threading.Event):
        """Ends the call where the rest is waited for after all, which would last for ever."""

        def is_set(self) -> bool:
            return len(clock.sleeps) > 1

    capped = policy(max_hint=most, long_hints="cap", stop=Alarm())
    assert capped.call(scripted("served")) == "served"
    assert clock.sleeps == [most] and clock.now() == began + most


def test_a_time_that_is_lengthened_meanwhile_is_waited_for(
    surface: Surface, clock: FakeClock, cooldown: Cooldown
) -> None:
    """Whoever wakes looks again: another call may have been told to wait longer."""
    cooldown.hold(10)
    told = Told(EventKind.HELD, lambda: None if clock.now() else cooldown.hold(20))
    surface.play(policy(told), scripted("served"))
    assert clock.sleeps == [10.5, 10.5]
    assert told.lines[-3:-1] == [("HELD", 1, 10.5, "cooldown"), ("HELD", 1, 10.5, "cooldown")]


def test_a_retry_that_was_due_is_held_back(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """What another call was told during a wait holds for the next attempt too."""
    told = Told(EventKind.RETRY, lambda: cooldown.hold(10))
    assert surface.play(policy(told), scripted(ConnectionResetError, "served")) == "served"
    assert clock.sleeps == [1.0, 9.5]
    assert told.lines[-4:] == [
        ("ATTEMPT", 1, None, None),
        ("RETRY", 1, 1.0, "curve"),
        ("HELD", 2, 9.5, "cooldown"),
        ("ATTEMPT", 2, None, None),
    ]


def test_a_retry_that_cannot_wait_so_long_gives_up(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """It ends at once, with the operation's own error, and says so."""
    told = Told(EventKind.RETRY, lambda: cooldown.hold(100))
    mine = ConnectionResetError("mine")
    error = surface.fail(policy(told, deadline=60), scripted(mine, "served"))
    end = outcome(error)
    assert error is mine and end is not None
    assert (end.reason, end.attempts, end.elapsed, end.hint) == (Reason.HINT, 1, 1.0, 99.0)
    assert clock.sleeps == [1.0]


def test_a_stop_ends_the_wait(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """An operation whose stop is set before it begins runs once, as everywhere; a retry does not begin."""
    stop = threading.Event()
    cooldown.hold(10)
    assert surface.play(policy(Told(then=stop.set), stop=stop), scripted("served")) == "served"
    assert clock.now() == 0.0
    stop = threading.Event()
    told = Told(EventKind.RETRY, lambda: cooldown.hold(20))
    told.then = lambda: (cooldown.hold(20), stop.set())
    error = surface.fail(policy(told, stop=stop), scripted(ConnectionResetError("down"), "served"))
    end = outcome(error)
    assert end is not None and end.reason is Reason.STOPPED


def test_an_interrupt_ends_the_wait(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """Ctrl-C passes, and no attempt is made."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    cooldown.hold(10)
    operation = scripted("served")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(surface.fail(policy(Told(then=interrupt)), operation), KeyboardInterrupt)
    assert operation.calls == []


def test_a_cancellation_ends_the_wait(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """A cancelled task makes no attempt, and leaves no coroutine behind that was never awaited."""
    if not surface.is_async:
        pytest.skip("threads cannot be cancelled")
    cooldown.hold(10)
    operation = scripted("served")

    async def main() -> None:
        task = asyncio.ensure_future(surface.attempt(policy(), operation))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
    assert operation.calls == [] and clock.now() == 5.0


def test_what_one_call_is_told_holds_the_next_one_back(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """The hint of a call that gave up is what the next first attempt waits for."""
    rules = transient(OSError, retry_after=30)
    surface.fail(policy(on=rules, attempts=1), scripted(OSError("busy")))
    surface.play(policy(on=rules), scripted("served"))
    assert clock.sleeps == [31.5]


def test_the_cooldown_may_be_overridden(surface: Surface, clock: FakeClock, cooldown: Cooldown) -> None:
    """A scope takes it away, or puts one over policies that have none."""
    cooldown.hold(10)
    with override(cooldown=None):
        surface.play(policy(), scripted("served"))
    assert clock.sleeps == []
    with override(cooldown=SHARED):
        surface.play(policy(cooldown=None), scripted("served"))
    assert clock.sleeps == [10.5]


def test_each_fake_time_begins_with_nothing_held_back(surface: Surface) -> None:
    """What one test's calls were told holds no other test's back."""
    for _ in range(2):
        with fake_time(draw=0.5) as clock:
            surface.fail(policy(on=transient(OSError, retry_after=30), attempts=2), scripted(*[OSError] * 2))
            assert clock.sleeps == [31.5]


def test_an_attempts_own_time_begins_after_the_wait(clock: FakeClock, cooldown: Cooldown) -> None:
    """The timeout of a first attempt is whole, however long it was held back."""
    cooldown.hold(10)
    seen = []

    def read(*, timeout: float) -> None:
        seen.append((clock.now(), timeout))

    policy(attempt_timeout=5, timeout_as="timeout", deadline=13)(read)(timeout=99)
    assert seen == [(10.5, 2.5)]

    @policy(attempt_timeout=5, attempts=1)
    async def hang() -> None:
        await asyncio.sleep(100)

    cooldown.hold(10)
    with pytest.raises(TimeoutError):
        asyncio.run(hang())
    assert clock.now() == 10.5 + 10.5 + 5


def test_a_scope_around_bounds_the_wait(clock: FakeClock, cooldown: Cooldown) -> None:
    """A deadline around the call is a deadline: where the wait does not fit it, the attempt is made at once."""
    from redouble import deadline

    cooldown.hold(10)
    with deadline(8):
        policy().call(scripted("served"))
    assert clock.sleeps == []
    with deadline(11):
        policy().call(scripted("served"))
    assert clock.sleeps == [10.5]


def test_a_coroutine_deadline_cuts_the_attempt_after_the_wait(clock: FakeClock, cooldown: Cooldown) -> None:
    """A written deadline counts from before the wait."""
    cooldown.hold(10)

    @policy(deadline=12)
    async def hang() -> None:
        await asyncio.sleep(100)

    with pytest.raises(DeadlineExceeded):
        asyncio.run(hang())
    assert clock.now() == pytest.approx(12.0)


# One for each decorated function.


def test_a_function_may_have_its_own(clock: FakeClock) -> None:
    """`cooldown=True`: all callers of one function share it, and those of another have another."""
    rules = transient(OSError, retry_after=30)

    @retry(on=rules, cooldown=True, attempts=1)
    def busy() -> None:
        raise OSError("busy")

    other = retry(on=rules, cooldown=True)(scripted("served"))
    for _ in range(2):
        with pytest.raises(OSError, match="busy"):
            busy()
    assert clock.sleeps == [31.5]
    other()
    assert clock.sleeps == [31.5]


def test_a_scope_may_give_each_function_its_own(clock: FakeClock) -> None:
    """`override(cooldown=True)` holds for decorated functions; a direct call has nothing of its own."""
    rules = transient(OSError, retry_after=30)
    busy = retry(on=rules, attempts=1)(scripted(ConnectionResetError, "served"))
    with override(cooldown=True):
        with pytest.raises(OSError):
            busy()
        busy()
        assert clock.sleeps == [31.5]
        retry.call(scripted("served"))
        for attempt in retry:
            with attempt:
                pass
    assert clock.sleeps == [31.5]


def test_a_method_has_one_for_all_instances(clock: FakeClock) -> None:
    """The function is decorated once, whatever it is bound to."""

    class Client:
        @retry(on=transient(OSError, retry_after=30), cooldown=True, attempts=1)
        def get(self) -> None:
            raise OSError("busy")

    for _ in range(2):
        with pytest.raises(OSError, match="busy"):
            Client().get()
    assert clock.sleeps == [31.5]


def test_a_call_without_a_function_is_refused_its_own() -> None:
    """`cooldown=True` where nothing is decorated is an error that says what to write."""
    own = retry(cooldown=True)
    ways: list[Callable[[], object]] = [
        lambda: own.call(int),
        lambda: iter(own),
        lambda: aiter(own),
        lambda: own.connect(open, "x"),
    ]
    for way in ways:
        with pytest.raises(ValueError, match="write a name that is shared, such as cooldown='openai'"):
            way()


# Hosts.


@pytest.mark.parametrize("way", ["decorator", "call", "block", "connect"])
def test_in_trio(way: str) -> None:
    """Every way in waits in trio, too; cancelled there, it makes no attempt."""
    with fake_time(draw=0.5) as clock:
        SHARED.under(clock).hold(10)
        at: list[float] = []

        async def operate() -> None:
            at.append(clock.now())

        class Opened:
            async def __aenter__(self) -> None:
                await operate()

            async def __aexit__(self, *exc_info: object) -> None: ...

        async def attempt() -> None:
            if way == "decorator":
                await policy()(operate)()
            elif way == "call":
                await policy().call(operate)
            elif way == "block":
                async for each in policy():
                    async with each:
                        await operate()
            else:
                async with policy().connect(Opened):
                    pass

        async def main() -> None:
            with trio.move_on_after(5):
                await attempt()
            assert at == [] and clock.now() == 5.0
            await attempt()

        trio.run(main, clock=clock.trio)
        assert at == [10.5]


def test_a_function_in_a_running_loop_does_not_hold_it_up(clock: FakeClock, cooldown: Cooldown) -> None:
    """Its first attempt is made at once; what gives something to await is held back where it is awaited."""
    cooldown.hold(10)
    at: list[float] = []

    async def main() -> None:
        policy()(lambda: at.append(clock.now()))()
        assert at == [0.0]

        async def later() -> None:
            at.append(clock.now())

        await policy().call(lambda: later())
        task = asyncio.ensure_future(asyncio.sleep(0))
        await policy().call(lambda: task)

    asyncio.run(main())
    assert at == [0.0, 10.5] and clock.sleeps == [10.5]


def test_a_clock_of_ones_own_that_stands_still(caplog: pytest.LogCaptureFixture) -> None:
    """A wait that is over has passed, whatever the clock says: nothing waits for ever."""

    class Still:
        def __init__(self) -> None:
            self.waits: list[float] = []

        def now(self) -> float:
            return 0.0

        def sleep(self, seconds: float, stop: object = None) -> None:
            self.waits.append(seconds)

        async def sleep_async(self, seconds: float, stop: object = None) -> None: ...

        def call_later(self, seconds: float, callback: object) -> None: ...

    clock, shared = Still(), Cooldown()
    shared.under(clock).hold(10)  # type: ignore[arg-type]
    own = policy(clock=clock, cooldown=shared, draw=lambda: 0.0)
    assert own.call(scripted(ConnectionResetError, "served")) == "served"
    assert clock.waits == [10.0, 1.0]


def test_a_clock_that_cannot_be_a_key(caplog: pytest.LogCaptureFixture) -> None:
    """It is reported once, and the call goes on without a cooldown."""

    class Slotted:
        __slots__ = ()

        def now(self) -> float:
            return 0.0

        def sleep(self, seconds: float, stop: object = None) -> None: ...
        async def sleep_async(self, seconds: float, stop: object = None) -> None: ...
        def call_later(self, seconds: float, callback: object) -> None: ...

    SHARED.hold(0)
    assert policy(clock=Slotted()).call(scripted(ConnectionResetError, "served")) == "served"
    assert "the call has no cooldown" in caplog.text
