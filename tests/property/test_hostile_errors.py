"""Laws of classification that hold for any error whatever, however it is made: an answer, little work, no noise."""

from __future__ import annotations

import asyncio
import errno
import warnings
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redouble import Classification, Rule, Verdict, classify, explain, known_errors
from redouble.core.causes import DEPTH, LEAVES
from redouble.core.checks import LONGEST
from redouble.known.classify import judge
from redouble.known.request import shows_unsafe_method
from redouble.known.tables import entries

NAMES = (
    *("__cause__", "__context__", "__suppress_context__", "__notes__", "__class__", "args", "exceptions", "errno"),
    *("body", "cause", "cmd", "code", "connection_invalidated", "details", "error", "error_code", "errors", "fp"),
    *(
        "grpc_status_code",
        "has_error_label",
        "headers",
        "inner_exception",
        "last_exception",
        "meta",
        "orig",
        "os_error",
    ),
    *("original_error", "pgcode", "pgconn", "rcvd", "reason", "request", "request_info", "response", "retriable"),
    *("retryable", "returncode", "sent", "sqlite_errorcode", "sqlstate", "status", "status_code", "trailing_metadata"),
    *("verify_code", "winerror", "_reason", "diag", "strerror", "filename", "pool", "url", "method"),
)
ITSELF = object()
"""Stands for the error itself, as an attribute of it."""


class Hostile:
    """Everything about it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __iter__(self) -> Any:
        raise RuntimeError("iter")

    def __len__(self) -> int:
        raise RuntimeError("len")

    __hash__ = None  # type: ignore[assignment]  # nor can it be hashed


class Raising:
    """An attribute that cannot be looked at."""

    def __get__(self, obj: Any, cls: Any = None) -> Any:
        raise RuntimeError("not set")


class Warning_:
    """An attribute that warns, as aiohttp's and websockets' `code` do; the tests make that an error."""

    def __get__(self, obj: Any, cls: Any = None) -> Any:
        warnings.warn("deprecated", DeprecationWarning, stacklevel=2)
        return 503


async def never_awaited() -> None:
    """A coroutine that somebody forgot."""


def forgotten() -> Any:
    """An async method where a plain one is expected."""
    return never_awaited


def itself() -> Any:
    """The error, as an attribute of it."""
    return ITSELF


def recursive() -> Any:
    """A list and a dict that hold themselves."""
    held: list[Any] = []
    held.append({"error": held, "code": held, "headers": held, None: held})
    return held


MADE = (
    *(Hostile, Raising, Warning_, Mock, MagicMock, recursive, lambda: count(), lambda: lambda *args, **more: Hostile()),
    *(lambda: "x" * 100_000, lambda: b"\x80" * 100_000, lambda: [Hostile()] * 1000, lambda: 10**5000),
    *(lambda: {str(number): Hostile() for number in range(300)}, lambda: KeyboardInterrupt(), forgotten),
    *(lambda: SimpleNamespace(status_code=503, headers=Hostile(), code=Hostile(), raw=Hostile()), itself),
    *(lambda: SimpleNamespace(status_code=503, headers={"Retry-After": "9" * 90}, method="POST"), lambda: Exception),
    *(lambda: ConnectionResetError(errno.ECONNRESET, "x"), lambda: ExceptionGroup("x", [ValueError(Hostile())])),
)
"""What makes a value that Hypothesis itself could not hold: it looks at what it draws."""

PLAIN = st.one_of(
    st.sampled_from([None, True, 0, -1, 104, 400, 429, 503, 1213, 40001, float("nan"), float("inf"), 75, 255]),
    st.sampled_from(
        ["40001", "LOADING", "slow_down", "SlowDown", "overloaded_error", "[SSL: X] x", "FATAL:  the database"]
    ),
    st.sampled_from([{}, {"error": "slow_down", "interval": 10**400}, {"Error": {"Code": "SlowDown"}}, ("x", 503), []]),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.integers(),
)
VALUES = st.sampled_from(MADE) | PLAIN


def value_of(drawn: Any) -> Any:
    """What was drawn, or what it makes."""
    return drawn() if drawn in MADE else drawn


def made(key: tuple[str, str], attributes: dict[str, Any], args: list[Any]) -> Exception:
    """An error of a class with this name; its attributes are the class's, so that they may be descriptors."""
    package, name = key
    values = {attribute: value_of(drawn) for attribute, drawn in attributes.items()}
    own = {each: property(lambda self: self) if value is ITSELF else value for each, value in values.items()}
    error: Exception = type(name, (Exception,), {"__module__": package, **own})(*(value_of(drawn) for drawn in args))
    return error


def check(found: Classification) -> None:
    """Any answer is complete and sane."""
    assert type(found) is Classification
    assert found.retry_after is None or 0.0 <= found.retry_after <= LONGEST
    assert type(found.applied) is bool
    assert type(found.reason) is str and 0 < len(found.reason) < 1000


@settings(max_examples=2 * settings().max_examples)
@given(
    st.sampled_from(sorted(entries())),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8),
    st.lists(VALUES, max_size=3),
)
@example(("grpc", "RpcError"), {"code": forgotten}, [])
@example(("requests", "HTTPError"), {"response": itself, "headers": itself, "status_code": 503}, [])
def test_any_attributes_of_any_known_class(key: tuple[str, str], attributes: dict[str, Any], args: list[Any]) -> None:
    """An error with the name of a known class and whatever attributes gets an answer; nothing is raised or warned of."""
    error = made(key, attributes, args)
    found = classify(error)
    check(found)
    assert shows_unsafe_method(error) in (True, False)
    assert explain(error).classification.verdict is found.verdict


@pytest.mark.parametrize("name", NAMES)
def test_each_attribute_with_each_value(name: str) -> None:
    """One by one, so that none is left to chance: on a class nobody knows, on wrappers, and in a group."""
    for key in (("nobody", "Error"), ("httpx", "ConnectError"), ("grpc", "RpcError"), ("sqlalchemy", "DBAPIError")):
        for make in MADE:
            error = made(key, {name: make}, ["x"])
            check(classify(error))
            check(classify(ExceptionGroup("x", [error])))
            assert shows_unsafe_method(error) in (True, False)
            assert explain(error).classification.verdict is classify(error).verdict


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_any_attributes_of_an_unknown_class(attributes: dict[str, Any]) -> None:
    """An error that nobody knows stays unknown whatever it carries, unless its cause is known or what it carries tells."""
    found = classify(made(("nobody", "Error"), attributes, []))
    check(found)
    assert found.guessed or found == Classification(Verdict.PERMANENT, reason="no rule knows nobody.Error")


class Counting(Rule):
    """A rule without an opinion that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, subject: Any, on_fault: Any = None) -> None:
        self.asked += 1


def chain(link: str, length: int, key: tuple[str, str] = ("nobody", "Error")) -> tuple[Exception, list[int]]:
    """A chain by one attribute, and how often any attribute of its errors was looked at."""
    looked = [0]

    def getattribute(self: Any, name: str) -> Any:
        looked[0] += 1
        return Exception.__getattribute__(self, name)

    cls: Any = type(key[1], (Exception,), {"__module__": key[0], "__getattribute__": getattribute})
    error: Any = cls("the root")
    for _ in range(length):
        outer = cls("x")
        setattr(outer, link, error)
        error = outer
    looked[0] = 0
    return error, looked


LINKS = ["__cause__", "__context__", "reason", "orig", "cause", "os_error", "inner_exception", "last_exception"]


@pytest.mark.parametrize("link", LINKS)
def test_a_long_chain_costs_no_more_than_a_short_one(link: str) -> None:
    """The work on a chain is that of its first links, for every known class: 100 links and 10,000 cost the same."""
    for key in sorted(entries()) if link == "__cause__" else [("httpx", "ConnectError"), ("urllib3", "MaxRetryError")]:
        steps = []
        for length in (100, 1000):
            error, looked = chain(link, length, key)
            check(classify(error))
            steps.append(looked[0])
        assert steps[0] == steps[1] < 5000, key


@pytest.mark.parametrize("link", LINKS)
def test_a_chain_of_ten_thousand(link: str) -> None:
    """A rule is asked of the first links alone, and a chain of ten thousand is let go without a trace."""
    error, _ = chain(link, 10_000)
    rule = Counting()
    check(judge(error, rule))
    assert rule.asked <= DEPTH
    check(classify(error))
    assert explain(error).classification.verdict is Verdict.PERMANENT
    while error is not None:  # taken apart link by link: a chain of custom attributes is freed by recursion otherwise
        inner, vars_ = getattr(error, link, None), error
        setattr(vars_, link, None)
        error = inner  # type: ignore[assignment]


def nested(depth: int, leaf: Exception) -> Exception:
    """Groups in groups."""
    error = leaf
    for _ in range(depth):
        error = ExceptionGroup("x", [error])
    return error


TREES = st.recursive(
    st.sampled_from([ConnectionResetError, ValueError, TimeoutError, FileNotFoundError, OSError]).map(
        lambda cls: cls()
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda errors: ExceptionGroup("x", errors)),
    max_leaves=25,
)


def leaves_of(error: BaseException) -> list[BaseException]:
    """All that are no groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves_of(each)]
    return [error]


@given(TREES)
def test_a_group_is_what_its_leaves_are(tree: Exception) -> None:
    """However groups are nested: transient when every leaf is, and it may have been applied when one of them may."""
    found = classify(tree)
    leaves = [classify(leaf) for leaf in leaves_of(tree) if isinstance(leaf, Exception)]
    transient = all(leaf.verdict is Verdict.TRANSIENT for leaf in leaves)
    assert (found.verdict is Verdict.TRANSIENT) == transient
    if transient:
        assert found.applied == any(leaf.applied for leaf in leaves)
    assert explain(tree).classification == found


@pytest.mark.parametrize(
    "group",
    [
        ExceptionGroup("wide", [ValueError()] * 100_000),
        ExceptionGroup("wide twice", [ExceptionGroup("x", [ValueError()] * 1000)] * 1000),
        nested(900, ValueError()),
    ],
    ids=lambda group: group.message,
)
def test_large_groups_cost_little(group: Exception) -> None:
    """A rule is asked of no more leaves than are looked at, however many there are."""
    rule = Counting()
    assert judge(group, rule).verdict is Verdict.PERMANENT
    assert rule.asked <= LEAVES + 1


def test_one_group_many_times_over_costs_little() -> None:
    """A group that holds another twice, which holds another twice: a million leaves out of twenty objects."""
    error: Exception = ConnectionResetError()
    for _ in range(20):
        error = ExceptionGroup("x", [error, error])
    rule = Counting()
    assert judge(error, rule).verdict is Verdict.PERMANENT
    assert rule.asked <= LEAVES + 1
    assert classify(error).reason == "ExceptionGroup of too many errors"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(LINKS)), max_size=15))
def test_any_tangle_comes_to_an_end(links: list[tuple[int, int, str]]) -> None:
    """Errors and groups that are each other's causes, contexts and attributes in any way at all."""
    keys = [("httpx", "ConnectError"), ("urllib3", "MaxRetryError"), ("sqlalchemy", "DBAPIError"), ("mine", "Error")]
    errors: list[Any] = [made(key, {}, ["x"]) for key in keys]
    errors.append(ExceptionGroup("x", errors[:2]))
    errors.append(ExceptionGroup("x", [*errors[2:], ConnectionResetError()]))
    for start, end, link in links:
        setattr(errors[start], link, errors[end])
    for error in errors:
        check(classify(error))
        assert explain(error).classification.verdict is classify(error).verdict
    for start, _, link in links:
        setattr(errors[start], link, None)


@given(st.sampled_from([KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]), st.booleans())
def test_what_is_no_exception_never_counts_as_transient(cls: type[BaseException], in_a_group: bool) -> None:
    """Neither by itself nor as a leaf of a group."""
    error = BaseExceptionGroup("x", [ConnectionResetError(), cls()]) if in_a_group else cls()
    assert classify(error).verdict is Verdict.PERMANENT
    assert classify(error, known_errors | Exception).verdict is Verdict.PERMANENT


# Every class that the tables know, with the same value in every attribute.


READ = (
    *("args", "errno", "code", "details", "trailing_metadata", "sqlstate", "pgcode", "pgconn", "orig", "rcvd", "sent"),
    *("status_code", "status", "response", "headers", "body", "errors", "cause", "reason", "retriable", "request"),
    *("sqlite_errorcode", "has_error_label", "connection_invalidated", "grpc_status_code", "os_error", "returncode"),
)

EVERYWHERE: dict[str, Any] = {
    "hostile": Hostile(),
    "mock": Mock(),
    "huge number": 10**400,
    "huge text": "x" * 1_000_000,
    "huge bytes": b"\x80" * 1_000_000,
    "dict": {"code": Hostile(), None: None},
    "list": [Hostile()] * 1000,
    "nan": float("nan"),
    "bool": True,
    "class": Hostile,
    "namespace": SimpleNamespace(code=Hostile(), status_code=Hostile(), headers=Hostile()),
    "function": lambda *args, **kwargs: Hostile(),
    "error": ValueError(Hostile()),
}


def full_of(key: tuple[str, str], value: Any) -> Exception:
    """An error of a class with this name, all of whose attributes are `value`, and which it hands out as its text."""
    attributes = {name: value for name in READ if name != "args"}
    cls: Any = type(key[1], (Exception,), {"__module__": key[0], **attributes})
    error: Exception = cls(value)
    return error


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_any_attribute(kind: str) -> None:
    """No value of any attribute makes a reader raise, or (warnings being errors) warn."""
    for key in sorted(entries()):
        found = known_errors.ask(full_of(key, EVERYWHERE[kind]))
        assert found is None or type(found) is Classification, key


def test_properties_that_raise() -> None:
    """Nor does an attribute that cannot even be looked at."""

    def refuse(_: Any) -> Any:
        raise RuntimeError("not set")

    for package, name in sorted(entries()):
        cls = type(name, (Exception,), {"__module__": package, **{each: property(refuse) for each in READ}})
        found = known_errors.ask(cls())
        assert found is None or type(found) is Classification, (package, name)


@pytest.mark.parametrize("link", ["__cause__", "__context__", "orig", "reason", "response", "cause", "os_error"])
def test_chains_without_end(link: str) -> None:
    """A chain of ten thousand, and one that bites its tail."""
    for key in sorted(entries()):
        cls: Any = type(key[1], (Exception,), {"__module__": key[0]})
        first = last = cls("x")
        for _ in range(100):
            outer = cls("x")
            setattr(outer, link, last)
            last = outer
        assert type(classify(last)) is Classification
        setattr(first, link, last)
        assert type(classify(last)) is Classification
        setattr(first, link, None)  # no cycle is left behind
