"""Log in on another device (RFC 8628): ask at an interval until somebody has approved, denied, or it is too late.

Run it: `python docs/examples/device_code.py`. It starts a real server of such logins, and needs `httpx`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from redouble import pending, permanent, poll, retry, transient
from redouble.testing import fake_time

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integration" / "examples"))
from surroundings import stage
from surroundings.device_server import DeviceServer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

httpx = stage.client("httpx")


class CloudError(Exception):
    """The server could not be reached, or said something else than it should."""

    status: int | None = None


class PendingError(CloudError): ...


class SlowDownError(CloudError): ...


class DeniedError(CloudError): ...


class ExpiredError(CloudError): ...


class RejectedError(CloudError): ...


MEANINGS = {
    "authorization_pending": PendingError,
    "slow_down": SlowDownError,
    "access_denied": DeniedError,
    "expired_token": ExpiredError,
    "invalid_grant": RejectedError,
}


class Grant(NamedTuple):
    """What the server gives first: a code for the person, and a secret one for this program."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float = 5

    @property
    def pause(self) -> int:
        """Seconds between two questions: whole ones, and 5 where the server does not say."""
        return max(1, int(self.interval or 5))


class Cloud:
    """The server, as a client sees it: each question has an answer or one of the errors above."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self.close = self._http.close

    def begin(self) -> Grant:
        return Grant(**self._post("/device", {"client_id": "example"}))

    def ask(self, grant: Grant) -> str:
        token: str = self._post("/token", {"device_code": grant.device_code, "client_id": "example"})["access_token"]
        return token

    def _post(self, path: str, form: dict[str, str]) -> Any:
        try:
            response = self._http.post(path, data=form)
        except httpx.TransportError as error:
            raise CloudError(f"no answer to {form}") from error
        try:
            answer = response.json()
        except ValueError:
            answer = {"error": response.text}
        if response.status_code == 200:
            return answer
        refusal = MEANINGS.get(answer["error"], CloudError)(answer["error"])
        refusal.status = response.status_code
        raise refusal


# redouble:
def log_in(cloud: Cloud, show_code: Callable[[Grant], None], stop: threading.Event | None = None) -> str:
    grant = cloud.begin()
    show_code(grant)
    policy = retry(
        on=pending(PendingError)
        | permanent(DeniedError, ExpiredError, RejectedError)
        | transient(CloudError, redact=True),
        attempts=7,  # failures in a row; to wait for a person is none
        deadline=grant.expires_in,
        idempotent=True,
        stop=stop,
        name="login",
    )
    return poll(functools.partial(cloud.ask, grant), policy, interval=grant.pause, slow_down=SlowDownError)
    # end of redouble


def show_code(grant: Grant) -> None:
    stage.say(f"open {grant.verification_uri} and type {grant.user_code}")


def show(*script: str | int) -> None:
    """Log in once, with a server that answers as the script says."""
    with DeviceServer(*script) as server, contextlib.closing(Cloud(server.url)) as cloud:
        try:
            token = log_in(cloud, show_code)
            stage.say(f"logged in, with a token of {len(token)} characters")
        except CloudError as error:
            stage.say(f"{type(error).__name__} at question {server.polls()}")


def main() -> None:
    stage.show_log(logging.INFO)
    stage.say("somebody approves after a while; the server has a bad moment meanwhile:")
    show("pending", 502, "hang up", "pending", "token")
    for text, script in {
        "the server wants to be asked less often": ("slow_down", "pending", "token"),
        "somebody denies": ("pending", "denied"),
        "the server is down: six failures in a row are let pass": ("pending", 502),
    }.items():
        with fake_time() as clock:
            stage.say(f"{text} (in virtual time):")
            show(*script)
            stage.say(f"it waited {clock.sleeps}")


if __name__ == "__main__":
    main()
