"""Floor 2. System errors and HTTP statuses quoted in an error's own text, for `guess.py`.

Many clients quote the underlying failure in their text and drop it. Only unmistakable forms are read: `[Errno 111]` as
Python words it, `503 Service Unavailable` and `HTTP status 503` as HTTP libraries do. The caller has to know that the
text was *received*, and not composed by the user.
"""

from __future__ import annotations

import re
import socket

from redouble.core.raw import at, is_a, probe
from redouble.known.error_text import any_in, clipped, firm_text, told
from redouble.known.http_status import judge_status
from redouble.known.row import PERMANENT, named
from redouble.known.underlying import as_wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking

LENGTH = 1000
"""The most characters of a text that are read."""

_SYSTEM = ("[Errno ", "ConnectionResetError(", "BrokenPipeError(")
_ERRNO = re.compile(r"\[Errno (-?\d{1,5})\]|(?:ConnectionResetError|BrokenPipeError)\((\d{1,5}),")
_PHRASES = ("too many requests", "internal server error", "bad gateway", "service unavailable", "gateway time")
_MARKS = ("http ", "http/", "status code", *_PHRASES)
_PHRASE = f"(?:{'|'.join(_PHRASES)}-?(?:out)?)"
_STATUS = re.compile(
    r"\bhttp(?:/\d(?:\.\d)?)?(?: response)?(?: error)?(?: status)?(?: code)?\W{1,3}([1-5]\d\d)\b"
    r"|\bstatus code\W{1,3}([1-5]\d\d)\b"
    rf"|\b([45]\d\d)\W{{1,3}}{_PHRASE}"
    rf"|{_PHRASE}\W{{1,3}}([45]\d\d)\b"
)
_BEFORE, _AFTER = 8, 60
"""The characters around a mark that are matched: an expression tried at a thousand places takes 0.5 ms."""


def quoted_status(error: Any) -> int | None:
    """Return the HTTP status that the text of an error quotes first; `None` where that is not in 400..599.

    >>> quoted_status(Exception("HTTP driver received HTTP status 503")), quoted_status(Exception("status: 503 rows"))
    (503, None)
    """
    text = _text(error).lower()
    for place in sorted(place for mark in _MARKS if (place := text.find(mark)) >= 0):
        match = _STATUS.search(text, max(0, place - _BEFORE), place + _AFTER)
        if match is not None:
            number = int(next(group for group in match.groups() if group is not None))
            return number if 400 <= number <= 599 else None
    return None


def quoted_errors(error: Any, known: Asking) -> Classification | None:
    """Judge the system errors that the text of an error quotes; one that is permanent decides."""
    text = _text(error)
    if not any_in(text, *_SYSTEM):
        return None
    found = None
    for match in _ERRNO.finditer(text):
        number = int(match[1] or match[2])
        each = known.inner(socket.gaierror(number, "") if number < 0 else OSError(number, ""))
        if each is None or each.verdict is PERMANENT:
            return each
        found = found or each
    return None if found is not None and firm_text(text) else found


def judge_quoted(error: Any, known: Asking, headers: Any = None) -> Classification | None:
    """Judge an error by the system errors, or else the HTTP status, that its text quotes."""
    found = quoted_errors(error, known)
    if found is not None:
        return as_wrapped(found, error, True)
    return judge_status(quoted_status(error), headers, known.wall, who=named(error))


def _text(error: Any) -> str:
    first: Any = at(error, ("args", 0))
    inner = told(first) if is_a(first, Exception) else ""
    return (told(error) or clipped(probe(error, "message")) or inner)[:LENGTH]
