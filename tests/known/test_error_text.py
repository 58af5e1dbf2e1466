"""Floor 1. What lies inside an error: its text, and the failure under it that stays."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import pytest

from redouble import Verdict, known_errors
from redouble.known.error_text import LONGEST_TEXT, any_in, clipped, firm_text, said
from redouble.known.row import Row, answer
from redouble.known.underlying import firm_root

ROW = Row("package", "Name", "CODE", Verdict.TRANSIENT, False, "a page")


class Text(str):
    """A text with ideas of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __getitem__(self, index: Any) -> str:
        raise RuntimeError("no")


def test_an_answer_is_made_once_per_type() -> None:
    """The reason names the class and the code of the row."""
    first = answer(ValueError("a"), ROW)
    assert first.reason == "ValueError [CODE]"
    assert answer(ValueError("b"), ROW) is first
    assert answer(TypeError(), ROW).reason == "TypeError [CODE]"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("a",), "a"),
        ((1213, "b"), "b"),
        ((), ""),
        ((1, 2), ""),
        ((Text("abc"),), "abc"),
        (("x" * 10_000,), "x" * LONGEST_TEXT),
        ((1, 2, 3, 4, "too late"), ""),
    ],
)
def test_what_an_error_says(args: tuple[Any, ...], text: str) -> None:
    """The first text among the arguments, as a plain and bounded str."""
    found = said(Exception(*args))
    assert found == text
    assert type(found) is str


def test_what_says_nothing() -> None:
    """An object without arguments has no text, and neither has what is none."""
    assert said(object()) == ""
    assert clipped(None) == ""
    assert clipped(b"bytes") == ""


def test_marks() -> None:
    """One mark is enough."""
    assert any_in("a needle", "hay", "needle")
    assert not any_in("a needle", "hay")
    assert not any_in("a needle")


@pytest.mark.parametrize(
    ("root", "firm"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), True),
        (socket.gaierror(socket.EAI_AGAIN, "x"), False),
        (ssl.SSLCertVerificationError(1, "x"), True),
        (ssl.SSLEOFError(8, "x"), False),
        (PermissionError(errno.EACCES, "x"), True),
        (FileNotFoundError(errno.ENOENT, "x"), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), False),
        (ValueError("x"), False),
        (KeyboardInterrupt(), False),
    ],
)
@pytest.mark.parametrize("how", ["cause", "context", "deeper"])
def test_firm_roots(root: BaseException, firm: bool, how: str) -> None:
    """Names, certificates and forbidden ports decide from below; nothing else does."""
    error: BaseException = ConnectionError("outer")
    if how == "cause":
        error.__cause__ = root
    elif how == "context":
        error.__context__ = root
    else:
        error.__context__ = OSError("between")
        error.__context__.__context__ = root
    found = firm_root(error, known_errors)
    assert (found is not None) is firm
    if found is not None:
        assert (found.verdict, found.applied) == (Verdict.PERMANENT, False)
        assert found.reason.endswith(" under ConnectionError")


def test_chains_end() -> None:
    """A circle ends, and so does a chain that is too long to be believed."""
    error = ConnectionError("a")
    error.__context__ = OSError("b")
    error.__context__.__context__ = error
    assert firm_root(error, known_errors) is None
    last: BaseException = socket.gaierror(socket.EAI_NONAME, "x")
    for _ in range(50):
        outer = OSError("x")
        outer.__context__ = last
        last = outer
    assert firm_root(last, known_errors) is None


def test_classes_that_hide_where_they_are_from() -> None:
    """A `__module__` that is no text makes nobody fail."""
    odd = type("Odd", (OSError,), {"__module__": 5})
    error = ConnectionError("a")
    error.__context__ = odd("x")
    assert firm_root(error, known_errors) is None


def test_firm_texts() -> None:
    """A text may quote the failure that stays."""
    assert firm_text("h:1: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert firm_text("h:1: [Errno -2] Name or service not known")
    assert not firm_text("h:1: [Errno 111] Connection refused")
