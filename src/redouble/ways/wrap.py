"""Floor 5. The wrapper of a function: a hot path for the first attempt, and a script for everything after a failure."""

from __future__ import annotations

from time import monotonic

from redouble.calls.awaitable import is_awaitable
from redouble.calls.call import Site, call_of, is_fault, new_call
from redouble.calls.hosts.threads import drive
from redouble.calls.later import tell_if_later
from redouble.calls.script import attempts
from redouble.calls.tracebacks import strip
from redouble.control import around, scope
from redouble.control.around import BOUND, NODE, WHO, close_link, first_live, first_open, leave_bound, open_link
from redouble.control.host import in_event_loop
from redouble.ways.first import NONE, counted_by, gate_of, site_of
from redouble.ways.settled import SETTLED, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.control.policy import Policy
    from redouble.ways.first import Own


def retrying(  # noqa: C901  # see below
    policy: Policy, fn: Callable[..., Any], name: str | None, own: Own = NONE, whose: str = ""
) -> Callable[..., Any]:
    """Return a function that calls `fn` until it succeeds or the policy gives up.

    A success costs one reading of the clock, a link in the chain, and a look at the type of the returned value; with a
    cooldown, also a check of whether a list is empty. Everything else is made after the first failure.
    """
    site = site_of(policy, fn, name, own, whose)
    counted = counted_by(policy, own.budget)
    long_way = gate_of(policy, own.cooldown)
    seconds = policy.deadline if policy.is_bounded else None
    plain: type | None = None  # the type of the last value, which is known not to be awaitable

    # Not split into functions: every call would pay for each of them, and tracebacks would show it.
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: C901
        nonlocal plain
        if long_way or scope.overriding:
            try:
                return run(site, fn, args, kwargs)
            except BaseException as error:
                try:  # noqa: SIM105
                    strip(error)
                except RecursionError:  # no stack is left; suppress() would be one more call
                    pass
                raise
        outer = around.get_link()
        if outer is not None and outer[WHO] is None:
            outer = first_open(outer)
        began = monotonic()
        node = None if outer is None else outer[NODE]
        if seconds is not None:
            node = [BOUND, first_live(node), monotonic, began + seconds, None, 0]
        link = [site, outer, began, node, 0]
        token = around.set_link(link)
        call: Any = None
        try:
            try:
                value = fn(*args, **kwargs)
            except Exception as error:
                try:
                    call = call_of(link, fn, args, kwargs)
                    over = call.failed(error)
                except RecursionError:  # no stack is left even to judge it
                    over = True
                except Exception as fault:
                    over = is_fault(site.name, fault)
                if over:
                    raise
            else:
                if type(value) is plain:
                    counted.hits += 1
                    return value
                if not is_awaitable(value):
                    try:  # noqa: SIM105
                        plain = type(value) if type(value) in SETTLED else settle(site, value)
                    except Exception:  # a metaclass that refuses to be hashed; suppress() would cost a call
                        pass
                    counted.hits += 1
                    tell_if_later(site.policy, site.name, value)
                    return value
                return _carry_on(site, value, fn, args, kwargs)
            try:
                if drive(attempts(call, after_failure=True), call) is None:
                    return call.value
            except BaseException as error:
                strip(error)
                raise
            return _carry_on(site, call.given, fn, args, kwargs, call)
        finally:
            link[WHO] = None
            if around.get_link() is link:  # else the attempt opened a scope that stays open
                around.reset_link(token)
            if call is not None:  # by assignments, not by let_go(): no stack may be left for a call
                call.error = call.raised = call.value = call.given = call.tally.handed = call.fn = None
                call.args, call.kwargs = (), {}
            if seconds is not None:
                leave_bound(node)  # type: ignore[arg-type]  # with a deadline there is a node

    return wrapper


def run(site: Site, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a whole call with the driver of threads."""
    link = open_link(site)
    call = None
    try:
        call = new_call(site, link, fn, args, kwargs)
        if call.held and in_event_loop():
            call.begin_held()  # waiting would block the event loop; if it returns an awaitable, that is held back
        if drive(attempts(call), call) is None:
            return call.value
        return _carry_on(site, call.given, fn, args, kwargs, call)
    finally:
        close_link(link)
        if call is not None:
            call.let_go()


def _carry_on(*given: Any) -> Any:
    """Go on in a coroutine; the asynchronous modules are loaded for the first awaitable."""
    from redouble.ways.wrap_async import carry_on

    return carry_on(*given)
