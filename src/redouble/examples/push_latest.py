"""Push the newest state over HTTP: bursts become one push, an outage only delays it, and closing ends it at any moment.

It starts a server that fails by a script, and pushes to it: by one function on threads, by another on asyncio and trio.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from redouble import EventKind, RetryPolicy, exponential, known_errors, latest, override, permanent, retry
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.push_target import PushTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event

httpx: Any = stage.client("httpx")


class UnimplementedError(Exception):
    """This server does not take snapshots, a permanent failure."""


class State:
    """The state to push: only its newest version matters.

    Args:
        event: The type of its events; a `threading.Event` serves every host, an `asyncio.Event` wakes asyncio sooner.
    """

    def __init__(self, event: Callable[[], Any] = threading.Event) -> None:
        self.version: int = 0
        self.changed: Any = event()
        self.closed: Any = event()

    def publish(self) -> None:
        self.version += 1
        self.changed.set()

    def newest(self) -> int | None:
        return self.version or None  # version 0 means: no state yet


class Target:
    """The server, from a client's side: one of httpx, for threads or for coroutines."""

    def __init__(self, http: Any, url: str) -> None:
        self.http = http
        self.url = url
        self.initial: bool = True  # until a push has come through

    async def push(self, version: int) -> None:
        self.read(await self.http.post(f"{self.url}/snapshots", json=self.snapshot(version)), version)

    def push_in_a_thread(self, version: int) -> None:
        self.read(self.http.post(f"{self.url}/snapshots", json=self.snapshot(version)), version)

    def snapshot(self, version: int) -> dict[str, object]:
        return {"version": version, "initial": self.initial}

    def read(self, response: Any, version: int) -> None:
        if response.status_code == 501:
            raise UnimplementedError(response.json()["error"])
        response.raise_for_status()
        verdict = "accepted" if response.json()["accepted"] else "rejected"
        stage.say(f"version {version} {verdict}: {self.snapshot(version)}")
        self.initial = False


# redouble:
pushing: RetryPolicy = retry(
    on=permanent(UnimplementedError) | known_errors,
    attempts=None,
    backoff=exponential(0.25, maximum=30, jitter=None),
    idempotent=True,  # a POST, but of a version: the server recognises a repeated one
    name="push",
)


async def keep_pushing(state: State, target: Target, *, supersede: bool = False) -> None:
    try:
        await latest(state.newest, target.push, state.changed, state.closed, pushing, supersede=supersede)
    except UnimplementedError as error:
        stage.say(f"nothing is pushed from now on: {error}")
        # end of redouble


# threads:
def keep_pushing_in_a_thread(state: State, target: Target, *, supersede: bool = False) -> None:
    try:
        latest(state.newest, target.push_in_a_thread, state.changed, state.closed, pushing, supersede=supersede)
    except UnimplementedError as error:
        stage.say(f"nothing is pushed from now on: {error}")
        # end of threads


def show(event: Event) -> None:
    if event.kind is EventKind.RETRY and event.classification is not None:
        stage.say(f"failed: {event.classification.reason}; again in {event.delay:g} s")


def push_on(host: str, state: State, url: str) -> None:
    """Push on threads, asyncio or trio, until the state is closed."""

    async def push() -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            await keep_pushing(state, Target(http, url))

    with override(observers=[show]):
        if host != "threads":
            stage.run(host, push)
            return
        with httpx.Client(trust_env=False) as http:
            keep_pushing_in_a_thread(state, Target(http, url))


def push_while(host: str, url: str, story: Callable[[State], None]) -> float:
    """Push in a thread of its own during a story; return the seconds from closing to the end of the pushing."""
    state = State()
    with ThreadPoolExecutor() as pool:
        pusher = pool.submit(push_on, host, state, url)
        try:
            story(state)
        finally:
            began = time.monotonic()
            state.closed.set()
        pusher.result()
        return time.monotonic() - began


def moods(server: PushTarget, state: State) -> None:
    """Publish versions to a server that is down, rejects one, and goes down again."""
    state.publish()
    have_come(server, 4)
    stage.say("versions 2, 3 and 4 come at once, then version 5")
    state.version += 2
    state.publish()
    have_come(server, 5)
    state.publish()
    have_come(server, 6)
    stage.say("version 6 comes, and the server goes down")
    state.publish()
    have_come(server, 8)


def unwanted(server: PushTarget, state: State) -> None:
    """Publish two versions to a server that does not take snapshots."""
    state.publish()
    have_come(server, 1)
    state.publish()


def have_come(server: PushTarget, count: int) -> None:
    """Wait until this many pushes have been tried, and the last one has ended for the client too."""
    stage.wait_until(lambda: len(server.pushed) >= count, f"push {count} has come")
    time.sleep(0.1)


def main(host: str) -> None:
    with PushTarget(503, "hang up", 503, "ok", "rejected", "ok", 503, 503, 503) as server:
        seconds = push_while(host, server.url, lambda state: moods(server, state))
    stage.say(f"closed in the middle of a wait: it ended {seconds:.2f} s later")
    stage.say(f"the server got the versions {server.versions()}")
    with PushTarget("unimplemented") as server:
        push_while(host, server.url, lambda state: unwanted(server, state))
    stage.say(f"another server got the versions {server.versions()}")


if __name__ == "__main__":
    stage.start(main, "asyncio", "trio", "threads")
