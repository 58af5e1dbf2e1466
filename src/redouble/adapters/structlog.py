"""Retries as structlog events: `retry(observers=[LogRetries()])`. Needs `pip install redouble[structlog]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from redouble.adapters._events import NAMES
from redouble.control import faults
from redouble.control.events import EventKind, error_shown, log_retries, record_fields
from redouble.control.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from redouble import Event

__all__ = ["LogRetries"]


class LogRetries(log_retries):
    """An observer that logs to structlog: a short event with the facts as its fields.

    It replaces the log on the logger `redouble`. Give-ups and parked connections are warnings; an orderly stop and all
    other events are info. The fields are `call`, `attempt`, `limit`, `failures`, `elapsed`, `delay`, `delay_by`,
    `error` (type and message on one line; secrets in URLs are masked), `verdict`, `reason`, `ended_by`; empty fields
    are left out.

    Args:
        logger: A structlog logger. `None`: `structlog.get_logger("redouble")`, with the context's bound values.

    Raises:
        TypeError: For a logger without the methods `info` and `warning`.

    >>> from redouble import retry
    >>> policy = retry(observers=[LogRetries()])
    """

    __slots__ = ("_bound",)

    kinds: ClassVar[Collection[EventKind]] = frozenset(NAMES)

    def __init__(self, logger: Any = None) -> None:
        super().__init__()
        if logger is not None and not all(callable(getattr(logger, name, None)) for name in ("info", "warning")):
            raise TypeError(f"logger must be a structlog logger or None, got {logger!r}")
        self._bound = structlog.get_logger("redouble") if logger is None else logger

    def wants(self, kind: EventKind) -> bool:
        """Return whether an event of this kind is logged; structlog's own level decides later."""
        return kind in self.kinds

    def __call__(self, event: Event) -> None:
        if event.attempt == 1 and event.reason in {Reason.PERMANENT, Reason.NESTED}:
            return  # without a retry
        bad = event.kind in {EventKind.GIVE_UP, EventKind.PARKED} and event.reason is not Reason.STOPPED
        fields = record_fields(event) | {"error": error_shown(event)}
        fields["call"] = fields.pop("name")
        del fields["kind"]
        said = {name: value for name, value in fields.items() if value is not None}
        faults.say(self._bound.warning if bad else self._bound.info, NAMES[event.kind], **said)
