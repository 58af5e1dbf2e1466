"""Floor 2. Cassandra: the driver's classes, one for each error of the protocol."""

from __future__ import annotations

from redouble.core.raw import is_a, probe
from redouble.known.error_text import said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import as_wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_PROTOCOL = "Cassandra native protocol, error codes"
_DRIVER = "cassandra-driver documentation"
_CONNECTING = "Unable to connect to any servers"


def read_nobody(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a failure of all hosts, to connect or to execute: one permanent refusal decides."""
    errors = probe(error, "errors")
    for each in list(dict.values(errors))[:16] if is_a(errors, dict) else ():
        found = known.inner(each) if is_a(each, Exception) else None
        if found is not None and found.verdict is PERMANENT:
            return as_wrapped(found, error, found.applied)
    return answer(error, rows[_CONNECTING if said(error).startswith(_CONNECTING) else ""])


TABLE: Table = client(
    "cassandra",
    by(read_nobody).of(
        "NoHostAvailable",
        (TRANSIENT, SURELY_NOT, _DRIVER, "no connection came about", (_CONNECTING,)),
        (TRANSIENT, PERHAPS, _DRIVER, "no host did it, as far as is known", ""),
    ),
    by_class(
        (TRANSIENT, PERHAPS, _PROTOCOL, "some replicas may have written it", "WriteTimeout WriteTimeoutErrorMessage"),
        (TRANSIENT, SURELY_NOT, _PROTOCOL, "a read, of which nothing remains", "ReadTimeout ReadTimeoutErrorMessage"),
        (TRANSIENT, PERHAPS, _DRIVER, "the coordinator may have done it", "OperationTimedOut Timeout"),
        (
            TRANSIENT,
            SURELY_NOT,
            _PROTOCOL,
            "too few replicas are up, or the coordinator is busy or just starting",
            "Unavailable UnavailableErrorMessage OverloadedErrorMessage IsBootstrappingErrorMessage RateLimitReached",
        ),
        (TRANSIENT, PERHAPS, _DRIVER, "the connection is gone", "ConnectionException ConnectionShutdown"),
        (
            TRANSIENT,
            SURELY_NOT,
            _DRIVER,
            "no connection of its own pool was free",
            "NoConnectionsAvailable ConnectionBusy",
        ),
        (PERMANENT, SURELY_NOT, _DRIVER + "; policy", "no such name", "UnresolvableContactPoints"),
        (PERMANENT, SURELY_NOT, _DRIVER, "a version of the protocol", "ProtocolVersionUnsupported"),
        (PERMANENT, PERHAPS, _PROTOCOL, "some replicas failed", "CoordinationFailure CDCWriteFailure FunctionFailure"),
        (
            PERMANENT,
            PERHAPS,
            _PROTOCOL,
            "the server, or the protocol, failed",
            "ErrorMessage RequestExecutionException",
        ),
        (PERMANENT, SURELY_NOT, _PROTOCOL, "the statement, the rights or the schema", "RequestValidationException"),
        (PERMANENT, SURELY_NOT, _DRIVER, "misuse, or no rights", "DriverException AuthenticationFailed"),
    ),
)
