"""Floor 2. azure-core: answers by status, with Retry-After before its kin; the others by `inner_exception`.

azure-core sets no cause: the error beneath is an attribute. It files some failures under the wrong class: a bad scheme
is a ServiceResponseError; a body that stalls was a ServiceRequestError, which promises an unsent request.
"""

from __future__ import annotations

from redouble.core.hints import from_headers
from redouble.core.raw import is_a, probe
from redouble.known.http_status import judge_response, judge_status, now_of
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, named
from redouble.known.table import Table, base, by, by_class, client
from redouble.known.underlying import as_wrapped, beneath
from redouble.known.words import BY_STATUS, as_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "azure/core/exceptions.py"
_BUS = "azure/servicebus/exceptions.py"
_TRANSPORT = "azure/core/pipeline/transport"


def read_response_error(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read an answer by its status; without one (azure-identity) by the error beneath."""
    who = named(error)
    response = probe(error, "response")
    row = rows.get(_code(error))
    if row is not None:
        return row.because(f"{who} [{row.code}]", _hint(response, known))
    if response is None:
        headers = probe(error, "headers")  # azure-cosmos keeps its own
        found = judge_status(probe(error, "status_code"), headers, known.wall, who=who, seconds_first=True)
    else:
        found = judge_response(response, known.wall, who=who, seconds_first=True)
    if found is not None:
        return found
    found = beneath(error, known, "inner_exception")
    return rows[""].because(who) if found is None else as_wrapped(found, error, found.applied)


def _code(error: Any) -> str:
    """Return the code in the body of a storage service's answer."""
    code = probe(error, "error_code")
    code = probe(code, "_value_") or code  # some services make it an enum
    return str.__str__(code) if is_a(code, str) and code not in BY_STATUS else "no code"


def _hint(response: Any, known: Asking) -> float | None:
    headers = probe(response, "headers")
    return None if headers is None else from_headers(headers, now_of(known.wall), seconds_first=True)


TABLE: Table = client(
    "azure",
    by_class(
        (TRANSIENT, SURELY_NOT, _TRANSPORT, "no connection was made: nothing was sent", "ServiceRequestTimeoutError"),
        (
            TRANSIENT,
            PERHAPS,
            _TRANSPORT,
            "the answer was cut; the status in it is that of its begin",
            "IncompleteReadError",
        ),
        (PERMANENT, PERHAPS, _EXC, "an answer that cannot be decoded", "DecodeError DeserializationError"),
        (
            PERMANENT,
            PERHAPS,
            _EXC,
            "a mistake in the calls",
            "StreamConsumedError StreamClosedError ResponseNotReadError",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _BUS,
            "too many requests, or a session that another holds",
            "ServiceBusServerBusyError SessionCannotBeLockedError",
        ),
        (
            TRANSIENT,
            PERHAPS,
            _BUS,
            "the connection broke, or no answer came",
            "ServiceBusConnectionError ServiceBusCommunicationError OperationTimeoutError",
        ),
        (PERMANENT, PERHAPS, _BUS, "the entity, the lock, the message or the rights", "ServiceBusError"),
        (PERMANENT, SURELY_NOT, _EXC, "redirects that do not end", "TooManyRedirectsError"),
        (PERMANENT, SURELY_NOT, _EXC, "a mistake in the call: nothing was sent", "SerializationError"),
    ),
    as_beneath("inner_exception")(
        (TRANSIENT, SURELY_NOT, _TRANSPORT, "as its inner exception", "ServiceRequestError"),
        (
            TRANSIENT,
            PERHAPS,
            _TRANSPORT,
            "as its inner exception",
            "ServiceResponseError ServiceResponseTimeoutError",
        ),
    ),
    base("azure.core", as_beneath("inner_exception"))(
        (PERMANENT, PERHAPS, _EXC, "as its inner exception", "AzureError"),
    ),
    by(read_response_error).of(
        "HttpResponseError",
        (TRANSIENT, PERHAPS, "RFC 9110 15, azure/core/pipeline/policies", "and headers", BY_STATUS),
        (PERMANENT, SURELY_NOT, _EXC, "without a response: no credentials, or as its inner exception", ""),
        (
            TRANSIENT,
            SURELY_NOT,
            "Azure Storage documentation, error codes",
            "one of this name is still being deleted",
            "ContainerBeingDeleted QueueBeingDeleted TableBeingDeleted ShareBeingDeleted AccountBeingCreated",
        ),
    ),
)
