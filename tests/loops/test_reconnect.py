"""reconnect, law by law, in both colours: what ends a connection, what follows, and what it must never do."""

# ruff: noqa: N818  # stand-ins have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import threading
import traceback
import weakref
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redouble import (
    DeadlineExceeded,
    Event,
    EventKind,
    Reason,
    constant,
    current_attempt,
    deadline,
    exponential,
    log_retries,
    outcome,
    override,
    pending,
    permanent,
    reconnect,
    remaining,
    retry,
    sequence,
    transient,
)
from redouble.control import faults
from redouble.loops.link import LinkStatus
from redouble.loops.reconnect import Link, Session
from redouble.testing import FakeClock, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Over(Exception):
    """The script is over."""


class Busy(OSError):
    """The server says when to come again."""


RULES = permanent(Over, PermissionError) | transient(OSError)
POLICY = retry(on=RULES, backoff=exponential(1, maximum=30, jitter=None))
DOWN = ConnectionRefusedError("down")


class Up(NamedTuple):
    """A connection that lasts so long and ends like that."""

    seconds: float = 0.0
    error: BaseException | None = None
    closing: BaseException | None = None


class Conn:
    """A connection: closed by `close`."""

    def __init__(self, stage: Stage, up: Up) -> None:
        self.stage, self.up = stage, up
        stage.open.append(self)

    def live(self) -> None:
        if self.up.seconds:
            self.stage.clock.advance(self.up.seconds)
        if self.up.error is not None:
            raise self.up.error

    def close(self) -> None:
        self.stage.open.remove(self)
        self.stage.closed += 1
        if self.up.closing is not None:
            raise self.up.closing


class Stage:
    """A link to a scripted server, what it dialled, and what observers heard."""

    def __init__(
        self, colour: str, clock: FakeClock, *script: Any, policy: Any = POLICY, open_: Any = None, **options: Any
    ) -> None:
        self.colour, self.clock, self.script = colour, clock, list(script)
        self.dials: list[float] = []
        self.keywords: list[dict[str, Any]] = []
        self.open: list[Conn] = []
        self.closed = 0
        self.events: list[Event] = []
        self.passes = 0
        open_ = open_ or (self.dial if colour == "sync" else self.dial_async)
        self.link: Link[Any] = reconnect(open_, policy(observers=(self.hear, *policy.observers)), **options)
        self.hook: Callable[[Event], None] = lambda event: None
        self.body: Callable[[Any], object] = lambda conn: conn.live()

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self.hook(event)

    def dial(self, **keywords: Any) -> Any:
        assert not self.open, "two connections at once"
        self.dials.append(self.clock.now())
        self.keywords.append(keywords)
        step = self.script.pop(0) if self.script else Over("the script is over")
        if callable(step):
            step = step()
        if isinstance(step, BaseException):
            raise step
        return Conn(self, step) if isinstance(step, Up) else step

    async def dial_async(self, **keywords: Any) -> Any:
        return self.dial(**keywords)

    def run(self, *later: tuple[float, Callable[[], object]]) -> BaseException | None:
        """Loop until the script is over; what else ended it."""
        try:
            if self.colour == "sync":
                self.clock.bind(self.loop_beside)(*later) if later else self.loop()
            else:
                asyncio.run(self.loop_async(*later))
        except Over:
            return None
        except (Exception, KeyboardInterrupt) as error:
            return error
        return None

    def loop_beside(self, *later: tuple[float, Callable[[], object]]) -> None:
        """Loop, bound, from when the threads have begun: so time never waits for one that is merely expected soon."""
        begun = threading.Barrier(len(later) + 1)

        def wait_and_act(seconds: float, act: Callable[[], object]) -> None:
            begun.wait(60)
            self.clock.sleep(seconds)
            act()

        threads = [threading.Thread(target=self.clock.bind(wait_and_act), args=each) for each in later]
        for thread in threads:
            thread.start()
        begun.wait(60)
        self.loop()
        with self.clock.joining():
            for thread in threads:
                thread.join()

    async def later_async(self, seconds: float, act: Callable[[], object]) -> None:
        await self.clock.sleep_async(seconds)
        act()

    def loop(self) -> None:
        for session in self.link:
            self.passes += 1
            with session as conn:
                if self.body(conn) == "break":
                    break

    async def loop_async(self, *later: Any) -> None:
        tasks = [asyncio.ensure_future(self.later_async(*each)) for each in later]
        async for session in self.link:
            self.passes += 1
            async with session as conn:
                if self.body(conn) == "break":
                    break
        await asyncio.gather(*tasks)

    def told(self, *kinds: str) -> list[tuple[Any, ...]]:
        wanted = kinds or ("RETRY", "SUCCESS", "CONNECTED", "DROPPED", "PARKED", "GIVE_UP")
        return [
            (event.kind.name, event.attempt, event.failures, event.delay if event.reason is None else event.reason.name)
            for event in self.events
            if event.kind.name in wanted
        ]

    @property
    def waits(self) -> list[float | None]:
        return [event.delay for event in self.events if event.kind is EventKind.RETRY]


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    """Each law holds in both colours."""
    return str(request.param)


@pytest.fixture
def stage(colour: str, clock: FakeClock) -> Callable[..., Stage]:
    """Makes a link of a colour."""
    return lambda *script, **options: Stage(colour, clock, *script, **options)


Make = Any


# What a loop does.


def test_break_closes_and_leaves(stage: Make) -> None:
    """A `break` closes the connection, and is no reason to tell of a drop or to dial again."""
    s = stage(Up())
    s.body = lambda conn: "break"
    s.run()
    assert (s.dials, s.closed, s.open, s.told()) == ([0.0], 1, [], [("CONNECTED", 1, 0, None)])
    assert s.link.status is LinkStatus.IDLE


def test_a_dial_that_fails_is_repeated(stage: Make) -> None:
    """Failed dials wait as the curve says; then the session comes, and observers hear of each step."""
    s = stage(DOWN, DOWN, Up())
    s.body = lambda conn: "break"
    s.run()
    assert s.dials == [0.0, 1.0, 3.0]
    assert s.told() == [("RETRY", 1, 1, 1.0), ("RETRY", 2, 2, 2.0), ("SUCCESS", 3, 2, None), ("CONNECTED", 3, 2, None)]


def test_a_normal_end_reconnects(stage: Make) -> None:
    """After an end in order the link tells of the drop, waits, and dials again."""
    s = stage(Up(10), Up(10))
    s.run()
    assert s.dials == [0.0, 11.0, 22.0]
    assert s.told("DROPPED", "RETRY") == [
        ("DROPPED", 1, 0, None), ("RETRY", 1, 0, 1.0), ("DROPPED", 2, 0, None), ("RETRY", 2, 0, 1.0),
    ]  # fmt: skip
    assert [event.error for event in s.events[:-1]] == [None] * 6
    assert s.closed == 2


def test_a_transient_error_reconnects(stage: Make) -> None:
    """A transient error of the body is swallowed, and the connection closed before anybody is told."""
    error = ConnectionResetError("reset")
    s = stage(Up(10, error), Up(10))
    s.hook = lambda event: event.kind is not EventKind.DROPPED or s.open == [] or pytest.fail("still open")
    assert s.run() is None
    assert s.told("DROPPED", "RETRY")[:2] == [("DROPPED", 1, 0, None), ("RETRY", 1, 1, 1.0)]
    assert [event.error for event in s.events[1:3]] == [error, error]
    assert s.passes == 2 and s.closed == 2


def test_a_permanent_error_passes_and_ends_the_loop(stage: Make) -> None:
    """A permanent error of the body comes out of the `with`, the very object, untouched and without a frame of ours."""
    error = PermissionError("no")
    s = stage(Up(10, error), Up())
    assert s.run() is error
    assert s.told()[1:] == [("DROPPED", 1, 0, None), ("GIVE_UP", 1, 0, "PERMANENT")]
    assert not any("redouble/loops" in frame.filename for frame in traceback.extract_tb(error.__traceback__))
    assert (s.closed, len(s.dials), outcome(error), hasattr(error, "__notes__")) == (1, 1, None, False)


def test_a_loop_that_ended_is_over(clock: FakeClock) -> None:
    """Whoever catches a permanent error inside of the loop gets no further session."""
    s = Stage("sync", clock, Up(1, PermissionError("no")), Up())
    for session in s.link:
        with contextlib.suppress(PermissionError), session as conn:
            conn.live()
    assert s.dials == [0.0]


def test_a_loop_that_ended_is_over_in_asyncio(clock: FakeClock) -> None:
    """The same in asyncio."""
    s = Stage("async", clock, Up(1, PermissionError("no")), Up())

    async def main() -> None:
        async for session in s.link:
            with contextlib.suppress(PermissionError):
                async with session as conn:
                    conn.live()

    asyncio.run(main())
    assert s.dials == [0.0]


def test_a_permanent_error_of_a_dial_passes(stage: Make) -> None:
    """It comes out of the loop, with one frame of ours, and says after a retry how often it was tried."""
    error = PermissionError("no")
    s = stage(DOWN, error)
    assert s.run() is error
    assert s.told()[1:] == [("GIVE_UP", 2, 1, "PERMANENT")]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame.f_code.co_name for frame in frames if frame.f_globals["__name__"].startswith("redouble.")]
    assert ours in (["__next__"], ["__anext__"])
    gave_up = outcome(error)
    assert gave_up is not None and (gave_up.reason, gave_up.attempts) == (Reason.PERMANENT, 2)
    assert error.__notes__ == ["gave up after 2 attempts in 1.00 s: permanent error; before: ConnectionRefusedError"]


def test_an_unknown_error_is_said(stage: Make, caplog: pytest.LogCaptureFixture) -> None:
    """An error that no rule knows ends the loop, and the log says what to write about it."""
    faults._said.clear()
    with caplog.at_level(logging.WARNING, "redouble"):
        assert isinstance(stage(ZeroDivisionError("x"), policy=retry()).run(), ZeroDivisionError)
    assert "ZeroDivisionError is not known to be transient" in caplog.text


def test_a_link_can_be_looped_over_again(stage: Make) -> None:
    """A loop after a `break` begins afresh, with attempts counted from 1."""
    s = stage(DOWN, Up(), DOWN, Up())
    s.body = lambda conn: "break"
    s.run()
    s.run()
    assert s.dials == [0.0, 1.0, 1.0, 2.0]
    assert [event.attempt for event in s.events if event.kind is EventKind.CONNECTED] == [2, 2]


def test_the_default_policy_has_no_limits_here(clock: FakeClock) -> None:
    """Without a policy a link dials for ever: the limits of single calls are not those of a link."""
    dial = scripted(*[ConnectionRefusedError()] * 50, io.StringIO("hello"))
    for session in reconnect(dial):
        with session as stream:
            assert stream.read() == "hello"
            break
    assert len(dial.calls) == 51


def test_what_is_entered_is_what_connect_enters(clock: FakeClock) -> None:
    """Context managers are entered, their end is that of the session, and they may swallow an error of the body."""
    ends: list[Any] = []

    class Managed:
        def __enter__(self) -> str:
            return "entered"

        def __exit__(self, kind: Any, error: Any, tb: Any) -> bool:
            ends.append(error)
            return True

    link = reconnect(scripted(Managed(), Managed()), POLICY)
    for session in link:
        with session as value:
            assert value == "entered"
            if session.number == 1:
                raise PermissionError("swallowed by the context manager")
            break
    assert [type(error) for error in ends] == [PermissionError, type(None)]


def test_what_cannot_be_closed_is_refused(stage: Make) -> None:
    """What is neither a context manager nor has a `close` is a mistake in the program: named, and not retried."""
    s = stage(3, Up())
    error = s.run()
    assert isinstance(error, TypeError)
    assert str(error).startswith("reconnect cannot close what Stage.dial")
    assert len(s.dials) == 1


# When failures count.


def test_short_connections_count(stage: Make) -> None:
    """A connection that lasted less than stable_after is a failure in a row, however it ended."""
    s = stage(DOWN, Up(4.9), Up(1, ConnectionResetError()), Up(6), Up(1))
    s.run()
    assert s.waits == [1, 2, 4, 1, 1]
    assert [event.failures for event in s.events if event.kind is EventKind.RETRY] == [1, 2, 3, 0, 1]


def test_the_orderly_end_of_a_stable_connection_is_no_failure(stage: Make) -> None:
    """Whatever `attempts` says, a connection that was good and ended in order is opened again; an error counts."""
    once = POLICY(attempts=1)
    s = stage(Up(10), Up(10), Up(10, EOFError("closed")), Up(10, ConnectionResetError("reset")), policy=once)
    assert isinstance(s.run(), ConnectionResetError)
    assert s.dials == [0, 11, 22, 33] and s.waits == [1, 1, 1]
    s = stage(Up(1), policy=once)
    assert str(s.run()) == "the connection ended in order, again and again"


def test_stable_at_once(stage: Make) -> None:
    """With stable_after=0 every connection begins the counting again."""
    s = stage(Up(), Up(), Up(), stable_after=0)
    s.run()
    assert s.waits == [1, 1, 1]


def test_failures_are_known_while_it_is_up(stage: Make) -> None:
    """The count of failures falls to zero as soon as the connection is stable."""
    seen = []
    s = stage(DOWN, DOWN, Up())

    def body(conn: Conn) -> str:
        for _ in range(2):
            seen.append((s.link.failures, s.link.status, s.link.attempt))
            s.clock.advance(5)
        seen.append(s.link.failures)
        return "break"

    s.body = body
    s.run()
    assert seen == [(2, LinkStatus.CONNECTED, 3), (0, LinkStatus.CONNECTED, 3), 0]


def test_the_deadline_is_of_one_outage(stage: Make) -> None:
    """A stable connection begins a new deadline; unstable ones do not."""
    policy = POLICY(deadline=10, backoff=constant(4))
    s = stage(DOWN, DOWN, Up(100), DOWN, DOWN, Up(1), policy=policy, give_up="park")
    s.hook = lambda event: event.kind is EventKind.PARKED and s.link.reset()
    s.run()
    assert s.dials[:6] == [0, 4, 8, 112, 116, 116]  # the drop is at 108, and 120 would be after 118
    assert next(event.attempt for event in s.events if event.kind is EventKind.GIVE_UP) == 5
    assert s.link.gave_up is None


def test_rules_have_their_own_curves_and_hints(stage: Make) -> None:
    """A rule's own backoff counts its own failures, and a wait that the server asks for is kept."""
    limited = transient(Busy, backoff=sequence(60, 300).forever())
    asked = transient(BlockingIOError, retry_after=7)
    s = stage(Busy(), DOWN, Busy(), BlockingIOError(), policy=POLICY(on=limited | asked | RULES))
    s.run()
    assert s.waits == [60, 1, 300, 7 * 1.05]


def test_pending_is_no_failure(stage: Make) -> None:
    """What is not ready yet is asked again, and forgets the failures before it."""
    s = stage(DOWN, DOWN, BlockingIOError(), DOWN, policy=POLICY(on=pending(BlockingIOError, every=3) | RULES))
    s.run()
    assert s.waits == [1, 2, 3, 1]


def test_an_inner_give_up_is_a_failure_like_others(stage: Make) -> None:
    """An error on which an inner retry gave up, or one that shows a POST, does not keep a link from dialling again."""

    def inner() -> Any:
        return retry(attempts=1, on=OSError).call(scripted(ConnectionResetError("inner")))

    error = ConnectionResetError("of a post")
    error.request = type("Request", (), {"method": "POST", "headers": {}})()  # type: ignore[attr-defined]
    s = stage(inner, Up(1, error), Up(6))
    s.run()
    assert s.waits == [1, 2, 1]


def test_idempotent_counts_where_it_is_written(stage: Make) -> None:
    """Who writes that dialling may not be repeated has a link that parks instead."""
    s = stage(DOWN, policy=POLICY(idempotent=False, on=transient(OSError, applied=True)), give_up="park")
    s.run()
    assert s.told() == [("GIVE_UP", 1, 1, "UNSAFE"), ("PARKED", 1, 1, None)]


# Parking.


PARKS = [
    ({"policy": POLICY(attempts=3)}, [DOWN] * 3, "ATTEMPTS"),
    ({"policy": POLICY(backoff=sequence(1, 2))}, [DOWN] * 3, "CURVE"),
    ({"policy": POLICY(deadline=5)}, [DOWN] * 3, "DEADLINE"),
    ({"policy": POLICY(max_hint=10, on=transient(Busy, retry_after=11) | RULES)}, [DOWN, DOWN, Busy()], "HINT"),
    ({"park": PermissionError}, [DOWN, DOWN, PermissionError()], "PERMANENT"),
]


@pytest.mark.parametrize(("options", "script", "reason"), PARKS, ids=[row[2].lower() for row in PARKS])
def test_giving_up_parks(stage: Make, options: Any, script: list[Any], reason: str) -> None:
    """Where it is asked for, every reason to give up parks: one GIVE_UP, one PARKED, and not one dial more."""
    s = stage(*script, **({"give_up": "park"} | options))
    assert s.run() is None
    failures = 2 if reason == "PERMANENT" else 3
    assert s.told("GIVE_UP", "PARKED") == [("GIVE_UP", 3, failures, reason), ("PARKED", 3, failures, None)]
    assert len(s.dials) == 3
    assert s.clock.now() >= 1e9
    assert s.link.gave_up is not None and s.link.gave_up.reason.name == reason


def test_reset_leaves_parking_at_once(stage: Make) -> None:
    """A parked link dials as soon as somebody resets it, and everything is fresh."""
    s = stage(DOWN, DOWN, DOWN, Up(), policy=POLICY(attempts=2), give_up="park")
    parked = []

    def reset() -> None:
        parked.append((s.link.parked, s.link.status))
        s.link.reset()

    s.body = lambda conn: "break"
    s.run((100, reset))
    assert parked == [(True, LinkStatus.PARKED)]
    assert s.dials == [0, 1, 100, 101]
    assert s.told()[-3:] == [("RETRY", 3, 1, 1.0), ("SUCCESS", 4, 1, None), ("CONNECTED", 4, 1, None)]
    assert not s.link.parked


def test_reset_ends_a_wait(stage: Make) -> None:
    """A wait is cut short: one dial at once, not a second one when the wait would have been over."""
    s = stage(DOWN, DOWN, DOWN, DOWN, Up(60))
    s.body = lambda conn: (conn.live(), "break")[1]
    s.run((4, lambda: s.link.reset()))
    assert s.dials == [0, 1, 3, 4, 5]
    assert s.waits == [1, 2, 4, 1]


def test_reset_between_passes_dials_at_once(clock: FakeClock) -> None:
    """A reset after the end of a connection, before the next pass, lets that one dial at once."""
    s = Stage("sync", clock, Up(10), Up(10, ConnectionResetError()), Up())
    for session in s.link:
        if session.number == 3:
            with session:
                break
        with session as conn:
            conn.live()
        s.link.reset()
    assert s.dials == [0, 10, 20]


def test_reset_while_it_is_up_forgets_the_failures(stage: Make) -> None:
    """While connected or connecting a reset only clears the counts."""

    def resetting() -> Up:
        s.link.reset()
        assert s.link.status is LinkStatus.CONNECTING
        raise DOWN

    s = stage(DOWN, DOWN, Up(1), resetting, DOWN)
    s.body = lambda conn: (s.link.reset(), conn.live())
    s.run()
    assert s.waits == [1, 2, 1, 1, 2]
    assert s.passes == 1


def test_reset_of_an_idle_link_is_nothing(stage: Make) -> None:
    """Before the first loop and after the last one a reset does nothing."""
    s = stage(DOWN, Up())
    s.link.reset()
    s.body = lambda conn: "break"
    s.run()
    s.link.reset()
    s.script = [PermissionError("no")]
    s.run()
    s.link.reset()
    assert s.waits == [1]
    assert (s.link.status, s.link.failures, s.link.attempt) == (LinkStatus.IDLE, 0, 1)


def test_reset_from_another_thread_of_an_async_link(clock: FakeClock) -> None:
    """A thread may reset a link of asyncio."""
    s = Stage("async", clock, DOWN, DOWN, policy=POLICY(attempts=1), give_up="park")

    async def main() -> None:
        task = asyncio.ensure_future(s.loop_async())
        await asyncio.sleep(3)
        assert s.link.parked
        await asyncio.to_thread(s.link.reset)
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert s.dials[0] == 0 and len(s.dials) == 2 and 3 <= s.dials[1] <= 4
    assert s.link.status is LinkStatus.IDLE


def test_half_open_dials_once(stage: Make) -> None:
    """A parked link with half_open dials once after so long; failing again it stays parked, and nobody is told."""
    s = stage(
        DOWN,
        DOWN,
        DOWN,
        PermissionError("no"),
        Up(60),
        DOWN,
        DOWN,
        policy=POLICY(attempts=2),
        half_open=900,
        park=PermissionError,
    )
    s.hook = lambda event: event.kind is EventKind.DROPPED and setattr(s, "seen", s.link.gave_up)
    s.run()
    assert s.dials[:7] == [0, 1, 901, 1801, 2701, 2762, 2763]
    assert s.told()[:4] == [
        ("RETRY", 1, 1, 1.0),
        ("GIVE_UP", 2, 2, "ATTEMPTS"),
        ("PARKED", 2, 2, 900),
        ("CONNECTED", 5, 0, None),
    ]
    assert s.told()[4:6] == [("DROPPED", 5, 0, None), ("RETRY", 5, 0, 1.0)]
    assert s.seen is None
    assert s.told("GIVE_UP", "PARKED")[2:4] == [("GIVE_UP", 7, 2, "ATTEMPTS"), ("PARKED", 7, 2, 900)]
    assert s.events[2].kind is EventKind.PARKED and s.events[2].delay == 900


def test_half_open_needs_a_stable_connection(stage: Make) -> None:
    """A connection that does not last is no success of the half-open dial either."""
    s = stage(DOWN, Up(1), Up(1), PermissionError("no"), policy=POLICY(attempts=1), half_open=100)
    assert isinstance(s.run(), PermissionError)
    assert s.dials == [0, 100, 201, 302]
    assert [kind for kind, *_ in s.told("GIVE_UP", "PARKED", "RETRY")] == ["GIVE_UP", "PARKED", "GIVE_UP"]


def test_reset_during_the_half_open_dial_is_a_fresh_start(stage: Make) -> None:
    """Who resets the link while it tries once has it try as often as in the beginning."""
    s = stage(
        DOWN, lambda: (s.link.reset(), DOWN)[1], DOWN, policy=POLICY(attempts=2, backoff=constant(1)), half_open=100
    )
    s.script.insert(0, DOWN)
    s.run()
    assert s.dials[:5] == [0, 1, 101, 102, 202]
    assert len(s.told("PARKED")) == 2


def test_what_parks_may_be_any_rule(stage: Make) -> None:
    """`park` takes what rules are made of, also permanent(...), and both rules may withhold the message."""

    class Key(Exception):
        pass

    for park, on in [
        (permanent(Key, redact=True), RULES),
        (Key, permanent(Key, redact=True) | RULES),
        (transient(Key, when=lambda error: True, redact=True), RULES),
    ]:
        s = stage(Key("secret"), policy=POLICY(on=on), park=park)
        s.run()
        assert s.told() == [("GIVE_UP", 1, 0, "PERMANENT"), ("PARKED", 1, 0, None)]
        assert all(event.classification.redact for event in s.events)
    assert isinstance(stage(PermissionError("no"), park=Key).run(), PermissionError)


# Stopping.


def test_stop_ends_the_loop_in_order(stage: Make, colour: str) -> None:
    """`stop` ends a wait and a parked link, and the loop with it: no error, no dial, no alarm."""
    kinds: list[Any] = [threading.Event] if colour == "sync" else [threading.Event, asyncio.Event]
    for kind, (policy, after) in product(kinds, [(POLICY, 2.5), (POLICY(attempts=2), 60)]):
        stop = kind()
        s = stage(*[DOWN] * 9, policy=policy(stop=stop), give_up="park")
        before = s.clock.now()
        assert s.run((after, stop.set)) is None
        assert [at - before for at in s.dials] == [0, 1]
        assert s.link.status is LinkStatus.IDLE


def test_stop_before_the_loop(stage: Make) -> None:
    """A link that is to stop does not even begin."""
    stop = threading.Event()
    stop.set()
    s = stage(Up(), policy=POLICY(stop=stop))
    s.run()
    assert s.dials == []


def test_stop_during_a_dial_and_a_session(stage: Make) -> None:
    """What a dial opens after `stop` is closed at once; a session ends as it does, and no further one begins."""
    stop = threading.Event()
    s = stage(lambda: (stop.set(), Up())[1], policy=POLICY(stop=stop))
    s.run()
    assert (s.passes, s.closed, s.told()) == (0, 1, [])
    for error in (None, ConnectionResetError()):
        stop.clear()
        s = stage(Up(1, error), policy=POLICY(stop=stop))
        s.body = lambda conn: (stop.set(), conn.live())
        assert s.run() is None
        assert [kind for kind, *_ in s.told()] == ["CONNECTED", "DROPPED"]
        assert len(s.dials) == 1
    stop.clear()
    s = stage(lambda: (stop.set(), DOWN)[1], policy=POLICY(stop=stop))
    assert s.run() is None
    assert s.told() == []


def test_what_comes_too_late_for_anybody_may_fail_to_close(stage: Make, colour: str) -> None:
    """What is opened after `stop`, and fails to close, is nobody's business any more."""
    stop = threading.Event()
    s = stage(lambda: (stop.set(), Up(0, None, OSError("closing")))[1], policy=POLICY(stop=stop))
    assert s.run() is None
    assert (s.closed, s.told()) == (1, [])
    stop.clear()
    stream = Stream()
    s = stage(lambda: (stop.set(), stream)[1], policy=POLICY(stop=stop))
    if colour == "async":
        assert s.run() is None
        assert stream.closed


def test_an_async_stop_is_refused_in_sync_code(clock: FakeClock) -> None:
    """An asyncio.Event cannot end a synchronous wait, and is refused before the first dial."""
    s = Stage("sync", clock, Up(), policy=POLICY(stop=asyncio.Event()))
    with pytest.raises(TypeError, match=r"stop must be a threading\.Event"):
        s.loop()
    assert s.dials == []


# Time limits of a dial.


def hanging(seconds: float) -> Callable[..., Any]:
    """A dial of asyncio that takes so long, and comes to nothing."""

    async def dial() -> Any:
        await asyncio.sleep(seconds)
        raise Over

    return dial


def test_connect_timeout_cuts_a_dial(clock: FakeClock) -> None:
    """In asyncio a dial that takes too long is cut off: a TimeoutError, transient whatever the rules say."""
    s = Stage("async", clock, policy=POLICY(on=OSError, attempts=2), open_=hanging(60), connect_timeout=20)
    assert isinstance(s.run(), TimeoutError)
    assert clock.now() == 41
    assert [type(event.error) for event in s.events[:2]] == [TimeoutError, TimeoutError]
    assert str(s.events[0].error) == "the attempt took longer than its timeout"
    assert isinstance(s.events[0].error.__cause__, asyncio.CancelledError)


def test_the_shorter_of_two_timeouts_counts(stage: Make, colour: str) -> None:
    """connect_timeout and the policy's attempt_timeout bound a dial both, and timeout_as hands over what is left."""
    policy = POLICY(timeout_as="timeout", attempt_timeout=7, deadline=12)
    s = stage(DOWN, DOWN, DOWN, Up(), policy=policy, connect_timeout=10)
    s.run()
    assert s.keywords == [{"timeout": 7}, {"timeout": 7}, {"timeout": 7}, {"timeout": 5}]
    s = stage(Up(), policy=POLICY(timeout_as="timeout"))
    s.run()
    assert s.keywords[0] == {}


def test_sync_code_cannot_be_cut_off(clock: FakeClock) -> None:
    """A limit without a keyword to hand it over is refused in synchronous code, and fine in asyncio."""
    s = Stage("sync", clock, Up(), connect_timeout=3)
    with pytest.raises(TypeError, match=r"connect_timeout cannot cut off the synchronous Stage\.dial: .*timeout_as"):
        s.loop()
    s = Stage("async", clock, Up(), connect_timeout=3)
    assert s.run() is None


class Stubborn:
    """A dial that takes no notice of its cancellation, and gives something in the end."""

    def __init__(self, result: Any) -> None:
        self.result = result

    async def __call__(self) -> Any:
        for seconds in (30, 5):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(seconds)
        return self.result


class Stream:
    """Closes asynchronously, and may fail at that."""

    def __init__(self, closing: Exception | None = None) -> None:
        self.closing, self.closed = closing, False

    async def aclose(self) -> None:
        self.closed = True
        if self.closing is not None:
            raise self.closing


@pytest.mark.parametrize("late", [Stream(), io.StringIO(), Stream(OSError("closing")), 3], ids=repr)
def test_late_success_is_closed_and_changes_nothing(clock: FakeClock, late: Any) -> None:
    """What a dial opens after its time is closed at once, and the dial has failed."""
    heard: list[Event] = []
    link = reconnect(Stubborn(late), POLICY(attempts=1, observers=[heard.append]), connect_timeout=20, give_up="park")

    async def main() -> None:
        async for _ in link:
            pytest.fail("no session")

    asyncio.run(main())
    assert [(event.kind.name, str(event.error)) for event in heard[:1]] == [
        ("GIVE_UP", "the attempt took longer than its timeout")
    ]
    assert late == 3 or late.closed


def test_a_dial_in_time_leaves_no_timer(clock: FakeClock) -> None:
    """A dial that succeeds in time disarms its limit."""
    s = Stage("async", clock, Up(100), connect_timeout=3)
    s.run()
    assert s.dials == [0, 101]


def test_the_deadline_cuts_a_dial(clock: FakeClock) -> None:
    """A written deadline ends also a dial that is under way, and parks the link."""
    heard: list[Event] = []
    link = reconnect(Stubborn(io.StringIO()), POLICY(deadline=10, observers=[heard.append]), give_up="park")

    async def main() -> None:
        async for _ in link:
            pytest.fail("no session")

    asyncio.run(main())
    assert [event.kind.name for event in heard] == ["GIVE_UP", "PARKED"]
    assert isinstance(heard[0].error, DeadlineExceeded)
    assert heard[0].reason is Reason.DEADLINE


@pytest.mark.parametrize(("limit", "deadline_", "kind"), [(5, 20, TimeoutError), (20, 5, DeadlineExceeded)])
def test_the_first_limit_cuts_a_dial(clock: FakeClock, limit: float, deadline_: float, kind: type) -> None:
    """Of connect_timeout and deadline the one that comes first ends a dial, and says so."""
    policy = POLICY(deadline=deadline_, backoff=constant(1), attempts=1 if limit < deadline_ else None)
    s = Stage("async", clock, policy=policy, open_=hanging(60), connect_timeout=limit)
    assert type(s.run()) is kind
    assert type(s.events[0].error) is kind


def test_cancellation_is_not_taken_for_the_limit(clock: FakeClock) -> None:
    """A dial, and a wait, that somebody else cancels end with that, and the link is idle."""
    for script, policy in [([], POLICY), ([DOWN], POLICY(backoff=constant(60)))]:
        s = Stage("async", clock, *script, policy=policy, connect_timeout=50, open_=None if script else hanging(40))

        async def main(s: Stage = s) -> None:
            task = asyncio.ensure_future(s.loop_async())
            await asyncio.sleep(10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(main())
        assert s.link.attempt == 1
        assert s.link.status is LinkStatus.IDLE


def test_a_clock_without_timers(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that cannot call back leaves dials without a limit, and that is said once."""

    class Poor(FakeClock):
        def call_later(self, seconds: float, callback: Any) -> Any:
            raise NotImplementedError

    faults._said.clear()

    async def dial() -> Any:
        await asyncio.sleep(0)
        return s.dial()

    s = Stage("async", clock, DOWN, Up(), policy=POLICY(clock=Poor()), open_=dial, connect_timeout=3)
    with override(clock=Poor()):
        s.run()
    assert "attempts have no time limit" in caplog.text
    assert s.passes == 1


# Sessions.


def test_a_forgotten_with_is_refused(stage: Make, colour: str) -> None:
    """A session that nobody entered is closed at the next pass, which is an error, and ends the loop."""
    s = stage(Up(), Up())

    async def forget() -> None:
        async for _ in s.link:
            pass

    with pytest.raises(
        RuntimeError, match=r"the session was never entered: write `(async )?with session as connection:`"
    ):
        if colour == "sync":
            for _ in s.link:
                pass
        else:
            asyncio.run(forget())
    assert (s.closed, s.open, s.link.status) == (1, [], LinkStatus.IDLE)


def test_a_session_that_is_open_is_left_to_its_with(stage: Make, colour: str) -> None:
    """The next pass inside of a session's `with` is an error; the `with` closes the connection."""
    s = stage(Up(), Up())

    def inside() -> None:
        sessions = iter(s.link)
        with next(sessions):
            next(sessions)

    async def inside_async() -> None:
        sessions = aiter(s.link)
        async with await anext(sessions):
            await anext(sessions)

    with pytest.raises(RuntimeError, match="the session is still open"):
        inside() if colour == "sync" else asyncio.run(inside_async())
    assert (s.closed, s.open) == (1, [])


def test_a_session_is_entered_once(clock: FakeClock) -> None:
    """Neither twice, nor after its end, nor in the other colour; and it is closed once."""
    s = Stage("sync", clock, Up())
    for session in s.link:
        assert isinstance(session, Session)
        assert repr(session) == "<redouble.loops.Session 1 of Stage.dial>"
        with pytest.raises(TypeError, match="given by a plain `for`: write `with session:`"):
            asyncio.run(session.__aenter__())
        with session:
            with pytest.raises(RuntimeError, match="`with session:` enters a session once"):
                session.__enter__()
            break
    with pytest.raises(RuntimeError, match="enters a session once"), session:
        pass
    with pytest.raises(RuntimeError, match="closed already"):
        session.__exit__(None, None, None)


def test_an_async_session_needs_async_with(clock: FakeClock) -> None:
    """A session of `async for` cannot be entered by a plain `with`."""
    s = Stage("async", clock, Up())

    async def main() -> None:
        async for session in s.link:
            with pytest.raises(TypeError, match="given by `async for`: write `async with session:`"):
                session.__enter__()
            async with session:
                break

    asyncio.run(main())
    assert s.closed == 1


def test_one_loop_at_a_time(clock: FakeClock) -> None:
    """A second loop over a link at work is refused; its own iterators are their own iterators."""
    s = Stage("sync", clock, Up())
    assert repr(s.link) == "<redouble.loops.Link by Stage.dial: idle>"
    sessions = iter(s.link)
    assert iter(sessions) is sessions
    with next(sessions), pytest.raises(RuntimeError, match="another loop is at work on this link"):
        iter(s.link)
    sessions_async = aiter(s.link)
    assert aiter(sessions_async) is sessions_async


@pytest.mark.parametrize(
    ("error", "closing", "dials"),
    [
        (None, ConnectionResetError("closing"), 2),
        (None, PermissionError("closing"), "closing"),
        (ConnectionResetError("body"), PermissionError("closing"), 2),
        (PermissionError("body"), ConnectionResetError("closing"), "body"),
        (KeyboardInterrupt("body"), ConnectionResetError("closing"), "body"),
        (ConnectionResetError("body"), KeyboardInterrupt("closing"), "closing"),
        (ConnectionResetError("body"), ExceptionGroup("closing", [PermissionError()]), "closing"),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, BaseException) else str(value),
)
def test_errors_of_closing(stage: Make, error: Any, closing: Any, dials: Any) -> None:
    """An error of closing counts where the body had none; it hides what the body has to say only on purpose."""
    s = stage(Up(1, error, closing), policy=POLICY)
    ended = s.run()
    if dials == 2:
        assert ended is None and len(s.dials) == 2
    else:
        assert ended is not None and ended.args[0] == dials
    assert s.open == []


def test_a_translated_error_counts(clock: FakeClock) -> None:
    """A context manager that raises another error `from` the body's decides by that one, and the same error is itself."""

    @contextlib.contextmanager
    def translating() -> Iterator[str]:
        try:
            yield "conn"
        except PermissionError as error:
            raise ConnectionResetError("translated") from error

    class Again:
        def __enter__(self) -> Again:
            return self

        def __exit__(self, kind: Any, error: Any, tb: Any) -> None:
            if error is not None:
                raise error

    managers = [translating(), translating(), Again()]
    error = PermissionError("no")
    with pytest.raises(PermissionError) as caught:
        for session in reconnect(lambda: managers.pop(0), POLICY):
            with session:
                raise error
    assert caught.value is error
    assert managers == []


def test_a_base_exception_passes(stage: Make) -> None:
    """KeyboardInterrupt and its kin pass, from the body and from a dial, and the connection is closed."""
    s = stage(Up(1, KeyboardInterrupt()))
    assert isinstance(s.run(), KeyboardInterrupt)
    assert (s.closed, [kind for kind, *_ in s.told()]) == (1, ["CONNECTED"])
    s = stage(DOWN, KeyboardInterrupt())
    assert isinstance(s.run(), KeyboardInterrupt)
    assert s.link.status is LinkStatus.IDLE


def test_a_session_may_be_timed_out_from_outside(clock: FakeClock) -> None:
    """Who limits a session with asyncio.timeout and goes on gets the next one."""
    s = Stage("async", clock, Up(), Up())
    numbers = []

    async def main() -> None:
        async for session in s.link:
            numbers.append(session.number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60), session:
                    if session.number == 2:
                        break
                    await asyncio.sleep(100)

    asyncio.run(main())
    assert numbers == [1, 2]
    assert s.dials == [0, 61]
    assert s.closed == 2


# Scopes and nesting.


def test_a_deadline_around_the_loop_ends_it(stage: Make) -> None:
    """The deadline of a scope does not park: it ends the loop with the last error, and the scope knows."""
    s = stage(*[DOWN] * 9)
    with deadline(60), deadline(5) as limit, deadline(70):
        ended = s.run()
        assert ended is not None and limit.ended(ended)
    assert (ended, s.dials, limit.expired) == (DOWN, [0, 1, 3], False)
    assert s.told()[-1] == ("GIVE_UP", 3, 3, "DEADLINE")
    gave_up = outcome(DOWN)
    assert gave_up is not None and gave_up.reason is Reason.DEADLINE
    del DOWN.__notes__, DOWN._redouble_outcome  # type: ignore[attr-defined]


def test_a_deadline_around_the_loop_after_an_end_in_order(stage: Make) -> None:
    """Where no error is at hand the end of a scope's time is a DeadlineExceeded."""
    with deadline(10) as limit:
        s = stage(Up(9.5))
        ended = s.run()
        assert isinstance(ended, DeadlineExceeded)
        assert limit.ended(ended)
    assert s.told()[-1] == ("GIVE_UP", 1, 1, "DEADLINE")


def test_a_deadline_around_a_parked_link(stage: Make) -> None:
    """A parked link waits no longer than the scopes around it."""
    s = stage(DOWN, DOWN, policy=POLICY(attempts=1), half_open=6)
    with deadline(10) as limit, deadline(60):
        ended = s.run()
        assert isinstance(ended, DeadlineExceeded)
        assert limit.ended(ended)
    assert (s.dials, s.clock.now(), limit.expired) == ([0, 6], 10, True)


def test_the_tighter_deadline_decides(stage: Make) -> None:
    """The policy's own deadline parks, also beneath a scope that ends later; a scope without a limit bounds nothing."""
    stop = threading.Event()
    s = stage(*[DOWN] * 9, policy=POLICY(deadline=2, stop=stop), give_up="park")
    s.hook = lambda event: event.kind is EventKind.PARKED and stop.set()
    with deadline(None), deadline(100):
        assert s.run() is None
    assert s.told()[-1] == ("PARKED", 2, 2, None)


def test_a_retried_call_around_the_loop_bounds_it(clock: FakeClock) -> None:
    """A loop inside of a retried call ends with the deadline of that call."""
    s = Stage("sync", clock, *[DOWN] * 9)
    with pytest.raises(ConnectionRefusedError) as caught:
        retry(deadline=4, on=permanent(OSError)).call(s.loop)
    assert caught.value is DOWN
    assert s.dials == [0, 1, 3]
    del DOWN.__notes__, DOWN._redouble_outcome  # type: ignore[attr-defined]


class Sleepy(FakeClock):
    """A clock on which waits take longer than asked for."""

    def sleep(self, seconds: float, stop: Any = None) -> None:
        super().sleep(seconds + 5, stop)

    async def sleep_async(self, seconds: float, stop: Any = None) -> None:
        await super().sleep_async(seconds + 5, stop)


def test_a_wait_that_overslept(colour: str) -> None:
    """After a wait that lasted past the deadline no dial begins: the link is parked, or the loop ends."""
    for own, ended in [(True, type(None)), (False, ConnectionRefusedError)]:
        clock = Sleepy()
        with override(clock=clock), deadline(None if own else 4):
            s = Stage(colour, clock, DOWN, DOWN, policy=POLICY(deadline=4) if own else POLICY, give_up="park")
            assert isinstance(s.run(), ended)
        assert s.dials == [0]
        assert s.told("GIVE_UP") == [("GIVE_UP", 1, 1, "DEADLINE")]


def test_a_dial_knows_what_it_is_part_of(stage: Make) -> None:
    """From within a dial `current_attempt()` and `remaining()` tell of it, and retries in it keep its deadline."""
    seen: list[Any] = []

    def look() -> Any:
        attempt = current_attempt()
        assert attempt is not None
        seen.append((attempt.number, attempt.failures, attempt.remaining, attempt.timeout, remaining()))
        return DOWN

    s = stage(look, look, policy=POLICY(deadline=10, timeout_as="timeout"), connect_timeout=4)
    s.run()
    assert seen == [(1, 0, 10, 4, 10), (2, 1, 9, 4, 9)]
    seen.clear()
    s = stage(look, connect_timeout=4, policy=POLICY(timeout_as="timeout"))
    s.run()
    assert seen == [(1, 0, None, 4, None)]


def test_override_holds_in_a_link(stage: Make) -> None:
    """Scopes change the policy of a link as of any other."""
    s = stage(DOWN, DOWN, DOWN)
    with override(attempts=2, backoff=constant(9)):
        s.run()
    assert s.told()[:2] == [("RETRY", 1, 1, 9.0), ("GIVE_UP", 2, 2, "ATTEMPTS")]


# What goes wrong elsewhere.


def test_a_log_of_your_own_is_used_instead(stage: Make, caplog: pytest.LogCaptureFixture) -> None:
    """With a `log_retries` among the observers the default log is silent."""
    s = stage(DOWN, policy=POLICY(observers=[log_retries("mine", level=logging.INFO)]))
    with caplog.at_level(logging.INFO):
        s.run()
    assert {record.name for record in caplog.records} == {"mine"}


def test_what_an_observer_raises(stage: Make) -> None:
    """An observer's Exception changes nothing; its BaseException passes, and what was just opened is closed."""

    def broken(event: Event) -> None:
        raise error

    for error, ended in [(ValueError("observer"), type(None)), (KeyboardInterrupt(), KeyboardInterrupt)]:
        faults._said.clear()
        s = stage(Up(), Up())
        s.hook = broken
        assert isinstance(s.run(), ended)
        assert s.open == [] and s.closed == len(s.dials) - (error is s.events[0].error or isinstance(error, ValueError))


def test_an_observer_may_interrupt_a_drop(clock: FakeClock) -> None:
    """Who is interrupted by an observer at the end of a session, and goes on, is told of the drop at the next pass."""
    s = Stage("sync", clock, Up(1, ConnectionResetError()), Up())
    interrupts = [KeyboardInterrupt()]

    def interrupt(event: Event) -> None:
        if event.kind is EventKind.DROPPED and interrupts:
            raise interrupts.pop()

    s.hook = interrupt
    for session in s.link:
        with contextlib.suppress(KeyboardInterrupt), session as conn:
            if session.number == 2:
                break
            conn.live()
    assert s.dials == [0, 2]


def test_a_close_that_must_be_awaited_is_named(clock: FakeClock) -> None:
    """Under a plain `for`, what closes asynchronously after all ends the loop, by name; a body's error comes first."""

    class Finished:
        def __await__(self) -> Iterator[None]:
            return iter(())

    class Odd:
        def close(self) -> Finished:
            return Finished()

    for error in (TypeError("gives is asynchronous: write `async with`"), PermissionError("body")):
        with pytest.raises(type(error), match=str(error)):
            for session in reconnect(lambda: Odd(), POLICY):
                with session:
                    if isinstance(error, PermissionError):
                        raise error


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()])
def test_an_error_that_python_takes_for_the_end(clock: FakeClock, error: Exception) -> None:
    """A StopIteration of a dial does not end the loop in silence."""
    for colour in ("sync", "async"):
        ended = Stage(colour, clock, open_=scripted(error)).run()
        assert isinstance(ended, RuntimeError) and ended.__cause__ is error


def test_tracebacks_do_not_grow(stage: Make) -> None:
    """One error object that comes back again and again, from dials, bodies or closing, keeps a short traceback."""
    lengths = []
    dial, body, closing = ConnectionRefusedError("dial"), ConnectionResetError("body"), ConnectionResetError("closing")
    s = stage(*[dial, dial, Up(0, body), Up(0, None, closing), dial] * 20, policy=POLICY(backoff=constant(1)))

    def measure(event: Event) -> None:
        if event.kind is EventKind.RETRY:
            lengths.extend(len(traceback.extract_tb(error.__traceback__)) for error in (dial, body, closing))

    s.hook = measure
    s.run()
    assert max(lengths) < 16
    assert body.__context__ is None and dial.__context__ is None


def test_nothing_is_held(clock: FakeClock) -> None:
    """After a swallowed error, a park, and the end of a loop nothing of ours holds the error or the connection."""

    class Error(OSError):
        pass

    class Held:
        def close(self) -> None:
            pass

    refs: list[weakref.ref[Any]] = []

    def dial() -> Any:
        if len(refs) == 1:
            raise watched(Error("gone"))
        return watched(Held())

    def watched(thing: Any) -> Any:
        refs.append(weakref.ref(thing))
        return thing

    link = reconnect(dial, POLICY(attempts=2), give_up="park")
    gc.collect()
    gc.disable()
    try:
        for session in link:
            with session as held:
                del held
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()
    assert link.gave_up is not None


def test_a_sync_link_in_an_event_loop_is_said(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A synchronous link whose waits would hold up a running event loop is logged, once, with the async spelling."""
    faults._said.clear()
    s = Stage("sync", clock, DOWN, DOWN, Up())
    s.body = lambda conn: "break"

    async def main() -> None:
        s.loop()

    asyncio.run(main())
    assert caplog.text.count("a synchronous loop holds up the running event loop") == 1


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: reconnect(3), TypeError, "got 3"),
        (lambda: reconnect(print, 3), TypeError, r"policy must be a RetryPolicy such as retry\(attempts=5\), got 3"),
        (lambda: reconnect(print, stable_after=-1), ValueError, r"stable_after must be a duration .*, got -1"),
        (lambda: reconnect(print, connect_timeout=0), ValueError, r"connect_timeout must be .* > 0 or None, got 0"),
        (lambda: reconnect(print, half_open="1"), TypeError, "half_open must be .* or None, got '1'"),
        (lambda: reconnect(print, park=3), TypeError, "park must be a rule, .*, got 3"),
        (lambda: reconnect(print, close_timeout=0), ValueError, r"close_timeout must be .* > 0 or None, got 0"),
        (lambda: reconnect(print, give_up="stay"), ValueError, "give_up must be .*'raise'.*'park'.*, got 'stay'"),
        (lambda: reconnect(lambda: 1, retry(timeout_as="limit")), TypeError, "timeout_as must name a keyword"),
    ],
)
def test_wrong_arguments_are_refused_at_once(make: Any, kind: type[Exception], message: str) -> None:
    """A bad argument is refused where it is written, by name, rule and value."""
    with pytest.raises(kind, match=message):
        make()


def test_names() -> None:
    """What people see in messages are public names."""
    assert (LinkStatus.PARKED, repr(LinkStatus.PARKED)) == (LinkStatus.PARKED, "LinkStatus.PARKED")
    assert {each.__module__ for each in (Link, Session, LinkStatus)} == {"redouble.loops"}
