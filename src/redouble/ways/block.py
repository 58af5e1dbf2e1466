"""Floor 5. The block form: `for attempt in policy: with attempt: ...`, in which the body is the operation.

Its script is that of every call; what differs is that an attempt is handed out, and that the end of the `with` tells
the call what came of it.
"""

from __future__ import annotations

from math import inf

from redouble.calls.attempt import Attempt
from redouble.calls.call import Call, is_fault
from redouble.calls.hosts import coroutines, threads
from redouble.calls.script import attempts
from redouble.calls.tracebacks import strip
from redouble.control import faults
from redouble.control.around import AROUND, NODE, WHO, close_link, innermost, new_link
from redouble.control.cut import cut_after
from redouble.control.scope import effective

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from redouble.calls.script import Script
    from redouble.control.cut import Cut
    from redouble.control.policy import Policy

_NOTHING: Any = object()


class BlockAttempt(Attempt):
    """The attempts of a block form, one after the other; what `with attempt:` enters."""

    __slots__ = ("_due", "_open", "_over", "_policy", "_script", "_silent", "_value")

    _due: bool  # given out, and not entered yet
    _open: bool
    _over: bool
    _silent: Exception | None  # an error that Python would take for the end of the loop, to be raised by the `with`

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._call: Call = None  # type: ignore[assignment]  # made when the first attempt begins
        self._script: Script = None  # type: ignore[assignment]  # likewise
        self._due = self._open = self._over = False
        self._silent = None
        self._value = _NOTHING

    def __repr__(self) -> str:
        return super().__repr__() if self._call is not None else f"<redouble.{type(self).__name__} not begun>"

    def result(self, value: object) -> None:
        self._value = value

    def _begin(self) -> None:
        """Begin the first attempt, and the time of the call."""
        policy = effective(self._policy)
        self._call = Call(policy, None, new_link(self, innermost()))
        self._script = attempts(self._call)

    def _refuse_forgotten_with(self, keyword: str) -> None:
        if self._due:
            raise RuntimeError(f"the attempt was never entered: write `{keyword} attempt:` around the body of the loop")
        if self._open:
            raise RuntimeError("the attempt is still open: the next one begins when its `with` has ended")

    def _ended(self) -> None:
        self._over = True
        self._call.let_go()

    def _is_silent(self, error: BaseException) -> bool:
        """The call ended while waiting, by `error`; whether Python would take that for the end of the loop.

        Such an error (`StopIteration`) is raised by the `with` that follows.
        """
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self._silent, self._due = error, True
            return True
        self._ended()
        strip(error)
        return False

    def _enter(self) -> Self:
        if self._silent is not None:
            error, self._silent = self._silent, None
            self._due = False
            self._ended()
            raise error
        if not self._due:
            raise RuntimeError("`with attempt:` enters an attempt once, as soon as the loop has given it")
        self._due, self._open = False, True
        call = self._call
        if call.tally.attempt > 1:
            call.link = new_link(self, innermost())
        call.link[WHO] = self
        if call.bound is not None:
            call.link[NODE] = call.bound
        AROUND.set(call.link)
        return self

    def _leave(self, error: BaseException | None) -> bool:
        """The body ended, with `error` or without; `True`: the error is dealt with."""
        self._open, self._over = False, True
        call = self._call
        value, self._value = self._value, _NOTHING
        try:
            if isinstance(error, Exception):
                self._over = _failed(call, error)
            elif error is None and value is _NOTHING:
                call.succeeded()
            elif error is None:
                self._over = call.returned(value)
        finally:
            close_link(call.link)
            if self._over:
                call.let_go()
        return error is not None and not self._over


class Block(BlockAttempt):
    """The attempts of `for attempt in policy: with attempt: ...`."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Self:
        if self._over:
            raise StopIteration
        if self._call is None:
            self._begin()
        else:
            self._refuse_forgotten_with("with")
        try:
            given = threads.drive(self._script, self._call)
        except BaseException as error:
            if not self._is_silent(error):
                raise
            return self
        if given is None:
            self._ended()
            raise StopIteration
        self._due = True
        return self

    def __enter__(self) -> Self:
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return self._leave(error)


class AsyncBlock(BlockAttempt):
    """The attempts of `async for attempt in policy: with attempt: ...`, also with `async with`."""

    __slots__ = ("_cut",)

    _cut: Cut | None

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._cut = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Self:
        if self._over:
            raise StopAsyncIteration
        if self._call is None:
            self._begin()
        else:
            self._refuse_forgotten_with("with")
        try:
            given = await coroutines.drive(self._script, self._call)
        except BaseException as error:
            if not self._is_silent(error):
                raise
            return self
        if given is None:
            self._ended()
            raise StopAsyncIteration
        if self._call.over:
            self._is_silent(self._call.raised)  # type: ignore[arg-type]  # a StopIteration, which a coroutine cannot raise
            return self
        self._due = True
        return self

    def __enter__(self) -> Self:
        self._enter()
        self._limit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        cut, self._cut = self._cut, None
        if cut is None or not cut.settle(error) or error is None:
            return self._leave(error)
        try:
            raise self._call.cut_off(error)
        except TimeoutError as late:
            if self._leave(late):
                return True
            raise

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return self.__exit__(kind, error, traceback)

    def _limit(self) -> None:
        """Cut the body off when its time is up."""
        clock = self._call.tally.clock
        try:
            seconds = self._call.cut_in()
            if seconds != inf:
                self._cut = cut_after(clock, seconds, self._call.cut_in)
        except Exception as fault:
            faults.report("clock", type(clock), fault, "attempts have no time limit")


def _failed(call: Call, error: Exception) -> bool:
    """Tell the call that its body failed; whatever goes wrong there, the body's error is raised."""
    try:
        return call.failed(error)
    except Exception as fault:
        if fault is call.raised:  # meant for the caller
            raise
        return is_fault(call.tally.name, fault)
