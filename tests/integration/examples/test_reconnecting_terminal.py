"""redouble.examples.reconnecting_terminal against a real WebSocket server; the waits are virtual."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import EventKind, override
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.terminal_server import TerminalServer
from redouble.testing import fake_time
from tests.integration.examples.by_hand import HOSTS

pytest.importorskip("websockets", reason="websockets is not installed: pip install websockets")
example_module: Any = pytest.importorskip("redouble.examples.reconnecting_terminal")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from redouble.testing import FakeClock

PATIENCE = 0.6  # real seconds that virtual time waits for the server's next word
SIX = [f"connection lost, retrying in {seconds}s ({n}/6)" for n, seconds in enumerate((1, 2, 4, 8, 16, 30), 1)]
GAVE_UP = "gave up; press Enter to reconnect"


@pytest.fixture
def server() -> Iterator[TerminalServer]:
    """A server that does not listen yet."""
    with TerminalServer() as server:
        yield server


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the example has said."""
    said: list[str] = []
    monkeypatch.setattr(stage, "say", said.append)
    return said


def play(act: Callable[[FakeClock], Awaitable[None]], draw: float = 0.5) -> None:
    """Run a scene in virtual time."""

    async def main(clock: FakeClock) -> None:
        await act(clock)

    with fake_time(draw=draw) as clock:
        clock.io_grace = PATIENCE
        asyncio.run(main(clock))


@asynccontextmanager
async def running(terminal: Any) -> AsyncIterator[asyncio.Task[None]]:
    """The terminal at work, in a task that is cancelled at the end, if it has not ended by itself."""
    task = asyncio.ensure_future(terminal.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(happened: Callable[[], Any], what: str) -> None:
    """Wait, in no virtual time, for something that the server does."""
    await asyncio.to_thread(stage.wait_until, happened, what)


def test_v01_v12_the_curves() -> None:
    """V-1, V-12: the terminal's curve is capped at 30 s, the tunnel's at 60 s with jitter, and has a floor after ten."""
    terminal = example_module.Terminal.policy.backoff
    assert list(islice(terminal, 7)) == [1, 2, 4, 8, 16, 30, 30]
    assert terminal.delay(10**6, None, 0.5) == 30
    tunnel = example_module.never_give_up.backoff
    expected = [1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 60, 60, 60, 60, 300, 300]
    assert [tunnel.delay(failures, None, 0.5) for failures in range(1, 13)] == expected
    assert [tunnel.delay(1, None, draw) for draw in (0.0, 0.999)] == [1.0, 1.999]
    assert {tunnel.delay(11, None, draw) for draw in (0.0, 0.5, 0.999)} == {300}


def test_v03_a_good_connection_forgives_failures(server: TerminalServer, notices: list[str]) -> None:
    """V-3: after two failures and a connection that lasted, the next failure is the first."""

    async def act(clock: FakeClock) -> None:
        terminal = example_module.Terminal(server.url)
        async with running(terminal):
            await asyncio.sleep(2)
            server.start()
            await asyncio.sleep(8)
            assert terminal.link.failures == 0
            server.drop()
            await until(lambda: len(notices) == 3, "the drop is noticed")

    play(act)
    assert notices == [SIX[0], SIX[1], SIX[0]]


def test_v04_one_try_only(notices: list[str]) -> None:
    """V-4: with a limit of one it tries once more, gives up, and begins afresh when somebody asks."""

    async def act(clock: FakeClock) -> None:
        terminal = example_module.Terminal(f"ws://{stage.HOST}:{stage.unused_port()}")
        async with running(terminal):
            await asyncio.sleep(10)
            terminal.link.reset()
            await asyncio.sleep(0.5)
            assert (terminal.link.failures, terminal.link.parked) == (1, False)

    with override(attempts=2):
        play(act)
    assert notices == [SIX[0], GAVE_UP, SIX[0]]


def test_v06_a_drop_is_one_failure(server: TerminalServer, notices: list[str]) -> None:
    """V-6: a connection that is cut counts once, is noticed once and waited for once."""

    async def act(clock: FakeClock) -> None:
        terminal = example_module.Terminal(server.url)
        server.start()
        async with running(terminal):
            await asyncio.sleep(6)
            server.drop()
            await until(lambda: notices, "the drop is noticed")
            await asyncio.sleep(1.5)
            await until(lambda: len(server.dials) == 2, "it dials again")
            assert clock.sleeps == [1.0]

    play(act)
    assert notices == SIX[:1]
    assert len(server.dials) == 2


def test_v07_gone_for_good(notices: list[str]) -> None:
    """V-7: seven dials, six notices, one give-up, and nothing in the next two minutes."""

    async def act(clock: FakeClock) -> None:
        terminal = example_module.Terminal(f"ws://{stage.HOST}:{stage.unused_port()}")
        async with running(terminal):
            await asyncio.sleep(61.5)
            assert notices == [*SIX, GAVE_UP]
            await asyncio.sleep(120)
            assert (terminal.link.attempt, terminal.link.parked) == (7, True)

    play(act)
    assert notices == [*SIX, GAVE_UP]


@pytest.mark.parametrize(("status", "said", "dials"), [(404, [GAVE_UP], 1), (403, [GAVE_UP], 1), (502, SIX[:1], 2)])
def test_v08_a_refused_upgrade(
    status: int, said: list[str], dials: int, server: TerminalServer, notices: list[str]
) -> None:
    """V-8: a 4xx gives up at once, without a word of trying again; a 502 may pass."""

    async def act(clock: FakeClock) -> None:
        server.refuse = status
        server.start()
        async with running(example_module.Terminal(server.url)):
            await until(lambda: notices, "it is noticed")
            server.refuse = None if status == 502 else status
            await asyncio.sleep(4 if status == 502 else 60)

    play(act)
    assert (notices, len(server.dials)) == (said, dials)


def test_v09_the_button_after_it_gave_up(notices: list[str]) -> None:
    """V-9: it dials at once, and the next failure is the first again."""

    async def act(clock: FakeClock) -> None:
        terminal = example_module.Terminal(f"ws://{stage.HOST}:{stage.unused_port()}")
        async with running(terminal):
            await asyncio.sleep(100)
            terminal.press_enter()
            await asyncio.sleep(0.5)
            assert terminal.link.attempt == 8

    play(act)
    assert notices == [*SIX, GAVE_UP, SIX[0]]


def test_v10_the_button_during_a_wait(server: TerminalServer, notices: list[str]) -> None:
    """V-10: one dial, at once; the wait that was under way is no more."""

    async def act(clock: FakeClock) -> None:
        terminal = example_module.Terminal(server.url)
        async with running(terminal):
            await asyncio.sleep(10)  # in the wait of 8 s
            server.start()
            terminal.press_enter()
            await until(lambda: server.open == 1, "it is connected")
            await asyncio.sleep(15)
            assert (len(server.dials), terminal.link.failures) == (1, 0)

    play(act)
    assert notices == SIX[:4]


def test_v10_the_button_while_connected(server: TerminalServer, notices: list[str]) -> None:
    """V-10: the connection is closed and dialled anew at once, with the last line seen, and without a notice."""

    async def act(clock: FakeClock) -> None:
        server.start()
        terminal = example_module.Terminal(server.url)
        async with running(terminal):
            await until(lambda: terminal.seen == 3, "all lines are here")
            await asyncio.sleep(1)
            terminal.press_enter()
            await until(lambda: terminal.seen == 6, "the lines go on")
            await until(lambda: server.open == 1, "the old connection is closed")
            assert clock.sleeps == []

    play(act)
    assert (server.dials, notices) == (["", "resume=3"], [])


def test_v11_closed_while_waiting(server: TerminalServer, notices: list[str]) -> None:
    """V-11: nobody dials any more."""

    async def act(clock: FakeClock) -> None:
        async with running(example_module.Terminal(server.url)):
            await asyncio.sleep(10)
        server.start()
        await asyncio.sleep(30)

    play(act)
    assert (notices, server.dials) == (SIX[:4], [])


def test_v16_a_dial_that_never_ends(notices: list[str]) -> None:
    """V-16: a server that takes the connection and says nothing is a failure after 20 s."""

    async def act(clock: FakeClock) -> None:
        with socket.create_server((stage.HOST, 0)) as silent:
            async with running(example_module.Terminal(f"ws://{stage.HOST}:{silent.getsockname()[1]}")):
                await asyncio.sleep(19.9)
                assert notices == []
                await asyncio.sleep(0.2)
                assert notices == SIX[:1]

    play(act)


def test_v17_it_goes_on_where_it_was(server: TerminalServer, notices: list[str]) -> None:
    """V-17: the next dial names the last line that was seen, the first one none."""

    async def act(clock: FakeClock) -> None:
        server.lines = 42
        server.start()
        terminal = example_module.Terminal(server.url)
        async with running(terminal):
            await until(lambda: terminal.seen == 42, "all lines are here")
            server.drop()
            await until(lambda: notices, "the drop is noticed")
            await asyncio.sleep(1.5)
            await until(lambda: terminal.seen == 84, "the lines go on")

    play(act)
    assert server.dials == ["", "resume=42"]


def test_v18_accepted_and_closed_at_once(server: TerminalServer, notices: list[str]) -> None:
    """V-18: connections that do not last are failures: it gives up on the seventh, and does not storm the server."""

    async def act(clock: FakeClock) -> None:
        server.close = 1000
        server.lines = 0
        server.start()
        async with running(example_module.Terminal(server.url)):
            await until(lambda: server.dials, "the first dial")
            await asyncio.sleep(200)

    play(act)
    assert notices == [*SIX, GAVE_UP]
    assert len(server.dials) == 7


class Tunnel:
    """The example's tunnel at work, and what its observers heard."""

    def __init__(self, url: str) -> None:
        self.link = example_module.tunnel(url)
        self.events: list[redouble.Event] = []

    async def run(self) -> None:
        """Keep it up."""
        with override(observers=[self.events.append]):
            async for session in self.link:
                async with session as connection:
                    async for _ in connection:
                        pass

    def heard(self, kind: EventKind) -> list[redouble.Event]:
        """The events of a kind."""
        return [event for event in self.events if event.kind is kind]


def test_v05_v12_a_tunnel_never_gives_up() -> None:
    """V-5, V-12: a hundred failures, by its curve."""

    async def act(clock: FakeClock) -> None:
        tunnel = Tunnel(f"ws://{stage.HOST}:{stage.unused_port()}")
        async with running(tunnel):
            await asyncio.sleep(306 + 90 * 300)
        assert clock.sleeps[:12] == [1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 60, 60, 60, 60, 300, 300]
        assert len(tunnel.heard(EventKind.RETRY)) >= 100
        assert tunnel.heard(EventKind.GIVE_UP) == []

    play(act)


def test_v14_a_tunnel_that_is_rate_limited(server: TerminalServer) -> None:
    """V-14: a minute, then five; after a connection that lasted a minute again."""

    async def act(clock: FakeClock) -> None:
        server.close = example_module.RATE_LIMITED
        server.start()
        tunnel = Tunnel(server.url)
        async with running(tunnel):
            await until(lambda: len(tunnel.events) >= 3, "the first")
            await asyncio.sleep(60 + 300 + 150)
            assert clock.sleeps == [60.0, 300.0, 300.0]
            server.close = None
            await asyncio.sleep(160)
            server.close = example_module.RATE_LIMITED
            server.drop()
            await asyncio.sleep(30)
        assert clock.sleeps == [60.0, 300.0, 300.0, 1.5, 60.0]

    play(act)


def test_v15_a_tunnel_whose_key_is_invalid(server: TerminalServer) -> None:
    """V-15: parked with one alarm, one dial each quarter of an hour, and one at once when somebody has a new key."""

    async def act(clock: FakeClock) -> None:
        server.close = example_module.INVALID_KEY
        server.start()
        tunnel = Tunnel(server.url)
        async with running(tunnel):
            await until(lambda: tunnel.link.parked, "it is parked")
            await asyncio.sleep(899)
            assert len(server.dials) == 1
            await asyncio.sleep(2)
            await until(lambda: len(server.dials) == 2 and tunnel.link.parked, "it has tried once")
            await asyncio.sleep(100)
            assert (len(server.dials), len(tunnel.heard(EventKind.PARKED))) == (2, 1)
            server.close = None
            tunnel.link.reset()
            await until(lambda: len(server.dials) == 3, "somebody's new key is tried")

    play(act)


@pytest.mark.parametrize("host", HOSTS["reconnecting_terminal"])
def test_by_hand(host: str, example: Callable[[str], Any]) -> None:
    """`python -m redouble.examples.reconnecting_terminal`, on each host: a button, a kill, a server that is gone."""
    lines = example("reconnecting_terminal").run("--on", host)
    pressed, killed = (int(line.split()[4].rstrip(";")) for line in lines if line.startswith("the last line is "))
    assert killed > pressed > 0
    assert lines[3:5] == SIX[:2]  # none for the button
    assert "the server is there again" in lines
    assert f"the lines go on with {killed + 1}" in lines
    assert lines.count(GAVE_UP) == 1
    assert lines[-2:] == [SIX[0], f"a tunnel waits {[1.5, 2.5, 4.5, 8.5, 16.5, 32.5, *[60.0] * 4, *[300.0] * 3]}"]
