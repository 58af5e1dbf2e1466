"""Floor 1. Walks through causes, exception groups, and the addresses of a host: bounded, and safe against cycles."""

from __future__ import annotations

from errno import EINVAL, errorcode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeGuard

DEPTH = 12
"""The most errors of a chain that are read: real clients wrap four deep, a hostile chain is endless."""

LEAVES = 256
"""The most leaves of an exception group that are read; a larger group, or one nested without end, is never judged to be
transient."""

cause_of: Callable[[Any], BaseException | None] = BaseException.__dict__["__cause__"].__get__
"""Read the explicit cause of an error where Python keeps it, past any property of a subclass."""

_context_of: Callable[[Any], BaseException | None] = BaseException.__dict__["__context__"].__get__
_is_hidden: Callable[[Any], bool] = BaseException.__dict__["__suppress_context__"].__get__


def origin_of(error: Any) -> BaseException | None:
    """Return the error that another one was raised from: its explicit cause, else the context hidden by `from None`.

    >>> outer = ConnectionError()
    >>> outer.__context__ = KeyError()
    >>> origin_of(outer) is None
    True
    >>> outer.__suppress_context__ = True
    >>> origin_of(outer)
    KeyError()
    """
    if not _is_hidden(error):  # setting a cause sets this flag, too
        return cause_of(error)
    cause = cause_of(error)
    return _context_of(error) if cause is None else cause


def causes(
    error: BaseException, depth: int = DEPTH, beneath: Callable[[Any], BaseException | None] = cause_of
) -> Iterator[BaseException]:
    """Yield the error, then each explicit `__cause__`, outermost first.

    `__context__` is not followed: Python sets it to any error that was being handled, related or not. `beneath` returns
    the next error; `origin_of` also follows a context hidden by `from None`.

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
        found = beneath(found)


def is_exception(error: Any) -> TypeGuard[Exception]:
    """Return whether an error is an `Exception` by its real type; `isinstance` reads `__class__`, which may raise."""
    return issubclass(type(error), Exception)


def is_group(error: Any) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    """Return whether an error is an exception group, by its real type."""
    return issubclass(type(error), BaseExceptionGroup)


def _members(group: Any) -> tuple[Any, ...]:
    """Return the errors of a group by its attribute; as Python keeps them if that is not a tuple."""
    try:
        shown = group.exceptions
    except Exception:  # a property of a subclass
        shown = None
    found: tuple[Any, ...] = shown if type(shown) is tuple else BaseExceptionGroup.__dict__["exceptions"].__get__(group)
    return found


def leaves(
    group: BaseExceptionGroup[BaseException], limit: int = LEAVES, whole: Callable[[Any], bool] | None = None
) -> list[BaseException] | None:
    """Return the errors in a group that are not groups themselves; `None` when there are more than `limit`.

    An inner group for which `whole` returns true is a leaf, too: a rule names its type.

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
        if is_group(error) and (error is group or whole is None or not whole(error)):
            members = _members(error)
            if len(members) > limit:  # each is a leaf or holds at least one
                return None
            waiting[:0] = members
        else:
            found.append(error)
    return found if len(found) <= limit else None


_MULTIPLE = "Multiple exceptions: "
_NO_ADDRESS = ("All connection attempts failed", "all attempts to connect to ")


def addresses(error: Any) -> list[BaseException] | None:
    """Return the errors that an OSError sums up, one for each address that was tried; `None` for any other error.

    asyncio lists them in the message: `Multiple exceptions: [Errno 111] ..., [Errno 101] ...`. anyio and trio raise a
    bare OSError from the only error, or from a group of them.

    Source: asyncio/base_events.py, create_connection; anyio, connect_tcp; trio, open_tcp_stream.

    >>> addresses(OSError("Multiple exceptions: [Errno 111] refused, [Errno 101] no way"))
    [ConnectionRefusedError(111, 'refused'), OSError(101, 'no way')]
    >>> addresses(OSError(111, "refused")) is None
    True
    """
    if type(error) is not OSError or error.errno is not None or len(error.args) != 1:
        return None
    text = error.args[0]
    if type(text) is not str:
        return None
    if text.startswith(_MULTIPLE):
        return _told(text[len(_MULTIPLE) :]) or None
    cause = cause_of(error)
    if not text.startswith(_NO_ADDRESS) or not is_exception(cause):
        return None
    return leaves(cause) if is_group(cause) else [cause]


def _told(text: str) -> list[BaseException]:
    """Make the errors that a message lists; none when there are too many, or when one has no number."""
    found: list[BaseException] = []
    for each in text.split(", [")[: LEAVES + 1]:
        kind, _, rest = each.removeprefix("[").partition(" ")
        digits, _, message = rest.partition("] ")
        if kind not in ("Errno", "WinError") or not (digits.isdecimal() and len(digits) <= 6):
            return []
        found.append(_numbered(int(digits), message, kind == "WinError"))
    return found if len(found) <= LEAVES else []


def _numbered(number: int, message: str, windows: bool) -> OSError:
    if not windows or number in errorcode:
        return OSError(number, message)
    error = OSError(EINVAL, message)  # Python's own errno for a Windows error that has no other
    error.winerror = number  # type: ignore[attr-defined, unused-ignore]  # a member there, an attribute elsewhere
    return error
