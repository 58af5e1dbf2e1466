"""Floor 2. Events, who hears of them, and the lines that are logged."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import (
    Classification,
    Event,
    EventKind,
    Reason,
    Verdict,
    constant,
    log_retries,
    pending,
    permanent,
    retry,
    transient,
)
from redouble.control import events, faults
from redouble.control.events import DEFAULT_LOG, ENDED, clean, describe, error_text, notify
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
    fields = "kind name number failures elapsed delay error classification reason"
    assert fields.split() == list(Event.FIELDS)


def test_the_kinds_of_events() -> None:
    """The kinds are shown as one would write them."""
    assert [repr(kind) for kind in EventKind] == [
        f"EventKind.{name}" for name in ("RETRY", "SUCCESS", "GIVE_UP", "CONNECTED", "DROPPED", "PARKED")
    ]


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
        Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 1.0, error, found),
        Event(EventKind.RETRY, "fetch", 2, 2, 1.0, 1.0, error, found),
        Event(EventKind.SUCCESS, "fetch", 3, 2, 2.0),
    ]


def test_what_a_call_tells_that_gives_up() -> None:
    """The give-up carries the last error, its classification and the reason."""
    told: list[Event] = []
    error = OSError("down")
    fail(PATIENT(observers=[told.append], attempts=2), error, error)
    found = Classification(Verdict.TRANSIENT, reason="by the rule transient(OSError)")
    assert told[1:] == [Event(EventKind.GIVE_UP, "fetch", 2, 2, 1.0, None, error, found, Reason.ATTEMPTS)]


def test_a_permanent_error_is_told_of() -> None:
    """An error that is permanent on the first attempt gives an event, although no line is logged."""
    told: list[Event] = []
    fail(PATIENT(observers=[told.append], on=permanent(KeyError)), KeyError())
    assert [(event.kind, event.reason, event.number) for event in told] == [(EventKind.GIVE_UP, Reason.PERMANENT, 1)]


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
        ("redouble", "INFO", "fetch: attempt 1 failed with OSError: one; trying again in 1 s"),
        ("redouble", "INFO", "fetch: attempt 2 failed with OSError: two; trying again in 1 s"),
        ("redouble", "INFO", "fetch: attempt 1 failed with OSError: down; trying again in 1 s"),
        ("redouble", "INFO", "fetch: attempt 2 failed with OSError: down; trying again in 1 s"),
        (
            "redouble",
            "WARNING",
            "fetch: gave up on attempt 3 after 2.00 s: attempts used up; it failed with OSError: down",
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
    """For every other reason a single attempt has its line too."""
    log_retries("shop")(Event(EventKind.GIVE_UP, "fetch", 1, 1, 0.5, None, OSError(), None, reason))
    assert [level for _, level, _ in lines(everything)] == ["WARNING"]


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
        "fetch: attempt 1 failed ",
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
    log = log_retries("shop", 10, once=True, extra={"shop": 7})
    assert repr(log) == "log_retries('shop', 10, once=True, extra={'shop': 7})"
    assert repr(eval(repr(log))) == repr(log)
    assert repr(DEFAULT_LOG) == "log_retries(None, 20, once=False, extra=None)"


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
    """Nobody can have asked for lines below WARNING then, so `logging` need not be loaded to find out."""
    monkeypatch.setattr(faults, "loaded_logging", lambda: None)
    log = log_retries()
    assert not log.hears_retries() and not log.wants(EventKind.RETRY) and log.wants(EventKind.GIVE_UP)
    assert log_retries(level=30).hears_retries()


def test_logging_is_loaded_by_a_give_up_alone() -> None:
    """A fresh interpreter that retries without giving up never loads `logging`; giving up warns on stderr."""
    script = (
        "import sys, redouble\n"
        "policy = redouble.retry(on=OSError, attempts=2, backoff=redouble.constant(0))\n"
        "def fetch(state=[]):\n"
        "    state.append(1)\n"
        "    if len(state) < 2: raise OSError('down')\n"
        "policy.call(fetch)\n"
        "assert 'logging' not in sys.modules\n"
        "def fail(): raise OSError('down')\n"
        "try: policy.call(fail)\n"
        "except OSError: pass\n"
        "assert 'logging' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "gave up on attempt 2" in done.stderr and "trying again" not in done.stderr


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
        (Event(EventKind.RETRY, "link", 3, 1, 1.0, 2, None, ENDED), "link: attempt 3 ended; trying again in 2 s"),
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
