"""Floor 1. Every class that the tables know, with attributes that nobody would expect: an answer or none, never more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from redouble import Classification, classify, known_errors
from redouble.known.tables import entries

KEYS = sorted(entries())
NAMES = (
    *("args", "errno", "code", "details", "trailing_metadata", "sqlstate", "pgcode", "pgconn", "orig", "rcvd", "sent"),
    *("status_code", "status", "response", "headers", "body", "errors", "cause", "reason", "retriable", "request"),
    *("sqlite_errorcode", "has_error_label", "connection_invalidated", "grpc_status_code", "os_error", "returncode"),
)


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

    __hash__ = None  # type: ignore[assignment]  # nor can it be hashed


VALUES: dict[str, Any] = {
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


def of(key: tuple[str, str], value: Any) -> Exception:
    """An error of a class with this name, all of whose attributes are `value`, and which it hands out as its text."""
    attributes = {name: value for name in NAMES if name != "args"}
    cls: Any = type(key[1], (Exception,), {"__module__": key[0], **attributes})
    error: Exception = cls(value)
    return error


@pytest.mark.parametrize("kind", VALUES)
def test_any_attribute(kind: str) -> None:
    """No value of any attribute makes a reader raise, or (warnings being errors) warn."""
    for key in KEYS:
        found = known_errors.ask(of(key, VALUES[kind]))
        assert found is None or type(found) is Classification, key


def test_properties_that_raise() -> None:
    """Nor does an attribute that cannot even be looked at."""

    def refuse(_: Any) -> Any:
        raise RuntimeError("not set")

    for package, name in KEYS:
        cls = type(name, (Exception,), {"__module__": package, **{each: property(refuse) for each in NAMES}})
        found = known_errors.ask(cls())
        assert found is None or type(found) is Classification, (package, name)


@pytest.mark.parametrize("link", ["__cause__", "__context__", "orig", "reason", "response", "cause", "os_error"])
def test_chains_without_end(link: str) -> None:
    """A chain of ten thousand, and one that bites its tail."""
    for key in KEYS:
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
