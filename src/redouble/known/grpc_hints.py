"""Floor 2. The hints on retrying in a gRPC server's trailers: pushback, and google.rpc.RetryInfo.

Pure, as `core/hints.py`: a malformed value counts as absent (pushback apart); a hint is a finite number of seconds.
"""

from __future__ import annotations

from redouble.core.checks import LONGEST
from redouble.core.hints import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRAILERS = 100
"""How many trailers, and how many fields of a message, are looked at: a hostile server may send many."""

LONGEST_DETAILS = 16_384
"""Bytes of `grpc-status-details-bin` that are looked at; gRPC itself takes 8 to 16 KiB of metadata at most."""

_RETRY_INFO = b"/google.rpc.RetryInfo"


def pushback(value: Any) -> float | None:
    """Return the seconds that `grpc-retry-pushback-ms` asks for; `None` when it asks not to retry.

    Args:
        value: The trailer: whole milliseconds. A negative or unparsable one means "do not retry".

    Source: gRPC proposal A6, pushback.

    >>> pushback("1250")
    1.25
    >>> pushback("-1") is None
    True
    """
    text = text_of(value)
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(float(text) / 1000, LONGEST)


def retry_info(value: Any) -> float | None:
    """Return the seconds of the `google.rpc.RetryInfo` in a serialized `google.rpc.Status`; `None` when it has none.

    Args:
        value: The trailer `grpc-status-details-bin`. Anything that is not such a message counts as absent.

    Source: google/rpc/status.proto, google/rpc/error_details.proto; Protocol Buffers encoding.

    >>> retry_info(bytes.fromhex("1a300a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f"
    ...     "12040a020803"))
    3.0
    """
    if type(value) is not bytes or len(value) > LONGEST_DETAILS or _RETRY_INFO not in value:
        return None
    try:
        for number, detail in _fields(value):
            if number == 3 and type(detail) is bytes and _RETRY_INFO in detail:
                packed = dict(_fields(detail))
                if packed[1].endswith(_RETRY_INFO):
                    return _delay(dict(_fields(packed[2]))[1])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # cut off, or not such a message
        pass
    return None


def _delay(duration: Any) -> float | None:
    parts = dict(_fields(duration))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if seconds < 2**63 and nanos < 10**9:  # negative numbers arrive as enormous ones, and have no meaning
        return float(min(seconds + nanos / 1e9, LONGEST))
    return None


def _fields(data: Any) -> list[tuple[int, Any]]:
    """Return the fields of a message: numbers as int, everything with a length as bytes."""
    found: list[tuple[int, Any]] = []
    at, end = 0, len(data)
    while at < end and len(found) < TRAILERS:
        key, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)  # mostly one byte: spare the call
        kind = key & 7
        if kind == 0:
            number, at = (data[at], at + 1) if data[at] < 0x80 else _varint(data, at)
            found.append((key >> 3, number))
            continue
        size, at = _varint(data, at) if kind == 2 else (_SIZES[kind], at)
        if at + size > end:
            raise ValueError("not a message")
        found.append((key >> 3, data[at : at + size]))
        at += size
    return found


_SIZES = {1: 8, 5: 4}
"""The bytes of a number of fixed width, by the kind of its field."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the least first; return it and its end."""
    number = data[at]
    if number < 0x80:
        return number, at + 1
    number &= 0x7F
    for shift in range(7, 70, 7):
        at += 1
        number |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return number, at + 1
    raise ValueError("too long")
