"""Floor 3. The state of a controller as plain data for JSON, and back: only durations and counts, no readings of clocks."""

from __future__ import annotations

from time import monotonic

from redouble.control.curves import OwnCurves
from redouble.control.outcome import GaveUp, Reason
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    BackoffController: TypeAlias = Any  # its module imports this one

VERSION = 1


def taken(of: BackoffController, now: float) -> dict[str, Any]:
    """The state, as it is now."""
    stopped_at, curves, end = of._stopped_at, of._own_curves, of._end
    return {
        "version": VERSION,
        "status": of.status.name,
        "attempt": of.attempt,
        "earlier": of._earlier,
        "failures": of.failures,
        "elapsed": None if of._started is None else of._elapsed(now if stopped_at is None else stopped_at),
        "deadline_in": None if of._own_end is None else of._own_end - now,
        "due_in": None if of._due is None else of._due - now,
        "previous": of._previous,
        "curves": {} if curves is None else curves.plain(),
        "gave_up": None if end is None else _plain(end),
    }


def load(into: BackoffController, snapshot: dict[str, Any], now: float) -> None:
    """Put a new controller into the state of a snapshot.

    Raises:
        ValueError: When it is not one of this version's.
    """
    try:
        _load(into, snapshot, now)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"snapshot must be what BackoffController.snapshot() gave, got {snapshot!r}") from error


def _load(into: BackoffController, state: dict[str, Any], now: float) -> None:
    if state["version"] != VERSION:
        raise ValueError("another version")
    statuses: Any = type(into.status)
    into.status = statuses[state["status"]]
    into.attempt = checks.whole("attempt", state["attempt"], least=0)
    into._earlier = checks.whole("earlier", state["earlier"], least=0)
    into.failures = checks.whole("failures", state["failures"], least=0)
    elapsed, due_in = _span("elapsed", state["elapsed"]), _span("due_in", state["due_in"])
    deadline_in = _span("deadline_in", state["deadline_in"])
    into._started = None if elapsed is None else now - elapsed
    into._own_end = None if deadline_in is None else now + deadline_in
    into._due = None if due_in is None else now + due_in
    into._set_ends()
    into._previous = checks.seconds_or_none("previous", state["previous"])
    into._own_curves = OwnCurves.of(state["curves"])
    into._end = None if state["gave_up"] is None else _from_plain(state["gave_up"])
    status = into.status.name
    if (into._end is None) is (status in ("GAVE_UP", "STOPPED")):
        raise ValueError("an end without its reason, or a reason without its end")
    if into._end is not None or status == "SUCCEEDED":
        into._stopped_at = now
    into.began = monotonic()


def _span(name: str, value: Any) -> float | None:
    """A duration of a snapshot, which may be below 0: a deadline that has passed."""
    return None if value is None else checks.number(name, value, least=-checks.LONGEST)


def _plain(end: GaveUp) -> dict[str, Any]:
    return {
        "reason": end.reason.name,
        "attempts": end.attempts,
        "elapsed": end.elapsed,
        "name": end.name,
        "hint": end.hint,
    }


def _from_plain(data: dict[str, Any]) -> GaveUp:
    attempts = checks.whole("attempts", data["attempts"], least=0)
    elapsed, hint = checks.number("elapsed", data["elapsed"], least=0), checks.seconds_or_none("hint", data["hint"])
    return GaveUp(Reason[data["reason"]], attempts, elapsed, data["name"], hint)
