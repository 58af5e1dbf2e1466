"""Floor 2. Clients with retries of their own: how to turn them off, and the errors that show that they gave up."""

from __future__ import annotations

from redouble.core.causes import DEPTH, cause_of
from redouble.core.raw import is_a, probe, whole
from redouble.core.record import Record
from redouble.known.handed import instance_dict
from redouble.known.request import context_of, values_in_frames
from redouble.known.row import remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Tells: TypeAlias = Callable[[BaseException], bool]
    Asked: TypeAlias = tuple["OwnRetries | None", Tells]


class OwnRetries(Record):
    """One client's own retries.

    Fields:
        client: The client, as its users call it.
        does: Its retries by default.
        off: The setting that turns them off; empty where there is none.
        note: How it shows that it gave up, or another hint for the reader; may be empty.
    """

    client: str
    does: str
    off: str
    note: str = ""

    @property
    def advice(self) -> str:
        """The line for the note of an error on which it gave up."""
        return f"{self.client} has tried again by itself: {self.off} leaves that to redouble"


_QUIET = "its errors do not tell"

BOTOCORE = OwnRetries(
    "boto3, botocore",
    "4 retries (`legacy`), 2 in the mode `standard`",
    'Config(retries={"total_max_attempts": 1, "mode": "standard"})',
    "answers tell (`MaxAttemptsReached`), connection errors do not",
)
GOOGLE = OwnRetries(
    "google-cloud clients", "retries until a deadline, by method", "retry=None", "in each call; `RetryError`"
)
PYMONGO = OwnRetries(
    "PyMongo", "1 retry", "MongoClient(retryReads=False, retryWrites=False)", "tells by its frames in the traceback"
)
REDIS = OwnRetries(
    "redis-py 6 and later",
    "3 retries, 10 since 8",
    "Redis(retry=Retry(NoBackoff(), 0))",
    "tells by its frames in the traceback",
)
TENACITY = OwnRetries("tenacity", "what its decorator says", "stop=stop_after_attempt(1)", "`RetryError`")
URLLIB3 = OwnRetries(
    "urllib3", "3 retries, of idempotent methods", "PoolManager(retries=False)", "`MaxRetryError`, after a retry"
)

TABLE: tuple[OwnRetries, ...] = (
    OwnRetries(
        "aiohttp 3.10 and later",
        "1 retry, of idempotent methods, when the connection breaks",
        "",
        "there is no switch; " + _QUIET,
    ),
    OwnRetries("anthropic", "2 retries, POSTs too", "Anthropic(max_retries=0)", _QUIET),
    OwnRetries("azure-core", "10 retries", "retry_total=0", "an argument of each client; " + _QUIET),
    BOTOCORE,
    OwnRetries(
        "clickhouse-connect",
        "2 retries of queries, 1 of commands",
        "client.query_retries = client.http_retries = 0",
        _QUIET,
    ),
    OwnRetries("elasticsearch", "3 retries", "Elasticsearch(max_retries=0)", _QUIET),
    GOOGLE,
    OwnRetries(
        "grpc", "what the service's config says", 'options=[("grpc.enable_retries", 0)]', "of the channel; " + _QUIET
    ),
    OwnRetries("kafka-python", "retries for 2 minutes", "KafkaProducer(retries=0, enable_idempotence=False)", _QUIET),
    OwnRetries("kubernetes", "3 retries, by urllib3", "configuration.retries = False", "as urllib3"),
    OwnRetries("openai", "2 retries, POSTs too", "OpenAI(max_retries=0)", _QUIET),
    PYMONGO,
    REDIS,
    OwnRetries("requests", "none, unless an adapter is mounted", "HTTPAdapter(max_retries=0)", "as urllib3"),
    OwnRetries("slack_sdk", "1 retry after a reset, POSTs too", "WebClient(retry_handlers=[])", _QUIET),
    OwnRetries(
        "SQLAlchemy", "none; a dead connection is replaced", "create_engine(pool_pre_ping=False)", "the default"
    ),
    OwnRetries("stripe", "2 retries, POSTs too, under one key", "StripeClient(key, max_network_retries=0)", _QUIET),
    TENACITY,
    URLLIB3,
    OwnRetries(
        "xmlrpc.client",
        "1 retry after a reset, POSTs too",
        "class Once(Transport): request = Transport.single_request",
        _QUIET,
    ),
)
"""The clients, by name; their defaults are those of 2026."""


def given_up_by(error: BaseException) -> OwnRetries | None:
    """Return the client whose own retries gave up: on an error, its cause, or (requests, botocore) its context.

    Recognises botocore's `MaxAttemptsReached` after a retry, urllib3's `MaxRetryError` where it had retried,
    google-api-core's and tenacity's `RetryError`, and the errors of redis-py and PyMongo after a retry. Other clients
    do not tell.

    >>> given_up_by(ConnectionResetError()) is None
    True
    """
    link: BaseException | None = error
    for _ in range(DEPTH):
        if link is None:
            return None
        asked = _asked_of(type(link))
        row, tells = asked
        if row is not None and tells(link):
            return row
        link = cause_of(link) or (context_of(link) if asked is _BY_CONTEXT else None)
    return None


def _asked_of(cls: type) -> Asked:
    try:
        found = _cache.get(cls)
        return remember(_cache, cls, _find(cls)) if found is None else found
    except Exception:  # a metaclass that hides its names or refuses to be hashed: not a known client
        return _UNKNOWN


def _find(cls: type) -> Asked:
    names = [(base.__module__.partition(".")[0], base.__name__) for base in cls.__mro__]
    for name in names:
        if name in _CLASSES:
            return _CLASSES[name]
    return next((_PACKAGES[package] for package, _ in names if package in _PACKAGES), _UNKNOWN)


_cache: dict[type, Asked] = {}


def _always(_: BaseException) -> bool:
    return True


def _reached_the_last(error: BaseException) -> bool:
    response = probe(error, "response")
    metadata = response.get("ResponseMetadata") if type(response) is dict else None
    if type(metadata) is not dict or metadata.get("MaxAttemptsReached") is not True:
        return False
    return (whole(metadata.get("RetryAttempts")) or 0) > 0


def _has_history(error: BaseException) -> bool:
    """Return whether urllib3 had tried before; a redirect in its history is not a failure."""
    histories = values_in_frames(error, _URLLIB3, "Retry.increment", ("self", "history"))
    return any(
        is_a(entry, tuple) and len(entry) == 5 and entry[4] is None
        for history in histories
        if type(history) is tuple
        for entry in history
    )


def _has_failed_twice(error: BaseException) -> bool:
    counts = values_in_frames(error, _REDIS, "Retry.call_with_retry", ("failures",))
    return any(type(count) is int and count > 1 for count in counts)


def _has_retried(error: BaseException) -> bool:
    for run in values_in_frames(error, _PYMONGO, "_ClientConnectionRetryable.run", ("self",)):
        state = instance_dict(run) or {}
        if state.get("_retrying") is True or (whole(state.get("_attempt_number")) or 0) > 0:
            return True
    return False


_URLLIB3 = frozenset(("urllib3.util.retry",))
_REDIS = frozenset(("redis.retry", "redis.asyncio.retry"))
_PYMONGO = frozenset(("pymongo.mongo_client", "pymongo.synchronous.mongo_client", "pymongo.asynchronous.mongo_client"))

_UNKNOWN: Asked = (None, _always)
_BY_CONTEXT: Asked = (None, lambda _: False)
"""Packages that leave the underlying error only as the context."""

_CLASSES: dict[tuple[str, str], Asked] = {
    ("botocore", "ClientError"): (BOTOCORE, _reached_the_last),
    ("google", "RetryError"): (GOOGLE, _always),
    ("tenacity", "RetryError"): (TENACITY, _always),
    ("urllib3", "MaxRetryError"): (URLLIB3, _has_history),
}
_PACKAGES: dict[str, Asked] = {
    "botocore": _BY_CONTEXT,
    "niquests": _BY_CONTEXT,
    "pymongo": (PYMONGO, _has_retried),
    "redis": (REDIS, _has_failed_twice),
    "requests": _BY_CONTEXT,
}
