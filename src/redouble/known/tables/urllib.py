"""Floor 2. urllib: HTTPError by status and headers, URLError by the reason that it carries."""

from __future__ import annotations

import io

from redouble.core.raw import is_a, probe
from redouble.known.http_status import judge_status
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import as_wrapped
from redouble.known.words import BY_STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_DOCS = "urllib.error documentation"


def read_http_error(error: Any, known: Asking, _: Rows) -> Classification | None:
    """Read an answer of 300 or more. Its body is a stream: read only where it is in memory, and never consumed."""
    status = probe(error, "code")
    return judge_status(status, probe(error, "headers"), known.wall, who=named(error), body=_loaded(error))


def _loaded(error: Any) -> bytes | None:
    body = probe(error, "fp")
    if not is_a(body, io.BytesIO):
        return None
    try:
        return io.BytesIO.getvalue(body)
    except Exception:  # closed
        return None


def read_url_error(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read an error raised while connecting or sending, never while reading the answer.

    So a timeout and a broken handshake come before the request was complete; a reset may still follow a body that was
    sent in part.
    """
    reason = probe(error, "reason")
    found = known.inner(reason) if is_a(reason, Exception) else None
    if found is None:
        return rows[""].because(named(error))
    return as_wrapped(
        found, error, found.applied and not is_a(reason, TimeoutError) and type(reason).__module__ != "ssl"
    )


TABLE: Table = client(
    "urllib",
    by(read_http_error).of("HTTPError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", BY_STATUS)),
    by(read_url_error).of(
        "URLError",
        (TRANSIENT, PERHAPS, "urllib.request, do_open", "as the error it carries", ("by reason",)),
        (PERMANENT, SURELY_NOT, _DOCS, "with a text for a reason: a bad URL", ""),
    ),
    by_class((TRANSIENT, PERHAPS, _DOCS, "the download was cut", "ContentTooShortError")),
)
