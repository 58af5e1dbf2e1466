"""Keep a terminal's WebSocket alive: dial again with notices, give up after six, and begin anew on request.

It starts a server, kills it (kill -9), and starts it again; presses the button that reconnects while the terminal is
connected; and meets a server that is gone for good. The terminal runs on asyncio and trio by one loop, on threads by
another. Also here: the policy of a tunnel, which never gives up.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from redouble import (
    EventKind,
    RetryPolicy,
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
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.terminal_server import TerminalProcess
from redouble.loops import Link
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event

websockets: Any = stage.client("websockets")


def connects_on(host: str) -> Any:
    """Return the function that connects on threads, asyncio or trio."""
    return stage.client(f"websockets.{'sync' if host == 'threads' else host}.client").connect


def notice(event: Event) -> None:
    if event.kind is EventKind.RETRY:
        stage.say(f"connection lost, retrying in {event.delay:g}s ({event.failures}/6)")
    elif event.kind is EventKind.PARKED:
        stage.say("gave up; press Enter to reconnect")


def is_refusal(error: Any) -> bool:
    """Return whether the server refused the upgrade with a 4xx: dialling again does not help, the user has to act."""
    return isinstance(error, websockets.InvalidStatus) and int(error.response.status_code) < 500


# redouble:
class Terminal:
    policy: RetryPolicy = retry(
        on=transient(websockets.WebSocketException) | known_errors,
        attempts=7,
        backoff=exponential(1, maximum=30, jitter=None),
        timeout_as="open_timeout",
        observers=[notice],
    )

    def __init__(self, url: str, host: str = "asyncio") -> None:
        self.url: str = url
        self.connect: Any = connects_on(host)
        self.seen: int = 0
        self.link: Link[Any] = reconnect(self.dial, self.policy, connect_timeout=20, give_up="park", park=is_refusal)

    def dial(self, open_timeout: float | None = None) -> Any:
        resume = f"?resume={self.seen}" if self.seen else ""
        return self.connect(self.url + resume, open_timeout=open_timeout, proxy=None)

    def press_enter(self) -> None:
        self.link.reconnect()  # connected, waiting or parked: it dials at once

    async def run(self) -> None:
        async for session in self.link:
            async with session as socket:
                async for line in socket:
                    self.seen = int(line)
                    # end of redouble

    # threads:
    def run_in_a_thread(self) -> None:
        for session in self.link:
            with session as socket:
                for line in socket:
                    self.seen = int(line)
                    # end of threads


def closed_with(code: int) -> Callable[[Any], bool]:
    """Return a predicate that tells whether a connection was closed by its peer with this code."""

    def when(error: Any) -> bool:
        return error.rcvd is not None and error.rcvd.code == code

    return when


# tunnel:
RATE_LIMITED, INVALID_KEY = 4008, 4001
never_give_up: RetryPolicy = retry(
    on=transient(websockets.ConnectionClosed, when=closed_with(RATE_LIMITED), backoff=sequence(60, 300).forever())
    | transient(websockets.WebSocketException)
    | known_errors,
    attempts=None,
    backoff=exponential(1, maximum=None, jitter=None).jittered(additive(1)).capped(60).take(10).then(constant(300)),
)


def tunnel(url: str) -> Link[Any]:
    invalid_key = permanent(websockets.ConnectionClosed, when=closed_with(INVALID_KEY))
    return reconnect(
        lambda: connects_on("asyncio")(url, proxy=None), never_give_up, half_open=15 * 60, park=invalid_key
    )
    # end of tunnel


def run_on(host: str, terminal: Terminal) -> None:
    """Run a terminal on threads, asyncio or trio, until its link is closed."""
    if host == "threads":
        terminal.run_in_a_thread()
    else:
        stage.run(host, terminal.run)


def run_while(host: str, url: str, story: Callable[[Terminal], None]) -> None:
    """Run a terminal in a thread of its own during a story."""
    terminal = Terminal(url, host)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run_on, host, terminal)
        try:
            story(terminal)
        finally:
            terminal.link.close()
        running.result()


def killed_and_restarted(server: TerminalProcess, terminal: Terminal) -> None:
    goes_on(terminal)
    stage.say(f"the last line is {terminal.seen}; somebody presses Enter, and it dials at once")
    dials = terminal.link.attempt
    terminal.press_enter()
    stage.wait_until(lambda: terminal.link.attempt > dials, "it dials")
    goes_on(terminal)
    stage.say(f"the last line is {terminal.seen}; the server is killed")
    server.kill()
    time.sleep(2)
    server.start()
    stage.say("the server is there again")
    seen = terminal.seen
    goes_on(terminal)
    stage.say(f"the lines go on with {seen + 1}")


def goes_on(terminal: Terminal) -> None:
    """Wait for some more lines."""
    seen = terminal.seen
    stage.wait_until(lambda: terminal.seen > seen + 2, "the lines go on")


async def gone() -> None:
    terminal = Terminal(f"ws://{stage.HOST}:{stage.unused_port()}")
    task = asyncio.create_task(terminal.run())
    await asyncio.sleep(61 + 120)
    stage.say(f"{terminal.link.attempt} dials until now, none of them in the last two minutes; somebody presses Enter")
    terminal.press_enter()
    await asyncio.sleep(0.5)
    terminal.link.close()
    await task


async def tunnelled() -> None:
    link = tunnel(f"ws://{stage.HOST}:{stage.unused_port()}")

    async def run() -> None:
        async for _ in link:
            pass

    task = asyncio.create_task(run())
    await asyncio.sleep(1000)
    link.close()
    await task


def main(host: str) -> None:
    stage.say("a button, and a server that is killed and started again:")
    with TerminalProcess(pace=0.2) as server:
        server.start()
        run_while(host, server.url, lambda terminal: killed_and_restarted(server, terminal))
    stage.say("a server that is gone for good (in virtual time, on asyncio):")
    with fake_time():
        asyncio.run(gone())
    with fake_time(draw=0.5) as clock:
        asyncio.run(tunnelled())
    stage.say(f"a tunnel waits {clock.sleeps}")


if __name__ == "__main__":
    stage.start(main, "asyncio", "trio", "threads")
