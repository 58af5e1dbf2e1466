"""Floor 2. What lies beneath a client's wrapper: the walk to the first error below it that the tables know.

The outermost class that is known decides. The wrappers of network clients ask here, because their own class hides what
matters: a certificate that is refused and a port where nothing listens are the same `httpx.ConnectError`.
"""

from __future__ import annotations

from redouble.core.causes import DEPTH
from redouble.core.verdict import Classification
from redouble.known.rows import PERMANENT, Row, is_a, named, probe, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from redouble.known.rows import Asking, Reader, Table

ADDRESSES = 16
"""How many errors of a group are looked at: a host has few addresses, a hostile group is endless."""

_LOW = frozenset(("builtins", "socket", "ssl"))


def beneath(error: Any, known: Asking, *names: str) -> Classification | None:
    """What the first error beneath `error` means that the tables know; `None` when there is none.

    In this order: the attributes `names`, errors among the arguments, the cause, the context. Python sets a context for
    whatever was being handled, related or not. It counts where it was hidden on purpose (`raise ... from None`, as
    httpcore and elastic-transport do); else only beneath `error` itself, and when it is no plain builtin error, which a
    caller's own `except` may have been about. Errors whose class is not known (anyio's) are passed through.

    Bounded and safe against cycles; only `Exception`s are looked at, so that a cancellation far below decides nothing.
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
    """A group of one error for each address that was tried: one that is permanent decides, else all must be known."""
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


def under(found: Classification, error: Any, applied: bool) -> Classification:
    """What was found beneath `error`, as the meaning of `error` itself; the reason names the root and the outermost."""
    if found.retry_after is not None or found.backoff is not None or found.redact:
        reason = _reason(found, error)
        return Classification(found.verdict, found.retry_after, applied, found.backoff, reason, found.redact)
    key = (type(error), found.reason, applied)
    kept = _kept.get(key)
    if kept is None or kept.verdict is not found.verdict:
        kept = remember(_kept, key, Classification(found.verdict, None, applied, None, _reason(found, error)))
    return kept


_kept: dict[tuple[type, str, bool], Classification] = {}


def _reason(found: Classification, error: Any) -> str:
    root = found.reason.partition(" under ")[0]
    return f"{root} under {named(error)}"


def wrapper(row: Row, *names: str, as_inner: bool = False) -> Reader:
    """A reader for a class that wraps another error.

    Args:
        row: What the class means when nothing beneath it is known. Its `applied` is the phase that the class tells: a
            wrapper from connecting (`False`) stays surely not applied whatever is beneath it, one in flight (`True`)
            stays perhaps applied, unless what is beneath it is permanent and knows better.
        names: Attributes where the client keeps the error beneath.
        as_inner: The class tells no phase: what is beneath it does.
    """
    cache: dict[type, Classification] = {}

    def read(error: Any, known: Asking) -> Classification:
        found = beneath(error, known, *names)
        if found is None:
            cls = type(error)
            plain = cache.get(cls)
            return remember(cache, cls, row.because(named(error))) if plain is None else plain
        if as_inner:
            applied = found.applied
        else:
            applied = row.applied and (found.applied or found.verdict is not PERMANENT)
        return under(found, error, applied)

    return read


def wrappers(rows: Iterable[Row], *names: str, as_inner: bool = False) -> Table:
    """The table of rows whose classes wrap another error."""
    return {(row.package, row.name): wrapper(row, *names, as_inner=as_inner) for row in rows}
