"""Floor 2. Kafka: kafka-python and aiokafka, by their flag `retriable`; `errno` is the broker's code, and no errno.

The Java client differs in a few (a corrupt record and a rebalance are retriable there): the Python clients are
followed.
"""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.error_text import any_in, firm_text, said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import firm_root
from redouble.known.words import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_ERRORS = "kafka/errors.py"
_JAVA = "apache/kafka, Errors.java"
_NET = "kafka/net/connection.py, kafka/net/inet.py"
_RETRIABLE, _FINAL = "retriable", "not retriable"
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


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read any error of the client or of a broker by its flag; the row without a code holds the facts of its class."""
    if probe(error, "retriable") is True:
        return answer(error, rows.get("") or rows[_RETRIABLE])
    return answer(error, rows[_FINAL])


def read_connection(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a connection that failed, or was lost with requests in flight: only the text tells which."""
    text = said(error) or _quoted(error)
    if firm_text(text):
        return answer(error, rows["text"])
    firm = firm_root(error, known)
    if firm is not None:
        return firm
    return answer(error, rows["" if not text or any_in(text, *_BEFORE_SENDING) else "in flight"])


def _quoted(error: Any) -> str:
    """Return the text of a system error that was passed on whole: `KafkaConnectionError(OSError(104, ...))`."""
    args = probe(error, "args")
    if type(args) is not tuple or not args:
        return ""
    return said(args[0]) or type(args[0]).__name__


TABLE: Table = client(
    "kafka aiokafka",
    by(read).of(
        "KafkaError",
        (TRANSIENT, SURELY_NOT, f"{_ERRORS}; {_JAVA}", "the broker refused it", (_RETRIABLE,)),
        (PERMANENT, SURELY_NOT, f"{_ERRORS}; {_JAVA}", "", (_FINAL,)),
    ),
    # Not by the flag, which is not set in older versions, nor in aiokafka.
    text({"before sending": ("Unable to bootstrap", "Failed to update metadata", "Failed to allocate")}).of(
        "KafkaTimeoutError",
        (TRANSIENT, PERHAPS, _ERRORS, "the batch may have been sent", ""),
        (TRANSIENT, SURELY_NOT, "kafka/producer/kafka.py", "see its text", ("before sending",)),
    ),
    *(
        by(read).of(
            name,
            (TRANSIENT, PERHAPS, source, note, ""),
            (PERMANENT, SURELY_NOT, f"{_ERRORS}; {_JAVA}", "where the flag says so", (_FINAL,)),
        )
        for name, source, note in (
            ("RequestTimedOutError", _JAVA, "the broker may have done it"),
            ("NetworkExceptionError", _JAVA, "the connection was lost before the answer"),
            ("NotEnoughReplicasAfterAppendError", _JAVA, "appended, but to fewer replicas than was asked for"),
            ("CorrelationIdError", _ERRORS, "the answer to something else"),
            ("Cancelled", _NET, "a request in flight when the connection was closed"),
        )
    ),
    by_class((PERMANENT, PERHAPS, _JAVA, "the broker does not know the cause", "UnknownError")),
    by(read_connection).of(
        "KafkaConnectionError",
        (TRANSIENT, SURELY_NOT, _NET, "without a text: closed before it was ready", ""),
        (TRANSIENT, PERHAPS, _NET, "with a text that tells of a loss", ("in flight",)),
        (PERMANENT, SURELY_NOT, _NET, "a certificate or a name that is wrong", ("text",)),
    ),
)
