"""Floor 2. azure-core: answers by status, with Retry-After before its kin; the others by `inner_exception`.

azure-core sets no cause: the error beneath is an attribute. It files some answers under the wrong class: a bad scheme is
a ServiceResponseError, a body that stalls was a ServiceRequestError, which promises that nothing was sent.
"""

from __future__ import annotations

from redouble.core.verdict import Classification
from redouble.known.http_status import judge_response, judge_status
from redouble.known.roots import beneath, under, wrappers
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, named, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_EXC = "azure/core/exceptions.py"
_TRANSPORT = "azure/core/pipeline/transport"


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("azure", name, "", verdict, applied, source, note) for name in names.split())


_PLAIN = (
    *_rows(TRANSIENT, False, _TRANSPORT, "no connection was made: nothing was sent", "ServiceRequestTimeoutError"),
    *_rows(
        TRANSIENT, True, _TRANSPORT, "the answer was cut; the status in it is that of its begin", "IncompleteReadError"
    ),
    *_rows(PERMANENT, True, _EXC, "an answer that cannot be decoded", "DecodeError DeserializationError"),
    *_rows(
        PERMANENT, True, _EXC, "a mistake in the calls", "StreamConsumedError StreamClosedError ResponseNotReadError"
    ),
    *_rows(PERMANENT, False, _EXC, "redirects that do not end", "TooManyRedirectsError"),
    *_rows(PERMANENT, False, _EXC, "a mistake in the call: nothing was sent", "SerializationError"),
)
_WRAPPERS = (
    *_rows(TRANSIENT, False, _TRANSPORT, "as its inner exception", "ServiceRequestError"),
    *_rows(TRANSIENT, True, _TRANSPORT, "as its inner exception", "ServiceResponseError ServiceResponseTimeoutError"),
    *_rows(PERMANENT, True, _EXC, "as its inner exception", "AzureError"),
)
_STATUS = Row(
    "azure",
    "HttpResponseError",
    "by status",
    TRANSIENT,
    True,
    "RFC 9110 15, azure/core/pipeline/policies",
    "and headers",
)
_NO_ANSWER = Row(
    "azure",
    "HttpResponseError",
    "",
    PERMANENT,
    False,
    _EXC,
    "without a response: no credentials, or as its inner exception",
)
ROWS: tuple[Row, ...] = (*_PLAIN, *_WRAPPERS, _STATUS, _NO_ANSWER)


def read_response_error(error: Any, known: Asking) -> Classification:
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
    return _NO_ANSWER.because(who) if found is None else under(found, error, found.applied)


TABLE: Table = {
    **by_class(_PLAIN),
    **wrappers(_WRAPPERS, "inner_exception", as_inner=True),
    ("azure", "HttpResponseError"): read_response_error,
}
