"""Floor 2. `known_errors.only(...)`: some of the known conditions."""

from __future__ import annotations

import errno
import io
import pickle
import socket
from subprocess import CalledProcessError
from typing import Any
from urllib.error import HTTPError

import pytest

from redouble import Verdict, classify, known_errors, permanent, register, transient

TRANSIENT, PERMANENT = Verdict.TRANSIENT, Verdict.PERMANENT


def made(name: str, cause: Any = None, base: type[Exception] = Exception) -> Exception:
    """An error whose class has a client's name, perhaps with a cause."""
    package, _, last = name.rpartition(".")
    error: Exception = type(last, (base,), {"__module__": package})("x")
    error.__cause__ = cause
    return error


def http(status: int, **headers: str) -> HTTPError:
    """What urllib raises."""
    error = HTTPError("http://example.com/", status, "x", headers or {"Retry-After": "7"}, io.BytesIO())  # type: ignore[arg-type]
    error.close()
    return error


REFUSED, RESET = ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ConnectionResetError(errno.ECONNRESET, "reset")


@pytest.mark.parametrize(
    ("conditions", "error", "expected"),
    [
        (("ECONNREFUSED",), REFUSED, TRANSIENT),
        (("ECONNREFUSED",), ConnectionRefusedError(), TRANSIENT),
        (("ECONNREFUSED",), RESET, PERMANENT),
        (("ECONNREFUSED", "ECONNRESET"), RESET, TRANSIENT),
        (("ECONNREFUSED",), made("httpx.ConnectError", made("httpcore.ConnectError", REFUSED)), TRANSIENT),
        (("ECONNREFUSED",), made("httpx.ConnectError", made("httpcore.ConnectError", RESET)), PERMANENT),
        (("ECONNREFUSED",), made("mine.Wrapped", REFUSED), TRANSIENT),
        (("ECONNREFUSED",), made("mine.Wrapped", RESET), PERMANENT),
        (
            ("ECONNREFUSED",),
            ExceptionGroup("", [REFUSED, ConnectionRefusedError(errno.ECONNREFUSED, "too")]),
            TRANSIENT,
        ),
        (("ECONNREFUSED",), ExceptionGroup("", [REFUSED, RESET]), PERMANENT),
        (("ECONNREFUSED", "ENETUNREACH"), OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b"), TRANSIENT),
        (("ECONNREFUSED",), OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b"), PERMANENT),
        (("timeout",), TimeoutError(), TRANSIENT),
        (("timeout",), TimeoutError(errno.ETIMEDOUT, "x"), TRANSIENT),
        (("ETIMEDOUT",), TimeoutError(), TRANSIENT),
        (("timeout",), made("requests.exceptions.ReadTimeout", base=OSError), TRANSIENT),
        (("timeout",), made("mine.Late", base=TimeoutError), TRANSIENT),
        (("timeout",), RESET, PERMANENT),
        (("timeout",), http(503), PERMANENT),
        (("503", "429"), http(503), TRANSIENT),
        (("503", "429"), http(500), PERMANENT),
        (("ECONNRESET",), socket.gaierror(socket.EAI_AGAIN, "x"), PERMANENT),
        (("ECONNREFUSED",), FileNotFoundError(errno.ENOENT, "x"), PERMANENT),
        (("ECONNREFUSED",), ValueError("x"), PERMANENT),
        (("ECONNREFUSED",), CalledProcessError(7, ["curl"]), PERMANENT),
    ],
)
def test_some_conditions(conditions: tuple[str, ...], error: Exception, expected: Verdict) -> None:
    """An error is retried by the conditions that were named, however a client wraps it."""
    assert classify(error, known_errors.only(*conditions)).verdict is expected


def test_what_is_kept_is_kept_whole() -> None:
    """Hint, reason and what was applied are those of `known_errors`."""
    for error in (http(503), REFUSED):
        assert classify(error, known_errors.only("503", "ECONNREFUSED")) == classify(error)


def test_what_is_left_out_is_left_to_the_next_rule() -> None:
    """A condition that was not named is unknown to the rule, so that others may be asked."""
    rule = known_errors.only("ECONNREFUSED") | known_errors.only("ECONNRESET")
    assert classify(RESET, rule).verdict is TRANSIENT
    assert classify(REFUSED, permanent(ConnectionRefusedError) | rule).verdict is PERMANENT
    firm = http(503, **{"x-should-retry": "false"})
    assert classify(firm, known_errors.only("503")).verdict is PERMANENT
    assert classify(firm, known_errors.only("503") | transient(HTTPError)).verdict is TRANSIENT


def test_an_inherited_meaning_still_asks_its_cause() -> None:
    """A connection error over a permanent failure is permanent here, too."""
    error = made("mine.Refused", PermissionError(errno.EACCES, "x"), ConnectionRefusedError)
    assert classify(error, known_errors.only("ECONNREFUSED")).verdict is PERMANENT
    error.__cause__ = None
    assert classify(error, known_errors.only("ECONNREFUSED")).verdict is TRANSIENT


@pytest.mark.parametrize("word", ["refused", "econnrefused", "404", "ENOENT", ""])
def test_an_unknown_condition_is_refused_with_the_list(word: str) -> None:
    """The error names what is not known, and all that is: errno names, statuses, timeout."""
    with pytest.raises(ValueError) as caught:
        known_errors.only("ECONNREFUSED", word)
    text = str(caught.value)
    assert text.startswith("only() takes at least one of ") and text.endswith(f"; got {word!r}")
    for known in ("ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "429", "503", "timeout"):
        assert known in text
    assert "ENOENT," not in text and "404" not in text.partition("; got ")[0]


def test_no_condition_is_refused() -> None:
    """Nothing to keep would be no rule at all."""
    with pytest.raises(ValueError, match=r"^only\(\) takes at least one of .*; got none$"):
        known_errors.only()


@pytest.mark.parametrize("word", [503, None, TimeoutError])
def test_a_condition_is_a_word(word: Any) -> None:
    """A status is written as a string, and a class is none."""
    with pytest.raises(TypeError, match=r"^only\(\) takes conditions such as 'ECONNREFUSED' or 'timeout', got "):
        known_errors.only(word)


def test_it_is_a_value() -> None:
    """The rule is compared, hashed, pickled, and shown as it was written; it cannot be registered."""
    rule = known_errors.only("ECONNREFUSED", "timeout", "timeout")
    assert rule == known_errors.only("ECONNREFUSED", "timeout") != known_errors.only("timeout")
    assert hash(rule) == hash(known_errors.only("ECONNREFUSED", "timeout"))
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert eval(repr(rule), {"known_errors": known_errors}) == rule
    with pytest.raises(ValueError, match="must not contain known_errors"):
        register(rule, package="mylib")
