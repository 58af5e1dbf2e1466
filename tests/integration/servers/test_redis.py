"""Redis 7: errors of a real redis-server, by redis-py and redis.asyncio."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Verdict, exponential, retry

redis = pytest.importorskip("redis", reason="redis is not installed: pip install redis")

aioredis = pytest.importorskip("redis.asyncio")
backoff = pytest.importorskip("redis.backoff")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=15, backoff=exponential(0.02, maximum=0.1))


class Sync:
    """A client of redis-py; its own retries are off, so that errors come as they are."""

    name = "redis"
    retry = redis.retry.Retry

    def __init__(self, loop: Any, port: int, own_retries: int = 0, **options: Any) -> None:
        self.call = loop
        again = self.retry(backoff.ConstantBackoff(0.05), own_retries)
        self.redis = self.module().Redis(host="127.0.0.1", port=port, retry=again, **options)

    @staticmethod
    def module() -> Any:
        """Where `Redis` is."""
        return redis

    def run(self, *command: Any) -> Any:
        """Send a command and wait for its answer."""
        return self.redis.execute_command(*command)

    def transaction(self, *commands: tuple[Any, ...], watch: str = "", meanwhile: Any = None) -> None:
        """Run commands between MULTI and EXEC."""
        with self.redis.pipeline() as pipe:
            if watch:
                pipe.watch(watch)
                meanwhile()
                pipe.multi()
            for command in commands:
                pipe.execute_command(*command)
            pipe.execute()

    def close(self) -> None:
        """Close all connections."""
        self.redis.close()


class Async(Sync):
    """The same of redis.asyncio."""

    name = "redis.asyncio"
    retry = aioredis.retry.Retry

    @staticmethod
    def module() -> Any:
        return aioredis

    def run(self, *command: Any) -> Any:
        return self.call(self.redis.execute_command, *command)

    def transaction(self, *commands: tuple[Any, ...], watch: str = "", meanwhile: Any = None) -> None:
        async def main() -> None:
            async with self.redis.pipeline() as pipe:
                if watch:
                    await pipe.watch(watch)
                    meanwhile()
                    pipe.multi()
                for command in commands:
                    pipe.execute_command(*command)
                await pipe.execute()

        self.call(main)

    def close(self) -> None:
        self.call(self.redis.aclose)


class Server:
    """A redis-server, and a connection to command it with."""

    def __init__(self, host: Any, *options: str, directory: Any = None, password: str | None = None) -> None:
        self.host = host
        self.program = host.program("redis-server", "redis-server")
        self.port = host.unused_port()
        self.password = password
        self.options = options
        self.directory = directory or host.directory()
        self.service: Any = None

    def start(self, *options: str) -> Server:
        """Start it; it may load for as long as it likes, but it answers."""
        secret = ("--requirepass", self.password) if self.password else ()
        self.service = self.host.start(
            *(
                self.program,
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(self.directory),
                "--save",
                "",
            ),
            *("--enable-debug-command", "yes", *secret, *self.options, *options),
        )
        self.service.wait_until(lambda: self.host.listens(self.port), "listens")
        return self

    @contextmanager
    def commanded(self) -> Iterator[Any]:
        """A connection of ours that is not the one under test."""
        with closing(redis.Redis(host="127.0.0.1", port=self.port, password=self.password)) as admin:
            yield admin

    def wait_for_client(self, command: str) -> None:
        """Wait until some client has sent a command and waits for its answer."""
        with self.commanded() as admin:
            self.host.wait_until(
                lambda: any(client["cmd"] == command for client in admin.client_list()), f"a client runs {command}"
            )


@pytest.fixture(scope="module")
def server(host: Any) -> Server:
    """A server that does all that it is told."""
    return Server(host, "--busy-reply-threshold", "20").start()


@pytest.fixture(params=[Sync, Async], ids=["sync", "asyncio"])
def connect(request: pytest.FixtureRequest, loop: Any) -> Iterator[Callable[..., Any]]:
    """Makes clients, and closes them at the end."""
    made: list[Sync] = []

    def connecting(port: int, **options: Any) -> Sync:
        made.append(request.param(loop, port, **options))
        return made[-1]

    connecting.name = request.param.name  # type: ignore[attr-defined]
    yield connecting
    for client in made:
        client.close()


def error_of(client: Sync, *command: Any) -> Exception:
    """The error that a command ends with."""
    with pytest.raises(redis.RedisError) as caught:
        client.run(*command)
    error: Exception = caught.value
    return error


def test_nothing_listens(host: Any, connect: Any, told: Any) -> None:
    """A closed port: transient, and nothing was asked."""
    told(connect.name, error_of(connect(host.unused_port()), "PING"), T, applied=False)


def test_unknown_host(connect: Any, told: Any, host: Any) -> None:
    """A name that does not exist will not exist a second later."""
    client = connect(host.unused_port())
    client.redis.connection_pool.connection_kwargs["host"] = "nowhere.invalid"
    told(connect.name, error_of(client, "PING"), P, applied=False)


def test_silent_port(host: Any, connect: Any, told: Any) -> None:
    """A server that accepts and says nothing; whether it heard the command cannot be told from the error."""
    client = connect(host.listener(), socket_timeout=0.1)
    told(connect.name, error_of(client, "PING"), T, applied=True)


def test_other_protocol(host: Any, connect: Any, told: Any) -> None:
    """What answers is an HTTP server: no retry makes a Redis of it."""
    port = host.listener(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    told(connect.name, error_of(connect(port), "PING"), P, applied=True)


def test_loading(host: Any, connect: Any, told: Any) -> None:
    """A server that still reads its data (held there by its own `key-load-delay`) asks for patience."""
    server = Server(host).start()
    with server.commanded() as admin:
        admin.execute_command("DEBUG", "POPULATE", "5000")
        admin.save()
    server.service.stop()
    server.start("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    told(connect.name, error_of(connect(server.port), "SET", "a", "1"), T, applied=False)
    server.service.kill()


@pytest.mark.parametrize("password", [None, "wrong"])
def test_password(host: Any, connect: Any, told: Any, password: str | None) -> None:
    """NOAUTH and WRONGPASS: to try again changes nothing."""
    server = Server(host, password="secret").start()
    told(connect.name, error_of(connect(server.port, password=password), "SET", "a", "1"), P, applied=False)
    server.service.stop()


def test_forbidden_command(server: Server, connect: Any, told: Any) -> None:
    """NOPERM: a user who may not do this."""
    with server.commanded() as admin:
        admin.acl_setuser("guest", enabled=True, nopass=True, commands=["+ping", "+client"], reset=True)
    client = connect(server.port, username="guest", password="any")
    told(connect.name, error_of(client, "SET", "a", "1"), P, applied=False)


def test_too_many_clients(host: Any, connect: Any, told: Any) -> None:
    """`maxclients` reached: others will leave."""
    server = Server(host, "--maxclients", "1").start()
    with server.commanded() as admin:
        host.wait_until(lambda: answers(admin), "the connection that fills it up")
        told(connect.name, error_of(connect(server.port), "SET", "a", "1"), T, applied=False)
    server.service.stop()


def answers(admin: Any) -> bool:
    """Whether the server takes this connection: the one before may not have left yet."""
    with suppress(redis.ConnectionError):
        return bool(admin.ping())
    return False


def test_killed_while_it_works(host: Any, connect: Any, told: Any, meanwhile: Any) -> None:
    """The server dies under a command: it may have been carried out."""
    server = Server(host).start()
    with meanwhile(lambda: server.wait_for_client("blpop"), server.service.kill):
        error = error_of(connect(server.port), "BLPOP", "empty", "0")
    told(connect.name, error, T, applied=True)


def test_killed_and_tried_again_by_the_client(host: Any, connect: Any, told: Any, meanwhile: Any) -> None:
    """As above with the client's own retries, which are on by default: the last one is refused, the first was not."""
    server = Server(host).start()
    with meanwhile(lambda: server.wait_for_client("blpop"), server.service.kill):
        error = error_of(connect(server.port, own_retries=3), "BLPOP", "empty", "0")
    # Not what was done, but all that the error can tell: redis-py's own retries hide that the command was sent, for the
    # last of them was refused. Whoever says `idempotent=False` has to turn them off (docs/reference/known-errors.md).
    told(connect.name, error, T, applied=False)


def test_shut_down_while_it_works(host: Any, connect: Any, told: Any, meanwhile: Any) -> None:
    """The server ends in peace, under a command that waits: whatever it says, it will be back."""
    server = Server(host).start()
    with meanwhile(lambda: server.wait_for_client("blpop"), server.service.stop):
        error = error_of(connect(server.port), "BLPOP", "empty", "0")
    told(connect.name, error, T, applied=True)


def test_client_killed(server: Server, connect: Any, told: Any, meanwhile: Any) -> None:
    """CLIENT KILL under a command: the connection is gone, the server lives."""

    def kill() -> None:
        server.wait_for_client("blpop")
        with server.commanded() as admin:
            (victim,) = (client for client in admin.client_list() if client["cmd"] == "blpop")
            admin.client_kill_filter(_id=victim["id"])

    with meanwhile(kill):
        error = error_of(connect(server.port), "BLPOP", "empty", "0")
    told(connect.name, error, T, applied=True)


def test_slow_answer(server: Server, connect: Any, told: Any) -> None:
    """A command that takes longer than the client waits, and that is carried out all the same."""
    client = connect(server.port, socket_timeout=0.1)
    assert client.run("PING")
    told(connect.name, error_of(client, "DEBUG", "SLEEP", "0.3"), T, applied=True)
    with server.commanded() as admin:
        assert admin.ping()  # for the next test


def test_busy_with_a_script(server: Server, connect: Any, told: Any, meanwhile: Any) -> None:
    """BUSY: a script runs; it is killed, and all is well again."""
    client = connect(server.port)
    assert client.run("PING")

    def endless() -> None:
        with server.commanded() as admin, pytest.raises(redis.ResponseError, match="killed by user"):
            admin.eval("while true do end", 0)

    with meanwhile(endless):
        error = server.host.wait_until(lambda: refusal(client), "the script runs")
        client.run("SCRIPT", "KILL")
    told(connect.name, error, T, applied=False)


def refusal(client: Sync) -> Exception | None:
    """The error of a command, if it ends with one."""
    error: Exception | None = None
    try:
        client.run("SET", "a", "1")
    except redis.RedisError as refused:
        error = refused
    return error


@pytest.fixture
def replica(host: Any) -> Iterator[Server]:
    """A replica whose master is not there."""
    server = Server(host, "--replicaof", f"127.0.0.1 {host.unused_port()}").start()
    yield server
    server.service.stop()


def test_read_only(replica: Server, connect: Any, told: Any) -> None:
    """READONLY, as after a failover: the client must find the new master."""
    told(connect.name, error_of(connect(replica.port), "SET", "a", "1"), T, applied=False)


def test_master_down(replica: Server, connect: Any, told: Any) -> None:
    """MASTERDOWN: a replica that has lost its master and may not give old data."""
    with replica.commanded() as admin:
        admin.config_set("replica-serve-stale-data", "no")
    told(connect.name, error_of(connect(replica.port), "GET", "a"), T, applied=False)


@pytest.fixture
def changed(server: Server) -> Iterator[Callable[..., None]]:
    """Changes the server's configuration, and changes it back."""
    with server.commanded() as admin:
        before: dict[str, Any] = {}

        def change(name: str, value: str) -> None:
            before.update(admin.config_get(name))
            admin.config_set(name, value)

        yield change
        for name, value in before.items():
            admin.config_set(name, value)


def test_no_replicas(server: Server, connect: Any, told: Any, changed: Any) -> None:
    """NOREPLICAS: too few replicas are there for a write; they return."""
    changed("min-replicas-to-write", "1")
    told(connect.name, error_of(connect(server.port), "SET", "a", "1"), T, applied=False)


def test_out_of_memory(server: Server, connect: Any, told: Any, changed: Any) -> None:
    """OOM: somebody must make room first."""
    changed("maxmemory", "1")
    told(connect.name, error_of(connect(server.port), "SET", "a", "1"), P, applied=False)


def test_cannot_persist(host: Any, connect: Any, told: Any) -> None:
    """MISCONF: the last snapshot failed, and until somebody looks after the disk no write is taken."""
    server = Server(host).start()
    with server.commanded() as admin:
        admin.config_set("save", "3600 1")
        shutil.rmtree(server.directory)
        admin.bgsave()
        host.wait_until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot failed")
        told(connect.name, error_of(connect(server.port), "SET", "a", "1"), P, applied=False)
    server.service.kill()


@pytest.mark.parametrize(
    "command",
    [
        ("LPUSH", "text", "1"),
        ("EVALSHA", "0" * 40, "0"),
        ("NOSUCHCOMMAND",),
        ("SET", "text"),
        ("INCR", "text"),
        ("SELECT", "1000"),
    ],
    ids=["WRONGTYPE", "NOSCRIPT", "unknown command", "arity", "no integer", "no such database"],
)
def test_wrong_command(server: Server, connect: Any, told: Any, command: tuple[str, ...]) -> None:
    """A mistake in the command stays one."""
    client = connect(server.port)
    client.run("SET", "text", "words")
    told(connect.name, error_of(client, *command), P, applied=False)


def test_transaction_with_a_mistake(server: Server, connect: Any, told: Any) -> None:
    """EXECABORT: one command of the transaction was refused, so that all of it was."""
    with pytest.raises(redis.RedisError) as caught:
        connect(server.port).transaction(("SET", "a", "1"), ("NOSUCHCOMMAND",))
    told(connect.name, caught.value, P, applied=False)


def test_lost_race(server: Server, connect: Any, told: Any) -> None:
    """A watched key was changed: the transaction was not carried out, and begins anew."""
    other = connect(server.port)
    with pytest.raises(redis.WatchError) as caught:
        connect(server.port).transaction(
            ("SET", "watched", "1"), watch="watched", meanwhile=lambda: set_in_a_thread(other)
        )
    told(connect.name, caught.value, T, applied=False)


def set_in_a_thread(other: Sync) -> None:
    """Change the watched key by another connection, outside of the event loop that may be running here."""
    with closing(redis.Redis(host="127.0.0.1", port=other.redis.connection_pool.connection_kwargs["port"])) as admin:
        admin.set("watched", "2")


@pytest.fixture(scope="module")
def cluster(host: Any) -> Server:
    """A node of a cluster, to which no slot belongs yet."""
    return Server(host, "--cluster-enabled", "yes", "--cluster-port", str(host.unused_port())).start()


def test_cluster(cluster: Server, connect: Any, told: Any) -> None:
    """CLUSTERDOWN while a slot has no node, and transient; CROSSSLOT, keys of two slots, stays a mistake."""
    client = connect(cluster.port)
    client.run("CLUSTER", "RESET", "HARD")
    told(connect.name, error_of(client, "SET", "a", "1"), T, applied=False)
    client.run("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    told(connect.name, error_of(client, "MSET", "a", "1", "b", "2"), P, applied=False)


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_connect_waits_for_a_late_start(host: Any, meanwhile: Any) -> None:
    """The server starts while `connect` tries, and is there when the body runs."""
    server = Server(host)
    refused = threading.Event()

    def connected() -> Any:
        client = redis.Redis(host="127.0.0.1", port=server.port, retry=redis.retry.Retry(backoff.NoBackoff(), 0))
        try:
            client.ping()
        except redis.RedisError:
            refused.set()
            client.close()
            raise
        return client

    with meanwhile(lambda: refused.wait() and server.start()), QUICK.connect(connected) as client:
        assert client.set("a", "1")
    server.service.stop()


def test_connect_waits_for_loading(host: Any, loop: Any) -> None:
    """In asyncio: a command is repeated until the server has read its data."""
    server = Server(host).start()
    with server.commanded() as admin:
        admin.execute_command("DEBUG", "POPULATE", "1000")
        admin.save()
    server.service.stop()
    server.start("--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024")
    failures: list[BaseException | None] = []

    async def main() -> Any:
        policy = QUICK(observers=[lambda event: failures.append(event.error)])
        async with aioredis.Redis(
            host="127.0.0.1", port=server.port, retry=aioredis.retry.Retry(backoff.NoBackoff(), 0)
        ) as client:
            return await policy.call(client.get, "key:1")

    assert loop(main) == b"value:1"
    assert any(isinstance(error, redis.BusyLoadingError) for error in failures)
    server.service.stop()
