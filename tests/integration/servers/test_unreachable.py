"""MongoDB and Kafka, as their clients see servers that are not there, say nothing, hang up, or are something else.

No server of these two is started: Debian has none. What their servers answer is not provoked here.
"""

from __future__ import annotations

import gc
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Verdict, exponential, retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Both clients leave sockets to the garbage collector, which says so whenever it comes by.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(attempts=3, backoff=exponential(0.01))


def speak_http(connection: socket.socket) -> None:
    """Answer whatever comes as an HTTP server does, and not sooner than anybody could who is not on the same machine.

    An answer that is there before pymongo's asyncio client begins to read is lost: "connection is already closed", it says.
    """
    connection.recv(10_000)
    time.sleep(0.03)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    while connection.recv(10_000):  # until the client has had enough
        pass


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect what a test left behind, before the next one may be told of it."""
    yield
    gc.collect()


@pytest.fixture
def ping(loop: Any) -> Callable[..., Any]:
    """Asks a MongoDB whether it is there."""
    pymongo = pytest.importorskip("pymongo", reason="pymongo is not installed: pip install pymongo")

    def ping(port: int, host: str = "127.0.0.1", **options: Any) -> Any:
        patience = {"serverSelectionTimeoutMS": 200, "connectTimeoutMS": 100, "socketTimeoutMS": 100}
        with pymongo.MongoClient(host, port, **patience, **options) as client:
            return client.admin.command("ping")

    return ping


@pytest.fixture
def aping(loop: Any) -> Callable[..., Any]:
    """The same in asyncio."""
    pymongo = pytest.importorskip("pymongo", reason="pymongo is not installed: pip install pymongo")

    def aping(port: int, host: str = "127.0.0.1", **options: Any) -> Any:
        async def main() -> Any:
            patience = {"serverSelectionTimeoutMS": 200, "connectTimeoutMS": 100, "socketTimeoutMS": 100}
            async with pymongo.AsyncMongoClient(host, port, **patience, **options) as client:
                return await client.admin.command("ping")

        return loop(main)

    return aping


@pytest.fixture(params=["ping", "aping"], ids=["sync", "asyncio"])
def mongo(request: pytest.FixtureRequest, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a MongoDB that cannot be reached."""
    ping = request.getfixturevalue(request.param)
    errors = pytest.importorskip("pymongo.errors")
    name = "pymongo" if request.param == "ping" else "pymongo (asyncio)"

    def check(verdict: Verdict, *args: Any, applied: bool = False, **options: Any) -> None:
        with pytest.raises(errors.PyMongoError) as caught:
            ping(*args, **options)
        told(name, caught.value, verdict, applied=applied)

    return check


def test_mongo_nothing_listens(host: Any, mongo: Any) -> None:
    """A closed port: no server could be selected, nothing was sent."""
    mongo(T, host.unused_port())


def test_mongo_silent_port(host: Any, mongo: Any) -> None:
    """A server that accepts and says nothing is not selected."""
    mongo(T, host.listener())


def test_mongo_hangs_up(host: Any, mongo: Any) -> None:
    """A server, or a proxy before it, that accepts and hangs up is not selected."""
    mongo(T, host.listener(lambda connection: None))


def test_mongo_unknown_host(mongo: Any) -> None:
    """A name that does not exist will not exist a second later."""
    mongo(P, 27017, "nowhere.invalid")


def test_mongo_other_protocol(host: Any, mongo: Any) -> None:
    """What answers is an HTTP server: no retry makes a MongoDB of it."""
    mongo(P, host.listener(speak_http))


def test_mongo_no_tls(host: Any, mongo: Any) -> None:
    """The client speaks TLS, and what answers does not."""
    mongo(P, host.listener(speak_http), tls=True)


def test_mongo_wrong_uri(mongo: Any) -> None:
    """A mistake in the address."""
    mongo(P, 27017, "http://127.0.0.1")


@pytest.fixture
def kafka(told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a Kafka that cannot be reached."""
    kafka = pytest.importorskip("kafka", reason="kafka-python is not installed: pip install kafka-python")

    def check(verdict: Verdict, port: int, host: str = "127.0.0.1", *, applied: bool = False, **options: Any) -> None:
        with pytest.raises(kafka.errors.KafkaError) as caught:
            kafka.KafkaProducer(
                bootstrap_servers=f"{host}:{port}",
                bootstrap_timeout_ms=300,
                request_timeout_ms=200,
                **options,
            ).close(0)
        told("kafka-python", caught.value, verdict, applied=applied)

    return check


def test_kafka_nothing_listens(host: Any, kafka: Any) -> None:
    """A closed port: no broker is there (yet)."""
    kafka(T, host.unused_port())


def test_kafka_silent_port(host: Any, kafka: Any) -> None:
    """A broker that accepts and says nothing."""
    kafka(T, host.listener())


def test_kafka_hangs_up(host: Any, kafka: Any) -> None:
    """A broker, or a proxy before it, that accepts and hangs up."""
    kafka(T, host.listener(lambda connection: None))


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_late_answer_is_waited_for(host: Any, ping: Any) -> None:
    """A policy gives up on a MongoDB that stays away after as many attempts as it says."""
    attempts: list[int] = []
    errors = pytest.importorskip("pymongo.errors")
    port = host.unused_port()

    @QUICK
    def ask() -> Any:
        attempts.append(port)
        return ping(port)

    with pytest.raises(errors.ServerSelectionTimeoutError):
        ask()
    assert len(attempts) == 3
