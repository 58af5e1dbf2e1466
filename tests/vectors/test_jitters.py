"""What other systems' tests expect of jitters; the ids of the cases say which system, see test_account.py."""

from __future__ import annotations

from itertools import accumulate, islice
from math import inf, nan
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import additive, constant, exponential, linear, proportional
from redouble.jitters import decorrelated, equal, full

if TYPE_CHECKING:
    from redouble import Backoff

NEARLY_ONE = 1 - 2**-53
draws = st.floats(0, 1, exclude_max=True)


def grow(initial: float, factor: float = 2, maximum: float | None = None) -> Backoff:
    """An exponential curve without jitter and, unless one is given, without a maximum."""
    return exponential(initial, factor=factor, maximum=maximum, jitter=None)


CENKALTI_DEFAULT = [
    (0.25, 0.75),
    (0.375, 1.125),
    (0.5625, 1.6875),
    (0.84375, 2.53125),
    (1.265625, 3.796875),
    (1.8984375, 5.6953125),
    (2.84765625, 8.54296875),
    (4.271484375, 12.814453125),
    (6.4072265625, 19.2216796875),
]
GRPC = [(0.08, 0.12), (0.16, 0.24), (0.32, 0.48), (0.64, 0.96), (0.8, 1.2), (0.8, 1.2)]
HASKELL = [(50, 100), (100, 200), (200, 400), (400, 800), (800, 1600)]
CENKALTI_TENTH = [(base * 0.9, base * 1.1) for base in (500, 1000, 2000, 4000, *[5000] * 6)]


@pytest.mark.parametrize(
    ("curve", "ranges"),
    [
        pytest.param(grow(500, maximum=5000).jittered(proportional(0.1)), CENKALTI_TENTH, id="cenkalti-01"),
        pytest.param(grow(0.5, 1.5, maximum=60).jittered(proportional(0.5)), CENKALTI_DEFAULT, id="cenkalti-04"),
        pytest.param(grow(0.1, maximum=1).jittered(proportional(0.2)), GRPC, id="grpc-01"),
        pytest.param(grow(100).jittered(equal), HASKELL, id="haskell-09"),
    ],
)
def test_ranges(curve: Backoff, ranges: list[tuple[float, float]]) -> None:
    """The shortest and the longest wait after each failure."""
    for failures, (low, high) in enumerate(ranges, 1):
        assert curve.delay(failures, None, 0.0) == pytest.approx(low)
        assert curve.delay(failures, None, NEARLY_ONE) == pytest.approx(high)


@pytest.mark.parametrize(
    ("curve", "failures", "table"),
    [
        pytest.param(
            constant(1).jittered(proportional(0.25)), 1, {0.0: 0.75, 0.4: 0.95, 0.6: 1.05, 1.0: 1.25}, id="polly-01"
        ),
        pytest.param(
            linear(1, step=1).jittered(proportional(0.25)),
            3,
            {0.0: 2.25, 0.4: 2.85, 0.5: 3.0, 0.6: 3.15, 1.0: 3.75},
            id="polly-03",
        ),
    ],
)
def test_chosen_draws(curve: Backoff, failures: int, table: dict[float, float]) -> None:
    """The wait at each draw, up to the draw that never comes."""
    assert {draw: curve.delay(failures, None, draw) for draw in table} == pytest.approx(table)


@pytest.mark.parametrize(
    ("curve", "drawn", "elapsed"),
    [
        pytest.param(constant(500).jittered(full), [0.5] * 4, [250, 500, 750, 1000], id="zio-02-none-to-all"),
        pytest.param(
            constant(1000).jittered(additive(1000)), [0.5, 0.5, 1, 1], [1500, 3000, 5000, 7000], id="zio-02-double"
        ),
    ],
)
def test_seeded_draws(curve: Backoff, drawn: list[float], elapsed: list[float]) -> None:
    """The waits add up as the draws say."""
    assert list(accumulate(curve.delay(1, None, draw) or 0.0 for draw in drawn)) == elapsed


@pytest.mark.parametrize("vector", ["cenkalti-03"])
@given(draw=draws)
def test_no_share_is_no_jitter(vector: str, draw: float) -> None:
    """A share of zero gives the wait exactly."""
    assert proportional(0.0)(1.2345, None, draw) == 1.2345


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [pytest.param(0.25, 0.75, 1.25, id="polly-13"), pytest.param(0.2, 0.8, 1.2, id="effect-09")],
)
@given(wait=st.floats(0.001, 3600), draw=draws)
def test_shares(share: float, low: float, high: float, wait: float, draw: float) -> None:
    """A jittered wait lies within its share of the wait, and where the draw says."""
    found = proportional(share)(wait, None, draw)
    assert wait * low * (1 - 1e-12) <= found <= wait * high
    assert found == pytest.approx(wait * low * (1 - draw) + wait * high * draw)


@pytest.mark.parametrize("vector", ["awsblog-01"])
@given(
    base=st.floats(0.001, 10),
    cap=st.floats(0.001, 1000),
    n=st.integers(0, 100),
    previous=st.floats(0, 1000),
    draw=draws,
)
def test_the_names_of_jitters(vector: str, base: float, cap: float, n: int, previous: float, draw: float) -> None:
    """Full, equal and decorrelated are what the AWS Architecture Blog calls so."""
    window = min(cap, base * 2**n)
    assert exponential(base, maximum=cap, jitter="full").delay(n + 1, None, draw) == draw * window
    assert exponential(base, maximum=cap, jitter="equal").delay(n + 1, None, draw) == pytest.approx(
        window / 2 * (1 + draw)
    )
    expected = min(cap, base + draw * (3 * previous - base))
    assert exponential(base, maximum=cap, jitter="decorrelated").delay(n + 1, previous, draw) == pytest.approx(expected)


# Decided otherwise; test_account.py has the reasons.


@pytest.mark.parametrize("vector", ["cenkalti-02"])
def test_there_are_no_ticks(vector: str) -> None:
    """Six draws that another system rounds to the ticks 1 1 2 2 3 3 are six waits within the same range."""
    waits = [proportional(0.5)(2.0, None, draw) for draw in (0, 0.33, 0.34, 0.66, 0.67, 0.99)]
    assert waits == pytest.approx([1.0, 1.66, 1.68, 2.32, 2.34, 2.98])


@pytest.mark.parametrize(
    ("draw", "waits"),
    [
        pytest.param(0.5, [2.0, 3.5, 5.75, 9.125], id="polly-10"),
        pytest.param(0.0, [1.0, 1.0, 1.0, 1.0], id="polly-11-0.0"),
        pytest.param(0.25, [1.5, 1.875, 2.15625, 2.3671875], id="polly-11-0.25"),
        pytest.param(0.75, [2.5, 5.875, 13.46875, 30.5546875], id="polly-11-0.75"),
        pytest.param(1.0, [3.0, 9.0, 27.0, 81.0], id="polly-11-1.0"),
    ],
)
def test_decorrelated_is_that_of_aws(draw: float, waits: list[float]) -> None:
    """Where another system has a formula of its own, decorrelated is the one that AWS published."""
    curve = exponential(1, maximum=None, jitter=decorrelated)
    found: list[float | None] = [None]
    for failures in range(1, len(waits) + 1):
        found.append(curve.delay(failures, found[-1], draw))
    assert found[1:] == waits


@pytest.mark.parametrize("vector", ["polly-12"])
@given(base=st.floats(0.001, 3600), drawn=st.lists(draws, min_size=1, max_size=60))
def test_the_bound_of_decorrelated(vector: str, base: float, drawn: list[float]) -> None:
    """The n-th decorrelated wait is at least the base, and less than three to the n-th times that."""
    curve, previous = exponential(base, maximum=None, jitter=decorrelated), None
    for n, draw in enumerate(drawn, 1):
        previous = curve.delay(n, previous, draw)
        assert previous is not None
        assert base * (1 - 1e-9) <= previous <= min(base * 3**n, 1e9)


@pytest.mark.parametrize("vector", ["finagle-09"])
def test_decorrelated_comes_down_from_the_maximum(vector: str) -> None:
    """The first wait is spread too, and a wait at the maximum may be followed by a shorter one; all lie in [base, max]."""
    curve = exponential(1, maximum=10, jitter=decorrelated)
    assert curve.delay(1, None, 0.5) == 2.0
    assert curve.delay(5, 10.0, 0.9) == 10.0
    assert curve.delay(6, 10.0, 0.1) == pytest.approx(3.9)
    assert curve.delay(6, 10.0, 0.0) == 1.0


@pytest.mark.parametrize("vector", ["temporal-03"])
def test_the_spread_at_the_cap_is_on_both_sides(vector: str) -> None:
    """A ninth up and down keeps [0.8, 1.0) of the cap once it is reached; before, it is a ninth around the wait."""
    curve = exponential(1, maximum=10, jitter=proportional(1 / 9))
    for failures in range(5, 11):
        assert curve.delay(failures, None, 0.0) == pytest.approx(8.0)
        assert curve.delay(failures, None, 0.5) == pytest.approx(9.0)
        assert curve.delay(failures, None, NEARLY_ONE) == pytest.approx(10.0)
    assert list(islice(curve, 5)) == [1, 2, 4, 8, 10]
    assert curve.delay(3, None, NEARLY_ONE) == pytest.approx(4 * 10 / 9)


@pytest.mark.parametrize("vector", ["tower-07"])
def test_a_bad_spread_is_refused_and_a_low_cap_is_not(vector: str) -> None:
    """A share that is no share is refused when it is written; a maximum below the first wait, or of zero, caps."""
    for share in (inf, -inf, nan, -0.1, 100.1):
        with pytest.raises(ValueError, match="share"):
            proportional(share)
    assert grow(5, maximum=2).delay(1, None, 0.5) == 2.0
    assert grow(5, maximum=0).delay(1, None, 0.5) == 0.0
