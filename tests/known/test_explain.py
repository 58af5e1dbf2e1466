"""Floor 1. Why an error is retried or not, for people."""

from __future__ import annotations

import errno
import pickle
import ssl
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Rule, classify, explain, known_errors, pending, permanent, register, transient
from redouble.core.verdict import type_name
from redouble.known import registered
from redouble.known.explain import Explanation
from redouble.known.tables import entries

PACKAGES = {
    package: [name for _, name in found] for package, found in groupby(sorted(entries()), key=lambda key: key[0])
}
"""The classes of the tables, by their top package."""


def made(name: str, module: str, *args: Any, cause: Exception | None = None, **attributes: Any) -> Exception:
    """An error whose class has the name of a client's."""
    error: Exception = type(name, (Exception,), {"__module__": module})(*args)
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def test_a_row_is_named_with_its_source() -> None:
    """What decided, what it adds, and where it is written."""
    why = explain(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    assert (why.said_by, why.source) == ("the row builtins.OSError [ECONNREFUSED]", "errno(3), connect(2)")
    assert why.note == "nothing listens (yet): no byte was sent"
    assert why.known and why.classification == classify(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))


def test_an_unknown_error_is_permanent_and_says_so() -> None:
    """Nothing decided: the text says that it is unknown, and what to write."""
    text = str(explain(ValueError("a secret")))
    assert text.splitlines() == [
        "ValueError is unknown, so PERMANENT: it is not tried again",
        "reason       no rule knows ValueError",
        "applied      perhaps",
        "looked at    ValueError: not known",
        "to change it retry(on=known_errors | transient(ValueError, when=lambda error: type(error) in (ValueError,)))",
    ]
    assert not explain(ValueError()).known


def test_what_lies_beneath_is_shown() -> None:
    """The classes that a table looked into stand one beneath the other, and the root's row is named."""
    root = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    middle = made("ConnectError", "httpcore._exceptions", cause=root)
    why = explain(made("ConnectError", "httpx._exceptions", cause=middle))
    assert why.looked_at == (
        "httpx.ConnectError: the table of httpx.ConnectError looks beneath it",
        "  beneath it httpcore.ConnectError: the table of httpcore.ConnectError looks beneath it",
        "    beneath it ConnectionRefusedError: the row builtins.OSError [ECONNREFUSED]",
    )
    assert why.said_by == "the row builtins.OSError [ECONNREFUSED]"
    assert not why.classification.applied


def test_a_beneath_that_does_not_decide_is_passed_over() -> None:
    """What a table looked at in vain is shown, and its own row decides."""
    outer = made("ConnectError", "httpx", cause=ValueError())
    assert explain(outer).looked_at == (
        "httpx.ConnectError: the row httpx.ConnectError",
        "  beneath it ValueError: not known",
    )


def test_of_several_beneath_the_one_that_it_followed_is_named() -> None:
    """A table that asks about several addresses follows the one with its verdict."""
    refused, denied = ConnectionRefusedError(errno.ECONNREFUSED, "x"), PermissionError(errno.EACCES, "x")
    error = made("NoValidConnectionsError", "paramiko.ssh_exception", errors={"a": refused, "b": denied})
    assert explain(error).said_by == "the row builtins.OSError [EACCES]"


def test_chains_without_end_are_left_off() -> None:
    """Errors that carry each other come to an end, and say so."""
    first, second = made("URLError", "urllib.error"), made("URLError", "urllib.error")
    vars(first)["reason"], vars(second)["reason"] = second, first
    why = explain(first)
    assert len(why.looked_at) == 13
    assert why.classification == classify(first)


def test_causes_are_shown() -> None:
    """An explicit cause that is known decides."""
    error = ValueError()
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "x")
    why = explain(error)
    assert why.looked_at[1] == "  its cause ConnectionResetError: the row builtins.OSError [ECONNRESET]"
    reason = "classify(error).reason == 'ConnectionResetError [ECONNRESET] under ValueError'"
    assert why.known
    assert why.override == f"retry(on=permanent(ValueError, when=lambda error: {reason}) | known_errors)"


class OddError(Exception):
    """An error that nothing knows."""


def test_a_group_names_the_leaf_that_decided() -> None:
    """The leaf that made it permanent is what a rule should be written for."""
    group = ExceptionGroup("g", [ConnectionResetError(), ExceptionGroup("h", [OddError("x")])])
    why = explain(group)
    assert not why.known
    assert why.looked_at[1:] == (
        "  in it ConnectionResetError: the row builtins.ConnectionResetError",
        f"  in it {type_name(OddError)}: not known",
    )
    assert why.override == f"retry(on=transient({OddError.__module__}.OddError) | known_errors)"
    group = ExceptionGroup("g", [ConnectionResetError(), FileNotFoundError(errno.ENOENT, "x")])
    assert explain(group).override == "retry(on=transient(FileNotFoundError) | known_errors)"


def test_a_group_of_too_many_errors() -> None:
    """No leaf decided: the group itself is what can be named."""
    group = ExceptionGroup("g", [ConnectionResetError()] * 1000)
    assert explain(group).override == (
        "retry(on=transient(ExceptionGroup, when=lambda error: type(error) is ExceptionGroup) | known_errors)"
    )


def test_a_rule_is_named() -> None:
    """A user's rule that decided is named; the line that changes it keeps the other rules."""
    rules = transient(KeyError, retry_after=3) | known_errors
    why = explain(KeyError("x"), rules)
    assert (why.said_by, why.source) == ("the rule transient(KeyError)", "")
    assert "at least 3 s" in str(why)
    exactly = "permanent(KeyError, when=lambda error: type(error) is KeyError)"
    assert why.override == f"retry(on={exactly} | transient(KeyError) | known_errors)"
    assert explain(KeyError("x"), KeyError).said_by == "the rule transient(KeyError)"


def test_a_rule_that_raised_is_named() -> None:
    """A slip in a rule is shown, by the type of its error alone."""
    why = explain(OSError(errno.ENOENT, "x"), transient(OSError, when=lambda error: error.nothing) | known_errors)
    assert "raised AttributeError, which is no opinion" in why.looked_at[1]
    assert why.said_by == "the row builtins.OSError [ENOENT]"


def test_a_registered_rule_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who brought the rule stands beside it; one without an opinion leaves it to the tables."""
    monkeypatch.setattr(registered, "state", registered.state)
    busy, lost = made("Busy", "mylib"), type("Lost", (TimeoutError,), {"__module__": "mylib"})()
    register(transient(type(busy)), package="mylib")
    assert explain(busy).said_by == "the rule transient(mylib.Busy) that mylib registered"
    assert explain(lost).said_by == "the row builtins.TimeoutError"


def test_pending_has_a_curve_of_its_own() -> None:
    """A pending error waits as its rule says."""
    text = str(explain(KeyError(), pending(KeyError, every=7)))
    assert "KeyError is PENDING: not a failure" in text
    assert "wait         as the rule's own constant(7.0) has it" in text


def test_a_post_that_may_have_been_applied() -> None:
    """Why a reset POST is not repeated stands beside `applied`."""
    request = SimpleNamespace(method="POST", headers={})
    text = str(explain(made("ReadError", "httpx", request=request)))
    assert "perhaps, by a POST or PATCH without Idempotency-Key: repeated only with idempotent=True" in text
    assert "perhaps: it is repeated unless idempotent=False" in str(explain(made("ReadError", "httpx")))


def test_a_table_without_an_opinion() -> None:
    """A class that the tables know, but that carries nothing to go by."""
    why = explain(made("HTTPError", "requests.exceptions"))
    assert why.looked_at == ("requests.HTTPError: the table of requests.HTTPError has no opinion",)
    assert not why.known


def test_what_is_no_exception_passes() -> None:
    """Nothing is asked about a KeyboardInterrupt."""
    assert str(explain(KeyboardInterrupt())) == (
        "KeyboardInterrupt is no Exception: it asks the program to end, and passes under every policy"
    )


@pytest.mark.parametrize(("error", "rules"), [(5, known_errors), (int, known_errors), (KeyError(), 5), (KeyError, 5)])
def test_what_is_refused(error: Any, rules: Any) -> None:
    """As `classify`: only errors, and only rules."""
    with pytest.raises(TypeError):
        explain(error, rules)


@pytest.mark.usefixtures("no_heirs")
def test_names_are_those_that_can_be_imported() -> None:
    """The line of code names a class as it can be had: by its public name, else by where it is."""
    assert "permanent(ssl.SSLEOFError)" in explain(ssl.SSLEOFError()).override
    import json.decoder

    assert "transient(json.JSONDecodeError)" in explain(json.JSONDecodeError("x", "", 0)).override
    assert "transient(nowhere.deep.Odd)" in explain(made("Odd", "nowhere.deep")).override
    odd = made("Odd", "x")
    type(odd).__module__ = None  # type: ignore[assignment]  # what C extensions may leave
    assert explain(odd).override == "retry(on=transient(Odd) | known_errors)"


def test_hostile_classes() -> None:
    """A class that hides its name is unknown, and is explained all the same."""

    class Unhashable(type):
        def __hash__(cls) -> int:
            raise RuntimeError("no")

    assert not explain(Unhashable("Busy", (Exception,), {"__module__": None})()).known


def test_it_never_shows_a_message() -> None:
    """Nothing of an error's text appears, nor of its causes'."""
    error = ValueError("s3cret")
    error.__cause__ = OSError(errno.ECONNRESET, "s3cret")
    assert "s3cret" not in str(explain(error)) + repr(explain(error))


def test_it_is_a_value() -> None:
    """An explanation is a frozen record, and can be sent elsewhere."""
    why = explain(ConnectionResetError(errno.ECONNRESET, "x"))
    assert isinstance(why, Explanation)
    assert pickle.loads(pickle.dumps(why)) == why


class Silent(Rule):
    """A rule that somebody wrote, without a repr of its own and with one opinion."""

    def ask(self, subject: Any, on_fault: Any = None) -> Any:
        return permanent(Exception).ask(subject)

    def __repr__(self) -> str:
        return "x" * 1000


def test_a_rule_of_somebodys_own_is_shown_in_short() -> None:
    """A rule's endless repr is cut."""
    why = explain(KeyError(), Silent())
    assert why.said_by == f"the rule {'x' * 197}..."


@pytest.mark.parametrize("package", PACKAGES)
def test_every_class_of_the_tables_is_explained_as_it_is_classified(package: str) -> None:
    """An explanation says what `classify` says, and when something is known it names a row with a source."""
    for name in PACKAGES[package]:
        error = made(name, package, "x", status_code=503, status=503, code=503)
        why = explain(error)
        assert why.classification == classify(error), name
        assert str(why).startswith(f"{package}.{name} is " if package != "builtins" else f"{name} is ")
        if why.known:
            assert why.source and why.said_by.startswith("the row "), why


def test_explaining_changes_no_cache() -> None:
    """Judging after an explanation gives the very object that judging before it gave: nothing was emptied."""
    error, inner = (
        made("ConnectError", "httpx"),
        made("NewConnectionError", "urllib3", cause=OSError(errno.ECONNREFUSED, "x")),
    )
    before = classify(error), classify(inner), classify(ConnectionResetError())
    explain(error), explain(inner), explain(KeyError())
    after = classify(error), classify(inner), classify(ConnectionResetError())
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_a_class_whose_content_decides() -> None:
    """Nothing is promised of a class whose errors differ; its rows stand there instead."""
    lines = str(explain(type(made("HTTPError", "requests.exceptions")))).splitlines()
    assert lines[0].startswith("requests.HTTPError depends on what it carries; an error of it that carries nothing: ")
    assert lines[1] == (
        "its rows     transient  perhaps applied  requests.HTTPError [by status]: by its status and headers (RFC 9110 15)"
    )
    assert explain(type(made("HTTPError", "requests.exceptions"))).depends


def test_a_class_that_fixes_its_content() -> None:
    """A class that carries a SQLSTATE itself is explained by that."""
    deadlock = type(
        "DeadlockDetected", (type(made("Error", "psycopg")),), {"__module__": "psycopg", "sqlstate": "40P01"}
    )
    why = explain(deadlock)
    assert str(why).startswith("psycopg.DeadlockDetected is by what its class fixes TRANSIENT: it may pass")
    assert (why.said_by, why.depends) == ("the row sql.SQLSTATE [40P01]", ())


def test_a_class_that_is_enough() -> None:
    """A class that decides alone is explained as its errors are; one that nothing knows, or a user's rule, likewise."""
    assert str(explain(ConnectionRefusedError)).startswith("ConnectionRefusedError is TRANSIENT: it may pass")
    assert str(explain(KeyError)).startswith("KeyError is unknown")
    assert str(explain(OSError, transient(OSError) | known_errors)).startswith("OSError is TRANSIENT")
    assert str(explain(KeyboardInterrupt)).startswith("KeyboardInterrupt is no Exception")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_class_with_several_rows_has_an_unconditional_headline(package: str) -> None:
    """Over all tables: where a row has a code, or something beneath decides, the first line says that it depends."""
    for name in PACKAGES[package]:
        entry = entries()[package, name]
        conditional = not entry.word.fixed or any(entry.rows)
        why = explain(type(made(name, entry.word.within or package)))
        assert bool(why.depends) == conditional, name
        assert (" depends on what it carries; " in str(why).splitlines()[0]) == conditional, name
