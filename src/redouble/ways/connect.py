"""Floor 5. Opening a connection for the body of a `with`: only the opening is retried, and the end closes it."""

from __future__ import annotations

from redouble.calls.call import call_of_attempt
from redouble.calls.hosts import coroutines, threads
from redouble.calls.tracebacks import strip
from redouble.control.clock import SYSTEM
from redouble.control.host import in_trio
from redouble.control.scope import effective
from redouble.ways import wrap
from redouble.ways.closing import CloseLimit
from redouble.ways.first import NONE
from redouble.ways.opening import Opening, leaving, open_under, opening, scope_of_opening
from redouble.ways.shape import name_of, refuse_timeout_without_keyword, top_package

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Generic, TypeVar

    from redouble.control.policy import Policy
    from redouble.core.checks import Seconds
    from redouble.ways.opening import Opened

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `Connecting[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


class Connecting(Generic[T]):
    """A connection to be opened, made by `policy.connect(...)`: for `with` or `async with`, one at a time."""

    __module__ = "redouble.types"

    __slots__ = ("_args", "_closing", "_factory", "_kwargs", "_limit", "_open", "_policy")

    _open: tuple[Opened, Opening] | None

    def __init__(
        self,
        policy: Policy,
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        closing: bool,
        close_timeout: Seconds | None,
    ) -> None:
        self._policy = policy
        self._factory = factory
        self._args = args
        self._kwargs = kwargs
        self._closing = closing
        self._limit = CloseLimit(close_timeout, self._name)
        self._open = None

    def __enter__(self) -> T:
        policy = self._checked()
        refuse_timeout_without_keyword(policy, self._name)
        how = self._how(asynchronous=False)
        try:
            whose = top_package(self._factory)
            open_ = wrap.retrying(policy, lambda **kwargs: threads.perform(opening(how, kwargs)), how.name, NONE, whose)
            found = open_(**self._kwargs)
        except BaseException as error:
            strip(error)
            raise
        return self._usable(found, how)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        opened, self._open = self._open, None
        if opened is None:
            return None
        suppress: bool | None = threads.perform(leaving(*opened, kind, error, traceback))
        return suppress

    async def __aenter__(self) -> T:
        from redouble.ways import wrap_async

        how = self._how(asynchronous=True)

        async def open_(**kwargs: Any) -> Opened:
            if not in_trio():
                return await coroutines.perform(opening(how, kwargs))
            call = call_of_attempt()
            return await open_under(scope_of_opening(how.limit.clock, call), how, kwargs, call)

        open_.limits_itself = True  # type: ignore[attr-defined]

        try:
            whose = top_package(self._factory)
            found = await wrap_async.retrying(self._checked(), open_, how.name, NONE, whose)(**self._kwargs)
        except BaseException as error:
            strip(error)
            raise
        return self._usable(found, how)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        opened, self._open = self._open, None
        if opened is None:
            return None
        suppress: bool | None = await coroutines.perform(leaving(*opened, kind, error, traceback))
        return suppress

    @property
    def _name(self) -> str:
        return name_of(self._factory)

    def _how(self, *, asynchronous: bool) -> Opening:
        self._limit.clock = effective(self._policy).clock or SYSTEM
        return Opening(
            self._factory,
            self._args,
            self._name,
            "connect",
            closing=self._closing,
            asynchronous=asynchronous,
            limit=self._limit,
        )

    def _checked(self) -> Policy:
        """Return the policy without its rules for results, as a connection is no answer; refuse a second `with`."""
        if self._open is not None:
            raise RuntimeError("this connect(...) is open already; call connect(...) again for another one")
        policy = self._policy
        return policy if policy.result is None else policy.changed(result=None)

    def _usable(self, found: Opened, how: Opening) -> T:
        """Return the opened value, or refuse it: outside of the call, so that no rule retries the refusal."""
        if found.refusal:
            raise TypeError(found.refusal)
        self._open = found, how
        usable: T = found.value
        return usable
