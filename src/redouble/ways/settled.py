"""Floor 5. Types of values that a function returned: which are plain, and two kinds that are said once per function.

`call(requests.get, url)` that returns a 503 has succeeded, as far as redouble knows; and a generator, a context manager of
contextlib or a future of a pool does its work later, where no retry is around it. All other types are settled when one is
first returned.
"""

from __future__ import annotations

from redouble.calls.awaitable import GENERATOR
from redouble.control import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.calls.call import Site

SETTLED: set[type] = {type(None), bool, int, float, str, bytes, list, dict, tuple}
"""The types of which no more is asked."""

LATER = {
    ("builtins", "generator"): "a generator, whose body runs only later, unretried: write retry.opening(fn)",
    ("builtins", "async_generator"): "a generator, whose body runs only later, unretried: write retry.opening(fn)",
    ("contextlib", "_GeneratorContextManager"): "a context manager, which opens only later: write retry.connect(fn)",
    (
        "contextlib",
        "_AsyncGeneratorContextManager",
    ): "a context manager, which opens only later: write retry.connect(fn)",
    ("concurrent.futures._base", "Future"): "a future, whose work runs elsewhere, unretried: submit a retried function",
}
"""What a value that does its work later is, and what to write instead, by the module and the name of its type."""

_MOST = 1024
"""How many are kept: a program that makes classes for ever must not fill the memory."""


def settle(site: Site, value: Any) -> type | None:
    """Return the type of a returned value where no more need be asked of such; `None`: ask of the next one, too."""
    cls = type(value)
    try:
        later = LATER.get((cls.__module__, cls.__name__))
        if later is not None:
            _say_later(site, later)
            return None if cls is GENERATOR else cls  # a generator may also be an old form of coroutine
        if not cls.__name__.endswith("Response") or site.policy.result is not None or site.policy.observers is None:
            _keep(cls)
            return cls
        return cls if _is_said(site.name, value) else None
    except Exception:  # a metaclass that hides its name or refuses to be hashed
        return cls


def _say_later(site: Site, later: str) -> None:
    """Say once per function that the work of what it returned is not retried."""
    if site.policy.observers is not None and faults.once("later", site.name):
        faults.warn("%s: returned %s", site.name or "a retried call", later)


def _keep(cls: type) -> None:
    if cls.__name__.endswith("Response"):  # another policy may look
        return
    if len(SETTLED) >= _MOST:
        SETTLED.clear()
    SETTLED.add(cls)


def _is_said(name: str | None, value: Any) -> bool:
    """Say once per function that an answer which may pass was returned, and what would try again."""
    from redouble.known.http_response import http_response

    found = http_response.ask(value)
    if found is None:
        return False
    if faults.once("answer", name):
        faults.warn(
            "%s: returned %s, which is a result and no error, so it is not tried again; result=http_response would",
            name or "a retried call",
            found.reason,
        )
    return True
