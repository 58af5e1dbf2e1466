"""Floor 4. Recognising awaitables without loading `inspect`."""

from __future__ import annotations

GENERATOR = type(_ for _ in ())

_ITERABLE_COROUTINE = 0x100


def is_awaitable(value: object) -> bool:
    """Return whether `await value` would work, as `inspect.isawaitable` does, without loading `inspect`."""
    kind = type(value)
    if hasattr(kind, "__await__"):
        return True
    return kind is GENERATOR and bool(value.gi_code.co_flags & _ITERABLE_COROUTINE)  # type: ignore[attr-defined]
