"""Floor 3. Events, who is told of them, and the lines that are logged."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import signal
import subprocess
import sys
from contextvars import Context
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redouble
from redouble import (
    Classification,
    Event,
    EventKind,
    Reason,
    Verdict,
    constant,
    log_retries,
    override,
    pending,
    permanent,
    retry,
    transient,
)
from redouble.control import events, faults
from redouble.control.events import (
    DEFAULT_LOG,
    ENDED,
    audience,
    describe,
    error_text,
    kinds_of,
    notify,
    record_fields,
)
from redouble.control.masking import clean
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETRY = Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 0.25, TimeoutError("no answer"))
GIVE_UP = Event(EventKind.GIVE_UP, "fetch", 3, 3, 1.25, None, TimeoutError("no answer"), None, Reason.ATTEMPTS)
SUCCESS = Event(EventKind.SUCCESS, "fetch", 3, 2, 1.25)
PATIENT = retry(on=OSError, attempts=3, backoff=constant(1), name="fetch")


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been said yet."""
    monkeypatch.setattr(faults, "_said", set())


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All lines of all levels are captured."""
    with caplog.at_level(1), caplog.at_level(1, "redouble"):
        yield caplog


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Logger, level and text of every line."""
    return [(record.name, record.levelname, record.getMessage()) for record in caplog.records]


def fail(policy: Any, *outcomes: Any) -> None:
    """Call what fails as told, and let the error go."""
    with fake_time():
        try:
            policy.call(scripted(*outcomes))
        except Exception:
            return


# Events.


def test_an_event_is_a_value() -> None:
    """Events are frozen, compared by their fields, copied and pickled."""
    assert pickle.loads(pickle.dumps(SUCCESS)) == SUCCESS and copy.copy(RETRY) is RETRY
    with pytest.raises(AttributeError, match="Event is frozen"):
        RETRY.delay = 5.0  # type: ignore[misc]


def test_the_fields_of_an_event() -> None:
    """An event tells these things, and no argument values."""
    fields = "kind name attempt failures elapsed delay error classification reason limit ended_by delay_by"
    assert fields.split() == list(Event.FIELDS)


def test_the_kinds_of_events() -> None:
    """The kinds are shown as one would write them."""
    names = "RETRY SUCCESS GIVE_UP CONNECTED DROPPED PARKED ATTEMPT CALL HELD"
    assert [repr(kind) for kind in EventKind] == [f"EventKind.{name}" for name in names.split()]
    assert pickle.loads(pickle.dumps(EventKind.CALL)) is EventKind.CALL and len(set(EventKind)) == len(EventKind)


def test_a_redacted_error_is_not_shown() -> None:
    """Whoever prints an event does not print a secret."""
    error = OSError("s3cret")
    kept = Event(EventKind.RETRY, "login", 1, 1, 0.0, 1.0, error, Classification(Verdict.TRANSIENT, redact=True))
    assert "s3cret" not in repr(kept) and "error=OSError (message withheld)" in repr(kept)
    plain = Event(EventKind.RETRY, "login", 1, 1, 0.0, 1.0, error, Classification(Verdict.TRANSIENT))
    assert "OSError('s3cret')" in repr(plain)


def test_what_a_call_tells() -> None:
    """One event per retry, one for the success after a failure; each with its numbers."""
    told: list[Event] = []
    error = OSError("down")
    with fake_time():
        PATIENT(observers=[told.append]).call(scripted(error, error, "body"))
    found = Classification(Verdict.TRANSIENT, reason="by the rule transient(OSError)")
    assert told == [
        Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 1.0, error, found, limit=3, delay_by="curve"),
        Event(EventKind.RETRY, "fetch", 2, 2, 1.0, 1.0, error, found, limit=3, delay_by="curve"),
        Event(EventKind.SUCCESS, "fetch", 3, 2, 2.0, limit=3),
    ]


def test_what_a_call_tells_that_gives_up() -> None:
    """The give-up carries the last error, its classification and the reason."""
    told: list[Event] = []
    error = OSError("down")
    fail(PATIENT(observers=[told.append], attempts=2), error, error)
    found = Classification(Verdict.TRANSIENT, reason="by the rule transient(OSError)")
    assert told[1:] == [Event(EventKind.GIVE_UP, "fetch", 2, 2, 1.0, None, error, found, Reason.ATTEMPTS, limit=2)]


def test_a_permanent_error_is_told_of() -> None:
    """An error that is permanent on the first attempt gives an event, although no line is logged."""
    told: list[Event] = []
    fail(PATIENT(observers=[told.append], on=permanent(KeyError)), KeyError())
    assert [(event.kind, event.reason, event.attempt) for event in told] == [(EventKind.GIVE_UP, Reason.PERMANENT, 1)]


def test_a_success_at_once_is_not_told_of() -> None:
    """Where nothing failed there is nothing to tell."""
    told: list[Event] = []
    with fake_time():
        PATIENT(observers=[told.append]).call(scripted("body"))
    assert told == []


def test_an_unwanted_result_is_told_of() -> None:
    """A result that is not wanted gives events without an error."""
    told: list[Event] = []
    policy = PATIENT(result=transient(when=lambda value: value == "busy"), observers=[told.append])
    with fake_time():
        policy.call(scripted("busy", "body"))
    assert [(event.kind, event.error, event.delay) for event in told] == [
        (EventKind.RETRY, None, 1.0),
        (EventKind.SUCCESS, None, None),
    ]


# Observers.


def test_each_observer_is_told_in_order() -> None:
    """All observers hear of every event, in their order."""
    told: list[str] = []
    observers: list[Callable[[Event], None]] = [lambda event: told.append("one"), lambda event: told.append("two")]
    notify(tuple(observers), SUCCESS)
    assert told == ["one", "two"]


def test_an_observer_that_raises_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """It changes nothing: the others are told, the call goes on, and one line says so."""
    told: list[Event] = []

    def broken(event: Event) -> None:
        raise KeyError("broken")

    operation = scripted(OSError(), OSError(), "body")
    with fake_time():
        assert PATIENT(observers=[broken, told.append]).call(operation) == "body"
    assert len(told) == 3
    (line,) = [text for _, level, text in lines(caplog) if level == "WARNING"]
    assert "broken raised KeyError('broken'); the retried call goes on" in line


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_passes_out_of_an_observer(kind: type[BaseException]) -> None:
    """An observer may end the program."""

    def quitting(event: Event) -> None:
        raise kind

    with fake_time(), pytest.raises(kind):
        PATIENT(observers=[quitting]).call(scripted(OSError(), "body"))


# log_retries: what is logged by default.


def test_by_default_retries_and_give_ups_are_logged(everything: pytest.LogCaptureFixture) -> None:
    """One line per retry at INFO, one per give-up at WARNING, on the logger `redouble`; nothing for a success."""
    fail(PATIENT, OSError("one"), OSError("two"), "body")
    fail(PATIENT, *[OSError("down")] * 3)
    assert lines(everything) == [
        ("redouble", "INFO", "fetch: attempt 1 of 3 failed with OSError: one; trying again in 1 s"),
        ("redouble", "INFO", "fetch: attempt 2 of 3 failed with OSError: two; trying again in 1 s"),
        ("redouble", "INFO", "fetch: attempt 1 of 3 failed with OSError: down; trying again in 1 s"),
        ("redouble", "INFO", "fetch: attempt 2 of 3 failed with OSError: down; trying again in 1 s"),
        (
            "redouble",
            "WARNING",
            "fetch: gave up on attempt 3 of 3 after 2.00 s: attempts used up; it failed with OSError: down",
        ),
    ]


def test_the_default_log_is_there_besides_other_observers(everything: pytest.LogCaptureFixture) -> None:
    """An observer that is no log does not replace it."""
    fail(PATIENT(observers=[print]), OSError("one"), "body")
    assert len(everything.records) == 1


def test_a_log_of_ones_own_replaces_the_default_one(everything: pytest.LogCaptureFixture) -> None:
    """A policy that names a `log_retries` has that instead."""
    fail(PATIENT(observers=[log_retries("shop", logging.DEBUG)]), OSError("one"), "body")
    assert [(record.name, record.levelname) for record in everything.records] == [("shop", "DEBUG")]


@pytest.mark.parametrize("reason", [Reason.PERMANENT, Reason.NESTED])
def test_where_nothing_was_retried_nothing_is_logged(reason: Reason, everything: pytest.LogCaptureFixture) -> None:
    """Permanent, or given up by an inner retry, on the first attempt: that is not ours to say."""
    for number in (1, 2):
        log_retries("shop")(Event(EventKind.GIVE_UP, "fetch", number, 1, 0.5, None, OSError(), None, reason))
    assert [text[:29] for _, _, text in lines(everything)] == ["fetch: gave up on attempt 2 a"]


@pytest.mark.parametrize("reason", [each for each in Reason if each not in (Reason.PERMANENT, Reason.NESTED)])
def test_other_ends_of_a_first_attempt_are_logged(reason: Reason, everything: pytest.LogCaptureFixture) -> None:
    """For every other reason a single attempt has its line too, a WARNING unless the end was asked for."""
    log_retries("shop")(Event(EventKind.GIVE_UP, "fetch", 1, 1, 0.5, None, OSError(), None, reason))
    assert [level for _, level, _ in lines(everything)] == ["INFO" if reason is Reason.STOPPED else "WARNING"]


# log_retries: what can be changed.


@pytest.mark.parametrize(
    ("level", "retried", "given_up"),
    [(1, "Level 1", "WARNING"), (10, "DEBUG", "WARNING"), (30, "WARNING", "WARNING"), (40, "ERROR", "ERROR")],
)
def test_the_level_is_that_of_retries(
    level: int, retried: str, given_up: str, everything: pytest.LogCaptureFixture
) -> None:
    """Give-ups are logged at WARNING, or higher where retries are."""
    log = log_retries(logging.getLogger("shop"), level)
    log(RETRY)
    log(GIVE_UP)
    assert [name for _, name, _ in lines(everything)] == [retried, given_up]


def test_a_logger_comes_as_an_object_or_by_name(everything: pytest.LogCaptureFixture) -> None:
    """A logger, an adapter or a name will do; without any it is `redouble`."""
    adapter = logging.LoggerAdapter(logging.getLogger("shop.adapter"), {})
    for logger in (None, "shop", logging.getLogger("shop.object"), adapter):
        log_retries(logger)(RETRY)  # type: ignore[arg-type]
    assert [record.name for record in everything.records] == ["redouble", "shop", "shop.object", "shop.adapter"]


def test_extra_is_handed_to_the_logger(everything: pytest.LogCaptureFixture) -> None:
    """Each line carries the extra fields, as they were when the log was made."""
    extra = {"shop": 7}
    log = log_retries("shop", extra=extra)
    extra["shop"] = 8
    log(RETRY)
    log(GIVE_UP)
    assert [record.__dict__["shop"] for record in everything.records] == [7, 7]


def test_once_logs_the_first_retry_only(everything: pytest.LogCaptureFixture) -> None:
    """With `once` an episode has one line for its first retry, and one for the give-up."""
    policy = PATIENT(attempts=5, observers=[log_retries("shop", once=True)])
    for _ in range(2):
        fail(policy, *[OSError("down")] * 5)
    assert [text.partition(";")[0][:24] for _, _, text in lines(everything)] == [
        "fetch: attempt 1 of 5 fa",
        "fetch: gave up on attemp",
    ] * 2


def test_once_and_answers_that_are_not_ready(everything: pytest.LogCaptureFixture) -> None:
    """Also where nothing fails but the answer is not ready, one line is enough."""
    policy = PATIENT(result=pending(when=lambda value: value == "running"), observers=[log_retries("shop", once=True)])
    fail(policy, *["running"] * 4, "done")
    assert [text[:16] for _, _, text in lines(everything)] == ["fetch: attempt 1"]


def test_without_once_every_retry_has_its_line(everything: pytest.LogCaptureFixture) -> None:
    """Without `once` there are as many lines as retries."""
    fail(PATIENT(attempts=5, observers=[log_retries("shop")]), *[OSError("down")] * 4, 1)
    assert len(everything.records) == 4


A_LOGGER = (
    "logger must be a logging.Logger, its name or None (an object of your own needs the methods log and isEnabledFor)"
)


@pytest.mark.parametrize(
    ("arguments", "keywords", "kind", "message"),
    [
        ((5,), {}, TypeError, f"{A_LOGGER}, got 5"),
        ((logging.Logger,), {}, TypeError, f"{A_LOGGER}, got "),
        ((SimpleNamespace(log=print),), {}, TypeError, f"{A_LOGGER}, got namespace(log="),
        ((None, "INFO"), {}, TypeError, "level must be a whole number >= 1, got 'INFO'"),
        ((None, True), {}, TypeError, "level must be a whole number >= 1, got True"),
        ((None, 0), {}, ValueError, "level must be a whole number >= 1, got 0"),
        ((), {"once": 1}, TypeError, "once must be True or False, got 1"),
        ((), {"extra": 5}, TypeError, "extra must be a mapping or None, got 5"),
        ((), {"extra": "ab"}, TypeError, "extra must be a mapping or None, got 'ab'"),
        (
            (),
            {"extra": {"retry": 1}},
            ValueError,
            "extra must not name a field that a log record has itself, got 'retry'",
        ),
        (
            (),
            {"extra": {"name": 1}},
            ValueError,
            "extra must not name a field that a log record has itself, got 'name'",
        ),
        ((), {"redact": "password"}, TypeError, "redact must be a callable, got 'password'"),
        ((), {"exc_info": 1}, TypeError, "exc_info must be True or False, got 1"),
        ((), {"redact": str.upper, "exc_info": True}, ValueError, "redact and exc_info=True contradict each other"),
    ],
)
def test_a_log_with_bad_arguments(
    arguments: tuple[Any, ...], keywords: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """Bad arguments are refused where the log is made, by name, rule and value."""
    with pytest.raises(kind) as caught:
        log_retries(*arguments, **keywords)
    assert caught.type is kind and str(caught.value).startswith(message)


def test_the_repr_of_a_log() -> None:
    """The repr shows how it was made, and evaluates back where the logger is a name."""
    log = log_retries("shop", 10, once=True, extra={"shop": 7}, exc_info=True)
    assert repr(log) == "log_retries('shop', 10, once=True, extra={'shop': 7}, exc_info=True)"
    assert repr(eval(repr(log))) == repr(log)
    assert repr(DEFAULT_LOG) == "log_retries(None, 20)"


@pytest.mark.parametrize(
    ("threshold", "retries", "give_ups"), [(10, True, True), (20, True, True), (30, False, True), (40, False, False)]
)
def test_a_log_knows_whether_anybody_listens(threshold: int, retries: bool, give_ups: bool) -> None:
    """Lines that would reach nobody are not made; asking twice gives the same."""
    logger = logging.getLogger("shop.quiet")
    logger.setLevel(threshold)
    try:
        for log in (log_retries("shop.quiet"), log_retries(logger)):
            for _ in range(2):
                assert log.hears_retries() is log.wants(EventKind.RETRY) is retries
                assert log.wants(EventKind.GIVE_UP) is give_ups
    finally:
        logger.setLevel(logging.NOTSET)


def test_lines_that_nobody_hears_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is not put together for a level that is off."""
    monkeypatch.setattr(events, "describe", lambda event: pytest.fail("described"))
    logger = logging.getLogger("shop.quiet")
    logger.setLevel(logging.ERROR)
    try:
        log_retries(logger)(RETRY)
        log_retries(logger)(GIVE_UP)
    finally:
        logger.setLevel(logging.NOTSET)


def test_while_nobody_loaded_logging_only_warnings_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program can have asked for lines below WARNING then, so `logging` need not be loaded to find out."""
    monkeypatch.setattr(faults, "loaded_logging", lambda: None)
    log = log_retries()
    assert not log.hears_retries() and not log.wants(EventKind.RETRY) and log.wants(EventKind.GIVE_UP)
    assert log_retries(level=30).hears_retries()
    assert not any(DEFAULT_LOG.wants(kind) for kind in EventKind)


def run_fresh(script: str) -> str:
    """Run a script in a fresh interpreter, and return what it printed on stderr."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


GIVING_UP = (
    "import sys, redouble\n"
    "def fail(): raise OSError('down')\n"
    "def give_up(**fields):\n"
    "    try: redouble.retry(on=OSError, attempts=2, backoff=redouble.constant(0), **fields).call(fail)\n"
    "    except OSError: pass\n"
)


def test_a_program_that_configured_no_logging_sees_no_events() -> None:
    """Giving up neither prints on stderr nor loads `logging`, nor does it print where `logging` is loaded only."""
    silent = "give_up(); assert 'logging' not in sys.modules; import logging; give_up(); logging.getLogger('redouble')"
    assert run_fresh(GIVING_UP + silent) == ""


def test_a_log_that_was_asked_for_is_printed_without_any_configuration() -> None:
    """Who writes `log_retries` wants its lines; Python prints those from WARNING on."""
    printed = run_fresh(GIVING_UP + "give_up(observers=[redouble.log_retries()])")
    assert "gave up on attempt 2 of 2" in printed and "trying again" not in printed


def test_a_program_that_configured_no_logging_sees_advice() -> None:
    """A mistake in the program, such as an observer that raises, is told on stderr."""
    assert "observer <lambda> raised ZeroDivisionError" in run_fresh(
        GIVING_UP + "give_up(observers=[lambda event: 1 / 0])"
    )


def test_a_handler_anywhere_makes_a_program_configured() -> None:
    """A handler of the logger `redouble` or of the root gets the give-up."""
    for name in ("'redouble'", ""):
        configured = f"import logging; logging.getLogger({name}).addHandler(logging.StreamHandler()); give_up()"
        assert run_fresh(GIVING_UP + configured).count("gave up on attempt 2 of 2") == 1


# The lines.


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (RETRY, "fetch: attempt 1 failed with TimeoutError: no answer; trying again in 0.25 s"),
        (
            GIVE_UP,
            "fetch: gave up on attempt 3 after 1.25 s: attempts used up; it failed with TimeoutError: no answer",
        ),
        (SUCCESS, "fetch: attempt 3 succeeded after 2 failures in 1.25 s"),
        (Event(EventKind.SUCCESS, "fetch", 2, 1, 0.5), "fetch: attempt 2 succeeded after 1 failure in 0.50 s"),
        (
            Event(EventKind.RETRY, None, 2, 1, 0.0, 3.14159, OSError()),
            "a retried call: attempt 2 failed with OSError; trying again in 3.14 s",
        ),
        (
            Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 2, None, Classification(Verdict.TRANSIENT, reason="busy")),
            "fetch: attempt 1 gave an unwanted result (busy); trying again in 2 s",
        ),
        (
            Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 2),
            "fetch: attempt 1 gave an unwanted result (no reason given); trying again in 2 s",
        ),
        (
            Event(
                EventKind.RETRY, "login", 1, 0, 0.0, 5, TimeoutError(), Classification(Verdict.PENDING, reason="wait")
            ),
            "login: attempt 1 is pending with TimeoutError; asking again in 5 s",
        ),
        (
            Event(EventKind.RETRY, "job", 1, 0, 0.0, 5, None, Classification(Verdict.PENDING, reason="wait")),
            "job: attempt 1 is pending (wait); asking again in 5 s",
        ),
        (
            Event(EventKind.GIVE_UP, "fetch", 1, 0, 2.0, None, None, None, Reason.STOPPED),
            "fetch: gave up on attempt 1 after 2.00 s: stopped",
        ),
        (Event(EventKind.CONNECTED, "link", 3, 0, 1.0), "link: attempt 3 connected after no failures in 1.00 s"),
        (Event(EventKind.DROPPED, "link", 3, 0, 1.0), "link: the connection of attempt 3 ended"),
        (
            Event(EventKind.DROPPED, "link", 3, 0, 1.0, None, OSError("x")),
            "link: the connection of attempt 3 failed with OSError: x",
        ),
        (
            Event(EventKind.PARKED, "link", 7, 7, 1.0),
            "link: parked after attempt 7: it connects again when it is reset",
        ),
        (
            Event(EventKind.PARKED, "link", 7, 7, 1.0, 900, None, Classification(Verdict.PERMANENT, reason="bad key")),
            "link: parked after attempt 7 (bad key): it connects again when it is reset, and tries once in 900 s",
        ),
        (
            Event(EventKind.HELD, "fetch", 1, 0, 0.0, 9.75, limit=3, delay_by="cooldown"),
            "fetch: attempt 1 of 3 is held back for 9.75 s, as the server asked of another call",
        ),
        (
            Event(EventKind.RETRY, "fetch", 2, 2, 0.3, 17, OSError("x"), None, limit=6, delay_by="cooldown"),
            "fetch: attempt 2 of 6 failed with OSError: x; trying again in 17 s, as the server asked of another call",
        ),
        (Event(EventKind.RETRY, "link", 3, 1, 1.0, 2, None, ENDED), "link: attempt 3 ended; trying again in 2 s"),
        (
            Event(EventKind.RETRY, "fetch", 2, 2, 0.3, 17, OSError("x"), None, limit=6, delay_by="server"),
            "fetch: attempt 2 of 6 failed with OSError: x; trying again in 17 s, as the server asked",
        ),
        (
            Event(EventKind.RETRY, "fetch", 2, 2, 0.3, 17, OSError("x"), None, limit=6, delay_by="curve"),
            "fetch: attempt 2 of 6 failed with OSError: x; trying again in 17 s",
        ),
        (
            Event(
                EventKind.RETRY,
                "fetch",
                1,
                1,
                0.3,
                300,
                OSError("x"),
                Classification(Verdict.TRANSIENT, retry_after=900.0),
                delay_by="server",
            ),
            "fetch: attempt 1 failed with OSError: x; trying again in 300 s (the server asked for 900 s)",
        ),
        (
            Event(EventKind.RETRY, "link", 12, 2, 90.0, 1, OSError("x"), None, limit=6),
            "link: attempt 12 failed with OSError: x (failure 2 of 6 in a row); trying again in 1 s",
        ),
        (
            Event(EventKind.GIVE_UP, "link", 12, 6, 90.0, None, OSError("x"), None, Reason.ATTEMPTS, limit=6),
            "link: gave up on attempt 12 after 90.00 s: attempts used up; it failed with OSError: x (failure 6 of 6 in"
            " a row)",
        ),
        (
            Event(EventKind.RETRY, "job", 7, 0, 9.0, 5, None, Classification(Verdict.PENDING, reason="wait"), limit=3),
            "job: attempt 7 is pending (wait); asking again in 5 s",
        ),
        (
            Event(EventKind.GIVE_UP, "fetch", 2, 2, 1.0, None, OSError("x"), None, Reason.DEADLINE, None, "scope"),
            "fetch: gave up on attempt 2 after 1.00 s: the next attempt would come after the deadline of a scope around"
            " it; it failed with OSError: x",
        ),
        (
            Event(EventKind.GIVE_UP, "fetch", 2, 2, 1.0, None, OSError("x"), None, Reason.DEADLINE, None, "own"),
            "fetch: gave up on attempt 2 after 1.00 s: the next attempt would come after the deadline; it failed with"
            " OSError: x",
        ),
        (
            Event(EventKind.SUCCESS, "fetch", 3, 2, 1.25, limit=6),
            "fetch: attempt 3 of 6 succeeded after 2 failures in 1.25 s",
        ),
        (Event(EventKind.ATTEMPT, "fetch", 2, 1, 0.5, limit=6), "fetch: attempt 2 of 6 begins"),
        (Event(EventKind.ATTEMPT, "fetch", 2, 0, 0.5), "fetch: attempt 2 begins"),
        (Event(EventKind.CALL, "fetch", 1, 0, 0.5, limit=6), "fetch: attempt 1 of 6 succeeded in 0.50 s"),
        (
            Event(EventKind.GIVE_UP, "fetch", 1, 1, 0.0, None, OSError("x")),
            "fetch: gave up on attempt 1 after 0.00 s: no reason given; it failed with OSError: x",
        ),
    ],
)
def test_the_line_of_an_event(event: Event, line: str) -> None:
    """One line says who, which attempt, what failed, and what follows."""
    assert describe(event) == line


@pytest.mark.parametrize(
    ("delay", "text"),
    [(0.0, "0 s"), (0.0012345, "0.00123 s"), (12.345, "12.3 s"), (999.0, "999 s"), (86400.0, "86400 s")],
)
def test_waits_are_told_in_plain_numbers(delay: float, text: str) -> None:
    """A wait reads as a person would write it, short ones and long ones."""
    line = describe(Event(EventKind.RETRY, "fetch", 1, 1, 0.0, delay, OSError()))
    assert line.endswith(f"trying again in {text}")


def test_a_redacted_message_is_kept_out_of_logs(everything: pytest.LogCaptureFixture) -> None:
    """What a rule says may carry a secret does not show; the type of the error does."""
    rule = transient(OSError, redact=True)
    fail(PATIENT(on=rule, attempts=2), OSError("password=hunter2"), OSError("password=hunter2"))
    assert "hunter2" not in everything.text
    assert everything.text.count("OSError (message withheld)") == 2


def test_no_argument_values_are_logged(everything: pytest.LogCaptureFixture) -> None:
    """What the function was called with may be a secret too."""
    with fake_time(), pytest.raises(OSError):
        PATIENT.call(scripted(*[OSError("down")] * 3), "hunter2", token="hunter2")
    assert "hunter2" not in everything.text


class UnprintableError(Exception):
    """An error whose message raises."""

    def __str__(self) -> str:
        raise RuntimeError("no message")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("down"), "OSError: down"),
        (OSError(), "OSError"),
        (KeyError("k"), "KeyError: 'k'"),
        (OSError("two\nlines\ttabbed"), "OSError: two lines tabbed"),
        (OSError("\x1b[31mred\x00"), "OSError:  [31mred "),
        (UnprintableError(), "UnprintableError (its message cannot be shown)"),
        (OSError("x" * 5000), "OSError: " + "x" * 199 + "…"),
        (OSError("x" * 200), "OSError: " + "x" * 200),
    ],
)
def test_the_text_of_an_error(error: Exception, text: str) -> None:
    """Type and message, on one line, without control characters, of a sane length."""
    assert error_text(error) == text


def test_a_line_cannot_be_forged(everything: pytest.LogCaptureFixture) -> None:
    """A message with line breaks of every kind stays on one line."""
    fail(PATIENT(attempts=1), OSError("a\r\nb\x0bc\x0cd\x85e\u2028f\u2029WARNING: forged"))
    (line,) = [text for _, _, text in lines(everything)]
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "longest", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, ""), ("a\nb", 200, "a b"), ("äöü€", 200, "äöü€")],
)
def test_cleaning_text(text: str, longest: int, expected: str) -> None:
    """Printable text stays as it is; what is longer is cut to the given length."""
    assert clean(text, longest) == expected
    assert len(clean(text, longest)) <= longest


@pytest.mark.parametrize("name", ["Event", "EventKind", "log_retries"])
def test_what_users_see_is_named_as_they_import_it(name: str) -> None:
    """Reprs and tracebacks say `redouble.Event`."""
    assert getattr(redouble, name).__module__ == "redouble"


# Who is told of which kind.


def observing(*kinds: EventKind) -> tuple[list[Event], Any]:
    """An observer with `kinds`, and what it was told."""
    told: list[Event] = []

    def observe(event: Event) -> None:
        told.append(event)

    if kinds:
        observe.kinds = set(kinds)  # type: ignore[attr-defined]
    return told, observe


EVENTS = [Event(kind, "fetch", 1, 0, 0.0) for kind in EventKind]


def test_an_observer_without_kinds_is_told_of_the_usual_ones() -> None:
    """All but those that a call makes which needs no retry."""
    told, observe = observing()
    for event in EVENTS:
        audience((observe,)).tell(event)
    assert {event.kind for event in told} == set(EventKind) - {EventKind.ATTEMPT, EventKind.CALL}


@given(st.sets(st.sampled_from(EventKind), min_size=1), st.sets(st.sampled_from(EventKind), min_size=1))
def test_an_observer_with_kinds_is_told_of_no_others(one: set[EventKind], other: set[EventKind]) -> None:
    """Each observer hears of its own kinds alone; and one of them hears where an event needs to be made."""
    first, second = observing(*one), observing(*other)
    told = audience((first[1], second[1], log_retries("shop.quiet", 100)))
    for event in EVENTS:
        told.tell(event)
    assert ({event.kind for event in first[0]}, {event.kind for event in second[0]}) == (one, other)
    heard = {kind for kind in EventKind if told.hears(kind)}
    assert one | other <= heard <= one | other | set(log_retries.kinds)


def test_without_an_observer_that_asks_no_attempt_is_heard() -> None:
    """A call that succeeds at once makes no event where no observer names its kinds."""
    _, observe = observing()
    for observers in ((), None, (observe,), (log_retries(level=1),)):
        assert not any(audience(observers).hears(kind) for kind in (EventKind.ATTEMPT, EventKind.CALL))


def test_all_kinds_may_be_asked_for_by_their_enum() -> None:
    """`kinds = EventKind` means all of them."""
    assert kinds_of(SimpleNamespace(kinds=EventKind)) == set(EventKind)


@pytest.mark.parametrize("observer", [print, Mock(), MagicMock(), SimpleNamespace(kinds=None)])
def test_what_names_no_kinds(observer: object) -> None:
    """A mock answers every name; it is an observer like any other."""
    assert kinds_of(observer) == set(EventKind) - {EventKind.ATTEMPT, EventKind.CALL}


@pytest.mark.parametrize("kinds", ["RETRY", {"retry"}, [EventKind.RETRY, None], 5, EventKind.RETRY, {"retry": 1}])
def test_kinds_that_are_none_are_refused(kinds: object, caplog: pytest.LogCaptureFixture) -> None:
    """The message says how to write them; an observer that gets as far as a call is told of the usual kinds."""
    observer = Mock(kinds=kinds)
    with pytest.raises(TypeError, match=r"kinds of an observer must be a set of EventKind, such as \{EventKind\.RETRY"):
        kinds_of(observer)
    audience((observer,)).tell(RETRY)
    observer.assert_called_once_with(RETRY)
    assert "it is told of the usual kinds" in caplog.text


def test_none_silences_everything(everything: pytest.LogCaptureFixture) -> None:
    """Without any audience neither an observer nor the log is told."""
    for event in EVENTS:
        audience(None).tell(event)
    assert not any(audience(None).hears(kind) for kind in EventKind) and everything.records == []


def test_the_default_log_is_in_every_audience_without_a_log(everything: pytest.LogCaptureFixture) -> None:
    """It is first, and left out where a `log_retries` is among the observers; an audience of none is made once."""
    assert audience(()) is audience(()) and repr(audience((print,))) == "<redouble.Audience of 2 observers>"
    for observers in ((), (print,), (log_retries("mine"),), (log_retries("mine"), print)):
        audience(observers).tell(GIVE_UP)
    assert [record.name for record in everything.records] == ["redouble", "redouble", "mine", "mine"]


def test_whether_the_log_hears_follows_its_level() -> None:
    """What the default log hears is asked anew each time: a program may turn it up."""
    logger, told = logging.getLogger("redouble"), audience(())
    for level, heard in ((logging.INFO, 5), (logging.WARNING, 2), (logging.ERROR, 0)):
        logger.setLevel(level)
        try:
            assert sum(told.hears(kind) for kind in EventKind) == heard
        finally:
            logger.setLevel(logging.NOTSET)


def test_a_log_may_ask_for_more_kinds(everything: pytest.LogCaptureFixture) -> None:
    """A subclass that names `kinds` logs those."""

    class Chatty(log_retries):
        kinds = frozenset({EventKind.SUCCESS, EventKind.CALL})

    for event in (SUCCESS, RETRY, Event(EventKind.CALL, "fetch", 1, 0, 0.25)):
        audience((Chatty("shop"),)).tell(event)
    assert [text for _, _, text in lines(everything)] == [
        "fetch: attempt 3 succeeded after 2 failures in 1.25 s",
        "fetch: attempt 1 succeeded in 0.25 s",
    ]


# What goes wrong in those who are told.


class Hostile:
    """An observer that raises for whatever is asked of it."""

    def __call__(self, event: Event) -> None:
        raise KeyError("called")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("shown")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    def __hash__(self) -> int:
        raise RuntimeError("hashed")

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("classified")


class HostileKind(type):
    """A metaclass that guards what is read off its classes."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__qualname__", "__name__", "__module__"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


class HostileError(Exception, metaclass=HostileKind):
    """An error that raises for whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("said")

    __repr__ = __str__
    __hash__ = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class HostileLogger:
    """A logger of which one method raises."""

    def __init__(self, method: str, error: type[BaseException] = KeyError) -> None:
        self.method, self.error = method, error

    def _maybe(self, method: str) -> None:
        if method == self.method:
            raise self.error(method)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        self._maybe("isEnabledFor")
        return True

    def log(self, level: int, message: str, **keywords: Any) -> None:
        self._maybe("log")

    def __repr__(self) -> str:
        self._maybe("__repr__")
        return "a logger"


HOSTILE_OBSERVERS: dict[str, Callable[[], Any]] = {
    "an observer": Hostile,
    "isEnabledFor": lambda: log_retries(HostileLogger("isEnabledFor")),  # type: ignore[arg-type]
    "log": lambda: log_retries(HostileLogger("log")),  # type: ignore[arg-type]
    "a logger that cannot be shown": lambda: log_retries(HostileLogger("__repr__")),  # type: ignore[arg-type]
    "redact": lambda: log_retries("shop", 1, redact=lambda line: 1 / 0),  # type: ignore[arg-type,return-value]
    "plain": lambda: log_retries("shop", 1, exc_info=True),
}


@pytest.mark.parametrize("raising", [None, "filter", "handler"])
@pytest.mark.parametrize(
    "make", [lambda: None, OSError, lambda: HostileError(), lambda: ExceptionGroup("g", [OSError()])]
)
@pytest.mark.parametrize("observer", HOSTILE_OBSERVERS)
def test_nothing_comes_out_of_telling(
    observer: str, make: Callable[[], Any], raising: str | None, everything: pytest.LogCaptureFixture
) -> None:
    """Whatever observer, error, filter or handler raises: nothing comes out, and the next observer is told."""
    logger = logging.getLogger("redouble")
    refuse = Mock(side_effect=KeyError("filter"))
    handler = Mock(spec=logging.Handler, level=0, handle=Mock(side_effect=KeyError("handler")))
    told: list[Event] = []
    try:
        if raising == "filter":
            logger.addFilter(refuse)
        if raising == "handler":
            logger.addHandler(handler)
        heard = audience((HOSTILE_OBSERVERS[observer](), told.append))
        for kind in EventKind:
            heard.hears(kind)
            heard.tell(Event(kind, "fetch", 2, 2, 0.5, 1.0, make(), None, Reason.ATTEMPTS))
    finally:
        logger.removeFilter(refuse)
        logger.removeHandler(handler)
    assert len(told) == 7


@pytest.mark.parametrize("observer", [*HOSTILE_OBSERVERS][1:])  # a policy refuses the first when it is written
def test_a_hostile_observer_does_not_hide_the_error(observer: str) -> None:
    """The operation's own error comes out of the call, and its retries are made."""
    operation = scripted(*[OSError("mine")] * 3)
    with fake_time(), pytest.raises(OSError, match="mine"):
        PATIENT(observers=[HOSTILE_OBSERVERS[observer]()]).call(operation)
    assert len(operation.calls) == 3


@pytest.mark.parametrize("method", ["isEnabledFor", "log"])
def test_a_base_exception_of_a_logger_passes(method: str) -> None:
    """Ctrl-C within a log line is not swallowed; the next line is written again."""
    log = log_retries(HostileLogger(method, KeyboardInterrupt))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        audience((log,)).tell(RETRY)
    assert not faults.is_saying()


def test_a_logger_that_raises_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line says that its lines are left out."""
    told = audience((log_retries(HostileLogger("isEnabledFor")),))  # type: ignore[arg-type]
    for _ in range(3):
        assert not told.hears(EventKind.RETRY)
    assert [record.getMessage() for record in caplog.records] == [
        "logger a logger raised KeyError('isEnabledFor'); its lines are left out"
    ]


class SoftTimeLimitExceeded(Exception):  # noqa: N818  # Celery's name
    """As Celery's: raised by the handler of a signal."""


@pytest.fixture
def alarm() -> Iterator[Callable[[], None]]:
    """A function that is interrupted by a signal whose handler raises."""

    def on_signal(number: int, frame: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, on_signal)
    yield lambda: signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1")
@pytest.mark.parametrize("place", ["observer", "rule", "redact", "isEnabledFor", "log", "message"])
def test_the_error_of_a_signal_is_the_callers(
    place: str, alarm: Callable[[], None], everything: pytest.LogCaptureFixture
) -> None:
    """A time limit that strikes within an observer, a rule or a log line is no fault of theirs: it passes."""
    logger = HostileLogger("")
    message = type("Message", (OSError,), {"__str__": lambda self: alarm()})  # type: ignore[misc,return-value]
    error = message() if place == "message" else OSError("down")
    observers: dict[str, Any] = {
        "observer": lambda event: alarm(),
        "redact": log_retries("shop", redact=lambda line: alarm() or line),  # type: ignore[func-returns-value]
        "isEnabledFor": log_retries(logger),  # type: ignore[arg-type]
        "log": log_retries(logger),  # type: ignore[arg-type]
    }
    if place in ("isEnabledFor", "log"):
        setattr(logger, place, lambda *_, **__: alarm())
    on = (lambda error: alarm()) if place == "rule" else OSError
    with fake_time(), pytest.raises(SoftTimeLimitExceeded):
        PATIENT(on=on, observers=[observers.get(place, log_retries("shop"))]).call(scripted(error, "body"))
    assert not any(record.levelname == "WARNING" for record in everything.records) and not faults.is_saying()


# What the records carry.


def test_a_record_carries_the_fields(everything: pytest.LogCaptureFixture) -> None:
    """`record.retry` has the event as plain values, for a formatter that writes JSON."""
    found = Classification(Verdict.TRANSIENT, reason="busy")
    log = log_retries("shop")
    log(Event(EventKind.RETRY, "fetch", 2, 2, 0.5, 17.0, OSError("x"), found, limit=6, delay_by="server"))
    log(Event(EventKind.GIVE_UP, None, 3, 3, 1.5, None, None, None, Reason.DEADLINE, None, "scope"))
    assert [json.loads(json.dumps(record.__dict__["retry"])) for record in everything.records] == [
        {
            "kind": "RETRY",
            "name": "fetch",
            "attempt": 2,
            "limit": 6,
            "failures": 2,
            "elapsed": 0.5,
            "delay": 17.0,
            "delay_by": "server",
            "error": "OSError",
            "verdict": "TRANSIENT",
            "reason": None,
            "ended_by": None,
        },
        {
            "kind": "GIVE_UP",
            "name": None,
            "attempt": 3,
            "limit": None,
            "failures": 3,
            "elapsed": 1.5,
            "delay": None,
            "delay_by": None,
            "error": None,
            "verdict": None,
            "reason": "DEADLINE",
            "ended_by": "scope",
        },
    ]


class Structured:
    """A logger as structlog's: it binds fields, and takes them as keywords."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str, dict[str, Any]]] = []

    def bind(self, **fields: Any) -> Structured:
        return self

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return True

    def log(self, level: int, event: str, *values: object, **fields: Any) -> None:
        assert not values
        self.calls.append((level, event, fields))


def test_a_structured_logger_gets_keywords() -> None:
    """No `extra=` and no `exc_info=False` turns up among its fields."""
    logger = Structured()
    log_retries(logger)(RETRY)  # type: ignore[arg-type]
    log_retries(logger, extra={"shop": 7, "name": "me"}, exc_info=True)(RETRY)  # type: ignore[arg-type]
    line = "fetch: attempt 1 failed with TimeoutError: no answer; trying again in 0.25 s"
    fields = record_fields(RETRY)
    assert logger.calls == [
        (20, line, {"retry": fields}),
        (20, line, {"retry": fields, "shop": 7, "name": "me", "exc_info": RETRY.error}),
    ]


def test_a_traceback_is_logged_where_it_is_asked_for(everything: pytest.LogCaptureFixture) -> None:
    """`exc_info` adds the error's traceback, but never for an error that is to be redacted."""
    log = log_retries("shop", exc_info=True)
    log(RETRY)
    log(Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 1.0, OSError("x"), Classification(Verdict.TRANSIENT, redact=True)))
    log(Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 1.0))
    log_retries("shop")(RETRY)
    assert [record.exc_info and record.exc_info[1] for record in everything.records] == [RETRY.error, None, None, None]


# Secrets.

LEAKING = OSError("GET https://me:hunter2@example.org/ws?room=7&token=hunter2 failed")


def test_secrets_in_a_url_are_masked(everything: pytest.LogCaptureFixture) -> None:
    """Neither the line, nor the record, nor the event's repr shows them; the rest of the URL is there."""
    told: list[Event] = []
    fail(PATIENT(observers=[told.append]), *[LEAKING] * 3)
    assert "https://me:***@example.org/ws?room=7&token=*** failed" in everything.text
    shown = everything.text + "".join(map(str, [vars(record) for record in everything.records])) + repr(told)
    assert "hunter2" not in shown


def test_a_secret_in_a_reason_or_a_fault_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """A rule's reason and the error of an observer are text of others, too."""
    found = Classification(Verdict.TRANSIENT, reason=str(LEAKING))
    assert "hunter2" not in describe(Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 1.0, None, found))
    faults.report("observer", print, LEAKING, "the retried call goes on")
    assert "hunter2" not in caplog.text and "room=7" in caplog.text


def test_redact_changes_the_line(everything: pytest.LogCaptureFixture) -> None:
    """A function of one's own gets the line, masked already, and its answer is logged on one line."""
    seen: list[str] = []

    def redact(line: str) -> str:
        seen.append(line)
        return line.replace("room=7", "room=?") + "\nforged"

    fail(PATIENT(observers=[log_retries("shop", redact=redact)]), LEAKING, "body")
    (line,) = [text for _, _, text in lines(everything)]
    assert "room=?&token=***" in line and line.endswith(" forged") and "hunter2" not in seen[0]


@pytest.mark.parametrize("redact", [lambda line: {}[line], lambda line: None, lambda line: line.encode()])
def test_redact_that_fails_withholds_the_message(redact: Any, everything: pytest.LogCaptureFixture) -> None:
    """Better no message than one that was to be redacted: not even by way of the error that `redact` raised."""
    error = OSError("the secret of the house")
    found = Classification(Verdict.TRANSIENT, reason="the secret of the house")
    log = log_retries("shop", redact=redact)
    for number in (1, 2):
        log(Event(EventKind.RETRY, "fetch", number, number, 0.0, 1.0, error, found))
        log(Event(EventKind.RETRY, "fetch", number, number, 0.0, 1.0, None, found))
    assert "house" not in everything.text
    assert everything.text.count("OSError (message withheld); trying again in 1 s") == 2
    assert everything.text.count("; messages are withheld") == 1


# A logger that is itself retried.


class Shipping(logging.Handler):
    """A handler that sends each line by a retried function, which fails."""

    def __init__(self, send: Callable[[], object]) -> None:
        super().__init__()
        self.send = send
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        try:
            self.send()
        except OSError:
            return


@pytest.fixture
def shipping() -> Iterator[tuple[Shipping, list[int]]]:
    """A handler of the root that ships lines, and the number of its sends."""
    sends: list[int] = []

    @PATIENT(name="ship")
    def send() -> None:
        sends.append(1)
        raise OSError("the log server is down")

    handler, root = Shipping(send), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler, sends
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_handler_that_ships_by_a_retried_function(shipping: tuple[Shipping, list[int]]) -> None:
    """It is called once for each line of the call, and for none of its own retries."""
    handler, sends = shipping
    fail(PATIENT, *[OSError("down")] * 3)
    assert len(handler.lines) == 3 and all(line.startswith("fetch: ") for line in handler.lines)
    assert len(sends) == 3 * 3


def test_an_observer_beneath_a_log_line_is_told(shipping: tuple[Shipping, list[int]]) -> None:
    """Only lines are left out: who counts hears of the shipping's failures, too."""
    told: list[Event] = []
    with fake_time(), override(observers=[told.append]):
        PATIENT.call(scripted(OSError("down"), "body"))
    assert [event.kind.name for event in told if event.name == "ship"] == ["RETRY", "RETRY", "GIVE_UP"]


def test_a_line_of_the_program_that_is_shipped_by_a_retried_function(shipping: tuple[Shipping, list[int]]) -> None:
    """The shipping of any other line has lines of its own, of which each is shipped once more, and there it ends."""
    handler, sends = shipping
    with fake_time():
        logging.getLogger("shop").warning("something else")
    assert len(handler.lines) == 1 + 3 and len(sends) == 3 + 3 * 3


def test_other_threads_write_lines_meanwhile(everything: pytest.LogCaptureFixture) -> None:
    """While a handler of one thread is at work, the lines of another are written."""

    class Meanwhile(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "shop":
                thread = Thread(target=Context().run, args=(log_retries("other"), GIVE_UP))
                thread.start()
                thread.join()
                log_retries("own")(GIVE_UP)

    handler = Meanwhile()
    logging.getLogger("shop").addHandler(handler)
    try:
        log_retries("shop")(GIVE_UP)
    finally:
        logging.getLogger("shop").removeHandler(handler)
    assert sorted(record.name for record in everything.records) == ["other", "shop"]


def test_a_handler_that_ships_by_a_task(everything: pytest.LogCaptureFixture) -> None:
    """A task that a handler starts writes no lines of its own retries; other tasks meanwhile do."""
    tasks: list[asyncio.Task[None]] = []

    async def ship() -> None:
        log_retries("ship")(GIVE_UP)

    class Starting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tasks.append(asyncio.ensure_future(ship()))

    async def main() -> None:
        other = asyncio.ensure_future(ship())
        log_retries("shop")(GIVE_UP)
        await asyncio.gather(other, *tasks)

    handler = Starting()
    logging.getLogger("shop").addHandler(handler)
    try:
        asyncio.run(main())
    finally:
        logging.getLogger("shop").removeHandler(handler)
    assert len(tasks) == 1 and [record.name for record in everything.records if record.name != "asyncio"] == [
        "shop",
        "ship",
    ]


def test_other_greenlets_write_lines_meanwhile(everything: pytest.LogCaptureFixture) -> None:
    """A greenlet that goes on while the handler of another waits has its own guard, although they share a thread."""
    greenlet = pytest.importorskip("greenlet")

    class Switching(Structured):
        def log(self, level: int, event: str, *values: object, **fields: Any) -> None:
            log_retries("shop.own")(GIVE_UP)
            greenlet.getcurrent().parent.switch()

    waiting = greenlet.greenlet(lambda: log_retries(Switching())(GIVE_UP))  # type: ignore[arg-type]
    waiting.switch()
    log_retries("shop.other")(GIVE_UP)
    waiting.switch()
    log_retries("shop.after")(GIVE_UP)
    assert [record.name for record in everything.records] == ["shop.other", "shop.after"]


def test_advice_beneath_a_line_does_not_recurse(caplog: pytest.LogCaptureFixture) -> None:
    """A warning of redouble's that a handler causes is not shipped by that handler again."""

    class Warning_(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            faults.warn("from the handler")

    handler = Warning_()
    logging.getLogger("redouble").addHandler(handler)
    try:
        faults.warn("first")
    finally:
        logging.getLogger("redouble").removeHandler(handler)
    assert [record.getMessage() for record in caplog.records] == ["first"]
