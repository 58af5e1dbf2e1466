"""What a careful programmer writes instead: a wrapper with attempts, a deadline read from the clock, and full jitter."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from contextvars import ContextVar
from typing import Any

AROUND: ContextVar[object] = ContextVar("AROUND", default=None)


def retry_by_hand(
    kind: type[Exception], *, attempts: int = 3, deadline: float = 60.0, initial: float = 0.1, maximum: float = 20.0
) -> Any:
    """A decorator for synchronous functions."""
    uniform, monotonic = random.uniform, time.monotonic

    def decorate(fn: Any) -> Any:
        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:  # the last attempt returns or raises
            ends = monotonic() + deadline
            for attempt in range(attempts):
                try:
                    return fn(*args, **kwargs)
                except kind:
                    delay = uniform(0.0, min(maximum, initial * 2**attempt))
                    if attempt + 1 >= attempts or monotonic() + delay > ends:
                        raise
                time.sleep(delay)

        return wrapper

    return decorate


def retry_by_hand_async(
    kind: type[Exception], *, attempts: int = 3, deadline: float = 60.0, initial: float = 0.1, maximum: float = 20.0
) -> Any:
    """A decorator for coroutine functions."""
    uniform, monotonic = random.uniform, time.monotonic

    def decorate(fn: Any) -> Any:
        @functools.wraps(fn)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:  # the last attempt returns or raises
            ends = monotonic() + deadline
            for attempt in range(attempts):
                try:
                    return await fn(*args, **kwargs)
                except kind:
                    delay = uniform(0.0, min(maximum, initial * 2**attempt))
                    if attempt + 1 >= attempts or monotonic() + delay > ends:
                        raise
                await asyncio.sleep(delay)

        return wrapper

    return decorate


def tell_around(fn: Any) -> Any:
    """A decorator that sets a context variable round each call, as whoever must know what is around has to."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        token = AROUND.set(fn)
        try:
            return fn(*args, **kwargs)
        finally:
            AROUND.reset(token)

    return wrapper


def limit_by_hand(seconds: float) -> Any:
    """A decorator for coroutine functions, which asyncio cancels after so many seconds."""

    def decorate(fn: Any) -> Any:
        @functools.wraps(fn)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(seconds):
                return await fn(*args, **kwargs)

        return wrapper

    return decorate
