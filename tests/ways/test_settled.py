"""An answer of HTTP that a function returned and that nothing judges: said once, with what to write."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import http_response, retry

numbers = count()


def fresh() -> str:
    """A name of which nothing was said yet."""
    return f"function {next(numbers)}."


class Response(SimpleNamespace):
    """An answer of a client."""


def response(status: int) -> Any:
    """An answer with a status."""
    return Response(status_code=status, headers={}, _content=b"")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines that were logged."""
    return lambda: [record.getMessage() for record in caplog.records]


def test_it_is_said_once_for_each_function(told: Any) -> None:
    """Also when good answers came before, and by a direct call as by a decorated function."""
    answers = iter((200, 503, 503, 200))

    name = fresh()

    @retry(name=name)
    def fetch_settled() -> Any:
        return response(next(answers))

    assert [fetch_settled().status_code for _ in range(4)] == [200, 503, 503, 200]
    said = [each for each in told() if name in each]
    assert len(said) == 1
    assert said[0].endswith(
        "Response 503, which is a result and no error, so it is not tried again; result=http_response would"
    )

    def get_settled() -> Any:
        return response(429)

    name = fresh()
    for _ in range(2):
        retry(name=name).call(get_settled)
    assert len([each for each in told() if name in each]) == 1


@pytest.mark.parametrize("status", [200, 301, 404])
def test_an_answer_that_stays_is_not_spoken_of(status: int, told: Any) -> None:
    """It is what the caller asked for."""

    def get_that_stays() -> Any:
        return response(status)

    retry.call(get_that_stays)
    assert not [each for each in told() if "get_that_stays" in each]


def test_it_is_not_said_where_results_are_judged_or_nobody_is_told(told: Any) -> None:
    """There the caller has decided."""

    def get_quietly() -> Any:
        return response(503)

    retry(observers=None).call(get_quietly)
    retry(result=http_response, attempts=1).call(get_quietly)
    retry(result=lambda value: False).call(get_quietly)
    assert not [each for each in told() if "no error" in each]


def test_types_that_cannot_be_looked_at_are_returned_all_the_same() -> None:
    """A metaclass that hides its name or refuses to be hashed; and a value whose attributes raise."""

    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Odd(metaclass=Unhashable):
        pass

    class HostileResponse:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    for value in (Odd(), HostileResponse()):
        assert retry.call(lambda value=value: value) is value


def test_many_types_do_not_fill_the_memory() -> None:
    """The set of settled types is emptied when it is full."""
    from redouble.ways.settled import SETTLED

    kinds = iter([type(f"Kind{number}", (), {}) for number in range(1100)])
    for _ in range(1100):
        retry.call(lambda: next(kinds)())
    assert len(SETTLED) <= 1024
