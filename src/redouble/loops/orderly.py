"""Floor 5. The errors by which clients report that the other side ended a connection in order.

A session that ends with such an error has not failed: the client merely has no other way to report the end. The errors
are recognised by the names of their classes, without importing a client.
"""

from __future__ import annotations

from redouble.core.causes import is_group, leaves

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BY_APPLICATION = 11
"""SSH's reason "disconnected by application" (RFC 4253 11.1): the orderly one."""

NORMAL, GOING_AWAY = 1000, 1001
"""WebSocket's codes of an orderly close (RFC 6455 7.4.1)."""

_CLOSE, _CLOSING, _CLOSED = 8, 256, 257  # aiohttp's WSMsgType


def is_orderly(error: BaseException) -> bool:
    """Return whether an error reports an end in order; a group does if all of its leaves do.

    Args:
        error: The error of the body of a session.
    """
    if is_group(error):
        found = leaves(error)
        return bool(found) and all(map(is_orderly, found or ()))
    try:
        return any(_is_orderly_as(kind, error) for kind in type(error).__mro__)
    except Exception:  # a class that guards its attributes
        return False


def _is_orderly_as(kind: type, error: BaseException) -> bool:
    """Return whether an error reports an orderly end, judged as an instance of one class of its MRO."""
    says = _ORDERLY.get((kind.__module__.partition(".")[0], kind.__name__))
    return says is not None and says(error)


def _always(_: Any) -> bool:
    return True


def _is_at_an_end(error: Any) -> bool:
    """Return whether an EOF came between two messages; within a message, asyncio's error has a `partial`."""
    return not getattr(error, "partial", None)


def _is_by_application(error: Any) -> bool:
    return bool(error.code == BY_APPLICATION)


def _is_closing_message(error: Any) -> bool:
    """Return whether aiohttp's `receive_str()` received a closing message: `Received message 8:1000 is not str`."""
    words = str(error).partition("Received message ")[2].partition(" ")[0]
    kind, _, data = words.partition(":")
    names = {"WSMsgType.CLOSE": _CLOSE, "WSMsgType.CLOSING": _CLOSING, "WSMsgType.CLOSED": _CLOSED}
    number = names.get(kind, int(kind) if kind.isdigit() else 0)
    return number in (_CLOSING, _CLOSED) or (number == _CLOSE and data in (str(NORMAL), str(GOING_AWAY)))


_ORDERLY: dict[tuple[str, str], Callable[[Any], bool]] = {
    ("websockets", "ConnectionClosedOK"): _always,
    ("builtins", "EOFError"): _is_at_an_end,  # multiprocessing's connections; asyncio's IncompleteReadError is one
    ("ssl", "SSLZeroReturnError"): _always,
    ("anyio", "EndOfStream"): _always,
    ("trio", "EndOfChannel"): _always,
    ("asyncssh", "DisconnectError"): _is_by_application,
    ("aiohttp", "WSMessageTypeError"): _is_closing_message,
    ("builtins", "TypeError"): _is_closing_message,  # raised by aiohttp before 3.11
}
"""The function that decides, by top package and class."""
