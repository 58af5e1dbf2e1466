"""The polling for a device code, as a command line tool does it: what must hold, on virtual time."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, StillPending, Stopped, constant, outcome, pending, permanent, poll, retry, transient
from redouble.control.events import describe
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import RetryPolicy
    from redouble.testing import FakeClock


class CloudAPIError(Exception):
    def __init__(self, text: str = "", status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Pending(CloudAPIError): ...


class Denied(CloudAPIError): ...


class Expired(CloudAPIError): ...


class Rejected(CloudAPIError): ...


class SlowDown(CloudAPIError): ...


rules = pending(Pending) | permanent(Denied, Expired, Rejected) | transient(CloudAPIError)
policy = retry(on=rules, attempts=7, name="device code")


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Poll a scripted answer, in either colour; what it was asked is left in `ask.calls`."""

    def ask(*outcomes: object, policy: RetryPolicy = policy, interval: float = 1, **options: Any) -> Any:
        operation = scripted(*outcomes, asynchronous=request.param)
        ask.calls = operation.calls  # type: ignore[attr-defined]
        asked = poll(operation, policy, interval=interval, **options)
        return asyncio.run(asked) if request.param else asked

    return ask


def bad_gateway() -> CloudAPIError:
    return CloudAPIError("bad gateway", 502)


def log_in(ask: Callable[..., Any], show: Callable[[str], object], *outcomes: object, **options: Any) -> Any:
    """The tool's own code: the user's code is shown once, then the polling begins."""
    show("WDJB-MJHT")
    return ask(*outcomes, **options)


def test_p01_one_pending_answer(ask: Any, clock: FakeClock) -> None:
    """P-1: one answer that is not ready is waited out for the interval, and the user's code is shown once."""
    shown: list[str] = []
    assert log_in(ask, shown.append, Pending(), "token") == "token"
    assert clock.sleeps == [1.0] and shown == ["WDJB-MJHT"] and len(ask.calls) == 2


def test_p02_failures_wait_for_the_interval_too(ask: Any, clock: FakeClock) -> None:
    """P-2: pending and failed answers are followed by the same wait."""
    assert ask(Pending(), bad_gateway(), bad_gateway(), "token") == "token"
    assert clock.sleeps == [1.0, 1.0, 1.0]


def test_p03_seven_failures_in_a_row_give_up(ask: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """P-3: seven failures make six waits, and the seventh error itself comes out; six lines at INFO, one at WARNING."""
    errors = [bad_gateway() for _ in range(8)]
    with caplog.at_level(logging.INFO, "redouble"), pytest.raises(CloudAPIError) as caught:
        ask(*errors)
    assert caught.value is errors[6] and caught.value.__cause__ is None
    assert len(ask.calls) == 7 and clock.sleeps == [1.0] * 6
    assert [record.levelname for record in caplog.records] == ["INFO"] * 6 + ["WARNING"]


def test_p04_a_pending_answer_begins_the_count_again(ask: Any, clock: FakeClock) -> None:
    """P-4: six failures, a pending answer and six failures more are no seven failures in a row."""
    failures = [ConnectionResetError() for _ in range(12)]
    on = retry(on=rules | transient(OSError), attempts=7)
    assert ask(*failures[:6], Pending(), *failures[6:], "token", policy=on) == "token"
    assert clock.sleeps == [1.0] * 13


def test_p05_a_thousand_pending_answers(ask: Any, clock: FakeClock) -> None:
    """P-5: however long a person thinks about it, that counts as no failure."""
    counts: list[int] = []
    watched = policy(observers=[lambda event: counts.append(event.failures)])
    assert ask(*[Pending() for _ in range(1000)], "token", policy=watched) == "token"
    assert clock.sleeps == [1.0] * 1000 and counts == [0] * 1000


@pytest.mark.parametrize("error", [Denied("no"), Expired("late"), Rejected("bad")], ids=lambda error: str(error))
def test_p06_a_final_no_is_raised_at_once(ask: Any, clock: FakeClock, error: CloudAPIError) -> None:
    """P-6: denied, expired and rejected end it there and then, and nothing is kept."""
    kept: list[str] = []
    with pytest.raises(CloudAPIError) as caught:
        kept.append(ask(Pending(), error, "token"))
    assert caught.value is error and clock.sleeps == [1.0] and kept == []


class CancelledAfter:
    """An event that is set when it is looked at for the n-th time."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks <= 0

    def wait(self, timeout: float | None = None) -> bool:
        raise AssertionError("the fake clock waits")


def test_p07_cancelled_while_it_waits(ask: Any, clock: FakeClock) -> None:
    """P-7: one question and one wait, then the cancellation, which is no denial."""
    stop: Any = CancelledAfter(2)
    with pytest.raises(Stopped) as caught:
        ask(Pending(), policy=policy(stop=stop))
    assert len(ask.calls) == 1 and clock.sleeps == [1.0]
    assert not isinstance(caught.value, CloudAPIError) and isinstance(caught.value.__cause__, Pending)


@pytest.mark.parametrize(("said", "waited"), [(None, 5.0), (0, 5.0), (0.2, 1.0), (7, 7.0)])
def test_p08_the_interval_that_the_server_said(ask: Any, clock: FakeClock, said: float | None, waited: float) -> None:
    """P-8: the server's interval is one expression: none and 0 mean 5 s, and none is below 1 s."""
    assert ask(Pending(), "token", interval=max(1, said or 5)) == "token"
    assert clock.sleeps == [waited]


def test_p09_rules_in_the_wrong_order_are_refused() -> None:
    """P-9: a general rule before a specific one is refused where it is written, for `slow_down` as well."""
    with pytest.raises(ValueError, match=r"permanent\(.*Denied\) can never be reached"):
        transient(CloudAPIError) | permanent(Denied)
    with pytest.raises(ValueError, match=r"pending\(.*Pending\) can never be reached"):
        poll(lambda: "token", policy, slow_down=CloudAPIError)


def test_p10_some_failures_use_the_code_up(ask: Any, clock: FakeClock) -> None:
    """P-10: where a 502 has consumed the code it is final, on the first; a 503 is still tried again."""
    used_up = permanent(CloudAPIError, when=lambda error: error.status in (500, 502))
    careful = policy(on=pending(Pending) | permanent(Denied, Expired, Rejected) | used_up | transient(CloudAPIError))
    with pytest.raises(CloudAPIError, match="bad gateway"):
        ask(bad_gateway(), policy=careful)
    assert len(ask.calls) == 1 and clock.sleeps == []
    assert ask(CloudAPIError("busy", 503), "token", policy=careful) == "token"


@pytest.mark.parametrize("last", ["token", Denied("s3cret"), CloudAPIError("s3cret")])
def test_p11_a_secret_stays_out_of_logs(
    ask: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture, last: object
) -> None:
    """P-11: with redact=True no line of a log and no text of an event has the error's message in it."""
    texts: list[str] = []
    secretive = pending(Pending, redact=True) | permanent(Denied, redact=True) | transient(CloudAPIError, redact=True)
    watched = policy(
        on=secretive, attempts=2, observers=[lambda event: texts.append(f"{describe(event)} {event.classification}")]
    )
    with caplog.at_level(logging.DEBUG):
        try:
            ask(Pending("s3cret"), CloudAPIError("s3cret"), last, policy=watched)
        except CloudAPIError as error:
            texts += error.__notes__
    assert len(texts) >= 3 and len(caplog.records) >= 2
    assert not any("s3cret" in text for text in (caplog.text, *texts))


def test_p12_slow_down_lengthens_the_interval_for_good(ask: Any, clock: FakeClock) -> None:
    """P-12: each "slow down" makes every wait from then on 5 s longer, those after failures as well."""
    answers = [Pending(), SlowDown(), Pending(), bad_gateway(), SlowDown(), Pending(), "token"]
    assert ask(*answers, slow_down=SlowDown) == "token"
    assert clock.sleeps == [1.0, 6.0, 6.0, 6.0, 11.0, 11.0]


def test_p12_what_expires_is_asked_no_more(ask: Any, clock: FakeClock) -> None:
    """P-12: with 10 s to live and an interval of 5 s the question is asked at 0 s and at 5 s, not at 10 s."""
    with pytest.raises(Pending) as caught:
        ask(*[Pending()] * 9, policy=retry(on=rules, deadline=10), interval=5)
    assert len(ask.calls) == 2 and clock.now() == 5.0
    ended = outcome(caught.value)
    assert ended is not None and ended.reason is Reason.DEADLINE
    with pytest.raises(StillPending, match=r"^still pending\n"):
        ask(*["wait"] * 9, policy=retry(deadline=10), interval=5, until=lambda value: value != "wait")
    assert len(ask.calls) == 2 and clock.now() == 10.0


def test_p13_a_stop_ends_the_wait(clock: FakeClock) -> None:
    """P-13: a thread that waits for the next question hears of the stop within the wait."""
    stop, ended = threading.Event(), []

    def work() -> None:
        with pytest.raises(Stopped):
            poll(scripted(Pending()), policy(stop=stop), interval=600)
        ended.append(clock.now())

    with clock.trap() as trap:
        worker = threading.Thread(target=clock.bind(work))
        worker.start()
        assert trap.wait() == 600.0
        clock.advance(1)
        stop.set()
        worker.join()
    assert ended == [1.0]


def test_p13_a_stop_ends_the_wait_of_a_task(clock: FakeClock) -> None:
    """P-13: a task hears of it at once, too."""

    async def main() -> float:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(1, stop.set)
        with pytest.raises(Stopped):
            await poll(scripted(Pending(), asynchronous=True), policy(stop=stop), interval=600)
        return clock.now()

    assert asyncio.run(main()) == 1.0


def test_a_written_backoff_is_for_failures_alone(ask: Any, clock: FakeClock) -> None:
    """Pending answers wait for the interval, failures for the curve that the policy names."""
    patient = policy(backoff=constant(30))
    assert ask(Pending(), bad_gateway(), Pending(), "token", policy=patient) == "token"
    assert clock.sleeps == [1.0, 30.0, 1.0]
