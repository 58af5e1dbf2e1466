"""Floor 5. What the hot paths of both colours share: the count of successes, and the call that a failure makes."""

from __future__ import annotations

from redouble.calls.call import Call, Site
from redouble.control.around import NODE, WHO
from redouble.control.policy import OWN_BUDGET
from redouble.ways.shape import timeout_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.control.around import Link
    from redouble.control.budget import RetryBudget
    from redouble.control.policy import Policy


def site_of(policy: Policy, fn: Any, name: str | None, budget: RetryBudget | None, whose: str) -> Site:
    """The site of a function, with what is known of it when it is bound."""
    site = Site(policy, name, None, budget)
    site.whose = whose
    if policy.timeout_as is not None:
        site.timeout_at = timeout_at(fn, policy.timeout_as)
    return site


class _Uncounted:
    """Stands for the budget of a function that has none, so that the success path need not ask."""

    __slots__ = ("hits",)

    def __init__(self) -> None:
        self.hits = 0


def counted_by(policy: Policy, budget: RetryBudget | None) -> Any:
    """The budget whose successes a function counts, or a stand-in."""
    found = budget if policy.budget is OWN_BUDGET else policy.budget
    return _Uncounted() if found is None else found


def call_of(link: Link, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The call of a wrapper whose first attempt failed: the one that was asked for from deeper down, or a new one."""
    who = link[WHO]
    if who.__class__ is Site:
        bound = link[NODE] if who.policy.is_bounded else None
        link[WHO] = call = Call(who.policy, who.name, link, fn, args, kwargs, None, bound, who.budget, who.timeout_at)
        call.whose = who.whose
        return call
    who.fn, who.args, who.kwargs = fn, args, kwargs
    found: Call = who
    return found
