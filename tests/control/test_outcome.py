"""Floor 3. How a call ends: the decisions, the errors of our own, the mark and the note on the user's error."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import traceback
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import (
    BackoffController,
    Classification,
    DeadlineExceeded,
    GaveUp,
    Reason,
    StillPending,
    Stopped,
    Verdict,
    Wait,
    constant,
    outcome,
    pending,
    retry,
)
from redouble.control.mark import MARK, mark
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

END = GaveUp(Reason.ATTEMPTS, 3, 0.314, "fetch", 7.5, classification=Classification(Verdict.TRANSIENT))
NOTE = "gave up after 3 attempts in 0.31 s: attempts used up"
OTHERS = [each for each in Reason if each not in (Reason.PERMANENT, Reason.ATTEMPTS)]


class PlainError(Exception):
    """An error of the user's, at a place where pickle finds it."""


class SlottedError(Exception):
    """An error with slots beside its `__dict__`."""

    __slots__ = ("code",)


class GuardedError(Exception):
    """An error whose class guards all of its attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is not for you")


class ChoosyError(Exception):
    """An error whose class takes notes, but no attributes that it does not know."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "__notes__":
            raise AttributeError(f"{name} is not for you")
        super().__setattr__(name, value)


class MuteError(Exception):
    """An error that takes no notes."""

    def add_note(self, note: str) -> None:
        raise RuntimeError("no notes")


class FaultyError(Exception):
    """An error that raises when it is asked for the mark."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def notes(error: BaseException) -> list[str]:
    """The notes of an error."""
    return getattr(error, "__notes__", [])


# The decisions.


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_words(reason: Reason) -> None:
    """The value of a reason is what the note says, its repr what one would write."""
    assert str(GaveUp(reason, 2, 1.0)) == f"gave up after 2 attempts in 1.00 s: {reason.value}"
    assert repr(reason) == f"Reason.{reason.name}"


def test_the_reasons() -> None:
    """The reasons are those of the decision order, and no others."""
    names = "PERMANENT NESTED UNSAFE STOPPED ATTEMPTS CURVE HINT DEADLINE BUDGET"
    assert [reason.name for reason in Reason] == names.split()


def test_one_attempt_is_no_plural() -> None:
    """The line about an end is English."""
    assert str(GaveUp(Reason.HINT, 1, 0.0)).startswith("gave up after 1 attempt in 0.00 s: ")
    assert str(GaveUp(Reason.HINT, 12, 61.5)).startswith("gave up after 12 attempts in 61.50 s: ")


def test_an_end_is_compared_with_all_its_fields() -> None:
    """GaveUp and Wait are values: equal, hashable, pickled, frozen."""
    found = Classification(Verdict.TRANSIENT, 5.0)
    for value in (END, Wait(1.5, found), GaveUp(Reason.CURVE, 1, 0.0)):
        assert pickle.loads(pickle.dumps(value)) == value and hash(copy.copy(value)) == hash(value)
        with pytest.raises(AttributeError, match="is frozen"):
            value.delay = 5  # type: ignore[union-attr,misc]
    assert GaveUp(Reason.CURVE, 1, 0.0) != GaveUp(Reason.CURVE, 2, 0.0)


# The errors of our own.


def test_our_timeouts_are_timeouts() -> None:
    """Who catches TimeoutError catches both; Stopped is a wish, not a timeout."""
    assert issubclass(DeadlineExceeded, TimeoutError) and issubclass(StillPending, TimeoutError)
    assert Stopped.__bases__ == (Exception,)


def test_still_pending_carries_the_last_value() -> None:
    """The value that was pending last comes with the error, through pickle and copies too."""
    error = StillPending("still pending: at last", {"state": "running"})
    error.add_note("a note")
    for again in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), again.value, notes(again)) == (
            "still pending: at last",
            {"state": "running"},
            ["a note"],
        )
    assert (str(StillPending()), StillPending().value) == ("still pending", None)


def test_a_still_pending_of_the_users_own_is_pickled() -> None:
    """The message is the first argument, whatever a subclass does not change."""
    error = StillPending()
    assert type(pickle.loads(pickle.dumps(error))) is StillPending


@pytest.mark.parametrize("name", ["DeadlineExceeded", "StillPending", "Stopped", "GaveUp", "Wait", "Reason"])
def test_what_users_see_is_named_as_they_import_it(name: str) -> None:
    """Tracebacks and reprs say `redouble.StillPending`."""
    assert getattr(redouble, name).__module__ == "redouble"


# The mark, and what reads it.


def test_the_outcome_of_an_error_that_was_never_retried() -> None:
    """Without a mark there is no outcome."""
    assert outcome(ValueError()) is None


def test_the_outcome_of_a_marked_error() -> None:
    """All but the classification comes back."""
    error = PlainError()
    mark(error, END, True)
    assert outcome(error) == GaveUp(Reason.ATTEMPTS, 3, 0.314, "fetch", 7.5)


def test_the_outcome_tells_history_and_limit() -> None:
    """The earlier errors that differ and whose deadline it was come back too, and the note counts the former."""
    policy = retry(on=OSError, deadline=3.5, backoff=constant(1), name="fetch")
    with fake_time(), pytest.raises(ConnectionResetError) as caught:
        policy.call(scripted(TimeoutError, TimeoutError, OSError, ConnectionResetError))
    history = (("TimeoutError", 2), ("OSError", 1))
    assert outcome(caught.value) == GaveUp(Reason.DEADLINE, 4, 3.0, "fetch", None, history, "own")
    assert notes(caught.value) == [
        "gave up after 4 attempts in 3.00 s: the next attempt would come after the deadline; before: TimeoutError x2,"
        " OSError"
    ]


def test_errors_of_the_last_ones_type_are_no_history() -> None:
    """What failed alike all the time is told by the number of attempts."""
    with fake_time(), pytest.raises(OSError) as caught:
        retry(on=OSError).call(scripted(OSError("a"), OSError("b"), OSError("c")))
    end = outcome(caught.value)
    assert end is not None and end.history == () and notes(caught.value) == [str(end)]


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("retried", [False, True])
def test_when_there_is_a_note(reason: Reason, retried: bool) -> None:
    """After a retry there is a note; without one for every reason but PERMANENT and ATTEMPTS."""
    error = PlainError()
    mark(error, GaveUp(reason, 2, 0.5), retried)
    told = retried or reason in OTHERS
    assert notes(error) == ([f"gave up after 2 attempts in 0.50 s: {reason.value}"] if told else [])
    found = outcome(error)
    assert found is not None and found.reason is reason


def test_the_note_as_the_documentation_has_it() -> None:
    """The note is one line, as a traceback shows it."""
    error = PlainError("boom")
    mark(error, END, True)
    assert notes(error) == [NOTE]
    assert traceback.format_exception_only(error)[-1] == f"{NOTE}\n"


def test_marking_again_replaces_the_note() -> None:
    """The same object ends again with one note of ours, and the user's own notes stay in their order."""
    error = PlainError()
    error.add_note("before")
    mark(error, END, True)
    error.add_note("after")
    mark(error, GaveUp(Reason.DEADLINE, 7, 90.0), True)
    last = "gave up after 7 attempts in 90.00 s: the next attempt would come after the deadline"
    assert notes(error) == ["before", "after", last]
    found = outcome(error)
    assert found is not None and found.attempts == 7


def test_a_note_that_somebody_removed() -> None:
    """Where our note is gone already, or the notes were replaced, there is nothing to remove."""
    error = PlainError()
    mark(error, END, True)
    error.__notes__ = ["another"]
    mark(error, END, True)
    assert notes(error) == ["another", NOTE]
    del error.__notes__
    mark(error, END, True)
    assert notes(error) == [NOTE]


def test_notes_that_are_no_list_are_let_be() -> None:
    """An error with strange notes keeps them, and has an outcome all the same or none."""
    error = PlainError()
    error.__notes__ = "strange"  # type: ignore[assignment]
    mark(error, END, True)
    assert error.__notes__ == "strange"


def test_an_end_without_a_note_takes_back_the_one_of_before() -> None:
    """The note never tells of another end than `outcome` does, so that the next call leaves exactly one."""
    error = PlainError()
    mark(error, END, True)
    mark(error, GaveUp(Reason.ATTEMPTS, 1, 0.5), False)
    assert notes(error) == []
    mark(error, GaveUp(Reason.ATTEMPTS, 2, 0.7), True)
    assert notes(error) == ["gave up after 2 attempts in 0.70 s: attempts used up"]


def test_nested_ends_say_how_the_innermost_ended() -> None:
    """The note of a call around others tells why the innermost one gave up, however many stand between."""
    error = PlainError()
    mark(error, END, True)
    for attempts in (1, 1, 2):
        mark(error, GaveUp(Reason.NESTED, attempts, 0.5), attempts > 1)
    assert notes(error) == [f"gave up after 2 attempts in 0.50 s: an inner retry gave up already ({NOTE})"]
    mark(error, GaveUp(Reason.ATTEMPTS, 4, 2.0), True)
    assert notes(error) == ["gave up after 4 attempts in 2.00 s: attempts used up"]


def test_nested_where_the_mark_sits_on_a_cause() -> None:
    """An error that was never marked itself has no innermost note to quote."""
    error = PlainError()
    mark(error, GaveUp(Reason.NESTED, 1, 0.5), False)
    assert notes(error) == ["gave up after 1 attempt in 0.50 s: an inner retry gave up already"]


def test_the_mark_is_plain_data() -> None:
    """What is kept on the error is made of strings and numbers, so any pickle can carry it, and JSON too."""

    @retry(on=OSError)
    def fetch() -> None:
        TWICE(attempts=3, on=Exception).call(scripted(KeyError, KeyError, PlainError))

    with fake_time(), pytest.raises(PlainError) as caught:
        fetch()
    data = caught.value.__dict__[MARK]
    assert data["around"] and data["history"]
    assert json.loads(json.dumps(data)).keys() == data.keys()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [PlainError, SlottedError, OSError, TimeoutError])
def test_the_outcome_is_pickled_with_the_error(kind: type[Exception], protocol: int) -> None:
    """Outcome and note go through pickle where the class keeps its `__dict__`."""
    error = kind("boom")
    mark(error, END, True)
    back = pickle.loads(pickle.dumps(error, protocol))
    assert outcome(back) == outcome(error) and notes(back) == [NOTE]


@pytest.mark.parametrize("kind", [GuardedError, ChoosyError])
def test_a_class_that_refuses_is_left_as_it_is(kind: type[Exception]) -> None:
    """Nothing is raised, and nothing is left halfway, however often the same object ends."""
    error = kind("boom")
    for _ in range(3):
        mark(error, END, True)
    assert outcome(error) is None and notes(error) == []


def test_a_class_that_takes_no_notes() -> None:
    """An error without notes still tells its outcome."""
    error = MuteError("boom")
    mark(error, END, True)
    assert outcome(error) is not None and notes(error) == []


def nested(make: Callable[[], Exception]) -> bool:
    """Whether an error is taken for one on which an inner retry gave up, made while an attempt is under way."""
    controller = BackoffController(retry(on=Exception, attempts=9))
    controller.start()
    decision = controller.record_failure(make())
    return isinstance(decision, GaveUp) and decision.reason is Reason.NESTED


def test_a_class_that_raises_when_it_is_asked() -> None:
    """An error whose attributes raise has no outcome."""
    assert outcome(FaultyError()) is None and not nested(FaultyError)


@pytest.mark.parametrize(
    "junk",
    [
        "ATTEMPTS",
        5,
        None,
        {},
        {"reason": "ATTEMPTS"},
        {"reason": "WHIM", "attempts": 1, "elapsed": 0.0, "name": None, "hint": None, "history": (), "limit": None},
        {
            "reason": ["ATTEMPTS"],
            "attempts": 1,
            "elapsed": 0.0,
            "name": None,
            "hint": None,
            "history": (),
            "limit": None,
        },
        {"began": "now"},
        {"began": None, "reason": "ATTEMPTS"},
        {"reason": "ATTEMPTS", "attempts": 1, "elapsed": 0.0, "name": None, "hint": None, "history": 5, "limit": None},
    ],
    ids=repr,
)
def test_somebody_elses_data_under_our_name(junk: Any) -> None:
    """What is not ours is no outcome, and says nothing of inner retries."""
    error = PlainError()
    setattr(error, MARK, junk)
    assert outcome(error) is None and not nested(lambda: error)


# Whether an inner retry gave up meanwhile.


def test_a_mark_counts_from_its_own_time_on() -> None:
    """A retry that gave up before the attempt began says nothing of it, one during it does."""
    before = marked()
    while monotonic() <= before.__dict__[MARK]["began"]:
        pass  # a clock that moves in coarse steps
    assert not nested(lambda: before) and nested(marked)


def test_a_retry_that_began_before_the_attempt_is_not_beneath_it() -> None:
    """Where a mark names no attempt around it, only a retry that began during the attempt counts."""
    controller = BackoffController(retry(on=Exception, attempts=9))

    def fails() -> None:
        controller.start()
        raise PlainError

    with pytest.raises(PlainError) as caught:
        TWICE(attempts=1).call(fails)
    assert outcome(caught.value) is not None
    assert isinstance(controller.record_failure(caught.value), Wait)


def failing() -> None:
    """An operation that never works."""
    raise PlainError("down")


TWICE = retry(on=PlainError, attempts=2, backoff=constant(0))


@TWICE
async def inner() -> None:
    """An inner retry of asyncio."""
    failing()


async def inner_block() -> None:
    """An inner retry as a block."""
    async for attempt in TWICE:
        with attempt:
            failing()


async def in_a_task() -> None:
    """The attempt awaits a task."""
    await asyncio.create_task(inner())


async def in_a_task_of_a_block() -> None:
    """A task whose retry is a block."""
    await asyncio.create_task(inner_block())


async def in_tasks() -> None:
    """Several tasks."""
    await asyncio.gather(inner(), asyncio.sleep(0))


async def in_a_group() -> None:
    """A group of tasks."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(inner())


async def in_a_thread() -> None:
    """A thread."""
    await asyncio.to_thread(TWICE(failing))


async def in_a_task_of_a_task() -> None:
    """A task that awaits a task."""
    await asyncio.create_task(in_a_task())


async def as_a_cause() -> None:
    """A task whose error becomes a cause."""
    try:
        await asyncio.create_task(inner())
    except PlainError as error:
        raise PlainError("another") from error


async def pending_in_a_task() -> None:
    """A task with an answer that is never ready."""
    await asyncio.create_task(TWICE(result=pending(when=lambda value: True), deadline=1).call(in_time))


async def in_time() -> None:
    """An operation that works."""


@pytest.mark.parametrize(
    "way",
    [
        in_a_task, in_a_task_of_a_block, in_tasks, in_a_group, in_a_thread, in_a_task_of_a_task, as_a_cause,
        pending_in_a_task,
    ],
)  # fmt: skip
def test_an_inner_retry_in_another_task_or_thread(way: Callable[[], Awaitable[None]]) -> None:
    """An inner retry that the attempt awaits gave up beneath it, wherever it ran."""
    operation: list[None] = []

    async def counted() -> None:
        operation.append(None)
        await way()

    async def main() -> BaseException:
        with pytest.raises(Exception, match=r".*") as caught:
            await TWICE(on=Exception).call(counted)
        return caught.value

    with fake_time():
        end = outcome(asyncio.run(main()))
    assert end is not None and end.reason is Reason.NESTED and len(operation) == 1


class Shared:
    """A task that several callers await together, each with a retry of its own."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], *, caused: bool = False) -> None:
        self.work = work
        self.caused = caused
        self.tasks: list[asyncio.Task[None]] = []

    async def attempt(self) -> None:
        if not self.tasks or self.tasks[-1].done():
            self.tasks.append(asyncio.create_task(self.work()))
        try:
            await asyncio.shield(self.tasks[-1])
        except PlainError as error:
            if self.caused:
                raise PlainError("another") from error
            raise

    async def called(self, attempts: int) -> None:
        await TWICE(attempts=attempts, backoff=constant(1)).call(self.attempt)

    async def in_a_block(self, attempts: int) -> None:
        async for each in TWICE(attempts=attempts, backoff=constant(1)):
            with each:
                await self.attempt()

    def ends(self, way: Callable[[int], Awaitable[None]], *attempts: int) -> list[tuple[int, Reason]]:
        """How the callers end that have so many attempts."""

        async def caller(most: int) -> tuple[int, Reason]:
            with pytest.raises(PlainError) as caught:
                await way(most)
            end = outcome(caught.value)  # at once: the error is that of the others as well
            assert end is not None
            return end.attempts, end.reason

        async def main() -> list[tuple[int, Reason]]:
            return await asyncio.gather(*map(caller, attempts))

        with fake_time():
            return asyncio.run(main())


async def connect() -> None:
    """What takes its time, and then fails."""
    await asyncio.sleep(1)
    failing()


@pytest.mark.parametrize("way", [Shared.called, Shared.in_a_block])
@pytest.mark.parametrize("caused", [False, True])
def test_callers_that_share_an_error(way: Callable[..., Awaitable[None]], caused: bool) -> None:
    """Of those that await one task together each gives up for itself: the others are not beneath it."""
    shared = Shared(connect, caused=caused)
    ends = shared.ends(partial(way, shared), 1, 2, 3)
    assert ends == [(each, Reason.ATTEMPTS) for each in (1, 2, 3)] and len(shared.tasks) == 3


@pytest.mark.parametrize("way", [Shared.called, Shared.in_a_block])
@pytest.mark.parametrize("work", [inner, inner_block])
def test_callers_that_share_an_inner_retry(
    way: Callable[..., Awaitable[None]], work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """A task that they share and that retried itself is beneath the attempt that began it; others try for themselves."""
    shared = Shared(work)
    assert shared.ends(partial(way, shared), 5, 5, 5) == [(1, Reason.NESTED), (2, Reason.NESTED), (3, Reason.NESTED)]
    assert len(shared.tasks) == 3


@pytest.mark.parametrize("around", [None, "nobody", (), 5], ids=str)
def test_a_mark_of_which_nobody_can_tell_where_it_was_made(around: Any) -> None:
    """A mark that names no attempt, as one of a pool's thread or of another process, counts by its time."""

    def error() -> PlainError:
        error = marked()
        error.__dict__[MARK]["around"] = around
        return error

    assert nested(error)


def test_a_mark_of_other_attempts_does_not_count() -> None:
    """A mark that names the attempts around it counts for these alone."""

    def error() -> PlainError:
        error = marked()
        error.__dict__[MARK]["around"] = (1, 2)
        return error

    assert not nested(error)


def marked() -> PlainError:
    """A marked error."""
    error = PlainError()
    mark(error, END, False)
    return error


def test_the_mark_may_sit_deeper() -> None:
    """Explicit causes and the leaves of groups count, in any mixture."""

    def caused() -> Exception:
        error = ValueError()
        error.__cause__ = KeyError()
        error.__cause__.__cause__ = marked()
        return error

    def group() -> Exception:
        return ExceptionGroup("", [ValueError(), ExceptionGroup("", [KeyError(), marked()])])

    def around() -> Exception:
        error = ValueError()
        error.__cause__ = group()
        return error

    assert all(map(nested, (caused, group, around)))


def test_a_group_may_be_marked_itself() -> None:
    """A group that a retried call gave up on counts as such."""
    group = ExceptionGroup("", [ValueError()])

    def marks() -> Exception:
        mark(group, END, True)
        return group

    assert not nested(lambda: group) and nested(marks)


def test_the_context_does_not_count() -> None:
    """What was being handled when the error was raised has no say."""

    def error() -> Exception:
        error = ValueError()
        error.__context__ = marked()
        return error

    assert not nested(error)


def test_a_cycle_of_causes_ends() -> None:
    """Errors that cause each other are each looked at once."""
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert not nested(lambda: one)


def test_a_group_that_is_too_large_is_not_searched() -> None:
    """A group of more leaves than anybody has is not looked through: it is not retried, and nobody blames a retry."""
    assert not nested(lambda: ExceptionGroup("", [ValueError() for _ in range(1000)]))
