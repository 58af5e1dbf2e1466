"""requests, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import Any, assert_type

import requests

from redouble import retry


@retry(attempts=5, deadline=60, timeout_as="timeout")
def fetch(url: str, *, timeout: float = 10) -> requests.Response:
    """Fetch, with what is left of the deadline as the timeout."""
    return requests.get(url, timeout=timeout)


@retry(attempts=5)
def fetch_json(session: requests.Session, url: str) -> Any:
    """Fetch over a session."""
    answer = session.get(url, timeout=(3.05, 27))
    answer.raise_for_status()
    return answer.json()


def calls(session: requests.Session) -> None:
    """Calls of requests itself, by the module and by a session."""
    assert_type(fetch("https://example.com", timeout=3), requests.Response)
    assert_type(retry.call(requests.get, "https://example.com", timeout=5), requests.Response)
    assert_type(retry.call(session.post, "https://example.com", json={"a": 1}, timeout=5), requests.Response)
    limited = retry(deadline=60, timeout_as="timeout")
    assert_type(limited.call(session.get, "https://example.com"), requests.Response)
    with retry.connect(requests.Session) as opened:
        assert_type(opened, requests.Session)
