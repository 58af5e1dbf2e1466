"""Floor 2. The list of the clients' tables; each is loaded when the first error of that client is judged.

The tables for Python's own errors are loaded with redouble: they must be there when no file can be opened any more. A
new client is one more file, and a line here.
"""

from __future__ import annotations

from redouble.known.tables import builtins, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.known.row import Row
    from redouble.known.table import Entry, Key, Table

SHARED = ("http_status", "sqlstate")
"""Modules of `known/` whose rows belong to no class: several tables share them."""

PLACES: dict[str, str] = {
    "_duckdb": "duckdb",
    "_queue": "queue",
    "aiodns": "aiohttp",
    "aioftp": "ftp",
    "aiohttp": "aiohttp",
    "aiokafka": "kafka",
    "aiormq": "amqp",
    "aiosmtplib": "mail",
    "amqp": "amqp",
    "anthropic": "openai",
    "asyncio": "asyncio",
    "asyncmy": "mysql",
    "asyncpg": "postgres",
    "asyncssh": "asyncssh",
    "azure": "azure",
    "billiard": "celery",
    "boto3": "botocore",
    "botocore": "botocore",
    "bson": "pymongo",
    "builtins": "builtins",
    "cassandra": "cassandra",
    "celery": "celery",
    "cimpl": "confluent_kafka",
    "concurrent": "queue",
    "confluent_kafka": "confluent_kafka",
    "curl_cffi": "curl",
    "databricks": "databricks",
    "duckdb": "duckdb",
    "elastic_transport": "elasticsearch",
    "elasticsearch": "elasticsearch",
    "engineio": "socketio",
    "ftplib": "ftp",
    "google": "google",
    "googleapiclient": "google",
    "grpc": "grpc",
    "http": "http",
    "httpcore": "httpx",
    "httpcore2": "httpx",
    "httpx": "httpx",
    "httpx2": "httpx",
    "httpx_sse": "httpx",
    "imaplib": "mail",
    "kafka": "kafka",
    "kazoo": "kazoo",
    "kombu": "amqp",
    "ldap": "ldap",
    "ldap3": "ldap",
    "mariadb": "mysql",
    "multiprocessing": "queue",
    "mysql": "mysql",
    "MySQLdb": "mysql",
    "nats": "nats",
    "ncclient": "ncclient",
    "niquests": "requests",
    "openai": "openai",
    "opensearchpy": "elasticsearch",
    "paramiko": "paramiko",
    "pg8000": "postgres",
    "pika": "amqp",
    "poplib": "mail",
    "postgrest": "postgrest",
    "prestodb": "trino",
    "psycopg": "postgres",
    "psycopg2": "postgres",
    "psycopg_pool": "postgres",
    "pycurl": "curl",
    "pymemcache": "memcache",
    "pymongo": "pymongo",
    "pymssql": "sqlserver",
    "pymysql": "mysql",
    "pyodbc": "sqlserver",
    "queue": "queue",
    "ray": "ray",
    "redis": "redis",
    "requests": "requests",
    "s3transfer": "botocore",
    "selenium": "selenium",
    "serial": "serial",
    "slack_sdk": "slack",
    "smtplib": "mail",
    "snowflake": "snowflake",
    "socket": "socket",
    "socketio": "socketio",
    "sqlalchemy": "sqlalchemy",
    "sqlite3": "sqlite3",
    "ssl": "ssl",
    "subprocess": "subprocess",
    "telegram": "telegram",
    "telethon": "telegram",
    "tornado": "tornado",
    "trino": "trino",
    "twisted": "twisted",
    "urllib": "urllib",
    "urllib3": "urllib3",
    "valkey": "redis",
    "websocket": "websocket",
    "websockets": "websockets",
    "xmlrpc": "xmlrpc",
}
"""The module with the table of each top package."""

_loaded: dict[str, Table] = {"builtins": builtins.TABLE, "socket": socket.TABLE}


def table_of(package: str) -> Table | None:
    """Return the table that knows the classes of a top package; `None` where none does.

    Raises:
        Exception: Any failure to load the module of the table: no file can be opened, it was deleted.
    """
    place = PLACES.get(package)
    return None if place is None else _load(place)


def _load(place: str) -> Table:
    found = _loaded.get(place)
    if found is None:
        found = _loaded[place] = __import__(f"{__name__}.{place}", fromlist=["TABLE"]).TABLE
    return found


def everything() -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Return the name of each module that has rows, and its rows, in the order in which the documentation shows them."""
    for name in SHARED:
        module = f"redouble.known.{name}"
        yield module, __import__(module, fromlist=["ROWS"]).ROWS
    for place in dict.fromkeys(PLACES.values()):
        yield f"{__name__}.{place}", _load(place).rows


def entries() -> dict[Key, Entry]:
    """Return the entries of all tables, by top package and name of the class."""
    places = dict.fromkeys(PLACES.values())
    return {key: entry for place in places for key, entry in _load(place).entries.items()}


def all_rows() -> tuple[Row, ...]:
    """Return the rows of all tables."""
    return tuple(row for _, rows in everything() for row in rows)
