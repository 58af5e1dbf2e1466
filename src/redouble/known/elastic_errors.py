"""Floor 2. elasticsearch and its elastic-transport: answers by the status in `meta`, connections by what lies beneath."""

from __future__ import annotations

from redouble.known.http_status import judge_status
from redouble.known.roots import wrappers
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, named, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_EXC = "elastic_transport/_exceptions.py"
_NODES = "elastic_transport/_node"


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("elastic_transport", name, "", verdict, applied, source, note) for name in names.split())


_PLAIN = (
    *_rows(TRANSIENT, False, _EXC, "no node was found (yet)", "SniffingError"),
    *_rows(PERMANENT, True, _EXC, "a body that cannot be read or written", "SerializationError"),
    Row(
        "elasticsearch",
        "UnsupportedProductError",
        "",
        PERMANENT,
        True,
        "elasticsearch/exceptions.py",
        "not Elasticsearch",
    ),
    Row(
        "elasticsearch",
        "BulkIndexError",
        "",
        PERMANENT,
        True,
        "elasticsearch/helpers; policy",
        "a part was done: repeat what its `errors` names",
    ),
    Row("elasticsearch", "ScanError", "", PERMANENT, True, "elasticsearch/helpers", "the scroll is gone, or has holes"),
)
_WRAPPERS = (
    *_rows(TRANSIENT, True, _NODES, "as the error beneath it", "ConnectionError ConnectionTimeout"),
    *_rows(PERMANENT, False, _NODES, "as the error beneath it; else as a certificate", "TlsError"),
)
_STATUS = tuple(
    Row(package, "ApiError", "by status", TRANSIENT, True, "RFC 9110 15", "by the status and the headers of `meta`")
    for package in ("elastic_transport", "elasticsearch")
)
ROWS: tuple[Row, ...] = (*_PLAIN, *_WRAPPERS, *_STATUS)


def read_api_error(error: Any, known: Asking) -> Classification | None:
    """An answer of 300 or more: elasticsearch's classes add only a `status_code`."""
    meta = probe(error, "meta")
    return judge_status(probe(meta, "status"), probe(meta, "headers"), known.wall, who=named(error))


TABLE: Table = {
    **by_class(_PLAIN),
    # Their `errors` come last: after retries the transport fills it with those of earlier attempts.
    **wrappers(_WRAPPERS, as_inner=True),
    **{(row.package, row.name): read_api_error for row in _STATUS},
}
