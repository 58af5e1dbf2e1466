"""One retried call: what is told, what tracebacks show, and what is logged."""

# ruff: noqa: D103, N818  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, deadline, log_retries, outcome, permanent, retry, sequence, transient
from redouble.control import faults
from redouble.testing import fake_time, scripted
from redouble.wrappers import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble import Event
    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    """Virtual time for every test, in which nothing was logged before."""
    monkeypatch.setattr(faults, "_said", set())
    with fake_time() as clock:
        yield clock


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "redouble"]


def test_a_line_for_each_retry_and_for_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """By default retries are logged at INFO and give-ups at WARNING, under the function's name."""
    caplog.set_level(logging.INFO)
    with pytest.raises(OSError, match="down"):
        policy(name="fetch").call(scripted(*[OSError("down")] * 3))
    assert logged(caplog) == [
        ("INFO", "fetch: attempt 1 of 3 failed with OSError: down; trying again in 1 s"),
        ("INFO", "fetch: attempt 2 of 3 failed with OSError: down; trying again in 1 s"),
        ("WARNING", "fetch: gave up on attempt 3 of 3 after 2.00 s: attempts used up; it failed with OSError: down"),
    ]


def test_a_policys_own_log_is_used_instead(caplog: pytest.LogCaptureFixture) -> None:
    """With a `log_retries` among the observers the default one is silent."""
    caplog.set_level(logging.INFO)
    policy(observers=[log_retries("mine")]).call(scripted(OSError, "body"))
    assert logged(caplog) == [] and [record.name for record in caplog.records] == ["mine"]


def test_a_success_at_once_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a permanent error that a rule knows."""
    caplog.set_level(logging.DEBUG)
    policy.call(scripted("body"))
    with pytest.raises(KeyError):
        policy(on=permanent(KeyError)).call(scripted(KeyError))
    assert logged(caplog) == []


def test_an_unknown_error_is_said_once_for_each_function_and_type(caplog: pytest.LogCaptureFixture) -> None:
    """With what to write to change it."""

    class Odd(Exception):
        pass

    for name in ("one", "one", "other"):
        with pytest.raises(Odd):
            policy(name=name).call(scripted(Odd))
    lines = [text for _, text in logged(caplog)]
    assert [line.partition(":")[0] for line in lines] == ["one", "other"]
    assert "Odd is not known to be transient" in lines[0] and "on=transient(Odd) | known_errors" in lines[0]


def test_an_unknown_error_in_a_block_of_no_name(caplog: pytest.LogCaptureFixture) -> None:
    """A block is called by the function that it stands in."""
    with pytest.raises(KeyError):
        for attempt in policy:
            with attempt:
                raise KeyError("not there")
    assert logged(caplog)[0][1].startswith("test_an_unknown_error_in_a_block_of_no_name: KeyError")


def test_names() -> None:
    """A policy's name comes before that of the function."""
    events: list[Event] = []

    def fetch() -> None:
        raise OSError("down")

    for given, name in ((policy, f"{test_names.__qualname__}.<locals>.fetch"), (policy(name="mine"), "mine")):
        with pytest.raises(OSError, match="down") as caught:
            given(observers=[events.append])(fetch)()
        assert {event.name for event in events} == {name}
        assert outcome(caught.value).name == name  # type: ignore[union-attr]
        events.clear()


def test_a_scope_is_told_that_it_was_its_end(clock: FakeClock) -> None:
    """Of nested scopes the one whose deadline was nearer has expired, as soon as a call gave up for it."""
    with deadline(100) as outer, deadline(5) as inner, pytest.raises(OSError, match="down"):
        policy(backoff=constant(10)).call(scripted(OSError("down")))
    assert (outer.expired, inner.expired, clock.now()) == (False, True, 0.0)
    with deadline(5) as outer, deadline(100) as inner, pytest.raises(OSError, match="down"):
        policy(backoff=constant(10)).call(scripted(OSError("down")))
    assert (outer.expired, inner.expired) == (True, False)


def test_a_scope_is_not_told_what_was_not_its_end(clock: FakeClock) -> None:
    """Neither the policy's own deadline nor another reason is blamed on a scope."""
    with deadline(100) as limit:
        for given in (
            policy(deadline=5, backoff=constant(10)),
            policy(attempts=1),
            policy(attempts=None, backoff=sequence(1).take(0)),
        ):
            with pytest.raises(OSError, match="down"):
                given.call(scripted(OSError("down")))
    assert not limit.expired


def test_a_hint_is_told(clock: FakeClock) -> None:
    """The raw hint is in the outcome, the stretched wait in the event."""
    events: list[Event] = []
    on = transient(OSError, retry_after=2)
    with pytest.raises(OSError, match="down") as caught:
        policy(on=on, attempts=2, observers=[events.append]).call(scripted(*[OSError("down")] * 2))
    assert outcome(caught.value).hint == 2.0  # type: ignore[union-attr]
    assert [event.delay for event in events] == [pytest.approx(2.1), None]


def fail(depth: int) -> None:
    if depth:
        fail(depth - 1)
    raise OSError("deep")


def test_forgetting_earlier_passes() -> None:
    """Of an error that passed a frame several times only the first pass stays."""
    error = OSError("cached")

    def raises() -> None:
        raise error

    def loop() -> int:
        for _ in range(5):
            try:
                raises()
            except OSError as caught:
                run.forget_earlier_passes(caught)
        count, at = 0, error.__traceback__
        while at is not None:
            count, at = count + 1, at.tb_next
        return count

    assert loop() == 2
    run.forget_earlier_passes(OSError("never raised"))


def test_trimming() -> None:
    """Of frames of ours one after the other the outermost stays; the user's stay all."""
    with pytest.raises(OSError, match="deep") as caught:
        policy.call(fail, 3)
    modules, at = [], caught.value.__traceback__
    while at is not None:
        modules.append(at.tb_frame.f_globals["__name__"])
        at = at.tb_next
    assert modules == [__name__, "redouble.wrappers.decorator", *[__name__] * 4]
    run.trim(OSError("never raised"))


def test_asyncio_is_not_loaded_for_synchronous_calls() -> None:
    """Loading it waits until something asynchronous is used."""
    code = (
        "import sys\nfrom redouble import retry, constant\n"
        "failures = [OSError, OSError]\n"
        "def operation():\n    if failures: raise failures.pop()\n    return 'body'\n"
        "assert retry(on=OSError, backoff=constant(0))(operation)() == 'body'\n"
        "for attempt in retry:\n    with attempt: pass\n"
        "with retry.connect(memoryview, b''): pass\n"
        "assert 'asyncio' not in sys.modules, 'asyncio was loaded'\n"
        "async def later(): return 'body'\n"
        "coming = retry.call(lambda: later())\n"
        "assert 'asyncio' in sys.modules\n"
        "import asyncio\nassert asyncio.run(coming) == 'body'\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys\nsys.path[:0] = {[p for p in sys.path if p]!r}\n{code}"],
        check=True, timeout=60,
    )  # fmt: skip


def test_what_an_error_in_a_retried_call_holds() -> None:
    """The error that comes out knows of no run: nothing of ours is to be found in its arguments or attributes."""
    with pytest.raises(OSError, match="down") as caught:
        policy.call(scripted(*[OSError("down")] * 3))
    held: dict[str, Any] = vars(caught.value)
    data = held["_redouble_outcome"]
    plain = (str, int, float, tuple, type(None))
    assert all(isinstance(value, plain) for value in (*data.values(), *data["by"]))
