"""Nothing that goes wrong in a rule, an observer, a clock, a curve or a draw hides the error, on any surface."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import logging
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Backoff, Classification, Reason, Verdict, constant, outcome, override, retry, transient
from redouble.control import faults
from redouble.testing import FakeClock, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redouble import Event

policy = retry(attempts=3, on=OSError, backoff=constant(1))
DOWN = OSError("down")
NONSENSE = ["a string", None, object(), float("nan"), -1.0, 10**400, []]


class Fault(Exception):
    """What a faulty part raises."""


def raises(*_: object) -> Any:
    raise Fault("faulty")


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each fault is logged once in a process: begin afresh."""
    monkeypatch.setattr(faults, "_said", set())
    DOWN.__dict__.clear()
    yield
    DOWN.__traceback__ = DOWN.__context__ = None


def warnings(caplog: pytest.LogCaptureFixture, part: str) -> list[str]:
    """The lines about that part that were logged."""
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return [line for line in lines if line.startswith(part)]


@pytest.mark.parametrize("rule", [transient(when=raises), transient(OSError, when=raises), raises])
def test_a_faulty_rule(surface: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture, rule: Any) -> None:
    """A rule that raises has no opinion, and is logged once; the next one is asked."""
    operation = scripted(DOWN, DOWN, DOWN)
    assert surface.fail(policy(on=[rule, OSError]), operation) is DOWN
    assert len(operation.calls) == 3
    assert len(warnings(caplog, "rule")) == 1 and DOWN.__context__ is None


def test_a_rule_that_answers_nonsense(surface: Any, clock: FakeClock) -> None:
    """An answer that is none counts as no opinion."""
    for answer in ("yes", [1], object(), Classification(Verdict.TRANSIENT, reason=None)):  # type: ignore[arg-type]
        assert surface.fail(policy(on=lambda error, answer=answer: answer), scripted(DOWN)) is DOWN


@pytest.mark.parametrize("hint", [raises, lambda error: "soon", lambda error: float("nan"), lambda error: -1])
def test_a_faulty_hint(
    surface: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture, hint: Callable[[object], Any]
) -> None:
    """A `retry_after` that raises or answers nonsense is no hint, and is logged once; the error is transient still."""
    assert surface.fail(policy(on=transient(OSError, retry_after=hint)), scripted(*[DOWN] * 3)) is DOWN
    assert clock.sleeps == [1, 1]
    (line,) = warnings(caplog, "hint of transient(OSError)")
    assert line.endswith("it is left out")


def test_a_faulty_result_rule(surface: Any, clock: FakeClock) -> None:
    """A rule for results that raises has no opinion: the value is returned."""
    assert surface.play(policy(result=raises), scripted("body")) == "body"


def test_a_faulty_observer(surface: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """An observer that raises is logged once and changes nothing; the others hear all."""
    heard: list[Event] = []
    given = policy(observers=[raises, heard.append])
    assert surface.fail(given, scripted(*[DOWN] * 3)) is DOWN
    assert [event.kind.name for event in heard] == ["RETRY", "RETRY", "GIVE_UP"]
    assert len(warnings(caplog, "observer")) == 1 and DOWN.__context__ is None
    assert surface.play(given, scripted(DOWN, "body")) == "body"


class Stays(BaseException):
    """Something like Ctrl-C."""


@pytest.fixture
def faulty_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[type[BaseException]]]:
    """A filter of the user's that raises for every line of ours; the list says what."""
    kinds: list[type[BaseException]] = [Fault]

    def refuse(record: logging.LogRecord) -> bool:
        raise kinds[-1](record.getMessage())

    logger = logging.getLogger("redouble")
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    logger.addFilter(refuse)
    yield kinds
    logger.removeFilter(refuse)
    logger.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("clock", "faulty_logging")
def test_logging_that_raises(surface: Any) -> None:
    """A filter or a handler with a bug keeps no call from success, and hides no error."""
    for given in [policy, policy(observers=[raises]), policy(on=[raises, OSError]), policy(draw=raises)]:
        assert surface.play(given, scripted(DOWN, "body")) == "body"
        assert surface.fail(given, scripted(*[DOWN] * 3)) is DOWN and DOWN.__context__ is None


@pytest.mark.usefixtures("clock", "faulty_logging")
def test_logging_that_raises_for_an_unknown_error(surface: Any) -> None:
    """Nor where it is said that an error is not known."""
    error = LookupError("the operation's own")
    assert surface.fail(policy, scripted(error)) is error and error.__context__ is None


@pytest.mark.usefixtures("clock")
def test_a_base_exception_of_logging_passes(surface: Any, faulty_logging: list[type[BaseException]]) -> None:
    """Ctrl-C in the middle of a log line is not swallowed."""
    faulty_logging.append(Stays)
    assert type(surface.fail(policy, scripted(DOWN))) is Stays


class DeadStop:
    """A stop event whose other end has gone, as of a `multiprocessing.Manager` that was shut down."""

    def is_set(self) -> bool:
        raise Fault("is_set")

    def wait(self, timeout: float | None = None) -> bool:
        raise Fault("wait")


def test_a_faulty_stop(surface: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A stop event that raises counts as not set; that is logged once."""
    given = policy(stop=DeadStop(), backoff=constant(0))
    assert surface.play(given, scripted(DOWN, "body")) == "body"
    assert surface.fail(given, scripted(*[DOWN] * 3)) is DOWN and DOWN.__context__ is None
    assert outcome(DOWN).reason is Reason.ATTEMPTS  # type: ignore[union-attr]
    (line,) = [line for line in warnings(caplog, "stop") if "counts as not set" in line]
    assert "DeadStop raised Fault('is_set')" in line


def test_a_base_exception_of_an_observer_passes(surface: Any, clock: FakeClock) -> None:
    """What is no `Exception` passes from an observer, too; nothing is called again."""

    def observe(event: Event) -> None:
        raise Stays

    operation = scripted(DOWN)
    assert type(surface.fail(policy(observers=[observe]), operation)) is Stays
    assert len(operation.calls) == 1


class Curve(Backoff):
    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer

    def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
        return self.answer()  # type: ignore[no-any-return]


FAULTY: list[Callable[..., Any]] = [raises, *[lambda *_, answer=answer: answer for answer in NONSENSE]]


@pytest.mark.parametrize("own", [False, True], ids=["the policy's", "a rule's"])
def test_a_faulty_curve(surface: Any, clock: FakeClock, own: bool) -> None:
    """A curve that raises or answers nonsense has ended."""
    for curve in map(Curve, FAULTY):
        given = policy(on=transient(OSError, backoff=curve)) if own else policy(backoff=curve)
        assert surface.fail(given, scripted(DOWN)) is DOWN
        assert outcome(DOWN).reason is Reason.CURVE  # type: ignore[union-attr]
        assert DOWN.__context__ is None


def test_a_faulty_draw(surface: Any) -> None:
    """A draw that raises or answers nonsense is taken as 0.5."""
    for answer in (raises, *[lambda answer=answer: answer for answer in NONSENSE]):
        clock = FakeClock()
        given = policy(draw=answer, clock=clock, backoff=constant(2).jittered("full"))
        assert surface.fail(given, scripted(*[DOWN] * 3)) is DOWN
        assert clock.sleeps == [1, 1]


class Broken(FakeClock):
    """A clock of which one method fails from its n-th call on."""

    def __init__(self, method: str, after: int, answer: Callable[..., Any]) -> None:
        super().__init__()
        self.left = after
        whole = getattr(self, method)

        def broken(*args: Any) -> Any:
            self.left -= 1
            return whole(*args) if self.left >= 0 else answer(*args)

        setattr(self, method, broken)


LIMITS: list[dict[str, Any]] = [{}, {"deadline": 60}, {"attempt_timeout": 9}]


def assert_the_error_comes_out(surface: Any, clock: Broken, limits: dict[str, Any]) -> None:
    if "attempt_timeout" in limits and (not surface.is_async or "late" in surface.name):
        return  # nothing can cut off a synchronous attempt
    operation = scripted(*[DOWN] * 3)
    assert surface.fail(policy(clock=clock, attempts=3, **limits), operation) is DOWN
    assert 1 <= len(operation.calls) <= 3


def waits_of(surface: Any) -> tuple[str, ...]:
    """The methods of a clock by which this way in waits."""
    return ("sleep_async", "call_later") if surface.is_async else ("sleep",)


def test_a_clock_that_raises(surface: Any) -> None:
    """A clock that raises, sooner or later, never hides the error."""
    for method in ("now", *waits_of(surface)):
        for after, limits in product(range(6 if method == "now" else 3), LIMITS):
            assert_the_error_comes_out(surface, Broken(method, after, raises), limits)


def test_a_clock_that_answers_nonsense(surface: Any) -> None:
    """A clock whose time is none, or that does not wait, never hides the error either."""
    for after, answer in [*product([1], FAULTY[1:]), *product([0, 2, 3], FAULTY[1:2])]:
        assert_the_error_comes_out(surface, Broken("now", after, answer), {"deadline": 60})
    for after, method, limits in product(range(3), waits_of(surface), LIMITS):
        assert_the_error_comes_out(surface, Broken(method, after, lambda *_: None), limits)


def test_a_faulty_clock_lets_successes_through(surface: Any) -> None:
    """An operation that succeeds at once does so on a faulty clock, too: only its `now` is asked."""
    assert surface.play(policy(clock=Broken("now", 0, raises)), lambda: "body") == "body"


def test_a_faulty_clock_cannot_time_attempts(caplog: pytest.LogCaptureFixture) -> None:
    """Where no timer can be set the attempt has no time limit; that is logged once."""
    operation = scripted(DOWN, "body")

    async def suspending() -> Any:
        await asyncio.sleep(0)
        return operation()

    given = policy(clock=Broken("call_later", 0, raises), attempt_timeout=5)
    assert asyncio.run(given.call(suspending)) == "body"
    assert len(warnings(caplog, "clock")) == 1


def test_a_faulty_clock_while_pending(surface: Any) -> None:
    """Where there is no error to raise, an answer that is not ready is said to be still pending."""
    from redouble import StillPending, pending

    if surface.is_connect:
        pytest.skip("what is opened is no answer to be judged")
    clock = Broken("sleep_async" if surface.is_async else "sleep", 0, raises)
    given = retry(result=pending(when=lambda value: True), clock=clock)
    assert type(surface.fail(given, lambda: "wait")) is StillPending


def test_a_stop_event_of_asyncio_in_synchronous_code(surface: Any, clock: FakeClock) -> None:
    """Nothing is refused when it runs, but a synchronous function is when it is decorated: its waits cannot be ended."""
    operation = scripted(DOWN, "body")
    given = policy(stop=asyncio.Event())
    if surface.name.endswith("decorator") and not surface.name.startswith("async"):
        with pytest.raises(TypeError, match=r"stop must be a threading\.Event for the synchronous"):
            surface.play(given, operation)
        assert operation.calls == []
    else:
        assert surface.play(given, operation) == "body"


def test_a_stop_event_of_asyncio_that_an_override_brings(surface: Any, clock: FakeClock) -> None:
    """In code that blocks its event loop nothing can set it during a wait: the error comes out all the same."""

    async def main() -> None:
        with override(stop=asyncio.Event()):
            assert await surface.caught(policy, scripted(*[DOWN] * 3)) is DOWN

    asyncio.run(main())
    assert clock.sleeps == [1, 1]
