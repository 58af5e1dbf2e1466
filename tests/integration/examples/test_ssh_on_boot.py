"""redouble.examples.ssh_on_boot against real SSH servers; the waits are virtual."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import EventKind, deadline, outcome, override
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.late_sshd import LateSshd
from redouble.testing import FakeClock, fake_time, scripted

asyncssh: Any = pytest.importorskip("asyncssh", reason="asyncssh is not installed: pip install asyncssh")
ssh_on_boot: Any = pytest.importorskip("redouble.examples.ssh_on_boot")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDSHAKE = 10.0  # real seconds that virtual time waits for an sshd to say its next word


class Dials:
    """`asyncssh.connect`, with its dials counted, and the connections that are open."""

    def __init__(self) -> None:
        self.count = self.made = self.open = 0

    def __call__(self, *address: Any, **login: Any) -> Any:
        self.count += 1
        dials = self

        class Counted(asyncssh.SSHClient):  # type: ignore[misc]
            def connection_made(self, connection: Any) -> None:
                dials.made += 1
                dials.open += 1

            def connection_lost(self, error: Exception | None) -> None:
                dials.open -= 1

        return asyncssh.connect(*address, client_factory=Counted, **login)


@pytest.fixture(params=["sshd", "asyncssh"])
def machine(request: pytest.FixtureRequest) -> Iterator[LateSshd]:
    """A machine on which no SSH server runs yet: sshd, or the one of asyncssh that stands in for it."""
    program = stage.find_program("sshd") if request.param == "sshd" else ""
    if program is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    with LateSshd(program) as machine:
        yield machine


@pytest.fixture
def dials() -> Dials:
    """Counts the dials."""
    return Dials()


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the example has said."""
    said: list[str] = []
    monkeypatch.setattr(stage, "say", said.append)
    return said


async def wait_for(machine: LateSshd, dials: Dials, key: str = "login_key") -> None:
    """The example's function, for this machine."""
    await ssh_on_boot.wait_for_ssh(dials, machine.host, machine.port, **machine.login(key))


def test_c01_a_machine_that_is_up_is_dialled_once(machine: LateSshd, dials: Dials, notices: list[str]) -> None:
    """C-1: one dial, no wait, no message, and the probe is closed."""
    machine.boot()
    with fake_time() as clock:
        clock.io_grace = HANDSHAKE
        asyncio.run(wait_for(machine, dials))
    assert (dials.count, clock.sleeps, notices) == (1, [], [])
    assert (dials.made, dials.open) == (1, 0)


def test_c02_a_wrong_key_is_told_at_once(machine: LateSshd, dials: Dials, notices: list[str]) -> None:
    """C-2: one dial, no wait, no message, and the error as asyncssh raised it."""
    machine.boot()
    with fake_time() as clock, pytest.raises(asyncssh.PermissionDenied) as caught:
        clock.io_grace = HANDSHAKE
        asyncio.run(wait_for(machine, dials, "wrong_key"))
    assert (dials.count, dials.open, clock.sleeps, notices, outcome(caught.value)) == (1, 0, [], [], None)
    assert not hasattr(caught.value, "__notes__")


def test_c03_sshd_comes_up_while_it_waits(machine: LateSshd, dials: Dials, notices: list[str]) -> None:
    """C-3: refused twice, then there; 2 and 3 seconds, and one message before the first wait."""
    before_wait: list[int] = []
    observers = [lambda event: before_wait.append(len(notices)), boots_at_the_second(machine)]
    with fake_time(draw=0.5) as clock, override(observers=observers):
        clock.io_grace = HANDSHAKE
        asyncio.run(wait_for(machine, dials))
    assert (dials.count, clock.sleeps) == (3, [2.0, 3.0])
    assert notices == ["Waiting for SSH to become available ..."]
    assert before_wait[0] == 1
    assert (dials.made, dials.open) == (1, 0)


@pytest.mark.parametrize(
    ("draw", "sleeps", "ends"),
    [
        (0.5, [2, 3, 4.5, 6.75, 10.125, 15, 15, 15, 15], 86.375),
        (0.0, [1, 1.5, 2.25, 3.375, 5.0625, *[7.5] * 10], 88.1875),
        (1 - 1e-12, [3, 4.5, 6.75, 10.125, 15.1875, 22.5, 22.5], 84.5625),
    ],
)
def test_c04_c05_a_machine_that_never_comes_up(
    dials: Dials, notices: list[str], draw: float, sleeps: list[float], ends: float
) -> None:
    """C-4, C-5: it is waited for as long as 90 s allow, and the last refusal is raised."""
    with fake_time(draw=draw) as clock, pytest.raises(ConnectionRefusedError) as caught:
        asyncio.run(ssh_on_boot.wait_for_ssh(dials, stage.HOST, stage.unused_port(), config=None))
    assert clock.sleeps == pytest.approx(sleeps)
    assert clock.now() == pytest.approx(ends)
    assert (dials.count, len(notices)) == (len(sleeps) + 1, 1)
    end = outcome(caught.value)
    assert end is not None and end.reason is redouble.Reason.DEADLINE


NEVER_REFUSED = [
    OSError(errno.EHOSTUNREACH, "No route to host"),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    OSError(f"Multiple exceptions: [Errno {errno.ECONNREFUSED}] a, [Errno {errno.EHOSTUNREACH}] b"),
    asyncssh.ConnectionLost("Connection lost"),
    asyncssh.HostKeyNotVerifiable("Host key is not trusted"),
]


@pytest.mark.parametrize("error", NEVER_REFUSED, ids=repr)
def test_c06_c07_nothing_else_is_waited_for(error: Exception, notices: list[str]) -> None:
    """C-6, C-7: the very error at the first dial, without a wait or a word."""
    dial = scripted(error, asynchronous=True)
    with fake_time() as clock, pytest.raises(type(error)) as caught:
        asyncio.run(ssh_on_boot.wait_for_ssh(dial))
    assert caught.value is error
    assert (clock.sleeps, notices) == ([], [])


def wrapped(levels: int, *, suppressed: bool = False) -> Exception:
    """A refusal beneath other errors: as their cause, or merely as what was being handled."""
    error: Exception = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    for level in range(levels):
        try:
            raise error
        except Exception as cause:
            try:
                raise RuntimeError(f"level {level}") from (None if suppressed else cause)
            except RuntimeError as outer:
                error = outer
    return error


@pytest.mark.parametrize("levels", [1, 3])
def test_c08_a_wrapped_refusal_is_one(levels: int, machine: LateSshd) -> None:
    """C-8: also three causes deep."""
    machine.boot()

    def dial(*address: Any, **login: Any) -> Any:
        if errors:
            raise errors.pop()
        return asyncssh.connect(*address, **login)

    errors = [wrapped(levels)]
    with fake_time() as clock:
        clock.io_grace = HANDSHAKE
        asyncio.run(ssh_on_boot.wait_for_ssh(dial, machine.host, machine.port, **machine.login()))
    assert clock.sleeps == [2.0]


def test_c08_a_refusal_that_was_only_being_handled_is_none() -> None:
    """C-8: what somebody raised `from None` speaks for itself."""
    dial = scripted(wrapped(1, suppressed=True), asynchronous=True)
    with fake_time() as clock, pytest.raises(RuntimeError, match="level 0"):
        asyncio.run(ssh_on_boot.wait_for_ssh(dial))
    assert clock.sleeps == []


def test_c09_cancelled_in_the_message(dials: Dials, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-9: who cancels when the message comes gets the cancellation, and no further dial."""

    async def main() -> None:
        task = asyncio.ensure_future(ssh_on_boot.wait_for_ssh(dials, stage.HOST, stage.unused_port(), config=None))
        monkeypatch.setattr(stage, "say", lambda text: task.cancel())
        await task

    with fake_time() as clock, pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert (dials.count, clock.now()) == (1, 0.0)


@pytest.mark.parametrize("limit", [asyncio.timeout, deadline])
def test_c10_a_deadline_around_it(limit: Any, dials: Dials, notices: list[str]) -> None:
    """C-10: dials at 0 and 2 s; at 4 s the error of whoever had enough, who may also be a `redouble.deadline`."""

    async def main() -> None:
        async with limit(4):
            await ssh_on_boot.wait_for_ssh(dials, stage.HOST, stage.unused_port(), config=None)

    with fake_time() as clock, pytest.raises((TimeoutError, ConnectionRefusedError)) as caught:
        asyncio.run(main())
    assert dials.count == 2
    if limit is asyncio.timeout:
        assert type(caught.value) is TimeoutError and clock.now() == 4.0
    else:  # which is known beforehand: a wait of 3 s has no use
        assert type(caught.value) is ConnectionRefusedError and clock.now() == 2.0


def test_c11_a_dial_that_took_all_the_time(notices: list[str]) -> None:
    """C-11: refused after 89 s: raised at once, since 2 s more would be too long, and without a message."""
    clock = FakeClock()

    async def slow() -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "[Errno 111] refused")

    def dial() -> Any:
        clock.advance(89)
        return slow()

    with override(clock=clock, draw=lambda: 0.5, attempt_timeout=None), pytest.raises(ConnectionRefusedError):
        asyncio.run(ssh_on_boot.wait_for_ssh(dial))
    assert (clock.sleeps, notices) == ([], [])


@pytest.mark.parametrize(("took", "waits"), [(88.0, [2.0]), (88.001, [])])
def test_c12_a_wait_that_just_fits(took: float, waits: list[float], notices: list[str]) -> None:
    """C-12: at 88 s a wait of 2 s ends at the deadline and is made; a moment later it would end after it."""
    clock = FakeClock()

    async def fail() -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    def dial() -> Any:
        if clock.now() == 0:
            clock.advance(took)
        return fail()

    with override(clock=clock, draw=lambda: 0.5, attempt_timeout=None), pytest.raises(ConnectionRefusedError):
        asyncio.run(ssh_on_boot.wait_for_ssh(dial))
    assert clock.sleeps == waits


def test_c13_a_dial_that_hangs_is_cut_off(notices: list[str]) -> None:
    """C-13: a machine that takes the connection and says nothing is left after 10 s, and dialled again."""
    ends: list[float] = []

    def watch(event: redouble.Event) -> None:
        ends.append(event.elapsed)
        assert isinstance(event.error, TimeoutError)

    with socket.create_server((stage.HOST, 0)) as silent:
        port = silent.getsockname()[1]
        with fake_time(), override(observers=[watch]), pytest.raises(TimeoutError):
            asyncio.run(ssh_on_boot.wait_for_ssh(asyncssh.connect, stage.HOST, port, config=None, known_hosts=None))
    assert ends[:3] == pytest.approx([10.0, 22.0, 35.0])
    assert len(notices) == 1


def test_c16_a_name_with_two_addresses(dials: Dials, notices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """C-16: refused at each of them comes as one OSError without an errno, and is waited for like any refusal."""
    port = stage.unused_port()
    real = socket.getaddrinfo

    def two(host: Any, *rest: Any, **more: Any) -> Any:
        return [*real("127.0.0.1", *rest, **more), *real("127.0.0.2", *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    seen: list[redouble.Event] = []
    with fake_time() as clock, override(deadline=6, observers=[seen.append]), pytest.raises(OSError) as caught:
        asyncio.run(ssh_on_boot.wait_for_ssh(dials, "machine.example", port, config=None))
    assert type(caught.value) is OSError and "Multiple exceptions" in str(caught.value)
    assert clock.sleeps == [2.0, 3.0]
    assert [event.kind for event in seen] == [EventKind.RETRY, EventKind.RETRY, EventKind.GIVE_UP]


def boots_at_the_second(machine: LateSshd) -> Callable[[redouble.Event], None]:
    """An observer that boots a machine after the second failure."""

    def hear(event: redouble.Event) -> None:
        if event.attempt == 2:
            machine.boot()

    return hear


@pytest.mark.parametrize("host", ["threads", "trio"])
def test_c03_on_other_hosts(host: str, machine: LateSshd, notices: list[str]) -> None:
    """C-3 on threads and trio: the same policy waits as long for the server's greeting."""
    with fake_time(draw=0.5) as clock, override(observers=[boots_at_the_second(machine)]):
        clock.io_grace = HANDSHAKE
        if host == "threads":
            greeting = ssh_on_boot.wait_in_a_thread(machine.host, machine.port)
        else:
            trio: Any = pytest.importorskip("trio", reason="trio is not installed: pip install trio")
            greeting = trio.run(ssh_on_boot.wait_on_trio, machine.host, machine.port, clock=clock.trio)
    assert greeting.startswith("SSH-2.0-")
    assert (clock.sleeps, len(notices)) == ([2.0, 3.0], 1)


def test_by_hand(example: Callable[[str], Any]) -> None:
    """`python -m redouble.examples.ssh_on_boot` waits, uses the machine, and is told of the wrong key at once."""
    lines = example("ssh_on_boot").run()
    assert lines.count("Waiting for SSH to become available ...") == 1
    assert any(line.startswith("  attempt 1: ConnectionRefusedError; the next one in ") for line in lines)
    assert lines[-3:-1] == ["SSH is there; the probe is closed", "hello from the machine"]
    assert lines[-1].startswith("with a wrong key, at once: PermissionDenied: ")
    assert lines[-1].endswith("retried: None")


@pytest.mark.parametrize("host", ["threads", "trio"])
def test_by_hand_on_other_hosts(host: str, example: Callable[[str], Any]) -> None:
    """`--on threads` and `--on trio` wait for the greeting of the same machine."""
    lines = example("ssh_on_boot").run("--on", host)
    assert lines.count("Waiting for SSH to become available ...") == 1
    assert lines[-1].startswith("SSH is there: SSH-2.0-")
