"""On top of all floors: an SSH server on a free port of the loopback, started on request, with keys of its own."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from redouble.examples.surroundings.stage import HOST, client, find_program, listens, unused_port, wait_until

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
    """Is a machine that has no SSH server yet: `with LateSshd() as machine:`; `machine.boot()` starts it.

    Args:
        program: The path of sshd; empty for a server of asyncssh. `None`: sshd where it is installed.
    """

    def __init__(self, program: str | None = None) -> None:
        self.program: str = (find_program("sshd") or "") if program is None else program
        self.host = HOST
        self.port: int = unused_port()
        self.place: Path = Path(tempfile.mkdtemp(prefix="late-sshd-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None
        for name in ("host_key", "login_key", "wrong_key"):
            key = client("asyncssh").generate_private_key("ssh-ed25519")
            path = self.place / name
            path.touch(0o600)
            key.write_private_key(str(path))
            key.write_public_key(f"{path}.pub")
        text = CONFIGURATION.format(host=self.host, port=self.port, place=self.place)
        (self.place / "sshd_config").write_text(text)

    def login(self, key: str = "login_key") -> dict[str, Any]:
        """Return the keywords of `asyncssh.connect` for this machine, which use none of the user's own settings."""
        return {
            "username": getpass.getuser(),
            "client_keys": [str(self.place / key)],
            "known_hosts": ([str(self.place / "host_key.pub")], [], []),
            "config": None,
            "agent_path": None,
        }

    def boot(self) -> None:
        """Start the server, and wait until it listens."""
        command = [sys.executable, "-m", __name__, str(self.port), str(self.place)]
        if self.program:
            if os.geteuid() == 0:  # where systemd would have made it
                Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
            command = [self.program, "-D", "-E", str(self.place / "log"), "-f", str(self.place / "sshd_config")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: self._ended() or listens(self.port), "the SSH server listens")
        if self._ended():
            raise RuntimeError(f"the SSH server ended: {self.log()}")

    def boot_in(self, seconds: float) -> None:
        """Start the server after some seconds."""
        self._timer = threading.Timer(seconds, self.boot)
        self._timer.start()

    def log(self) -> str:
        """Return the log of sshd."""
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


async def serve(port: int, place: str) -> None:
    """Serve logins with the key in a folder, by asyncssh, and answer `echo`."""
    await client("asyncssh").listen(
        HOST,
        port,
        server_host_keys=[f"{place}/host_key"],
        authorized_client_keys=f"{place}/login_key.pub",
        process_factory=_answer,
    )
    await asyncio.get_running_loop().create_future()


def _answer(process: Any) -> None:
    program, _, words = (process.command or "").partition(" ")
    if program == "echo":
        process.stdout.write(f"{words}\n")
    process.exit(0 if program == "echo" else 127)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
