"""What the adapters of HTTP clients share, without a client: which requests may be sent again, and with which body."""

from __future__ import annotations

import asyncio
import io
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, RetryBudget, idempotency_key, outcome, retry
from redouble.adapters._http import AsyncSender, Body, Sender
from redouble.known.used_up import used_up
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK = SimpleNamespace(status_code=200, headers={})


def busy(status: int = 503, **headers: str) -> SimpleNamespace:
    """An answer that refuses."""
    return SimpleNamespace(status_code=status, headers=headers)


def request(method: str, **headers: str) -> SimpleNamespace:
    """A request."""
    return SimpleNamespace(method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})


def by_sender(asked: Any, body: Any, *outcomes: Any, **fields: Any) -> tuple[Any, int]:
    """What a sender makes of outcomes, and how many attempts it made."""
    once = scripted(*outcomes)
    with fake_time(draw=0.5):
        try:
            got = Sender("client", retry, fields)(asked, body, lambda limit: once())
        except Exception as error:
            got = error
    return got, len(once.calls)


def by_async_sender(asked: Any, body: Any, *outcomes: Any, **fields: Any) -> tuple[Any, int]:
    """The same, in a coroutine."""
    once = scripted(*outcomes, asynchronous=True)

    async def main() -> Any:
        return await AsyncSender("client", retry, fields)(asked, body, lambda limit: once())

    with fake_time(draw=0.5):
        try:
            got = asyncio.run(main())
        except Exception as error:
            got = error
    return got, len(once.calls)


@pytest.fixture(params=[by_sender, by_async_sender])
def send(request: pytest.FixtureRequest) -> Callable[..., tuple[Any, int]]:
    """Sends a request, in both colours."""
    found: Callable[..., tuple[Any, int]] = request.param
    return found


@pytest.mark.parametrize(
    ("asked", "failure", "fields", "attempts"),
    [
        (request("GET"), ConnectionResetError(), {}, 2),
        (request("get"), busy(500), {}, 2),
        (request("POST"), ConnectionResetError(), {}, 1),
        (request("POST"), busy(500), {}, 1),
        (request("PATCH"), busy(503), {}, 1),
        (request("POST"), ConnectionRefusedError(111, "refused"), {}, 2),
        (request("POST"), busy(429), {}, 2),
        (request("POST"), busy(503, **{"Retry-After": "1"}), {}, 2),
        (request("POST", Idempotency_Key="7"), busy(500), {}, 2),
        (request("POST", Idempotency_Key="7"), ConnectionResetError(), {}, 2),
        (request("POST", Idempotency_Key=""), busy(500), {}, 1),
        (request("POST", X_Request_ID="7"), busy(500), {}, 1),
        (request("POST", Idempotency_Key="7"), busy(500), {"idempotent": False}, 1),
        (request("POST"), busy(500), {"idempotent": True}, 2),
        (request("GET"), busy(500), {"idempotent": False}, 1),
        (request("GET"), busy(404), {}, 1),
        (request("GET"), ValueError(), {}, 1),
    ],
)
def test_what_may_be_sent_again(
    send: Callable[..., tuple[Any, int]], asked: Any, failure: Any, fields: dict[str, Any], attempts: int
) -> None:
    """By the request's method and key, and by what failed: RFC 9110 9.2.2."""
    got, made = send(asked, None, failure, OK, **fields)
    assert made == attempts
    assert (got is OK) == (attempts == 2)


def test_a_key_that_travels_in_the_body_is_one_all_the_same(send: Callable[..., tuple[Any, int]]) -> None:
    """A retried function that has taken a key sends one effect, wherever the key is: its POST is sent again."""

    @retry
    def pay(key: bool) -> tuple[Any, int]:
        if key:
            idempotency_key("order-7")
        return send(request("POST"), None, busy(500), OK)

    assert pay(True)[1] == 2
    assert pay(False)[1] == 1


def test_an_event_of_an_event_loop_is_refused_in_threads() -> None:
    """It cannot end a wait that blocks a thread; in a coroutine it can."""
    fields: Any = {"stop": asyncio.Event()}
    with pytest.raises(TypeError, match=r"stop must be a threading\.Event for the synchronous adapter of client"):
        Sender("client", retry, fields)
    AsyncSender("client", retry, fields)


def test_attempts_are_told_how_long_they_may_take() -> None:
    """Seconds where an attempt is limited, and `None` where it is not."""
    told: list[float | None] = []

    def once(limit: float | None) -> Any:
        told.append(limit)
        return OK

    with fake_time():
        for fields in ({}, {"attempt_timeout": 3}, {"deadline": 5}):
            Sender("client", retry, fields)(request("GET"), None, once)  # type: ignore[arg-type]
    assert told == [None, 3.0, 5.0]


def test_one_budget_serves_requests_of_every_kind() -> None:
    """What a GET takes is gone for a POST."""
    budget = RetryBudget(ratio=0, burst=1, trickle=0)
    with fake_time():
        sender = Sender("client", retry(budget=budget), {})
        once = scripted(busy(), busy(), busy(429))
        sender(request("GET"), None, lambda limit: once())
        sender(request("POST"), None, lambda limit: once())
    assert len(once.calls) == 3  # the POST would have needed a token


def test_a_closed_file_is_not_sent_again() -> None:
    """A file that an attempt has closed cannot go back to where it was: the error stands."""
    file = io.BytesIO(b"all")

    def closes(limit: float | None) -> Any:
        file.close()
        raise ConnectionResetError

    with fake_time(), pytest.raises(ConnectionResetError) as caught:
        Sender("client", retry, {})(request("PUT"), file, closes)
    told = outcome(caught.value)
    assert told is not None
    assert (told.reason, told.attempts) == (Reason.UNSAFE, 1)


@pytest.mark.parametrize("value", [None, b"bytes", "text", [b"a", b"b"], {"a": 1}.items()])
def test_a_body_that_is_as_good_as_new(value: Any) -> None:
    """Bytes, text, and what can be iterated over anew show no mark."""
    body = Body(value)
    body.begin()
    body.end()
    assert (body.mark, body.is_once) == (None, False)


def test_a_file_is_brought_back_to_where_it_was() -> None:
    """By each attempt after the first, and not to its start."""
    file = io.BytesIO(b"header body")
    file.seek(7)
    body = Body(file)
    for _ in range(3):
        body.begin()
        assert file.read() == b"body"
        body.end()
    assert not body.is_once
    assert used_up(print, (body.mark,), {}) is None


def test_a_file_that_was_closed_is_used_up() -> None:
    """It cannot be brought back."""
    file = io.BytesIO(b"body")
    body = Body(file)
    body.begin()
    file.close()
    body.end()
    assert used_up(print, (body.mark,), {}) is not None


def pipe() -> Iterator[Any]:
    """The end of a pipe, which cannot be rewound."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        yield file


class Untellable:
    """A file of a foreign package that raises where it is asked."""

    def read(self) -> bytes:
        """Nothing."""
        return b""

    def tell(self) -> int:
        """Refuse."""
        raise OSError


@pytest.mark.parametrize("made", [pipe, lambda: iter([Untellable()]), lambda: iter([iter({1: 2})])])
def test_what_can_be_read_once_is_used_up_when_it_is_begun(made: Callable[[], Iterator[Any]]) -> None:
    """A pipe, a file that does not tell, an iterator: begun is begun."""
    for value in made():
        body = Body(value)
        assert body.is_once
        assert used_up(print, (body.mark,), {}) is None
        body.begin()
        body.begin()
        assert used_up(print, (body.mark,), {}) is not None


def test_a_generator_is_used_up_when_it_is_read(send: Callable[..., tuple[Any, int]]) -> None:
    """As long as nothing was read of it, all attempts are made; `idempotent=True` does not make it whole again."""

    def rows() -> Iterator[bytes]:
        yield b"a"

    for fields in ({}, {"idempotent": True}):
        assert send(request("PUT"), rows(), ConnectionResetError(), OK, **fields)[1] == 2
        begun = rows()
        next(begun)
        got, made = send(request("PUT"), begun, ConnectionResetError(), OK, **fields)
        assert made == 1
        told = outcome(got)
        assert told is not None
        assert told.reason is Reason.UNSAFE


def test_a_policy_has_a_name_and_rules_of_its_own() -> None:
    """What is written stays: the name, and the rules for answers."""

    def wanted(answer: Any) -> bool:
        return False

    policy = Sender("client", retry(name="billing", result=wanted), {"attempts": 7}).policy
    assert (policy.name, policy.attempts) == ("billing", 7)
    assert Sender("client", retry, {}).policy.name == "client"
    assert policy.result == retry(result=wanted).result
