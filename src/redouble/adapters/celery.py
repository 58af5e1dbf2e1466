"""A Celery task that is retried by the broker: `@retrying(policy)` beneath `@app.task(bind=True)`.

No worker waits: each attempt is a delivery of its own, and the wait is the message's countdown. The controller's snapshot
travels in the message's headers, so another worker goes on where this one stopped. Needs `pip install redouble[celery]`.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from celery.exceptions import Ignore, Reject, Retry  # type: ignore[import-untyped]  # it has no types

from redouble import BackoffController, Event, EventKind, GaveUp, RetryPolicy, deadline, retry
from redouble.control.events import audience
from redouble.control.mark import mark
from redouble.control.scope import current_clock
from redouble.core import checks

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from redouble import Wait

__all__ = ["retrying"]

F = TypeVar("F", bound="Callable[..., Any]")

HEADER = "redouble"
ENDS: tuple[type[Exception], ...] = (Retry, Ignore, Reject)
"""The exceptions by which a task tells Celery to act: not failures."""


def retrying(policy: RetryPolicy = retry) -> Callable[[F], F]:
    """Return a decorator for the function of a bound task: each attempt is a delivery of its message.

    The deadline bounds all deliveries together, the time that messages wait in the broker included (by the hosts' wall
    clocks); a written one is also a `deadline()` scope around each attempt. The task's `max_retries` is ignored. A
    give-up raises the attempt's own error, with its note, so that Celery records it as the task's failure. A task that
    is called as a function is retried where it is called, with waits.

    A worker that is killed during an attempt loses that message unless the task has `acks_late=True`; the attempt then
    begins again with the same number.

    Args:
        policy: The policy, without `stop` and `attempt_timeout`: Celery has time limits of its own.

    Raises:
        TypeError: For a value that is not a policy.
        ValueError: For a policy with `stop` or `attempt_timeout`.

    >>> from celery import Celery
    >>> app = Celery("shop")
    >>> @app.task(bind=True, acks_late=True)
    ... @retrying(retry(attempts=5, deadline=3600))
    ... def charge(self, order):
    ...     return f"charged {order}"
    >>> charge(7)
    'charged 7'
    """
    if not isinstance(policy, RetryPolicy):
        raise TypeError(f"policy must be a RetryPolicy, got {checks.shown(policy)}")
    for field in ("stop", "attempt_timeout"):
        if getattr(policy, field) is not None:
            raise ValueError(f"{field} has no place in a policy for tasks: use Celery's own time limits")

    def decorate(fn: F) -> F:
        @wraps(fn)
        def run(task: Any, /, *args: Any, **kwargs: Any) -> Any:
            if task.request.called_directly:
                return policy(name=policy.name or task.name).call(fn, task, *args, **kwargs)
            return _Delivery(policy, task).run(fn, args, kwargs)

        decorated: Any = run
        return decorated  # type: ignore[no-any-return]

    return decorate


class _Delivery:
    """One delivery of a task's message: one attempt."""

    def __init__(self, policy: RetryPolicy, task: Any) -> None:
        self._policy, self._task = policy, task
        self._controller = _controller_of(policy, task.request)
        self._controller.name = policy.name or task.name
        self._audience = audience(policy.observers)

    def run(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the attempt; send the message again where it is to be retried."""
        self._controller.start()
        try:
            with self._bound():
                value = fn(self._task, *args, **kwargs)
        except ENDS:
            raise
        except Exception as error:
            decision = self._controller.record_failure(error)
            if not isinstance(decision, GaveUp):
                self._again(decision, error)
            mark(error, decision, self._controller.attempt > 1)
            self._tell(EventKind.GIVE_UP, error, end=decision)
            raise
        unwanted = self._controller.record_result(value)
        if unwanted is None:
            self._tell(EventKind.SUCCESS if self._controller.attempt > 1 else EventKind.CALL)
        elif not isinstance(unwanted, GaveUp):
            self._again(unwanted)
        else:
            self._tell(EventKind.GIVE_UP, end=unwanted)
        return value

    def _bound(self) -> AbstractContextManager[object]:
        policy = self._policy
        if policy.deadline is None or "deadline" not in policy.written:
            return nullcontext()
        return deadline(max(0.0, float(policy.deadline) - self._controller.elapsed))

    def _again(self, wait: Wait | None, error: Exception | None = None) -> NoReturn:
        """Send the message again, for when the wait is over; Celery's `Retry` ends this delivery."""
        assert wait is not None  # only late news comes without a wait
        self._tell(EventKind.RETRY, error, wait)
        state = {"snapshot": self._controller.snapshot(), "sent": time.time()}
        headers = {**(self._task.request.headers or {}), HEADER: state}
        raise self._task.retry(exc=error, countdown=wait.delay, max_retries=sys.maxsize, headers=headers, throw=False)

    def _tell(
        self, kind: EventKind, error: Exception | None = None, wait: Wait | None = None, end: GaveUp | None = None
    ) -> None:
        if not self._audience.hears(kind):
            return
        controller, judged = self._controller, None if wait is None else wait.classification
        hinted = judged is not None and judged.retry_after is not None
        self._audience.tell(
            Event(
                kind,
                controller.name,
                controller.attempt,
                controller.failures,
                controller.elapsed,
                None if wait is None else wait.delay,
                error,
                judged,
                None if end is None else end.reason,
                self._policy.attempts,
                delay_by=None if wait is None else "server" if hinted else "curve",
            )
        )


def _controller_of(policy: RetryPolicy, request: Any) -> BackoffController:
    """Restore the controller that the message carries, else make a new one.

    The time that the message spent in the broker beyond its wait counts too.
    """
    state = (request.headers or {}).get(HEADER)
    if state is None:
        return BackoffController(policy)
    snapshot = state["snapshot"]
    late = max(0.0, time.time() - state["sent"] - (snapshot["due_in"] or 0.0))
    return BackoffController.restore(policy, snapshot, (policy.clock or current_clock()).now() - late)
