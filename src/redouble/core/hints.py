"""Floor 1. Hints: the wait that a server asked for, read out of its headers.

Pure: no clock is read here. A malformed header counts as absent, as RFC 9110 has it. A hint is always a finite number
of seconds >= 0.
"""

from __future__ import annotations

from math import isfinite

from redouble.core.checks import LONGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_TEXT = 100
"""The most characters of a header that is read: the longest form of a date has 34."""

MANY = 1000
"""The most entries of a plain dict that is searched in any case; in a larger one only the usual spellings are looked
up. Servers stop at hundreds."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BY_MONTH = {f" {name.title()} ": number for number, name in enumerate(_MONTHS, 1)}
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EPOCH = 719469  # the days up to 1 January 1970, counted as `_epoch` does


def retry_after(value: str | bytes | None, now: float | None, date: str | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; `None` when it is absent or malformed.

    Args:
        value: The header: seconds (fractions are accepted) or one of the three HTTP-date forms. Negative, malformed and
            absurdly long values count as absent; an enormous one is capped at `threading.TIMEOUT_MAX`.
        now: The wall clock, in seconds since the epoch; `None`: not known.
        date: The `Date` header of the same response. If it can be read, a date in `value` is counted from it and not
            from `now`, so that a wrong clock on this machine does no harm.

    Returns:
        Seconds >= 0 (0.0 for a date in the past), or `None`; also `None` for a date when `now` and `date` are unknown.

    Source: RFC 9110, 10.2.3 (Retry-After) and 5.6.7 (HTTP-date).

    >>> retry_after("120.5", None)
    120.5
    >>> retry_after("Sun, 06 Nov 1994 08:49:37 GMT", None, date="Sun, 06 Nov 1994 08:49:07 GMT")
    30.0
    >>> retry_after("soon", None) is None
    True
    """
    found = _number(value)
    if found is not None:
        return found
    present = _finite(now)
    sent = _http_date(date, present)
    start = present if sent is None else sent
    until = _http_date(value, start)
    if until is None or start is None:
        return None
    return min(max(until - start, 0.0), LONGEST)


_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after")


def from_headers(headers: Any, now: float | None, seconds_first: bool = False) -> float | None:
    """Return the wait that the headers of a response ask for, in seconds; `None` when they ask for none.

    `retry-after-ms` outranks `x-ms-retry-after-ms`, then `x-amz-retry-after` (milliseconds too), then `retry-after`. A
    malformed one is skipped.

    Args:
        headers: An object with a `get` like that of a mapping, or `None`. The names in a plain dict may be in any case.
            Headers that raise, or are not text, give no hint.
        now: The wall clock, in seconds since the epoch; only used for a date when the response has no `Date`.
        seconds_first: `True`: `retry-after` outranks the others, as in Azure's SDK.

    Source: RFC 9110, 10.2.3; `retry-after-ms` by the OpenAI and Anthropic SDKs; `x-ms-retry-after-ms` by azure-core
    (`get_retry_after`), `x-amz-retry-after` by botocore (`retries/standard.py`).

    >>> from_headers({"Retry-After": "60", "retry-after-ms": "250"}, None)
    0.25
    >>> from_headers({"Retry-After": "60", "retry-after-ms": "250"}, None, seconds_first=True)
    60.0
    """
    if headers is None:
        return None
    if seconds_first:
        found = _standard(headers, now)
        return _in_milliseconds(headers) if found is None else found
    found = _in_milliseconds(headers)
    return _standard(headers, now) if found is None else found


YEAR = 366 * 86400.0
"""The longest wait for a rate limit, in seconds; a larger number was a date, which many services send instead."""

LONGEST_LIMITS = 1000
"""The most characters of a `RateLimit` header that is read: it names a few limits of a few parameters."""


def from_limits(headers: Any) -> float | None:
    """Return the seconds until a used-up rate limit is lifted, by the rate limit headers; `None` without such a limit.

    `RateLimit: "default";r=0;t=30`, of the newer drafts: the longest `t` of the items with `r=0`. Else
    `RateLimit-Reset: 30`, of the older drafts, unless `RateLimit-Remaining` is above 0. Values that are malformed or
    above a year are skipped. `X-RateLimit-Reset` is not read: some services put seconds there, some a date in seconds
    or milliseconds since the epoch.

    Args:
        headers: As for `from_headers`. The headers read there outrank these, as the drafts demand of Retry-After.

    Source: draft-ietf-httpapi-ratelimit-headers (the list of items since draft 08, RateLimit-Reset up to draft 06).

    >>> from_limits({"RateLimit": '"burst";r=0;t=5, "daily";r=0;t=60, "other";r=3;t=900'})
    60.0
    >>> from_limits({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"})
    30.0
    >>> from_limits({"X-RateLimit-Reset": "1700000000"}) is None
    True
    """
    if headers is None:
        return None
    found = _used_up(header(headers, "ratelimit"))
    if found is None and _number(header(headers, "ratelimit-remaining")) in (None, 0.0):
        found = _within_a_year(_number(header(headers, "ratelimit-reset")))
    return found


def _used_up(value: Any) -> float | None:
    text = text_of(value, LONGEST_LIMITS)
    if text is None or "\\" in text:
        return None
    outside = "".join(text.split('"')[::2])  # a name may hold commas and semicolons
    waits = (_wait_of(item) for item in outside.split(","))
    return max((wait for wait in waits if wait is not None), default=None)


def _wait_of(item: str) -> float | None:
    """Return the `t` of an item with `r=0`; `None` for any other item."""
    pairs = (each.partition("=") for each in item.split(";")[1:])
    given = {key.strip(): value.strip() for key, _, value in pairs}
    return _within_a_year(_number(given.get("t"))) if _number(given.get("r")) == 0 else None


def _within_a_year(wait: float | None) -> float | None:
    return wait if wait is not None and wait <= YEAR else None


def _standard(headers: Any, now: float | None) -> float | None:
    value = header(headers, "retry-after")
    return None if value is None else retry_after(value, now, header(headers, "date"))


def _in_milliseconds(headers: Any) -> float | None:
    for name in _MILLISECONDS:
        value = header(headers, name)
        found = None if value is None else _number(value)
        if found is not None:
            return found / 1000
    return None


class Picked(dict[str, object]):
    """The headers that redouble reads, by lower-case name: looked up once, because each look-up in a client is slow."""

    __slots__ = ()


WANTED = frozenset((*_MILLISECONDS, "retry-after", "date", "x-should-retry", "stripe-should-retry"))
LIMITS = frozenset(("ratelimit", "ratelimit-remaining", "ratelimit-reset"))
"""The headers that `from_limits` reads: apart from the others, because few responses need them."""


_ANY_CASE = frozenset(("requests", "urllib3", "multidict", "http", "email", "elastic_transport", "azure"))
"""The packages with header mappings that take a name in any case."""


def picked(headers: Any, wanted: frozenset[str] = WANTED) -> Any:
    """Return the wanted headers, looked up at once where the client is known; else `headers` unchanged.

    Several headers are read, most are absent, and looking up an absent one is slow: httpx goes through all its headers,
    other clients raise and catch.
    """
    kind = type(headers)
    try:
        if kind is dict:
            found = [(key.lower(), value) for key, value in _some(headers) if type(key) is str]
        elif kind.__module__.startswith("httpx"):
            found = [(key.lower().decode("latin-1"), value) for key, value in headers.raw[:MANY]]
        elif kind.__module__.partition(".")[0] in _ANY_CASE:
            found = [(name, headers.get(name)) for name in wanted]
        else:
            return headers
        # Backwards, so that the first header of a name stays.
        return Picked(pair for pair in reversed(found) if pair[0] in wanted and pair[1] is not None)
    except Exception:  # not that client's headers after all
        return headers


def _some(headers: dict[Any, Any]) -> Any:
    return headers.items() if len(headers) <= MANY else ()


def header(headers: Any, name: str) -> Any:
    """Return one header by its lower-case name, from any client's mapping; `None` when it is absent."""
    if type(headers) is Picked:
        return headers.get(name)
    for spelling in (name, name.title()):
        try:
            value = headers.get(spelling)
        except Exception:  # not a mapping, or one that raises: a hint is never worth an error
            continue
        if value is not None:
            return value
    if type(headers) is dict:
        for key, value in _some(headers):
            if type(key) is str and key.lower() == name:
                return value
    return None


def text_of(value: Any, longest: int = LONGEST_TEXT) -> str | None:
    """Return the text of a header's value without surrounding blanks; `None` if it is no text, or too long."""
    kind = type(value)  # not isinstance, which believes the `__class__` of a mock
    if issubclass(kind, bytes):
        text = bytes.decode(value, "latin-1")
    elif issubclass(kind, str):
        text = str.__str__(value)  # the text itself, even of a subclass with a `__str__` of its own
    else:
        return None
    return text.strip() if len(text) <= longest else None


def _finite(value: Any) -> float | None:
    """Return a number as a finite float; `None` for any other value, bools and NaN included."""
    if type(value) is int and abs(value) < 10**300:
        return float(value)
    return value if type(value) is float and isfinite(value) else None


def _number(value: Any) -> float | None:
    """Return digits with at most one dot as a capped number; `float` alone would accept `inf`, `1e9` and `1_0`."""
    number = _finite(value)
    if number is None:
        text = text_of(value)
        if text is None or not text.isascii() or not text.replace(".", "", 1).isdigit():
            return None
        number = float(text)
    return min(number, LONGEST) if number >= 0 else None


def _http_date(value: Any, now: float | None) -> float | None:
    """Return the seconds since the epoch for any of the three forms; `now` decides the century of a two-digit year."""
    text = text_of(value)
    if text is not None and len(text) == 29 and text.endswith(" GMT"):
        fixed = _fixed_date(text)
        if fixed is not None:
            return fixed
    words = [] if text is None else text.replace(",", " ").split()
    if len(words) == 4:  # RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
        words[1:2] = words[1].split("-")
        return _stamp(words, now) if now is not None else None
    if len(words) == 5:  # asctime: Sun Nov  6 08:49:37 1994
        name, month, day, clock, year = words
        words = [name, day, month, year, clock, "GMT"]
    return _stamp(words, None)


def _fixed_date(text: str) -> float | None:
    """Return the seconds since the epoch of an IMF-fixdate, the most common form; `None` for other forms."""
    digits = text[5:7] + text[12:16] + text[17:19] + text[20:22] + text[23:25]
    month = _BY_MONTH.get(text[7:12])
    if month is None or text[3:5] != ", " or text[16:23:3] != " ::" or not (digits.isascii() and digits.isdigit()):
        return None
    day, year, hour, minute = int(digits[:2]), int(digits[2:6]), int(digits[6:8]), int(digits[8:10])
    return _epoch(year, month, day, hour, minute, int(digits[10:]))


def _stamp(words: list[str], century_of: float | None) -> float | None:
    """Return the seconds since the epoch of words in the order of an IMF-fixdate: `Sun 06 Nov 1994 08:49:37 GMT`."""
    if len(words) != 6 or words[5].upper() not in ("GMT", "UTC") or words[2].lower() not in _MONTHS:
        return None
    digits = [words[3], words[1], *words[4].split(":")]
    if len(digits) != 5 or not all(word.isascii() and word.isdigit() and len(word) <= 4 for word in digits):
        return None
    year, day, hour, minute, second = map(int, digits)
    month = _MONTHS.index(words[2].lower()) + 1
    if century_of is not None:
        year = _full_year(year % 100, (month, day, hour, minute, second), century_of)
    return _epoch(year, month, day, hour, minute, second)


def _full_year(year: int, rest: tuple[int, ...], now: float) -> int:
    """Return the latest year with these two digits that is at most 50 years ahead (RFC 9110, 5.6.7)."""
    present, *since = _calendar(min(max(now, 0.0), 2e11))  # at most the year 8307: `_epoch` supports up to 9999
    latest = present + 50
    full = latest - (latest - year) % 100
    return full - 100 if full == latest and rest > tuple(since) else full


def _calendar(now: float) -> tuple[int, int, int, int, int, int]:
    """Return year, month, day, hour, minute and second of a moment >= 0: the reverse of `_epoch`.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    days, seconds = divmod(int(now), 86400)
    eras, day = divmod(days + _EPOCH - 1, 146097)  # an era has 400 years
    years = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * years + years // 4 - years // 100
    months = (5 * day + 2) // 153
    month = months + 3 if months < 10 else months - 9
    year = 400 * eras + years + (month < 3)
    return year, month, day - (153 * months + 2) // 5 + 1, seconds // 3600, seconds // 60 % 60, seconds % 60


def _epoch(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    """Return the seconds since the epoch by the Gregorian calendar; days are counted in years that begin in March."""
    if hour > 23 or minute > 59 or second > 60 or not 1 <= year <= 9999:  # 60: a leap second
        return None
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _LENGTHS[month - 1] + leap:
        return None
    since = year - (month < 3)
    days = 365 * since + since // 4 - since // 100 + since // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day
    return float((days - _EPOCH) * 86400 + hour * 3600 + minute * 60 + second)
