"""Floor 2. elasticsearch and its elastic-transport, opensearch-py: by status, connections by the error beneath.

elasticsearch 8 and later keep the status and the headers of an answer in `meta`; elasticsearch 7, and opensearch-py, which
comes of it, keep the status alone, and the error beneath as the third argument.
"""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import BY_STATUS, as_beneath, status_at

_EXC = "elastic_transport/_exceptions.py"
_NODES = "elastic_transport/_node"
_HELPERS = "elasticsearch/helpers"
_CONNECTION = "opensearchpy/connection/http_urllib3.py"
_ANSWER = status_at("meta.status", headers="meta.headers").of(
    "ApiError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by the status and the headers of `meta`", BY_STATUS)
)

_SEVEN = (
    as_beneath("info")(
        (TRANSIENT, PERHAPS, _CONNECTION, "as the error beneath it", "ConnectionError ConnectionTimeout"),
        (PERMANENT, SURELY_NOT, _CONNECTION, "as the error beneath it; else as a certificate", "SSLError"),
    ),
    status_at("status_code", "args.0").of(
        "TransportError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status", BY_STATUS)
    ),
    by_class(
        (
            PERMANENT,
            PERHAPS,
            _HELPERS + "; policy",
            "a part was done: repeat the items in its `errors`",
            "BulkIndexError",
        ),
        (PERMANENT, PERHAPS, _HELPERS, "the scroll is gone, or has holes", "ScanError"),
        (PERMANENT, SURELY_NOT, "opensearchpy/exceptions.py", "a mistake in the settings", "ImproperlyConfigured"),
        (
            PERMANENT,
            PERHAPS,
            "opensearchpy/exceptions.py",
            "a body that cannot be read or written",
            "SerializationError",
        ),
    ),
)

TABLE: Table = (
    client(
        "elastic_transport",
        by_class(
            (TRANSIENT, SURELY_NOT, _EXC, "no node was found (yet)", "SniffingError"),
            (PERMANENT, PERHAPS, _EXC, "a body that cannot be read or written", "SerializationError"),
        ),
        # Their `errors` come last: after retries the transport fills it with the errors of earlier attempts.
        as_beneath()(
            (TRANSIENT, PERHAPS, _NODES, "as the error beneath it", "ConnectionError ConnectionTimeout"),
            (PERMANENT, SURELY_NOT, _NODES, "as the error beneath it; else as a certificate", "TlsError"),
        ),
        _ANSWER,
    )
    + client(
        "elasticsearch",
        by_class(
            (PERMANENT, PERHAPS, "elasticsearch/exceptions.py", "not Elasticsearch", "UnsupportedProductError"),
        ),
        *_SEVEN,
        _ANSWER,
    )
    + client("opensearchpy", *_SEVEN)
)
