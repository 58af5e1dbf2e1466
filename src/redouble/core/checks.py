"""Floor 1. Checks of arguments: a bad one is refused where it is written, naming argument, rule and value."""

from __future__ import annotations

import sys
from _thread import TIMEOUT_MAX  # threading.TIMEOUT_MAX, without loading threading
from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
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
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{name} must be a callable, got {shown(value)}")
    return value


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
