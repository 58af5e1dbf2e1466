"""Where the sources of the known errors are to be read: from what a row calls its source to Markdown with links."""

from __future__ import annotations

import re

PG = "https://github.com/postgres/postgres/blob/master/src"
MYSQL = "https://dev.mysql.com/doc"
SPECIFICATIONS = "https://github.com/mongodb/specifications/blob/master/source"
PYTHON = "https://docs.python.org/3/library"

WHOLE = {
    "Chromium, net_error_list.h": (
        "https://source.chromium.org/chromium/chromium/src/+/main:net/base/net_error_list.h"
    ),
    "DuckDB documentation, concurrency": "https://duckdb.org/docs/stable/connect/concurrency",
    "Lib/imaplib.py": "https://github.com/python/cpython/blob/main/Lib/imaplib.py",
    "PostgREST documentation, errors": "https://docs.postgrest.org/en/latest/references/errors.html",
    "RFC 6241, appendix A": "https://www.rfc-editor.org/rfc/rfc6241.html#appendix-A",
    "Slack Web API documentation, errors": "https://docs.slack.dev/apis/web-api/using-the-web-api#errors",
    "Snowflake documentation, error codes of the connector": (
        "https://github.com/snowflakedb/snowflake-connector-python/blob/main/src/snowflake/connector/errorcode.py"
    ),
    "memcached, protocol.txt": "https://github.com/memcached/memcached/blob/master/doc/protocol.txt",
    "serial/serialposix.py and serialwin32.py": "https://github.com/pyserial/pyserial/tree/master/serial",
    "Azure SQL documentation, transient errors": (
        "https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues"
    ),
    "FreeTDS, sybdb.h": "https://github.com/FreeTDS/freetds/blob/master/include/sybdb.h",
    "ODBC documentation, SQLSTATEs": (
        "https://learn.microsoft.com/sql/odbc/reference/appendixes/appendix-a-odbc-error-codes"
    ),
    "SQL Server documentation, error messages": (
        "https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors"
    ),
    "AMQP 0-9-1 1.2, reply codes": "https://www.rabbitmq.com/amqp-0-9-1-reference#constants",
    "Azure Storage documentation, error codes": "https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes",
    "Cassandra native protocol, error codes": "https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec",
    "Lib/poplib.py": "https://github.com/python/cpython/blob/main/Lib/poplib.py",
    "RFC 4511 A.2": "https://www.rfc-editor.org/rfc/rfc4511.html#appendix-A.2",
    "asyncio queues documentation": f"{PYTHON}/asyncio-queue.html",
    "cassandra-driver documentation": "https://docs.datastax.com/en/developer/python-driver/latest/api/cassandra/",
    "concurrent.futures documentation": f"{PYTHON}/concurrent.futures.html",
    "confluent-kafka documentation, Producer.produce": "https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html",
    "ftplib documentation": f"{PYTHON}/ftplib.html",
    "imaplib documentation": f"{PYTHON}/imaplib.html",
    "libcurl-errors(3)": "https://curl.se/libcurl/c/libcurl-errors.html",
    "librdkafka, rdkafka.h": "https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka.h",
    "multiprocessing documentation": f"{PYTHON}/multiprocessing.html",
    "poplib documentation": f"{PYTHON}/poplib.html",
    "python-ldap documentation, exceptions": "https://www.python-ldap.org/en/latest/reference/ldap.html#exceptions",
    "queue documentation": f"{PYTHON}/queue.html",
    "smtplib documentation": f"{PYTHON}/smtplib.html",
    "tornado.httpclient documentation": "https://www.tornadoweb.org/en/stable/httpclient.html",
    "trinodb/trino, StandardErrorCode.java": "https://github.com/trinodb/trino/blob/master/core/trino-spi/src/main/java/io/trino/spi/StandardErrorCode.java",
    "xmlrpc.client documentation": f"{PYTHON}/xmlrpc.client.html",
    "AIP-194": "https://google.aip.dev/194",
    "Amazon DynamoDB API reference, common errors": (
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"
    ),
    "Amazon S3 API reference, error responses": ("https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"),
    "Google Cloud documentation, error reasons": "https://cloud.google.com/bigquery/docs/error-messages",
    "AWS SSO OIDC": "https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html",
    "Anthropic API documentation, errors": "https://docs.anthropic.com/en/api/errors",
    "Azure Cosmos DB documentation, HTTP status codes": (
        "https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb"
    ),
    "Cloudflare documentation, 5xx errors": (
        "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/"
    ),
    "CockroachDB documentation, transaction retry errors": (
        "https://www.cockroachlabs.com/docs/stable/transaction-retry-error-reference"
    ),
    "Connector/Python, pooling.py": (
        "https://github.com/mysql/mysql-connector-python/blob/trunk/mysql-connector-python/lib/mysql/connector/pooling.py"
    ),
    "Galera documentation": "https://galeracluster.com/library/documentation/",
    "IANA WebSocket close codes": "https://www.iana.org/assignments/websocket/websocket.xhtml",
    "MariaDB error codes": "https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference",
    "Modules/_ssl.c": "https://github.com/python/cpython/blob/main/Modules/_ssl.c",
    "MongoDB error codes": "https://www.mongodb.com/docs/manual/reference/error-codes/",
    "MongoDB specifications, change streams": f"{SPECIFICATIONS}/change-streams/change-streams.md",
    "MongoDB specifications, client backpressure": f"{SPECIFICATIONS}/client-backpressure/client-backpressure.md",
    "MongoDB specifications, retryable reads and writes": f"{SPECIFICATIONS}/retryable-writes/retryable-writes.md",
    "MongoDB specifications, retryable writes": f"{SPECIFICATIONS}/retryable-writes/retryable-writes.md",
    "MongoDB specifications, transactions": f"{SPECIFICATIONS}/transactions/transactions.md",
    "MySQL client error reference": f"{MYSQL}/mysql-errors/8.4/en/client-error-reference.html",
    "MySQL manual, InnoDB error handling": f"{MYSQL}/refman/8.4/en/innodb-error-handling.html",
    "MySQL server error reference": f"{MYSQL}/mysql-errors/8.4/en/server-error-reference.html",
    "OpenAI documentation, error codes": "https://platform.openai.com/docs/guides/error-codes",
    "OpenSSL 3 migration guide": "https://docs.openssl.org/3.0/man7/migration_guide/",
    "OpenSSL reasons": "https://github.com/openssl/openssl/blob/master/include/openssl/sslerr.h",
    "PostgreSQL documentation, appendix A": "https://www.postgresql.org/docs/current/errcodes-appendix.html",
    "PostgreSQL, postgres.c": f"{PG}/backend/tcop/postgres.c",
    "PostgreSQL, postmaster.c and postinit.c": f"{PG}/backend/postmaster/postmaster.c",
    "PyMySQL, connections.py": "https://github.com/PyMySQL/PyMySQL/blob/main/pymysql/connections.py",
    "Python documentation, OS exceptions": f"{PYTHON}/exceptions.html#os-exceptions",
    "Redis Sentinel documentation": "https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/",
    "Redis cluster specification": "https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/",
    "Redis documentation and server.c": "https://github.com/redis/redis/blob/unstable/src/server.c",
    "SQLAlchemy documentation, core exceptions": "https://docs.sqlalchemy.org/en/20/core/exceptions.html",
    "SQLAlchemy documentation, dealing with disconnects": (
        "https://docs.sqlalchemy.org/en/20/core/pooling.html#dealing-with-disconnects"
    ),
    "SQLite documentation, result codes": "https://www.sqlite.org/rescode.html",
    "TiDB documentation, error codes": "https://docs.pingcap.com/tidb/stable/error-codes",
    "Windows system error codes": "https://learn.microsoft.com/windows/win32/debug/system-error-codes",
    "aiohttp client reference, hierarchy of exceptions": (
        "https://docs.aiohttp.org/en/stable/client_reference.html#hierarchy-of-exceptions"
    ),
    "apache/kafka, Errors.java": (
        "https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/protocol/Errors.java"
    ),
    "asyncio streams documentation": f"{PYTHON}/asyncio-stream.html",
    "asyncio.loop.create_connection": f"{PYTHON}/asyncio-eventloop.html#asyncio.loop.create_connection",
    "botocore data, service models (retryable)": "https://github.com/boto/botocore/tree/develop/botocore/data",
    "draft-ietf-secsh-filexfer, status codes": (
        "https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-13#section-9.1"
    ),
    "gRPC proposal A6": "https://github.com/grpc/proposal/blob/master/A6-client-retries.md",
    "grpc documentation": "https://grpc.github.io/grpc/python/grpc.html",
    "grpc documentation, max message length": "https://grpc.github.io/grpc/core/group__grpc__arg__keys.html",
    "grpc/aio": "https://grpc.github.io/grpc/python/grpc_asyncio.html",
    "grpc/grpc, doc/statuscodes.md": "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md",
    "h11": "https://h11.readthedocs.io/en/latest/api.html#error-handling",
    "http.client documentation": f"{PYTHON}/http.client.html",
    "http.client, _tunnel": "https://github.com/python/cpython/blob/main/Lib/http/client.py",
    "httpcore, _sync/connection_pool.py": (
        "https://github.com/encode/httpcore/blob/master/httpcore/_sync/connection_pool.py"
    ),
    "httpcore, http_proxy.py": "https://github.com/encode/httpcore/blob/master/httpcore/_sync/http_proxy.py",
    "httpcore, http_proxy.py, socks_proxy.py": "https://github.com/encode/httpcore/tree/master/httpcore/_sync",
    "httpx documentation, exceptions": "https://www.python-httpx.org/exceptions/",
    "libpq, fe-connect.c and fe-misc.c": f"{PG}/interfaces/libpq/fe-connect.c",
    "musl commit 2683e267": "https://git.musl-libc.org/cgit/musl/commit/?id=2683e267",
    "pgbouncer, client.c": "https://github.com/pgbouncer/pgbouncer/blob/master/src/client.c",
    "psycopg, _connection_base.py": (
        "https://github.com/psycopg/psycopg/blob/master/psycopg/psycopg/_connection_base.py"
    ),
    "psycopg_pool documentation": "https://www.psycopg.org/psycopg3/docs/api/pool.html",
    "ssl module documentation": f"{PYTHON}/ssl.html#exceptions",
    "subprocess documentation": f"{PYTHON}/subprocess.html#exceptions",
    "urllib.error documentation": f"{PYTHON}/urllib.error.html",
    "urllib.request, do_open": "https://github.com/python/cpython/blob/main/Lib/urllib/request.py",
    "websockets, asyncio/client.py and sync/client.py": (
        "https://github.com/python-websockets/websockets/tree/main/src/websockets"
    ),
}
"""Sources that are named, not written as a path: their whole name, and where that is."""

MANUAL = {
    "SSL_get_error(3)": "https://docs.openssl.org/master/man3/SSL_get_error/",
    "ares_strerror(3)": "https://c-ares.org/docs/ares_strerror.html",
    "curl(1)": "https://curl.se/docs/manpage.html#EXIT",
    "rsync(1)": "https://download.samba.org/pub/rsync/rsync.1#EXIT_VALUES",
    "ssh(1)": "https://man.openbsd.org/ssh.1#EXIT_STATUS",
    "sysexits(3)": "https://man.openbsd.org/sysexits.3",
}
"""Manual pages that are not among those of Linux."""

GOOGLE = "googleapis/google-cloud-python/blob/main/packages"
REPOSITORIES = {
    "azure/servicebus": "Azure/azure-sdk-for-python/blob/main/sdk/servicebus/azure-servicebus",
    "billiard": "celery/billiard/blob/main",
    "celery": "celery/celery/blob/main",
    "databricks": "databricks/databricks-sdk-py/blob/main",
    "kazoo": "python-zk/kazoo/blob/master",
    "websocket": "websocket-client/websocket-client/blob/master",
    "aioftp": "aio-libs/aioftp/blob/master/src",
    "aiormq": "mosquito/aiormq/blob/master",
    "aiosmtplib": "cole/aiosmtplib/blob/main",
    "amqp": "celery/py-amqp/blob/main",
    "curl_cffi": "lexiforest/curl_cffi/blob/main",
    "kombu": "celery/kombu/blob/main",
    "ldap3": "cannatag/ldap3/blob/dev",
    "nats": "nats-io/nats.py/blob/main",
    "opensearchpy": "opensearch-project/opensearch-py/blob/main",
    "engineio": "miguelgrinberg/python-engineio/blob/main/src",
    "ncclient": "ncclient/ncclient/blob/master",
    "pymemcache": "pinterest/pymemcache/blob/master",
    "ray": "ray-project/ray/blob/master/python",
    "selenium": "SeleniumHQ/selenium/blob/trunk/py",
    "snowflake": "snowflakedb/snowflake-connector-python/blob/main/src",
    "socketio": "miguelgrinberg/python-socketio/blob/main/src",
    "telegram": "python-telegram-bot/python-telegram-bot/blob/master/src",
    "telethon": "LonamiWebs/Telethon/blob/v1",
    "pg8000": "tlocke/pg8000/blob/main/src",
    "pika": "pika/pika/blob/main",
    "tornado": "tornadoweb/tornado/blob/master",
    "trino": "trinodb/trino-python-client/blob/master",
    "twisted": "twisted/twisted/blob/trunk/src",
    "aiohttp": "aio-libs/aiohttp/blob/master",
    "anthropic": "anthropics/anthropic-sdk-python/blob/main/src",
    "asyncpg": "MagicStack/asyncpg/blob/master",
    "asyncssh": "ronf/asyncssh/blob/develop",
    "azure": "Azure/azure-sdk-for-python/blob/main/sdk/core/azure-core",
    "boto3": "boto/boto3/blob/develop",
    "botocore": "boto/botocore/blob/develop",
    "bson": "mongodb/mongo-python-driver/blob/master",
    "elastic_transport": "elastic/elastic-transport-python/blob/main",
    "elasticsearch": "elastic/elasticsearch-py/blob/main",
    "google/api_core": f"{GOOGLE}/google-api-core",
    "google/auth": f"{GOOGLE}/google-auth",
    "httpx2": "pydantic/httpx2/blob/main/src/httpx2",
    "kafka": "dpkp/kafka-python/blob/master",
    "mysql/connector": "mysql/mysql-connector-python/blob/trunk/mysql-connector-python/lib",
    "openai": "openai/openai-python/blob/main/src",
    "paramiko": "paramiko/paramiko/blob/main",
    "pymongo": "mongodb/mongo-python-driver/blob/master",
    "redis": "redis/redis-py/blob/master",
    "requests": "psf/requests/blob/main/src",
    "s3transfer": "boto/s3transfer/blob/develop",
    "sqlalchemy": "sqlalchemy/sqlalchemy/blob/main/lib",
    "urllib3": "urllib3/urllib3/blob/main/src",
    "valkey": "valkey-io/valkey-py/blob/main",
    "websockets": "python-websockets/websockets/blob/main/src",
}
"""The repositories on GitHub of the packages that sources written as paths are in, up to the package."""


def linked(source: str) -> str:
    """A source as Markdown: each of its parts as a link, where it is one."""
    return "; ".join(_part(part) for part in source.split("; "))


def _part(part: str) -> str:
    if part in WHOLE:
        return f"[{part}]({WHOLE[part]})"
    pieces = part.split(", ")
    if len(pieces) > 1 and ", ".join(pieces[1:]) in WHOLE:
        return f"{_piece(pieces[0])}, {_part(', '.join(pieces[1:]))}"
    return ", ".join(map(_piece, pieces))


def _piece(piece: str) -> str:
    url = WHOLE.get(piece) or _rfc(piece) or _manual_page(piece) or _file(piece)
    return f"[{piece}]({url})" if url else piece


def _rfc(piece: str) -> str | None:
    found = re.fullmatch(r"RFC (\d+)(?: ([\d.]+))?", piece)
    section = f"#section-{found[2]}" if found and found[2] else ""
    return f"https://www.rfc-editor.org/rfc/rfc{found[1]}.html{section}" if found else None


def _manual_page(piece: str) -> str | None:
    found = re.fullmatch(r"(\w+)\((\d)\)", piece)
    return (
        MANUAL.get(piece, f"https://man7.org/linux/man-pages/man{found[2]}/{found[1]}.{found[2]}.html")
        if found
        else None
    )


def _file(piece: str) -> str | None:
    path = re.match(r"(?:botocore data/_retry\.json|[\w/]+(?:\.py)?)", piece)
    if path is None or "/" not in path[0]:
        return None
    place = path[0].replace("botocore data/", "botocore/data/")
    package = next((name for name in REPOSITORIES if place.startswith(f"{name}/") or place == name), None)
    if package is None:
        return None
    whole = f"{REPOSITORIES[package]}/{place}"
    return f"https://github.com/{whole if place.endswith(('.py', '.json')) else whole.replace('/blob/', '/tree/')}"
