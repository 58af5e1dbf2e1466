"""Floor 1. HTTP statuses and the headers that go with them."""

from __future__ import annotations

from http import HTTPStatus
from math import isfinite
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import Classification, Verdict
from redouble.known.http_status import POLL, SLOWER, judge_response, judge_status, loaded_body


def wall() -> float:
    """A minute before the date in the tests below."""
    return 784111777.0 - 60


def judge(status: Any, headers: Any = None, **more: Any) -> Classification:
    """A judgement that must be there."""
    found = judge_status(status, headers, wall, **more)
    assert found is not None
    return found


@pytest.mark.parametrize("status", [408, 421, 425, 429, 509, 521, 523, 529])
def test_refused_before_it_was_done(status: int) -> None:
    """Transient, and the server has not acted."""
    found = judge(status)
    assert (found.verdict, found.applied, found.reason) == (Verdict.TRANSIENT, False, f"HTTP {status}")


@pytest.mark.parametrize("status", [500, 502, 504, 520, 522, 524, 530, 599])
def test_failed_in_the_middle(status: int) -> None:
    """Transient, and the server may have acted; what is not known in 5xx counts as 500 (RFC 9110 15)."""
    found = judge(status)
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)


REFUSED = [400, 401, 402, 403, 404, 405, 409, 410, 412, 413, 418, 422, 423, 431, 451, 499]


@pytest.mark.parametrize("status", [300, 302, 304, *REFUSED, 501, 505, 506, 507, 508, 510, 511, 525, 526])
def test_the_same_request_fails_again(status: int) -> None:
    """Permanent, and not applied."""
    found = judge(status)
    assert (found.verdict, found.applied, found.retry_after) == (Verdict.PERMANENT, False, None)


NO_FAILURES = [None, True, "503", 503.0, 0, 99, 100, 200, 204, 299, 600, 10**30, -503, Mock(spec=int)]


@pytest.mark.parametrize("status", NO_FAILURES, ids=lambda value: type(value).__name__)
def test_numbers_that_are_no_failure(status: Any) -> None:
    """Clients invent statuses; what is no whole number in 300..599 is ignored."""
    assert judge_status(status, {"Retry-After": "5"}, wall) is None


def test_an_enum_is_a_number() -> None:
    """`HTTPStatus` members are read as their numbers."""
    assert judge(HTTPStatus.SERVICE_UNAVAILABLE).reason == "HTTP 503"


def test_plain_judgements_are_made_once() -> None:
    """The second 503 of a client costs a look-up."""
    assert judge(503, who="a.Client") is judge(503, {}, who="a.Client")


@pytest.mark.parametrize("status", [403, 409, 413, 418, 507])
def test_retry_after_turns_a_refusal(status: int) -> None:
    """A server that says when to come back means it."""
    found = judge(status, {"Retry-After": "7"})
    assert (found.verdict, found.retry_after, found.applied) == (Verdict.TRANSIENT, 7.0, False)
    assert found.reason == f"HTTP {status} with Retry-After"


@pytest.mark.parametrize("status", [301, 401, 404, 405, 410, 501, 505])
def test_retry_after_does_not_turn_these(status: int) -> None:
    """Redirects, missing pages, wrong methods and wrong passwords stay what they are."""
    found = judge(status, {"Retry-After": "7"})
    assert (found.verdict, found.retry_after) == (Verdict.PERMANENT, None)


def test_hints_of_transient_statuses() -> None:
    """Seconds, milliseconds and a date that is counted from the wall clock."""
    assert judge(503, {"Retry-After": "2.5"}).retry_after == 2.5
    assert not judge(503, {"Retry-After": "2.5"}).applied
    assert judge(503).applied
    assert judge(429, {"retry-after-ms": "250", "retry-after": "60"}).retry_after == 0.25
    found = judge(500, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"})
    assert (found.retry_after, found.applied, found.reason) == (60.0, True, "HTTP 500")
    assert judge(503, {"Retry-After": "soon"}).retry_after is None


def test_a_wall_clock_that_fails() -> None:
    """Without a clock a date has no meaning, and seconds still have."""

    def broken() -> float:
        raise RuntimeError("stopped")

    date = {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}
    found = judge_status(503, date, broken)
    assert found is not None
    assert (found.verdict, found.retry_after) == (Verdict.TRANSIENT, None)
    found = judge_status(503, {"Retry-After": "3"}, broken)
    assert found is not None
    assert found.retry_after == 3.0


def test_the_server_decides() -> None:
    """`x-should-retry` outranks the status, in both directions."""
    found = judge(400, {"x-should-retry": "true", "retry-after": "3"})
    assert (found.verdict, found.retry_after, found.applied) == (Verdict.TRANSIENT, 3.0, False)
    found = judge(500, {"X-Should-Retry": "False", "retry-after": "3"})
    assert (found.verdict, found.retry_after) == (Verdict.PERMANENT, None)
    assert found.reason == "HTTP 500 [x-should-retry: false]"
    assert judge(404, {"x-should-retry": "perhaps"}).verdict is Verdict.PERMANENT
    assert judge(302, {"x-should-retry": "true"}).verdict is Verdict.PERMANENT


@pytest.mark.parametrize(
    "body",
    [b'{"error": "authorization_pending"}', '{"error": "authorization_pending"}', {"error": "authorization_pending"}],
)
def test_a_login_that_is_pending(body: Any) -> None:
    """RFC 8628: not a failure; ask again after the interval."""
    found = judge(400, {}, body=body)
    assert (found.verdict, found.applied, found.retry_after) == (Verdict.PENDING, False, None)
    assert found.backoff == POLL
    assert POLL.delay(1, None, 0.5) == 5.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[1]",
        b'"authorization_pending"',
        b'{"error": "expired_token"}',
        b'{"error": ["authorization_pending"]}',
        b'{"error": "authorization_pending"}' + b" " * 10_000,
        "[" * 9_999,
        {"error": None},
        {},
        7,
        Mock(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_bodies_change_nothing(body: Any) -> None:
    """A 400 with any other body is a 400."""
    assert judge(400, None, body=body).verdict is Verdict.PERMANENT


def test_only_a_400_can_be_pending() -> None:
    """The body of any other status is not read."""
    assert judge(403, None, body=b'{"error": "authorization_pending"}').verdict is Verdict.PERMANENT


@given(
    st.integers(0, 700),
    st.dictionaries(
        st.sampled_from(["Retry-After", "retry-after-ms", "x-should-retry", "Date"]),
        st.one_of(st.text(), st.text("0123456789."), st.binary(), st.integers(), st.floats(), st.none()),
    ),
    st.one_of(st.none(), st.binary(), st.text()),
)
def test_whatever_a_server_sends(status: int, headers: dict[str, Any], body: Any) -> None:
    """Every answer of 300..599 has a judgement with a finite hint, every other number has none."""
    found = judge_status(status, headers, wall, body=body)
    assert (found is not None) == (300 <= status <= 599)
    if found is not None and found.retry_after is not None:
        assert isfinite(found.retry_after)
        assert found.retry_after >= 0


def test_a_conflict_of_writes() -> None:
    """Azure's own 449 says: repeat it."""
    assert judge(449).verdict is Verdict.TRANSIENT


def test_azure_reads_seconds_first() -> None:
    """The order of the hints is the client's."""
    headers = {"Retry-After": "3", "retry-after-ms": "250"}
    assert judge(429, headers, seconds_first=True).retry_after == 3.0


def test_response_objects() -> None:
    """By `status_code`, else by `status`; what has neither is no response."""
    found = judge_response(SimpleNamespace(status_code=503, headers={"retry-after": "2"}), wall, who="a.Response")
    assert found is not None
    assert (found.retry_after, found.reason) == (2.0, "a.Response 503")
    found = judge_response(SimpleNamespace(status=503), wall, who="a.Response")
    assert found is not None
    assert found.retry_after is None
    assert judge_response(Mock(), wall, who="a.Mock") is None
    assert judge_response(None, wall, who="None") is None


def test_only_loaded_bodies_are_read() -> None:
    """Until the body is there, requests says False, httpx has no such attribute, and aiohttp says None."""
    assert loaded_body(SimpleNamespace(_content=False)) is None
    assert loaded_body(SimpleNamespace(_body=None)) is None
    assert loaded_body(SimpleNamespace(_body=b"x")) == b"x"
    assert loaded_body(SimpleNamespace(_content=b"x")) == b"x"
    assert loaded_body(Mock()) is None


@pytest.mark.parametrize("body", [b'{"error": "slow_down"}', {"error": "slow_down", "interval": "soon"}])
def test_a_login_that_is_asked_about_too_often(body: Any) -> None:
    """RFC 8628 3.5: slow_down asks for five seconds more than the five that hold where nothing is said."""
    found = judge(400, {}, body=body)
    assert (found.verdict, found.retry_after, found.backoff) == (Verdict.PENDING, None, SLOWER)
    assert SLOWER.delay(1, None, 0.5) == 10.0


@pytest.mark.parametrize(
    ("interval", "headers", "hint"),
    [
        (7, {}, 7.0),
        ("7", {}, 7.0),
        (7.5, {}, 7.5),
        (7, {"Retry-After": "3"}, 3.0),
        (-1, {}, None),
        (True, {}, None),
        ([7], {}, None),
        (10**400, {}, None),
    ],
)
def test_an_interval_in_the_answer(interval: Any, headers: Any, hint: float | None) -> None:
    """Some servers name the new interval beside the error; Retry-After outranks it, junk is absent."""
    found = judge(400, headers, body={"error": "slow_down", "interval": interval})
    assert (found.verdict, found.retry_after) == (Verdict.PENDING, hint)


LIMITS = {"RateLimit": '"default";r=0;t=30'}


@pytest.mark.parametrize(
    ("status", "headers", "hint"),
    [
        (429, LIMITS, 30.0),
        (503, LIMITS, 30.0),
        (429, {"ratelimit-reset": "12", "ratelimit-remaining": "0"}, 12.0),
        (429, {**LIMITS, "Retry-After": "3"}, 3.0),
        (429, {**LIMITS, "Retry-After": "soon"}, 30.0),
        (500, LIMITS, None),
        (429, {}, None),
        (429, {"X-RateLimit-Reset": "30"}, None),
    ],
)
def test_rate_limits(status: int, headers: Any, hint: float | None) -> None:
    """Rate limit headers count with a 429 or 503 that has no Retry-After, and nowhere else."""
    found = judge(status, headers)
    assert (found.verdict, found.retry_after) == (Verdict.TRANSIENT, hint)


def test_rate_limits_do_not_change_a_verdict() -> None:
    """A 403 with rate limit headers stays permanent: every answer of such a service has them."""
    assert judge(403, LIMITS).verdict is Verdict.PERMANENT
