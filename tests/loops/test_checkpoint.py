"""Floor 4. The checkpoint in a file: what it keeps, what it refuses, and that no moment of a crash breaks it."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import resume
from redouble.loops import FileCheckpoint, Stalled

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "export.json"


def test_a_new_checkpoint_is_at_the_beginning(path: Path) -> None:
    """Without a file there is no cursor and no stalled run, and asking makes none."""
    assert FileCheckpoint(path).load() is None and FileCheckpoint(path).load_stalls() == 0
    assert not path.exists()


@pytest.mark.parametrize("cursor", [None, 0, 2.5, "", "é\n", True, [1, [2]], {"page": 7, "of": [None]}])
def test_a_cursor_comes_back_as_it_was(path: Path, cursor: Any) -> None:
    """What JSON can hold is there for the next process; the count of stalled runs is kept beside it."""
    checkpoint = FileCheckpoint(str(path))
    checkpoint.save_stalls(3)
    checkpoint.save(cursor)
    again = FileCheckpoint(path)
    assert again.load() == cursor and type(again.load()) is type(cursor) and again.load_stalls() == 3
    again.save_stalls(0)
    assert again.load() == cursor and again.load_stalls() == 0
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208  # names are what is compared


@pytest.mark.parametrize("cursor", [(1, 2), b"bytes", {1: 2}, math.nan, object(), {"deep": (1,)}])
def test_a_cursor_that_json_changes_is_refused(path: Path, cursor: Any) -> None:
    """What would come back as something else is refused when it is saved, and the old cursor stays."""
    checkpoint = FileCheckpoint(path)
    checkpoint.save("old")
    with pytest.raises(TypeError, match="what JSON gives back as it was, got"):
        checkpoint.save(cursor)
    assert checkpoint.load() == "old"


def test_a_cursor_without_an_end_is_refused(path: Path) -> None:
    """A list that holds itself is no JSON."""
    cursor: list[Any] = []
    cursor.append(cursor)
    with pytest.raises(TypeError, match="what JSON gives back"):
        FileCheckpoint(path).save(cursor)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"version": 2, "cursor": "b", "stalls": 0}',
        b'{"version": 1, "cursor": "b"}',
        b'{"version": 1, "stalls": 0}',
        b'{"version": 1, "cursor": "b", "stalls": -1}',
        b'{"version": 1, "cursor": "b", "stalls": true}',
        b"[" * 100_000,
    ],
)
def test_a_broken_file_is_refused(path: Path, content: bytes) -> None:
    """A file that is none of ours is named, neither read as the beginning nor written over."""
    path.write_bytes(content)
    checkpoint = FileCheckpoint(path)
    for use in (
        checkpoint.load,
        checkpoint.load_stalls,
        lambda: checkpoint.save("b"),
        lambda: checkpoint.save_stalls(1),
    ):
        with pytest.raises(ValueError, match=r"export\.json is no checkpoint that can be read: mend it, or delete it"):
            use()
    assert path.read_bytes() == content


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """A checkpoint in a folder that does not exist cannot be saved, and says so as Python does."""
    with pytest.raises(FileNotFoundError):
        FileCheckpoint(tmp_path / "missing" / "export.json").save("b")


@pytest.mark.parametrize("path", [None, 3, b"bytes"])
def test_a_path_that_is_none(path: Any) -> None:
    """What is no path is refused when it is written."""
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        FileCheckpoint(path)


@pytest.mark.parametrize("stalls", [-1, 1.0, True, None])
def test_a_count_that_is_none(path: Path, stalls: Any) -> None:
    """Only whole numbers are counts."""
    with pytest.raises((TypeError, ValueError), match="stalls must be a whole number >= 0"):
        FileCheckpoint(path).save_stalls(stalls)


def test_its_repr(path: Path) -> None:
    """It shows its path."""
    assert repr(FileCheckpoint(path)) == f"FileCheckpoint({str(path)!r})"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """When writing fails the old cursor stays, nothing is left aside, and the error is the disk's."""
    checkpoint = FileCheckpoint(path)
    checkpoint.save("old")

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save("new")
    assert checkpoint.load() == "old" and os.listdir(path.parent) == [path.name]  # noqa: PTH208


def test_the_file_is_forced_to_disk_before_it_is_moved(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First what was written, then the move, then the folder: no order of a power cut leaves half a file."""
    done: list[str] = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: (done.append(name), real(*args, **kwargs))[1]

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(os, "replace", noted("replace", os.replace))
    FileCheckpoint(path).save("b")
    assert done == ["fsync", "replace", "fsync"]


def test_where_folders_cannot_be_forced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without folders to be opened, and without modes of open files (Windows), moves the file, and that is all."""
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)
    monkeypatch.delattr(os, "fchmod", raising=False)
    for cursor in ("b", "c"):
        FileCheckpoint(path).save(cursor)
        assert FileCheckpoint(path).load() == cursor


def test_a_file_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is a file of the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    FileCheckpoint("export.json").save("b")
    assert json.loads((tmp_path / "export.json").read_text())["cursor"] == "b"


posix = pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes and links there")


def mode(path: Path) -> int:
    """The permissions of a file."""
    return path.stat().st_mode & 0o777


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_new_file_is_private(path: Path, umask: int) -> None:
    """A new file is its owner's alone, whatever the umask says."""
    before = os.umask(umask)
    try:
        FileCheckpoint(path).save("b")
    finally:
        os.umask(before)
    assert mode(path) == 0o600


@posix
@pytest.mark.parametrize("kept", [0o600, 0o640, 0o644, 0o666, 0o400])
def test_the_mode_is_kept(path: Path, kept: int) -> None:
    """A file that exists keeps its mode, however often it is saved."""
    checkpoint = FileCheckpoint(path)
    checkpoint.save("b")
    path.chmod(kept)
    checkpoint.save("c")
    checkpoint.save_stalls(1)
    assert mode(path) == kept and checkpoint.load() == "c"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(path: Path) -> None:
    """A file that root writes for another user stays that user's."""
    FileCheckpoint(path).save("b")
    os.chown(path, 12345, 23456)
    FileCheckpoint(path).save("c")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456) and mode(path) == 0o600


@posix
def test_an_owner_that_cannot_be_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses to give a file away, it is the owner's who saves."""
    FileCheckpoint(path).save("b")
    real = os.stat

    def of_another(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        return os.stat_result((found.st_mode, *found[1:4], found.st_uid + 1, *found[5:]))

    def refused(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fchown", refused)
        patch.setattr(os, "stat", of_another)
        FileCheckpoint(path).save("c")
    assert FileCheckpoint(path).load() == "c"


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_kept(tmp_path: Path, there: bool) -> None:
    """A link stays a link, in whichever folder: the file that it points to is written, also where that is not there yet."""
    (tmp_path / "real").mkdir()
    real, link, second = tmp_path / "real" / "export.json", tmp_path / "export.json", tmp_path / "second.json"
    if there:
        FileCheckpoint(real).save("a")
        real.chmod(0o644)
    link.symlink_to(Path("real") / "export.json")
    second.symlink_to(link)
    FileCheckpoint(second).save("b")
    assert second.is_symlink() and link.is_symlink() and not real.is_symlink()
    assert FileCheckpoint(real).load() == FileCheckpoint(second).load() == "b"
    assert mode(real) == (0o644 if there else 0o600)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["export.json", "real", "second.json"]


@posix
def test_a_link_that_was_planted_aside_is_not_followed(path: Path, tmp_path: Path) -> None:
    """In a folder that others write to, a link under the aside name does not lead to another file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(f"{path}.redouble").symlink_to(victim)
    FileCheckpoint(path).save("b")
    assert victim.read_text() == "precious" and FileCheckpoint(path).load() == "b"


@pytest.mark.parametrize("use", ["load", "save"])
def test_what_was_left_aside_is_removed(path: Path, use: str) -> None:
    """What a killed process has left aside goes with the next `load` or `save`."""
    checkpoint = FileCheckpoint(path)
    checkpoint.save("old")
    Path(f"{path}.redouble").write_text("half of")
    assert checkpoint.load() == "old" if use == "load" else checkpoint.save("old") is None
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_looked_at_while_it_is_written(path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """A process that loads meanwhile takes away what is aside: it is written again, a few times."""
    checkpoint, real, looks = FileCheckpoint(path), os.replace, []
    checkpoint.save("old")

    def replace(*args: Any) -> None:
        if len(looks) < times:
            looks.append(FileCheckpoint(path).load())
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        if times < 3:
            checkpoint.save("new")
        else:
            with pytest.raises(FileNotFoundError):
                checkpoint.save("new")
    assert looks == ["old"] * times and checkpoint.load() == ("new" if times < 3 else "old")


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from redouble.loops import FileCheckpoint
checkpoint, left = FileCheckpoint(sys.argv[1]), int(sys.argv[3])
def killing(real):
    def step(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return step
for name in ("open", "fchmod", "fsync", "replace", "close"):
    setattr(os, name, killing(getattr(os, name)))
checkpoint.save("new")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7])
def test_a_process_that_is_killed(path: Path, step: int) -> None:
    """Killed (-9) before each step of writing, a process leaves the old cursor or the new one, and no rubbish for long."""
    FileCheckpoint(path).save("old")
    source = str(Path(redouble.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), source, str(step)], timeout=60, check=False)
    assert done.returncode == -9
    assert {each.name for each in path.parent.iterdir()} <= {path.name, f"{path.name}.redouble"}
    assert FileCheckpoint(path).load() == ("old" if step <= 4 else "new") and mode(path) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    FileCheckpoint(path).save("next")
    assert FileCheckpoint(path).load() == "next"


def test_a_long_read_over_processes(path: Path) -> None:
    """A read that fails on every third page gets to its end in several runs, each page committed once."""
    read: list[int] = []
    calls = 0

    def fetch(cursor: int | None) -> tuple[int, int | None]:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise ValueError("bad")
        at = cursor or 0
        return at, at + 1 if at < 9 else None

    runs = 0
    while not read or FileCheckpoint(path).load() is not None:
        runs += 1
        try:
            for page in resume(fetch, FileCheckpoint(path), stall_after=2):
                with page as item:
                    read.append(item)
        except ValueError:
            assert FileCheckpoint(path).load() == len(read)
    assert read == list(range(10)) and runs == 5


def test_a_stalled_read_over_processes(path: Path) -> None:
    """The count is in the file: after a restart the read is refused, until somebody sets it back."""

    def fetch(cursor: None) -> tuple[None, None]:
        if broken:
            raise ValueError("bad")
        return None, None

    broken = True
    for expected in (ValueError, Stalled, Stalled):
        with pytest.raises(expected):
            list(resume(fetch, FileCheckpoint(path), stall_after=2))
    broken = False
    FileCheckpoint(path).save_stalls(0)
    for page in resume(fetch, FileCheckpoint(path), stall_after=2):
        with page:
            pass


def test_a_path_of_bytes(path: Path) -> None:
    """A path-like object may give bytes, as those of `os.scandir(b"...")` do: they are decoded as the system does."""

    class Bytes:
        def __fspath__(self) -> bytes:
            return os.fsencode(path)

    FileCheckpoint(Bytes()).save(7)  # type: ignore[arg-type]
    assert FileCheckpoint(path).load() == 7
