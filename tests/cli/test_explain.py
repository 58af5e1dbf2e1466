"""`redouble explain`: what is known of an error, from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redouble.cli import main
from redouble.known.tables import all_rows


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of a command that goes well."""
    assert main(["explain", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_without_arguments_all_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the tables know, a line each."""
    assert len(shown(capsys)) == len(all_rows())
    assert len(shown(capsys, "--list")) == len(all_rows())


def test_the_rows_of_a_package(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, whether it may have been applied, what the row is about, note and source."""
    lines = shown(capsys, "--list", "sqlite3")
    assert lines[0] == (
        "transient  not applied      sqlite3.Error [SQLITE_BUSY]: another connection holds the lock"
        " (SQLite documentation, result codes)"
    )


@pytest.mark.parametrize("package", ["openai", "redis", "slack_sdk"])
def test_a_package_alone_lists_its_rows(capsys: pytest.CaptureFixture[str], package: str) -> None:
    """As `--list` does: what comes to mind first."""
    assert shown(capsys, package) == shown(capsys, "--list", package)


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["ConnectionResetError"], "ConnectionResetError is TRANSIENT: it may pass, and is tried again"),
        (["OSError", "ECONNREFUSED"], "ConnectionRefusedError is TRANSIENT: it may pass, and is tried again"),
        (["OSError", "28"], "OSError is PERMANENT: trying again cannot help"),
        (["socket.gaierror", "EAI_AGAIN"], "socket.gaierror is TRANSIENT: it may pass, and is tried again"),
        (["socket.gaierror", "-99999"], "socket.gaierror is unknown, so PERMANENT: it is not tried again"),
        (["json.JSONDecodeError"], "json.JSONDecodeError is unknown, so PERMANENT: it is not tried again"),
        (["UnicodeDecodeError"], "UnicodeDecodeError is unknown, so PERMANENT: it is not tried again"),
        (["--http", "503"], "HTTP 503 is TRANSIENT: it may pass, and is tried again"),
        (["--http", "404"], "HTTP 404 is PERMANENT: trying again cannot help"),
        (["--exit-code", "7", "curl"], "subprocess.CalledProcessError is TRANSIENT: it may pass, and is tried again"),
        (["--exit-code", "7"], "subprocess.CalledProcessError is PERMANENT: trying again cannot help"),
    ],
)
def test_an_error_that_can_be_made(capsys: pytest.CaptureFixture[str], arguments: list[str], first: str) -> None:
    """Classes that can be imported are made and explained; so are statuses and exit codes."""
    assert shown(capsys, *arguments)[0] == first


def test_headers_count(capsys: pytest.CaptureFixture[str]) -> None:
    """With a Retry-After even a 403 is worth another try."""
    lines = shown(capsys, "--http", "403", "--header", "Retry-After: 2")
    assert "wait         at least 2 s: the server, or the rule, asks for it" in lines
    assert "reason       HTTP 403 with Retry-After" in lines
    assert lines[-1] == "to change it retry(on=permanent(YourClientsError) | known_errors)"


def test_a_sqlstate(capsys: pytest.CaptureFixture[str]) -> None:
    """A SQLSTATE by its row, or by its class; in small letters too."""
    assert shown(capsys, "--sqlstate", "40001")[0].startswith("transient  not applied      sql.SQLSTATE [40001]")
    assert "[40P01]" in shown(capsys, "--sqlstate", "40p01")[0]


def test_what_depends_on_what_it_carries(capsys: pytest.CaptureFixture[str]) -> None:
    """A class whose content decides is told by its rows."""
    lines = shown(capsys, "urllib.error.HTTPError")
    assert lines[0].startswith("urllib.HTTPError depends on what it carries; ")
    assert lines[1] == (
        "its rows     transient  perhaps applied  urllib.HTTPError [by status]: by its status and headers (RFC 9110 15)"
    )
    lines = shown(capsys, "ssl.SSLError")
    assert lines[0] == (
        "ssl.SSLError depends on what it carries; an error of it that carries nothing: PERMANENT: trying again cannot help"
    )
    assert sum("ssl.SSLError [" in line for line in lines) == 3


def test_the_rows_of_a_package_that_shares_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A package with the same table as another is found by its own name."""
    assert any("psycopg.OperationalError" in line for line in shown(capsys, "--list", "psycopg2"))


def test_a_code_of_a_class(capsys: pytest.CaptureFixture[str]) -> None:
    """A code that is no errno is looked up in the tables."""
    assert shown(capsys, "sqlite3.OperationalError", "sqlite_busy")[0].startswith("transient  not applied")


def test_a_client_that_is_not_installed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the client the tables speak by the names alone."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    lines = shown(capsys, "grpc.RpcError", "UNAVAILABLE")
    assert lines[0] == "grpc.RpcError cannot be imported here; this is what the tables say of it:"
    assert lines[1].startswith("transient  perhaps applied  grpc.RpcError [UNAVAILABLE]: part of the request")
    assert len(shown(capsys, "grpc.RpcError")) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch.Thing"], "cannot import 'nosuch.Thing', and no row of the tables has this name; the rows: redouble"),
        (["nosuch.Thing", "x"], "has this name and the code 'x'"),
        (["a..b"], "cannot import 'a..b'"),
        (["NoSuchError"], "cannot import 'NoSuchError'"),
        (["OSError", "EFOO"], "no row of the tables is about OSError with the code 'EFOO'"),
        (["OSError", "9999999999"], "no row of the tables is about OSError with the code"),
        (["ValueError", "5"], "no row of the tables is about ValueError with the code '5'"),
        (["os.path"], "os.path is no exception class"),
        (["int"], "int is no exception class"),
        (["--list", "nosuch"], "no row is about the package 'nosuch'; there are MySQLdb"),
        (["--http", "200"], "--http must be a status in 300..599, got 200"),
        (["--http", "503", "--header", "nothing"], "--header must be NAME: VALUE, got 'nothing'"),
        (["--header", "a: b"], "--header goes with --http"),
        (["--http", "503", "curl"], "--http, --sqlstate and --list stand alone, got 'curl' besides"),
        (["--sqlstate", "00000"], "--sqlstate must be five letters or digits that stand for an error, got '00000'"),
        (["--sqlstate", "x"], "--sqlstate must be"),
        (["--http", "503", "--sqlstate", "40001"], "not allowed with argument"),
    ],
)
def test_a_mistake_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """A mistake ends with 2 and a message that says what to write."""
    assert main(["explain", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_module_that_fails_when_it_is_imported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever goes wrong in somebody's module is named, without a traceback."""
    (tmp_path / "breaks_on_import.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["explain", "breaks_on_import.Error"]) == 2
    assert "breaks_on_import cannot be imported: ZeroDivisionError" in capsys.readouterr().err


def test_a_class_that_cannot_be_made_with_ease(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A class whose constructor wants other arguments is explained without it."""
    (tmp_path / "wants_more.py").write_text(
        "class Error(TimeoutError):\n    def __init__(self, one, two):\n        pass\n"
        "class Text(TimeoutError):\n    def __init__(self, one):\n        pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert shown(capsys, "wants_more.Error")[0].startswith("wants_more.Error is TRANSIENT")
    assert shown(capsys, "wants_more.Text")[0].startswith("wants_more.Text is TRANSIENT")


def test_nothing_is_imported_for_the_listing() -> None:
    """The rows can be listed where no client is installed: none is loaded."""
    code = (
        "import sys; from redouble.cli import main; main(['explain', '--list', 'requests']);"
        " assert not {'requests', 'urllib3', 'httpx', 'grpc'} & set(sys.modules)"
    )
    place = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": place}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "requests.ReadTimeout" in done.stdout
