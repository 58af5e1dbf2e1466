"""A transaction that is run again whole: `@Transactions(Session)`. Needs `pip install redouble[sqlalchemy]`.

A serialization failure, a deadlock or a lost connection undoes the whole transaction, so only the whole can be run
again. Until COMMIT was sent, no part of it had an effect, even where the driver's error says so of one statement.
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
F = TypeVar("F", bound="Callable[..., Any]")
S_co = TypeVar("S_co", covariant=True)

COMMITTING: ContextVar[bool] = ContextVar("COMMITTING", default=False)
"""Whether the transaction of the last attempt in this context had reached its COMMIT."""


def without_session(fn: Callable[..., Any]) -> Callable[[F], F]:
    """Return a decorator that gives a wrapper the name and text of `fn`, but not its signature, which has the session."""

    def decorate(wrapper: F) -> F:
        named: Any = wraps(fn)(wrapper)
        del named.__wrapped__
        return wrapper

    return decorate


class Begins(Protocol[S_co]):
    """An `Engine`, a `sessionmaker`, or their asyncio kin: `begin()` opens a transaction that a `with` commits."""

    def begin(self) -> AbstractContextManager[S_co] | AbstractAsyncContextManager[S_co]:
        """Open a transaction."""
        ...


class Transactions(Generic[S]):
    """A decorator that runs a function in a transaction of its own, and retries the whole transaction.

    The function gets the session (of an `Engine`: the connection) as its first argument, and its return commits. It may
    run several times, so other effects, such as sending mail, belong after the call.

    The policy judges errors. Database errors before COMMIT count as surely not applied, since the transaction was
    rolled back. A transaction may have committed when the connection is lost during COMMIT, so such an error ends a
    call with `idempotent=False` as `UNSAFE`.

    Args:
        target: A `sessionmaker`, an `Engine`, an `async_sessionmaker` or an `AsyncEngine`; for a coroutine function one
            of the latter two.
        policy: The policy of the retries.

    Raises:
        TypeError: For a target without `begin`, or a value that is not a policy.

    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine("sqlite://")
    >>> atomic = Transactions(engine)
    >>> @atomic
    ... def answer(connection):
    ...     return connection.execute(text("SELECT 42")).scalar_one()
    >>> answer()
    42
    >>> engine.dispose()
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
        """Wrap the function in transactions; the result is called without the session."""
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
