"""Floor 2. What an error (or a response) tells of the request: whether repeating it may do the thing twice."""

from __future__ import annotations

from redouble.core.causes import cause_of, causes, is_group, leaves
from redouble.core.hints import header
from redouble.known.rows import is_a, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNSAFE_METHODS = frozenset({"POST", "PATCH"})
"""The common methods that are not idempotent (RFC 9110 9.2.2); a method we do not know is not judged."""

_SAYS_NOTHING = frozenset({"botocore"})
"""Clients whose method tells nothing: most of AWS's protocols send every operation, reading or writing, as a POST."""


def shows_unsafe_method(subject: Any) -> bool:
    """Whether an error or a response carries a request with POST or PATCH and without an Idempotency-Key.

    Of a chain the outermost request counts, of a group any of its leaves. Where each client has it: `error.request` of
    httpx, openai and anthropic (where httpx has none, it raises), and of requests; `error.response.request` of
    azure-core, google-api-core over HTTP and google-auth; `error.request_info` of aiohttp's answers. Of these, those on
    requests (itself, azure-core, google-api-core, google-auth) carry none on errors that are raised while a body is
    read. urllib's HTTPError and urllib3's responses keep the method alone, with which an Idempotency-Key is not seen.

    The errors of http.client, asyncio's streams, urllib3 and elasticsearch, urllib's URLError and aiohttp's connection
    errors do not tell their request, nor does the TimeoutError of an attempt that was cut; nothing follows from that.

    Source: RFC 9110 9.2.2 (a client should not automatically retry a method that is not idempotent, unless it knows
    better); the Idempotency-Key header, draft-ietf-httpapi-idempotency-key-header.
    """
    if not is_a(subject, BaseException):
        return _is_unsafe(_request_of(subject))
    group = is_group(subject)
    if cause_of(subject) is None and type(subject).__module__ == "builtins" and not group:
        return False  # the most common errors carry no request: spare them the search
    for link in causes(subject):
        request = _request_of(link)
        if request is not None:
            return _is_unsafe(request)
        if is_group(link):
            return any(_is_unsafe(_first_request(leaf)) for leaf in leaves(link) or ())
    return False


def _first_request(error: BaseException) -> Any:
    requests = (_request_of(link) for link in causes(error))
    return next((request for request in requests if request is not None), None)


def _is_unsafe(request: Any) -> bool:
    method = probe(request, "method")
    return is_a(method, str) and str.upper(method) in UNSAFE_METHODS and not _has_key(request)


def _request_of(subject: Any) -> Any:
    if _module_of(subject).partition(".")[0] in _SAYS_NOTHING:
        return None
    request = probe(subject, "request")
    if request is None:
        request = probe(probe(subject, "response"), "request")
    if request is None:
        request = probe(probe(subject, "inner_exception"), "request")  # azure-core's, from requests
    if request is None:
        request = probe(subject, "request_info")
    return _what_is_left(subject) if request is None else request


class _Method:
    """All that is left of a request where a client keeps no more; its headers are not known."""

    __slots__ = ("method",)

    def __init__(self, method: str) -> None:
        self.method = method


def _what_is_left(subject: Any) -> _Method | None:
    """The method that a response of http.client knows: one that is judged, or that urllib or urllib3 has kept."""
    for answer in (subject, probe(subject, "fp"), probe(subject, "_original_response")):
        if _module_of(answer) == "http.client":
            method = probe(answer, "_method")
            return _Method(method) if is_a(method, str) else None
    return None


def _module_of(subject: Any) -> str:
    module = probe(type(subject), "__module__")
    return module if type(module) is str else ""


def _has_key(request: Any) -> bool:
    value = header(probe(request, "headers"), "idempotency-key")
    return is_a(value, (str, bytes)) and len(value) > 0
