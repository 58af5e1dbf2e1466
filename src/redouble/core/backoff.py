"""Floor 1. The delay curves: how long to wait after the n-th failure in a row.

A curve is a frozen value: no clock, no state, no randomness of its own. Words change it, and their order is what they
do: `exponential(1).capped(15).jittered("equal")` spreads a capped wait, the other order caps a spread one.
"""

from __future__ import annotations

from redouble.core import checks
from redouble.core.jitter import Jitter, as_jitter, full
from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.core.checks import Seconds
    from redouble.core.jitter import JitterLike

READY = 16
"""How many waits of a fully jittered curve are worked out when it is made."""

CEILING = 1e9
"""No curve ever asks for a longer wait, in seconds (some 31 years): what a curve without a maximum saturates at."""


class Backoff:
    """A delay curve: how long to wait after so many failures in a row.

    Make one with `exponential`, `constant`, `linear`, `fibonacci` or `sequence`, and change it with `capped`,
    `jittered`, `take` and `then`. A curve of your own is a subclass with a `delay`, and a `length` if it ends.

    Iterating over a curve gives its delays without jitter.

    >>> list(exponential(1, jitter=None).take(4))
    [1.0, 2.0, 4.0, 8.0]
    """

    __module__ = "redouble"

    __slots__ = ()

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        """The wait after `failures` failures in a row.

        Args:
            failures: How many attempts failed in a row, >= 1.
            previous: The wait that this curve gave before, in seconds; `None` at the first failure.
            draw: The only randomness: a float in [0, 1).

        Returns:
            Seconds, finite and >= 0; `None` when the curve has ended.
        """
        raise NotImplementedError

    def base(self, failures: int) -> float | None:
        """The wait without jitter; `None` when the curve has ended."""
        return self.delay(failures, None, 0.5)

    @property
    def length(self) -> int | None:
        """After how many delays the curve ends; `None`: never."""
        return None

    def capped(self, maximum: Seconds) -> Backoff:
        """This curve with every wait cut to `maximum` seconds, jitter included where it was added before.

        >>> list(linear(1, step=1).capped(2.5).take(4))
        [1.0, 2.0, 2.5, 2.5]
        """
        return _Capped(self, checks.seconds("maximum of capped()", maximum))

    def jittered(self, jitter: JitterLike) -> Backoff:
        """This curve with its waits spread by a jitter: a `Jitter`, its name, or `None`.

        >>> constant(10).jittered(proportional(0.5)).delay(1, None, 0.75)
        12.5
        """
        return _Jittered(self, as_jitter("jitter of jittered()", jitter))

    def take(self, delays: int) -> Backoff:
        """The first `delays` waits of this curve; then it ends.

        >>> list(exponential(1).take(3))
        [1.0, 2.0, 4.0]
        """
        return _Taken(self, checks.whole("delays of take()", delays, least=0))

    def then(self, other: Backoff) -> Backoff:
        """This curve, and `other` from its start when this one has ended.

        Raises:
            ValueError: When this curve never ends, so that `other` would never come.

        >>> list(constant(1).take(2).then(constant(300)).take(4))
        [1.0, 1.0, 300.0, 300.0]
        """
        if not isinstance(other, Backoff):
            raise TypeError(f"then() takes a curve such as constant(300), got {checks.shown(other)}")
        if self.length is None:
            raise ValueError(f"then() needs a curve that ends before it, write .take(n) first; got {self!r}")
        return _Then(self, other)

    def __iter__(self) -> Iterator[float]:
        failures = 1
        while (wait := self.base(failures)) is not None:
            yield wait
            failures += 1


def _at_least_one(failures: int) -> None:
    if failures < 1:
        raise ValueError(f"failures must be a whole number >= 1, got {failures!r}")


class _Exponential(Record, Backoff):
    initial: float
    factor: float
    maximum: float | None
    jitter: Jitter

    def window(self, failures: int) -> float:
        if failures < 1:
            _at_least_one(failures)
        try:
            return self.initial * self.factor ** (failures - 1)
        except OverflowError:
            return CEILING if self.initial else 0.0

    def base(self, failures: int) -> float:
        return min(self.window(failures), CEILING if self.maximum is None else self.maximum)

    def delay(self, failures: int, previous: float | None, draw: float) -> float:
        jitter = self.jitter
        window = self.window(min(failures, 1) if jitter.remembers else failures)
        return jitter.within(CEILING if self.maximum is None else self.maximum, window, previous, draw)

    def __repr__(self) -> str:
        return (
            f"exponential({self.initial!r}, factor={self.factor!r}, maximum={self.maximum!r}, jitter={self.jitter!r})"
        )


class _FullExponential(Record, Backoff):
    """The default curve, with its first waits worked out: every failure of every call asks for one."""

    curve: _Exponential
    windows: tuple[float, ...]

    def delay(self, failures: int, previous: float | None, draw: float) -> float:
        if 0 < failures <= READY:
            return draw * self.windows[failures - 1]
        return self.curve.delay(failures, previous, draw)

    def base(self, failures: int) -> float:
        return self.curve.base(failures)

    def __repr__(self) -> str:
        return repr(self.curve)


class _Linear(Record, Backoff):
    initial: float
    step: float
    maximum: float | None

    def delay(self, failures: int, previous: float | None, draw: float) -> float:
        _at_least_one(failures)
        return min(self.initial + self.step * (failures - 1), CEILING if self.maximum is None else self.maximum)

    def __repr__(self) -> str:
        return f"linear({self.initial!r}, step={self.step!r}, maximum={self.maximum!r})"


class _Fibonacci(Record, Backoff):
    initial: float
    maximum: float | None

    def delay(self, failures: int, previous: float | None, draw: float) -> float:
        _at_least_one(failures)
        most = CEILING if self.maximum is None else self.maximum
        if not self.initial:
            return 0.0
        now, after = self.initial, self.initial
        for _ in range(failures - 1):  # ends at `most` long before a large number of failures
            if now >= most:
                break
            now, after = after, now + after
        return min(now, most)

    def __repr__(self) -> str:
        return f"fibonacci({self.initial!r}, maximum={self.maximum!r})"


class _Constant(Record, Backoff):
    seconds: float

    def delay(self, failures: int, previous: float | None, draw: float) -> float:
        _at_least_one(failures)
        return min(self.seconds, CEILING)

    def __repr__(self) -> str:
        return f"constant({self.seconds!r})"


class Sequence(Record, Backoff):
    """Given waits, one after the other; made by `sequence`."""

    delays: tuple[float, ...]
    repeats: bool

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        _at_least_one(failures)
        if failures <= len(self.delays):
            return min(self.delays[failures - 1], CEILING)
        return min(self.delays[-1], CEILING) if self.repeats else None

    @property
    def length(self) -> int | None:
        return None if self.repeats else len(self.delays)

    def forever(self) -> Sequence:
        """The same waits, the last one repeated without end.

        Raises:
            ValueError: When there is no wait to repeat.

        >>> list(sequence(1, 5).forever().take(4))
        [1.0, 5.0, 5.0, 5.0]
        """
        if not self.delays:
            raise ValueError("forever() needs at least one delay to repeat, got sequence()")
        return Sequence(self.delays, True)

    def __repr__(self) -> str:
        return f"sequence({', '.join(map(repr, self.delays))}){'.forever()' if self.repeats else ''}"


class _Capped(Record, Backoff):
    curve: Backoff
    maximum: float

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        wait = self.curve.delay(failures, previous, draw)
        return None if wait is None else min(wait, self.maximum)

    def base(self, failures: int) -> float | None:
        wait = self.curve.base(failures)
        return None if wait is None else min(wait, self.maximum)

    @property
    def length(self) -> int | None:
        return self.curve.length

    def __repr__(self) -> str:
        return f"{self.curve!r}.capped({self.maximum!r})"


class _Jittered(Record, Backoff):
    curve: Backoff
    jitter: Jitter

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        window = self.curve.delay(failures, previous, draw)
        if window is not None and self.jitter.remembers:
            window = self.curve.delay(1, None, draw)
        return None if window is None else self.jitter.within(CEILING, window, previous, draw)

    def base(self, failures: int) -> float | None:
        return self.curve.base(failures)

    @property
    def length(self) -> int | None:
        return self.curve.length

    def __repr__(self) -> str:
        return f"{self.curve!r}.jittered({self.jitter!r})"


class _Taken(Record, Backoff):
    curve: Backoff
    delays: int

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        return self.curve.delay(failures, previous, draw) if failures <= self.delays else None

    def base(self, failures: int) -> float | None:
        return self.curve.base(failures) if failures <= self.delays else None

    @property
    def length(self) -> int:
        inner = self.curve.length
        return self.delays if inner is None else min(inner, self.delays)

    def __repr__(self) -> str:
        return f"{self.curve!r}.take({self.delays!r})"


class _Then(Record, Backoff):
    first: Backoff
    second: Backoff

    def _after(self) -> int:
        length = self.first.length
        return 0 if length is None else length

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        beyond = failures - self._after()
        if beyond < 1:
            return self.first.delay(failures, previous, draw)
        return self.second.delay(beyond, previous if beyond > 1 else None, draw)

    def base(self, failures: int) -> float | None:
        beyond = failures - self._after()
        return self.first.base(failures) if beyond < 1 else self.second.base(beyond)

    @property
    def length(self) -> int | None:
        rest = self.second.length
        return None if rest is None else self._after() + rest

    def __repr__(self) -> str:
        return f"{self.first!r}.then({self.second!r})"


def exponential(
    initial: Seconds = 0.1,
    *,
    factor: float = 2.0,
    maximum: Seconds | None = 20.0,
    jitter: JitterLike = "full",
) -> Backoff:
    """A curve that multiplies: initial, initial * factor, initial * factor**2, ... up to maximum.

    Args:
        initial: The first wait before jitter, in seconds or as a `timedelta`; >= 0.
        factor: What each wait is multiplied by; >= 1.
        maximum: The longest wait, jitter included, in seconds; below `initial` it caps from the first wait on. `None`:
            no limit but 10**9 s.
        jitter: `"full"`, `"equal"`, `"decorrelated"`, `proportional(share)`, `additive(most)`, or `None` for none. The
            spread is kept at the maximum, so that clients never fall into step. `"decorrelated"` grows by itself and
            does not use `factor`.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value, a factor below 1, an unknown jitter.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).

    >>> from itertools import islice
    >>> list(islice(exponential(0.1), 5))
    [0.1, 0.2, 0.4, 0.8, 1.6]
    >>> exponential(0.1).delay(3, None, draw=0.5)
    0.2
    """
    curve = _Exponential(
        checks.seconds("initial", initial),
        checks.number("factor", factor, least=1),
        checks.seconds_or_none("maximum", maximum),
        as_jitter("jitter", jitter),
    )
    if curve.jitter is not full:
        return curve
    return _FullExponential(curve, tuple(curve.base(failures) for failures in range(1, READY + 1)))


def constant(seconds: Seconds) -> Backoff:
    """A curve that always waits the same.

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
    """A curve that adds: initial, initial + step, initial + 2 * step, ... up to maximum.

    Args:
        initial: The first wait, in seconds or as a `timedelta`; >= 0.
        step: What each wait is longer than the one before, in seconds; >= 0.
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
    """A curve in which each wait is the sum of the two before it: 1, 1, 2, 3, 5, ... times initial.

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
    """A curve of the given waits, which ends with the last of them (`.forever()` repeats that one).

    Args:
        delays: The waits, in seconds or as `timedelta`; each >= 0. None at all: a curve that has ended already.

    Raises:
        TypeError: For a value of a wrong kind.
        ValueError: For a negative, infinite, NaN or enormous value.

    >>> list(sequence(1, 2, 4))
    [1.0, 2.0, 4.0]
    """
    return Sequence(
        tuple(checks.seconds(f"delay {place} of sequence()", value) for place, value in enumerate(delays, 1)), False
    )
