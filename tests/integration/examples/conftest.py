"""What the tests of the examples share: a run of each as a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.examples.by_hand import Example

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def example() -> Callable[[str], Example]:
    """Return an example by its name."""
    return Example
