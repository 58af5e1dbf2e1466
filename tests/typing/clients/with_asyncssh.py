"""asyncssh, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import assert_type

import asyncssh

from redouble import reconnect, retry
from redouble.loops import Link


@retry(attempts=5, attempt_timeout=30)
async def status(connection: asyncssh.SSHClientConnection) -> int:
    """Run a command."""
    done = await connection.run("uptime", check=True)
    return done.exit_status or 0


async def connections(host: str) -> None:
    """A connection that is opened, and one that is dialled again."""
    async with retry(deadline=90).connect(asyncssh.connect, host, known_hosts=None) as connection:
        assert_type(connection, asyncssh.SSHClientConnection)  # pyrefly: ignore[assert-type]  # Unknown to it
        assert_type(await status(connection), int)
        assert_type(await retry.call(connection.run, "uptime"), asyncssh.SSHCompletedProcess)  # pyrefly: ignore[assert-type]  # likewise
    assert_type(reconnect(lambda: asyncssh.connect(host)), Link[asyncssh.SSHClientConnection])
