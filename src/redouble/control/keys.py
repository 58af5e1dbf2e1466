"""Floor 3. Idempotency keys: check a caller's key, and make a fresh one."""

from __future__ import annotations

from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def checked(value: Any) -> str | None:
    """Return the caller's key, or `None`.

    Raises:
        TypeError, ValueError: When `value` is not a string, or is empty.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"value must be a string or None, got {checks.shown(value)}")
    if value == "":
        raise ValueError("value must be a string that is not empty, or None, got ''")
    return value


def fresh() -> str:
    """Return a new, unique key."""
    from uuid import uuid4

    return str(uuid4())
