"""What importing an adapter loads: the library that it is for, and no other."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import redouble

LIBRARIES = {"httpx", "requests", "urllib3", "aiohttp", "grpc"}
BENEATH = {"requests": {"urllib3"}}
"""What a library is built upon."""


def loaded_by(statement: str) -> set[str]:
    """The top packages that a fresh interpreter has loaded after `statement`; a warning of ours there is an error."""
    place = str(Path(redouble.__file__).parent.parent)
    code = (
        f"import sys; sys.path.insert(0, {place!r}); {statement}; print(*{{n.partition('.')[0] for n in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_an_adapter_loads_its_own_library_alone(library: str) -> None:
    """No other client is loaded, and none of those that it does not need."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install {library}")
    loaded = loaded_by(f"import redouble.adapters.{library}")
    assert loaded & LIBRARIES == {library} | BENEATH.get(library, set())


def test_redouble_loads_no_adapter() -> None:
    """`import redouble` with all its names loads no client."""
    assert loaded_by("from redouble import *") & LIBRARIES == set()
