"""The jitters as values; curves also take them by name: `exponential(jitter="equal")` is `exponential(jitter=equal)`.

`proportional(share)` and `additive(most)`, which take an argument, are handed out by `redouble` itself. A jitter of your
own is a subclass of `Jitter`. This file only hands out names.

>>> from redouble import exponential
>>> exponential(1, jitter="equal") == exponential(1, jitter=equal)
True
"""

from redouble.core.jitter import Jitter, decorrelated, equal, full, none

__all__ = ["Jitter", "decorrelated", "equal", "full", "none"]
