"""Floor 1. elasticsearch's errors: lookalikes by name, and the real ones where elasticsearch is installed."""

from __future__ import annotations

import errno
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def made(
    name: str, package: str = "elastic_transport", cause: BaseException | None = None, **attributes: Any
) -> Exception:
    """An error whose class has the name of one of elasticsearch's."""
    error: Exception = type(name, (Exception,), {"__module__": package})("m")
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize("package", ["elastic_transport", "elasticsearch"])
def test_statuses(package: str) -> None:
    """By the status and the headers of `meta`."""
    meta = SimpleNamespace(status=429, headers={"retry-after": "2"})
    found = ask(made("ApiError", package, meta=meta))
    assert (found.verdict, found.retry_after, found.reason) == (T, 2.0, f"{package}.ApiError 429")
    assert ask(made("ApiError", package, meta=SimpleNamespace(status=409))).verdict is P
    assert known_errors.ask(made("ApiError", package)) is None


@pytest.mark.parametrize(
    ("package", "name", "verdict", "applied"),
    [
        ("elastic_transport", "ConnectionError", T, True),
        ("elastic_transport", "ConnectionTimeout", T, True),
        ("elastic_transport", "TlsError", P, False),
        ("elastic_transport", "SniffingError", T, False),
        ("elastic_transport", "SerializationError", P, True),
        ("elasticsearch", "UnsupportedProductError", P, True),
        ("elasticsearch", "BulkIndexError", P, True),
    ],
)
def test_classes(package: str, name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone."""
    found = ask(made(name, package))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"{package}.{name}")


def test_roots() -> None:
    """The phase is that of what lies beneath; errors of earlier attempts do not count."""
    refused = made("NewConnectionError", "urllib3.exceptions", cause=ConnectionRefusedError(errno.ECONNREFUSED, "x"))
    earlier = (made("TlsError", cause=ssl.SSLCertVerificationError(1, "x")),)
    found = ask(made("ConnectionError", cause=refused, errors=earlier))
    assert (found.verdict, found.applied) == (T, False)
    hidden = made("TlsError")
    hidden.__context__, hidden.__suppress_context__ = ssl.SSLEOFError(8, "x"), True
    assert ask(hidden).verdict is T


def test_the_real_ones() -> None:
    """The names and attributes are those that elasticsearch has."""
    elasticsearch = pytest.importorskip("elasticsearch")
    transport = pytest.importorskip("elastic_transport")
    node = transport.NodeConfig("http", "x", 80)
    headers = transport.HttpHeaders({"Retry-After": "2"})
    meta = transport.ApiResponseMeta(status=503, http_version="1.1", headers=headers, duration=0.1, node=node)
    found = ask(elasticsearch.ApiError("m", meta=meta, body={}))
    assert (found.verdict, found.retry_after) == (T, 2.0)
    assert ask(elasticsearch.NotFoundError("m", meta=meta, body={})).reason == "elasticsearch.NotFoundError 503"
    assert ask(transport.ConnectionTimeout("x")).applied is True
