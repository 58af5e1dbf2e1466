"""Certificates for one run of the tests: a good one, and those that no client may accept."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clients.flaky_server import HOST


class Certificates:
    """An authority that the clients trust (`authority`, a file), and contexts for a server's side of TLS by name."""

    def __init__(self, directory: Path) -> None:
        trustme: Any = pytest.importorskip("trustme", reason="needs certificates: pip install trustme")
        trusted, stranger = trustme.CA(), trustme.CA()
        self.authority = directory / "authority.pem"
        trusted.cert_pem.write_to_path(str(self.authority))
        past = datetime.now(UTC) - timedelta(days=1)
        good = trusted.issue_cert(HOST)
        own = directory / "self-signed.pem"
        for blob, append in ((stranger.private_key_pem, False), (stranger.cert_pem, True)):
            blob.write_to_path(str(own), append=append)
        self.contexts = {
            "good": _context(good),
            "self-signed": _context(own),
            "of a stranger": _context(stranger.issue_cert(HOST)),
            "expired": _context(trusted.issue_cert(HOST, not_after=past)),
            "of another host": _context(trusted.issue_cert("elsewhere.test")),
            "no shared cipher": _context(good),
            "wants a client's": _context(good),
        }
        odd = self.contexts["no shared cipher"]
        odd.maximum_version = ssl.TLSVersion.TLSv1_2
        odd.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # for another kind of key than the certificate has
        mutual = self.contexts["wants a client's"]
        mutual.verify_mode = ssl.CERT_REQUIRED
        trusted.configure_trust(mutual)


def _context(certificate: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if isinstance(certificate, Path):
        context.load_cert_chain(certificate)
    else:
        certificate.configure_cert(context)
    return context
