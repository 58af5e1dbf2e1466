"""A budget that a store keeps for many processes: what one process leases, spends, gives back, and does without it."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from redouble import EventKind, Reason, RetryBudget, classify, constant, outcome, retry
from redouble.cli.store import LeaseOfStore, Store
from redouble.control.leases import AWAY, EMPTY, IDLE, LEASE, LeasedBudget, Reply
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event


class Fleet:
    """Processes that share a store in virtual time."""

    def __init__(self, processes: int, **settings: Any) -> None:
        self.store = Store(RetryBudget(**settings))
        self.budgets = [LeaseOfStore(self.store, RetryBudget(**settings)) for _ in range(processes)]

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.store.move(self.store.now + seconds)


class Unanswered(LeasedBudget):
    """A budget whose store says nothing, until the test answers for it."""

    __slots__ = ("now",)

    def __init__(self, **settings: Any) -> None:
        self.now = 0.0
        super().__init__(clock=lambda: self.now, **settings)

    def _wake(self) -> None:
        pass

    def _await(self, ticket: int, ends: float) -> None:
        self.now = ends

    def reply(self, leased: float, late: float = 0.0) -> None:
        """Answer the request that is due."""
        request = self._next(self.now)
        assert request is not None
        sent, self.now = self.now, self.now + late
        self._answered(request, Reply(leased, 0.0), sent, self.now)


def test_a_burst_is_the_fleets() -> None:
    """However many processes want retries, together they get one burst."""
    fleet = Fleet(50, burst=20, trickle=0.001)
    assert sum(budget.take() for budget in fleet.budgets for _ in range(3)) == 20


def test_successes_of_one_process_pay_for_another() -> None:
    """What one process deposits, another may spend, once the first has asked."""
    fleet = Fleet(2, burst=4, trickle=0.001)
    one, other = fleet.budgets
    assert all(one.take() for _ in range(4))
    one.hits += 30
    assert one.take()
    fleet.pass_(IDLE)
    assert [other.take() for _ in range(3)] == [True, True, False]


def test_a_success_is_counted_once() -> None:
    """However often the process asks, its successes are deposited with one request and no other."""
    fleet = Fleet(1, burst=0, trickle=0, ratio=1)
    (budget,) = fleet.budgets
    budget.hits += 3
    taken = 0
    for _ in range(5):
        taken += sum(budget.take() for _ in range(3))
        fleet.pass_(EMPTY)
    assert taken <= 3


def test_a_refusal_holds_for_a_second() -> None:
    """After a refusal the store is not asked again within a second."""
    fleet = Fleet(1, burst=1, trickle=0.001)
    (budget,) = fleet.budgets
    assert [budget.take() for _ in range(5)] == [True, False, False, False, False]
    assert fleet.store.requests == 2
    budget.hits += 100
    assert not budget.take()
    fleet.pass_(EMPTY)
    assert budget.take()
    assert budget.snapshot()["denied"] == 5


def test_a_busy_process_leases_more_at_once() -> None:
    """Who asks again within a second gets up to five tokens at once, and asks less often."""
    fleet = Fleet(1, burst=1000)
    (budget,) = fleet.budgets
    assert all(budget.take() for _ in range(100))
    assert fleet.store.requests <= 100 / LEASE + 3


def test_a_lease_leaves_tokens_for_others() -> None:
    """Where little is left, a busy process leases no more than it needs."""
    fleet = Fleet(2, burst=8, trickle=0.001)
    one, other = fleet.budgets
    assert all(one.take() for _ in range(7))
    assert one.snapshot()["leased"] == 0
    assert other.take()


def test_unused_leases_go_back() -> None:
    """Tokens at hand that no retry wanted within a second are there for others."""
    fleet = Fleet(2, burst=40, trickle=0.001)
    one, other = fleet.budgets
    assert all(one.take() for _ in range(6))
    assert one.snapshot()["leased"] > 0
    fleet.pass_(IDLE)
    assert one.snapshot()["leased"] == 0
    assert sum(other.take() for _ in range(50)) == 34


def test_a_refund_is_at_hand_first_and_goes_back() -> None:
    """The token of a retry that worked serves the next retry of the process, or within a second one of another."""
    fleet = Fleet(2, burst=1, trickle=0.001)
    one, other = fleet.budgets
    assert one.take()
    one.refund()
    assert one.take()
    one.refund()
    assert not other.take()
    fleet.pass_(IDLE)
    assert other.take()


def test_refunds_beyond_a_lease_go_back() -> None:
    """A process keeps no more than a lease at hand, however many of its retries work at once."""
    fleet = Fleet(1, burst=20)
    (budget,) = fleet.budgets
    assert all(budget.take() for _ in range(20))
    for _ in range(20):
        budget.refund()
    assert budget.snapshot()["leased"] == LEASE
    fleet.pass_(IDLE)
    assert budget.snapshot()["tokens"] == pytest.approx(20, abs=0.01)


def test_a_refund_goes_back_once() -> None:
    """What one request has given back, the next does not."""
    fleet = Fleet(1, burst=20, trickle=0.0001)
    (budget,) = fleet.budgets
    assert all(budget.take() for _ in range(20))
    for _ in range(8):
        budget.refund()
    assert sum(budget.take() for _ in range(20)) == 8


def test_a_refund_makes_no_token() -> None:
    """Refunds without a retry that is outstanding are nothing, and so are those of a strict budget."""
    fleet = Fleet(1, burst=1, trickle=0.001)
    (budget,) = fleet.budgets
    budget.refund()
    assert [budget.take(), budget.take()] == [True, False]
    strict = Fleet(1, burst=1, trickle=0.001, strict=True).budgets[0]
    assert strict.take()
    strict.refund()
    assert not strict.take()


def test_a_hinted_retry_takes_less() -> None:
    """Where the server said when to come back, a retry takes 5/14 of a token of the fleet."""
    fleet = Fleet(1, burst=1, trickle=0.0001)
    (budget,) = fleet.budgets
    assert [budget.take(hinted=True) for _ in range(3)] == [True, True, False]
    budget.refund(hinted=True)
    assert budget.take(hinted=True)


def test_a_store_that_does_not_answer_is_away() -> None:
    """A retry waits for the store once and not beyond the timeout; then the process goes by its own budget."""
    budget = Unanswered(burst=2, trickle=0.0)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert budget.now == budget.timeout
    assert budget.snapshot()["away"]
    assert budget.snapshot()["denied"] == 2


def test_share_is_of_the_time_without_the_store() -> None:
    """While the store is away a process has its share of the burst, and no more."""
    budget = Unanswered(burst=20, trickle=0.0, share=0.1)
    assert sum(budget.take() for _ in range(30)) == 2


def test_successes_while_the_store_is_away_count_for_the_process() -> None:
    """They pay for retries of the process, and are not deposited a second time when the store is back."""
    budget = Unanswered(burst=0, trickle=0.0)
    assert not budget.take()
    budget.hits += 20
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.now += AWAY
    assert not budget.take()
    budget.reply(0.0)
    assert not budget.snapshot()["away"]
    budget._register(hinted=False)
    request = budget._next(budget.now)
    assert request is not None
    assert request.successes == 0


def test_a_store_that_is_back_is_found_in_the_background() -> None:
    """After 5 s the store is tried again, and no retry waits for that."""
    budget = Unanswered(burst=20)
    assert budget.take()
    assert budget._next(budget.now) is None
    budget.now += AWAY
    began = budget.now
    assert budget.take()
    assert budget.now == began
    budget.reply(0.0)
    assert not budget.snapshot()["away"]


def test_a_late_answer_does_not_bring_the_store_back() -> None:
    """A store that always answers too late is away; the tokens of its answer are good."""
    budget = Unanswered(burst=0, trickle=0.0)
    assert not budget.take()
    budget.now += AWAY
    assert not budget.take()
    budget.reply(0.0, late=1.0)
    assert budget.snapshot()["away"]


def test_a_refund_while_the_store_is_away_stays() -> None:
    """It is a token of the process then, not of the store, which lent none."""
    budget = Unanswered(burst=1, trickle=0.0)
    assert [budget.take(), budget.take()] == [True, False]
    budget.refund()
    assert [budget.take(), budget.take()] == [True, False]


def test_a_refund_of_a_token_of_its_own_is_none_for_the_fleet() -> None:
    """A retry that was granted while the store was away gives its token to the process, also when the store is back."""
    budget = Unanswered(burst=1, trickle=0.0)
    assert budget.take()
    budget.now += AWAY
    budget.take()
    budget.reply(0.0)
    budget.refund()
    budget.now += IDLE
    assert budget.snapshot()["leased"] == 0
    assert budget._next(budget.now) is None


def test_another_retry_may_be_faster() -> None:
    """A question whose tokens another retry took asks again, and ends within its time all the same."""
    budget = Unanswered(burst=0, trickle=0.0)
    question: Any = budget.ask()
    budget.reply(1.0)
    assert budget.take()
    assert question.answer() is None
    budget.reply(1.0)
    assert question.answer() is True


def test_a_store_that_answered_others_is_not_away() -> None:
    """Where other retries were faster until the time was up, this one is refused, and the store is there."""
    budget = Unanswered(burst=20)
    question: Any = budget.ask()
    budget.reply(1.0)
    assert budget.take()
    assert question.answer() is None
    budget.now = question.ends
    assert question.answer() is False
    assert not budget.snapshot()["away"]


def test_a_dropped_question_loses_no_token() -> None:
    """A retry that is cancelled while it waits for the store leaves its token to the next."""
    budget = Unanswered(burst=0, trickle=0.0)
    budget.ask()
    budget.reply(1.0)
    assert budget.ask() is True


def test_in_an_event_loop_take_does_not_wait() -> None:
    """A direct `take` within a coroutine is answered at once: by the tokens at hand, else it is a refusal."""
    budget = Unanswered(burst=20)

    async def main() -> list[bool]:
        first = budget.take()
        budget.reply(1.0)
        return [first, budget.take()]

    assert asyncio.run(main()) == [False, True]
    assert budget.now == 0


def test_a_signal_handler_gets_no_token() -> None:
    """Where the tokens are half counted, a retry beneath is refused, and a refund is lost."""
    (budget,) = Fleet(1).budgets
    with budget._lock:
        assert not budget.take()
        budget.refund()
    assert budget.take()


def test_the_first_refusal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line says which budget refused; later refusals say nothing."""
    fleet = Fleet(1, burst=0, name="the first refusal")
    with caplog.at_level(logging.WARNING, "redouble"):
        assert not any(fleet.budgets[0].take() for _ in range(3))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the retry budget 'the first refusal' of the fleet refused a retry"
    ]


def test_the_loss_of_the_store_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line says that the process goes by its own budget, and why."""
    with caplog.at_level(logging.WARNING, "redouble"):
        for name, error in [("silent", None), ("broken", ConnectionError("no route"))]:
            budget = Unanswered(name=name)
            budget._lose(0.0, error)
            budget._lose(0.0, error)
    assert [record.getMessage() for record in caplog.records] == [
        "the store of the retry budget 'silent' did not answer within 50 ms;"
        " this process goes by a budget of its own meanwhile",
        "the store of the retry budget 'broken' failed (ConnectionError: no route);"
        " this process goes by a budget of its own meanwhile",
    ]


def test_fake_time_has_a_budget_of_its_own() -> None:
    """Under a fake clock no store is asked, and the budget is a full one of the whole fleet."""
    budget, calls = Unanswered(burst=4, trickle=0.0, share=0.01), 0

    @retry(budget=budget)
    def fetch() -> None:
        nonlocal calls
        calls += 1
        raise ConnectionResetError

    with fake_time():
        for _ in range(5):
            with pytest.raises(ConnectionResetError):
                fetch()
    assert calls == 5 + 4
    assert budget.snapshot()["granted"] == 0


def test_a_timeout_is_a_duration() -> None:
    """The time that a retry waits is checked where it is written."""
    with pytest.raises(ValueError, match=r"timeout must be a duration in seconds .* > 0, got 0"):
        Unanswered(timeout=0)


# Retried calls in an event loop: the wait before the retry is used to wait for the store.


class Told:
    """A clock of virtual time, in which the store answers after some looks; it has no budgets of its own."""

    def __init__(self, budget: Unanswered, answers: list[float | None]) -> None:
        self.budget = budget
        self.answers = answers
        self.sleeps: list[float] = []

    def now(self) -> float:
        return self.budget.now

    def sleep(self, seconds: float, stop: Any = None) -> None:
        self.sleeps.append(seconds)
        self.budget.now += seconds
        leased = self.answers.pop(0) if self.answers else None
        if leased is not None:
            self.budget.reply(leased)

    async def sleep_async(self, seconds: float, stop: Any = None) -> None:
        self.sleep(seconds, stop)
        await asyncio.sleep(0)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Any:
        raise NotImplementedError


class Play:
    """A retried coroutine function that fails, with a budget whose store answers as told."""

    def __init__(self, answers: list[float | None], *, wait: float = 0.1, works: bool = False, **settings: Any) -> None:
        self.budget = Unanswered(burst=0, trickle=0.0)
        self.clock = Told(self.budget, answers)
        self.events: list[Event] = []
        self.policy = retry(
            budget=self.budget, clock=self.clock, backoff=constant(wait), observers=[self.events.append], **settings
        )
        self.calls = 0
        self.works = works

    async def operation(self) -> str:
        """Fail, or fail once."""
        self.calls += 1
        if self.works and self.calls > 1:
            return "done"
        raise ConnectionResetError

    def run(self) -> Any:
        """Call it; return the value or the error."""
        try:
            return asyncio.run(self.policy(self.operation)())
        except ConnectionResetError as error:
            return error

    @property
    def kinds(self) -> list[EventKind]:
        """What was told."""
        return [event.kind for event in self.events]


def test_a_granted_retry_waits_no_longer_than_its_backoff() -> None:
    """The time for the store is part of the wait that follows from the curve."""
    play = Play([1.0], works=True)
    assert play.run() == "done"
    assert sum(play.clock.sleeps) == pytest.approx(0.1)
    assert play.kinds == [EventKind.RETRY, EventKind.SUCCESS]
    assert play.events[0].delay == 0.1


def test_a_wait_of_nothing_waits_for_the_store() -> None:
    """With a backoff of 0 s the retry comes as soon as the store has granted it."""
    play = Play([None, 1.0], wait=0.0, works=True)
    assert play.run() == "done"
    assert sum(play.clock.sleeps) < 0.01


def test_a_refused_retry_ends_the_call_as_soon_as_the_store_says_so() -> None:
    """The original error is raised, with the reason; no retry was told of, and the backoff is not waited out."""
    play = Play([None, 0.0], wait=30.0)
    error = play.run()
    found = outcome(error)
    assert found is not None
    assert (found.reason, found.attempts) == (Reason.BUDGET, 1)
    assert play.kinds == [EventKind.GIVE_UP]
    assert play.events[0].classification == classify(error)
    assert sum(play.clock.sleeps) < play.budget.timeout
    assert play.budget.snapshot()["denied"] == 1


def test_blocks_and_direct_calls_hear_the_store() -> None:
    """A block and a direct call are granted and refused as a decorated function is."""

    async def block(play: Play) -> None:
        async for attempt in play.policy:
            with attempt:
                await play.operation()

    async def direct(play: Play) -> None:
        await play.policy.call(play.operation)

    for way in (block, direct):
        play = Play([1.0, None, 0.0])
        with pytest.raises(ConnectionResetError) as caught:
            asyncio.run(way(play))
        assert outcome(caught.value).reason is Reason.BUDGET  # type: ignore[union-attr]
        assert play.calls == 2
        assert play.kinds == [EventKind.RETRY, EventKind.GIVE_UP]


def test_a_call_waits_for_a_silent_store_no_longer_than_the_timeout() -> None:
    """Then the budget of the process decides."""
    play = Play([], wait=30.0)
    assert outcome(play.run()).reason is Reason.BUDGET  # type: ignore[union-attr]
    assert sum(play.clock.sleeps) < play.budget.timeout + 0.02


def test_tokens_at_hand_are_not_waited_for() -> None:
    """Where the process has a leased token, the decision is made at once."""
    play = Play([], works=True)
    play.budget.ask()
    play.budget.reply(1.0)
    assert play.run() == "done"
    assert play.clock.sleeps == [0.1]


def test_an_unwanted_value_is_kept_until_the_retry_is_granted() -> None:
    """A refused result is returned as it was, not given back before."""
    released = []

    class Answer:
        status_code = 503

        def close(self) -> None:
            released.append(self)

    from redouble import http_response

    play = Play([None, 0.0])
    answer = Answer()

    async def operation() -> Answer:
        return answer

    assert asyncio.run(play.policy(result=http_response)(operation)()) is answer
    assert released == []
    again = Play([None, 1.0, None, 0.0])
    assert asyncio.run(again.policy(result=http_response)(operation)()) is answer
    assert len(released) == 1


def test_a_stop_ends_the_wait_for_the_store() -> None:
    """A call that is stopped meanwhile ends as stopped, and loses no token."""
    import threading

    stop = threading.Event()
    play = Play([None], stop=stop)
    sleep = play.clock.sleep

    def stopping(seconds: float, event: Any = None) -> None:
        stop.set()
        sleep(seconds, event)

    play.clock.sleep = stopping  # type: ignore[method-assign]
    assert outcome(play.run()).reason is Reason.STOPPED  # type: ignore[union-attr]


def test_a_budget_that_fails_later_grants() -> None:
    """A question that raises is reported, and the retry is made: a broken budget is no reason to end a call."""
    play = Play([None], works=True)

    class Broken:
        def answer(self) -> bool:
            raise RuntimeError("broken")

    class Breaking(Unanswered):
        def ask(self, *_: Any) -> Any:
            return Broken()

    play.policy = play.policy(budget=Breaking())
    assert play.run() == "done"


def test_loops_do_not_wait_for_the_store() -> None:
    """A loop that is refused waits twice as long; meanwhile the store answers, and its next retry has a token."""
    from redouble import poll

    play = Play([1.0, None, None])

    async def ask() -> str:
        play.calls += 1
        if play.calls == 1:
            raise ConnectionResetError
        return "ready"

    assert asyncio.run(poll(ask, play.policy(deadline=None), until=lambda value: value == "ready")) == "ready"
    assert play.clock.sleeps[0] == 0.2


def test_a_budget_of_a_store_is_pickled_by_its_adapter() -> None:
    """The leased part of a process means nothing elsewhere: unpickling begins anew."""
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(Fleet(1).budgets[0]))
