"""What holds for every HTTP client with its adapter, on loopback."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

for _name in ("httpx", "requests", "urllib3", "aiohttp"):
    pytest.importorskip(_name, reason=f"{_name} is not installed: pip install {_name}")

from redouble import (  # after the skip
    Reason,
    RetryBudget,
    Unwanted,
    constant,
    deadline,
    http_response,
    outcome,
    override,
    retry,
)
from redouble.testing import fake_time
from tests.integration.clients.flaky_server import answer, fall_silent, reset
from tests.integration.transports.kits import KITS, Wish
from tests.integration.transports.misbehaviour import (
    BIG,
    OK,
    PAYLOAD,
    MisbehavingServer,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Kit = Callable[[Wish], tuple[int, bytes]]

AT_ONCE = retry(backoff=constant(0))


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[MisbehavingServer]:
    """The server."""
    with MisbehavingServer() as server:
        yield server


@pytest.fixture(params=KITS)
def kit(request: pytest.FixtureRequest) -> Kit:
    """A client with its adapter."""
    return KITS[request.param]


def chunks(kit: Kit) -> Any:
    """A body that can be read only once, of the client's colour."""

    def plain() -> Iterator[bytes]:
        yield PAYLOAD

    async def coloured() -> Any:
        yield PAYLOAD

    return coloured() if kit in (KITS["httpx async"], KITS["aiohttp"]) else plain()


def test_the_last_answer_is_returned_as_it_is(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """After the last attempt the answer is the server's, with its body to be read."""
    misbehaving.play(refuse(503, body=b"too busy"))
    assert kit(Wish(misbehaving.url, policy=AT_ONCE)) == (503, b"too busy")
    assert len(misbehaving.seen) == 3


def test_an_answer_whose_wait_is_ended_can_be_read(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """`stop` during a wait: the answer before it is returned, with its status, and its body where that was read."""
    misbehaving.play(refuse(503, body=BIG))
    stop = threading.Event()
    began = time.monotonic()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    status, body = kit(Wish(misbehaving.url, fields={"backoff": constant(30), "stop": stop}))
    assert (status, body) in [(503, BIG), (503, b"")]
    assert len(misbehaving.seen) == 1
    assert time.monotonic() - began < 10


def test_an_unwanted_answer_is_raised_where_the_policy_says_so(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """With `unwanted="raise"` it is `Unwanted`, with the answer as its value."""
    misbehaving.play(refuse(503))
    with pytest.raises(Unwanted) as caught:
        kit(Wish(misbehaving.url, policy=AT_ONCE, fields={"unwanted": "raise"}))
    assert 503 in (getattr(caught.value.value, "status_code", None), getattr(caught.value.value, "status", None))


def test_a_post_is_repeated_where_the_policy_says_that_it_can_be(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """`idempotent=True` repeats a POST that was answered by a 500, and one whose connection was reset."""
    misbehaving.play(refuse(500), reset(), OK)
    wish = Wish(misbehaving.url, "POST", body=PAYLOAD, policy=AT_ONCE, fields={"idempotent": True})
    assert kit(wish) == (200, b"done")
    assert [seen.body for seen in misbehaving.seen] == [PAYLOAD] * 3


def test_a_get_is_not_repeated_where_the_policy_says_that_it_cannot_be(
    misbehaving: MisbehavingServer, kit: Kit
) -> None:
    """`idempotent=False` holds for a GET as well: a 500 may have done something."""
    misbehaving.play(refuse(500), OK)
    assert kit(Wish(misbehaving.url, policy=AT_ONCE, fields={"idempotent": False}))[0] == 500


def test_the_keys_of_the_header_are_those_that_redouble_knows(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A POST with any of the headers that tell a repetition from a new request is repeated after a reset."""
    misbehaving.play(reset(), OK)
    wish = Wish(misbehaving.url, "POST", {"PayPal-Request-Id": "7f1c"}, PAYLOAD, policy=AT_ONCE)
    assert kit(wish)[0] == 200


def test_a_body_that_can_be_read_once_is_not_sent_again(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A generator that was begun is used up: the error says so, and the request is not repeated, come what may."""
    misbehaving.play(reset(), OK)
    wish = Wish(misbehaving.url, "PUT", body=chunks(kit), policy=AT_ONCE, fields={"idempotent": True})
    with pytest.raises(Exception, match=r".") as caught:
        kit(wish)
    told = outcome(caught.value)
    assert told is not None
    assert told.reason is Reason.UNSAFE
    assert "body is used up: hand in a function that makes it" in caught.value.__notes__[0]
    assert len(misbehaving.seen) == 1


def test_a_body_that_was_not_begun_is_sent_again(kit: Kit, misbehaving: MisbehavingServer) -> None:
    """Where no connection was made, a generator is as new: all attempts are made."""
    from tests.integration.clients.flaky_server import closed_port

    with closed_port() as port, pytest.raises(Exception, match=r".") as caught:
        kit(Wish(f"http://127.0.0.1:{port}", "PUT", body=chunks(kit), policy=AT_ONCE))
    told = outcome(caught.value)
    assert told is not None
    assert (told.reason, told.attempts) == (Reason.ATTEMPTS, 3)


def test_a_file_goes_back_to_where_it_was(misbehaving: MisbehavingServer, tmp_path: Path) -> None:
    """A file that the caller had read the beginning of is sent from there in each attempt, and no more of it."""
    path = tmp_path / "report"
    path.write_bytes(b"header" + PAYLOAD)
    for name in ("requests", "urllib3", "aiohttp"):  # httpx sends a wrong length for such a file, in each attempt
        misbehaving.play(refuse(503), reset(), OK)
        with path.open("rb") as file:
            file.seek(6)
            headers = {"Content-Length": str(len(PAYLOAD))} if name == "urllib3" else {}
            assert KITS[name](Wish(misbehaving.url, "PUT", headers, file, policy=AT_ONCE)) == (200, b"done")
        assert [PAYLOAD in seen.body and b"header" not in seen.body for seen in misbehaving.seen] == [True] * 3


@pytest.mark.parametrize("client", sorted(KITS.keys() - {"urllib3"}))  # which has no such method
def test_a_retry_around_does_not_multiply_what_raise_for_status_raises(
    misbehaving: MisbehavingServer, client: str
) -> None:
    """Three attempts of the adapter, and no more of the retry around, which knows the answer that was given up on."""
    misbehaving.play(refuse(503))
    with pytest.raises(Exception, match="503") as caught:
        KITS[client](Wish(misbehaving.url, policy=AT_ONCE, around=AT_ONCE, raises=True))
    told = outcome(caught.value)
    assert told is not None
    assert told.reason is Reason.NESTED
    assert len(misbehaving.seen) == 3


def test_a_retry_around_does_not_multiply_answers(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """So it is where the retry around judges answers too; `nested="multiply"` multiplies all the same."""
    misbehaving.play(refuse(503))
    around = AT_ONCE(result=http_response)
    assert kit(Wish(misbehaving.url, policy=AT_ONCE, around=around))[0] == 503
    assert len(misbehaving.seen) == 3
    misbehaving.play(refuse(503))
    assert kit(Wish(misbehaving.url, policy=AT_ONCE, around=around(nested="multiply")))[0] == 503
    assert len(misbehaving.seen) == 9


def test_a_retry_around_does_not_multiply_errors(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A connection that is reset three times is not asked for three times three times."""
    misbehaving.play(reset())
    with pytest.raises(Exception, match=r"."):
        kit(Wish(misbehaving.url, policy=AT_ONCE, around=AT_ONCE))
    assert len(misbehaving.seen) == 3


def test_attempts_are_cut_by_the_policy(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """`attempt_timeout` cuts a patient client's timeouts: three attempts of 0.1 s, not three of a minute."""
    misbehaving.play(fall_silent())
    began = time.monotonic()
    with pytest.raises(Exception, match=r".") as caught:
        kit(Wish(misbehaving.url, policy=AT_ONCE, fields={"attempt_timeout": 0.1}, timeout=60))
    told = outcome(caught.value)
    assert told is not None
    assert told.attempts == 3
    assert time.monotonic() - began < 5


def test_attempts_are_cut_by_a_deadline_around(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A `deadline` scope bounds the attempt under way, and what is left of it."""
    misbehaving.play(fall_silent())
    began = time.monotonic()
    with pytest.raises(Exception, match=r"."), deadline(0.3):
        kit(Wish(misbehaving.url, policy=AT_ONCE, timeout=60))
    assert time.monotonic() - began < 5


def test_the_clients_own_timeout_is_never_lengthened(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A client that waits 0.1 s goes on waiting so long where the policy would allow a minute."""
    misbehaving.play(fall_silent())
    began = time.monotonic()
    with pytest.raises(Exception, match=r".") as caught:
        kit(Wish(misbehaving.url, policy=AT_ONCE, fields={"attempt_timeout": 60}, timeout=0.1))
    told = outcome(caught.value)
    assert told is not None
    assert told.attempts == 3
    assert time.monotonic() - began < 5


def test_what_is_dropped_gives_its_connection_back(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """Answers too large to be read at once are dropped, and a pool of one connection has room for the next attempt."""
    misbehaving.play(refuse(503, body=BIG), refuse(503, body=BIG), OK)
    assert kit(Wish(misbehaving.url, policy=AT_ONCE, small=True)) == (200, b"done")


def test_a_budget_is_shared_by_the_requests_of_an_adapter(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """Two tokens are two retries for all requests together, whatever their method."""
    misbehaving.play(refuse(503))
    budget = RetryBudget(ratio=0, burst=2, trickle=0)
    assert kit(Wish(misbehaving.url, policy=AT_ONCE, fields={"budget": budget}, times=3))[0] == 503
    assert len(misbehaving.seen) == 5


def test_an_adapter_has_a_budget_of_its_own(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """Without a word about it, an outage is not made worse for ever: 20 retries, then each request is made once."""
    misbehaving.play(refuse(503))
    assert kit(Wish(misbehaving.url, policy=AT_ONCE, times=30))[0] == 503
    assert 50 <= len(misbehaving.seen) <= 51  # one comes for nothing every five minutes


def test_override_reaches_the_adapter(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """`override(attempts=1)` around makes each request once."""
    misbehaving.play(refuse(503))
    with override(attempts=1):
        kit(Wish(misbehaving.url))
    assert len(misbehaving.seen) == 1


def test_a_login_that_is_pending_is_the_callers(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A 400 `authorization_pending` is returned at once: it is the caller who polls."""
    misbehaving.play(answer(400, body=b'{"error": "authorization_pending"}'))
    with fake_time() as clock:
        assert kit(Wish(misbehaving.url, "POST"))[0] == 400
    assert (len(misbehaving.seen), clock.sleeps) == (1, [])


def test_a_rule_of_ones_own_for_answers_counts_instead(misbehaving: MisbehavingServer, kit: Kit) -> None:
    """A policy's `result` is what judges answers where it is written."""
    misbehaving.play(answer(202), OK)

    def is_accepted(response: Any) -> bool:
        return 202 in (getattr(response, "status_code", 0), getattr(response, "status", 0))

    assert kit(Wish(misbehaving.url, policy=AT_ONCE, fields={"result": is_accepted})) == (200, b"done")


def test_each_wait_is_a_line_in_the_log(
    misbehaving: MisbehavingServer, kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    """The lines name the client, and say why it waits."""
    misbehaving.play(refuse(503), OK)
    with caplog.at_level(logging.INFO, "redouble"), fake_time():
        kit(Wish(misbehaving.url))
    lines = [record.getMessage() for record in caplog.records if record.name == "redouble"]
    assert len(lines) == 1
    assert re.fullmatch(
        r"\w+: attempt 1 of 3 gave an unwanted result \(\w+\.\w+ 503\); trying again in [\d.]+ s", lines[0]
    )


def test_what_is_no_policy_is_refused(kit: Kit) -> None:
    """A number, a class or another library's object is refused where the adapter is made."""
    with pytest.raises(TypeError, match=r"policy must be a RetryPolicy, such as redouble.retry\(attempts=5\), got 3"):
        kit(Wish("http://127.0.0.1", policy=3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="retry has no field 'atempts'"):
        kit(Wish("http://127.0.0.1", fields={"atempts": 3}))
