"""Floor 3. The policy: the frozen configuration of a retried call, with every field checked when it is written."""

from __future__ import annotations

from redouble.control.budget import RetryBudget
from redouble.control.clock import wakes_threads
from redouble.control.cooldown import Cooldown
from redouble.control.events import EventKind, audience, kinds_of
from redouble.control.words import answered
from redouble.core import checks
from redouble.core.backoff import as_curve, exponential
from redouble.core.record import Record
from redouble.core.verdict import Rule, as_rule
from redouble.known import known_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import timedelta
    from decimal import Decimal
    from typing import Any, ClassVar, Literal, TypeAlias, TypedDict

    from redouble.control.clock import Clock, Stop
    from redouble.control.events import Audience, Observer
    from redouble.core.backoff import Backoff
    from redouble.core.checks import Seconds

    CurveLike: TypeAlias = Backoff | Callable[[int], float | Decimal | timedelta | None]
    from redouble.core.verdict import RuleLike

    class PolicyFields(TypedDict, total=False):
        """The keyword arguments of a policy, for type checkers."""

        on: RuleLike | None
        result: RuleLike | None
        idempotent: bool | None
        attempts: int | None
        deadline: Seconds | None
        attempt_timeout: Seconds | None
        timeout_as: str | None
        backoff: CurveLike
        budget: RetryBudget | str | None
        cooldown: Cooldown | str | Literal[True] | None
        max_hint: Seconds | None
        long_hints: Literal["stop", "cap"]
        unwanted: Literal["return", "raise"]
        nested: Literal["once", "multiply"]
        stop: Stop | None
        observers: Sequence[Observer] | None
        name: str | None
        clock: Clock | None
        draw: Callable[[], float] | None


ATTEMPTS = 3
"""The default limit of attempts, in force while no limit is written."""

DEADLINE = 60.0
"""The default deadline in seconds, in force while no limit is written."""

LIMITS = frozenset({"attempts", "deadline"})
"""The two fields with defaults that hold only while both are unwritten."""

NEARLY_ONE = 1 - 2**-53
"""The highest draw, for the longest wait that jitter allows."""


class Policy(Record):
    """The fields of a `RetryPolicy` and their checks; the floors above add the decorator, the call and the block."""

    on: Rule | None
    result: Rule | None
    idempotent: bool | None
    attempts: int | None
    deadline: float | None
    attempt_timeout: float | None
    timeout_as: str | None
    backoff: Backoff
    budget: RetryBudget | None
    cooldown: Cooldown | Literal[True] | None
    max_hint: float | None
    long_hints: Literal["stop", "cap"]
    unwanted: Literal["return", "raise"]
    nested: Literal["once", "multiply"]
    stop: Stop | None
    observers: tuple[Observer, ...] | None
    name: str | None
    clock: Clock | None
    draw: Callable[[], float] | None
    written: frozenset[str]

    _DERIVED = ("audience", "is_bounded", "is_plain")
    __slots__ = _DERIVED  # derived, so no part of the value

    audience: ClassVar[Any]  # the observers of a call
    is_bounded: ClassVar[Any]  # a deadline is written: only a written one cancels, and is passed to nested calls
    is_plain: ClassVar[Any]  # an attempt that succeeds needs only the time at which it began

    def __init__(self, **fields: Any) -> None:
        self._write(fields, fields)

    def _write(self, fields: dict[str, Any], changes: dict[str, Any]) -> None:
        """Check and set the written `fields`, of which `changes` are new."""
        values = _checked(fields)
        _lift_defaults(values, fields)
        _refuse_contradictions(values, fields)
        if {"deadline", "backoff"} <= changes.keys():
            _refuse_hopeless_deadline(values["deadline"], values["backoff"])
        self._set(values)

    def changed(self, **changes: Any) -> Any:
        """Return a policy of the same class with some fields changed, and check all fields again."""
        policy = type(self).__new__(type(self))
        policy._write(self._written_fields() | changes, changes)
        return policy

    def overridden(self, **changes: Any) -> Any:
        """Return the same as `changed`, but without checking fields against each other; default limits stay."""
        policy = type(self).__new__(type(self))
        values = _checked(self._written_fields() | changes)
        for limit in LIMITS - changes.keys():
            values[limit] = getattr(self, limit)
        policy._set(values)
        return policy

    def __replace__(self, **changes: Any) -> Any:
        """Return the same as `changed`, for `copy.replace`."""
        return self.changed(**changes)

    def __getattr__(self, name: str) -> Any:
        """Compute a derived attribute when it is first read, and keep it."""
        if name not in Policy._DERIVED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = getattr(self, f"_find_{name}")()
        object.__setattr__(self, name, found)
        return found

    def _find_audience(self) -> Audience:
        return audience(self.observers)

    def _find_is_bounded(self) -> bool:
        return self.deadline is not None and "deadline" in self.written

    def _find_is_plain(self) -> bool:
        asked = self.result, self.attempt_timeout, self.timeout_as, self.clock
        heard = self.audience.hears(EventKind.CALL) or self.audience.hears(EventKind.ATTEMPT)
        return all(each is None for each in asked) and not heard

    def _written_fields(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self.written}

    def _set(self, values: dict[str, Any]) -> None:
        for field in self.FIELDS:
            object.__setattr__(self, field, values[field])

    def __repr__(self) -> str:
        shown = ", ".join(f"{field}={getattr(self, field)!r}" for field in self.FIELDS if field in self.written)
        return f"redouble.{type(self).__name__}({shown})"


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """Return all fields: the written ones checked, the others at their defaults."""
    values: dict[str, Any] = {field: default for field, (_, default) in _FIELDS.items()}
    for field, value in fields.items():
        if field not in _FIELDS:
            advice = answered(field, _FIELDS) or f"; its fields are {', '.join(_FIELDS)}"
            raise TypeError(f"retry has no field {field!r}{advice}")
        values[field] = _FIELDS[field][0](field, value)
    if "attempts" in fields and values["attempts"] is None and "nested" not in fields:
        values["nested"] = "multiply"  # without a limit of attempts, an inner give-up is a failure like any other
    values["written"] = frozenset(fields)
    return values


def _lift_defaults(values: dict[str, Any], written: Collection[str]) -> None:
    """Lift the default limits that a written field replaces.

    A number for one limit lifts the other. `attempts=None` lifts the deadline too, `deadline=None` lifts only itself. A
    default deadline is also lifted for a curve with a first wait that may exceed it.
    """
    if "attempts" in written and "deadline" not in written:
        values["deadline"] = None
    elif values["deadline"] is not None and "attempts" not in written and "deadline" in written:
        values["attempts"] = None
    elif "deadline" not in written:
        first = _first_wait(values["backoff"], NEARLY_ONE)
        if first is not None and first > DEADLINE:
            values["deadline"] = None


def _first_wait(curve: Backoff, draw: float) -> float | None:
    try:
        wait = curve.delay(1, None, draw)
        return None if wait is None else float(wait)
    except Exception:  # a user's curve that raises, which the first failure will report
        return None


def _optional_rule(name: str, value: Any) -> Rule | None:
    return None if value is None else as_rule(name, value)


def _optional_flag(name: str, value: Any) -> bool | None:
    chosen: bool | None = checks.one_of(name, value, (None, True, False))
    return chosen


def _attempts(name: str, value: Any) -> int | None:
    return checks.whole_or_none(name, value, least=1)


def _duration(name: str, value: Any) -> float | None:
    return checks.seconds_or_none(name, value, positive=True)


def _keyword(name: str, value: Any) -> str | None:
    rule = f"{name} must be the name of a parameter, such as 'timeout', or None"
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{rule}, got {checks.shown(value)}")
    if not value.isidentifier():
        raise ValueError(f"{rule}, got {checks.shown(value)}")
    return value


class _Own:
    """The default budget: one for each decorated function."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "one per decorated function"

    def __reduce__(self) -> str:
        return "OWN_BUDGET"


OWN_BUDGET: Any = _Own()


def _budget(name: str, value: Any) -> RetryBudget | None:
    if value is None or value is OWN_BUDGET or isinstance(value, RetryBudget):
        found: RetryBudget | None = value
        return found
    if isinstance(value, str) and value:
        return RetryBudget.named(value)
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"{name} must be a RetryBudget, the name of one that is shared, or None, got {checks.shown(value)}")


def _cooldown(name: str, value: Any) -> Cooldown | Literal[True] | None:
    if value is None or value is True or isinstance(value, Cooldown):
        found: Cooldown | Literal[True] | None = value
        return found
    if isinstance(value, str) and value:
        return Cooldown.named(value)
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(
        f"{name} must be the name of one that is shared, a Cooldown, True (one for each decorated function) or None,"
        f" got {checks.shown(value)}"
    )


def _word(*words: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        chosen: str = checks.one_of(name, value, words)
        return chosen

    return check


def _stop(name: str, value: Any) -> Stop | None:
    shape = callable(getattr(value, "is_set", None)) and callable(getattr(value, "wait", None))
    if value is None or (shape and not isinstance(value, type)):
        event: Stop | None = value
        return event
    raise TypeError(
        f"{name} must be a threading.Event, an asyncio.Event, a trio.Event or None, got {checks.shown(value)}; a limit"
        " is attempts= or deadline="
    )


def _observers(name: str, value: Any) -> tuple[Observer, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (tuple, list)):
        instead = f"; write [{getattr(value, '__name__', '...')}]" if callable(value) else ""
        raise TypeError(f"{name} must be a tuple or list of callables, or None, got {checks.shown(value)}{instead}")
    for each in value:
        checks.asked(f"each of {name}", each, "event")
        kinds_of(each)  # refuses wrong kinds here, where they are written
    return tuple(value)


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
    if isinstance(value, float):
        raise TypeError(f"{name} must be a callable, got {checks.shown(value)}; write lambda: {checks.shown(value)}")
    return None if value is None else checks.asked(name, value)


_FIELDS: dict[str, tuple[Callable[[str, Any], Any], Any]] = {
    "on": (_optional_rule, known_errors),
    "result": (_optional_rule, None),
    "idempotent": (_optional_flag, None),
    "attempts": (_attempts, ATTEMPTS),
    "deadline": (_duration, DEADLINE),
    "attempt_timeout": (_duration, None),
    "timeout_as": (_keyword, None),
    "backoff": (as_curve, exponential()),
    "budget": (_budget, OWN_BUDGET),
    "cooldown": (_cooldown, None),
    "max_hint": (checks.seconds_or_none, 300.0),
    "long_hints": (_word("stop", "cap"), "stop"),
    "unwanted": (_word("return", "raise"), "return"),
    "nested": (_word("once", "multiply"), "once"),
    "stop": (_stop, None),
    "observers": (_observers, ()),
    "name": (_name, None),
    "clock": (_clock, None),
    "draw": (_draw, None),
}
"""The check and the default of each field."""


def _refuse_contradictions(values: dict[str, Any], written: Collection[str]) -> None:
    timeout, deadline, curve = values["attempt_timeout"], values["deadline"], values["backoff"]
    if timeout is not None and deadline is not None and timeout > deadline:
        if "deadline" not in written:
            values["deadline"] = None  # a default gives way
        else:
            raise ValueError(
                f"attempt_timeout must not be above deadline: one attempt cannot have {timeout!r} s when all of them"
                f" together have {deadline!r} s"
            )
    length, attempts = curve.length, values["attempts"]
    if (
        "attempts" in written
        and "backoff" in written
        and length is not None
        and attempts is not None
        and attempts > length + 1
    ):
        raise ValueError(
            f"attempts must not be above {length + 1}: the curve {curve!r} ends after {length} waits, got {attempts!r}"
        )


def _refuse_hopeless_deadline(deadline: float | None, curve: Backoff) -> None:
    first = None if deadline is None else _first_wait(curve, 0.0)
    if first is not None and deadline is not None and first > deadline:
        raise ValueError(
            f"deadline must not be below the first wait of backoff, which is {first!r} s at the least: there would"
            f" never be a second attempt, got {deadline!r}"
        )


def as_policy(name: str, value: Any) -> Any:
    """Return `value` if it is a policy.

    Raises:
        TypeError: When it is not one.
    """
    if not isinstance(value, Policy):
        raise TypeError(f"{name} must be a RetryPolicy such as retry(attempts=5), got {checks.shown(value)}")
    return value


def is_of_event_loop(event: object) -> bool:
    """Return whether an event belongs to an event loop (asyncio's or trio's) and so cannot wake a thread."""
    return event is not None and not wakes_threads(event)


def refuse_async_stop(policy: Policy, name: str) -> None:
    """Refuse an event loop's event as `stop` of a synchronous function: it cannot end a wait that blocks a thread.

    Raises:
        TypeError: When the policy has such an event.
    """
    if is_of_event_loop(policy.stop):
        raise TypeError(
            f"stop must be a threading.Event for the synchronous {name}: an event of an event loop cannot end its waits,"
            f" got {checks.shown(policy.stop)}"
        )
