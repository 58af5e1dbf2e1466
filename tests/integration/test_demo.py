"""`redouble demo`, on real sockets and in real time."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import pytest

from redouble.cli import main
from redouble.cli.client import fetch
from redouble.cli.service import FlakyService
from redouble.cli.ways import WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parents[2] / "README.md"
COMMAND = [sys.executable, "-m", "redouble", "demo"]


def masked(text: str) -> str:
    """The text with its measured times, and the number of ways in, made alike; the width of the columns stays."""
    return re.sub(r"All \d+ ways", "All # ways", re.sub(r"\b\d+\.\d+ s\b", "#.## s", text))


def attempts(out: str) -> dict[str, list[str]]:
    """What happened at each attempt, by way in."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in out.partition("what happened\n")[2].partition("\n\n")[0].splitlines():
        name = line[:20].strip() or name
        found.setdefault(name, []).append(line[22:].strip())
    return found


class Run(NamedTuple):
    """One run of the demo."""

    code: int
    out: str
    err: str
    seconds: float
    threads_left: int


@pytest.fixture(scope="module")
def run() -> Run:
    """The demo, run once for all tests that only look at it."""
    began, threads = monotonic(), threading.active_count()
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(["demo"])
    return Run(code, out.getvalue(), err.getvalue(), monotonic() - began, threading.active_count() - threads)


def test_it_ends_well_and_in_time(run: Run) -> None:
    """The exit code is 0, nothing but the demo itself is printed, and it takes less than ten seconds."""
    assert (run.code, run.err) == (0, "")
    assert run.seconds < 10


def test_the_services_are_gone_at_the_end(run: Run) -> None:
    """Every service that was started has ended."""
    assert run.threads_left == 0


def test_every_way_in_gets_the_answer(run: Run) -> None:
    """Each of the eight ways, and of trio's four where it is installed, meets the three failures and succeeds at the fourth attempt."""
    assert list(attempts(run.out)) == list(WAYS) and len(WAYS) == (8 if find_spec("trio") is None else 12)
    for lines in attempts(run.out).values():
        assert [line[0] for line in lines] == ["1", "2", "3", "4"]
        refused, reset, busy, success = lines
        assert "transient: ConnectionRefusedError [ECONNREFUSED]" in refused
        assert "transient: ConnectionResetError [ECONNRESET]" in reset
        assert "transient: urllib.HTTPError 503, asks for" in busy
        assert success.endswith("success")


def test_the_first_snippet_of_the_readme_gets_its_answer(tmp_path: Path) -> None:
    """The README's first program, with the log that it names, prints what the README shows, against the service it names."""
    pytest.importorskip("httpx", reason="the README's first program uses httpx: pip install httpx")
    text = README.read_text(encoding="utf-8")
    program, shown = (
        re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for kind in ("python", "text")
    )
    (configured,) = re.findall(r"`(logging\.basicConfig\(.*?\))`", text)
    assert program is not None and shown is not None and "8765" in program[1]
    quiet = "logging.getLogger('httpx').setLevel('WARNING')"
    with subprocess.Popen([*COMMAND, "--serve"], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", service.stdout.readline())
        written = tmp_path / "first.py"
        written.write_text(f"import logging\n{configured}\n{quiet}\n{program[1].replace('8765', port)}")
        ran = subprocess.run(
            [sys.executable, written], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30
        )
        service.terminate()
    pattern = re.sub(r"(?:\d|\\\.)+ s", r"[0-9.]+ s", re.escape(shown[1]).replace(r"\ ", " ")).replace(r"\.\.\.", ".*")
    assert re.fullmatch(pattern, ran.stdout), ran.stdout


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--serve` takes a port of TCP."""
    assert main(["demo", f"--serve={port}"]) == 2
    assert f"must be a port, 0 to 65535, got '{port}'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told() -> None:
    """Where another program has the port, one line says so, and the exit code is 1."""
    with FlakyService() as service, redirect_stdout(StringIO()) as out:
        service.boot()
        port = service.url.rpartition(":")[2].strip("/")
        assert main(["demo", "--serve", port]) == 1
    assert f"cannot serve on port {port}" in out.getvalue()


def test_retry_after_is_obeyed(run: Run) -> None:
    """Where the service asks for a second, the wait is a second and at most a tenth more."""
    waits = [float(wait) for wait in re.findall(r"(\d\.\d\d) s +\S+ s +\S+ \S+ 503, asks for 1 s", run.out)]
    assert len(waits) == 2
    assert all(1.0 <= wait <= 1.1 for wait in waits)


def test_down_shows_how_it_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    """A service that stays down: every way gives up after four attempts, and the end is the error with its note."""
    assert main(["demo", "--down"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    for lines in attempts(out).values():
        assert [line[0] for line in lines] == ["1", "2", "3", "4", "g"]
        assert lines[-1] == "gave up: attempts used up"
    *_, error, note = out.splitlines()
    assert error.startswith(
        ("ConnectionRefusedError: [Errno ", "OSError: all attempts to connect")
    )  # the latter is trio's
    assert masked(note) == "gave up after 4 attempts in #.## s: attempts used up"


def test_wrong_answer_is_a_failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else than the service's answer is told, and the exit code is 1."""
    monkeypatch.setattr("redouble.cli.demo.WAYS", {"by heart": lambda policy, url: "43"})
    assert main(["demo"]) == 1
    assert capsys.readouterr().out.endswith("ValueError: the answer was '43'\n")


def test_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is set for other hosts does not come between the demo and its service."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    with FlakyService() as service:
        service.boot()
        with pytest.raises(ConnectionResetError):
            fetch(service.url)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let processes that are started here hear of SIGINT, also where this one was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
@pytest.mark.parametrize("during", ["decorator  ", "decorator, asyncio"])
@pytest.mark.usefixtures("interruptible")
def test_interrupt_ends_it_at_once(during: str) -> None:
    """Ctrl-C, in a sync wait and in an asyncio one: exit code 130, one word, no traceback."""
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.startswith(during):
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stderr.read() == "\nInterrupted.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_nobody_reads_on() -> None:
    """`redouble demo | head -1` ends at the next line that it prints, without a word."""
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 141
        assert process.stderr.read() == ""
