"""Retries that know when to stop.

The floors, each importing only from those below it:

1. `core`: the backoff curves, the jitters, the rules. Pure: time and randomness come in as arguments.
2. `known`: the meaning of the errors of real clients, in tables.
3. `control`: the policy, the controller that counts and decides, retry budgets, cooldowns, events, clocks and scopes.
4. `calls`: one retried call under way, the scripts by which it goes on, and the drivers of threads, asyncio and trio.
5. `ways`: the forms that users write: decorator, direct call, block, connect. Above it `loops`: long-lived work on the
   same scripts: connections that drop, results that are not ready, reads that resume.

`redouble.loops` (the types of the loops), `redouble.jitters` and `redouble.types` export names that few programs need.
On top stand `rules` (to extend the tables), `testing` (virtual time), `adapters` (one file per third-party library)
and `cli` (the command line). This file only exports names. Those in `_LATER` are loaded at their first use, so that a
program without loops does not load them.
"""

from redouble.calls.attempt import Attempt, current_attempt
from redouble.control.budget import RetryBudget
from redouble.control.controller import BackoffController, Status
from redouble.control.cooldown import Cooldown
from redouble.control.events import Event, EventKind, log_retries
from redouble.control.mark import outcome
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, StillPending, Stopped, Unwanted, Wait
from redouble.control.scope import deadline, gave_up_as, override, remaining
from redouble.core.backoff import Backoff, constant, exponential, fibonacci, linear, sequence
from redouble.core.jitter import additive, proportional
from redouble.core.verdict import Classification, Rule, Verdict, pending, permanent, transient
from redouble.known import known_errors
from redouble.known.classify import classify
from redouble.known.registered import register
from redouble.ways.policy import RetryPolicy, policy_of, retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble import jitters as jitters
    from redouble import loops as loops
    from redouble import types as types
    from redouble.calls.key import idempotency_key
    from redouble.known.explain import explain
    from redouble.known.http_error import http_error
    from redouble.known.http_response import http_response
    from redouble.loops.latest import latest
    from redouble.loops.poll import poll
    from redouble.loops.reconnect import reconnect
    from redouble.loops.resume import resume
    from redouble.loops.watchdog import clamp_under, watchdog

    __version__: str
else:
    _LATER = {
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

    _MODULES = ("jitters", "loops", "rules", "types")
    _ELSEWHERE = {
        "jitters": ("Jitter", "decorrelated", "equal", "full", "none"),
        "loops": ("Checkpoint", "FileCheckpoint", "Link", "LinkStatus", "Resuming", "Session", "Stalled"),
        "types": ("Clock", "Connecting", "Explanation", "PreviewRow", "SystemClock"),
    }

    def _version():
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(__name__)
        except PackageNotFoundError:  # run from its source; `getattr(..., None)` expects an AttributeError
            raise AttributeError(f"{__name__} is not installed, so its version is not known") from None

    def _where(name):
        """Name the public module that exports a name which is looked up here."""
        return "".join(f": it is redouble.{module}.{name}" for module, names in _ELSEWHERE.items() if name in names)

    def __getattr__(name):
        if name == "__version__":
            return _version()
        if name not in _LATER and name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_where(name)}")
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"{__name__}.{name}")

        globals()[name] = value = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_LATER, *_MODULES, "__version__"})


__all__ = [
    "Attempt",
    "Backoff",
    "BackoffController",
    "Classification",
    "Cooldown",
    "DeadlineExceeded",
    "Event",
    "EventKind",
    "GaveUp",
    "Reason",
    "RetryBudget",
    "RetryPolicy",
    "Rule",
    "Status",
    "StillPending",
    "Stopped",
    "Unwanted",
    "Verdict",
    "Wait",
    "additive",
    "clamp_under",
    "classify",
    "constant",
    "current_attempt",
    "deadline",
    "explain",
    "exponential",
    "fibonacci",
    "gave_up_as",
    "http_error",
    "http_response",
    "idempotency_key",
    "known_errors",
    "latest",
    "linear",
    "log_retries",
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
