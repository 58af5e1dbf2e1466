"""What is said of errors that no table knows: general mechanisms, and who must never be judged by them."""

from __future__ import annotations

import errno
import types
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import Classification, Verdict, classify, explain, known_errors, retry
from redouble.known.whose import handed

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(name: str, *bases: type, package: str = "a_client", **attributes: Any) -> Any:
    """An exception class of a client that no table knows."""
    return type(name, bases or (Exception,), {"__module__": f"{package}.errors", **attributes})


def thrown(error: BaseException, package: str = "a_client.http", context: BaseException | None = None) -> Any:
    """The error, raised in a module of a client, perhaps while it handled another."""
    module = types.ModuleType(package)
    exec(
        "def throw(error, context=None):\n"
        "    if context is None:\n"
        "        raise error\n"
        "    try:\n"
        "        raise context\n"
        "    except BaseException:\n"
        "        raise error\n",
        module.__dict__,
    )
    try:
        module.throw(error, context)
    except BaseException as caught:
        return caught


def received(error: BaseException, context: BaseException | None = None) -> Classification:
    """The meaning of an error that its client raised."""
    return classify(thrown(error, context=context))


def with_(error: Exception, **attributes: Any) -> Exception:
    """The error, with attributes."""
    vars(error).update(attributes)
    return error


def of_engine(status: int, engine: str = "requests.models", **headers: str) -> Any:
    """A response of an HTTP engine that is known."""
    response = type("Response", (), {"__module__": engine})()
    response.status_code, response.headers = status, headers
    return response


ApiError = kind("ApiError")


@pytest.mark.parametrize("name", ["status_code", "status", "http_status", "response_code"])
@pytest.mark.parametrize(
    ("status", "verdict", "applied"), [(429, T, False), (503, T, True), (404, P, False), (500, T, True)]
)
def test_a_status_that_was_received(name: str, status: int, verdict: Verdict, applied: bool) -> None:
    """An HTTP status in an attribute of an error that its own package raised, marked as a guess."""
    found = received(with_(ApiError(), **{name: status}))
    assert (found.verdict, found.applied, found.guessed) == (verdict, applied, True)
    assert found.reason == f"a_client.ApiError {status}"


def test_the_headers_that_go_with_it() -> None:
    """Of the error, or of the response that it carries; httplib2's responses are dicts."""
    assert received(with_(ApiError(), status=429, headers={"Retry-After": "7"})).retry_after == 7.0
    assert received(with_(ApiError(), status=429, response=of_engine(429, **{"Retry-After": "8"}))).retry_after == 8.0
    httplib2 = type("Response", (dict,), {"__module__": "httplib2"})({"retry-after": "9"})
    httplib2.status = 503
    assert classify(with_(ApiError(), resp=httplib2)).retry_after == 9.0
    assert received(with_(ApiError(), status=409, headers={"Stripe-Should-Retry": "true"})).verdict is T


def test_a_response_of_an_engine_says_as_much() -> None:
    """Also where the error was raised elsewhere: nobody makes up a response of requests."""
    found = classify(with_(ApiError(), response=of_engine(503)))
    assert (found.verdict, found.guessed) == (T, True)
    found = classify(with_(ApiError(), response=SimpleNamespace(status_code=503, headers={})))
    assert found.reason == "no rule knows a_client.ApiError"


NO_STATUS = [True, "503", 503.0, 399, 600, 200, None, Mock(), 10**30, -503]


@pytest.mark.parametrize("value", NO_STATUS)
def test_what_is_no_status(value: Any) -> None:
    """Only whole numbers from 400 to 599; a bare `code` is none."""
    assert not received(with_(ApiError(), status=value)).guessed
    assert not received(with_(ApiError(), code=503)).guessed


SERVERS = [
    "fastapi",
    "starlette",
    "rest_framework",
    "django",
    "falcon",
    "werkzeug",
    "flask",
    "flask_restful",
    "flask_smorest",
    "apiflask",
    "quart",
    "sanic",
    "litestar",
    "tornado.web",
    "aiohttp.web",
    "aiohttp.web_exceptions",
    "bottle",
    "cherrypy",
    "pyramid",
    "webob",
    "connexion",
    "ninja",
    "blacksheep",
    "robyn",
    "emmett",
    "microdot",
    "mcp",
    "click",
    "typer",
]


@pytest.mark.parametrize("package", SERVERS)
def test_the_servers_side_of_the_web_is_never_transient(package: str) -> None:
    """An `HTTPException(503)` there is an answer that is given: by the class, and by what is derived from it."""
    for cls in (kind("HTTPException", package=package), kind("Busy", kind("HTTPException", package=package))):
        error = with_(cls(), status_code=503, code=503, status=503, retry_after=3, response=of_engine(503))
        assert classify(thrown(error, package)).verdict is P
        assert classify(error).verdict is P


def test_what_the_users_own_package_raises_is_a_decision() -> None:
    """In the package of the retried function a status is the program's own, whoever raised it and whatever it carries."""

    def own(error: Exception) -> Classification:
        module = types.ModuleType("mycompany.jobs")
        exec("def job(throw, error):\n    throw(error)\n", module.__dict__)
        try:
            module.job(thrower, error)
        except Exception as caught:
            while caught.__traceback__ is not None and caught.__traceback__.tb_frame.f_globals is not module.__dict__:
                caught.__traceback__ = caught.__traceback__.tb_next
            return classify(caught)

    def thrower(error: Exception) -> None:
        raise thrown(error, "mycompany.api")

    mine = kind("GivenUp", package="mycompany")
    for attributes in ({"status_code": 503}, {"retry_after": 3}, {"retryable": True}, {"response": of_engine(503)}):
        assert own(with_(mine(), **attributes)).reason == "no rule knows mycompany.GivenUp"
    assert own(with_(kind("ApiError", package="mycompany.vendored.lib")(), status=503)).verdict is P


def test_a_function_that_was_handed_over_is_not_the_users_own() -> None:
    """`call(stripe.Charge.create)`: the traceback begins in the client, and `handed` says why."""
    error = with_(ApiError(), status=503)
    thrown(error)
    error.__traceback__ = error.__traceback__.tb_next  # type: ignore[union-attr]  # it was raised
    assert not classify(error).guessed
    token = handed.set("a_client")
    try:
        assert classify(error).guessed
    finally:
        handed.reset(token)


def test_classes_of_main_and_of_python_are_never_guessed() -> None:
    """A script's own class is the program's, and Python's classes have tables or mean nothing."""
    for module in ("__main__", "json", "builtins", "wsgiref.handlers"):
        error = with_(type("Busy", (Exception,), {"__module__": module})(), status_code=503, retry_after=3)
        assert classify(thrown(error, module)).verdict is P


def test_counts_named_status() -> None:
    """A status in a frame of somebody else's, without a response, was not received."""
    error = with_(ApiError(), status=503)
    assert classify(thrown(error, "another_client.http")).verdict is P
    assert classify(error).verdict is P


def test_a_mock_that_raises_it_passes_for_the_client() -> None:
    """`Mock(side_effect=ApiError(...))` stands for the client in somebody's tests."""
    error = with_(ApiError(), status=503)
    with pytest.raises(ApiError) as caught:
        Mock(side_effect=error)()
    assert classify(caught.value).guessed


@pytest.mark.parametrize(
    ("attributes", "hint"),
    [
        ({"retriable": True}, None),
        ({"retryable": True, "retry_after": 3}, 3.0),
        ({"is_retryable": lambda: True}, None),
        ({"retry_after": 7}, 7.0),
        ({"retry_after": timedelta(seconds=8)}, 8.0),
    ],
)
def test_the_clients_own_word(attributes: dict[str, Any], hint: float | None) -> None:
    """A client that says that it may be tried again is believed, and so is the wait that it names."""
    found = received(with_(ApiError(), **attributes))
    assert (found.verdict, found.retry_after, found.guessed) == (T, hint, True)


@pytest.mark.parametrize(
    "attributes",
    [
        {"retriable": False},
        {"retryable": "yes"},
        {"is_retryable": lambda: False},
        {"is_retryable": lambda _: True},
        {"retry_after": -1},
        {"retry_after": True},
        {"retry_after": "7"},
        {"retry_after": float("nan")},
        {"retry_after": None},
    ],
)
def test_no_word(attributes: dict[str, Any]) -> None:
    """Anything but a clear yes says nothing."""
    assert not received(with_(ApiError(), **attributes)).guessed


def test_a_status_and_a_wait_of_its_own() -> None:
    """A status without headers takes the wait of the error."""
    assert received(with_(ApiError(), status=429, retry_after=5)).retry_after == 5.0
    assert received(with_(ApiError(), status=404, retry_after=5)).verdict is P


DriverError = kind("Error", package="a_driver")
Operational = kind("OperationalError", DriverError, package="a_driver")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (with_(Operational(), sqlstate="40001"), T),
        (with_(Operational(), pgcode="40P01"), T),
        (Operational({"C": "55P03", "M": "x"}), T),
        (Operational("40001", "[40001] deadlock"), T),
        (with_(Operational(), sqlstate="23505"), P),
        (with_(Operational(), sqlstate="08006"), P),  # class 08 only for drivers that are known to mean it so
        (kind("OperationalError", kind("Error", package="pyodbc"), package="pyodbc")("08001", "x"), T),
        (with_(Operational(), sqlstate="e3q8"), P),
        (with_(ApiError(), sqlstate="40001"), P),  # no error of PEP 249
    ],
)
def test_sqlstates(error: Exception, verdict: Verdict) -> None:
    """The SQLSTATE of a driver that no table knows, wherever it keeps it."""
    assert classify(error).verdict is verdict


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
GONE = FileNotFoundError(errno.ENOENT, "missing")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ApiError("x", REFUSED), T),
        (with_(ApiError(), source=REFUSED), T),
        (with_(ApiError(), orig=REFUSED), T),
        (with_(ApiError(), reason=REFUSED), T),
        (with_(ApiError(), errors=[REFUSED, REFUSED]), T),
        (with_(ApiError(), errors={"a": REFUSED}), T),
        (with_(ApiError(), errors=[REFUSED, GONE]), P),
        (with_(ApiError(), errors=[REFUSED, KeyError()]), P),
        (with_(ApiError(), errors=[]), P),
        (with_(ApiError(), reason="text"), P),
    ],
)
def test_an_error_beneath(error: Exception, verdict: Verdict) -> None:
    """Where clients keep the error beneath, outside of Python's own chain."""
    assert received(error).verdict is verdict
    error.__traceback__ = None
    assert classify(error).reason == "no rule knows a_client.ApiError"  # nobody knows who made it


def test_the_error_that_was_being_handled() -> None:
    """Only where the client itself raised the new one, hidden with `from None` or not."""
    assert received(ApiError(), context=ConnectionResetError(errno.ECONNRESET, "x")).verdict is T
    hidden = ApiError()
    hidden.__context__, hidden.__suppress_context__ = ConnectionResetError(errno.ECONNRESET, "x"), True
    assert received(hidden).verdict is T
    mine = ApiError()
    mine.__context__ = ConnectionResetError(errno.ECONNRESET, "x")
    assert classify(mine).verdict is P
    assert classify(thrown(ApiError(), "mycompany.jobs", ConnectionResetError(errno.ECONNRESET, "x"))).verdict is P


def test_an_explicit_cause_that_is_known_goes_first() -> None:
    """It has the headers, mostly; and a client's status says no more."""
    inner = type("HTTPError", (Exception,), {"__module__": "requests"})()
    inner.response = of_engine(503, **{"Retry-After": "30"})
    error = with_(ApiError(), status_code=503)
    error.__cause__ = inner
    found = received(error)
    assert (found.retry_after, found.guessed) == (30.0, False)


def sdk(name: str, base: str, **attributes: Any) -> Exception:
    """An error of an SDK that OpenAI's generator made for somebody else."""
    api = kind("APIError", package="an_sdk")
    error: Exception = kind(name, kind(base, api, package="an_sdk"), package="an_sdk")()
    return with_(error, request=SimpleNamespace(method="POST"), **attributes)


def test_sdks_built_as_openais() -> None:
    """By the names in their MRO, and the request and the response that they carry."""
    found = classify(sdk("ConflictError", "APIStatusError", response=of_engine(409, "httpx._models")))
    assert (found.verdict, found.applied, found.guessed) == (T, False, True)
    headers = {"retry-after-ms": "1500"}
    found = classify(sdk("RateLimitError", "APIStatusError", response=of_engine(429, "httpx._models", **headers)))
    assert found.retry_after == 1.5
    error = sdk("APITimeoutError", "APIConnectionError")
    error.__context__, error.__suppress_context__ = (
        type("ConnectTimeout", (Exception,), {"__module__": "httpx"})(),
        True,
    )
    found = classify(error)
    assert (found.verdict, found.applied) == (T, False)
    assert not classify(kind("APIStatusError")()).guessed


def test_names_of_classes_say_nothing() -> None:
    """A name that sounds like an outage is no fact."""
    for name in ("ReadTimeout", "RateLimitError", "OperationalError", "ServiceUnavailable", "ConnectionLost"):
        assert received(kind(name)()).verdict is P


def test_explain_says_that_it_is_a_guess() -> None:
    """The line stands beneath the reason, and the row is that of the status."""
    why = explain(thrown(with_(ApiError(), status=503)))
    assert "guessed      no table knows this error: it is judged by what it carries" in str(why).splitlines()
    assert why.said_by == "the row http.status [503]"
    assert why.classification.guessed


class Hostile:
    """Every attribute raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.builds(Hostile),
    st.builds(Mock),
    st.just(REFUSED),
    st.lists(st.just(REFUSED), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
NAMES = [
    "status_code",
    "status",
    "http_status",
    "response_code",
    "response",
    "resp",
    "headers",
    "retry_after",
    "retriable",
    "retryable",
    "is_retryable",
    "sqlstate",
    "pgcode",
    "source",
    "orig",
    "reason",
    "errors",
    "request",
    "args",
    "__cause__",
    "__context__",
]


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6), st.booleans())
def test_whatever_an_error_carries_nothing_is_raised(attributes: dict[str, Any], provoked: bool) -> None:
    """Any attributes of any kind: an answer, and a hint that is a finite number."""
    cls = kind("ApiError", kind("Error"), **{k: v for k, v in attributes.items() if not k.startswith("__")})
    error = cls()
    for name in ("__cause__", "__context__"):
        if issubclass(type(attributes.get(name)), BaseException):
            setattr(error, name, attributes[name])
    found = classify(thrown(error) if provoked else error)
    assert isinstance(found, Classification)
    assert found.retry_after is None or 0.0 <= found.retry_after < 1e12
    assert explain(error).classification.verdict in Verdict


def test_a_chain_without_end() -> None:
    """Errors that were raised over each other come to an end."""
    first, second = ApiError(), kind("Other")()
    first.__context__, second.__context__ = second, first
    assert received(first).verdict is P
    assert known_errors.ask(first) is None


def test_a_class_that_hides_its_module() -> None:
    """A metaclass that raises costs the guess, nothing else."""

    class Hiding(type):
        @property
        def __module__(cls) -> str:  # type: ignore[override]  # that is the hostility
            raise RuntimeError("no")

    assert known_errors.ask(Hiding("Busy", (Exception,), {})()) is None


def test_guesses_survive_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess about a cause stays one; a module that cannot be loaded costs the guess alone."""
    outer = ValueError()
    outer.__cause__ = thrown(with_(ApiError(), status=503))
    found = classify(outer)
    assert (found.verdict, found.guessed, found.reason) == (T, True, "a_client.ApiError 503 under ValueError")
    monkeypatch.setitem(__import__("sys").modules, "redouble.known.guess", None)
    assert classify(with_(ApiError(), retriable=True)).reason == "no rule knows a_client.ApiError"


def test_frames_of_redouble_are_no_callers() -> None:
    """Between a retried function and its wrapper stand redouble's own frames, which tell nothing of whose it is."""
    with pytest.raises(ApiError) as caught:
        retry(attempts=1).call(lambda: Mock(side_effect=with_(ApiError(), status=503))())
    assert classify(caught.value).guessed


def test_a_traceback_that_is_too_deep_tells_nothing() -> None:
    """A runaway recursion is not followed frame by frame."""

    def deeper(left: int) -> None:
        if left == 0:
            raise thrown(with_(ApiError(), status=503))
        deeper(left - 1)

    with pytest.raises(ApiError) as caught:
        deeper(600)
    assert not classify(caught.value).guessed


def test_a_long_chain_of_strangers() -> None:
    """A dozen errors are looked at, and no more."""
    error = root = ApiError()
    for _ in range(20):
        error.__context__ = ApiError()
        error = error.__context__
    error.__context__ = REFUSED
    assert received(root).verdict is P


def test_an_answer_without_a_status_is_none() -> None:
    """An SDK's error in the middle of a stream has a request, and no answer that would tell."""
    assert not classify(sdk("StreamError", "APIStatusError")).guessed


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("HTTP driver received HTTP status 503, server response: x", T, "a_client.ApiError 503"),
        ("HTTP Status Code 429 (b'{}')", T, "a_client.ApiError 429"),
        ("Unexpected status code 503 in server response", T, "a_client.ApiError 503"),
        ("Service Unavailable (503)", T, "a_client.ApiError 503"),
        ("502 Bad Gateway", T, "a_client.ApiError 502"),
        ("HTTP status 404", P, "a_client.ApiError 404"),
        ("no way: [Errno 111] Connection refused", T, "ConnectionRefusedError [ECONNREFUSED] under a_client.ApiError"),
        ("('x', ConnectionResetError(104, 'y'))", T, "ConnectionResetError [ECONNRESET] under a_client.ApiError"),
        ("[Errno 111] x; [Errno 13] denied", P, "PermissionError [EACCES] under a_client.ApiError"),
        ("[Errno -3] Temporary failure", T, "socket.gaierror [EAI_AGAIN] under a_client.ApiError"),
    ],
)
def test_what_a_text_quotes(text: str, verdict: Verdict, reason: str) -> None:
    """The system's own words, or an HTTP status, in the text of an error that keeps nothing else; perhaps applied."""
    found = received(ApiError(text))
    assert (found.verdict, found.reason, found.guessed) == (verdict, reason, True)
    assert found.applied or verdict is P or found.reason.endswith("429")


@pytest.mark.parametrize(
    "text",
    [
        "503",
        "error 503",
        "status: 503 rows",
        "order 503 is not available",
        "expected status code 200, got status code 503",
        "Service Unavailable",
        "Connection Refused: not authorised",
        "timed out",
        "[Errno 111] x, because certificate verify failed",
        "[Errno 99999] x",
        "x" * 5000 + " HTTP status 503",
    ],
)
def test_what_a_text_does_not_say(text: str) -> None:
    """Numbers and words that may be about anything are no quotation."""
    assert received(ApiError(text)).verdict is P


def test_only_the_text_of_what_was_received_is_read() -> None:
    """A text that the user's program composed quotes whatever it likes."""
    for text in ("HTTP status 503", "[Errno 111] Connection refused"):
        assert classify(ApiError(text)).verdict is P
        assert classify(thrown(ApiError(text), "another_client.http")).verdict is P
        assert classify(thrown(kind("Failed", package="__main__")(text), "__main__")).verdict is P


def test_headers_of_the_response_beneath() -> None:
    """A client that keeps the status alone raised over an engine's error that has the headers; `from None` or not."""
    inner = with_(ValueError(), response=of_engine(429, **{"Retry-After": "7"}))
    assert received(with_(ApiError(), status_code=429), inner).retry_after == 7.0
    assert received(ApiError("HTTP status 429"), inner).retry_after == 7.0
    assert received(with_(ApiError(), status_code=503), inner).retry_after is None
    looping = ValueError()
    looping.__context__ = ApiError()
    looping.__context__.__context__ = looping
    assert received(with_(ApiError(), status_code=429), looping).retry_after is None


def test_an_engines_response_may_call_its_status_code() -> None:
    """`code` of the error may be anything; tornado's and urllib's responses have the status there."""
    response = type("HTTPResponse", (), {"__module__": "tornado.httpclient", "code": 503, "headers": {}})()
    assert classify(with_(ApiError(), response=response)).reason == "a_client.ApiError 503"
