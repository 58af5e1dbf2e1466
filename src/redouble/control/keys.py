"""Floor 3. Idempotency keys: what may be one, and a fresh one."""

from __future__ import annotations

from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def checked(value: Any) -> str | None:
    """Return a key of the caller's, or `None`.

    Raises:
        TypeError, ValueError: When `value` is no text, or an empty one.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"value must be a string or None, got {checks.shown(value)}")
    if value == "":
        raise ValueError("value must be a string that is not empty, or None, got ''")
    return value


def fresh() -> str:
    """Return a key that no other request has."""
    from uuid import uuid4

    return str(uuid4())
