"""Floor 3. Events of a retried call, their observers, and the log lines made of them.

`Event` is a frozen record. An `Audience` holds the observers of a policy: it knows the kinds of events that each one
hears, and keeps their errors away from the call. `log_retries` is the default observer; `describe` writes its lines.
"""

from __future__ import annotations

from enum import Enum

from redouble.control import faults
from redouble.control.masking import clean, printable
from redouble.control.outcome import Reason
from redouble.core import checks
from redouble.core.record import Record
from redouble.core.verdict import Classification, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any, ClassVar, Literal, TypeAlias

    Observer: TypeAlias = Callable[["Event"], object]

INFO, WARNING = 20, 30  # logging's own numbers, without loading it


class EventKind(Enum):
    """The kind of an event: `RETRY` (a wait begins), `SUCCESS` (after at least one failure), `GIVE_UP`.

    `HELD`: a shared cooldown (`cooldown=`) holds back the next attempt, a first one included. When it only lengthens
    the wait after a failure, the event is a `RETRY` alone.

    A connection that is kept alive also has `CONNECTED`, `DROPPED` (`error` is the cause, `None` for an orderly end)
    and `PARKED` (it waits for a reset).

    An observer gets `ATTEMPT` (an attempt begins) and `CALL` (a call succeeded without a retry) only if its `kinds`
    name them.
    """

    __module__ = "redouble"

    RETRY = "retry"
    SUCCESS = "success"
    GIVE_UP = "give up"
    CONNECTED = "connected"
    DROPPED = "dropped"
    PARKED = "parked"
    ATTEMPT = "attempt"
    CALL = "call"
    HELD = "held"

    def __repr__(self) -> str:
        return f"EventKind.{self.name}"

    if TYPE_CHECKING:

        def __hash__(self) -> int: ...
    else:
        __hash__ = object.__hash__  # Enum's own hashes the name in Python code, and each success asks for it twice


ALL_KINDS = frozenset(EventKind)
USUAL_KINDS = ALL_KINDS - {EventKind.ATTEMPT, EventKind.CALL}
"""The kinds that an observer without `kinds` gets: a call that succeeds at once makes no event of these."""

_ENDS = frozenset({EventKind.GIVE_UP, EventKind.PARKED})
_AFTER_A_FAILURE = frozenset({EventKind.RETRY, EventKind.GIVE_UP, EventKind.PARKED, EventKind.DROPPED})


class Event(Record):
    """An event of a retried call. It carries no argument values.

    Fields:
        kind: The `EventKind`.
        name: The policy's or the function's name; `None` when there is none.
        attempt: The number of the attempt, from 1.
        failures: The number of attempts that failed in a row.
        elapsed: Seconds since the first attempt began.
        delay: Seconds until the next attempt; `None` when there is none.
        error: The exception of the attempt; `None` for a result or a success.
        classification: The judgement of the outcome; `None` for a success.
        reason: The `Reason` of a `GIVE_UP`; `None` for the others.
        limit: The number of failures in a row that ends the call; `None` for no limit.
        ended_by: The deadline that ended the call: `"own"` (the call's) or `"scope"` (a scope's around it); `None` when
            no deadline did.
        delay_by: The origin of the delay: the backoff `"curve"`, the `"server"`, or the `"cooldown"` (the server asked
            another call to wait); `None` when there is no delay.
    """

    __module__ = "redouble"

    kind: EventKind
    name: str | None
    attempt: int
    failures: int
    elapsed: float
    delay: float | None = None
    error: BaseException | None = None
    classification: Classification | None = None
    reason: Reason | None = None
    limit: int | None = None
    ended_by: Literal["own", "scope"] | None = None
    delay_by: Literal["curve", "server", "cooldown"] | None = None

    def __repr__(self) -> str:
        """Show the fields, and the error as a log line may show it: masked, or without its message."""
        shown = (f"{field}={self._shown(field)}" for field in self.FIELDS)
        return f"Event({', '.join(shown)})"

    def _shown(self, field: str) -> str:
        if field != "error" or self.error is None:
            return repr(getattr(self, field))
        return error_text(self.error, redact=True) if _is_redacted(self) else clean(checks.shown(self.error, 2000))


ENDED: Classification = Classification(Verdict.TRANSIENT, applied=False, reason="the connection ended")
"""The judgement of a kept connection that ended in order: it is meant to stay up, so it is opened again."""


# Observers.


class Audience:
    """The observers of a policy, sorted once by the kinds of events that they hear.

    Make one with `audience`. Its methods raise no `Exception`, except one that a signal handler raised.
    """

    __slots__ = ("_logs", "_observers", "_surely", "_told")

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        heard = [(observer, _kinds_or_usual(observer)) for observer in self._observers]
        self._told = {kind: tuple(each for each, kinds in heard if kind in kinds) for kind in EventKind}
        self._logs: dict[EventKind, Any] = {kind: tuple(filter(_is_log, told)) for kind, told in self._told.items()}
        self._surely = frozenset(kind for each, kinds in heard if not _is_log(each) for kind in kinds)

    def hears(self, kind: EventKind) -> bool:
        """Tell whether an event of this kind would reach an observer; if not, the event need not be made.

        For `ATTEMPT` and `CALL` the answer never changes, so ask once per policy. For other kinds it depends on the
        level of a logger, so ask once per call.
        """
        if kind in self._surely:
            return True
        for log in self._logs[kind]:  # noqa: SIM110  # a generator would double the cost of asking on success
            if log.wants(kind):
                return True
        return False

    def tell(self, event: Event) -> None:
        """Tell each observer that hears this kind; a `BaseException` that an observer raises passes through."""
        notify(self._told[event.kind], event)

    def __repr__(self) -> str:
        return f"<redouble.Audience of {len(self._observers)} observers>"


def audience(observers: tuple[Observer, ...] | None) -> Audience:
    """Return the audience of a policy with these observers; `None`: no observer and no log.

    `log_retries()` is added, unless one of the observers is a `log_retries` already.
    """
    if observers is None:
        return NO_AUDIENCE
    if not observers:
        return DEFAULT_AUDIENCE
    return Audience(observers if any(map(_is_log, observers)) else (DEFAULT_LOG, *observers))


def kinds_of(observer: object) -> frozenset[EventKind]:
    """Return the kinds of events that an observer hears.

    Its attribute `kinds` names them; without one they are all but `ATTEMPT` and `CALL`.

    Raises:
        TypeError: When `kinds` is not a set, tuple or list of `EventKind`, nor `EventKind` itself (all).
    """
    kinds = getattr(observer, "kinds", None)
    if kinds is EventKind:
        return ALL_KINDS
    if kinds is None or callable(kinds):  # a method of that name, or a mock, which has every name, names no kinds
        return USUAL_KINDS
    if isinstance(kinds, (set, frozenset, tuple, list)) and all(isinstance(kind, EventKind) for kind in kinds):
        return frozenset(kinds)
    raise TypeError(
        "the kinds of an observer must be a set of EventKind, such as {EventKind.RETRY, EventKind.GIVE_UP},"
        f" got {checks.shown(kinds)} of {checks.shown(observer)}"
    )


def _kinds_or_usual(observer: Observer) -> frozenset[EventKind]:
    try:
        return kinds_of(observer)
    except Exception as error:
        faults.report("observer", observer, error, "it is told of the usual kinds")
        return USUAL_KINDS


def _is_log(observer: object) -> bool:
    return issubclass(type(observer), log_retries)  # isinstance asks `__class__`, which a user's object may guard


def notify(observers: Iterable[Observer], event: Event) -> None:
    """Tell each observer; one that raises is logged once, and the call goes on (a `BaseException` passes through)."""
    for observer in observers:
        try:
            observer(event)
        except Exception as error:
            faults.report("observer", observer, error, "the retried call goes on")


# The log.


class log_retries:  # noqa: N801  # used as a verb: observers=(log_retries(...),)
    """Log one line per retry and one per give-up; for a kept connection also when it is up or parked.

    By default every policy logs this way, on the logger `redouble`. A policy with a `log_retries` among its observers
    uses that one instead. The default one is silent in a program that configured no logging. No line is logged for an
    error that was PERMANENT on the first attempt, nor for one on which an inner retry gave up then (the inner retry
    logged it).

    Each record has the event's fields as `record.retry`, a dict of plain values: `kind`, `name`, `attempt`, `limit`,
    `failures`, `elapsed`, `delay`, `delay_by`, `error` (the name of its type), `verdict`, `reason`, `ended_by`. A logger
    with a method `bind`, such as structlog's, gets `retry=` and the fields of `extra` as keywords.

    User info and parameters of URLs that look secret are masked in each line. While a handler writes a line, retries
    within that handler log none: it may ship its lines by a function that is retried.

    Args:
        logger: A `logging.Logger`, or the name of one. `None`: `redouble`.
        level: The level of the lines about retries, 20 (`logging.INFO`) by default. Give-ups are logged at 30
            (`logging.WARNING`), or at `level` where that is higher. An orderly stop is logged at `level`.
        once: Log only the first retry of an episode, and the give-up.
        extra: More fields for each record, as in `logger.info(..., extra=...)`; `None` for none.
        redact: A function that takes the line, already masked, and returns the line to log, for other secrets. If it
            raises, or returns no string, the line is logged without the error's message. `None`: masking only.
        exc_info: Log the traceback of each error too, as Python shows it: unmasked. An error whose rule has `redact`
            is logged without one.

    Raises:
        TypeError: For arguments of a wrong kind.
        ValueError: For `redact` together with `exc_info`, because a traceback shows the message unredacted; for a name
            in `extra` that a log record has already.

    >>> from redouble import log_retries, retry
    >>> policy = retry(observers=[log_retries("shop.payments", once=True)])
    """

    __module__ = "redouble"

    __slots__ = ("_exc_info", "_extra", "_found", "_level", "_logger", "_once", "_redact")

    kinds: ClassVar[Collection[EventKind]] = (  # not DROPPED: a retry or an end follows it, with a line of its own
        EventKind.RETRY,
        EventKind.GIVE_UP,
        EventKind.CONNECTED,
        EventKind.PARKED,
        EventKind.HELD,
    )

    def __init__(
        self,
        logger: logging.Logger | str | None = None,
        level: int = INFO,
        *,
        once: bool = False,
        extra: Mapping[str, Any] | None = None,
        redact: Callable[[str], str] | None = None,
        exc_info: bool = False,
    ) -> None:
        self._logger = _checked_logger(logger)
        self._found: logging.Logger | None = None
        self._level = checks.whole("level", level, least=1)
        self._once = checks.flag("once", once)
        self._extra = _checked_extra(extra, structured=_takes_keywords(logger))
        self._redact = None if redact is None else checks.asked("redact", redact, "line")
        self._exc_info = checks.flag("exc_info", exc_info)
        if exc_info and redact is not None:
            raise ValueError("redact and exc_info=True contradict each other: a traceback shows the message as it is")

    def wants(self, kind: EventKind) -> bool:
        """Tell whether a line about such an event would be logged; if not, the event need not be made.

        A logger that raises here is reported once, and the answer is `False`.
        """
        try:
            level = max(self._level, WARNING) if kind in _ENDS else self._level
            return kind in self.kinds and self._reaches(level)
        except Exception as error:
            faults.report("logger", self._logger, error, "its lines are left out")
            return False

    def hears_retries(self) -> bool:
        """Tell the same as `wants(EventKind.RETRY)`."""
        return self.wants(EventKind.RETRY)

    def __call__(self, event: Event) -> None:
        if event.kind in self.kinds and not self._passes_over(event):
            level = self._level_of(event)
            if self._reaches(level):
                faults.say(self._log().log, level, self._line(event), **self._keywords(event))

    def _passes_over(self, event: Event) -> bool:
        if event.attempt == 1:
            return event.reason in (Reason.PERMANENT, Reason.NESTED)
        return self._once and event.kind is EventKind.RETRY and event.failures != 1

    def _level_of(self, event: Event) -> int:
        ends_badly = event.kind in _ENDS and event.reason is not Reason.STOPPED
        return max(self._level, WARNING) if ends_badly else self._level

    def _reaches(self, level: int) -> bool:
        """Tell whether a handler would get a line of this level, now."""
        if faults.is_saying():
            return False
        if self._found is None and faults.loaded_logging() is None:
            return level >= WARNING
        return bool(self._log().isEnabledFor(level))

    def _line(self, event: Event) -> str:
        line = describe(event)
        if self._redact is None:
            return line
        try:
            return _as_line(self._redact(line))
        except Exception as error:
            faults.report("redact", self._redact, error, "messages are withheld", withhold=True)
            return describe(event, withhold=True)

    def _keywords(self, event: Event) -> dict[str, Any]:
        """Return the keywords for the logger, without empty ones."""
        fields = {**self._extra, "retry": record_fields(event)}
        keywords: dict[str, Any] = fields if _takes_keywords(self._logger) else {"extra": fields}
        if self._exc_info and event.error is not None and not _is_redacted(event):
            keywords["exc_info"] = event.error
        return keywords

    def _log(self) -> logging.Logger:
        if self._found is None:
            self._found = self._look_up()
        return self._found

    def _look_up(self) -> logging.Logger:
        if self._logger is not None and not isinstance(self._logger, str):
            given: logging.Logger = self._logger
            return given
        import logging

        return logging.getLogger(self._logger or faults.LOGGER)

    def __repr__(self) -> str:
        given = {"once": self._once, "extra": self._extra, "redact": self._redact, "exc_info": self._exc_info}
        options = "".join(f", {name}={value!r}" for name, value in given.items() if value)
        return f"log_retries({self._logger!r}, {self._level!r}{options})"


class _DefaultLog(log_retries):
    """The default log: it prints no line on stderr where logging is not configured."""

    __slots__ = ()

    def _reaches(self, level: int) -> bool:
        return faults.loaded_logging() is not None and super()._reaches(level) and self._log().hasHandlers()


def _checked_logger(logger: Any) -> Any:
    logs = all(callable(getattr(logger, method, None)) for method in ("log", "isEnabledFor"))
    if not (logs or logger is None or isinstance(logger, str)) or isinstance(logger, type):
        raise TypeError(
            "logger must be a logging.Logger, its name or None (an object of your own needs the methods log and"
            f" isEnabledFor), got {checks.shown(logger)}"
        )
    return logger


def _checked_extra(extra: Any, structured: bool) -> dict[str, Any]:
    if extra is None:
        return {}
    if not callable(getattr(extra, "keys", None)):
        raise TypeError(f"extra must be a mapping or None, got {checks.shown(extra)}")
    fields = dict(extra)
    for name in fields:
        if name == "retry" or (not structured and name in _names_of_a_record()):
            raise ValueError(f"extra must not name a field that a log record has itself, got {name!r}")
    return fields


def _names_of_a_record() -> set[str]:
    """Return the names that logging refuses in `extra`."""
    import logging

    return {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime"}


def _takes_keywords(logger: object) -> bool:
    """Tell whether a logger takes fields as keywords, as structlog's: there `extra=` would be one more field."""
    return callable(getattr(logger, "bind", None))


def _as_line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"redact must return the line, got {type(text).__qualname__}")
    return printable(text)


DEFAULT_LOG: log_retries = _DefaultLog()
DEFAULT_AUDIENCE = Audience((DEFAULT_LOG,))
NO_AUDIENCE = Audience(())


def record_fields(event: Event) -> dict[str, Any]:
    """Return an event's fields as plain values that any formatter can write: names, numbers and `None`."""
    found, reason = event.classification, event.reason
    return {
        "kind": event.kind.name,
        "name": event.name,
        "attempt": event.attempt,
        "limit": event.limit,
        "failures": event.failures,
        "elapsed": event.elapsed,
        "delay": event.delay,
        "delay_by": event.delay_by,
        "error": None if event.error is None else faults.kind_name(event.error),
        "verdict": None if found is None else found.verdict.name,
        "reason": None if reason is None else reason.name,
        "ended_by": event.ended_by,
    }


# The text of log lines.


def describe(event: Event, *, withhold: bool = False) -> str:
    """Return the line that is logged for an event.

    Args:
        event: The event.
        withhold: Leave out all text from outside redouble, such as an error's message.

    >>> from redouble.control.events import Event, EventKind, describe
    >>> error = TimeoutError("no answer")
    >>> describe(Event(EventKind.RETRY, "fetch", 2, 2, 0.3, 17.0, error, limit=6, delay_by="server"))
    'fetch: attempt 2 of 6 failed with TimeoutError: no answer; trying again in 17 s, as the server asked'
    """
    return f"{event.name or 'a retried call'}: {_WORDS[event.kind](event, withhold)}"


def _retry_text(event: Event, withhold: bool) -> str:
    again = "asking" if _is_pending(event) else "trying"
    told = f"{_attempt(event)} {_outcome_text(event, withhold)}{_in_a_row(event)}"
    return f"{told}; {again} again in {_seconds(event.delay or 0.0)}{_by_whom(event)}"


def _success_text(event: Event, _: bool) -> str:
    return f"{_attempt(event)} succeeded after {_failures(event)} in {event.elapsed:.2f} s"


def _connected_text(event: Event, _: bool) -> str:
    return f"{_attempt(event)} connected after {_failures(event)} in {event.elapsed:.2f} s"


def _dropped_text(event: Event, withhold: bool) -> str:
    how = "ended" if event.error is None else _outcome_text(event, withhold)
    return f"the connection of attempt {event.attempt} {how}"


def _parked_text(event: Event, withhold: bool) -> str:
    soon = "" if event.delay is None else f", and tries once in {_seconds(event.delay)}"
    return f"parked after attempt {event.attempt}{_why(event, withhold)}: it connects again when it is reset{soon}"


def _give_up_text(event: Event, withhold: bool) -> str:
    why = "no reason given" if event.reason is None else event.reason.value
    whose = " of a scope around it" if event.reason is Reason.DEADLINE and event.ended_by == "scope" else ""
    judged = event.error is not None or event.classification is not None
    how = f"; it {_outcome_text(event, withhold)}{_in_a_row(event)}" if judged else ""
    return f"gave up on {_attempt(event)} after {event.elapsed:.2f} s: {why}{whose}{how}"


def _attempt_text(event: Event, _: bool) -> str:
    return f"{_attempt(event)} begins"


def _call_text(event: Event, _: bool) -> str:
    return f"{_attempt(event)} succeeded in {event.elapsed:.2f} s"


def _held_text(event: Event, _: bool) -> str:
    return f"{_attempt(event)} is held back for {_seconds(event.delay or 0.0)}{OF_ANOTHER}"


OF_ANOTHER = ", as the server asked of another call"


_WORDS: dict[EventKind, Callable[[Event, bool], str]] = {
    EventKind.RETRY: _retry_text,
    EventKind.SUCCESS: _success_text,
    EventKind.GIVE_UP: _give_up_text,
    EventKind.CONNECTED: _connected_text,
    EventKind.DROPPED: _dropped_text,
    EventKind.PARKED: _parked_text,
    EventKind.ATTEMPT: _attempt_text,
    EventKind.CALL: _call_text,
    EventKind.HELD: _held_text,
}


def _attempt(event: Event) -> str:
    """Name the attempt, and the limit as long as all attempts before it failed: `attempt 2 of 3`."""
    alike = event.attempt == event.failures + (event.kind not in _AFTER_A_FAILURE)
    of = f" of {event.limit}" if alike and event.limit is not None else ""
    return f"attempt {event.attempt}{of}"


def _in_a_row(event: Event) -> str:
    """Count the failures in a row where they differ from the attempt's number: after progress, or a connection."""
    if event.limit is None or event.failures in (0, event.attempt) or _is_pending(event):
        return ""
    return f" (failure {event.failures} of {event.limit} in a row)"


def _by_whom(event: Event) -> str:
    """Tell that the server asked for the wait, or for a longer one."""
    if event.delay_by != "server":
        return OF_ANOTHER if event.delay_by == "cooldown" else ""
    asked = None if event.classification is None else event.classification.retry_after
    longer = asked is not None and event.delay is not None and asked > event.delay
    return f" (the server asked for {_seconds(asked)})" if longer and asked is not None else ", as the server asked"


def _failures(event: Event) -> str:
    return "1 failure" if event.failures == 1 else f"{event.failures or 'no'} failures"


def _seconds(delay: float) -> str:
    return f"{delay:.3g} s" if delay < 1000 else f"{delay:.0f} s"


def _is_pending(event: Event) -> bool:
    return event.classification is not None and event.classification.verdict is Verdict.PENDING


def _is_redacted(event: Event) -> bool:
    return event.classification is not None and event.classification.redact


def _outcome_text(event: Event, withhold: bool) -> str:
    if event.error is not None:
        how = "is pending" if _is_pending(event) else "failed"
        return f"{how} with {error_text(event.error, withhold or _is_redacted(event))}"
    if event.classification is ENDED:
        return "ended"
    if _is_pending(event):
        return f"is pending{_why(event, withhold)}"
    return f"gave an unwanted result{_why(event, withhold) or ' (no reason given)'}"


def _why(event: Event, withhold: bool) -> str:
    """Give the reason of the judgement, masked: a user's rule may have put an error's message into it."""
    reason = "" if event.classification is None or withhold else clean(event.classification.reason)
    return f" ({reason})" if reason else ""


def error_shown(event: Event) -> str | None:
    """Return the error of an event as a log may show it: masked, or without its message; `None` if there is none."""
    return None if event.error is None else error_text(event.error, _is_redacted(event))


def error_text(error: BaseException, redact: bool = False) -> str:
    """Return an error's type and message on one line, masked; with `redact` without the message."""
    name = faults.kind_name(error)
    if redact:
        return f"{name} (message withheld)"
    try:
        message = clean(str(error))
    except Exception as fault:
        if faults.raised_by_signal(fault):
            raise
        return f"{name} (its message cannot be shown)"
    return f"{name}: {message}" if message else name
