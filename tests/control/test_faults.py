"""Floor 2. What goes wrong in the user's own parts: said once, and never in the way."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext

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


def test_a_listener_hears_every_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that the log has said before, and after a listener that fails."""
    heard: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(faults, "listeners", [lambda *_: 1 / 0, lambda *told: heard.append(told)])
    error = ValueError("odd")
    for _ in range(2):
        faults.report("curve", "mine", error, "no wait")
    assert heard == [("curve mine raised ValueError('odd'); no wait", error)] * 2
