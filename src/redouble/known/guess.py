"""Floor 2. General mechanisms, for errors that no table knows: judged by their contents, and marked as guessed.

Only an error that a client *received* is guessed, never one that a program raises for its own callers:

- never a class of `__main__`, of the standard library, or of the server's side of the web (an `HTTPException(503)` there
  is an answer that is given);
- never a class of the package of the retried function, where that is the user's own: `raise GivenUp(error)` is a
  decision. The first frame of the traceback outside redouble and the standard library tells. For a client's function
  handed straight to `call`, `handed` tells.

For a status, and for errors beneath, the last frame of the traceback must also belong to the package of the class: the
client itself raised it. For a status, a response of a known HTTP engine on the error is proof enough.
"""

from __future__ import annotations

import sys

from redouble.core.causes import DEPTH, causes, is_exception
from redouble.core.checks import LONGEST
from redouble.core.raw import at, is_a, probe, whole
from redouble.core.verdict import Classification
from redouble.known.http_status import judge_status, loaded_body
from redouble.known.row import PERMANENT, TRANSIENT, Row, named, remember, restated
from redouble.known.sqlstate import row_of
from redouble.known.underlying import as_wrapped
from redouble.known.whose import handed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

    from redouble.known.row import Asking

FRAMES = 500
"""The most frames of a traceback that are read; a deeper traceback is not used."""

MEMBERS = 16
"""The most errors of a collection that are read: a host has few addresses."""

_SERVERS = (
    *("fastapi", "starlette", "rest_framework", "django", "falcon", "werkzeug", "flask", "flask_restful"),
    *(
        "flask_smorest",
        "apiflask",
        "quart",
        "sanic",
        "litestar",
        "tornado.web",
        "aiohttp.web",
        "aiohttp.web_exceptions",
    ),
    *("bottle", "cherrypy", "pyramid", "webob", "connexion", "ninja", "blacksheep", "robyn", "emmett", "microdot"),
    *("mcp", "click", "typer"),
)
"""Modules whose exceptions were not received: the server's side of the web, and those that end a program."""

_ENGINES = (
    *("requests", "httpx", "httpx2", "urllib3", "http.client", "aiohttp.client_reqrep", "tornado.httpclient"),
    *("httplib2", "curl_cffi", "niquests"),
)
"""Modules of HTTP clients whose response objects count."""

_STATUSES = ("status_code", "status", "http_status", "response_code")
_STATUSES_OF_ENGINES = (*_STATUSES, "code")
"""The `code` of an error may be anything; that of a response of tornado, urllib or http.client is the status."""
_RESPONSES = ("response", "resp")
_BENEATH = ("source", "orig", "reason", "errors")
_CONNECTED = frozenset(("pyodbc", "pg8000", "aioodbc", "turbodbc"))
"""Drivers that use SQLSTATE's class 08 as the standard has it; others use it for a connection that was refused."""

_WORD = Row("*", "Exception", "its own word", TRANSIENT, True, "policy", "`retriable`, `is_retryable()`, `retry_after`")
ROWS: tuple[Row, ...] = (_WORD,)


def guess(error: Any, known: Asking) -> Classification | None:
    """Guess the meaning of an unknown error from its contents; `None` where they do not tell. Never raises."""
    try:
        if not is_exception(error) or not _may_be_received(type(error)):
            return None
        found = _as_sdk(error, known)
        if found is None and _is_known_beneath(error, known):
            return None
        frames = _modules(error.__traceback__)
        own = _top(type(error).__module__)
        if _is_own(own, frames):
            return None
        return _judge(error, known, found, bool(frames) and (_top(frames[-1]) == own or frames[-1] == "unittest.mock"))
    except Exception:  # a foreign object that even `probe` cannot tame; no stack left
        return None


def _judge(error: Any, known: Asking, found: Classification | None, raised_by_client: bool) -> Classification | None:
    found = found or _by_status(error, known, raised_by_client) or _by_own_word(error) or _by_sqlstate(error)
    if found is None and raised_by_client:
        found = _by_beneath(error, known) or _by_context(error, known) or _by_text(error, known)
    return None if found is None else restated(found, found.reason, found.applied, guessed=True)


def _top(module: Any) -> str:
    return module.partition(".")[0] if type(module) is str else ""


def _may_be_received(cls: type) -> bool:
    """Return whether errors of a class may have been received by a client; asked once per type."""
    found = _received.get(cls)
    return remember(_received, cls, _is_of_a_client(cls)) if found is None else found


_received: dict[type, bool] = {}


def _is_of_a_client(cls: type) -> bool:
    if _top(cls.__module__) in ("", "__main__") or _top(cls.__module__) in sys.stdlib_module_names:
        return False
    modules = [base.__module__ for base in cls.__mro__ if base.__module__ != "builtins"]
    return not any(_is_of(module, _SERVERS) for module in modules)


def _is_of(module: Any, places: tuple[str, ...]) -> bool:
    return type(module) is str and any(module == place or module.startswith(f"{place}.") for place in places)


def _is_known_beneath(error: Exception, known: Asking) -> bool:
    """Return whether an explicit cause is known: then the cause decides, and a guess is not needed."""
    for cause in causes(error):
        if cause is not error and (not is_exception(cause) or known.inner(cause) is not None):
            return is_exception(cause)
    return False


def _modules(traceback: TracebackType | None) -> list[Any]:
    """Return the modules of the frames of a traceback, outermost first, without redouble's; empty for too many."""
    found: list[Any] = []
    for _ in range(FRAMES):
        if traceback is None:
            return found
        module = traceback.tb_frame.f_globals.get("__name__")
        if _top(module) not in _PASSED:
            found.append(module)
        traceback = traceback.tb_next
    return []


_PASSED = frozenset(("redouble", "asyncio", "concurrent", "contextlib", "functools", "threading", "trio", "anyio"))
"""Packages that only pass an error on."""


def _is_own(package: str, frames: list[Any]) -> bool:
    """Return whether an error and the retried function are of one package, the user's own."""
    return bool(frames) and _top(frames[0]) == package != handed.get()


def _by_status(error: Any, known: Asking, raised_by_client: bool) -> Classification | None:
    """Judge by a received HTTP status, of the error or of the response that it carries, and its headers."""
    response = next((each for name in _RESPONSES if (each := probe(error, name)) is not None), None)
    if not raised_by_client and not _is_of_engine(response):
        return None
    status = _status(error)
    headers = None if status is None else probe(error, "headers")
    if headers is None:
        headers = response if is_a(response, dict) else probe(response, "headers")  # httplib2's responses are dicts
    if status is None:
        status = _status(response, _STATUSES_OF_ENGINES if _is_of_engine(response) else _STATUSES)
    if headers is None and raised_by_client:
        headers = _headers_beneath(error, status)
    body = loaded_body(response) if status == 400 else None
    found = judge_status(status, headers, known.wall, who=named(error), body=body)
    hint = None if found is None or found.verdict is PERMANENT or found.retry_after is not None else own_hint(error)
    if found is None or hint is None:
        return found
    return Classification(found.verdict, hint, found.applied, found.backoff, found.reason, row=found.row)


def _headers_beneath(error: Any, status: int | None) -> Any:
    """Return the headers of the response with this status on an error beneath: the client read the status there."""
    link, seen = error, [error]
    for _ in range(DEPTH if status is not None else 0):
        link = probe(link, "__cause__") or probe(link, "__context__")
        if not is_exception(link) or any(link is before for before in seen):
            return None
        seen.append(link)
        response = probe(link, "response")
        if _is_of_engine(response) and _status(response) == status:
            return probe(response, "headers")
    return None


def _status(subject: Any, names: tuple[str, ...] = _STATUSES) -> int | None:
    for name in names:
        status = whole(probe(subject, name))
        if status is not None and 400 <= status <= 599:
            return status
    return None


def _is_of_engine(response: Any) -> bool:
    return response is not None and any(_is_of(probe(base, "__module__"), _ENGINES) for base in type(response).__mro__)


def _by_own_word(error: Any) -> Classification | None:
    """Judge by the client's own flag: `retriable`, `retryable`, `is_retryable()`, or a `retry_after` in seconds."""
    for name in ("is_retryable", "retriable", "retryable"):
        told = probe(error, name)
        if told is True or (callable(told) and _called(told) is True):
            return _WORD.because(f"{named(error)} [{name}]", own_hint(error))
    hint = own_hint(error)
    return None if hint is None else _WORD.because(f"{named(error)} [retry_after]", hint)


def _called(method: Any) -> Any:
    try:
        return method()
    except Exception:  # a method that takes arguments, or a mock's
        return None


def own_hint(error: Any, name: str = "retry_after") -> float | None:
    """Return the seconds of an attribute, a number or a timedelta; `None` for any other type."""
    value = probe(error, name)
    seconds = _called(probe(value, "total_seconds")) if type(value).__name__ == "timedelta" else value
    if type(seconds) not in (int, float) or not 0 <= seconds <= LONGEST:
        return None
    return float(seconds)


def _by_sqlstate(error: Any) -> Classification | None:
    """Judge by the SQLSTATE of an error of PEP 249."""
    if not any(base.__name__ in ("Error", "DatabaseError") for base in type(error).__mro__):
        return None
    state = next((each for each in _states(error) if is_a(each, str) and len(each) == 5), None)
    row = row_of(state)
    if state is None or row is None or row.code == "other":
        return None
    if state.startswith("08") and _top(type(error).__module__) not in _CONNECTED:
        return None
    return row.because(f"{named(error)} [{row.code}]")


def _states(error: Any) -> Iterator[Any]:
    yield probe(error, "sqlstate")
    yield probe(error, "pgcode")
    first: Any = at(error, ("args", 0))
    yield dict.get(first, "C") if is_a(first, dict) else first  # pg8000's fields as they came; ODBC's first argument


def _by_beneath(error: Any, known: Asking) -> Classification | None:
    """Judge by the first known error among the arguments, or in the attributes where clients keep one."""
    args = probe(error, "args")
    for value in (*(args[:3] if type(args) is tuple else ()), *(probe(error, name) for name in _BENEATH)):
        found = _of_all(value, known)
        if found is not None:
            return as_wrapped(found, error, True)
    return None


def _of_all(value: Any, known: Asking) -> Classification | None:
    """Judge one error or several: one that is permanent decides, else all must be known."""
    if is_a(value, dict):
        value = list(dict.values(value))
    errors = list(value[:MEMBERS]) if is_a(value, (list, tuple)) else [value]
    found = None
    for each in errors:
        one = known.inner(each) if is_exception(each) else None
        if one is None or one.verdict is PERMANENT:
            return one
        found = found or one
    return found


def _by_context(error: Any, known: Asking) -> Classification | None:
    """Judge by the error that was being handled when the client raised this one, hidden with `from None` or not."""
    link, seen = error, [error]
    for _ in range(DEPTH):
        link = probe(link, "__cause__") or probe(link, "__context__")
        if not is_exception(link) or any(link is before for before in seen):
            return None
        seen.append(link)
        found = known.inner(link)
        if found is not None:
            return as_wrapped(found, error, True)
    return None


def _by_text(error: Any, known: Asking) -> Classification | None:
    """Judge by the system error or the HTTP status that the text of an error quotes: its client kept no more."""
    from redouble.known.quoted import judge_quoted, quoted_status

    return judge_quoted(error, known, _headers_beneath(error, quoted_status(error)))


def _as_sdk(error: Any, known: Asking) -> Classification | None:
    """Judge as an error of OpenAI's SDK: its generator has made many SDKs with the same names and attributes."""
    name = next((base.__name__ for base in type(error).__mro__ if base.__name__ in _SDK), None)
    if name is None or probe(error, "request") is None:
        return None
    if name == "APIStatusError" and whole(probe(probe(error, "response"), "status_code")) is None:
        return None
    from redouble.known.tables.openai import TABLE

    entry = TABLE.entries["openai", name]
    return entry.read(error, known, entry.rows)


_SDK = ("APIStatusError", "APIConnectionError")
