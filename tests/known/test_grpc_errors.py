"""Floor 1. gRPC's errors, and Google's that are born of them: lookalikes by name, and the real ones where installed."""

from __future__ import annotations

import asyncio
import enum
import itertools
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
INFO = bytes.fromhex(
    "1a300a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f12040a020803"
)
NOBODY = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: "


def kind(name: str, *bases: type, module: str = "grpc") -> Any:
    """A class that has the name of one of gRPC's."""
    return type(name, bases or (Exception,), {"__module__": module})


RPC = kind("RpcError")


class Call(kind("_InactiveRpcError", RPC, module="grpc._channel")):  # type: ignore[misc]  # made at run time
    """As grpc raises it."""

    def __init__(self, code: Any, details: Any = "", trailers: Any = ()) -> None:
        self.answers = (enum.Enum("StatusCode", [code])[code] if isinstance(code, str) else code, details, trailers)

    def code(self) -> Any:
        """The status code."""
        return self.answers[0]

    def details(self) -> Any:
        """The text."""
        return self.answers[1]

    def trailing_metadata(self) -> Any:
        """The trailers."""
        return self.answers[2]


Call.__module__ = "grpc._channel"


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("codes", "verdict", "applied"),
    [
        ("UNAVAILABLE DEADLINE_EXCEEDED", T, True),
        ("RESOURCE_EXHAUSTED ABORTED", T, False),
        ("INTERNAL UNKNOWN DATA_LOSS CANCELLED OK", P, True),
        ("UNAUTHENTICATED PERMISSION_DENIED INVALID_ARGUMENT NOT_FOUND OUT_OF_RANGE", P, False),
        ("ALREADY_EXISTS FAILED_PRECONDITION UNIMPLEMENTED", P, False),
    ],
)
def test_codes(codes: str, verdict: Verdict, applied: bool) -> None:
    """Each of the seventeen."""
    for code in codes.split():
        found = ask(Call(code))
        assert (found.verdict, found.applied, found.retry_after) == (verdict, applied, None), code
        assert found.reason == f"grpc.Call [{code}]"


@pytest.mark.parametrize(
    ("code", "details", "verdict", "applied"),
    [
        ("UNAVAILABLE", NOBODY + "Connection refused", T, False),
        ("UNAVAILABLE", "recvmsg:Connection reset by peer", T, True),
        ("UNAVAILABLE", "Socket closed", T, True),
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:h:1: Socket closed",
            T,
            False,
        ),
        ("UNAVAILABLE", "DNS resolution failed for h:1: Timeout while contacting DNS servers", T, False),
        (
            "UNAVAILABLE",
            "DNS resolution failed for h:1: C-ares status is not ARES_SUCCESS: Domain name not found",
            P,
            False,
        ),
        ("UNAVAILABLE", "errors resolving h:1: [field:hostname lookup error: Domain name not found]", P, False),
        ("UNAVAILABLE", NOBODY + "Tls handshake failed (TSI_PROTOCOL_FAILURE): CERTIFICATE_VERIFY_FAILED", P, False),
        ("UNAVAILABLE", NOBODY + "Failed parsing HTTP/2 (Trying to connect an http1.x server)", P, False),
        ("UNAVAILABLE", None, T, True),
        ("UNAVAILABLE", b"failed to connect to all addresses", T, True),
        ("RESOURCE_EXHAUSTED", "quota", T, False),
        ("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (5242880 vs. 4194304)", P, True),
        ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5242880 vs. 4194304)", P, True),
        ("RESOURCE_EXHAUSTED", "CLIENT: Sent message larger than max (5242880 vs. 4194304)", P, False),
        ("RESOURCE_EXHAUSTED", "Sent message larger than max (5242880 vs. 4194304)", P, False),
        ("RESOURCE_EXHAUSTED", "SERVER: Sent message larger than max (5242880 vs. 4194304)", P, True),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000", P, True),
        ("NOT_FOUND", NOBODY, P, False),
    ],
)
def test_details(code: str, details: Any, verdict: Verdict, applied: bool) -> None:
    """What the code alone does not tell."""
    found = ask(Call(code, details))
    assert (found.verdict, found.applied) == (verdict, applied)


@pytest.mark.parametrize(
    ("code", "trailers", "verdict", "applied", "hint"),
    [
        ("RESOURCE_EXHAUSTED", [("grpc-status-details-bin", INFO)], T, False, 3.0),
        ("UNAVAILABLE", [("Grpc-Status-Details-Bin", INFO)], T, True, 3.0),
        ("UNAVAILABLE", [("grpc-status-details-bin", b"junk")], T, True, None),
        ("UNAVAILABLE", [("grpc-retry-pushback-ms", "1250")], T, False, 1.25),
        ("UNAVAILABLE", [("grpc-status-details-bin", INFO), ("grpc-retry-pushback-ms", "1250")], T, False, 1.25),
        ("UNAVAILABLE", [("grpc-retry-pushback-ms", "1250"), ("grpc-retry-pushback-ms", "9")], T, False, 1.25),
        ("UNAVAILABLE", [("grpc-retry-pushback-ms", "-1")], P, False, None),
        ("UNAVAILABLE", [("grpc-retry-pushback-ms", "soon")], P, False, None),
        ("INTERNAL", [("grpc-retry-pushback-ms", "1250")], P, True, None),
        ("NOT_FOUND", [("grpc-status-details-bin", INFO)], P, False, None),
        ("UNAVAILABLE", ["text", ("a",), (1, 2), ["grpc-retry-pushback-ms", "1250"]], T, True, None),
        ("UNAVAILABLE", None, T, True, None),
        ("UNAVAILABLE", 5, T, True, None),
        ("UNAVAILABLE", itertools.repeat(("a", "b")), T, True, None),
    ],
)
def test_trailers(code: str, trailers: Any, verdict: Verdict, applied: bool, hint: float | None) -> None:
    """Pushback outranks RetryInfo, and can forbid; no hint makes a permanent code transient."""
    found = ask(Call(code, "m", trailers))
    assert (found.verdict, found.applied, found.retry_after) == (verdict, applied, hint)


@pytest.mark.parametrize("code", [None, 14, object()])
def test_what_is_no_code(code: Any) -> None:
    """An RpcError without a status code has no opinion."""
    assert known_errors.ask(Call(code)) is None
    assert known_errors.ask(RPC("x")) is None


def test_methods_that_misbehave() -> None:
    """One that raises counts as missing; a coroutine is closed, so that nobody warns of it."""

    class Raising(Call):
        def details(self) -> Any:
            raise RuntimeError("no")

    class Later(Call):
        async def code(self) -> Any:
            await asyncio.sleep(0)

    assert ask(Raising("UNAVAILABLE")).verdict is T
    assert known_errors.ask(Later("UNAVAILABLE")) is None


@pytest.mark.parametrize(
    ("name", "verdict"), [("FutureTimeoutError", T), ("FutureCancelledError", P), ("UsageError", P), ("BaseError", P)]
)
def test_classes(name: str, verdict: Verdict) -> None:
    """Classes that decide alone."""
    base = kind("BaseError", module="grpc._cython.cygrpc")
    assert ask(kind(name, base)("x")).verdict is verdict


def google(code: Any, response: Any = None, cause: Any = None) -> Any:
    """As google-api-core raises it."""
    error = kind("GoogleAPICallError", module="google.api_core.exceptions")("x")
    error.grpc_status_code = enum.Enum("StatusCode", [code])[code] if isinstance(code, str) else code
    error.response, error.__cause__ = response, cause
    return error


@pytest.mark.parametrize(
    ("code", "verdict", "applied"),
    [
        ("UNAVAILABLE", T, True),
        ("RESOURCE_EXHAUSTED", T, True),
        ("ABORTED", T, True),
        ("INTERNAL", T, True),
        ("UNKNOWN", P, True),
        ("NOT_FOUND", P, False),
    ],
)
def test_google(code: str, verdict: Verdict, applied: bool) -> None:
    """As the call beneath; it may have been tried before, so that it may always have been applied."""
    call = Call(code)
    for error in (google(code, call), google(code, None, call), google(None, call), google(code)):
        found = ask(error)
        assert (found.verdict, found.applied) == (verdict, applied)


def test_google_with_trailers() -> None:
    """Details and trailers are the call's."""
    found = ask(google("UNAVAILABLE", Call("UNAVAILABLE", "m", [("grpc-retry-pushback-ms", "50")])))
    assert (found.retry_after, found.applied) == (0.05, True)
    assert found.reason == "grpc.Call [UNAVAILABLE] under google.GoogleAPICallError"


def test_google_without_a_code() -> None:
    """Nothing to go by."""

    class HostileMeta(type):
        @property
        def __module__(cls) -> str:  # type: ignore[override]  # that is the hostility
            raise RuntimeError("no")

    for error in (google(None), google("WHATEVER", HostileMeta("X", (Exception,), {})())):
        assert ask(error).verdict is Verdict.PERMANENT
        assert ask(error).reason == "google.GoogleAPICallError"


def test_the_real_grpc() -> None:
    """The errors of grpc and of grpc.aio."""
    grpc = pytest.importorskip("grpc")
    aio = pytest.importorskip("grpc.aio")
    from grpc import _channel

    state = _channel._RPCState((), (), (("grpc-retry-pushback-ms", "1250"),), grpc.StatusCode.UNAVAILABLE, "m")
    assert ask(_channel._InactiveRpcError(state)).retry_after == 1.25
    trailers = aio.Metadata(("grpc-status-details-bin", INFO))
    error = aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, aio.Metadata(), trailers, details="quota")
    assert (ask(error).retry_after, ask(error).reason) == (3.0, "grpc.AioRpcError [RESOURCE_EXHAUSTED]")
    assert ask(grpc.FutureTimeoutError()).verdict is T
