"""Floor 5. The types of returned values: plain ones, and HTTP responses that no rule judges.

`call(requests.get, url)` that returns a 503 has succeeded, as far as redouble knows; redouble logs that once per
function. It looks only at types that seem to be a response. Any other type is settled when it is first returned.
"""

from __future__ import annotations

from redouble.calls.awaitable import GENERATOR
from redouble.control import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.calls.call import Site

SETTLED: set[type] = {type(None), bool, int, float, str, bytes, list, dict, tuple}
"""The types that need no further look."""

_MOST = 1024
"""The number of types kept: a program that makes classes for ever must not fill the memory."""


def settle(site: Site, value: Any) -> type | None:
    """Return the type of a returned value if its values need no further look; `None`: look at the next one, too."""
    cls = type(value)
    try:
        if cls is GENERATOR:
            return None
        if not cls.__name__.endswith("Response") or site.policy.result is not None or site.policy.observers is None:
            _keep(cls)
            return cls
        return cls if _is_said(site.name, value) else None
    except Exception:  # a metaclass that hides its name or refuses to be hashed
        return cls


def _keep(cls: type) -> None:
    if cls.__name__.endswith("Response"):  # settled for one policy only: another may have other rules
        return
    if len(SETTLED) >= _MOST:
        SETTLED.clear()
    SETTLED.add(cls)


def _is_said(name: str | None, value: Any) -> bool:
    """Log once per function that it returned a transient HTTP answer, and how to retry it; return whether it did."""
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
