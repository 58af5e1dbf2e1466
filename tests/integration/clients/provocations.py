"""What is provoked, and what is right to say of it: written down from what the server did, not from what redouble says.

The sources: RFC 9110 15 and 10.2.3, RFC 6585 4, RFC 8470 5.2, draft-ietf-httpapi-ratelimit-headers, and the policies of
the SDKs. `applied` is whether the request may have been carried out: not while no byte of it was sent, nor when the
server says that it turned it away.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING
from unittest.mock import patch

from redouble import Verdict
from tests.integration.clients.clients import CLIENTS, without_names
from tests.integration.clients.flaky_server import (
    HOST,
    JSON,
    Act,
    FlakyServer,
    answer,
    closed_port,
    damage,
    fall_silent,
    full_backlog,
    hang_up,
    head,
    reset,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.clients.certificates import Certificates

TRANSIENT, PERMANENT = Verdict.TRANSIENT, Verdict.PERMANENT

# Answers.

TURNED_AWAY = (408, 421, 425, 429, 509, 529)
PERHAPS_DONE = (500, 502, 503, 504)  # a 503 that names a time to come back was turned away
REFUSED = (400, 403, 409, 413, 422, 507)  # transient where the server names a time to come back
REFUSED_FOR_GOOD = (401, 404, 410, 501)
STATUSES = tuple(sorted((*TURNED_AWAY, *PERHAPS_DONE, *REFUSED, *REFUSED_FOR_GOOD)))
LOCKED = ("openai", "openai async", "anthropic", "anthropic async")  # their 409 is a lock that timed out

SENT = ("Date", "Sun, 06 Nov 1994 08:49:07 GMT")
HEADERS: dict[str, tuple[tuple[tuple[str, str], ...], float | None]] = {
    "no header": ((), None),
    "Retry-After: 2": ((("Retry-After", "2"),), 2.0),
    "Retry-After: a date": ((SENT, ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")), 30.0),
    "Retry-After: junk": ((("Retry-After", "soon"),), None),
    "Retry-After: -1": ((("Retry-After", "-1"),), None),
    "retry-after-ms: 1500": ((("retry-after-ms", "1500"),), 1.5),
    "x-ms-retry-after-ms: 1500": ((("x-ms-retry-after-ms", "1500"),), 1.5),
    "x-amz-retry-after: 1500": ((("x-amz-retry-after", "1500"),), 1.5),
    "x-should-retry: true": ((("x-should-retry", "true"),), None),
    "x-should-retry: false": ((("x-should-retry", "false"),), None),
    "RateLimit": ((("RateLimit", '"hour";r=0;t=7, "day";r=9;t=900'),), 7.0),
    "Retry-After and RateLimit": ((("RateLimit", '"hour";r=0;t=7'), ("Retry-After", "2")), 2.0),
    "both units": ((("Retry-After", "2"), ("retry-after-ms", "1500")), 1.5),
}
"""What goes with a status, and the seconds that it asks for."""

FEW = ("no header", "Retry-After: 2", "x-should-retry: false")


def right_answer(client: str, status: int, header: str) -> tuple[Verdict, float | None, bool]:
    """What a status and a header mean: verdict, hint, applied."""
    hint = HEADERS[header][1]
    if header == "both units" and client == "azure-core":
        hint = 2.0  # azure-core reads Retry-After first
    if header == "RateLimit" and status not in (429, 503):
        hint = None  # how much is left of a limit has to do with those two alone
    if header == "x-should-retry: true":
        again = True
    elif header == "x-should-retry: false":
        again = False
    elif status in REFUSED:
        again = hint is not None or (status == 409 and client in LOCKED)
    else:
        again = status not in REFUSED_FOR_GOOD
    applied = status in PERHAPS_DONE and not (status == 503 and hint is not None)
    return (TRANSIENT if again else PERMANENT), (hint if again else None), applied


# Mishaps.


@dataclass(frozen=True)
class Mishap:
    """Something that goes wrong on the way.

    Fields:
        act: What a server does to whoever comes; `None`: there is none.
        verdict: What is right to say of it.
        applied: Whether the request may have been carried out.
        tls: The name of the server's certificate; empty: it speaks no TLS.
        https: Whether the client is told to speak TLS.
        place: Where there is no server: a port without one, a name that cannot be looked up, or a whole host and port.
        not_for: The clients that do not notice, or that it cannot happen to; `botocore POST` is its POST alone.
        untold: The clients whose error does not tell that nothing was sent: `applied` may be as cautious as it likes.
    """

    act: Act | None
    verdict: Verdict
    applied: bool
    tls: str = ""
    https: bool = False
    place: str = ""
    not_for: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()

    @property
    def takes_time(self) -> bool:
        """Whether a client notices only when its time is up."""
        return self.place == "full" or (self.act is not None and self.act.silent)


LENGTH = head(200, *JSON, ("Content-Length", "1000")) + b'{"order": '
CHUNKED = head(200, *JSON, ("Transfer-Encoding", "chunked")) + b'3e8\r\n{"order": '
BETWEEN = CHUNKED + b" " * 990 + b"\r\n"
NO_SIZE = head(200, *JSON, ("Transfer-Encoding", "chunked")) + b"many\r\n"
DAMAGED = (("Content-Encoding", "gzip"),)
NO_TLS = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
LONG_NAME = "a" * 64 + ".invalid:80"

STREAMS = ("asyncio streams",)  # our reader of them knows neither chunks, nor encodings, nor redirects
PLAIN = ("http.client", "asyncio streams")  # an OSError without a word on when it happened
SWALLOWED = ("botocore POST",)  # it takes the part of a body that it has, and parses nothing out of it
# Raised by the same lines of code, and with the same words, as when a connection breaks in flight:
ON_URLLIB3 = (
    *("urllib3", "urllib3 Retry", "requests", "botocore", "azure-core"),
    *("elasticsearch", "google-api-core", "google-auth"),
)

MISHAPS: dict[str, Mishap] = {
    "closed port": Mishap(None, TRANSIENT, False, place="closed"),
    "full backlog": Mishap(None, TRANSIENT, False, place="full", untold=(*PLAIN, "elasticsearch async")),
    "unknown name": Mishap(None, PERMANENT, False, place="EAI_NONAME"),
    "name server away": Mishap(None, TRANSIENT, False, place="EAI_AGAIN"),
    "name that cannot be": Mishap(None, PERMANENT, False, place=LONG_NAME, untold=tuple(CLIENTS)),
    "silence": Mishap(fall_silent(), TRANSIENT, True),
    "silence in the body": Mishap(fall_silent(LENGTH), TRANSIENT, True),
    "reset before the answer": Mishap(reset(), TRANSIENT, True),
    "reset in the body": Mishap(reset(LENGTH), TRANSIENT, True),
    "reset in a chunk": Mishap(reset(CHUNKED), TRANSIENT, True, not_for=STREAMS),
    "end before the answer": Mishap(hang_up(), TRANSIENT, True),
    "end in the body": Mishap(hang_up(LENGTH), TRANSIENT, True, not_for=SWALLOWED),
    "end in a chunk": Mishap(hang_up(CHUNKED), TRANSIENT, True, not_for=STREAMS),
    "end between chunks": Mishap(hang_up(BETWEEN), TRANSIENT, True, not_for=STREAMS),
    "chunk without a size": Mishap(hang_up(NO_SIZE), TRANSIENT, True, not_for=STREAMS),
    "not HTTP": Mishap(hang_up(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), PERMANENT, True, not_for=STREAMS),
    "not even text": Mishap(hang_up(b"\x15\x03\x03\x00\x02\x02\x0a\r\n\r\n"), PERMANENT, True, not_for=STREAMS),
    "damaged encoding": Mishap(
        answer(200, DAMAGED, b"no gzip"), PERMANENT, True, not_for=(*PLAIN, "urllib.request", "botocore")
    ),
    "redirects without end": Mishap(
        answer(302, (("Location", "/orders"),)),
        PERMANENT,
        False,
        # the last two: it follows none, and is made to raise for 400 and more; it calls itself until Python stops it
        not_for=(*PLAIN, "urllib3", "azure-core", "botocore GET"),
    ),
    "self-signed": Mishap(answer(), PERMANENT, False, tls="self-signed", https=True),
    "certificate of a stranger": Mishap(answer(), PERMANENT, False, tls="of a stranger", https=True),
    "certificate expired": Mishap(answer(), PERMANENT, False, tls="expired", https=True),
    "certificate of another host": Mishap(answer(), PERMANENT, False, tls="of another host", https=True),
    "no shared cipher": Mishap(answer(), PERMANENT, False, tls="no shared cipher", https=True),
    "client certificate wanted": Mishap(answer(), PERMANENT, False, tls="wants a client's", https=True),
    "no TLS on the port": Mishap(hang_up(NO_TLS, at_once=True), PERMANENT, False, https=True),
    "end in the handshake": Mishap(hang_up(at_once=True), TRANSIENT, False, https=True, untold=PLAIN),
    "reset in the handshake": Mishap(
        reset(at_once=True), TRANSIENT, False, https=True, untold=(*PLAIN, *ON_URLLIB3, "urllib.request")
    ),
    "silence in the handshake": Mishap(
        fall_silent(at_once=True), TRANSIENT, False, https=True, untold=(*STREAMS, "elasticsearch async")
    ),
    "TLS: silence": Mishap(fall_silent(), TRANSIENT, True, tls="good", https=True),
    "TLS: reset before the answer": Mishap(reset(), TRANSIENT, True, tls="good", https=True),
    "TLS: reset in the body": Mishap(reset(LENGTH), TRANSIENT, True, tls="good", https=True, not_for=SWALLOWED),
    "TLS: end before the answer": Mishap(hang_up(), TRANSIENT, True, tls="good", https=True),
    "TLS: end in the body": Mishap(hang_up(LENGTH), TRANSIENT, True, tls="good", https=True, not_for=SWALLOWED),
    "TLS: end in a chunk": Mishap(hang_up(CHUNKED), TRANSIENT, True, tls="good", https=True, not_for=STREAMS),
    "TLS: damage before the answer": Mishap(damage(), TRANSIENT, True, tls="good", https=True),
    "TLS: damage in the body": Mishap(damage(LENGTH), TRANSIENT, True, tls="good", https=True),
    "TLS: damage in a chunk": Mishap(damage(CHUNKED), TRANSIENT, True, tls="good", https=True, not_for=STREAMS),
}


def cases() -> Iterator[tuple[str, str, str]]:
    """Every client, mishap and method that go together; what takes time, and what stays, is tried with one method."""
    for client, (name, mishap) in product(CLIENTS, MISHAPS.items()):
        once = mishap.takes_time or mishap.verdict is PERMANENT
        for method in ("GET",) if once else ("GET", "POST"):
            if mishap.not_for and {client, f"{client} {method}"} & {*mishap.not_for}:
                continue
            yield client, name, method


@contextmanager
def provoked(mishap: Mishap, certificates: Certificates | None) -> Iterator[str]:
    """Where a client meets with the mishap."""
    scheme = "https" if mishap.https else "http"
    with ExitStack() as stack:
        if mishap.place.startswith("EAI_"):
            number = getattr(socket, mishap.place)
            stack.enter_context(patch.object(socket, "getaddrinfo", without_names(number)))
            yield "http://orders.invalid:80"
        elif ":" in mishap.place:
            yield f"{scheme}://{mishap.place}"
        elif mishap.place:
            opening = closed_port() if mishap.place == "closed" else full_backlog()
            yield f"{scheme}://{HOST}:{stack.enter_context(opening)}"
        else:
            context = certificates.contexts[mishap.tls] if mishap.tls and certificates is not None else None
            server = stack.enter_context(FlakyServer(context))
            assert mishap.act is not None
            server.play(mishap.act)
            yield f"{scheme}://{HOST}:{server.port}"
