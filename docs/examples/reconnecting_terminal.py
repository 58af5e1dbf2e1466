"""Keep a terminal's WebSocket alive: dial again with notices, give up after six, and begin afresh when somebody asks.

Run it: `python docs/examples/reconnecting_terminal.py`. It starts a real WebSocket server, kills it, and starts it again;
it needs `websockets`. Also here: the policy of a tunnel, which never gives up.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redouble import (
    EventKind,
    additive,
    constant,
    exponential,
    known_errors,
    permanent,
    reconnect,
    retry,
    sequence,
    transient,
)
from redouble.loops import Link
from redouble.testing import fake_time

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integration" / "examples"))
from surroundings import stage
from surroundings.terminal_server import TerminalProcess

if TYPE_CHECKING:
    from redouble import Event

websockets = stage.client("websockets")
connect = stage.client("websockets.asyncio.client").connect


def notice(event: Event) -> None:
    if event.kind is EventKind.RETRY:
        stage.say(f"connection lost, retrying in {event.delay:g}s ({event.failures}/6)")
    elif event.kind is EventKind.PARKED:
        stage.say("gave up; press Enter to reconnect")


def is_refusal(error: Exception) -> bool:
    """Whether the server refused the upgrade with a 4xx: dialling again does not help, somebody has to do something."""
    return isinstance(error, websockets.InvalidStatus) and error.response.status_code < 500


# redouble:
class Terminal:
    policy = retry(
        on=transient(websockets.WebSocketException) | known_errors,
        attempts=7,
        backoff=exponential(1, maximum=30, jitter=None),
        observers=[notice],
    )

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen = 0
        self.link: Link[Any] = reconnect(self.dial, self.policy, connect_timeout=20, give_up="park", park=is_refusal)

    def dial(self) -> Any:
        return connect(self.url + (f"?resume={self.seen}" if self.seen else ""), open_timeout=None, proxy=None)

    async def run(self) -> None:
        async for session in self.link:
            async with session as socket:
                async for line in socket:
                    self.seen = int(line)
                    # end of redouble


def closed_with(code: int) -> Any:
    """Whether a connection was closed by its peer with this code."""

    def when(error: Any) -> bool:
        return error.rcvd is not None and error.rcvd.code == code

    return when


# tunnel:
RATE_LIMITED, INVALID_KEY = 4008, 4001
never_give_up = retry(
    on=transient(websockets.ConnectionClosed, when=closed_with(RATE_LIMITED), backoff=sequence(60, 300).forever())
    | transient(websockets.WebSocketException)
    | known_errors,
    attempts=None,
    backoff=exponential(1, maximum=None, jitter=None).jittered(additive(1)).capped(60).take(10).then(constant(300)),
)


def tunnel(url: str) -> Link[Any]:
    invalid_key = permanent(websockets.ConnectionClosed, when=closed_with(INVALID_KEY))
    return reconnect(lambda: connect(url, proxy=None), never_give_up, half_open=15 * 60, park=invalid_key)
    # end of tunnel


async def killed_and_restarted() -> None:
    with TerminalProcess(pace=0.2) as server:
        terminal = Terminal(server.url)
        await asyncio.to_thread(server.start)
        task = asyncio.create_task(terminal.run())
        await asyncio.sleep(1.5)
        stage.say(f"the last line is {terminal.seen}; the server is killed")
        server.kill()
        await asyncio.sleep(2)
        await asyncio.to_thread(server.start)
        stage.say("the server is there again")
        seen = terminal.seen
        await asyncio.to_thread(stage.wait_until, lambda: terminal.seen > seen, "the lines go on")
        stage.say(f"the lines go on with {terminal.seen}")
        task.cancel()
        await asyncio.wait([task])


async def gone() -> None:
    terminal = Terminal(f"ws://{stage.HOST}:{stage.unused_port()}")
    task = asyncio.create_task(terminal.run())
    await asyncio.sleep(61 + 120)
    stage.say(f"{terminal.link.attempt} dials until now, none of them in the last two minutes; somebody presses Enter")
    terminal.link.reset()
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])


async def tunnelled() -> None:
    link = tunnel(f"ws://{stage.HOST}:{stage.unused_port()}")

    async def run() -> None:
        async for _ in link:
            pass

    task = asyncio.create_task(run())
    await asyncio.sleep(1000)
    task.cancel()
    await asyncio.wait([task])


def main() -> None:
    stage.say("a server that is killed and started again:")
    asyncio.run(killed_and_restarted())
    stage.say("a server that is gone for good (in virtual time):")
    with fake_time():
        asyncio.run(gone())
    with fake_time(draw=0.5) as clock:
        asyncio.run(tunnelled())
    stage.say(f"a tunnel waits {clock.sleeps}")


if __name__ == "__main__":
    stage.show_log()
    main()
