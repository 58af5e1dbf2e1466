"""Floor 5. What the hot paths of both colours share: the count of successes, and the call that a failure makes."""

from __future__ import annotations

from redouble.calls.call import Call, Site
from redouble.control.around import NODE, WHO
from redouble.control.policy import OWN_BUDGET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.control.around import Link
    from redouble.control.budget import RetryBudget
    from redouble.control.policy import Policy


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
        link[WHO] = call = Call(who.policy, who.name, link, fn, args, kwargs, None, bound, who.budget)
        return call
    who.fn, who.args, who.kwargs = fn, args, kwargs
    found: Call = who
    return found
