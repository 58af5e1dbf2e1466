"""Floor 1. Name resolution, by the names of `socket`."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Verdict, classify, known_errors
from redouble.known.tables.socket import TABLE, gai_row

TRANSIENT = ["EAI_AGAIN", "EAI_MEMORY", "EAI_SYSTEM"]
PERMANENT = ["EAI_NONAME", "EAI_FAIL", "EAI_FAMILY", "EAI_SERVICE", "EAI_BADFLAGS", "EAI_NODATA", "EAI_ADDRFAMILY"]


@pytest.mark.parametrize("name", TRANSIENT)
def test_the_resolver_says_temporary(name: str) -> None:
    """A name server out of reach is asked again; nothing was applied."""
    found = classify(socket.gaierror(getattr(socket, name), "text"))
    assert (found.verdict, found.applied, found.reason) == (Verdict.TRANSIENT, False, f"socket.gaierror [{name}]")


@pytest.mark.parametrize("name", [name for name in PERMANENT if hasattr(socket, name)])
def test_names_that_do_not_exist(name: str) -> None:
    """A wrong name is wrong the next time too."""
    found = classify(socket.gaierror(getattr(socket, name), "text"))
    assert (found.verdict, found.applied) == (Verdict.PERMANENT, False)


def test_numbers_differ_by_platform() -> None:
    """The names are compared, not Linux's numbers: EAI_AGAIN is 2 on macOS, which is ENOENT."""
    rows = TABLE.entries["socket", "gaierror"].rows
    macos = SimpleNamespace(EAI_AGAIN=2, EAI_NONAME=8)
    assert getattr(gai_row(2, rows, macos), "code", None) == "EAI_AGAIN"
    assert getattr(gai_row(8, rows, macos), "code", None) == "EAI_NONAME"
    assert gai_row(-3, rows, macos) is None
    assert gai_row(2, rows, None) is None


@pytest.mark.parametrize("error", [socket.gaierror(), socket.gaierror("text"), socket.gaierror(12345, "x")])
def test_numbers_without_a_name(error: Exception) -> None:
    """No number, or one that `socket` has no name for: no opinion."""
    assert known_errors.ask(error) is None


def test_classifications_are_made_once() -> None:
    """The second error of a kind costs a look-up."""
    number = socket.EAI_AGAIN
    assert known_errors.ask(socket.gaierror(number, "a")) is known_errors.ask(socket.gaierror(number, "b"))


@pytest.mark.parametrize(
    ("number", "verdict"), [(1, "permanent"), (2, "transient"), (3, "permanent"), (4, "permanent")]
)
def test_older_look_ups(number: int, verdict: str) -> None:
    """The older look-ups raise `herror` with an h_errno."""
    assert classify(socket.herror(number, "x")).verdict.value == verdict


@pytest.mark.parametrize("number", [0, 9, None, "x"])
def test_older_look_ups_without_a_name(number: Any) -> None:
    """An h_errno that is none has no opinion."""
    assert known_errors.ask(socket.herror(number, "x")) is None


def test_a_label_that_is_too_long() -> None:
    """A label over 63 bytes raises UnicodeError, which no table knows: permanent."""
    with pytest.raises(UnicodeError) as caught:
        ("x" * 64 + ".example").encode("idna")
    assert classify(caught.value).verdict is Verdict.PERMANENT
