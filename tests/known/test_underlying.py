"""Floor 1. The walk to what lies beneath a client's wrapper."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors
from redouble.core.verdict import type_name
from redouble.known import words
from redouble.known.row import PERMANENT, TRANSIENT, Row
from redouble.known.underlying import as_wrapped, beneath

CONNECTING = Row("lib", "ConnectError", "", TRANSIENT, False, "its documentation")
IN_FLIGHT = Row("lib", "ReadError", "", TRANSIENT, True, "its documentation")


class WrapperError(Exception):
    """An error of some client that wraps another one."""


def wrapped(*args: Any, cause: Any = None, context: Any = None, hidden: bool = False, **more: Any) -> WrapperError:
    """A wrapper with the links that it is given."""
    error = WrapperError(*args)
    vars(error).update(more)
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, hidden
    return error


def look(error: Any, *names: str) -> Classification | None:
    """What lies beneath."""
    return beneath(error, known_errors, *names)


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "x")


@pytest.mark.parametrize(
    "error",
    [
        wrapped(REFUSED),
        wrapped("text", REFUSED),
        wrapped(cause=REFUSED),
        wrapped(context=REFUSED, hidden=True),
        wrapped(reason=REFUSED),
        wrapped(cause=wrapped(cause=wrapped(context=REFUSED, hidden=True))),
        wrapped(cause=OSError("All connection attempts failed"), reason=REFUSED),
    ],
)
def test_every_link_is_looked_at(error: Exception) -> None:
    """Attributes, arguments, the cause, and a context that was hidden on purpose; through classes nobody knows."""
    found = look(error, "reason")
    assert found is not None
    assert found.reason == "ConnectionRefusedError [ECONNREFUSED]"


@pytest.mark.parametrize(
    "error",
    [
        wrapped(),
        wrapped("text", 5, None),
        wrapped(reason="text"),
        wrapped(context=FileNotFoundError(errno.ENOENT, "of the caller")),
        wrapped(cause=ValueError("chunk"), context=NO_NAME),
        wrapped(cause=asyncio.CancelledError()),
        wrapped(cause=KeyboardInterrupt()),
        wrapped(1, 2, 3, REFUSED),
        wrapped(cause=wrapped(context=NO_NAME)),
    ],
)
def test_what_is_not_believed(error: Exception) -> None:
    """A context that Python set by the way, what a cancellation hides, and what is no error at all."""
    assert look(error, "reason") is None


def test_a_context_of_the_client_counts() -> None:
    """Clients such as requests and botocore raise without `from`: an error of a client, of TLS or of a look-up is theirs."""
    found = look(wrapped(context=NO_NAME))
    assert found is not None
    assert found.verdict is PERMANENT


def test_a_cause_hides_the_context() -> None:
    """Where there is a cause, the context is not asked as well."""
    assert look(wrapped(cause=ValueError(), context=ssl.SSLCertVerificationError(1, "x"))) is None


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([REFUSED, REFUSED], TRANSIENT),
        ([REFUSED, PermissionError(errno.EACCES, "x")], PERMANENT),
        ([REFUSED, ValueError()], None),
        ([REFUSED, WrapperError(REFUSED)], None),
        ([REFUSED] * 16 + [PermissionError(errno.EACCES, "x")], TRANSIENT),
    ],
)
def test_one_error_for_each_address(errors: list[Exception], verdict: Verdict | None) -> None:
    """Two dead addresses: transient when each is, permanent when one is; unknown ones and endless lists decide nothing."""
    group = ExceptionGroup("multiple connection attempts failed", errors)
    found = look(wrapped(cause=OSError("All connection attempts failed"), reason=group), "reason")
    assert (None if found is None else found.verdict) is verdict


def test_a_group_that_hides_its_errors() -> None:
    """A group whose `exceptions` is something else has none."""

    class Hiding(ExceptionGroup[Exception]):
        @property
        def exceptions(self) -> Any:
            return 5

    assert look(wrapped(cause=Hiding("", [REFUSED]))) is None


def test_circles_and_endless_chains_end() -> None:
    """What points at itself, and 10,000 links, are given up on."""
    circle = wrapped()
    circle.__cause__ = wrapped(circle, cause=circle)
    assert look(circle) is None
    chain: Exception = REFUSED
    for _ in range(10_000):
        chain = wrapped(cause=chain)
    assert look(chain) is None


def test_hostile_errors() -> None:
    """Attributes that raise count as missing."""

    class HostileError(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert look(HostileError(), "reason") is None
    assert look(wrapped(cause=HostileError())) is None


def read(word: words.Word, row: Row, error: Exception) -> Classification:
    """The answer of a word with one row."""
    found = word.read(error, known_errors, {"": row})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("word", "row", "root", "verdict", "applied"),
    [
        (words.beneath(), CONNECTING, ConnectionResetError(errno.ECONNRESET, "x"), TRANSIENT, False),
        (words.beneath(), IN_FLIGHT, OSError(errno.EHOSTUNREACH, "no route"), TRANSIENT, True),
        (words.beneath(), IN_FLIGHT, PermissionError(errno.EACCES, "x"), PERMANENT, False),
        (words.as_beneath(), IN_FLIGHT, REFUSED, TRANSIENT, False),
        (words.if_beneath_agrees(), CONNECTING, REFUSED, TRANSIENT, False),
        (words.if_beneath_agrees(), CONNECTING, ConnectionResetError(errno.ECONNRESET, "x"), TRANSIENT, True),
        (words.if_beneath_agrees(), CONNECTING, PermissionError(errno.EACCES, "x"), PERMANENT, False),
    ],
)
def test_the_phase_of_a_class(word: words.Word, row: Row, root: Exception, verdict: Verdict, applied: bool) -> None:
    """Connecting: never applied, or not where a reset lies beneath. In flight: perhaps, whatever the errno says."""
    found = read(word, row, wrapped(root))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_nothing_beneath() -> None:
    """The class alone decides, with one classification per type."""
    first = read(words.beneath(), IN_FLIGHT, wrapped())
    assert (first.verdict, first.applied, first.row) == (TRANSIENT, True, IN_FLIGHT)
    assert read(words.beneath(), IN_FLIGHT, wrapped()) is first


def test_the_reason_names_the_root_and_the_outermost() -> None:
    """Nobody wants to read the four names between them."""
    found = as_wrapped(Classification(TRANSIENT, reason="A under B under C"), wrapped(), True)
    assert found.reason == "A under " + type_name(WrapperError)
    assert as_wrapped(Classification(TRANSIENT, reason="A under B under C"), wrapped(), True) is found
    assert as_wrapped(Classification(PERMANENT, reason="A"), wrapped(), True).verdict is PERMANENT


def test_hints_and_redaction_come_along() -> None:
    """What the inner error asks for is asked for still."""
    found = as_wrapped(Classification(TRANSIENT, 7.0, True, None, "A", True), wrapped(), False)
    assert (found.retry_after, found.applied, found.redact) == (7.0, False, True)
