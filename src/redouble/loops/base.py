"""Floor 5. The parts that all loops share: a policy without the default limits, and the end of a loop between calls."""

from __future__ import annotations

from redouble.calls.awaitable import is_awaitable
from redouble.control import scope
from redouble.control.around import KIND, WATCHDOG, over_around
from redouble.control.mark import mark_bound
from redouble.control.outcome import DeadlineExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from redouble.control.policy import Policy

    P = TypeVar("P", bound=Policy)


def for_loop(policy: P, *, scopes: bool = True) -> P:
    """Return the policy for a loop: without the default `attempts` and `deadline`, as a loop is long-lived.

    Args:
        policy: The policy that the user gave.
        scopes: Whether to apply the `override` scopes around the caller as well.
    """
    if not policy.written & {"attempts", "deadline"}:
        policy = policy.overridden(attempts=None, deadline=None)
    return scope.effective(policy) if scopes else policy


def refuse_awaitable(what: str, value: Any, instead: str = "; it must answer at once") -> None:
    """Refuse an awaitable that a user's function returned where none is awaited.

    Args:
        what: The argument that holds the function.
        value: The value that it returned.
        instead: The end of the message, which says how to mend it.

    Raises:
        TypeError: When the value is awaitable.
    """
    if is_awaitable(value):
        if hasattr(value, "close"):
            value.close()  # a coroutine: Python would warn that it was never awaited
        raise TypeError(f"{what} gives something to await{instead}")


def end_if_over(message: str) -> None:
    """End the loop if the time of a scope or a watchdog around it is over.

    Raises:
        DeadlineExceeded: Marked with the scope or the watchdog, so that no retried call in between retries it.
    """
    node = over_around()
    if node is not None:
        over = DeadlineExceeded(message)
        mark_bound(over, node)
        raise over


def end_beneath_watchdog() -> None:
    """End the loop if a watchdog around it has run out; a scope ends the loop in another way.

    Raises:
        DeadlineExceeded: Marked with the watchdog, which raises its own error from it.
    """
    node = over_around()
    if node is not None and node[KIND] is WATCHDOG:
        end_if_over("a watchdog around the loop has run out")
