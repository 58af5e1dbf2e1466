"""grpc, which ships no types: checked as ways_in.py is, and never run.

Its generated stubs have types where they are generated with `mypy-protobuf` or `grpc-stubs`; without those the methods
of a stub are `Any`, and what is asserted are the functions of users, with the types that they write.
"""

from __future__ import annotations

from typing import Any, assert_type

import grpc  # type: ignore[import-untyped]  # ships no types
import grpc.aio  # type: ignore[import-untyped]  # likewise

from redouble import retry


@retry(attempts=5, deadline=60, timeout_as="timeout")
def look_up(channel: Any, name: bytes, *, timeout: float | None = None) -> bytes:
    """Call a method, with what is left of the deadline as the timeout."""
    method = channel.unary_unary("/names/LookUp")
    return bytes(method(name, timeout=timeout))


@retry(attempts=5, deadline=60, timeout_as="timeout")
async def look_up_async(channel: Any, name: bytes, *, timeout: float | None = None) -> bytes:
    """Call a method in a coroutine."""
    method = channel.unary_unary("/names/LookUp")
    return bytes(await method(name, timeout=timeout))


def calls(target: str) -> None:
    """A method of a channel."""
    channel: Any = grpc.insecure_channel(target)
    assert_type(look_up(channel, b"ada", timeout=3), bytes)
    assert_type(retry.call(look_up, channel, b"ada"), bytes)
    assert_type(retry.call(channel.unary_unary("/names/LookUp"), b"ada", timeout=3), Any)


async def awaited(target: str) -> None:
    """The same in a coroutine."""
    async with retry(deadline=60).connect(grpc.aio.insecure_channel, target) as channel:
        assert_type(await look_up_async(channel, b"ada"), bytes)
        assert_type(await retry.call(look_up_async, channel, b"ada"), bytes)
