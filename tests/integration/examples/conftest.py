"""What the tests of the examples share: where the examples are, and a run of each as a program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2] / "docs" / "examples"), str(HERE)]  # as the examples find their surroundings

from surroundings.by_hand import Example  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def example() -> Callable[[str], Example]:
    """An example by its name."""
    return Example
