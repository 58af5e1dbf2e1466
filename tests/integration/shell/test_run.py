"""`redouble run` on real processes: exit codes, signals, groups of processes, the deadline, a terminal, pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.shell.conftest import REDOUBLE, Terminal, begun, redouble

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = ("--initial", "0.01")


def counting(path: Path, then: str) -> tuple[str, ...]:
    """A command of the shell that adds a line to a file each time it runs."""
    return ("--", "sh", "-c", f"echo x >> {path}; {then}")


def runs(path: Path) -> int:
    """How often it ran."""
    return len(path.read_text().split())


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_text(path: Path) -> str:
    """The first line of a file, as soon as it is there."""
    end = time.monotonic() + 20
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < end
        time.sleep(0.01)
    return path.read_text().strip()


@pytest.mark.parametrize(
    ("options", "script", "times", "code"),
    [
        ((), "exit 0", 1, 0),
        ((), "exit 1", 1, 1),
        ((), "exit 75", 3, 75),
        (("--on", "7,9"), "exit 9", 3, 9),
        (("--on", "7,9"), "exit 75", 1, 75),
        (("--on", "any", "--attempts", "2"), "exit 3", 2, 3),
        (("--on", "any", "--attempts", "2"), "kill -USR1 $$", 2, 128 + signal.SIGUSR1),
        ((), "kill -KILL $$", 1, 137),
        (("--on-output", "^not yet"), "echo not yet; exit 4", 3, 4),
        (("--on-output", "^not yet"), "echo not yet >&2; exit 4", 3, 4),
        (("--on-output", "^not yet"), "echo never; exit 4", 1, 4),
    ],
)
def test_the_exit_code_decides_and_is_handed_on(
    tmp_path: Path, options: tuple[str, ...], script: str, times: int, code: int
) -> None:
    """What may pass is run again, and the last run's code is the exit code; 128+N where signal N ended it."""
    ran = redouble("run", *SOON, *options, *counting(tmp_path / "runs", script))
    assert (ran.code, runs(tmp_path / "runs")) == (code, times)


def test_a_command_that_is_not_there() -> None:
    """127, as shells have it, and no second attempt."""
    ran = redouble("run", "--", "/nosuch/program")
    assert ran.code == 127 and ran.err.count("\n") == 1


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    """126, as shells have it."""
    (tmp_path / "text").write_text("text")
    assert redouble("run", "--", str(tmp_path / "text")).code == 126


def test_success_after_failures(tmp_path: Path) -> None:
    """The third run succeeds: 0, and one line per attempt."""
    ran = redouble("run", *SOON, *counting(tmp_path / "runs", f"test $(wc -l < {tmp_path}/runs) = 3 || exit 75"))
    assert ran.code == 0
    first, second, third = ran.err.splitlines()
    assert first.startswith("redouble: sh: attempt 1 of 3 exited with 75; trying again in 0.0")
    assert second.startswith("redouble: sh: attempt 2 of 3") and "attempt 3 of 3 succeeded" in third


def test_standard_input_and_outputs_are_the_commands_own() -> None:
    """What the command reads and writes goes through as it is."""
    command = [*REDOUBLE, "run", "--", "sh", "-c", "tr a-z A-Z; echo aside >&2"]
    done = subprocess.run(command, input="words", capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "WORDS", "aside\n")


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    """At the deadline neither the command nor what it started, deaf to SIGTERM, is left, and the code is 124."""
    script = f"trap '' TERM; (trap '' TERM; sleep 61) & echo $! > {tmp_path}/pid; sleep 60"
    began = time.monotonic()
    ran = redouble("run", "--deadline", "0.5", "--", "sh", "-c", script)
    assert ran.code == 124 and 0.5 <= time.monotonic() - began < 9
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_an_attempt_s_own_time(tmp_path: Path) -> None:
    """An attempt that takes too long is ended, and the command run again."""
    ran = redouble(
        "run", *SOON, "--attempts", "2", "--attempt-timeout", "0.3", *counting(tmp_path / "runs", "sleep 60")
    )
    assert (ran.code, runs(tmp_path / "runs")) == (124, 2)
    assert "attempt 1 of 2 was ended, after 0.3 s; trying again" in ran.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_is_handed_on_and_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    """The command gets the signal, no attempt follows, no child is left, and the code is 128+N."""
    with begun("run", "--on", "any", "--", "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60") as process:
        pid = int(wait_for_text(tmp_path / "pid"))
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert not is_alive(pid)


def test_a_command_may_answer_a_signal(tmp_path: Path) -> None:
    """One that ends well when it is asked to ends well here too; SIGUSR1 reaches it and ends nothing."""
    script = f"trap 'echo got >> {tmp_path}/usr1' USR1; trap 'exit 0' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.01; done"
    with begun("run", "--", "sh", "-c", script) as process:
        wait_for_text(tmp_path / "pid")
        process.send_signal(signal.SIGUSR1)
        assert wait_for_text(tmp_path / "usr1") == "got"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_signal_ends_a_wait_at_once(tmp_path: Path) -> None:
    """While it waits for the next attempt, SIGTERM ends it at once."""
    with begun(
        "run", "--initial", "1000", "--maximum", "none", "--attempts", "3", *counting(tmp_path / "runs", "exit 75")
    ) as process:
        assert process.stderr is not None
        assert "trying again" in process.stderr.readline()
        began = time.monotonic()
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM and time.monotonic() - began < 5
    assert runs(tmp_path / "runs") == 1


def test_quiet_and_json(tmp_path: Path) -> None:
    """`--quiet` says nothing; `--json` says an object a line, with the exit code."""
    assert redouble("run", *SOON, "--quiet", "--", "sh", "-c", "exit 75").err == ""
    lines = redouble("run", *SOON, "--json", "--", "sh", "-c", "exit 75").err.splitlines()
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [(line["kind"], line["attempt"], line["exit_code"]) for line in told] == [
        ("RETRY", 1, 75), ("RETRY", 2, 75), ("GIVE_UP", 3, 75),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--on", "256", "--", "true"), "must be exit codes from 1 to 255, such as 75,7, or any, got '256'"),
        (("--on-output", "(", "--", "true"), "must be a regular expression"),
        (("--attempts", "0", "--", "true"), "attempts must be a whole number >= 1"),
        (("--attempt-timeout", "-1", "--", "true"), "attempt_timeout must be"),
        ((), "the following arguments are required: COMMAND"),
    ],
)
def test_mistakes_are_named(arguments: tuple[str, ...], said: str) -> None:
    """A wrong option is exit code 2 and says what to write; nothing runs."""
    ran = redouble("run", *arguments)
    assert ran.code == 2 and said in ran.err


class TestTerminal:
    def test_it_is_the_commands(self, terminal: Callable[..., Terminal], tmp_path: Path) -> None:
        """The command is the foreground of the terminal, reads from it, and redouble has it back at the end."""
        window = terminal("run", "--", "sh", "-c", "test -t 0 && test -t 1 && read line && echo got $line")
        time.sleep(0.3)
        window.type("words\n")
        assert window.ended() == 0 and "got words" in window.shown

    def test_ctrl_c_ends_the_command_and_all(self, terminal: Callable[..., Terminal]) -> None:
        """Ctrl-C goes to the command, and no attempt follows."""
        window = terminal("run", "--on", "75", "--", "sh", "-c", "echo ready; exec sleep 60")
        window.until("ready")
        window.type("\x03")
        assert window.ended() == 130 and "attempt 2" not in window.shown

    def test_ctrl_z_stops_both(self, terminal: Callable[..., Terminal]) -> None:
        """Ctrl-Z stops the command and redouble, so that a shell has its terminal back; both go on when continued."""
        window = terminal("run", "--", "sh", "-c", "echo ready; sleep 0.5; echo done")
        window.until("ready")
        window.type("\x1a")
        _, status = os.waitpid(window.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status) and window.foreground() == window.pid
        os.kill(window.pid, signal.SIGCONT)
        assert window.ended() == 0 and "done" in window.shown

    def test_forty_columns_and_colours(self, terminal: Callable[..., Terminal]) -> None:
        """Lines are coloured on a terminal, however narrow."""
        window = terminal("run", *SOON, "--attempts", "2", "--", "sh", "-c", "exit 75", columns=40)
        assert window.ended() == 75
        assert "\x1b[33mredouble: sh: attempt 1 of 2 exited with 75" in window.shown and "\x1b[31m" in window.shown

    def test_no_color(self, terminal: Callable[..., Terminal]) -> None:
        """NO_COLOR is heeded."""
        window = terminal("run", *SOON, "--attempts", "2", "--", "sh", "-c", "exit 75", NO_COLOR="1")
        assert window.ended() == 75 and "\x1b[" not in window.shown
