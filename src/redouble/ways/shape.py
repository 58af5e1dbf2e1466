"""Floor 5. Finding the kind of a callable without loading `inspect`, and refusing kinds that cannot be retried."""

from __future__ import annotations

import sys

from redouble.calls.awaitable import is_awaitable
from redouble.calls.timing import place_of_timeout
from redouble.control.policy import Policy
from redouble.core import checks
from redouble.core.backoff import Backoff
from redouble.core.verdict import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.calls.timing import TimeoutAt

_COROUTINE, _IS_GENERATOR, _ASYNC_GENERATOR, _ITERABLE_COROUTINE = 0x80, 0x20, 0x200, 0x100


def _function_of(fn: Any) -> Any:
    """Return the function beneath a partial, a bound method or a callable object."""
    for _ in range(32):  # partials of partials: bounded, as an object may claim to wrap itself
        if hasattr(fn, "__code__"):
            return fn
        inner = getattr(fn, "func", None) if type(fn).__module__ == "functools" else getattr(fn, "__func__", None)
        if inner is None:
            return fn if isinstance(fn, type) or not callable(fn) else type(fn).__call__
        fn = inner
    return fn


def _is_stand_in(fn: Any) -> bool:
    """Return whether a callable is a mock made after a function: its code is a mock, too."""
    code = getattr(_function_of(fn), "__code__", None)
    return code is not None and not isinstance(getattr(code, "co_flags", 0), int)


def _flags(fn: Any) -> int:
    flags = getattr(getattr(_function_of(fn), "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def is_coroutine_function(fn: Any) -> bool:
    """Return whether calling `fn` returns a coroutine, as far as can be told before the call.

    Like `inspect.iscoroutinefunction`, also for partials, bound methods and callable objects.
    """
    if _flags(fn) & _COROUTINE:
        return True
    if _is_stand_in(fn):
        return False
    inspect = sys.modules.get("inspect")  # a program that marks coroutine functions has loaded it
    return inspect is not None and not isinstance(fn, type) and inspect.iscoroutinefunction(_function_of(fn))


def is_generator_function(fn: Any) -> bool:
    """Return whether calling `fn` returns a generator to loop over, and not one to await."""
    flags = _flags(fn)
    return bool(flags & _IS_GENERATOR) and not flags & _ITERABLE_COROUTINE


def is_async_generator_function(fn: Any) -> bool:
    """Return whether calling `fn` returns an async generator."""
    return bool(_flags(fn) & _ASYNC_GENERATOR)


def refuse_what_cannot_be_retried(fn: Any) -> None:
    """Refuse to decorate an object that is no function, or a function that cannot be called again.

    Raises:
        TypeError: For such an object; the message says how to write it.
    """
    if isinstance(fn, type):
        if issubclass(fn, BaseException):
            raise TypeError(f"retry decorates functions; to say what is retried, write retry(on={fn.__qualname__})")
        raise TypeError(
            f"retry decorates functions, {fn.__qualname__} is a class: decorate its methods, or write"
            f" retry.call({fn.__qualname__}, ...) to retry making one"
        )
    if isinstance(fn, Policy):
        raise TypeError("retry decorates functions, and this is a policy: write @policy, or retry.changed(...)")
    if not callable(fn):
        raise TypeError(
            f"retry takes a function, or keywords such as attempts=5, got {checks.shown(fn)}{_meant_for(fn)}"
        )
    refuse_what_cannot_be_called(fn, "retry")
    refuse_context_manager(fn)


def _meant_for(value: Any) -> str:
    """Return the end of a message: how to write a value that was meant for a field, or for a function."""
    if isinstance(value, property) or type(value).__name__ == "cached_property":
        return f"; put @{type(value).__name__} above @retry"
    if is_awaitable(value):
        return _closed(value, "; decorate the function, without calling it")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"; write retry(attempts={value})"
    if isinstance(value, Backoff):
        return "; write retry(backoff=...)"
    if isinstance(value, (Rule, tuple, list)):
        return "; write retry(on=...)"
    return "; write @retry above the function, or retry.call(function, ...)"


def _closed(value: Any, advice: str) -> str:
    if hasattr(value, "close"):
        value.close()  # a coroutine: Python would warn that it was never awaited
    return advice


def refuse_context_manager(fn: Any) -> None:
    """Refuse a function that `contextlib` made: it returns at once, and can fail only when it is entered.

    Raises:
        TypeError: For such a function.
    """
    if getattr(_function_of(fn), "__globals__", {}).get("__name__") == "contextlib":
        raise TypeError(
            f"{name_of(fn)} makes a context manager, and fails only when that is entered: write"
            f" retry.connect({name_of(fn)}, ...) to retry entering it"
        )


def refuse_other_arguments(name: str, fn: Any, timeout_as: str | None, *given: str) -> None:
    """Refuse an operation that does not take the arguments with which a loop calls it.

    Args:
        name: The loop's argument that holds the operation.
        fn: The operation.
        timeout_as: The parameter in which it receives its timeout; `None`: it receives none.
        given: The names of the positional arguments of the call.

    Raises:
        TypeError: When it takes other arguments.
    """
    if timeout_as is not None:
        timeout_at(fn, timeout_as)
    else:
        checks.takes(name, fn, *given)


def refuse_what_cannot_be_called(fn: Any, way: str = "retry.call") -> None:
    """Refuse an object that is not callable, and a generator function: another call would repeat its first items.

    Args:
        fn: The operation.
        way: The way in that received it, as users write it.

    Raises:
        TypeError: For such an object.
    """
    if not callable(fn):
        message = (
            f"{way} takes a function, which it calls itself: write {way}(function) instead of {way}(function()), got"
            f" {checks.shown(fn)}"
        )
        raise TypeError(_closed(fn, message) if is_awaitable(fn) else message)
    flags = _flags(fn)
    if flags & _ASYNC_GENERATOR or (flags & _IS_GENERATOR and not flags & _ITERABLE_COROUTINE):
        raise TypeError(
            f"{name_of(fn)} is a generator function: calling it again would repeat items that were given out. Write"
            " retry.opening(...) to retry until the first item is there; or retry what fetches one page, and keep the"
            " cursor outside; or return a list"
        )


def timeout_at(fn: Any, keyword: str) -> TimeoutAt:
    """Return the place at which a function takes its timeout.

    Raises:
        TypeError: When it has no parameter of that name.
    """
    found = place_of_timeout(fn, keyword)
    if found is None:
        raise TypeError(f"timeout_as must name a keyword that {name_of(fn)} takes, got {keyword!r}")
    return found


def top_package(fn: Any) -> str:
    """Return the top package of a function that is handed over as it is; empty if it names no module."""
    module = getattr(_function_of(fn), "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""


def refuse_timeout_without_keyword(policy: Policy, name: str) -> None:
    """Refuse `attempt_timeout` without `timeout_as` for a synchronous function: it cannot be stopped while it runs.

    Raises:
        TypeError: For such a policy.
    """
    if policy.attempt_timeout is not None and policy.timeout_as is None:
        raise TypeError(
            f"attempt_timeout cannot cut off the synchronous {name}: nothing can stop a running function. Write"
            " timeout_as='timeout' to hand each attempt its timeout under that keyword, or make it async def"
        )


def refuse_own_cooldown(policy: Policy, what: str) -> None:
    """Refuse `cooldown=True` where no decorated function could hold the cooldown.

    Raises:
        ValueError: For such a policy.
    """
    if policy.cooldown is True:
        raise ValueError(
            f"cooldown=True is one for each decorated function, and {what} has none: write a name that is shared, such as"
            " cooldown='openai'"
        )


def name_of(fn: Any) -> str:
    """Return the name of a function for logs and messages."""
    for each in (fn, getattr(fn, "func", None), _function_of(fn)):
        name = getattr(each, "__qualname__", None) or getattr(each, "__name__", None)
        if isinstance(name, str):
            return name
    return type(fn).__qualname__
