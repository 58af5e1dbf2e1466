"""Floor 1. The errors of Kafka's clients: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(name: str, *bases: type, package: str = "kafka", **attributes: Any) -> Any:
    """A class that has the name of one of a client's."""
    return type(name, bases or (Exception,), {"__module__": f"{package}.errors", **attributes})


BASE = kind("KafkaError", retriable=False)
CONNECTION = kind("KafkaConnectionError", BASE, retriable=True)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "retriable", "verdict", "applied"),
    [
        ("NotLeaderForPartitionError", True, T, False),
        ("CoordinatorLoadInProgressError", True, T, False),
        ("NotEnoughReplicasAfterAppendError", True, T, True),
        ("RequestTimedOutError", True, T, True),
        ("NetworkExceptionError", True, T, True),
        ("KafkaTimeoutError", True, T, True),
        ("ProducerFencedError", False, P, False),
        ("UnknownError", False, P, True),
        ("NotLeaderForPartitionError", "yes", P, False),
        ("KafkaTimeoutError", False, T, True),
    ],
)
@pytest.mark.parametrize("package", ["kafka", "aiokafka"])
def test_the_flag_decides(package: str, name: str, retriable: Any, verdict: Verdict, applied: bool) -> None:
    """The client's own flag, and for a few names that the broker may have done it."""
    base = kind("KafkaError", package=package)
    found = ask(kind(name, base, package=package, retriable=retriable, errno=104)())
    assert (found.verdict, found.applied) == (verdict, applied)


@pytest.mark.parametrize("text", ["Unable to bootstrap from h:1", "Failed to update metadata after 60.0 secs."])
def test_timeouts_before_sending(text: str) -> None:
    """Waited for the cluster, and sent nothing."""
    error = kind("KafkaTimeoutError", BASE, retriable=True)(text)
    assert (ask(error).verdict, ask(error).applied) == (T, False)


@pytest.mark.parametrize(
    ("args", "context", "verdict", "applied"),
    [
        ((), None, T, False),
        (("111 ECONNREFUSED",), None, T, False),
        (("unable to connect: [Errno 113] No route to host",), None, T, False),
        (("DNS Resolution failure",), None, T, False),
        (("Node not connected",), None, T, False),
        (("socket disconnected",), None, T, True),
        ((ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),), None, T, True),
        ((OSError(),), None, T, True),
        (("DNS lookup failed for h:1",), socket.gaierror(socket.EAI_NONAME, "x"), P, False),
        (("Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",), None, P, False),
        (("Handshake failed: x",), ssl.SSLCertVerificationError(1, "x"), P, False),
        (("Handshake failed: [Errno 104] Connection reset by peer",), None, T, False),
    ],
)
def test_connections(args: tuple[Any, ...], context: Any, verdict: Verdict, applied: bool) -> None:
    """One class for a port where nothing listens and for a request in flight: the text tells."""
    error = CONNECTION(*args)
    error.__context__ = context
    found = ask(error)
    assert (found.verdict, found.applied) == (verdict, applied)


def test_the_real_kafka() -> None:
    """The classes of kafka-python: each one follows its flag."""
    errors = pytest.importorskip("kafka.errors")
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(kinds) > 100
    for cls in kinds:
        assert ask(cls.__new__(cls)).verdict is (T if cls.retriable else P), cls
    assert ask(errors.InconsistentClusterIdError()).reason == "kafka.InconsistentClusterIdError [not retriable]"
