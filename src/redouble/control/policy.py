"""Floor 3. The policy: the frozen configuration of a retried call, every part of it checked when it is written."""

from __future__ import annotations

import sys

from redouble.core import checks
from redouble.core.backoff import Backoff, exponential
from redouble.core.record import Record
from redouble.core.verdict import Rule, as_rule
from redouble.known import known_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable, Sequence
    from typing import Any, Literal, TypeAlias, TypedDict

    from redouble.control.clock import Clock
    from redouble.control.events import Observer
    from redouble.core.checks import Seconds
    from redouble.core.verdict import RuleLike

    Stop: TypeAlias = threading.Event | asyncio.Event

    class PolicyFields(TypedDict, total=False):
        """The keywords of a policy."""

        on: RuleLike | None
        result: RuleLike | None
        idempotent: bool | None
        attempts: int | None
        deadline: Seconds | None
        attempt_timeout: Seconds | None
        timeout_as: str | None
        backoff: Backoff
        budget: None
        max_hint: Seconds
        nested: Literal["once", "multiply"]
        stop: Stop | None
        observers: Sequence[Observer]
        name: str | None
        clock: Clock | None
        draw: Callable[[], float] | None


ATTEMPTS = 3
"""The default limit of attempts while no limit is written."""

DEADLINE = 60.0
"""The default deadline in seconds while no limit is written."""

LIMITS = frozenset({"attempts", "deadline"})
"""The fields of which each, where a policy is written, lifts the other's default."""


class Policy(Record):
    """What a `RetryPolicy` says; the floors above give it its ways in."""

    on: Rule | None
    result: Rule | None
    idempotent: bool | None
    attempts: int | None
    deadline: float | None
    attempt_timeout: float | None
    timeout_as: str | None
    backoff: Backoff
    budget: None
    max_hint: float
    nested: Literal["once", "multiply"]
    stop: Stop | None
    observers: tuple[Observer, ...]
    name: str | None
    clock: Clock | None
    draw: Callable[[], float] | None
    written: frozenset[str]

    def __init__(self, **fields: Any) -> None:
        values = _checked(fields)
        _refuse_contradictions(values, frozenset(fields))
        self._set(values)

    def changed(self, **changes: Any) -> Any:
        """The same policy with some fields changed: of the same class, everything checked anew."""
        return type(self)(**(self._written_fields() | changes))

    def overridden(self, **changes: Any) -> Any:
        """As `changed`, but what only contradicts a field that was written elsewhere is let be, and no limit is lifted."""
        policy = type(self).__new__(type(self))
        values = _checked(self._written_fields() | changes)
        for limit in LIMITS - changes.keys():
            values[limit] = getattr(self, limit)
        policy._set(values)
        return policy

    def _written_fields(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self.written}

    def _set(self, values: dict[str, Any]) -> None:
        for field in self.FIELDS:
            object.__setattr__(self, field, values[field])

    def __repr__(self) -> str:
        shown = ", ".join(f"{field}={getattr(self, field)!r}" for field in self.FIELDS if field in self.written)
        return f"redouble.{type(self).__name__}({shown})"


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """All fields: the written ones checked, the others at their defaults."""
    values = dict(_DEFAULTS)
    for field, value in fields.items():
        if field not in _CHECKS:
            raise TypeError(f"retry has no field {field!r}; its fields are {', '.join(_CHECKS)}")
        values[field] = _CHECKS[field](field, value)
    if "attempts" in fields and "deadline" not in fields:
        values["deadline"] = None
    if "deadline" in fields and "attempts" not in fields:
        values["attempts"] = None
    values["written"] = frozenset(fields)
    return values


def _optional_rule(name: str, value: Any) -> Rule | None:
    return None if value is None else as_rule(name, value)


def _optional_flag(name: str, value: Any) -> bool | None:
    chosen: bool | None = checks.one_of(name, value, (None, True, False))
    return chosen


def _duration(name: str, value: Any) -> float | None:
    return checks.seconds_or_none(name, value, positive=True)


def _keyword(name: str, value: Any) -> str | None:
    rule = f"{name} must be the name of a keyword argument, such as 'timeout', or None"
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{rule}, got {checks.shown(value)}")
    if not value.isidentifier():
        raise ValueError(f"{rule}, got {checks.shown(value)}")
    return value


def _backoff(name: str, value: Any) -> Backoff:
    if not isinstance(value, Backoff):
        raise TypeError(f"{name} must be a curve such as exponential(), got {checks.shown(value)}")
    return value


def _no_budget(name: str, value: Any) -> None:
    if value is not None:
        raise TypeError(f"{name} must be None: this version has no retry budgets, got {checks.shown(value)}")


def _nested(name: str, value: Any) -> str:
    chosen: str = checks.one_of(name, value, ("once", "multiply"))
    return chosen


def _stop(name: str, value: Any) -> Stop | None:
    shape = callable(getattr(value, "is_set", None)) and callable(getattr(value, "wait", None))
    if value is None or (shape and not isinstance(value, type)):
        event: Stop | None = value
        return event
    raise TypeError(f"{name} must be a threading.Event, an asyncio.Event or None, got {checks.shown(value)}")


def _observers(name: str, value: Any) -> tuple[Observer, ...]:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a tuple or list of callables, got {checks.shown(value)}")
    return tuple(checks.plain_function(f"each of {name}", each) for each in value)


def _name(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{name} must be a string that is not empty, or None, got {checks.shown(value)}")


def _clock(name: str, value: Any) -> Clock | None:
    needed = ("now", "sleep", "sleep_async", "call_later")
    shape = all(callable(getattr(value, method, None)) for method in needed)
    if value is None or (shape and not isinstance(value, type)):
        clock: Clock | None = value
        return clock
    raise TypeError(f"{name} must have the methods {', '.join(needed)}, or be None, got {checks.shown(value)}")


def _draw(name: str, value: Any) -> Any:
    return None if value is None else checks.plain_function(name, value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "on": _optional_rule,
    "result": _optional_rule,
    "idempotent": _optional_flag,
    "attempts": lambda name, value: checks.whole_or_none(name, value, least=1),
    "deadline": _duration,
    "attempt_timeout": _duration,
    "timeout_as": _keyword,
    "backoff": _backoff,
    "budget": _no_budget,
    "max_hint": checks.seconds,
    "nested": _nested,
    "stop": _stop,
    "observers": _observers,
    "name": _name,
    "clock": _clock,
    "draw": _draw,
}

_DEFAULTS: dict[str, Any] = {
    "on": known_errors,
    "result": None,
    "idempotent": None,
    "attempts": ATTEMPTS,
    "deadline": DEADLINE,
    "attempt_timeout": None,
    "timeout_as": None,
    "backoff": exponential(),
    "budget": None,
    "max_hint": 300.0,
    "nested": "once",
    "stop": None,
    "observers": (),
    "name": None,
    "clock": None,
    "draw": None,
}


def _refuse_contradictions(values: dict[str, Any], written: frozenset[str]) -> None:
    timeout, deadline = values["attempt_timeout"], values["deadline"]
    if timeout is not None and deadline is not None and timeout > deadline:
        raise ValueError(
            f"attempt_timeout must not be above deadline: one attempt cannot have {timeout!r} s when all of them"
            f" together have {deadline!r} s"
        )
    length = values["backoff"].length
    attempts = values["attempts"]
    both = {"attempts", "backoff"} <= written
    if both and length is not None and attempts is not None and attempts > length + 1:
        raise ValueError(
            f"attempts must not be above {length + 1}: the curve {values['backoff']!r} ends after {length} waits,"
            f" got {attempts!r}"
        )


def thread_event(stop: Any) -> threading.Event | None:
    """`stop`, for a wait that blocks the thread: an `asyncio.Event` cannot be set meanwhile, its loop is blocked too."""
    asyncio = sys.modules.get("asyncio")
    if stop is None or (asyncio is not None and isinstance(stop, asyncio.Event)):
        return None
    event: threading.Event = stop
    return event


def refuse_async_stop(policy: Policy) -> None:
    """An `asyncio.Event` cannot end a synchronous wait: only its own event loop can wait for it."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and isinstance(policy.stop, asyncio.Event) and asyncio._get_running_loop() is None:
        raise TypeError("stop must be a threading.Event in synchronous code, got an asyncio.Event")
