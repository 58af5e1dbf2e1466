"""Floor 1. The wait that a server asked for, out of its headers."""

from __future__ import annotations

import time
from email.message import Message
from email.utils import formatdate
from math import isfinite
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redouble.core.checks import LONGEST
from redouble.core.hints import (
    LIMITS,
    LONGEST_LIMITS,
    LONGEST_TEXT,
    MANY,
    YEAR,
    from_headers,
    from_limits,
    header,
    picked,
    retry_after,
    text_of,
)

NOV_6_1994 = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def epoch(*fields: int) -> float:
    """Seconds since the epoch of a date in GMT, by another way than the code under test."""
    import calendar

    return float(calendar.timegm((*fields, 0, 0, 0)))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("0", 0.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), (" 7\t", 7.0), (b"3", 3.0), ("007", 7.0)],
)
def test_delta_seconds(value: str | bytes, seconds: float) -> None:
    """Plain seconds are taken as they are, fractions included."""
    assert retry_after(value, None) == seconds


WORDS = ["", " ", "soon", "-1", "-0", "+5", "nan", "inf", "-inf", "1e3", "1_000", "0x10", ".", "1.2.3", "1,5", "٣", "²"]
OTHERS = [None, "9" * (LONGEST_TEXT + 1), b"\xff", True, [5], object(), Mock(spec=str), -1, float("nan"), float("inf")]


@pytest.mark.parametrize("value", [*WORDS, *OTHERS], ids=lambda value: type(value).__name__)
def test_junk_counts_as_absent(value: Any) -> None:
    """What is negative, malformed or no text at all is no hint."""
    assert retry_after(value, NOV_6_1994) is None


def test_numbers_are_taken_too() -> None:
    """Some clients hand the header on as a number."""
    assert retry_after(5, None) == 5.0  # type: ignore[arg-type]  # what a client may do
    assert retry_after(2.5, None) == 2.5  # type: ignore[arg-type]
    assert retry_after(10**400, None) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["9" * LONGEST_TEXT, "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_enormous_waits_stay_finite(value: str) -> None:
    """A hostile server gets no infinite sleep, and no error out of `time.sleep`."""
    assert retry_after(value, 0.0) == pytest.approx(LONGEST, abs=LONGEST)
    assert isfinite(retry_after(value, 0.0) or float("nan"))


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 UTC",
    ],
)
def test_three_forms_of_a_date(date: str) -> None:
    """IMF-fixdate, RFC 850 and asctime name the same moment (the example of RFC 9110, 5.6.7)."""
    assert retry_after(date, NOV_6_1994 - 10) == 10.0
    assert retry_after(date.encode(), NOV_6_1994 - 10) == 10.0


def test_past_dates_are_zero() -> None:
    """A date that has gone by means: now."""
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", 2e9) == 0.0


def test_own_date_of_the_response_is_counted_from() -> None:
    """The server's Date header outranks a clock that is an hour wrong."""
    until, sent = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT"
    assert retry_after(until, NOV_6_1994 + 3600, date=sent) == 30.0
    assert retry_after(until, None, date=sent) == 30.0
    assert retry_after("Sunday, 06-Nov-94 08:49:37 GMT", None, date=sent) == 30.0


def test_unreadable_date_of_the_response_leaves_the_clock() -> None:
    """A Date header that is junk does not cost the hint."""
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT", NOV_6_1994 - 5, date="yesterday") == 5.0


@pytest.mark.parametrize("now", [None, float("nan"), float("inf"), "12", True, 10**400])
def test_date_without_any_clock_is_no_hint(now: Any) -> None:
    """A date means nothing when there is nothing to count it from."""
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now) is None
    assert retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now) is None


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 19945 08:49:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:3x GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37",
        "Sunday, 06-Nov 08:49:37 GMT",
        "Sunday, -Nov-94 08:49:37 GMT",
        "Sun Nov 6 1994",
        "Sun Nov 6 08:49:37 -1994",
    ],
)
def test_malformed_dates_count_as_absent(date: str) -> None:
    """No field of a date is guessed."""
    assert retry_after(date, NOV_6_1994) is None


def test_leap_second() -> None:
    """Second 60 is valid and names the next minute."""
    assert retry_after("Sat, 31 Dec 2016 23:59:60 GMT", epoch(2016, 12, 31, 23, 59, 59)) == 1.0


@pytest.mark.parametrize(
    ("digits", "now", "year"),
    [
        ("94", (1994, 11, 6, 8, 49, 0), 1994),
        ("94", (2026, 1, 1, 0, 0, 0), 1994),
        ("27", (2026, 1, 1, 0, 0, 0), 2027),
        ("75", (2026, 1, 1, 0, 0, 0), 2075),
        ("76", (2026, 1, 1, 0, 0, 0), 1976),
        ("76", (2026, 12, 1, 0, 0, 0), 2076),
        ("77", (2026, 12, 1, 0, 0, 0), 1977),
        ("05", (2099, 6, 1, 0, 0, 0), 2105),
    ],
)
def test_two_digit_years(digits: str, now: tuple[int, ...], year: int) -> None:
    """A two-digit year is never more than 50 years ahead (RFC 9110, 5.6.7)."""
    present = epoch(*now)
    expected = max(epoch(year, 11, 6, 8, 49, 37) - present, 0.0)
    assert retry_after(f"Sunday, 06-Nov-{digits} 08:49:37 GMT", present) == min(expected, LONGEST)


@given(st.integers(0, 4 * 10**9), st.integers(0, 10**6))
def test_dates_are_read_as_the_standard_library_writes_them(now: int, ahead: int) -> None:
    """Every date that `email.utils` writes comes back as the seconds it is ahead, in all forms."""
    until = now + ahead
    assert retry_after(formatdate(until, usegmt=True), now) == float(ahead)
    assert retry_after(time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(until)), now) == float(ahead)
    assert retry_after(time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(until)), now) == float(ahead)


VALUES = st.one_of(
    st.text(),
    st.binary(),
    st.none(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.from_regex(r"\A[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\Z"),
    st.from_regex(r"\A[+-]?\d*\.?\d*(e\d+)?\Z"),
)


@given(VALUES, st.one_of(st.none(), st.floats(), st.integers()), VALUES)
def test_hostile_values_end_in_none_or_a_finite_wait(value: Any, now: Any, date: Any) -> None:
    """Whatever a server sends, the hint is `None` or a finite number of seconds >= 0."""
    found = retry_after(value, now, date)
    assert found is None or (type(found) is float and 0.0 <= found <= LONGEST)
    found = from_headers({"Retry-After": value, "Date": date, "retry-after-ms": date}, now)
    assert found is None or (type(found) is float and 0.0 <= found <= LONGEST)


def test_milliseconds_outrank_seconds() -> None:
    """`retry-after-ms` comes before `x-ms-retry-after-ms`, and that before `retry-after`."""
    headers = {"retry-after": "60", "x-ms-retry-after-ms": "2500", "retry-after-ms": "250"}
    assert from_headers(headers, None) == 0.25
    del headers["retry-after-ms"]
    assert from_headers(headers, None) == 2.5
    del headers["x-ms-retry-after-ms"]
    assert from_headers(headers, None) == 60.0


def test_malformed_milliseconds_are_passed_over() -> None:
    """Junk in one header does not hide the next."""
    assert from_headers({"retry-after-ms": "-1", "x-ms-retry-after-ms": "x", "Retry-After": "4"}, None) == 4.0


@pytest.mark.parametrize("spelling", ["retry-after", "Retry-After", "RETRY-AFTER", "Retry-after"])
def test_plain_dicts_may_be_spelled_in_any_case(spelling: str) -> None:
    """Header names know no case, also where a client keeps them in a plain dict."""
    assert from_headers({7: "x", "other": "x", spelling: "4"}, None) == 4.0


def test_message_headers_with_their_own_date() -> None:
    """The header object of http.client works, and its Date is counted from."""
    headers = Message()
    headers["retry-after"] = "Sun, 06 Nov 1994 08:49:37 GMT"
    headers["date"] = "Sun, 06 Nov 1994 08:49:30 GMT"
    assert from_headers(headers, None) == 7.0


class Raising:
    """Headers that refuse to be read."""

    def get(self, name: str) -> str:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "headers",
    [None, {}, [], "retry-after: 5", 5, Raising(), Mock(), Mock(spec=dict)],
    ids=lambda value: type(value).__name__,
)
def test_strange_headers_have_no_hint(headers: Any) -> None:
    """A header object that is none, raises or answers with a mock has no hint."""
    assert from_headers(headers, 0.0) is None


def test_header_and_text() -> None:
    """One header is found in any mapping, and only text is text."""

    class Text(str):
        def strip(self, chars: str | None = None) -> str:
            raise RuntimeError(chars)

    assert header({"x-a": "1"}, "x-b") is None
    assert text_of(Text(" a ")) == "a"
    assert text_of(b" a ") == "a"
    assert text_of(3) is None


def test_who_comes_first() -> None:
    """Milliseconds outrank seconds, except in Azure's SDK; AWS's header is in milliseconds too."""
    both = {"Retry-After": "3", "x-ms-retry-after-ms": "250"}
    assert from_headers(both, None) == 0.25
    assert from_headers(both, None, seconds_first=True) == 3.0
    assert from_headers({"retry-after-ms": "250"}, None, seconds_first=True) == 0.25
    assert from_headers({"x-amz-retry-after": "1500"}, None) == 1.5
    assert from_headers(None, None, seconds_first=True) is None


class Httpx:
    """Headers as httpx has them: pairs of bytes, several of a name."""

    __module__ = "httpx._models"

    def __init__(self, *raw: Any) -> None:
        self.raw = list(raw)

    def get(self, name: str) -> Any:
        return next((value for key, value in self.raw if key.lower() == name.encode()), None)


def test_headers_are_picked_at_once() -> None:
    """The first of a name, from a plain dict in any case, from httpx's pairs, and by asking a client's mapping."""
    assert picked({"RETRY-after": "5", "Accept": "x", 5: "x"}) == {"retry-after": "5"}
    pairs = picked(Httpx((b"Retry-After", b"5"), (b"retry-after", b"6"), (b"Accept", b"x")))
    assert pairs == {"retry-after": b"5"}
    assert from_headers(pairs, None) == 5.0
    assert header(pairs, "date") is None
    message = Message()
    message["Retry-After"] = "5"
    assert picked(message) == {"retry-after": "5"}
    assert picked(pairs) is pairs
    assert picked(None) is None


def test_headers_that_are_not_what_they_seem() -> None:
    """What cannot be picked from is asked as it is."""
    odd = Httpx(5)
    assert picked(odd) is odd
    many = {str(number): "x" for number in range(MANY)} | {"RETRY-AFTER": "5"}
    assert picked(many) == {}
    assert header(many, "retry-after") is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('"default";r=0;t=30', 30.0),
        (b'"default";r=0;t=30', 30.0),
        ('"default"; r=0 ;t = 30', 30.0),
        ("default;r=0;t=30", 30.0),
        ('"a;r=1;t=5, b";r=0;t=30', 30.0),
        ('"burst";r=0;t=5, "daily";r=0;t=60, "other";r=3;t=900', 60.0),
        ('"default";t=30;r=0;pk=:Zm9v:', 30.0),
        ('"default";r=0;t=0', 0.0),
        ('"default";r=1;t=30', None),
        ('"default";r=0', None),
        ('"default";t=30', None),
        ('"default";r=0;t=-1', None),
        ('"default";r=0;t=1e9', None),
        (f'"default";r=0;t={YEAR + 1:.0f}', None),
        ('"de\\"fault";r=0;t=30', None),
        ("limit=10, remaining=0, reset=4", None),
        ("", None),
        ("30", None),
        (5, None),
        ('"a";r=0;t=1,' * LONGEST_LIMITS, None),
    ],
)
def test_rate_limits_that_are_used_up(value: Any, seconds: float | None) -> None:
    """Of the limits without anything left the longest wait counts; what is malformed is passed over."""
    assert from_limits({"ratelimit": value}) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit-Reset": "30"}, 30.0),
        ({"RateLimit-Reset": "30", "RateLimit-Remaining": "0"}, 30.0),
        ({"RateLimit-Reset": "30", "RateLimit-Remaining": "soon"}, 30.0),
        ({"RateLimit-Reset": "30", "RateLimit-Remaining": "1"}, None),
        ({"RateLimit-Reset": "30", "RateLimit": '"a";r=0;t=7'}, 7.0),
        ({"RateLimit-Reset": "30", "RateLimit": '"a";r=4;t=7'}, 30.0),
        ({"RateLimit-Reset": "1700000000"}, None),
        ({"RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Reset": "30", "X-RateLimit-Remaining": "0"}, None),
        (None, None),
    ],
)
def test_rate_limits_by_the_older_drafts(headers: Any, seconds: float | None) -> None:
    """`RateLimit-Reset` counts unless something remains; a date since the epoch is none, and X- names are not read."""
    assert from_limits(headers) == seconds


def test_rate_limits_are_picked_only_where_they_matter() -> None:
    """A look-up in vain is what costs, so that they are looked for only on request."""
    headers = {"RateLimit-Reset": "30", "Date": "x"}
    assert picked(headers) == {"date": "x"}
    assert picked(headers, LIMITS) == {"ratelimit-reset": "30"}


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40), st.integers(), st.floats(), st.none()))
def test_rate_limits_are_sane_whatever_is_sent(value: Any) -> None:
    """A wait is finite, never negative and never above a year, whatever the server sent."""
    for name in ("ratelimit", "ratelimit-reset"):
        found = from_limits({name: value})
        assert found is None or 0.0 <= found <= YEAR


@given(st.integers(1, 9999), st.integers(1, 12), st.integers(0, 32), st.integers(0, 24), st.integers(0, 60))
@example(1, 1, 1, 0, 0)
@example(9999, 12, 31, 23, 59)
@example(2000, 2, 29, 12, 30)
@example(1900, 2, 29, 12, 30)
@example(1994, 11, 6, 24, 0)
@example(1994, 11, 6, 0, 60)
def test_every_date_is_that_of_the_calendar(year: int, month: int, day: int, hour: int, minute: int) -> None:
    """A date is counted as Python's own calendar counts it, and one that does not exist is none."""
    from datetime import UTC, datetime

    name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1]
    text = f"Mon, {day:02} {name} {year:04} {hour:02}:{minute:02}:07 GMT"
    try:
        expected = max((datetime(year, month, day, hour, minute, 7, tzinfo=UTC)).timestamp(), 0.0)
    except ValueError:
        assert retry_after(text, 0.0) is None
    else:
        assert retry_after(text, 0.0) == min(expected, LONGEST)
