"""`redouble migrate` as a command: what it shows, what it writes, and how it ends."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from redouble.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("libcst", reason="pip install redouble[migrate]")

FINE = "import stamina\n\n\n@stamina.retry(on=OSError)\ndef f(): ...\n"
LEFT = "import backoff\n\n\n@backoff.on_exception(mine, OSError)\ndef f(): ...\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A file with one call site."""
    path = tmp_path / "shop.py"
    path.write_text(FINE)
    return path


def test_it_shows_a_diff_and_writes_nothing(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --write the differences are shown, and the file stays."""
    assert main(["migrate", str(shop)]) == 0
    said = capsys.readouterr()
    assert "-@stamina.retry(on=OSError)\n" in said.out and "+@retry(\n" in said.out
    assert "call sites outside of tests: 1, rewritten 1, marked 0" in said.err and "add --write" in said.err
    assert shop.read_text() == FINE


def test_it_writes(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --write the file changes, and what was to be shown is shown."""
    assert main(["migrate", "--write", str(shop)]) == 0
    assert "from redouble import" in shop.read_text() and "add --write" not in capsys.readouterr().err


def test_it_ends_with_1_where_something_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was left is counted by its reason, and the exit code says that there is something."""
    (tmp_path / "shop.py").write_text(LEFT)
    assert main(["migrate", str(tmp_path)]) == 1
    assert "   1 wait_gen=mine has no counterpart\n" in capsys.readouterr().err


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that does not exist is a mistake in the arguments."""
    assert main(["migrate", str(tmp_path / "nowhere")]) == 2
    assert "PATH must exist, got" in capsys.readouterr().err


def test_a_file_that_cannot_be_parsed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with a syntax error is named and skipped; the others are brought over."""
    (tmp_path / "bad.py").write_text("import tenacity\ndef (:\n")
    (tmp_path / "good.py").write_text(FINE)
    assert main(["migrate", "--write", str(tmp_path)]) == 1
    assert "not read: " in (said := capsys.readouterr().err) and "bad.py" in said
    assert "redouble" in (tmp_path / "good.py").read_text()


def test_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json gives all places, with what became of each."""
    (shop.parent / "test_shop.py").write_text(LEFT)
    assert main(["migrate", "--json", str(shop.parent)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["call_sites"] == {
        "outside_tests": {"found": 1, "rewritten": 1, "marked": 0},
        "in_tests": {"found": 1, "rewritten": 0, "marked": 1},
    }
    sites = [(site["line"], site["library"], site["status"], site["in_test"]) for site in said["sites"]]
    assert sites == [(4, "stamina", "rewritten", False), (4, "backoff", "marked", True)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encoding_newlines_and_mode_stay(tmp_path: Path, encoding: str) -> None:
    """A file keeps its encoding, its newlines, its mode, and being linked to."""
    path, link = tmp_path / "shop.py", tmp_path / "link.py"
    cookie = "# coding: latin-1\n" if encoding == "latin-1" else ""
    path.write_bytes((cookie + FINE + 'NAME = "café"\n').replace("\n", "\r\n").encode(encoding))
    path.chmod(0o750)
    link.symlink_to(path)
    assert main(["migrate", "--write", str(link)]) == 0
    written = path.read_bytes()
    assert b"from redouble import" in written and "café".encode(encoding.removesuffix("-sig")) in written
    assert written.count(b"\n") == written.count(b"\r\n") and written.startswith(b"\xef\xbb\xbf") == (
        encoding == "utf-8-sig"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o750 and link.is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.py", "shop.py"]


def test_without_libcst(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without libcst one line says what to install."""
    monkeypatch.setattr("redouble.cli.migrate.find_spec", lambda name: None)
    assert main(["migrate", str(shop)]) == 2
    assert capsys.readouterr().err == "redouble migrate needs libcst: pip install redouble[migrate]\n"


def test_what_no_library_is_mentioned_in_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that uses none of the libraries is left alone, in whatever state it is."""
    (tmp_path / "shop.py").write_text("def backoff(: tenacity\n")
    assert main(["migrate", "--write", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
