"""Floor 2. twisted's connections, and the requests of its web client, beneath treq as well."""

from __future__ import annotations

from redouble.core.raw import is_a, probe
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import as_wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_ERROR = "twisted/internet/error.py"
_CLIENT = "twisted/web/_newclient.py"
_TLS = "a certificate or a protocol"


def read_reasons(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a failed request by its reasons, which are Failures: one that is permanent decides, TLS's own among them."""
    reasons = probe(error, "reasons")
    for reason in reasons[:16] if is_a(reasons, list) else ():
        value = probe(reason, "value")
        if type(value).__module__ == "OpenSSL.SSL" and type(value).__name__ == "Error":
            return answer(error, rows[_TLS])
        found = known.inner(value) if is_a(value, Exception) else None
        if found is not None and found.verdict is PERMANENT:
            return as_wrapped(found, error, found.applied)
    return answer(error, rows[""])


TABLE: Table = client(
    "twisted",
    by_class(
        (TRANSIENT, SURELY_NOT, _ERROR, "no connection came about: nothing was sent", "ConnectError"),
        (
            PERMANENT,
            SURELY_NOT,
            _ERROR,
            "the address, the name or the settings",
            "UnknownHostError ServiceNameUnknownError BadFileError SSLError ConnectBindError CertificateError VerifyError",
        ),
        (PERMANENT, SURELY_NOT, _ERROR + "; policy", "no such name: more often a slip than a delay", "DNSLookupError"),
        (TRANSIENT, PERHAPS, _ERROR, "the connection is gone", "ConnectionClosed"),
        (PERMANENT, PERHAPS, _ERROR, "a program ended", "ProcessDone ProcessTerminated"),
        (PERMANENT, PERHAPS, _CLIENT, "the server does not speak HTTP", "ParseError"),
    ),
    by(read_reasons).of(
        "_WrapperException",
        (TRANSIENT, PERHAPS, _CLIENT, "the connection broke, as its reasons", ""),
        (PERMANENT, SURELY_NOT, _CLIENT, "TLS cannot come about", (_TLS,)),
    ),
)
