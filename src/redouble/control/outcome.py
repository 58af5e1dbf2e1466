"""Floor 3. The decisions of a retried call, to wait or to give up, and the errors that redouble raises itself."""

from __future__ import annotations

from enum import Enum

from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from redouble.core.verdict import Classification


class Reason(Enum):
    """The reason for which a retried call gave up; its value is the text for notes and log lines."""

    __module__ = "redouble"

    PERMANENT = "permanent error"
    NESTED = "an inner retry gave up already"
    UNSAFE = "the failed attempt may have taken effect"
    STOPPED = "stopped"
    ATTEMPTS = "attempts used up"
    CURVE = "the backoff curve has ended"
    HINT = "the server asked for a wait above max_hint or past the deadline"
    DEADLINE = "the next attempt would come after the deadline"
    BUDGET = "the retry budget refused"

    def __repr__(self) -> str:
        return f"Reason.{self.name}"


class Wait(Record):
    """The decision to try again.

    Fields:
        delay: Seconds to wait before the next attempt, >= 0.
        classification: The judgement of the outcome.
    """

    __module__ = "redouble"

    delay: float
    classification: Classification


class GaveUp(Record):
    """The decision to give up, with its reason and figures.

    Fields:
        reason: The `Reason`.
        attempts: The number of attempts made; 0 when the call was stopped before the first.
        elapsed: Seconds from the first attempt to the end.
        name: The policy's or the function's name; `None` when there is none.
        hint: Seconds that the server asked to wait; for a wait that it asked of another call (`cooldown=`), the seconds
            left of it. `None` when it asked for no wait.
        history: The types of the earlier errors of the call that differ from the last one, each with its count:
            `(("TimeoutError", 2),)`.
        limit: The deadline that ended the call: `"own"`, the policy's, or `"scope"`, that of a scope or a call around
            it; `None` when no deadline did.
        classification: The judgement of the last outcome; `None` when `outcome` read the decision from an error.
    """

    __module__ = "redouble"

    reason: Reason
    attempts: int
    elapsed: float
    name: str | None = None
    hint: float | None = None
    history: tuple[tuple[str, int], ...] = ()
    limit: Literal["own", "scope"] | None = None
    classification: Classification | None = None

    def __str__(self) -> str:
        attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        text = f"gave up after {attempts} in {self.elapsed:.2f} s: {self.reason.value}"
        before = ", ".join(name if times == 1 else f"{name} x{times}" for name, times in self.history)
        return f"{text}; before: {before}" if before else text


class DeadlineExceeded(TimeoutError):  # noqa: N818  # the contract's name, as TimeoutError is Python's
    """A written deadline cancelled an asyncio or trio attempt; raised from the last error, if there was one."""

    __module__ = "redouble"


class StillPending(TimeoutError):  # noqa: N818  # the contract's name, as TimeoutError is Python's
    """The time was up, and the result was still pending.

    Attributes:
        value: The last pending value; `None` when no attempt returned in time.
    """

    __module__ = "redouble"

    def __init__(self, message: str = "still pending", value: object = None) -> None:
        super().__init__(message)
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.value), self.__dict__


class Unwanted(Exception):  # noqa: N818  # it tells of a value, not of a fault
    """The last attempt returned a value that the policy's `result` rules reject (`unwanted="raise"`).

    Attributes:
        value: The value.
    """

    __module__ = "redouble"

    def __init__(self, value: object = None, message: str = "the value returned last is unwanted") -> None:
        super().__init__(message)
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.value, self.args[0]), self.__dict__


class Stopped(Exception):  # noqa: N818  # the contract's name: it tells of a wish, not of a fault
    """`stop` was set while the result was still pending, so there is no value to return."""

    __module__ = "redouble"
