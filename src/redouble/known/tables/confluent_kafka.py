"""Floor 2. confluent-kafka: by the code of the KafkaError that is the first argument; negative codes are librdkafka's own."""

from __future__ import annotations

from redouble.core.raw import at, probe, whole
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_LOCAL = "librdkafka, rdkafka.h"
_JAVA = "apache/kafka, Errors.java"
_RETRIABLE, _FATAL, _OTHER = "retriable", "fatal", "other"


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error by its code; where that has no row, by the client's own flag."""
    inner = at(error, ("args", 0))
    if _told(inner, "fatal") is True:
        return answer(error, rows[_FATAL])
    row = rows.get(str(whole(_told(inner, "code"))))
    if row is None:
        row = rows[_RETRIABLE if _told(inner, "retriable") is True else _OTHER]
    return answer(error, row)


def _told(inner: Any, name: str) -> Any:
    try:
        return probe(inner, name)()
    except Exception:  # not a KafkaError
        return None


TABLE: Table = client(
    "cimpl confluent_kafka",  # the module that the class names, and the one that newer versions may use
    by(read).of(
        "KafkaException",
        (TRANSIENT, SURELY_NOT, _LOCAL, "no broker can be reached", "-187"),
        (TRANSIENT, PERHAPS, _LOCAL, "the connection to a broker failed", "-195"),
        (TRANSIENT, PERHAPS, _LOCAL, "timed out, perhaps after it was sent", "-185 -192"),
        (TRANSIENT, SURELY_NOT, _LOCAL, "timed out in a queue of the client", "-166"),
        (TRANSIENT, SURELY_NOT, _LOCAL, "a queue of the client is full", "-184"),
        (TRANSIENT, SURELY_NOT, _LOCAL, "waiting for a coordinator, or for its own cache", "-180 -164"),
        (TRANSIENT, SURELY_NOT, _LOCAL, "librdkafka asks for another try", "-153"),
        (PERMANENT, SURELY_NOT, _LOCAL, "an unknown host", "-193"),
        (PERMANENT, SURELY_NOT, _LOCAL, "credentials, or TLS that cannot come about", "-169 -181"),
        (TRANSIENT, SURELY_NOT, _JAVA, "not the leader, or none is known for now", "3 5 6 9 74 75 78 80 83"),
        (TRANSIENT, PERHAPS, _JAVA, "the broker may have done it", "7 13 20"),
        (TRANSIENT, SURELY_NOT, _JAVA, "the coordinator is loading, or another one", "14 15 16 41"),
        (TRANSIENT, SURELY_NOT, _JAVA, "too few replicas, for now", "19"),
        (TRANSIENT, SURELY_NOT, _JAVA, "another transaction is under way", "51"),
        (TRANSIENT, SURELY_NOT, _JAVA, "a disk of the broker fails, a session is gone", "56 70 71"),
        (TRANSIENT, SURELY_NOT, _JAVA, "throttled", "89"),
        (TRANSIENT, PERHAPS, _LOCAL, "the client says so", (_RETRIABLE,)),
        (PERMANENT, PERHAPS, _LOCAL, "the client says that it cannot go on", (_FATAL,)),
        (PERMANENT, SURELY_NOT, f"{_LOCAL}; {_JAVA}", "the request, the rights or the message", _OTHER),
    ),
)
