"""paramiko, which ships no types: checked as ways_in.py is, and never run.

Without a package of stubs its classes are `Any` to mypy, so what is asserted is what redouble adds nothing to and loses
nothing of: the functions of users, with the types that they write.
"""

from __future__ import annotations

from typing import assert_type

import paramiko  # type: ignore[import-untyped]  # ships no types

from redouble import retry


@retry(attempts=5, deadline=90, timeout_as="timeout")
def dial(host: str, *, timeout: float | None = None) -> paramiko.SSHClient:
    """Connect, with what is left of the deadline as the timeout."""
    client = paramiko.SSHClient()
    client.connect(host, timeout=timeout)
    return client


@retry(attempts=5)
def uptime(client: paramiko.SSHClient) -> bytes:
    """Run a command."""
    _, out, _ = client.exec_command("uptime", timeout=10)
    return bytes(out.read())


def connections(host: str) -> None:
    """A connection that is opened, and a command that is run over it."""
    with retry(deadline=90).connect(dial, host, timeout=5) as client:
        known: paramiko.SSHClient = client
        assert_type(uptime(known), bytes)
        assert_type(retry.call(uptime, client), bytes)
