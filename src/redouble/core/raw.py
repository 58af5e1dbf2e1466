"""Floor 1. Guarded looks at foreign objects: an attribute that raises or lies counts as missing.

The errors that redouble judges may come from any library: a property may raise (httpx's `request`) or warn (aiohttp's
`code`), a mock has every attribute, and `__class__` may be wrong.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Path: TypeAlias = tuple[str | int, ...]


def probe(subject: Any, name: str) -> Any:
    """Return an attribute of a foreign object; `None` when it is missing or raises."""
    try:
        return getattr(subject, name, None)
    except Exception:  # a client's property: httpx's `request` raises, aiohttp's `code` warns
        return None


def is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Return the same as `isinstance`, but by the real type alone: `__class__` may be wrong, as a mock's, or raise."""
    return issubclass(type(value), kind)


def whole(value: Any) -> int | None:
    """Return `value` as a plain int; `None` for any other value, including bools, floats, strings and mocks."""
    if type(value) is int:
        return value
    if is_a(value, int) and type(value) is not bool:
        return int.__int__(value)  # the number of an enum, without calling a method of its class
    return None


def path(text: str) -> Path:
    """Split the path to a value within an error.

    >>> path("response.status_code")
    ('response', 'status_code')
    >>> path("args.0")
    ('args', 0)
    """
    return tuple(int(part) if part.isdecimal() else part for part in text.split("."))


def at(subject: Any, steps: Path) -> Any:
    """Return the value at the end of a path of attributes, dict keys and indices; `None` if it is missing.

    >>> at(OSError(111, "refused"), path("args.0"))
    111
    """
    for step in steps:
        if subject is None:
            return None
        subject = _step(subject, step)
    return subject


def _step(subject: Any, step: str | int) -> Any:
    if is_a(subject, dict):
        return dict.get(subject, step)
    if type(step) is int:
        here = is_a(subject, (tuple, list)) and step < len(subject)
        return subject[step] if here else None
    return probe(subject, step)  # type: ignore[arg-type]  # a str: the ints are gone
