"""Floor 1. botocore's errors: lookalikes by name, and the real ones where botocore is installed."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors
from redouble.known.http_status import POLL, SLOWER

T, P, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING


def made(
    name: str, *args: Any, module: str = "botocore.exceptions", context: Any = None, **attributes: Any
) -> Exception:
    """An error whose class has the name of one of botocore's; it is raised without `from`."""
    error: Exception = type(name, (Exception,), {"__module__": module})(*args)
    vars(error).update(attributes)
    error.__context__ = context
    return error


def answer(code: Any, status: Any, headers: Any = None) -> Exception:
    """A ClientError as botocore makes it."""
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return made("ClientError", response={"Error": {"Code": code}, "ResponseMetadata": metadata})


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "status", "verdict", "applied"),
    [
        ("ThrottlingException", 400, T, False),
        ("RequestThrottled", 403, T, False),
        ("SlowDown", 503, T, False),
        ("RequestTimeout", 400, T, True),
        ("IDPCommunicationError", 400, T, False),
        ("InternalError", 200, T, True),
        ("throttlingException", None, T, False),
        ("ServiceQuotaExceededException", 429, P, False),
        ("AuthorizationPendingException", 400, PENDING, False),
        ("SlowDownException", 400, PENDING, False),
    ],
)
def test_codes(code: str, status: Any, verdict: Verdict, applied: bool) -> None:
    """The code outranks the status; event streams write it with a small letter."""
    found = ask(answer(code, status))
    assert (found.verdict, found.applied) == (verdict, applied)
    assert found.reason.lower() == f"botocore.clienterror [{code.lower()}]"
    assert (found.backoff in (POLL, SLOWER)) == (verdict is PENDING)


@pytest.mark.parametrize(
    ("code", "status", "verdict", "reason"),
    [
        ("AccessDenied", 403, P, "botocore.ClientError 403 [AccessDenied]"),
        ("NoSuchKey", 404, P, "botocore.ClientError 404 [NoSuchKey]"),
        ("Unknown", 500, T, "botocore.ClientError 500 [Unknown]"),
        ("504", None, T, "botocore.ClientError 504 [504]"),
        ("404", None, P, "botocore.ClientError 404 [404]"),
        ("Nobody", None, P, "botocore.ClientError [Nobody]"),
        ("a secret: x", 403, P, "botocore.ClientError 403"),
        (None, None, P, "botocore.ClientError"),
    ],
)
def test_statuses(code: Any, status: Any, verdict: Verdict, reason: str) -> None:
    """Any other code by its status; a code that is a number stands for one that is missing."""
    found = ask(answer(code, status))
    assert (found.verdict, found.reason) == (verdict, reason)


def test_hints() -> None:
    """AWS's header is in milliseconds."""
    assert ask(answer("ThrottlingException", 400, {"x-amz-retry-after": "1500"})).retry_after == 1.5
    assert ask(answer("Unknown", 503, {"retry-after": "2"})).retry_after == 2.0
    none = made("ClientError", response={"Error": {"Code": "Throttling"}})
    assert ask(none).retry_after is None


@pytest.mark.parametrize("response", [None, 5, [], {}, {"Error": 5}, {"ResponseMetadata": []}, {"Error": {"Code": []}}])
def test_responses_of_another_kind(response: Any) -> None:
    """What has neither code nor status is permanent."""
    assert ask(made("ClientError", response=response)).verdict is P


@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("ConnectTimeoutError", T, False),
        ("ReadTimeoutError", T, True),
        ("EndpointConnectionError", T, False),
        ("ProxyConnectionError", T, False),
        ("ConnectionClosedError", T, True),
        ("HTTPClientError", T, True),
        ("ResponseStreamingError", T, True),
        ("IncompleteReadError", T, True),
        ("CapacityNotAvailableError", T, False),
        ("SSLError", P, False),
        ("BotoCoreError", P, False),
        ("WaiterError", P, True),
    ],
)
def test_classes(name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone."""
    found = ask(made(name))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"botocore.{name}")


def test_roots() -> None:
    """It raises without `from`: the urllib3 error is the context, and the root is beneath it."""
    resolution = made("NameResolutionError", module="urllib3.exceptions")
    resolution.__cause__ = socket.gaierror(socket.EAI_NONAME, "x")
    assert ask(made("EndpointConnectionError", context=resolution)).verdict is P
    cut = made("SSLError", ssl.SSLEOFError(8, "x"), module="urllib3.exceptions")
    assert (ask(made("SSLError", context=cut)).verdict, ask(made("SSLError", context=cut)).applied) == (T, False)
    certificate = made("SSLError", ssl.SSLCertVerificationError(1, "x"), module="urllib3.exceptions")
    assert ask(made("SSLError", context=certificate)).verdict is P


def test_checksums() -> None:
    """One class says that an answer was damaged, and that a checksum cannot be made."""
    damaged = made("FlexibleChecksumError", "Expected checksum a did not match calculated checksum: b")
    assert (ask(damaged).verdict, ask(damaged).applied) == (T, True)
    assert ask(made("FlexibleChecksumError", "Unsupported checksum algorithm: x")).verdict is P


def test_transfers() -> None:
    """boto3's and s3transfer's errors mean what is beneath them."""
    for module in ("boto3.exceptions", "s3transfer.exceptions"):
        last = made("RetriesExceededError", module=module, last_exception=made("NoCredentialsError"))
        assert ask(last).verdict is T  # nothing known beneath: a class that is not in the table
        last = made("RetriesExceededError", module=module, last_exception=made("BotoCoreError"))
        assert ask(last).verdict is P
    upload = made("S3UploadFailedError", module="boto3.exceptions", context=answer("SlowDown", 503))
    assert ask(upload).verdict is T
    assert ask(made("S3UploadFailedError", module="boto3.exceptions")).verdict is P


def test_the_real_ones() -> None:
    """The names and attributes are those that botocore has, and a service's own classes are recognised."""
    exceptions = pytest.importorskip("botocore.exceptions")
    response = {
        "Error": {"Code": "X"},
        "ResponseMetadata": {"HTTPStatusCode": 503, "HTTPHeaders": {"retry-after": "2"}},
    }
    dynamic = type("SomeException", (exceptions.ClientError,), {"__module__": "botocore.errorfactory"})
    found = ask(dynamic(response, "Op"))
    assert (found.verdict, found.retry_after, found.reason) == (T, 2.0, "botocore.SomeException 503 [X]")
    assert ask(exceptions.NoCredentialsError()).verdict is P
    assert ask(exceptions.ReadTimeoutError(endpoint_url="u")).applied is True
    assert ask(exceptions.ConnectTimeoutError(endpoint_url="u")).applied is False
    text = "Expected checksum a did not match calculated checksum: b"
    assert ask(exceptions.FlexibleChecksumError(error_msg=text)).verdict is T
