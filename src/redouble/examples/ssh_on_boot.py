"""Wait for SSH on a machine that is booting: only "refused" and "timed out" are retried, other errors end it at once.

It starts an SSH server of its own a little late: sshd where that is installed, else one of asyncssh. On asyncio the probe
is a login by asyncssh; on threads and trio, for which asyncssh has no client, it is a look at the server's greeting.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from redouble import EventKind, RetryPolicy, exponential, outcome, override, proportional, retry, transient
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.late_sshd import LateSshd

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event

asyncssh: Any = stage.client("asyncssh")


def notice(event: Event) -> None:
    """Print a line at the first wait, and only then."""
    if event.kind is EventKind.RETRY and event.attempt == 1:
        stage.say("Waiting for SSH to become available ...")


# redouble:
booting: RetryPolicy = retry(
    on=transient(TimeoutError, ConnectionRefusedError, causes=True),
    deadline=90,
    attempt_timeout=10,
    backoff=exponential(2, factor=1.5, maximum=None, jitter=None).capped(15).jittered(proportional(0.5)),
    observers=[notice],
)


async def wait_for_ssh(dial: Callable[..., Any], *address: Any, **login: Any) -> None:
    async with booting.connect(dial, *address, **login):
        pass  # a probe, closed at once: every later command dials for itself
        # end of redouble


# hosts:
def wait_in_a_thread(host: str, port: int) -> str:
    return booting(timeout_as="timeout").call(greeting, host, port)


async def wait_on_trio(host: str, port: int) -> str:
    return await booting.call(greeting_on_trio, host, port)
    # end of hosts


def greeting(host: str, port: int, timeout: float | None = None) -> str:
    with socket.create_connection((host, port), timeout) as stream:
        return stream.recv(100).decode().strip()


async def greeting_on_trio(host: str, port: int) -> str:
    trio: Any = stage.client("trio")
    async with await trio.open_tcp_stream(host, port) as stream:
        return str((await stream.receive_some(100)).decode().strip())


async def log_in(machine: LateSshd) -> None:
    await wait_for_ssh(asyncssh.connect, machine.host, machine.port, **machine.login())
    stage.say("SSH is there; the probe is closed")
    async with asyncssh.connect(machine.host, machine.port, **machine.login()) as connection:
        done = await connection.run("echo hello from the machine")
        stage.say(done.stdout.strip())
    try:
        await wait_for_ssh(asyncssh.connect, machine.host, machine.port, **machine.login("wrong_key"))
    except asyncssh.PermissionDenied as error:
        stage.say(f"with a wrong key, at once: {type(error).__name__}: {error}; retried: {outcome(error)}")


async def look(machine: LateSshd) -> None:
    stage.say(f"SSH is there: {await wait_on_trio(machine.host, machine.port)}")


def show(event: Event) -> None:
    """Print the outcome of the block."""
    if event.kind is EventKind.RETRY and event.error is not None and event.delay is not None:
        stage.say(f"  attempt {event.attempt}: {type(event.error).__name__}; the next one in {event.delay:.2f} s")


def main(host: str) -> None:
    with LateSshd() as machine, override(observers=[show]):
        machine.boot_in(2.5)
        stage.say(f"a machine boots; its SSH server will listen on port {machine.port} in 2.5 s")
        if host == "threads":
            stage.say(f"SSH is there: {wait_in_a_thread(machine.host, machine.port)}")
        else:
            stage.run(host, log_in if host == "asyncio" else look, machine)


if __name__ == "__main__":
    stage.start(main, "asyncio", "trio", "threads")
