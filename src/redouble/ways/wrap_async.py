"""Floor 5. The wrapper of a coroutine function, for asyncio and trio alike."""

from __future__ import annotations

from time import monotonic

from redouble.calls.call import Call, Site, call_of, is_fault, new_call
from redouble.calls.hosts.coroutines import drive, limited_first
from redouble.calls.script import attempts
from redouble.calls.tracebacks import strip
from redouble.control import around, scope
from redouble.control.around import BOUND, NODE, WHO, close_link, first_live, first_open, leave_bound, open_link
from redouble.ways.first import NONE, counted_by, gate_of, site_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from redouble.control.policy import Policy
    from redouble.ways.first import Own


def retrying(  # noqa: C901  # see below
    policy: Policy, fn: Callable[..., Any], name: str | None, own: Own = NONE, whose: str = ""
) -> Callable[..., Any]:
    """Return a coroutine function that awaits `fn` until it succeeds or the policy gives up."""
    site = site_of(policy, fn, name, own, whose)
    counted = counted_by(policy, own.budget)
    long_way = getattr(fn, "limits_itself", False) or gate_of(policy, own.cooldown)
    seconds = policy.deadline if policy.is_bounded else None

    async def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: C901  # as in `wrap`
        if long_way or scope.overriding:
            try:
                return await run(site, None, fn, args, kwargs)
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
                given = fn(*args, **kwargs)
                value = await (given if node is None else limited_first(given, link))
                counted.hits += 1
                return value
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
            try:
                await drive(attempts(call, after_failure=True), call)
            except BaseException as error:
                strip(error)
                raise
            return call.value
        finally:
            link[WHO] = None
            try:
                if around.get_link() is link:  # else the attempt opened a scope that stays open
                    around.reset_link(token)
            except ValueError:  # closed in another context, as an unfinished coroutine may be
                pass
            if call is not None:  # by assignments, not by let_go(): no stack may be left for a call
                call.error = call.raised = call.value = call.given = call.tally.handed = call.fn = None
                call.args, call.kwargs = (), {}
            if seconds is not None:
                leave_bound(node)  # type: ignore[arg-type]  # with a deadline there is a node

    return wrapper


def carry_on(
    site: Site,
    given: Any,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    call: Call | None = None,
) -> Coroutine[Any, Any, Any]:
    """Go on in a coroutine after a synchronous wrapper received an awaitable, `given`: its current attempt.

    The clock of a first attempt starts when the coroutine is awaited. The error that the call holds is taken now, since
    the wrapper lets go of it.
    """
    held = [] if call is None else [call.error]
    return _carried_on(site, given, fn, args, kwargs, call, held)


async def _carried_on(*given: Any) -> Any:
    try:
        return await run(*given)
    except BaseException as error:
        strip(error)
        raise


async def run(
    site: Site,
    given: Any,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    begun: Call | None = None,
    held: list[Exception | None] | None = None,
) -> Any:
    """Make a whole call with the driver of coroutines.

    Args:
        site: The policy and the name.
        given: The awaitable that an attempt has returned already; `None`: no attempt has begun.
        fn, args, kwargs: The operation.
        begun: The call of the synchronous wrapper, if attempts have failed in it; else `None`.
        held: The error of the last failed attempt, in a list so that it can be taken out.
    """
    link = open_link(site)
    call = None
    try:
        new = begun is None or begun.tally.attempt == 1
        first = new and (given is None or hasattr(given, "close"))  # a task is under way already, and has no close
        call = new_call(site, link, fn, args, kwargs, first)
        if begun is not None:
            call.take_over(begun, held.pop() if held else None)
        call.given = given
        await drive(attempts(call), call)
        return call.value
    finally:
        close_link(link)
        if call is not None:
            if call.held and given is not None:
                given.close()  # cancelled while held back: Python would warn that it was never awaited
            call.let_go()
