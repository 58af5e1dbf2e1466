"""Floor 3. The waits that curves give: what is said of one that goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redouble import Backoff, StillPending, poll, retry
from redouble.control import faults
from redouble.core.backoff import as_curve
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable


def mine(failures: int) -> float:
    """A curve with a bug."""
    raise ZeroDivisionError("in a curve")


class Mine(Backoff):
    """Another one."""

    def delay(self, failures: int, previous: float | None, draw: object) -> float:
        raise ZeroDivisionError("in a curve")


def fails(curve: Callable[[int], float] | Backoff) -> None:
    """As it is."""
    retry(on=OSError, backoff=curve).call(scripted(OSError))


def fails_capped(curve: Callable[[int], float] | Backoff) -> None:
    """Within one of ours."""
    fails(as_curve("curve", curve).capped(5))


def polls(curve: Callable[[int], float] | Backoff) -> None:
    """As an interval."""
    poll(scripted("queued"), until=lambda value: False, interval=curve)


@pytest.mark.parametrize("run", [fails, fails_capped, polls])
@pytest.mark.parametrize("curve", [mine, Mine()], ids=["function", "class"])
def test_a_fault_names_the_curve_that_was_written(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., None], curve: Callable[[int], float] | Backoff
) -> None:
    """A report names the user's function or class, not what it is wrapped in here."""
    heard: list[str] = []
    monkeypatch.setattr(faults, "listeners", [lambda line, error: heard.append(line)])
    with fake_time(), pytest.raises((OSError, StillPending)):
        run(curve)
    name = "Mine" if isinstance(curve, Mine) else "mine"
    assert heard[:1] == [f"curve {name} raised ZeroDivisionError('in a curve'); it counts as ended"]
