"""latest: what is pushed and when, what ends it, and what is left behind."""

# ruff: noqa: N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from redouble import (
    DeadlineExceeded,
    Reason,
    StillPending,
    Stopped,
    constant,
    current_attempt,
    deadline,
    exponential,
    latest,
    outcome,
    override,
    pending,
    poll,
    remaining,
    retry,
    transient,
)
from redouble.testing import FakeClock, fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

policy = retry(on=OSError, backoff=exponential(1, jitter=None))


class Owner:
    """Owns the state and the events; `play` runs a loop and does what is told by the clock."""

    def __init__(self, clock: FakeClock, colour: str) -> None:
        self.clock = clock
        self.colour = colour
        kind: Any = asyncio.Event if colour == "async" else threading.Event
        self.changed, self.closed = kind(), kind()
        self.stop = kind()
        self.state: Any = "a"
        self.pushed: list[tuple[float, Any]] = []
        self.events: list[Any] = []

    def publish(self, state: Any) -> None:
        self.state = state
        self.changed.set()

    def play(self, *does: Any, at: dict[float, Any] | None = None, policy: Any = policy, **options: Any) -> Any:
        """Run the loop with a push whose n-th call does the n-th of `does`: calls, raises or returns it."""
        script = list(does)
        closed = options.pop("closed", self.closed)

        def push(state: Any, **kwargs: Any) -> Any:
            self.pushed.append((self.clock.now(), state))
            what = script.pop(0)
            if not script and closed is not None:
                closed.set()
            return self.do(what)

        async def push_async(state: Any, **kwargs: Any) -> Any:
            return push(state, **kwargs)

        sends = {"sync": push, "async": push_async, "later": lambda state, **kwargs: push_async(state, **kwargs)}
        watched = policy(observers=[*policy.observers, self.events.append])
        get = options.pop("get", lambda: self.state)

        def loop() -> Any:
            return latest(get, sends[self.colour], self.changed, closed, watched, **options)

        return self.play_loop(loop, at or {})

    def do(self, what: Any) -> Any:
        if isinstance(what, BaseException) or (isinstance(what, type) and issubclass(what, BaseException)):
            raise what
        return what() if callable(what) else what

    def play_loop(self, loop: Callable[[], Any], at: dict[float, Any]) -> Any:
        if self.colour == "sync":
            return self.play_threads(loop, at)

        async def main() -> Any:
            for seconds, action in at.items():
                asyncio.get_running_loop().call_later(seconds, action)
            result = loop()
            return await result if result is not None else None

        return asyncio.run(main())

    def play_threads(self, loop: Callable[[], Any], at: dict[float, Any]) -> Any:
        """Run the loop, and act at these times: all are bound, and have begun before any waits."""
        begun = threading.Barrier(len(at) + 1)

        def later(seconds: float, action: Callable[[], object]) -> None:
            begun.wait(60)
            self.clock.sleep(seconds)
            action()

        owners = [threading.Thread(target=self.clock.bind(later), args=each) for each in at.items()]

        def run_beside() -> Any:
            for owner in owners:
                owner.start()
            begun.wait(60)
            try:
                return loop()
            finally:
                with self.clock.joining():
                    for owner in owners:
                        owner.join()

        return self.clock.bind(run_beside)()

    def kinds(self) -> list[str]:
        return [event.kind.name for event in self.events]


@pytest.fixture(params=["sync", "async", "later"])
def owner(request: pytest.FixtureRequest, clock: FakeClock) -> Owner:
    """Of each colour: sync, asyncio, and a plain function that gives coroutines, with thread events."""
    return Owner(clock, request.param)


# What is pushed, and when.


def test_at_once_and_after_every_change(owner: Owner) -> None:
    """The state that is there is pushed without waiting, then each one that is announced."""
    at = {10: lambda: owner.publish("b"), 20: lambda: owner.publish("c")}
    assert owner.play(None, None, None, at=at) is None
    assert owner.pushed == [(0.0, "a"), (10.0, "b"), (20.0, "c")]


def test_a_change_while_the_state_is_read_is_not_lost(owner: Owner) -> None:
    """The event is cleared before the state is read, so what changes after that is pushed as well."""
    reads: list[str] = []

    def get() -> str:
        reads.append(owner.state)
        if len(reads) == 1:
            owner.publish("b")
            return "a"
        return owner.state

    owner.play(None, None, get=get)
    assert owner.pushed == [(0.0, "a"), (0.0, "b")]


def test_a_change_that_came_before_the_loop_is_not_pushed_twice(owner: Owner) -> None:
    """What is announced by the time of the first push is what that pushes."""
    owner.publish("b")
    owner.play(None, None, at={5: lambda: owner.publish("c")})
    assert owner.pushed == [(0.0, "b"), (5.0, "c")]


def test_falsy_states_are_states(owner: Owner) -> None:
    """Only None is no state."""
    owner.state = 0
    owner.play(None, None, at={5: lambda: owner.publish("")})
    assert owner.pushed == [(0.0, 0), (5.0, "")]


def test_superseding_goes_on_with_the_curve(owner: Owner) -> None:
    """A change is tried at once, but what fails then waits longer: it is the server that is down."""
    at = {0.5: lambda: owner.publish("b"), 2: lambda: owner.publish("c")}
    owner.play(OSError(), OSError(), OSError(), None, at=at, supersede=True)
    assert owner.pushed == [(0.0, "a"), (0.5, "b"), (2.0, "c"), (6.0, "c")]
    assert [event.failures for event in owner.events] == [1, 2, 3, 3]


def test_superseded_by_no_state(owner: Owner) -> None:
    """When there is no state any more, what failed is given up, and the next state has a fresh curve."""
    at = {0.5: lambda: owner.publish(None), 9: lambda: owner.publish("b")}
    owner.play(OSError(), OSError(), None, at=at, supersede=True)
    assert owner.pushed == [(0.0, "a"), (9.0, "b"), (10.0, "b")]


def test_limits_hold_for_each_push(owner: Owner) -> None:
    """`attempts` and `deadline` begin again with every state; the error that used them up comes out."""
    error = OSError("down")
    at = {50: lambda: owner.publish("b")}
    with pytest.raises(OSError, match="down") as caught:
        owner.play(OSError(), OSError(), None, OSError(), OSError(), error, None, at=at, policy=policy(attempts=3))
    assert caught.value is error and outcome(error).attempts == 3  # type: ignore[union-attr]
    assert owner.pushed == [(0.0, "a"), (1.0, "a"), (3.0, "a"), (50.0, "b"), (51.0, "b"), (53.0, "b")]


def test_a_deadline_holds_for_each_push_and_not_between(owner: Owner) -> None:
    """A written deadline bounds the attempts of one push; waiting for a change takes as long as it takes."""
    at = {50: lambda: owner.publish("b")}
    with pytest.raises(OSError, match="down"):
        owner.play(OSError(), None, OSError(), OSError("down"), None, at=at, policy=policy(deadline=2.5))
    assert owner.pushed == [(0.0, "a"), (1.0, "a"), (50.0, "b"), (51.0, "b")]


def test_a_permanent_error_comes_out_itself(owner: Owner) -> None:
    """With one frame of ours in its traceback, also after failures."""
    error = KeyError("bug")
    with pytest.raises(KeyError) as caught:
        owner.play(OSError(), error, None)
    assert caught.value is error and owner.pushed == [(0.0, "a"), (1.0, "a")]
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert sum("redouble/loops" in name or "redouble/ways" in name or "redouble/calls" in name for name in files) == 1


def test_one_frame_of_ours_where_a_wait_ends_it(owner: Owner) -> None:
    """Also when a wait overslept the deadline."""
    error = OSError("down")
    slow = policy(deadline=20, observers=[lambda event: event.delay and owner.clock.advance(19.5)])
    with pytest.raises(OSError, match="down"):
        owner.play(error, None, policy=slow)
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert sum("redouble/loops" in name or "redouble/ways" in name or "redouble/calls" in name for name in files) == 1


def test_results_are_judged_by_the_policy(owner: Owner) -> None:
    """A value that its rules call transient is pushed again; one that stays so is let be, and the loop goes on."""
    judged = policy(result=transient(when=lambda value: value == "busy"), attempts=2)
    at = {50: lambda: owner.publish("b")}
    owner.play("busy", "ok", "busy", "busy", "ok", at=at | {60: lambda: owner.publish("c")}, policy=judged)
    assert owner.pushed == [(0.0, "a"), (1.0, "a"), (50.0, "b"), (51.0, "b"), (60.0, "c")]


def test_a_result_that_overslept_is_let_be(owner: Owner) -> None:
    """The deadline passed while an unwanted result was to be tried again: the loop waits for the next change."""
    slow = policy(
        result=transient(when=lambda value: value == "busy"),
        deadline=20,
        observers=[lambda event: event.delay and owner.clock.advance(19.5)],
    )
    owner.play("busy", "ok", at={50: lambda: owner.publish("b")}, policy=slow)
    assert [state for _, state in owner.pushed] == ["a", "b"]


def test_a_pending_result_is_asked_again(owner: Owner) -> None:
    """A push that the server has not finished with is repeated at the rule's pace, until the deadline."""
    judged = policy(result=pending(when=lambda value: value == "wait", every=3), deadline=10)
    with pytest.raises(StillPending):
        owner.play("wait", "wait", "wait", "wait", None, policy=judged)
    assert [when for when, _ in owner.pushed] == [0.0, 3.0, 6.0, 9.0]


def test_an_inner_give_up_is_a_failure_like_any_other(owner: Owner) -> None:
    """What a retried call within gave up on is pushed again."""
    inner = scripted(*[ConnectionResetError("down")] * 2, "ok")
    owner.play(lambda: retry(attempts=2, backoff=constant(0)).call(inner), None)
    assert owner.pushed == [(0.0, "a"), (1.0, "a")]


# What ends it.


@pytest.mark.parametrize("which", ["stop", "closed"])
def test_ended_before_the_beginning(owner: Owner, which: str) -> None:
    """Nothing is pushed after the end, not even first."""
    getattr(owner, which).set()
    assert owner.play(None, None, policy=policy(stop=owner.stop)) is None
    assert owner.pushed == []


@pytest.mark.parametrize("which", ["stop", "closed"])
@pytest.mark.parametrize("supersede", [False, True])
def test_ended_while_it_waits(owner: Owner, which: str, supersede: bool) -> None:
    """Stop and close are heard while it waits for a change, and the end is a normal one."""
    stop = getattr(owner, which).set
    assert owner.play(None, None, at={7: stop}, policy=policy(stop=owner.stop), supersede=supersede) is None
    assert owner.pushed == [(0.0, "a")] and owner.clock.now() == 7.0


@pytest.mark.parametrize("which", ["stop", "closed"])
@pytest.mark.parametrize("supersede", [False, True])
def test_ended_while_it_backs_off(owner: Owner, which: str, supersede: bool) -> None:
    """The wait after a failure ends as well, and an observer hears of the push that was given up."""
    stop, failures = getattr(owner, which).set, [OSError(), OSError(), OSError()]
    assert owner.play(*failures, None, at={2: stop}, policy=policy(stop=owner.stop), supersede=supersede) is None
    assert owner.pushed == [(0.0, "a"), (1.0, "a")] and owner.clock.now() == 2.0
    assert owner.kinds() == ["RETRY", "RETRY", "GIVE_UP"] and owner.events[-1].reason is Reason.STOPPED


def test_the_end_goes_before_a_change(owner: Owner) -> None:
    """What is announced together with the end is not pushed any more: whoever closes may push it himself."""

    def both() -> None:
        owner.publish("b")
        owner.closed.set()

    owner.play(None, None, at={5: both})
    assert owner.pushed == [(0.0, "a")]


def test_a_failure_after_the_end_is_not_raised(owner: Owner) -> None:
    """A push under way when the loop is closed may fail: the end is normal, and an observer hears of it."""

    def fails() -> None:
        owner.closed.set()
        raise OSError("closed")

    assert owner.play(fails, None) is None
    assert owner.kinds() == ["GIVE_UP"] and owner.events[0].reason is Reason.STOPPED


def test_a_permanent_error_is_raised_even_at_the_end(owner: Owner) -> None:
    """A bug is a bug."""
    with pytest.raises(KeyError):
        owner.play(KeyError("bug"))


@pytest.mark.parametrize("when", ["attempt", "wait"])
def test_a_pending_result_at_the_end(owner: Owner, when: str) -> None:
    """A push that is not finished with when the loop is told to end does not make that an error."""
    judged = policy(result=pending(when=lambda value: value == "wait", every=3))

    def waits() -> str:
        if when == "attempt":
            owner.closed.set()
        return "wait"

    assert owner.play(waits, None, policy=judged, at={1: owner.closed.set} if when == "wait" else {}) is None
    assert owner.pushed == [(0.0, "a")]


def test_a_loop_within_that_hears_the_stop_first(owner: Owner) -> None:
    """A push that polls with the same stop raises Stopped; that is the end, and no error."""
    stop = threading.Event()

    def polls() -> Any:
        stop.set()
        return poll(lambda: "no", retry(stop=stop), until=lambda value: value != "no")

    assert owner.play(polls, None, policy=policy(stop=stop)) is None
    with pytest.raises(Stopped):  # somebody else's stop is an error like any other
        owner.play(polls, None)


def test_a_deadline_around_it_ends_it(owner: Owner) -> None:
    """Waiting for a change ends with the scope, normally."""
    with deadline(7) as limit:
        assert owner.play(None, None) is None
    assert limit.expired and owner.clock.now() == 7.0


def test_a_deadline_around_it_bounds_a_push(owner: Owner) -> None:
    """A failing push ends with its error, when the next attempt would come too late."""
    with deadline(8) as limit, pytest.raises(OSError, match="down") as caught:
        owner.play(*[OSError("down")] * 9)
    assert limit.ended(caught.value) and not limit.expired and owner.clock.now() == 7.0


def test_an_enclosing_call_bounds_it(clock: FakeClock) -> None:
    """A retried call around it lends its deadline, as to any retried call within."""
    outer = retry(deadline=9, attempts=1)
    outer.call(latest, lambda: 1, lambda state: None, threading.Event(), policy=policy)
    assert clock.now() == 9.0

    async def within() -> None:
        with pytest.raises(OSError, match="down"):
            await latest(lambda: 1, scripted(*[OSError("down")] * 9, asynchronous=True), asyncio.Event(), policy=policy)

    asyncio.run(outer.call(within))
    assert clock.now() == 16.0


def test_an_override_holds(owner: Owner) -> None:
    """Its fields win, its observers are added once, and its stop is heard."""
    heard: list[str] = []
    with override(stop=owner.stop, backoff=constant(9), observers=[lambda event: heard.append(event.kind.name)]):
        owner.play(OSError(), None, None, at={20: owner.stop.set}, policy=policy(name="x"))
    assert owner.pushed == [(0.0, "a"), (9.0, "a")] and heard == ["RETRY", "SUCCESS"]
    assert owner.kinds() == heard and owner.events[0].name == "x" and owner.clock.now() == 20.0


def test_without_closed_only_the_stop_ends_it(owner: Owner) -> None:
    """`closed=None` is for those who stop by the policy."""
    owner.play(
        None,
        OSError(),
        None,
        None,
        at={3: owner.changed.set, 9: owner.stop.set},
        closed=None,
        policy=policy(stop=owner.stop),
    )
    assert [when for when, _ in owner.pushed] == [0.0, 3.0, 4.0] and owner.clock.now() == 9.0


# In asyncio.


def test_a_push_that_hangs_is_cut_off(clock: FakeClock) -> None:
    """By attempt_timeout, which is a failure, and by a written deadline."""
    pushed: list[float] = []

    async def push(state: object) -> None:
        pushed.append(clock.now())
        if len(pushed) == 1:
            await asyncio.sleep(99)
        closed.set()

    async def hangs(state: object) -> None:
        await asyncio.sleep(99)

    closed = asyncio.Event()
    timed = retry(attempt_timeout=3, backoff=constant(1))
    asyncio.run(latest(lambda: 1, push, asyncio.Event(), closed, timed))
    assert pushed == [0.0, 4.0]
    with pytest.raises(DeadlineExceeded):
        asyncio.run(latest(lambda: 1, hangs, asyncio.Event(), None, retry(deadline=3)))
    assert clock.now() == 7.0


def test_cancelled_anywhere(clock: FakeClock) -> None:
    """In a push, while backing off and while waiting for a change a cancellation passes, and nothing is pushed after."""

    async def main() -> None:
        for does, after in (([HANGS], 1), ([OSError()], 0.5), ([None], 1), ([OSError(), HANGS], 2)):
            calls: list[object] = []

            async def push(state: object, does: list[Any] = does, calls: list[object] = calls) -> None:
                what = does[len(calls)]
                calls.append(state)
                if what is HANGS:
                    await asyncio.sleep(99)
                elif what is not None:
                    raise what

            task = asyncio.create_task(latest(lambda: 1, push, asyncio.Event(), asyncio.Event(), policy))
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(99)
            assert len(calls) == len(does)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    HANGS = object()
    asyncio.run(main())


def test_others_run_where_nothing_waits(clock: FakeClock) -> None:
    """A push that never suspends, and changes that never end, do not keep other tasks, or a cancellation, out."""

    async def main() -> None:
        for fails in (False, True):
            changed = asyncio.Event()

            def push(state: object, fails: bool = fails, changed: asyncio.Event = changed) -> None:
                changed.set()
                if fails:
                    raise OSError("down")

            task = asyncio.create_task(latest(lambda: 1, push, changed, None, policy, supersede=True))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_an_asyncio_event_makes_it_asynchronous(clock: FakeClock) -> None:
    """Whatever `push` is: nothing else could wait for such an event."""
    pushed: list[int] = []
    closed = asyncio.Event()

    def push(state: int) -> None:
        pushed.append(state)
        closed.set()

    async def main() -> None:
        await latest(lambda: 1, push, threading.Event(), closed, policy)
        await latest(lambda: 2, push, asyncio.Event(), closed, policy)
        with override(stop=closed):
            await latest(lambda: 2, push, threading.Event(), None, policy)

    asyncio.run(main())
    assert pushed == [1]


def test_a_push_may_become_asynchronous_later(clock: FakeClock) -> None:
    """What comes back decides, at any attempt: what failed before still counts."""
    sends: list[Any] = [OSError(), scripted(OSError("again"), asynchronous=True), scripted(None, asynchronous=True)]
    closed = threading.Event()

    def push(state: int) -> Any:
        if len(sends) == 1:
            closed.set()
        send = sends.pop(0)
        if isinstance(send, OSError):
            raise send
        return send(state)

    rest = latest(lambda: 1, push, threading.Event(), closed, policy)
    assert clock.sleeps == [1.0]
    asyncio.run(rest)
    assert clock.sleeps == [1.0, 2.0]


def test_a_blocked_event_loop_is_told_of(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A synchronous loop in a running event loop is a mistake that is logged once, with what to write instead."""
    closed = threading.Event()

    async def main() -> None:
        for _ in range(2):
            latest(lambda: 1, scripted(OSError(), None), threading.Event(), None, policy(name="held up", stop=closed))

    closing = threading.Thread(target=clock.bind(lambda: (clock.sleep(5), closed.set())))
    closing.start()
    asyncio.run(main())
    closing.join()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and warnings[0].startswith("held up: a synchronous loop holds up the running event loop")


# What goes wrong around it.


def test_what_get_raises_comes_out(owner: Owner) -> None:
    """Reading the state is the owner's own business: nothing is retried."""

    def get() -> str:
        if owner.changed.is_set() or owner.pushed:
            raise OSError("unreadable")
        return "a"

    with pytest.raises(OSError, match="unreadable"):
        owner.play(None, None, at={5: owner.changed.set}, get=get)
    owner.pushed.clear()
    owner.changed, owner.closed = type(owner.changed)(), type(owner.closed)()  # an asyncio.Event belongs to its loop
    with pytest.raises(OSError, match="unreadable"):
        owner.play(OSError("down"), None, at={0.5: owner.changed.set}, get=get, supersede=True)
    assert len(owner.pushed) == 1


def test_what_is_no_exception_passes(owner: Owner) -> None:
    """Ctrl-C ends it, whatever the rules."""
    with pytest.raises(KeyboardInterrupt):
        owner.play(KeyboardInterrupt, None, policy=retry(on=lambda error: True))


class Broken(FakeClock):
    """A clock that cannot wait."""

    def sleep(self, seconds: float, stop: Any = None) -> None:
        raise RuntimeError("no time")

    async def sleep_async(self, seconds: float, stop: Any = None) -> None:
        raise RuntimeError("no time")


def test_a_clock_that_fails_hides_no_error(owner: Owner) -> None:
    """What cannot be waited for ends the push with the error that it had."""
    with pytest.raises(OSError, match="down"), override(clock=Broken()):
        owner.play(OSError("down"), None)


class Interrupted(threading.Event):
    """An event during whose wait a signal handler raises."""

    looks = 0

    def wait(self, timeout: float | None = None) -> bool:
        raise InterruptedError("by a signal")

    def is_set(self) -> bool:
        self.looks += 1
        if self.looks > 3:
            raise InterruptedError("by a signal")
        return False


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_a_signal_handler_raises_passes(asynchronous: bool) -> None:
    """On the system's clock an error in a wait is the caller's, not the clock's."""
    push = scripted(OSError("down"), None, asynchronous=asynchronous)
    with pytest.raises(InterruptedError):
        loop = latest(lambda: 1, push, threading.Event(), Interrupted(), retry(on=OSError, backoff=constant(9)))
        asyncio.run(loop)  # type: ignore[arg-type]  # of the synchronous one nothing is left by now
    assert len(push.calls) == 1


def test_a_push_finds_its_attempt_and_what_is_left(owner: Owner) -> None:
    """As in any retried call; between two pushes nothing bounds."""
    found: list[Any] = []

    def note() -> None:
        found.append((current_attempt().number, remaining()))
        if len(found) == 1:
            raise OSError

    owner.play(note, note, note, at={60: owner.changed.set}, policy=policy(deadline=5))
    assert found == [(1, 5.0), (2, 4.0), (1, 5.0)] and remaining() is None


def test_timeout_as_hands_out_what_is_left(clock: FakeClock) -> None:
    """A synchronous push is told its time; one that takes none is refused."""
    given: list[float] = []
    closed = threading.Event()

    def push(state: int, timeout: float = 0.0) -> None:
        given.append(timeout)
        if len(given) == 2:
            closed.set()
        raise OSError

    latest(lambda: 1, push, threading.Event(), closed, policy(attempt_timeout=9, timeout_as="timeout"))
    assert given == [9.0, 9.0]
    with pytest.raises(TypeError, match="timeout_as must name a keyword"):
        latest(lambda: 1, lambda state: None, threading.Event(), None, policy(timeout_as="timeout"))


class Refs(list[Any]):
    """What was made, to see whether it is still there."""

    def keep(self, thing: Any) -> Any:
        self.append(weakref.ref(thing))
        return thing

    @property
    def alive(self) -> list[Any]:
        return [ref() for ref in self if ref() is not None]


class State: ...


class Failure(OSError): ...


def test_nothing_is_held_on_to(clock: FakeClock) -> None:
    """While it waits for a change, neither the state that was pushed nor any error is alive; nor at the end."""
    refs, changed, closed = Refs(), threading.Event(), threading.Event()
    looked: list[int] = []

    def push(state: Any) -> None:
        if len(refs) % 3:
            raise refs.keep(Failure())

    def own() -> None:
        while not closed.is_set():
            clock.sleep(60)
            looked.append(len(refs) - len(refs.alive))
            (closed if len(refs) >= 9 else changed).set()

    owning = threading.Thread(target=clock.bind(own))
    gc.collect()
    gc.disable()
    try:
        owning.start()
        latest(lambda: refs.keep(State()), push, changed, closed, policy)
        owning.join()
        assert looked == [3, 6, 9]
    finally:
        gc.enable()


def test_nothing_is_held_on_to_in_asyncio(clock: FakeClock) -> None:
    """The same for tasks: and no task is left."""

    async def main() -> None:
        refs, changed, closed = Refs(), asyncio.Event(), asyncio.Event()

        async def push(state: Any) -> None:
            if len(refs) % 3:
                raise refs.keep(Failure())

        task = asyncio.create_task(latest(lambda: refs.keep(State()), push, changed, closed, policy))
        for count in (3, 6, 9):
            await asyncio.sleep(60)
            assert (len(refs), refs.alive) == (count, [])
            (closed if count == 9 else changed).set()
        await task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


# What is refused.


class Half:
    def is_set(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, print, threading.Event()), "get must be a callable, got None"),
        ((asyncio.sleep, print, threading.Event()), "get must be a plain function"),
        ((print, None, threading.Event()), "push must be a callable, got None"),
        ((print, print, None), "changed must be a threading.Event or an asyncio.Event, got None"),
        ((print, print, threading.Event), "changed must be a threading.Event or an asyncio.Event, got <class"),
        ((print, print, Half()), "changed must be a threading.Event or an asyncio.Event"),
        (
            (print, print, threading.Event(), 5),
            "closed must be a threading.Event, an asyncio.Event or a trio.Event, got 5",
        ),
        ((print, print, threading.Event(), None, 5), "policy must be a RetryPolicy such as retry.attempts=5., got 5"),
        ((print, print, threading.Event(), None, retry(attempt_timeout=3)), "attempt_timeout cannot cut off"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, message: str) -> None:
    """Before anything is called, by a message that names argument, rule and value."""
    with pytest.raises(TypeError, match=message):
        latest(*arguments)


def test_wrong_keywords_are_refused() -> None:
    """Nothing is configured by truthiness, and a generator is no push."""
    with pytest.raises(TypeError, match="supersede must be True or False, got 1"):
        latest(print, print, threading.Event(), supersede=1)  # type: ignore[call-overload]

    def pages(state: int) -> Iterator[int]:
        yield state

    with pytest.raises(TypeError, match="is a generator function"):
        latest(lambda: 1, pages, threading.Event())


# The two colours are twins.


def test_a_get_that_gives_something_to_await_is_refused() -> None:
    """A coroutine is no state: it is refused by name, and nothing is pushed."""

    async def read() -> str:
        return "a"

    pushed: list[object] = []
    closed = threading.Event()
    push = lambda state: (pushed.append(state), closed.set())  # noqa: E731
    get: Any = lambda: read()  # noqa: E731  # hides what it is
    with fake_time(), pytest.raises(TypeError, match="get gives something to await; it must answer at once"):
        latest(get, push, threading.Event(), closed, retry(on=Exception))
    assert pushed == []


def test_a_trio_event_closes_a_loop() -> None:
    """On trio `closed` may be trio's own event, which ends the wait for a change."""
    pushed: list[object] = []

    async def push(state: str) -> None:
        pushed.append(state)

    async def main() -> None:
        closed = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: latest(lambda: "a", push, threading.Event(), closed))
            await trio.testing.wait_all_tasks_blocked(0.01)
            closed.set()

    with fake_time() as clock:
        trio.run(main, clock=clock.trio)
    assert pushed == ["a"]


def test_a_trio_event_tells_of_no_change() -> None:
    """It cannot be cleared: refused, with what to take instead."""
    with pytest.raises(TypeError, match=r"on trio it is a threading.Event, as trio's own cannot be cleared"):
        latest(lambda: "a", print, trio.Event())  # type: ignore[call-overload]
