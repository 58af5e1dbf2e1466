"""Floor 5. One connection of a link: entered by a `with`, whose end closes it and decides what follows."""

from __future__ import annotations

from redouble.loops.link import OURS
from redouble.wrappers.shape import is_awaitable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Generic, TypeVar

    from redouble.loops.link import Line
    from redouble.wrappers.opening import Leave

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `Session[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


_ENTERED: Any = object()


class Session(Generic[T]):
    """One connection of a `Link`, to be entered once: `with session as conn:`, or `async with session as conn:`.

    The connection is open already, and the end of that `with` is what closes it, so every session is to be entered.
    Whether the loop goes on is decided there: a normal end and a transient error mean that it does, any other error
    passes and ends the loop.

    Attributes:
        number: The number of the dial that opened it, from 1.
    """

    __module__ = "redouble"

    __slots__ = ("_asynchronous", "_leave", "_line", "_value", "number")

    number: int

    def __init__(self, line: Line, value: T, leave: Leave, asynchronous: bool) -> None:
        self.number = line.attempt
        self._line = line
        self._value: Any = value
        self._leave: Leave | None = leave
        self._asynchronous = asynchronous

    def __enter__(self) -> T:
        if self._asynchronous:
            raise TypeError("this session was given by `async for`: write `async with session:`")
        return self._enter("with")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        suppressed = None
        try:
            suppressed = self.closer()(kind, error, traceback)
        except BaseException as closing:
            if _counts(closing, error):
                if not self._swallows(closing):
                    raise
                return True
        return self._swallows(None if suppressed else error) or bool(suppressed)

    async def __aenter__(self) -> T:
        if not self._asynchronous:
            raise TypeError("this session was given by a plain `for`: write `with session:`")
        return self._enter("async with")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        suppressed = None
        try:
            answer = self.closer()(kind, error, traceback)
            suppressed = await answer if is_awaitable(answer) else answer
        except BaseException as closing:
            if _counts(closing, error):
                if not self._swallows(closing):
                    raise
                return True
        return self._swallows(None if suppressed else error) or bool(suppressed)

    @property
    def entered(self) -> bool:
        """Whether somebody has entered it: then the end of that `with` closes it."""
        return self._value is _ENTERED

    def _enter(self, keyword: str) -> T:
        value: Any = self._value
        if value is _ENTERED:
            raise RuntimeError(f"`{keyword} session:` enters a session once, as soon as the loop has given it")
        self._value = _ENTERED
        entered: T = value
        return entered

    def closer(self) -> Leave:
        """What closes it, once."""
        leave, self._leave = self._leave, None
        self._value = _ENTERED
        if leave is None:
            raise RuntimeError("this session is closed already")
        return leave

    def _swallows(self, error: BaseException | None) -> bool:
        """It is closed: tell the line how it ended. What is no `Exception` passes, and is nothing that it did."""
        self._line.session = None
        if isinstance(error, Exception):
            return not self._line.ended(error)
        self._line.ended(None)
        return False

    def __repr__(self) -> str:
        return f"<redouble.Session {self.number} of {self._line.name}>"


def _counts(closing: BaseException, error: BaseException | None) -> bool:
    """Whether what closing raised stands for how the session ended.

    It does where it was raised instead of the body's error on purpose (`from`, or a group); a connection that is broken
    and cannot even be closed must not hide what the body has to say.
    """
    if error is None or not isinstance(closing, Exception):
        return True
    return closing is not error and (closing.__suppress_context__ or isinstance(closing, BaseExceptionGroup))


OURS |= {Session.__exit__.__code__, Session.__aexit__.__code__}
