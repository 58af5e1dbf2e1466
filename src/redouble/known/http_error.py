"""Floor 2. Errors of a user's own client that carry an HTTP status: the rule `http_error`."""

from __future__ import annotations

import time

from redouble.core import checks
from redouble.core.raw import probe, whole
from redouble.core.record import Record
from redouble.core.verdict import Rule, exception_types, type_name
from redouble.known.row import named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.core.verdict import Classification, Fault


class HttpError(Rule, Record):
    """The rule that `http_error` makes.

    Fields:
        types: The exception types that it judges.
        status: The path of the attribute that holds the status; `None`: where HTTP clients keep it.
        headers: The path of the attribute that holds the headers.
        wall: The wall clock, as for `known_errors`: seconds since the epoch, for a Retry-After date without a Date.
    """

    types: tuple[type, ...]
    status: str | None
    headers: str
    wall: Callable[[], float] = time.time

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        """Judge an error of these types by its status; `None` for one without a status of 300 or more."""
        if not issubclass(type(subject), self.types):
            return None
        status = self._status(subject)
        if status is None or status < 300:
            return None
        from redouble.known.http_status import judge_status  # the table of statuses is loaded when one is looked for

        return judge_status(status, _at(subject, self.headers), self.wall, who=named(subject))

    def _status(self, error: Any) -> int | None:
        paths = ("status_code", "status") if self.status is None else (self.status,)
        return next((found for path in paths if (found := whole(_at(error, path))) is not None), None)

    def __repr__(self) -> str:
        names = ", ".join(map(type_name, self.types))
        status = "" if self.status is None else f", status={self.status!r}"
        return f"http_error({names}{status}{'' if self.headers == 'headers' else f', headers={self.headers!r}'})"


def http_error(*types: type[Exception], status: str | None = None, headers: str = "headers") -> Rule:
    """Make a rule for errors of your own client: judge them by the HTTP status and the headers that they carry.

    Errors are judged as `known_errors` judges errors of common clients, and `http_response` judges responses: a 429 or
    503 is retried after its Retry-After, a 404 is permanent. An error without a status of 300 or more is left to the
    next rule.

    Args:
        types: Exception types, subclasses included.
        status: The attribute that holds the status, a whole number; a dotted path for one further in
            (`"response.code"`). `None`: `status_code`, else `status`.
        headers: The attribute that holds the headers, anything with a `get`, or a dotted path. It may be missing: then
            there is no Retry-After.

    Raises:
        TypeError: For no type, for a value that is not an exception type, and for a path that is not a string.
        ValueError: For a path that is not made of names with dots between them.

    Source: RFC 9110 15 and 10.2.3.

    >>> from redouble import classify, http_error, known_errors
    >>> class ShopError(Exception):
    ...     def __init__(self, status):
    ...         self.http_status = status
    >>> rule = http_error(ShopError, status="http_status") | known_errors
    >>> classify(ShopError(503), rule).verdict, classify(ShopError(404), rule).verdict
    (Verdict.TRANSIENT, Verdict.PERMANENT)
    """
    if not types:
        raise TypeError("http_error() must be given at least one exception type")
    kinds = exception_types("http_error()", types)
    return HttpError(kinds, None if status is None else _path("status", status), _path("headers", headers))


def _path(name: str, value: Any) -> str:
    rule = f"{name} must be the name of an attribute, or names with dots between"
    if not isinstance(value, str):
        raise TypeError(f"{rule}, got {checks.shown(value)}")
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError(f"{rule}, got {checks.shown(value)}")
    return value


def _at(subject: Any, path: str) -> Any:
    """Return the value at the end of a path of attributes; `None` where one is missing or raises."""
    for name in path.split("."):
        subject = probe(subject, name)
    return subject
