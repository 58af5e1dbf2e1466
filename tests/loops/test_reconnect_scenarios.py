"""Waiting for SSH on boot, and connections that are kept alive: what two real systems ask of their retries.

The first is a command line tool that dials until a machine has booted (`c`), the second an editor extension with
terminals and a tunnel that reconnect (`v`). Each is written as its user would, with exact numbers, on virtual time.
"""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from math import ulp
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    BackoffController,
    EventKind,
    GaveUp,
    Reason,
    Status,
    Verdict,
    Wait,
    additive,
    classify,
    constant,
    exponential,
    known_errors,
    outcome,
    permanent,
    proportional,
    reconnect,
    retry,
    sequence,
    transient,
)
from redouble.loops.link import LinkStatus
from redouble.loops.reconnect import Link
from redouble.testing import HANG, fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event, RetryPolicy
    from redouble.testing import FakeClock

# Waiting for SSH on boot.

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")

booting = exponential(2, factor=1.5, maximum=None, jitter=None).capped(15).jittered(proportional(0.5))


class AuthFailed(Exception): ...


class SshError(Exception): ...


class HTTPStatusError(Exception): ...


class Probe:
    """What a dial gives: closed at once, every later command dials afresh."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Boot:
    """`wait_for_ssh` as the tool has it, and what it said."""

    def __init__(self, *dials: Any, **changes: Any) -> None:
        self.dial = scripted(*dials)
        self.messages: list[str] = []
        rules = transient(TimeoutError, ConnectionRefusedError, causes=True)
        fields: dict[str, Any] = {"on": rules, "deadline": 90, "backoff": booting, "observers": [self.say]} | changes
        self.policy = retry(**fields)

    def say(self, event: Event) -> None:
        if event.kind is EventKind.RETRY and event.failures == 1:
            self.messages.append("Waiting for sidecar SSH to become available…")

    def wait(self) -> None:
        with self.policy.connect(self.dial):
            pass


def test_c01_a_machine_that_is_up(clock: FakeClock) -> None:
    """One dial, no wait, no message, and the probe is closed once."""
    probe = Probe()
    boot = Boot(probe)
    boot.wait()
    assert (len(boot.dial.calls), clock.sleeps, boot.messages, probe.closed) == (1, [], [], 1)


def test_c02_a_wrong_key(clock: FakeClock) -> None:
    """A failed login is raised at once: the same object, no wait and no message."""
    error = AuthFailed("ssh handshake: auth failed")
    boot = Boot(error)
    with pytest.raises(AuthFailed) as caught:
        boot.wait()
    assert caught.value is error
    assert (len(boot.dial.calls), clock.sleeps, boot.messages) == (1, [], [])


def test_c03_refused_twice(clock: FakeClock) -> None:
    """Two refusals are waited out, with one message before the first wait."""
    boot = Boot(REFUSED, REFUSED, Probe())
    waited_before: list[int] = []
    boot.policy = boot.policy(observers=[boot.say, lambda _: waited_before.append(len(clock.sleeps))])
    boot.wait()
    assert (len(boot.dial.calls), clock.sleeps, len(boot.messages)) == (3, [2.0, 3.0], 1)
    assert waited_before[0] == 0


def test_c04_refused_for_ever(clock: FakeClock) -> None:
    """It ends before the wait that would pass 90 s, with the last refusal itself and one message."""
    boot = Boot(*[REFUSED] * 10)
    with pytest.raises(ConnectionRefusedError) as caught:
        boot.wait()
    assert clock.sleeps == [2, 3, 4.5, 6.75, 10.125, 15, 15, 15, 15]
    assert (caught.value, len(boot.dial.calls), clock.now(), len(boot.messages)) == (REFUSED, 10, 86.375, 1)


@pytest.mark.parametrize(
    ("draw", "first", "last", "dials", "end"),
    [(0.0, [1.0, 1.5], 7.5, 16, 88.1875), (1 - ulp(0.5), [3, 4.5, 6.75, 10.125, 15.1875], 22.5, 8, 84.5625)],
)
def test_c05_the_edges_of_the_jitter(draw: float, first: list[float], last: float, dials: int, end: float) -> None:
    """The cap is applied before the jitter, so a wait can be 22.5 s although the cap is 15."""
    with fake_time(draw=draw) as clock:
        boot = Boot(*[REFUSED] * dials)
        with pytest.raises(ConnectionRefusedError):
            boot.wait()
        assert clock.sleeps[: len(first)] == pytest.approx(first)
        assert clock.sleeps[-1] == pytest.approx(last)
        assert (len(boot.dial.calls), len(clock.sleeps)) == (dials, dials - 1)
        assert clock.now() == pytest.approx(end)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(errno.EHOSTUNREACH, "no route to host"), id="c06"),
        pytest.param(socket.gaierror(socket.EAI_NONAME, "unknown name"), id="c07"),
        pytest.param(socket.gaierror(socket.EAI_AGAIN, "try again"), id="c07 again"),
    ],
)
def test_c06_c07_no_route_and_no_name(clock: FakeClock, error: Exception) -> None:
    """What the tool does not list is not retried, a name server's "try again" included."""
    boot = Boot(error)
    with pytest.raises(type(error)) as caught:
        boot.wait()
    assert caught.value is error
    assert (len(boot.dial.calls), clock.sleeps, boot.messages) == (1, [], [])


def test_c07_a_name_that_the_user_adds(clock: FakeClock) -> None:
    """Unless the user adds it."""
    again = transient(socket.gaierror, when=lambda error: error.errno == socket.EAI_AGAIN)
    boot = Boot(socket.gaierror(socket.EAI_AGAIN, "try again"), Probe(), on=again | transient(ConnectionRefusedError))
    boot.wait()
    assert clock.sleeps == [2]


def wrapped(levels: int) -> Exception:
    try:
        raise REFUSED if levels == 1 else wrapped(levels - 1)
    except Exception as inner:
        try:
            raise SshError("dial") from inner
        except SshError as error:
            return error


def suppressed() -> Exception:
    try:
        raise REFUSED
    except OSError:
        try:
            raise SshError("dial") from None
        except SshError as error:
            return error


def test_c08_wrapped_refusals(clock: FakeClock) -> None:
    """A refusal that was wrapped on purpose counts, one or three levels deep; one that was suppressed does not."""
    boot = Boot(wrapped(1), wrapped(3), Probe())
    boot.wait()
    assert clock.sleeps == [2, 3]
    boot = Boot(suppressed())
    with pytest.raises(SshError):
        boot.wait()
    assert len(boot.dial.calls) == 1


def test_c09_cancelled_in_the_message(clock: FakeClock) -> None:
    """A cancellation that arrives in the first message is raised at once, and alone."""
    dial = scripted(REFUSED, Probe(), asynchronous=True)
    messages = []

    def say(event: Event) -> None:
        messages.append(event.kind)
        raise asyncio.CancelledError

    async def main() -> None:
        async with retry(on=OSError, deadline=90, backoff=booting, observers=[say]).connect(dial):
            pytest.fail("connected")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert (len(dial.calls), messages, clock.sleeps) == (1, [EventKind.RETRY], [])


def test_c10_a_deadline_around_it(clock: FakeClock) -> None:
    """The caller's own `asyncio.timeout` ends the wait when it is over, and is what the caller sees."""
    dials: list[float] = []

    async def dial() -> Probe:
        dials.append(clock.now())
        raise REFUSED

    async def main() -> None:
        async with asyncio.timeout(4), retry(on=OSError, deadline=90, backoff=booting).connect(dial):
            pytest.fail("connected")

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert (dials, clock.now()) == ([0, 2], 4.0)


def test_c11_a_slow_refusal(clock: FakeClock) -> None:
    """A first dial of 89 s leaves no room for a wait of 2: refused at once, and no message about waiting."""
    boot = Boot()

    def dial() -> Probe:
        clock.advance(89)
        raise REFUSED

    boot.dial = dial  # type: ignore[assignment]
    with pytest.raises(ConnectionRefusedError):
        boot.wait()
    assert (clock.now(), clock.sleeps, boot.messages) == (89, [], [])


def test_c12_exactly_in_time(clock: FakeClock) -> None:
    """After exactly 88 s a wait of exactly 2 is made: the deadline is passed only strictly after 90."""
    boot = Boot()
    dials: list[float] = []

    def dial() -> Probe:
        dials.append(clock.now())
        clock.advance(88 if not dials[:-1] else 0)
        raise REFUSED

    boot.dial = dial  # type: ignore[assignment]
    with pytest.raises(ConnectionRefusedError):
        boot.wait()
    assert (dials, clock.sleeps) == ([0, 90], [2])


def test_c13_a_dial_that_hangs(clock: FakeClock) -> None:
    """A dial that hangs is cut off after its own 10 s, which is a timeout like any other."""
    dial = scripted(HANG, Probe(), asynchronous=True)
    failed: list[tuple[float, type]] = []

    def say(event: Event) -> None:
        if event.kind is EventKind.RETRY:
            failed.append((clock.now(), type(event.error)))

    async def main() -> None:
        policy = retry(on=TimeoutError, deadline=90, attempt_timeout=10, backoff=booting, observers=[say])
        async with policy.connect(dial):
            pass

    asyncio.run(main())
    assert (failed, len(dial.calls), clock.now()) == ([(10, TimeoutError)], 2, 12)


def test_c14_the_session_is_not_retried(clock: FakeClock) -> None:
    """Opening the session stands before what is retried: its 503 is raised, and nothing is dialled."""
    boot = Boot()
    open_session = scripted(HTTPStatusError(503))
    with pytest.raises(HTTPStatusError):
        open_session(), boot.wait()
    assert (boot.dial.calls, boot.messages) == ([], [])


class ApplyError(Exception): ...


def sync_and_repair(sync: Callable[[], object], clean: Callable[[], object], warnings: list[str]) -> None:
    """An apply that failed is repaired once: clean the other side, and sync again."""
    try:
        for attempt in retry(on=ApplyError, attempts=2, backoff=constant(0)):
            with attempt:
                if attempt.number == 2:
                    warnings.append("the workspace has drifted, attempting a clean sync")
                    clean()
                sync()
    except Exception as error:
        ended = outcome(error)
        if ended is not None and ended.attempts == 2:
            raise RuntimeError(f"sync retry: {error}") from error
        raise


@pytest.mark.parametrize(
    ("script", "cleans", "raised"),
    [
        (["done"], 0, None),
        ([ApplyError("drift"), "done"], 1, None),
        ([ApplyError("drift"), ApplyError("again")], 1, "sync retry: again"),
        ([ApplyError("drift"), ValueError("other")], 1, "sync retry: other"),
        ([ValueError("other")], 0, "other"),
    ],
)
def test_c15_a_sync_is_repaired_once(clock: FakeClock, script: list[Any], cleans: int, raised: str | None) -> None:
    """One warning, one clean and one more sync after a failed apply; nothing of it after any other failure."""
    sync, clean, warnings = scripted(*script), scripted("cleaned"), []  # type: ignore[var-annotated]
    if raised is None:
        sync_and_repair(sync, clean, warnings)
    else:
        with pytest.raises((RuntimeError, ValueError)) as caught:
            sync_and_repair(sync, clean, warnings)
        assert str(caught.value) == raised
    assert (len(sync.calls), len(clean.calls), len(warnings)) == (len(script), cleans, cleans)


def test_c16_a_name_with_two_addresses(clock: FakeClock) -> None:
    """On 3.11 asyncio joins two refusals to one plain OSError without an errno, which is known all the same."""
    both = OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 22, 0, 0),"
        " [Errno 111] Connect call failed ('127.0.0.1', 22)"
    )
    assert classify(both).verdict is Verdict.TRANSIENT
    boot = Boot(both, Probe(), on=known_errors)
    boot.wait()
    assert clock.sleeps == [2]


# Connections that are kept alive.

terminal = exponential(1, maximum=30, jitter=None).take(6)
tunnel = exponential(1, maximum=None, jitter=None).jittered(additive(1)).capped(60).take(10).then(constant(300))


class Closed(Exception):
    """The other side closed."""


class Upgrade(Exception):
    """The server answered with another status than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Unexpected server response: {status}")
        self.status = status


class RateLimited(Exception): ...


class InvalidKey(Exception): ...


class Over(Exception):
    """The script is over."""


refused = permanent(Upgrade, when=lambda error: 400 <= error.status < 500)
reconnecting = retry(
    on=permanent(Over) | refused | transient(Upgrade, Closed, OSError), backoff=terminal, name="terminal"
)


class Socket:
    """A connection of the site: lasts so long, and is closed by the other side."""

    def __init__(self, site: Site, lasts: float) -> None:
        self.site, self.lasts, self.closed = site, lasts, False
        assert not any(not each.closed for each in site.sockets), "two sockets"
        site.sockets.append(self)

    def read_until_closed(self) -> None:
        self.site.clock.sleep(self.lasts)
        raise Closed("1006")

    def close(self) -> None:
        self.closed = True


class Site:
    """A place that keeps a connection alive, with the notices that its user sees."""

    def __init__(self, clock: FakeClock, *script: Any, policy: RetryPolicy = reconnecting, **options: Any) -> None:
        self.clock, self.script = clock, list(script)
        self.dials: list[float] = []
        self.sockets: list[Socket] = []
        self.notices: list[str] = []
        self.waits: list[float] = []
        self.link: Link[Socket] = reconnect(self.open, policy(observers=[self.notice]), **options)

    def open(self) -> Socket:
        self.dials.append(self.clock.now())
        step = self.script.pop(0) if self.script else Over("the script is over")
        if isinstance(step, BaseException):
            raise step
        return Socket(self, step)

    def notice(self, event: Event) -> None:
        if event.kind is EventKind.RETRY:
            assert event.delay is not None
            self.waits.append(event.delay)
            self.notices.append(f"retrying in {event.delay:g}s ({event.failures}/6)")
        elif event.kind is EventKind.GIVE_UP:
            self.notices.append("gave up: click to reconnect")

    def run(self) -> None:
        for session in self.link:
            with session as connection:
                connection.read_until_closed()

    def run_with(self, *later: tuple[float, Callable[[], object]]) -> None:
        """Run, and do these things at these times: all are bound, and have begun before any waits."""
        begun = threading.Barrier(len(later) + 1)

        def act(seconds: float, what: Callable[[], object]) -> None:
            begun.wait(60)
            self.clock.sleep(seconds)
            what()

        threads = [threading.Thread(target=self.clock.bind(act), args=each) for each in later]

        def run_beside() -> None:
            for thread in threads:
                thread.start()
            begun.wait(60)
            self.run()
            with self.clock.joining():
                for thread in threads:
                    thread.join()

        self.clock.bind(run_beside)()


NOTICES = [f"retrying in {seconds}s ({number}/6)" for number, seconds in enumerate((1, 2, 4, 8, 16, 30), 1)]
GAVE_UP = "gave up: click to reconnect"


def test_v01_the_curve() -> None:
    """1, 2, 4, 8, 16, 30, 30 seconds, and 30 after a million failures too."""
    curve = exponential(1, maximum=30, jitter=None)
    assert [curve.delay(n + 1, None, 0.5) for n in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert curve.delay(10**6, None, 0.5) == 30
    with pytest.raises(ValueError, match="failures must be a whole number >= 1, got 0"):
        curve.delay(0, None, 0.5)


def test_v02_six_retries_then_the_end() -> None:
    """Six failures wait 61 s together; the seventh gives up, and so does every one after it."""
    controller = BackoffController(reconnecting(attempts=None))
    waits = []
    for number in range(1, 7):
        assert controller.start(now=0.0) == number
        decision = controller.record_failure(Closed(), now=0.0)
        assert isinstance(decision, Wait)
        waits.append(decision.delay)
        assert controller.failures == number
    assert waits == [1, 2, 4, 8, 16, 30] and sum(waits) == 61
    controller.start(now=0.0)
    for _ in range(2):
        assert isinstance(controller.record_failure(Closed(), now=0.0), GaveUp)
        assert controller.status is Status.GAVE_UP


def test_v03_a_success_begins_again(clock: FakeClock) -> None:
    """After two failures and a connection that was stable the next failure waits as the first one did."""
    site = Site(clock, OSError(), OSError(), 60)
    seen: list[Any] = []
    with pytest.raises(Over):
        site.run_with((30, lambda: seen.append((site.link.failures, site.link.status))))
    assert seen == [(0, LinkStatus.CONNECTED)]
    assert site.waits == [1, 2, 1]


def test_v04_a_budget_of_one(clock: FakeClock) -> None:
    """One retry, then the end; a reset gives one retry again."""
    site = Site(clock, *[OSError()] * 4, policy=reconnecting(backoff=terminal.take(1)), give_up="park")
    site.run_with((100, site.link.reset))
    assert site.notices == [NOTICES[0], GAVE_UP] * 2
    assert site.dials == [0, 1, 100, 101]


def test_v05_without_a_limit(clock: FakeClock) -> None:
    """A hundred failures are a hundred retries."""
    site = Site(clock, *[OSError()] * 100, policy=reconnecting(backoff=exponential(1, maximum=30, jitter=None)))
    with pytest.raises(Over):
        site.run()
    assert len(site.waits) == 100 and GAVE_UP not in site.notices[:-1]


def test_v06_one_socket_fails_once(clock: FakeClock) -> None:
    """A socket that fails, and fails again when it is closed, is one failure, one notice and one timer."""

    class Failing(Socket):
        def close(self) -> None:
            super().close()
            raise OSError("closing what is broken")

    site = Site(clock)
    opened = [Failing(site, 0)]
    site.link = reconnect(lambda: opened.pop() if opened else site.open(), reconnecting(observers=[site.notice]))
    with pytest.raises(Over):
        site.run()
    assert (site.notices[:-1], clock.sleeps) == (NOTICES[:1], [1])


def test_v07_seven_closes_without_an_open(clock: FakeClock) -> None:
    """Six notices with their delays, then one that it gave up; seven sockets ever, and nothing after that."""
    site = Site(clock, *[Closed()] * 7, give_up="park")
    seen: list[Any] = []
    site.run_with((61 + 120, lambda: seen.append((len(site.dials), site.link.parked))))
    assert site.notices == [*NOTICES, GAVE_UP]
    assert site.dials == [0, 1, 3, 7, 15, 31, 61]
    assert seen == [(7, True)]


def test_v08_the_status_of_an_upgrade(clock: FakeClock) -> None:
    """404 is one give-up and not one retry; 502 is retried in a second."""
    site = Site(clock, Upgrade(404))
    with pytest.raises(Upgrade):
        site.run()
    assert (site.notices, len(site.dials), clock.sleeps) == ([GAVE_UP], 1, [])
    site = Site(clock, Upgrade(404), park=True)
    seen: list[Any] = []
    site.run_with((60, lambda: seen.append((len(site.dials), site.link.parked))))
    assert (site.notices, seen) == ([GAVE_UP], [(1, True)])
    site = Site(clock, Upgrade(502))
    with pytest.raises(Over):
        site.run()
    assert site.notices[0] == "retrying in 1s (1/6)"


def test_v09_a_manual_reconnect_after_giving_up(clock: FakeClock) -> None:
    """It dials at once, and the next failure is the first again."""
    site = Site(clock, *[Closed()] * 8, give_up="park")
    with pytest.raises(Over):
        site.run_with((200, site.link.reset))
    assert site.dials[7:] == [200, 201]
    assert site.notices[7] == "retrying in 1s (1/6)"


def test_v10_a_manual_reconnect_during_a_wait(clock: FakeClock) -> None:
    """The old timer is dead: one dial at once and none when it would have fired."""
    site = Site(clock, *[Closed()] * 5, 100)
    with pytest.raises(Over):
        site.run_with((16, site.link.reset))
    assert site.dials == [0, 1, 3, 7, 15, 16, 117]
    assert [each.closed for each in site.sockets] == [True]


def test_v10_a_late_end_of_an_old_session(clock: FakeClock) -> None:
    """What is told of an attempt that was given up for another one changes nothing."""
    controller = BackoffController(reconnecting)
    old = controller.start(now=0.0)
    controller.record_failure(Closed(), now=0.0)
    controller.reset()
    controller.start(now=0.5)
    assert controller.record_failure(Closed("late"), now=0.6, attempt=old) is None
    assert (controller.status, controller.failures) == (Status.ATTEMPTING, 0)


def test_v11_disposed_while_waiting(clock: FakeClock) -> None:
    """Who is disposed of while waiting dials no more, and its loop ends."""
    stop = threading.Event()
    site = Site(clock, *[Closed()] * 9, policy=reconnecting(stop=stop))
    site.run_with((5, stop.set))
    clock.sleep(30)
    assert site.dials == [0, 1, 3]
    assert site.link.status is LinkStatus.IDLE


def test_v12_the_tunnel() -> None:
    """The jitter comes before the cap, so none is left there; after ten failures it is five minutes."""
    middle = [1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 60, 60, 60, 60, 300, 300]
    assert [tunnel.delay(n + 1, None, 0.5) for n in range(12)] == middle
    assert (tunnel.delay(1, None, 0.0), tunnel.delay(1, None, 0.999)) == (1.0, 1.999)
    assert {tunnel.delay(11, None, draw) for draw in (0.0, 0.5, 0.999)} == {300}


def test_v13_counting_before_or_after() -> None:
    """A site that counts first begins with the curve's second wait; the curve is the same."""
    curve = exponential(1, maximum=30, jitter=None)
    failures = 0
    computes_first = curve.delay(failures + 1, None, 0.5)
    failures += 1
    counts_first = curve.delay(failures + 1, None, 0.5)
    assert (computes_first, counts_first) == (1, 2)


def test_v14_a_rate_limit_has_waits_of_its_own(clock: FakeClock) -> None:
    """60 s, then 300, whatever the policy's curve says; after a good connection 60 again."""
    limited = transient(RateLimited, backoff=sequence(60, 300).forever())
    policy = reconnecting(on=limited | reconnecting.on)
    site = Site(clock, *[RateLimited()] * 3, 60, RateLimited(), policy=policy)
    with pytest.raises(Over):
        site.run()
    assert site.waits == [60, 300, 300, 1, 60]


def test_v15_an_invalid_key_parks(clock: FakeClock) -> None:
    """One alarm, and no dial until somebody resets it: then at once, and the first wait is the curve's first."""
    site = Site(clock, InvalidKey(), Closed(), 60, park=InvalidKey)
    seen: list[Any] = []
    with pytest.raises(Over):
        site.run_with((899.999, lambda: seen.append((site.dials[:], site.link.parked))), (1000, site.link.reset))
    assert seen == [([0], True)]
    assert site.dials == [0, 1000, 1001, 1062]
    assert site.notices[:2] == [GAVE_UP, NOTICES[0]]


def test_v15_an_invalid_key_in_the_half_open_mode(clock: FakeClock) -> None:
    """One dial after fifteen minutes; parking again raises no second alarm."""
    site = Site(clock, InvalidKey(), InvalidKey(), Closed(), 60, park=InvalidKey, half_open=900)
    with pytest.raises(Over):
        site.run_with((2000, site.link.reset))
    assert site.dials == [0, 900, 1800, 2000, 2061]
    assert site.notices[:2] == [GAVE_UP, NOTICES[0]]


def test_v16_a_connect_that_never_resolves(clock: FakeClock) -> None:
    """It has failed after 20 s; what it opens later is closed and changes nothing."""
    late = Probe()
    failed: list[tuple[float, str]] = []
    events: list[EventKind] = []

    def note(event: Event) -> None:
        events.append(event.kind)
        if event.kind is EventKind.RETRY:
            failed.append((clock.now(), str(event.error)))

    async def dial() -> Probe:
        while len(failed) < 1 and clock.now() < 25:
            try:
                await asyncio.sleep(25)
            except asyncio.CancelledError:
                await asyncio.sleep(5)  # takes no notice of being given up
                return late
        raise Over

    async def main() -> None:
        policy = reconnecting(observers=[note])
        async for _ in reconnect(dial, policy, connect_timeout=20):
            pytest.fail("no session of an abandoned dial")

    with pytest.raises(Over):
        asyncio.run(main())
    assert late.closed == 1
    assert failed == [(25, "the attempt took longer than its timeout")]
    assert events == [EventKind.RETRY, EventKind.GIVE_UP]


def test_v16_a_connect_that_hangs(clock: FakeClock) -> None:
    """A dial that heeds its cancellation has failed at 20 s sharp."""
    dial = scripted(HANG, Over(), asynchronous=True)
    failed: list[float] = []

    async def main() -> None:
        policy = reconnecting(observers=[lambda event: failed.append(clock.now())])
        async for _ in reconnect(dial, policy, connect_timeout=20):
            pytest.fail("no session")

    with pytest.raises(Over):
        asyncio.run(main())
    assert failed == [20, 21]


def test_v17_resuming(clock: FakeClock) -> None:
    """A dial carries the last sequence number that was seen, and none where there was none."""
    asked: list[dict[str, int]] = []
    seen_up_to = 0

    class Feed(Probe):
        pass

    def open_() -> Feed:
        asked.append({"resume": seen_up_to} if seen_up_to else {})
        return Feed()

    for session in reconnect(open_, reconnecting):
        with session:
            if session.number == 3:
                break
            clock.advance(10)
            seen_up_to = 0 if session.number == 1 else 42
            raise Closed
    assert asked == [{}, {}, {"resume": 42}]


def test_v18_accept_then_close(clock: FakeClock) -> None:
    """Connections of a tenth of a second never begin the count again: it gives up on the seventh."""
    site = Site(clock, *[0.1] * 7, stable_after=5, give_up="park")
    site.run()
    assert (len(site.sockets), len(site.dials)) == (7, 7)
    assert site.notices == [*NOTICES, GAVE_UP]
    gave_up = site.link.gave_up
    assert gave_up is not None and gave_up.reason is Reason.CURVE
