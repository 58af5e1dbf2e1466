"""Floor 2. TLS: the SSLError family, by class and reason; never by `errno`, which holds an SSL_ERROR_* number."""

from __future__ import annotations

from redouble.core.causes import DEPTH
from redouble.known.rows import (
    PERMANENT,
    TRANSIENT,
    Row,
    as_applied,
    by_class,
    coded,
    first_text,
    is_a,
    named,
    probe,
    shown_code,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Reader, Table

_DOCS = "ssl module documentation"
_CLOSED = Row("ssl", "SSLEOFError", "", TRANSIENT, True, _DOCS, "the peer closed, in the handshake or later")
_CERTIFICATE = Row(
    "ssl", "SSLCertVerificationError", "", PERMANENT, False, _DOCS, "self-signed, expired or of another host"
)
_ANY = Row("ssl", "SSLError", "", PERMANENT, False, "SSL_get_error(3)", "no common protocol, cipher or trust")
_BY_CLASS = (
    _CLOSED,
    Row("ssl", "SSLZeroReturnError", "", TRANSIENT, True, _DOCS, "the peer closed in good order"),
    Row("ssl", "SSLSyscallError", "", TRANSIENT, True, _DOCS, "input or output failed under TLS"),
    Row("ssl", "SSLWantReadError", "", TRANSIENT, False, _DOCS, "a non-blocking socket would block, as EAGAIN"),
    Row("ssl", "SSLWantWriteError", "", TRANSIENT, False, _DOCS, "a non-blocking socket would block, as EAGAIN"),
)
_REASONS = coded(
    "ssl",
    "SSLError",
    (
        (
            TRANSIENT,
            True,
            "RFC 8446 6.2, OpenSSL reasons",
            "bytes were damaged, or two threads or processes share the connection: a new one helps",
            "DECRYPTION_FAILED_OR_BAD_RECORD_MAC SSLV3_ALERT_BAD_RECORD_MAC",
        ),
        (TRANSIENT, True, "OpenSSL 3 migration guide", "as SSLEOFError", "UNEXPECTED_EOF_WHILE_READING"),
    ),
)
ROWS: tuple[Row, ...] = (*_BY_CLASS, _CERTIFICATE, _ANY, *_REASONS)


def read_certificate(error: Any, _: Asking) -> Classification:
    """A certificate that was refused: another try meets the same one."""
    code = whole(probe(error, "verify_code"))
    return _CERTIFICATE.because(named(error) + ("" if code is None else f" [verify_code {code}]"))


def read(error: Any, _: Asking) -> Classification:
    """An SSLError of no special class, by OpenSSL's reason."""
    reason = _reason(error)
    row = next((row for row in _REASONS if row.code == reason), _ANY)
    return row.because(named(error) + shown_code(reason))


def told_in_handshake(found: Classification, error: Any) -> Classification:
    """The same, but surely not applied where what timed out was the handshake: only Python's text beneath tells."""
    link = error
    for _ in range(DEPTH):
        if is_a(link, TimeoutError) and first_text(link).endswith("The handshake operation timed out"):
            return as_applied(found, False)
        link = probe(link, "__cause__") or probe(link, "__context__")
        if not is_a(link, Exception):
            break
    return found


def telling_handshakes(table: Table, *keys: tuple[str, str]) -> Table:
    """Readers for timeouts that may have come before anything was sent."""

    def telling(read: Reader) -> Reader:
        def read_timeout(error: Any, known: Asking) -> Classification | None:
            found = read(error, known)
            return None if found is None else told_in_handshake(found, error)

        return read_timeout

    return {key: telling(table[key]) for key in keys}


def _reason(error: Any) -> str | None:
    """OpenSSL's reason; out of the text `[SSL: REASON] ...` where the attribute is missing."""
    reason = probe(error, "reason")
    if type(reason) is str:
        return reason
    args = probe(error, "args")
    text = args[1] if type(args) is tuple and len(args) > 1 else None
    if type(text) is str and text.startswith("[SSL: "):
        return text[6:].partition("]")[0]
    return None


TABLE: Table = {
    **by_class(_BY_CLASS),
    ("ssl", "SSLCertVerificationError"): read_certificate,
    ("ssl", "SSLError"): read,
}
