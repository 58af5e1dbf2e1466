"""On top of the floors: operations that fail by a script."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from redouble.testing.hosts import hang

if TYPE_CHECKING:
    from collections.abc import Callable


class Hang:
    """The kind of `HANG`."""

    def __repr__(self) -> str:
        return "redouble.testing.HANG"


HANG = Hang()
"""An outcome for `scripted(..., asynchronous=True)`: the call never ends, until it is cancelled."""


class Scripted(Protocol):
    """The result of `scripted`: a function that records its calls."""

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]]
    """The arguments of every call so far: (args, kwargs)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class ScriptedAsync(Protocol):
    """The result of `scripted(..., asynchronous=True)`: a coroutine function that records its calls."""

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]]
    """The arguments of every call so far: (args, kwargs)."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


@overload
def scripted(*outcomes: object, asynchronous: Literal[False] = False) -> Scripted: ...
@overload
def scripted(*outcomes: object, asynchronous: Literal[True]) -> ScriptedAsync: ...
def scripted(*outcomes: object, asynchronous: bool = False) -> Any:
    """Return an operation that fails by a script: each call takes the next outcome, and ignores its arguments.

    Args:
        outcomes: An exception (instance or class) is raised, any other value is returned; `HANG` never ends.
        asynchronous: Make it a coroutine function.

    Returns:
        A function whose `calls` lists the arguments of every call, as (args, kwargs). A call beyond the script is an
        `AssertionError` that says which one.

    Raises:
        TypeError: For `HANG` in a function that is not asynchronous.

    >>> from redouble.testing import scripted
    >>> fetch = scripted(ConnectionResetError, "body")
    >>> fetch("/a")
    Traceback (most recent call last):
        ...
    ConnectionResetError
    >>> fetch("/b", timeout=5), fetch.calls
    ('body', [(('/a',), {}), (('/b',), {'timeout': 5})])
    """
    if any(outcome is HANG for outcome in outcomes) and not asynchronous:
        raise TypeError("HANG needs asynchronous=True: nothing could ever end the call")
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    take = _taker(outcomes, calls)

    def operation(*args: Any, **kwargs: Any) -> Any:
        return _play(take(args, kwargs))

    async def operation_async(*args: Any, **kwargs: Any) -> Any:
        outcome = take(args, kwargs)
        if outcome is HANG:
            await hang()
        return _play(outcome)

    made: Any = operation_async if asynchronous else operation
    made.__name__ = made.__qualname__ = "scripted"
    made.calls = calls
    return made


def _taker(outcomes: tuple[object, ...], calls: list[Any]) -> Callable[[Any, Any], object]:
    lock = threading.Lock()

    def take(args: Any, kwargs: Any) -> object:
        with lock:
            calls.append((args, kwargs))
            number = len(calls)
        if number > len(outcomes):
            raise AssertionError(f"call {number}, but the script has {len(outcomes)} outcome(s): {outcomes!r}")
        return outcomes[number - 1]

    return take


def _play(outcome: object) -> object:
    if isinstance(outcome, BaseException) or (isinstance(outcome, type) and issubclass(outcome, BaseException)):
        raise outcome
    return outcome
