"""Floor 1. What an error tells of the request that failed."""

from __future__ import annotations

import errno
import gc
import io
import sys
import weakref
from collections.abc import Callable, Iterator
from email.message import Message
from functools import partial
from http import HTTPMethod
from http.client import HTTPResponse, IncompleteRead
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError
from uuid import UUID, uuid4

import pytest

from redouble.known.request import FRAMES, NOTHING, Sent, sends_unsafely, shows_safe_method, shows_unsafe_method


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


# The frames of engines. Each stand-in is a module of an engine's name, with a function of that name.


def module(name: str, source: str, **names: Any) -> Any:
    """A module of such a name, made of source."""
    made = ModuleType(name)
    vars(made).update(names)
    exec(source, vars(made))
    return made


def engine(name: str, function: str, then: Callable[[], object], **local: Any) -> Callable[[], None]:
    """A call of a function of an engine, with such locals, within which `then` is called."""
    assigned = "".join(f"    {each} = given[{each!r}]\n" for each in local)
    outer, _, inner = function.rpartition(".")
    body = f"def {inner}():\n{assigned}    then()\n"
    if outer:
        body = f"class {outer}:\n" + "".join(f"    {line}\n" for line in ["@staticmethod", *body.splitlines()])
    made = module(name, body, given=local, then=then)
    call: Callable[[], None] = getattr(getattr(made, outer) if outer else made, inner)
    return call


def reset() -> None:
    """The connection broke."""
    raise ConnectionResetError(errno.ECONNRESET, "reset")


def failed(call: Callable[[], object]) -> Exception:
    """What a call raised."""
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


POOL = ("urllib3.connectionpool", "HTTPConnectionPool.urlopen")
TOKENS = ("google.oauth2._client", "_token_endpoint_request")


def posting(method: Any = "POST", then: Callable[[], object] = reset) -> Callable[[], None]:
    """A call of urllib3's that sends such a method, and fails."""
    return engine(*POOL, then, method=method)


class Method(str):
    """A text with ideas of its own."""

    def upper(self) -> str:
        raise AssertionError

    __eq__ = __hash__ = __len__ = upper  # type: ignore[assignment]


@pytest.mark.parametrize("method", ["POST", "PATCH", "post", b"POST", b"Patch", HTTPMethod.POST])
def test_the_method_is_read_off_the_frame_of_an_engine(method: Any) -> None:
    """The error of a connection shows no request, but the engine's frame in its traceback does."""
    assert sends_unsafely(failed(posting(method))) == Sent(True)


def test_a_text_with_ideas_of_its_own_is_a_text() -> None:
    """No method of a subclass of `str` runs."""
    assert sends_unsafely(failed(posting(Method("POST")))) == Sent(True)


@pytest.mark.parametrize("method", ["GET", "PUT", "", None, 5, b"GET", "POST" * 9, b"POST" * 9, bytearray(b"POST")])
def test_other_values_there_show_nothing(method: Any) -> None:
    """An idempotent method, and what is none."""
    assert sends_unsafely(failed(posting(method))) == NOTHING


def test_only_engines_that_are_known_are_looked_at() -> None:
    """A local of that name in another module, or in another function of an engine, tells nothing."""
    for name, function in ((__name__, POOL[1]), (POOL[0], "HTTPConnectionPool.other"), ("urllib3", POOL[1])):
        assert sends_unsafely(failed(engine(name, function, reset, method="POST"))) == NOTHING


class Slotted:
    """An object without a dict."""

    __slots__ = ("method",)

    def __init__(self) -> None:
        self.method = "POST"


class Lying:
    """An object whose attributes are computed."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError


PATHS = [
    ("http.client", "HTTPConnection.getresponse", {"self": SimpleNamespace(_method="POST")}, True),
    ("httpx._client", "Client.send", {"request": SimpleNamespace(method="POST")}, True),
    ("httpcore._sync.http11", "HTTP11Connection.handle_request", {"request": SimpleNamespace(method=b"POST")}, True),
    ("aiohttp.client", "ClientSession._request", {"method": "GET", "history": [SimpleNamespace(method="POST")]}, True),
    ("aiohttp.client", "ClientSession._request", {"method": "GET", "history": []}, False),
    ("aiohttp.client", "ClientSession._request", {"method": "GET", "history": 5}, False),
    ("httpx._client", "Client.send", {"request": Slotted()}, False),
    ("httpx._client", "Client.send", {"request": Lying()}, False),
    ("httpx._client", "Client.send", {"request": None}, False),
    ("httpx._client", "Client.send", {}, False),
]


@pytest.mark.parametrize(("name", "function", "local", "unsafe"), PATHS)
def test_where_engines_keep_the_method(name: str, function: str, local: dict[str, Any], unsafe: bool) -> None:
    """In a local, in the instance dict of one, or in the first answer of a redirect; no code of theirs runs."""
    assert sends_unsafely(failed(engine(name, function, reset, **local))).unsafe is unsafe


def test_causes_and_contexts_are_looked_at() -> None:
    """However an error was wrapped: explicitly, implicitly, or with the context hidden."""
    inner = failed(posting())
    caused, handled, hidden = ValueError(), ValueError(), ValueError()
    caused.__cause__ = inner
    handled.__context__ = inner
    hidden.__context__, hidden.__suppress_context__ = inner, True
    for outer in (caused, handled, hidden, ExceptionGroup("", [ValueError(), ExceptionGroup("", [inner])])):
        assert sends_unsafely(outer).unsafe


def test_the_look_ends_at_what_was_being_handled() -> None:
    """An error that was being handled when the call began is another call's."""
    before = failed(posting())
    error = ConnectionResetError(errno.ECONNRESET, "reset")
    error.__context__ = before
    assert sends_unsafely(error).unsafe
    assert sends_unsafely(error, until=before) == NOTHING


def test_an_error_that_was_handled_around_the_call_is_another_calls() -> None:
    """Its traceback begins in a frame by which the call's own error has not come; one handled within the call counts."""
    before = failed(posting())
    error = failed(reset)
    error.__context__ = before
    assert sends_unsafely(error) == NOTHING

    def falls_back() -> None:
        try:
            posting()()
        except Exception:
            reset()

    assert sends_unsafely(failed(falls_back)).unsafe


def test_a_chain_of_frames_is_bounded() -> None:
    """Beneath a hundred frames nothing is looked for, and a chain that comes back to its beginning ends."""

    def deep(left: int) -> None:
        deep(left - 1) if left else posting()()

    assert sends_unsafely(failed(lambda: deep(FRAMES - 20))).unsafe
    assert sends_unsafely(failed(lambda: deep(FRAMES))) == NOTHING
    outer, inner = failed(reset), failed(reset)
    outer.__cause__, inner.__cause__ = inner, outer
    assert sends_unsafely(outer) == NOTHING


def test_the_frames_of_botocore_end_the_look() -> None:
    """All operations of AWS's protocols are POSTs, reading ones too."""
    assert sends_unsafely(failed(engine("botocore.client", "BaseClient._make_api_call", posting()))) == NOTHING


def test_beneath_a_function_that_reads_a_post_is_none() -> None:
    """A token that was not fetched can be fetched again, also where the errors of the engine were wrapped on the way."""
    fetch = engine(*TOKENS, posting())

    def wrapping() -> None:
        try:
            fetch()
        except ConnectionResetError as error:
            raise ClientError(request=request("POST")) from error

    assert sends_unsafely(failed(fetch)) == NOTHING
    assert sends_unsafely(failed(engine(*TOKENS, wrapping))) == NOTHING


@pytest.mark.parametrize(("operation", "unsafe"), [("GetItem", False), ("PutItem", True), (None, True)])
def test_one_function_may_serve_all_operations(operation: Any, unsafe: bool) -> None:
    """Aiobotocore names the operation, and reading ones are known by how their names begin."""
    call = engine("aiobotocore.client", "AioBaseClient._make_api_call", posting(), operation_name=operation)
    assert sends_unsafely(failed(call)).unsafe is unsafe


@pytest.mark.parametrize(
    ("function", "unsafe"), [("WebClient.users_list", False), ("WebClient.auth_test", False), ("WebClient.send", True)]
)
def test_functions_that_read_may_be_known_by_how_their_names_end(function: str, unsafe: bool) -> None:
    """All lists of Slack's are asked for by POST."""
    assert sends_unsafely(failed(engine("slack_sdk.web.client", function, posting()))).unsafe is unsafe


def test_another_function_of_a_module_that_serves_all() -> None:
    """Only the function that makes the call names the operation."""
    assert sends_unsafely(failed(engine("aiobotocore.client", "AioBaseClient.close", posting()))).unsafe


def test_a_post_before_a_function_that_reads_counts() -> None:
    """Who posts, and then fetches a token, has posted: Python leaves the first error beneath the innermost one."""

    def both() -> None:
        try:
            posting()()
        except ConnectionResetError:
            engine(*TOKENS, posting())()

    assert sends_unsafely(failed(both)).unsafe


def test_a_key_vouches_for_its_own_request() -> None:
    """Who posts without a key, and then with one, has posted without one."""

    def keyed() -> None:
        raise ClientError(request=request("POST", {"Idempotency-Key": "7f1c"}))

    def both() -> None:
        try:
            posting()()
        except ConnectionResetError:
            posting(then=keyed)()

    handed = (pay, ("7f1c",), {})
    assert not sends_unsafely(failed(posting(then=keyed)), handed).unsafe
    assert sends_unsafely(failed(both), handed).unsafe


def test_nothing_is_kept_of_what_was_looked_at() -> None:
    """The locals of a frame are let go as if nobody had looked, and what `locals()` gave out is left as it is."""

    class Body:
        pass

    body = Body()
    alive = weakref.ref(body)
    call = engine(*POOL, reset, method="GET", body=body)
    error = failed(call)
    call.__globals__["given"].clear()  # type: ignore[attr-defined]
    del body
    assert not sends_unsafely(error).unsafe
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "urlopen":
            traceback.tb_frame.clear()
        traceback = traceback.tb_next
    gc.collect()
    assert alive() is None


def test_what_locals_gave_out_is_left_alone() -> None:
    """A function may hold what `locals()` gave it."""
    source = "class HTTPConnectionPool:\n    @staticmethod\n    def urlopen(method):\n        kept.append(locals())\n        then()"
    kept: list[dict[str, Any]] = []
    made = module(POOL[0], source, kept=kept, then=reset)
    assert sends_unsafely(failed(lambda: made.HTTPConnectionPool.urlopen("POST"))).unsafe
    assert kept == [{"method": "POST"}]


def test_a_module_without_a_name_is_passed_over() -> None:
    """A frame whose module has no name, or an odd one, is nobody's."""
    for name in (None, 5, Method("x")):
        call = posting()
        call.__globals__["__name__"] = name  # type: ignore[attr-defined]
        assert sends_unsafely(failed(call)) == NOTHING


# Redirects.


def test_a_redirected_post_was_a_post() -> None:
    """A POST that is answered 303 becomes a GET, which is not the whole story."""
    first = SimpleNamespace(request=request("POST"))
    redirected = {"request": request("GET"), "history": [first]}
    for subject in (SimpleNamespace(**redirected), ClientError(response=SimpleNamespace(**redirected))):
        assert sends_unsafely(subject).unsafe
    assert not sends_unsafely(SimpleNamespace(request=request("GET"), history=[])).unsafe
    assert not sends_unsafely(SimpleNamespace(request=request("GET"), history=5)).unsafe


# Keys.


def pay(order: Any, key: Any = None) -> None:
    """Some function that sends a POST."""


class Client:
    """A client with a key of its own."""

    __slots__ = ("key", "unset")

    def __init__(self, key: str) -> None:
        self.key = key

    def pay(self) -> None: ...


class Account:
    """One with a dict of attributes."""

    def __init__(self, key: Any) -> None:
        self.settings = {"key": key}

    def pay(self) -> None: ...


KEY = "7f1c0000-0000-4000-8000-000000000000"


def over(key: str) -> Callable[[], object]:
    """A closure over a key."""
    return lambda: key


def with_default(order: Any, *, key: str = KEY) -> None:
    """One whose key is a default."""


HANDED: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (pay, (1, KEY), {}),
    (pay, (1,), {"key": KEY}),
    (pay, (1,), {"key": KEY.encode()}),
    (pay, (1,), {"key": f'"{KEY}"'}),
    (pay, (UUID(KEY),), {}),
    (pay, (), {"headers": {"Idempotency-Key": KEY}}),
    (pay, (), {"options": [{"idempotency_key": KEY}]}),
    (pay, ({KEY},), {}),
    (pay, (frozenset([KEY]),), {}),
    (Client(KEY).pay, (), {}),
    (Account(KEY).pay, (), {}),
    (pay, (Account(KEY),), {}),
    (partial(pay, 1, KEY), (), {}),
    (partial(pay, key=KEY), (), {}),
    (over(KEY), (), {}),
    (with_default, (1,), {}),
]


@pytest.mark.parametrize("handed", HANDED)
def test_a_key_that_was_handed_in_is_the_callers(handed: Any) -> None:
    """As an argument, in a dict, in `self`, in a closure, in a partial, as a default."""
    error = ClientError(request=request("POST", {"Idempotency-Key": KEY}))
    assert sends_unsafely(error, handed) == Sent(False, (KEY,))
    other = ClientError(request=request("POST", {"Idempotency-Key": str(uuid4())}))
    assert sends_unsafely(other, handed).unsafe


def test_digits_may_be_the_key() -> None:
    """The number of an order is a key as well."""
    error = ClientError(request=request("POST", {"Idempotency-Key": "12345"}))
    assert not sends_unsafely(error, (pay, (12345,), {})).unsafe
    assert sends_unsafely(error, (pay, (12346, 10**5000, True), {})).unsafe


def test_a_request_that_was_handed_in_bears_the_callers_key() -> None:
    """Who sends a request that was made before sends the same key each time."""
    sent = request("POST", {"Idempotency-Key": KEY})
    assert not sends_unsafely(ClientError(request=sent), (pay, (sent,), {})).unsafe


def test_a_key_that_comes_back_is_one_key() -> None:
    """A key that an earlier attempt sent is the same in every attempt."""
    error = ClientError(request=request("POST", {"Idempotency-Key": KEY}))
    first = sends_unsafely(error)
    assert first == Sent(True, (KEY,))
    assert not sends_unsafely(error, earlier_keys=first.keys).unsafe


@pytest.mark.parametrize(
    "name", ["Idempotency-Key", "X-Idempotency-Key", "PayPal-Request-Id", "repeatability-request-id"]
)
def test_headers_that_are_keys(name: str) -> None:
    """The headers by which servers know a repeated request."""
    assert not sends_unsafely(ClientError(request=request("POST", {name: KEY})), (pay, (KEY,), {})).unsafe


@pytest.mark.parametrize("name", ["x-ms-client-request-id", "x-goog-gcs-idempotency-token", "X-Request-ID"])
def test_headers_that_are_none(name: str) -> None:
    """Ids that serve tracing."""
    assert sends_unsafely(ClientError(request=request("POST", {name: KEY})), (pay, (KEY,), {})) == Sent(True)


def test_a_header_that_was_handed_in_counts_where_the_request_is_not_to_be_seen() -> None:
    """Of a frame only the method is read: a dict of headers with a key in it went along."""
    error = failed(posting())
    assert not sends_unsafely(error, (pay, (), {"headers": {"idempotency-key": KEY}})).unsafe
    for headers in ({}, {"Idempotency-Key": ""}, {"X-Request-ID": KEY}, {5: KEY}):
        assert sends_unsafely(error, (pay, (KEY,), {"headers": headers})).unsafe
    shown = ClientError(request=request("POST", {}))
    assert sends_unsafely(shown, (pay, (), {"headers": {"Idempotency-Key": KEY}})).unsafe


class Hostile:
    """An object that does not like to be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    __eq__ = __hash__ = __iter__ = __getattribute__  # type: ignore[assignment]


def test_no_foreign_code_runs_where_a_key_is_looked_for() -> None:
    """Nor is there an end to it that depends on what was handed in."""

    def unfilled() -> Iterator[Any]:
        yield lambda: later
        later = 1

    endless: list[Any] = []
    endless.append(endless)
    session = type("Session", (), {"__module__": "requests.sessions"})()
    session.last = KEY
    far: Any = KEY
    for _ in range(9):
        far = [far]
    arguments = (Hostile(), endless, session, far, [0] * 10**6, next(unfilled()), sys, Account, None, 1.0)
    error = ClientError(request=request("POST", {"Idempotency-Key": KEY}))
    assert sends_unsafely(error, (pay, arguments, {"key": Hostile()})).unsafe


# A method that makes it safe.


def client_error(then: Callable[[], object] = reset, **local: Any) -> Exception:
    """An error of a client's own, raised in a function of that client with such locals."""
    kind = type("ApiError", (Exception,), {"__module__": "shop.errors"})

    def fail() -> None:
        raise kind

    return failed(engine("shop.client", "Client.call", fail, **local))


@pytest.mark.parametrize("name", ["method", "http_method", "http_verb", "verb"])
@pytest.mark.parametrize(
    ("method", "safe"), [("GET", True), ("delete", True), ("POST", False), ("BREW", False), (5, False)]
)
def test_a_local_of_the_clients_own_may_show_the_method(name: str, method: Any, safe: bool) -> None:
    """An error that no table knows is one of a GET where the client's own frames say so."""
    assert shows_safe_method(client_error(**{name: method})) is safe


def test_nothing_else_shows_that_it_is_safe() -> None:
    """Neither another local, nor one of another package, nor a GET besides a POST."""
    assert not shows_safe_method(client_error(word="GET"))
    assert not shows_safe_method(client_error(method="GET", verb="POST"))
    assert not shows_safe_method(failed(engine("shop.client", "Client.call", reset, method="GET")))
    mixed = client_error(method="GET")
    mixed.__cause__ = failed(posting())
    assert not shows_safe_method(mixed)


def test_a_method_too_deep_is_not_looked_for() -> None:
    """Beneath a hundred frames nothing is looked for here either."""
    kind = type("ApiError", (Exception,), {"__module__": "shop.errors"})

    def fail() -> None:
        raise kind

    def deep(left: int) -> None:
        deep(left - 1) if left else engine("shop.client", "Client.call", fail, method="GET")()

    assert shows_safe_method(failed(lambda: deep(1)))
    assert not shows_safe_method(failed(lambda: deep(FRAMES)))


def test_a_request_may_show_that_it_is_safe() -> None:
    """A request that the error carries is asked as well."""
    assert shows_safe_method(ClientError(request=request("GET")))
    assert not shows_safe_method(ClientError(request=request("POST")))
    assert not shows_safe_method(ClientError())
