"""Floor 3. Turns the state of a controller into plain data for JSON, and back: durations and counts only."""

from __future__ import annotations

from time import monotonic

from redouble.control.curves import OwnCurves
from redouble.control.keys import checked
from redouble.control.outcome import GaveUp, Reason
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import Enum
    from typing import Any

    from redouble.control.tally import Tally

VERSION = 3
STATUSES = ("IDLE", "ATTEMPTING", "WAITING", "SUCCEEDED", "GAVE_UP", "STOPPED")

TOOK = ("nothing", "token", "hinted token")


def taken(of: Tally, status: Enum, now: float) -> dict[str, Any]:
    """Return the state at the moment `now`."""
    return {
        "version": VERSION,
        "status": status.name,
        "attempt": of.attempt,
        "earlier": of.earlier,
        "failures": of.failures,
        "elapsed": None if of.started is None else of.elapsed(now if of.ended_at is None else of.ended_at),
        "ended_ago": None if of.ended_at is None else max(0.0, now - of.ended_at),
        "deadline_in": None if of.own_end is None else of.own_end - now,
        "due_in": None if of.due is None else of.due - now,
        "previous": of.previous,
        "curves": {} if of.curves is None else of.curves.plain(),
        "history": dict(of.earlier_errors or {}),
        "took": of.took,
        "vouched": of.vouched,
        "gave_up": None if of.end is None else _plain(of.end),
    }


def key_of(snapshot: dict[str, Any]) -> str | None:
    """Return the idempotency key in a snapshot, or `None`.

    Raises:
        ValueError: When the snapshot has no valid one.
    """
    try:
        return checked(snapshot["key"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"snapshot must be what BackoffController.snapshot() gave, got {snapshot!r}") from error


def load(into: Tally, snapshot: dict[str, Any], now: float) -> str:
    """Put a new tally into the state of a snapshot.

    Returns:
        The name of the status.

    Raises:
        ValueError: When the snapshot was not taken by this version of redouble.
    """
    try:
        return _load(into, snapshot, now)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"snapshot must be what BackoffController.snapshot() gave, got {snapshot!r}") from error


def _load(into: Tally, state: dict[str, Any], now: float) -> str:
    if state["version"] != VERSION:
        raise ValueError("another version")
    status = checks.one_of("status", state["status"], STATUSES)
    into.attempt = checks.whole("attempt", state["attempt"], least=0)
    into.earlier = checks.whole("earlier", state["earlier"], least=0)
    into.failures = checks.whole("failures", state["failures"], least=0)
    elapsed, due_in = _span("elapsed", state["elapsed"]), _span("due_in", state["due_in"])
    deadline_in = _span("deadline_in", state["deadline_in"])
    ended_ago = checks.seconds_or_none("ended_ago", state["ended_ago"])
    waited = 0.0 if due_in is None else max(0.0, due_in)  # the wait counts as waited in full
    into.started = None if elapsed is None else now - elapsed - waited - (ended_ago or 0.0)
    into.ended_at = None if ended_ago is None else now - ended_ago
    into.own_end = None if deadline_in is None else now + deadline_in - waited
    into.due = None if due_in is None else now
    into.previous = checks.seconds_or_none("previous", state["previous"])
    into.curves = OwnCurves.of(state["curves"])
    into.earlier_errors = {name: checks.whole("history", times, least=1) for name, times in state["history"].items()}
    into.vouched = checks.flag("vouched", state["vouched"])
    into.took = checks.one_of("took", state["took"], TOOK)
    into.end = None if state["gave_up"] is None else _from_plain(state["gave_up"])
    if (into.end is None) is (status in ("GAVE_UP", "STOPPED")):
        raise ValueError("an end without its reason, or a reason without its end")
    if (into.ended_at is None) is (status in ("GAVE_UP", "STOPPED", "SUCCEEDED")):
        raise ValueError("an end without its time, or a time without its end")
    into.began = monotonic()
    return str(status)


def _span(name: str, value: Any) -> float | None:
    """Return a duration of a snapshot; below 0 for a deadline that has passed."""
    return None if value is None else checks.number(name, value, least=-checks.LONGEST)


def _plain(end: GaveUp) -> dict[str, Any]:
    return {
        "reason": end.reason.name,
        "attempts": end.attempts,
        "elapsed": end.elapsed,
        "name": end.name,
        "hint": end.hint,
        "limit": end.limit,
        "history": [list(each) for each in end.history],
    }


def _from_plain(data: dict[str, Any]) -> GaveUp:
    attempts = checks.whole("attempts", data["attempts"], least=0)
    elapsed, hint = checks.number("elapsed", data["elapsed"], least=0), checks.seconds_or_none("hint", data["hint"])
    limit = checks.one_of("limit", data["limit"], (None, "own", "scope"))
    history = tuple((name, checks.whole("history", times, least=1)) for name, times in data["history"])
    return GaveUp(Reason[data["reason"]], attempts, elapsed, data["name"], hint, history, limit)
