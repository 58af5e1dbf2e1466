"""Floor 1. The checks of arguments, and the messages of what they refuse."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial, wraps
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble.core import checks

NAN, INF = float("nan"), float("inf")
HUGE = pytest.param(10**5000, id="huge")  # Python refuses to write it down
LARGE = pytest.param(10**400, id="large")  # no float can hold it


class Quiet:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Share(float):
    """A float of a class of its own."""


def test_the_longest_duration_is_that_of_threading() -> None:
    """The bound of durations is what Python's locks accept."""
    assert checks.LONGEST == threading.TIMEOUT_MAX


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("x" * 78, "'" + "x" * 78 + "'"),
        ("x" * 79, "'" + "x" * 76 + "..."),
        (Quiet(), "a value of type Quiet that cannot be shown"),
        pytest.param(10**5000, "a value of type int that cannot be shown", id="huge"),
    ],
)
def test_values_are_shown_at_a_sane_length(value: object, text: str) -> None:
    """A message shows at most 80 characters of a value, and never fails on it."""
    assert checks.shown(value) == text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (0.0, 0.0),
        (5, 5.0),
        (0.25, 0.25),
        (Share(1.5), 1.5),
        (timedelta(minutes=1, milliseconds=5), 60.005),
        (threading.TIMEOUT_MAX, threading.TIMEOUT_MAX),
    ],
)
def test_durations(value: Any, seconds: float) -> None:
    """Numbers and timedeltas are durations, and come back as plain floats."""
    found = checks.seconds("wait", value)
    assert found == seconds
    assert type(found) is float


@pytest.mark.parametrize("value", [None, "5", True, False, b"1", [1], 1j, Decimal(1), Fraction(1), object(), Quiet()])
def test_a_duration_of_a_wrong_kind(value: Any) -> None:
    """What is neither int, float nor timedelta is a TypeError that names argument, rule and value."""
    with pytest.raises(TypeError) as caught:
        checks.seconds("wait", value)
    rule = "wait must be a duration in seconds (int, float or timedelta) >= 0, got "
    assert str(caught.value) == rule + checks.shown(value)


@pytest.mark.parametrize("value", [-1, -0.001, NAN, INF, -INF, LARGE, HUGE, timedelta(seconds=-1)])
def test_a_duration_with_a_wrong_value(value: Any) -> None:
    """A negative, infinite or senseless duration is a ValueError that names argument, rule and value."""
    with pytest.raises(ValueError, match=r"^wait must be a duration in seconds .* >= 0, got "):
        checks.seconds("wait", value)


@pytest.mark.parametrize("value", [threading.TIMEOUT_MAX * 1.01, 10**11, timedelta.max])
def test_a_duration_above_what_python_can_wait(value: Any) -> None:
    """A duration above threading.TIMEOUT_MAX is refused by that name."""
    with pytest.raises(ValueError, match=r"^wait must not be above threading\.TIMEOUT_MAX \(\d+ s\), got "):
        checks.seconds("wait", value)


@pytest.mark.parametrize("value", [0, 0.0, -0.0, timedelta(0)])
def test_zero_may_be_refused(value: Any) -> None:
    """Where a duration must be positive, zero is refused."""
    with pytest.raises(ValueError, match=r"^wait must be a duration in seconds .* > 0, got "):
        checks.seconds("wait", value, positive=True)


def test_a_positive_duration() -> None:
    """Where a duration must be positive, the smallest is enough."""
    assert checks.seconds("wait", 5e-324, positive=True) == 5e-324


def test_none_stays_none() -> None:
    """Where None is accepted it stays None, and a value is checked as ever."""
    assert checks.seconds_or_none("wait", None) is None
    assert checks.seconds_or_none("wait", 2) == 2.0
    assert checks.whole_or_none("count", None, least=1) is None
    assert checks.whole_or_none("count", 2, least=1) == 2


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("5", TypeError, "wait must be a duration in seconds (int, float or timedelta) > 0 or None, got '5'"),
        (0, ValueError, "wait must be a duration in seconds (int, float or timedelta) > 0 or None, got 0"),
        (", got ", TypeError, "wait must be a duration in seconds (int, float or timedelta) > 0 or None, got ', got '"),
    ],
)
def test_the_message_says_that_none_is_accepted(value: Any, kind: type[Exception], message: str) -> None:
    """Where None is accepted, the message says so."""
    with pytest.raises(kind) as caught:
        checks.seconds_or_none("wait", value, positive=True)
    assert str(caught.value) == message
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("value", "number"), [(0, 0.0), (1, 1.0), (0.5, 0.5), (Share(0.25), 0.25)])
def test_numbers(value: Any, number: float) -> None:
    """A number within its bounds comes back as a plain float."""
    found = checks.number("share", value, least=0, most=1)
    assert found == number
    assert type(found) is float


@pytest.mark.parametrize("value", [None, "1", True, timedelta(1), Decimal(1), 1j])
def test_a_number_of_a_wrong_kind(value: Any) -> None:
    """What is neither int nor float is no number, a timedelta included."""
    with pytest.raises(TypeError) as caught:
        checks.number("share", value, least=0, most=1)
    assert str(caught.value) == f"share must be a number in [0, 1], got {value!r}"


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN, INF, -INF, LARGE, HUGE])
def test_a_number_out_of_bounds(value: Any) -> None:
    """A number out of its bounds is refused, however large it is."""
    with pytest.raises(ValueError, match=r"^share must be a number in \[0, 1\], got "):
        checks.number("share", value, least=0, most=1)


@pytest.mark.parametrize("value", [0.99, -5, NAN, INF, LARGE])
def test_a_number_without_an_upper_bound(value: Any) -> None:
    """Without an upper bound a number must still be finite."""
    with pytest.raises(ValueError, match=r"^factor must be a number >= 1, got "):
        checks.number("factor", value, least=1)


@pytest.mark.parametrize("value", [2.5, 2.0, True, "3", None, timedelta(1)])
def test_a_whole_number_of_a_wrong_kind(value: Any) -> None:
    """Floats and bools are no whole numbers."""
    with pytest.raises(TypeError) as caught:
        checks.whole("attempts", value, least=1)
    assert str(caught.value) == f"attempts must be a whole number >= 1, got {value!r}"


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (-1, "-1")])
def test_a_whole_number_out_of_bounds(value: int, text: str) -> None:
    """A whole number below its bound is refused; the message says where None is accepted."""
    with pytest.raises(ValueError, match=f"^attempts must be a whole number >= 1, got {text}$"):
        checks.whole("attempts", value, least=1)
    with pytest.raises(ValueError, match=f"^attempts must be a whole number >= 1 or None, got {text}$"):
        checks.whole_or_none("attempts", value, least=1)
    with pytest.raises(TypeError, match=r"^attempts must be a whole number >= 1 or None, got True$"):
        checks.whole_or_none("attempts", True, least=1)


def test_flags() -> None:
    """A flag is True or False; nothing is configured by truthiness."""
    assert checks.flag("once", True) is True
    assert checks.flag("once", False) is False
    for value in (0, 1, None, "yes"):
        with pytest.raises(TypeError, match=f"^once must be True or False, got {value!r}$"):
            checks.flag("once", value)


def test_one_of() -> None:
    """A choice is found by identity, a word by equality; 1 is not True."""
    choices = (None, True, "once")
    assert checks.one_of("mode", None, choices) is None
    assert checks.one_of("mode", True, choices) is True
    assert checks.one_of("mode", "".join(["on", "ce"]), choices) == "once"
    with pytest.raises(ValueError, match=r"^mode must be one of None, True, 'once', got 'twice'$"):
        checks.one_of("mode", "twice", choices)
    with pytest.raises(TypeError, match=r"^mode must be one of None, True, 'once', got 1$"):
        checks.one_of("mode", 1, choices)


@pytest.mark.parametrize("value", [None, 5, "f", int, ValueError])
def test_functions(value: Any) -> None:
    """A callable is expected, and a class is nearly always a slip."""
    assert checks.function("draw", len) is len
    with pytest.raises(TypeError) as caught:
        checks.function("draw", value)
    instead = f"; a class is none: write {value.__name__}(...)" if isinstance(value, type) else ""
    assert str(caught.value) == f"draw must be a callable, got {value!r}{instead}"


async def later() -> None:
    """A coroutine function."""


async def often() -> Any:
    """An async generator function."""
    yield


def in_turn() -> Any:
    """A generator function."""
    yield


class Later:
    """Something whose calls, and whose method, must be awaited."""

    async def __call__(self) -> None:
        """A coroutine method."""

    async def method(self) -> None:
        """Another one."""


@pytest.mark.parametrize(
    "value", [later, often, in_turn, Later(), Later().method, partial(later), partial(partial(Later()), 5)], ids=repr
)
def test_plain_functions_answer_at_once(value: Any) -> None:
    """What must be awaited or iterated is refused where nobody would do so, however it is wrapped."""
    with pytest.raises(TypeError) as caught:
        checks.plain_function("draw", value)
    assert str(caught.value) == f"draw must be a plain function, nobody awaits it, got {checks.shown(value)}"


@pytest.mark.parametrize("value", [len, partial(len), [].append, lambda: None, Share(1).hex, Quiet().__repr__])
def test_plain_functions(value: Any) -> None:
    """Functions, builtins, partials and bound methods can be asked; what cannot be called is refused as ever."""
    assert checks.plain_function("draw", value) is value
    with pytest.raises(TypeError, match=r"^draw must be a callable, got 5$"):
        checks.plain_function("draw", 5)


def wrapping(fn: Any) -> Any:
    """A decorator that hands one argument more to what it wraps."""

    @wraps(fn)
    def wrapper(first: Any) -> Any:
        return fn(first, 5)

    return wrapper


@pytest.mark.parametrize(
    "value",
    [
        lambda error: True,
        lambda *errors: True,
        lambda error, more=5: True,
        partial(lambda more, error: True, 5),
        wrapping(lambda error, more: True),
        Share(1).__eq__,
        Mock(),
        print,
        str.upper,
        [].append,
    ],
    ids=repr,
)
def test_functions_that_take_what_they_are_given(value: Any) -> None:
    """However it takes one argument; a wrapper is asked itself, and a builtin that does not tell is let through."""
    assert checks.asked("when", value, "error") is value


@pytest.mark.parametrize(
    ("value", "given", "text"),
    [
        (lambda: True, ["error"], "must take one argument, the error: write lambda error: ..., got {}, which takes ()"),
        (lambda a, b: True, ["error"], "... got {}, which takes (a, b)"),
        (lambda *, error: True, ["error"], "... got {}, which takes (error)"),
        (Later().method.__func__, [], "... got {}, which takes (self)"),  # type: ignore[attr-defined]
        (lambda a, *b, **c: 0.5, [], "must take no argument: write lambda: ..., got {}, which takes (a, *b, **c)"),
    ],
)
def test_functions_that_take_something_else(value: Any, given: list[str], text: str) -> None:
    """They are refused where they are handed in, with what to write."""
    with pytest.raises(TypeError) as caught:
        checks.takes("when", value, *given)
    assert str(caught.value).endswith(text.removeprefix("...").format(checks.shown(value)))


def test_an_exception_is_asked_for() -> None:
    """Neither its class nor its text will do."""
    error = OSError()
    assert checks.error("error", error) is error
    with pytest.raises(
        TypeError, match=r"^error must be an exception, got <class 'OSError'>; make one, OSError\(...\)$"
    ):
        checks.error("error", OSError)
    with pytest.raises(TypeError, match=r"^error must be an exception, got 'down'$"):
        checks.error("error", "down")


def test_a_message_may_show_more() -> None:
    """How much of a value is shown can be chosen."""
    assert checks.shown("x" * 200, longest=120) == "'" + "x" * 116 + "..."


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.timedeltas()))
def test_whatever_is_given_is_a_duration_or_refused(value: Any) -> None:
    """Every value is either a finite float in [0, TIMEOUT_MAX] or refused by name."""
    try:
        found = checks.seconds("wait", value)
    except (TypeError, ValueError) as error:
        message, found = str(error), 0.0
    else:
        message = "wait must not be anything else"
    assert message.startswith("wait must ")
    assert type(found) is float
    assert 0 <= found <= threading.TIMEOUT_MAX
