"""Floor 2. botocore, and boto3 upon it: ClientError by AWS's error code, then by status; the others by class.

`ClientError.response` is a dict, the headers inside it. botocore raises without `from`, so the root is in a context.
"""

from __future__ import annotations

from redouble.core.hints import from_headers
from redouble.core.verdict import Classification, Verdict
from redouble.known.http_status import judge_status, now_of, poll
from redouble.known.roots import wrappers
from redouble.known.rows import (
    PERMANENT,
    TRANSIENT,
    Row,
    by_class,
    coded,
    first_text,
    is_a,
    named,
    probe,
    shown_code,
    whole,
)
from redouble.known.tls import telling_handshakes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_STANDARD = "botocore/retries/standard.py"
_LEGACY = "botocore data/_retry.json"
_MODELS = "botocore data, service models (retryable)"
_GROUPS = (
    (
        TRANSIENT,
        False,
        _STANDARD,
        "throttled: not done",
        "Throttling ThrottlingException ThrottledException RequestThrottledException TooManyRequestsException"
        " ProvisionedThroughputExceededException TransactionInProgressException RequestLimitExceeded"
        " BandwidthLimitExceeded RequestThrottled SlowDown EC2ThrottledException PriorRequestNotComplete",
    ),
    (TRANSIENT, False, _STANDARD, "throttled in Kinesis; elsewhere often a limit that stays", "LimitExceededException"),
    (TRANSIENT, False, _MODELS, "throttled: not done", "ThrottledRequestException TooManyRequestException"),
    (
        TRANSIENT,
        True,
        _STANDARD,
        "the request came too slowly: perhaps in parts",
        "RequestTimeout RequestTimeoutException",
    ),
    (TRANSIENT, False, _LEGACY, "STS cannot reach the identity provider", "IDPCommunicationError"),
    (TRANSIENT, False, _LEGACY, "S3: the body was damaged on its way", "BadDigest"),
    (
        TRANSIENT,
        False,
        _LEGACY + ", service models",
        "somebody else writes",
        "ReplicatedWriteConflictException RetryableConflictException",
    ),
    (TRANSIENT, False, _MODELS, "not ready yet", "ModelNotReadyException DirectoryUnavailableException"),
    (
        TRANSIENT,
        True,
        _MODELS,
        "also with the 200 of a stream, or of a long copy in S3",
        "InternalError InternalFailure InternalServerError InternalServerException InternalServerErrorException"
        " InternalServiceError InternalServiceErrorException InternalServiceException GatewayTimedOutException",
    ),
    (TRANSIENT, False, _MODELS, "also with the 200 of a stream", "ServiceUnavailable ServiceUnavailableException"),
    (PERMANENT, False, _MODELS + "; policy", "a limit that waiting does not raise", "ServiceQuotaExceededException"),
    (
        Verdict.PENDING,
        False,
        "RFC 8628 3.5, AWS SSO OIDC",
        "a login",
        "AuthorizationPendingException SlowDownException",
    ),
)
_CODES = coded("botocore", "ClientError", _GROUPS)
_BY_CODE = {row.code: row for row in _CODES}
_STATUS = Row("botocore", "ClientError", "by status", TRANSIENT, True, "RFC 9110 15", "any other code: by its status")
_NO_STATUS = Row(
    "botocore", "ClientError", "", PERMANENT, False, "botocore/exceptions.py", "an unknown code, and no status"
)


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("botocore", name, "", verdict, applied, source, note) for name in names.split())


_EXC = "botocore/exceptions.py"
_SEND = "botocore/httpsession.py, send"
_PLAIN = (
    *_rows(TRANSIENT, False, _SEND, "nothing was sent", "ConnectTimeoutError"),
    *_rows(TRANSIENT, True, _SEND, "the server may have done it", "ReadTimeoutError"),
    *_rows(TRANSIENT, True, "botocore/response.py", "the answer was cut", "ResponseStreamingError IncompleteReadError"),
    *_rows(TRANSIENT, True, "botocore/retryhandler.py", "the answer was damaged on its way", "ChecksumError"),
    *_rows(
        TRANSIENT,
        False,
        "botocore/retries/adaptive.py",
        "held back here: nothing was sent",
        "CapacityNotAvailableError",
    ),
    *_rows(PERMANENT, False, _EXC, "a mistake in the settings or in the call; no credentials", "BotoCoreError"),
    *_rows(PERMANENT, True, _EXC, "it did not come to pass, or not in time", "WaiterError"),
)
_CONNECTING = (
    *_rows(
        TRANSIENT,
        False,
        _SEND,
        "as the error beneath it: nothing was sent",
        "ConnectionError EndpointConnectionError ProxyConnectionError",
    ),
)
_TLS = _rows(PERMANENT, False, _SEND, "as the error beneath it, when too; else as a certificate", "SSLError")
_IN_FLIGHT = _rows(TRANSIENT, True, _SEND, "as the error beneath it", "HTTPClientError ConnectionClosedError")
_DAMAGED = Row(
    "botocore",
    "FlexibleChecksumError",
    "did not match",
    TRANSIENT,
    True,
    "botocore/httpchecksum.py",
    "the answer was damaged on its way",
)
_NO_CHECKSUM = Row(
    "botocore", "FlexibleChecksumError", "", PERMANENT, False, "botocore/httpchecksum.py", "a mistake in the settings"
)
_UPLOAD = Row("boto3", "S3UploadFailedError", "", PERMANENT, True, "boto3/s3/transfer.py", "as the error beneath it")
_RETRIES = tuple(
    Row(package, "RetriesExceededError", "", TRANSIENT, True, "s3transfer/exceptions.py", "as its last exception")
    for package in ("boto3", "s3transfer")
)
ROWS: tuple[Row, ...] = (
    *_CODES,
    _STATUS,
    _NO_STATUS,
    *_PLAIN,
    *_CONNECTING,
    *_TLS,
    *_IN_FLIGHT,
    _DAMAGED,
    _NO_CHECKSUM,
    _UPLOAD,
    *_RETRIES,
)


def read_client_error(error: Any, known: Asking) -> Classification | None:
    """An answer of AWS: the code outranks the status; a code that is a number stands for a status that is missing."""
    response = probe(error, "response")
    metadata = _item(response, "ResponseMetadata")
    status, headers = _item(metadata, "HTTPStatusCode"), _item(metadata, "HTTPHeaders")
    code = _item(_item(response, "Error"), "Code")
    row = _row(code)
    if row is not None:
        return _by_code(error, row, headers, known)
    if whole(status) is None and type(code) is str and len(code) == 3 and code.isascii() and code.isdigit():
        status = int(code)
    found = judge_status(status, headers, known.wall, who=named(error))
    if found is None:
        return _NO_STATUS.because(named(error) + shown_code(code))
    return found.because(found.reason + shown_code(code))


def _by_code(error: Any, row: Row, headers: Any, known: Asking) -> Classification:
    hint = None if headers is None else from_headers(headers, now_of(known.wall))
    curve = poll(row.code) if row.verdict is Verdict.PENDING else None
    return row.because(f"{named(error)} [{row.code}]", hint, backoff=curve)


def _row(code: Any) -> Row | None:
    """The row of a code; event streams write theirs with a small letter: `throttlingException`."""
    return None if type(code) is not str else _BY_CODE.get(code) or _BY_CODE.get(code[:1].upper() + code[1:])


def _item(mapping: Any, key: str) -> Any:
    return dict.get(mapping, key) if is_a(mapping, dict) else None


def read_checksum_error(error: Any, _: Asking) -> Classification:
    """A body with another checksum than was announced; the same class says that a checksum cannot be made."""
    if " did not match calculated checksum" in first_text(error):
        return _DAMAGED.because(f"{named(error)} [did not match]")
    return _NO_CHECKSUM.because(named(error))


TABLE: Table = {
    ("botocore", "ClientError"): read_client_error,
    ("botocore", "FlexibleChecksumError"): read_checksum_error,
    **by_class(_PLAIN),
    **telling_handshakes(by_class(_PLAIN), ("botocore", "ReadTimeoutError")),
    **wrappers(_CONNECTING),
    **wrappers(_TLS, as_inner=True),
    **wrappers(_IN_FLIGHT),
    **wrappers((_UPLOAD,), as_inner=True),
    **wrappers(_RETRIES, "last_exception", as_inner=True),
}
