"""Floor 2. The package of the retried function, where no frame tells: for `guess.py`."""

from __future__ import annotations

from contextvars import ContextVar

handed: ContextVar[str] = ContextVar("redouble.handed", default="")
"""The top package (`stripe`) of a function handed straight to `call` or `connect`, while its failure is judged.

The code that judges sets it. Such a function is not the user's own: an error of its package was received, although the
traceback begins in that package.
"""
