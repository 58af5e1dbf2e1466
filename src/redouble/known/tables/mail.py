"""Floor 2. Mail: smtplib and aiosmtplib by the server's reply code, imaplib and poplib by the code in the server's text."""

from __future__ import annotations

from redouble.core.raw import at, is_a, probe, whole
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import beneath, number_at, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_SMTP = "RFC 5321 4.2"
_DOCS = "smtplib documentation"
_AIO = "aiosmtplib/errors.py"
_IMAP = "imaplib documentation"
_POP = "poplib documentation"
_MANY = 100
"""The most recipients that are read."""


def read_recipients(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read the refusal of every recipient, each with a code: one permanent refusal decides."""
    refused = probe(error, "recipients")
    if is_a(refused, dict):  # smtplib: address to (code, text)
        codes = [at(each, (0,)) for each in list(dict.values(refused))[:_MANY]]
    else:  # aiosmtplib: errors
        codes = [probe(each, "code") for each in (refused[:_MANY] if is_a(refused, (list, tuple)) else ())]
    numbers = [whole(code) or 0 for code in codes]
    return answer(error, rows["4yz" if numbers and all(400 <= number < 500 for number in numbers) else "5yz"])


_REPLIES = (
    (TRANSIENT, SURELY_NOT, _SMTP, "not for now: the server took nothing", "4yz"),
    (PERMANENT, SURELY_NOT, _SMTP, "refused for good", "5yz"),
    (PERMANENT, PERHAPS, _SMTP, "a reply that does not fit the command", "other"),
)
_RECIPIENTS = by(read_recipients).of("SMTPRecipientsRefused", *_REPLIES[:2])

TABLE: Table = (
    client(
        "smtplib",
        number_at("smtp_code", "args.0").of("SMTPResponseException", *_REPLIES),
        _RECIPIENTS,
        text().of(
            "SMTPServerDisconnected",
            (PERMANENT, SURELY_NOT, _DOCS, "a mistake in the calls", ("please run connect() first",)),
            (TRANSIENT, PERHAPS, _DOCS, "the connection is gone: the server may have taken the message", ""),
        ),
        by_class((PERMANENT, SURELY_NOT, _DOCS, "the server lacks a needed extension", "SMTPException")),
    )
    + client(
        "aiosmtplib",
        number_at("code", "args.0").of("SMTPResponseException", *_REPLIES),
        _RECIPIENTS,
        beneath()((TRANSIENT, SURELY_NOT, _AIO, "as the error beneath it: nothing was sent", "SMTPConnectError")),
        by_class(
            (TRANSIENT, SURELY_NOT, _AIO, "nothing was sent", "SMTPConnectTimeoutError"),
            (
                TRANSIENT,
                PERHAPS,
                _AIO,
                "the server may have taken the message",
                "SMTPTimeoutError SMTPReadTimeoutError",
            ),
            (
                TRANSIENT,
                PERHAPS,
                _AIO,
                "the connection is gone: the server may have taken the message",
                "SMTPServerDisconnected",
            ),
            (PERMANENT, SURELY_NOT, _AIO, "the server lacks a needed extension", "SMTPException SMTPNotSupported"),
        ),
    )
    + client(
        "imaplib",
        text(anywhere=True).of(
            "abort",
            (PERMANENT, PERHAPS, "Lib/imaplib.py", "it is not IMAP, or an answer to nothing", ("unexpected response",)),
            (TRANSIENT, PERHAPS, _IMAP, "the connection is gone: log in anew", "other"),
        ),
        by_class(
            (PERMANENT, SURELY_NOT, _IMAP, "somebody else has made the mailbox read-only", "readonly"),
        ),
        text(
            {
                "UNAVAILABLE": ("[UNAVAILABLE]",),
                "INUSE": ("[INUSE]", "[IN-USE]"),
                "SERVERBUG": ("[SERVERBUG]",),
            },
            anywhere=True,
        ).of(
            "error",
            (TRANSIENT, SURELY_NOT, "RFC 5530 3", "a part of the server is down for now", "UNAVAILABLE"),
            (TRANSIENT, SURELY_NOT, "RFC 5530 3", "somebody else holds the mailbox", "INUSE"),
            (PERMANENT, PERHAPS, "RFC 5530 3; policy", "the server has met a mistake of its own", "SERVERBUG"),
            (PERMANENT, SURELY_NOT, _IMAP, "the command, the mailbox or the rights", "other"),
        ),
    )
    + client(
        "poplib",
        text(
            {
                "IN-USE": ("[IN-USE]",),
                "SYS/TEMP": ("[SYS/TEMP]",),
                "LOGIN-DELAY": ("[LOGIN-DELAY]",),
                "EOF": ("-ERR EOF",),
            },
            anywhere=True,
        ).of(
            "error_proto",
            (TRANSIENT, SURELY_NOT, "RFC 2449 8.1.1", "another session holds the mailbox", "IN-USE"),
            (TRANSIENT, SURELY_NOT, "RFC 2449 8.1.1", "the last login was too short a while ago", "LOGIN-DELAY"),
            (TRANSIENT, SURELY_NOT, "RFC 3206 4", "the server fails for now", "SYS/TEMP"),
            (TRANSIENT, PERHAPS, "Lib/poplib.py", "the server hung up", "EOF"),
            (PERMANENT, SURELY_NOT, _POP, "the command, the mailbox or the password", "other"),
        ),
    )
)
