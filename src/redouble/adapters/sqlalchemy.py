"""A transaction that is run again whole: `@Transactions(Session)`. Needs `pip install redouble[sqlalchemy]`.

A serialization failure, a deadlock or a lost connection undoes the whole transaction, so nothing less than the whole can
be run again. Until COMMIT was sent, nothing of it had an effect, whatever the driver's error says of one statement.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from redouble import Classification, RetryPolicy, Verdict, classify, retry
from redouble.core import checks

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Concatenate, ParamSpec

    P = ParamSpec("P")

__all__ = ["Transactions"]

R = TypeVar("R")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

COMMITTING: ContextVar[bool] = ContextVar("COMMITTING", default=False)
"""Whether the transaction of the attempt that ended last here had come to its COMMIT."""


def without_session(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a decorator that gives a wrapper the name and text of `fn`, but not its signature, which has the session."""

    def decorate(wrapper: Any) -> Any:
        del wraps(fn)(wrapper).__wrapped__
        return wrapper

    return decorate


class Begins(Protocol[S_co]):
    """An `Engine`, a `sessionmaker`, or their asyncio kin: `begin()` opens what a `with` commits."""

    def begin(self) -> AbstractContextManager[S_co] | AbstractAsyncContextManager[S_co]:
        """Open a transaction."""
        ...


class Transactions(Generic[S]):
    """A decorator that runs a function in a transaction of its own, and again as a whole when it may pass.

    The function gets the session (of an `Engine`: the connection) as its first argument, and its return commits. It may
    run several times, so everything that it does besides, such as sending mail, belongs after the call.

    Errors are judged as the policy says. Those of the database that came before COMMIT count as surely not applied, since
    the transaction was rolled back; a connection that is lost during COMMIT may have committed, so such an error ends a
    call with `idempotent=False` as `UNSAFE`.

    Args:
        target: A `sessionmaker`, an `Engine`, an `async_sessionmaker` or an `AsyncEngine`; for a coroutine function one
            of the latter two.
        policy: How it is tried again.

    Raises:
        TypeError: For a target without `begin`, or a policy that is none.

    >>> from sqlalchemy import create_engine, text
    >>> atomic = Transactions(create_engine("sqlite://"))
    >>> @atomic
    ... def answer(connection):
    ...     return connection.execute(text("SELECT 42")).scalar_one()
    >>> answer()
    42
    """

    def __init__(self, target: Begins[S], policy: RetryPolicy = retry) -> None:
        if not callable(getattr(target, "begin", None)):
            raise TypeError(f"target must be an engine or a sessionmaker, got {checks.shown(target)}")
        if not isinstance(policy, RetryPolicy):
            raise TypeError(f"policy must be a RetryPolicy, got {checks.shown(policy)}")
        self._begin: Callable[[], Any] = target.begin
        self._rules = policy.on
        self._policy = policy if policy.on is None else policy(on=self._undone | policy.on)

    def __call__(self, fn: Callable[Concatenate[S, P], R]) -> Callable[P, R]:
        """Return the function, run in transactions; it is called without the session."""
        whole: Any = self._run_async(fn) if iscoroutinefunction(fn) else self._run(fn)
        decorated: Any = self._policy(whole)
        without_session: Callable[P, R] = decorated
        return without_session

    def _run(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @without_session(fn)
        def whole(*args: Any, **kwargs: Any) -> Any:
            COMMITTING.set(False)
            with self._begin() as session:
                value = fn(session, *args, **kwargs)
                COMMITTING.set(True)
            return value

        return whole

    def _run_async(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @without_session(fn)
        async def whole(*args: Any, **kwargs: Any) -> Any:
            COMMITTING.set(False)
            async with self._begin() as session:
                value = await fn(session, *args, **kwargs)
                COMMITTING.set(True)
            return value

        return whole

    def _undone(self, error: Exception) -> Classification | None:
        """Judge a transient error of the database that came before COMMIT as surely not applied; leave others."""
        if self._rules is None or COMMITTING.get() or not isinstance(error, SQLAlchemyError):
            return None
        found = classify(error, self._rules)
        return found.__replace__(applied=False) if found.verdict is Verdict.TRANSIENT else None
