"""The retry budget: what it grants, how it is shared, copied and forked, and that its bound holds under threads."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import pickle
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import trio

import redouble
from redouble import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Callable

FROZEN = {"clock": lambda: 0.0}
"""A clock that stands still, for tests without time."""


def grants(budget: RetryBudget, now: float = 0.0, hinted: bool = False, most: int = 10_000) -> int:
    """How many retries the budget grants in a row before it refuses one."""
    return next((count for count in range(most) if not budget.take(now, hinted)), most)


def test_a_full_bucket_grants_its_burst() -> None:
    """Without any success `burst` retries are granted, and no more."""
    assert grants(RetryBudget(**FROZEN)) == 20
    assert grants(RetryBudget(burst=3, **FROZEN)) == 3
    assert grants(RetryBudget(burst=0, **FROZEN)) == 0


def test_successes_deposit() -> None:
    """Ten successes on the first attempt are worth one retry, whatever ten times 0.1 adds up to."""
    budget = RetryBudget(burst=0, **FROZEN)
    for _ in range(9):
        budget.hits += 1
    assert not budget.take(0.0)
    budget.hits += 1
    assert budget.take(0.0)
    assert not budget.take(0.0)


def test_deposits_one_by_one_are_worth_as_much() -> None:
    """Deposits that were counted one at a time lose nothing to rounding."""
    budget = RetryBudget(burst=0, **FROZEN)
    for _ in range(9):
        budget.hits += 1
        assert not budget.take(0.0)
    budget.hits += 1
    assert budget.take(0.0)


def test_hinted_retries_cost_less() -> None:
    """Where the server said when to come back, a retry costs 5/14 of a token: 56 of them for a burst of 20."""
    assert grants(RetryBudget(**FROZEN), hinted=True) == 56


def test_a_retry_that_worked_gives_its_token_back() -> None:
    """As long as retries work, they may go on for ever."""
    budget = RetryBudget(burst=1, **FROZEN)
    for _ in range(100):
        assert budget.take(0.0)
        budget.refund()
    assert budget.snapshot()["tokens"] == 1.0


def test_hinted_retries_give_back_what_they_took() -> None:
    """The refund of a hinted retry is 5/14 of a token."""
    budget = RetryBudget(burst=1, **FROZEN)
    budget.take(0.0, hinted=True)
    budget.refund(hinted=True)
    assert budget.snapshot()["tokens"] == 1.0


def test_strict_refunds_nothing() -> None:
    """With `strict` a retry that worked has cost its token all the same."""
    budget = RetryBudget(burst=1, strict=True, **FROZEN)
    assert budget.take(0.0)
    budget.refund()
    assert not budget.take(0.0)


def test_refunds_make_no_tokens() -> None:
    """A refund without a granted retry of its kind changes nothing."""
    budget = RetryBudget(burst=2, **FROZEN)
    budget.refund()
    budget.refund(hinted=True)
    budget.take(0.0)
    budget.refund(hinted=True)
    assert budget.snapshot()["tokens"] == 1.0
    assert budget.snapshot()["refunded"] == 0


@pytest.mark.parametrize(("strict", "success"), [(False, 0.992), (True, 0.86)])
def test_failures_that_are_independent(strict: bool, success: float) -> None:
    """Where one request in five fails by chance, refunds keep the retries alive, and a strict tenth does not."""
    chance, budget = Random(1).random, RetryBudget(strict=strict, **FROZEN)
    calls = [succeeds(budget, chance, number / 50) for number in range(20_000)]
    assert sum(calls) / len(calls) == pytest.approx(success, abs=0.005)


def succeeds(budget: RetryBudget, chance: Callable[[], float], now: float) -> bool:
    """Make one call of up to three attempts, each of which fails by a chance of one in five."""
    if chance() >= 0.2:
        budget.hits += 1
        return True
    for _ in range(2):
        if not budget.take(now):
            return False
        if chance() >= 0.2:
            budget.refund()
            return True
    return False


def test_trickle() -> None:
    """Time alone fills the bucket, at most up to its burst: an hourly job may retry each time."""
    budget = RetryBudget(burst=12, **FROZEN)
    for hour in range(1, 5):
        assert grants(budget, now=3600.0 * hour) == 12


def test_surplus_fades_within_the_window() -> None:
    """Deposits above the burst decay: half of the window leaves half of them, the whole window none."""
    budget = RetryBudget(burst=1, trickle=0, **FROZEN)
    budget.hits += 111
    assert budget.take(0.0)
    assert budget.snapshot(5.0)["tokens"] == pytest.approx(1 + 10.1 / 2)
    assert budget.snapshot(10.0)["tokens"] == 1.0
    assert grants(budget, now=10.0) == 1


def test_old_deposits_count_by_their_rate() -> None:
    """Of a thousand seconds of successes without a failure, what the last window deposited is there."""
    budget = RetryBudget(burst=0, trickle=0, **FROZEN)
    budget.hits += 16_000
    assert grants(budget, now=1000.0) == 16


def test_readings_out_of_order() -> None:
    """A reading that is older than the last one counts as the same moment: nothing trickles twice, nothing fails."""
    budget = RetryBudget(burst=1, trickle=0.1, **FROZEN)
    assert budget.take(100.0)
    assert not budget.take(50.0)
    assert not budget.take(109.0)
    assert budget.take(110.0)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), -1e300])
def test_a_reading_that_is_no_time(now: float) -> None:
    """A reading that cannot be counts as no time having passed."""
    budget = RetryBudget(burst=1, trickle=0, **FROZEN)
    assert budget.take(now)
    assert not budget.take(now)
    budget.hits += 10
    assert budget.take(1.0)


def test_a_stale_write_credits_nothing_twice() -> None:
    """A thread that writes back an old count lowers `hits`: until it has caught up there is no deposit."""
    budget = RetryBudget(burst=0, **FROZEN)
    stale = budget.hits
    budget.hits += 20
    assert grants(budget) == 2
    budget.hits = stale + 1
    assert not budget.take(0.0)
    budget.hits += 19
    assert not budget.take(0.0)
    budget.hits += 10
    assert grants(budget) == 1


def test_share_divides_burst_and_trickle() -> None:
    """One process of four has a quarter of the burst and of the trickle; its successes count in full."""
    budget = RetryBudget(share=1 / 4, trickle=1, **FROZEN)
    assert grants(budget) == 5
    budget.hits += 100
    assert grants(budget) == 10
    assert grants(budget, now=8.0) == 2


def test_a_tiny_share_lives_on_deposits() -> None:
    """One process of 1600 has no whole token of its own, and retries out of its successes alone."""
    budget = RetryBudget(share=1 / 1600, **FROZEN)
    assert grants(budget, now=3600.0) == 0
    budget.hits += 10
    assert grants(budget, now=3601.0) == 1


def test_the_default_clock_is_monotonic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `now` and `clock` the system's monotonic clock is read."""
    budget = RetryBudget(burst=1)
    assert budget.take()
    assert not budget.take()
    assert 0.0 <= budget.snapshot()["elapsed"] < 60.0


def test_snapshot() -> None:
    """It tells the tokens of that moment and what was granted, denied and refunded, and changes nothing."""
    budget = RetryBudget(burst=2, trickle=0.01, name="payments", **FROZEN)
    for _ in range(3):
        budget.take(0.0)
    budget.refund()
    budget.take(0.0, hinted=True)
    budget.hits += 5
    expected = {
        "name": "payments",
        "tokens": pytest.approx(2 - 2 + 1 - 5 / 14 + 0.5 + 0.1),
        "granted": 3,
        "denied": 1,
        "refunded": 1,
        "spent": pytest.approx(1 + 5 / 14),
        "successes": 5,
        "elapsed": 10.0,
    }
    assert budget.snapshot(10.0) == expected
    assert budget.snapshot(10.0) == expected


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"ratio": 1.5}, ValueError, "ratio must be a number in [0, 1], got 1.5"),
        ({"ratio": "0.1"}, TypeError, "ratio must be a number in [0, 1], got '0.1'"),
        ({"burst": -1}, ValueError, "burst must be a number >= 0, got -1"),
        ({"burst": True}, TypeError, "burst must be a number >= 0, got True"),
        ({"burst": float("inf")}, ValueError, "burst must be a number >= 0, got inf"),
        ({"window": 0}, ValueError, "window must be a duration in seconds (int, float or timedelta) > 0, got 0"),
        ({"trickle": float("nan")}, ValueError, "trickle must be a number >= 0, got nan"),
        ({"share": 0}, ValueError, "share must be above 0, such as 1/n in a fleet of n processes, got 0"),
        ({"share": 4}, ValueError, "share must be a number in [0, 1], got 4"),
        ({"strict": 1}, TypeError, "strict must be True or False, got 1"),
        ({"name": ""}, ValueError, "name must be a string that is not empty, or None, got ''"),
        ({"name": 7}, TypeError, "name must be a string that is not empty, or None, got 7"),
        ({"clock": 7.0}, TypeError, "clock must be a callable, got 7.0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], kind: type[Exception], message: str) -> None:
    """A setting that cannot be is refused where it is written, by name, rule and value."""
    with pytest.raises(kind) as refused:
        RetryBudget(**settings)
    assert str(refused.value) == message


def test_durations_may_be_timedeltas() -> None:
    """The window may be written as a timedelta."""
    assert RetryBudget(window=timedelta(minutes=1)).window == 60.0


def test_repr_evaluates_back() -> None:
    """The repr names the settings that differ from the defaults, and makes such a budget again."""
    text = "redouble.RetryBudget(ratio=0.2, window=60.0, name='payments', strict=True, share=0.25)"
    assert repr(eval(text)) == text
    assert repr(RetryBudget()) == "redouble.RetryBudget()"


# Sharing.


def test_a_name_is_shared() -> None:
    """Whoever asks for a name gets the same budget, with or without its settings."""
    shared = RetryBudget.named("test_a_name_is_shared", ratio=0.2, burst=5)
    assert RetryBudget.named("test_a_name_is_shared") is shared
    assert RetryBudget.named("test_a_name_is_shared", burst=5.0) is shared
    assert RetryBudget.named("another name") is not shared
    assert (shared.name, shared.ratio, shared.burst) == ("test_a_name_is_shared", 0.2, 5.0)


def test_settings_of_a_name_must_agree() -> None:
    """Whoever shares a name with another setting is told what there is and what to do."""
    RetryBudget.named("test_settings_of_a_name_must_agree", ratio=0.2)
    with pytest.raises(ValueError) as refused:
        RetryBudget.named("test_settings_of_a_name_must_agree", ratio=0.3)
    assert str(refused.value) == (
        "the budget 'test_settings_of_a_name_must_agree' has ratio=0.2 already, got ratio=0.3:"
        " write the settings where it is first named, and its name alone elsewhere"
    )


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_name_must_be_one(name: Any) -> None:
    """Nothing can be shared by no name."""
    with pytest.raises((TypeError, ValueError), match="name must be a string that is not empty"):
        RetryBudget.named(name)


def test_a_label_shares_nothing() -> None:
    """Two budgets that are made with one label are two, and not the one that is shared by that name."""
    one, other = (RetryBudget(name="test_a_label_shares_nothing") for _ in range(2))
    assert one is not other
    assert RetryBudget.named("test_a_label_shares_nothing") not in (one, other)


def test_threads_that_name_one_at_once_get_the_same() -> None:
    """Of threads that ask for a new name at the same moment, all get the same budget."""
    barrier, found = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.append(RetryBudget.named("test_threads_that_name_one_at_once_get_the_same"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


@pytest.mark.parametrize(("attempts", "burst"), [(1, 20.0), (21, 20.0), (22, 21.0), (1000, 999.0)])
def test_one_call_may_use_up_its_attempts(attempts: int, burst: float) -> None:
    """The burst of a function's own budget is never below the retries that its attempts allow."""
    assert RetryBudget.for_attempts(attempts).burst == burst
    assert grants(RetryBudget.for_attempts(attempts, **FROZEN)) == burst


def test_for_attempts_takes_settings() -> None:
    """A written burst is raised where it is too low, and kept where it is not."""
    assert RetryBudget.for_attempts(10, burst=3).burst == 9.0
    assert RetryBudget.for_attempts(3, burst=3, ratio=0.2).ratio == 0.2
    with pytest.raises(ValueError, match="attempts must be a whole number >= 1, got 0"):
        RetryBudget.for_attempts(0)


def test_fresh() -> None:
    """A fresh budget has the settings of the other, a full bucket, and another clock where one is given."""
    budget = RetryBudget(burst=1, ratio=0.5, name="fresh", strict=True, **FROZEN)
    budget.take()
    again = budget.fresh()
    assert repr(again) == repr(budget)
    assert again.take() and not budget.take()
    assert budget.fresh(lambda: 7.0).snapshot(10.0)["elapsed"] == 3.0


def test_copies_are_the_same_bucket() -> None:
    """Copying what holds a budget does not make a second bucket."""
    budget = RetryBudget()
    assert copy.copy(budget) is budget
    assert copy.deepcopy({"policy": budget})["policy"] is budget


def test_pickled() -> None:
    """Unpickled, a budget is a full one of the same settings; one that is shared by name is that one."""
    budget = RetryBudget(burst=1, name="test_pickled", strict=True)
    budget.take()
    again = pickle.loads(pickle.dumps(budget))
    assert again is not budget and repr(again) == repr(budget) and again.take()
    shared = RetryBudget.named("test_pickled", burst=4)
    assert pickle.loads(pickle.dumps(shared)) is shared


def test_a_budget_that_nobody_holds_is_gone() -> None:
    """What is kept for the child of a fork keeps no budget alive."""
    from redouble.control import budget as module

    before = len(module._alive)
    one = RetryBudget()
    assert len(module._alive) == before + 1
    del one
    assert len(module._alive) == before


# Hosts.


def test_asyncio_and_trio_share_one() -> None:
    """Event loops in several threads, of asyncio and of trio, share one bucket."""
    budget, granted = RetryBudget(burst=40, trickle=0), []

    async def take() -> None:
        granted.append(budget.take())

    async def on_asyncio() -> None:
        await asyncio.gather(*[take() for _ in range(20)])

    async def on_trio() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(take)

    loops = [threading.Thread(target=asyncio.run, args=(on_asyncio(),)) for _ in range(2)]
    loops += [threading.Thread(target=trio.run, args=(on_trio,)) for _ in range(2)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert (granted.count(True), granted.count(False)) == (40, 40)


def test_under_gevent() -> None:
    """In a patched process hundreds of greenlets and real threads share one bucket."""
    pytest.importorskip("gevent")
    output = run(
        """
        from gevent import monkey
        monkey.patch_all()
        import gevent, gevent.threadpool
        from redouble import RetryBudget
        budget = RetryBudget(burst=300, trickle=0)
        pool = gevent.threadpool.ThreadPool(4)
        jobs = [gevent.spawn(budget.take) for _ in range(300)] + [pool.spawn(budget.take) for _ in range(100)]
        gevent.joinall(jobs)
        print(sum(job.get() for job in jobs))
        """
    )
    assert output == "300\n"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_fork() -> None:
    """A child goes on with the tokens there were and counts anew, also when a thread held the lock as it was born."""
    output = run(
        """
        import os, threading
        from redouble import RetryBudget
        budget = RetryBudget(burst=3, trickle=0, clock=lambda: 0.0)
        budget.take()
        budget.hits += 200
        held, done = threading.Event(), threading.Event()

        class Slow(int):
            def __sub__(self, other):  # by which take() is held within the lock
                held.set()
                done.wait(30)
                return int(self) - other

        budget.hits = Slow(budget.hits)
        thread = threading.Thread(target=budget.take)
        thread.start()
        held.wait(30)
        child = os.fork()
        if child == 0:
            budget.hits += 10
            print(sum(budget.take() for _ in range(10)), budget.snapshot()["granted"], flush=True)
            budget.refund()
            print(budget.take(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        done.set()
        thread.join()
        print(sum(budget.take() for _ in range(100)))
        """
    )
    assert output == "3 3\nTrue\n21\n"


def test_the_child_of_a_fork() -> None:
    """In a child the tokens are at most the burst, surplus and successes of the parent are its own, and books are empty."""
    from redouble.control.budget import _begin_in_child

    budget, tired = (RetryBudget(burst=2, trickle=0, **FROZEN) for _ in range(2))
    budget.hits += 100
    assert budget.take(0.0) and grants(tired) == 2
    gone = RetryBudget()
    del gone
    budget.hits += 50
    _begin_in_child()
    assert grants(budget) == 2 and grants(tired) == 0
    told = budget.snapshot(0.0)
    assert (told["granted"], told["denied"], told["successes"]) == (2, 1, 0)
    budget.refund()
    budget.hits += 10
    assert grants(budget) == 2


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    from textwrap import dedent

    place = str(Path(redouble.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {place!r})\n{dedent(code)}"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_retry_within_a_retry_is_refused() -> None:
    """What runs while tokens are counted, a signal handler or a finalizer, is refused: no deadlock and no double credit."""
    budget, inner = RetryBudget(burst=1, **FROZEN), []

    class Interrupting(int):
        def __sub__(self, other: int) -> int:
            inner.append(budget.take(0.0))
            budget.refund()
            return int(self) - other

    budget.hits = Interrupting(10)
    assert grants(budget) == 2
    assert inner and not any(inner)


@pytest.fixture(scope="module")
def bench() -> Any:
    """The script that stresses a budget with millions of operations, for fewer of them."""
    path = Path(__file__).parents[1] / "bench" / "budget.py"
    spec = importlib.util.spec_from_file_location("bench_budget", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as NamedTuple asks for
    spec.loader.exec_module(module)
    return module


def test_the_bound_holds_under_threads(bench: Any) -> None:
    """Eight threads that switch all the time never pass the bound, at any of the moments that another one looks."""
    done = bench.stress(40_000)
    assert done.granted + done.denied + done.hits == done.operations
    assert done.worst <= bench.ROUNDING
    assert 0 < done.kept <= done.hits
    assert done.granted > 0 and done.denied > 0 and done.checks > 0
