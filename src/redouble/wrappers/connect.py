"""Floor 4. Opening something for the body of a `with`: only the opening is retried, and what was opened is closed."""

from __future__ import annotations

from redouble.control.policy import refuse_async_stop
from redouble.wrappers import sync
from redouble.wrappers.opening import opened, opened_async
from redouble.wrappers.run import trim
from redouble.wrappers.shape import is_awaitable, name_of, refuse_timeout_without_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Generic, TypeVar

    from redouble.control.policy import Policy
    from redouble.wrappers.opening import Leave, Opened

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `Connecting[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


class Connecting(Generic[T]):
    """Something to be opened, made by `policy.connect(...)`: for `with` or `async with`, one at a time."""

    __module__ = "redouble"

    __slots__ = ("_args", "_closing", "_factory", "_kwargs", "_leave", "_policy")

    def __init__(
        self, policy: Policy, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], closing: bool
    ) -> None:
        self._policy = policy
        self._factory = factory
        self._args = args
        self._kwargs = kwargs
        self._closing = closing
        self._leave: Leave | None = None

    def __enter__(self) -> T:
        self._refuse_open()
        policy = self._without_result_rules()
        refuse_timeout_without_keyword(policy, self._name)
        refuse_async_stop(policy)
        try:
            value, leave = sync.retrying(policy, self._open, self._name)(**self._kwargs)
        except BaseException as error:
            trim(error)
            raise
        return self._usable(value, leave)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        leave, self._leave = self._leave, None
        suppress: bool | None = None if leave is None else leave(kind, error, traceback)
        return suppress

    async def __aenter__(self) -> T:
        from redouble.wrappers import aio

        self._refuse_open()
        open_ = aio.retrying(self._without_result_rules(), self._open_async, self._name)
        try:
            value, leave = await open_(**self._kwargs)
        except BaseException as error:
            trim(error)
            raise
        return self._usable(value, leave)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        leave, self._leave = self._leave, None
        if leave is None:
            return None
        answer = leave(kind, error, traceback)
        suppress: bool | None = await answer if is_awaitable(answer) else answer
        return suppress

    @property
    def _name(self) -> str:
        return name_of(self._factory)

    def _refuse_open(self) -> None:
        if self._leave is not None:
            raise RuntimeError("this connect(...) is open already; call connect(...) again for another one")

    def _without_result_rules(self) -> Policy:
        """A connection is no answer to be judged: it is there, or there was an error."""
        policy = self._policy
        return policy if policy.result is None else policy.changed(result=None)

    def _usable(self, value: Any, leave: Leave | None) -> T:
        """The opened value; what cannot be used is refused here, outside of the loop, where no rule retries it."""
        if leave is None:
            raise TypeError(value)
        self._leave = leave
        usable: T = value
        return usable

    def _open(self, **kwargs: Any) -> Opened:
        return opened(self._factory(*self._args, **kwargs), self._name, self._closing, "connect")

    async def _open_async(self, **kwargs: Any) -> Opened:
        return await opened_async(self._factory(*self._args, **kwargs), self._name, self._closing, "connect")
