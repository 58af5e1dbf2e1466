"""Floor 1. The jitters, at chosen draws and as laws."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redouble
from redouble import additive, proportional
from redouble.core.jitter import NAMED, Jitter, as_jitter, decorrelated, equal, full, none
from redouble.testing.strategies import jitters, seconds

DRAWS = (0.0, 0.5, 0.999)
draws = st.floats(0, 1, exclude_max=True)
windows = st.floats(0, 1e9, allow_subnormal=False)


class Thirds(Jitter):
    """A jitter of a user's own: one of three waits."""

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return window * (1 + int(draw * 3)) / 3


@pytest.mark.parametrize(
    ("jitter", "waits"),
    [
        (none, [8.0, 8.0, 8.0]),
        (full, [0.0, 4.0, 7.992]),
        (equal, [4.0, 6.0, 7.996]),
        (decorrelated, [8.0, 16.0, 23.984]),
        (proportional(0.0), [8.0, 8.0, 8.0]),
        (proportional(0.25), [6.0, 8.0, 9.996]),
        (proportional(1), [0.0, 8.0, 15.984]),
        (additive(0), [8.0, 8.0, 8.0]),
        (additive(2), [8.0, 9.0, 9.998]),
        (additive(timedelta(seconds=2)), [8.0, 9.0, 9.998]),
    ],
)
def test_each_jitter_at_three_draws(jitter: Jitter, waits: list[float]) -> None:
    """What each jitter makes of a window of 8 s, at the draws 0.0, 0.5 and 0.999."""
    assert [jitter(8.0, None, draw) for draw in DRAWS] == pytest.approx(waits)


def test_decorrelated_starts_from_the_wait_before() -> None:
    """The decorrelated wait lies between the first window and three times the wait before."""
    assert [decorrelated(1.0, 4.0, draw) for draw in DRAWS] == pytest.approx([1.0, 6.5, 11.989])


@pytest.mark.parametrize(
    ("jitter", "waits"),
    [
        (none, [5.0, 5.0, 5.0]),
        (full, [0.0, 2.5, 4.995]),
        (equal, [2.5, 3.75, 4.9975]),
        (decorrelated, [5.0, 5.0, 5.0]),  # mass at the cap, as AWS has it
        (proportional(0.25), [3.0, 4.0, 4.998]),
        (additive(2), [3.0, 4.0, 4.998]),
        (additive(5), [0.0, 2.5, 4.995]),
        (additive(500), [0.0, 2.5, 4.995]),
        (Thirds(), [5 / 3, 10 / 3, 5.0]),
    ],
)
def test_each_jitter_at_the_maximum(jitter: Jitter, waits: list[float]) -> None:
    """A window of 8 s under a maximum of 5 s: never above, and still spread."""
    assert [jitter.within(5.0, 8.0, None, draw) for draw in DRAWS] == pytest.approx(waits)


@pytest.mark.parametrize("jitter", [none, full, equal, decorrelated, proportional(0.5), additive(0.5)])
@pytest.mark.parametrize("draw", DRAWS)
def test_below_the_maximum_the_maximum_changes_nothing(jitter: Jitter, draw: float) -> None:
    """A maximum that is far away is not felt."""
    assert jitter.within(1000.0, 1.0, None, draw) == jitter(1.0, None, draw)


@given(jitters(), seconds(), windows, st.none() | seconds(), draws)
def test_within_stays_within(
    jitter: Jitter, maximum: float, window: float, previous: float | None, draw: float
) -> None:
    """Whatever the jitter and the window: 0 <= wait <= maximum."""
    assert 0 <= jitter.within(maximum, window, previous, draw) <= maximum


@given(windows, draws)
def test_the_bands(window: float, draw: float) -> None:
    """Each jitter keeps to its own band around the window."""
    assert none(window, None, draw) == window
    assert 0 <= full(window, None, draw) <= window
    assert window / 2 <= equal(window, None, draw) <= window


@given(windows, st.floats(0, 1), draws)
def test_the_band_of_proportional(window: float, share: float, draw: float) -> None:
    """Plus or minus the share, up to the last bits of a float."""
    wait = proportional(share)(window, None, draw)
    assert window * (1 - share) * (1 - 1e-12) <= wait <= window * (1 + share) * (1 + 1e-12)


@given(windows, seconds(), draws)
def test_the_band_of_additive(window: float, most: float, draw: float) -> None:
    """Never less than the window, never more than that and the addition."""
    assert window <= additive(most)(window, None, draw) <= window + most


@given(windows, seconds(), draws)
def test_the_band_of_decorrelated(window: float, previous: float, draw: float) -> None:
    """Between the first wait and three times the wait before, whichever is larger."""
    low, high = sorted((window, 3 * previous))
    assert low * (1 - 1e-12) <= decorrelated(window, previous, draw) <= high * (1 + 1e-12)


@given(
    st.sampled_from([full, equal])
    | st.builds(proportional, st.floats(0.01, 1))
    | st.builds(additive, st.floats(0.01, 1e6)),
    st.floats(0.01, 1e6),
    st.floats(0, 1e9),
)
def test_the_spread_is_kept_at_the_maximum(jitter: Jitter, maximum: float, above: float) -> None:
    """Clients at the cap do not fall into step: different draws are different waits."""
    waits = [jitter.within(maximum, maximum + above, None, draw / 10) for draw in range(10)]
    assert waits == sorted(set(waits))


@given(jitters(), windows, st.none() | seconds(), draws, draws)
def test_a_higher_draw_never_waits_less(
    jitter: Jitter, window: float, previous: float | None, one: float, other: float
) -> None:
    """Every jitter rises with the draw, decorrelated as long as the wait before was no shorter than a third."""
    if jitter is decorrelated and previous is not None and 3 * previous < window:
        previous = window
    low, high = sorted((one, other))
    assert jitter(window, previous, low) <= jitter(window, previous, high) * (1 + 1e-12)


@pytest.mark.parametrize("value", [-0.1, 1.1, nan, inf])
def test_a_share_out_of_bounds(value: float) -> None:
    """A share lies in [0, 1]."""
    with pytest.raises(ValueError, match=rf"^share of proportional\(\) must be a number in \[0, 1\], got {value}$"):
        proportional(value)


@pytest.mark.parametrize("value", ["0.5", None, True])
def test_a_share_of_a_wrong_kind(value: Any) -> None:
    """A share is a number."""
    with pytest.raises(TypeError, match=r"^share of proportional\(\) must be a number in \[0, 1\], got "):
        proportional(value)


@pytest.mark.parametrize(("value", "kind"), [(-1, ValueError), (inf, ValueError), ("1", TypeError), (None, TypeError)])
def test_an_addition_that_is_no_duration(value: Any, kind: type[Exception]) -> None:
    """What is added is a duration."""
    with pytest.raises(kind, match=r"^most of additive\(\) must be a duration in seconds .* >= 0, got "):
        additive(value)


def test_jitters_by_name() -> None:
    """A jitter is known by its name, and None stands for no jitter."""
    assert [as_jitter("jitter", name) for name in NAMED] == [none, full, equal, decorrelated]
    assert as_jitter("jitter", None) is none
    assert as_jitter("jitter", full) is full


@pytest.mark.parametrize(
    ("value", "kind"),
    [("fulll", ValueError), ("", ValueError), (0.5, TypeError), (True, TypeError), (Thirds, TypeError)],
)
def test_what_is_no_jitter(value: Any, kind: type[Exception]) -> None:
    """An unknown name and a value of another kind are refused, and the message lists what there is."""
    with pytest.raises(kind) as caught:
        as_jitter("jitter", value)
    choices = (
        "jitter must be None, one of 'none', 'full', 'equal', 'decorrelated', proportional(share) or additive(most)"
    )
    assert str(caught.value) == f"{choices}, got {value!r}"


@given(jitters())
def test_a_jitter_is_a_value(jitter: Jitter) -> None:
    """Jitters are compared, hashed, pickled, copied, and shown as what a curve takes for them."""
    again = pickle.loads(pickle.dumps(jitter))
    assert again == jitter
    assert hash(again) == hash(jitter)
    assert copy.copy(jitter) is jitter
    assert as_jitter("jitter", eval(repr(jitter), vars(redouble).copy())) == jitter


def test_different_jitters_differ() -> None:
    """No two kinds of jitter are equal, nor two of one kind with other numbers."""
    kinds = [none, full, equal, decorrelated, proportional(0.5), proportional(0.25), additive(0.5), additive(1)]
    assert len(set(kinds)) == len(kinds)


def test_a_jitter_must_say_what_it_does() -> None:
    """The base class itself has no spread."""
    with pytest.raises(NotImplementedError):
        Jitter()(1.0, None, 0.5)
