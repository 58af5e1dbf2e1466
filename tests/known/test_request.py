"""Floor 1. What an error tells of the request that failed."""

from __future__ import annotations

import io
from email.message import Message
from http import HTTPMethod
from http.client import HTTPResponse, IncompleteRead
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from redouble.known.request import shows_unsafe_method


class ClientError(Exception):
    """An error of some client, with what it carries."""

    def __init__(self, **carried: Any) -> None:
        vars(self).update(carried)


class BareError(Exception):
    """As httpx has it: asking for a request that was never set raises."""

    @property
    def request(self) -> Any:
        raise RuntimeError("The .request property has not been set.")


class Headers:
    """The headers of some client, which ignore case."""

    def __init__(self, *names: str) -> None:
        self.names = {name.lower() for name in names}

    def get(self, name: str) -> str | None:
        return "x" if name.lower() in self.names else None


def request(method: Any, headers: Any = None) -> Any:
    """A request of some client."""
    return SimpleNamespace(method=method, headers=headers)


@pytest.mark.parametrize("method", ["POST", "PATCH", "post", "Patch", HTTPMethod.POST])
@pytest.mark.parametrize("headers", [None, {}, Headers(), {"Idempotency-Key": ""}, object(), 5])
def test_post_and_patch_without_a_key_are_unsafe(method: Any, headers: Any) -> None:
    """A POST or PATCH without an Idempotency-Key may do the thing twice."""
    assert shows_unsafe_method(ClientError(request=request(method, headers)))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW", "", None, 5, b"POST"])
def test_other_methods_are_not_judged(method: Any) -> None:
    """Idempotent methods are safe, and a method we do not know is not judged."""
    assert not shows_unsafe_method(ClientError(request=request(method)))


@pytest.mark.parametrize(
    "headers",
    [{"Idempotency-Key": "7"}, {"idempotency-key": "7"}, {"IDEMPOTENCY-KEY": "7"}, Headers("Idempotency-Key")],
)
def test_an_idempotency_key_makes_it_safe(headers: Any) -> None:
    """With an Idempotency-Key, in any case, a POST may be repeated."""
    assert not shows_unsafe_method(ClientError(request=request("POST", headers)))


@pytest.mark.parametrize(
    "carried",
    [
        {"request": request("POST")},
        {"response": SimpleNamespace(request=request("POST"))},
        {"request": None, "response": SimpleNamespace(request=request("POST"))},
        {"request_info": request("POST")},
    ],
)
def test_where_clients_keep_the_request(carried: dict[str, Any]) -> None:
    """On the error, on its response (requests), or under another name (aiohttp)."""
    assert shows_unsafe_method(ClientError(**carried))


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ClientError(),
        BareError(),
        ClientError(response=None),
        OSError(),
        ExceptionGroup("", [ValueError()]),
    ],
)
def test_an_error_without_a_request_shows_nothing(error: Exception) -> None:
    """Without a request there is nothing to be careful about, and properties that raise are no request."""
    assert not shows_unsafe_method(error)


def test_a_response_may_carry_the_request() -> None:
    """A response is asked as an error is: for its own request."""
    assert shows_unsafe_method(SimpleNamespace(request=request("POST")))
    assert shows_unsafe_method(SimpleNamespace(request_info=request("PATCH")))
    assert not shows_unsafe_method(SimpleNamespace(request=request("GET")))
    assert not shows_unsafe_method(None)


class Socket:
    """What http.client reads an answer from."""

    def makefile(self, mode: str) -> Any:
        return io.BytesIO()


def answer(method: str | None) -> Any:
    """A response of http.client, which keeps the method of its request."""
    return HTTPResponse(Socket(), method=method)  # type: ignore[arg-type]  # all that is needed of a socket


@pytest.mark.parametrize(("method", "unsafe"), [("POST", True), ("patch", True), ("GET", False), (None, False)])
def test_a_response_of_http_client_knows_the_method(method: str | None, unsafe: bool) -> None:
    """The HTTPError of urllib and the responses of urllib3 keep one, which knows the method but no header of the request."""
    error = HTTPError("http://h", 500, "", Message(), answer(method))
    assert shows_unsafe_method(error) is unsafe
    assert shows_unsafe_method(answer(method)) is unsafe
    assert shows_unsafe_method(SimpleNamespace(_original_response=answer(method))) is unsafe
    error.close()
    assert shows_unsafe_method(error) is unsafe


def test_a_request_tells_more_than_its_method() -> None:
    """With a request of the client's own, the headers are known: what http.client kept is not looked at."""
    known = request("POST", {"Idempotency-Key": "7"})
    assert not shows_unsafe_method(SimpleNamespace(request=known, _original_response=answer("POST")))


@pytest.mark.parametrize(
    "subject",
    [
        HTTPError("http://h", 500, "", Message(), io.BytesIO()),
        HTTPError("http://h", 500, "", Message(), None),
        URLError("x"),
        IncompleteRead(b""),
        ClientError(fp=SimpleNamespace(_method="POST")),
        SimpleNamespace(_method="POST"),
        answer(5),  # type: ignore[arg-type]
        type("Nameless", (), {"__module__": 5})(),
    ],
)
def test_what_keeps_no_method(subject: Any) -> None:
    """Another stream, none at all, an attribute of that name on anything else, and what is no text."""
    assert not shows_unsafe_method(subject)


def test_a_method_that_tells_nothing() -> None:
    """All operations of AWS's protocols are POSTs, reading ones too."""

    class AwsError(ClientError):
        __module__ = "botocore.exceptions"

    assert not shows_unsafe_method(AwsError(request=request("POST")))


def test_a_cause_may_carry_the_request() -> None:
    """The request is looked for along the explicit causes."""
    for outer in (ValueError(), BareError(), ClientError()):
        outer.__cause__ = ClientError(request=request("POST"))
        assert shows_unsafe_method(outer)


def test_any_request_counts() -> None:
    """A POST beneath a GET was sent all the same."""
    error = ClientError(request=request("GET"))
    error.__cause__ = ClientError(request=request("POST"))
    assert shows_unsafe_method(error)


def test_a_chain_without_end_is_walked_once() -> None:
    """A chain that comes back to its beginning shows nothing, and ends."""
    outer, inner = ClientError(), ClientError()
    outer.__cause__, inner.__cause__ = inner, outer
    assert not shows_unsafe_method(outer)


def test_one_leaf_of_a_group_is_enough() -> None:
    """A group is unsafe when any of its leaves, or a cause of a leaf, shows an unsafe request."""
    safe, unsafe, wrapped = ClientError(request=request("GET")), ClientError(request=request("POST")), ValueError()
    wrapped.__cause__ = unsafe
    assert not shows_unsafe_method(ExceptionGroup("", [safe, ValueError()]))
    assert shows_unsafe_method(ExceptionGroup("", [safe, ExceptionGroup("", [unsafe])]))
    assert shows_unsafe_method(ExceptionGroup("", [wrapped]))
    outer = ValueError()
    outer.__cause__ = ExceptionGroup("", [safe, wrapped])
    assert shows_unsafe_method(outer)


def test_a_group_of_too_many_shows_nothing() -> None:
    """A group that is too large is not searched: it is not retried anyway."""
    assert not shows_unsafe_method(ExceptionGroup("", [ClientError(request=request("POST"))] * 1000))


def test_the_method_of_aws_tells_nothing() -> None:
    """Most of AWS's protocols send every operation as a POST."""
    error = type("ConnectionClosedError", (Exception,), {"__module__": "botocore.exceptions"})()
    error.request = request("POST")
    assert not shows_unsafe_method(error)


@pytest.mark.parametrize("value", [b"7", "7", "x" * 1000])
def test_keys_of_any_length(value: Any) -> None:
    """A key is a key, in bytes and however long."""
    assert not shows_unsafe_method(ClientError(request=request("POST", {"idempotency-key": value})))


@pytest.mark.parametrize("value", ["", b"", 5, object()])
def test_what_is_no_key(value: Any) -> None:
    """An empty one, and what is no text."""
    assert shows_unsafe_method(ClientError(request=request("POST", {"idempotency-key": value})))
