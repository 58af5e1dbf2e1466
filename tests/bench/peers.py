"""What other retry libraries do in the situations of the README's table, and what a success costs with each.

    pip install redouble tenacity stamina python-backoff redress nopanic
    python tests/bench/peers.py

A library that is not installed is left out. Each is used as its documentation begins. Sleeping is recorded, not done:
`time.sleep` moves a monotonic clock of this script.
"""

from __future__ import annotations

import email.message
import importlib
import logging
import statistics
import sys
import time
import timeit
import urllib.error
import warnings
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

from handwritten import retry_by_hand

from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Library(NamedTuple):
    """One library: its decorator with nothing written, and told about an error, attempts, a deadline and the clock."""

    distribution: str
    plain: Callable[[], Any]
    told: Callable[[type[Exception], int, float, Time | None], Any]


def tenacity(kind: type[Exception], attempts: int, deadline: float, clock: Time | None) -> Any:
    """Return tenacity's decorator."""
    import tenacity as t

    stop = t.stop_after_attempt(attempts) | t.stop_before_delay(deadline)
    wait = t.wait_random_exponential(0.1, max=20)
    return t.retry(retry=t.retry_if_exception_type(kind), stop=stop, wait=wait)


def stamina(kind: type[Exception], attempts: int, deadline: float, clock: Time | None) -> Any:
    """Return stamina's decorator."""
    import stamina as s

    return s.retry(on=kind, attempts=attempts, timeout=deadline)


def backoff(kind: type[Exception], attempts: int, deadline: float, clock: Time | None) -> Any:
    """Return backoff's decorator."""
    import backoff as b

    return b.on_exception(b.expo, kind, max_tries=attempts, max_time=deadline)


def redress(kind: type[Exception], attempts: int, deadline: float, clock: Time | None) -> Any:
    """Return redress's decorator, whose classifier is asked to take the error for a passing one."""
    import redress as r

    def judge(error: BaseException) -> Any:
        if isinstance(error, kind) and not hasattr(error, "retry_after"):
            return r.ErrorClass.TRANSIENT
        return r.extras.http_retry_after_classifier(error)

    strategy = r.retry_after_or(r.strategies.decorrelated_jitter(max_s=5.0))
    return r.retry(classifier=judge, strategy=strategy, max_attempts=attempts, deadline_s=deadline)


def nopanic(kind: type[Exception], attempts: int, deadline: float, clock: Time | None) -> Any:
    """Return nopanic's decorator."""
    import nopanic as n

    given = {} if clock is None else {"clock": clock.now}
    return n.retry(on=kind, attempts=attempts, max_time=deadline, **given)


def redouble(kind: type[Exception], attempts: int, deadline: float, clock: Time | None) -> Any:
    """Return redouble's decorator."""
    from redouble import retry

    return retry(on=kind, attempts=attempts, deadline=deadline, clock=clock)


LIBRARIES = {
    "redouble": Library("redouble", lambda: importlib.import_module("redouble").retry, redouble),
    "tenacity": Library("tenacity", lambda: importlib.import_module("tenacity").retry, tenacity),
    "stamina": Library("stamina", lambda: importlib.import_module("stamina").retry(on=Exception), stamina),
    "backoff": Library("python-backoff", lambda: backoff(Exception, 3, 60, None), backoff),
    "redress": Library("redress", lambda: importlib.import_module("redress").retry, redress),
    "nopanic": Library("nopanic", lambda: importlib.import_module("nopanic").retry(), nopanic),
}


class Time(SystemClock):
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.sleeps: list[float] = []

    def now(self) -> float:
        """Return the seconds that it shows."""
        return self.seconds

    def sleep(self, seconds: float | timedelta, stop: object = None) -> None:
        """Sleep in no time; the hundredth sleep ends what would go on for ever."""
        seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        self.sleeps.append(seconds)
        self.seconds += seconds
        if len(self.sleeps) >= 100:
            raise KeyboardInterrupt


@contextmanager
def virtual() -> Iterator[Time]:
    """Put a clock of our own in the place of the system's."""
    clock = Time()
    with patch("time.sleep", clock.sleep), patch("time.monotonic", clock.now):
        yield clock


class Down:
    """An operation that always fails with an error made by `make`."""

    def __init__(self, make: Callable[[], Exception]) -> None:
        self.make, self.calls = make, 0

    def __call__(self) -> None:
        self.calls += 1
        raise self.make()


def called(decorated: Callable[..., Any], clock: Time) -> str:
    """Call; return what was raised, and whether it had to be stopped."""
    try:
        decorated()
    except KeyboardInterrupt:
        return "for ever"
    except Exception as error:
        return type(error).__name__
    return "nothing"


def plain_function(down: Down) -> Callable[[], None]:
    """A function of its own around an operation: some libraries look at a name or a signature."""

    def operation() -> None:
        down()

    return operation


def a_bug(library: Library) -> str:
    """Say how many calls a TypeError gets when nothing was said about errors."""
    down = Down(lambda: TypeError("a bug"))
    with virtual() as clock:
        fn = library.plain()(plain_function(down))
        end = called(fn, clock)
    return "for ever" if end == "for ever" else f"{down.calls} call{'s' * (down.calls > 1)}"


def nested(library: Library) -> str:
    """Say how many calls three decorators of three attempts make."""
    down = Down(lambda: ConnectionResetError("down"))
    with virtual() as clock:
        fn: Callable[..., Any] = plain_function(down)
        for _ in range(3):
            fn = library.told(Exception, 3, 600, clock)(plain_wrapper(fn))
        called(fn, clock)
    return f"{down.calls} calls"


def plain_wrapper(fn: Callable[..., Any]) -> Callable[[], Any]:
    """A layer of the user's own."""

    def layer() -> Any:
        return fn()

    return layer


def hint(library: Library) -> str:
    """Say what comes of a 503 that asks for 120 s."""
    headers = email.message.Message()
    headers["Retry-After"] = "120"

    def busy() -> Exception:
        error = urllib.error.HTTPError("http://localhost/", 503, "busy", headers, None)
        error.retry_after = 120  # type: ignore[attr-defined]  # where nopanic and redress look for it
        return error

    down = Down(busy)
    with virtual() as clock:
        called(library.told(urllib.error.HTTPError, 3, 600, clock)(plain_function(down)), clock)
        first = clock.sleeps[0] if clock.sleeps else None
    return "no retry" if first is None else f"waits {first:.3g} s"


def group(library: Library) -> str:
    """Say whether a group of connection errors counts as a connection error."""
    down = Down(lambda: ExceptionGroup("both", [ConnectionResetError(), ConnectionRefusedError()]))
    with virtual() as clock:
        called(library.told(ConnectionError, 3, 600, clock)(plain_function(down)), clock)
    return "retried" if down.calls > 1 else "not retried"


def raised(library: Library) -> str:
    """Say what is raised in the end."""
    down = Down(lambda: ConnectionResetError("down"))
    with virtual() as clock:
        return called(library.told(ConnectionError, 3, 600, clock)(plain_function(down)), clock)


def generator(library: Library) -> str:
    """Say what becomes of a generator function."""

    def rows() -> Iterator[int]:
        yield 1

    try:
        library.told(ConnectionError, 3, 10, None)(rows)
    except TypeError:
        return "refused"
    return "accepted"


def succeed(x: int) -> int:
    """Succeed at once."""
    return x


def cost(library: Library) -> str:
    """Time a call that succeeds at once, beside the bare one."""
    decorated = library.told(ValueError, 3, 60, None)(succeed)
    return f"{nanoseconds(decorated) - nanoseconds(succeed):,.0f} ns"


def nanoseconds(fn: Callable[[int], Any], number: int = 20_000) -> float:
    """Return the median time of a call."""
    timer = timeit.Timer(lambda: fn(1))
    return statistics.median(timer.repeat(7, number)) / number * 1e9


SITUATIONS: dict[str, Callable[[Library], str]] = {
    "a bug (TypeError), nothing written": a_bug,
    "raised at the end": raised,
    "three nested retries of three": nested,
    "a 503 that asks for 120 s": hint,
    "an ExceptionGroup of them": group,
    "a generator function": generator,
    "a success costs": cost,
}


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    logging.disable()
    found = {}
    for name, library in LIBRARIES.items():
        with suppress(ImportError):
            library.told(ValueError, 3, 60, None)
            found[name] = library
    titles = [f"{name} {version(library.distribution)}" for name, library in found.items()]
    print("| " + " | ".join(["", *titles]) + " |")
    print("| " + " | ".join(["---"] * (len(found) + 1)) + " |")
    for situation, answer in SITUATIONS.items():
        print("| " + " | ".join([situation, *(told(answer, library) for library in found.values())]) + " |")
    by_hand = nanoseconds(retry_by_hand(ValueError)(succeed)) - nanoseconds(succeed)
    print(f"\nA wrapper by hand with attempts, deadline and jitter costs {by_hand:,.0f} ns on success.")
    print(f"Python {sys.version.split()[0]}, {time.strftime('%B %Y')}")


def told(answer: Callable[[Library], str], library: Library) -> str:
    """Return an answer, or the error that stood in its way."""
    try:
        return answer(library)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
