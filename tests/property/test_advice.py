"""Following the advice changes the verdict on this error, and on what means the same, and on nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import redouble
from redouble import Verdict, classify, known_errors, permanent, transient
from redouble.known.advice import advice_unsafe, change
from redouble.known.classify import is_unknown
from redouble.known.explain import explain


def kind(module: str, name: str, base: type[Exception] = Exception) -> Any:
    """A class of a client or of a program."""
    return type(name, (base,), {"__module__": module})


HTTPError = kind("requests.exceptions", "HTTPError", OSError)
ConnectionLost = kind("redis.exceptions", "ConnectionError")
Authentication = kind("redis.exceptions", "AuthenticationError", ConnectionLost)
Busy, Late = kind("shop.errors", "Busy"), kind("shop.errors", "Late")
VeryBusy = kind("shop.errors", "VeryBusy", Busy)

NAMES = {
    **vars(redouble),
    **{name: getattr(redouble, name) for name in ("classify", "known_errors", "permanent", "transient")},
    "requests": SimpleNamespace(exceptions=SimpleNamespace(HTTPError=HTTPError)),
    "redis": SimpleNamespace(
        exceptions=SimpleNamespace(ConnectionError=ConnectionLost, AuthenticationError=Authentication)
    ),
    "shop": SimpleNamespace(
        **{cls.__name__: cls for cls in (Busy, Late, VeryBusy)},
        errors=SimpleNamespace(Busy=Busy, Late=Late, VeryBusy=VeryBusy),
    ),
}


def answered(status: int, **headers: str) -> Exception:
    """What raise_for_status raises."""
    error: Exception = HTTPError("x")
    error.response = SimpleNamespace(status_code=status, headers=headers, _content=b"")  # type: ignore[attr-defined]
    return error


def over(error: Exception, cause: Exception) -> Exception:
    """The error, raised from another."""
    error.__cause__ = cause
    return error


POOL = (
    *(OSError(number, "x") for number in (2, 4, 11, 13, 28, 32, 103, 104, 110, 111, 113)),
    *(OSError("x"), TimeoutError(), ConnectionError(), ValueError("x"), UnicodeError("x"), KeyError("x")),
    *(answered(status) for status in (400, 404, 429, 500, 503)),
    *(answered(429, **{"Retry-After": "7"}), answered(403, **{"Retry-After": "7"})),
    *(ConnectionLost("x"), Authentication("x"), Busy("x"), VeryBusy("x"), Late("x")),
    *(over(Busy("x"), ConnectionResetError(104, "x")), over(Late("x"), FileNotFoundError(2, "x"))),
    over(ConnectionError("x"), PermissionError(13, "x")),
)
RULES = (
    known_errors,
    transient(Late) | known_errors,
    permanent(Busy) | known_errors,
    transient(OSError) | known_errors,
    permanent(ConnectionError, TimeoutError) | known_errors,
)
errors, rules = st.sampled_from(POOL), st.sampled_from(RULES)


def written(code: str) -> Any:
    """The rule that an advice says to write."""
    return eval(code, NAMES)


def same(error: Exception, other: Exception, rule: Any) -> bool:
    """Whether two errors mean the same by a rule: one class and one reason; of a class that says all, or nothing, one class."""
    if type(error) is not type(other):
        return False
    one, two = classify(error, rule), classify(other, rule)
    if is_unknown(one) or one.row is None:
        return True
    of_errno = type(error).__module__ == "builtins" and type(error) is not OSError
    return one.reason == two.reason or (of_errno and one.verdict is two.verdict)


def told(error: Exception, rule: Any) -> tuple[Any, ...]:
    """What a rule makes of an error: what is permanent is not repeated, whatever else is said of it."""
    found = classify(error, rule)
    return (found.verdict, *((found.applied, found.retry_after) if found.verdict is Verdict.TRANSIENT else ()))


@given(errors, rules)
def test_it_changes_this_verdict_and_nothing_else(error: Exception, rule: Any) -> None:
    """Either way; and where nothing knew the error, it is known now."""
    maker = "transient" if classify(error, rule).verdict is Verdict.PERMANENT else "permanent"
    changed = written(change(error, rule, maker))
    assert classify(error, changed).verdict.value == maker
    for other in POOL:
        means_the_same = same(error, other, rule) or same(error, other, known_errors)
        assert means_the_same or told(other, rule) == told(other, changed), (other, maker)
    if is_unknown(classify(error, rule)):
        assert not is_unknown(classify(error, written(change(error, rule, "permanent"))))


@given(errors, rules)
def test_explain_shows_it(error: Exception, rule: Any) -> None:
    """The last line of an explanation is that advice."""
    code = explain(error, rule).override.removeprefix("retry(on=").removesuffix(")")
    assert classify(error, written(code)).verdict is not classify(error, rule).verdict


@given(errors, rules)
def test_what_the_note_of_unsafe_says(error: Exception, rule: Any) -> None:
    """It is surely not applied then, transient, and all else is as before."""
    text = advice_unsafe(error, None, rule=rule).partition(", or on=")[2].removesuffix(" if it was surely not done")
    changed = written(text)
    found = classify(error, changed)
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, False)
    for other in POOL:
        means_the_same = same(error, other, rule) or same(error, other, known_errors)
        assert means_the_same or told(other, rule) == told(other, changed), other
