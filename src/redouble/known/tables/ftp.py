"""Floor 2. FTP: ftplib and aioftp, by the server's reply code, with which ftplib's text begins."""

from __future__ import annotations

from redouble.known.error_text import said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import code_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_FTP = "RFC 959 4.2"
_DOCS = "ftplib documentation"


def read_reply(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a reply of 400 to 499."""
    return answer(error, rows.get(said(error)[:3]) or rows["4yz"])


_TEMPORARY = (
    (TRANSIENT, SURELY_NOT, _FTP, "the server shuts down, or takes no more users", "421"),
    (TRANSIENT, SURELY_NOT, _FTP, "no data connection, a file in use, no room for now", "425 450 451 452"),
    (TRANSIENT, PERHAPS, _FTP, "not for now: a part of a transfer may be there", "4yz"),
)

TABLE: Table = client(
    "ftplib",
    by(read_reply).of("error_temp", *_TEMPORARY),
    by_class(
        (PERMANENT, SURELY_NOT, _FTP, "refused for good", "error_perm"),
        (PERMANENT, PERHAPS, _DOCS, "the server does not speak the protocol", "error_proto error_reply Error"),
    ),
) + client(
    "aioftp",
    code_at("received_codes.0").of(
        "StatusCodeError",
        *_TEMPORARY,
        (PERMANENT, SURELY_NOT, _FTP, "refused for good", "5yz"),
        (PERMANENT, PERHAPS, _FTP, "a reply that does not fit the command", "other"),
    ),
    by_class((PERMANENT, SURELY_NOT, "aioftp/errors.py", "a mistake in the calls", "AIOFTPException")),
)
