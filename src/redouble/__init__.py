"""Retries that know when to stop.

The floors, each importing only from those below it:

1. `core`: the delay curves, the jitters, the rules and what errors mean. Pure: time and randomness come in as arguments.
2. `control`: the policy, the controller that counts and decides, events, clocks and scopes.
3. `wrappers`: the loops that call, wait and call again, synchronous and asyncio.

On top of them stand `testing` (virtual time for your tests) and `cli` (the command line). This file only hands out names.
"""

from redouble.control.clock import Clock, SystemClock
from redouble.control.controller import BackoffController, Status
from redouble.control.events import Event, EventKind, log_retries
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, StillPending, Stopped, Wait, outcome
from redouble.control.preview import PreviewRow
from redouble.control.scope import deadline, override, remaining
from redouble.core.backoff import Backoff, constant, exponential, fibonacci, linear, sequence
from redouble.core.classify import classify
from redouble.core.explain import Explanation, explain
from redouble.core.jitter import Jitter, additive, decorrelated, equal, full, none, proportional
from redouble.core.known import known_errors
from redouble.core.known.http_response import http_response
from redouble.core.known.registered import register
from redouble.core.verdict import Classification, Rule, Verdict, pending, permanent, transient
from redouble.wrappers.attempt import Attempt, current_attempt
from redouble.wrappers.connect import Connecting
from redouble.wrappers.decorator import RetryPolicy, policy_of, retry

__all__ = [
    "Attempt",
    "Backoff",
    "BackoffController",
    "Classification",
    "Clock",
    "Connecting",
    "DeadlineExceeded",
    "Event",
    "EventKind",
    "Explanation",
    "GaveUp",
    "Jitter",
    "PreviewRow",
    "Reason",
    "RetryPolicy",
    "Rule",
    "Status",
    "StillPending",
    "Stopped",
    "SystemClock",
    "Verdict",
    "Wait",
    "additive",
    "classify",
    "constant",
    "current_attempt",
    "deadline",
    "decorrelated",
    "equal",
    "explain",
    "exponential",
    "fibonacci",
    "full",
    "http_response",
    "known_errors",
    "linear",
    "log_retries",
    "none",
    "outcome",
    "override",
    "pending",
    "permanent",
    "policy_of",
    "proportional",
    "register",
    "remaining",
    "retry",
    "sequence",
    "transient",
]
