"""Floor 2. Guarded looks and caches under the name by which `request.py` and its kin still ask for them."""

from __future__ import annotations

from redouble.core.raw import is_a, probe, whole
from redouble.known.row import named, remember

__all__ = ["is_a", "named", "probe", "remember", "whole"]
