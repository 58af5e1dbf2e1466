"""Floor 1. Recognising an error by the names of its classes."""

from __future__ import annotations

import copy
import errno
import http.client
import io
import os
import pickle
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import Classification, Verdict, classify, known_errors
from redouble.core import checks
from redouble.known import dispatch
from redouble.known.dispatch import Known
from redouble.known.row import CACHE_SIZE


def wall() -> float:
    """A clock that stands."""
    return 0.0


def test_repr_equality_and_pickling() -> None:
    """A rule is a value: two with the same wall clock are one and the same."""
    assert repr(known_errors) == "known_errors"
    assert Known() == Known(time.time)
    assert hash(Known()) == hash(Known(time.time))
    assert Known(wall) != Known()
    assert pickle.loads(pickle.dumps(known_errors)) == known_errors
    assert copy.deepcopy(known_errors) is known_errors


@pytest.mark.parametrize("bad", [None, 5, float])
def test_the_wall_clock_must_be_a_callable(bad: Any) -> None:
    """A clock that cannot be asked is refused where it is written."""
    with pytest.raises(TypeError, match="wall must be a callable"):
        Known(wall=bad)


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), Exception(), ExceptionGroup("g", [OSError(errno.ECONNREFUSED, "x")])]
)
def test_unknown_classes_have_no_opinion(error: Exception) -> None:
    """The tables say nothing of what they do not name."""
    assert known_errors.ask(error) is None


@pytest.mark.parametrize("subject", [None, 5, "text", KeyboardInterrupt(), SystemExit(1), GeneratorExit(), OSError])
def test_what_is_no_exception_has_no_opinion(subject: Any) -> None:
    """Values, exits and classes are not in the tables."""
    assert known_errors.ask(subject) is None


@pytest.mark.parametrize("base", [OSError, PermissionError, EOFError])
def test_a_foreign_subclass_of_a_builtin_is_not_read(base: type[Exception]) -> None:
    """A client's own OSError says nothing by that alone: requests' JSONDecodeError is one."""
    foreign = type("BrokerError", (base,), {"__module__": "a_client.errors", "errno": 111})
    assert known_errors.ask(foreign(111, "x")) is None
    assert known_errors.ask(base(111, "x") if base is not EOFError else base()) is not None


@pytest.mark.parametrize("base", [ConnectionError, ConnectionResetError, BrokenPipeError, TimeoutError])
def test_a_foreign_subclass_of_a_builtin_that_says_what_happened_is_read_by_class(base: type[Exception]) -> None:
    """What somebody derives from TimeoutError or ConnectionError means that, whatever its errno is."""
    foreign = type("Flaky", (base,), {"__module__": "somebody"})
    found = known_errors.ask(foreign(13, "not an errno"))
    assert found is not None
    assert found.verdict is Verdict.TRANSIENT and found.reason == "somebody.Flaky"


def test_a_foreign_subclass_of_a_named_class_is_read() -> None:
    """What a client derives from a class with attributes of its own keeps its meaning."""
    foreign = type("IncompleteRead", (http.client.IncompleteRead,), {"__module__": "a_client"})
    found = known_errors.ask(foreign(b"half", 5))
    assert found is not None
    assert found.reason == "a_client.IncompleteRead"


def test_stdlib_subclasses_of_builtins() -> None:
    """io.UnsupportedOperation is an OSError without an errno: nothing to go by."""
    assert known_errors.ask(io.UnsupportedOperation("seek")) is None


def test_a_module_that_is_no_text_and_hostile_classes() -> None:
    """Classes without a usable name, or that refuse to be hashed, have no opinion."""

    class Unhashable(type):
        def __hash__(cls) -> int:
            raise RuntimeError("no")

    strange = type("Strange", (OSError,), {})
    strange.__module__ = None  # type: ignore[assignment]  # what C extensions may leave
    assert known_errors.ask(strange(111, "x")) is None
    assert known_errors.ask(Unhashable("Error", (OSError,), {})(111, "x")) is None


def test_the_cache_of_types_is_bounded() -> None:
    """A program that makes classes for ever does not fill the memory."""
    for number in range(CACHE_SIZE + 2):
        known_errors.ask(type(f"E{number}", (ValueError,), {})())
    assert len(dispatch._entries) <= CACHE_SIZE
    assert known_errors.ask(ConnectionResetError(errno.ECONNRESET, "x")) is not None


def test_inner_errors_are_not_followed_for_ever() -> None:
    """URLErrors that carry each other come to an end."""
    first, second = urllib.error.URLError("a"), urllib.error.URLError("b")
    first.reason, second.reason = second, first  # type: ignore[assignment]  # typeshed knows this one well
    found = known_errors.ask(first)
    assert found is not None
    assert found.verdict is Verdict.PERMANENT


def test_nothing_heavy_is_imported() -> None:
    """Recognising an OSError loads no client, no socket, no re."""
    code = (
        "import sys; from redouble.known import known_errors as k; k.ask(OSError(111, 'x')); k.ask(ValueError());"
        "heavy = {'asyncio', 'logging', 'dataclasses', 'inspect', 're', 'typing', 'threading', 'random', 'datetime',"
        " 'socket', 'ssl', 'http', 'urllib', 'subprocess', 'json', 'email'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": checks.__file__.rpartition("redouble")[0].rstrip("/\\")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ExceptionGroup("g", [OSError(errno.ECONNREFUSED, "x"), OSError(errno.ECONNREFUSED, "x")]), Verdict.TRANSIENT),
        (ExceptionGroup("g", [OSError(errno.ECONNREFUSED, "x"), OSError(errno.ENOENT, "x")]), Verdict.PERMANENT),
        (ValueError("bad chunk"), Verdict.PERMANENT),
    ],
)
def test_together_with_the_walk(error: Exception, verdict: Verdict) -> None:
    """Groups vote by what the tables say of their leaves, as happy eyeballs raise them."""
    assert classify(error).verdict is verdict


def test_context_does_not_decide() -> None:
    """A bug while a reset was handled stays a bug."""
    bug = ValueError("bug")
    bug.__context__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert classify(bug).verdict is Verdict.PERMANENT


class Hostile:
    """Every attribute raises, and so does every comparison."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = None  # type: ignore[assignment]  # cannot be hashed


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.builds(Hostile),
    st.builds(object),
    st.builds(ConnectionResetError, st.integers(0, 130)),
    st.sampled_from([15, 75, 111, 124, 255, 400, 429, 503, "curl", ["curl"], {"retry-after": "5"}, 22, "[SSL: X] x"]),
)
CLASSES = [
    OSError,
    TimeoutError,
    socket.gaierror,
    socket.herror,
    ssl.SSLError,
    ssl.SSLCertVerificationError,
    ssl.SSLEOFError,
    urllib.error.URLError,
    urllib.error.HTTPError,
    subprocess.CalledProcessError,
    subprocess.TimeoutExpired,
    http.client.IncompleteRead,
    EOFError,
]
ATTRIBUTES = [
    "errno",
    "winerror",
    "reason",
    "verify_code",
    "code",
    "headers",
    "hdrs",
    "fp",
    "returncode",
    "cmd",
    "args",
    "strerror",
]


@given(st.sampled_from(CLASSES), st.dictionaries(st.sampled_from(ATTRIBUTES), ANYTHING), st.lists(ANYTHING, max_size=3))
def test_whatever_the_attributes_are_nothing_is_raised(
    cls: type[Exception], values: dict[str, Any], args: list[Any]
) -> None:
    """Any object as any attribute: an opinion or none, never an error; hints are finite."""
    subclass = type(cls.__name__, (cls,), {"__module__": cls.__module__, "__init__": lambda self: None, **values})
    error = subclass.__new__(subclass, *args)
    found = Known(wall).ask(error)
    assert found is None or isinstance(found, Classification)
    if found is not None and found.retry_after is not None:
        assert 0.0 <= found.retry_after <= checks.LONGEST


@given(st.sampled_from(CLASSES), st.sampled_from(ATTRIBUTES))
def test_attributes_that_raise(cls: type[Exception], name: str) -> None:
    """A property that raises (or warns, under -W error) counts as missing."""

    def refuse(_: object) -> None:
        raise DeprecationWarning(name)

    namespace = {"__module__": cls.__module__, "__init__": lambda self: None, name: property(refuse)}
    subclass = type(cls.__name__, (cls,), namespace)
    found = known_errors.ask(subclass.__new__(subclass))
    assert found is None or isinstance(found, Classification)
