"""Retries as Prometheus metrics: `retry(observers=[RetryMetrics()])`. Needs `pip install redouble[prometheus]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from redouble.adapters._events import OUTCOMES
from redouble.control.events import EventKind
from redouble.core import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from redouble import Event, RetryBudget

__all__ = ["RetryMetrics"]

ENDS_AN_ATTEMPT = frozenset({EventKind.RETRY, EventKind.PARKED, *OUTCOMES})
WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class RetryMetrics:
    """An observer that counts calls, attempts, waits and give-ups.

    Make one for a registry, at the start of the program, and give it to every policy, or to all of them:
    `override(observers=[metrics], everywhere=True)`. `call` is the name of the policy or the function.

    | metric | labels | |
    | --- | --- | --- |
    | `redouble_calls_total` | `call`, `outcome` | calls that ended: `success`, `success after retries`, `gave up` |
    | `redouble_attempts_total` | `call` | attempts that ended; of a connection, when it was lost |
    | `redouble_give_ups_total` | `call`, `reason` | give-ups: `attempts`, `deadline`, `budget`, `permanent`, ... |
    | `redouble_wait_seconds` | `call` | the waits, a histogram, those of a cooldown too |
    | `redouble_budget_tokens` | `budget` | the tokens left, of budgets that `watch` was told of |

    It also listens to calls that succeed at once, for the success rate: such a call then costs an event.

    Args:
        registry: The registry of the metrics. `None`: the registry of the process.
        buckets: The upper bounds of the histogram of waits, in seconds.

    Raises:
        ValueError: Where the registry has such metrics already.

    >>> from prometheus_client import CollectorRegistry
    >>> metrics = RetryMetrics(CollectorRegistry())
    """

    kinds: ClassVar[frozenset[EventKind]] = ENDS_AN_ATTEMPT | {EventKind.HELD}

    def __init__(self, registry: CollectorRegistry | None = None, *, buckets: Sequence[float] = WAITS) -> None:
        place = REGISTRY if registry is None else registry
        self._calls = Counter("redouble_calls", "Retried calls that ended.", ["call", "outcome"], registry=place)
        self._attempts = Counter("redouble_attempts", "Attempts that ended.", ["call"], registry=place)
        self._give_ups = Counter("redouble_give_ups", "Calls that gave up.", ["call", "reason"], registry=place)
        self._waits = Histogram(
            "redouble_wait_seconds", "Waits before an attempt.", ["call"], registry=place, buckets=buckets
        )
        self._tokens = Gauge("redouble_budget_tokens", "Tokens left in a retry budget.", ["budget"], registry=place)

    def watch(self, budget: RetryBudget, name: str | None = None) -> None:
        """Export the tokens of a budget, read at each scrape.

        Args:
            budget: The budget.
            name: The label. `None`: the budget's own name.

        Raises:
            ValueError: When `name` is `None` and the budget has no name.
        """
        label = budget.name if name is None else name
        if not label or not isinstance(label, str):
            raise ValueError(f"name must be a label where the budget has no name, got {checks.shown(label)}")
        self._tokens.labels(label).set_function(lambda: budget.snapshot()["tokens"])

    def __call__(self, event: Event) -> None:
        call = event.name or ""
        if event.kind in ENDS_AN_ATTEMPT:
            self._attempts.labels(call).inc()
        if event.delay is not None:
            self._waits.labels(call).observe(event.delay)
        if event.kind in OUTCOMES:
            self._calls.labels(call, OUTCOMES[event.kind]).inc()
        if event.reason is not None and event.kind is EventKind.GIVE_UP:
            self._give_ups.labels(call, event.reason.name.lower()).inc()
