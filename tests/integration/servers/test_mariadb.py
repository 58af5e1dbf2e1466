"""MariaDB: errors of a real server, by PyMySQL and SQLAlchemy over PyMySQL."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Verdict, exponential, retry

pymysql = pytest.importorskip("pymysql", reason="PyMySQL is not installed: pip install PyMySQL")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=20, backoff=exponential(0.02, maximum=0.1))
SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "1",
    "max-connections": "10",
    "innodb-buffer-pool-size": "8M",
    "innodb-log-file-size": "4M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-fast-shutdown": "2",
    "thread-cache-size": "0",
}


class PyMySQL:
    """A connection of PyMySQL, without transactions unless BEGIN says otherwise."""

    name = "PyMySQL"

    def __init__(self, **address: Any) -> None:
        self.connection: Any = None
        self.open(address)

    @staticmethod
    def errors() -> type[Exception]:
        """What this client raises."""
        error: type[Exception] = pymysql.MySQLError
        return error

    def open(self, address: dict[str, Any]) -> None:
        """Connect."""
        self.connection = pymysql.connect(**address, autocommit=True)

    def run(self, statement: str) -> None:
        """Run a statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def close(self) -> None:
        """Close the connection, whatever became of it."""
        if self.connection.open:
            self.connection.close()


class SqlAlchemy(PyMySQL):
    name = "SQLAlchemy, PyMySQL"

    @staticmethod
    def errors() -> type[Exception]:
        error: type[Exception] = pytest.importorskip("sqlalchemy").exc.SQLAlchemyError
        return error

    def open(self, address: dict[str, Any]) -> None:
        sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install SQLAlchemy")
        engine = sqlalchemy.create_engine(
            "mysql+pymysql://", connect_args=address, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
        )
        self.connection = engine.connect()

    def run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement).close()

    def close(self) -> None:
        self.connection.close()


CLIENTS = [PyMySQL, SqlAlchemy]


class Server:
    """A MariaDB server."""

    def __init__(self, host: Any, data: Path) -> None:
        self.host = host
        self.data = data
        self.port = host.unused_port()
        self.socket = host.directory("mysql") / "socket"
        self.address = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "app",
            "password": "secret",
            "database": "shop",
        }
        self.service: Any = None

    def start(self) -> Server:
        """Start it, and wait until it can be worked with."""
        options = {**SETTINGS, "port": self.port, "socket": self.socket, "datadir": self.data, "tmpdir": self.data}
        self.service = self.host.start(
            *(*self.host.as_user("mysql"), self.host.program("mariadbd", "mariadb-server"), "--no-defaults"),
            *(f"--{name}={value}" for name, value in options.items()),
        )
        self.service.wait_until(lambda: self.host.listens(self.port) and self.host.listens(self.socket), "listens")
        return self

    def admin(self, **options: Any) -> Any:
        """A connection of the superuser, by the unix socket, that is not the one under test."""
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, **options)

    def do(self, *statements: str) -> tuple[Any, ...]:
        """Run statements as superuser; what the last one answers."""
        with self.admin() as admin, admin.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return tuple(cursor.fetchall())

    def thread_of(self, condition: str) -> int:
        """The id of the first session of `app` that fulfils a condition."""
        statement = f"SELECT id FROM information_schema.processlist WHERE user = 'app' AND {condition}"
        return int(self.host.wait_until(lambda: self.do(statement), condition)[0][0])

    def kill_sleeper(self, what: str) -> None:
        """KILL the session of `app` that sleeps in a query, or that query."""
        self.do(f"KILL {what} {self.thread_of(SLEEPS)}")


SLEEPS = "state = 'User sleep'"


@pytest.fixture(scope="module")
def template(host: Any) -> Path:
    """A data directory with some users and a database in it."""
    directory: Path = host.directory("mysql")
    data = directory / "data"
    host.run(
        *(*host.as_user("mysql"), host.program("mariadb-install-db", "mariadb-server"), "--no-defaults"),
        *(f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"),
    )
    server = Server(host, data).start()
    server.do(
        "CREATE DATABASE shop",
        "CREATE DATABASE private",
        "CREATE TABLE private.thing (id int)",
        "CREATE TABLE shop.account (id int PRIMARY KEY, balance int NOT NULL, name varchar(5)) ENGINE=InnoDB",
        "CREATE TABLE shop.entry (account int, FOREIGN KEY (account) REFERENCES shop.account (id)) ENGINE=InnoDB",
        "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'secret'",
        "CREATE USER narrow@'127.0.0.1' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1",
        "CREATE USER hourly@'127.0.0.1' IDENTIFIED BY 'secret' WITH MAX_CONNECTIONS_PER_HOUR 1",
        *(f"GRANT ALL ON shop.* TO {user}@'127.0.0.1'" for user in ("app", "narrow", "hourly")),
    )
    server.service.stop()
    return data


@pytest.fixture(scope="module")
def server(host: Any, template: Path) -> Server:
    """A server that runs through all tests."""
    copy = template.with_name("copy")
    host.run("cp", "-a", str(template), str(copy))
    return Server(host, copy).start()


@pytest.fixture
def another(host: Any, template: Path) -> Iterator[Server]:
    """A server, not started yet, that a test may end as it likes."""
    another = Server(host, template)
    yield another
    if another.service is not None:
        another.service.kill()


@pytest.fixture
def rows(server: Server) -> None:
    """Two accounts as they were at the beginning."""
    server.do("DELETE FROM shop.account", "INSERT INTO shop.account VALUES (1, 100, 'a'), (2, 100, 'b')")


@pytest.fixture(params=CLIENTS, ids=[client.name for client in CLIENTS])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes connections, and closes them at the end."""
    with ExitStack() as stack:

        def connecting(server: Server, **address: Any) -> PyMySQL:
            client = request.param(**{**server.address, **address})
            opened: PyMySQL = stack.enter_context(closing(client))
            return opened

        connecting.name = request.param.name  # type: ignore[attr-defined]
        connecting.errors = request.param.errors()  # type: ignore[attr-defined]
        yield connecting


@pytest.fixture
def refused(connect: Any, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a connection that does not come about."""

    def check(server: Server, verdict: Verdict, *, applied: bool = False, **address: Any) -> None:
        with pytest.raises(connect.errors) as caught:
            connect(server, **address)
        told(connect.name, caught.value, verdict, applied=applied)

    return check


@pytest.fixture
def failed(connect: Any, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a statement that fails."""

    def check(client: PyMySQL, statement: str, verdict: Verdict, *, applied: bool = False) -> None:
        with pytest.raises(connect.errors) as caught:
            client.run(statement)
        told(connect.name, caught.value, verdict, applied=applied)

    return check


def test_nothing_listens(another: Server, refused: Any) -> None:
    """A closed port, as of a server that is not there yet."""
    refused(another, T)


def test_silent_port(host: Any, another: Server, refused: Any) -> None:
    """A server that accepts and says nothing; PyMySQL's connect_timeout does not cover that, its read_timeout does.

    It says the same as in the middle of a query, so that nobody can say whether something was applied.
    """
    refused(another, T, port=host.listener(), read_timeout=0.2, applied=True)


def test_hangs_up(host: Any, another: Server, refused: Any) -> None:
    """A server, or a proxy before it, that accepts and hangs up at once; PyMySQL says the same as in a query."""
    refused(another, T, port=host.listener(lambda connection: None), applied=True)


def test_other_protocol(host: Any, another: Server, refused: Any) -> None:
    """What answers is an SSH server: no retry makes a MariaDB of it."""
    refused(another, P, port=host.listener(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")))


def test_unknown_host(another: Server, refused: Any) -> None:
    """A name that does not exist will not exist a second later."""
    refused(another, P, host="nowhere.invalid")


@pytest.mark.parametrize(
    "address",
    [{"password": "wrong"}, {"user": "nobody"}, {"database": "nothing"}, {"database": "private"}],
    ids=["password", "user", "database", "forbidden database"],
)
def test_wrong_address(server: Server, refused: Any, address: dict[str, str]) -> None:
    """Another try with the same password, user or database meets the same refusal."""
    refused(server, P, **address)


def test_no_tls(server: Server, refused: Any) -> None:
    """The client insists on TLS, and the server has none."""
    refused(server, P, ssl={"check_hostname": False})


def test_too_many_connections(another: Server, refused: Any) -> None:
    """1040: the server has no connection left; others will leave."""
    another.start()
    with ExitStack() as stack:
        for _ in range(11):  # one more than `max-connections`, for superusers
            stack.enter_context(QUICK.connect(another.admin))
        refused(another, T)


def test_user_has_too_many_connections(server: Server, connect: Any, refused: Any) -> None:
    """1226 of MAX_USER_CONNECTIONS: this user's other sessions will leave."""
    connect(server, user="narrow").run("SELECT 1")
    refused(server, T, user="narrow")


def test_user_connects_too_often(server: Server, connect: Any, refused: Any) -> None:
    """1226 of MAX_CONNECTIONS_PER_HOUR: it takes an hour."""
    server.do("FLUSH USER_RESOURCES")
    connect(server, user="hourly").run("SELECT 1")
    refused(server, P, user="hourly")


@pytest.mark.usefixtures("rows")
def test_deadlock(server: Server, connect: Any, failed: Any, meanwhile: Any) -> None:
    """1213: two transactions wait for each other, and this one was chosen to be rolled back."""
    client = connect(server)
    client.run("BEGIN")
    client.run("UPDATE account SET balance = 1 WHERE id = 1")
    with server.admin(database="shop") as other, locking(server, other, meanwhile):
        failed(client, "UPDATE account SET balance = 2 WHERE id = 2", T)


@contextmanager
def locking(server: Server, other: Any, meanwhile: Any) -> Iterator[None]:
    """Another session has done much, holds account 2, and waits for account 1: InnoDB rolls back the one that did less."""
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO account SELECT seq, 0, '' FROM seq_10_to_200")
        cursor.execute("UPDATE account SET balance = 3 WHERE id = 2")
        with meanwhile(lambda: cursor.execute("UPDATE account SET balance = 4 WHERE id = 1")):
            waits = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            server.host.wait_until(lambda: server.do(waits), "the other session waits")
            yield
        cursor.execute("ROLLBACK")


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("before", "lock"),
    [
        ("SELECT 1", "SELECT * FROM account FOR UPDATE NOWAIT"),
        ("SET innodb_lock_wait_timeout = 1", "UPDATE account SET balance = 1"),
        ("SET lock_wait_timeout = 1", "ALTER TABLE account COMMENT 'x'"),
    ],
    ids=["NOWAIT", "row", "table"],
)
def test_lock_wait(server: Server, connect: Any, failed: Any, before: str, lock: str) -> None:
    """1205: somebody else holds the lock, and will let it go."""
    client = connect(server)
    client.run(before)
    with server.admin(database="shop") as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE account SET balance = 3")
        failed(client, lock, T)
        cursor.execute("ROLLBACK")


@pytest.mark.usefixtures("rows")
def test_changed_since_it_was_read(server: Server, connect: Any, failed: Any) -> None:
    """1020 under `innodb_snapshot_isolation`: another transaction was faster; all of this one must be repeated."""
    client = connect(server)
    client.run("SET innodb_snapshot_isolation = ON")
    client.run("BEGIN")
    client.run("SELECT * FROM account")
    server.do("UPDATE shop.account SET balance = 50 WHERE id = 1")
    failed(client, "UPDATE account SET balance = 60 WHERE id = 1", T)


def test_killed_connection(server: Server, connect: Any, failed: Any, meanwhile: Any) -> None:
    """KILL CONNECTION under a statement, which may have had its effect."""
    client = connect(server)
    with meanwhile(lambda: server.kill_sleeper("CONNECTION")):
        failed(client, "SELECT SLEEP(30)", T, applied=True)


def test_killed_between_statements(server: Server, connect: Any, failed: Any) -> None:
    """A session that was killed while idle: the next statement finds out; the client cannot know that it was not run."""
    client = connect(server)
    server.do(f"KILL {server.thread_of('1')}")
    server.host.wait_until(lambda: not server.do(SESSIONS), "the session is gone")
    failed(client, "SELECT 1", T, applied=True)


SESSIONS = "SELECT 1 FROM information_schema.processlist WHERE user = 'app'"


def test_used_after_it_was_lost(server: Server, connect: Any, told: Any) -> None:
    """Asking again on a connection that is known to be lost: misuse, say the clients, and send nothing."""
    client = connect(server)
    server.do(f"KILL {server.thread_of('1')}")
    server.host.wait_until(lambda: not server.do(SESSIONS), "the session is gone")
    for _ in range(2):
        with pytest.raises(connect.errors) as caught:
            client.run("SELECT 1")
    told(connect.name, caught.value, P, applied=False)


def test_idle_for_too_long(server: Server, connect: Any, failed: Any) -> None:
    """`wait_timeout`: the server hung up long ago; the client finds out with the next statement."""
    client = connect(server)
    client.run("SET wait_timeout = 1")
    server.host.wait_until(lambda: not server.do(SESSIONS), "the session is gone")
    failed(client, "SELECT 1", T, applied=True)


def test_killed_query(server: Server, connect: Any, failed: Any, meanwhile: Any) -> None:
    """1317 by KILL QUERY: somebody wanted this statement to end."""
    client = connect(server)
    with meanwhile(lambda: server.kill_sleeper("QUERY")):
        failed(client, "SELECT SLEEP(30)", P)


def test_statement_timeout(server: Server, connect: Any, failed: Any) -> None:
    """1969 by max_statement_time: the same statement takes as long again."""
    failed(connect(server), "SET STATEMENT max_statement_time = 0.05 FOR SELECT SLEEP(30)", P)


def test_slow_answer(server: Server, connect: Any, failed: Any) -> None:
    """A statement that takes longer than the client waits, and that goes on in the server."""
    client = connect(server, read_timeout=0.2)
    failed(client, "SELECT SLEEP(30)", T, applied=True)
    server.kill_sleeper("CONNECTION")


def test_shutdown(another: Server, connect: Any, failed: Any, meanwhile: Any) -> None:
    """The server ends in peace, under a statement: it will be back, and may have carried out the statement."""
    client = connect(another.start())
    with meanwhile(lambda: another.thread_of(SLEEPS), lambda: another.service.send(signal.SIGTERM)):
        failed(client, "SELECT SLEEP(30)", T, applied=True)


def test_crash(another: Server, connect: Any, failed: Any, meanwhile: Any) -> None:
    """The server is killed under a statement: the connection ends without a word."""
    client = connect(another.start())
    with meanwhile(lambda: another.thread_of(SLEEPS), another.service.kill):
        failed(client, "SELECT SLEEP(30)", T, applied=True)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    "statement",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT nothing FROM account",
        "SELECT * FROM private.thing",
        "INSERT INTO account VALUES (1, 1, '')",
        "INSERT INTO account VALUES (3, NULL, '')",
        "INSERT INTO account VALUES (3, 1, 'too long')",
        "INSERT INTO entry VALUES (99)",
        "SET GLOBAL max_connections = 10",
        "SIGNAL SQLSTATE '45000'",
        "CALL nothing()",
    ],
)
def test_wrong_statement(server: Server, connect: Any, failed: Any, statement: str) -> None:
    """A mistake in the statement, its data or the rights stays one, and nothing of it was done."""
    failed(connect(server), statement, P)


@pytest.mark.usefixtures("rows")
def test_read_only(server: Server, connect: Any, failed: Any) -> None:
    """1792: this transaction writes nothing, however often it is asked to."""
    client = connect(server)
    client.run("START TRANSACTION READ ONLY")
    failed(client, "DELETE FROM account", P)


@pytest.mark.usefixtures("rows")
def test_read_only_server(server: Server, connect: Any, failed: Any) -> None:
    """1290: a server that takes no writes, until somebody changes it."""
    client = connect(server)
    server.do("SET GLOBAL read_only = 1")
    try:
        failed(client, "DELETE FROM account", P)
    finally:
        server.do("SET GLOBAL read_only = 0")


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_connect_waits_for_a_late_start(another: Server, meanwhile: Any) -> None:
    """The server starts while `connect` tries, and is there when the body runs."""
    refused = threading.Event()

    def connected() -> Any:
        try:
            return pymysql.connect(**another.address)
        except pymysql.OperationalError:
            refused.set()
            raise

    with meanwhile(lambda: refused.wait() and another.start()), QUICK.connect(connected) as connection:
        assert connection.server_version


@pytest.mark.usefixtures("rows")
def test_deadlock_is_retried_to_success(server: Server) -> None:
    """Two transfers in opposite directions lock each other out; the one that is rolled back succeeds when repeated."""
    both_hold_one = threading.Barrier(2)
    attempts: list[int] = []

    @QUICK
    def transfer(source: int, target: int) -> None:
        attempts.append(source)
        with pymysql.connect(**server.address) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE account SET balance = balance - 10 WHERE id = %s", (source,))
            if len(attempts) <= 2:
                both_hold_one.wait(10)
            cursor.execute("UPDATE account SET balance = balance + 10 WHERE id = %s", (target,))
            connection.commit()

    threads = [threading.Thread(target=transfer, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert server.do("SELECT balance FROM shop.account WHERE id < 3") == ((100,), (100,))
    assert len(attempts) == 3
