"""Floor 3. How a retried call goes on or ends: the decisions, the errors of our own, and the mark on the user's error."""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from enum import Enum
from time import monotonic

from redouble.core.causes import causes, leaves
from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

    from redouble.core.verdict import Classification

MARK = "_redouble_outcome"
"""Under which name an error's `__dict__` says how its retries ended: plain data, so that it can be pickled anywhere."""

_TRACEBACK: Any = BaseException.__traceback__  # past classes that guard their attributes


class Reason(Enum):
    """Why a retried call gave up; the value is what its note says."""

    __module__ = "redouble"

    PERMANENT = "permanent error"
    NESTED = "an inner retry gave up already"
    UNSAFE = "the failed attempt may have taken effect"
    STOPPED = "stopped"
    ATTEMPTS = "attempts used up"
    CURVE = "the backoff curve has ended"
    HINT = "the server asked for a wait above max_hint"
    DEADLINE = "the next attempt would come after the deadline"
    BUDGET = "the retry budget refused"

    def __repr__(self) -> str:
        return f"Reason.{self.name}"


class Wait(Record):
    """The decision to try again.

    Fields:
        delay: Seconds to wait before the next attempt, >= 0.
        classification: What the outcome was judged to be.
    """

    __module__ = "redouble"

    delay: float
    classification: Classification


class GaveUp(Record):
    """The decision to end, and how it came about.

    Fields:
        reason: The `Reason`.
        attempts: How many attempts were made; 0 when it was stopped before the first.
        elapsed: Seconds from the first attempt to the end.
        name: The policy's or the function's name; `None` when neither has one.
        hint: Seconds that the server asked to wait, as it said them; `None` when it asked for nothing.
        classification: What the last outcome was judged to be; `None` when the decision comes back from an error.
    """

    __module__ = "redouble"

    reason: Reason
    attempts: int
    elapsed: float
    name: str | None = None
    hint: float | None = None
    classification: Classification | None = None

    def __str__(self) -> str:
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"gave up after {attempts} in {self.elapsed:.2f} s: {self.reason.value}"


class DeadlineExceeded(TimeoutError):  # noqa: N818  # the contract's name, as TimeoutError is Python's
    """An asyncio attempt was cut off by a written deadline; raised from the last error, where there was one."""

    __module__ = "redouble"


class StillPending(TimeoutError):  # noqa: N818  # the contract's name, as TimeoutError is Python's
    """The time was up and the answer still not ready.

    Attributes:
        value: The last value that was judged to be pending.
    """

    __module__ = "redouble"

    def __init__(self, message: str = "still pending", value: object = None) -> None:
        super().__init__(message)
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.value), self.__dict__


class Stopped(Exception):  # noqa: N818  # the contract's name: it tells of a wish, not of a fault
    """`stop` was set while the answer was still pending, so there is nothing to return."""

    __module__ = "redouble"


def outcome(error: BaseException) -> GaveUp | None:
    """How the retries of this error ended.

    Args:
        error: An error that came out of a retried call.

    Returns:
        A `GaveUp`; `None` when no retry gave up on this error, which is also so for an error that was PERMANENT on the
        first attempt (it is left untouched).

    >>> from redouble import outcome, retry
    >>> from redouble.testing import fake_time, scripted
    >>> with fake_time():
    ...     try:
    ...         retry(attempts=2).call(scripted(ConnectionResetError, ConnectionResetError))
    ...     except ConnectionResetError as error:
    ...         print(outcome(error).reason, outcome(error).attempts)
    Reason.ATTEMPTS 2
    """
    data = _mark(error)
    if data is None:
        return None
    try:
        return GaveUp(Reason[data["reason"]], data["attempts"], data["elapsed"], data["name"], data["hint"])
    except (KeyError, TypeError):
        return None  # somebody else's data under our name


def _mark(error: BaseException) -> dict[str, Any] | None:
    try:
        data = getattr(error, MARK, None)
    except Exception:
        return None
    return data if isinstance(data, dict) else None


def mark(error: BaseException, end: GaveUp, retried: bool) -> None:
    """Write on the error how its retries ended: data for `outcome`, and one PEP 678 note where it tells something.

    A class that refuses attributes is left as it is.
    """
    before = _mark(error) or {}
    by = before.get("by") if end.reason is Reason.NESTED else None  # who gave up on it is whoever did so first
    data: dict[str, Any] = {
        "reason": end.reason.name,
        "attempts": end.attempts,
        "elapsed": end.elapsed,
        "name": end.name,
        "hint": end.hint,
        "at": monotonic(),
        "by": by or (*_here(), *_ends_of(_path(error))),
    }
    try:
        if retried or end.reason not in (Reason.PERMANENT, Reason.ATTEMPTS):
            data["root"] = before.get("root") or before.get("note") if end.reason is Reason.NESTED else None
            data["note"] = f"{end} ({data['root']})" if data["root"] else str(end)
        setattr(error, MARK, data)  # first, so that a note is added to what can bear its mark alone
        _replace_note(error, before.get("note"), data.get("note"))
    except Exception:  # the class guards its attributes: the error matters, the mark does not
        return


def _replace_note(error: BaseException, old: str | None, new: str | None) -> None:
    notes = getattr(error, "__notes__", None)
    if old is not None and isinstance(notes, list) and old in notes:
        notes.remove(old)
    if new is not None:
        error.add_note(new)


def given_up_since(error: BaseException, since: float) -> bool:
    """Whether an inner retry gave up on this error, on a cause or on a leaf of it, at `since` or later.

    `since` is a reading of `time.monotonic`, whatever clock the policy has: it is compared with the mark's own.

    Callers that share a task, as by `asyncio.shield`, are raised one and the same error: where another of them gave up
    on it, that was not beneath this attempt, as its traceback shows. It counts where the traceback does not: in errors
    of another process, for all but the first of those who await a task without a shield (asyncio hands the traceback
    to the first alone), and for threads that share a `concurrent.futures.Future` (which collects the frames of all).
    """
    for each in _related(error):
        data = _mark(each)
        if data is not None:
            at = data.get("at")
            if isinstance(at, float) and at >= since and _came_by(each, data.get("by"), caught=each is error):
                return True
    return False


def _here() -> tuple[int, int, int]:
    """The process, the thread and the task that this runs in, as numbers; 0 where there is no task."""
    asyncio = sys.modules.get("asyncio")
    inside = asyncio is not None and asyncio._get_running_loop() is not None
    task = asyncio.current_task() if inside and asyncio is not None else None
    return os.getpid(), get_ident(), 0 if task is None else id(task)


def _path(error: BaseException, *, skip: bool = False) -> list[tuple[int, int]]:
    """The frames that the error has come by, from the one that caught it (`skip`: after it) to the one that raised it.

    As numbers, with their code's: a frame that has ended leaves its number to others.
    """
    found = []
    at: TracebackType | None = _TRACEBACK.__get__(error)
    while at is not None:
        found.append((id(at.tb_frame), id(at.tb_frame.f_code)))
        at = at.tb_next
    return found[1:] if skip else found


def _ends_of(path: list[tuple[int, int]]) -> tuple[int, ...]:
    return (*path[0], *path[-1]) if path else ()


def _came_by(error: BaseException, by: object, *, caught: bool) -> bool:
    """Whether this error came from where it was given up on, or that cannot be told.

    The first frame of the error that was `caught` here is the catcher's own, and so not beneath.
    """
    here = _here()
    if not isinstance(by, tuple) or by[:1] != here[:1] or by[:3] == here:
        return True
    path = _path(error, skip=caught)
    return by[3:5] in path or by[5:7] not in path


def _related(error: BaseException) -> Iterator[BaseException]:
    for link in causes(error):
        yield link
        if isinstance(link, BaseExceptionGroup):
            for leaf in leaves(link) or ():
                yield from causes(leaf)
