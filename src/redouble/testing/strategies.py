"""On top of the floors: Hypothesis strategies for curves, jitters and policies. They need Hypothesis installed.

All generated values are valid, and shrink towards short waits and few attempts.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from redouble.control.policy import DEADLINE
from redouble.core import checks
from redouble.core.backoff import constant, exponential, fibonacci, linear, sequence
from redouble.core.jitter import additive, decorrelated, equal, full, none, proportional
from redouble.ways.policy import RetryPolicy

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from redouble.core.backoff import Backoff
    from redouble.core.checks import Seconds
    from redouble.core.jitter import Jitter

LONG = 1e6
"""The longest duration made here, in seconds: long enough for every cap, short enough to add up exactly enough."""


def seconds(least: float = 0.0) -> SearchStrategy[float]:
    """Generate durations in seconds, of everyday sizes and extreme ones.

    Args:
        least: The shortest duration.
    """
    usual = [least, *(each for each in (0.1, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0) if each > least)]
    return st.sampled_from(usual) | st.floats(least, max(least, LONG), allow_subnormal=False)


@cache
def jitters() -> SearchStrategy[Jitter]:
    """Generate all kinds of jitters.

    >>> from hypothesis import given
    >>> from redouble.testing.strategies import jitters
    >>> @given(jitters())
    ... def check(jitter):
    ...     assert jitter(8.0, None, 0.5) >= 0
    >>> check()
    """
    named = st.sampled_from([none, full, equal, decorrelated])
    return named | st.builds(proportional, st.floats(0, 1)) | st.builds(additive, seconds())


@cache
def backoffs() -> SearchStrategy[Backoff]:
    """Generate curves of every kind, endless and finite ones, changed by up to a few methods.

    >>> from hypothesis import given
    >>> from redouble.testing.strategies import backoffs
    >>> @given(backoffs())
    ... def check(curve):
    ...     assert curve.length is None or curve.delay(curve.length + 1, None, 0.5) is None
    >>> check()
    """
    return st.recursive(_plain_backoffs(), _changed_backoffs, max_leaves=3)


def _plain_backoffs() -> SearchStrategy[Backoff]:
    maximum = st.none() | seconds()
    delays = st.lists(seconds(), max_size=5)
    factor = st.sampled_from([1.0, 1.5, 2.0, 10.0, 0.5]) | st.floats(0.001, 1e3)
    return st.one_of(
        st.builds(constant, seconds()),
        st.builds(linear, seconds(), step=seconds(), maximum=maximum),
        st.builds(fibonacci, seconds(), maximum=maximum),
        delays.map(lambda waits: sequence(*waits)),
        delays.filter(bool).map(lambda waits: sequence(*waits).forever()),
        st.builds(exponential, seconds(), factor=factor, maximum=maximum, jitter=jitters()),
    )


def _changed_backoffs(curves: SearchStrategy[Backoff]) -> SearchStrategy[Backoff]:
    few = st.integers(0, 20)
    return st.one_of(
        st.builds(lambda curve, most: curve.capped(most), curves, seconds()),
        st.builds(lambda curve, jitter: curve.jittered(jitter), curves, jitters()),
        st.builds(lambda curve, delays: curve.take(delays), curves, few),
        st.builds(lambda curve, delays: curve.skip(delays), curves, few),
        st.builds(lambda curve, least: curve.at_least(least), curves.filter(_forgets), seconds()),
        st.builds(lambda curve, other: curve + other, curves.filter(_forgets), curves.filter(_forgets)),
        st.builds(lambda curve, delays, other: curve.take(delays).then(other), curves, few, curves),
    )


def _forgets(curve: Backoff) -> bool:
    """Return whether a curve can be added to another one, and be given a floor."""
    return not curve.remembers


@st.composite
def policies(draw: st.DrawFn, /, **fixed: Any) -> RetryPolicy:
    """Generate policies with any limits, curves and flags; rules, observers, clock and the like stay at their defaults.

    A policy with an `attempt_timeout` is refused for sync functions; `policies(attempt_timeout=None)` has none.

    Args:
        draw: Given by Hypothesis.
        fixed: Fields of `RetryPolicy` that are the same in every policy.

    >>> from hypothesis import given
    >>> from redouble.testing.strategies import policies
    >>> @given(policies(idempotent=True))
    ... def check(policy):
    ...     assert policy.idempotent
    >>> check()
    """
    fields = dict(fixed)

    def choose(field: str, values: SearchStrategy[Any]) -> Any:
        if field not in fields and draw(st.booleans(), label=f"is {field} written?"):
            fields[field] = draw(values, label=field)
        return fields.get(field)

    backoff = choose("backoff", _backoffs_for(fixed.get("attempts"), fixed.get("deadline")))
    length = None if backoff is None else backoff.length
    choose("attempts", st.none() | st.integers(1, 100 if length is None else length + 1))
    timeout = choose("attempt_timeout", st.none() | _within(fixed.get("deadline")))
    least = max(0.001 if timeout is None else _float(timeout), _first_wait(backoff))
    choose("deadline", st.none() | seconds(least))
    if timeout is not None and _float(timeout) > DEADLINE and "attempts" not in fields:
        fields.setdefault("deadline", None)  # the default one would be too short
    choose("max_hint", seconds())
    choose("nested", st.sampled_from(["once", "multiply"]))
    choose("idempotent", st.sampled_from([None, True, False]))
    return RetryPolicy(**fields)


def _first_wait(curve: Backoff | None) -> float:
    """Return the least seconds of a curve's first wait: a policy refuses a deadline below."""
    wait = None if curve is None else curve.delay(1, None, 0.0)
    return 0.0 if wait is None else wait


def _backoffs_for(attempts: int | None, deadline: Seconds | None) -> SearchStrategy[Backoff]:
    """Generate curves with a wait for each of these attempts but the last, the first within the deadline."""
    curves = backoffs()
    if attempts is not None:
        curves = curves.filter(lambda curve: curve.length is None or curve.length >= attempts - 1)
    if deadline is None:
        return curves
    longest = _float(deadline)
    return curves.map(lambda curve: curve if _first_wait(curve) <= longest else curve.capped(longest))


def _within(deadline: Seconds | None) -> SearchStrategy[float]:
    """Generate durations > 0 up to the deadline."""
    longest = LONG if deadline is None else _float(deadline)
    return st.floats(min(0.001, longest), longest, allow_subnormal=False)


def _float(duration: Seconds) -> float:
    return checks.seconds("duration", duration)
