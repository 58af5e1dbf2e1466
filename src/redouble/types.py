"""Types that redouble's functions take and return: for annotations, and for a clock of your own.

This file only exports names.

>>> from redouble import RetryPolicy, retry
>>> def first_waits(policy: RetryPolicy, clock: Clock) -> list[PreviewRow]:
...     return policy(clock=clock).preview()
>>> [row.attempt for row in first_waits(retry(attempts=3), SystemClock())]
[1, 2]
"""

from redouble.control.clock import Clock, SystemClock
from redouble.control.preview import PreviewRow
from redouble.known.explain import Explanation
from redouble.ways.connect import Connecting

__all__ = ["Clock", "Connecting", "Explanation", "PreviewRow", "SystemClock"]
