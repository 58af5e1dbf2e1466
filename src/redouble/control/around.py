"""Floor 3. Finds the calls and scopes around the caller, by one context variable.

The variable holds the innermost *link* of a chain; each link refers to the one around it. Retried calls, the attempts
of blocks, sessions, pages, scopes and watchdogs are links. A context is copied into tasks and threads, so a link may be
seen after it has ended: ending is one assignment to the link itself, and readers skip ended links.

A scope adds a *node*: a deadline (`BOUND`), changed policies, or a watchdog (`WATCHDOG`). Nodes have a chain of their
own, so that looking at scopes costs no walk over calls. Each link refers to the innermost node around its code.

Links and nodes drop arguments, errors, results and functions when they end, so a context that outlives them keeps none
alive. Both are plain lists: a decorated function that succeeds makes one link and pays for no more.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from itertools import count
from math import inf
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Token
    from typing import Any, TypeAlias

    Link: TypeAlias = list[Any]
    Node: TypeAlias = list[Any]

WHO, OUTER, BEGAN, NODE, NUMBER = 0, 1, 2, 3, 4
"""The places of a link: its owner, such as a call or a scope (`None` once it has ended), the link around it, the time
at which it began (by `time.monotonic`), the innermost node around its code, its number (0 until it is first read)."""

KIND, NOW, ENDS, CLOSED, NAME, CANCELS = 0, 2, 3, 4, 5, 6
"""The places of a bound: its kind, the node around it (`OUTER`), its clock, its end by that clock (`None`: no bound, or
no longer one), the time at which it was left after its end (by `time.monotonic`; `None`: it was not), its number. A
watchdog has the same places, and a flag: it cancels its coroutine by itself. The end of a watchdog moves."""

BOUND, WATCHDOG = "bound", "watchdog"
"""The nodes that end calls: a bound refuses each wait that would end after it, a watchdog ends a call under way when
its time is over."""

NEAR = 1e-9
"""Seconds by which a moment may be early and still counts as reached: sums of floats are not exact."""

AROUND: ContextVar[Link | None] = ContextVar("redouble.around", default=None)

get_link: Callable[[], Link | None] = AROUND.get
set_link: Callable[[Link | None], Token[Link | None]] = AROUND.set
reset_link: Callable[[Token[Link | None]], None] = AROUND.reset
"""Wrappers call these through this module: a decorated function that is pickled by value takes its globals along, and
these three cannot be pickled."""

_numbers = count(1)


def new_number() -> int:
    """Return a number that is unique among the links of all processes on this machine."""
    return (os.getpid() << 40) + next(_numbers)


# Links.


def first_open(link: Link | None) -> Link | None:
    """Return the innermost link, from `link` outwards, that has not ended."""
    while link is not None and link[WHO] is None:
        link = link[OUTER]
    return link


def innermost() -> Link | None:
    """Return the innermost link around the caller that has not ended."""
    return first_open(AROUND.get())


def new_link(who: object, outer: Link | None) -> Link:
    """Return a link owned by `who`, within `outer`, not open yet."""
    return [who, outer, monotonic(), None if outer is None else outer[NODE], 0]


def open_link(who: object) -> Link:
    """Make a link owned by `who` and make it the innermost one."""
    link = new_link(who, innermost())
    AROUND.set(link)
    return link


def close_link(link: Link) -> None:
    """End a link; safe in any order, context, task or thread, and when called twice."""
    link[WHO] = None
    if AROUND.get() is link:
        AROUND.set(first_open(link))


def links(link: Link | None) -> Iterator[Link]:
    """Yield the links that have not ended, from `link` outwards."""
    while link is not None:
        if link[WHO] is not None:
            yield link
        link = link[OUTER]


def is_attempt(link: Link) -> bool:
    """Return whether a link belongs to an attempt of a retried call, and not to a scope."""
    return getattr(link[WHO], "is_attempt", False) is True


def number_of(link: Link) -> int:
    """Return the number of a link, assigning one at the first call."""
    number: int = link[NUMBER]
    if not number:
        number = link[NUMBER] = new_number()
    return number


# Nodes.


def nodes(node: Node | None) -> Iterator[Node]:
    """Yield the nodes from `node` outwards, innermost first, including those that were left."""
    while node is not None:
        yield node
        node = node[OUTER]


def first_live(node: Node | None) -> Node | None:
    """Return the innermost node that still holds, so that a chain does not grow by ended ones."""
    while node is not None and (node[KIND] is None or (ends_calls(node) and not is_open(node))):
        node = node[OUTER]
    return node


def ends_calls(node: Node) -> bool:
    """Return whether a node is a bound or a watchdog."""
    return node[KIND] is BOUND or node[KIND] is WATCHDOG


def new_bound(outer: Node | None, now: Callable[[], float], ends: float | None) -> Node:
    """Return a bound that ends at the moment `ends` of a clock; `None`: it never ends."""
    return [BOUND, outer, now, ends, None, 0]


def new_watchdog(outer: Node | None, now: Callable[[], float], ends: float | None, cancels: bool) -> Node:
    """Return a watchdog whose time is over at `ends` of a clock, unless that moves; `None`: it never is."""
    return [WATCHDOG, outer, now, ends, None, 0, cancels]


def is_open(bound: Node) -> bool:
    """Return whether a bound holds for calls that begin now."""
    return bound[ENDS] is not None and bound[CLOSED] is None


def left_of(bound: Node) -> float:
    """Return the seconds until a bound ends: below 0 when it has ended, infinite when it never does."""
    ends: float | None = bound[ENDS]
    left: float = inf if ends is None else ends - bound[NOW]()
    return left


def leave_bound(bound: Node) -> None:
    """Leave a bound: one left in time no longer holds, one left late still holds for calls that began within it."""
    if bound[ENDS] is not None and bound[CLOSED] is None:
        if left_of(bound) > 0:
            bound[ENDS] = None
        else:
            bound[CLOSED] = monotonic()


def named(bound: Node) -> int:
    """Return the number of a bound, assigning one at the first call; an error's mark names its scope by it."""
    if not bound[NAME]:
        bound[NAME] = new_number()
    number: int = bound[NAME]
    return number


def bounds_of(link: Link | None) -> list[Node]:
    """Return the bounds that hold for the call of this link, innermost first, its own included."""
    if link is None or link[NODE] is None:
        return []
    began = link[BEGAN]
    return [node for node in nodes(link[NODE]) if node[KIND] is BOUND and holds(node, began)]


def holds(bound: Node, began: float) -> bool:
    """Return whether a bound holds for a call that began at `began`."""
    return bound[ENDS] is not None and (bound[CLOSED] is None or bound[CLOSED] > began)


def left_around() -> float:
    """Return the seconds until the first of the bounds around the caller ends; infinite without a bound."""
    return min(map(left_of, bounds_of(innermost())), default=inf)


def is_over(node: Node, early: float = NEAR) -> bool:
    """Return whether the time of a bound or a watchdog is over, or will be within `early` seconds."""
    return left_of(node) <= early


def over_around(early: float = NEAR) -> Node | None:
    """Return the outermost bound or watchdog around the caller whose time is over; `None` if there is none."""
    link, found = innermost(), None
    for node in nodes(None if link is None else link[NODE]):
        if ends_calls(node) and holds(node, link[BEGAN]) and is_over(node, early):  # type: ignore[index]  # it has a node
            found = node
    return found


def patience(among: Iterable[Node], began: float) -> float:
    """Return the seconds that a wait may last before the watchdogs must be checked again; infinite: no check is needed.

    A watchdog that cancels its coroutine by itself needs no check.

    Args:
        among: The nodes around the call that waits.
        began: When that call began, by `time.monotonic`.
    """
    watching = (node for node in among if node[KIND] is WATCHDOG and not node[CANCELS] and holds(node, began))
    return max(0.0, min(map(left_of, watching), default=inf))


def patience_around() -> float:
    """Return the `patience` of the caller."""
    link = innermost()
    return inf if link is None else patience(nodes(link[NODE]), link[BEGAN])
