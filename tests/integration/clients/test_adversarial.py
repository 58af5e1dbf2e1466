"""Errors that look as if they had been received, and were not: none is tried again."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, retry
from tests.integration.clients.clients import need

if TYPE_CHECKING:
    from collections.abc import Callable

at_once = retry(backoff=constant(0))

FRAMEWORKS: dict[str, Callable[[Any], Any]] = {
    "fastapi": lambda fastapi: fastapi.HTTPException(503),
    "starlette.exceptions": lambda exceptions: exceptions.HTTPException(503),
    "werkzeug.exceptions": lambda exceptions: exceptions.ServiceUnavailable(),
    "flask": lambda flask: need("werkzeug.exceptions", "werkzeug").TooManyRequests(),
    "falcon": lambda falcon: falcon.HTTPServiceUnavailable(retry_after=3),
    "quart": lambda quart: need("werkzeug.exceptions", "werkzeug").BadGateway(),
    "sanic.exceptions": lambda exceptions: exceptions.ServiceUnavailable("x"),
    "litestar.exceptions": lambda exceptions: exceptions.ServiceUnavailableException(),
    "tornado.web": lambda web: web.HTTPError(503),
    "aiohttp.web": lambda web: web.HTTPServiceUnavailable(),
    "bottle": lambda bottle: bottle.HTTPError(503, "x"),
    "cherrypy": lambda cherrypy: cherrypy.HTTPError(503),
    "pyramid.httpexceptions": lambda exceptions: exceptions.HTTPServiceUnavailable(),
    "webob.exc": lambda exc: exc.HTTPServiceUnavailable(),
    "rest_framework.exceptions": lambda exceptions: exceptions.APIException("x"),
    "click": lambda click: click.ClickException("HTTP status 503"),
}


def calls_of(work: Callable[[], Any]) -> int:
    """How often a function is called under the policy as it comes, all of which fail."""
    calls = 0

    @at_once
    def view() -> None:
        nonlocal calls
        calls += 1
        work()

    with pytest.raises(Exception):  # noqa: B017  # of any framework
        view()
    return calls


@pytest.mark.parametrize("package", FRAMEWORKS)
def test_an_answer_that_is_given_is_final(package: str) -> None:
    """An exception of the server's side of the web is what the program says to its own callers."""
    module = need(package, package.partition(".")[0])

    def refuse() -> None:
        raise FRAMEWORKS[package](module)

    assert calls_of(refuse) == 1


@pytest.mark.parametrize("package", ["werkzeug.exceptions", "flask", "bottle"])
def test_a_frameworks_own_abort_is_final(package: str) -> None:
    """Raised in a frame of the framework, and still an answer that is given."""
    module = need(package, package.partition(".")[0])
    assert calls_of(lambda: module.abort(503)) == 1


PROGRAM = """
CALLS = []

class Failed(Exception):
    status = 503

class Counts(Exception):
    def __init__(self, status):
        self.status = status

class GivenUp(Exception):
    pass

class Answered(Exception):
    def __init__(self, response):
        self.response = response

def own_status(response, error):
    CALLS.append("own_status")
    raise Failed("HTTP status 503")

def counts(response, error):
    CALLS.append("counts")
    raise Counts(503)

def wraps(response, error):
    CALLS.append("wraps")
    try:
        raise error
    except Exception as caught:
        raise GivenUp(caught) from None

def quotes(response, error):
    CALLS.append("quotes")
    raise GivenUp("[Errno 111] Connection refused")

def holds(response, error):
    CALLS.append("holds")
    raise Answered(response)

def says(response, error):
    CALLS.append("says")
    given_up = GivenUp()
    given_up.retryable, given_up.retry_after = True, 3
    raise given_up
"""


@pytest.mark.parametrize("name", ["own_status", "counts", "wraps", "quotes", "holds", "says"])
def test_what_the_program_raises_itself_is_a_decision(name: str) -> None:
    """A status of its own, counts, a wrapper of what was received, a quotation, a response that it keeps, its own word."""
    requests = need("requests", "requests")
    response = requests.Response()
    response.status_code = 503
    program = types.ModuleType("mycompany.jobs")
    exec(PROGRAM, program.__dict__)
    with pytest.raises(Exception) as caught:
        at_once(getattr(program, name))(response, requests.ConnectionError("x"))
    assert type(caught.value).__module__ == "mycompany.jobs"
    assert [name] == program.CALLS
