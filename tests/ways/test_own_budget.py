"""The retry budget that each decorated function has unless one is written."""

from __future__ import annotations

import logging

import pytest

from redouble import RetryBudget, retry
from redouble.testing import FakeClock


class Down:
    """A service that is down, and counts the requests."""

    def __init__(self) -> None:
        self.requests = 0

    def __call__(self) -> None:
        self.requests += 1
        raise ConnectionResetError("down")


def fail(function: object, times: int) -> None:
    """Call a function that fails, so many times."""
    for _ in range(times):
        with pytest.raises(ConnectionResetError):
            function()  # type: ignore[operator]


def test_an_outage_is_not_multiplied_for_ever(clock: FakeClock) -> None:
    """A hundred failing calls send a hundred requests and the burst of twenty, not three hundred."""
    down = Down()
    fail(retry(down), 100)
    assert down.requests == 120


def test_each_function_has_its_own(clock: FakeClock) -> None:
    """The outage of one service takes no retry from the calls of another."""
    fail(retry(Down()), 100)
    other = Down()
    fail(retry(other), 1)
    assert other.requests == 3


def test_without_a_limit_of_attempts_there_is_none(clock: FakeClock) -> None:
    """Whoever wrote a deadline alone asked for all the attempts that fit."""
    down = Down()
    fail(retry(deadline=30)(down), 20)
    assert down.requests > 60


@pytest.mark.parametrize("budget", [None, RetryBudget(burst=200)], ids=["none", "larger"])
def test_a_written_budget_takes_its_place(clock: FakeClock, budget: RetryBudget | None) -> None:
    """`None` is no budget, and a larger burst lasts longer."""
    down = Down()
    fail(retry(budget=budget)(down), 100)
    assert down.requests == 300


def test_the_first_refusal_is_a_warning_that_says_what_to_write(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody asked for this budget, so it says that it is there, once per function."""
    caplog.set_level(logging.WARNING, "redouble")
    fail(retry(name="one of a kind")(Down()), 30)
    said = [record for record in caplog.records if "budget=" in record.getMessage()]
    assert [record.levelname for record in said] == ["WARNING"]
    assert said[0].getMessage().startswith("one of a kind: too many of its calls fail")


def test_a_written_budget_refuses_without_advice(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Who wrote it knows about it."""
    caplog.set_level(logging.WARNING, "redouble")
    fail(retry(name="another", budget=RetryBudget(burst=2))(Down()), 5)
    assert not [record for record in caplog.records if "budget=" in record.getMessage()]
