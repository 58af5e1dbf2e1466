"""What tests on loopback share: servers, certificates, and the clients of others, opened once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients.certificates import Certificates
from tests.integration.clients.clients import HASTY, PATIENT, OpenClients, Settings
from tests.integration.clients.flaky_server import FlakyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def plain_surroundings() -> Iterator[None]:
    """No proxies, and no settings of a cloud, that a developer may have."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.lower().endswith("_proxy") or name.startswith(("AWS_", "OPENAI_", "ANTHROPIC_", "GOOGLE_")):
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates | None:
    """Certificates; `None` when what makes them is not installed."""
    try:
        return Certificates(tmp_path_factory.mktemp("certificates"))
    except pytest.skip.Exception:
        return None


def opened(certificates: Certificates | None, seconds: float) -> Iterator[OpenClients]:
    """The clients with such a time limit."""
    found = OpenClients(Settings(None if certificates is None else certificates.authority, seconds))
    yield found
    found.close()


@pytest.fixture(scope="session")
def clients(plain_surroundings: None, certificates: Certificates | None) -> Iterator[OpenClients]:
    """The clients, by name."""
    yield from opened(certificates, PATIENT)


@pytest.fixture(scope="session")
def hasty_clients(plain_surroundings: None, certificates: Certificates | None) -> Iterator[OpenClients]:
    """The same, for servers that say nothing."""
    yield from opened(certificates, HASTY)


@pytest.fixture(scope="module")
def server() -> Iterator[FlakyServer]:
    """A server that does what it is told, without TLS; its threads are gone before the next module counts its own."""
    with FlakyServer() as flaky:
        yield flaky
