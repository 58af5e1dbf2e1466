"""On top of the floors: urllib3's pool managers, which send a request again by a redouble policy.

Particular to urllib3 are its own retries, which are on by default and count redirects as well: beneath redouble,
retries of failures are off, and redirects still work. The rest is in `_http.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import urllib3

from redouble.adapters._http import Sender, say_own_retries
from redouble.calls.timing import shortened
from redouble.core import checks
from redouble.ways.policy import retry

if TYPE_CHECKING:
    from typing import Unpack

    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

    from redouble.control.policy import PolicyFields
    from redouble.ways.policy import RetryPolicy

M = TypeVar("M", bound=urllib3.PoolManager)


def retrying(manager: M, policy: RetryPolicy = retry, **fields: Unpack[PolicyFields]) -> M:
    """Make a pool manager send each request again until it succeeds or the policy gives up; return the manager.

    It is beneath the manager's redirects: each request of theirs is retried by itself. Unless `preload_content=False` is
    written, an answer's body is read within the attempt, so that a truncated answer is retried.

    Args:
        manager: A `PoolManager` or `ProxyManager`, before its first request.
        policy: The policy; its `result` is `http_response` unless written.
        fields: Changes of the policy, as keywords: `attempts=5`.

    Raises:
        TypeError, ValueError: For a value that is not a manager or a policy, and for wrong fields.

    >>> import urllib3
    >>> from redouble.adapters.urllib3 import retrying
    >>> http = retrying(urllib3.PoolManager(maxsize=10), attempts=5)
    """
    if not isinstance(manager, urllib3.PoolManager):
        raise TypeError(f"manager must be a urllib3.PoolManager or ProxyManager, got {checks.shown(manager)}")
    sender = Sender("urllib3", policy, fields)
    classes: dict[str, Any] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _with_sender(kind, sender) for scheme, kind in classes.items()}
    manager.clear()  # existing pools are of the old classes
    return manager


def _with_sender(kind: type, sender: Sender) -> Any:
    return type(f"Retrying{kind.__name__}", (_Retrying, kind), {"sender": sender})


class _Retrying:
    """Mixed into a class of connection pools: its requests are sent by `sender`."""

    sender: Sender

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> BaseHTTPResponse:
        pool: Any = self
        asked = _Asked(method, _at(args, kwargs, 1, "headers") or pool.headers)
        retries = _own_retries(pool, _at(args, kwargs, 2, "retries"))
        given = _at(args, kwargs, 5, "timeout", pool.timeout)
        once: Any = super().urlopen  # type: ignore[misc]  # of the pool's class, a base beside this one

        def send(limit: float | None) -> BaseHTTPResponse:
            timeout = given if limit is None else cut_timeout(given, limit)
            answer: BaseHTTPResponse = once(method, url, *args[:2], **{**named, "retries": retries, "timeout": timeout})
            return answer

        named = {**dict(zip(_NAMES[2:], args[2:], strict=False)), **kwargs}
        return self.sender(asked, _at(args, kwargs, 0, "body"), send)


_NAMES = ("body", "headers", "retries", "redirect", "assert_same_host", "timeout", "pool_timeout")
"""The parameters of `HTTPConnectionPool.urlopen` after the method and the URL, in their order."""


class _Asked:
    """The facts of a request that decide whether it may be repeated."""

    __slots__ = ("headers", "method")

    def __init__(self, method: str, headers: Any) -> None:
        self.method = method
        self.headers = headers


def _at(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, default: Any = None) -> Any:
    """Return an argument, passed by position or by name."""
    return args[place] if len(args) > place else kwargs.get(name, default)


def _own_retries(pool: HTTPConnectionPool, written: Any) -> urllib3.Retry:
    """Return urllib3's remaining retries: those of redirects, unless the user wrote more."""
    given = pool.retries if written is None else written
    retries = urllib3.Retry.from_int(given)
    if given is not urllib3.Retry.DEFAULT and is_on(retries):
        if written is None or not getattr(written, "history", ()):  # a redirect was logged already
            say_own_retries("urllib3", f"retries={given!r}", "retries=Retry(connect=0, read=0, status=0, other=0)")
        return retries
    return retries.new(connect=0, read=0, status=0, other=0, status_forcelist=(), respect_retry_after_header=False)


def is_on(retries: urllib3.Retry) -> bool:
    """Return whether urllib3 would send a request again by itself after a failure."""
    if retries.total is False or retries.total == 0:
        return False
    counts = retries.connect, retries.read, retries.other
    waits = retries.status != 0 and (retries.respect_retry_after_header or bool(retries.status_forcelist))
    return waits or any(count is None or count > 0 for count in counts)


def cut_timeout(given: Any, seconds: float) -> Any:
    """Return a timeout of urllib3 or requests of at most `seconds`: a number, a tuple, or a `Timeout`; never longer."""
    if not isinstance(given, urllib3.Timeout):
        return shortened(given, seconds)
    connect, read = _number(given.connect_timeout), _number(given._read)
    total = shortened(_number(given.total), seconds)
    return urllib3.Timeout(total=total, connect=shortened(connect, seconds), read=shortened(read, seconds))


def _number(value: Any) -> float | None:
    """Return a timeout as a number; `None` for urllib3's default, which is the system's."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
