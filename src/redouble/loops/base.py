"""Floor 5. What all loops share: a policy without the limits of single calls."""

from __future__ import annotations

from redouble.control import scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

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
