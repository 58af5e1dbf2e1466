"""What happens to a result that nobody wants: it is let go before the wait, whichever way the call was made."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, Rule, classify, constant, http_response, known_errors, retry, transient
from redouble.control import faults
from redouble.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class Answer:
    """A response as plain clients have it."""

    def __init__(
        self, status: int, told: list[Any], headers: dict[str, str] | None = None, method: str = "GET"
    ) -> None:
        self.status_code = status
        self.headers = headers or {}
        self.request = SimpleNamespace(method=method, headers={})
        self._told = told

    def close(self) -> None:
        self._told.append(("closed", self.status_code))


class AsyncAnswer(Answer):
    """As those of httpx: closed by `aclose`; `close` refuses."""

    def close(self) -> None:
        raise RuntimeError("an asynchronous response")

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self._told.append(("closed", self.status_code))


@pytest.fixture
def told() -> list[Any]:
    """What happened to the answers."""
    return []


def answering(clock: FakeClock, told: list[Any], kind: type[Answer], *statuses: int) -> Callable[[], Any]:
    """An operation that gives these answers, and notes how often it was asked to wait before each."""
    left = iter(statuses)

    def ask() -> Any:
        told.append(("asked after waits of", list(clock.sleeps)))
        status = next(left)
        return kind(status, told, {"Retry-After": "4"} if status == 503 else None)

    return ask


EXPECTED = [("asked after waits of", []), ("closed", 503), ("asked after waits of", [4.2])]
POLICY = retry(result=http_response, backoff=constant(1))


def test_a_call_closes_what_it_drops_and_waits_as_asked(clock: FakeClock, told: list[Any]) -> None:
    """A returned 503 is asked for again after its Retry-After; what is wanted stays open."""
    assert POLICY.call(answering(clock, told, Answer, 503, 200)).status_code == 200
    assert told == EXPECTED


@pytest.mark.parametrize("kind", [Answer, AsyncAnswer])
def test_a_coroutine_closes_what_it_drops(clock: FakeClock, told: list[Any], kind: type[Answer]) -> None:
    """An asynchronous response is closed by what has to be awaited."""
    ask = answering(clock, told, kind, 503, 200)

    @POLICY
    async def fetch() -> Any:
        return ask()

    assert asyncio.run(fetch()).status_code == 200
    assert told == EXPECTED


def test_what_turns_out_to_be_awaited_closes_too(clock: FakeClock, told: list[Any]) -> None:
    """A function that gives something to await is no exception."""
    ask = answering(clock, told, AsyncAnswer, 503, 200)

    async def fetch() -> Any:
        return ask()

    assert asyncio.run(POLICY.call(lambda: fetch())).status_code == 200
    assert told == EXPECTED


def test_a_block_closes_what_it_drops(clock: FakeClock, told: list[Any]) -> None:
    """The block form hands its value over with `result()`."""
    ask = answering(clock, told, Answer, 503, 200)
    for attempt in POLICY:
        with attempt:
            attempt.result(ask())
    assert told == EXPECTED


def test_an_async_block_closes_what_it_drops(clock: FakeClock, told: list[Any]) -> None:
    """So does the asynchronous one."""
    ask = answering(clock, told, AsyncAnswer, 503, 200)

    async def main() -> None:
        async for attempt in POLICY:
            with attempt:
                attempt.result(ask())

    asyncio.run(main())
    assert told == EXPECTED


def test_the_last_answer_is_returned_open(clock: FakeClock, told: list[Any]) -> None:
    """Whoever gets an unwanted answer at the end may still read it."""
    answer = POLICY(attempts=2).call(answering(clock, told, Answer, 503, 503))
    assert answer.status_code == 503
    assert told.count(("closed", 503)) == 1


def test_a_joined_rule_closes_what_another_one_dropped(clock: FakeClock, told: list[Any]) -> None:
    """Of joined rules each may know how to let a value go."""
    policy = retry(result=transient(when=lambda answer: answer.status_code == 204) | http_response, backoff=constant(1))
    assert policy.call(answering(clock, told, Answer, 204, 200)).status_code == 200
    assert ("closed", 204) in told


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_answer_to_an_unsafe_request_is_returned(clock: FakeClock, told: list[Any], method: str) -> None:
    """A 500 after a POST may have had its effect: it is not asked for again, unless that is said to be safe."""
    given = [Answer(500, told, method=method), Answer(200, told, method=method)]
    ask = iter(given * 2).__next__
    assert POLICY.call(ask) is given[0]
    assert clock.sleeps == []
    next_ = iter(given).__next__
    assert POLICY(idempotent=True).call(next_) is given[1]


def test_why_an_answer_was_not_asked_for_again(clock: FakeClock, told: list[Any]) -> None:
    """Observers hear the reason, as for errors."""
    events: list[Any] = []
    POLICY(observers=[events.append]).call(lambda: Answer(500, told, method="POST"))
    assert [event.reason for event in events] == [Reason.UNSAFE]


class Broken(Rule):
    """A user's rule whose `discard` does not work."""

    def __init__(self, closing: Callable[[], Any]) -> None:
        self.closing = closing

    def ask(self, subject: Any, on_fault: Any = None) -> Any:
        return classify(TimeoutError(), known_errors) if subject == "bad" else None

    def discard(self, value: Any) -> Any:
        return self.closing()


def failing() -> Any:
    """What raises at once."""
    raise ValueError("not this one")


async def failing_later() -> Any:
    """What raises when it is awaited."""
    raise ValueError("nor this one")


@pytest.mark.parametrize("closing", [failing, failing_later])
def test_a_discard_that_raises_is_logged_and_changes_nothing(
    clock: FakeClock, closing: Callable[[], Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letting go of something is no reason not to try again."""
    monkeypatch.setattr(faults, "_said", set())  # the rule of another test may have had the same address, and so repr
    values = iter(["bad", "good"])

    async def fetch() -> str:
        return next(values)

    assert asyncio.run(retry(result=Broken(closing), backoff=constant(1)).call(fetch)) == "good"
    assert "the dropped result is left as it is" in caplog.text


def test_a_cancellation_while_closing_passes(clock: FakeClock, told: list[Any]) -> None:
    """Closing is part of the wait: who cancels it cancels the call."""

    async def for_ever() -> None:
        told.append("closing")
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.ensure_future(retry(result=Broken(for_ever)).call(fetch))
        while not told:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def fetch() -> str:
        return "bad"

    asyncio.run(main())
