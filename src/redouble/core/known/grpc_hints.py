"""Floor 1. What a gRPC server says in its trailers of trying again: pushback, and google.rpc.RetryInfo.

Pure, as `core/hints.py`: what is malformed counts as absent (pushback apart), a hint is a finite number of seconds.
"""

from __future__ import annotations

from redouble.core.checks import LONGEST
from redouble.core.hints import text_of
from redouble.core.known.rows import is_a

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Field = tuple[int, "int | bytes"]

TRAILERS = 100
"""How many trailers, and how many fields of a message, are looked at: a hostile server may send many."""

LONGEST_DETAILS = 16_384
"""Bytes of `grpc-status-details-bin` that are looked at; gRPC itself takes 8 to 16 KiB of metadata at most."""

_RETRY_INFO = b"/google.rpc.RetryInfo"


def pushback(value: Any) -> float | None:
    """The seconds that `grpc-retry-pushback-ms` asks for; `None` when it asks not to try again.

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
    """The seconds of the `google.rpc.RetryInfo` in a serialized `google.rpc.Status`; `None` when there is none.

    Args:
        value: The trailer `grpc-status-details-bin`. Anything that is not such a message counts as absent.

    Source: google/rpc/status.proto, google/rpc/error_details.proto; Protocol Buffers encoding.

    >>> retry_info(bytes.fromhex("1a300a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f"
    ...     "12040a020803"))
    3.0
    """
    if not is_a(value, bytes) or len(value) > LONGEST_DETAILS:
        return None
    try:
        for detail in _messages(value, 3):
            name = next(_messages(detail, 1), b"")
            if name.endswith(_RETRY_INFO):
                return _delay(next(_messages(detail, 2), b""))
    except (IndexError, ValueError):  # cut off, or no such message at all
        pass
    return None


def _delay(info: bytes) -> float | None:
    for duration in _messages(info, 1):
        parts = {number: part for number, part in _fields(duration) if type(part) is int}
        seconds, nanos = parts.get(1, 0), parts.get(2, 0)
        if seconds < 2**63 and nanos < 10**9:  # negative ones come as enormous ones, and mean nothing
            return min(seconds + nanos / 1e9, LONGEST)
    return None


def _messages(data: bytes, wanted: int) -> Iterator[bytes]:
    for number, part in _fields(data):
        if number == wanted and type(part) is bytes:
            yield part


def _fields(data: bytes) -> Iterator[Field]:
    """The fields of a message: numbers as int, everything with a length as bytes."""
    at = 0
    for _ in range(TRAILERS):
        if at >= len(data):
            return
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind] if kind in (1, 5) else -1, at)
        if size < 0 or at + size > len(data):
            raise ValueError("not a message")
        yield key >> 3, bytes(data[at : at + size])
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the least first, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("too long")
