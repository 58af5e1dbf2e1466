"""Read a workspace: all at once if the server can do that in time, else page by page, from the last position.

It starts an HTTP server, kills a reader in the middle (kill -9), starts it again, and then meets five kinds of exports.
The reader runs on asyncio or trio; a watchdog cannot interrupt a thread that waits for a server.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import Any, NamedTuple

from redouble import (
    RetryPolicy,
    Rule,
    clamp_under,
    classify,
    deadline,
    exponential,
    known_errors,
    permanent,
    resume,
    retry,
    transient,
    watchdog,
)
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.export_server import ExportServer
from redouble.testing import fake_time

httpx: Any = stage.client("httpx")
Files = dict[str, str]


class Limits(NamedTuple):
    """Seconds without progress, in all (0: no limit) and for the export; cycles without an advance."""

    idle: float = 90
    hard_cap: float = 0
    export: float = 45
    stalls: int = 20


class Workspace:
    """The server, from a client's side."""

    def __init__(self, http: Any, url: str) -> None:
        self.http = http
        self.url = url

    async def export(self) -> Files:
        files: Files = (await self._get("/export"))["files"]
        return files

    async def page(self, cursor: str | None) -> tuple[Files, str | None]:
        listed = await self._get("/tree", cursor=cursor or "")
        return {path: (await self._get("/file", path=path))["content"] for path in listed["paths"]}, listed["next"]

    async def _get(self, path: str, /, **parameters: str) -> Any:
        response = await self.http.get(self.url + path, params=parameters)
        if response.is_error:
            text = f"{response.status_code} {response.text}"
            raise httpx.HTTPStatusError(text, request=response.request, response=response)
        return response.json()


class Local:
    """The files read so far, and the position, in one SQLite database: a page's files and its cursor are committed
    together, so a reader that is killed at any moment has both, or reads that page again."""

    def __init__(self, path: str) -> None:
        self.db: sqlite3.Connection = sqlite3.connect(path)
        self.db.executescript(
            "create table if not exists file (path text primary key, content text, written int default 1);"
            "create table if not exists state (cursor text, seen int default 0, stalls int default 0, complete int);"
            "insert into state (complete) select 0 where not exists (select * from state);"
        )

    def close(self) -> None:
        self.db.close()

    def __getitem__(self, column: str) -> Any:
        return self.db.execute(f"select {column} from state").fetchone()[0]

    def count(self, what: str = "*") -> int:
        number: int = self.db.execute(f"select count({what}) from file").fetchone()[0]
        return number

    def apply(self, files: Files) -> None:
        self.db.rollback()  # the rest of a failed attempt at this page
        self.db.executemany(
            "insert into file (path, content) values (?, ?)"
            " on conflict do update set content = excluded.content, written = written + 1",
            files.items(),
        )
        self.db.execute("update state set seen = seen + ?", (len(files),))

    def replace(self, files: Files) -> bool:
        """Replace all files by these; refuse, and return False, when they are suspiciously few."""
        if self.suspicious(len(files)):
            return False
        self.apply(files)
        self.save(None)
        return True

    def load(self) -> str | None:
        cursor: str | None = self["cursor"]
        return cursor

    def save(self, cursor: str | None) -> None:
        complete = cursor is None and not self.suspicious(self["seen"])
        self.db.execute("update state set cursor = ?, complete = ?", (cursor, complete))
        if cursor is None:
            self.db.execute("update state set seen = 0")
        self.db.commit()

    def load_stalls(self) -> int:
        stalls: int = self["stalls"]
        return stalls

    def save_stalls(self, stalls: int) -> None:
        self.db.rollback()
        self.db.execute("update state set stalls = ?", (stalls,))
        self.db.commit()

    def suspicious(self, files: int) -> bool:
        """Return whether there should be more files."""
        tracked = self.count()
        return (tracked > 0 and files == 0) or (tracked >= 10 and 2 * files < tracked)


def unsupported(error: Any) -> bool:
    """Return whether this server cannot do the export; one that limits the rate could."""
    if not isinstance(error, httpx.HTTPStatusError):
        return isinstance(error, (ValueError, httpx.RemoteProtocolError))  # the answer is truncated
    status, text = error.response.status_code, error.response.text.lower()
    by_code = {400: "bad_request", 429: "workspace_busy"}.get(status, "overloaded" if status >= 500 else None)
    return status in (404, 413) or (by_code is not None and by_code in text)


def refused(error: Any) -> bool:
    return bool(error.response.status_code == 429 or error.response.status_code >= 500)


def asked_for(error: Exception) -> float:
    """Return the server's Retry-After, at most a minute."""
    return min(60.0, classify(error).retry_after or 0.0)


# redouble:
on: Rule = transient(httpx.HTTPStatusError, when=refused, retry_after=asked_for) | permanent(ValueError) | known_errors
http: RetryPolicy = retry(on=on, attempts=4, backoff=exponential(0.1, maximum=60, jitter=None))


async def pull(server: Workspace, local: Local, limits: Limits) -> None:
    async with watchdog(limits.idle, limits.hard_cap) as dog:
        if local.load() is None and await exported(server, local, limits):
            return
        async for page in resume(server.page, local, http, stall_after=limits.stalls):
            async with page as files:
                local.apply(files)
                dog.touch()


async def exported(server: Workspace, local: Local, limits: Limits) -> bool:
    limit = deadline(clamp_under(limits.export, limits.idle, limits.hard_cap))
    try:
        async with limit:
            return local.replace(await http.call(server.export))
    except Exception as error:
        if not unsupported(error) and not limit.ended(error):
            raise
        stage.say(f"no export: {error}; so page by page")
        return False
        # end of redouble


async def read(url: str, database: str, patience: float) -> None:
    """Pull once, as one reader, and print the outcome."""
    with closing(Local(database)) as local:
        begun = local.load()
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
            try:
                await pull(Workspace(client, url), local, Limits(export=patience))
                stage.say(
                    f"begun at page {int(begun or 0) // 10}: {local.count()} files, complete: {local['complete']}"
                )
            except httpx.HTTPStatusError as error:
                stage.say(f"{error}, complete: {local['complete']}")


def killed(host: str, server: ExportServer, database: str) -> None:
    """Kill a reader in the third page, and let another one go on."""
    command = [sys.executable, "-m", "redouble.examples.export_or_tree", "--on", host]
    command += ["--part", server.url, database, "0.5"]
    server.hangs_at = "/docs/025.md"
    with subprocess.Popen(command) as reader:
        try:
            stage.wait_until(lambda: server.counts()[2] == 26, "it is in the third page")
        finally:
            reader.kill()
    server.hangs_at = None
    with closing(Local(database)) as local:
        stage.say(f"killed: {local.count()} files are here, and the cursor is {local.load()}")
    subprocess.run(command, check=True)
    with closing(Local(database)) as local:
        written = local.db.execute("select count(*), min(written), max(written) from file").fetchone()
        stage.say("{} files, each one written {} to {} times; asked for: {}".format(*written, server.counts()))


def main(host: str, url: str = "", database: str = "", limit: str = "") -> None:
    if url:
        stage.run(host, read, url, database, float(limit))
        return
    with tempfile.TemporaryDirectory() as folder, ExportServer(export="hang", pace=0.15) as server:
        stage.say("an export that hangs, and a reader that is killed in the middle of the pages:")
        killed(host, server, f"{folder}/files.db")
        for export in ("fine", "workspace_busy", "rate_limited", 502, "truncated"):
            server.export = export
            stage.say(f"an export that is {export} (in virtual time):")
            with fake_time() as clock:
                clock.io_grace = 2  # real seconds that virtual time waits for an answer
                stage.run(host, read, server.url, ":memory:", 45)


if __name__ == "__main__":
    stage.start(main, "asyncio", "trio", words="URL DATABASE LIMIT")
