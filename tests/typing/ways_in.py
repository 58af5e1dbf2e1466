"""What type checkers make of every way in: each `assert_type` is checked, nothing here runs by itself.

Checked by mypy, pyright, pyrefly and ty, each with the settings of pyproject.toml (`nox -s types`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import socket
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, assert_type

import redouble
from redouble import (
    Attempt,
    Backoff,
    BackoffController,
    Classification,
    Cooldown,
    DeadlineExceeded,
    Event,
    EventKind,
    GaveUp,
    Reason,
    RetryPolicy,
    Rule,
    Status,
    StillPending,
    Stopped,
    Verdict,
    Wait,
    additive,
    classify,
    constant,
    current_attempt,
    deadline,
    exponential,
    fibonacci,
    known_errors,
    linear,
    log_retries,
    outcome,
    override,
    pending,
    permanent,
    policy_of,
    proportional,
    remaining,
    retry,
    sequence,
    transient,
)
from redouble.jitters import Jitter, decorrelated, equal, full, none
from redouble.testing import FakeClock, fake_time, scripted
from redouble.types import Clock, Connecting, PreviewRow, SystemClock

if TYPE_CHECKING:
    from redouble.testing import Scripted, ScriptedAsync

T = TypeVar("T")


# Decorating: a function keeps its signature, its colour and its type.


@retry
def plain(url: str, *, size: int = 1) -> bytes:
    """A function."""
    return url.encode() * size


@retry(attempts=5, deadline=90)
def with_keywords(url: str) -> bytes:
    """A function under a changed policy."""
    return url.encode()


@retry()
def with_nothing(url: str) -> bytes:
    """A function under the default policy, asked for with empty parentheses."""
    return url.encode()


@RetryPolicy(attempts=5)
def under_a_policy(url: str) -> bytes:
    """A function under a policy that was made as such."""
    return url.encode()


@retry
async def coroutine(url: str) -> bytes:
    """A coroutine function."""
    return url.encode()


@retry(attempts=5)
async def coroutine_with_keywords(url: str) -> bytes:
    """A coroutine function under a changed policy."""
    return url.encode()


@retry
def generic(first: T, *rest: T) -> list[T]:
    """A function that is generic."""
    return [first, *rest]


@retry(attempts=2)
async def generic_coroutine(value: T) -> T:
    """A coroutine function that is generic."""
    return value


def functions() -> None:
    """What a decorated function is, and gives."""
    assert_type(plain("/"), bytes)
    assert_type(plain("/", size=2), bytes)
    assert_type(with_keywords(url="/"), bytes)
    assert_type(with_nothing("/"), bytes)
    assert_type(under_a_policy("/"), bytes)
    assert_type(generic(1, 2), list[int])
    assert_type(generic("a"), list[str])
    kept: Callable[[str], bytes] = plain
    assert_type(kept("/"), bytes)


async def coroutines(number: int) -> None:
    """What a decorated coroutine function is, and gives."""
    assert_type(await coroutine("/"), bytes)
    assert_type(await coroutine_with_keywords("/"), bytes)
    assert_type(await generic_coroutine(number), int)


class Client:
    """Methods of every kind."""

    @retry
    def method(self, url: str) -> bytes:
        """A method."""
        return url.encode()

    @retry(attempts=5)
    async def coroutine(self, url: str) -> bytes:
        """A coroutine method."""
        return url.encode()

    @classmethod
    @retry
    def of_class(cls, url: str) -> Client:
        """A class method, decorated inside."""
        print(url)
        return cls()

    @staticmethod
    @retry(attempts=5)
    def static(url: str) -> bytes:
        """A static method, decorated inside."""
        return url.encode()

    @property
    @retry
    def size(self) -> int:
        """A property, decorated inside."""
        return 0

    def __call__(self, url: str) -> bytes:
        """An object that can be called."""
        return url.encode()


async def methods(client: Client) -> None:
    """`self` and `cls` are bound as ever."""
    assert_type(client.method("/"), bytes)
    assert_type(Client.method(client, "/"), bytes)
    assert_type(await client.coroutine("/"), bytes)
    assert_type(Client.of_class("/"), Client)
    assert_type(client.of_class("/"), Client)
    assert_type(Client.static("/"), bytes)
    assert_type(client.size, int)


def other_callables(client: Client) -> None:
    """Partials, lambdas, builtins and callable objects keep what they are."""
    partial = retry(functools.partial(plain, size=2))
    held: functools.partial[bytes] = partial
    assert_type(held("/"), bytes)
    assert_type(partial("/"), bytes)
    assert_type(retry(client)("/"), bytes)
    connect = retry(attempts=5)(socket.create_connection)
    assert_type(connect(("localhost", 80), timeout=5), socket.socket)
    length: Callable[[str], int] = retry(lambda text: len(text))
    assert_type(length("x"), int)


# A direct call.


async def fetch(url: str, *, size: int = 1) -> bytes:
    """A coroutine function that is not decorated."""
    return url.encode() * size


def read(url: str, *, size: int = 1) -> bytes:
    """A function that is not decorated."""
    return url.encode() * size


def later(url: str) -> asyncio.Future[bytes]:
    """A function that gives something to be awaited."""
    return asyncio.get_running_loop().create_future()


async def calls(client: Client) -> None:
    """`call` gives what the function gives, or what is to be awaited."""
    assert_type(retry.call(read, "/"), bytes)
    assert_type(retry(attempts=5).call(read, "/", size=2), bytes)
    assert_type(retry.call(int, "42"), int)
    assert_type(retry.call(client.method, "/"), bytes)
    assert_type(retry.call(client, "/"), bytes)
    assert_type(retry.call(socket.create_connection, ("localhost", 80)), socket.socket)
    assert_type(retry.call(lambda: read("/")), bytes)
    assert_type(retry.call(functools.partial(read, "/")), bytes)
    assert_type(await retry.call(fetch, "/"), bytes)
    assert_type(await retry.call(fetch, url="/", size=2), bytes)
    assert_type(await retry.call(later, "/"), bytes)
    assert_type(await retry.call(lambda: fetch("/")), bytes)


# A block.


def block() -> int:
    """`for attempt in policy: with attempt:`, and the value of an attempt."""
    for attempt in retry(attempts=5):
        with attempt as same:
            assert_type(attempt.number, int)
            assert_type(attempt.failures, int)
            assert_type(attempt.elapsed, float)
            assert_type(attempt.remaining, float | None)
            assert_type(attempt.timeout, float | None)
            attempt.progress()
            attempt.result({"any": "value"})
            only_an_attempt: Attempt = same
            return only_an_attempt.number
    return 0


async def block_async() -> int:
    """`async for attempt in policy:`, with `with` or `async with` inside."""
    async for attempt in retry:
        with attempt:
            assert_type(attempt.number, int)
        async with attempt:
            return attempt.number
    return 0


def inside() -> None:
    """An attempt is found from deeper down."""
    assert_type(current_attempt(), Attempt | None)


# Connecting.


class Session:
    """A context manager that gives something else than itself."""

    def __enter__(self) -> int:
        """Open."""
        return 1

    def __exit__(self, *exc_info: object) -> None:
        """Close."""


class AsyncSession:
    """An async context manager that gives something else than itself."""

    async def __aenter__(self) -> str:
        """Open."""
        return ""

    async def __aexit__(self, *exc_info: object) -> None:
        """Close."""


class OnlyCloses:
    """Something that has merely a `close`."""

    def close(self) -> None:
        """Close."""


@contextmanager
def opened(path: str) -> Generator[int, None, None]:
    """A context manager function."""
    yield len(path)


@asynccontextmanager
async def opened_async(path: str, *, size: int = 1) -> AsyncGenerator[str, None]:
    """An async context manager function."""
    yield path * size


async def awaited(path: str) -> OnlyCloses:
    """A coroutine function that gives something that has a `close`."""
    return OnlyCloses()


async def awaited_session(path: str) -> AsyncSession:
    """A coroutine function that gives an async context manager."""
    return AsyncSession()


async def awaited_plain_session(path: str) -> Session:
    """A coroutine function that gives a context manager."""
    return Session()


class Connect:
    """What `websockets.connect` gives: to be awaited, or to be entered."""

    def __await__(self) -> Iterator[Any]:
        """The connection."""
        yield

    async def __aenter__(self) -> str:
        """The connection."""
        return ""

    async def __aexit__(self, *exc_info: object) -> None:
        """Close."""


def connecting() -> None:
    """What is opened for a `with`."""
    with retry(deadline=90).connect(socket.create_connection, ("localhost", 80), timeout=5) as sock:
        assert_type(sock, socket.socket)
    with retry.connect(open, "path") as file:
        assert_type(file, io.TextIOWrapper)  # ty: ignore[type-assertion-failure]  # it joins all overloads of `open`
    with retry.connect(opened, "path") as number:
        assert_type(number, int)
    with retry.connect(Session) as entered:
        assert_type(entered, int)
    with retry.connect(OnlyCloses) as thing:
        assert_type(thing, OnlyCloses)
    with retry.connect(lambda: OnlyCloses()) as thing:
        assert_type(thing, OnlyCloses)
    with retry.connect(sqlite3.connect, "path", closing=True) as database:
        assert_type(database, sqlite3.Connection)
    with retry.connect(Session, closing=True) as session:
        assert_type(session, Session)
    assert_type(retry.connect(OnlyCloses), Connecting[OnlyCloses])


async def connecting_async() -> None:
    """What is opened for an `async with`."""
    async with retry(deadline=90).connect(opened_async, "path", size=2) as text:
        assert_type(text, str)
    async with retry.connect(AsyncSession) as entered:
        assert_type(entered, str)
    async with retry.connect(awaited, "path") as thing:
        assert_type(thing, OnlyCloses)
    async with retry.connect(awaited_session, "path") as text:
        assert_type(text, str)
    async with retry.connect(awaited_plain_session, "path") as number:
        assert_type(number, int)
    async with retry.connect(Connect) as text:
        assert_type(text, str)
    async with retry.connect(awaited, "path", closing=True) as thing:
        assert_type(thing, OnlyCloses)
    async with retry.connect(opened, "path") as number:
        assert_type(number, int)
    async with retry.connect(OnlyCloses) as thing:
        assert_type(thing, OnlyCloses)


def factory_of(make: Callable[[], Awaitable[AbstractAsyncContextManager[T]]]) -> Connecting[T]:
    """A generic factory keeps its type variable."""
    return retry.connect(make)


# Policies.


def policies() -> None:
    """A policy gives policies, and tells what it says."""
    assert_type(retry, RetryPolicy)
    assert_type(retry(attempts=5), RetryPolicy)
    assert_type(retry(attempts=5)(deadline=None), RetryPolicy)
    assert_type(policy_of(plain), RetryPolicy | None)
    assert_type(retry.attempts, int | None)
    assert_type(retry.deadline, float | None)
    assert_type(retry.backoff, Backoff)
    assert_type(retry.on, Rule | None)
    assert_type(retry.preview(failures=5), list[PreviewRow])
    assert_type(retry.preview()[0].typical, float)


def observe(event: Event) -> None:
    """An observer."""
    assert_type(event.kind, EventKind)
    assert_type(event.name, str | None)
    assert_type(event.delay, float | None)
    assert_type(event.error, BaseException | None)
    assert_type(event.classification, Classification | None)
    assert_type(event.reason, Reason | None)


def every_field(clock: FakeClock, stop: asyncio.Event) -> None:
    """All fields of a policy, with all that they accept."""
    retry(
        on=OSError,
        result=lambda answer: answer is None,
        idempotent=True,
        attempts=None,
        deadline=timedelta(minutes=1),
        attempt_timeout=5,
        timeout_as="timeout",
        backoff=exponential(1).capped(15).jittered("equal"),
        budget=None,
        cooldown="openai",
        max_hint=timedelta(minutes=5),
        nested="multiply",
        stop=stop,
        observers=[observe, log_retries("shop", once=True)],
        name="fetch",
        clock=clock,
        draw=lambda: 0.5,
    )
    retry(stop=threading.Event(), observers=(observe,), clock=SystemClock(), draw=None, idempotent=None, on=None)
    retry(cooldown=True)
    retry(cooldown=Cooldown.named("openai"))
    names: list[Event] = []
    retry(observers=[names.append])


def what_stands_for_a_rule(some: list[type[Exception]], rules: list[Rule]) -> None:
    """Whatever a rule may be written as."""
    retry(on=OSError)
    retry(on=(OSError, KeyError))
    retry(on=[OSError, KeyError])
    retry(on=OSError | KeyError)
    retry(on=known_errors)
    retry(on=[transient(OSError), KeyError, (ValueError, lambda error: None)])
    retry(on=permanent(KeyError) | known_errors | transient(OSError) | ValueError)
    retry(on=lambda error: isinstance(error, OSError))
    retry(on=some)
    retry(on=rules)
    assert_type(transient(OSError) | ValueError, Rule)
    assert_type((OSError, ValueError) | transient(KeyError), Rule)


def rules() -> None:
    """Rules, and what they may be given."""
    assert_type(transient(OSError, when=lambda error: None, retry_after=5, applied=False, backoff=constant(1)), Rule)
    assert_type(transient(when=lambda error: Verdict.PENDING, retry_after=lambda error: error.wait, redact=True), Rule)
    assert_type(permanent(OSError, KeyError, when=lambda error: True), Rule)
    assert_type(pending(when=lambda job: job == "running", every=timedelta(seconds=2)), Rule)
    assert_type(known_errors.ask(OSError()), Classification | None)


def judged() -> None:
    """What an error means, and how it ended."""
    found = classify(OSError(), OSError | KeyError)
    assert_type(found, Classification)
    assert_type(found.verdict, Verdict)
    assert_type(found.retry_after, float | None)
    assert_type(found.applied, bool)
    assert_type(found.backoff, Backoff | None)
    assert_type(found.reason, str)
    assert_type(classify(KeyboardInterrupt()), Classification)
    end = outcome(OSError())
    assert_type(end, GaveUp | None)
    if end is not None:
        assert_type(end.reason, Reason)
        assert_type(end.attempts, int)
        assert_type(end.elapsed, float)
        assert_type(end.name, str | None)
        assert_type(end.hint, float | None)


# Curves.


class Steps(Backoff):
    """A curve of a user's own."""

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        return float(failures)


class Halves(Jitter):
    """A jitter of a user's own."""

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return window / 2


class Shares(Halves):
    """A jitter of a user's own with fields, which are its arguments."""

    share: float
    least: float = 0.0

    def __call__(self, window: float, previous: float | None, draw: float) -> float:
        return max(self.least, self.share * super().__call__(window, previous, draw))


def curves() -> None:
    """Curves are curves, whatever words changed them."""
    assert_type(exponential(timedelta(seconds=1), factor=1.5, maximum=None, jitter=proportional(0.5)), Backoff)
    assert_type(constant(3).take(2).then(Steps()), Backoff)
    assert_type(linear(1, step=2).jittered(additive(1)).capped(5), Backoff)
    assert_type(fibonacci(1, maximum=60), Backoff)
    assert_type(sequence(1, 2.5, timedelta(seconds=3)).forever().delay(1, None, 0.5), float | None)
    assert_type(list(sequence(1)), list[float])
    assert_type(exponential().delay(1, None, draw=0.5), float | None)
    assert_type(exponential().length, int | None)
    jitters: list[Jitter] = [none, full, equal, decorrelated, Halves(), Shares(0.5), Shares(0.5, least=1.0)]
    for jitter in jitters:
        exponential(jitter=jitter)
        assert_type(jitter(1.0, None, 0.5), float)
    for name in ("none", "full", "equal", "decorrelated", None):
        exponential(jitter=name)


# The controller, clocks and scopes.


def controller(policy: RetryPolicy) -> None:
    """It counts and decides."""
    control = BackoffController(policy)
    assert_type(control.start(now=0.0), int)
    assert_type(control.record_failure(OSError(), now=0.0, draw=0.5), Wait | GaveUp | None)
    assert_type(control.record_result("answer"), Wait | GaveUp | None)
    assert_type(control.record_success(), None)
    assert_type(control.status, Status)
    assert_type(control.attempt, int)
    assert_type(control.failures, int)
    assert_type(control.elapsed, float)
    assert_type(control.snapshot(), dict[str, Any])
    assert_type(BackoffController.restore(policy, control.snapshot(), now=0.0), BackoffController)
    decision = control.record_failure(OSError())
    if isinstance(decision, Wait):
        assert_type(decision.delay, float)
        assert_type(decision.classification, Classification)


def decisions(decision: Wait | GaveUp | None) -> None:
    """They are matched by place, as type checkers read the fields."""
    match decision:
        case Wait(delay, classification):
            assert_type(delay, float)
            assert_type(classification, Classification)
        case GaveUp(reason, attempts):
            assert_type(reason, Reason)
            assert_type(attempts, int)
        case None:
            pass


def version() -> None:
    """The version is text."""
    assert_type(redouble.__version__, str)


def clocks() -> None:
    """The system's clock and the fake one follow the protocol."""
    every: list[Clock] = [SystemClock(), FakeClock()]
    for clock in every:
        assert_type(clock.now(), float)
        retry(clock=clock)


def scopes() -> None:
    """Deadlines, what is left of them, and changed fields."""
    with deadline(5) as limit:
        assert_type(limit, deadline)
        assert_type(limit.expired, bool)
    with deadline(None), deadline(timedelta(seconds=5)), override(attempts=1, stop=threading.Event()):
        pass
    assert_type(remaining(), float | None)
    assert_type(remaining(None), float | None)
    assert_type(remaining(5), float)
    assert_type(remaining(at_most=timedelta(seconds=5)), float)
    file: socket.socket = socket.socket()
    file.settimeout(remaining(5))


async def scopes_async() -> None:
    """Deadlines around coroutines."""
    async with deadline(5) as limit:
        assert_type(limit.expired, bool)


def errors() -> None:
    """The errors of our own are timeouts, or tell of a wish."""
    with contextlib.suppress(TimeoutError):
        raise DeadlineExceeded("late")
    try:
        raise StillPending("not ready", value=1)
    except TimeoutError as error:
        assert_type(error, TimeoutError)
    with contextlib.suppress(Stopped):
        raise Stopped


# Time under test.


def under_test() -> None:
    """The test kit."""
    with fake_time(draw=0.5) as clock:
        assert_type(clock, FakeClock)
        assert_type(clock.sleeps, list[float])
        assert_type(clock.bind(plain)("/"), bytes)


async def scripts() -> None:
    """Scripted operations know their calls."""
    operation = scripted(OSError, 42)
    same: Scripted = operation
    assert_type(same.calls, list[tuple[tuple[Any, ...], dict[str, Any]]])
    asynchronous: ScriptedAsync = scripted(OSError, 42, asynchronous=True)
    assert_type(await retry.call(asynchronous), Any)


# Streams.


class Chunks:
    """What a client gives for a stream: async iterable, and awaited before."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError


@retry.opening
def words(prompt: str, *, size: int = 1) -> Generator[str, int, bool]:
    """A generator function."""
    yield prompt
    return True


@retry(attempts=5).opening
async def words_async(prompt: str) -> AsyncGenerator[str, int]:
    """An async generator function."""
    yield prompt


@retry.opening
def lines(path: str) -> Iterator[bytes]:
    """A generator function that says only that it can be looped over."""
    yield b""


def rows(table: str) -> list[int]:
    """Something that returns what can be looped over."""
    return []


async def create(prompt: str) -> Chunks:
    """As an async client's method with `stream=True`."""
    return Chunks()


async def streams() -> None:
    """Opening keeps the parameters, and the items."""
    assert_type(words("hi", size=2), Generator[str, int, bool])
    assert_type(words_async("hi"), AsyncGenerator[str, int])
    assert_type(lines("/"), Generator[bytes, Any, Any])
    assert_type(retry.opening(rows)("table"), Generator[int, Any, Any])
    assert_type(retry.opening(create)("hi"), AsyncGenerator[bytes, Any])
    async for chunk in retry.opening(create)("hi"):
        assert_type(chunk, bytes)
