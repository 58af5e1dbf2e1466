"""Floor 2. Trino and Presto: a query by the name of its error, an answer by the status with which its text begins."""

from __future__ import annotations

from redouble.known.error_text import first_text
from redouble.known.http_status import row_of
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.tables.urllib3 import status_in
from redouble.known.words import BY_STATUS, as_beneath, code_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "trino/exceptions.py"
_CODES = "trinodb/trino, StandardErrorCode.java"


def read_http_error(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an answer by its text, where alone the client keeps the status: `error 503: service unavailable`."""
    text = first_text(error)
    status = status_in(text.replace(":", " ", 1), "error ")
    return answer(error, rows[""]) if status is None else row_of(status).because(f"{named(error)} {status}")


_QUERY = (
    (TRANSIENT, SURELY_NOT, _CODES, "starting, or too much to do", "SERVER_STARTING_UP QUERY_QUEUE_FULL"),
    (TRANSIENT, SURELY_NOT, _CODES, "no worker for now", "NO_NODES_AVAILABLE CLUSTER_OUT_OF_MEMORY"),
    (TRANSIENT, PERHAPS, _CODES, "shutting down", "SERVER_SHUTTING_DOWN"),
    (
        TRANSIENT,
        PERHAPS,
        _CODES,
        "a worker was lost, or did not answer",
        "REMOTE_HOST_GONE REMOTE_TASK_ERROR REMOTE_TASK_MISMATCH PAGE_TRANSPORT_ERROR PAGE_TRANSPORT_TIMEOUT"
        " TOO_MANY_REQUESTS_FAILED ABANDONED_TASK",
    ),
    (PERMANENT, PERHAPS, _CODES, "the query, the rights, a limit, or the data behind it", "other"),
)

_ALL = (
    as_beneath()((TRANSIENT, PERHAPS, _EXC, "as the requests error beneath it", "TrinoConnectionError")),
    code_at("error_name").of("TrinoQueryError PrestoQueryError", *_QUERY),
    by(read_http_error).of(
        "HttpError",
        (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status", BY_STATUS),
        (PERMANENT, PERHAPS, _EXC, "without a status", ""),
    ),
    by_class((PERMANENT, SURELY_NOT, _EXC, "no access", "TrinoAuthError")),
)

TABLE: Table = client("trino prestodb", *_ALL)
