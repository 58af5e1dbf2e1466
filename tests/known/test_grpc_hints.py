"""Floor 1. What a gRPC server says of trying again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble.core.checks import LONGEST
from redouble.known.grpc_hints import LONGEST_DETAILS, pushback, retry_info


def varint(number: int) -> bytes:
    """A number as Protocol Buffers write it."""
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    return varint(number << 3 | 2) + varint(len(value)) + value


def detail(value: bytes, name: bytes = b"type.googleapis.com/google.rpc.RetryInfo") -> bytes:
    """A google.protobuf.Any in a google.rpc.Status."""
    return field(3, field(1, name) + field(2, value))


def status(seconds: int, nanos: int = 0) -> bytes:
    """A google.rpc.Status with a RetryInfo."""
    duration = (field(1, seconds) if seconds else b"") + (field(2, nanos) if nanos else b"")
    return field(1, 8) + field(2, b"quota") + detail(field(1, duration))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1250", 1.25),
        (b"1250", 1.25),
        (" 0 ", 0.0),
        ("9" * 90, LONGEST),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("", None),
        ("٣", None),
        (1250, None),
        (None, None),
    ],
)
def test_pushback(value: Any, seconds: float | None) -> None:
    """Whole milliseconds; anything else means not to try again."""
    assert pushback(value) == seconds


@given(st.integers(0, 10**9), st.integers(0, 10**9 - 1))
def test_durations(seconds: int, nanos: int) -> None:
    """What was written is what is read."""
    assert retry_info(status(seconds, nanos)) == min(seconds + nanos / 1e9, LONGEST)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        bytearray(status(3)),
        b"",
        b"\xff" * 100,
        status(-3),
        status(3, 10**9),
        status(3)[:-1],
        detail(b""),
        detail(field(1, 7)),
        detail(field(1, field(1, b"text"))),
        detail(field(2, b"x")),
        field(3, 5) + field(2, b"/google.rpc.RetryInfo"),
        field(3, field(2, b"/google.rpc.RetryInfo")),
        field(3, field(1, 5) + field(2, b"/google.rpc.RetryInfo")),
        detail(field(1, field(1, 3)), b"/google.rpc.RetryInfo/not"),
        b"\x0b" + b"/google.rpc.RetryInfo",
        b"\x80" * 12 + b"/google.rpc.RetryInfo",
        field(2, b"x" * LONGEST_DETAILS) + status(3),
        field(1, 1) * 200 + status(3),
    ],
)
def test_what_is_no_hint(value: Any) -> None:
    """Junk, negative ones and messages without end count as absent."""
    assert retry_info(value) is None


def test_fields_that_are_not_known() -> None:
    """Numbers of fixed width, and large ones, are passed over."""
    fixed = b"\x49" + b"\0" * 8 + b"\x4d" + b"\0" * 4 + field(1, 2**40)
    assert retry_info(fixed + status(3)) == 3.0


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """No bytes make it raise."""
    assert retry_info(data + b"/google.rpc.RetryInfo") is None
    found = retry_info(data + status(1))
    assert found is None or found >= 0
