"""Floor 2. azure-core: answers by status, with Retry-After before its kin; the others by `inner_exception`.

azure-core sets no cause: the error beneath is an attribute. It files some answers under the wrong class: a bad scheme is
a ServiceResponseError, a body that stalls was a ServiceRequestError, which promises that nothing was sent.
"""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.http_status import judge_response, judge_status
from redouble.known.roots import beneath, under
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, named
from redouble.known.table import BY_CLASS, Table, base, by, client
from redouble.known.words import BY_STATUS, as_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "azure/core/exceptions.py"
_TRANSPORT = "azure/core/pipeline/transport"


def read_response_error(error: Any, known: Asking, rows: Rows) -> Classification:
    """An answer, by its status; without one (azure-identity) by what is beneath it."""
    who = named(error)
    response = probe(error, "response")
    if response is None:
        headers = probe(error, "headers")  # azure-cosmos keeps its own
        found = judge_status(probe(error, "status_code"), headers, known.wall, who=who, seconds_first=True)
    else:
        found = judge_response(response, known.wall, who=who, seconds_first=True)
    if found is not None:
        return found
    found = beneath(error, known, "inner_exception")
    return rows[""].because(who) if found is None else under(found, error, found.applied)


TABLE: Table = client(
    "azure",
    BY_CLASS(
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
    ),
)
