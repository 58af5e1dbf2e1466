"""Everything that goes wrong on the way, through every client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redouble import Verdict, classify
from tests.integration.clients.clients import CLIENTS, let_go
from tests.integration.clients.provocations import MISHAPS, cases, provoked

if TYPE_CHECKING:
    from tests.integration.clients.certificates import Certificates
    from tests.integration.clients.clients import Fetch, OpenClients


def takes_time(case: tuple[str, str, str]) -> bool:
    """Whether it is a case for hasty clients."""
    return MISHAPS[case[1]].takes_time


@pytest.mark.parametrize(("client", "mishap", "method"), [case for case in cases() if not takes_time(case)])
def test_mishaps(
    client: str, mishap: str, method: str, clients: OpenClients, certificates: Certificates | None
) -> None:
    """The error that a client makes of a mishap is judged by what went wrong."""
    judge(client, mishap, error_of(clients[client], mishap, method, certificates))


@pytest.mark.parametrize(("client", "mishap", "method"), [case for case in cases() if takes_time(case)])
def test_silence(
    client: str, mishap: str, method: str, hasty_clients: OpenClients, certificates: Certificates | None
) -> None:
    """The error that a client makes when its time is up is judged by what was awaited."""
    error = error_of(hasty_clients[client], mishap, method, certificates)
    if mishap == "full backlog" and isinstance(error, ConnectionRefusedError):
        pytest.skip("this system refuses connections when its backlog is full")
    judge(client, mishap, error)


def error_of(fetch: Fetch, mishap: str, method: str, certificates: Certificates | None) -> Exception:
    """What a client raises when it meets with the mishap."""
    what = MISHAPS[mishap]
    if what.https and certificates is None:
        pytest.skip("needs certificates: pip install trustme")
    with provoked(what, certificates) as url, pytest.raises(Exception) as caught:
        fetch(url, method)
    return caught.value


def judge(client: str, mishap: str, error: Exception) -> None:
    """Compare what redouble says with what is right."""
    what = MISHAPS[mishap]
    found = classify(error)
    let_go(error)
    assert (found.verdict, found.retry_after) == (what.verdict, None), found.reason
    assert found.applied is what.applied or (found.applied and client in what.untold), found.reason


def test_every_client_is_met_with_every_kind_of_mishap() -> None:
    """No client is taken out of a kind by the exceptions in the table, but bytes that know no HTTP to be broken."""
    kinds = {(what.verdict, what.applied) for what in MISHAPS.values()}
    tried = {(client, MISHAPS[mishap].verdict, MISHAPS[mishap].applied) for client, mishap, _ in cases()}
    untried = {(client, *kind) for client in CLIENTS for kind in kinds} - tried
    assert untried == {("asyncio streams", Verdict.PERMANENT, True)}
