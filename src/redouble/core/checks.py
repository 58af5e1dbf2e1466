"""Floor 1. Checks of arguments: a bad one is refused where it is written, with its name, the rule and the value."""

from __future__ import annotations

import sys
from _thread import TIMEOUT_MAX  # threading.TIMEOUT_MAX, without loading threading
from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from inspect import Signature
    from typing import Any, TypeAlias

    Seconds: TypeAlias = int | float | timedelta

LONGEST = TIMEOUT_MAX
"""The longest duration in seconds that Python's own locks and sleeps accept."""


def shown(value: object, longest: int = 80) -> str:
    """Return the value as an error message shows it: its repr, cut to `longest` characters."""
    try:
        text = repr(value)
    except Exception:  # a whole number of more than 4300 digits, or a class with a repr of its own
        text = f"a value of type {type(value).__qualname__} that cannot be shown"
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _as_number(value: object) -> float | None:
    """Return the seconds of an int, float or timedelta; `None` for any other value, bools included."""
    if type(value) is float:
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value) if abs(value) < 10**300 else float("inf")
    if isinstance(value, float):
        return float(value)
    kind: type[timedelta] | None = getattr(sys.modules.get("datetime"), "timedelta", None)
    if kind is not None and isinstance(value, kind):  # before datetime is loaded, no timedelta can exist
        return float(value.total_seconds())
    return None


def seconds(name: str, value: Any, *, positive: bool = False) -> float:
    """Return a duration as float seconds: finite, >= 0 (or > 0), never above `threading.TIMEOUT_MAX`."""
    rule = f"{name} must be a duration in seconds (int, float or timedelta) {'> 0' if positive else '>= 0'}"
    number = _as_number(value)
    if number is None:
        raise TypeError(f"{rule}, got {shown(value)}")
    if not isfinite(number) or number < 0 or (positive and number == 0):
        raise ValueError(f"{rule}, got {shown(value)}")
    if number > LONGEST:
        raise ValueError(f"{name} must not be above threading.TIMEOUT_MAX ({LONGEST:.0f} s), got {shown(value)}")
    return number


def seconds_or_none(name: str, value: Any, *, positive: bool = False) -> float | None:
    """Return the same as `seconds`, but `None` (no limit) for `None`."""
    if value is None:
        return None
    try:
        return seconds(name, value, positive=positive)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace(", got ", " or None, got ", 1)) from None


def number(name: str, value: Any, *, least: float, most: float | None = None) -> float:
    """Return a plain finite number within [least, most]."""
    rule = f"{name} must be a number " + (f">= {least:g}" if most is None else f"in [{least:g}, {most:g}]")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{rule}, got {shown(value)}")
    found = _as_number(value)
    if found is None or not isfinite(found) or found < least or (most is not None and found > most):
        raise ValueError(f"{rule}, got {shown(value)}")
    return found


def whole(name: str, value: Any, *, least: int) -> int:
    """Return a whole number of at least `least`; bools and floats are refused."""
    rule = f"{name} must be a whole number >= {least}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{rule}, got {shown(value)}")
    if value < least:
        raise ValueError(f"{rule}, got {shown(value)}")
    return value


def whole_or_none(name: str, value: Any, *, least: int) -> int | None:
    """Return the same as `whole`, but `None` (no limit) for `None`."""
    if value is None:
        return None
    try:
        return whole(name, value, least=least)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace(", got ", " or None, got ", 1)) from None


def flag(name: str, value: Any) -> bool:
    """Return a real bool; other values are refused, even 0 and 1."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


def one_of(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return one of the given choices: None, True and False compare by identity, strings by equality."""
    for choice in choices:
        if value is choice or (isinstance(choice, str) and type(value) is str and value == choice):
            return choice
    raise (ValueError if isinstance(value, str) else TypeError)(
        f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}"
    )


def function(name: str, value: Any) -> Any:
    """Return a callable; a class is refused, because it is nearly always a slip."""
    if isinstance(value, type):
        raise TypeError(f"{name} must be a callable, got {shown(value)}; a class is none: write {value.__name__}(...)")
    if not callable(value):
        raise TypeError(f"{name} must be a callable, got {shown(value)}")
    return value


def error(name: str, value: Any) -> Any:
    """Return an exception; its class or its text are refused."""
    if isinstance(value, BaseException):
        return value
    is_class = isinstance(value, type) and issubclass(value, BaseException)
    instead = f"; make one, {value.__name__}(...)" if is_class else ""
    raise TypeError(f"{name} must be an exception, got {shown(value)}{instead}")


def takes(name: str, value: Any, *given: str) -> Any:
    """Return a callable that takes these arguments by position; one without a signature is not checked.

    Raises:
        TypeError: When it requires more arguments, or accepts fewer.
    """
    try:
        from inspect import signature  # loaded late, only for a user's callable: it is slow to import

        found = signature(value, follow_wrapped=False)  # of the callable itself, not of a function that it wraps
    except Exception:  # a builtin, or an object that hides it
        return value
    try:
        found.bind(*given)
    except TypeError:
        must = f"one argument, the {given[0]}" if given else "no argument"
        raise TypeError(
            f"{name} must take {must}: write lambda{' ' if given else ''}{', '.join(given)}: ...,"
            f" got {shown(value)}, which takes {shown_signature(found)}"
        ) from None
    return value


def shown_signature(found: Signature) -> str:
    """Return the names of a signature's parameters, in parentheses."""
    names = [f"{_STARS.get(int(each.kind), '')}{each.name}" for each in found.parameters.values()]
    return f"({', '.join(names)})"


_STARS = {2: "*", 4: "**"}
"""The prefixes of variadic parameters, by `inspect`'s kinds."""


def asked(name: str, value: Any, *given: str) -> Any:
    """Return a plain function that takes these arguments by position."""
    return takes(name, plain_function(name, value), *given)


def plain_function(name: str, value: Any) -> Any:
    """Return a callable; coroutine and generator functions are refused, because redouble awaits no result."""
    inner = function(name, value)
    while type(inner).__module__ == "functools" and hasattr(inner, "func"):
        inner = inner.func  # a partial
    called = inner if hasattr(inner, "__code__") else type(inner).__call__
    if getattr(getattr(called, "__code__", None), "co_flags", 0) & _LATER:
        raise TypeError(f"{name} must be a plain function, nobody awaits it, got {shown(value)}")
    return value


_LATER = 0x20 | 0x80 | 0x100 | 0x200
"""The flags of the code of generator, coroutine and async generator functions, as in `inspect`."""
