"""Retries in OpenTelemetry: events of spans, metrics, and a span per attempt. Needs `pip install redouble[opentelemetry]`.

`SpanEvents` and `RetryMetrics` are observers. `attempt_span` opens the span of an attempt, within it: an observer could
not close a span when an attempt is cancelled, since there is no event for that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from opentelemetry import metrics, trace

from redouble import current_attempt
from redouble.adapters._events import NAMES, OUTCOMES
from redouble.control.events import EventKind, record_fields
from redouble.control.faults import kind_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

    from redouble import Event

__all__ = ["RetryMetrics", "SpanEvents", "attempt_span"]

SCOPE = "redouble"


class SpanEvents:
    """An observer that adds an event to the current span per retry, give-up, and change of a connection.

    Its attributes are `error.type`, as the semantic conventions name it, and `redouble.attempt`, `redouble.delay` and the
    other fields of the event that are not empty. Error messages are not among them.

    >>> from redouble import retry
    >>> policy = retry(observers=[SpanEvents()])
    """

    kinds: ClassVar[frozenset[EventKind]] = frozenset(NAMES)

    def __call__(self, event: Event) -> None:
        trace.get_current_span().add_event(NAMES[event.kind], attributes_of(event))


class RetryMetrics:
    """An observer that measures calls and waits.

    | instrument | unit | attributes | |
    | --- | --- | --- | --- |
    | `redouble.call.duration` | s | `redouble.call`, `redouble.outcome`, `error.type` | calls, with their waits |
    | `redouble.call.attempts` | {attempt} | `redouble.call`, `redouble.outcome` | attempts of a call |
    | `redouble.retry.delay` | s | `redouble.call`, `error.type` | waits before an attempt |

    All are histograms. It also listens to calls that succeed at once: such a call then costs an event.

    Args:
        provider: The provider of meters. `None`: the one of the process.

    >>> from redouble import retry
    >>> policy = retry(observers=[RetryMetrics()])
    """

    kinds: ClassVar[frozenset[EventKind]] = frozenset({EventKind.RETRY, EventKind.HELD, *OUTCOMES})

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = metrics.get_meter(SCOPE, meter_provider=provider)
        self._duration = meter.create_histogram("redouble.call.duration", "s", "Retried calls, with their waits.")
        self._attempts = meter.create_histogram("redouble.call.attempts", "{attempt}", "Attempts of a call.")
        self._delay = meter.create_histogram("redouble.retry.delay", "s", "Waits before an attempt.")

    def __call__(self, event: Event) -> None:
        about: dict[str, AttributeValue] = {"redouble.call": event.name or ""}
        failed: dict[str, AttributeValue] = {} if event.error is None else {"error.type": kind_name(event.error)}
        if event.kind in OUTCOMES:
            about["redouble.outcome"] = OUTCOMES[event.kind]
            self._attempts.record(event.attempt, about)
            self._duration.record(event.elapsed, about | failed)
        elif event.delay is not None:
            self._delay.record(event.delay, about | failed)


def attributes_of(event: Event) -> dict[str, AttributeValue]:
    """Return the non-empty fields of an event, as attributes."""
    fields = record_fields(event)
    del fields["kind"]
    error = fields.pop("error")
    found: dict[str, AttributeValue] = {f"redouble.{key}": value for key, value in fields.items() if value is not None}
    return found if error is None else found | {"error.type": error}


@contextmanager
def attempt_span(name: str | None = None, provider: TracerProvider | None = None) -> Iterator[Span]:
    """Open a span around the attempt that is under way, as its current span; an error is recorded on it.

    Use it within the retried function or block (`with attempt_span("fetch"):`), in coroutines too.

    Args:
        name: The name of the span. `None`: `attempt`.
        provider: The provider of tracers. `None`: the one of the process.

    Yields:
        The span. Its attribute `redouble.attempt` is the number of the attempt, inside a retried call.

    >>> with attempt_span("fetch") as span:
    ...     answer = 42
    """
    attempt = current_attempt()
    known: dict[str, AttributeValue] = {} if attempt is None else {"redouble.attempt": attempt.number}
    tracer = trace.get_tracer(SCOPE, tracer_provider=provider)
    with tracer.start_as_current_span(name or "attempt", attributes=known) as span:
        yield span
