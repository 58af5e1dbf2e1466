"""Floor 5. What kind of callable a function is, found without loading `inspect`."""

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
    """The function that a partial, a bound method or a callable object comes down to."""
    for _ in range(32):  # partials of partials: bounded, whatever an object claims to wrap
        if hasattr(fn, "__code__"):
            return fn
        inner = getattr(fn, "func", None) if type(fn).__module__ == "functools" else getattr(fn, "__func__", None)
        if inner is None:
            return fn if isinstance(fn, type) or not callable(fn) else type(fn).__call__
        fn = inner
    return fn


def _is_stand_in(fn: Any) -> bool:
    """Whether it only answers as a function would: a mock that was made after one, whose code is a mock, too."""
    code = getattr(_function_of(fn), "__code__", None)
    return code is not None and not isinstance(getattr(code, "co_flags", 0), int)


def _flags(fn: Any) -> int:
    flags = getattr(getattr(_function_of(fn), "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def is_coroutine_function(fn: Any) -> bool:
    """Whether calling `fn` gives a coroutine, as far as can be told before.

    As `inspect.iscoroutinefunction`, and for partials, bound methods and callable objects too.
    """
    if _flags(fn) & _COROUTINE:
        return True
    if _is_stand_in(fn):
        return False
    inspect = sys.modules.get("inspect")  # whoever marked a function as a coroutine function has loaded it
    return inspect is not None and not isinstance(fn, type) and inspect.iscoroutinefunction(_function_of(fn))


def is_generator_function(fn: Any) -> bool:
    """Whether calling `fn` gives a generator that is for a `for`, and not for an `await`."""
    flags = _flags(fn)
    return bool(flags & _IS_GENERATOR) and not flags & _ITERABLE_COROUTINE


def is_async_generator_function(fn: Any) -> bool:
    """Whether calling `fn` gives an async generator."""
    return bool(_flags(fn) & _ASYNC_GENERATOR)


def refuse_what_cannot_be_retried(fn: Any) -> None:
    """Refuse, helpfully, what is no function, and functions that cannot be called again."""
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
    """The field that a value was meant for, as the end of a message; empty where that is not to be seen."""
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
        value.close()  # a coroutine: let it not complain
    return advice


def refuse_context_manager(fn: Any) -> None:
    """Refuse a function that `contextlib` made: it returns at once, and all that may fail happens when it is entered.

    Raises:
        TypeError: For such a function.
    """
    if getattr(_function_of(fn), "__globals__", {}).get("__name__") == "contextlib":
        raise TypeError(
            f"{name_of(fn)} makes a context manager, and fails only when that is entered: write"
            f" retry.connect({name_of(fn)}, ...) to retry entering it"
        )


def refuse_other_arguments(name: str, fn: Any, timeout_as: str | None, *given: str) -> None:
    """Refuse an operation that cannot be called with what a loop calls it with.

    Args:
        name: What the loop calls the argument.
        fn: The operation.
        timeout_as: The parameter by which it is given its timeout, if it is.
        given: What it is called with, by position.

    Raises:
        TypeError: When it takes something else.
    """
    if timeout_as is not None:
        timeout_at(fn, timeout_as)
    else:
        checks.takes(name, fn, *given)


def refuse_what_cannot_be_called(fn: Any, way: str = "retry.call") -> None:
    """Refuse what is no callable, and generators: they cannot be retried from outside, what they have yielded is gone.

    Args:
        fn: The operation.
        way: What it was handed to, as it is written.
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
    """Return where a function takes its timeout.

    Raises:
        TypeError: When it takes none of that name.
    """
    found = place_of_timeout(fn, keyword)
    if found is None:
        raise TypeError(f"timeout_as must name a keyword that {name_of(fn)} takes, got {keyword!r}")
    return found


def top_package(fn: Any) -> str:
    """Return the top package of a function that is handed over as it is; empty where that is not to be seen."""
    module = getattr(_function_of(fn), "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""


def refuse_timeout_without_keyword(policy: Policy, name: str) -> None:
    """Nothing can stop a synchronous function that is running: a timeout must be handed to it."""
    if policy.attempt_timeout is not None and policy.timeout_as is None:
        raise TypeError(
            f"attempt_timeout cannot cut off the synchronous {name}: nothing can stop a running function. Write"
            " timeout_as='timeout' to hand each attempt its timeout under that keyword, or make it async def"
        )


def refuse_own_cooldown(policy: Policy, what: str) -> None:
    """Refuse `cooldown=True` where there is no decorated function that could have one.

    Raises:
        ValueError: For such a policy.
    """
    if policy.cooldown is True:
        raise ValueError(
            f"cooldown=True is one for each decorated function, and {what} has none: write a name that is shared, such as"
            " cooldown='openai'"
        )


def name_of(fn: Any) -> str:
    """What to call a function in logs and messages."""
    for each in (fn, getattr(fn, "func", None), _function_of(fn)):
        name = getattr(each, "__qualname__", None) or getattr(each, "__name__", None)
        if isinstance(name, str):
            return name
    return type(fn).__qualname__
