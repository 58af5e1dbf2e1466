"""Floor 1. The SSLError family."""

from __future__ import annotations

import copy
import ssl

import pytest

from redouble import Verdict, classify


def made(cls: type[ssl.SSLError], reason: str, number: int = 1) -> ssl.SSLError:
    """An error as the C code of ssl leaves it."""
    error = cls(number, f"[SSL: {reason}] {reason.lower()} (_ssl.c:1006)")
    error.library, error.reason = "SSL", reason
    return error


@pytest.mark.parametrize("cls", [ssl.SSLZeroReturnError, ssl.SSLSyscallError, ssl.SSLEOFError])
def test_the_connection_went_away(cls: type[ssl.SSLError]) -> None:
    """What ends the connection is transient, and the peer may have acted."""
    found = classify(cls(8, "EOF occurred in violation of protocol"))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)


@pytest.mark.parametrize("cls", [ssl.SSLWantReadError, ssl.SSLWantWriteError])
def test_would_block(cls: type[ssl.SSLError]) -> None:
    """A non-blocking socket that is not ready has done nothing."""
    found = classify(cls(2, "The operation did not complete"))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, False)


def test_bad_certificates() -> None:
    """A certificate that is refused is refused again; its errno 1 is not EPERM."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = 18
    found = classify(error)
    assert (found.verdict, found.applied) == (Verdict.PERMANENT, False)
    assert found.reason == "ssl.SSLCertVerificationError [verify_code 18]"
    assert classify(ssl.SSLCertVerificationError(1, "x")).reason == "ssl.SSLCertVerificationError"


@pytest.mark.parametrize(
    "reason", ["WRONG_VERSION_NUMBER", "SSLV3_ALERT_HANDSHAKE_FAILURE", "CERTIFICATE_VERIFY_FAILED"]
)
def test_nothing_in_common(reason: str) -> None:
    """Wrong port, protocol, cipher or trust do not change by themselves."""
    found = classify(made(ssl.SSLError, reason))
    assert (found.verdict, found.applied, found.reason) == (Verdict.PERMANENT, False, f"ssl.SSLError [{reason}]")


@pytest.mark.parametrize(
    "reason", ["DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "SSLV3_ALERT_BAD_RECORD_MAC", "UNEXPECTED_EOF_WHILE_READING"]
)
def test_damaged_or_cut_short(reason: str) -> None:
    """A new connection helps."""
    found = classify(made(ssl.SSLError, reason))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)


def test_the_reason_in_the_text() -> None:
    """Where the attribute is missing, the text that OpenSSL's reason opens is read."""
    error = ssl.SSLError(1, "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF (_ssl.c:1)")
    assert classify(error).verdict is Verdict.TRANSIENT
    assert (
        classify(copy.copy(made(ssl.SSLError, "WRONG_VERSION_NUMBER"))).reason == "ssl.SSLError [WRONG_VERSION_NUMBER]"
    )


@pytest.mark.parametrize("args", [(), ("text",), (1, "text"), (1, None)])
def test_no_reason_at_all(args: tuple[object, ...]) -> None:
    """An SSLError that says nothing is permanent."""
    found = classify(ssl.SSLError(*args))
    assert (found.verdict, found.reason) == (Verdict.PERMANENT, "ssl.SSLError")


def test_no_free_text_in_a_reason() -> None:
    """A reason that is no code word stays out of the line that people read."""
    assert classify(made(ssl.SSLError, "a secret!")).reason == "ssl.SSLError"
