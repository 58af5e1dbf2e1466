"""The names of events and outcomes, alike in all observers."""

from __future__ import annotations

from redouble.control.events import EventKind

NAMES = {
    EventKind.RETRY: "retry",
    EventKind.HELD: "held back",
    EventKind.SUCCESS: "succeeded after retries",
    EventKind.GIVE_UP: "gave up",
    EventKind.CONNECTED: "connected",
    EventKind.DROPPED: "connection ended",
    EventKind.PARKED: "parked",
}
"""What happened, for a log or a span."""

OUTCOMES = {EventKind.CALL: "success", EventKind.SUCCESS: "success after retries", EventKind.GIVE_UP: "gave up"}
"""How a call ended, for metrics."""
