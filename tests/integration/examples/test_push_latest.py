"""redouble.examples.push_latest against a real HTTP server; the waits are virtual."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import EventKind, override
from redouble.examples.surroundings.push_target import PushTarget
from redouble.testing import fake_time
from tests.integration.examples.by_hand import HOSTS

httpx: Any = pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
push_latest: Any = pytest.importorskip("redouble.examples.push_latest")

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redouble.testing import FakeClock

PATIENCE = 10.0  # real seconds that virtual time waits for the server's answer


class Scene:
    """A server with a script, the example's state and client, and virtual time, for `act` to play in."""

    def __init__(self, *script: str | int, timeout: float | None = None, supersede: bool = False) -> None:
        self.script = script
        self.timeout = timeout
        self.supersede = supersede
        self.events: list[redouble.Event] = []
        self.clock: FakeClock
        self.server: PushTarget
        self.state: Any
        self.target: Any

    def play(self, act: Callable[[asyncio.Task[None]], Awaitable[None]]) -> None:
        """Push in a task, and do what `act` does meanwhile; the pushing is closed at the end, if it still runs."""

        async def main() -> None:
            limits = httpx.Limits(max_keepalive_connections=0)  # virtual time waits for open sockets
            async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=self.timeout) as http:
                self.state = push_latest.State(asyncio.Event)
                self.target = push_latest.Target(http, self.server.url)
                pushing = push_latest.keep_pushing(self.state, self.target, supersede=self.supersede)
                task = asyncio.ensure_future(pushing)
                await act(task)
                self.state.closed.set()
                await task

        with PushTarget(*self.script) as self.server, fake_time() as self.clock:
            self.clock.io_grace = PATIENCE
            with override(observers=[self.events.append]):
                asyncio.run(main())

    def delays(self) -> list[float | None]:
        """The waits after failures."""
        return [event.delay for event in self.events if event.kind is EventKind.RETRY]


def publish_and_wait(scene: Scene, seconds: float) -> None:
    """One version is published, and so much time passes."""

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(seconds)

    scene.play(act)


def test_k01_an_outage_is_sat_out(caplog: pytest.LogCaptureFixture) -> None:
    """K-1: ten failures, then accepted; the waits double up to 30 s, and each is logged."""
    caplog.set_level(logging.INFO, "redouble")
    scene = Scene(*[503] * 10)
    publish_and_wait(scene, 200)
    assert scene.delays() == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert scene.server.versions() == [1] * 11
    lines = [record.getMessage() for record in caplog.records if record.name == "redouble"]
    assert [line.rpartition(" in ")[2] for line in lines] == [f"{delay:g} s" for delay in scene.delays()]


@pytest.mark.parametrize("failures", [0, 2])
def test_k02_k03_unimplemented_ends_it_quietly(failures: int, capsys: pytest.CaptureFixture[str]) -> None:
    """K-2, K-3: also after failures; it returns, having said so once."""
    scene = Scene(*[503] * failures, "unimplemented")

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await task
        scene.state.publish()
        await asyncio.sleep(100)

    scene.play(act)
    assert scene.server.versions() == [1] * (failures + 1)
    assert scene.delays() == [0.25, 0.5][:failures]
    assert capsys.readouterr().out.count("nothing is pushed from now on: this server takes no snapshots") == 1


def test_k04_rejected_waits_for_the_next_change(caplog: pytest.LogCaptureFixture) -> None:
    """K-4: it is not pushed again, and nothing is logged; the next version is."""
    scene = Scene("rejected")

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(1000)
        assert scene.server.versions() == [1]
        scene.state.publish()
        await asyncio.sleep(1)

    scene.play(act)
    assert scene.server.versions() == [1, 2]
    assert scene.events == [] and caplog.records == []


@pytest.mark.parametrize("first", ["ok", "rejected"])
def test_k05_initial_until_a_push_came_through(first: str) -> None:
    """K-5: failed pushes leave it true, an answer makes it false, also a rejection."""
    scene = Scene(503, 503, first)

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(10)
        scene.state.publish()
        await asyncio.sleep(10)

    scene.play(act)
    assert [snapshot["initial"] for snapshot in scene.server.pushed] == [True, True, True, False]


def test_k06_a_burst_is_one_push() -> None:
    """K-6: what is published while a push is under way goes as one, the newest."""
    scene = Scene("hold")

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.to_thread(scene.server.held.wait, PATIENCE)
        scene.state.publish()
        scene.state.publish()
        scene.server.release.set()
        await asyncio.sleep(10)

    scene.play(act)
    assert scene.server.versions() == [1, 3]
    assert scene.server.most_at_once == 1


def test_k07_a_fresh_curve_for_each_push() -> None:
    """K-7: three failures, then a push with one."""
    scene = Scene(503, 503, 503, "ok", 503, "ok")

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(10)
        scene.state.publish()
        await asyncio.sleep(10)

    scene.play(act)
    assert scene.delays() == [0.25, 0.5, 1.0, 0.25]


def test_k08_cancelled_in_a_wait(caplog: pytest.LogCaptureFixture) -> None:
    """K-8: no further push, and no further line."""
    caplog.set_level(logging.INFO, "redouble")
    scene = Scene(*[503] * 9)

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(1)
        lines = len(caplog.records)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(100)
        assert len(caplog.records) == lines

    with pytest.raises(asyncio.CancelledError):
        scene.play(act)
    assert scene.server.versions() == [1, 1, 1]


def test_k09_not_a_moment_before_its_time() -> None:
    """K-9: before the wait is over there is one push, at its end there are two."""
    scene = Scene(503)

    async def act(task: asyncio.Task[None]) -> None:
        with scene.clock.trap() as trap:
            scene.state.publish()
            assert await trap.wait_async() == 0.25
            scene.clock.advance(0.249999)
            await scene.clock.settle()
            assert len(scene.server.pushed) == 1
            scene.clock.advance(0.000001)
            await scene.clock.settle()
        await asyncio.sleep(0.1)
        assert len(scene.server.pushed) == 2

    scene.play(act)


@pytest.mark.parametrize("failing", [False, True], ids=["parked", "in a wait"])
def test_k10_k11_closed(failing: bool) -> None:
    """K-10, K-11: closing ends it at once, also in the middle of an outage."""
    scene = Scene(*[503] * 20 * failing)

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(50)
        pushes, now = len(scene.server.pushed), scene.clock.now()
        scene.state.closed.set()
        await task
        assert (scene.clock.now(), len(scene.server.pushed)) == (now, pushes)

    scene.play(act)


def test_k12_a_timeout_of_the_push_is_a_failure() -> None:
    """K-12: the client's own timeout is no reason to end in silence: it is tried again. In real time."""

    async def main() -> list[int]:
        with PushTarget("hold") as server:
            async with httpx.AsyncClient(trust_env=False, timeout=0.1) as http:
                state = push_latest.State(asyncio.Event)
                state.publish()
                pusher = asyncio.ensure_future(push_latest.keep_pushing(state, push_latest.Target(http, server.url)))
                while len(server.pushed) < 2:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                server.release.set()
                state.closed.set()
                await pusher
                return server.versions()

    assert asyncio.run(main()) == [1, 1]


def test_k13_what_is_not_ready_is_not_pushed() -> None:
    """K-13: version 0 is waited out; the first one that is ready says that it is the first."""
    scene = Scene()

    async def act(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(100)
        scene.state.changed.set()
        await asyncio.sleep(100)
        assert scene.server.pushed == []
        scene.state.publish()
        await asyncio.sleep(1)

    scene.play(act)
    assert scene.server.pushed == [{"version": 1, "initial": True}]


@pytest.mark.parametrize("supersede", [False, True])
def test_k14_a_change_during_an_outage(supersede: bool) -> None:
    """K-14: by default the same version is tried until it is accepted; with `supersede` the newest goes at once."""
    scene = Scene(503, 503, 503, 503, 503, supersede=supersede)

    async def act(task: asyncio.Task[None]) -> None:
        scene.state.publish()
        await asyncio.sleep(4)
        assert scene.server.versions() == [1, 1, 1, 1, 1]
        scene.state.publish()
        await asyncio.sleep(0.5)
        assert scene.server.versions() == ([1, 1, 1, 1, 1, 2] if supersede else [1, 1, 1, 1, 1])
        await asyncio.sleep(10)

    scene.play(act)
    assert scene.server.versions() == ([1, 1, 1, 1, 1, 2] if supersede else [1, 1, 1, 1, 1, 1, 2])


def test_k15_nothing_to_push_with() -> None:
    """K-15: a missing pusher is refused before anything happens."""
    state = push_latest.State()
    with pytest.raises(TypeError, match="push must be"):
        push_latest.latest(state.newest, None, state.changed, state.closed)


def test_a_mistake_in_the_program_is_not_retried() -> None:
    """What `push` gets wrong by itself ends it at once: a mistake does not go away by waiting."""
    scene = Scene()

    async def act(task: asyncio.Task[None]) -> None:
        scene.target.url = None
        scene.state.publish()
        await asyncio.wait([task])

    with pytest.raises(httpx.UnsupportedProtocol):
        scene.play(act)
    assert scene.delays() == []


@pytest.mark.parametrize("host", HOSTS["push_latest"])
def test_by_hand(host: str, example: Callable[[str], Any]) -> None:
    """`python -m redouble.examples.push_latest`, on each host: an outage, a burst, a rejection, a close in a wait."""
    lines = example("push_latest").run("--on", host)
    assert "the server got the versions [1, 1, 1, 1, 4, 5, 6, 6]" in lines
    assert "version 4 rejected: {'version': 4, 'initial': False}" in lines
    assert any(line.startswith("closed in the middle of a wait: it ended 0.0") for line in lines)
    assert lines[-2:] == [
        "nothing is pushed from now on: this server takes no snapshots",
        "another server got the versions [1]",
    ]
