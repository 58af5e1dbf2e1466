"""A real sshd on a free port of the loopback, started when it is told to, with keys and a configuration of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from surroundings.stage import HOST, find_program, listens, unused_port, wait_until

if TYPE_CHECKING:
    from types import TracebackType

CONFIGURATION = """\
ListenAddress {host}:{port}
HostKey {place}/host_key
PidFile none
AuthorizedKeysFile {place}/login_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
"""


class LateSshd:
    """`with LateSshd() as machine:` a machine that has no sshd yet; `machine.boot()` starts it."""

    def __init__(self) -> None:
        program = find_program("sshd")
        assert program is not None, "sshd is not installed: apt-get install openssh-server"
        self.program = program
        self.host = HOST
        self.port = unused_port()
        self.place = Path(tempfile.mkdtemp(prefix="late-sshd-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None
        for name in ("host_key", "login_key", "wrong_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.place / name)]
            subprocess.run(command, check=True, timeout=30)
        text = CONFIGURATION.format(host=self.host, port=self.port, place=self.place)
        (self.place / "sshd_config").write_text(text)

    def login(self, key: str = "login_key") -> dict[str, Any]:
        """The keywords of `asyncssh.connect` for this machine; nothing of the user's own is looked at."""
        return {
            "username": getpass.getuser(),
            "client_keys": [str(self.place / key)],
            "known_hosts": ([str(self.place / "host_key.pub")], [], []),
            "config": None,
            "agent_path": None,
        }

    def boot(self) -> None:
        """Start sshd, and wait until it listens."""
        if os.geteuid() == 0:  # where systemd would have made it
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = [self.program, "-D", "-E", str(self.place / "log"), "-f", str(self.place / "sshd_config")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: self._ended() or listens(self.port), "sshd listens")
        assert not self._ended(), f"sshd ended: {self.log()}"

    def boot_in(self, seconds: float) -> None:
        """Start sshd so many seconds from now."""
        self._timer = threading.Timer(seconds, self.boot)
        self._timer.start()

    def log(self) -> str:
        """What sshd has logged."""
        path = self.place / "log"
        return path.read_text() if path.exists() else ""

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(10)
        shutil.rmtree(self.place, ignore_errors=True)
