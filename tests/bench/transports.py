"""The ways in which an HTTP server misbehaves, and what clients make of them, beside each other.

    python tests/bench/transports.py [client ...]

A table for each client (`httpx`, `requests`, `urllib3`, `aiohttp`): bare, with the retries that its users reach for, and
with redouble's adapter; three attempts at most. It is the table of docs/reference/http-transports.md, and the column of
redouble is held by tests/integration/transports. Needs the clients, `httpx-retries` and `aiohttp-retry`.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.transports.misbehaviour import WAYS, MisbehavingServer, observe
from tests.integration.transports.runs import BARE, OURS, PEERS, PEERS_NAMES, recorded_waits, virtual_waits


def table(client: str, server: MisbehavingServer) -> list[str]:
    """The rows of a client, as Markdown."""
    rows = [f"| {client} | bare | {PEERS_NAMES[client]} | redouble |", "| --- | --- | --- | --- |"]
    for way in WAYS:
        with recorded_waits() as waits:
            bare = observe(server, way, BARE[client], waits).cell
            peer = observe(server, way, PEERS[client], waits).cell
        with virtual_waits() as waits:
            ours = observe(server, way, OURS[client], waits).cell
        rows.append(f"| {way.name} | {bare} | {peer} | {ours} |")
    return rows


def main(clients: list[str]) -> None:
    """Print the tables."""
    logging.disable()
    with MisbehavingServer() as server:
        for client in clients or list(BARE):
            print("\n".join(table(client, server)), end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
