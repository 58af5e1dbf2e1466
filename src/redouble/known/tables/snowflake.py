"""Floor 2. Snowflake's connector: by class where it comes from an HTTP status, an OperationalError by its number."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import OTHER, number_at

_EXC = "snowflake/connector/errors.py"
_CODES = "Snowflake documentation, error codes of the connector"

TABLE: Table = client(
    "snowflake",
    by_class(
        (TRANSIENT, SURELY_NOT, _EXC, "too many requests", "TooManyRequests"),
        (TRANSIENT, SURELY_NOT, _EXC, "the server gave up waiting for the request", "RequestTimeoutError"),
        (TRANSIENT, PERHAPS, _EXC, "the service failed, or its gateway", "InternalServerError BadGatewayError"),
        (TRANSIENT, PERHAPS, _EXC, "the service failed, or its gateway", "ServiceUnavailableError GatewayTimeoutError"),
        (TRANSIENT, PERHAPS, _EXC, "a status that the connector retries itself", "OtherHTTPRetryableError"),
        (PERMANENT, SURELY_NOT, _EXC, "the request or the rights", "BadRequest ForbiddenError MethodNotAllowed"),
        (PERMANENT, SURELY_NOT, _EXC, "the statement, the data or the rights", "DatabaseError"),
    ),
    number_at("errno").of(
        "OperationalError",
        (TRANSIENT, SURELY_NOT, _CODES, "the service cannot be reached", "250001 250003"),
        (TRANSIENT, SURELY_NOT, _CODES, "the login took too long", "14"),
        (TRANSIENT, PERHAPS, _CODES, "an HTTP status that the connector retried in vain", "250005 251011"),
        (PERMANENT, PERHAPS, _CODES, "the login, the certificate or the statement", OTHER),
    ),
)
