"""Floor 2. MongoDB: PyMongo's errors by label, then by class, then by the server's code."""

from __future__ import annotations

from redouble.core.checks import LONGEST
from redouble.core.raw import is_a, probe, whole
from redouble.known.error_text import any_in, firm_text, said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, Row, answer, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import as_wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_ERRORS = "pymongo/errors.py"
_WRITES = "MongoDB specifications, retryable writes"
_CODES = "MongoDB specifications, retryable reads and writes; pymongo/helpers_shared.py"
_SERVER = "MongoDB error codes"
_TRANSACTIONS = "MongoDB specifications, transactions"
_NO_MONGO = ("Got response id ", "is larger than server max message size", "not longer than standard ")
"""The server speaks another protocol: its first bytes are not the header of a message."""


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error of PyMongo: by its text where that shows a permanent failure, by its labels, else by its class."""
    return _firm(error, rows) or _labelled(error) or answer(error, rows[""])


def read_operation(error: Any, _: Asking, __: Rows) -> Classification:
    """Read an operation that the server refused: by labels, else by the server's code."""
    return _labelled(error) or answer(error, _code_row(probe(error, "code")))


def read_not_primary(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error of a node that is not the primary, or is recovering; the server's answer is in `details`."""
    found = _labelled(error)
    if found is None:
        details = probe(error, "details")
        row = _code_row(dict.get(details, "code")) if is_a(details, dict) else rows[""]
        found = answer(error, rows[""] if row.verdict is PERMANENT else row)
    return found


def read_encryption(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read an error that wraps one raised during encryption or decryption."""
    cause = probe(error, "cause")
    found = known.inner(cause) if is_a(cause, Exception) else None
    return answer(error, rows[""]) if found is None else as_wrapped(found, error, found.applied)


def _firm(error: Any, rows: Rows) -> Classification | None:
    if "text" not in rows:
        return None
    text = said(error)
    return answer(error, rows["text"]) if firm_text(text) or any_in(text, *_NO_MONGO) else None


def _code_row(code: Any) -> Row:
    number = whole(code)
    return _BY_CODE["other"] if number is None else _BY_CODE.get(str(number), _BY_CODE["other"])


def _labelled(error: Any) -> Classification | None:
    ask = probe(error, "has_error_label")
    try:
        row = next((row for label, row in _LABELS.items() if label and ask(label) is True), None)
        if row is None:
            return None
        applied = row.applied and ask("NoWritesPerformed") is not True
    except Exception:  # a method that raises, or is missing
        return None
    return row.because(f"{named(error)} [{row.code}]", _base_backoff(error), applied)


def _base_backoff(error: Any) -> float | None:
    """Return the first step of a backoff that an overloaded server asks for, in milliseconds."""
    details = probe(error, "details")
    value = dict.get(details, "baseBackoffMS") if is_a(details, dict) else None
    milliseconds = value if type(value) is float else whole(value)
    if milliseconds is None or not 0 <= milliseconds < LONGEST * 1000:
        return None
    return milliseconds / 1000


_FIRM = (
    PERMANENT,
    SURELY_NOT,
    "pymongo/pool_shared.py, pymongo/network_layer.py",
    "a certificate, a name or a port that is wrong: only the text tells",
    "text",
)

TABLE: Table = client(
    "pymongo",
    by(read).of(
        "PyMongoError",
        (
            TRANSIENT,
            SURELY_NOT,
            _TRANSACTIONS,
            "the transaction was given up: repeat all of it",
            "TransientTransactionError",
        ),
        (
            TRANSIENT,
            PERHAPS,
            _TRANSACTIONS,
            "repeat the commit; repeated as a whole it may happen twice",
            "UnknownTransactionCommitResult",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            "MongoDB specifications, client backpressure",
            "refused by a server that has too much to do",
            "RetryableError",
        ),
        (
            TRANSIENT,
            PERHAPS,
            _WRITES,
            "the driver has mostly tried twice; a new statement is a new write",
            "RetryableWriteError",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            "MongoDB specifications, change streams",
            "a read that goes on where it was",
            "ResumableChangeStreamError",
        ),
        (PERMANENT, SURELY_NOT, _ERRORS, "misuse, such as InvalidName", ""),
    ),
    by(read_operation).of(
        "OperationFailure",
        (TRANSIENT, SURELY_NOT, _CODES, "not the primary (any more): refused", "10058 10107 13435 13436"),
        (TRANSIENT, PERHAPS, _CODES, "interrupted by a shutdown or an election", "91 189 11600 11602"),
        (TRANSIENT, PERHAPS, _CODES, "the network failed between servers, or a limit of time", "6 7 89 262 9001"),
        (TRANSIENT, SURELY_NOT, _CODES, "a read that must wait for a majority", "134"),
        (TRANSIENT, SURELY_NOT, _SERVER, "a conflict with another write: nothing was written", "112"),
        (TRANSIENT, SURELY_NOT, _SERVER, "a lock that could not be had in time", "24 46"),
        (
            TRANSIENT,
            SURELY_NOT,
            _SERVER,
            "the snapshot is not there (any more); no member fits the read preference",
            "246 133",
        ),
        (TRANSIENT, PERHAPS, _SERVER, "network and pools between servers", "202 317 384"),
        (TRANSIENT, SURELY_NOT, _SERVER, "the router did not know the newest layout", "63 150 234 13388"),
        (PERMANENT, SURELY_NOT, _SERVER, "the user is unknown, or lacks the permission", "13 18"),
        (PERMANENT, SURELY_NOT, _SERVER + "; policy", "MaxTimeMSExpired: the same operation meets it again", "50"),
        (PERMANENT, SURELY_NOT, _SERVER, "a key that is there already", "11000 11001 12582"),
        (PERMANENT, PERHAPS, _SERVER + "; policy", "written, but not as widely as was asked for", "64 79 100"),
        (PERMANENT, PERHAPS, _ERRORS + "; policy", "a bulk of which a part may have been done", "65"),
        (PERMANENT, SURELY_NOT, _SERVER, "the command or the data", "other"),
    ),
    by(read).of(
        "ConnectionFailure",
        (TRANSIENT, PERHAPS, _ERRORS, "also AutoReconnect and NetworkTimeout", ""),
        _FIRM,
    ),
    by(read).of(
        "ServerSelectionTimeoutError",
        (TRANSIENT, SURELY_NOT, _ERRORS, "no server in time, nothing was sent", ""),
        _FIRM,
    ),
    by(read_not_primary)((TRANSIENT, PERHAPS, _ERRORS, "by its code, where it has one", "NotPrimaryError")),
    by_class(
        (TRANSIENT, SURELY_NOT, _ERRORS, "no connection of its own pool was free", "WaitQueueTimeoutError"),
        (PERMANENT, SURELY_NOT, _ERRORS, "also InvalidURI", "ConfigurationError"),
        (PERMANENT, PERHAPS, _ERRORS, "the server does not speak the protocol", "ProtocolError"),
    ),
    by(read_encryption)((PERMANENT, SURELY_NOT, _ERRORS, "as its cause means, where it is known", "EncryptionError")),
) + client(
    "bson",
    by_class((PERMANENT, SURELY_NOT, "bson/errors.py", "data that cannot be sent, or not be read", "BSONError")),
)
_LABELS = TABLE.entries["pymongo", "PyMongoError"].rows
_BY_CODE = TABLE.entries["pymongo", "OperationFailure"].rows
