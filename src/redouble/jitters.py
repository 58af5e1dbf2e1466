"""The jitters as values; curves also take them by name: `exponential(jitter="equal")` is `exponential(jitter=equal)`.

The jitters with an argument, `proportional(share)` and `additive(most)`, are in `redouble` itself. For a jitter of your
own, subclass `Jitter`. This file only exports names.

>>> from redouble import exponential
>>> exponential(1, jitter="equal") == exponential(1, jitter=equal)
True
"""

from redouble.core.jitter import Jitter, decorrelated, equal, full, none

__all__ = ["Jitter", "decorrelated", "equal", "full", "none"]
