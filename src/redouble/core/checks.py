"""Floor 1. Checks of arguments: a bad one is refused where it is written, naming argument, rule and value."""

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
    """The value as an error message shows it: its repr, cut to a sane length."""
    try:
        text = repr(value)
    except Exception:  # a whole number of more than 4300 digits, or a class with a repr of its own
        text = f"a value of type {type(value).__qualname__} that cannot be shown"
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _as_number(value: object) -> float | None:
    """Seconds of an int, float or timedelta; `None` for anything else (booleans are no numbers here)."""
    if type(value) is float:
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value) if abs(value) < 10**300 else float("inf")
    if isinstance(value, float):
        return float(value)
    kind: type[timedelta] | None = getattr(sys.modules.get("datetime"), "timedelta", None)
    if kind is not None and isinstance(value, kind):  # none exists before datetime is loaded
        return float(value.total_seconds())
    return None


def seconds(name: str, value: Any, *, positive: bool = False) -> float:
    """A duration as float seconds: finite, not negative (or above 0), never above `threading.TIMEOUT_MAX`."""
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
    """As `seconds`, but `None` (no limit) stays `None`."""
    if value is None:
        return None
    try:
        return seconds(name, value, positive=positive)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace(", got ", " or None, got ", 1)) from None


def number(name: str, value: Any, *, least: float, most: float | None = None) -> float:
    """A plain finite number within [least, most]."""
    rule = f"{name} must be a number " + (f">= {least:g}" if most is None else f"in [{least:g}, {most:g}]")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{rule}, got {shown(value)}")
    found = _as_number(value)
    if found is None or not isfinite(found) or found < least or (most is not None and found > most):
        raise ValueError(f"{rule}, got {shown(value)}")
    return found


def whole(name: str, value: Any, *, least: int) -> int:
    """A whole number of at least `least`; neither a bool nor a float."""
    rule = f"{name} must be a whole number >= {least}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{rule}, got {shown(value)}")
    if value < least:
        raise ValueError(f"{rule}, got {shown(value)}")
    return value


def whole_or_none(name: str, value: Any, *, least: int) -> int | None:
    """As `whole`, but `None` (no limit) stays `None`."""
    if value is None:
        return None
    try:
        return whole(name, value, least=least)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace(", got ", " or None, got ", 1)) from None


def flag(name: str, value: Any) -> bool:
    """A real bool: nothing is configured by truthiness."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


def one_of(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """One of the given values, by identity for None/True/False and by equality for words."""
    for choice in choices:
        if value is choice or (isinstance(choice, str) and type(value) is str and value == choice):
            return choice
    raise (ValueError if isinstance(value, str) else TypeError)(
        f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}"
    )


def function(name: str, value: Any) -> Any:
    """Something that can be called; not a class, which is nearly always a slip."""
    if isinstance(value, type):
        raise TypeError(f"{name} must be a callable, got {shown(value)}; a class is none: write {value.__name__}(...)")
    if not callable(value):
        raise TypeError(f"{name} must be a callable, got {shown(value)}")
    return value


def error(name: str, value: Any) -> Any:
    """An exception; neither its class nor its text."""
    if isinstance(value, BaseException):
        return value
    is_class = isinstance(value, type) and issubclass(value, BaseException)
    instead = f"; make one, {value.__name__}(...)" if is_class else ""
    raise TypeError(f"{name} must be an exception, got {shown(value)}{instead}")


def takes(name: str, value: Any, *given: str) -> Any:
    """Return a callable that can be called with these arguments, by position; one that does not tell is let through.

    Raises:
        TypeError: When it needs more of them, or takes fewer.
    """
    try:
        from inspect import signature  # only here, where somebody hands in a callable: it is slow to load

        found = signature(value, follow_wrapped=False)  # of what is called, whatever it says that it wraps
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
    """The parameters of a signature by their names alone."""
    names = [f"{_STARS.get(int(each.kind), '')}{each.name}" for each in found.parameters.values()]
    return f"({', '.join(names)})"


_STARS = {2: "*", 4: "**"}
"""The kinds of parameters of `inspect` that take many arguments."""


def asked(name: str, value: Any, *given: str) -> Any:
    """Something that can be called with these arguments, by position, and answers at once."""
    return takes(name, plain_function(name, value), *given)


def plain_function(name: str, value: Any) -> Any:
    """Something that can be called and answers at once: what it returned would never be awaited or iterated."""
    inner = function(name, value)
    while type(inner).__module__ == "functools" and hasattr(inner, "func"):
        inner = inner.func  # a partial
    called = inner if hasattr(inner, "__code__") else type(inner).__call__
    if getattr(getattr(called, "__code__", None), "co_flags", 0) & _LATER:
        raise TypeError(f"{name} must be a plain function, nobody awaits it, got {shown(value)}")
    return value


_LATER = 0x20 | 0x80 | 0x100 | 0x200
"""The flags of the code of generator, coroutine and async generator functions, as in `inspect`."""
