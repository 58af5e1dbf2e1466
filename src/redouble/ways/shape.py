"""Floor 5. What kind of callable a function is, found without loading `inspect`."""

from __future__ import annotations

import sys

from redouble.calls.timing import place_of_timeout
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.calls.timing import TimeoutAt
    from redouble.control.policy import Policy

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


def _flags(fn: Any) -> int:
    flags = getattr(getattr(_function_of(fn), "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def is_coroutine_function(fn: Any) -> bool:
    """Whether calling `fn` gives a coroutine, as far as can be told before.

    As `inspect.iscoroutinefunction`, and for partials, bound methods and callable objects too.
    """
    if _flags(fn) & _COROUTINE:
        return True
    inspect = sys.modules.get("inspect")  # whoever marked a function as a coroutine function has loaded it
    return inspect is not None and not isinstance(fn, type) and inspect.iscoroutinefunction(_function_of(fn))


def refuse_what_cannot_be_retried(fn: Any) -> None:
    """Refuse, helpfully, what is no function, and functions that cannot be called again."""
    if isinstance(fn, type):
        if issubclass(fn, BaseException):
            raise TypeError(f"retry decorates functions; to say what is retried, write retry(on={fn.__qualname__})")
        raise TypeError(
            f"retry decorates functions, {fn.__qualname__} is a class: decorate its methods, or write"
            f" retry.call({fn.__qualname__}, ...) to retry making one"
        )
    refuse_what_cannot_be_called(fn)


def refuse_what_cannot_be_called(fn: Any) -> None:
    """Refuse what is no callable, and generators: they cannot be retried from outside, what they have yielded is gone."""
    if not callable(fn):
        raise TypeError(f"retry takes a function, or keywords such as attempts=5, got {checks.shown(fn)}")
    flags = _flags(fn)
    if flags & _ASYNC_GENERATOR or (flags & _IS_GENERATOR and not flags & _ITERABLE_COROUTINE):
        raise TypeError(
            f"{name_of(fn)} is a generator function: calling it again would repeat items that were given out. Retry what"
            " fetches one page, and keep the cursor outside; or return a list"
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
