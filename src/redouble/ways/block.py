"""Floor 5. The block form: `for attempt in policy: with attempt: ...`, in which the body is the operation.

A block runs the script of every call. Two things differ: the script hands each attempt out, and the end of the `with`
tells the call how the attempt ended. A body that succeeds at once pays for a link in the chain alone: the call is made
when the body asks for its attempt, or after the first failure.
"""

from __future__ import annotations

import sys
from enum import Enum
from time import monotonic

from redouble.calls.attempt import Attempt
from redouble.calls.call import Call, First, is_fault
from redouble.calls.hosts import coroutines, threads
from redouble.calls.script import attempts
from redouble.calls.tracebacks import strip
from redouble.control import faults, scope
from redouble.control.around import AROUND, BOUND, NODE, WHO, close_link, first_live, first_open, innermost, new_link
from redouble.control.budget import RetryBudget
from redouble.control.cancel import cancel_after
from redouble.control.clock import SYSTEM
from redouble.control.cooldown import Cooldown
from redouble.control.scope import effective

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from redouble.calls.script import Script
    from redouble.control.around import Link
    from redouble.control.cancel import CancelScope
    from redouble.control.policy import Policy

_get, _set = AROUND.get, AROUND.set
_NOTHING: Any = object()


class State(Enum):
    """The state of a block.

    `NEW`: the loop has not begun. `GIVEN`: an attempt was handed out and has to be entered. `OPEN`: its body runs.
    `AGAIN`: the attempt failed and the next one is due. `OVER`: no further attempt follows.
    """

    NEW = 1
    GIVEN = 2
    OPEN = 3
    AGAIN = 4
    OVER = 5


_NEW, _GIVEN, _OPEN, _AGAIN, _OVER = State


class BlockAttempt(Attempt):
    """The attempts of a block, one after the other: `with attempt:` enters it anew for each."""

    __slots__ = ("_link", "_made", "_policy", "_script", "_silent", "_state", "_until", "_value")

    _link: Link
    _made: Call | None
    _script: Script
    _silent: BaseException | None  # a StopIteration, which `for` would swallow: the `with` raises it
    _state: State
    _until: BaseException | None  # the error that was being handled when the call began

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._made = self._silent = self._until = None
        self._state = _NEW
        self._value = _NOTHING

    @property
    def _call(self) -> Call:
        """The call, made when it is first needed: from inside the first attempt, or after that has failed."""
        return self._made or self._make()

    def _make(self, *, first: bool = False) -> Call:
        """Make the call.

        Args:
            first: Whether the first attempt is still to be handed out, so that a cooldown may hold it back.
        """
        node = self._link[NODE]
        own = node if self._policy.is_bounded and self._policy.is_plain else None
        self._made = call = Call(self._policy, None, self._link, bound=own, first=first)
        call.tally.until, self._until = self._until, None
        self._script = attempts(call)
        if not call.held:
            next(self._script)  # the first attempt, which is handed out
        return call

    def __repr__(self) -> str:
        return super().__repr__() if self._state is not _NEW else f"<redouble.{type(self).__name__} not begun>"

    def result(self, value: object) -> None:
        self._value = value

    def _begin(self) -> None:
        """Begin the call and its first attempt, unless a cooldown holds the attempt back."""
        if scope.overriding:
            self._policy = effective(self._policy)
        policy = self._policy
        outer = _get()
        if outer is not None and outer[WHO] is None:
            outer = first_open(outer)
        began = monotonic()
        node = None if outer is None else outer[NODE]
        plain = policy.is_plain
        if plain and policy.is_bounded:
            node = [BOUND, first_live(node), monotonic, began + policy.deadline, None, 0]  # type: ignore[operator]
        self._link = [None, outer, began, node, 0]
        self._state = _GIVEN
        self._until = sys.exception()
        cooldown = policy.cooldown
        if not plain or isinstance(policy.budget, RetryBudget) or (isinstance(cooldown, Cooldown) and cooldown.gate):
            call = self._make(
                first=True
            )  # made at once: it hands out time limits, tells observers, or waits for a cooldown
            if call.held:
                self._state = _AGAIN

    def _goes_on(self, keyword: str) -> None:
        """Refuse a forgotten `with`."""
        if self._state is _GIVEN:
            raise RuntimeError(f"the attempt was never entered: write `{keyword} attempt:` around the body of the loop")
        if self._state is _OPEN:
            raise RuntimeError("the attempt is still open: the next one begins when its `with` has ended")

    def _ended(self) -> None:
        self._state, self._until = _OVER, None
        if self._made is not None:  # pragma: no branch  # a driver has run, so there is a call
            self._made.let_go()

    def _is_silent(self, error: BaseException) -> bool:
        """Return whether Python would take an error for the end of the loop; the call ended with it during a wait.

        Such an error (`StopIteration`) is raised by the next `with`.
        """
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self._silent, self._state = error, _GIVEN
            return True
        self._ended()
        strip(error)
        return False

    def _enter(self) -> None:
        """Make the attempt the innermost link."""
        if self._state is not _GIVEN:
            raise RuntimeError("`with attempt:` enters an attempt once, as soon as the loop has given it")
        if self._silent is not None:
            error, self._silent = self._silent, None
            self._ended()
            raise error
        call = self._made
        if call is not None and call.tally.attempt > 1:
            self._link = call.link = new_link(self, innermost())
            if call.bound is not None:
                self._link[NODE] = call.bound
        self._link[WHO] = self
        self._state = _OPEN
        _set(self._link)

    def _leave(self, error: BaseException | None) -> bool:
        """Tell the call that the body ended, with `error` or without; return whether to suppress the error."""
        call, value, self._value = self._call, self._value, _NOTHING
        self._state = _OVER
        goes_on = False
        try:
            if isinstance(error, Exception):
                goes_on = not _failed(call, error)
            elif error is None and value is _NOTHING:
                call.succeeded()
            elif error is None:
                goes_on = not call.returned(value)
        finally:
            close_link(self._link)
            if goes_on:
                self._state = _AGAIN
            else:
                call.let_go()
        return error is not None and goes_on


class Block(BlockAttempt):
    """The attempts of `for attempt in policy: with attempt: ...`."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Self:
        state = self._state
        if state is _NEW:
            self._begin()
            if self._state is _GIVEN:
                return self
        elif state is _OVER:
            raise StopIteration
        self._goes_on("with")
        try:
            given = threads.drive(self._script, self._made)
        except BaseException as error:
            if not self._is_silent(error):
                raise
            return self
        if given is None:
            self._ended()
            raise StopIteration
        self._state = _GIVEN
        return self

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if kind is None and self._made is None and self._value is _NOTHING:
            self._state, self._until = _OVER, None
            close_link(self._link)
            return False
        return self._leave(error)

    if not TYPE_CHECKING:  # for the message alone

        async def __aenter__(self):
            raise TypeError("this attempt was given by `for`: write `async for attempt in policy:`, or `with attempt:`")

        async def __aexit__(self, *exc_info): ...


class AsyncBlock(BlockAttempt):
    """The attempts of `async for attempt in policy: with attempt: ...`, also with `async with`."""

    __slots__ = ("_cancel_scope",)

    _cancel_scope: CancelScope | None

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._cancel_scope = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Self:
        state = self._state
        if state is _NEW:
            self._begin()
            if self._state is _GIVEN:
                return self
        elif state is _OVER:
            raise StopAsyncIteration
        self._goes_on("with")
        try:
            given = await coroutines.drive(self._script, self._made)
        except BaseException as error:
            if not self._is_silent(error):
                raise
            return self
        if given is None:
            self._ended()
            raise StopAsyncIteration
        self._state = _GIVEN
        if given.over:
            self._is_silent(given.raised)  # type: ignore[arg-type]  # a StopIteration, which a coroutine cannot raise
        return self

    def __enter__(self) -> Self:
        self._enter()
        if self._link[NODE] is not None or self._made is not None:
            self._limit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        cancel_scope, self._cancel_scope = self._cancel_scope, None
        was_cancelled = cancel_scope is not None and cancel_scope.exit(error)
        if kind is None and self._made is None and self._value is _NOTHING:
            self._state, self._until = _OVER, None
            close_link(self._link)
            return False
        if not was_cancelled or error is None:
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
        """Set the timer that cancels the body when its time is up."""
        made = self._made
        clock = SYSTEM if made is None else made.tally.clock
        cut_in = First(self._link).cut_in if made is None else made.cut_in
        try:
            seconds = cut_in()
            if seconds != float("inf"):
                self._cancel_scope = cancel_after(clock, seconds, cut_in)
        except Exception as fault:
            faults.report("clock", type(clock), fault, "attempts have no time limit")


def _failed(call: Call, error: Exception) -> bool:
    """Tell the call that its body failed; return whether to raise the error, as after a fault of redouble's."""
    try:
        return call.failed(error)
    except Exception as fault:
        if fault is call.raised:  # meant for the caller
            raise
        return is_fault(call.tally.name, fault)
