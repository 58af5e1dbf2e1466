"""poll under two thousand scripted answers, with stops and cancellations in between: as a model of it says."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import StillPending, Stopped, known_errors, pending, poll, retry
from redouble.testing import fake_time

ANSWERS, AT_ONCE, EXAMPLES = 40, 5, settings().max_examples // 5  # 2,000 in all


class NotYet(Exception):  # noqa: N818  # it is no error
    """An answer that is not ready."""


class TooFast(NotYet):
    """The same, from a server that is asked too often."""


class Lost(ConnectionError):  # noqa: N818  # as above
    """A failure that may pass."""


class Denied(Exception):  # noqa: N818  # as above
    """A failure that is final."""


class Plan(NamedTuple):
    """What one poll will meet."""

    answers: list[Any]
    interval: int
    attempts: int | None
    deadline: int | None
    stop_at: float | None
    cancel_at: float | None


def plan(random: random.Random) -> Plan:
    """A plan; what happens from outside happens at half seconds, so never together with a question."""
    answers = random.choices(["no", NotYet, TooFast, Lost], [4, 4, 1, 4], k=ANSWERS)
    ends = random.choice(["ready", "ready", "denied", "stop", "cancel"])
    at = random.randrange(200) + 0.5
    answers.append(Denied if ends == "denied" else "done")
    return Plan(
        answers,
        random.randint(1, 9),
        random.choice([None, None, 3, 6]),
        random.choice([None, None, random.randint(1, 500)]),
        at if ends == "stop" else None,
        at if ends == "cancel" else None,
    )


def foretold(plan: Plan) -> tuple[Any, float, int]:
    """How a poll by this plan must end, when, and after how many questions: the whole of `poll` in a few lines."""
    now, interval, failures = 0.0, plan.interval, 0
    interrupted = min(at for at in (plan.stop_at, plan.cancel_at, float("inf")) if at is not None)
    for number, answer in enumerate(plan.answers, 1):
        if answer in ("done", Denied):
            return answer, now, number
        failures = failures + 1 if answer is Lost else 0
        interval += 5 if answer is TooFast else 0
        if failures == plan.attempts:
            return answer, now, number
        if plan.deadline is not None and now + interval >= plan.deadline:
            return (StillPending if answer == "no" else answer), now, number
        if now + interval > interrupted:
            return (Stopped if plan.stop_at is not None else asyncio.CancelledError), interrupted, number
        now += interval
    raise AssertionError("the last answer ends it")


class Server:
    """Answers by the plan, and remembers, weakly, what it raised."""

    def __init__(self, plan: Plan) -> None:
        self.answers = list(plan.answers)
        self.asked = 0
        self.raised: list[Any] = []

    def __call__(self) -> object:
        answer = self.answers[self.asked]
        self.asked += 1
        if isinstance(answer, str):
            return answer
        raise self.remembered(answer())

    def remembered(self, error: Exception) -> Exception:
        self.raised.append(weakref.ref(error))
        return error

    async def later(self) -> object:
        return self()


def options(plan: Plan, stop: Any) -> dict[str, Any]:
    """What `poll` is told."""
    policy = retry(on=pending(NotYet) | known_errors, attempts=plan.attempts, deadline=plan.deadline, stop=stop)
    return {
        "policy": policy,
        "until": lambda value: value == "done",
        "interval": plan.interval,
        "slow_down": pending(NotYet, when=lambda error: isinstance(error, TooFast)),
    }


def kind_of(task: asyncio.Future[Any]) -> Any:
    """How a task has ended: with what answer, or with what kind of error."""
    if task.cancelled():
        return asyncio.CancelledError
    return task.result() if task.exception() is None else type(task.exception())


async def play(plan: Plan) -> None:
    """Poll in a task, with what happens from outside, and compare."""
    server, stop, loop = Server(plan), asyncio.Event(), asyncio.get_running_loop()
    began = loop.time()
    task = asyncio.ensure_future(poll(server.later, **options(plan, stop)))
    late = 1e6
    timers = [
        loop.call_later(late if plan.stop_at is None else plan.stop_at, stop.set),
        loop.call_later(late if plan.cancel_at is None else plan.cancel_at, task.cancel),
    ]
    await asyncio.wait([task])  # asyncio.gather would hold on to an error
    assert (kind_of(task), loop.time() - began, server.asked) == foretold(plan)
    for timer in timers:
        timer.cancel()  # it would hold on to the task, and that to its error
    del task
    assert [ref() for ref in server.raised if ref() is not None] == []


@settings(max_examples=EXAMPLES)
@given(st.integers(min_value=0))
def test_many_polls_at_once_end_as_foretold(seed: int) -> None:
    """Results, times and counts are those of the model, and neither a task nor an error is left."""
    chance = random.Random(seed)

    async def main() -> None:
        await asyncio.gather(*[play(plan(chance)) for _ in range(AT_ONCE)])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    gc.collect()
    gc.disable()
    try:
        with fake_time():
            asyncio.run(main())
    finally:
        gc.enable()


@settings(max_examples=EXAMPLES)
@given(st.integers(min_value=0))
def test_polls_in_sync_code_end_as_foretold(seed: int) -> None:
    """The same without asyncio; the stop comes from the server."""
    for _ in range(AT_ONCE):
        chosen = plan(random.Random(seed))._replace(stop_at=None, cancel_at=None)
        server = Server(chosen)
        with fake_time() as clock:
            try:
                kind: Any = poll(server, **options(chosen, threading.Event()))
            except Exception as error:
                kind = type(error)
            assert (kind, clock.now(), server.asked) == foretold(chosen)
        assert [ref() for ref in server.raised if ref() is not None] == []
        seed += 1
