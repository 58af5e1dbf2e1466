"""The retry storm: its server, how it is measured, and that redouble's own parts end it as they are said to."""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import RetryBudget, constant, exponential, retry
from redouble.cli.storm import Client, Course, FleetClient, Server, clients_of, run
from redouble.cli.worlds import Storm

if TYPE_CHECKING:
    from redouble import RetryPolicy

long = pytest.mark.skipif(
    sys.gettrace() is not None, reason="a minute while the coverage is measured, and covers nothing more"
)

FOUR = retry(attempts=4, on=TimeoutError)
ONCE = retry(attempts=1, on=TimeoutError)
SMALL: dict[str, Any] = {"capacity": 50, "start": 5, "outage": 8, "duration": 40}
"""A storm for tests of how it is played, not of what comes of it."""


def course_of(
    policy: RetryPolicy, budget: RetryBudget | None = None, *, shared: bool = False, **settings: Any
) -> Course:
    """What happens in a storm with one policy."""
    storm = Storm(**settings)
    return run(storm, clients_of(storm, policy, budget, shared=shared))


@pytest.fixture(scope="module")
def untouched() -> int:
    """How many seconds the service needs to recover where nobody retries."""
    recovered = course_of(ONCE).recovered
    assert recovered is not None
    return recovered


# The tables.


@long
def test_without_retries_the_service_recovers(untouched: int) -> None:
    """Four seconds of waiting work at a fifth of spare capacity: the answers are in time again after some 15 s."""
    assert 12 <= untouched <= 18


@long
@pytest.mark.parametrize(
    "curve", [constant(0.1), exponential(jitter=None), exponential()], ids=["fixed", "exponential", "full"]
)
def test_retries_without_a_budget_keep_it_down(curve: Any) -> None:
    """Whatever the waits: four attempts a call are four times the load, and it never recovers."""
    course = course_of(FOUR(backoff=curve), duration=80)
    assert course.amplification(30, 60) == pytest.approx(4, rel=0.015)
    assert course.amplification(60, 80) == pytest.approx(4, rel=0.01)
    assert course.recovered is None
    assert course.success(60, 80) < 0.02
    assert sum(course.good[-15:]) == 0


@long
def test_the_budget_ends_the_storm(untouched: int) -> None:
    """With redouble's budget the load is that of the first tries, and it recovers as if nobody retried."""
    course = course_of(FOUR, RetryBudget())
    assert course.amplification(30, 60) == pytest.approx(1.03, abs=0.02)
    assert course.amplification(60, 240) == pytest.approx(1.0, abs=0.01)
    assert course.recovered == pytest.approx(untouched, abs=3)


@long
def test_a_fleet_of_100_alone(untouched: int) -> None:
    """With a budget in each of a hundred processes it recovers within some seconds of the time without retries."""
    course = course_of(FOUR, RetryBudget(), processes=100)
    assert course.amplification(60, 240) == pytest.approx(1.0, abs=0.01)
    assert course.recovered == pytest.approx(untouched, abs=3)


@long
def test_a_fleet_of_400_alone() -> None:
    """400 bursts of 20 tokens cost some three seconds."""
    course = course_of(FOUR, RetryBudget(), processes=400)
    assert course.amplification(60, 240) == pytest.approx(1.0, abs=0.01)
    assert course.recovered == pytest.approx(18, abs=4)


@long
def test_a_fleet_of_1600_alone() -> None:
    """1600 bursts of 20 tokens delay it: by some 105 s, and then it recovers."""
    course = course_of(FOUR, RetryBudget(), processes=1600)
    assert course.recovered == pytest.approx(105, abs=10)


@long
def test_a_fleet_with_shares(untouched: int) -> None:
    """Where each of 1600 processes has its share of one burst, it is as with one process."""
    course = course_of(FOUR, RetryBudget(share=1 / 1600), processes=1600)
    assert course.amplification(60, 240) == pytest.approx(1.0, abs=0.01)
    assert course.recovered == pytest.approx(untouched, abs=3)


@long
def test_a_fleet_that_shares_a_store(untouched: int) -> None:
    """With one budget for all 1600 processes it is as with one process, for less than 30 requests a second to its store."""
    storm = Storm(processes=1600)
    clients = clients_of(storm, FOUR, RetryBudget(), shared=True)
    fleet = run(storm, clients)
    assert isinstance(clients[0], FleetClient)
    assert clients[0].store.requests < 30 * storm.duration
    assert fleet.amplification(30, 60) == pytest.approx(1.03, abs=0.02)
    assert fleet.recovered == pytest.approx(untouched, abs=3)


@long
def test_a_strict_budget_recovers_too(untouched: int) -> None:
    """Without refunds it is as in the outage, where there is nothing to refund."""
    assert course_of(FOUR, RetryBudget(strict=True)).recovered == pytest.approx(untouched, abs=3)


@long
def test_it_takes_little_time() -> None:
    """Half a minute of four attempts a call takes at most half a second, on one of three occasions."""
    assert any(seconds_of_a_run() < 0.5 for _ in range(3))


def seconds_of_a_run() -> float:
    """Of this process's time, which others on the machine stretch now and then; the outage begins at once."""
    began = time.process_time()
    course_of(FOUR, start=0, outage=20, duration=30)
    return time.process_time() - began


# What it is made of.


def test_a_small_storm_is_one() -> None:
    """A small service stays down as a large one does, and recovers with one bucket for its processes or for each."""
    assert course_of(FOUR, **SMALL).recovered is None
    budget = RetryBudget(burst=2)
    untouched = course_of(ONCE, **SMALL).recovered
    for shared in (False, True):
        found = course_of(FOUR, budget, shared=shared, processes=5, **SMALL).recovered
        assert found == pytest.approx(untouched, abs=3)


def test_the_same_seed_makes_the_same_course() -> None:
    """A course is repeated by its seed, and another seed makes another one; the policy changes nothing in the calls."""
    one, again, other = (course_of(ONCE, seed=seed, **SMALL) for seed in (7, 7, 8))
    assert vars(one) == vars(again)
    assert one.calls != other.calls
    assert course_of(FOUR, seed=7, **SMALL).calls == one.calls


def test_every_call_ends() -> None:
    """The calls of each second are as many as came, and each attempt belongs to one of them."""
    course = course_of(FOUR, **SMALL)
    assert sum(course.calls) == pytest.approx(40 * 40, rel=0.1)
    assert all(calls <= attempts <= 4 * calls for calls, attempts in zip(course.calls, course.attempts, strict=True))
    assert all(good <= calls for good, calls in zip(course.succeeded, course.calls, strict=True))
    assert sum(course.load) <= sum(course.attempts)


def test_the_controller_decides() -> None:
    """What ends a call is the policy: a deadline that no wait fits into leaves one attempt."""
    short = retry(attempts=4, deadline=1.05, on=TimeoutError, backoff=constant(0.1))
    assert course_of(short, **SMALL).amplification(0, 40) == 1.0
    assert course_of(retry(attempts=4, on=None), **SMALL).amplification(0, 40) == 1.0


def test_a_policy_without_a_limit_ends_nevertheless() -> None:
    """Calls that would be retried for ever are left alone a minute after the last one began."""
    course = course_of(
        retry(attempts=None, on=TimeoutError, backoff=constant(1)),
        **SMALL | {"load": 2, "capacity": 10, "duration": 26},
    )
    assert course.recovered is None
    assert course.amplification(20, 25) == pytest.approx(40, rel=0.2)


def test_retries_that_work_are_refunded() -> None:
    """A call that succeeds on its second attempt costs nothing, one that succeeds at once deposits."""
    budget = RetryBudget(burst=1, clock=lambda: 0.0)
    client = Client(FOUR, budget)
    call = client.begin(0.0)
    assert client.fail(call, 1.0, 0.5) is not None
    call.start(1.1)
    client.succeed(call, 1.2)
    first = client.begin(0.0)
    client.succeed(first, 0.1)
    told = budget.snapshot(1.0)
    assert (told["granted"], told["refunded"], told["successes"]) == (1, 1, 1)


def test_a_client_without_a_budget() -> None:
    """Without a budget the controller alone decides."""
    client = Client(FOUR, None)
    call = client.begin(0.0)
    assert client.fail(call, 1.0, 0.5) is not None
    call.start(1.1)
    client.succeed(call, 1.2)


@given(
    storm=st.builds(
        Storm,
        capacity=st.floats(1, 1000),
        start=st.floats(0, 50),
        outage=st.floats(0, 50),
        left=st.sampled_from([0.0, 0.1, 1.0]),
        queue=st.floats(0.1, 10),
    ),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_the_server_keeps_the_order_and_its_capacity(storm: Storm, gaps: list[float]) -> None:
    """Answers come in the order of arrival, never before the work is done, and never faster than the capacity."""
    server, now, answers = Server(storm), 0.0, []
    for gap in gaps:
        now += gap
        answer = server.take(now)
        if answer is not None:
            assert answer >= now + 1 / storm.capacity - 1e-6
            answers.append(answer)
    assert answers == sorted(answers)
    assert all(later - earlier >= 1 / storm.capacity - 1e-6 for earlier, later in pairwise(answers))


def test_the_server_drops_what_it_cannot_hold() -> None:
    """Beyond `queue` seconds of waiting work a request is dropped; in the outage the room is the same."""
    storm = Storm(capacity=10, queue=2, start=0, outage=10, left=0.1)
    server = Server(storm)
    answers = [server.take(0.0) for _ in range(25)]
    assert answers[:20] == pytest.approx([min(each, 10 + (each - 10) / 10) for each in range(1, 21)])
    assert answers[20:] == [None] * 5


def test_a_server_that_is_down() -> None:
    """With nothing left of the capacity, what comes in the outage is answered after it."""
    server = Server(Storm(capacity=10, start=1, outage=10, left=0))
    assert server.take(1.0) == pytest.approx(11.1)


def course_with(bad: set[int]) -> Course:
    """A course in which all calls succeed but those of some seconds."""
    course = Course(Storm(duration=100))
    course.calls = [100] * 100
    course.succeeded = [0 if second in bad else 100 for second in range(100)]
    return course


@pytest.mark.parametrize(
    ("bad", "recovered"),
    [
        (set(range(30, 60)), 0),
        (set(range(30, 70)), 10),
        ({*range(30, 70), 80}, 21),
        (set(range(30, 100)), None),
        ({99}, None),
    ],
)
def test_when_it_has_recovered(bad: set[int], recovered: int | None) -> None:
    """It has recovered when every later window of five seconds is good, and never where the last one is not."""
    assert course_with(bad).recovered == recovered


def test_one_call_in_a_hundred_may_fail() -> None:
    """A window is good from 99 % on."""
    course = course_with(set())
    course.succeeded[70] = 95
    assert course.recovered == 0
    course.succeeded[70] = 94
    assert course.recovered == 11


def test_progress_is_told() -> None:
    """Each second tells which share of the time is over, from little to all."""
    told: list[float] = []
    storm = Storm(**SMALL)
    run(storm, clients_of(storm, ONCE), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0 and len(told) == 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"load": 0}, "load must be above 0, got 0"),
        ({"load": -1}, "load must be a number >= 0, got -1"),
        ({"capacity": 0}, "capacity must be above 0, got 0"),
        ({"timeout": 0}, "timeout must be a duration in seconds (int, float or timedelta) > 0, got 0"),
        ({"queue": 0}, "queue must be a duration in seconds (int, float or timedelta) > 0, got 0"),
        ({"start": -1}, "start must be a duration in seconds (int, float or timedelta) >= 0, got -1"),
        ({"left": 2}, "left must be a number in [0, 1], got 2"),
        ({"processes": 0}, "processes must be a whole number >= 1, got 0"),
        ({"processes": 10**9}, "processes must not be above 100000, got 1000000000"),
        (
            {"duration": 60},
            "duration must be at least 66 s, 5 s beyond the end of the outage, and at most 86400 s, got 60",
        ),
        (
            {"duration": 10**9},
            "duration must be at least 66 s, 5 s beyond the end of the outage, and at most 86400 s, got 1000000000",
        ),
        ({"capacity": 1e6}, "load * capacity * duration must not be above 2000000 calls, got 192000000"),
    ],
)
def test_bad_storms(settings: dict[str, Any], message: str) -> None:
    """What cannot be simulated is refused by name, rule and value."""
    with pytest.raises(ValueError) as refused:
        Storm(**settings).checked()
    assert str(refused.value) == message
