"""Floor 2. MongoDB: PyMongo's errors by label, then by class, then by the server's code."""

from __future__ import annotations

from redouble.core.checks import LONGEST
from redouble.core.verdict import Classification
from redouble.known.inside import answer, any_in, firm_text, said
from redouble.known.roots import under
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, coded, is_a, named, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_ERRORS = "pymongo/errors.py"
_WRITES = "MongoDB specifications, retryable writes"
_CODES = "MongoDB specifications, retryable reads and writes; pymongo/helpers_shared.py"
_SERVER = "MongoDB error codes"
_TRANSACTIONS = "MongoDB specifications, transactions"

_LABELS = (
    Row(
        "pymongo",
        "PyMongoError",
        "TransientTransactionError",
        TRANSIENT,
        False,
        _TRANSACTIONS,
        "the transaction was given up: repeat all of it",
    ),
    Row(
        "pymongo",
        "PyMongoError",
        "UnknownTransactionCommitResult",
        TRANSIENT,
        True,
        _TRANSACTIONS,
        "repeat the commit; repeated as a whole it may happen twice",
    ),
    Row(
        "pymongo",
        "PyMongoError",
        "RetryableError",
        TRANSIENT,
        False,
        "MongoDB specifications, client backpressure",
        "refused by a server that has too much to do",
    ),
    Row(
        "pymongo",
        "PyMongoError",
        "RetryableWriteError",
        TRANSIENT,
        True,
        _WRITES,
        "the driver has mostly tried twice; a new statement is a new write",
    ),
    Row(
        "pymongo",
        "PyMongoError",
        "ResumableChangeStreamError",
        TRANSIENT,
        False,
        "MongoDB specifications, change streams",
        "a read that goes on where it was",
    ),
)
_NOTHING_WRITTEN = "NoWritesPerformed"

_GROUPS = (
    (TRANSIENT, False, _CODES, "not the primary (any more): refused", "10058 10107 13435 13436"),
    (TRANSIENT, True, _CODES, "interrupted by a shutdown or an election", "91 189 11600 11602"),
    (TRANSIENT, True, _CODES, "the network failed between servers, or a limit of time", "6 7 89 262 9001"),
    (TRANSIENT, False, _CODES, "a read that must wait for a majority", "134"),
    (TRANSIENT, False, _SERVER, "a conflict with another write: nothing was written", "112"),
    (TRANSIENT, False, _SERVER, "a lock that could not be had in time", "24 46"),
    (TRANSIENT, False, _SERVER, "the snapshot is not there (any more); no member fits the read preference", "246 133"),
    (TRANSIENT, True, _SERVER, "network and pools between servers", "202 317 384"),
    (TRANSIENT, False, _SERVER, "the router did not know the newest layout", "63 150 234 13388"),
    (PERMANENT, False, _SERVER, "who asks is not known or not allowed", "13 18"),
    (PERMANENT, False, _SERVER + "; policy", "MaxTimeMSExpired: the same operation meets it again", "50"),
    (PERMANENT, False, _SERVER, "a key that is there already", "11000 11001 12582"),
    (PERMANENT, True, _SERVER + "; policy", "written, but not as widely as was asked for", "64 79 100"),
    (PERMANENT, True, _ERRORS + "; policy", "a bulk of which a part may have been done", "65"),
    (PERMANENT, False, _SERVER, "the command or the data", "other"),
)
_CODE_ROWS = coded("pymongo", "OperationFailure", _GROUPS)
_BY_CODE = {int(row.code): row for row in _CODE_ROWS if row.code != "other"}
_OTHER = _CODE_ROWS[-1]

_GONE = Row("pymongo", "ConnectionFailure", "", TRANSIENT, True, _ERRORS, "also AutoReconnect and NetworkTimeout")
_NO_SERVER = Row(
    "pymongo", "ServerSelectionTimeoutError", "", TRANSIENT, False, _ERRORS, "no server in time, nothing was sent"
)
_NOT_PRIMARY = Row("pymongo", "NotPrimaryError", "", TRANSIENT, True, _ERRORS, "by its code, where it has one")
_FIRM = Row(
    "pymongo",
    "ConnectionFailure",
    "text",
    PERMANENT,
    False,
    "pymongo/pool_shared.py, pymongo/network_layer.py",
    "a certificate, a name or a port that is wrong: only the text tells",
)
_NO_MONGO = ("Got response id ", "is larger than server max message size", "not longer than standard ")
"""What answers speaks another protocol: its first bytes are no header of a message."""
_PLAIN = (
    Row("pymongo", "WaitQueueTimeoutError", "", TRANSIENT, False, _ERRORS, "no connection of its own pool was free"),
    Row("pymongo", "ConfigurationError", "", PERMANENT, False, _ERRORS, "also InvalidURI"),
    Row("pymongo", "ProtocolError", "", PERMANENT, True, _ERRORS, "what answers does not speak the protocol"),
    Row("bson", "BSONError", "", PERMANENT, False, "bson/errors.py", "data that cannot be sent, or not be read"),
)
_MISUSE = Row("pymongo", "PyMongoError", "", PERMANENT, False, _ERRORS, "misuse, such as InvalidName")
_ENCRYPTION = Row("pymongo", "EncryptionError", "", PERMANENT, False, _ERRORS, "as its cause means, where it is known")
ROWS: tuple[Row, ...] = (*_LABELS, *_CODE_ROWS, _GONE, _NO_SERVER, _NOT_PRIMARY, _FIRM, *_PLAIN, _MISUSE, _ENCRYPTION)


def read(error: Any, _: Asking) -> Classification:
    """Any error of PyMongo, by its labels; without one it is misuse."""
    return _labelled(error) or answer(error, _MISUSE)


def read_operation(error: Any, _: Asking) -> Classification:
    """What the server says of an operation: labels, else its code."""
    return _labelled(error) or answer(error, _code_row(probe(error, "code")))


def read_connection(error: Any, _: Asking) -> Classification:
    """A connection that is gone, or did not come about."""
    return _firm(error) or _labelled(error) or answer(error, _GONE)


def read_selection(error: Any, _: Asking) -> Classification:
    """No server could be selected; why stands only in the text."""
    return _firm(error) or _labelled(error) or answer(error, _NO_SERVER)


def read_not_primary(error: Any, _: Asking) -> Classification:
    """Not the primary, or a node that is recovering; the answer of the server is in `details`."""
    found = _labelled(error)
    if found is None:
        details = probe(error, "details")
        row = _code_row(dict.get(details, "code")) if is_a(details, dict) else _NOT_PRIMARY
        found = answer(error, _NOT_PRIMARY if row.verdict is PERMANENT else row)
    return found


def read_encryption(error: Any, known: Asking) -> Classification:
    """Another error came up while something was encrypted or decrypted."""
    cause = probe(error, "cause")
    found = known.inner(cause) if is_a(cause, Exception) else None
    return answer(error, _ENCRYPTION) if found is None else under(found, error, found.applied)


def _firm(error: Any) -> Classification | None:
    text = said(error)
    return answer(error, _FIRM) if firm_text(text) or any_in(text, *_NO_MONGO) else None


def _code_row(code: Any) -> Row:
    number = whole(code)
    return _OTHER if number is None else _BY_CODE.get(number, _OTHER)


def _labelled(error: Any) -> Classification | None:
    ask = probe(error, "has_error_label")
    try:
        row = next((row for row in _LABELS if ask(row.code) is True), None)
        if row is None:
            return None
        applied = row.applied and ask(_NOTHING_WRITTEN) is not True
    except Exception:  # a method of theirs, or none
        return None
    return row.because(f"{named(error)} [{row.code}]", _base_backoff(error), applied)


def _base_backoff(error: Any) -> float | None:
    """The server's own first step of a backoff, in milliseconds, where it has too much to do."""
    details = probe(error, "details")
    value = dict.get(details, "baseBackoffMS") if is_a(details, dict) else None
    milliseconds = value if type(value) is float else whole(value)
    if milliseconds is None or not 0 <= milliseconds < LONGEST * 1000:
        return None
    return milliseconds / 1000


TABLE: Table = {
    **by_class(_PLAIN),
    ("pymongo", "PyMongoError"): read,
    ("pymongo", "OperationFailure"): read_operation,
    ("pymongo", "ConnectionFailure"): read_connection,
    ("pymongo", "ServerSelectionTimeoutError"): read_selection,
    ("pymongo", "NotPrimaryError"): read_not_primary,
    ("pymongo", "EncryptionError"): read_encryption,
}
