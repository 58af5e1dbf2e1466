"""Floor 2. slack_sdk: by the error code in the answer, which Slack sends with a 200; else by status."""

from __future__ import annotations

from redouble.core.raw import at, is_a
from redouble.known.error_text import clipped
from redouble.known.http_status import judge_response
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, named
from redouble.known.table import Table, by, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_API = "Slack Web API documentation, errors"


def read(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an answer of Slack; its data are a dict, or bytes where the answer is not JSON."""
    word = at(error, ("response", "data", "error"))
    row = rows.get(clipped(word)) if is_a(word, str) else None
    if row is not None:
        return answer(error, row)
    found = judge_response(at(error, ("response",)), known.wall, who=named(error))
    return answer(error, rows["other"]) if found is None else found


TABLE: Table = client(
    "slack_sdk",
    by(read).of(
        "SlackApiError",
        (TRANSIENT, SURELY_NOT, _API, "too many requests", "ratelimited rate_limited"),
        (TRANSIENT, PERHAPS, _API, "the request did not arrive whole, or in time", "request_timeout"),
        (TRANSIENT, PERHAPS, _API, "the server failed, perhaps after it did it", "internal_error fatal_error"),
        (TRANSIENT, PERHAPS, _API, "a part of Slack is down", "service_unavailable team_added_to_org"),
        (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", ("by status",)),
        (PERMANENT, SURELY_NOT, _API, "the arguments, the token or the channel", "other"),
    ),
)
