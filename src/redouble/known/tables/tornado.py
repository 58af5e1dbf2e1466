"""Floor 2. tornado's HTTP client and its streams; not the HTTPError of its server, with which a program answers."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import BY_STATUS, as_carried, status_at, text

_CLIENT = "tornado.httpclient documentation"
_SIMPLE = "tornado/simple_httpclient.py"

TABLE: Table = client(
    "tornado",
    status_at("code", headers="response.headers").of(
        "HTTPClientError", (TRANSIENT, PERHAPS, _CLIENT, "by its status and headers; 599: no answer", BY_STATUS)
    ),
    text({"connecting": ("while connecting", "in connection", "in request queue")}, anywhere=True).of(
        "HTTPTimeoutError",
        (TRANSIENT, SURELY_NOT, _SIMPLE, "nothing was sent", "connecting"),
        (TRANSIENT, PERHAPS, _SIMPLE, "the server may have done it", ""),
    ),
    by_class(
        (TRANSIENT, PERHAPS, _SIMPLE, "the connection broke", "HTTPStreamClosedError"),
        (PERMANENT, PERHAPS, "tornado/iostream.py", "more came than was allowed for", "UnsatisfiableReadError"),
    ),
    as_carried("real_error")((TRANSIENT, PERHAPS, "tornado/iostream.py", "as its real error", "StreamClosedError")),
)
