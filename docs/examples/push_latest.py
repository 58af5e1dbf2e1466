"""Push the newest state over HTTP: bursts become one push, an outage is sat out, and closing ends it at any moment.

Run it: `python docs/examples/push_latest.py`. It starts a real HTTP server that has its moods, and needs `httpx`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redouble import EventKind, exponential, known_errors, latest, override, permanent, retry

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integration" / "examples"))
from surroundings import stage
from surroundings.push_target import PushTarget

if TYPE_CHECKING:
    from redouble import Event

httpx = stage.client("httpx")


class UnimplementedError(Exception):
    """This server takes no snapshots, and never will."""


class State:
    """What is to be pushed: only its newest version matters."""

    def __init__(self) -> None:
        self.version = 0
        self.changed = asyncio.Event()
        self.closed = asyncio.Event()

    def publish(self) -> None:
        self.version += 1
        self.changed.set()

    def newest(self) -> int | None:
        return self.version or None  # version 0 is not ready


class Target:
    """The server, as a client sees it."""

    def __init__(self, http: Any, url: str) -> None:
        self.http = http
        self.url = url
        self.initial = True  # until a push has come through

    async def push(self, version: int) -> None:
        snapshot = {"version": version, "initial": self.initial}
        response = await self.http.post(f"{self.url}/snapshots", json=snapshot)
        if response.status_code == 501:
            raise UnimplementedError(response.json()["error"])
        response.raise_for_status()
        self.initial = False
        stage.say(f"version {version} {'accepted' if response.json()['accepted'] else 'rejected'}: {snapshot}")


# redouble:
pushing = retry(
    on=permanent(UnimplementedError) | known_errors,
    attempts=None,
    backoff=exponential(0.25, maximum=30, jitter=None),
    idempotent=True,  # a POST, but of a version: the server knows it when it comes twice
    name="push",
)


async def keep_pushing(state: State, target: Target, *, supersede: bool = False) -> None:
    try:
        await latest(state.newest, target.push, state.changed, state.closed, pushing, supersede=supersede)
    except UnimplementedError as error:
        stage.say(f"nothing is pushed from now on: {error}")
        # end of redouble


def show(event: Event) -> None:
    if event.kind is EventKind.RETRY and event.classification is not None:
        stage.say(f"failed: {event.classification.reason}; again in {event.delay:g} s")


async def main() -> None:
    state = State()
    with PushTarget(503, "hang up", 503, "ok", "rejected", "ok", 503, 503, 503) as server:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.TaskGroup() as tasks:
            pusher = tasks.create_task(keep_pushing(state, Target(http, server.url)))
            state.publish()
            await pushed(server, 4)
            stage.say("versions 2, 3 and 4 come at once, then version 5")
            for _ in range(3):
                state.publish()
            await pushed(server, 5)
            state.publish()
            await pushed(server, 6)
            stage.say("version 6 comes, and the server goes down")
            state.publish()
            await pushed(server, 8)
            began = time.monotonic()
            state.closed.set()
            await pusher
            stage.say(f"closed in the middle of a wait: it ended {time.monotonic() - began:.2f} s later")
    stage.say(f"the server got the versions {server.versions()}")
    state = State()
    state.publish()
    with PushTarget("unimplemented") as server:
        async with httpx.AsyncClient(trust_env=False) as http:
            await keep_pushing(state, Target(http, server.url))
    stage.say(f"another server got the versions {server.versions()}")


async def pushed(server: PushTarget, count: int) -> None:
    """Wait until so many pushes have been tried, and the client knows how the last one ended."""
    await asyncio.to_thread(stage.wait_until, lambda: len(server.pushed) >= count, f"push {count} has come")
    await asyncio.sleep(0.1)


if __name__ == "__main__":
    stage.show_log()
    with override(observers=[show]):
        asyncio.run(main())
