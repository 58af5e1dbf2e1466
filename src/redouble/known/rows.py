"""Floor 2. The guarded looks of `core/raw.py`, under the name by which `request.py` still asks for them."""

from __future__ import annotations

from redouble.core.raw import is_a, probe

__all__ = ["is_a", "probe"]
