"""SSH: errors of Debian's sshd and of a server of asyncssh, by paramiko and asyncssh."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redouble import Verdict, exponential, retry

paramiko = pytest.importorskip("paramiko", reason="paramiko is not installed: pip install paramiko")
asyncssh = pytest.importorskip("asyncssh", reason="asyncssh is not installed: pip install asyncssh")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

try:
    USER = pwd.getpwuid(os.geteuid()).pw_name
except KeyError:  # as in a container that was given a number
    pytest.skip("sshd can let nobody in: the user who runs the tests has no name", allow_module_level=True)

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=15, backoff=exponential(0.02, maximum=0.1))
FOREVER = "cat"  # ends when the session does, and leaves nothing behind


class Keys(NamedTuple):
    """Files of private keys; the public ones lie beside them."""

    host: Path
    user: Path
    stranger: Path
    locked: Path


@pytest.fixture(scope="module")
def keys(host: Any) -> Keys:
    """Keys of a server, a user, somebody else, and one with a passphrase."""
    keygen = host.program("ssh-keygen", "openssh-client")
    directory = host.directory()
    for name in Keys._fields:
        passphrase = "secret" if name == "locked" else ""
        host.run(keygen, "-q", "-t", "ed25519", "-N", passphrase, "-f", str(directory / name))
    return Keys(*(directory / name for name in Keys._fields))


class Sshd:
    """Debian's sshd on a high port, for the user who runs the tests."""

    def __init__(self, host: Any, keys: Keys, **settings: str) -> None:
        self.host = host
        self.program = host.program("sshd", "openssh-server")
        self.port = host.unused_port()
        self.directory = host.directory()
        self.frozen = threading.Event()
        self.settings = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(keys.host),
            "AuthorizedKeysFile": f"{keys.user}.pub",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            "Subsystem": "sftp internal-sftp",
            **settings,
        }
        self.service: Any = None

    def start(self) -> Sshd:
        """Start it."""
        config = self.directory / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in self.settings.items()))
        self.service = self.host.start(self.program, "-D", "-e", "-f", str(config))
        self.service.wait_until(lambda: "Server listening" in self.service.tail(), "listens")
        return self

    def sessions(self) -> list[int]:
        """The processes that serve a connection each."""
        parents = {int(path.name): parent_of(path) for path in Path("/proc").glob("[0-9]*")}
        return [pid for pid, parent in parents.items() if parent == self.service.process.pid]

    def freeze_sessions(self) -> None:
        """Hold the processes that serve connections: what is sent to them from now on is not answered."""
        for pid in self.host.wait_until(self.sessions, "a session"):
            os.kill(pid, signal.SIGSTOP)
        self.frozen.set()

    def drop_sessions(self) -> None:
        """Kill the processes that serve connections, as a crash or an impatient administrator does."""
        for pid in self.host.wait_until(self.sessions, "a session"):
            os.kill(pid, signal.SIGKILL)
        self.host.wait_until(lambda: not self.sessions(), "the sessions are gone")
        self.frozen.clear()


def parent_of(process: Path) -> int:
    """The process that started another one; 0 for one that has gone meanwhile."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def privilege_separation() -> Iterator[None]:
    """The directory that sshd wants when root starts it, and that Debian makes only when the service starts."""
    directory = Path("/run/sshd")
    made = os.geteuid() == 0 and not directory.exists()
    if made:
        directory.mkdir(mode=0o755)
    yield
    if made:
        directory.rmdir()


@pytest.fixture(scope="module")
def start(host: Any, keys: Keys, privilege_separation: None) -> Callable[..., Sshd]:
    """Starts an sshd with some settings of its own."""
    return lambda **settings: Sshd(host, keys, **settings).start()


@pytest.fixture(scope="module")
def server(start: Any) -> Sshd:
    """An sshd that runs through all tests."""
    started: Sshd = start(MaxSessions="1")
    return started


class Paramiko:
    """A connection of paramiko."""

    name = "paramiko"
    errors: tuple[type[Exception], ...] = (paramiko.SSHException, OSError, EOFError)

    def __init__(self, loop: Any, keys: Keys) -> None:
        self.keys = keys
        self.client = paramiko.SSHClient()

    def connect(
        self,
        port: int,
        *,
        name: str = "127.0.0.1",
        user: str = USER,
        key: str = "user",
        passphrase: str | None = None,
        password: str | None = None,
        host_key: str | None = "host",
        wait: float = 5,
    ) -> None:
        """Connect and log in."""
        if host_key is not None:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f"[{name}]:{port} {public(self.keys, host_key)}")
            self.client.get_host_keys().add(f"[{name}]:{port}", entry.key.get_name(), entry.key)
        self.client.connect(
            *(name, port, user, password),
            key_filename=None if password else str(getattr(self.keys, key)),
            passphrase=passphrase,
            banner_timeout=wait,
            auth_timeout=5,
            allow_agent=False,
            look_for_keys=False,
        )

    def run(self, command: str, timeout: float = 10) -> None:
        """Run a command to its end."""
        given, output, _ = self.client.exec_command(command, timeout=timeout)
        output.read()
        given.close()  # not before: the command would end with its input

    def forward(self, port: int) -> None:
        """Have the server connect to a port."""
        transport = self.client.get_transport()
        transport.open_channel("direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 1)).close()

    def stat(self, path: str, before: Callable[[], Any] = lambda: None) -> None:
        """Ask for a file by SFTP, and do something before the question."""
        with self.client.open_sftp() as sftp:
            before()
            sftp.stat(path)

    def close(self) -> None:
        """Close the connection, whatever became of it."""
        self.client.close()


class Asyncssh(Paramiko):
    """A connection of asyncssh."""

    name = "asyncssh"
    errors = (asyncssh.Error, asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError)

    def __init__(self, loop: Any, keys: Keys) -> None:
        self.keys = keys
        self.loop = loop
        self.connection: Any = None

    def connect(
        self,
        port: int,
        *,
        name: str = "127.0.0.1",
        user: str = USER,
        key: str = "user",
        passphrase: str | None = None,
        password: str | None = None,
        host_key: str | None = "host",
        wait: float = 5,
    ) -> None:
        trusted = [] if host_key is None else [asyncssh.import_public_key(public(self.keys, host_key))]
        self.connection = self.loop(
            *(asyncssh.connect, name, port),
            username=user,
            password=password,
            client_keys=None if password else [str(getattr(self.keys, key))],
            passphrase=passphrase,
            known_hosts=(trusted, [], []),
            login_timeout=wait,
            config=None,
            agent_path=None,
        )

    def run(self, command: str, timeout: float = 10) -> None:
        self.loop(self.connection.run, command, check=True, timeout=timeout, stdin=asyncssh.PIPE)

    def forward(self, port: int) -> None:
        async def main() -> None:
            _, writer = await self.connection.open_connection("127.0.0.1", port)
            writer.close()

        self.loop(main)

    def stat(self, path: str, before: Callable[[], Any] = lambda: None) -> None:
        async def main() -> None:
            async with self.connection.start_sftp_client() as sftp:
                before()
                await sftp.stat(path)

        self.loop(main)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.loop(self.connection.wait_closed)


def public(keys: Keys, name: str) -> str:
    """A public key as one line."""
    return Path(f"{getattr(keys, name)}.pub").read_text()


CLIENTS = [Paramiko, Asyncssh]


@pytest.fixture(params=CLIENTS, ids=[client.name for client in CLIENTS])
def client(request: pytest.FixtureRequest, loop: Any, keys: Keys) -> Iterator[Paramiko]:
    """A connection that is not made yet, and is closed at the end."""
    with closing(request.param(loop, keys)) as made:
        yield made


@pytest.fixture
def failed(client: Paramiko, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of the error with which something ends."""

    def check(action: Callable[..., Any], verdict: Verdict, *args: Any, applied: bool = False, **options: Any) -> None:
        with pytest.raises(client.errors) as caught:
            action(*args, **options)
        told(client.name, caught.value, verdict, applied=applied)

    return check


def test_nothing_listens(host: Any, client: Paramiko, failed: Any) -> None:
    """A closed port: transient, and nothing was asked."""
    failed(client.connect, T, host.unused_port())


def test_unknown_host(client: Paramiko, failed: Any) -> None:
    """A name that does not exist will not exist a second later."""
    failed(client.connect, P, 22, name="nowhere.invalid")


def test_banner_never_comes(host: Any, client: Paramiko, failed: Any) -> None:
    """A server that accepts and says nothing."""
    failed(client.connect, T, host.listener(), wait=0.3)


def test_hangs_up(host: Any, client: Paramiko, failed: Any) -> None:
    """A server, or a proxy before it, that accepts and hangs up before it has said anything.

    asyncssh says the same as of a connection that was lost in use, so that nobody can say whether something was done.
    """
    failed(client.connect, T, host.listener(lambda connection: None), applied=isinstance(client, Asyncssh))


def test_hangs_up_after_the_banner(host: Any, client: Paramiko, failed: Any) -> None:
    """A server that hangs up in the middle of the key exchange: both clients say no more than that it ended."""

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        connection.recv(10_000)

    failed(client.connect, T, host.listener(greet), applied=True)


def test_other_protocol(host: Any, client: Paramiko, failed: Any) -> None:
    """What answers is an HTTP server.

    No retry makes an SSH server of it, but RFC 4253 4.2 lets a server say what it likes before its banner, so that the
    clients see only one that hung up before it came to that.
    """

    def greet(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    failed(client.connect, T, host.listener(greet), applied=isinstance(client, Asyncssh))


def test_old_protocol(host: Any, client: Paramiko, failed: Any) -> None:
    """A server of SSH 1.5, which no client of today speaks."""

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"SSH-1.5-old\r\n")
        connection.recv(10_000)

    failed(client.connect, P, host.listener(greet), applied=isinstance(client, Asyncssh))


def test_too_many_start_ups(start: Any, client: Paramiko, failed: Any) -> None:
    """MaxStartups: too many others are logging in just now."""
    server = start(MaxStartups="1:100:1")
    with socket.create_connection(("127.0.0.1", server.port)) as other:
        assert other.recv(100).startswith(b"SSH-2.0-")
        # asyncssh does not say what it was told, but only that the connection was lost.
        failed(client.connect, T, server.port, applied=isinstance(client, Asyncssh))
    server.service.stop()


@pytest.mark.parametrize(
    "login",
    [
        {"key": "stranger"},
        {"user": "nobody-of-this-name"},
        {"password": "wrong"},
        {"key": "locked", "passphrase": "wrong"},
        {"key": "locked"},
        {"host_key": "stranger"},
        {"host_key": None},
    ],
    ids=["wrong key", "user", "password", "passphrase", "no passphrase", "wrong host key", "unknown host key"],
)
def test_no_login(server: Sshd, client: Paramiko, failed: Any, login: dict[str, Any]) -> None:
    """Another try with the same key, user or password meets the same refusal; so does another look at the host key."""
    failed(client.connect, P, server.port, **login)


def test_no_common_algorithm(start: Any, client: Paramiko, failed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that insists on a cipher that the client does not have."""
    server = start(Ciphers="chacha20-poly1305@openssh.com")
    if isinstance(client, Asyncssh):
        monkeypatch.setattr(asyncssh, "connect", with_option(asyncssh.connect, encryption_algs=["aes128-ctr"]))
    failed(client.connect, P, server.port)
    server.service.stop()


def with_option(function: Callable[..., Any], **more: Any) -> Callable[..., Any]:
    """The function, always called with one more option."""
    return lambda *args, **options: function(*args, **options, **more)


def test_dropped_between_commands(server: Sshd, client: Paramiko, failed: Any) -> None:
    """The session was dropped while nothing ran: the next command is not sent, a new connection helps."""
    client.connect(server.port)
    client.run("true")
    server.drop_sessions()
    if isinstance(client, Asyncssh):
        with suppress(asyncssh.Error):
            client.loop(asyncio.wait_for, client.connection.wait_closed(), 5)
    else:
        client.client.get_transport().join(5)  # the thread that finds out
    failed(client.run, T, "true")


def test_dropped_while_a_channel_opens(server: Sshd, client: Paramiko, failed: Any, meanwhile: Any) -> None:
    """The session is dropped before the channel for a command came about: the command was not sent.

    That paramiko's EOFError or ConnectionResetError came before it, and not after, nobody can say.
    """
    client.connect(server.port)
    server.freeze_sessions()
    with meanwhile(lambda: time.sleep(0.2), server.drop_sessions):
        failed(client.run, T, "true", applied=not isinstance(client, Asyncssh))


def test_dropped_during_sftp(server: Sshd, client: Paramiko, failed: Any, meanwhile: Any) -> None:
    """The session is dropped under a transfer: the question may have arrived."""
    client.connect(server.port)
    with meanwhile(lambda: server.frozen.wait(10), lambda: time.sleep(0.2), server.drop_sessions):
        failed(client.stat, T, "/etc", before=server.freeze_sessions, applied=True)


def test_dropped_before_sftp(server: Sshd, client: Paramiko, failed: Any) -> None:
    """The session was dropped between two questions of a transfer: the first ones were answered."""
    client.connect(server.port)

    def drop() -> None:
        server.drop_sessions()
        if not isinstance(client, Asyncssh):
            client.client.get_transport().join(5)  # the thread that finds out

    failed(client.stat, T, "/etc", before=drop, applied=True)


def test_slow_command(server: Sshd, client: Paramiko, failed: Any) -> None:
    """A command that takes longer than the client waits."""
    client.connect(server.port)
    failed(client.run, T, FOREVER, timeout=0.2, applied=True)


def test_too_many_sessions(server: Sshd, client: Paramiko, failed: Any) -> None:
    """MaxSessions: no further channel until another one has ended."""
    client.connect(server.port)
    if isinstance(client, Asyncssh):
        process = client.loop(client.connection.create_process, FOREVER)
        failed(client.run, T, "true")
        process.close()
    else:
        stdin, _, _ = client.client.exec_command(FOREVER)
        failed(client.run, T, "true")
        stdin.channel.close()


def test_forwarding_to_a_closed_port(server: Sshd, client: Paramiko, failed: Any, host: Any) -> None:
    """The server finds nothing that listens where it should connect to (yet)."""
    client.connect(server.port)
    failed(client.forward, T, host.unused_port())


def test_forwarding_prohibited(start: Any, client: Paramiko, failed: Any) -> None:
    """The server does not forward at all."""
    server = start(AllowTcpForwarding="no")
    client.connect(server.port)
    failed(client.forward, P, server.port)
    server.service.stop()


def test_no_such_file(server: Sshd, client: Paramiko, failed: Any) -> None:
    """SFTP: a file that is not there."""
    client.connect(server.port)
    failed(client.stat, P, "/nothing/here")


class Obliging(asyncssh.SSHServer):  # type: ignore[name-defined,misc]
    """Lets everybody in, but for users such as disconnect-12."""

    def connection_made(self, conn: Any) -> None:
        """Keep the connection."""
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        """Disconnect where that is asked for; nobody needs to show a key."""
        word, _, code = username.partition("-")
        if word == "disconnect":
            self.connection.disconnect(int(code), "as asked")
        return False

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        """Refuse to forward, with the port as the reason."""
        raise asyncssh.ChannelOpenError(dest_port, "as asked")


class Files(asyncssh.SFTPServer):  # type: ignore[name-defined,misc]
    """Answers every question with the status that stands in the path."""

    def stat(self, path: bytes) -> Any:
        """Fail."""
        raise asyncssh.SFTPError(int(path.rpartition(b"/")[2]), "as asked")


@pytest.fixture(scope="module")
def obliging(keys: Keys) -> Iterator[int]:
    """The port of a server of asyncssh, in a thread of its own."""
    ports: list[int] = []
    started = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        server = await asyncssh.create_server(
            *(Obliging, "127.0.0.1", 0), server_host_keys=[str(keys.host)], sftp_factory=Files
        )
        async with server:
            ports.append(server.get_port())
            started.set()
            await stop.wait()

    loops: list[Any] = []
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(10)
    yield ports[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


DISCONNECTS = {
    1: (P, False),  # host not allowed to connect
    2: (P, True),  # protocol error
    3: (P, False),  # key exchange failed
    7: (P, False),  # service not available
    9: (P, False),  # host key not verifiable
    10: (T, True),  # connection lost
    11: (T, True),  # by application
    12: (T, False),  # too many connections
    13: (P, False),  # authentication cancelled by user
    14: (P, False),  # no more authentication methods available
    15: (P, False),  # illegal user name
}


@pytest.mark.parametrize("code", DISCONNECTS)
def test_disconnected(obliging: int, loop: Any, keys: Keys, told: Any, code: int) -> None:
    """What the codes of RFC 4253 11.1 mean; paramiko does not tell them."""
    with closing(Asyncssh(loop, keys)) as client, pytest.raises(asyncssh.Error) as caught:
        client.connect(obliging, user=f"disconnect-{code}")
    verdict, applied = DISCONNECTS[code]
    told("asyncssh", caught.value, verdict, applied=applied)


@pytest.mark.parametrize(("code", "verdict"), [(1, P), (2, T), (3, P), (4, T)])
def test_channel_refused(obliging: int, client: Paramiko, failed: Any, code: int, verdict: Verdict) -> None:
    """What the codes of RFC 4254 5.1 mean: prohibited, connect failed, unknown channel type, resource shortage."""
    client.connect(obliging)
    failed(client.forward, verdict, code)


def test_no_such_subsystem(start: Any, client: Paramiko, failed: Any) -> None:
    """The server has no SFTP."""
    server = start(Subsystem="other internal-sftp")
    client.connect(server.port)
    failed(client.stat, P, "/etc")


def test_no_commands(obliging: int, client: Paramiko, failed: Any) -> None:
    """The server runs no commands, it has SFTP alone."""
    client.connect(obliging)
    failed(client.run, P, "true")


@pytest.mark.parametrize(
    ("code", "verdict", "applied"),
    [(2, P, False), (3, P, False), (4, P, False), (6, T, False), (7, T, True), (8, P, False)],
)
def test_sftp_status(
    obliging: int, loop: Any, keys: Keys, told: Any, code: int, verdict: Verdict, applied: bool
) -> None:
    """What the status codes of SFTP mean; paramiko tells only the first two of these."""
    with closing(Asyncssh(loop, keys)) as client, pytest.raises(asyncssh.SFTPError) as caught:
        client.connect(obliging)
        client.stat(f"/{code}")
    told("asyncssh", caught.value, verdict, applied=applied)


@pytest.mark.parametrize("code", [2, 3])
def test_sftp_status_as_errno(obliging: int, loop: Any, keys: Keys, told: Any, code: int) -> None:
    """ENOENT and EACCES are what paramiko makes of them."""
    with closing(Paramiko(loop, keys)) as client, pytest.raises(OSError, match="Errno") as caught:
        client.connect(obliging)
        client.stat(f"/{code}")
    told("paramiko", caught.value, P, applied=False)


def test_exit_status(server: Sshd, loop: Any, keys: Keys, told: Any) -> None:
    """An exit status is an error to asyncssh: of what the command had done by then nothing is known."""
    with closing(Asyncssh(loop, keys)) as client:
        client.connect(server.port)
        with pytest.raises(asyncssh.ProcessError) as caught:
            client.run("exit 3")
    told("asyncssh", caught.value, P, applied=True)


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_connect_waits_for_a_late_start(host: Any, keys: Keys, meanwhile: Any, privilege_separation: None) -> None:
    """The server starts while `connect` tries, and is there when the body runs."""
    server = Sshd(host, keys)
    refused = threading.Event()

    def connected() -> Any:
        client = Paramiko(None, keys)
        try:
            client.connect(server.port)
        except Exception:
            refused.set()
            client.close()
            raise
        return client

    with meanwhile(lambda: refused.wait() and server.start()), QUICK.connect(connected) as client:
        client.run("true")
    server.service.stop()


def test_dropped_session_is_made_anew(server: Sshd, keys: Keys, loop: Any) -> None:
    """In asyncio: a question by SFTP, under which the session is dropped, is asked again on a new connection."""
    attempts: list[int] = []

    @QUICK
    def ask() -> None:
        attempts.append(1)
        with closing(Asyncssh(loop, keys)) as client:
            client.connect(server.port)
            client.stat("/etc", before=server.drop_sessions if len(attempts) == 1 else lambda: None)

    ask()
    assert len(attempts) == 2


def test_wrong_key_is_tried_once(server: Sshd, keys: Keys) -> None:
    """A permanent error reaches the caller after one attempt: no account is locked by a retry."""
    attempts: list[int] = []

    @QUICK
    def login() -> None:
        attempts.append(1)
        with closing(Paramiko(None, keys)) as client:
            client.connect(server.port, key="stranger")

    with pytest.raises(paramiko.AuthenticationException):
        login()
    assert len(attempts) == 1
