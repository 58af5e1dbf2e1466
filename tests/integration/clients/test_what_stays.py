"""The worst mistake there is: to try again what cannot get better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redouble import Verdict, classify
from tests.integration.clients.clients import CLIENTS, RAISING, let_go
from tests.integration.clients.flaky_server import answer
from tests.integration.clients.provocations import (
    FEW,
    HEADERS,
    MISHAPS,
    STATUSES,
    cases,
    provoked,
    right_answer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.clients.certificates import Certificates
    from tests.integration.clients.clients import Fetch, OpenClients
    from tests.integration.clients.flaky_server import FlakyServer


@pytest.mark.parametrize("client", CLIENTS)
def test_what_stays_is_never_called_transient(
    client: str, clients: OpenClients, server: FlakyServer, certificates: Certificates | None
) -> None:
    """Whatever a client makes of an answer or of a mishap that stays, nobody is told to try again."""
    for what, error in lasting(client, clients[client], server, certificates):
        verdict = classify(error).verdict
        let_go(error)
        assert verdict is Verdict.PERMANENT, what


def lasting(
    client: str, fetch: Fetch, server: FlakyServer, certificates: Certificates | None
) -> Iterator[tuple[str, Exception]]:
    """Every error of the client that another try does not cure."""
    for status in STATUSES if client in RAISING else ():
        for header in FEW:
            if right_answer(client, status, header)[0] is Verdict.PERMANENT:
                server.play(answer(status, HEADERS[header][0]))
                yield f"{status}, {header}", raised(fetch, server.url)
    for _, mishap, method in (case for case in cases() if case[0] == client):
        what = MISHAPS[mishap]
        if what.verdict is Verdict.PERMANENT and (certificates or not what.https):
            with provoked(what, certificates) as url:
                yield mishap, raised(fetch, url, method)


def raised(fetch: Fetch, url: str, method: str = "GET") -> Exception:
    """The error that comes of it."""
    with pytest.raises(Exception) as caught:
        fetch(url, method)
    return caught.value
