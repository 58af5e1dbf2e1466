"""The Hypothesis strategies make what they promise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from redouble import Backoff, RetryPolicy
from redouble.jitters import Jitter
from redouble.testing.strategies import backoffs, jitters, policies, seconds

FEW = settings(max_examples=30)
QUICK = settings(
    max_examples=2000, phases=[Phase.generate], report_multiple_bugs=False
)  # any example will do, it need not be the least


@given(seconds(least=301.0))
def test_durations_have_a_least(duration: float) -> None:
    """No duration is below the least one."""
    assert duration >= 301.0


@given(jitters(), st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_jitters_are_jitters(jitter: Jitter, window: float, draw: float) -> None:
    """Each gives a wait that is not negative."""
    assert isinstance(jitter, Jitter)
    assert jitter(window, None, draw) >= 0


@pytest.mark.parametrize("name", ["None", "'full'", "'equal'", "'decorrelated'", "proportional", "additive"])
def test_every_kind_of_jitter_comes(name: str) -> None:
    """None is left out."""
    find(jitters(), lambda jitter: repr(jitter).startswith(name), settings=QUICK)


@given(backoffs(), st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_curves_are_curves(curve: Backoff, failures: int, draw: float) -> None:
    """Each gives a wait that is not negative, or has ended when its length says so."""
    wait = curve.delay(failures, None, draw)
    assert (wait is None) == (curve.length is not None and failures > curve.length)
    assert wait is None or wait >= 0


@pytest.mark.parametrize("kind", ["constant", "linear", "fibonacci", "sequence", "exponential"])
def test_every_kind_of_curve_comes(kind: str) -> None:
    """None is left out."""
    find(backoffs(), lambda curve: repr(curve).startswith(kind), settings=QUICK)


@pytest.mark.parametrize("word", ["capped", "jittered", "take", "then", "forever"])
def test_every_word_that_changes_a_curve_comes(word: str) -> None:
    """None is left out."""
    find(backoffs(), lambda curve: f".{word}(" in repr(curve), settings=QUICK)


@FEW
@given(policies())
def test_policies_are_policies(policy: RetryPolicy) -> None:
    """Each one is valid."""
    assert isinstance(policy, RetryPolicy)


@pytest.mark.parametrize(
    "field", ["backoff", "attempts", "attempt_timeout", "deadline", "max_hint", "nested", "idempotent"]
)
def test_every_field_is_written_and_left_out(field: str) -> None:
    """A field is written in some policies, in others it is not."""
    find(policies(), lambda policy: field in policy.written, settings=QUICK)
    find(policies(), lambda policy: field not in policy.written, settings=QUICK)


def test_policies_shrink_to_the_default_one() -> None:
    """What is written in a failing example matters to the failure."""
    assert find(policies(), lambda _: True) == RetryPolicy()


@FEW
@given(policies(attempts=50, deadline=timedelta(seconds=7), max_hint=1))
def test_fixed_fields_are_fixed(policy: RetryPolicy) -> None:
    """The other fields fit those that are fixed."""
    assert (policy.attempts, policy.deadline, policy.max_hint) == (50, 7.0, 1.0)


@FEW
@given(policies(attempt_timeout=100))
def test_a_fixed_attempt_timeout_gets_a_deadline_that_holds_it(policy: RetryPolicy) -> None:
    """The default deadline of 60 s would contradict it."""
    assert policy.attempt_timeout == 100.0
    assert policy.deadline is None or policy.deadline >= 100.0
