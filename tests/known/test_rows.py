"""Rows, tables and guarded looks at foreign objects."""

from __future__ import annotations

import errno
from http import HTTPStatus
from typing import Any
from unittest.mock import Mock

import pytest

from redouble import Verdict
from redouble.core.raw import at, is_a, path, probe, whole
from redouble.known.dispatch import Known
from redouble.known.row import CACHE_SIZE, Row, named, remember, rows_of, shown_code
from redouble.known.table import client
from redouble.rules import Word, by_class

ROW = Row("package", "Name", "", Verdict.TRANSIENT, False, "a page")


class HostileMeta(type):
    """A class that will not say its name."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]  # that is the hostility
        raise RuntimeError("no")


class Liar:
    """An object that lies about its class."""

    @property  # type: ignore[misc]  # __class__ is not meant to be a property
    def __class__(self) -> Any:
        raise RuntimeError("no")


def test_a_row_gives_its_classification() -> None:
    """Verdict and applied are the row's, the reason is the reader's."""
    found = ROW.because("Name [X]")
    assert (found.verdict, found.applied, found.retry_after, found.reason) == (
        Verdict.TRANSIENT,
        False,
        None,
        "Name [X]",
    )


def test_groups_become_rows() -> None:
    """One row for every code of every group, in order."""
    rows = rows_of("p", "N", [(Verdict.TRANSIENT, True, "s", "n", "A B"), (Verdict.PERMANENT, False, "t", "", "C")])
    assert [row.code for row in rows] == ["A", "B", "C"]
    assert rows[1] == Row("p", "N", "B", Verdict.TRANSIENT, True, "s", "n")


def test_a_classification_carries_its_row() -> None:
    """Also with another reason."""
    assert ROW.because("a").because("b").row is ROW
    assert ROW.because("a").redacted().row is ROW
    assert repr(ROW) == "<row package.Name>"


def test_classes_that_decide_alone() -> None:
    """A row without a code becomes an entry, which makes one classification per type."""
    table = client("package", by_class((Verdict.TRANSIENT, False, "a page", "", "Name Other")))
    assert list(table.entries) == [("package", "Name"), ("package", "Other")]
    entry = table.entries["package", "Name"]
    first = entry.read(ValueError(), Known(), entry.rows)
    assert first is not None
    assert (first.reason, first.row) == ("ValueError", table.rows[0])
    assert entry.read(ValueError("another"), Known(), entry.rows) is first


@pytest.mark.parametrize(
    ("subject", "way", "value"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "errno", 111),
        (OSError(errno.ECONNREFUSED, "x"), "args.0", 111),
        (OSError(errno.ECONNREFUSED, "x"), "args.7", None),
        (KeyError({"a": [1, {"b": 2}]}), "args.0.a.1.b", 2),
        (ValueError(), "nothing.at.all", None),
        (None, "errno", None),
    ],
)
def test_paths(subject: Any, way: str, value: Any) -> None:
    """Attributes, keys of dicts and places in tuples; anything missing on the way is nothing."""
    assert at(subject, path(way)) == value


def test_caches_are_bounded() -> None:
    """A full cache is emptied and goes on."""
    cache: dict[int, int] = {}
    for number in range(CACHE_SIZE + 1):
        assert remember(cache, number, -number) == -number
    assert cache == {CACHE_SIZE: -CACHE_SIZE}


def test_probe_is_guarded() -> None:
    """A missing attribute and one that raises are both nothing."""

    class Hostile:
        @property
        def request(self) -> None:
            raise RuntimeError("not set")

    assert probe(Hostile(), "request") is None
    assert probe(Hostile(), "other") is None
    assert probe(ValueError("x"), "args") == ("x",)


def test_what_is_no_number() -> None:
    """Bools, floats, strings, mocks and liars are no numbers."""
    values: list[Any] = [True, 1.0, "1", None, Mock(spec=int), Liar()]
    assert [whole(value) for value in values] == [None] * 6


def test_enums_are_numbers() -> None:
    """An `HTTPStatus` becomes a plain int."""
    assert whole(HTTPStatus.OK) == 200
    assert type(whole(HTTPStatus.OK)) is int
    assert whole(7) == 7


def test_the_real_type_counts() -> None:
    """What `__class__` says of itself is not believed."""
    assert not is_a(Mock(spec=int), int)
    assert not is_a(Liar(), (int, str))
    assert is_a(True, int)


def test_a_class_without_a_name() -> None:
    """A metaclass that raises costs the name, nothing else."""
    nameless = HostileMeta("Nameless", (Exception,), {})
    assert named(nameless()) == "an error"
    assert named(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("WRONG_VERSION", " [WRONG_VERSION]"),
        ("a secret!", ""),
        ("", ""),
        ("X" * 65, ""),
        ("é", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_only_code_words_are_shown(value: Any, shown: str) -> None:
    """Free text never gets into a reason."""
    assert shown_code(value) == shown


def test_a_word_must_read() -> None:
    """A word of somebody's own that does not say how it reads is no word."""
    with pytest.raises(NotImplementedError):
        _ = Word().read
