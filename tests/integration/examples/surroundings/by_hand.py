"""The examples of docs/examples as programs, and what the documentation says about them."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = Path(__file__).parents[4] / "docs"
EXAMPLES = DOCS / "examples"
PAGE = DOCS / "examples.md"
CLIENTS = ("asyncssh", "httpx", "websockets")
LONGEST = 15.0  # seconds that an example may take
MOST_LINES = 20  # of the redouble part of an example


def _start(path: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program by hand, with warnings as errors."""
    inherited = {name: value for name, value in os.environ.items() if name != "STAGE_BEGAN"}
    whole = {**inherited, "PYTHONWARNINGS": "error", **environment}
    command = [sys.executable, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False, env=whole)


@functools.cache
def _started(path: Path) -> subprocess.CompletedProcess[str]:
    return _start(path, {})


class Example:
    """One of docs/examples: its redouble part, and what the documentation says about it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = EXAMPLES / f"{name}.py"

    def run(self) -> list[str]:
        """Run it by hand, once for all tests, and return the lines that it prints, without the times.

        Skips where something is missing.
        """
        done = _started(self.path)
        if done.returncode == 2:
            pytest.skip(done.stderr.strip())
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return [re.sub(r"^ *\d+\.\d\d s  ", "", line) for line in done.stdout.splitlines()]

    def run_without_clients(self, folder: Path) -> tuple[int, str]:
        """Run it where no client can be imported; its exit code, and what it says of that."""
        for client in CLIENTS:
            (folder / f"{client}.py").write_text("raise ImportError('not here')")
        done = _start(self.path, {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])})
        return done.returncode, done.stderr

    def redouble_part(self) -> list[str]:
        """The lines between its two marks that are code."""
        text = self.path.read_text(encoding="utf-8")
        _, _, rest = text.partition("\n# redouble:\n")
        part, _, _ = rest.partition("# end of redouble")
        return [line for line in part.splitlines() if line.strip() and not line.strip().startswith(("#", '"""'))]
