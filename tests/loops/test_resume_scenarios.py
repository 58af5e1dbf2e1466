"""A daemon that mirrors a workspace: one export where it can, else page after page; as a user would write it, to the number.

The scenarios of a system that raced a request of 90 s against a watchdog of 90 s, and began anew for ever.
"""

# ruff: noqa: D103  # the daemon and its server are stand-ins; every test has a sentence

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from redouble import (
    DeadlineExceeded,
    Reason,
    clamp_under,
    deadline,
    exponential,
    outcome,
    resume,
    retry,
    transient,
    watchdog,
)
from redouble.loops import FileCheckpoint, Stalled
from redouble.testing import FakeClock, fake_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

log = logging.getLogger("mirror")


# The client: what its errors mean, and how often it asks.


class HttpError(Exception):
    def __init__(self, status: int, code: str = "", retry_after: str | None = None) -> None:
        super().__init__(f"HTTP {status} {code}")
        self.status, self.code, self.retry_after = status, code, retry_after


def asked_to_wait(error: HttpError) -> float | None:
    """Retry-After in its two forms, never more than 60 s; nothing for what is past."""
    header = error.retry_after
    if header is None:
        return None
    seconds = float(header) if header.isdigit() else (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    return min(seconds, 60.0) if seconds > 0 else None


def passing(error: HttpError) -> bool:
    return error.status == 429 or error.status >= 500


requests = retry(
    on=transient(HttpError, when=passing, retry_after=asked_to_wait),
    attempts=4,
    backoff=exponential(0.1, maximum=60, jitter=None),
)


# The daemon.


def unsupported(error: Exception) -> bool:
    """Whether the export itself cannot be had here, so that reading the tree is worth its many requests."""
    if not isinstance(error, HttpError):
        return False
    return error.status in (404, 413) or (error.status == 429 and error.code == "workspace_busy")


def suspicious(tracked: int, found: int) -> bool:
    """Whether a result looks like a part of what is there."""
    return found == 0 < tracked or (tracked >= 10 and found < tracked / 2)


class Mirror:
    def __init__(self, server: Server, checkpoint: FileCheckpoint, files: dict[str, str] | None = None) -> None:
        self.server, self.checkpoint = server, checkpoint
        self.files = files or {}
        self.complete = False

    async def pull(self, export: float = 45, idle: float = 90, hard_cap: float | None = None) -> None:
        limit = clamp_under(export, idle, hard_cap)
        async with watchdog(idle, hard_cap) as dog:
            try:
                async with deadline(limit) as sub:
                    files = await requests.call(self.server.export)
            except Exception as error:
                if sub.ended(error):
                    log.warning("no export within %g s: reading the tree", limit)
                elif not unsupported(error):
                    raise
            else:
                if not suspicious(len(self.files), len(files)):
                    self.files, self.complete = files, True
                    return
            await self.read_tree(dog)

    async def read_tree(self, dog: watchdog, stall_after: int | None = None) -> None:
        found = 0
        async for page in resume(self.server.list, self.checkpoint, requests, stall_after=stall_after):
            async with page as names:
                for name in names:
                    self.files[name] = await requests.call(self.server.read, name)
                    dog.touch()
                found += len(names)
            dog.touch()
        self.complete = found > 0 or not self.files


class Server:
    """Answers as told: `export` and `pages` give values or raise them; `took` is how long each request takes."""

    def __init__(self, names: int = 1, export: Any = None, page: int = 10) -> None:
        self.names = [f"file{number}" for number in range(names)]
        self.exported, self.page = export, page
        self.asked: list[str] = []
        self.failing: dict[str, list[BaseException]] = {}
        self.took: dict[str, float] = {}

    def count(self, kind: str) -> int:
        return sum(each.startswith(kind) for each in self.asked)

    async def answer(self, request: str) -> None:
        self.asked.append(request)
        await asyncio.sleep(self.took.get(request.partition(" ")[0], 0))
        if self.failing.get(request):
            raise self.failing[request].pop(0)

    async def export(self) -> dict[str, str]:
        await self.answer("export")
        if isinstance(self.exported, BaseException):
            raise self.exported
        found: dict[str, str] = self.exported
        return found

    async def list(self, cursor: int | None) -> tuple[list[str], int | None]:
        at = cursor or 0
        await self.answer(f"list {at}")
        end = at + self.page
        return self.names[at:end], end if end < len(self.names) else None

    async def read(self, name: str) -> str:
        await self.answer(f"read {name}")
        return f"what is in {name}"


HOURS = 3600.0


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """Virtual time, draws of 0."""
    with fake_time(draw=0.0) as clock:
        yield clock


@pytest.fixture
def checkpoint(tmp_path: Path) -> FileCheckpoint:
    return FileCheckpoint(tmp_path / "cursor.json")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """The warnings so far, by default those of redouble and of the daemon that are not about retries."""
    caplog.set_level(logging.WARNING)
    return lambda about="": [text for text in caplog.messages if about in text]


def run(main: Awaitable[Any]) -> Any:
    async def checked() -> Any:
        try:
            return await main
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(checked())


# A limit beneath the limits around it.


def test_r01_a_limit_that_fits(lines: Any) -> None:
    """45 s beneath a watchdog of 90 s without a cap stay 45 s, without a word."""
    assert clamp_under(45, 90, None) == 45 and lines() == []


def test_r02_a_limit_that_does_not_fit(lines: Any) -> None:
    """120 s become 67.5 s, with exactly one warning that names both."""
    assert clamp_under(120, 90, None) == 67.5
    (line,) = lines()
    assert "120 s" in line and "67.5 s" in line


def test_r03_a_limit_that_just_fits(lines: Any) -> None:
    """67.5 s are at the limit, and untouched."""
    assert clamp_under(67.5, 90) == 67.5 and lines() == []


@pytest.mark.parametrize(("cap", "effective", "warnings"), [(30, 22.5, 1), (0, 45, 0), (-1, 45, 0)])
def test_r04_a_hard_cap_counts_too(lines: Any, cap: float, effective: float, warnings: int) -> None:
    """A shorter hard cap clamps as well; one of 0 or below is none."""
    assert clamp_under(45, 90, cap) == effective and len(lines()) == warnings


def test_r05_the_clamped_limit_leaves_time_to_fall_back(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """A hanging export of 1 s beneath a cap of 200 ms is cut at 150 ms, and the tree is read before the cap."""
    server = Server()
    server.took["export"] = HOURS
    mirror = Mirror(server, checkpoint)
    run(mirror.pull(export=1, hard_cap=0.2))
    assert (server.count("export"), server.count("list")) == (1, 1) and mirror.complete
    assert clock.now() == pytest.approx(0.15)


# Falling back, or not.


def test_r06_an_export_that_hangs(clock: FakeClock, checkpoint: FileCheckpoint, lines: Any) -> None:
    """After its own 50 ms the export is given up, the tree is read, and one line says so."""
    server = Server()
    server.took["export"] = HOURS
    mirror = Mirror(server, checkpoint)
    run(mirror.pull(export=0.05))
    assert server.asked == ["export", "list 0", "read file0"] and mirror.complete
    assert lines() == ["no export within 0.05 s: reading the tree"] and clock.now() == 0.05


def test_r07_a_busy_workspace(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """429 workspace_busy is asked four times, 0.1, 0.2 and 0.4 s apart; then the tree is read, once."""
    server = Server(export=HttpError(429, "workspace_busy"))
    mirror = Mirror(server, checkpoint)
    run(mirror.pull())
    assert (server.count("export"), server.count("list")) == (4, 1) and mirror.complete
    assert clock.sleeps == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("code", ["rate_limited", "queue_full"])
def test_r08_a_limit_of_everybody(clock: FakeClock, checkpoint: FileCheckpoint, code: str) -> None:
    """Any other 429 is raised itself when the retries are used up: many more requests would not help."""
    error = HttpError(429, code)
    server = Server(export=error)
    with pytest.raises(HttpError) as caught:
        run(Mirror(server, checkpoint).pull())
    assert caught.value is error and (server.count("export"), server.count("list")) == (4, 0)


def test_r09_a_bad_gateway(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """502 is raised after the retries; no list, no other cursor, not complete."""
    checkpoint.save(20)
    server = Server(export=HttpError(502))
    mirror = Mirror(server, checkpoint)
    with pytest.raises(HttpError, match="502"):
        run(mirror.pull())
    assert server.asked == ["export"] * 4 and checkpoint.load() == 20 and not mirror.complete


def test_r10_an_empty_export(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """Nothing at all where something is tracked is not believed; nothing where nothing is, is complete."""
    mirror = Mirror(server := Server(export={}), checkpoint, {"file0": "old"})
    run(mirror.pull())
    assert server.count("list") == 1 and mirror.complete and mirror.files == {"file0": "what is in file0"}
    mirror = Mirror(server := Server(names=0, export={}), checkpoint, {"file0": "old"})
    run(mirror.pull())
    assert server.count("list") == 1 and not mirror.complete and mirror.files == {"file0": "old"}
    mirror = Mirror(server := Server(export={}), checkpoint)
    run(mirror.pull())
    assert server.count("list") == 0 and mirror.complete


@pytest.mark.parametrize(("tracked", "found", "lists"), [(10, 4, 1), (10, 5, 0), (9, 1, 0)])
def test_r11_half_an_export(clock: FakeClock, checkpoint: FileCheckpoint, tracked: int, found: int, lists: int) -> None:
    """Less than half of ten or more is not believed, half is, and of nine even one."""
    server = Server(names=tracked, export=dict.fromkeys(map(str, range(found)), "new"))
    run(Mirror(server, checkpoint, dict.fromkeys(map(str, range(tracked)), "old")).pull())
    assert server.count("list") == lists


def test_r12_cancelled_during_the_export(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """A cancellation from outside propagates: no list, no other cursor."""
    checkpoint.save(20)
    server = Server()
    server.took["export"] = HOURS

    async def main() -> None:
        task = asyncio.create_task(Mirror(server, checkpoint).pull())
        await asyncio.sleep(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert server.asked == ["export"] and checkpoint.load() == 20 and clock.now() == 10


@pytest.mark.parametrize("around", [deadline, watchdog])
def test_r13_both_ends_at_once(clock: FakeClock, checkpoint: FileCheckpoint, around: Any) -> None:
    """When the limit around it ends at the same moment as the export's, that one wins: no falling back."""
    server = Server()
    server.took["export"] = HOURS

    async def main() -> None:
        async with around(45):
            await Mirror(server, checkpoint).pull(export=45)

    with pytest.raises(DeadlineExceeded):
        run(main())
    assert server.asked == ["export"] and clock.now() == 45


# Progress.


def test_r14_progress_keeps_it_alive(clock: FakeClock, checkpoint: FileCheckpoint, lines: Any) -> None:
    """A page every 40 ms lives on under an idle time of 200 ms; one page of 400 ms under 80 ms is ended at 80."""
    server = Server(names=10, page=1)
    server.took["list"] = 0.04

    async def read(idle: float) -> None:
        async with watchdog(idle) as dog:
            await Mirror(server, checkpoint).read_tree(dog)

    run(read(0.2))
    assert clock.now() == pytest.approx(0.4) and lines() == []
    server.took["list"] = 0.4
    with pytest.raises(DeadlineExceeded, match=r"no progress for 0\.08 s"):
        run(read(0.08))
    assert clock.now() == pytest.approx(0.4 + 0.08) and len(lines("no progress")) == len(lines()) == 1


def test_r15_a_read_goes_on_where_it_failed(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """Of 50 files in pages of 10 the third page fails; the next run reads the 30 that are left, and clears the cursor."""
    server = Server(names=50)
    server.failing["list 20"] = [HttpError(502) for _ in range(4)]
    mirror = Mirror(server, checkpoint)

    async def read() -> None:
        async with watchdog(90) as dog:
            await mirror.read_tree(dog)

    with pytest.raises(HttpError, match="502"):
        run(read())
    assert checkpoint.load() == 20 and not mirror.complete and len(mirror.files) == 20
    server.asked.clear()
    run(read())
    assert server.count("read") == 30 and server.count("list") == 3
    assert len(mirror.files) == 50 and mirror.complete and checkpoint.load() is None


def test_r15_a_file_that_fails_aborts_its_page(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """A failure within a page leaves the whole page uncommitted, its first files too."""
    server = Server(names=50)
    server.failing["read file25"] = [HttpError(403)]
    mirror = Mirror(server, checkpoint)

    async def read() -> None:
        async with watchdog(90) as dog:
            await mirror.read_tree(dog)

    with pytest.raises(HttpError, match="403"):
        run(read())
    assert checkpoint.load() == 20 and server.count("read") == 26
    run(read())
    assert len(mirror.files) == 50 and server.count("read") == 26 + 30 and checkpoint.load() is None


def test_r16_a_wait_that_cannot_pay_off(clock: FakeClock, checkpoint: FileCheckpoint) -> None:
    """Asked to wait for 60 s beneath a limit of 45 s, the rate limit is raised at once, and nothing is slept."""
    error = HttpError(429, "rate_limited", retry_after="60")
    server = Server(export=error)
    with pytest.raises(HttpError) as caught:
        run(Mirror(server, checkpoint).pull())
    assert caught.value is error and server.asked == ["export"] and clock.now() == 0 and clock.sleeps == []
    end = outcome(error)
    assert end is not None and end.reason is Reason.HINT and end.hint == 60


# Stalling.


def test_r17_a_read_that_stalls(clock: FakeClock, tmp_path: Path) -> None:
    """With a limit of 2 the second cycle in a row without an advance is the last, also after a restart."""
    server = Server(names=50)

    async def cycle(stall_after: int, limit: float = HOURS) -> None:
        checkpoint = FileCheckpoint(tmp_path / "cursor.json")  # a restart, each time
        async with deadline(limit), watchdog(None) as dog:
            await Mirror(server, checkpoint).read_tree(dog, stall_after)

    def stalls() -> int:
        return FileCheckpoint(tmp_path / "cursor.json").load_stalls()

    server.failing["list 20"] = [HttpError(403) for _ in range(4)]
    with pytest.raises(HttpError):
        run(cycle(2))
    assert stalls() == 0  # it had advanced by two pages
    with pytest.raises(HttpError, match="403"):
        run(cycle(2))
    assert stalls() == 1

    async def cancelled() -> None:
        server.took["list"] = HOURS
        task = asyncio.create_task(cycle(2, limit=2 * HOURS))
        await asyncio.sleep(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert stalls() == 1
    server.took.clear()
    with pytest.raises(Stalled, match="stalled: 2 of 2") as caught:
        run(cycle(2))
    assert isinstance(caught.value.__cause__, HttpError) and not isinstance(caught.value, TimeoutError)
    assert stalls() == 2
    server.asked.clear()
    with pytest.raises(Stalled, match="stalled: 2 of 2"):
        run(cycle(2))
    assert server.asked == []
    server.took["list"] = HOURS
    with pytest.raises(DeadlineExceeded):  # raising the limit re-armed it; the deadline counts
        run(cycle(4, limit=10))
    assert stalls() == 3 and server.asked == ["list 20"]
    server.took.clear()
    server.failing.clear()
    run(cycle(4))
    assert stalls() == 0


# What the server asks for, and what repairs itself.


@pytest.mark.parametrize("header", ["30", "999", "0", "past", "future"])
def test_r18_what_the_server_asked_for(clock: FakeClock, checkpoint: FileCheckpoint, header: str) -> None:
    """Retry-After of 30 s is obeyed, 999 s are held to 60 s, and 0 and what is past leave the curve."""
    dates = {"past": timedelta(hours=-1), "future": timedelta(hours=1)}
    text = format_datetime(datetime.now(UTC) + dates[header], usegmt=True) if header in dates else header
    server = Server(names=1)
    server.failing["list 0"] = [HttpError(503, retry_after=text)]

    async def read() -> None:
        await Mirror(server, checkpoint).read_tree(watchdog(None))

    run(read())
    assert clock.sleeps == [{"30": 30, "999": 60, "0": 0.1, "past": 0.1, "future": 60}[header]]


class Session:
    """A token that may be renewed once within a request."""

    def __init__(self, renewed: str, *statuses: int) -> None:
        self.token, self.renewed, self.statuses = "old", renewed, list(statuses)
        self.sent: list[str] = []
        self.renewals = 0

    async def send(self, token: str) -> str:
        self.sent.append(token)
        status = self.statuses.pop(0)
        if status != 200:
            raise HttpError(status)
        return "body"

    async def renew(self) -> None:
        self.renewals += 1
        self.token = self.renewed

    async def get(self) -> str:
        used = self.token
        try:
            return await self.send(used)
        except HttpError as error:
            if error.status != 401:
                raise
            if self.token == used:
                await self.renew()
            if self.token == used:
                raise
        return await self.send(self.token)


def test_r19_a_token_that_has_expired(clock: FakeClock) -> None:
    """401 renews the token and asks once more, without a wait; a token that stays the same is not tried again."""
    session = Session("new", 401, 200)
    assert run(requests.call(session.get)) == "body"
    assert session.sent == ["old", "new"] and session.renewals == 1 and clock.sleeps == []
    session = Session("old", 401)
    with pytest.raises(HttpError, match="401"):
        run(requests.call(session.get))
    assert session.sent == ["old"] and session.renewals == 1 and clock.sleeps == []
    session = Session("new", 401, 401)
    with pytest.raises(HttpError, match="401"):
        run(requests.call(session.get))
    assert session.sent == ["old", "new"] and session.renewals == 1
