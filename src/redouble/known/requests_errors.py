"""Floor 2. requests: HTTPError by its response, the others by class and by the urllib3 error that they wrap.

requests raises without `from`: the urllib3 error is the first argument, and the context. Most of these classes are
OSErrors without an errno, a JSONDecodeError included.
"""

from __future__ import annotations

from redouble.known.http_status import judge_response
from redouble.known.roots import wrappers
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, named, probe
from redouble.known.tls import telling_handshakes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_EXC = "requests/exceptions.py"
_SEND = "requests/adapters.py, HTTPAdapter.send"


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("requests", name, "", verdict, applied, source, note) for name in names.split())


_PLAIN = (
    *_rows(TRANSIENT, False, _EXC, "safe to retry, as its documentation says", "ConnectTimeout"),
    *_rows(TRANSIENT, True, _EXC, "the server may have done it", "ReadTimeout Timeout"),
    *_rows(TRANSIENT, True, _EXC, "the answer was cut", "ChunkedEncodingError"),
    *_rows(PERMANENT, True, _EXC, "an answer that cannot be decoded", "ContentDecodingError JSONDecodeError"),
    *_rows(PERMANENT, True, _EXC, "a mistake in the calls, after the answer", "StreamConsumedError"),
    *_rows(PERMANENT, False, _EXC, "redirects that do not end", "TooManyRedirects"),
    *_rows(
        PERMANENT,
        False,
        _EXC,
        "a mistake in the call: nothing was sent",
        "URLRequired MissingSchema InvalidSchema InvalidURL InvalidHeader InvalidJSONError UnrewindableBodyError",
    ),
)
_PHASELESS = (
    *_rows(TRANSIENT, True, _SEND, "as the urllib3 error that it wraps", "ConnectionError"),
    *_rows(TRANSIENT, False, _SEND, "as what its retries ended with: too many answers of a status", "RetryError"),
)
_CONNECTING = (
    *_rows(TRANSIENT, False, _SEND, "as the urllib3 error that it wraps: no way through the proxy", "ProxyError"),
    *_rows(PERMANENT, False, _SEND, "as the urllib3 error that it wraps; else as a certificate", "SSLError"),
)
_STATUS = Row("requests", "HTTPError", "by status", TRANSIENT, True, "RFC 9110 15", "by its status and headers")
ROWS: tuple[Row, ...] = (*_PLAIN, *_PHASELESS, *_CONNECTING, _STATUS)


def read_http_error(error: Any, known: Asking) -> Classification | None:
    """An answer of 400 or more, that `raise_for_status` did not like; without a response it says nothing."""
    return judge_response(probe(error, "response"), known.wall, who=named(error))


TABLE: Table = {
    **by_class(_PLAIN),
    **telling_handshakes(by_class(_PLAIN), ("requests", "ReadTimeout")),
    **wrappers(_PHASELESS, as_inner=True),
    **wrappers(_CONNECTING, as_inner=True),
    ("requests", "HTTPError"): read_http_error,
}
