"""Floor 5. The parts that synchronous and asynchronous wrappers share: a function's site, budget and cooldown."""

from __future__ import annotations

from redouble.calls.call import Site
from redouble.control.policy import OWN_BUDGET
from redouble.ways.shape import timeout_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.control.budget import RetryBudget
    from redouble.control.cooldown import Cooldown
    from redouble.control.policy import Policy


def site_of(policy: Policy, fn: Any, name: str | None, own: Own, whose: str) -> Site:
    """Return the site of a function, with the facts that are known when it is decorated."""
    site = Site(policy, name, None, own.budget)
    site.cooldown = own.cooldown
    site.whose = whose
    if policy.timeout_as is not None:
        site.timeout_at = timeout_at(fn, policy.timeout_as)
    return site


class Own:
    """The budget and the cooldown of a decorated function, unless its policy names others; a direct call has none."""

    __slots__ = ("budget", "cooldown")

    def __init__(self, budget: RetryBudget | None = None, cooldown: Cooldown | None = None) -> None:
        self.budget: RetryBudget | None = budget
        self.cooldown: Cooldown | None = cooldown


NONE = Own()


def gate_of(policy: Policy, own: Cooldown | None) -> Any:
    """Return an object that is true when a call cannot take the short way: always, never, or during a cooldown."""
    if not policy.is_plain:
        return True
    found = own if policy.cooldown is True else policy.cooldown
    return False if found is None else found.gate


class _Uncounted:
    """A stand-in for the budget of a function without one, so that the success path need not ask."""

    __slots__ = ("hits",)

    def __init__(self) -> None:
        self.hits = 0


def counted_by(policy: Policy, budget: RetryBudget | None) -> Any:
    """Return the budget that counts a function's successes, or a stand-in."""
    found = budget if policy.budget is OWN_BUDGET else policy.budget
    return _Uncounted() if found is None else found
