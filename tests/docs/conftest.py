"""What the tests of the documentation share: where it is, and the facts that its reference is made of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="session")
def facts() -> Any:
    """The module that reads out of the package what the reference says."""
    spec = importlib.util.spec_from_file_location("facts", DOCS / "_ext" / "facts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as NamedTuple asks for
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def as_in_a_small_program(no_heirs: None) -> None:
    """Print advice as in a program of its own, in every snippet."""
