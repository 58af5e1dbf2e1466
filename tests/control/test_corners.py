"""What hardly ever happens to counts, marks, scopes and snapshots: guarded classes, nonsense, no file descriptor left."""

# ruff: noqa: D103  # stand-ins need no docstring

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from redouble import (
    BackoffController,
    Classification,
    GaveUp,
    Reason,
    RetryPolicy,
    Unwanted,
    Verdict,
    constant,
    gave_up_as,
    retry,
)
from redouble.control import tally as tally_module
from redouble.control.mark import MARK, unmark
from redouble.control.tally import Tally
from redouble.known.request import _values_in, shows_engine
from redouble.testing import fake_time, scripted

DOWN = Classification(Verdict.TRANSIENT, reason="down")
NOT_READY = Classification(Verdict.PENDING, reason="not ready")


class Unavailable(Exception):  # noqa: N818  # a user's own
    pass


def begun(policy: RetryPolicy) -> Tally:
    """A tally whose first attempt began at 0."""
    tally = Tally(cast("Any", policy))
    tally.begin(0.0)
    return tally


def down() -> None:
    raise ConnectionResetError("gone")


def test_a_mark_that_cannot_be_taken_off_stays() -> None:
    """An error whose class guards its attributes is left as it is."""

    class Guarded(Exception):  # noqa: N818
        def __getattribute__(self, name: str) -> Any:
            if name == "__dict__":
                raise RuntimeError("guarded")
            return super().__getattribute__(name)

    error = Guarded()
    setattr(error, MARK, {"reason": "ATTEMPTS"})
    unmark(error)
    assert getattr(error, MARK) == {"reason": "ATTEMPTS"}


def test_an_unwanted_value_survives_pickling() -> None:
    """The value, the message and what was set on the error come back."""
    error = Unwanted([1, 2], "too few")
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is Unwanted
    assert (copy.value, str(copy), copy.__notes__) == ([1, 2], "too few", ["a note"])


def test_a_policy_can_be_replaced_in_part() -> None:
    """`copy.replace`, of Python 3.13, changes fields and checks them as calling the policy does."""
    policy = retry(attempts=3, deadline=5)
    assert policy.__replace__(attempts=7) == policy(attempts=7)
    with pytest.raises(ValueError, match="attempts"):
        policy.__replace__(attempts=0)


@pytest.mark.parametrize("kind", [3, "Unavailable", KeyboardInterrupt])
def test_gave_up_as_refuses_what_makes_no_exception(kind: Any) -> None:
    """What is neither an exception type nor callable is refused where it is written."""
    with pytest.raises(TypeError, match="gave_up_as takes an exception type"):
        gave_up_as(kind)


def test_gave_up_as_passes_what_no_retry_gave_up_on() -> None:
    """No error, and an error that was never retried, pass as they are."""
    with gave_up_as(Unavailable):
        pass
    with pytest.raises(ConnectionResetError), gave_up_as(Unavailable):
        down()


def test_gave_up_as_passes_a_permanent_error_whenever_it_comes() -> None:
    """A mistake that shows after a failure that passed is as much a mistake as one that shows at once."""
    for before in ([], [ConnectionResetError()]):
        with fake_time(), pytest.raises(KeyError), gave_up_as(Unavailable):
            retry.call(scripted(*before, KeyError("a mistake")))


def test_gave_up_as_works_in_coroutines() -> None:
    """`async with gave_up_as(...)` does what `with` does."""

    async def main() -> None:
        async with gave_up_as(Unavailable):
            retry(attempts=1, on=OSError).call(down)

    with fake_time(), pytest.raises(Unavailable, match="gone") as raised:
        asyncio.run(main())
    assert type(raised.value.__cause__) is ConnectionResetError


@pytest.mark.parametrize(("status", "ended_ago"), [("SUCCEEDED", None), ("ATTEMPTING", 1.0)])
def test_a_snapshot_must_say_when_it_ended_if_it_did(status: str, ended_ago: float | None) -> None:
    """An end without its time, and a time without an end, are refused."""
    controller = BackoffController(retry(attempts=3))
    controller.start()
    snapshot = controller.snapshot() | {"status": status, "ended_ago": ended_ago}
    with pytest.raises(ValueError, match="snapshot must be"):
        BackoffController.restore(retry(attempts=3), snapshot)


def test_a_loop_waits_twice_where_the_budget_refuses() -> None:
    """A refusal ends no loop: it waits as long once more, unless its deadline comes first."""
    refusing = SimpleNamespace(take=lambda *args: False)
    tally = begun(retry(backoff=constant(2), deadline=10))
    tally.loops, tally.budget = True, cast("Any", refusing)
    assert tally.decide(DOWN, OSError("down"), 0.0, 0.5) == 4.0
    assert tally.due == 4.0
    end = tally.decide(DOWN, OSError("down"), 7.0, 0.5)
    assert isinstance(end, GaveUp)
    assert (end.reason, end.limit) == (Reason.DEADLINE, "own")


def test_what_used_up_its_arguments_does_not_ask_again() -> None:
    """An attempt that has read an iterator to its end is not repeated, not even for an answer that is not ready."""
    tally = begun(retry(attempts=3))
    tally.used_up = "an iterator"
    end = tally.decide(NOT_READY, None, 0.0, 0.5, "pending")
    assert isinstance(end, GaveUp) and end.reason is Reason.UNSAFE
    free = begun(retry(attempts=3, idempotent=True))
    free.used_up = "an iterator"
    assert free.decide(NOT_READY, None, 0.0, 0.5, "pending") == tally_module.PENDING_EVERY


def test_an_error_whose_class_hides_its_name_is_remembered_as_an_error() -> None:
    """A metaclass that guards its attributes costs the history a name, and nothing else."""

    class Hiding(type):
        def __getattribute__(cls, name: str) -> Any:
            if name == "__qualname__":
                raise RuntimeError("hidden")
            return super().__getattribute__(name)

    class Hidden(OSError, metaclass=Hiding):  # noqa: N818
        pass

    tally = begun(retry(attempts=2, backoff=constant(1)))
    assert not isinstance(tally.decide(DOWN, Hidden(), 0.0, 0.5), GaveUp)
    end = tally.decide(DOWN, OSError("down"), 2.0, 0.5)
    assert isinstance(end, GaveUp) and end.history == (("an error", 1),)


def test_a_hint_that_is_nonsense_counts_as_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What a user's rule says of a wait is checked where it is used; the wait is the curve's then."""
    tally = begun(retry(attempts=3, backoff=constant(1)))
    found = Classification(Verdict.TRANSIENT, reason="a rule of the test of nonsense")
    object.__setattr__(found, "retry_after", float("nan"))
    assert tally.decide(found, OSError("down"), 0.0, 0.5) == 1.0
    assert "its hint is left out" in caplog.text


def test_without_randomness_every_draw_is_a_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `random` cannot be loaded, as with no file descriptor left, a half is drawn until it can be."""
    monkeypatch.setattr(tally_module, "_system_draw", None)
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "random", None)
        assert Tally(cast("Any", retry())).draw() == 0.5
    import random

    assert Tally(cast("Any", retry())).draw is random.random


def test_an_engine_is_seen_in_the_frames_of_an_error() -> None:
    """An error that has come by a frame of an HTTP engine shows one; others do not."""
    namespace: dict[str, Any] = {"__name__": "http.client", "down": down}
    exec("def send():\n    down()", namespace)
    with pytest.raises(ConnectionResetError) as through:
        namespace["send"]()
    assert shows_engine(through.value)
    with pytest.raises(ConnectionResetError) as past:
        down()
    assert not shows_engine(past.value)
    assert not shows_engine(None)


@pytest.mark.parametrize(
    ("names", "left"), [((), {}), (("locals",), {"url": "/", "spare": 1})], ids=["own", "handed out"]
)
def test_the_locals_of_a_frame_are_let_go_of_where_python_keeps_them(names: tuple[str, ...], left: Any) -> None:
    """A dict of locals, as Python up to 3.12 keeps it in the frame, is emptied unless the function hands it out."""
    shown = {"url": "/", "spare": 1}
    code = SimpleNamespace(co_flags=inspect.CO_OPTIMIZED, co_names=names)
    frame = SimpleNamespace(f_locals=shown, f_code=code)
    assert _values_in(cast("Any", frame), (("url",), ("missing",))) == ["/", None]
    assert shown == left
