"""Log in on another device (RFC 8628): poll until the user has approved or denied the login, or it has expired.

It starts a server of such logins, and logs in four times: by one function on threads, by another on asyncio and trio.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from redouble import RetryPolicy, pending, permanent, poll, retry, transient
from redouble.examples.surroundings import stage
from redouble.examples.surroundings.device_server import DeviceServer
from redouble.testing import fake_time

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

httpx: Any = stage.client("httpx")


class CloudError(Exception):
    """The server could not be reached, or gave an unexpected answer."""

    status: int | None = None


class PendingError(CloudError): ...


class SlowDownError(CloudError): ...


class DeniedError(CloudError): ...


class ExpiredError(CloudError): ...


class RejectedError(CloudError): ...


MEANINGS: dict[str, type[CloudError]] = {
    "authorization_pending": PendingError,
    "slow_down": SlowDownError,
    "access_denied": DeniedError,
    "expired_token": ExpiredError,
    "invalid_grant": RejectedError,
}


class Grant(NamedTuple):
    """Is the server's first answer: a code for the user, and a secret one for this program."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float = 5

    @property
    def pause(self) -> int:
        """Return the seconds between two polls: a whole number, and 5 where the server gives none."""
        return max(1, int(self.interval or 5))


class Cloud:
    """The server, for a client in threads: each request returns an answer or raises one of the errors above."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def begin(self) -> Grant:
        return Grant(**self._post("/device", {"client_id": "example"}))

    def ask(self, grant: Grant) -> str:
        return token_in(self._post("/token", {"device_code": grant.device_code, "client_id": "example"}))

    def _post(self, path: str, form: dict[str, str]) -> Any:
        try:
            return answer_in(self._http.post(path, data=form))
        except httpx.TransportError as error:
            raise CloudError(f"no answer to {form}") from error


class AsyncCloud:
    """The server, for a client in asyncio and trio."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def begin(self) -> Grant:
        return Grant(**await self._post("/device", {"client_id": "example"}))

    async def ask(self, grant: Grant) -> str:
        return token_in(await self._post("/token", {"device_code": grant.device_code, "client_id": "example"}))

    async def _post(self, path: str, form: dict[str, str]) -> Any:
        try:
            return answer_in(await self._http.post(path, data=form))
        except httpx.TransportError as error:
            raise CloudError(f"no answer to {form}") from error


def token_in(answer: dict[str, str]) -> str:
    return answer["access_token"]


def answer_in(response: Any) -> Any:
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
def until_it_expires(grant: Grant, stop: threading.Event | None) -> RetryPolicy:
    return retry(
        on=pending(PendingError)
        | permanent(DeniedError, ExpiredError, RejectedError)
        | transient(CloudError, redact=True),
        attempts=7,  # failures in a row; a pending login is not a failure
        deadline=grant.expires_in,
        idempotent=True,
        stop=stop,
        name="login",
    )


def log_in(cloud: Cloud, show_code: Callable[[Grant], None], stop: threading.Event | None = None) -> str:
    grant = cloud.begin()
    show_code(grant)
    ask, policy = functools.partial(cloud.ask, grant), until_it_expires(grant, stop)
    return poll(ask, policy, interval=grant.pause, slow_down=SlowDownError)
    # end of redouble


# async:
async def log_in_async(
    cloud: AsyncCloud, show_code: Callable[[Grant], None], stop: threading.Event | None = None
) -> str:
    grant = await cloud.begin()
    show_code(grant)
    ask, policy = functools.partial(cloud.ask, grant), until_it_expires(grant, stop)
    return await poll(ask, policy, interval=grant.pause, slow_down=SlowDownError)
    # end of async


def show_code(grant: Grant) -> None:
    stage.say(f"open {grant.verification_uri} and type {grant.user_code}")


def log_in_on(host: str, url: str) -> str:
    """Log in on threads, asyncio or trio."""
    if host == "threads":
        with contextlib.closing(Cloud(url)) as cloud:
            return log_in(cloud, show_code)
    tokens: list[str] = []

    async def main() -> None:
        async with contextlib.aclosing(AsyncCloud(url)) as cloud:
            tokens.append(await log_in_async(cloud, show_code))

    stage.run(host, main)
    return tokens[0]


def show(host: str, *script: str | int) -> None:
    """Log in once, with a server that answers by the script."""
    with DeviceServer(*script) as server:
        try:
            stage.say(f"logged in, with a token of {len(log_in_on(host, server.url))} characters")
        except CloudError as error:
            stage.say(f"{type(error).__name__} at question {server.polls()}")


def main(host: str) -> None:
    stage.say("somebody approves after a while; the server has a bad moment meanwhile:")
    show(host, "pending", 502, "hang up", "pending", "token")
    for text, script in {
        "the server wants to be asked less often": ("slow_down", "pending", "token"),
        "somebody denies": ("pending", "denied"),
        "the server is down: six failures in a row are let pass": ("pending", 502),
    }.items():
        with fake_time() as clock:
            clock.io_grace = 1  # real seconds that virtual time waits for an answer
            stage.say(f"{text} (in virtual time):")
            show(host, *script)
            stage.say(f"it waited {clock.sleeps}")


if __name__ == "__main__":
    stage.start(main, "threads", "asyncio", "trio", level=logging.INFO)
