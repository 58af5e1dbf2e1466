"""Floor 3. How a retried call goes on or ends: the decisions, and the errors of our own."""

from __future__ import annotations

from enum import Enum

from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from redouble.core.verdict import Classification


class Reason(Enum):
    """Why a retried call gave up; the value is what its note says."""

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
        hint: Seconds that the server asked to wait, as it said them; of what it asked another call (`cooldown=`), those
            that are left. `None` when it asked for nothing.
        history: The types of the earlier errors of the call that differ from the last one, each with how often it was
            raised: `(("TimeoutError", 2),)`.
        limit: Whose deadline ended it: `"own"`, the policy's, or `"scope"`, that of a scope or a call around it; `None`
            when it was no deadline.
        classification: What the last outcome was judged to be; `None` when the decision comes back from an error.
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
    """An asyncio or trio attempt was cut off by a written deadline; raised from the last error, where there was one."""

    __module__ = "redouble"


class StillPending(TimeoutError):  # noqa: N818  # the contract's name, as TimeoutError is Python's
    """The time was up and the answer still not ready.

    Attributes:
        value: The last value that was judged to be pending; `None` where no question was answered in time.
    """

    __module__ = "redouble"

    def __init__(self, message: str = "still pending", value: object = None) -> None:
        super().__init__(message)
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.value), self.__dict__


class Unwanted(Exception):  # noqa: N818  # it tells of a value, not of a fault
    """The last attempt returned a value that the policy's `result` rules do not want (`unwanted="raise"`).

    Attributes:
        value: That value.
    """

    __module__ = "redouble"

    def __init__(self, value: object = None, message: str = "the value returned last is unwanted") -> None:
        super().__init__(message)
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.value, self.args[0]), self.__dict__


class Stopped(Exception):  # noqa: N818  # the contract's name: it tells of a wish, not of a fault
    """`stop` was set while the answer was still pending, so there is nothing to return."""

    __module__ = "redouble"
