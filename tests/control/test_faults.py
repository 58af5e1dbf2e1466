"""Floor 3. What goes wrong in the user's own parts: said once, and never in the way."""

from __future__ import annotations

import errno
import functools
import logging
import signal
import sys
from contextlib import nullcontext
from typing import Any

import pytest

from redouble import Event, Rule, retry, transient
from redouble.control import faults
from redouble.core.verdict import HintOf
from redouble.testing import fake_time, scripted


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been said yet."""
    monkeypatch.setattr(faults, "_said", set())


class Thing:
    """Something of the user's that is called, and has no `__qualname__` of its own."""

    def __repr__(self) -> str:
        return "a thing " + "x" * 500


class Shy:
    """Something of the user's that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_each_key_is_said_once() -> None:
    """The first time it is True, then False; every key for itself."""
    assert [faults.once("a", 1), faults.once("a", 1), faults.once("a", 2), faults.once("a")] == [
        True,
        False,
        True,
        True,
    ]


def test_what_was_said_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a thousand keys it forgets them all, rather than keep more and more."""
    said: set[tuple[object, ...]] = set()
    monkeypatch.setattr(faults, "_said", said)
    for number in range(5000):
        assert faults.once("key", number)
        assert len(said) <= 1000
    assert faults.once("key", 0)


def test_the_logger_is_redouble() -> None:
    """Everything is said on one logger."""
    assert faults.logger() is logging.getLogger("redouble")


def test_logging_is_looked_up_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether anybody loaded `logging` is told without loading it."""
    assert faults.loaded_logging() is logging
    monkeypatch.delitem(sys.modules, "logging")
    assert faults.loaded_logging() is None and "logging" not in sys.modules


def test_the_name_of_a_thing() -> None:
    """A function is called by its name, anything else by its repr, cut to a sane length."""
    assert faults.name_of(test_the_name_of_a_thing) == "test_the_name_of_a_thing"
    assert faults.name_of(Thing).endswith("Thing")
    assert faults.name_of(Thing()).startswith("a thing x") and len(faults.name_of(Thing())) <= 120


def test_a_thing_that_cannot_be_shown_has_a_name_too() -> None:
    """A repr that raises does not get in the way."""
    assert "Shy" in faults.name_of(Shy())


def test_a_report_is_one_line_once(caplog: pytest.LogCaptureFixture) -> None:
    """It names kind, thing, error and consequence, at WARNING, once per kind, thing and type of error."""
    for error in (KeyError("k"), KeyError("other"), ValueError("v"), KeyError("k")):
        faults.report("observer", print, error, "the retried call goes on")
    faults.report("rule", print, KeyError("k"), "no opinion")
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("redouble", "WARNING", "observer print raised KeyError('k'); the retried call goes on"),
        ("redouble", "WARNING", "observer print raised ValueError('v'); the retried call goes on"),
        ("redouble", "WARNING", "rule print raised KeyError('k'); no opinion"),
    ]


def test_a_rule_that_raised_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A rule is named by its repr, and counts as having no opinion."""
    rule = retry(on=OSError).on
    faults.rule_raised(rule, KeyError("k"))
    (record,) = caplog.records
    assert record.getMessage().endswith("raised KeyError('k'); it counts as having no opinion")
    assert "transient(OSError)" in record.getMessage()


def test_a_hint_that_raised_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Where it was the `retry_after` of a rule alone, it is that which is left out."""
    faults.rule_raised(HintOf(transient(OSError)), KeyError("k"))
    (record,) = caplog.records
    assert record.getMessage() == "hint of transient(OSError) raised KeyError('k'); it is left out"


class Everything:
    """Something of the user's that answers every name with a bug."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        return "everything"


def test_a_thing_whose_attributes_raise_has_a_name_too() -> None:
    """A `__getattr__` that raises does not get in the way."""
    assert faults.name_of(Everything()) == "everything"


def test_a_warning_says_where_it_comes_from(caplog: pytest.LogCaptureFixture) -> None:
    """The record names the caller, not the helper."""
    faults.warn("%s of %s", 1, 2)
    (record,) = caplog.records
    assert (record.getMessage(), record.funcName) == ("1 of 2", "test_a_warning_says_where_it_comes_from")


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_logging_that_raises(monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
    """An `Exception` of a handler or filter is swallowed, anything else passes."""

    def refuse(*_: object, **__: object) -> None:
        raise kind

    monkeypatch.setattr(logging.getLogger("redouble"), "handle", refuse)
    with pytest.raises(KeyboardInterrupt) if kind is KeyboardInterrupt else nullcontext():
        faults.warn("said")
    with pytest.raises(KeyboardInterrupt) if kind is KeyboardInterrupt else nullcontext():
        faults.report("rule", print, KeyError("k"), "no opinion")


class ShyRule(Shy, Rule):
    """A rule that raises, and cannot be shown."""

    def ask(self, subject: object, on_fault: object = None) -> None:
        raise KeyError("rule")


class ShyObserver(Shy):
    """An observer that raises, and cannot be shown."""

    def __call__(self, event: Event) -> None:
        raise KeyError("observer")


@pytest.mark.parametrize(
    "fields", [{"on": ShyRule()}, {"on": OSError, "observers": [ShyObserver()]}], ids=["on", "observers"]
)
def test_a_part_that_cannot_be_shown_does_not_hide_the_error(
    fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong while saying what went wrong does not hide the user's error either."""
    with fake_time(), pytest.raises(OSError, match="mine"):
        retry(attempts=2, **fields).call(scripted(OSError("mine"), OSError("mine")))
    assert "raised KeyError" in caplog.text


class Unhashable:
    """Something that can be neither hashed nor compared."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")


class Trap:
    """Something whose hash raises."""

    def __hash__(self) -> int:
        raise RuntimeError("hashed")


@pytest.mark.parametrize("part", [[1], Unhashable(), Trap()])
def test_a_key_that_cannot_be_hashed_is_known_by_its_repr(part: object) -> None:
    """The module of an error's class may be anything; the key is still said once."""
    assert [faults.once("unknown", part), faults.once("unknown", part), faults.once("other", part)] == [
        True,
        False,
        True,
    ]


class UnshownError(Exception):
    """An error that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("shown")

    __str__ = __repr__


@pytest.mark.parametrize("thing", [Shy, Everything, Unhashable, Trap, object])
@pytest.mark.parametrize("make", [UnshownError, KeyError, lambda: type("E", (Exception,), {"__module__": [1]})()])
@pytest.mark.parametrize("logs", [True, False])
def test_nothing_comes_out_of_a_report(
    thing: type, make: type[Exception], logs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither thing, nor error, nor logging get in the way, whatever they raise."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    if not logs:
        monkeypatch.setattr(faults, "logger", refuse)
    for _ in range(2):
        faults.report("rule", thing(), make(), "no opinion")


def test_what_cannot_be_named_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should saying it fail in a way that was not thought of, it is left unsaid."""
    monkeypatch.setattr(faults, "clean", lambda *_: 1 / 0)
    faults.report("rule", print, KeyError("k"), "no opinion")


def test_an_error_may_be_withheld(caplog: pytest.LogCaptureFixture) -> None:
    """Where its message may hold a secret the type is named alone."""
    faults.report("redact", print, KeyError("hunter2"), "messages are withheld", withhold=True)
    assert caplog.messages == ["redact print raised KeyError; messages are withheld"]


# Errors of signals.


class InterruptingError(Exception):
    """Raised by the handler of a signal."""


def interrupt(*_: object) -> None:
    """A handler that raises."""
    raise InterruptingError


class Handlers:
    """Handlers of other shapes."""

    def method(self, *_: object) -> None:
        raise InterruptingError

    def __call__(self, *_: object) -> None:
        raise InterruptingError


class GuardedHandler:
    """A handler that answers every name with a bug."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self, *_: object) -> None:
        raise InterruptingError


def struck(by: Any, then: Any = None) -> BaseException:
    """The error of code that a signal with this handler interrupted; afterwards `then` is the handler."""
    before = signal.signal(signal.SIGUSR1, by)
    try:
        try:
            signal.raise_signal(signal.SIGUSR1)
        except Exception as error:
            signal.signal(signal.SIGUSR1, by if then is None else then)
            error.add_note(str(faults.raised_by_signal(error)))
            return error
    finally:
        signal.signal(signal.SIGUSR1, before)
    raise AssertionError


with_signals = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1")


@with_signals
@pytest.mark.parametrize(
    "handler",
    [interrupt, Handlers().method, Handlers(), functools.partial(interrupt), lambda *_: interrupt()],
    ids=["function", "method", "object", "partial", "deeper"],
)
def test_an_error_of_a_signal_is_known_by_its_handler(handler: Any) -> None:
    """A handler of any shape is seen in the traceback of the error that it raised."""
    assert struck(handler).__notes__ == ["True"]


@with_signals
def test_a_handler_that_was_taken_back_is_none() -> None:
    """A time limit that code set for itself is that code's own, once it has put the handler back."""
    assert struck(interrupt, then=signal.SIG_DFL).__notes__ == ["False"]


@with_signals
def test_a_handler_that_cannot_be_looked_at() -> None:
    """It is passed over; nothing is raised."""
    assert struck(GuardedHandler()).__notes__ in (["True"], ["False"])


def test_other_errors_are_of_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that was never raised, or that other code raised, or where `signal` is not loaded."""
    with pytest.raises(InterruptingError) as caught:
        interrupt()
    assert not faults.raised_by_signal(caught.value) and not faults.raised_by_signal(InterruptingError())
    monkeypatch.delitem(sys.modules, "signal")
    assert not faults.raised_by_signal(caught.value)


@with_signals
def test_equal_code_of_another_function_is_no_handler() -> None:
    """Two functions with the same text on the same line have equal code, and are not the same."""
    made: list[Any] = []
    for _ in range(2):
        names: dict[str, Any] = {"InterruptingError": InterruptingError}
        exec(compile("def handler(*_):\n    raise InterruptingError", "made", "exec"), names)
        made.append(names["handler"])
    assert made[0].__code__ == made[1].__code__
    before = signal.signal(signal.SIGUSR1, made[0])
    try:
        with pytest.raises(InterruptingError) as caught:
            made[1]()
        assert not faults.raised_by_signal(caught.value)
    finally:
        signal.signal(signal.SIGUSR1, before)


@with_signals
def test_a_report_passes_on_the_error_of_a_signal(caplog: pytest.LogCaptureFixture) -> None:
    """It is the caller's: nothing is logged of it, and it is raised from where the fault was caught."""
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(InterruptingError) as caught:
            try:
                signal.raise_signal(signal.SIGUSR1)
            except Exception as error:
                faults.report("rule", print, error, "no opinion")
        with pytest.raises(InterruptingError):
            faults.report("rule", Striking(), KeyError("k"), "no opinion")
        logging.getLogger("redouble").addFilter(strike)
        with pytest.raises(InterruptingError):
            faults.warn("said")
    finally:
        logging.getLogger("redouble").removeFilter(strike)
        signal.signal(signal.SIGUSR1, before)
    assert caught.value.__context__ is None and caplog.records == []


def strike(record: object = None) -> bool:
    """A signal strikes here."""
    signal.raise_signal(signal.SIGUSR1)
    return True


class Striking:
    """Something that is struck by a signal while it is named."""

    def __getattr__(self, name: str) -> bool:
        return strike()


def test_a_listener_hears_every_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that the log has said before, and after a listener that fails."""
    heard: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(faults, "listeners", [lambda *_: 1 / 0, lambda *told: heard.append(told)])
    error = ValueError("odd")
    for _ in range(2):
        faults.report("curve", "mine", error, "no wait")
    assert heard == [("curve mine raised ValueError('odd'); no wait", error)] * 2
