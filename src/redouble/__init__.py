"""Retries that know when to stop.

The floors, each importing only from those below it:

1. `core`: the delay curves, the jitters, the rules. Pure: time and randomness come in as arguments.
2. `known`: what the errors of real clients mean, in tables.
3. `control`: the policy, the controller that counts and decides, retry budgets, cooldowns, events, clocks and scopes.
4. `calls`: one retried call under way, the scripts by which it goes on, and the drivers of threads, asyncio and trio.
5. `ways`: what users write: decorator, direct call, block, connect. Above it `loops`: long-lived work on the same scripts:
   connections that drop, answers that are not ready, reads that resume.

On top of them stand `rules` (the words of the tables), `testing` (virtual time) and `cli` (the command line). This file only hands out names;
what stands in `_LATER` is loaded when it is first asked for, so that nobody pays for loops who has none.
"""

from redouble.calls.attempt import Attempt, current_attempt
from redouble.control.budget import RetryBudget
from redouble.control.clock import Clock, SystemClock
from redouble.control.controller import BackoffController, Status
from redouble.control.cooldown import Cooldown
from redouble.control.events import Event, EventKind, log_retries
from redouble.control.mark import outcome
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, StillPending, Stopped, Unwanted, Wait
from redouble.control.scope import deadline, gave_up_as, override, remaining
from redouble.core.backoff import Backoff, constant, exponential, fibonacci, linear, sequence
from redouble.core.jitter import Jitter, additive, decorrelated, equal, full, none, proportional
from redouble.core.verdict import Classification, Rule, Verdict, pending, permanent, transient
from redouble.known import known_errors
from redouble.known.classify import classify
from redouble.known.registered import register
from redouble.ways.connect import Connecting
from redouble.ways.policy import RetryPolicy, policy_of, retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.calls.key import idempotency_key
    from redouble.control.preview import PreviewRow
    from redouble.known.explain import Explanation, explain
    from redouble.known.http_error import http_error
    from redouble.known.http_response import http_response
    from redouble.loops.checkpoint import Checkpoint, FileCheckpoint
    from redouble.loops.latest import latest
    from redouble.loops.link import LinkStatus
    from redouble.loops.poll import poll
    from redouble.loops.reading import Stalled
    from redouble.loops.reconnect import Link, reconnect
    from redouble.loops.resume import Resuming, resume
    from redouble.loops.session import Session
    from redouble.loops.watchdog import clamp_under, watchdog

    __version__: str
else:
    _LATER = {
        "Checkpoint": "loops.checkpoint",
        "Explanation": "known.explain",
        "FileCheckpoint": "loops.checkpoint",
        "Link": "loops.reconnect",
        "LinkStatus": "loops.link",
        "PreviewRow": "control.preview",
        "Resuming": "loops.resume",
        "Session": "loops.session",
        "Stalled": "loops.reading",
        "clamp_under": "loops.watchdog",
        "explain": "known.explain",
        "http_error": "known.http_error",
        "idempotency_key": "calls.key",
        "http_response": "known.http_response",
        "latest": "loops.latest",
        "poll": "loops.poll",
        "reconnect": "loops.reconnect",
        "resume": "loops.resume",
        "watchdog": "loops.watchdog",
    }

    def _version():
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(__name__)
        except PackageNotFoundError:  # run from its source; an AttributeError is what `getattr(..., None)` expects
            raise AttributeError(f"{__name__} is not installed, so its version is not known") from None

    def __getattr__(name):
        if name == "__version__":
            return _version()
        if name not in _LATER and name != "rules":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if name == "rules":
            return import_module(f"{__name__}.rules")

        globals()[name] = value = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_LATER, "__version__"})


__all__ = [
    "Attempt",
    "Backoff",
    "BackoffController",
    "Checkpoint",
    "Classification",
    "Clock",
    "Connecting",
    "Cooldown",
    "DeadlineExceeded",
    "Event",
    "EventKind",
    "Explanation",
    "FileCheckpoint",
    "GaveUp",
    "Jitter",
    "Link",
    "LinkStatus",
    "PreviewRow",
    "Reason",
    "Resuming",
    "RetryBudget",
    "RetryPolicy",
    "Rule",
    "Session",
    "Stalled",
    "Status",
    "StillPending",
    "Stopped",
    "SystemClock",
    "Unwanted",
    "Verdict",
    "Wait",
    "additive",
    "clamp_under",
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
    "gave_up_as",
    "http_error",
    "http_response",
    "idempotency_key",
    "known_errors",
    "latest",
    "linear",
    "log_retries",
    "none",
    "outcome",
    "override",
    "pending",
    "permanent",
    "policy_of",
    "poll",
    "proportional",
    "reconnect",
    "register",
    "remaining",
    "resume",
    "retry",
    "sequence",
    "transient",
    "watchdog",
]
