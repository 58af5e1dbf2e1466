"""Floor 2. `http_error`: errors of one's own clients, judged by the status and the headers that they carry."""

from __future__ import annotations

import errno
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Verdict, classify, http_error, known_errors
from redouble.known.http_error import HttpError


class ShopError(Exception):
    """An error of a user's own client."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("shop")
        vars(self).update(attributes)


def judged(rule: Any, **attributes: Any) -> tuple[Any, ...]:
    """What a rule makes of an error with these attributes."""
    found = rule.ask(ShopError(**attributes))
    return (None,) if found is None else (found.verdict, found.retry_after, found.applied)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {}, (Verdict.TRANSIENT, None, False)),
        (503, {"Retry-After": "7"}, (Verdict.TRANSIENT, 7.0, False)),
        (500, {}, (Verdict.TRANSIENT, None, True)),
        (404, {}, (Verdict.PERMANENT, None, False)),
        (200, {}, (None,)),
        (None, {}, (None,)),
        ("503", {}, (None,)),
        (True, {}, (None,)),
        (700, {}, (None,)),
        (503, None, None),
    ],
)
def test_by_status_and_headers(status: Any, headers: Any, expected: Any) -> None:
    """A status of 300 or more is judged as the errors of common clients are; without one, the rule does not speak."""
    found = judged(http_error(ShopError, status="http_status"), http_status=status, headers=headers)
    assert found == expected if expected is not None else found[0] is Verdict.TRANSIENT


@pytest.mark.parametrize(
    ("rule", "attributes"),
    [
        (http_error(ShopError), {"status": 429, "headers": {"Retry-After": "7"}}),
        (http_error(ShopError), {"status_code": 429, "headers": {"Retry-After": "7"}}),
        (
            http_error(ShopError, status="response.code", headers="response.meta"),
            {"response": SimpleNamespace(code=429, meta={"Retry-After": "7"})},
        ),
    ],
)
def test_where_status_and_headers_are(rule: Any, attributes: dict[str, Any]) -> None:
    """By default where HTTP clients keep them; else where a dotted path leads."""
    assert judged(rule, **attributes) == (Verdict.TRANSIENT, 7.0, False)


def test_an_attribute_that_raises_is_missing() -> None:
    """A property that raises is no status, and an error of another type is not asked for one."""

    class LazyError(ShopError):
        @property
        def http_status(self) -> int:
            raise RuntimeError("no")

    rule = http_error(ShopError, status="http_status")
    assert rule.ask(LazyError()) is None
    assert rule.ask(OSError()) is None


def test_beside_known_errors() -> None:
    """An error without a status is left to the next rule, and the leaves of a group are judged alone."""
    rule = http_error(ShopError, status="http_status") | known_errors
    lost = ShopError()
    lost.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    assert classify(lost, rule).verdict is Verdict.TRANSIENT
    group = ExceptionGroup("", [ShopError(http_status=503), ShopError(http_status=429, headers={"Retry-After": "3"})])
    assert classify(group, rule).retry_after == 3.0
    assert classify(ShopError(http_status=429), rule).reason.endswith("ShopError 429")


def test_a_date_is_read_with_the_rules_own_clock() -> None:
    """A Retry-After date without a Date header is measured from the wall clock, which tests inject."""
    rule = HttpError((ShopError,), None, "headers", lambda: 784111767.0)
    headers = {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert judged(rule, status=503, headers=headers)[1] == 10.0


@pytest.mark.parametrize("types", [(), (int,), ("ShopError",), (ShopError(),), (KeyboardInterrupt,)])
def test_what_is_no_type_is_refused(types: Any) -> None:
    """At least one exception type has to be named."""
    with pytest.raises(TypeError, match=r"^http_error\(\) "):
        http_error(*types)


@pytest.mark.parametrize("argument", ["status", "headers"])
@pytest.mark.parametrize(("value", "kind"), [(5, TypeError), (len, TypeError), ("", ValueError), ("a..b", ValueError)])
def test_a_bad_path_is_refused(argument: str, value: Any, kind: type[Exception]) -> None:
    """A path is a name, or names with dots between."""
    with pytest.raises(kind, match=rf"^{argument} must be the name of an attribute, or names with dots between, got "):
        http_error(ShopError, **{argument: value})


def test_it_is_a_value() -> None:
    """The rule is compared, hashed, pickled, and shown as it was written."""
    rule = http_error(ShopError, status="http_status")
    assert rule == http_error(ShopError, status="http_status") != http_error(ShopError)
    assert hash(rule) == hash(http_error(ShopError, status="http_status"))
    assert pickle.loads(pickle.dumps(rule)) == rule
    name = f"{__name__.partition('.')[0]}.ShopError"
    assert repr(rule) == f"http_error({name}, status='http_status')"
    assert repr(http_error(ShopError, headers="meta")) == f"http_error({name}, headers='meta')"
