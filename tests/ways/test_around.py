"""Who is around a call, wherever it runs: greenlets, bare threads, iterators in between, eager tasks, copied contexts."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import _thread
import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import Reason, constant, current_attempt, deadline, outcome, override, remaining, retry, transient
from redouble.testing import FakeClock, scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

policy = retry(attempts=3, on=OSError, backoff=constant(1))


pytestmark = pytest.mark.usefixtures("clock")


def fails() -> None:
    raise OSError("down")


class Flaky:
    """An operation that fails twice, and tells each time what is around it; on a clock of its own, as contexts differ."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.seen: list[Any] = []
        self.call = policy(clock=self.clock, deadline=10)(self.attempt)

    def attempt(self) -> str:
        attempt = current_attempt()
        self.seen.append((attempt and attempt.number, remaining()))
        if len(self.seen) < 3:
            fails()
        return "body"

    def was_retried(self) -> bool:
        return self.seen == [(1, 10.0), (2, 9.0), (3, 8.0)] and self.clock.sleeps == [1.0, 1.0]


# Frames without a caller.


def test_the_first_function_of_a_greenlet() -> None:
    """It has no frame beneath it, and is retried as anywhere; what it fails with comes out."""
    greenlet = pytest.importorskip("greenlet").greenlet
    flaky = Flaky()
    assert greenlet(flaky.call).switch() == "body" and flaky.was_retried()
    with pytest.raises(OSError, match="down") as caught:
        greenlet(policy(clock=FakeClock())(fails)).switch()
    end = outcome(caught.value)
    assert end is not None and (end.reason, end.attempts) == (Reason.ATTEMPTS, 3)


def test_the_first_function_of_gevents() -> None:
    """`gevent.spawn(f)` of a decorated function is retried."""
    gevent = pytest.importorskip("gevent")
    flaky = Flaky()
    assert gevent.spawn(flaky.call).get() == "body" and flaky.was_retried()


def test_greenlets_that_take_turns() -> None:
    """Greenlets have contexts of their own: what is around one is not around another that runs in between."""
    greenlet = pytest.importorskip("greenlet").greenlet
    seen: list[Any] = []

    def work(name: str) -> None:
        for attempt in policy(clock=FakeClock(), name=name):
            with attempt:
                main.switch()
                seen.append((name, current_attempt() is attempt))
        seen.append((name, current_attempt()))

    main = pytest.importorskip("greenlet").getcurrent()
    one, other = greenlet(lambda: work("one")), greenlet(lambda: work("other"))
    for each in (one, other, one, other):
        each.switch()
        assert current_attempt() is None
    assert seen == [("one", True), ("one", None), ("other", True), ("other", None)]


def test_the_first_function_of_a_bare_thread() -> None:
    """`_thread.start_new_thread` calls it without any frame of Python's."""
    flaky, done = Flaky(), threading.Event()
    flaky.call = policy(clock=flaky.clock, deadline=10)(lambda: (flaky.attempt(), done.set())[0])
    _thread.start_new_thread(flaky.call, ())
    assert done.wait(10) and flaky.was_retried()


def test_the_first_function_of_an_exit() -> None:
    """A decorated function that `atexit` calls is retried too, and so is what it calls."""
    code = (
        "import atexit, sys\n"
        "from redouble import constant, current_attempt, retry\n"
        "policy = retry(attempts=3, on=OSError, backoff=constant(0), observers=None)\n"
        "def flush():\n"
        "    print(current_attempt().number)\n"
        "    if current_attempt().number < 3:\n"
        "        raise OSError('down')\n"
        "atexit.register(policy(flush))\n"
        "atexit.register(lambda: policy.call(flush))\n"
    )
    place = redouble.__path__[0].rpartition("redouble")[0]
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {place!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["1", "2", "3"] * 2 and done.stderr == ""


def test_the_depth_of_the_stack_costs_nothing() -> None:
    """A failing call makes the same number of calls at any depth: no frame is walked."""

    def at(depth: int) -> int:
        return at(depth - 1) if depth else counted()

    def counted() -> int:
        calls = 0

        def count(frame: Any, event: str, arg: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            with suppress(OSError):
                call()
        finally:
            sys.setprofile(None)
        return calls

    call = retry(attempts=2, on=OSError, backoff=constant(0), observers=None)(fails)
    at(0)  # what is loaded by the first failure
    assert at(0) == at(10) == at(400)


# Iterators in between.


def logged(attempts: Iterable[Any]) -> Iterator[Any]:
    """Pass attempts on, as a progress bar does."""
    yield from (attempt for attempt in attempts)


def test_a_generator_that_passes_attempts_on(clock: FakeClock) -> None:
    """The body is in the attempt whoever handed it out: what is nested is bound by it."""
    inner = policy(attempts=20, deadline=None, backoff=constant(5))
    with pytest.raises(OSError) as caught:
        for attempt in logged(enumerate_attempts(policy(deadline=12, attempts=1))):
            with attempt:
                assert current_attempt() is attempt and remaining() == 12.0
                inner.call(fails)
    assert clock.now() == 10.0 and caught.value.args == ("down",)


def enumerate_attempts(attempts: Iterable[Any]) -> Iterator[Any]:
    for _, attempt in enumerate(attempts):
        yield attempt


def test_an_iterator_in_a_helper(clock: FakeClock) -> None:
    """The helper that asks for the attempt returns before the body runs: only the body is in it."""

    def helper(attempts: Iterator[Any]) -> Any:
        return next(attempts)

    elsewhere: list[Any] = []

    def another() -> None:
        times = FakeClock()
        with pytest.raises(OSError):
            policy(clock=times, backoff=constant(10)).call(fails)
        elsewhere.append((current_attempt(), remaining(), times.now()))

    with helper(iter(policy(deadline=5))) as attempt:
        assert current_attempt() is attempt and remaining() == 5.0
        thread = threading.Thread(target=Context().run, args=(another,))
        thread.start()
        thread.join()
    assert elsewhere == [(None, None, 20.0)] and current_attempt() is None


def test_an_attempt_that_another_task_asked_for(clock: FakeClock) -> None:
    """`ensure_future(aiter(p).__anext__())`: the attempt is around the body that enters it, and around no other task."""
    others: list[Any] = []

    async def another() -> None:
        others.append((current_attempt(), remaining()))

    async def main() -> None:
        unrelated = [asyncio.create_task(another()) for _ in range(5)]
        attempt = await asyncio.ensure_future(aiter(policy(deadline=5)).__anext__())  # type: ignore[arg-type]
        assert current_attempt() is None
        unrelated += [asyncio.create_task(another()) for _ in range(5)]
        with attempt:
            assert current_attempt() is attempt and remaining() == 5.0
            await asyncio.gather(*unrelated)
        assert current_attempt() is None

    asyncio.run(main())
    assert others == [(None, None)] * 10


def test_a_generator_that_yields_within_its_attempt(clock: FakeClock) -> None:
    """Its consumer sees the attempt as it sees every context variable, until the generator is closed."""

    def rows() -> Iterator[int]:
        for attempt in policy(deadline=5):
            with attempt:
                yield from range(3)

    found = rows()
    assert next(found) == 0
    attempt = current_attempt()
    assert attempt is not None and remaining() == 5.0
    found.close()
    assert current_attempt() is None and remaining() is None


def test_a_generator_that_is_exhausted_within_its_attempt(clock: FakeClock) -> None:
    """When it has come to its end nothing of it is left around its consumer."""

    def rows() -> Iterator[int]:
        for attempt in policy(deadline=5):
            with attempt:
                yield from range(3)

    assert [(row, remaining()) for row in rows()] == [(0, 5.0), (1, 5.0), (2, 5.0)]
    assert current_attempt() is None and remaining() is None


# Tasks.


async def asks() -> tuple[int | None, float | None]:
    attempt = current_attempt()
    return attempt and attempt.number, remaining()


@pytest.mark.parametrize(
    "way",
    [
        lambda: asks(),
        lambda: asyncio.wait_for(asks(), 5),
        lambda: asyncio.create_task(asks()),
        lambda: asyncio.shield(asks()),
        lambda: asyncio.wait_for(asyncio.shield(asyncio.wait_for(asks(), 5)), 5),
    ],
    ids=["await", "wait_for", "create_task", "shield", "all"],
)
def test_what_a_retried_coroutine_awaits(way: Callable[[], Awaitable[Any]]) -> None:
    """However it is awaited, and on every Python alike, it sees the attempt and what is left."""

    async def operation() -> Any:
        return await way()

    assert asyncio.run(policy(deadline=10).call(operation)) == (1, 10.0)


def test_tasks_in_threads_see_the_attempt() -> None:
    """`to_thread` copies the context, and `copy_context().run` does so by hand; a bare executor does not."""

    async def operation() -> list[Any]:
        loop = asyncio.get_running_loop()
        ways = [
            asyncio.to_thread(remaining),
            loop.run_in_executor(None, copy_context().run, remaining),
            loop.run_in_executor(None, Context().run, remaining),
        ]
        return list(await asyncio.gather(*ways))

    assert asyncio.run(policy(deadline=10).call(operation)) == [10.0, 10.0, None]


def background(factory: Any) -> list[Any]:
    """What a task that an attempt starts, and leaves running, sees during and after that attempt."""
    seen: list[Any] = []

    async def task(over: asyncio.Event) -> None:
        seen.append(await asks())
        await over.wait()
        seen.append(await asks())
        with suppress(OSError):
            await policy(backoff=constant(10)).call(later)

    async def later() -> None:
        fails()

    async def operation(over: asyncio.Event) -> asyncio.Task[None]:
        return asyncio.create_task(task(over))

    async def main() -> None:
        if factory is not None:
            asyncio.get_running_loop().set_task_factory(factory)
        over = asyncio.Event()
        started = await policy(deadline=5).call(operation, over)
        over.set()
        await started

    asyncio.run(main())
    return seen


@pytest.mark.parametrize("eager", [False, True])
def test_a_task_that_outlives_its_attempt(clock: FakeClock, eager: bool) -> None:
    """An attempt bounds the tasks that it starts while it is under way, and not for ever; eager tasks likewise."""
    if eager and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    factory = asyncio.eager_task_factory if eager else None  # type: ignore[attr-defined]
    seen = background(factory)
    assert seen[:2] == ([(1, 5.0)] if eager else [(None, None)]) + [(None, None)]
    assert clock.now() == 20.0  # three attempts, 10 s apart: the deadline of 5 s that started them is over


# Pickled and compiled code.


@pytest.mark.parametrize("given", [retry, retry(deadline=10), retry(timeout_as="timeout")], ids=str)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_function_that_was_pickled_by_value(given: Any, asynchronous: bool) -> None:
    """A decorated function that went through cloudpickle is retried, and sees the same as before."""
    cloudpickle = pytest.importorskip("cloudpickle")
    import pickle

    def told(seen: list[Any], timeout: float = 60) -> None:
        import redouble

        attempt = redouble.current_attempt()
        seen.append((attempt and attempt.number, redouble.remaining()))
        if len(seen) < 3:
            raise ConnectionResetError

    async def told_later(seen: list[Any], timeout: float = 60) -> None:
        told(seen)

    with override(backoff=constant(0)):
        before: list[Any] = []
        after: list[Any] = []
        decorated = given(attempts=3)(told_later if asynchronous else told)
        for call, seen in ((decorated, before), (pickle.loads(cloudpickle.dumps(decorated)), after)):
            asyncio.run(call(seen)) if asynchronous else call(seen)
    assert before == after and [number for number, _ in after] == [1, 2, 3]


def test_code_without_frames_that_tell() -> None:
    """Attempts are found where locals cannot be read: in code that `exec` made, and behind C functions."""
    found: list[Any] = []
    names = {"policy": policy(deadline=7), "found": found, "remaining": remaining}
    exec("for attempt in policy:\n with attempt:\n  found.extend(map(remaining, [None]))", names)
    assert found == [7.0]


def test_sync_code_that_awaits_by_greenlets(clock: FakeClock) -> None:
    """SQLAlchemy's way: synchronous code in a greenlet that switches back to its coroutine for whatever is awaited."""
    greenlets = pytest.importorskip("greenlet")

    class Spawned(greenlets.greenlet):  # type: ignore[misc,name-defined]
        def __init__(self, fn: Callable[..., Any]) -> None:
            super().__init__(fn, greenlets.getcurrent())
            self.gr_context = greenlets.getcurrent().gr_context

    async def run_sync(fn: Callable[..., Any]) -> Any:
        spawned = Spawned(fn)
        result = spawned.switch()
        while not spawned.dead:
            try:
                value = await result
            except BaseException:
                result = spawned.throw(*sys.exc_info())
            else:
                result = spawned.switch(value)
        return result

    def await_only(awaitable: Awaitable[Any]) -> Any:
        return greenlets.getcurrent().parent.switch(awaitable)

    query = scripted(OSError("gone"), "rows", asynchronous=True)
    told: list[Any] = []

    @policy(backoff=constant(0))
    def fetch() -> Any:
        told.append((asked(), remaining()))
        rows = await_only(query())
        told.append((asked(), remaining()))
        return rows

    def asked() -> int | None:
        attempt = current_attempt()
        return attempt and attempt.number

    def work() -> Any:
        told.append(("work", asked(), remaining()))
        rows = fetch()
        told.append(("work", asked(), remaining()))
        return rows

    outer = policy(deadline=10)
    assert asyncio.run(outer.call(run_sync, work)) == "rows"
    assert told == [("work", 1, 10.0), (1, 10.0), (2, 10.0), (2, 10.0), ("work", 1, 10.0)]


# What is left behind.


class Thing:
    """An argument that can be watched."""


@pytest.mark.parametrize("who", ["observer", "rule", "operation"])
def test_asking_leaves_no_cycle(who: str) -> None:
    """An observer, a rule or an operation that asks for what is around it leaves nothing for the garbage collector."""

    def ask(*_: Any) -> None:
        remaining()
        current_attempt()

    def judge(error: BaseException) -> bool:
        ask()
        return True

    def operation(thing: Thing) -> None:
        if who == "operation":
            ask()
        fails()

    on = judge if who == "rule" else OSError
    call = retry(attempts=2, on=on, deadline=60, backoff=constant(0), observers=[ask] if who == "observer" else ())
    decorated = call(operation)

    def once() -> weakref.ref[Thing]:
        thing = Thing()
        with suppress(OSError):
            decorated(thing)
        return weakref.ref(thing)

    for _ in range(2):  # what the first failure loads, and what still held the clock of the test before
        once()
        gc.collect()
    gc.disable()
    try:
        assert once()() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["decorator", "call", "block", "coroutine"])
def test_a_context_that_outlives_a_call_keeps_nothing_alive(way: str) -> None:
    """A context that was copied within an attempt holds no argument, error, result or function of it afterwards."""
    kept: list[Context] = []

    class ThingError(OSError):
        pass

    def operation(thing: Thing, error: ThingError) -> None:
        kept.append(copy_context())
        raise error

    async def coroutine(thing: Thing, error: ThingError) -> None:
        operation(thing, error)

    def run(thing: Thing, error: ThingError) -> None:
        if way == "decorator":
            policy(operation)(thing, error)
        elif way == "call":
            policy(deadline=90).call(operation, thing, error)
        elif way == "coroutine":
            asyncio.run(policy(deadline=90).call(coroutine, thing, error))
        else:
            for attempt in policy(deadline=90):
                with attempt:
                    operation(thing, error)

    def once() -> list[weakref.ref[Any]]:
        thing, error = Thing(), ThingError("down")
        with suppress(ThingError):
            run(thing, error)
        return [weakref.ref(thing), weakref.ref(error)]

    watched = once()
    gc.collect()
    assert [each() for each in watched] == [None, None] and len(kept) >= 2
    assert kept[0].run(current_attempt) is None and kept[0].run(remaining) is None


def test_a_scope_that_expired_bounds_what_began_beneath(clock: FakeClock) -> None:
    """A call that began beneath it goes on being bound after it was left; one that begins later is free."""
    ended: list[Any] = []

    def begun_beneath() -> None:
        operation = scripted(*[OSError("down")] * 9)

        def attempt() -> None:
            beneath.set()
            left.wait(10)
            operation()

        with pytest.raises(OSError) as caught:
            policy(attempts=9).call(attempt)
        ended.append(outcome(caught.value))

    beneath, left = threading.Event(), threading.Event()
    with deadline(5) as limit:
        context = copy_context()
        thread = threading.Thread(target=context.run, args=(begun_beneath,))
        thread.start()
        assert beneath.wait(10)
        clock.advance(6)
    assert limit.expired
    left.set()
    thread.join()
    assert (ended[0].reason, ended[0].attempts, ended[0].limit) == (Reason.DEADLINE, 1, "scope")
    assert context.run(remaining) is None
    with pytest.raises(OSError) as caught:
        context.run(policy.call, fails)
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.ATTEMPTS


def test_a_scope_that_ended_in_time_bounds_nothing_any_more(clock: FakeClock) -> None:
    """What was left before its time was over bounds no call, not even one that began beneath it."""
    operation = scripted(OSError("down"), OSError("down"), "body")
    scope = deadline(1.5)
    scope.__enter__()
    for attempt in policy:
        with attempt:
            assert remaining() == (1.5 if attempt.number == 1 else None)
            scope.__exit__()
            operation()
    assert len(operation.calls) == 3 and clock.now() == 2.0


# Exits in another order, and elsewhere.


def scopes() -> list[Any]:
    """One scope of each kind, each of which bounds or changes something that can be asked for."""
    return [deadline(5), override(attempts=7), deadline(9)]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], ids=str)
def test_scopes_end_in_any_order(clock: FakeClock, order: tuple[int, ...]) -> None:
    """Each exit takes out its own scope, and brings nothing back."""
    opened = scopes()
    for each in opened:
        each.__enter__()
    open_ = {0, 1, 2}
    for number in order:
        opened[number].__exit__(None, None, None)
        open_.remove(number)
        bounds = [left for index, left in ((0, 5.0), (2, 9.0)) if index in open_]
        assert remaining() == (min(bounds) if bounds else None)
    assert current_attempt() is None


def in_thread(fn: Callable[[], None]) -> None:
    thread = threading.Thread(target=fn)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "elsewhere",
    [in_thread, lambda fn: Context().run(fn), lambda fn: copy_context().run(fn)],
    ids=["a thread", "another context", "a copy"],
)
def test_scopes_end_elsewhere(clock: FakeClock, elsewhere: Callable[[Callable[[], None]], None]) -> None:
    """A scope that is left in another thread or context is over here as well."""
    scope, around = deadline(5), deadline(9)
    around.__enter__()
    scope.__enter__()
    assert remaining() == 5.0
    elsewhere(lambda: scope.__exit__(None, None, None))
    assert remaining() == 9.0
    elsewhere(lambda: around.__exit__(None, None, None))
    assert remaining() is None


def test_scopes_end_in_another_task(clock: FakeClock) -> None:
    """A scope that one task opened, and another one left, is over in both."""
    told: list[Any] = []

    async def closes(scope: deadline) -> None:
        told.append(remaining())
        scope.__exit__(None, None, None)
        told.append(remaining())

    async def main() -> None:
        scope = deadline(5)
        scope.__enter__()
        await asyncio.create_task(closes(scope))
        told.append(remaining())

    asyncio.run(main())
    assert told == [5.0, None, None]


def test_second_exits_are_harmless(clock: FakeClock) -> None:
    """Leaving once more changes nothing, for the scope itself and for those that were opened since."""
    first, second = deadline(5), override(attempts=1)
    with first, second:
        pass
    with deadline(7):
        for scope in (first, second, first):
            scope.__exit__(None, None, None)
        assert remaining() == 7.0
    assert not first.expired and remaining() is None


def test_attempts_that_end_in_another_order(clock: FakeClock) -> None:
    """Blocks whose bodies end crosswise, as those of generators do, leave each other alone."""
    outer, inner = iter(policy(deadline=9)), iter(policy(deadline=5))
    one, two = next(outer), next(inner)
    one.__enter__()
    two.__enter__()
    assert current_attempt() is two and remaining() == 5.0
    one.__exit__(None, None, None)
    assert current_attempt() is two and remaining() == 5.0
    two.__exit__(None, None, None)
    assert current_attempt() is None and remaining() is None


# What a mark tells from.


def test_an_inner_give_up_is_known_across_copied_contexts(clock: FakeClock) -> None:
    """In a task or a thread with a copy of the context the inner call is beneath the attempt."""

    async def inner() -> None:
        await asyncio.to_thread(policy(backoff=constant(0)).call, fails)

    with pytest.raises(OSError) as caught:
        asyncio.run(policy.call(inner))
    end = outcome(caught.value)
    assert end is not None and (end.reason, end.attempts) == (Reason.NESTED, 1)


def test_an_inner_give_up_is_known_in_a_context_of_its_own(clock: FakeClock) -> None:
    """Where the inner call knows no attempt around it, its time decides: it began during the attempt."""
    inner = policy(clock=FakeClock())

    def operation() -> None:
        Context().run(inner.call, fails)

    with pytest.raises(OSError) as caught:
        policy.call(operation)
    end = outcome(caught.value)
    assert end is not None and (end.reason, end.attempts) == (Reason.NESTED, 1)


def test_an_error_of_before_is_a_fresh_failure(clock: FakeClock) -> None:
    """An error on which another call gave up earlier, and that is raised again, is retried as any other."""
    error = OSError("down")
    with pytest.raises(OSError):
        policy(on=transient(OSError)).call(scripted(error, error, error))
    operation = scripted(error, "body")
    assert policy.call(operation) == "body" and len(operation.calls) == 2
