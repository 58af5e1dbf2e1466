"""Floor 2. All tables of this package together; loaded when the first error is judged.

Each module exports `TABLE`, which maps (top package, class name) to a reader, and `ROWS`, which say the same for people.
A new domain is one more module in `MODULES`.
"""

from __future__ import annotations

import redouble.known.aiohttp_errors as aiohttp_errors
import redouble.known.azure_errors as azure_errors
import redouble.known.botocore_errors as botocore_errors
import redouble.known.dns as dns
import redouble.known.elastic_errors as elastic_errors
import redouble.known.google_api as google_api
import redouble.known.grpc_errors as grpc_errors
import redouble.known.http_status as http_status
import redouble.known.httpx_errors as httpx_errors
import redouble.known.kafka_errors as kafka_errors
import redouble.known.mongo_errors as mongo_errors
import redouble.known.mysql_errors as mysql_errors
import redouble.known.openai_errors as openai_errors
import redouble.known.os_errors as os_errors
import redouble.known.postgres_errors as postgres_errors
import redouble.known.processes as processes
import redouble.known.redis_errors as redis_errors
import redouble.known.requests_errors as requests_errors
import redouble.known.sqlalchemy_errors as sqlalchemy_errors
import redouble.known.sqlite_errors as sqlite_errors
import redouble.known.sqlstate as sqlstate
import redouble.known.ssh_errors as ssh_errors
import redouble.known.streams as streams
import redouble.known.tls as tls
import redouble.known.urllib3_errors as urllib3_errors
import redouble.known.urllib_errors as urllib_errors
import redouble.known.websocket_errors as websocket_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.known.rows import Row, Table

MODULES = (
    os_errors,
    dns,
    tls,
    streams,
    http_status,
    urllib_errors,
    requests_errors,
    urllib3_errors,
    httpx_errors,
    aiohttp_errors,
    openai_errors,
    botocore_errors,
    azure_errors,
    elastic_errors,
    google_api,
    grpc_errors,
    sqlstate,
    postgres_errors,
    mysql_errors,
    sqlalchemy_errors,
    sqlite_errors,
    redis_errors,
    mongo_errors,
    kafka_errors,
    ssh_errors,
    websocket_errors,
    processes,
)
"""In the order in which the documentation shows their rows; no two of them know the same class."""

TABLE: Table = {key: reader for module in MODULES for key, reader in module.TABLE.items()}
INHERITED: Table = os_errors.INHERITED
"""The builtins that also answer for classes which others derive from them."""

ROWS: tuple[Row, ...] = tuple(row for module in MODULES for row in module.ROWS)
