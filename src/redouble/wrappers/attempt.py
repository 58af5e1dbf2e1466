"""Floor 4. What an attempt tells and takes, from inside of it."""

from __future__ import annotations

import sys

from redouble.control.scope import effective
from redouble.control.stack import close_block, enclosing, open_block
from redouble.wrappers.run import Run, traceback_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from redouble.control.policy import Policy

_NOTHING: Any = object()


class Attempt:
    """One attempt of a retried call, as seen from inside of it.

    A block form gives it (`for attempt in retry: ...`); `current_attempt()` finds it from deeper down.
    """

    __module__ = "redouble"

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def number(self) -> int:
        """The number of the attempt, from 1."""
        return self._run.attempt

    @property
    def failures(self) -> int:
        """How many attempts before it have failed in a row."""
        return self._run.failures

    @property
    def elapsed(self) -> float:
        """Seconds since the first attempt began."""
        return self._run.elapsed

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, >= 0; `None` when nothing bounds the call."""
        left = self._run.left()
        return None if left is None else max(0.0, left)

    @property
    def timeout(self) -> float | None:
        """Seconds that this attempt may take: `attempt_timeout`, never more than `remaining`; `None`: no limit."""
        return self._run.timeout()

    def progress(self) -> None:
        """The attempt got somewhere: failures, curve and deadline begin again.

        Raises:
            RuntimeError: When the attempt is over.
        """
        self._run.record_progress()

    def result(self, value: object) -> None:
        """What the block came to, to be judged by the policy's `result` rules when the block ends.

        Raises:
            RuntimeError: In a function that is called: there the value that it returns is judged.
        """
        raise RuntimeError("result() is for the block form; of a retried function the returned value is judged")

    def __repr__(self) -> str:
        return f"<redouble.{type(self).__name__} {self.number} of {self._run.name or 'a retried call'}>"


class BlockAttempt(Attempt):
    """The attempts of a block form, one after the other; what `with attempt:` enters."""

    __slots__ = ("_back", "_due", "_frame", "_open", "_over", "_policy", "_value")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._run: Run = None  # type: ignore[assignment]  # made when the first attempt begins
        self._due = False
        self._open = False
        self._over = False
        self._frame = 0
        self._value = _NOTHING
        self._back: BaseException | None = None

    def left(self) -> float | None:
        return self._run.left()

    def __repr__(self) -> str:
        return super().__repr__() if self._run is not None else f"<redouble.{type(self).__name__} not begun>"

    def result(self, value: object) -> None:
        self._value = value

    # What the loops in `sync` and `aio` ask.

    def _begin(self, *, asynchronous: bool) -> None:
        """The first attempt: the block begins in the frame two calls above."""
        frame = sys._getframe(2)
        self._frame = id(frame)
        self._run = Run(effective(self._policy), frame.f_code.co_qualname, None, frame, asynchronous)
        self._due = True

    def _refuse_forgotten_with(self, keyword: str) -> None:
        if self._due:
            raise RuntimeError(f"the attempt was never entered: write `{keyword} attempt:` around the body of the loop")
        if self._open:
            raise RuntimeError("the attempt is still open: the next one begins when its `with` has ended")

    def _ended_in_wait(self) -> bool:
        """It ended while waiting: `True` when there is an error to raise here, `False` when the loop just ends.

        An error that would end the loop in silence (`StopIteration`) is raised by the `with` that follows.
        """
        self._over = True
        error = self._run.error
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self._over, self._due, self._back = False, True, error
            self._run.let_go()
            return False
        return error is not None

    def __enter__(self) -> Self:
        if self._back is not None:
            error, self._back = self._back, None
            self._due, self._over = False, True
            raise error
        if not self._due:
            raise RuntimeError("`with attempt:` enters an attempt once, as soon as the loop has given it")
        self._due, self._open = False, True
        open_block(self._frame, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        close_block(self._frame, self)
        self._open = False
        self._over = True
        if error is None:
            self._judge_value()
            return False
        self._value = _NOTHING
        if not isinstance(error, Exception):
            return self._interrupted(error)
        if error is self._run.error:  # the same object came back: its traceback must not grow
            BaseException.with_traceback(error, self._run.passed)
        return self._failed(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return self.__exit__(kind, error, traceback)

    def _judge_value(self) -> None:
        value, self._value = self._value, _NOTHING
        if value is _NOTHING:
            self._run.succeeded()
        elif not self._run.returned(value):
            self._over = False

    def _failed(self, error: Exception) -> bool:
        if self._run.failed(error):
            self._run.let_go()
            return False
        self._run.passed = traceback_of(error)
        self._over = False
        return True

    def _interrupted(self, error: BaseException) -> bool:
        """A `BaseException` passes, unless it is the cancellation by the attempt's own time limit."""
        run = self._run
        if not run.cut_off(error) or run.cut is None:
            return False
        try:
            raise run.cut from run.cause(error)
        except TimeoutError as cut:
            if self._failed(cut):
                return True
            raise


def current_attempt() -> Attempt | None:
    """The attempt that the caller is inside of, in the same thread or task; `None` outside of any.

    >>> from redouble import current_attempt, retry
    >>> @retry
    ... def fetch():
    ...     return current_attempt().number
    >>> fetch()
    1
    """
    for call in enclosing(sys._getframe(1)):
        return call if isinstance(call, Attempt) else Attempt(call)  # type: ignore[arg-type]  # it is a Run
    return None
