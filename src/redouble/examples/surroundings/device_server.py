"""On top of all floors: an authorization server of RFC 8628, the device grant, that answers by a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redouble.examples.surroundings.http_server import HANG_UP, Answer, HttpServer

if TYPE_CHECKING:
    from redouble.examples.surroundings.http_server import Request

DEVICE_CODE = "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"  # the secrets are those of the RFC's own examples
TOKEN = "2YotnFZFEjr1zCsicMWpAA"
ERRORS = {
    "pending": "authorization_pending",
    "slow_down": "slow_down",
    "denied": "access_denied",
    "expired": "expired_token",
}


class DeviceServer(HttpServer):
    """`/device` gives a grant; `/token` answers with the words of the script in turn, the last one again and again.

    A word is one of `pending slow_down denied expired`, `token`, `hang up`, or a status such as 502.
    """

    def __init__(self, *script: str | int, interval: Any = 1, expires_in: int = 900) -> None:
        super().__init__()
        self.script: list[str | int] = list(script)
        self.grant: dict[str, Any] = {
            "device_code": DEVICE_CODE,
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{self.url}/activate",
            "expires_in": expires_in,
        }
        if interval is not None:
            self.grant["interval"] = interval

    def answer(self, request: Request) -> Answer:
        if request.path == "/device":
            return Answer(200, self.grant)
        if request.parameters.get("device_code") != DEVICE_CODE:
            return Answer(400, {"error": "invalid_grant"})
        word = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if word == "token":
            return Answer(200, {"access_token": TOKEN, "token_type": "bearer"})
        if word == "hang up":
            return HANG_UP
        if isinstance(word, int):  # a proxy that, as some do, shows the request
            return Answer(word, f"Bad gateway for {request.body}".encode())
        return Answer(400, {"error": ERRORS[word]})

    def polls(self) -> int:
        """Return the number of requests for the token."""
        return self.paths().count("/token")
