"""On top of all floors: an HTTP server to which snapshots are pushed, and that answers by a script."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from redouble.examples.surroundings.http_server import HANG_UP, Answer, HttpServer

if TYPE_CHECKING:
    from redouble.examples.surroundings.http_server import Request


class PushTarget(HttpServer):
    """`/snapshots` answers with the words of the script in turn, and accepts all pushes at its end.

    A word is one of `ok`, `rejected` (the server refuses this one), `unimplemented`, `hang up`, `hold` (no answer until
    `release` is set, then `ok`), or a status such as 503.
    """

    def __init__(self, *script: str | int) -> None:
        super().__init__()
        self.script: list[str | int] = list(script)
        self.pushed: list[Any] = []
        self.held: threading.Event = threading.Event()
        self.release: threading.Event = threading.Event()
        self.most_at_once: int = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.pushed.append(json.loads(request.body))
            word = self.script.pop(0) if self.script else "ok"
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._answer(word)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(self, word: str | int) -> Answer:
        if isinstance(word, int):
            return Answer(word, {"error": "not now"})
        if word == "hold":
            self.held.set()
            self.release.wait(10)
        if word == "hang up":
            return HANG_UP
        if word == "unimplemented":
            return Answer(501, {"error": "this server takes no snapshots"})
        return Answer(200, {"accepted": word != "rejected"})

    def versions(self) -> list[int]:
        """Return the version of each snapshot that came, in order."""
        return [snapshot["version"] for snapshot in self.pushed]
