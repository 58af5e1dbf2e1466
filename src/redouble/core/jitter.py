"""Floor 1. Jitters: they spread waits, so that clients that failed together do not come back together.

Randomness is an argument: `draw` is a float in [0, 1). The names are those of the AWS Architecture Blog, "Exponential
Backoff And Jitter" (2015).
"""

from __future__ import annotations

from redouble.core import checks
from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    JitterLike: TypeAlias = "Jitter | str | None"


class Jitter(Record):
    """Spread a wait: `jitter(window, previous, draw)` returns the seconds to wait.

    Call arguments:
        window: The wait before jitter, in seconds.
        previous: The wait before this one, in seconds; `None` for the first. Only `decorrelated` uses it.
        draw: A float in [0, 1).
    """

    __module__ = "redouble.jitters"

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        raise NotImplementedError

    remembers = False
    """`True`: the jitter grows from the curve's first wait and its own last result, not from the n-th wait."""

    def room(self, maximum: float) -> float:
        """Return the largest window with a spread within `maximum`, so that clients stay apart at the cap."""
        return maximum

    def within(self, maximum: float, window: float, previous: float | None, draw: float) -> float:
        """Return the jittered wait, never above `maximum`, and still spread when the window has reached it."""
        return min(maximum, self(min(window, self.room(maximum)), previous, draw))


class _None(Jitter):
    """No jitter."""

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return window

    def __repr__(self) -> str:
        return "None"


class _Full(Jitter):
    """Anywhere in [0, window)."""

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return draw * window

    def within(self, maximum: float, window: float, previous: float | None, draw: float) -> float:
        # The same for the default jitter in one step; a call of `min` would cost as much as all the rest.
        return draw * (window if window < maximum else maximum)  # noqa: FURB136

    def __repr__(self) -> str:
        return "'full'"


class _Equal(Jitter):
    """Anywhere in [window / 2, window): half of the wait is certain."""

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        half = window / 2
        return half + draw * half

    def __repr__(self) -> str:
        return "'equal'"


class _Decorrelated(Jitter):
    """Anywhere between the first wait and three times the last one."""

    remembers = True

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        last = window if previous is None else previous
        return window + draw * (3 * last - window)

    def within(self, maximum: float, window: float, previous: float | None, draw: float) -> float:
        return min(maximum, self(window, previous, draw))

    def __repr__(self) -> str:
        return "'decorrelated'"


class _Proportional(Jitter):
    """Anywhere in [window * (1 - share), window * (1 + share))."""

    share: float

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return window * (1 - self.share + 2 * self.share * draw)

    def room(self, maximum: float) -> float:
        return maximum / (1 + self.share)

    def __repr__(self) -> str:
        return f"proportional({self.share!r})"


class _Additive(Jitter):
    """Anywhere in [window, window + most)."""

    most: float

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return window + draw * self.most

    def within(self, maximum: float, window: float, previous: float | None, draw: float) -> float:
        most = min(self.most, maximum)  # above the maximum, nearly every wait would be exactly the maximum
        return min(maximum, min(window, maximum - most) + draw * most)

    def __repr__(self) -> str:
        return f"additive({self.most!r})"


none: Jitter = _None()
"""No jitter: every client waits equally long. Only for a single client.

>>> none(8.0, None, 0.5)
8.0
"""

full: Jitter = _Full()
"""A wait anywhere in [0, window): the least load on the server (AWS Architecture Blog, 2015).

>>> full(8.0, None, 0.25)
2.0
"""

equal: Jitter = _Equal()
"""A wait anywhere in [window / 2, window): never a wait near zero.

>>> equal(8.0, None, 0.25)
5.0
"""

decorrelated: Jitter = _Decorrelated()
"""A wait anywhere between the first wait and three times the last one (AWS Architecture Blog, 2015).

>>> decorrelated(1.0, 4.0, 0.5)
6.5
"""


def proportional(share: float) -> Jitter:
    """Make a jitter of plus or minus a share of the wait, as in gRPC (0.2), cenkalti/backoff (0.5) and Polly (0.25).

    Args:
        share: The share, in [0, 1].

    Raises:
        TypeError: When `share` is not a number.
        ValueError: When `share` is outside [0, 1].

    >>> proportional(0.5)(8.0, None, 0.0), proportional(0.5)(8.0, None, 0.75)
    (4.0, 10.0)
    """
    return _Proportional(checks.number("share of proportional()", share, least=0, most=1))


def additive(most: Any) -> Jitter:
    """Make a jitter that adds between 0 and `most` seconds to the wait.

    Args:
        most: Seconds, or a `timedelta`; >= 0.

    Raises:
        TypeError: When `most` is not a duration.
        ValueError: When `most` is negative, infinite or above `threading.TIMEOUT_MAX`.

    >>> additive(1.0)(8.0, None, 0.5)
    8.5
    """
    return _Additive(checks.seconds("most of additive()", most))


NAMED: dict[str, Jitter] = {"none": none, "full": full, "equal": equal, "decorrelated": decorrelated}


def as_jitter(name: str, value: JitterLike) -> Jitter:
    """Return an argument as a jitter: a `Jitter`, its name, or `None` for no jitter."""
    if value is None:
        return none
    if isinstance(value, Jitter):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(
        f"{name} must be None, one of {', '.join(map(repr, NAMED))}, proportional(share) or additive(most),"
        f" got {checks.shown(value)}"
    )
