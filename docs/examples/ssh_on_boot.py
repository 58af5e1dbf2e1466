"""Wait for SSH on a machine that is booting: only "refused" and "timed out" may pass, everything else is told at once.

Run it: `python docs/examples/ssh_on_boot.py`. It starts a real sshd, a little late, and needs `asyncssh` and sshd itself.
"""

from __future__ import annotations

import asyncio
import errno
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redouble import EventKind, exponential, outcome, override, permanent, proportional, retry, transient

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integration" / "examples"))
from surroundings import stage
from surroundings.late_sshd import LateSshd

asyncssh = stage.client("asyncssh")

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event


def refused(error: Any) -> bool:
    """Whether nothing listened, at any address: of a name with several, asyncio gives one OSError that lists them."""
    return set(re.findall(r"\[Errno (\d+)\]", str(error))) == {str(errno.ECONNREFUSED)}


def notice(event: Event) -> None:
    """Say once that there is something to wait for, and only when there is."""
    if event.kind is EventKind.RETRY and event.attempt == 1:
        stage.say("Waiting for SSH to become available ...")


# redouble:
booting = retry(
    on=transient(TimeoutError) | transient(OSError, when=refused, causes=True) | permanent(asyncssh.Error),
    deadline=90,
    attempt_timeout=10,
    backoff=exponential(2, factor=1.5, maximum=None, jitter=None).capped(15).jittered(proportional(0.5)),
    observers=[notice],
)


async def wait_for_ssh(dial: Callable[..., Any], *address: Any, **login: Any) -> None:
    async with booting.connect(dial, *address, **login):
        pass  # a probe, closed at once: every later command dials for itself
        # end of redouble


def show(event: Event) -> None:
    """What happens inside, for those who watch."""
    if event.kind is EventKind.RETRY and event.error is not None and event.delay is not None:
        stage.say(f"  attempt {event.attempt}: {type(event.error).__name__}; the next one in {event.delay:.2f} s")


async def main() -> None:
    stage.program("sshd", "openssh-server")
    with LateSshd() as machine:
        machine.boot_in(2.5)
        stage.say(f"a machine boots; its sshd will listen on port {machine.port} in 2.5 s")
        await wait_for_ssh(asyncssh.connect, machine.host, machine.port, **machine.login())
        stage.say("SSH is there; the probe is closed")
        async with asyncssh.connect(machine.host, machine.port, **machine.login()) as connection:
            done = await connection.run("echo hello from the machine")
            stage.say(done.stdout.strip())
        try:
            await wait_for_ssh(asyncssh.connect, machine.host, machine.port, **machine.login("wrong_key"))
        except asyncssh.PermissionDenied as error:
            stage.say(f"with a wrong key, at once: {type(error).__name__}: {error}; retried: {outcome(error)}")


if __name__ == "__main__":
    stage.show_log()
    with override(observers=[show]):
        asyncio.run(main())
