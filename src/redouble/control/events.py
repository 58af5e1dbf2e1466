"""Floor 3. What a retried call tells: one frozen record per event, and the log lines made of them."""

from __future__ import annotations

from enum import Enum

from redouble.control import faults
from redouble.control.outcome import Reason
from redouble.core import checks
from redouble.core.record import Record
from redouble.core.verdict import Classification, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    Observer: TypeAlias = Callable[["Event"], object]

INFO, WARNING = 20, 30  # logging's own numbers, without loading it
LONGEST_MESSAGE = 200


class EventKind(Enum):
    """What happened: `RETRY` (a wait begins), `SUCCESS` (after at least one failure), `GIVE_UP`.

    Of a connection that is kept alive also `CONNECTED`, `DROPPED` (what ended it is the `error`, `None` for an end in
    order) and `PARKED` (it waits for somebody to reset it).
    """

    __module__ = "redouble"

    RETRY = "retry"
    SUCCESS = "success"
    GIVE_UP = "give up"
    CONNECTED = "connected"
    DROPPED = "dropped"
    PARKED = "parked"

    def __repr__(self) -> str:
        return f"EventKind.{self.name}"


_UNSAID = frozenset({EventKind.SUCCESS, EventKind.DROPPED})  # what is dropped is followed by a retry, or by the end
_ENDS = frozenset({EventKind.GIVE_UP, EventKind.PARKED})


class Event(Record):
    """One thing that happened to a retried call. It carries no argument values.

    Fields:
        kind: The `EventKind`.
        name: The policy's or the function's name; `None` when neither has one.
        number: The attempt that it is about, from 1.
        failures: How many attempts have failed in a row.
        elapsed: Seconds since the first attempt began.
        delay: Seconds until the next attempt; `None` when there is none.
        error: The error of the attempt; `None` for a result or a success.
        classification: What the outcome was judged to be; `None` for a success.
        reason: The `Reason` of a `GIVE_UP`; `None` for the others.
    """

    __module__ = "redouble"

    kind: EventKind
    name: str | None
    number: int
    failures: int
    elapsed: float
    delay: float | None = None
    error: BaseException | None = None
    classification: Classification | None = None
    reason: Reason | None = None

    def __repr__(self) -> str:
        """As every record's, but the message of an error that is to be kept out of logs is left out."""
        shown = super().__repr__()
        if self.error is None or self.classification is None or not self.classification.redact:
            return shown
        return shown.replace(repr(self.error), error_text(self.error, redact=True))


ENDED: Classification = Classification(Verdict.TRANSIENT, applied=False, reason="the connection ended")
"""What the end of a kept connection in order is judged to be: it is there to be up, so it is opened again."""


def notify(observers: tuple[Observer, ...], event: Event) -> None:
    """Tell each observer; one that raises is logged once and changes nothing (a `BaseException` passes)."""
    for observer in observers:
        try:
            observer(event)
        except Exception as error:
            faults.report("observer", observer, error, "the retried call goes on")


class log_retries:  # noqa: N801  # used as a verb: observers=(log_retries(...),)
    """An observer that logs one line per retry and one per give-up; of a kept connection also when it is there or parked.

    It is at work by default, on the logger `redouble`, besides the observers of a policy; a policy that names one of
    its own uses that instead. Nothing is logged where nothing was retried: an error that was PERMANENT on the first
    attempt, or on which an inner retry gave up then (that one has logged it).

    Args:
        logger: A `logging.Logger`, or the name of one. `None`: `redouble`.
        level: The level of the lines about retries, 20 (`logging.INFO`) by default; give-ups are logged at 30
            (`logging.WARNING`), or at `level` where that is higher.
        once: Log the first retry of an episode only, and the give-up.
        extra: Passed on to the logger as `extra=`; `None` for none.

    Raises:
        TypeError: For arguments of a wrong kind.

    >>> from redouble import log_retries, retry
    >>> policy = retry(observers=[log_retries("shop.payments", once=True)])
    """

    __module__ = "redouble"

    __slots__ = ("_extra", "_found", "_level", "_logger", "_once")

    def __init__(
        self,
        logger: logging.Logger | str | None = None,
        level: int = INFO,
        *,
        once: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        logs = all(callable(getattr(logger, method, None)) for method in ("log", "isEnabledFor"))
        if not (logs or logger is None or isinstance(logger, str)) or isinstance(logger, type):
            raise TypeError(
                "logger must be a logging.Logger, its name or None (an object of your own needs the methods log and"
                f" isEnabledFor), got {checks.shown(logger)}"
            )
        self._logger = logger
        self._found: logging.Logger | None = None
        self._level = checks.whole("level", level, least=1)
        self._once = checks.flag("once", once)
        if extra is not None and not callable(getattr(extra, "keys", None)):
            raise TypeError(f"extra must be a mapping or None, got {checks.shown(extra)}")
        self._extra = None if extra is None else dict(extra)

    def wants(self, kind: EventKind) -> bool:
        """Whether a line about such an event would reach anybody; what keeps silent logging cheap."""
        level = self._level_of(kind)
        if self._found is None and faults.loaded_logging() is None:
            return level >= WARNING
        return self._log().isEnabledFor(level)

    def hears_retries(self) -> bool:
        """As `wants(EventKind.RETRY)`: what every call that fails asks once."""
        logger = self._found
        return self.wants(EventKind.RETRY) if logger is None else logger.isEnabledFor(self._level)

    def __call__(self, event: Event) -> None:
        if event.kind in _UNSAID or (event.kind is EventKind.RETRY and self._said_already(event)):
            return
        if event.number == 1 and event.reason in (Reason.PERMANENT, Reason.NESTED):
            return
        if self.wants(event.kind):
            self._log().log(self._level_of(event.kind), "%s", describe(event), extra=self._extra)

    def _said_already(self, event: Event) -> bool:
        return self._once and event.failures != 1 and event.number != 1

    def _level_of(self, kind: EventKind) -> int:
        return max(self._level, WARNING) if kind in _ENDS else self._level

    def _log(self) -> logging.Logger:
        if self._found is None:
            self._found = self._look_up()
        return self._found

    def _look_up(self) -> logging.Logger:
        if self._logger is not None and not isinstance(self._logger, str):
            return self._logger
        import logging

        return logging.getLogger(self._logger or faults.LOGGER)

    def __repr__(self) -> str:
        return f"log_retries({self._logger!r}, {self._level!r}, once={self._once!r}, extra={self._extra!r})"


DEFAULT_LOG = log_retries()


def describe(event: Event) -> str:
    """The line that is logged for an event.

    >>> from redouble.control.events import Event, EventKind, describe
    >>> describe(Event(EventKind.RETRY, "fetch", 1, 1, 0.0, 0.25, TimeoutError("no answer")))
    'fetch: attempt 1 failed with TimeoutError: no answer; trying again in 0.25 s'
    """
    name = event.name or "a retried call"
    what = _outcome_text(event)
    if event.kind is EventKind.RETRY:
        again = "asking" if _is_pending(event) else "trying"
        return f"{name}: attempt {event.number} {what}; {again} again in {_seconds(event.delay or 0.0)}"
    if event.kind in (EventKind.SUCCESS, EventKind.CONNECTED):
        failures = "1 failure" if event.failures == 1 else f"{event.failures or 'no'} failures"
        how = "succeeded" if event.kind is EventKind.SUCCESS else "connected"
        return f"{name}: attempt {event.number} {how} after {failures} in {event.elapsed:.2f} s"
    if event.kind is EventKind.DROPPED:
        return f"{name}: the connection of attempt {event.number} {what if event.error else 'ended'}"
    if event.kind is EventKind.PARKED:
        why = "" if event.classification is None else f" ({event.classification.reason})"
        soon = "" if event.delay is None else f", and tries once in {_seconds(event.delay)}"
        return f"{name}: parked after attempt {event.number}{why}: it connects again when it is reset{soon}"
    why = event.reason.value if event.reason is not None else "no reason given"
    how = f"; it {what}" if event.error is not None or event.classification is not None else ""
    return f"{name}: gave up on attempt {event.number} after {event.elapsed:.2f} s: {why}{how}"


def _seconds(delay: float) -> str:
    return f"{delay:.3g} s" if delay < 1000 else f"{delay:.0f} s"


def _is_pending(event: Event) -> bool:
    return event.classification is not None and event.classification.verdict is Verdict.PENDING


def _outcome_text(event: Event) -> str:
    if event.error is not None:
        redact = event.classification is not None and event.classification.redact
        if _is_pending(event):
            return f"is pending with {error_text(event.error, redact)}"
        return f"failed with {error_text(event.error, redact)}"
    if event.classification is ENDED:
        return "ended"
    if _is_pending(event) and event.classification is not None:
        return f"is pending ({event.classification.reason})"
    return f"gave an unwanted result ({event.classification.reason if event.classification else 'no reason given'})"


def error_text(error: BaseException, redact: bool = False) -> str:
    """An error's type and, unless it is to be kept out of logs, its message: one line, without control characters."""
    name = type(error).__qualname__
    if redact:
        return f"{name} (message withheld)"
    try:
        message = str(error)
    except Exception:
        return f"{name} (its message cannot be shown)"
    message = clean(message)
    return f"{name}: {message}" if message else name


def clean(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Text that somebody else sent, made fit for a log: cut to a sane length, control characters made spaces."""
    cut = text[: longest + 1]
    printable = "".join(char if char.isprintable() else " " for char in cut)
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"
