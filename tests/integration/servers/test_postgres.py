"""PostgreSQL: errors of a real server, by psycopg, its asyncio half, asyncpg, and SQLAlchemy over psycopg."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Verdict, exponential, retry

psycopg = pytest.importorskip("psycopg", reason='psycopg is not installed: pip install "psycopg[binary]"')

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=15, backoff=exponential(0.02, maximum=0.1))
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "max_connections": "10",
    "superuser_reserved_connections": "2",
    "deadlock_timeout": "20ms",
    "shared_buffers": "4MB",
    "log_min_messages": "warning",
}


class Psycopg:
    """A connection of psycopg; every statement is its own transaction unless BEGIN says otherwise."""

    name = "psycopg"

    def __init__(self, loop: Any, **address: Any) -> None:
        self.loop = loop
        self.connection: Any = None
        self.open(address)

    @staticmethod
    def errors() -> tuple[type[Exception], ...]:
        """What this client raises."""
        return (psycopg.Error,)

    def open(self, address: dict[str, Any]) -> None:
        """Connect."""
        self.connection = psycopg.connect(**address, autocommit=True)

    def run(self, statement: str) -> None:
        """Run a statement."""
        self.connection.execute(statement)

    def close(self) -> None:
        """Close the connection, whatever became of it."""
        self.connection.close()


class PsycopgAsync(Psycopg):
    name = "psycopg (asyncio)"

    def open(self, address: dict[str, Any]) -> None:
        self.connection = self.loop(psycopg.AsyncConnection.connect, **address, autocommit=True)

    def run(self, statement: str) -> None:
        self.loop(self.connection.execute, statement)

    def close(self) -> None:
        self.loop(self.connection.close)


class Asyncpg(Psycopg):
    name = "asyncpg"

    @staticmethod
    def errors() -> tuple[type[Exception], ...]:
        asyncpg = pytest.importorskip("asyncpg")
        return (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

    def open(self, address: dict[str, Any]) -> None:
        asyncpg = pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
        names = {"dbname": "database", "connect_timeout": "timeout", "sslmode": "ssl"}
        address = {names.get(name, name): value for name, value in address.items()}
        self.connection = self.loop(asyncpg.connect, **address)

    def run(self, statement: str) -> None:
        self.loop(self.connection.execute, statement)

    def close(self) -> None:
        self.loop(self.connection.close)


class SqlAlchemy(Psycopg):
    name = "SQLAlchemy, psycopg"

    @staticmethod
    def errors() -> tuple[type[Exception], ...]:
        return (pytest.importorskip("sqlalchemy").exc.SQLAlchemyError,)

    def open(self, address: dict[str, Any]) -> None:
        sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install SQLAlchemy")
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", connect_args=address, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
        )
        self.connection = engine.connect()

    def run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement)


CLIENTS = [Psycopg, PsycopgAsync, Asyncpg, SqlAlchemy]


class Cluster:
    """A PostgreSQL server."""

    def __init__(self, host: Any, data: Path) -> None:
        self.host = host
        self.data = data
        self.port = host.unused_port()
        self.address = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "app",
            "password": "secret",
            "dbname": "postgres",
        }
        self.sockets = host.directory("postgres")
        self.service: Any = None

    def start(self, **settings: str) -> Cluster:
        """Start it; wait only until it answers, however it answers."""
        options = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.sockets), **settings}
        self.service = self.host.start(
            *self.host.as_user("postgres"),
            *(postgres(self.host, "postgres"), "-D", str(self.data)),
            *(f"--{name}={value}" for name, value in options.items()),
            fatal=signal.SIGQUIT,
        )
        socket = self.sockets / f".s.PGSQL.{self.port}"
        self.service.wait_until(lambda: self.host.listens(self.port) and self.host.listens(socket), "listens")
        return self

    def ready(self, **settings: str) -> Cluster:
        """Start it, and wait until it can be worked with."""
        self.start(**settings)
        QUICK.call(self.do, "SELECT 1")
        return self

    def admin(self) -> Any:
        """A connection of the superuser, by the unix socket, that is not the one under test."""
        return psycopg.connect(
            host=str(self.sockets), port=self.port, user="postgres", dbname="postgres", autocommit=True
        )

    def do(self, statement: str) -> list[Any]:
        """Run a statement as superuser."""
        with self.admin() as admin:
            answer = admin.execute(statement)
            return answer.fetchall() if answer.description else []

    def wait_for(self, condition: str) -> int:
        """The process id of the first session of `app` that fulfils a condition."""
        statement = f"SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND {condition}"
        found = self.host.wait_until(lambda: self.do(statement), condition)
        return int(found[0][0])

    def signal_sleeper(self, function: str) -> None:
        """Do something to the session of `app` that sleeps in a query."""
        self.do(f"SELECT {function}({self.wait_for(SLEEPS)})")


SLEEPS = "wait_event = 'PgSleep'"


def postgres(host: Any, program: str) -> str:
    """The path of one of the server's programs; Debian keeps them out of PATH."""
    places = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path: str = host.program(program, "postgresql", *places)
    return path


@pytest.fixture(scope="module")
def template(host: Any) -> Path:
    """A data directory with some roles and tables in it."""
    directory: Path = host.directory("postgres")
    data = directory / "data"
    (directory / "password").write_text("of the superuser")
    host.run(
        *(*host.as_user("postgres"), postgres(host, "initdb"), "-D", str(data), "--no-sync", "-U", "postgres"),
        *("--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={directory / 'password'}"),
        *("--locale=C.UTF-8", "--encoding=UTF8", "--no-instructions", "--wal-segsize=1"),
    )
    first = Cluster(host, data).ready()
    first.do("CREATE ROLE app LOGIN PASSWORD 'secret'")
    first.do("CREATE ROLE narrow LOGIN PASSWORD 'secret' CONNECTION LIMIT 0")
    first.do("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))")
    first.do("CREATE TABLE secret (id int)")
    first.do("GRANT ALL ON account TO app")
    first.service.stop(signal.SIGINT)
    return data


@pytest.fixture(scope="module")
def server(host: Any, template: Path) -> Cluster:
    """A server that runs through all tests."""
    copy = template.with_name("copy")
    host.run("cp", "-a", str(template), str(copy))
    return Cluster(host, copy).ready()


@pytest.fixture
def another(host: Any, template: Path) -> Iterator[Cluster]:
    """A server, not started yet, that a test may end as it likes."""
    cluster = Cluster(host, template)
    yield cluster
    if cluster.service is not None:
        cluster.service.kill()
    (template / "standby.signal").unlink(missing_ok=True)


@pytest.fixture
def rows(server: Cluster) -> None:
    """Two accounts as they were at the beginning."""
    server.do("TRUNCATE account")
    server.do("INSERT INTO account VALUES (1, 100), (2, 100)")


@pytest.fixture(params=CLIENTS, ids=[client.name for client in CLIENTS])
def connect(request: pytest.FixtureRequest, loops: Any) -> Iterator[Callable[..., Any]]:
    """Makes connections, and closes them at the end."""
    with ExitStack() as stack:

        def connecting(cluster: Cluster, **address: Any) -> Psycopg:
            client = request.param(loops(), **{**cluster.address, **address})
            opened: Psycopg = stack.enter_context(closing(client))
            return opened

        connecting.name = request.param.name  # type: ignore[attr-defined]
        connecting.errors = request.param.errors()  # type: ignore[attr-defined]
        yield connecting


@pytest.fixture
def refused(connect: Any, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a connection that does not come about."""

    def check(cluster: Cluster, verdict: Verdict, *, told_by_itself: bool = True, **address: Any) -> None:
        with pytest.raises(connect.errors) as caught:
            connect(cluster, **address)
        # asyncpg raises Python's own errors, as it does in the middle of a query: nobody can say of which time they are.
        told(connect.name, caught.value, verdict, applied=connect.name == "asyncpg" and not told_by_itself)

    return check


@pytest.fixture
def failed(connect: Any, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a statement that fails."""

    def check(client: Psycopg, statement: str, verdict: Verdict, *, applied: bool = False) -> None:
        with pytest.raises(connect.errors) as caught:
            client.run(statement)
        told(connect.name, caught.value, verdict, applied=applied)

    return check


def test_nothing_listens(another: Cluster, refused: Any) -> None:
    """A closed port, as of a server that is not there yet."""
    refused(another, T)


def test_silent_port(host: Any, another: Cluster, connect: Any, refused: Any) -> None:
    """A server that accepts and says nothing: the attempt to connect runs out of time."""
    seconds = 0.2 if connect.name == "asyncpg" else 2  # less is not allowed by libpq
    refused(another, T, port=host.listener(), connect_timeout=seconds, told_by_itself=False)


def test_hangs_up(host: Any, another: Cluster, refused: Any) -> None:
    """A server, or a proxy before it, that accepts and hangs up at once."""
    refused(another, T, port=host.listener(lambda connection: None), told_by_itself=False)


def test_other_protocol(host: Any, another: Cluster, refused: Any) -> None:
    """What answers is an HTTP server: no retry makes a PostgreSQL of it."""
    refused(another, P, port=host.listener(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")))


def test_no_tls(server: Cluster, refused: Any) -> None:
    """The client insists on TLS, and the server has none."""
    refused(server, P, sslmode="require")


def test_unknown_host(another: Cluster, refused: Any) -> None:
    """A name that does not exist will not exist a second later."""
    refused(another, P, host="nowhere.invalid")


@pytest.mark.parametrize(
    "address", [{"password": "wrong"}, {"user": "nobody"}, {"dbname": "nothing"}], ids=["password", "user", "database"]
)
def test_wrong_address(server: Cluster, refused: Any, address: dict[str, str]) -> None:
    """Another try with the same password, user or database meets the same refusal."""
    refused(server, P, **address)


def test_role_is_full(server: Cluster, refused: Any) -> None:
    """53300: the role has no connection left; others will leave."""
    refused(server, T, user="narrow")


@pytest.mark.parametrize(("taken", "user"), [(8, "app"), (10, "postgres")], ids=["reserved", "full"])
def test_too_many_connections(another: Cluster, refused: Any, taken: int, user: str) -> None:
    """53300: the server has no connection left, but for superusers or at all; others will leave."""
    another.ready()
    with ExitStack() as stack:
        another.host.wait_until(lambda: another.do(ALONE) == [(1,)], "the connections of before have gone")
        for _ in range(taken):
            stack.enter_context(QUICK.connect(another.admin))
        refused(another, T, user=user, password="secret" if user == "app" else "of the superuser")


ALONE = "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'"


def test_starting_up(another: Cluster, refused: Any) -> None:
    """57P03: a server that still recovers (a standby whose archive is slow)."""
    (another.data / "standby.signal").touch()
    another.start(restore_command="sleep 30")
    refused(another, T)


def test_hot_standby_disabled(another: Cluster, refused: Any) -> None:
    """57P03: a standby that takes no connections until it is promoted."""
    (another.data / "standby.signal").touch()
    another.start(hot_standby="off")
    with pytest.raises(psycopg.OperationalError):
        another.admin()
    refused(another, T)


def test_shutting_down(another: Cluster, refused: Any) -> None:
    """57P03: a server that ends as soon as the last one has left."""
    another.ready()
    with another.admin():
        another.service.send(signal.SIGTERM)
        another.host.wait_until(lambda: "smart shutdown" in another.service.tail() or refuses(another), "it goes")
        refused(another, T)


def refuses(cluster: Cluster) -> bool:
    """Whether a server takes no connections any more."""
    try:
        cluster.do("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@pytest.mark.usefixtures("rows")
def test_serialization_failure(server: Cluster, connect: Any, failed: Any) -> None:
    """40001: another transaction was faster; all of this one must be repeated."""
    client = connect(server)
    client.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    client.run("SELECT * FROM account")
    server.do("UPDATE account SET balance = 50 WHERE id = 1")
    failed(client, "UPDATE account SET balance = 60 WHERE id = 1", T)


@pytest.mark.usefixtures("rows")
def test_serialization_failure_at_commit(server: Cluster, connect: Any, failed: Any) -> None:
    """40001 of the COMMIT itself: the server says that nothing was committed."""
    client, other = connect(server), connect(server)
    for each in (client, other):
        each.run("BEGIN ISOLATION LEVEL SERIALIZABLE")
        each.run("SELECT sum(balance) FROM account")
    client.run("UPDATE account SET balance = 0 WHERE id = 1")
    other.run("UPDATE account SET balance = 0 WHERE id = 2")
    other.run("COMMIT")
    failed(client, "COMMIT", T)


@pytest.mark.usefixtures("rows")
def test_deadlock(server: Cluster, connect: Any, failed: Any, meanwhile: Any) -> None:
    """40P01: two transactions wait for each other, and this one was chosen to be rolled back."""
    client = connect(server)
    client.run("BEGIN")
    client.run("UPDATE account SET balance = 1 WHERE id = 1")
    with server.admin() as other, meanwhile_locking(server, other, meanwhile):
        failed(client, "UPDATE account SET balance = 2 WHERE id = 2", T)


@contextmanager
def meanwhile_locking(server: Cluster, other: Any, meanwhile: Any) -> Iterator[None]:
    """Another session holds account 2 and waits for account 1; it is too patient to be the victim."""
    other.execute("SET deadlock_timeout = '30s'")
    other.execute("BEGIN")
    other.execute("UPDATE account SET balance = 3 WHERE id = 2")
    with meanwhile(lambda: other.execute("UPDATE account SET balance = 4 WHERE id = 1")):
        waits = "SELECT 1 FROM pg_stat_activity WHERE usename = 'postgres' AND wait_event_type = 'Lock'"
        server.host.wait_until(lambda: server.do(waits), "the other session waits")
        yield
    other.execute("ROLLBACK")


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("before", "lock"),
    [("SELECT 1", "SELECT * FROM account FOR UPDATE NOWAIT"), ("SET lock_timeout = 20", "DELETE FROM account")],
    ids=["nowait", "lock_timeout"],
)
def test_lock_not_available(server: Cluster, connect: Any, failed: Any, before: str, lock: str) -> None:
    """55P03: somebody else holds the lock, and will let it go."""
    client = connect(server)
    client.run(before)
    with server.admin() as other, other.transaction():
        other.execute("SELECT * FROM account FOR UPDATE")
        failed(client, lock, T)


def test_terminated_backend(server: Cluster, connect: Any, failed: Any, meanwhile: Any) -> None:
    """57P01 by pg_terminate_backend: the statement may have had its effect."""
    client = connect(server)
    with meanwhile(lambda: server.signal_sleeper("pg_terminate_backend")):
        failed(client, "SELECT pg_sleep(30)", T, applied=True)


def test_terminated_between_statements(server: Cluster, connect: Any, failed: Any) -> None:
    """A backend that was terminated while idle: the next statement finds out; the client cannot know that it was not run."""
    client = connect(server)
    client.run("SELECT 1")
    server.do("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'")
    failed(client, "SELECT 1", T, applied=True)


def test_used_after_it_was_lost(server: Cluster, connect: Any, told: Any) -> None:
    """Asking again on a connection that is known to be lost, as each driver sees it: nothing is sent.

    A new connection helps. asyncpg says the same of a connection that is lost under a statement, so that this may have been
    carried out; SQLAlchemy first wants to hear in a rollback that the caller knows.
    """
    client = connect(server)
    server.do("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'")
    with pytest.raises(connect.errors):
        client.run("SELECT 1")
    with pytest.raises(connect.errors) as caught:
        client.run("SELECT 1")
    verdict = P if connect.name.startswith("SQLAlchemy") else T
    told(connect.name, caught.value, verdict, applied=connect.name == "asyncpg")


def test_cancelled(server: Cluster, connect: Any, failed: Any, meanwhile: Any) -> None:
    """57014 by pg_cancel_backend: somebody wanted this statement to end."""
    client = connect(server)
    with meanwhile(lambda: server.signal_sleeper("pg_cancel_backend")):
        failed(client, "SELECT pg_sleep(30)", P)


def test_statement_timeout(server: Cluster, connect: Any, failed: Any) -> None:
    """57014 by statement_timeout: the same statement takes as long again."""
    client = connect(server)
    client.run("SET statement_timeout = 20")
    failed(client, "SELECT pg_sleep(30)", P)


def test_fast_shutdown(another: Cluster, connect: Any, failed: Any, meanwhile: Any) -> None:
    """57P01 by a shutdown: the server will be back, and may have carried out the statement."""
    client = connect(another.ready())
    with meanwhile(lambda: another.wait_for(SLEEPS), lambda: another.service.send(signal.SIGINT)):
        failed(client, "SELECT pg_sleep(30)", T, applied=True)


def test_immediate_shutdown(another: Cluster, connect: Any, failed: Any, meanwhile: Any) -> None:
    """57P01 or just the end of the connection, by a shutdown without farewell."""
    client = connect(another.ready())
    with meanwhile(lambda: another.wait_for(SLEEPS), lambda: another.service.send(signal.SIGQUIT)):
        failed(client, "SELECT pg_sleep(30)", T, applied=True)


def test_crash_of_the_backend(another: Cluster, connect: Any, failed: Any, meanwhile: Any, host: Any) -> None:
    """The process that runs the statement is killed: the connection ends without a word."""
    client = connect(another.ready())
    with meanwhile(lambda: host.run("kill", "-9", str(another.wait_for(SLEEPS)))):
        failed(client, "SELECT pg_sleep(30)", T, applied=True)


def test_crash_of_another_backend(another: Cluster, connect: Any, failed: Any, meanwhile: Any, host: Any) -> None:
    """57P02: another process crashed, and all sessions are ended."""
    client = connect(another.ready())
    with another.admin() as victim:
        pid = victim.info.backend_pid
        with meanwhile(lambda: another.wait_for(SLEEPS), lambda: host.run("kill", "-9", str(pid))):
            failed(client, "SELECT pg_sleep(30)", T, applied=True)


def test_idle_in_transaction(server: Cluster, connect: Any, told: Any) -> None:
    """25P03: the session was idle in its transaction for too long; that was rolled back, the statement not even run."""
    client = connect(server)
    client.run("SET idle_in_transaction_session_timeout = 20")
    client.run("BEGIN")
    server.host.wait_until(lambda: server.do(SESSIONS) == [], "the session was ended")
    with pytest.raises(connect.errors) as caught:
        client.run("SELECT 1")
    # asyncpg keeps the server's words for itself and says only that the connection was closed.
    told(connect.name, caught.value, T, applied=connect.name == "asyncpg")


SESSIONS = "SELECT 1 FROM pg_stat_activity WHERE usename = 'app'"


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    "statement",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT * FROM secret",
        "INSERT INTO account VALUES (1, 1)",
        "INSERT INTO account VALUES (3, NULL)",
        "INSERT INTO account VALUES (3, -1)",
        "SELECT 1 / 0",
        "SELECT 'x'::int",
        "DO $$ BEGIN RAISE EXCEPTION 'no' ; END $$",
        "CREATE DATABASE other",
    ],
    ids=lambda statement: statement[:30],
)
def test_wrong_statement(server: Cluster, connect: Any, failed: Any, statement: str) -> None:
    """A mistake in the statement, its data or the rights stays one, and nothing of it was done."""
    failed(connect(server), statement, P)


def test_failed_transaction(server: Cluster, connect: Any, failed: Any) -> None:
    """25P02: after an error, a transaction takes nothing but its ROLLBACK."""
    client = connect(server)
    client.run("BEGIN")
    failed(client, "SELECT 1 / 0", P)
    failed(client, "SELECT 1", P)


def test_read_only(server: Cluster, connect: Any, failed: Any) -> None:
    """25006: this connection writes nothing, however often it is asked to."""
    client = connect(server)
    client.run("SET default_transaction_read_only = on")
    failed(client, "DELETE FROM account", P)


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_connect_waits_for_a_late_start(another: Cluster, meanwhile: Any) -> None:
    """The server starts while `connect` tries, and is there when the body runs."""
    refused = threading.Event()

    def connected() -> Any:
        try:
            return psycopg.connect(**another.address)
        except psycopg.OperationalError:
            refused.set()
            raise

    with meanwhile(lambda: refused.wait() and another.start()), QUICK.connect(connected) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)


@pytest.mark.usefixtures("rows")
def test_deadlock_is_retried_to_success(server: Cluster) -> None:
    """Two transfers in opposite directions lock each other out; the one that is rolled back succeeds when repeated."""
    both_hold_one = threading.Barrier(2)
    attempts: list[int] = []

    @QUICK
    def transfer(source: int, target: int) -> None:
        attempts.append(source)
        with psycopg.connect(**server.address) as connection:
            connection.execute("UPDATE account SET balance = balance - 10 WHERE id = %s", (source,))
            if len(attempts) <= 2:
                both_hold_one.wait(10)
            connection.execute("UPDATE account SET balance = balance + 10 WHERE id = %s", (target,))

    threads = [threading.Thread(target=transfer, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert server.do("SELECT balance FROM account") == [(100,), (100,)]
    assert len(attempts) == 3


@pytest.mark.usefixtures("rows")
def test_serialization_failure_is_retried_to_success(server: Cluster, loop: Any) -> None:
    """In asyncio: a transaction that lost a race is repeated as a whole, and sees what the winner wrote."""
    asyncpg = pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
    seen: list[int] = []

    async def main() -> None:
        address = {**server.address, "database": server.address["dbname"]}
        del address["dbname"]
        connection = await asyncpg.connect(**address)
        async for attempt in QUICK:
            with attempt:
                async with connection.transaction(isolation="repeatable_read"):
                    seen.append(await connection.fetchval("SELECT balance FROM account WHERE id = 1"))
                    if len(seen) == 1:
                        server.do("UPDATE account SET balance = 7 WHERE id = 1")
                    await connection.execute("UPDATE account SET balance = balance + 1 WHERE id = 1")
        await connection.close()

    loop(main)
    assert seen == [100, 7]
    assert server.do("SELECT balance FROM account WHERE id = 1") == [(8,)]


def test_wrong_password_is_tried_once(server: Cluster) -> None:
    """A permanent error reaches the caller after one attempt."""
    attempts: list[int] = []

    @QUICK
    def connected() -> Any:
        attempts.append(1)
        return psycopg.connect(**{**server.address, "password": "wrong"})

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connected()
    assert len(attempts) == 1
