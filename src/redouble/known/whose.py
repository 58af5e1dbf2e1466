"""Floor 2. Whose function is retried, where no frame tells: for `guess.py`."""

from __future__ import annotations

from contextvars import ContextVar

handed: ContextVar[str] = ContextVar("redouble.handed", default="")
"""The top package of a function that was handed to `call` or `connect` as it is (`stripe`), while its failure is judged.

Set by whoever judges. Such a function is no function of the user's: an error of its own package was received, although
the traceback begins in that package.
"""
