"""The cooldown: what it holds back and for how long, how it is shared, copied and forked."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import pickle
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import (
    BackoffController,
    Cooldown,
    GaveUp,
    Reason,
    RetryBudget,
    Wait,
    constant,
    retry,
    transient,
)
from redouble.testing import FakeClock
from redouble.types import SystemClock


class LimitedError(Exception):
    """A refusal that tells how long to wait."""

    def __init__(self, after: float) -> None:
        super().__init__(f"come back in {after:g} s")
        self.after = after


POLICY = retry(on=transient(LimitedError, OSError, retry_after=lambda error: getattr(error, "after", None)), attempts=3)


def frozen(name: str | None = None) -> Cooldown:
    """A cooldown whose clock stands still."""
    return Cooldown(name, clock=lambda: 0.0)


def test_it_holds_back_until_the_time_is_over() -> None:
    """What is left shrinks with the time, and is nothing at the moment itself."""
    cooldown = frozen()
    cooldown.hold(10, now=5.0)
    assert [cooldown.left(now) for now in (5.0, 9.0, 14.5, 15.0, 16.0)] == [10.0, 6.0, 0.5, 0.0, 0.0]


def test_a_duration_may_be_a_timedelta() -> None:
    """A hint is a duration as everywhere."""
    cooldown = frozen()
    cooldown.hold(timedelta(minutes=1))
    assert cooldown.left() == 60.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1), st.floats(0, 3e6))
def test_no_hint_shortens_it(hints: list[tuple[float, float]], moment: float) -> None:
    """At every moment it holds back until the latest of all the moments that were asked for."""
    cooldown = frozen()
    for now, seconds in hints:
        cooldown.hold(seconds, now)
    latest = max(now + seconds if seconds else 0.0 for now, seconds in hints)
    assert cooldown.left(moment) == pytest.approx(max(0.0, latest - moment), abs=2e-6)


def test_the_wait_is_spread_by_a_part_of_the_hint() -> None:
    """Half of the hint's tenth is added where the draw is a half, however much of the time has passed."""
    cooldown = frozen()
    cooldown.hold(10)
    assert cooldown.left(0.0, spread=0.05) == 10.5 and cooldown.left(9.0, spread=0.05) == 1.5
    assert cooldown.left(10.0, spread=0.05) == 0.0


def test_the_gate_is_open_again_when_the_time_is_over() -> None:
    """The list that the hot path looks at is empty before, and after whoever came first has seen the time."""
    cooldown = frozen()
    assert not cooldown.gate
    cooldown.hold(1)
    assert cooldown.gate and cooldown.left(0.5) and cooldown.gate
    assert not cooldown.left(1.0) and not cooldown.gate


def test_a_hint_of_nothing_holds_nothing_back() -> None:
    """`Retry-After: 0` closes no gate."""
    cooldown = frozen()
    cooldown.hold(0)
    assert not cooldown.gate and cooldown.snapshot()["holds"] == 0


def test_its_state_as_plain_data() -> None:
    """The name, what is left, and how often a hint made it longer."""
    cooldown = frozen("maps")
    for seconds in (5, 3, 8):
        cooldown.hold(seconds)
    assert cooldown.snapshot() == {"name": "maps", "left": 8.0, "holds": 2}
    assert cooldown.snapshot(now=6.0)["left"] == 2.0


def test_a_name_is_shared_in_the_process() -> None:
    """One name is one cooldown, also as a policy's field; another name is another."""
    maps = Cooldown.named("cooldown-maps")
    assert Cooldown.named("cooldown-maps") is maps is retry(cooldown="cooldown-maps").cooldown
    assert Cooldown.named("cooldown-others") is not maps
    assert Cooldown("cooldown-maps") is not maps
    assert repr(maps) == "redouble.Cooldown.named('cooldown-maps')"
    assert (repr(Cooldown("x")), repr(Cooldown())) == ("redouble.Cooldown('x')", "redouble.Cooldown()")


def test_threads_that_name_one_at_once_get_one() -> None:
    """Whichever thread makes it, all have the same."""
    found: list[Cooldown] = []
    barrier = threading.Barrier(8)

    def name() -> None:
        barrier.wait()
        found.append(Cooldown.named("cooldown-race"))

    threads = [threading.Thread(target=name) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("", ValueError, "got ''"),
        (5, TypeError, "got 5"),
        (False, TypeError, "got False"),
        (RetryBudget(), TypeError, "got redouble.RetryBudget()"),
        (Cooldown, TypeError, "a Cooldown, True"),
    ],
)
def test_a_field_that_is_no_cooldown_is_refused(value: Any, kind: type[Exception], message: str) -> None:
    """The message names the field and what it takes."""
    with pytest.raises(kind) as refused:
        retry(cooldown=value)
    assert str(refused.value).startswith("cooldown must be the name of one that is shared") and message in str(
        refused.value
    )


@pytest.mark.parametrize("name", ["", 5])
def test_a_label_that_is_none_is_refused(name: Any) -> None:
    """A label is a string with something in it."""
    with pytest.raises((TypeError, ValueError), match=r"^name must be a string that is not empty"):
        Cooldown(name)
    with pytest.raises((TypeError, ValueError), match=r"^name must be a string that is not empty"):
        Cooldown.named(name)


def test_a_name_is_needed_to_share_one() -> None:
    """`named(None)` shares nothing."""
    with pytest.raises(TypeError, match="got None"):
        Cooldown.named(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-1, float("nan"), "5", None, True])
def test_a_duration_that_is_none_is_refused(seconds: Any) -> None:
    """Nothing is held back for a number of seconds that is none."""
    cooldown = frozen()
    with pytest.raises((TypeError, ValueError), match=r"^seconds must be"):
        cooldown.hold(seconds)
    assert not cooldown.gate


def test_copies_are_the_same_one() -> None:
    """A cooldown is there to be shared, also by a policy that is copied."""
    cooldown = frozen()
    assert copy.copy(cooldown) is cooldown is copy.deepcopy([cooldown])[0]


def test_pickling() -> None:
    """Elsewhere the name finds the one that is shared there; one without a name holds nothing back."""
    shared = retry(cooldown="cooldown-pickled")
    assert pickle.loads(pickle.dumps(shared)) == shared
    held = Cooldown("label")
    held.hold(1000)
    other = pickle.loads(pickle.dumps(held))
    assert other is not held and other.name == "label" and other.left() == 0.0
    assert pickle.loads(pickle.dumps(retry(cooldown=True))).cooldown is True


def test_each_clock_has_its_own_time() -> None:
    """On a fake clock nothing is held back by what the system's was told, nor the other way round."""
    cooldown, clock = Cooldown(), FakeClock()
    cooldown.hold(1000)
    other = cooldown.under(clock)
    assert cooldown.under(SystemClock()) is cooldown
    assert other is cooldown.under(clock) is not cooldown.under(FakeClock())
    assert other.left() == 0.0
    other.hold(10)
    clock.sleep(4)
    assert other.left() == 6.0


def test_a_clock_that_is_gone_is_not_kept() -> None:
    """A cooldown keeps no test's clock alive."""
    import gc
    import weakref

    cooldown, clock = Cooldown(), FakeClock()
    cooldown.under(clock).hold(1)
    gone = weakref.ref(clock)
    del clock
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="Windows has no fork")
def test_the_child_of_a_fork_goes_on_with_it() -> None:
    """The server's limit holds for the child too, whatever thread held the lock when it was forked."""
    program = """
import os, threading
from redouble import Cooldown
cooldown = Cooldown.named("forked")
cooldown.hold(1000)
held, done = threading.Event(), threading.Event()
def hold_the_lock():
    with cooldown._lock:
        held.set()
        done.wait()
threading.Thread(target=hold_the_lock, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    cooldown.hold(2000)
    os._exit(0 if 1990 < Cooldown.named("forked").left() <= 2000 else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
done.set()
raise SystemExit(code)
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=60, check=False).returncode == 0


@pytest.mark.skipif(importlib.util.find_spec("greenlet") is None, reason="needs greenlet")
def test_greenlets_share_it() -> None:
    """Greenlets of one thread may hold and look in turn."""
    import greenlet

    cooldown = frozen()
    seen: list[float] = []

    def look() -> None:
        cooldown.hold(5)
        parent.switch()
        seen.append(cooldown.left())

    parent = greenlet.getcurrent()
    other = greenlet.greenlet(look)
    other.switch()
    cooldown.hold(9)
    other.switch()
    assert seen == [9.0]


def test_event_loops_of_several_threads_share_it() -> None:
    """What one loop is told holds another one's calls back."""
    cooldown = frozen()

    async def tell() -> None:
        cooldown.hold(5)

    async def ask() -> float:
        return cooldown.left()

    asyncio.run(tell())
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(ask())))
    thread.start()
    thread.join()
    assert found == [5.0]


def test_threads_that_hold_at_once_leave_the_longest() -> None:
    """No interleaving loses the longest hint, and no reader sees anything but one of the hints."""
    cooldown, readings = frozen(), set[float]()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(first: int) -> None:
        for seconds in range(first, 2000, 4):
            cooldown.hold(seconds)
            readings.add(cooldown.left())

    threads = [threading.Thread(target=work, args=(first,)) for first in range(1, 5)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert cooldown.left() == 1999.0
    assert all(reading == int(reading) for reading in readings)


# The decision.


def failed(policy: Any, error: Exception, draw: float = 0.5, now: float = 0.0) -> Any:
    """What a controller decides that is told of a first failure."""
    controller = BackoffController(policy)
    controller.start(now=now)
    return controller.record_failure(error, now=now, draw=draw)


def test_a_failure_waits_for_what_the_server_asked_of_another() -> None:
    """The longer of the two waits holds: the curve's, or what is left of the other's hint, spread as the hint itself."""
    policy = POLICY(cooldown=frozen(), backoff=constant(1))
    assert failed(policy, LimitedError(10)) == Wait(10.5, failed(POLICY, LimitedError(10)).classification)
    assert failed(policy, OSError("reset"), now=4.0).delay == 6.5
    assert failed(policy, OSError("reset"), now=9.0).delay == 1.5
    assert failed(policy, OSError("reset"), now=9.9).delay == 1.0
    assert failed(policy, LimitedError(20), now=9.9).delay == 21.0


def test_the_last_failure_of_a_call_holds_the_others_back_too() -> None:
    """A call that gives up has been told all the same."""
    policy = POLICY(cooldown=frozen(), attempts=1)
    assert failed(policy, LimitedError(10)).reason is Reason.ATTEMPTS
    assert policy.cooldown.left(0.0) == 10.0


def test_a_failure_that_cannot_wait_so_long_ends_at_once() -> None:
    """Past the deadline, or above max_hint, the end is HINT, with what is left of the server's hint."""
    cooldown = frozen()
    cooldown.hold(10)
    for policy in (POLICY(deadline=8), POLICY(max_hint=9)):
        end = failed(policy(cooldown=cooldown, backoff=constant(1)), OSError("reset"))
        assert isinstance(end, GaveUp) and (end.reason, end.hint) == (Reason.HINT, 10.0)
    assert failed(POLICY(cooldown=cooldown, max_hint=9, long_hints="cap"), OSError("reset")).delay == 9.0


def test_a_hint_above_max_hint_holds_back_as_long_as_the_call_waits() -> None:
    """Where it ends the call, it holds no other back; where it is capped, so is the cooldown."""
    stops = POLICY(cooldown=frozen(), max_hint=60)
    assert failed(stops, LimitedError(3600)).reason is Reason.HINT and not stops.cooldown.gate
    caps = stops(cooldown=frozen(), long_hints="cap")
    assert failed(caps, LimitedError(3600)).delay == 60.0 and caps.cooldown.left(0.0) == 60.0


def test_the_hint_of_a_pending_answer_holds_no_other_back() -> None:
    """`202 Accepted` with a Retry-After is about one job, not about the server; but a question waits for a cooldown."""
    from redouble import Classification, Verdict

    policy = POLICY(cooldown=frozen(), on=lambda error: Classification(Verdict.PENDING, retry_after=30.0), deadline=99)
    assert failed(policy, OSError("not ready")).delay == 31.5 and not policy.cooldown.gate
    policy.cooldown.hold(50)
    assert failed(policy, OSError("not ready")).delay == 52.5
    policy.cooldown.hold(98)
    assert failed(policy, OSError("not ready")).reason is Reason.HINT


def test_a_permanent_error_holds_no_other_back() -> None:
    """An error that is no rate limit says nothing to others, whatever hint it bears."""
    from redouble import Classification, Verdict

    policy = POLICY(cooldown=frozen(), on=lambda error: Classification(Verdict.PERMANENT, retry_after=30.0))
    assert failed(policy, OSError("no such account")).reason is Reason.PERMANENT
    assert not policy.cooldown.gate


def test_a_retry_that_was_held_back_takes_less_of_the_budget() -> None:
    """The server said when to come back, if to another call: 5/14 of a token."""
    budget, cooldown = RetryBudget(clock=lambda: 0.0), frozen()
    cooldown.hold(10)
    failed(POLICY(cooldown=cooldown, budget=budget), OSError("reset"))
    assert budget.snapshot()["spent"] == pytest.approx(5 / 14)


def test_a_controller_has_no_cooldown_of_its_own() -> None:
    """`cooldown=True` is a decorated function's: a controller of such a policy shares nothing."""
    assert failed(POLICY(cooldown=True), LimitedError(10)).delay == 10.5
