"""Floor 1. The backoff curves: the delay after the n-th failure in a row.

A curve is a frozen value: no clock, no state, no randomness of its own. Methods change a curve; their order matters:
`exponential(1).capped(15).jittered("equal")` spreads a capped wait, the other order caps a spread one. A plain function
of the failures becomes a curve by `as_curve`. The jitters are in `jitter`.
"""

from __future__ import annotations

from redouble.core import checks
from redouble.core.jitter import Jitter, as_jitter, full, none
from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal
    from typing import Any, TypeAlias

    from redouble.core.checks import Seconds
    from redouble.core.jitter import JitterLike

    Draw: TypeAlias = float | Callable[[], float]
    Curve: TypeAlias = "Backoff | Callable[[int], Seconds | Decimal | None]"

READY = 16
"""The number of waits that a fully jittered curve computes when it is made."""

CEILING = 1e9
"""The longest wait of any curve, in seconds (some 31 years); a curve without a maximum saturates there."""

MOST = 10**9
"""The most failures in a row that a curve supports, and the most delays that `skip` leaves out."""


class Backoff:
    """A backoff curve: the delay after each number of failures in a row.

    Make one with `exponential`, `constant`, `linear`, `fibonacci` or `sequence`. Change it with `capped`, `at_least`,
    `jittered`, `take`, `skip` and `then`; add two with `+`. For a curve of your own, write a subclass with a `delay`,
    and with a `length` if it ends; or pass a function of the number of failures.

    Iterating over a curve gives its delays without jitter.

    >>> list(exponential(1, jitter=None).take(4))
    [1.0, 2.0, 4.0, 8.0]
    """

    __module__ = "redouble"

    __slots__ = ()

    def delay(self, failures: int, previous: float | None, draw: Any) -> float | None:
        """Return the wait after `failures` failures in a row.

        Args:
            failures: The number of attempts that failed in a row, >= 1.
            previous: The wait that this curve returned before, in seconds; `None` at the first failure.
            draw: The only randomness: a float in [0, 1) for all parts of a curve, or a callable that returns one,
                called once for each part with jitter. A subclass of your own always gets a float.

        Returns:
            Seconds, finite and >= 0; `None` when the curve has ended.
        """
        raise NotImplementedError

    def base(self, failures: int) -> float | None:
        """Return the wait without jitter; `None` when the curve has ended."""
        return self.delay(failures, None, 0.5)

    @property
    def length(self) -> int | None:
        """The number of delays after which the curve ends; `None`: it never ends, or its function decides."""
        return None

    @property
    def remembers(self) -> bool:
        """`True` when a wait depends on the one before it, as with `decorrelated`."""
        return False

    def capped(self, maximum: Seconds) -> Backoff:
        """Cap every wait of this curve at `maximum` seconds, including jitter that was added before.

        >>> list(linear(1, step=1).capped(2.5).take(4))
        [1.0, 2.0, 2.5, 2.5]
        """
        return _Capped(self, checks.seconds("maximum of capped()", maximum))

    def at_least(self, minimum: Seconds) -> Backoff:
        """Raise every shorter wait of this curve to `minimum` seconds, including jitter that was added before.

        To spread the waits above the minimum, add curves instead: `constant(1) + exponential()`.

        Raises:
            ValueError: For a curve with the jitter `decorrelated`, because each of its waits grows from the last one.

        >>> exponential(1).at_least(2).delay(3, None, draw=0.25), exponential(1).at_least(2).delay(3, None, draw=0.75)
        (2.0, 3.0)
        """
        return _AtLeast(_forgetful("at_least()", self), checks.seconds("minimum of at_least()", minimum))

    def jittered(self, jitter: JitterLike) -> Backoff:
        """Add jitter to the waits of this curve: a `Jitter`, its name, or `None`.

        >>> constant(10).jittered(proportional(0.5)).delay(1, None, 0.75)
        12.5
        """
        return _Jittered(self, as_jitter("jitter of jittered()", jitter))

    def take(self, delays: int) -> Backoff:
        """Keep the first `delays` waits of this curve, and end after them.

        >>> list(exponential(1).take(3))
        [1.0, 2.0, 4.0]
        """
        return _Taken(self, checks.whole("delays of take()", delays, least=0))

    def skip(self, delays: int) -> Backoff:
        """Leave out the first `delays` waits of this curve.

        >>> list(exponential(1).skip(2).take(3))
        [4.0, 8.0, 16.0]
        """
        if checks.whole("delays of skip()", delays, least=0) > MOST:
            raise ValueError(f"delays of skip() must not be above 10**9, got {checks.shown(delays)}")
        return _Skipped(self, delays)

    def then(self, other: Curve) -> Backoff:
        """Continue with `other`, from its start, when this curve has ended.

        Raises:
            ValueError: When this curve never ends, so that `other` would never start.

        >>> list(constant(1).take(2).then(constant(300)).take(4))
        [1.0, 1.0, 300.0, 300.0]
        """
        following = as_curve("the curve of then()", other)
        if self.length is None:
            raise ValueError(f"then() needs a curve that ends before it, write .take(n) first; got {self!r}")
        return _Then(self, following)

    def __add__(self, other: Curve) -> Backoff:
        """Add the waits of two curves; the sum ends with the shorter one.

        Raises:
            ValueError: For a curve with the jitter `decorrelated`, because each of its waits grows from the last one.

        >>> list((constant(1) + linear(0, step=2)).take(3))
        [1.0, 3.0, 5.0]
        """
        return _Sum(_forgetful("+", self), _forgetful("+", as_curve("the right side of +", other)))

    def __radd__(self, other: Curve) -> Backoff:
        return as_curve("the left side of +", other) + self

    def __iter__(self) -> Iterator[float]:
        failures = 1
        while (wait := self.base(failures)) is not None:
            yield wait
            failures += 1


class _Ours(Backoff):
    """A curve of redouble's, which takes a callable for its draw."""

    __slots__ = ()


def wait_of(curve: Backoff, failures: int, previous: float | None, draw: Draw) -> float | None:
    """Return a curve's wait; a user's curve always gets a number as its draw."""
    return curve.delay(failures, previous, draw if isinstance(curve, _Ours) else drawn(draw))


def drawn(draw: Draw) -> float:
    """Return a draw as a number, by calling it if it is a callable."""
    return draw() if callable(draw) else draw


def _forgetful(by: str, curve: Backoff) -> Backoff:
    if curve.remembers:
        raise ValueError(
            f"{by} cannot take a curve with the jitter 'decorrelated', which grows from its own last wait;"
            f" got {checks.shown(curve, 200)}"
        )
    return curve


def _grouped(curve: Backoff) -> str:
    """Return the repr of a curve, in parentheses if a method call could not follow it otherwise."""
    return f"({curve!r})" if isinstance(curve, _Sum) else repr(curve)


def _at_least_one(failures: int) -> None:
    if failures < 1:
        raise ValueError(f"failures must be a whole number >= 1, got {failures!r}")


class _Exponential(Record, _Ours):
    initial: float
    factor: float
    maximum: float | None
    jitter: Jitter

    def window(self, failures: int) -> float:
        if failures < 1:
            _at_least_one(failures)
        try:
            return self.initial * self.factor ** (failures - 1)
        except OverflowError:  # only with a factor above 1
            return CEILING if self.initial else 0.0

    def base(self, failures: int) -> float:
        return min(self.window(failures), CEILING if self.maximum is None else self.maximum)

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float:
        jitter = self.jitter
        window = self.window(min(failures, 1) if jitter.remembers else failures)
        number = 0.0 if jitter is none else drawn(draw)
        return jitter.within(CEILING if self.maximum is None else self.maximum, window, previous, number)

    @property
    def remembers(self) -> bool:
        return self.jitter.remembers

    def __repr__(self) -> str:
        return (
            f"exponential({self.initial!r}, factor={self.factor!r}, maximum={self.maximum!r}, jitter={self.jitter!r})"
        )


class _FullExponential(Record, _Ours):
    """The default curve with its first waits computed in advance, because every failure of every call needs one."""

    curve: _Exponential
    windows: tuple[float, ...]

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float:
        if 0 < failures <= READY:
            return (draw if draw.__class__ is float else drawn(draw)) * self.windows[failures - 1]  # pyright: ignore[reportOperatorIssue]  # a float: its class says so
        return self.curve.delay(failures, previous, draw)

    def base(self, failures: int) -> float:
        return self.curve.base(failures)

    def __repr__(self) -> str:
        return repr(self.curve)


class _Linear(Record, _Ours):
    initial: float
    step: float
    maximum: float | None

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float:
        _at_least_one(failures)
        return min(self.initial + self.step * (failures - 1), CEILING if self.maximum is None else self.maximum)

    def __repr__(self) -> str:
        return f"linear({self.initial!r}, step={self.step!r}, maximum={self.maximum!r})"


class _Fibonacci(Record, _Ours):
    initial: float
    maximum: float | None

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float:
        _at_least_one(failures)
        most = CEILING if self.maximum is None else self.maximum
        if not self.initial:
            return 0.0
        now, after = self.initial, self.initial
        for _ in range(failures - 1):  # short even for 10**9 failures: it stops at `most`
            if now >= most:
                break
            now, after = after, now + after
        return min(now, most)

    def __repr__(self) -> str:
        return f"fibonacci({self.initial!r}, maximum={self.maximum!r})"


class _Constant(Record, _Ours):
    seconds: float

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float:
        _at_least_one(failures)
        return min(self.seconds, CEILING)

    def __repr__(self) -> str:
        return f"constant({self.seconds!r})"


class Sequence(Record, _Ours):
    """The given waits, one after the other; made by `sequence`."""

    delays: tuple[float, ...]
    repeats: bool

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        _at_least_one(failures)
        if failures <= len(self.delays):
            return min(self.delays[failures - 1], CEILING)
        return min(self.delays[-1], CEILING) if self.repeats else None

    @property
    def length(self) -> int | None:
        return None if self.repeats else len(self.delays)

    def forever(self) -> Sequence:
        """Repeat the last of the waits without end.

        Raises:
            ValueError: When the sequence is empty.

        >>> list(sequence(1, 5).forever().take(4))
        [1.0, 5.0, 5.0, 5.0]
        """
        if not self.delays:
            raise ValueError("forever() needs at least one delay to repeat, got sequence()")
        return Sequence(self.delays, True)

    def __repr__(self) -> str:
        return f"sequence({', '.join(map(repr, self.delays))}){'.forever()' if self.repeats else ''}"


class _Capped(Record, _Ours):
    curve: Backoff
    maximum: float

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        wait = wait_of(self.curve, failures, previous, draw)
        return None if wait is None else min(wait, self.maximum)

    def base(self, failures: int) -> float | None:
        wait = self.curve.base(failures)
        return None if wait is None else min(wait, self.maximum)

    @property
    def length(self) -> int | None:
        return self.curve.length

    @property
    def remembers(self) -> bool:
        return self.curve.remembers

    def __repr__(self) -> str:
        return f"{_grouped(self.curve)}.capped({self.maximum!r})"


class _AtLeast(Record, _Ours):
    curve: Backoff
    minimum: float

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        wait = wait_of(self.curve, failures, previous, draw)
        return None if wait is None else self._raised(wait)

    def base(self, failures: int) -> float | None:
        wait = self.curve.base(failures)
        return None if wait is None else self._raised(wait)

    def _raised(self, wait: float) -> float:
        return min(max(wait, self.minimum), CEILING)

    @property
    def length(self) -> int | None:
        return self.curve.length

    def __repr__(self) -> str:
        return f"{_grouped(self.curve)}.at_least({self.minimum!r})"


class _Jittered(Record, _Ours):
    curve: Backoff
    jitter: Jitter

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        if self.jitter.remembers:  # it grows from the first wait; of the curve only its end counts
            window = None if self.curve.base(failures) is None else wait_of(self.curve, 1, None, draw)
        else:
            window = wait_of(self.curve, failures, previous, draw)
        if window is None or self.jitter is none:
            return window
        return self.jitter.within(CEILING, window, previous, drawn(draw))

    def base(self, failures: int) -> float | None:
        return self.curve.base(failures)

    @property
    def length(self) -> int | None:
        return self.curve.length

    @property
    def remembers(self) -> bool:
        return self.jitter.remembers or self.curve.remembers

    def __repr__(self) -> str:
        return f"{_grouped(self.curve)}.jittered({self.jitter!r})"


class _Taken(Record, _Ours):
    curve: Backoff
    delays: int

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        return wait_of(self.curve, failures, previous, draw) if failures <= self.delays else None

    def base(self, failures: int) -> float | None:
        return self.curve.base(failures) if failures <= self.delays else None

    @property
    def length(self) -> int:
        inner = self.curve.length
        return self.delays if inner is None else min(inner, self.delays)

    @property
    def remembers(self) -> bool:
        return self.curve.remembers

    def __repr__(self) -> str:
        return f"{_grouped(self.curve)}.take({self.delays!r})"


class _Skipped(Record, _Ours):
    curve: Backoff
    delays: int

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        return wait_of(self.curve, self._place(failures), previous, draw)

    def base(self, failures: int) -> float | None:
        return self.curve.base(self._place(failures))

    def _place(self, failures: int) -> int:
        _at_least_one(failures)
        return failures + self.delays

    @property
    def length(self) -> int | None:
        length = self.curve.length
        return None if length is None else max(0, length - self.delays)

    @property
    def remembers(self) -> bool:
        return self.curve.remembers

    def __repr__(self) -> str:
        return f"{_grouped(self.curve)}.skip({self.delays!r})"


class _Sum(Record, _Ours):
    first: Backoff
    second: Backoff

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        # No part gets `previous`: that was the sum.
        return _added(wait_of(self.first, failures, None, draw), wait_of(self.second, failures, None, draw))

    def base(self, failures: int) -> float | None:
        return _added(self.first.base(failures), self.second.base(failures))

    @property
    def length(self) -> int | None:
        lengths = [each for each in (self.first.length, self.second.length) if each is not None]
        return min(lengths) if lengths else None

    def __repr__(self) -> str:
        return f"{self.first!r} + {_grouped(self.second)}"


def _added(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(one + other, CEILING)


class _Then(Record, _Ours):
    first: Backoff
    second: Backoff

    def _after(self) -> int:
        length = self.first.length
        return 0 if length is None else length

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        beyond = failures - self._after()
        if beyond < 1:
            return wait_of(self.first, failures, previous, draw)
        return wait_of(self.second, beyond, previous if beyond > 1 else None, draw)

    def base(self, failures: int) -> float | None:
        beyond = failures - self._after()
        return self.first.base(failures) if beyond < 1 else self.second.base(beyond)

    @property
    def length(self) -> int | None:
        rest = self.second.length
        return None if rest is None else self._after() + rest

    @property
    def remembers(self) -> bool:
        return self.first.remembers or self.second.remembers

    def __repr__(self) -> str:
        return f"{_grouped(self.first)}.then({self.second!r})"


class _Called(Record, _Ours):
    """A function of the failures, as a curve; it ends where the function returns `None`."""

    function: Callable[[int], Any]

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        _at_least_one(failures)
        wait = self.function(failures)
        if wait is None:
            return None
        return min(checks.seconds(f"the answer of the curve {self!r}", plain_number(wait)), CEILING)

    def __hash__(self) -> int:
        try:
            return hash((_Called, self.function))
        except TypeError:  # a callable object that cannot be hashed
            return hash(_Called)

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", None)
        return name if isinstance(name, str) and name.isidentifier() else checks.shown(self.function)


def plain_number(wait: Any) -> Any:
    """Return a `Decimal`, or a number of numpy's, as a plain number; any other value unchanged."""
    kind = type(wait)
    if isinstance(wait, (int, float)):
        return wait
    if hasattr(kind, "as_integer_ratio"):
        return float(wait)
    return int(wait) if hasattr(kind, "__index__") and not kind.__name__.startswith("bool") else wait


def as_curve(name: str, value: Any) -> Backoff:
    """Return an argument as a curve.

    Args:
        name: The argument's name in the error message.
        value: A curve, or a callable of the failures in a row (>= 1) that returns seconds (an int, a float, a
            `Decimal` or a `timedelta`), or `None` when the curve has ended. Each answer is checked when it is used.

    Raises:
        TypeError: For anything else.

    >>> list(as_curve("backoff", lambda failures: failures * 2.0).take(3))
    [2.0, 4.0, 6.0]
    """
    if isinstance(value, Backoff):
        return value
    rule = f"{name} must be a curve such as exponential(), or a function of the failures"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise TypeError(f"{rule}, got {checks.shown(value)}; for a steady wait write constant({checks.shown(value)})")
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{rule}, got {checks.shown(value)}{_instead(value)}")
    if any(value is maker for maker in (exponential, constant, linear, fibonacci, sequence)):
        raise TypeError(f"{rule}, got {value.__name__} itself: write {value.__name__}(...)")
    return _Called(checks.asked(name, value, "failures"))


def _instead(value: Any) -> str:
    """Return advice about a value that is not a curve, as the end of the message; empty when there is none."""
    if value is None:
        return "; for no wait at all write constant(0)"
    if isinstance(value, (tuple, list)):
        return f"; write sequence({', '.join(map(checks.shown, value[:4]))}{', ...' if len(value) > 4 else ''})"
    return f"; for a steady wait write constant({checks.shown(value)})" if hasattr(value, "total_seconds") else ""


def exponential(
    initial: Seconds = 0.1,
    *,
    factor: float = 2.0,
    maximum: Seconds | None = 20.0,
    jitter: JitterLike = "full",
) -> Backoff:
    """Make a curve that multiplies: initial, initial * factor, initial * factor**2, ... up to maximum.

    Args:
        initial: The first wait before jitter, in seconds or as a `timedelta`; >= 0.
        factor: The factor from each wait to the next; > 0. Below 1 the waits shrink.
        maximum: The longest wait, jitter included, in seconds; below `initial` it caps even the first wait. `None`: no
            limit but 10**9 s.
        jitter: `"full"`, `"equal"`, `"decorrelated"`, `proportional(share)`, `additive(most)`, or `None` for none.
            Waits at the maximum are spread too, so that clients never fall into step. `"decorrelated"` grows by itself
            and does not use `factor`.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value, a factor of 0 or below, an unknown jitter.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).

    >>> from itertools import islice
    >>> list(islice(exponential(0.1), 5))
    [0.1, 0.2, 0.4, 0.8, 1.6]
    >>> exponential(0.1).delay(3, None, draw=0.5)
    0.2
    """
    curve = _Exponential(
        checks.seconds("initial", initial),
        _factor(factor),
        checks.seconds_or_none("maximum", maximum),
        as_jitter("jitter", jitter),
    )
    if curve.jitter is not full:
        return curve
    return _FullExponential(curve, tuple(curve.base(failures) for failures in range(1, READY + 1)))


def _factor(value: Any) -> float:
    try:
        factor = checks.number("factor", value, least=0)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace(">= 0", "> 0", 1)) from None
    if factor == 0:
        raise ValueError(f"factor must be a number > 0, got {checks.shown(value)}")
    return factor


def constant(seconds: Seconds) -> Backoff:
    """Make a curve of equal waits.

    Args:
        seconds: The wait, in seconds or as a `timedelta`; >= 0.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value.

    >>> list(constant(3).take(2))
    [3.0, 3.0]
    """
    return _Constant(checks.seconds("seconds", seconds))


def linear(initial: Seconds, *, step: Seconds, maximum: Seconds | None = None) -> Backoff:
    """Make a curve that adds: initial, initial + step, initial + 2 * step, ... up to maximum.

    Args:
        initial: The first wait, in seconds or as a `timedelta`; >= 0.
        step: The seconds by which each wait is longer than the one before; >= 0.
        maximum: The longest wait, in seconds. `None`: no limit but 10**9 s.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value.

    >>> list(linear(1, step=2, maximum=6).take(4))
    [1.0, 3.0, 5.0, 6.0]
    """
    return _Linear(
        checks.seconds("initial", initial),
        checks.seconds("step", step),
        checks.seconds_or_none("maximum", maximum),
    )


def fibonacci(initial: Seconds, *, maximum: Seconds | None = None) -> Backoff:
    """Make a curve in which each wait is the sum of the two before it: 1, 1, 2, 3, 5, ... times initial.

    Args:
        initial: The first and the second wait, in seconds or as a `timedelta`; >= 0.
        maximum: The longest wait, in seconds. `None`: no limit but 10**9 s.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value.

    >>> list(fibonacci(1).take(6))
    [1.0, 1.0, 2.0, 3.0, 5.0, 8.0]
    """
    return _Fibonacci(checks.seconds("initial", initial), checks.seconds_or_none("maximum", maximum))


def sequence(*delays: Seconds) -> Sequence:
    """Make a curve of the given waits; it ends after the last one, or repeats it with `.forever()`.

    Args:
        delays: The waits, in seconds or as `timedelta`; each >= 0. Without any, the curve has ended already.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value.

    >>> list(sequence(1, 2, 4))
    [1.0, 2.0, 4.0]
    """
    return Sequence(
        tuple(checks.seconds(f"delay {place} of sequence()", value) for place, value in enumerate(delays, 1)), False
    )
