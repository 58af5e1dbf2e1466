"""Floor 2. requests, and niquests, its fork: HTTPError by its response, the others by class and urllib3 error.

requests raises without `from`: the urllib3 error is the first argument, and the context. Most of these classes are
OSErrors without an errno, a JSONDecodeError included.
"""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import BY_STATUS, answer_at, as_beneath, handshake

_EXC = "requests/exceptions.py"
_SEND = "requests/adapters.py, HTTPAdapter.send"

TABLE: Table = client(
    "requests niquests",
    by_class(
        (TRANSIENT, SURELY_NOT, _EXC, "safe to retry, as its documentation says", "ConnectTimeout"),
        (TRANSIENT, PERHAPS, _EXC, "the server may have done it", "Timeout"),
        (TRANSIENT, PERHAPS, _EXC, "the answer was cut", "ChunkedEncodingError"),
        (PERMANENT, PERHAPS, _EXC, "an answer that cannot be decoded", "ContentDecodingError JSONDecodeError"),
        (PERMANENT, PERHAPS, _EXC, "a mistake in the calls, after the answer", "StreamConsumedError"),
        (PERMANENT, SURELY_NOT, _EXC, "redirects that do not end", "TooManyRedirects"),
        (
            PERMANENT,
            SURELY_NOT,
            _EXC,
            "a mistake in the call: nothing was sent",
            "URLRequired MissingSchema InvalidSchema InvalidURL InvalidHeader InvalidJSONError UnrewindableBodyError",
        ),
    ),
    handshake((TRANSIENT, PERHAPS, _EXC, "the server may have done it", "ReadTimeout")),
    as_beneath()(
        (TRANSIENT, PERHAPS, _SEND, "as the urllib3 error that it wraps", "ConnectionError"),
        (TRANSIENT, SURELY_NOT, _SEND, "its retries ended: too many answers of a status", "RetryError"),
        (TRANSIENT, SURELY_NOT, _SEND, "as the urllib3 error that it wraps: no way through the proxy", "ProxyError"),
        (PERMANENT, SURELY_NOT, _SEND, "as the urllib3 error that it wraps; else as a certificate", "SSLError"),
    ),
    answer_at("response").of("HTTPError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", BY_STATUS)),
)
