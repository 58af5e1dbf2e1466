"""Floor 2. botocore, and boto3 upon it: ClientError by AWS's error code, then by status; the others by class.

`ClientError.response` is a dict, the headers inside it. botocore raises without `from`, so the root is in a context.
"""

from __future__ import annotations

from redouble.core.hints import from_headers
from redouble.core.raw import at, whole
from redouble.known.error_text import first_text
from redouble.known.http_status import judge_status, now_of, poll
from redouble.known.row import (
    PENDING,
    PERHAPS,
    PERMANENT,
    SURELY_NOT,
    TRANSIENT,
    answer,
    named,
    restated,
    shown_code,
)
from redouble.known.table import Table, base, by, by_class, client
from redouble.known.words import BY_STATUS, as_beneath, beneath, handshake, if_beneath_agrees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking, Row
    from redouble.known.table import Rows

_EXC = "botocore/exceptions.py"
_SEND = "botocore/httpsession.py, send"
_STANDARD = "botocore/retries/standard.py"
_LEGACY = "botocore data/_retry.json"
_MODELS = "botocore data, service models (retryable)"
_CHECKSUM = "botocore/httpchecksum.py"

_STATUS = ("response", "ResponseMetadata", "HTTPStatusCode")
_HEADERS = ("response", "ResponseMetadata", "HTTPHeaders")
_CODE = ("response", "Error", "Code")


def read_client_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an answer of AWS: the code outranks the status; a numeric code stands in for a missing status."""
    status, headers, code = at(error, _STATUS), at(error, _HEADERS), at(error, _CODE)
    row = _row(code, rows)
    if row is not None:
        return _by_code(error, row, headers, known)
    if whole(status) is None and type(code) is str and len(code) == 3 and code.isascii() and code.isdigit():
        status = int(code)
    found = judge_status(status, headers, known.wall, who=named(error))
    if found is None:
        return rows[""].because(named(error) + shown_code(code))
    return restated(found, found.reason + shown_code(code), found.applied)


def _by_code(error: Any, row: Row, headers: Any, known: Asking) -> Classification:
    hint = None if headers is None else from_headers(headers, now_of(known.wall))
    curve = poll(row.code) if row.verdict is PENDING else None
    return row.because(f"{named(error)} [{row.code}]", hint, backoff=curve)


def _row(code: Any, rows: Rows) -> Row | None:
    """Return the row of a code; event streams write theirs with a small letter: `throttlingException`."""
    if type(code) is not str or not code or code in BY_STATUS:
        return None
    return rows.get(code) or rows.get(code[:1].upper() + code[1:])


def read_checksum_error(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a body with a wrong checksum; the same class says that a checksum cannot be computed."""
    return answer(error, rows["did not match" if " did not match calculated checksum" in first_text(error) else ""])


_RETRIES = as_beneath("last_exception")(
    (TRANSIENT, PERHAPS, "s3transfer/exceptions.py", "as its last exception", "RetriesExceededError")
)

TABLE: Table = (
    client(
        "botocore",
        by(read_client_error).of(
            "ClientError",
            (
                TRANSIENT,
                SURELY_NOT,
                _STANDARD,
                "throttled: not done",
                "Throttling ThrottlingException ThrottledException RequestThrottledException TooManyRequestsException"
                " ProvisionedThroughputExceededException TransactionInProgressException RequestLimitExceeded"
                " BandwidthLimitExceeded RequestThrottled SlowDown EC2ThrottledException PriorRequestNotComplete",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                _STANDARD,
                "throttled in Kinesis; elsewhere often a limit that stays",
                "LimitExceededException",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                _MODELS,
                "throttled: not done",
                "ThrottledRequestException TooManyRequestException",
            ),
            (
                TRANSIENT,
                PERHAPS,
                _STANDARD,
                "the request came too slowly: perhaps in parts",
                "RequestTimeout RequestTimeoutException",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                _LEGACY,
                "STS cannot reach the identity provider",
                "IDPCommunicationError",
            ),
            (TRANSIENT, SURELY_NOT, _LEGACY, "S3: the body was damaged on its way", "BadDigest"),
            (
                TRANSIENT,
                SURELY_NOT,
                _LEGACY + ", service models",
                "somebody else writes",
                "ReplicatedWriteConflictException RetryableConflictException",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                "Amazon S3 API reference, error responses",
                "another operation on the same thing is under way",
                "OperationAborted",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                "Amazon DynamoDB API reference, common errors",
                "another transaction holds the item",
                "TransactionConflictException",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                _MODELS,
                "not ready yet",
                "ModelNotReadyException DirectoryUnavailableException",
            ),
            (
                TRANSIENT,
                PERHAPS,
                _MODELS,
                "also with the 200 of a stream, or of a long copy in S3",
                "InternalError InternalFailure InternalServerError InternalServerException"
                " InternalServerErrorException InternalServiceError InternalServiceErrorException"
                " InternalServiceException GatewayTimedOutException",
            ),
            (
                TRANSIENT,
                SURELY_NOT,
                _MODELS,
                "also with the 200 of a stream",
                "ServiceUnavailable ServiceUnavailableException",
            ),
            (
                PERMANENT,
                SURELY_NOT,
                _MODELS + "; policy",
                "a limit that waiting does not raise",
                "ServiceQuotaExceededException",
            ),
            (
                PENDING,
                SURELY_NOT,
                "RFC 8628 3.5, AWS SSO OIDC",
                "a login",
                "AuthorizationPendingException SlowDownException",
            ),
            (TRANSIENT, PERHAPS, "RFC 9110 15", "any other code: by its status", BY_STATUS),
            (PERMANENT, SURELY_NOT, _EXC, "an unknown code, and no status", ""),
        ),
        by(read_checksum_error).of(
            "FlexibleChecksumError",
            (TRANSIENT, PERHAPS, _CHECKSUM, "the answer was damaged on its way", ("did not match",)),
            (PERMANENT, SURELY_NOT, _CHECKSUM, "a mistake in the settings", ""),
        ),
        by_class(
            (TRANSIENT, SURELY_NOT, _SEND, "nothing was sent", "ConnectTimeoutError"),
            (
                TRANSIENT,
                PERHAPS,
                "botocore/response.py",
                "the answer was cut",
                "ResponseStreamingError IncompleteReadError",
            ),
            (TRANSIENT, PERHAPS, "botocore/retryhandler.py", "the answer was damaged on its way", "ChecksumError"),
            (
                TRANSIENT,
                SURELY_NOT,
                "botocore/retries/adaptive.py",
                "held back here: nothing was sent",
                "CapacityNotAvailableError",
            ),
            (PERMANENT, PERHAPS, _EXC, "it did not come to pass, or not in time", "WaiterError"),
        ),
        base("botocore")(
            (
                PERMANENT,
                SURELY_NOT,
                _EXC,
                "a mistake in the settings or in the call; no credentials",
                "BotoCoreError",
            ),
        ),
        handshake((TRANSIENT, PERHAPS, _SEND, "the server may have done it", "ReadTimeoutError")),
        # aiobotocore raises EndpointConnectionError also for a reset after the request was sent.
        if_beneath_agrees()(
            (
                TRANSIENT,
                SURELY_NOT,
                _SEND,
                "as the error beneath it: nothing was sent",
                "ConnectionError EndpointConnectionError ProxyConnectionError",
            ),
        ),
        as_beneath()(
            (PERMANENT, SURELY_NOT, _SEND, "as the error beneath it, when too; else as a certificate", "SSLError")
        ),
        beneath()((TRANSIENT, PERHAPS, _SEND, "as the error beneath it", "HTTPClientError ConnectionClosedError")),
    )
    + client(
        "boto3",
        _RETRIES,
        as_beneath()(
            (PERMANENT, PERHAPS, "boto3/s3/transfer.py", "as the error beneath it", "S3UploadFailedError"),
        ),
    )
    + client("s3transfer", _RETRIES)
)
