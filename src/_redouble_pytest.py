"""The pytest plugin: the fixture `retry_clock`. It imports redouble only for a test that uses the fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.testing import FakeClock


@pytest.fixture
def retry_clock() -> Iterator[FakeClock]:
    """Provide a `redouble.testing.FakeClock`, under `fake_time` for the whole test, in all its contexts and threads."""
    from redouble.testing import fake_time

    with fake_time(everywhere=True) as clock:
        yield clock
