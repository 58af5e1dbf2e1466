"""redouble.examples.export_or_tree against a real HTTP server; the waits are virtual, unless it says so."""

from __future__ import annotations

import asyncio
import email.utils
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import Reason, clamp_under, outcome, override
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.export_server import ExportServer
from redouble.loops import Stalled
from redouble.testing import fake_time
from tests.integration.examples.by_hand import HOSTS

httpx: Any = pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
export_or_tree: Any = pytest.importorskip("redouble.examples.export_or_tree")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redouble.testing import FakeClock

PATIENCE = 1.0  # real seconds that virtual time waits for the server's answer


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Any]:
    """An empty database."""
    with closing(export_or_tree.Local(str(tmp_path / "files.db"))) as local:
        yield local


async def pull(server: ExportServer, local: Any, **limits: Any) -> None:
    """The example's function, with a client of its own."""
    pool = httpx.Limits(max_keepalive_connections=0)  # virtual time waits for open sockets
    async with httpx.AsyncClient(trust_env=False, timeout=None, limits=pool) as client:
        await export_or_tree.pull(export_or_tree.Workspace(client, server.url), local, export_or_tree.Limits(**limits))


def pull_in_virtual_time(server: ExportServer, local: Any, **limits: Any) -> FakeClock:
    """One cycle; what it raises passes."""
    with fake_time() as clock:
        clock.io_grace = PATIENCE
        asyncio.run(pull(server, local, **limits))
    return clock


def written(local: Any) -> tuple[int, int, int]:
    """How many files there are, and how often each one was written at least and at most."""
    found: tuple[int, int, int] = local.db.execute("select count(*), min(written), max(written) from file").fetchone()
    return found


def track(local: Any, files: int) -> None:
    """Let so many files be here already."""
    local.apply({f"/docs/{number:03}.md": "old" for number in range(files)})
    local.save(None)
    local.db.execute("update state set complete = 0")
    local.db.commit()


@pytest.mark.parametrize(
    ("asked", "ceilings", "effective", "warnings"),
    [
        (45, (90, 0), 45.0, 0),
        (120, (90, 0), 67.5, 1),
        (67.5, (90, 0), 67.5, 0),
        (45, (90, 30), 22.5, 1),
        (45, (90, -1), 45.0, 0),
    ],
)
def test_r01_to_r04_the_export_ends_before_the_watchdog(
    asked: float, ceilings: tuple[float, ...], effective: float, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """R-1 to R-4: three quarters of the least limit around it, and a line that names both values when that is less."""
    assert clamp_under(asked, *ceilings) == effective
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == warnings
    assert all(f"{asked:g} s" in line and f"{effective:g} s" in line for line in lines)


def test_r05_a_hard_cap(local: Any) -> None:
    """R-5: an export that hangs leaves the tree enough of a cap of 200 ms. The server answers in no virtual time."""
    with ExportServer(1, export="hang") as server:
        clock = pull_in_virtual_time(server, local, hard_cap=0.2, export=1)
        assert server.counts() == (1, 1, 1)
    assert local["complete"] == 1
    assert clock.now() == pytest.approx(0.15)


def test_r06_an_export_that_hangs(local: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """R-6: one export, one list, one file, complete, and one line that names the limit. In real time."""
    with ExportServer(1, export="hang") as server:
        asyncio.run(pull(server, local, export=0.05))
        assert server.counts() == (1, 1, 1)
    assert local["complete"] == 1
    assert capsys.readouterr().out.count("the deadline of 0.05 s has passed") == 1


def test_r07_a_workspace_that_is_busy(local: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """R-7: asked four times, and then page by page, once."""
    with ExportServer(1, export="workspace_busy") as server:
        clock = pull_in_virtual_time(server, local)
        assert server.counts() == (4, 1, 1)
    assert clock.sleeps == [0.1, 0.2, 0.4]
    assert local["complete"] == 1
    assert capsys.readouterr().out.count("so page by page") == 1


@pytest.mark.parametrize("export", ["rate_limited", "queue_full", 502])
def test_r08_r09_no_fallback_against_a_server_that_has_enough(export: str | int, local: Any) -> None:
    """R-8, R-9: the error is raised after the retries, nothing is listed, nothing has changed."""
    with ExportServer(1, export=export) as server:
        with pytest.raises(httpx.HTTPStatusError, match=str(export)):
            pull_in_virtual_time(server, local)
        assert server.counts() == (4, 0, 0)
    assert (local.load(), local["complete"], local.count()) == (None, 0, 0)


@pytest.mark.parametrize("trouble", ["truncated", "hang up"])
def test_an_export_that_ends_in_the_middle(trouble: str, local: Any) -> None:
    """What this server cannot send in one piece is read page by page."""
    with ExportServer(1, export=trouble) as server:
        pull_in_virtual_time(server, local)
        assert server.counts()[1:] == (1, 1)
    assert local["complete"] == 1


@pytest.mark.parametrize(("tracked", "listed", "complete", "lists"), [(1, 1, 1, 1), (1, 0, 0, 1), (0, 0, 1, 0)])
def test_r10_an_empty_export(tracked: int, listed: int, complete: int, lists: int, local: Any) -> None:
    """R-10: it is believed only where nothing was here; else the tree is asked, and if that is empty too, all is kept."""
    if tracked:
        track(local, tracked)
    with ExportServer(1, export="empty") as server:
        server.listed = listed
        pull_in_virtual_time(server, local)
        assert server.counts()[1] == lists
    assert (local["complete"], local.count(), local.load()) == (complete, tracked, None)


@pytest.mark.parametrize(("tracked", "returned", "suspicious"), [(10, 4, True), (10, 5, False), (9, 1, False)])
def test_r11_an_export_that_lost_most(tracked: int, returned: int, suspicious: bool, local: Any) -> None:
    """R-11: less than half of ten or more."""
    track(local, tracked)
    with ExportServer(returned) as server:
        pull_in_virtual_time(server, local)
        assert (server.counts()[1] > 0) == suspicious


def test_r12_cancelled_during_the_export(local: Any) -> None:
    """R-12: the cancellation passes, nothing is listed, nothing has changed."""

    async def main(server: ExportServer) -> None:
        task = asyncio.ensure_future(pull(server, local))
        await asyncio.sleep(10)
        task.cancel()
        await task

    with ExportServer(1, export="hang") as server, fake_time() as clock:
        clock.io_grace = PATIENCE
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main(server))
        assert server.counts() == (1, 0, 0)
    assert (local.load(), local["complete"]) == (None, 0)


@pytest.mark.parametrize("parent", [asyncio.timeout, redouble.deadline])
def test_r13_both_limits_at_the_same_moment(parent: Any, local: Any) -> None:
    """R-13: the parent's end counts: there is no time left for a fallback."""

    async def main(server: ExportServer) -> None:
        async with parent(45):
            await pull(server, local)

    with ExportServer(1, export="hang") as server, fake_time() as clock:
        clock.io_grace = PATIENCE
        with pytest.raises(TimeoutError):
            asyncio.run(main(server))
        assert server.counts() == (1, 0, 0)
        assert clock.now() == 45.0


def test_r14_slow_pages_are_progress(local: Any) -> None:
    """R-14: ten pages of 40 ms each survive a watchdog of 200 ms. In real time."""
    with ExportServer(10, page=1, export="truncated", pace=0.04) as server:
        asyncio.run(pull(server, local, idle=0.2))
    assert (local["complete"], written(local)) == (1, (10, 1, 1))


def test_r14_a_page_that_takes_too_long(local: Any, caplog: pytest.LogCaptureFixture) -> None:
    """R-14: a quarter of a second without a page is enough; one line says so, and no task is left. In real time."""

    async def main(server: ExportServer) -> float:
        began = time.monotonic()
        with pytest.raises(redouble.DeadlineExceeded, match=r"no progress for 0\.25 s"):
            await pull(server, local, idle=0.25, stalls=2)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return time.monotonic() - began

    with ExportServer(10, page=1, export="truncated", pace=1.2) as server:
        assert 0.25 <= asyncio.run(main(server)) < 1.2  # it does not wait for the page
    assert local.load_stalls() == 1
    assert len([record for record in caplog.records if "no progress" in record.getMessage()]) == 1


def test_r17_a_cancellation_is_no_stall(local: Any) -> None:
    """R-17: who cancels a reader has not seen it stall. In real time."""

    async def main(server: ExportServer) -> None:
        task = asyncio.ensure_future(pull(server, local, stalls=2))
        await asyncio.to_thread(stage.wait_until, lambda: server.counts()[1] == 1, "it reads the first page")
        task.cancel()
        await task

    with ExportServer(10, page=1, export="truncated", pace=0.4) as server, pytest.raises(asyncio.CancelledError):
        asyncio.run(main(server))
    assert (local.load_stalls(), local.count()) == (0, 0)


def test_r15_a_bad_page_in_the_middle(local: Any) -> None:
    """R-15: two pages are kept; the next cycle reads the three others, and nothing twice."""
    with ExportServer(50, export="truncated") as server:
        server.trouble["/docs/025.md"] = [502] * 4
        with pytest.raises(httpx.HTTPStatusError, match="502"):
            pull_in_virtual_time(server, local)
        assert (local.load(), local["complete"], local.count()) == ("20", 0, 20)
        before = server.counts()
        pull_in_virtual_time(server, local)
        assert server.counts() == (before[0], before[1] + 3, before[2] + 30)
    assert (local.load(), local["complete"], written(local)) == (None, 1, (50, 1, 1))


def test_a_page_that_fails_once_is_read_again(local: Any) -> None:
    """A transient error within a page costs that page alone, and leaves nothing half."""
    with ExportServer(50, export="truncated") as server:
        server.trouble["/docs/025.md"] = [503]
        clock = pull_in_virtual_time(server, local)
        assert server.counts() == (1, 6, 56)
    assert clock.sleeps == [0.1]
    assert (local["complete"], written(local)) == (1, (50, 1, 1))


def test_r16_a_retry_after_beyond_the_limit(local: Any) -> None:
    """R-16: a minute, when there are 45 s: the refusal is raised at once, and not hidden behind a timeout."""
    with ExportServer(1, export="rate_limited") as server:
        server.headers = {"Retry-After": "60"}
        with pytest.raises(httpx.HTTPStatusError, match="rate_limited") as caught, fake_time() as clock:
            clock.io_grace = PATIENCE
            asyncio.run(pull(server, local))
        assert server.counts() == (1, 0, 0)
    assert (clock.sleeps, clock.now()) == ([], 0.0)
    end = outcome(caught.value)
    assert end is not None and end.reason is Reason.HINT


def test_r17_no_advance_for_too_long(local: Any) -> None:
    """R-17: an advance sets the count back; then an error, then the stall, and no request at all after that."""
    with ExportServer(50, export="truncated") as server:
        server.trouble["/docs/025.md"] = [502] * 12
        with pytest.raises(httpx.HTTPStatusError):
            pull_in_virtual_time(server, local, stalls=2)
        assert local.load_stalls() == 0
        with pytest.raises(httpx.HTTPStatusError):
            pull_in_virtual_time(server, local, stalls=2)
        assert (local.load_stalls(), local.count()) == (1, 20)
        with pytest.raises(Stalled, match="2 of 2") as caught:
            pull_in_virtual_time(server, local, stalls=2)
        assert isinstance(caught.value.__cause__, httpx.HTTPStatusError)
        requests = len(server.requests)
        with pytest.raises(Stalled):
            pull_in_virtual_time(server, local, stalls=2)
        assert len(server.requests) == requests
        pull_in_virtual_time(server, local, stalls=3)  # a higher limit lets it try again
    assert (local.load_stalls(), local["complete"], written(local)) == (0, 1, (50, 1, 1))


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("30", 30.0),
        ("999", 60.0),
        ("0", 0.1),
        ("soon", 0.1),
        (email.utils.formatdate(time.time() - 3600, usegmt=True), 0.1),
    ],
)
def test_r18_what_the_server_may_ask_for(header: str, wait: float, local: Any) -> None:
    """R-18: half a minute, a minute at most; else the curve."""
    delays: list[float | None] = []
    with ExportServer(1, export="rate_limited") as server, fake_time(draw=0.0) as clock:
        server.headers = {"Retry-After": header}
        clock.io_grace = PATIENCE
        with override(observers=[lambda event: delays.append(event.delay)]), pytest.raises(httpx.HTTPStatusError):
            asyncio.run(pull(server, local, idle=1e6, export=1e5))
    assert delays[0] == wait


def test_killed_in_the_middle_nothing_is_lost_and_nothing_twice(tmp_path: Path) -> None:
    """A reader that is killed (SIGKILL) three times at whatever moment: in the end each file was written once."""
    database = str(tmp_path / "files.db")
    command = [sys.executable, "-m", "redouble.examples.export_or_tree", "--part"]
    with ExportServer(50, page=5, export="truncated", pace=0.02) as server:
        for reads in (7, 19, 33):
            with subprocess.Popen([*command, server.url, database, "45"], stdout=subprocess.DEVNULL) as reader:
                while server.counts()[2] <= reads and reader.poll() is None:
                    time.sleep(0.005)
                os.kill(reader.pid, signal.SIGKILL)
        done = subprocess.run([*command, server.url, database, "45"], timeout=30, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert server.counts()[2] <= 50 + 3 * 5
    with closing(export_or_tree.Local(database)) as local:
        assert (local["complete"], local.load(), written(local)) == (1, None, (50, 1, 1))


@pytest.mark.parametrize("host", HOSTS["export_or_tree"])
def test_by_hand(host: str, example: Callable[[str], Any]) -> None:
    """`python -m redouble.examples.export_or_tree`, on asyncio and trio: killed, started again, five kinds of exports."""
    lines = example("export_or_tree").run("--on", host)
    assert "killed: 20 files are here, and the cursor is 20" in lines
    assert "50 files, each one written 1 to 1 times; asked for: (1, 6, 56)" in lines
    assert lines.count("begun at page 0: 50 files, complete: 1") == 3
    assert sum(line.endswith("so page by page") for line in lines) == 3
    assert any(line.startswith("429 ") and "rate_limited" in line and line.endswith("complete: 0") for line in lines)
