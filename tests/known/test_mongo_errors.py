"""Floor 1. PyMongo's errors: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


class Labels:
    """How PyMongo keeps labels."""

    labels: Any = ()

    def has_error_label(self, label: str) -> bool:
        """Whether the server, or the driver, gave this label."""
        return label in self.labels


def kind(name: str, *bases: type, package: str = "pymongo") -> Any:
    """A class that has the name of one of PyMongo's."""
    return type(name, bases or (Labels, Exception), {"__module__": f"{package}.errors"})


BASE = kind("PyMongoError")
FAILURE = kind("ConnectionFailure", BASE)
RECONNECT = kind("AutoReconnect", FAILURE)
SELECTION = kind("ServerSelectionTimeoutError", RECONNECT)
NOT_PRIMARY = kind("NotPrimaryError", RECONNECT)
OPERATION = kind("OperationFailure", BASE)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def failed(code: Any, *labels: str, details: Any = None, cls: Any = OPERATION) -> Any:
    """What a server says of an operation."""
    error = cls("m")
    error.code, error.labels, error.details = code, labels, details
    return error


@pytest.mark.parametrize(
    ("codes", "verdict", "applied"),
    [
        ("10058 10107 13435 13436 134 112 24 246", T, False),
        ("91 189 11600 11602 6 7 89 262 9001", T, True),
        ("13 18 50 11000 43 9 1 26 121", P, False),
        ("64 65 100", P, True),
    ],
)
def test_codes(codes: str, verdict: Verdict, applied: bool) -> None:
    """Without a label the code decides; one that is not known is permanent."""
    for code in map(int, codes.split()):
        found = ask(failed(code))
        assert (found.verdict, found.applied) == (verdict, applied), code


@pytest.mark.parametrize("code", [None, "10107", True, 1.5])
def test_what_is_no_code(code: Any) -> None:
    """Junk is no code."""
    assert ask(failed(code)).verdict is P


@pytest.mark.parametrize(
    ("labels", "verdict", "applied"),
    [
        (("TransientTransactionError",), T, False),
        (("UnknownTransactionCommitResult",), T, True),
        (("RetryableWriteError",), T, True),
        (("RetryableWriteError", "NoWritesPerformed"), T, False),
        (("SystemOverloadedError", "RetryableError"), T, False),
        (("SystemOverloadedError",), P, False),
        (("ResumableChangeStreamError",), T, False),
    ],
)
def test_labels(labels: tuple[str, ...], verdict: Verdict, applied: bool) -> None:
    """A label outranks the code, on every class."""
    found = ask(failed(1, *labels))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_labels_on_other_classes() -> None:
    """A connection that was lost in a transaction."""
    assert ask(failed(None, "TransientTransactionError", cls=RECONNECT)).applied is False
    assert ask(failed(None, "RetryableWriteError", cls=SELECTION)).applied is True
    assert ask(failed(None, "RetryableWriteError", cls=NOT_PRIMARY)).applied is True
    assert ask(failed(None, "TransientTransactionError", cls=BASE)).verdict is T


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (250, 0.25),
        (1.5, 0.0015),
        (0, 0.0),
        (-1, None),
        (10**400, None),
        (float("nan"), None),
        ("250", None),
        (True, None),
    ],
)
def test_the_servers_own_backoff(value: Any, hint: float | None) -> None:
    """Milliseconds, beside the labels of a server that has too much to do."""
    error = failed(1, "SystemOverloadedError", "RetryableError", details={"baseBackoffMS": value})
    assert ask(error).retry_after == hint


def test_labels_that_cannot_be_asked_for() -> None:
    """A method that raises, or is missing, counts as no label."""

    class Raising(OPERATION):  # type: ignore[misc]  # made at run time
        __module__ = "pymongo.errors"
        has_error_label = property(lambda self: 1 / 0)

    assert ask(failed(10107, cls=Raising)).verdict is T
    assert ask(failed(10107, cls=kind("OperationFailure", Exception))).verdict is T


@pytest.mark.parametrize(
    ("details", "applied"),
    [({"code": 10107}, False), ({"code": 11600}, True), ({"code": 1}, True), ({}, True), ([], True)],
)
def test_not_the_primary(details: Any, applied: bool) -> None:
    """Always transient; the code tells whether it was refused or interrupted."""
    found = ask(failed(None, details=details, cls=NOT_PRIMARY))
    assert (found.verdict, found.applied) == (T, applied)


@pytest.mark.parametrize(
    ("cls", "text", "verdict", "applied"),
    [
        (RECONNECT, "connection closed", T, True),
        (FAILURE, "x", T, True),
        (kind("NetworkTimeout", RECONNECT), "h:1: timed out", T, True),
        (kind("WaitQueueTimeoutError", FAILURE), "x", T, False),
        (SELECTION, "h:1: [Errno 111] Connection refused", T, False),
        (SELECTION, "h:1: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", P, False),
        (SELECTION, "h:1: [Errno -2] Name or service not known", P, False),
        (SELECTION, "Got response id 808465440 but expected 1681692777", P, False),
        (SELECTION, "h:1: Message length (1347703880) is larger than server max message size (33554432)", P, False),
        (SELECTION, "h:1: Message length (3) not longer than standard message header size (16)", P, False),
        (
            RECONNECT,
            "h:1: Message length (3) not longer than standard OP_COMPRESSED message header size (25)",
            P,
            False,
        ),
        (RECONNECT, "SSL handshake failed: h:1: [SSL: WRONG_VERSION_NUMBER] wrong version number", P, False),
        (kind("InvalidURI", kind("ConfigurationError", BASE)), "x", P, False),
        (kind("ProtocolError", BASE), "x", P, True),
        (kind("InvalidName", BASE), "x", P, False),
        (kind("DuplicateKeyError", OPERATION), "x", P, False),
        (kind("InvalidDocument", kind("BSONError", Exception, package="bson"), package="bson"), "x", P, False),
    ],
)
def test_classes(cls: Any, text: str, verdict: Verdict, applied: bool) -> None:
    """Classes, and the texts of those that keep no chain."""
    found = ask(cls(text))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_encryption() -> None:
    """Whatever came up meanwhile decides, where it is known."""
    error = kind("EncryptionError", BASE)("x")
    assert ask(error).verdict is P
    error.cause = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    assert (ask(error).verdict, ask(error).applied) == (T, False)


def test_the_real_pymongo() -> None:
    """PyMongo's own classes."""
    errors = pytest.importorskip("pymongo.errors")
    overloaded = {"errorLabels": ["SystemOverloadedError", "RetryableError"], "baseBackoffMS": 100}
    assert ask(errors.OperationFailure("m", 1, overloaded)).retry_after == 0.1
    assert ask(errors.OperationFailure("m", 112, {"errorLabels": ["TransientTransactionError"]})).applied is False
    assert ask(errors.NotPrimaryError("m", {"code": 10107})).applied is False
    assert ask(errors.DuplicateKeyError("m", 11000, {})).verdict is P
    assert ask(errors.ServerSelectionTimeoutError("h:1: [Errno 111] Connection refused")).verdict is T
