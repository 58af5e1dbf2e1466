"""Floor 2. urllib: HTTPError by status and headers, URLError by the reason that it carries."""

from __future__ import annotations

import io

from redouble.core.verdict import Classification
from redouble.known.http_status import judge_status
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, is_a, named, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_CUT = Row("urllib", "ContentTooShortError", "", TRANSIENT, True, "urllib.error documentation", "the download was cut")
_NO_REASON = Row(
    "urllib", "URLError", "", PERMANENT, False, "urllib.error documentation", "with a text for a reason: a bad URL"
)
ROWS: tuple[Row, ...] = (
    Row("urllib", "HTTPError", "by status", TRANSIENT, True, "RFC 9110 15", "by its status and headers"),
    Row("urllib", "URLError", "by reason", TRANSIENT, True, "urllib.request, do_open", "as the error it carries"),
    _NO_REASON,
    _CUT,
)


def read_http_error(error: Any, known: Asking) -> Classification | None:
    """An answer of 300 or more. Its body is a stream: looked at only where it lies in memory, and never consumed."""
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


def read_url_error(error: Any, known: Asking) -> Classification:
    """Raised while connecting and sending, never while the answer is read.

    So a timeout and a broken handshake come before the request was complete; a reset may still follow a body that was
    sent in part.
    """
    reason = probe(error, "reason")
    found = known.inner(reason) if is_a(reason, Exception) else None
    if found is None:
        return _NO_REASON.because(named(error))
    applied = found.applied and not is_a(reason, TimeoutError) and type(reason).__module__ != "ssl"
    why = f"{found.reason} under {named(error)}"
    return Classification(found.verdict, found.retry_after, applied, found.backoff, why)


TABLE: Table = {
    **by_class((_CUT,)),
    ("urllib", "HTTPError"): read_http_error,
    ("urllib", "URLError"): read_url_error,
}
