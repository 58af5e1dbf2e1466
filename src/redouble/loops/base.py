"""Floor 5. What all loops share: a policy without the limits of single calls, and what ends a loop between two calls."""

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
    """Return the policy as it holds in a loop: long-lived work has no limit of attempts and no deadline, unless written.

    Args:
        policy: The policy that was handed in.
        scopes: Whether the fields of the scopes around the caller are put over it already.
    """
    if not policy.written & {"attempts", "deadline"}:
        policy = policy.overridden(attempts=None, deadline=None)
    return scope.effective(policy) if scopes else policy


def refuse_awaitable(what: str, value: Any, instead: str = "; it must answer at once") -> None:
    """Refuse what a function of the user's gives to await, where nobody awaits it.

    Args:
        what: The argument that gave it.
        value: What it gave.
        instead: What to do about it: the end of the sentence.

    Raises:
        TypeError: When it can be awaited.
    """
    if is_awaitable(value):
        if hasattr(value, "close"):
            value.close()  # a coroutine: let it not complain
        raise TypeError(f"{what} gives something to await{instead}")


def end_if_over(message: str) -> None:
    """Raise where the time of a scope or a watchdog around the loop is over, so that it begins nothing any more.

    Raises:
        DeadlineExceeded: Marked with the scope or the watchdog, so that nothing between takes it for a failure.
    """
    node = over_around()
    if node is not None:
        over = DeadlineExceeded(message)
        mark_bound(over, node)
        raise over


def end_beneath_watchdog() -> None:
    """Raise where a watchdog around the loop has run out; a scope ends the loop in another way.

    Raises:
        DeadlineExceeded: Marked with the watchdog, which raises its own error from it.
    """
    node = over_around()
    if node is not None and node[KIND] is WATCHDOG:
        end_if_over("a watchdog around the loop has run out")
