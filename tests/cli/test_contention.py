"""Contention for one row: that redouble's curves do what AWS found, and how it is counted."""

from __future__ import annotations

from typing import Any

import pytest

from redouble import constant, exponential, retry
from redouble.cli.contention import ConflictError, Work, contend
from redouble.cli.simulate import STRATEGIES
from redouble.cli.worlds import Contention

FOUND = {
    "no wait": ((688, 0.015), (1135, 0.02)),
    "no jitter": ((625, 0.03), (36768, 0.05)),
    "equal": ((347, 0.01), (4248, 0.10)),
    "full": ((332, 0.01), (2910, 0.10)),
    "decorrelated": ((374, 0.025), (2207, 0.15)),
}
"""Of 50 clients: writes and milliseconds, each with the tolerance of 20 trials."""


@pytest.fixture(scope="module")
def found() -> dict[str, Work]:
    """What 50 clients need with each of the strategies."""
    model = Contention(clients=50)
    policies = {name: retry(attempts=None, on=ConflictError, backoff=curve) for name, curve in STRATEGIES.items()}
    return {name: contend(model, policy) for name, policy in policies.items()}


@pytest.mark.parametrize("name", FOUND)
def test_the_table(found: dict[str, Work], name: str) -> None:
    """Writes and time are those of the published model, within the tolerance of 20 trials."""
    (calls, calls_within), (ms, ms_within) = FOUND[name]
    assert found[name].calls == pytest.approx(calls, rel=calls_within)
    assert found[name].seconds * 1000 == pytest.approx(ms, rel=ms_within)
    assert found[name].gave_up == 0


def test_the_ranking(found: dict[str, Work]) -> None:
    """Jitter saves work: full <= equal < decorrelated < no jitter < no wait."""
    calls = {name: work.calls for name, work in found.items()}
    assert sorted(calls, key=lambda name: calls[name]) == ["full", "equal", "decorrelated", "no jitter", "no wait"]


def test_one_client_meets_nobody() -> None:
    """A client alone writes once: one read, one write, four messages."""
    work = contend(Contention(clients=1, spread=0, trials=3), retry(on=ConflictError))
    assert work == pytest.approx((1, 0.04, 0))


def test_clients_may_give_up() -> None:
    """Where the policy limits the attempts, those who give up are counted."""
    work = contend(Contention(clients=20, trials=5), retry(attempts=2, on=ConflictError, backoff=constant(0)))
    assert 0 < work.gave_up < 20
    assert work.calls <= 40


def test_the_same_seed_does_the_same() -> None:
    """The figures are repeated by their seed, and differ with another one."""
    policy = retry(attempts=None, on=ConflictError, backoff=exponential(0.01))
    one, again, other = (contend(Contention(clients=20, trials=2, seed=seed), policy) for seed in (1, 1, 2))
    assert one == again != other


def test_progress_is_told() -> None:
    """Each trial tells which share of them is over."""
    told: list[float] = []
    contend(Contention(clients=2, trials=4), retry(on=ConflictError), told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clients": 0}, "clients must be a whole number >= 1, got 0"),
        ({"trials": 0}, "trials must be a whole number >= 1, got 0"),
        ({"leg": 0}, "leg must be a duration in seconds (int, float or timedelta) > 0, got 0"),
        ({"spread": -1}, "spread must be a duration in seconds (int, float or timedelta) >= 0, got -1"),
        ({"clients": 10_000}, "clients ** 2 * trials must not be above 20000000, got 2000000000"),
    ],
)
def test_bad_models(settings: dict[str, Any], message: str) -> None:
    """What cannot be simulated is refused by name, rule and value."""
    with pytest.raises(ValueError) as refused:
        Contention(**settings).checked()
    assert str(refused.value) == message
