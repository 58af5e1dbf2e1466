"""`redouble.rules`: the words of the tables, for the tables of other libraries."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble import Verdict, classify, explain, known_errors, permanent, register
from redouble.known import registered
from redouble.rules import (
    answer_at,
    as_beneath,
    as_carried,
    beneath,
    by,
    by_class,
    client,
    code_at,
    handshake,
    if_beneath_agrees,
    number_at,
    row,
    status_at,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Rules that a test registers are gone after it."""
    before = registered.state
    yield
    registered.state = before


def made(name: str, *args: Any, **attributes: Any) -> Exception:
    """An error of the library."""
    error: Exception = type(name, (Exception,), {"__module__": "mylib.errors"})(*args)
    vars(error).update(attributes)
    return error


def mine(error: Any, _: Any, rows: Any) -> Any:
    """A function that the library needs."""
    return rows["odd"].because("by hand") if error.args else None


TABLE = client(
    "mylib",
    by_class(row("transient", "Busy Full", applied=False, note="nothing was put into it"), row(P, "Rejected")),
    handshake(row("transient", "ReadTimeout")),
    beneath()(row("transient", "Lost")),
    as_beneath("reason")(row("permanent", "Wrapped")),
    if_beneath_agrees()(row("transient", "Unsent", applied=False)),
    as_carried("orig")(row("permanent", "Carried")),
    answer_at("response").of("Answered"),
    status_at("http.status", headers="http.headers").of("Status"),
    number_at("args.0").of("Numbered", row("transient", "11 12"), row("permanent", "other")),
    code_at("args.0").of("Coded", row("pending", "WAIT"), row("permanent", "other")),
    text({"cut": ("connection cut", "cut off")}).of("Text", row("transient", "cut"), row("permanent", "other")),
    by(mine).of("Mine", row("transient", "odd", source="its manual")),
)
RESET = ConnectionResetError(errno.ECONNRESET, "x")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "x")


@pytest.mark.parametrize(
    ("error", "verdict", "applied"),
    [
        (made("Busy"), T, False),
        (made("Rejected"), P, True),
        (made("ReadTimeout"), T, True),
        (made("Lost"), T, True),
        (made("Lost", PermissionError(errno.EACCES, "x")), P, False),
        (made("Wrapped"), P, True),
        (made("Wrapped", reason=REFUSED), T, False),
        (made("Unsent", REFUSED), T, False),
        (made("Unsent", RESET), T, True),
        (made("Carried", orig=RESET), T, True),
        (made("Numbered", 12), T, True),
        (made("Numbered", 13), P, True),
        (made("Coded", "WAIT"), Verdict.PENDING, True),
        (made("Coded"), P, True),
        (made("Text", "cut off by peer"), T, True),
        (made("Text", "denied"), P, True),
        (made("Mine", 1), T, True),
    ],
)
def test_every_word(error: Exception, verdict: Verdict, applied: bool) -> None:
    """The words that redouble's own tables are written in, registered by a library."""
    register(TABLE, package="mylib")
    found = classify(error)
    assert (found.verdict, found.applied) == (verdict, applied)
    assert classify(error, TABLE) == found


def test_statuses() -> None:
    """A status is read where the table says, with its headers; no row needs to be written for that."""
    from types import SimpleNamespace

    answer = SimpleNamespace(status_code=429, headers={"Retry-After": "7"})
    assert classify(made("Answered", response=answer), TABLE).retry_after == 7.0
    found = classify(made("Status", http={"status": 503, "headers": {"retry-after": "8"}}), TABLE)
    assert (found.retry_after, found.reason) == (8.0, "mylib.Status 503")
    assert not found.guessed


def test_explain_names_the_row_and_who_brought_it() -> None:
    """A row of a library is shown as one of redouble's own, with its note and its source."""
    register(TABLE, package="mylib")
    why = explain(made("Busy"))
    assert why.said_by == "the row mylib.Busy that mylib registered"
    assert (why.note, why.source) == ("nothing was put into it", "its own word")
    assert explain(made("Mine", 1)).source == "its manual"


def test_what_the_table_does_not_name() -> None:
    """Another class, another package, or a word without an opinion: nothing is said."""
    other = type("Busy", (Exception,), {"__module__": "another.errors"})()
    for error in (made("Unheard"), other, made("Mine")):
        assert TABLE.ask(error) is None


def test_a_subclass_of_a_class_that_is_named() -> None:
    """Users derive their own from a library's classes."""
    busy = type("MyBusy", (type(made("Busy")),), {"__module__": "an_app"})
    register(TABLE, package="mylib")
    assert classify(busy()).verdict is T
    assert classify(busy(), permanent(busy) | known_errors).verdict is P


def test_errors_that_carry_each_other() -> None:
    """A library's wrappers in a circle come to an end."""
    register(TABLE, package="mylib")
    first, second = made("Wrapped"), made("Carried")
    first.reason, second.orig = second, first  # type: ignore[attr-defined]  # that is the circle
    assert classify(first).verdict is P


def test_it_is_there_by_its_full_name() -> None:
    """`redouble.rules.client` needs no import of its own."""
    assert redouble.rules.client is client
    assert repr(TABLE) == "client(mylib)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: client(5), TypeError, "package must be the name of a top package, got 5"),
        (lambda: client("my.lib"), ValueError, "package must be the name of a top package, without dots, got 'my.lib'"),
        (lambda: client("mylib"), ValueError, "client\\(\\) must be given at least one part"),
        (lambda: client("mylib", "Busy"), TypeError, "a part of client\\(\\) must be a word with its rows"),
        (
            lambda: row("perhaps", "A"),
            ValueError,
            "verdict must be one of transient, permanent, pending, got 'perhaps'",
        ),
        (lambda: row(5, "A"), TypeError, "verdict must be a Verdict or its name, got 5"),
        (lambda: row(T, 5), TypeError, "codes must be a string of names or codes, or a tuple of them, got 5"),
        (lambda: row(T, "A", applied=1), TypeError, "applied must be"),
        (lambda: row(T, "A", note=5), TypeError, "note must be a string, got 5"),
        (lambda: row(T, "A", source=5), TypeError, "source must be a string, got 5"),
    ],
)
def test_what_is_refused(make: Any, error: type[Exception], message: str) -> None:
    """A slip is named where it is written."""
    with pytest.raises(error, match=message):
        make()
