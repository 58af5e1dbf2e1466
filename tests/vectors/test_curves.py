"""What other systems' tests expect of delay curves; the ids of the cases say which system, see test_account.py."""

from __future__ import annotations

from itertools import accumulate, islice, pairwise
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import Backoff, constant, exponential, fibonacci, linear, proportional, retry, sequence
from redouble.core.backoff import CEILING
from redouble.core.checks import LONGEST
from redouble.jitters import full

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400.0
MINUTE = 60.0


def grow(initial: float, factor: float = 2, maximum: float | None = None) -> Backoff:
    """An exponential curve without jitter and, unless one is given, without a maximum."""
    return exponential(initial, factor=factor, maximum=maximum, jitter=None)


class Successors(Backoff):
    """A curve made of a function: each wait is the one before it, and one."""

    def delay(self, failures: int, previous: float | None, draw: float) -> float:
        return float(failures)


FINITE: list[tuple[str, Backoff, list[float]]] = [
    ("finagle-04", linear(7, step=10).take(5), [7, 17, 27, 37, 47]),
    (
        "finagle-07",
        constant(1).take(3).then(linear(2, step=1).take(2)).then(constant(7).take(3)),
        [1, 1, 1, 2, 3, 7, 7, 7],
    ),
    ("effect-02", constant(0).take(3), [0, 0, 0]),
    ("effect-02", constant(0).take(0), []),
    ("effect-02", constant(0).take(1), [0]),
    ("effect-06", constant(10).take(2).then(constant(50).take(3)), [10, 10, 50, 50, 50]),
    ("finagle-05", constant(1).take(0), []),
    ("finagle-05", sequence().take(1), []),
    ("finagle-05", sequence().then(sequence()), []),
]

ENDLESS: list[tuple[str, Backoff, list[float]]] = [
    ("polly-02", linear(1, step=1), [1, 2, 3]),
    ("polly-04", grow(1), [1, 2, 4]),
    ("polly-07", constant(1).capped(2), [1, 1, 1]),
    ("polly-16", linear(2, step=2, maximum=0.123), [0.123, 0.123, 0.123]),
    ("finagle-01", grow(2), [2, 4, 8, 16, 32]),
    ("finagle-01", grow(2, maximum=15), [2, 4, 8, 15, 15]),
    ("finagle-02", linear(7, step=10), [7, 17, 27, 37, 47]),
    ("finagle-02", linear(9, step=30, maximum=99), [9, 39, 69, 99, 99]),
    ("finagle-03", Successors(), [1, 2, 3, 4, 5]),
    ("finagle-08", constant(1).take(1).then(linear(2, step=1).take(2)).then(constant(4)), [1, 2, 3, 4, 4, 4]),
    ("aws-13", grow(0.05, maximum=20), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20]),
    ("effect-01", grow(100), [100, 200, 400, 800, 1600, 3200]),
    ("effect-01", grow(100, 1.5), [100, 150, 225, 337.5, 506.25, 759.375]),
    ("effect-01", fibonacci(100), [100, 100, 200, 300, 500, 800, 1300, 2100]),
    ("zio-03", grow(1 * MINUTE), [1 * MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE]),
    ("haskell-09", grow(100), [100, 200, 400, 800, 1600]),
    ("haskell-09", fibonacci(100), [100, 100, 200, 300, 500]),
    ("k8s-01", constant(0), [0, 0, 0, 0]),
    ("k8s-01", constant(1), [1, 1, 1]),
    ("k8s-01", grow(1, factor=1), [1, 1, 1]),
    ("k8s-01", grow(1), [1, 2, 4]),
    ("k8s-01", grow(1, maximum=3), [1, 2, 3]),
    ("k8s-05", grow(1, maximum=60), [1, 2, 4, 8, 16, 32, 60, 60, 60]),
    ("k8s-12", constant(5).take(3).then(constant(10000)), [5, 5, 5, 10000, 10000]),
    ("k8s-12", constant(5).take(3).then(constant(3000)), [5, 5, 5, 3000, 3000]),
    ("k8s-12", constant(5).take(100).then(constant(1_000_000)).capped(500_000), [5] * 100 + [500_000]),
    ("k8s-14", sequence(0).then(grow(10, maximum=300)), [0, 10, 20, 40, 80, 160, 300, 300]),
]


def cases(table: list[tuple[str, Backoff, list[float]]]) -> list[object]:
    """A table of (vector, curve, waits) as parameters, each under the vector's id."""
    return [pytest.param(curve, waits, id=f"{vector}-{curve!r}") for vector, curve, waits in table]


@pytest.mark.parametrize(("curve", "waits"), cases(ENDLESS))
def test_the_first_waits(curve: Backoff, waits: list[float]) -> None:
    """An endless curve begins with these waits, and has another one after them."""
    assert list(islice(curve, len(waits))) == pytest.approx(waits)
    assert curve.length is None


@pytest.mark.parametrize(("curve", "waits"), cases(FINITE))
def test_all_waits(curve: Backoff, waits: list[float]) -> None:
    """A curve that ends gives these waits, and stays ended."""
    assert list(curve) == waits
    assert [curve.delay(len(waits) + more, None, 0.5) for more in (1, 2, 7)] == [None, None, None]


@pytest.mark.parametrize("initial", [0.0])
@pytest.mark.parametrize("attempt", [1, 2, 3])
@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(lambda base: constant(base), id="polly-05-constant"),
        pytest.param(lambda base: linear(base, step=base), id="polly-05-linear"),
        pytest.param(lambda base: exponential(base), id="polly-05-exponential"),
        pytest.param(lambda base: exponential(base, jitter="decorrelated"), id="polly-05-decorrelated"),
        pytest.param(lambda base: linear(base, step=base).jittered(proportional(0.25)), id="polly-05-jittered"),
    ],
)
def test_a_base_of_zero(curve: Callable[[float], Backoff], initial: float, attempt: int, draw: float) -> None:
    """A base of zero is no wait at all, whatever the curve and its jitter."""
    assert curve(initial).delay(attempt, None, draw) == 0.0


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(constant(10), id="polly-06-constant"),
        pytest.param(linear(10, step=10), id="polly-06-linear"),
        pytest.param(grow(10), id="polly-06-exponential"),
    ],
)
@pytest.mark.parametrize("jitter", [None, proportional(0.25)])
def test_the_cap_holds_for_every_curve(curve: Backoff, jitter: object) -> None:
    """A wait that is jittered and then capped never passes the cap."""
    assert curve.jittered(jitter).capped(1).delay(3, None, 0.5) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("curve", "failures", "wait"),
    [
        pytest.param(grow(LONGEST / 2, factor=2.1, maximum=LONGEST), 2, LONGEST, id="cenkalti-05"),
        pytest.param(grow(DAY), 1001, CEILING, id="polly-08-without-a-cap"),
        pytest.param(grow(DAY, maximum=2 * DAY), 1001, 2 * DAY, id="polly-08-with-a-cap"),
        pytest.param(grow(0.001, maximum=1000), 1000, 1000.0, id="k8s-11-seconds"),
        pytest.param(grow(60, maximum=3_600_000), 1000, 3_600_000.0, id="k8s-11-hours"),
    ],
)
def test_growth_saturates(curve: Backoff, failures: int, wait: float) -> None:
    """Where the growth would overflow, the wait is at the cap; without one, at the largest that there is."""
    assert curve.delay(failures, None, 0.5) == wait


@pytest.mark.parametrize("vector", ["polly-09"])
@pytest.mark.parametrize("maximum", [None, 30])
@pytest.mark.parametrize("failures", [1, 2, 3, 4, 10, 100, 1000, 1024, 1025])
def test_a_jittered_exponential_stays_positive(vector: str, failures: int, maximum: float | None) -> None:
    """No overflow makes a jittered wait zero, negative or longer than the cap."""
    for jitter in ("full", "equal", "decorrelated"):
        wait = exponential(2, maximum=maximum, jitter=jitter).delay(failures, None, 0.5)
        assert wait is not None
        assert 0 < wait <= (inf if maximum is None else maximum)


@pytest.mark.parametrize(
    ("curve", "sums"),
    [
        pytest.param(grow(2, maximum=513), [2, 6, 14, 30, 62, 126, 254, 510, 1022, 1535, 2048, 2561], id="grpc-12"),
        pytest.param(fibonacci(100), [100, 200, 400, 700], id="zio-01-fibonacci"),
        pytest.param(linear(100, step=100), [100, 300, 600, 1000], id="zio-01-linear"),
        pytest.param(constant(100), [100, 200, 300, 400], id="zio-01-constant"),
        pytest.param(grow(100), [100, 300, 700, 1500], id="zio-01-exponential"),
        pytest.param(grow(100, factor=3), [100, 400, 1300, 4000], id="zio-01-factor"),
        pytest.param(sequence(4000, 7000, 12000, 19000), [4000, 11000, 23000, 42000], id="zio-01-sequence"),
        pytest.param(linear(200, step=200), [200, 600, 1200, 2000], id="zio-01-doubled"),
    ],
)
def test_cumulated_waits(curve: Backoff, sums: list[float]) -> None:
    """The waits up to each one, together."""
    assert list(islice(accumulate(curve), len(sums))) == sums


@pytest.mark.parametrize("vector", ["tower-06"])
@given(low=st.floats(0, 1e6), above=st.floats(0, 1e6), failures=st.integers(1, 2**32))
def test_between_the_first_wait_and_the_cap(vector: str, low: float, above: float, failures: int) -> None:
    """The first wait is the initial one, and every wait lies between it and the cap."""
    curve = grow(low, maximum=low + above)
    assert curve.delay(1, None, 0.5) == low
    assert low <= curve.delay(failures, None, 0.5) <= low + above  # type: ignore[operator]


@pytest.mark.parametrize("vector", ["haskell-03"])
@given(base=st.floats(1e-3, 1e6))
def test_an_exponential_rises_strictly_until_it_saturates(vector: str, base: float) -> None:
    """There is no rollover: all waits are different until the ceiling, and stay there."""
    waits = list(islice(grow(base), 1000))
    rising = [wait for wait in waits if wait < CEILING]
    assert all(low < high for low, high in pairwise(rising))
    assert waits[len(rising) :] == [CEILING] * (1000 - len(rising))


@pytest.mark.parametrize("vector", ["haskell-04"])
@given(count=st.integers(1, 100), cap=st.floats(0, 1e6), base=st.floats(0, 1e6))
def test_a_cap_never_hides_an_end(vector: str, count: int, cap: float, base: float) -> None:
    """A capped curve ends where it ended, and an endless one stays under its cap."""
    ending = constant(0).take(count).capped(cap)
    assert ending.delay(count, None, 0.5) == 0.0
    assert ending.delay(count + 1, None, 0.5) is None
    for curve in (grow(base), fibonacci(base)):
        assert max(islice(curve.capped(cap), 100)) <= cap


@pytest.mark.parametrize("vector", ["finagle-10"])
def test_jitter_is_drawn_around_the_deterministic_curve(vector: str) -> None:
    """A draw of zero does not collapse the later waits: the curve goes on rising beneath the jitter."""
    curve = exponential(10, maximum=10000, jitter=full)
    waits = [curve.delay(failures, 0.0, draw) for failures, draw in ((2, 0.0), (3, 0.5), (4, 0.5))]
    assert waits == [0.0, 20.0, 40.0]


@pytest.mark.parametrize("vector", ["zio-03"])
def test_a_policy_can_be_looked_at_without_waiting(vector: str) -> None:
    """Two retries over a curve are two waits, which no clock is needed to know."""
    rows = retry(attempts=3, backoff=grow(1 * MINUTE)).preview(failures=10)
    assert [row.typical for row in rows] == [1 * MINUTE, 2 * MINUTE]
