"""Floor 2. libcurl: pycurl and curl_cffi, by libcurl's code; curl_cffi's HTTPError by its response."""

from __future__ import annotations

from redouble.core.raw import at, probe, whole
from redouble.known.error_text import any_in, firm_text, said
from redouble.known.http_status import row_of
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.tables.urllib3 import status_in
from redouble.known.words import BY_STATUS, answer_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_CURL = "libcurl-errors(3)"
_FIRM = "35 wrong version number"
_UNSENT = "28 Connection timed out"
_STATUS = "22 by status"


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error by its code, and by libcurl's text where a code stands for several conditions."""
    code, text = _code(error), said(error)
    status = status_in(text.partition("returned error: ")[2], "") if code == 22 else None
    if status is not None:
        return row_of(status).because(f"{named(error)} {status}")
    if code == 35 and (firm_text(text) or "wrong version number" in text):
        return answer(error, rows[_FIRM])
    if code == 28 and any_in(text, "Connection timed out", "Resolving timed out", "onnection timeout"):
        return answer(error, rows[_UNSENT])
    return answer(error, rows.get(str(code)) or rows["other"])


def _code(error: Any) -> int | None:
    code = whole(probe(error, "code"))
    return whole(at(error, ("args", 0))) if code is None else code


_CODES = (
    (TRANSIENT, SURELY_NOT, _CURL, "nothing listens (yet), or no way through the proxy", "5 7"),
    (TRANSIENT, PERHAPS, _CURL, "the connection broke, or the answer was cut", "16 18 52 55 56 92 95"),
    (TRANSIENT, PERHAPS, _CURL, "timed out", "28"),
    (TRANSIENT, SURELY_NOT, _CURL, "timed out before a connection came about", (_UNSENT,)),
    (TRANSIENT, SURELY_NOT, _CURL, "the handshake of TLS broke", "35"),
    (PERMANENT, SURELY_NOT, _CURL, "no common protocol: the port does not speak TLS, or a certificate", (_FIRM,)),
    (TRANSIENT, PERHAPS, "RFC 9110 15", "as the status in its text", (_STATUS,)),
    (PERMANENT, SURELY_NOT, _CURL + "; policy", "no such name", "6"),
    (PERMANENT, SURELY_NOT, _CURL, "a certificate that was refused", "60"),
    (PERMANENT, PERHAPS, _CURL, "the URL, the settings, or an answer that cannot be read", "other"),
)

TABLE: Table = client("pycurl", by(read).of("error", *_CODES)) + client(
    "curl_cffi",
    by(read).of("CurlError IncompleteRead", *_CODES),
    answer_at("response").of("HTTPError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", BY_STATUS)),
    by_class(
        (
            PERMANENT,
            PERHAPS,
            "curl_cffi/requests/exceptions.py",
            "an answer that cannot be decoded",
            "InvalidJSONError",
        ),
    ),
)
