"""A headless Chromium, driven by its own protocol: one tab, which says what went wrong in it.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from base64 import b64decode
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    *("--no-proxy-server", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
)
PATIENCE = 60.0
"""Seconds that the browser may take for anything, on a busy machine."""


class Browser:
    """One tab of a Chromium of its own, with a profile in `folder`.

    Attributes:
        complaints: The errors that pages wrote to the console, or raised, or had in loading something.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.complaints: list[str] = []
        self._loaded = False
        self._sent = 0
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that all its processes end together
        )
        self._session: str | None = None
        self._open = ExitStack()
        self._socket: Any = None
        try:
            address = _address(folder, self._process)
            self._socket = self._open.enter_context(connect(address, max_size=None, proxy=None))
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the browser and all its processes."""
        if self._socket is not None:
            with suppress(Exception):
                self._session = None
                self.ask("Browser.close")
        self._open.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def ask(self, method: str, **params: Any) -> Any:
        """Send a command and return its answer; what the page says meanwhile is kept."""
        self._sent += 1
        command: dict[str, Any] = {"id": self._sent, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        self._socket.send(json.dumps(command))
        while True:
            message = json.loads(self._socket.recv(PATIENCE))
            if message.get("id") == self._sent:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        kind, said = message.get("method"), message.get("params", {})
        if kind == "Page.loadEventFired":
            self._loaded = True
        elif kind == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"]))
        elif kind == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        elif kind == "Runtime.consoleAPICalled" and said["type"] in {"error", "assert"}:
            self.complaints.append(str(said["args"]))

    def look(self, width: int, theme: str = "light", height: int = 900) -> None:
        """Make the window so wide, and prefer a theme."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._loaded = False
        answer = self.ask("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer}"
        end = time.monotonic() + PATIENCE
        while not self._loaded:
            self._hear(json.loads(self._socket.recv(max(0.0, end - time.monotonic()))))

    def run(self, script: str) -> Any:
        """Run a script in the page, and return its value; a promise is awaited."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Run a script until it gives something that is true, and return that."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never came true: {script}"
            time.sleep(0.02)
        return value

    def photograph(self, place: Path, whole: bool = False) -> None:
        """Write what is to be seen to a PNG; `whole`: what is further down, too."""
        place.write_bytes(b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until the browser has written where it listens."""
    end, written = time.monotonic() + PATIENCE, folder / "DevToolsActivePort"
    while True:
        with suppress(FileNotFoundError, ValueError):
            port, path = written.read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        assert process.poll() is None, f"the browser ended by itself, with {process.returncode}"
        assert time.monotonic() < end, "the browser did not say where it listens"
        time.sleep(0.05)
