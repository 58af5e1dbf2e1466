"""The examples as programs, and what the documentation says about them."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).parents[3] / "docs" / "examples.md"
CLIENTS = ("asyncssh", "httpx", "websockets")
HOSTS = {
    "ssh_on_boot": ("asyncio", "trio", "threads"),
    "export_or_tree": ("asyncio", "trio"),
    "reconnecting_terminal": ("asyncio", "trio", "threads"),
    "device_code": ("threads", "asyncio", "trio"),
    "push_latest": ("asyncio", "trio", "threads"),
}
"""Each example, and what can run it, the default first."""
LONGEST = 30.0  # seconds that an example may take
MOST_LINES = 23  # of the redouble part of an example


def place_of(package: str) -> Path:
    """Return the folder of a package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


EXAMPLES = place_of("redouble.examples")


def _start(name: str, environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run an example by hand, with warnings as errors."""
    inherited = {name: value for name, value in os.environ.items() if name != "STAGE_BEGAN"}
    path = os.pathsep.join([environment.get("PYTHONPATH", ""), str(EXAMPLES.parents[1])]).strip(os.pathsep)
    whole = {**inherited, "PYTHONWARNINGS": "error", **environment, "PYTHONPATH": path}
    command = [sys.executable, "-m", f"redouble.examples.{name}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False, env=whole, cwd="/")


@functools.cache
def _started(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return _start(name, {}, *options)


class Example:
    """One of the examples: its redouble part, and what the documentation says about it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = EXAMPLES / f"{name}.py"

    def run(self, *options: str) -> list[str]:
        """Run it by hand, once for all tests, and return the lines that it prints, without the times.

        Skips where something is missing.
        """
        done = _started(self.name, *options)
        if done.returncode == 2:
            pytest.skip(done.stderr.strip())
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return [re.sub(r"^ *\d+\.\d\d s  ", "", line) for line in done.stdout.splitlines()]

    def run_without_clients(self, folder: Path) -> tuple[int, str]:
        """Run it where no client can be imported; return its exit code, and what it says of that."""
        for client in CLIENTS:
            (folder / f"{client}.py").write_text("raise ImportError('not here')")
        done = _start(self.name, {"PYTHONPATH": str(folder)})
        return done.returncode, done.stderr

    def redouble_part(self) -> list[str]:
        """Return the lines between its two marks that are code."""
        text = self.path.read_text(encoding="utf-8")
        _, _, rest = text.partition("\n# redouble:\n")
        part, _, _ = rest.partition("# end of redouble")
        return [line for line in part.splitlines() if line.strip() and not line.strip().startswith(("#", '"""'))]
