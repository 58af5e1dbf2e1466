"""Floor 1. The walk through causes and exception groups: bounded, and safe against cycles."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeGuard

DEPTH = 12
"""How many links of a chain are looked at: real clients wrap four deep, a hostile chain is endless."""

LEAVES = 256
"""How many leaves of an exception group are looked at; a larger group, or one of groups nested in groups to no end, is
not judged to be transient."""

cause_of: Callable[[Any], BaseException | None] = BaseException.__dict__["__cause__"].__get__
"""The explicit cause of an error: where Python itself keeps it, so that no property of a subclass stands between."""


def causes(error: BaseException, depth: int = DEPTH) -> Iterator[BaseException]:
    """The error, then each explicit `__cause__`, outermost first.

    `__context__` is not followed: Python sets it for whatever was being handled, related or not.

    >>> inner, outer = OSError("reset"), RuntimeError("no answer")
    >>> outer.__cause__ = inner
    >>> [type(error).__name__ for error in causes(outer)]
    ['RuntimeError', 'OSError']
    """
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and len(seen) < depth and not any(found is known for known in seen):
        seen.append(found)
        yield found
        found = cause_of(found)


def is_exception(error: Any) -> TypeGuard[Exception]:
    """Whether an error is an `Exception` by its real type: what `isinstance` asks besides, `__class__`, may raise."""
    return issubclass(type(error), Exception)


def is_group(error: Any) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    """Whether an error is an exception group, by its real type too."""
    return issubclass(type(error), BaseExceptionGroup)


def _members(group: Any) -> tuple[Any, ...]:
    """The errors of a group as it shows them; as Python keeps them where it shows no tuple."""
    try:
        shown = group.exceptions
    except Exception:  # a property of theirs
        shown = None
    found: tuple[Any, ...] = shown if type(shown) is tuple else BaseExceptionGroup.__dict__["exceptions"].__get__(group)
    return found


def leaves(group: BaseExceptionGroup[BaseException], limit: int = LEAVES) -> list[BaseException] | None:
    """The errors in a group that are not groups themselves; `None` when there are more than `limit` to be found.

    >>> [str(leaf) for leaf in leaves(ExceptionGroup("", [OSError("a"), ExceptionGroup("", [OSError("b")])]))]
    ['a', 'b']
    """
    found: list[BaseException] = []
    waiting: list[BaseException] = [group]
    steps = 0
    while waiting:
        steps += 1
        if steps > 2 * limit:
            return None
        error = waiting.pop(0)
        if is_group(error):
            members = _members(error)
            if len(members) > limit:  # each is a leaf, or holds one
                return None
            waiting[:0] = members
        else:
            found.append(error)
    return found if len(found) <= limit else None
