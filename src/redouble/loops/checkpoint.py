"""Floor 5. Checkpoints, which remember the cursor of a long read: the protocol, and one that uses a file."""

from __future__ import annotations

import os

from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, TypeAlias

    Path: TypeAlias = str | os.PathLike[str]

    class Checkpoint(Protocol):
        """The `checkpoint` of `resume`: any object with these methods, which may be coroutine functions."""

        def load(self) -> Any:
            """Return the cursor of the next page; `None` for the beginning."""
            ...

        def save(self, cursor: Any) -> Any:
            """Remember a cursor; `None` when everything has been read."""
            ...

else:

    class Checkpoint:
        """The `checkpoint` of `resume`: any object with these methods, which may be coroutine functions.

        `load()` returns the cursor of the next page, `None` for the beginning. `save(cursor)` remembers a cursor; it is
        called with `None` when everything has been read. `stall_after` also needs `load_stalls()`, which returns a
        whole number (0 at first), and `save_stalls(stalls)`.
        """

        __module__ = "redouble.loops"


VERSION = 1

PRIVATE = 0o600
"""The mode of a new file, for its owner alone: a cursor may hold a secret, such as a token."""

TRIES = 3
"""The number of times that `save` writes the file aside, as a `load` in another process may remove it as left over."""


class FileCheckpoint:
    """A checkpoint in a JSON file, for `resume`; it also counts the runs without an advance, for `stall_after`.

    The file is written aside, forced to disk, and moved into its place: a process that is killed at any moment leaves
    the old cursor or the new one. It may also leave the file aside, `PATH.redouble`, which the next `load()` or
    `save()` removes. Use it for one reader at a time. Writing blocks for as long as the disk takes, also in asyncio.

    A new file can be read by its owner alone (mode 0600, as a cursor may hold a token). An existing file keeps its
    mode, and its owner where the system allows that. If `path` is a symbolic link, the file that it points to is
    written, and the link stays. A hard link does not stay: the file is a new one after each `save()`.

    Args:
        path: The file; it need not exist, but its folder must.

    Raises:
        TypeError: When `path` is not a string or a path.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     checkpoint = FileCheckpoint(f"{folder}/export.json")
    ...     checkpoint.load()
    ...     checkpoint.save({"page": 7})
    ...     FileCheckpoint(f"{folder}/export.json").load()
    {'page': 7}
    """

    __module__ = "redouble.loops"

    __slots__ = ("_path",)

    _path: str

    def __init__(self, path: Path) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path must be a string or a path, got {checks.shown(path)}")
        self._path = os.fsdecode(path)

    def load(self) -> Any:
        """Return the cursor; `None` when there is no file yet, and after everything has been read.

        Removes the file aside that a process killed in `save()` has left.

        Raises:
            ValueError: When the file is not a checkpoint of this class. The file is kept, and reading does not begin
                anew.
            OSError: When it cannot be read.
        """
        _remove(_aside(os.path.realpath(self._path)))
        return self._read()[0]

    def save(self, cursor: Any) -> None:
        """Remember the cursor.

        Raises:
            TypeError: When JSON does not give the cursor back as it was (a tuple comes back as a list).
            ValueError: When the file is not a checkpoint of this class.
            OSError: When it cannot be written.
        """
        self._write(cursor, self._read()[1])

    def load_stalls(self) -> int:
        """Return the number of runs in a row that failed without an advance; raises as `load` does."""
        return self._read()[1]

    def save_stalls(self, stalls: int) -> None:
        """Remember the number of such runs; 0 lets a stalled read try again. Raises as `save` does.

        Raises:
            TypeError, ValueError: When `stalls` is not a whole number >= 0.
        """
        self._write(self._read()[0], checks.whole("stalls", stalls, least=0))

    def __repr__(self) -> str:
        return f"FileCheckpoint({self._path!r})"

    def _read(self) -> tuple[Any, int]:
        import json

        try:
            with open(self._path, encoding="utf-8") as file:  # noqa: PTH123  # pathlib takes long to load
                text = file.read()
        except FileNotFoundError:
            return None, 0
        except UnicodeDecodeError as error:
            raise self._broken() from error
        try:
            state = json.loads(text)
            if state["version"] != VERSION:
                raise ValueError("another version")
            return state["cursor"], checks.whole("stalls", state["stalls"], least=0)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise self._broken() from error

    def _broken(self) -> ValueError:
        return ValueError(
            f"{self._path} is no checkpoint that can be read: mend it, or delete it to read from the beginning"
        )

    def _write(self, cursor: Any, stalls: int) -> None:
        text = _as_json({"version": VERSION, "cursor": cursor, "stalls": stalls}, cursor)
        path = os.path.realpath(self._path)  # the file that a link points to: the link stays
        aside = _aside(path)
        left = TRIES
        while True:
            left -= 1
            try:
                _write_aside(aside, text, path)
                try:
                    os.replace(aside, path)  # noqa: PTH105  # pathlib takes long to load
                    break
                except FileNotFoundError:  # a `load` in another process removed it as left over
                    if not left:
                        raise
            except BaseException:
                _remove(aside)
                raise
        _force_folder(os.path.dirname(path))  # noqa: PTH120  # as above


def _aside(path: str) -> str:
    """Return the path of the file aside: beside the real one, so in the same file system."""
    return f"{path}.redouble"


def _write_aside(aside: str, text: str, path: str) -> None:
    """Write a file anew, as private as the one that it replaces, and force it to disk."""
    _remove(aside)  # a kill may have left it; and a link that another user put there would be followed
    with open(aside, "x", encoding="utf-8", opener=_private) as file:  # as above
        _take_after(path, file.fileno())
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)


def _take_after(path: str, handle: int) -> None:
    """Give an open file the owner and the mode of the one that it replaces, if there is one."""
    if not hasattr(os, "fchmod"):  # Windows
        return
    try:
        old = os.stat(path)  # noqa: PTH116  # as above
    except FileNotFoundError:
        return
    own = os.fstat(handle)
    if (old.st_uid, old.st_gid) != (own.st_uid, own.st_gid):
        from contextlib import suppress

        with suppress(OSError):  # only root may give a file away; else the writer owns it
            os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, old.st_mode & 0o777)


def _as_json(state: dict[str, Any], cursor: Any) -> str:
    import json

    try:
        text = json.dumps(state)
        if json.loads(text)["cursor"] == cursor:
            return text
    except (TypeError, ValueError, RecursionError):
        pass  # the error below says it better
    raise TypeError(f"a cursor in a FileCheckpoint must be what JSON gives back as it was, got {checks.shown(cursor)}")


def _remove(path: str) -> None:
    try:
        os.remove(path)  # noqa: PTH107  # as above
    except OSError:
        return  # it does not exist, or cannot be removed: the error that led here matters more


def _force_folder(folder: str) -> None:
    """Force the move to disk: after a power cut the old file might be back. Windows has no such call."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
