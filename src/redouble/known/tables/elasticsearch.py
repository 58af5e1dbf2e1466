"""Floor 2. elasticsearch and its elastic-transport: answers by the status in `meta`, connections by what lies beneath."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import BY_CLASS, Table, client
from redouble.known.words import BY_STATUS, as_beneath, status_at

_EXC = "elastic_transport/_exceptions.py"
_NODES = "elastic_transport/_node"
_HELPERS = "elasticsearch/helpers"
_ANSWER = status_at("meta.status", headers="meta.headers").of(
    "ApiError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by the status and the headers of `meta`", BY_STATUS)
)

TABLE: Table = client(
    "elastic_transport",
    BY_CLASS(
        (TRANSIENT, SURELY_NOT, _EXC, "no node was found (yet)", "SniffingError"),
        (PERMANENT, PERHAPS, _EXC, "a body that cannot be read or written", "SerializationError"),
    ),
    # Their `errors` come last: after retries the transport fills it with those of earlier attempts.
    as_beneath()(
        (TRANSIENT, PERHAPS, _NODES, "as the error beneath it", "ConnectionError ConnectionTimeout"),
        (PERMANENT, SURELY_NOT, _NODES, "as the error beneath it; else as a certificate", "TlsError"),
    ),
    _ANSWER,
) + client(
    "elasticsearch",
    BY_CLASS(
        (PERMANENT, PERHAPS, "elasticsearch/exceptions.py", "not Elasticsearch", "UnsupportedProductError"),
        (
            PERMANENT,
            PERHAPS,
            _HELPERS + "; policy",
            "a part was done: repeat what its `errors` names",
            "BulkIndexError",
        ),
        (PERMANENT, PERHAPS, _HELPERS, "the scroll is gone, or has holes", "ScanError"),
    ),
    _ANSWER,
)
