"""What a newcomer writes by mistake, and what redouble says: each message tells what is wrong, or what to write instead."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import logging
import textwrap
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import redouble
import redouble.loops
from redouble.testing import FakeClock, fake_time

if TYPE_CHECKING:
    from pathlib import Path


class Client:
    """A client of the user's."""

    def get(self) -> str:
        return "body"


async def fetch_async() -> str:
    """An asynchronous function of the user's."""
    return "body"


def pages() -> Any:
    """A generator function of the user's."""
    yield 1


NAMES: dict[str, Any] = {
    **{name: getattr(redouble, name) for name in redouble.__all__ if name != "__version__"},
    **{name: getattr(redouble.loops, name) for name in redouble.loops.__all__},
    **{each.__name__: each for each in (asyncio, contextlib, functools, io, threading, time, timedelta)},
    **{each.__name__: each for each in (Client, FakeClock, fake_time, fetch_async, pages)},
    "fetch": lambda url="/": url,
    "nan": float("nan"),
    "inf": float("inf"),
}

WORDS = """
retry(wait=5)                                   | write `backoff=`
retry(stop=3)                                   | a limit is attempts= or deadline=
retry(max_tries=3)                              | write `attempts=`
retry(tries=3)                                  | write `attempts=`
retry(attempt=3)                                | write `attempts=`
retry(max_attempts=3)                           | write `attempts=`
retry(retries=3)                                | write `attempts=`, which counts the first one too
retry(total=3)                                  | write `attempts=`, which counts the first one too
retry(timeout=3)                                | write `deadline=` for all attempts together, or `attempt_timeout=` for one
retry(max_time=60)                              | write `deadline=`
retry(dedline=60)                               | write `deadline=`
retry(delay=2)                                  | write `backoff=constant(seconds)`
retry(interval=2)                               | write `backoff=constant(seconds)`
retry(backoff_factor=2)                         | write `backoff=exponential(initial)`
retry(jitter=None)                              | write `backoff=exponential(jitter=)`
retry(max_delay=60)                             | write `backoff=exponential(maximum=)`
retry(exceptions=OSError)                       | write `on=`
retry(on_exception=OSError)                     | write `on=`
retry(retry_on=OSError)                         | write `on=`
retry(retry=OSError)                            | write `on=` for errors, `result=` for values
retry(giveup=lambda error: True)                | write `on=permanent(when=...) | known_errors`
retry(status_forcelist=[503])                   | known_errors knows the statuses of clients
retry(reraise=True)                             | write nothing: the operation's own error is always raised
retry(before_sleep=print)                       | write `observers=`
retry(on_failure=print)                         | write `observers=`
retry(fallback=None)                            | write an `except` around the call
retry(logger=None)                              | write `observers=[log_retries(logger)]`
retry(colour="red")                             | its fields are on, result, idempotent, attempts
override(max_tries=3)                           | write `attempts=`
retry.changed(max_tries=3)                      | write `attempts=`
"""

KINDS = """
retry(attempts="3")                             | attempts must be a whole number >= 1 or None, got '3'
retry(attempts=True)                            | attempts must be a whole number >= 1 or None, got True
retry(attempts=3.0)                             | attempts must be a whole number >= 1 or None, got 3.0
retry(attempts=inf)                             | attempts must be a whole number >= 1 or None, got inf
retry(deadline="60")                            | deadline must be a duration in seconds (int, float or timedelta) > 0
retry(deadline=True)                            | deadline must be a duration in seconds (int, float or timedelta) > 0
retry(attempt_timeout="5")                      | attempt_timeout must be a duration in seconds
retry(max_hint="300")                           | max_hint must be a duration in seconds
retry(backoff=5)                                | for a steady wait write constant(5)
retry(backoff=timedelta(seconds=5))             | for a steady wait write constant(datetime.timedelta(seconds=5))
retry(backoff=[1, 2, 3])                        | write sequence(1, 2, 3)
retry(backoff=None)                             | for no wait at all write constant(0)
retry(backoff="exponential")                    | backoff must be a curve such as exponential(), or a function of the
retry(backoff=exponential)                      | got exponential itself: write exponential(...)
retry(backoff=Backoff)                          | backoff must be a curve such as exponential()
retry(backoff=lambda: 5)                        | backoff must take one argument, the failures: write lambda failures: ...
retry(backoff=proportional(0.5))                | backoff must take one argument, the failures
retry(on="ConnectionError")                     | write the exception type itself, not its name
retry(on=["OSError", ValueError])               | write the exception type itself, not its name
retry(on=ConnectionError())                     | write its type, ConnectionError
retry(on=True)                                  | on must be a rule, an exception type, a tuple or list of them
retry(on=503)                                   | known_errors knows the statuses of clients
retry(on=int)                                   | on takes exception types (for anything else write when=)
retry(on=BaseException)                         | on cannot take BaseException: it is no Exception
retry(on=lambda: True)                          | on must take one argument, the error: write lambda error: ...
retry(on=fetch_async)                           | on must be a plain function, nobody awaits it
retry(on=transient)                             | it makes rules, write transient(...)
retry(on=transient(OSError()))                  | transient() takes exception types
retry(on=transient(OSError, when=True))         | when of transient() must be a callable, got True
retry(on=transient(OSError, when=lambda: True)) | when of transient() must take one argument, the error
retry(on=transient(OSError, retry_after="5"))   | retry_after of transient() must be a duration in seconds
retry(on=pending(when=lambda: True))            | when of pending() must take one argument, the value
retry(result=True)                              | write lambda value: value is True
retry(result="running")                         | write lambda value: value == 'running'
retry(result=[None])                            | write lambda value: value is None
retry(result=lambda: True)                      | result must take one argument, the value: write lambda value: ...
retry(timeout_as=5)                             | timeout_as must be the name of a parameter, such as 'timeout'
retry(budget=RetryBudget)                       | budget must be a RetryBudget, the name of one that is shared, or None
retry(stop=threading.Event)                     | stop must be a threading.Event, an asyncio.Event, a trio.Event or None
retry(stop=True)                                | a limit is attempts= or deadline=
retry(observers=print)                          | write [print]
retry(observers=["print"])                      | each of observers must be a callable, got 'print'
retry(observers=[lambda: None])                 | each of observers must take one argument, the event
retry(observers=[log_retries])                  | a class is none: write log_retries(...)
retry(observers=[fetch_async])                  | each of observers must be a plain function, nobody awaits it
retry(name=5)                                   | name must be a string that is not empty, or None
retry(clock=time.monotonic)                     | clock must have the methods now, sleep, sleep_async, call_later
retry(clock=FakeClock)                          | clock must have the methods now, sleep, sleep_async, call_later
retry(draw=0.5)                                 | write lambda: 0.5
retry(draw=lambda n: 0.5)                       | draw must take no argument: write lambda: ...
exponential("1")                                | initial must be a duration in seconds
exponential(jitter=proportional)                | jitter must be None, one of 'none', 'full', 'equal', 'decorrelated'
exponential(jitter="half")                      | jitter must be None, one of 'none', 'full', 'equal', 'decorrelated'
sequence([1, 2])                                | delay 1 of sequence() must be a duration in seconds
constant(1) + 5                                 | for a steady wait write constant(5)
constant(1).take("3")                           | delays of take() must be a whole number >= 0
classify(OSError)                               | make one, OSError(...)
classify("down")                                | error must be an exception, got 'down'
explain("openai.RateLimitError")                | on the command line: redouble explain openai.RateLimitError
deadline("5")                                   | seconds of deadline() must be a duration in seconds
remaining("5")                                  | at_most must be a duration in seconds
gave_up_as(ValueError())                        | gave_up_as takes an exception type, or a callable that makes an exception
gave_up_as(lambda: ValueError())                | kind of gave_up_as must take one argument, the error
RetryBudget("0.1")                              | ratio must be a number in [0, 1]
RetryBudget(clock=lambda now: now)              | clock must take no argument
log_retries(level="INFO")                       | level must be a whole number >= 1
log_retries(print)                              | logger must be a logging.Logger, its name or None
log_retries(redact=lambda: "")                  | redact must take one argument, the line
http_error(503)                                 | http_error() takes exception types
register(OSError, package="acme.errors")        | package must be the name of a top package, without dots
idempotency_key(5)                              | value must be a string or None
poll(fetch, 5)                                  | policy must be a RetryPolicy such as retry(attempts=5), got 5
poll(fetch, interval="5")                       | interval must be a duration in seconds
poll(fetch, until="done")                       | until must be a callable, got 'done'
poll(fetch, until=lambda: True)                 | until must take one argument, the value
poll(lambda job: job)                           | fn must take no argument: write lambda: ...
poll(fetch, slow_down="429")                    | slow_down must be a rule, an exception type
reconnect(lambda url: url)                      | open_ must take no argument: write lambda: ...
reconnect(fetch, 5)                             | policy must be a RetryPolicy such as retry(attempts=5), got 5
reconnect(fetch, give_up="stop")                | give_up must be one of 'raise', 'park'
resume(lambda: 5, FileCheckpoint("place"))      | fetch must take one argument, the cursor
resume(fetch, "place.json")                     | checkpoint must have the methods load, save
resume(fetch, FileCheckpoint)                   | checkpoint must have the methods load, save
latest(fetch, fetch, lambda: True)              | changed must be a threading.Event or an asyncio.Event
latest(fetch, lambda: 5, threading.Event())     | push must take one argument, the state
watchdog("5")                                   | idle must be a duration in seconds
clamp_under("5", 6)                             | value must be a duration in seconds
BackoffController(5)                            | policy must be a RetryPolicy such as retry(attempts=5), got 5
retry.preview("5")                              | failures must be a whole number >= 1
fake_time(draw=lambda n: 0.5)                   | draw must take no argument
FakeClock().bind(fetch_async)                   | bind `lambda: asyncio.run(co())`
"""

VALUES = """
retry(attempts=0)                               | attempts must be a whole number >= 1 or None, got 0
retry(deadline=-1)                              | deadline must be a duration in seconds (int, float or timedelta) > 0
retry(deadline=nan)                             | or None, got nan
retry(deadline=inf)                             | or None, got inf
retry(deadline=timedelta(seconds=-5))           | or None, got datetime.timedelta
retry(timeout_as="time out")                    | timeout_as must be the name of a parameter, such as 'timeout'
retry(attempt_timeout=50, deadline=5)           | attempt_timeout must not be above deadline
retry(attempts=5, backoff=sequence(1, 2))       | attempts must not be above 3: the curve sequence(1.0, 2.0) ends after 2
retry(deadline=1, backoff=constant(5))          | there would never be a second attempt
retry(long_hints="wait")                        | long_hints must be one of 'stop', 'cap'
retry(idempotent="yes")                         | idempotent must be one of None, True, False
retry(on=(Exception, transient(OSError)))       | put the more specific rule first
exponential(factor=0)                           | factor must be a number > 0, got 0
exponential(-1)                                 | initial must be a duration in seconds (int, float or timedelta) >= 0
constant(1).then(constant(2))                   | then() needs a curve that ends before it, write .take(n) first
proportional(50)                                | share of proportional() must be a number in [0, 1], got 50
poll(fetch, interval=0)                         | interval must be a duration in seconds (int, float or timedelta) > 0
resume(fetch, FileCheckpoint("p"), stall_after=0) | stall_after must be a whole number >= 1 or None, got 0
clamp_under(5, 6, fraction=2)                   | fraction must be a number in [0, 1], got 2
fake_time(2)                                    | draw must be a number in [0, 1) or a callable
"""

SHAPES = """
retry(OSError)                                  | to say what is retried, write retry(on=OSError)
retry(OSError, ConnectionError)                 | retry(on=(OSError, ...)) to say what is retried
retry((OSError, ConnectionError))               | write retry(on=...)
retry(transient(OSError))                       | write retry(on=...)
retry(exponential())                            | write retry(backoff=...)
retry(5)                                        | write retry(attempts=5)
retry(fetch())                                  | write @retry above the function, or retry.call(function, ...)
retry(fetch_async())                            | decorate the function, without calling it
retry(fetch, attempts=5)                        | write retry(attempts=5)(function)
retry(retry(attempts=5))                        | this is a policy: write @policy
retry(Client)                                   | decorate its methods, or write retry.call(Client, ...)
retry(Client())                                 | retry takes a function, or keywords such as attempts=5
retry(pages)                                    | Write retry.opening(...)
retry(property(fetch))                          | put @property above @retry
retry(functools.cached_property(fetch))         | put @cached_property above @retry
retry(contextlib.contextmanager(pages))         | write retry.connect(pages, ...) to retry entering it
contextlib.contextmanager(retry(pages))         | Write retry.opening(...)
retry(attempt_timeout=5)(fetch)                 | Write timeout_as='timeout' to hand each attempt its timeout
retry(timeout_as="timeout")(fetch)              | timeout_as must name a keyword that <lambda> takes
retry(stop=asyncio.Event())(fetch)              | stop must be a threading.Event for the synchronous <lambda>
retry.call(fetch())                             | write retry.call(function) instead of retry.call(function())
retry.call(fetch_async())                       | write retry.call(function) instead of retry.call(function())
retry.call(pages)                               | Write retry.opening(...)
retry.call(contextlib.contextmanager(pages))    | write retry.connect(pages, ...) to retry entering it
retry.connect(io.StringIO("open"))              | write retry.connect(function) instead of retry.connect(function())
retry.connect(fetch).__enter__()                | connect cannot close what <lambda> gives: str is no context manager
retry.connect(fetch_async).__enter__()          | is asynchronous: write `async with` instead of `with`
poll(fetch())                                   | write poll(function) instead of poll(function())
poll(fetch_async())                             | write poll(function) instead of poll(function())
poll(pages)                                     | Write retry.opening(...)
reconnect(io.StringIO("open"))                  | write reconnect(function) instead of reconnect(function())
resume(pages, FileCheckpoint("place"))          | Write retry.opening(...)
latest(fetch(), fetch, threading.Event())       | get must be a callable, got '/'
"""

TABLE = [
    pytest.param(written.strip(), said.strip(), id=written.strip())
    for rows in (WORDS, KINDS, VALUES, SHAPES)
    for written, _, said in (row.partition(" | ") for row in rows.strip().splitlines())
]


@pytest.mark.parametrize(("written", "said"), TABLE)
def test_a_misuse_is_refused_where_it_is_written(written: str, said: str) -> None:
    """By a TypeError or a ValueError, whose message says the rule and the value, or what to write."""
    with fake_time(), pytest.raises((TypeError, ValueError)) as caught:
        eval(written, dict(NAMES))
    assert said in str(caught.value)
    assert "redouble" in caught.traceback[-1].path.parts, "the message is ours, not of a call that went on"


def test_the_table_is_long_enough_to_mean_something() -> None:
    """A table that somebody emptied by a slip would pass."""
    assert len(TABLE) > 150


BODIES = {
    "for attempt in retry:\n    fetch()": "write `with attempt:` around the body of the loop",
    "async for attempt in retry:\n    await fetch_async()": "write `with attempt:` around the body of the loop",
    "for attempt in retry:\n    async with attempt:\n        await fetch_async()": "write `async for attempt in policy:`",
    "for attempt in retry:\n    with attempt:\n        with attempt:\n            fetch()": "enters an attempt once",
    "with retry:\n    fetch()": "write `for attempt in retry:` and `with attempt:` in it",
    "with retry(attempts=3) as attempt:\n    fetch()": "write `for attempt in retry:` and `with attempt:` in it",
    "async with retry:\n    await fetch_async()": "write `async for attempt in retry:` and `with attempt:` in it",
    "with retry.connect(fetch_async):\n    pass": "is asynchronous: write `async with` instead of `with`",
    "for session in reconnect(io.StringIO):\n    session.number": "write `with session as connection:` around the body",
    "async for session in reconnect(io.StringIO):\n    with session:\n        pass": "write `async with session:`",
    "for session in reconnect(fetch_async):\n    with session:\n        pass": "write `async with` instead of `with`",
    "for page in resume(lambda cursor: ([1], 2), FileCheckpoint(place)):\n    pass": "write `with page as items:`",
    "for page in resume(lambda cursor: 5, FileCheckpoint(place)):\n    pass": "fetch must return a tuple (items, next)",
    "poll(lambda: 5, until=lambda value: fetch_async())": "until gives something to await; it must answer at once",
    "controller = BackoffController(retry)\ncontroller.record_failure(OSError())": "needs an attempt under way",
    "controller = BackoffController(retry)\ncontroller.start()\ncontroller.record_failure(OSError)": "make one, OSError(...)",
    "controller = BackoffController(retry)\ncontroller.start('now')": "now must be a number",
    "clock = FakeClock()\nclock.advance(-5)": "seconds must be a duration in seconds (int, float or timedelta) >= 0",
    "connecting = retry.connect(io.StringIO)\nwith connecting, connecting:\n    pass": "call connect(...) again for another one",
}


@pytest.mark.parametrize("written", BODIES)
def test_a_misuse_of_several_lines_is_refused_when_it_runs(written: str, tmp_path: Path) -> None:
    """A forgotten `with`, a `for` where `async for` is needed, and their kin say what to write."""
    names = {**NAMES, "place": tmp_path / "place.json"}
    with fake_time(), pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        if "a" + "sync for" in written or "a" + "sync with" in written:
            exec(f"async def main():\n{textwrap.indent(written, '    ')}", names)
            asyncio.run(names["main"]())
        else:
            exec(written, names)
    assert BODIES[written] in str(caught.value)


@contextlib.contextmanager
def opened() -> Any:
    """A context manager of the user's, which is opened by the function around it."""
    yield 5


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pages, "write retry.opening(...), or return a list"),
        (opened, "write retry.connect(...)"),
        (lambda: Executor().submit(), "retry the function that is submitted"),
    ],
    ids=["a generator", "a context manager", "a future"],
)
def test_what_is_done_later_is_said_once(value: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """A function whose work is done after it returned is not retried there, and a warning says so, once a function."""
    policies = redouble.retry(name=f"later {said}"), redouble.retry(name=f"judged {said}", result=lambda value: False)
    for policy in policies * 2:
        policy.call(lambda: value())
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.partition(":")[0] for line in lines] == [policy.name for policy in policies]
    assert all(line.endswith(said) for line in lines)


def test_what_is_done_later_is_not_said_where_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """`observers=None` silences the warning."""
    redouble.retry(name="later, silently", observers=None).call(lambda: pages())
    assert not caplog.records


class Executor:
    """Something that does its work elsewhere."""

    def submit(self) -> Any:
        from concurrent.futures import Future

        return Future()
