"""On top of the floors: the search for Python files, their reading, and atomic writing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from redouble.cli.migrate.source import MENTIONED, Source
from redouble.cli.migrate.world import TOUCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SKIPPED = {
    ".git",
    ".hg",
    ".tox",
    ".nox",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    "site-packages",
    ".mypy_cache",
}


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the Python files among some paths and beneath them, each once.

    Raises:
        ValueError: For a path that does not exist.
    """
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise ValueError(f"PATH must exist, got {str(path)!r}")
        for each in [path] if path.is_file() else sorted(_beneath(path)):
            if each not in seen:
                seen.add(each)
                yield each


def _beneath(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        yield from (Path(root) / name for name in names if name.endswith((".py", ".pyi")))


def read(paths: Iterable[Path]) -> tuple[list[Source], dict[Path, bytes], dict[Path, str]]:
    """Read all files, and parse those that may have to be changed.

    Returns:
        The parsed files; the bytes of every file by its path; the errors of unreadable files by their paths.
    """
    texts: dict[Path, bytes] = {}
    errors: dict[Path, str] = {}
    for path in paths:
        try:
            texts[path] = path.read_bytes()
        except OSError as error:
            errors[path] = str(error)
    sources: list[Source] = []
    for path, text in texts.items():
        if MENTIONED.search(text) or TOUCHED.search(text):
            try:
                sources.append(Source(path, text))
            except Exception as error:  # the parser's own, a wrong encoding, or nesting that is too deep
                errors[path] = _first_line(error)
    return sources, texts, errors


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def write(path: Path, text: str, encoding: str) -> None:
    """Replace the text of a file atomically, with its encoding, newlines, mode and links kept."""
    target = path.resolve()
    handle, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode(encoding))
        shutil.copymode(target, made)
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
