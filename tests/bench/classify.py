"""What recognising an error costs: in microseconds per `classify`, for types that were met before.

    python tests/bench/classify.py [rounds]

The errors of clients are stand-ins with the names and attributes of the real ones, so that no client need be installed;
each figure is the least of the rounds. Known errors should stay under 10 us, those without a chain under 1 us, those with
a wait to be read out of a date, a list or a message under 25 us, and what a hostile peer can send under 1 ms.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
import urllib.error
from itertools import repeat
from subprocess import CalledProcessError
from types import SimpleNamespace
from typing import Any

from redouble import classify
from redouble.known.explain import explain
from redouble.known.registered import register

HEADERS = {"Content-Type": "application/json", "Date": "Sun, 06 Nov 1994 08:49:07 GMT"}


def made(name: str, *args: Any, cause: Any = None, base: type[Exception] = Exception, **attributes: Any) -> Exception:
    """An error whose class has a client's name: `httpx.ConnectError`."""
    package, _, last = name.rpartition(".")
    error: Exception = type(last, (base,), {"__module__": package})(*args)
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def over_http(status: int, **headers: str) -> Exception:
    """What raise_for_status raises."""
    response = SimpleNamespace(status_code=status, headers={**HEADERS, **headers}, _content=b"")
    return made("requests.exceptions.HTTPError", "x", base=OSError, response=response)


def from_grpc(code: str, *trailers: tuple[str, Any]) -> Exception:
    """An RpcError with its three methods."""
    error = made("grpc.RpcError")
    vars(error).update(
        code=lambda: SimpleNamespace(_name_=code), details=lambda: "x", trailing_metadata=lambda: trailers
    )
    return error


def deep(length: int) -> Exception:
    """A chain of causes that nobody knows, with a reset at its far end."""
    error: Exception = ConnectionResetError(104, "x")
    for _ in range(length):
        outer = ValueError()
        outer.__cause__ = error
        error = outer
    return error


REFUSED = ConnectionRefusedError(111, "refused")
WITHOUT_CHAIN = {
    "OSError by errno": REFUSED,
    "TimeoutError without errno": TimeoutError(),
    "unknown ValueError": ValueError("x"),
    "gaierror": socket.gaierror(socket.EAI_AGAIN, "x"),
    "SSLEOFError": ssl.SSLEOFError(8, "x"),
    "requests.ReadTimeout": made("requests.exceptions.ReadTimeout", "x", base=OSError),
    "a user's TimeoutError": made("mine.Late", base=TimeoutError),
}
ANY = {
    "httpx.ConnectError over a refused port": made(
        "httpx.ConnectError", "x", cause=made("httpcore.ConnectError", "x", cause=REFUSED)
    ),
    "requests.HTTPError 503": over_http(503),
    "requests.HTTPError 429 with Retry-After": over_http(429, **{"Retry-After": "7"}),
    "grpc UNAVAILABLE": from_grpc("UNAVAILABLE"),
    "botocore.ClientError": made(
        "botocore.exceptions.ClientError",
        "x",
        response={"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503, "HTTPHeaders": HEADERS}},
    ),
    "psycopg 40001": made("psycopg.Error", "x", sqlstate="40001"),
    "CalledProcessError curl": CalledProcessError(7, ["curl", "-s", "https://example.org"]),
    "two addresses": ExceptionGroup("x", [REFUSED, OSError(101, "x")]),
}
WITH_A_WAIT = {
    "requests.HTTPError 429 with RateLimit": over_http(429, RateLimit='"default";r=0;t=30'),
    "urllib.HTTPError 503, date": urllib.error.HTTPError(
        "",
        503,
        "",
        {**HEADERS, "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"},
        None,  # type: ignore[arg-type]
    ),
    "grpc RESOURCE_EXHAUSTED with RetryInfo": from_grpc(
        "RESOURCE_EXHAUSTED",
        (
            "grpc-status-details-bin",
            bytes.fromhex(
                "1a300a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f12040a020803"
            ),
        ),
    ),
}


def received(error: Exception) -> Exception:
    """The error, raised in its own package, so that all that may be guessed of it is."""
    module: dict[str, Any] = {"__name__": type(error).__module__}
    exec("def throw(error):\n    raise error\n", module)
    try:
        module["throw"](error)
    except Exception as caught:
        return caught
    return error


UNKNOWN = {
    "of a client, not raised": made("a_client.errors.Odd", "x"),
    "raised by its client, which tells nothing": received(made("a_client.errors.Odd", "x" * 1000)),
    "raised by its client, with a status": received(made("a_client.errors.Odd", "x", status_code=503)),
    "raised by its client, a text of 10 MB": received(made("a_client.errors.Odd", "x\n" * 5_000_000)),
}
HOSTILE = {
    "a chain of 10,000": deep(10_000),
    "a group of 100,000": ExceptionGroup("x", [REFUSED] * 100_000),
    "a group of 256 that are known": ExceptionGroup("x", [REFUSED] * 256),
    "a text of 10 MB": made("psycopg.Error", "x\n" * 5_000_000, sqlstate=None),
    "100,000 headers": over_http(503, **{f"x-{number}": "y" for number in range(100_000)}),
    "RateLimit of 100 kB": over_http(429, RateLimit='"a";r=0;t=9,' * 9_000),
    "10,000 trailers": from_grpc("UNAVAILABLE", *[(f"x-{number}", "y") for number in range(10_000)]),
}


def least(ask: Any, error: Exception, calls: int, rounds: int) -> float:
    """Microseconds per call, in the best of the rounds."""
    best = float("inf")
    for _ in range(rounds):
        work = repeat(None, calls)
        began = time.perf_counter_ns()
        for _ in work:
            ask(error)
        best = min(best, (time.perf_counter_ns() - began) / calls / 1000)
    return best


def show(title: str, errors: dict[str, Exception], limit: float, calls: int, rounds: int) -> None:
    """A line per error, and the worst of them beside its limit."""
    print(title)
    costs = {name: least(classify, error, calls, rounds) for name, error in errors.items()}
    for name, cost in costs.items():
        print(f"  {name:<42} {cost:9.2f} us")
    print(f"  {'the worst, and its limit':<42} {max(costs.values()):9.2f} us   {limit:g}")


def main(rounds: int) -> None:
    """Print the tables, and what a registered package and an explanation cost."""
    print(f"Python {sys.version.split()[0]}")
    show("without a chain", WITHOUT_CHAIN, 1, 2_000, rounds)
    show("with a chain, an answer or a group", ANY, 10, 500, rounds)
    show("with a wait to be read", WITH_A_WAIT, 25, 500, rounds)
    show("unknown, by all mechanisms", UNKNOWN, 40, 500, rounds)
    show("hostile", HOSTILE, 1000, 2, rounds)
    unregister = register(made("mine.Late").__class__, package="mine")
    show("without a chain, while a library is registered", WITHOUT_CHAIN, 3, 2_000, rounds)
    unregister()
    print(f"  {'explain, of a refused connection':<42} {least(explain, REFUSED, 50, rounds):9.2f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
