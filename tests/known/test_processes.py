"""Floor 1. Programs that failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import Classification, Verdict, classify
from redouble.known.tables.subprocess import programs_of


def judge(code: Any, cmd: Any) -> Classification:
    """What the exit code of a command means."""
    return classify(subprocess.CalledProcessError(code, cmd))


@pytest.mark.parametrize("code", [5, 7, 16, 18, 28, 35, 52, 55, 56, 92, 95])
def test_curl_may_be_tried_again(code: int) -> None:
    """The codes of curl for connections that failed or broke."""
    found = judge(code, ["curl", "-s", "https://example.org"])
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)
    assert found.reason == f"subprocess.CalledProcessError curl exited {code}"


@pytest.mark.parametrize("code", [1, 3, 6, 22, 60, 75])
def test_curl_need_not_be_tried_again(code: int) -> None:
    """All else is permanent; curl's own 75 is not EX_TEMPFAIL."""
    found = judge(code, ["curl"])
    assert found.verdict is Verdict.PERMANENT
    assert found.reason == f"subprocess.CalledProcessError curl exited {code}"


@pytest.mark.parametrize(
    ("code", "cmd"),
    [
        (255, ["ssh", "host", "true"]),
        (75, ["ssh", "host", "sendmail"]),
        (124, ["timeout", "5", "make"]),
        (28, ["timeout", "5", "curl", "x"]),
        (4, ["wget", "x"]),
        (30, ["rsync", "a", "b"]),
        (75, ["anything"]),
        (75, None),
    ],
)
def test_other_programs(code: int, cmd: Any) -> None:
    """A code means something with the name of its program; 75 is EX_TEMPFAIL for nearly all."""
    assert judge(code, cmd).verdict is Verdict.TRANSIENT


OTHERS = [(7, ["other"]), (255, ["other"]), (124, ["other"]), (1, ["ssh"]), (2, "x"), (126, "x"), (127, "x")]
SYSEXITS = [(64, "x"), (69, "x"), (77, "x"), (78, "x")]
STRANGE = [(-9, ["curl"]), (-28, ["curl"]), (None, ["curl"]), (True, ["curl"]), ("28", ["curl"])]


@pytest.mark.parametrize(("code", "cmd"), [*OTHERS, *SYSEXITS, *STRANGE])
def test_codes_without_a_meaning(code: Any, cmd: Any) -> None:
    """Codes of other programs, usage errors and signals are permanent, and perhaps something was done."""
    found = judge(code, cmd)
    assert (found.verdict, found.applied) == (Verdict.PERMANENT, True)


def test_reasons_name_signals_and_known_programs_only() -> None:
    """A command line may hold a secret: nothing of it is shown but the name of a program in the table."""
    assert judge(-9, ["curl", "x"]).reason == "subprocess.CalledProcessError curl died of signal 9"
    assert judge(75, ["hunter2"]).reason == "subprocess.CalledProcessError exited 75 [EX_TEMPFAIL]"
    assert judge(3, "hunter2 -p hunter2").reason == "subprocess.CalledProcessError exited 3"
    assert judge(None, ["curl", "x"]).reason == "subprocess.CalledProcessError"


@pytest.mark.parametrize(
    ("cmd", "programs"),
    [
        (["curl", "x"], ["curl"]),
        (("/usr/bin/curl", b"x"), ["curl"]),
        ([Path("/usr/bin/curl"), "x"], ["curl"]),
        (PurePosixPath("/usr/bin/curl"), ["curl"]),
        (b"curl -s x", ["curl"]),
        ("curl -s 'http://x/?a=1&b=2' > out 2>&1", ["curl"]),
        ("curl http://x/#part", ["curl"]),
        ("TOKEN=secret curl -s x", ["curl"]),
        ("curl \\\n -s x\n", ["curl"]),
        ("C:\\bin\\curl.EXE -s x", ["curl"]),
        (["C:\\Program Files\\curl.exe"], ["curl"]),
        (["env", "-i", "A=b", "timeout", "-k", "1", "5s", "curl", "x"], ["env", "timeout", "curl"]),
        (["", "curl"], [""]),
        ("curl x | tee out", []),
        ("cd /tmp && curl x", []),
        ("curl x; true", []),
        ("(curl x)", []),
        ("curl `cat url`", []),
        ("cd /tmp\ncurl x", []),
        ("curl 'x", []),
        ("curl " + "x" * 10_000, []),
        ("", []),
        ([], []),
        (None, []),
        (7, []),
        (["curl", None], []),
    ],
)
def test_the_program_of_a_command(cmd: Any, programs: list[str]) -> None:
    """Lists, lines, bytes and paths name their program; a pipeline's code may be of any of its parts."""
    assert programs_of(cmd) == programs


@given(st.one_of(st.text(), st.binary(), st.lists(st.one_of(st.text(), st.binary(), st.none()))), st.integers())
def test_any_command_and_any_code(cmd: Any, code: int) -> None:
    """No command line can raise."""
    assert judge(code, cmd).verdict in (Verdict.TRANSIENT, Verdict.PERMANENT)


def test_a_program_for_real() -> None:
    """A process that asks to be tried later."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        subprocess.run([sys.executable, "-S", "-c", "raise SystemExit(75)"], check=True)
    assert classify(caught.value).verdict is Verdict.TRANSIENT


def test_a_program_that_took_too_long() -> None:
    """It was killed at work: transient, and perhaps something was done."""
    found = classify(subprocess.TimeoutExpired(["make"], 5))
    assert (found.verdict, found.applied, found.reason) == (Verdict.TRANSIENT, True, "subprocess.TimeoutExpired")
