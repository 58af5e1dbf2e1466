"""Floor 1. The delay curves and the words that change them, at chosen draws and as laws."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice, product
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redouble
from redouble import Backoff, additive, constant, exponential, fibonacci, linear, proportional, sequence
from redouble.core.backoff import CEILING, Sequence, as_curve, wait_of
from redouble.core.jitter import decorrelated, equal, full, none
from redouble.testing.strategies import backoffs, jitters, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.core.jitter import Jitter

DRAWS = (0.0, 0.5, 0.999)
MANY = (1, 2, 1023, 1024, 1025, 10**6, 10**9)  # 2.0 ** 1024 is too large for a float

draws = st.floats(0, 1, exclude_max=True)
failures_ = st.sampled_from(MANY) | st.integers(1, 10**9)
factors = st.sampled_from([1.0, 1.5, 2.0, 10.0]) | st.floats(1, 1e300)
maxima = st.none() | seconds()


class Odd(Backoff):
    """A curve of a user's own, with a random part and an end."""

    def delay(self, failures: int, previous: float | None, draw: Any) -> float | None:
        return failures + draw if failures <= 3 else None

    @property
    def length(self) -> int:
        return 3


class Forever(Backoff):
    """A curve of a user's own that says nothing of its end."""

    def delay(self, failures: int, previous: float | None, draw: Any) -> float:
        return 7.0


def doubled(failures: int) -> float | None:
    """A curve that is only a function, with an end."""
    return failures * 2.0 if failures <= 3 else None


def waits(curve: Backoff, draw: float = 0.5, count: int = 5) -> list[float | None]:
    """The waits of so many failures in a row at one draw, each given the wait before it."""
    found: list[float | None] = []
    for failures in range(1, count + 1):
        found.append(curve.delay(failures, found[-1] if found else None, draw))
    return found


# Each curve.


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (exponential(jitter=None), [0.1, 0.2, 0.4, 0.8, 1.6]),
        (exponential(1, factor=3, jitter=None), [1, 3, 9, 20, 20]),
        (exponential(1, factor=3, maximum=None, jitter=None), [1, 3, 9, 27, 81]),
        (exponential(1, factor=1, jitter=None), [1, 1, 1, 1, 1]),
        (exponential(5, maximum=2, jitter=None), [2, 2, 2, 2, 2]),
        (exponential(8, factor=0.5, jitter=None), [8, 4, 2, 1, 0.5]),
        (exponential(8, factor=0.5, maximum=3, jitter=None), [3, 3, 2, 1, 0.5]),
        (as_curve("backoff", doubled), [2, 4, 6, None, None]),
        (exponential(0, jitter=None), [0, 0, 0, 0, 0]),
        (exponential(5, maximum=0, jitter=None), [0, 0, 0, 0, 0]),
        (exponential(timedelta(seconds=2), maximum=timedelta(seconds=5), jitter=None), [2, 4, 5, 5, 5]),
        (constant(3), [3, 3, 3, 3, 3]),
        (constant(timedelta(minutes=1)), [60, 60, 60, 60, 60]),
        (linear(1, step=2), [1, 3, 5, 7, 9]),
        (linear(1, step=2, maximum=6), [1, 3, 5, 6, 6]),
        (linear(3, step=1, maximum=2), [2, 2, 2, 2, 2]),
        (linear(1, step=0), [1, 1, 1, 1, 1]),
        (fibonacci(1), [1, 1, 2, 3, 5]),
        (fibonacci(0.5, maximum=1.2), [0.5, 0.5, 1, 1.2, 1.2]),
        (fibonacci(3, maximum=2), [2, 2, 2, 2, 2]),
        (fibonacci(0), [0, 0, 0, 0, 0]),
        (sequence(1, 2, 4), [1, 2, 4, None, None]),
        (sequence(1, timedelta(seconds=2), 0).forever(), [1, 2, 0, 0, 0]),
        (sequence(), [None] * 5),
        (Odd(), [1.5, 2.5, 3.5, None, None]),
        (Forever(), [7, 7, 7, 7, 7]),
    ],
    ids=repr,
)
def test_each_curve(curve: Backoff, expected: list[float | None]) -> None:
    """The first five waits of each curve."""
    assert waits(curve) == expected


@pytest.mark.parametrize(
    ("jitter", "table"),
    [
        ("full", {0.0: [0, 0, 0, 0], 0.5: [0.5, 1, 2, 2.5], 0.999: [0.999, 1.998, 3.996, 4.995]}),
        ("equal", {0.0: [0.5, 1, 2, 2.5], 0.5: [0.75, 1.5, 3, 3.75], 0.999: [0.9995, 1.999, 3.998, 4.9975]}),
        ("decorrelated", {0.0: [1, 1, 1, 1], 0.5: [2, 3.5, 5, 5], 0.999: [2.998, 5, 5, 5]}),
        (
            proportional(0.25),
            {0.0: [0.75, 1.5, 3, 3], 0.5: [1, 2, 4, 4], 0.999: [1.2495, 2.499, 4.998, 4.998]},
        ),
        (additive(2), {0.0: [1, 2, 3, 3], 0.5: [2, 3, 4, 4], 0.999: [2.998, 3.998, 4.998, 4.998]}),
        ("none", {0.0: [1, 2, 4, 5], 0.5: [1, 2, 4, 5], 0.999: [1, 2, 4, 5]}),
        (None, {0.0: [1, 2, 4, 5], 0.5: [1, 2, 4, 5], 0.999: [1, 2, 4, 5]}),
    ],
)
def test_exponential_with_each_jitter(jitter: Any, table: dict[float, list[float]]) -> None:
    """1, 2, 4, 8 s under a maximum of 5 s, with each jitter, at three draws: the spread is kept at the cap."""
    curve = exponential(1, maximum=5, jitter=jitter)
    for draw, expected in table.items():
        assert waits(curve, draw, 4) == pytest.approx(expected)


def test_the_default_curve() -> None:
    """The default is full jitter over 0.1 s doubling up to 20 s."""
    assert exponential() == exponential(0.1, factor=2.0, maximum=20.0, jitter=full)
    assert exponential().delay(100, None, 0.5) == 10.0


def test_decorrelated_follows_its_own_last_wait() -> None:
    """AWS's formula: initial + draw * (3 * previous - initial), and the factor plays no part."""
    curve = exponential(1, factor=10, maximum=20, jitter="decorrelated")
    assert curve.delay(1, None, 0.5) == 2.0
    assert curve.delay(2, 2.0, 0.5) == 3.5
    assert curve.delay(9, 4.0, 0.5) == 6.5
    assert curve.delay(9, 20.0, 0.9) == 20.0


# The words that change a curve.


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (exponential(1, jitter=None).capped(3), [1, 2, 3, 3, 3]),
        (sequence(1, 9).capped(timedelta(seconds=3)), [1, 3, None, None, None]),
        (constant(5).capped(0), [0, 0, 0, 0, 0]),
        (exponential(1, jitter=None).take(3), [1, 2, 4, None, None]),
        (constant(1).take(0), [None] * 5),
        (sequence(1, 2).take(4), [1, 2, None, None, None]),
        (constant(1).take(4).take(2), [1, 1, None, None, None]),
        (sequence(1, 2).then(constant(9)), [1, 2, 9, 9, 9]),
        (sequence(1, 2).then(sequence(3)), [1, 2, 3, None, None]),
        (sequence().then(linear(1, step=1)), [1, 2, 3, 4, 5]),
        (constant(1).take(2).then(linear(2, step=1).take(2)).then(constant(7)), [1, 1, 2, 3, 7]),
        (sequence(1).then(sequence(2).then(sequence(3))), [1, 2, 3, None, None]),
        (constant(4).jittered(none), [4, 4, 4, 4, 4]),
        (constant(4).jittered("full"), [2, 2, 2, 2, 2]),
        (constant(4).jittered("equal"), [3, 3, 3, 3, 3]),
        (sequence(2, 4).jittered(additive(1)), [2.5, 4.5, None, None, None]),
        (constant(1).jittered("decorrelated"), [2, 3.5, 5.75, 9.125, 14.1875]),
        (sequence(1, 1).jittered("decorrelated"), [2, 3.5, None, None, None]),
        (Odd().capped(3).take(9).then(Forever()), [1.5, 2.5, 3, 7, 7]),
        (exponential(1, jitter=None).at_least(3), [3, 3, 4, 8, 16]),
        (sequence(1, 9).at_least(timedelta(seconds=3)), [3, 9, None, None, None]),
        (constant(1).at_least(0), [1, 1, 1, 1, 1]),
        (exponential(1).at_least(3).capped(2), [2, 2, 2, 2, 2]),
        (exponential(1, jitter=None).capped(2).at_least(3), [3, 3, 3, 3, 3]),
        (exponential(1, jitter=None).skip(2), [4, 8, 16, 20, 20]),
        (sequence(1, 2, 4).skip(2), [4, None, None, None, None]),
        (sequence(1, 2).skip(5), [None] * 5),
        (sequence(1, 2).forever().skip(5), [2, 2, 2, 2, 2]),
        (sequence(1, 2, 3).skip(1).then(constant(9)), [2, 3, 9, 9, 9]),
        (exponential(1, jitter="decorrelated").skip(3), [2, 3.5, 5.75, 9.125, 14.1875]),
        (constant(1) + linear(0, step=2), [1, 3, 5, 7, 9]),
        (constant(1) + sequence(1, 2), [2, 3, None, None, None]),
        (constant(1) + doubled, [3, 5, 7, None, None]),
        (doubled + constant(1), [3, 5, 7, None, None]),
        ((exponential(1) + constant(1)).take(2).then(doubled), [1.5, 2, 2, 4, 6]),
        (constant(4) + constant(2).jittered("full"), [5, 5, 5, 5, 5]),
    ],
    ids=repr,
)
def test_each_word(curve: Backoff, expected: list[float | None]) -> None:
    """The first five waits, at a draw of 0.5, of curves that words have changed."""
    assert waits(curve) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("jitter", "expected"),
    [
        (none, [8, 8, 8]),
        (full, [0, 4, 7.992]),
        (equal, [4, 6, 7.996]),
        (decorrelated, [8, 16, 23.984]),
        (proportional(0.5), [4, 8, 11.992]),
        (additive(1), [8, 8.5, 8.999]),
    ],
    ids=repr,
)
def test_jittered_with_each_jitter(jitter: Jitter, expected: list[float]) -> None:
    """Each jitter over a curve of 8 s, at three draws."""
    assert [constant(8).jittered(jitter).delay(1, None, draw) for draw in DRAWS] == pytest.approx(expected)


def test_the_order_of_words_is_what_they_do() -> None:
    """A capped wait that is spread may exceed the cap; a spread wait that is capped never does."""
    grows = exponential(2, factor=1.5, maximum=None, jitter=None)
    capped_first = grows.capped(15).jittered(proportional(0.5))
    spread_first = grows.jittered(proportional(0.5)).capped(15)
    assert capped_first.delay(50, None, 0.999999999) == pytest.approx(22.5)
    assert capped_first.delay(50, None, 0.0) == 7.5
    assert [spread_first.delay(50, None, draw) for draw in DRAWS] == [15, 15, 15]


def test_a_floor_after_ten() -> None:
    """`.take(10).then(constant(300))` goes over to a steady wait after ten failures."""
    curve = exponential(1, jitter=None, maximum=None).take(10).then(constant(300))
    assert waits(curve, count=12)[8:] == [256.0, 512.0, 300.0, 300.0]


def test_the_second_curve_begins_without_a_past() -> None:
    """After `then`, the second curve is not told the last wait of the first one, but its own ones."""
    curve = sequence(100).then(exponential(1, jitter="decorrelated", maximum=1000))
    assert curve.delay(2, 100.0, 0.5) == 2.0
    assert curve.delay(3, 2.0, 0.5) == 3.5


def test_forever_repeats_the_last() -> None:
    """A sequence that was made endless repeats its last wait; asked again it stays the same."""
    endless = sequence(1, 5).forever()
    assert list(islice(endless, 4)) == [1, 5, 5, 5]
    assert endless.forever() == endless
    assert isinstance(endless, Sequence)


@pytest.mark.parametrize(
    ("curve", "length"),
    [
        (exponential(), None),
        (constant(1), None),
        (linear(1, step=1), None),
        (fibonacci(1), None),
        (Forever(), None),
        (sequence(), 0),
        (sequence(1, 2), 2),
        (sequence(1).forever(), None),
        (exponential().take(4), 4),
        (sequence(1, 2).take(4), 2),
        (sequence(1, 2, 3).take(2), 2),
        (sequence(1).then(constant(1)), None),
        (sequence(1).then(sequence(1, 2)), 3),
        (Odd().capped(1).jittered("full"), 3),
        (exponential().at_least(1), None),
        (sequence(1, 2).at_least(1), 2),
        (sequence(1, 2, 3).skip(1), 2),
        (sequence(1, 2, 3).skip(7), 0),
        (exponential().skip(7), None),
        (exponential() + constant(1), None),
        (exponential() + sequence(1, 2), 2),
        (sequence(1, 2, 3) + sequence(1, 2), 2),
        (as_curve("backoff", doubled), None),
        (as_curve("backoff", doubled).take(3), 3),
    ],
    ids=repr,
)
def test_the_length_of_a_curve(curve: Backoff, length: int | None) -> None:
    """A curve knows after how many waits it ends."""
    assert curve.length == length


# Laws.


@given(backoffs(), failures_, maxima, draws)
def test_every_wait_is_finite_and_not_negative(
    curve: Backoff, failures: int, previous: float | None, draw: float
) -> None:
    """However many failures there were, a wait is a finite float in [0, 10**9], or the curve has ended."""
    wait = curve.delay(failures, previous, draw)
    if wait is not None:
        assert type(wait) is float
        assert isfinite(wait)
        assert 0 <= wait <= CEILING


@pytest.mark.parametrize(
    "make",
    [
        lambda maximum: exponential(1e-300, maximum=maximum, jitter=None),
        lambda maximum: exponential(1e9, factor=1e308, maximum=maximum),
        lambda maximum: exponential(0, factor=1e308, maximum=maximum, jitter="equal"),
        lambda maximum: exponential(1, maximum=maximum, jitter="decorrelated"),
        lambda maximum: exponential(1, maximum=maximum, jitter=proportional(1)),
        lambda maximum: exponential(1, maximum=maximum, jitter=additive(1e9)),
        lambda maximum: exponential(1e9, factor=1e-308, maximum=maximum),
        lambda maximum: linear(1e9, step=1e9, maximum=maximum),
        lambda maximum: fibonacci(5e-324, maximum=maximum),
    ],
)
@pytest.mark.parametrize("maximum", [None, 0, 5e-324, 30, 1e9])
def test_extremes_saturate(make: Callable[[float | None], Backoff], maximum: float | None) -> None:
    """Where a float would overflow, the wait is at the maximum; without one, at 10**9 s."""
    curve = make(maximum)
    for failures, draw in product(MANY, DRAWS):
        wait = curve.delay(failures, 1e9, draw)
        assert wait is not None
        assert 0 <= wait <= (CEILING if maximum is None else maximum), (failures, draw)


def test_without_a_maximum_a_curve_saturates() -> None:
    """A curve without a maximum rises to 10**9 s and stays there, whatever was asked of it."""
    for curve in (
        exponential(1, maximum=None, jitter=None),
        linear(1, step=1e6),
        fibonacci(1),
        constant(2e9),
        sequence(2e9),
        sequence(2e9).forever(),
        linear(1e9, step=1).jittered(proportional(1)),
    ):
        assert curve.base(1 if curve.length == 1 else 10**9) == CEILING


@given(seconds(), factors, seconds(), jitters(), failures_, st.none() | seconds(), draws)
def test_exponential_stays_within_its_maximum(
    initial: float,
    factor: float,
    maximum: float,
    jitter: Jitter,
    failures: int,
    previous: float | None,
    draw: float,
) -> None:
    """With `jitter=`, 0 <= wait <= maximum, also where the maximum lies below the first wait."""
    curve = exponential(initial, factor=factor, maximum=maximum, jitter=jitter)
    assert 0 <= curve.delay(failures, previous, draw) <= maximum  # type: ignore[operator]


@given(
    st.builds(exponential, seconds(), factor=factors, maximum=maxima, jitter=jitters())
    | st.builds(linear, seconds(), step=seconds(), maximum=maxima)
    | st.builds(fibonacci, seconds(), maximum=maxima),
    st.integers(1, 2000),
)
def test_curves_rise_before_jitter(curve: Backoff, failures: int) -> None:
    """Before jitter, no wait is shorter than the one before it."""
    assert curve.base(failures) <= curve.base(failures + 1)  # type: ignore[operator]


@given(seconds(0.1), factors, seconds(0.1), st.integers(1, 2000), st.floats(0.05, 1))
def test_the_spread_is_kept_at_the_cap(
    initial: float, factor: float, maximum: float, failures: int, share: float
) -> None:
    """However far the curve has risen, different draws are different waits: clients never fall into step."""
    for jitter in (full, equal, proportional(share), additive(maximum * share)):
        curve = exponential(initial, factor=factor, maximum=maximum, jitter=jitter)
        found = [curve.delay(failures, None, draw / 10) for draw in range(10)]
        assert len(set(found)) == 10


@given(backoffs(), st.integers(1, 40), seconds(), draws)
def test_capped_means_capped(curve: Backoff, failures: int, maximum: float, draw: float) -> None:
    """A capped curve waits as before, but never longer than the cap, and ends where it ended."""
    wait, capped = curve.delay(failures, None, draw), curve.capped(maximum).delay(failures, None, draw)
    assert capped == (None if wait is None else min(wait, maximum))


@given(backoffs(), st.integers(1, 40), seconds(), draws)
def test_at_least_means_at_least(curve: Backoff, failures: int, minimum: float, draw: float) -> None:
    """A curve with a floor waits as before, but never less than that, and ends where it ended."""
    if not curve.remembers:
        wait, raised = curve.delay(failures, None, draw), curve.at_least(minimum).delay(failures, None, draw)
        assert raised == (None if wait is None else max(wait, minimum))


@given(backoffs(), st.integers(0, 30))
def test_skip_and_take_are_the_two_parts_of_a_curve(curve: Backoff, delays: int) -> None:
    """What `take` keeps and what `skip` leaves are the whole curve."""
    whole = list(islice(curve, 60))
    assert [*curve.take(delays), *islice(curve.skip(delays), 60)][:60] == whole


@given(backoffs(), backoffs(), st.integers(1, 40), draws)
def test_a_sum_waits_for_both(one: Backoff, other: Backoff, failures: int, draw: float) -> None:
    """Each wait of a sum is the two waits together, up to 10**9 s, as long as both last."""
    if not (one.remembers or other.remembers):
        parts = [each.delay(failures, None, draw) for each in (one, other)]
        found = (one + other).delay(failures, None, draw)
        assert found == (None if None in parts else min(sum(parts), CEILING))  # type: ignore[arg-type]


@given(seconds(), st.floats(0, 1, exclude_min=True), maxima, st.integers(1, 2000))
def test_a_factor_up_to_one_never_rises(initial: float, factor: float, maximum: float | None, failures: int) -> None:
    """With a factor up to 1, no wait before jitter is longer than the one before it."""
    curve = exponential(initial, factor=factor, maximum=maximum)
    assert curve.base(failures) >= curve.base(failures + 1)  # type: ignore[operator]


@given(backoffs(), st.integers(0, 30))
def test_take_ends_a_curve(curve: Backoff, delays: int) -> None:
    """The first waits are the curve's own, then there is none."""
    taken = curve.take(delays)
    assert list(taken) == list(islice(curve, delays))
    assert taken.delay(delays + 1, None, 0.5) is None


@given(backoffs())
def test_the_length_is_where_a_curve_ends(curve: Backoff) -> None:
    """The last wait is there, the one after it is not; without a length there is always another."""
    length = curve.length
    if length is None:
        assert curve.delay(10**9, None, 0.5) is not None
    else:
        assert curve.delay(length + 1, None, 0.5) is None
        assert length == 0 or curve.delay(length, None, 0.5) is not None
        assert len(list(curve)) == length


@given(backoffs().filter(lambda curve: curve.length is not None), backoffs())
def test_then_joins_two_curves(first: Backoff, second: Backoff) -> None:
    """The waits of the first, then those of the second from its start."""
    assert list(islice(first.then(second), 60)) == [*first, *islice(second, 60)][:60]


@given(
    st.sampled_from(
        [
            lambda j: exponential(1, jitter=j),
            lambda j: constant(8).jittered(j),
            lambda j: exponential(3, jitter=j).capped(5).take(7).then(linear(1, step=1).jittered(j)),
        ]
    ),
    jitters(),
)
def test_iterating_gives_the_waits_without_jitter(make: Callable[[Jitter], Backoff], jitter: Jitter) -> None:
    """A curve's iteration tells nothing of its jitter."""
    assert list(islice(make(jitter), 20)) == list(islice(make(none), 20))


@given(backoffs())
def test_a_curve_is_a_value(curve: Backoff) -> None:
    """Curves are compared, hashed, copied and pickled, and their repr evaluates back."""
    again = eval(repr(curve), exported())
    assert again == curve
    assert repr(again) == repr(curve)
    assert hash(again) == hash(curve)
    assert pickle.loads(pickle.dumps(curve)) == curve
    assert copy.copy(curve) is curve
    assert copy.deepcopy(curve) is curve


def exported() -> dict[str, Any]:
    """What `from redouble import *` gives."""
    names: dict[str, Any] = {}
    exec("from redouble import *", names)
    return names


def test_reprs_read_as_written() -> None:
    """A repr is the call that makes the curve, words included."""
    curve = exponential(2, factor=1.5, maximum=None, jitter=None).capped(15).jittered(proportional(0.5)).take(10)
    text = (
        "exponential(2.0, factor=1.5, maximum=None, jitter=None).capped(15.0).jittered(proportional(0.5)).take(10)"
        ".then(sequence(1.0, 2.0).forever())"
    )
    assert repr(curve.then(sequence(1, 2).forever())) == text
    assert repr(exponential()) == "exponential(0.1, factor=2.0, maximum=20.0, jitter='full')"
    assert repr(linear(1, step=2)) == "linear(1.0, step=2.0, maximum=None)"
    assert repr(fibonacci(1, maximum=5)) == "fibonacci(1.0, maximum=5.0)"
    assert repr(sequence()) == "sequence()"
    assert repr(constant(3)) == "constant(3.0)"


def test_a_curve_is_frozen() -> None:
    """Nothing about a curve can be changed in place."""
    with pytest.raises(AttributeError, match="frozen"):
        constant(1).seconds = 2  # type: ignore[attr-defined]


def test_curves_of_other_numbers_differ() -> None:
    """Every number of a curve counts when it is compared, and so does the order of words."""
    curves = [
        exponential(),
        exponential(0.2),
        exponential(factor=3),
        exponential(maximum=30),
        exponential(maximum=None),
        exponential(jitter="equal"),
        exponential(jitter=None),
        constant(1),
        constant(1).capped(5),
        constant(1).take(5),
        constant(1).jittered("full"),
        constant(1).jittered("full").capped(5),
        constant(1).capped(5).jittered("full"),
        sequence(1),
        sequence(1).forever(),
        linear(1, step=1),
        fibonacci(1),
    ]
    assert len(set(curves)) == len(curves)


# The draw: a number for all parts, or a callable that is asked once a part.


class Counting:
    """A draw that counts how often it is asked."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.numbers.pop(0) if self.numbers else 0.5


@pytest.mark.parametrize(
    ("curve", "times"),
    [
        (exponential(), 1),
        (exponential(jitter=None), 0),
        (exponential(jitter="decorrelated"), 1),
        (constant(1).jittered("full"), 1),
        (constant(1).jittered(None), 0),
        (exponential().jittered("full"), 2),
        (exponential() + exponential(), 2),
        (exponential() + constant(1), 1),
        (exponential().capped(1).at_least(0.5).skip(1).take(5), 1),
        (exponential().jittered("decorrelated"), 2),
        (sequence(1).then(exponential()), 0),
        (Odd().capped(9), 1),
    ],
    ids=repr,
)
def test_a_callable_draw_is_asked_once_a_part(curve: Backoff, times: int) -> None:
    """Each part that is spread takes a draw of its own; a part that is not asks for none."""
    draw = Counting()
    assert curve.delay(1, None, draw) == curve.delay(1, None, 0.5)
    assert draw.asked == times


def test_two_parts_have_two_draws() -> None:
    """The parts of a sum are spread apart from each other by a callable, and alike by a number."""
    curve = constant(10).jittered("full") + constant(1).jittered("full")
    assert curve.delay(1, None, Counting(0.5, 0.25)) == 5.25
    assert curve.delay(1, None, 0.5) == 5.5


def test_the_first_waits_of_the_default_take_any_draw() -> None:
    """The waits that are worked out beforehand take a callable, and a whole number, as the later ones do."""
    for failures in (1, 16, 17):
        assert exponential().delay(failures, None, Counting(0.5)) == exponential().delay(failures, None, 0.5)
        assert exponential().delay(failures, None, 0) == 0.0


@given(backoffs(), st.integers(1, 10**9), maxima, draws)
def test_a_callable_that_gives_one_number_is_that_number(
    curve: Backoff, failures: int, previous: float | None, draw: float
) -> None:
    """A draw that always gives the same number makes the wait that the number itself makes."""
    assert curve.delay(failures, previous, lambda: draw) == curve.delay(failures, previous, draw)


def test_a_curve_of_ones_own_is_given_a_number() -> None:
    """A class that expects a float is never handed a callable by the curves around it, nor by `wait_of`."""
    assert wait_of(Odd(), 1, None, lambda: 0.25) == 1.25
    assert (Odd() + Odd().capped(9)).delay(1, None, lambda: 0.25) == 2.5


# A curve that is only a function.


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (3, 3.0),
        (0.5, 0.5),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (timedelta(minutes=1), 60.0),
        (None, None),
        (2e9, CEILING),
    ],
)
def test_what_a_function_may_answer(answer: Any, expected: float | None) -> None:
    """Seconds as any number or a timedelta; None ends the curve, and nothing is waited for longer than 10**9 s."""
    wait = as_curve("backoff", lambda failures: answer).delay(1, None, 0.5)
    assert wait == expected
    assert wait is None or type(wait) is float


@pytest.mark.parametrize("answer", [-1, nan, inf, "5", True, [1], 1e11, Decimal("NaN"), exponential()])
def test_what_a_function_may_not_answer(answer: Any) -> None:
    """Anything else is an error that names the function, the rule and the answer."""

    def strange(failures: int) -> Any:
        return answer

    strange.__qualname__ = "strange"
    with pytest.raises((TypeError, ValueError), match=r"^the answer of the curve strange must"):
        as_curve("backoff", strange).delay(1, None, 0.5)


@pytest.mark.parametrize("value", [5, 2.5])
def test_a_number_is_no_curve(value: Any) -> None:
    """Where a number was meant as a steady wait, the error says how to write that."""
    with pytest.raises(TypeError) as caught:
        as_curve("backoff", value)
    rule = "backoff must be a curve such as exponential(), or a function of the failures"
    assert str(caught.value) == f"{rule}, got {value}; for a steady wait write constant({value})"
    with pytest.raises(TypeError, match=r"^the right side of \+ must be a curve"):
        constant(1) + value


@pytest.mark.parametrize("value", [None, "full", True, int, Odd])
def test_what_is_no_curve(value: Any) -> None:
    """Neither a word nor a class is a curve."""
    with pytest.raises(
        TypeError, match=r"^backoff must be a curve such as exponential\(\), or a function of the failures"
    ):
        as_curve("backoff", value)


@pytest.mark.parametrize("maker", [exponential, constant, linear, fibonacci, sequence])
def test_a_maker_that_was_not_called_is_refused(maker: Any) -> None:
    """The parentheses that were forgotten are asked for."""
    with pytest.raises(TypeError, match=rf"got {maker.__name__} itself: write {maker.__name__}\(\.\.\.\)$"):
        as_curve("backoff", maker)


async def later(failures: int) -> float:
    """A coroutine function."""
    return 1.0


def test_a_curve_answers_at_once() -> None:
    """A function that must be awaited is no curve."""
    with pytest.raises(TypeError, match=r"^backoff must be a plain function"):
        as_curve("backoff", later)


def test_a_function_is_a_value_as_a_curve() -> None:
    """Curves of the same function are equal, hashed and pickled alike, and show the name that makes them again."""
    curve = as_curve("backoff", doubled)
    assert curve == as_curve("backoff", doubled) != as_curve("backoff", len)
    assert hash(curve) == hash(as_curve("backoff", doubled))
    assert pickle.loads(pickle.dumps(curve)) == curve
    assert repr(curve) == "doubled"
    assert eval(repr(constant(1) + doubled), {**exported(), "doubled": doubled}) == constant(1) + doubled


def test_an_object_that_cannot_be_hashed_is_a_curve_too() -> None:
    """A callable that is compared by its contents makes a curve that can be hashed all the same."""

    class Steps(list[float]):
        def __call__(self, failures: int) -> float:
            return self[failures - 1]

    curve = as_curve("backoff", Steps([1, 2]))
    assert hash(curve) == hash(as_curve("backoff", Steps([1, 2])))
    assert curve.delay(2, None, 0.5) == 2.0


# A curve of a user's own.


def test_a_curve_of_ones_own_needs_only_a_delay() -> None:
    """Its waits without jitter are those at a draw of 0.5, and it never ends unless it says so."""
    assert list(Odd()) == [1.5, 2.5, 3.5]
    assert Odd().base(1) == 1.5
    assert Forever().length is None


def test_the_base_class_has_no_waits() -> None:
    """A curve without a `delay` is none."""
    with pytest.raises(NotImplementedError):
        Backoff().delay(1, None, 0.5)


# What is refused.


@pytest.mark.parametrize(
    "curve",
    [
        exponential(),
        exponential(jitter="decorrelated"),
        constant(1),
        linear(1, step=1),
        fibonacci(1),
        sequence(1),
        sequence(),
        exponential().capped(5),
        exponential().jittered("equal"),
        exponential().take(0),
        sequence(1).then(constant(2)),
        exponential().at_least(1),
        exponential().skip(3),
        exponential() + constant(1),
        as_curve("backoff", doubled),
    ],
    ids=repr,
)
@pytest.mark.parametrize("failures", [0, -1])
def test_failures_are_counted_from_one(curve: Backoff, failures: int) -> None:
    """There is no wait before the first failure."""
    with pytest.raises(ValueError, match=f"^failures must be a whole number >= 1, got {failures}$"):
        curve.delay(failures, None, 0.5)


@pytest.mark.parametrize("failures", [0, -1])
def test_failures_are_counted_from_one_without_jitter(failures: int) -> None:
    """There is no jitterless wait before the first failure either."""
    with pytest.raises(ValueError, match=f"^failures must be a whole number >= 1, got {failures}$"):
        exponential().base(failures)


DURATIONS: dict[str, Callable[[Any], Backoff]] = {
    "initial": exponential,
    "maximum": lambda value: exponential(maximum=value),
    "seconds": constant,
    "step": lambda value: linear(1, step=value),
    "delay 2 of sequence()": lambda value: sequence(1, value, 3),
    "maximum of capped()": lambda value: constant(1).capped(value),
    "minimum of at_least()": lambda value: constant(1).at_least(value),
    "initial ": lambda value: linear(value, step=1),
    "maximum ": lambda value: linear(1, step=1, maximum=value),
    "initial  ": fibonacci,
    "maximum  ": lambda value: fibonacci(1, maximum=value),
}


@pytest.mark.parametrize("argument", DURATIONS)
@pytest.mark.parametrize("value", [-1, -0.5, nan, inf, -inf, timedelta(seconds=-1)])
def test_a_bad_duration_is_refused_by_name(argument: str, value: Any) -> None:
    """Negative, infinite and senseless durations are refused where they are written: argument, rule, value."""
    with pytest.raises(ValueError) as caught:
        DURATIONS[argument](value)
    or_none = " or None" if argument.strip() == "maximum" else ""
    rule = f"{argument.strip()} must be a duration in seconds (int, float or timedelta) >= 0{or_none}"
    assert str(caught.value) == f"{rule}, got {value!r}"


@pytest.mark.parametrize("argument", DURATIONS)
@pytest.mark.parametrize("value", ["1", True, [1], object, 1j])
def test_a_duration_of_a_wrong_kind_is_refused_by_name(argument: str, value: Any) -> None:
    """What is no duration at all is a TypeError that names it."""
    with pytest.raises(TypeError) as caught:
        DURATIONS[argument](value)
    assert str(caught.value).startswith(f"{argument.strip()} must be a duration in seconds")
    assert str(caught.value).endswith(f", got {value!r}")


@pytest.mark.parametrize("argument", DURATIONS)
def test_an_enormous_duration_is_refused_by_name(argument: str) -> None:
    """No duration is above threading.TIMEOUT_MAX."""
    with pytest.raises(ValueError, match=r"must not be above threading\.TIMEOUT_MAX") as caught:
        DURATIONS[argument](1e11)
    assert str(caught.value).startswith(argument.strip())


@pytest.mark.parametrize("argument", [name for name in DURATIONS if not name.startswith("maximum ") or "of" in name])
def test_none_is_a_maximum_only(argument: str) -> None:
    """None stands for no maximum, and for nothing else."""
    if argument == "maximum":
        assert DURATIONS[argument](None) == exponential(maximum=None)
    else:
        with pytest.raises(TypeError, match=r", got None$"):
            DURATIONS[argument](None)


@pytest.mark.parametrize("value", [0, 0.0, -1, nan, inf])
def test_a_bad_factor_is_refused(value: float) -> None:
    """A factor is above 0: below 1 the curve shrinks."""
    with pytest.raises(ValueError, match=f"^factor must be a number > 0, got {value}$"):
        exponential(factor=value)


@pytest.mark.parametrize("value", ["2", None, True, timedelta(1)])
def test_a_factor_of_a_wrong_kind_is_refused(value: Any) -> None:
    """A factor is a plain number."""
    with pytest.raises(TypeError, match=r"^factor must be a number > 0, got "):
        exponential(factor=value)


@pytest.mark.parametrize("value", ["fullest", 5, 0.5])
def test_an_unknown_jitter_is_refused(value: Any) -> None:
    """Jitters are refused by the name of the argument, for both ways to give one."""
    with pytest.raises((ValueError, TypeError), match=f"^jitter must be None, one of .*, got {value!r}$"):
        exponential(jitter=value)
    with pytest.raises((ValueError, TypeError), match=rf"^jitter of jittered\(\) must be None, .*, got {value!r}$"):
        constant(1).jittered(value)


def test_take_wants_a_whole_number() -> None:
    """Less than none, and parts of waits, cannot be taken."""
    with pytest.raises(ValueError, match=r"^delays of take\(\) must be a whole number >= 0, got -1$"):
        constant(1).take(-1)
    for value in (2.0, True, None, "3"):
        with pytest.raises(TypeError, match=rf"^delays of take\(\) must be a whole number >= 0, got {value!r}$"):
            constant(1).take(value)  # type: ignore[arg-type]


def test_nothing_comes_after_a_curve_without_an_end() -> None:
    """`then` after an endless curve would never come."""
    with pytest.raises(
        ValueError, match=r"then\(\) needs a curve that ends before it, write \.take\(n\) first; got constant"
    ):
        constant(1).then(constant(2))


@pytest.mark.parametrize("value", [300, None, "constant(300)", constant])
def test_then_takes_a_curve(value: Any) -> None:
    """What follows a curve is a curve, not a number."""
    with pytest.raises(
        TypeError, match=r"^the curve of then\(\) must be a curve such as exponential\(\), or a function"
    ):
        sequence(1).then(value)


@pytest.mark.parametrize(
    "curve",
    [
        exponential(jitter="decorrelated"),
        constant(1).jittered(decorrelated),
        exponential(jitter="decorrelated").capped(5),
        exponential(jitter="decorrelated").take(3).skip(1),
        exponential(jitter="decorrelated").jittered("full"),
        sequence(1).then(exponential(jitter="decorrelated")),
    ],
    ids=repr,
)
def test_decorrelated_cannot_be_changed_afterwards(curve: Backoff) -> None:
    """A curve that grows from its own last wait is refused where that wait would not be its own."""
    joins: list[Callable[[], Backoff]] = [
        lambda: curve.at_least(1),
        lambda: curve + constant(1),
        lambda: constant(1) + curve,
    ]
    for join in joins:
        with pytest.raises(ValueError, match=r"cannot take a curve with the jitter 'decorrelated'"):
            join()
    assert curve.capped(1).take(2).skip(1).remembers


def test_skip_wants_a_whole_number() -> None:
    """Less than none, parts of waits and absurd numbers cannot be skipped."""
    with pytest.raises(ValueError, match=r"^delays of skip\(\) must be a whole number >= 0, got -1$"):
        constant(1).skip(-1)
    with pytest.raises(TypeError, match=r"^delays of skip\(\) must be a whole number >= 0, got 2.5$"):
        constant(1).skip(2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^delays of skip\(\) must not be above 10\*\*9, got 10000000000$"):
        constant(1).skip(10**10)
    assert exponential().skip(10**9).delay(10**9, None, 0.5) == 10.0


def test_nothing_cannot_be_repeated() -> None:
    """An empty sequence has no last wait."""
    with pytest.raises(ValueError, match=r"^forever\(\) needs at least one delay to repeat, got sequence\(\)$"):
        sequence().forever()


def test_words_are_for_all_curves() -> None:
    """Every public curve can be changed by every word."""
    for name in ("exponential", "constant", "linear", "fibonacci", "sequence"):
        assert callable(getattr(redouble, name))
    for curve in (exponential(), constant(1), linear(1, step=1), fibonacci(1), sequence(1).forever()):
        changed = curve.capped(5).jittered("equal").take(3).then(constant(1))
        assert isinstance(changed, Backoff)
        assert changed.delay(4, None, 0.5) == 1.0
