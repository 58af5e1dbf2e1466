"""Floor 2. Kafka: kafka-python and aiokafka, by their flag `retriable`; `errno` is the broker's code, and no errno.

The Java client differs in a few (a corrupt record and a rebalance are retriable there): these clients are believed.
"""

from __future__ import annotations

from redouble.known.inside import answer, any_in, firm_root, firm_text, said
from redouble.known.rows import PERMANENT, TRANSIENT, Row, probe, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_ERRORS = "kafka/errors.py"
_JAVA = "apache/kafka, Errors.java"
_NET = "kafka/net/connection.py, kafka/net/inet.py"

_RETRIABLE = Row("kafka", "KafkaError", "retriable", TRANSIENT, False, f"{_ERRORS}; {_JAVA}", "the broker refused it")
_FINAL = Row("kafka", "KafkaError", "not retriable", PERMANENT, False, f"{_ERRORS}; {_JAVA}", "")
_PERHAPS = tuple(
    Row("kafka", name, "", TRANSIENT, True, source, note)
    for name, source, note in (
        ("RequestTimedOutError", _JAVA, "the broker may have done it"),
        ("NetworkExceptionError", _JAVA, "the connection was lost before the answer"),
        ("NotEnoughReplicasAfterAppendError", _JAVA, "appended, but to fewer replicas than was asked for"),
        ("KafkaTimeoutError", _ERRORS, "the batch may have been sent"),
        ("CorrelationIdError", _ERRORS, "the answer to something else"),
        ("Cancelled", _NET, "a request in flight when the connection was closed"),
    )
)
_UNKNOWN_SERVER = Row("kafka", "UnknownError", "", PERMANENT, True, _JAVA, "the broker does not know what happened")
_NOT_YET = Row(
    "kafka", "KafkaTimeoutError", "before sending", TRANSIENT, False, "kafka/producer/kafka.py", "see its text"
)
_UNSENT = Row("kafka", "KafkaConnectionError", "", TRANSIENT, False, _NET, "without a text: closed before it was ready")
_LOST = Row("kafka", "KafkaConnectionError", "in flight", TRANSIENT, True, _NET, "with a text that tells of a loss")
_FIRM = Row("kafka", "KafkaConnectionError", "text", PERMANENT, False, _NET, "a certificate or a name that is wrong")
ROWS: tuple[Row, ...] = (
    _RETRIABLE,
    _FINAL,
    *_PERHAPS,
    _UNKNOWN_SERVER,
    _NOT_YET,
    _UNSENT,
    _LOST,
    _FIRM,
    *(
        Row("aiokafka", name, "by retriable", TRANSIENT, True, "aiokafka/errors.py", "as kafka-python's")
        for name in ("KafkaError", "KafkaConnectionError")
    ),
)

_NAMES = {row.name: row for row in (*_PERHAPS, _UNKNOWN_SERVER)}
_TIMEOUT = _NAMES["KafkaTimeoutError"]
_BEFORE_SENDING = (
    "unable to connect",
    "Unable to connect",
    "DNS ",
    "Unable to resolve",
    "Connection timed out",
    "ECONNREFUSED",
    "not connected",
    "during connect",
    "Handshake failed",
    " not ready",
)
_WAITING = ("Unable to bootstrap", "Failed to update metadata", "Failed to allocate")
_by_type: dict[type, Row | None] = {}


def read(error: Any, _: Asking) -> Classification:
    """Any error of the client or of a broker."""
    row = _special(type(error))
    if probe(error, "retriable") is not True:
        return answer(error, _UNKNOWN_SERVER if row is _UNKNOWN_SERVER else _FINAL)
    if row is _TIMEOUT and said(error).startswith(_WAITING):
        row = _NOT_YET
    return answer(error, row or _RETRIABLE)


def read_connection(error: Any, known: Asking) -> Classification:
    """A connection that did not come about, or was lost with requests in flight: only the text tells which."""
    text = said(error) or _quoted(error)
    if firm_text(text):
        return answer(error, _FIRM)
    firm = firm_root(error, known)
    if firm is not None:
        return firm
    return answer(error, _UNSENT if not text or any_in(text, *_BEFORE_SENDING) else _LOST)


def _quoted(error: Any) -> str:
    """The text of the system's error that was handed over whole: `KafkaConnectionError(OSError(104, ...))`."""
    args = probe(error, "args")
    if type(args) is not tuple or not args:
        return ""
    return said(args[0]) or type(args[0]).__name__


def _special(cls: type) -> Row | None:
    if cls not in _by_type:
        remember(_by_type, cls, next((_NAMES[base.__name__] for base in cls.__mro__ if base.__name__ in _NAMES), None))
    return _by_type[cls]


TABLE: Table = {
    **{(row.package, row.name): read for row in ROWS if row.package == "kafka"},
    ("aiokafka", "KafkaError"): read,
    ("kafka", "KafkaConnectionError"): read_connection,
    ("aiokafka", "KafkaConnectionError"): read_connection,
}
