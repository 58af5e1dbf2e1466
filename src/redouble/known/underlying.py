"""Floor 2. The error beneath a client's wrapper: the walk to the first one that the tables know.

The outermost known class decides. The wrappers of network clients ask here, because their own class hides the
difference: a refused certificate and a closed port are both `httpx.ConnectError`.
"""

from __future__ import annotations

from redouble.core.causes import DEPTH
from redouble.core.raw import is_a, probe
from redouble.known.error_text import first_text
from redouble.known.row import PERMANENT, as_applied, named, remember, restated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking

ADDRESSES = 16
"""The most errors of a group that are read: a host has few addresses, a hostile group is endless."""

_LOW = frozenset(("builtins", "socket", "ssl"))


def beneath(error: Any, known: Asking, *names: str) -> Classification | None:
    """Judge the first error beneath `error` that the tables know; `None` when there is none.

    In this order: the attributes `names`, errors among the arguments, the cause, the context. Python sets the context
    to the error that was being handled, related or not. It counts where it was hidden on purpose (`raise ... from
    None`, as httpcore and elastic-transport do); else only that of `error` itself, and not a plain builtin error, which
    may come from a caller's own `except`. Errors of unknown classes (anyio's) are passed through.

    Bounded and safe against cycles. It reads only `Exception`s, so that a cancellation far below does not decide.
    """
    waiting = _links(error, names)
    seen = [error]
    while waiting:
        link = waiting.pop(0)
        found = known.inner(link)
        if found is None and is_a(link, BaseExceptionGroup):
            found = _addresses(link, known)
        if found is not None:
            return found
        if len(seen) < DEPTH and not any(link is before for before in seen):
            seen.append(link)
            waiting[:0] = _links(link, (), of_client=False)
    return None


def _links(error: Any, names: Iterable[str], of_client: bool = True) -> list[Any]:
    found = [probe(error, name) for name in names]
    args = probe(error, "args")
    if type(args) is tuple:
        found.extend(args[:3])
    cause = probe(error, "__cause__")
    if cause is not None:
        found.append(cause)
    else:
        context = probe(error, "__context__")
        if probe(error, "__suppress_context__") is True or (of_client and not _is_plain(context)):
            found.append(context)
    return [link for link in found if is_a(link, Exception)]


def _is_plain(error: Any) -> bool:
    return type(error).__module__ == "builtins"


def _addresses(group: Any, known: Asking) -> Classification | None:
    """Judge a group with one error for each address tried: one that is permanent decides, else all must be known."""
    found = None
    errors = probe(group, "exceptions")
    for error in errors[:ADDRESSES] if type(errors) is tuple else ():
        each = known.inner(error) if type(error).__module__ in _LOW else None
        if each is None:
            return None
        if each.verdict is PERMANENT:
            return each
        found = found or each
    return found


def as_wrapped(found: Classification, error: Any, applied: bool) -> Classification:
    """Restate the meaning of an error beneath as that of `error` itself; the reason names both."""
    if found.retry_after is not None or found.backoff is not None or found.redact:
        return restated(found, _reason(found, error), applied)
    key = (type(error), found.reason, applied)
    kept = _kept.get(key)
    if kept is None or kept.verdict is not found.verdict or kept.row is not found.row:
        kept = remember(_kept, key, restated(found, _reason(found, error), applied))
    return kept


_kept: dict[tuple[type, str, bool], Classification] = {}


def _reason(found: Classification, error: Any) -> str:
    root = found.reason.partition(" under ")[0]
    return f"{root} under {named(error)}"


def told_in_handshake(found: Classification, error: Any) -> Classification:
    """Return the same, but surely not applied where Python's text beneath shows a TLS handshake that timed out."""
    link = error
    for _ in range(DEPTH):
        if is_a(link, TimeoutError) and first_text(link).endswith("The handshake operation timed out"):
            return as_applied(found, False)
        link = probe(link, "__cause__") or probe(link, "__context__")
        if not is_a(link, Exception):
            break
    return found


def firm_root(error: Any, known: Asking) -> Classification | None:
    """Return the permanent failure beneath a connection error: an unknown name, a certificate, a forbidden port.

    Clients wrap these as they wrap an outage: redis-py and PyMySQL leave only the `__context__`. No other error in a
    chain is trusted: a context may be unrelated to the error.
    """
    link, seen = error, [error]
    for _ in range(DEPTH):
        link = probe(link, "__cause__") or probe(link, "__context__")
        if not is_a(link, BaseException) or any(link is before for before in seen):
            return None
        seen.append(link)
        if _may_be_firm(type(link)):
            found = known.inner(link)
            if found is not None and found.verdict is PERMANENT:
                return as_wrapped(found, error, found.applied)
    return None


def _may_be_firm(cls: type) -> bool:
    if issubclass(cls, PermissionError):
        return True
    modules = (probe(base, "__module__") for base in cls.__mro__)
    return issubclass(cls, OSError) and any(module in ("socket", "ssl") for module in modules if type(module) is str)
