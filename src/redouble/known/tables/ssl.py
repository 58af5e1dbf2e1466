"""Floor 2. TLS: the SSLError family, by class and reason; never by `errno`, which holds an SSL_ERROR_* number."""

from __future__ import annotations

from redouble.core.raw import probe, whole
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, named, shown_code
from redouble.known.table import Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_DOCS = "ssl module documentation"


def read_certificate(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a refused certificate: another attempt meets the same one."""
    code = whole(probe(error, "verify_code"))
    return rows[""].because(named(error) + ("" if code is None else f" [verify_code {code}]"))


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an SSLError of no special class by OpenSSL's reason."""
    reason = _reason(error)
    return (rows.get(reason or "") or rows[""]).because(named(error) + shown_code(reason))


def _reason(error: Any) -> str | None:
    """Return OpenSSL's reason; from the text `[SSL: REASON] ...` where the attribute is missing."""
    reason = probe(error, "reason")
    if type(reason) is str:
        return reason
    args = probe(error, "args")
    text = args[1] if type(args) is tuple and len(args) > 1 else None
    if type(text) is str and text.startswith("[SSL: "):
        return text[6:].partition("]")[0]
    return None


TABLE: Table = client(
    "ssl",
    by_class(
        (TRANSIENT, PERHAPS, _DOCS, "the peer closed, in the handshake or later", "SSLEOFError"),
        (TRANSIENT, PERHAPS, _DOCS, "the peer closed in good order", "SSLZeroReturnError"),
        (TRANSIENT, PERHAPS, _DOCS, "input or output failed under TLS", "SSLSyscallError"),
        (
            TRANSIENT,
            SURELY_NOT,
            _DOCS,
            "a non-blocking socket would block, as EAGAIN",
            "SSLWantReadError SSLWantWriteError",
        ),
    ),
    by(read_certificate)(
        (PERMANENT, SURELY_NOT, _DOCS, "self-signed, expired or of another host", "SSLCertVerificationError"),
    ),
    by(read).of(
        "SSLError",
        (PERMANENT, SURELY_NOT, "SSL_get_error(3)", "no common protocol, cipher or trust", ""),
        (
            TRANSIENT,
            PERHAPS,
            "RFC 8446 6.2, OpenSSL reasons",
            "bytes were damaged, or two threads or processes share the connection: a new one helps",
            "DECRYPTION_FAILED_OR_BAD_RECORD_MAC SSLV3_ALERT_BAD_RECORD_MAC",
        ),
        (TRANSIENT, PERHAPS, "OpenSSL 3 migration guide", "as SSLEOFError", "UNEXPECTED_EOF_WHILE_READING"),
    ),
)
