"""What the caller gets: every sentence of the contract about the error that comes out, on every surface."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import gc
import pickle
import sys
import threading
import traceback
import weakref
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from redouble import (
    Classification,
    DeadlineExceeded,
    GaveUp,
    Reason,
    StillPending,
    Stopped,
    Verdict,
    constant,
    outcome,
    pending,
    retry,
    transient,
)
from redouble.testing import HANG, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redouble import Event, RetryPolicy
    from redouble.testing import FakeClock

policy = retry(attempts=3, on=(OSError, StopIteration, StopAsyncIteration), backoff=constant(1))
NOT_TO_BE_CAUGHT = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseExceptionGroup]


def frames(error: BaseException) -> list[str]:
    """Where the traceback passes through, by module."""
    at, found = error.__traceback__, []
    while at is not None:
        found.append(str(at.tb_frame.f_globals["__name__"]))
        at = at.tb_next
    return found


def ours(error: BaseException) -> int:
    """How many frames of ours the traceback has."""
    return sum(name.startswith("redouble.") and not name.startswith("redouble.testing") for name in frames(error))


def notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def raising(error: BaseException) -> Callable[[], Any]:
    """An operation that raises this object every time, from a frame of its own."""

    def operation() -> Any:
        raise error

    return operation


def stopped_in_wait() -> dict[str, Any]:
    """Fields of a policy that is stopped as soon as its first wait begins."""
    stop = threading.Event()

    def set_it(event: Event) -> None:
        if event.delay is not None:
            stop.set()

    return {"stop": stop, "observers": [set_it]}


# The operation's own exception object, with the traceback that Python gave it.


def test_the_same_object_comes_out(surface: Any, clock: FakeClock) -> None:
    """The error of the last attempt itself is raised, not another one around it."""
    first, second, last = OSError("first"), OSError("second"), OSError("last")
    assert surface.fail(policy, scripted(first, second, last)) is last


def test_the_same_object_comes_out_after_a_wait(surface: Any, clock: FakeClock) -> None:
    """So it does when the call ends while it waits."""
    error = OSError("down")
    assert surface.fail(policy(**stopped_in_wait()), raising(error)) is error


def test_at_most_one_frame_of_ours(surface: Any, clock: FakeClock) -> None:
    """The traceback leads from the caller to the operation, through one frame of ours at most."""
    error = surface.fail(policy, raising(OSError("down")))
    assert ours(error) == (0 if surface.is_block else 1)
    assert traceback.extract_tb(error.__traceback__)[-1].name == "operation"


def test_at_most_one_frame_of_ours_at_once(surface: Any, clock: FakeClock) -> None:
    """Also where nothing is retried."""
    error = surface.fail(policy, raising(KeyError("not there")))
    assert ours(error) == (0 if surface.is_block else 1)


def test_at_most_one_frame_of_ours_after_a_wait(surface: Any, clock: FakeClock) -> None:
    """Also when the call ends while waiting; there a block has two."""
    error = surface.fail(policy(**stopped_in_wait()), raising(OSError("down")))
    assert ours(error) <= (2 if surface.is_block else 1)
    assert traceback.extract_tb(error.__traceback__)[-1].name == "operation"


def test_one_frame_for_each_retry_around_it(surface: Any, clock: FakeClock) -> None:
    """Nested retries leave one frame each at most."""
    error = surface.fail(policy, lambda: policy.call(raising(OSError("down"))))
    assert ours(error) <= 2


@pytest.mark.parametrize("attempts", [2, 50])
def test_the_same_object_does_not_grow(surface: Any, clock: FakeClock, attempts: int) -> None:
    """However often the same object comes back within one call, its traceback is that of one pass."""
    error = OSError("cached")
    surface.fail(policy(attempts=attempts), raising(error))
    assert frames(error).count(__name__) + ours(error) <= len(frames(error)) <= 6


def test_several_objects_do_not_grow(surface: Any, clock: FakeClock) -> None:
    """Nor does it help them to take turns."""
    if surface.is_block:
        pytest.skip("a block has no frame of its own to know an earlier pass by")
    errors = [OSError("one"), OSError("other")]
    surface.fail(policy(attempts=40), scripted(*errors * 20))
    assert [len(frames(error)) <= 8 for error in errors] == [True, True]


def test_the_same_object_does_not_grow_when_it_ends_in_a_wait(surface: Any, clock: FakeClock) -> None:
    """Raising it again after the wait adds nothing but the frame that raised it."""
    error, stop = OSError("cached"), threading.Event()

    def set_it(event: Event) -> None:
        if event.attempt == 30:
            stop.set()

    surface.fail(policy(attempts=50, stop=stop, observers=[set_it]), raising(error))
    assert outcome(error).attempts == 30  # type: ignore[union-attr]
    assert ours(error) <= 2 and len(frames(error)) <= 7


def test_context_and_cause_are_as_python_gave_them(surface: Any, clock: FakeClock) -> None:
    """`__context__`, `__cause__` and `__suppress_context__` are the operation's own."""
    cause = KeyError("why")

    def operation() -> None:
        try:
            raise ValueError("first")
        except ValueError:
            raise OSError("down") from cause

    error = surface.fail(policy, operation)
    assert error.__cause__ is cause and error.__suppress_context__
    assert isinstance(error.__context__, ValueError) and error.__context__.__context__ is None


def test_no_context_from_earlier_attempts(surface: Any, clock: FakeClock) -> None:
    """The error of the last attempt does not trail those of the attempts before."""
    error = surface.fail(policy, scripted(OSError("1"), OSError("2"), OSError("3")))
    assert error.__context__ is None and error.__cause__ is None


@pytest.mark.parametrize("more", [dict, stopped_in_wait], ids=["at once", "in a wait"])
def test_called_while_another_error_is_handled(surface: Any, clock: FakeClock, more: Callable[[], Any]) -> None:
    """Inside of an `except` block of the caller the error has that one as its context, as it would without us."""

    async def body() -> BaseException | None:
        try:
            raise LookupError("of the caller")
        except LookupError as handled:
            error = await surface.caught(policy(**more()), raising(OSError("down")))
            seen = handled
        assert error is not None and error.__context__ is seen and seen.__context__ is None
        return error

    assert isinstance(surface.run(body()), OSError)


def test_no_context_after_a_wait(surface: Any, clock: FakeClock) -> None:
    """An error that is raised after a wait has no context either."""
    error = surface.fail(policy(**stopped_in_wait()), raising(OSError("down")))
    assert error.__context__ is None and error.__cause__ is None


def test_the_next_attempt_starts_clean(surface: Any, clock: FakeClock) -> None:
    """No attempt sees the error of the one before in `sys.exc_info()`, nor as the context of its own error."""
    seen = []

    def operation() -> str:
        seen.append(sys.exc_info())
        try:
            raise KeyError("its own")
        except KeyError as error:
            seen.append(error.__context__)
        if len(seen) < 6:
            raise OSError("down")
        return "body"

    assert surface.play(policy, operation) == "body"
    assert seen == [(None, None, None), None] * 3


# No reference cycle; arguments free.


async def growth(body: Callable[[], Any], times: int) -> int:
    """How many objects more there are after so many rounds of `body`, without the help of the collector."""
    for _ in range(5):
        await body()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(times):
            await body()
        return len(gc.get_objects()) - before
    finally:
        gc.enable()


def grown(surface: Any, policy: Any, operation: Callable[[], Any], times: int, *errors: type[BaseException]) -> int:
    """How many objects more there are when so many calls ended with an error."""

    async def body() -> None:
        try:
            await surface.attempt(policy, operation)
        except errors:
            return
        raise AssertionError("nothing was raised")

    return surface.run(growth(body, times))  # type: ignore[no-any-return]


def fails() -> Any:
    raise OSError("down")


@pytest.mark.usefixtures("clock", "silence")
def test_no_cycle_after_giving_up(surface: Any) -> None:
    """With the collector off, 500 give-ups leave no object behind."""
    assert grown(surface, policy(attempts=2, backoff=constant(0)), fails, 500, OSError) < 10


@pytest.mark.usefixtures("clock", "silence")
def test_no_cycle_after_a_permanent_error(surface: Any) -> None:
    """Nor do errors that are not retried."""

    def operation() -> Any:
        raise KeyError("not there")

    assert grown(surface, policy, operation, 60, KeyError) < 10


@pytest.mark.usefixtures("clock", "silence")
@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer, such as that of coverage before 3.14, keeps objects")
def test_no_cycle_after_successes(surface: Any) -> None:
    """Nor do successes after failures."""
    failed: list[bool] = []

    def operation() -> Any:
        failed.append(len(failed) % 2 == 0)
        if failed[-1]:
            raise OSError("down")

    given = policy(backoff=constant(0))

    async def body() -> None:
        await surface.attempt(given, operation)

    assert surface.run(growth(body, 60)) < 10


@pytest.mark.usefixtures("clock", "silence")
def test_no_cycle_after_stopping_in_a_wait(surface: Any) -> None:
    """Nor do calls that end while they wait."""
    stop = threading.Event()

    def set_it(event: Event) -> None:
        (stop.clear if event.delay is None else stop.set)()

    stoppable = policy(stop=stop, observers=[set_it], backoff=constant(0))
    assert grown(surface, stoppable, fails, 60, OSError) < 10


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.usefixtures("silence")
def test_no_cycle_after_an_interrupted_wait(
    surface: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    """Nor do waits that Ctrl-C, an exit or a cancellation ends."""

    def sleep(*_: object) -> None:
        raise interrupt

    async def sleep_async(*_: object) -> None:
        raise interrupt

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr(clock, "sleep_async", sleep_async)
    assert grown(surface, policy, fails, 60, interrupt) < 10


@pytest.mark.usefixtures("clock", "silence")
def test_no_cycle_after_an_interrupted_attempt(surface: Any) -> None:
    """Nor do attempts that are interrupted after others failed."""
    rounds: list[int] = []

    def operation() -> Any:
        rounds.append(1)
        raise OSError("down") if len(rounds) % 2 else KeyboardInterrupt

    assert surface.is_async or grown(surface, policy(backoff=constant(0)), operation, 60, KeyboardInterrupt) < 10
    rounds.clear()

    def cancelled() -> Any:
        rounds.append(1)
        raise OSError("down") if len(rounds) % 2 else asyncio.CancelledError

    assert grown(surface, policy(backoff=constant(0)), cancelled, 60, asyncio.CancelledError) < 10


@pytest.mark.usefixtures("clock", "silence")
def test_no_cycle_after_an_interrupted_observer(surface: Any) -> None:
    """Nor do observers that are interrupted."""

    def observe(_: Event) -> None:
        raise asyncio.CancelledError

    assert grown(surface, policy(observers=[observe]), fails, 60, asyncio.CancelledError) < 10


@pytest.mark.usefixtures("clock", "silence")
@pytest.mark.parametrize("limits", [{"attempt_timeout": 1}, {"deadline": 1.5}, {"attempt_timeout": 1, "deadline": 9}])
@pytest.mark.parametrize("way", ["decorator", "late call", "block", "connect"])
def test_no_cycle_after_cuts(limits: dict[str, float], way: str) -> None:
    """Nor do attempts that a time limit cut off."""

    async def hang(**timeout: float) -> None:
        await asyncio.get_running_loop().create_future()

    given = policy(**limits, timeout_as="timeout" if way == "late call" else None, attempts=2, backoff=constant(0))

    async def play() -> None:
        if way == "decorator":
            await given(hang)()
        elif way == "late call":
            await given.call(lambda **timeout: hang(**timeout))
        elif way == "connect":
            async with given.connect(hang):
                pass
        else:
            async for attempt in given:
                with attempt:
                    await hang()

    async def body() -> None:
        with contextlib.suppress(TimeoutError):
            await play()
            raise AssertionError("nothing was raised")

    assert asyncio.run(growth(body, 40)) < 10


@pytest.mark.usefixtures("clock", "silence")
def test_no_cycle_while_still_pending(surface: Any) -> None:
    """Nor do answers that are never ready."""
    if surface.is_connect:
        pytest.skip("what is opened is no answer to be judged")
    later = Classification(Verdict.PENDING, retry_after=999)
    assert grown(surface, retry(result=lambda value: later), lambda: None, 60, StillPending) < 10


class Watched(OSError):
    """An error that is watched by weak references."""

    made: ClassVar[list[weakref.ref[Watched]]] = []

    def __init__(self, argument: object) -> None:
        super().__init__("down")
        self.argument = argument
        self.made.append(weakref.ref(self))


@pytest.fixture
def made() -> Iterator[list[weakref.ref[Watched]]]:
    """References to all errors of the test; the collector of cycles is off."""
    Watched.made.clear()
    gc.collect()
    gc.disable()
    yield Watched.made
    gc.enable()


class Argument:
    pass


@pytest.mark.usefixtures("silence", "clock", "made")
@pytest.mark.parametrize("more", [dict, stopped_in_wait], ids=["at once", "in a wait"])
def test_arguments_of_a_failed_call_are_free(surface: Any, more: Callable[[], Any]) -> None:
    """When the caller lets the error go, nothing holds what the operation was called with."""
    given = policy(**more())

    async def body() -> None:
        argument = Argument()
        watched = weakref.ref(argument)

        def operation(argument: Argument = argument) -> None:
            raise Watched(argument)

        with contextlib.suppress(OSError):
            await surface.attempt(given, operation)
        assert watched() is not None
        del operation, argument
        assert watched() is None

    surface.run(body())


@pytest.mark.usefixtures("silence", "clock")
def test_an_error_lives_until_the_next_outcome(surface: Any, made: list[weakref.ref[Watched]]) -> None:
    """The last error is held during a wait, and let go by the next outcome."""
    alive: list[list[bool]] = []

    def operation() -> str:
        alive.append([ref() is not None for ref in made])
        if len(made) == 3:
            return "body"
        raise Watched(None)

    given = policy(attempts=5)

    async def body() -> None:
        assert await surface.attempt(given, operation) == "body"
        assert alive == [[], [True], [False, True], [False, False, True]]
        assert [ref() for ref in made] == [None, None, None]

    surface.run(body())


# outcome() and the note.


def test_outcome_tells_how_it_ended(surface: Any, clock: FakeClock) -> None:
    """`outcome` gives reason, attempts, elapsed time, name and hint."""
    on = transient(OSError, retry_after=2)
    error = surface.fail(policy(on=on, name="fetch"), raising(OSError("down")))
    assert outcome(error) == GaveUp(Reason.ATTEMPTS, 3, pytest.approx(4.2), "fetch", 2.0)


def test_one_note_after_a_retry(surface: Any, clock: FakeClock) -> None:
    """After a retry the error carries exactly one note."""
    error = surface.fail(policy, raising(OSError("down")))
    assert notes(error) == ["gave up after 3 attempts in 2.00 s: attempts used up"]


def test_one_note_after_a_wait(surface: Any, clock: FakeClock) -> None:
    """Also when the call ended while it waited."""
    error = surface.fail(policy(**stopped_in_wait()), raising(OSError("down")))
    assert notes(error) == ["gave up after 1 attempt in 0.00 s: stopped"]


def test_one_note_when_the_same_object_ends_several_calls(surface: Any, clock: FakeClock) -> None:
    """It tells of the last call."""
    error = OSError("cached")
    for attempts in (3, 2, 4):
        surface.fail(policy(attempts=attempts), raising(error))
    assert notes(error) == ["gave up after 4 attempts in 3.00 s: attempts used up"]
    assert outcome(error).attempts == 4  # type: ignore[union-attr]


def test_no_note_that_is_no_longer_true(surface: Any, clock: FakeClock) -> None:
    """A later call that ends on the same object without a retry takes the note of an earlier one away."""
    error = OSError("cached")
    seen = []
    for attempts in (3, 1, 2):
        surface.fail(policy(attempts=attempts), raising(error))
        seen.append(list(notes(error)))
    three, two = (f"gave up after {n} attempts in {n - 1}.00 s: attempts used up" for n in (3, 2))
    assert seen == [[three], [], [two]]


def test_notes_of_others_stay(surface: Any, clock: FakeClock) -> None:
    """Ours comes after the user's own, and moves none of them."""
    error = OSError("cached")
    error.add_note("see the runbook")
    for _ in range(2):
        surface.fail(policy, raising(error))
    assert notes(error) == ["see the runbook", "gave up after 3 attempts in 2.00 s: attempts used up"]


def test_permanent_at_once_is_untouched(surface: Any, clock: FakeClock) -> None:
    """An error that is PERMANENT on the first attempt gets neither note nor data."""
    error = KeyError("not there")
    surface.fail(policy, raising(error))
    assert outcome(error) is None and vars(error) == {}


def test_permanent_after_a_retry_is_noted(surface: Any, clock: FakeClock) -> None:
    """After a retry it is noted."""
    error = surface.fail(policy, scripted(OSError("down"), KeyError("not there")))
    assert notes(error) == ["gave up after 2 attempts in 1.00 s: permanent error; before: OSError"]


def test_attempts_without_a_retry_is_not_noted(surface: Any, clock: FakeClock) -> None:
    """With a single attempt there was no retry to tell of; the data is there."""
    error = surface.fail(policy(attempts=1), raising(OSError("down")))
    assert notes(error) == [] and outcome(error).reason is Reason.ATTEMPTS  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"on": transient(OSError, retry_after=9), "max_hint": 5}, Reason.HINT),
        ({"deadline": 0.5, "attempts": None}, Reason.DEADLINE),
        ({"idempotent": False}, Reason.UNSAFE),
        ({"backoff": constant(1).take(0), "attempts": None, "deadline": None}, Reason.CURVE),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
def test_other_reasons_are_noted_without_a_retry(
    surface: Any, clock: FakeClock, fields: dict[str, Any], reason: Reason
) -> None:
    """For every reason but PERMANENT and ATTEMPTS the first attempt is noted, too: the caller expected a retry."""
    fresh = retry(on=OSError, backoff=constant(1))
    error = surface.fail(fresh(**fields), raising(OSError("down")))
    (note,) = notes(error)
    assert note.partition("; ")[0] == f"gave up after 1 attempt in 0.00 s: {reason.value}"
    assert ("write idempotent=True" in note) is (reason is Reason.UNSAFE)


def test_a_nested_give_up_is_one_note(surface: Any, clock: FakeClock) -> None:
    """The outer retry's note takes the inner one's into itself."""
    error = surface.fail(policy, lambda: policy.call(raising(OSError("down"))))
    assert notes(error) == [
        "gave up after 1 attempt in 2.00 s: an inner retry gave up already"
        " (gave up after 3 attempts in 2.00 s: attempts used up)"
    ]


def test_a_marked_error_can_be_pickled(surface: Any, clock: FakeClock) -> None:
    """Data and note travel with the error."""
    error = surface.fail(policy(name="fetch"), raising(ConnectionResetError(errno.ECONNRESET, "reset")))
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert outcome(copied) == outcome(error) and notes(copied) == notes(error)
        assert copied.args == error.args


def refuses_attributes(self: BaseException, name: str, value: object) -> None:
    raise AttributeError(f"{name} is not for you")


class Sealed(OSError):
    __setattr__ = refuses_attributes  # type: ignore[assignment]


class WithoutNotes(OSError):
    def add_note(self, note: str) -> None:
        raise TypeError("no notes")


class OddNotes(OSError):
    __notes__ = "a string"  # type: ignore[assignment]


class WithoutDict(OSError):
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("nothing to see")


class Secretive(OSError):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} is not for you")


class Mute(OSError):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Equal(OSError):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("incomparable")

    __hash__ = None  # type: ignore[assignment]


class Empty(OSError):
    def __bool__(self) -> bool:
        return False


ODD = [Sealed, WithoutNotes, OddNotes, WithoutDict, Secretive, Mute, Equal, Empty]


@pytest.mark.parametrize("more", [dict, stopped_in_wait], ids=["at once", "in a wait"])
def test_odd_classes_of_errors(surface: Any, clock: FakeClock, more: Callable[[], Any]) -> None:
    """An error whose class refuses attributes, or to be looked at, is retried and comes out as it is."""
    for kind in ODD:
        error, waited = kind("odd"), len(clock.sleeps)
        assert surface.fail(policy(**more()), raising(error)) is error, kind
        assert clock.sleeps[waited:] == [1, 1] or more is stopped_in_wait, kind


def test_a_class_that_refuses_attributes_is_left_alone(surface: Any, clock: FakeClock) -> None:
    """Where the error cannot be marked nothing is said, and `outcome` knows nothing."""
    error = surface.fail(policy, raising(Sealed("sealed")))
    assert outcome(error) is None and notes(error) == []


# Results, and the errors of our own.


def test_an_unwanted_result_is_returned_as_it_is(surface: Any, clock: FakeClock) -> None:
    """The last of them, not an error."""
    results = [[1], [2], [3]]
    waiting = policy(result=lambda value: True)
    expected = results[0] if surface.is_connect else results[2]
    assert surface.play(waiting, scripted(*results)) is expected


def test_still_pending_carries_the_value(surface: Any, clock: FakeClock) -> None:
    """A PENDING result at the end raises `StillPending`, a `TimeoutError` with the value and one note."""
    if surface.is_connect:
        pytest.skip("what is opened is no answer to be judged")
    value = {"state": "running"}
    error = surface.fail(retry(result=pending(when=lambda value: True, every=1), deadline=2.5), lambda: value)
    assert type(error) is StillPending and isinstance(error, TimeoutError)
    assert error.value is value
    assert notes(error) == ["gave up after 3 attempts in 2.00 s: the next attempt would come after the deadline"]
    assert outcome(error).reason is Reason.DEADLINE  # type: ignore[union-attr]
    assert error.__context__ is None and error.__cause__ is None
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.value, outcome(copied)) == (value, outcome(error))


def test_stopped_while_pending(surface: Any, clock: FakeClock) -> None:
    """When stopped it raises `Stopped`, which is no `TimeoutError`."""
    if surface.is_connect:
        pytest.skip("what is opened is no answer to be judged")
    error = surface.fail(retry(result=pending(when=lambda value: True), **stopped_in_wait()), lambda: "wait")
    assert type(error) is Stopped and not isinstance(error, TimeoutError)
    assert outcome(error).reason is Reason.STOPPED  # type: ignore[union-attr]
    assert error.__context__ is None


# What is not an Exception passes.


def assert_it_passes(surface: Any, kind: type[BaseException], before: list[Any], fields: dict[str, Any]) -> None:
    """What is raised after these failures comes out as it is, without a mark, and no later than it was raised."""
    error = kind("both", [KeyboardInterrupt()]) if kind is BaseExceptionGroup else kind("now")
    events: list[Event] = []

    async def body() -> None:
        given = retry(**fields, observers=[events.append])
        assert await surface.caught(given, scripted(*before, error)) is error, (kind, fields)
        assert outcome(error) is None and vars(error) == {}
        assert error.__context__ is None and error.__cause__ is None
        assert [event.kind.name for event in events] == ["RETRY"] * len(before)

    surface.run(body())


def test_what_is_no_exception_passes(surface: Any, clock: FakeClock) -> None:
    """`KeyboardInterrupt` and its kin pass untouched, at once, whatever failed before."""
    for kind, before in product(NOT_TO_BE_CAUGHT, ([], [ConnectionResetError])):
        assert_it_passes(surface, kind, before, {})


CONFIGURATIONS: list[dict[str, Any]] = [
    {"on": Exception},
    {"on": lambda error: True},
    {"on": None},
    {"result": lambda value: True},
    {"attempts": None, "deadline": None},
    {"deadline": 30},
    {"deadline": 30, "attempt_timeout": 20},
]


def test_no_configuration_keeps_it_from_passing(surface: Any, clock: FakeClock) -> None:
    """Under every configuration they pass, time limits that cancel included."""
    for fields in CONFIGURATIONS:
        if "attempt_timeout" in fields and not surface.name.startswith("async"):
            continue  # nothing can cut off a synchronous attempt, so it is refused
        before = [] if fields.get("on", retry) is None else [ConnectionResetError]
        for kind in (KeyboardInterrupt, asyncio.CancelledError):
            assert_it_passes(surface, kind, before, fields)


def test_stop_iteration_comes_out(surface: Any, clock: FakeClock) -> None:
    """`StopIteration` and `StopAsyncIteration` of the user end no loop of ours in silence, at once or in a wait."""
    kinds = [StopIteration, StopAsyncIteration]
    for kind, given, more in product(kinds, [policy, policy(on=OSError)], [dict, stopped_in_wait]):
        if surface.is_async and kind is StopIteration:
            continue  # Python itself turns it into a RuntimeError when it leaves the user's coroutine
        error = kind("the user's")
        caught = caught_from(surface, given(**more()), error)
        expected = StopAsyncIteration if not surface.is_connect else (RuntimeError, kind)
        assert caught is error or (surface.is_connect and isinstance(caught, expected) and caught.__cause__ is error)


def caught_from(surface: Any, given: RetryPolicy, error: Exception) -> BaseException | None:
    """Return what comes out where the operation raises an error that ends loops."""
    if surface.is_async:
        return asyncio.run(surface.caught(given, raising(error)))  # type: ignore[no-any-return]
    try:
        surface.way(given, raising(error))
    except type(error) as raised:
        return raised
    return None


def test_stop_iteration_in_an_async_block(clock: FakeClock) -> None:
    """In a coroutine, too, a `StopIteration` comes out of the `with`, and can be caught there."""
    error = StopIteration("the user's")

    async def main(more: dict[str, Any]) -> BaseException:
        try:
            async for attempt in policy(**more):
                with attempt:
                    raise error
        except StopIteration as caught:
            return caught
        raise AssertionError("it ended the loop in silence")

    assert asyncio.run(main({})) is error
    assert asyncio.run(main(stopped_in_wait())) is error


def test_generator_exit_leaves_a_waiting_coroutine(clock: FakeClock) -> None:
    """A coroutine of ours that is closed while it waits is closed quietly, and calls nothing again."""
    operation = scripted(OSError, asynchronous=True)
    waiting = policy(operation)()

    async def main() -> None:
        task_like = waiting.__await__()
        task_like.send(None)
        task_like.close()

    asyncio.run(main())
    assert len(operation.calls) == 1


def test_generator_exit_in_a_generator_of_the_user(clock: FakeClock) -> None:
    """A generator of the user's that is closed inside of a block is closed quietly."""
    closed = []

    def rows() -> Any:
        for attempt in policy:
            with attempt:
                try:
                    yield attempt.number
                finally:
                    closed.append(attempt.number)

    generator = rows()
    assert next(generator) == 1
    generator.close()
    assert closed == [1] and list(generator) == []


# Time limits of asyncio.


@pytest.mark.parametrize("block", [False, True], ids=["call", "block"])
def test_a_written_deadline_raises_deadline_exceeded_from_the_last_error(clock: FakeClock, block: bool) -> None:
    """An attempt that the deadline cuts off ends in `DeadlineExceeded`, whose cause is the last error."""
    down = OSError("down")
    operation = scripted(down, HANG, asynchronous=True)
    cutting = policy(attempts=None, deadline=5)

    async def main() -> None:
        if not block:
            await cutting.call(operation)
        async for attempt in cutting:
            with attempt:
                await operation()

    with pytest.raises(DeadlineExceeded, match="the deadline of 5 s has passed") as caught:
        asyncio.run(main())
    assert caught.value.__cause__ is down
    assert isinstance(caught.value, TimeoutError) and clock.now() == 5.0
    assert outcome(caught.value).reason is Reason.DEADLINE  # type: ignore[union-attr]
    assert len(notes(caught.value)) == 1 and ours(caught.value) <= (2 if block else 1)


def test_a_long_series_of_cuts_is_no_long_chain(clock: FakeClock) -> None:
    """Attempts that are all cut off do not hang on one another: what is held does not grow with their number."""
    operation = scripted(*[HANG] * 50, asynchronous=True)
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(policy(attempts=50, attempt_timeout=2).call(operation))
    chain, at = [], caught.value
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__  # type: ignore[assignment]
    assert len(chain) <= 4
