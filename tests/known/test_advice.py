"""Floor 2. What to write about an error that no rule knows."""

from __future__ import annotations

import errno
import sys
from typing import Any

import pytest

from redouble import Verdict, classify, known_errors, permanent, register, transient
from redouble.known.advice import advice


class CloudError(Exception):
    """An error that nothing knows."""


class OtherError(Exception):
    """Another one."""


class BaseCloudError(Exception):
    """A class with others derived from it."""


class DerivedError(BaseCloudError):
    """One of those."""


CLOUD, OTHER, BASE = (f"{cls.__module__}.{cls.__qualname__}" for cls in (CloudError, OtherError, BaseCloudError))


def on(text: str | None) -> str:
    """The code that an advice says to write for what may pass."""
    assert text is not None and text.startswith("if trying again can help, write on=")
    return text.removeprefix("if trying again can help, write on=").partition(", else ")[0]


def test_in_front_of_known_errors() -> None:
    """Where the default is in force, the usual form is shown, for both ways."""
    assert advice(CloudError(), known_errors) == (
        f"if trying again can help, write on=transient({CLOUD}) | known_errors, else"
        f" permanent({CLOUD}) | known_errors to be told no more"
    )


def test_the_rule_in_force_is_kept() -> None:
    """The advice keeps all that is in force."""
    rule = transient(OtherError) | known_errors
    assert on(advice(CloudError(), rule)) == f"transient({CLOUD}) | {rule!r}"


@pytest.mark.parametrize("rule", [transient(CloudError), known_errors.only("timeout"), None])
def test_no_advice_where_known_errors_is_not_in_force(rule: Any) -> None:
    """Who wrote what is to be retried is not told that a reset is unknown: that would be false."""
    assert advice(ConnectionResetError(errno.ECONNRESET, "x"), rule) is None
    assert advice(OtherError(), rule) is None


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (ConnectionResetError(errno.ECONNRESET, "x"), known_errors),
        (FileNotFoundError(errno.ENOENT, "x"), known_errors),
        (CloudError(), permanent(CloudError) | known_errors),
        (CloudError(), transient(CloudError) | known_errors),
        (CloudError(), [lambda error: Verdict.PERMANENT, known_errors]),
    ],
)
def test_no_advice_where_somebody_has_an_opinion(error: Exception, rule: Any) -> None:
    """What is known, or written, needs no advice."""
    from redouble.core.verdict import as_rule

    assert advice(error, as_rule("on", rule)) is None


def test_a_class_with_heirs_is_named_exactly() -> None:
    """Naming a general class would change the verdict on all that is derived from it."""
    text = on(advice(BaseCloudError(), known_errors))
    assert text == f"known_errors | transient({BASE}, when=lambda error: type(error) in ({BASE},))"
    assert "when=lambda" in on(advice(OSError("x"), known_errors))
    assert "when=lambda" in on(advice(Exception("x"), known_errors))


def test_behind_a_rule_that_may_speak_of_the_same_error() -> None:
    """What a predicate says of other errors of this type is not overruled."""
    rule = permanent(CloudError, when=lambda error: error.args == ("gone",)) | known_errors
    assert on(advice(CloudError(), rule)) == f"{rule!r} | transient({CLOUD})"
    rule = permanent(when=lambda error: error.args == ("gone",)) | known_errors
    assert on(advice(CloudError(), rule)) == f"{rule!r} | transient({CLOUD})"


def test_behind_what_a_library_registered() -> None:
    """A library's rule about others of its errors is not overruled either."""
    kind = type("Odd", (Exception,), {"__module__": "mylib.errors"})
    unregister = register(permanent(kind, when=lambda error: error.args == ("gone",)), package="mylib")
    try:
        assert on(advice(kind(), known_errors)) == "known_errors | transient(mylib.errors.Odd)"
    finally:
        unregister()


def test_the_unknown_leaves_of_a_group_are_named() -> None:
    """Of a group all types that are unknown are named, and no group that is permanent anyway."""
    text = advice(
        ExceptionGroup("", [CloudError(), ConnectionResetError(errno.ECONNRESET, "x"), OtherError()]), known_errors
    )
    assert on(text) == f"transient({CLOUD}, {OTHER}) | known_errors"
    assert advice(ExceptionGroup("", [CloudError(), PermissionError(errno.EACCES, "x")]), known_errors) is None
    assert "when=lambda" in on(advice(OSError("Multiple exceptions: [Errno 9999] x"), known_errors))


def raised_while(handled: Exception, error: Exception, cause: Any = ...) -> Exception:
    """An error that was raised while another one was handled."""
    try:
        try:
            raise handled
        except Exception:
            if cause is ...:
                raise error  # noqa: B904
            raise error from cause
    except Exception as caught:
        return caught


def test_a_context_that_would_have_been_known_is_named() -> None:
    """An error that was raised in an `except` without `from` hides what is known."""
    text = advice(raised_while(ConnectionResetError(errno.ECONNRESET, "x"), CloudError()), known_errors)
    assert text is not None
    assert text.endswith(
        "; it was raised while ConnectionResetError was handled, which is known: raise it from that (`raise ... from error`)"
    )
    deeper = raised_while(raised_while(ConnectionResetError(errno.ECONNRESET, "x"), OtherError()), CloudError())
    assert "ConnectionResetError was handled" in (advice(deeper, known_errors) or "")


@pytest.mark.parametrize("handled", [KeyError("x"), FileNotFoundError(errno.ENOENT, "x")])
def test_a_context_that_says_nothing_is_not_named(handled: Exception) -> None:
    """An unknown context, and one that is permanent anyway, would change nothing."""
    text = advice(raised_while(handled, CloudError()), known_errors)
    assert text is not None and text.endswith("to be told no more")


def test_a_suppressed_context_is_not_named() -> None:
    """`raise ... from None` says that what was handled does not matter, and a cause that it was something else."""
    for cause in (None, ValueError("x")):
        text = advice(raised_while(ConnectionResetError(errno.ECONNRESET, "x"), CloudError(), cause), known_errors)
        assert text is not None and text.endswith("to be told no more")


def test_a_cycle_of_contexts_ends() -> None:
    """Contexts that come back to the error are walked once."""
    one, other = CloudError(), OtherError()
    one.__context__, other.__context__ = other, one
    text = advice(one, known_errors)
    assert text is not None and text.endswith("to be told no more")


def test_a_class_whose_name_lies() -> None:
    """A class with a strange module is named as reasons name it."""
    strange = type("Strange", (Exception,), {"__module__": None})
    assert classify(strange()).verdict is Verdict.PERMANENT
    assert on(advice(strange(), known_errors)) == "transient(Strange) | known_errors"


class Hostile:
    """A module that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_name_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a module does not answer, an error is named as reasons name it."""
    monkeypatch.setitem(sys.modules, CLOUD.partition(".")[0], Hostile())  # type: ignore[arg-type]
    assert on(advice(CloudError(), known_errors)) == f"transient({CLOUD.partition('.')[0]}.CloudError) | known_errors"


def test_a_chain_of_contexts_is_bounded() -> None:
    """Beyond so many contexts nobody looks."""
    error: Exception = ConnectionResetError(errno.ECONNRESET, "x")
    for _ in range(50):
        outer = CloudError()
        outer.__context__, error = error, outer
    text = advice(error, known_errors)
    assert text is not None and text.endswith("to be told no more")
