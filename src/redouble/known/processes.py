"""Floor 2. Programs that failed: exit codes, which mean something only with the name of the program.

No message and no argument of the command goes into a reason: command lines hold passwords. Programs are named only when
they are in the table.
"""

from __future__ import annotations

from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, coded, is_a, named, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification, Verdict
    from redouble.known.rows import Asking, Table

_CURL = "curl(1), EXIT CODES"
_PROGRAMS = {
    "curl": (
        (TRANSIENT, True, _CURL, "no connection, or one that broke", "5 7 16 18 28 35 52 55 56 92 95"),
        (PERMANENT, True, _CURL, "22 hides the status", "6 22 60"),
    ),
    "ssh": ((TRANSIENT, True, "ssh(1), EXIT STATUS", "any error of ssh itself: also a refused key", "255"),),
    "timeout": ((TRANSIENT, True, "timeout(1)", "the time was up", "124"),),
    "wget": ((TRANSIENT, True, "wget(1), EXIT STATUS", "network failure", "4"),),
    "rsync": ((TRANSIENT, True, "rsync(1), EXIT VALUES", "socket error or timeout", "10 30 35"),),
}
_SYSEXITS = "sysexits(3)"


def _rows(program: str, groups: tuple[tuple[Verdict, bool, str, str, str], ...]) -> dict[int, Row]:
    name = "CalledProcessError"
    found = {int(row.code): row for row in coded("subprocess", name, groups)}
    return {
        code: Row("subprocess", name, f"{program} exited {code}", row.verdict, row.applied, row.source, row.note)
        for code, row in found.items()
    }


_BY_PROGRAM = {program: _rows(program, groups) for program, groups in _PROGRAMS.items()}
_TEMPORARY = Row("subprocess", "CalledProcessError", "exited 75", TRANSIENT, True, _SYSEXITS, "EX_TEMPFAIL: try later")
_ANY = Row(
    "subprocess", "CalledProcessError", "", PERMANENT, True, _SYSEXITS + "; policy", "any other code, and every signal"
)
_TIMEOUT = Row("subprocess", "TimeoutExpired", "", TRANSIENT, True, "subprocess documentation", "killed at work")
ROWS: tuple[Row, ...] = (*(row for rows in _BY_PROGRAM.values() for row in rows.values()), _TEMPORARY, _ANY, _TIMEOUT)

_OWN_CODES = frozenset(("curl", "wget", "rsync"))
"""Programs whose 75 is not EX_TEMPFAIL; ssh and timeout hand on the code of what they ran."""

_WRAPPERS = frozenset(("timeout", "env", "nice", "nohup", "setsid", "stdbuf", "time", "sudo", "exec"))
"""Programs that run another one and end with its code."""


def read(error: Any, _: Asking) -> Classification:
    """A program that did not exit with 0, by its code and, where `cmd` tells, by its name."""
    code = whole(probe(error, "returncode"))
    programs = programs_of(probe(error, "cmd"))
    for program in programs:
        row = _BY_PROGRAM.get(program, {}).get(-1 if code is None else code)
        if row is not None:
            return row.because(f"{named(error)} {program} exited {code}")
    if code == 75 and not _OWN_CODES.intersection(programs):
        return _TEMPORARY.because(f"{named(error)} exited 75 [EX_TEMPFAIL]")
    return _ANY.because(_reason(error, programs, code))


def _reason(error: Any, programs: list[str], code: int | None) -> str:
    shown = next((program + " " for program in programs if program in _BY_PROGRAM), "")
    if code is None:
        return named(error)
    return f"{named(error)} {shown}" + (f"exited {code}" if code >= 0 else f"died of signal {-code}")


def programs_of(cmd: Any) -> list[str]:
    """The names of the program in a command and of those it runs (`timeout 5 curl ...`: both); empty when unclear.

    >>> programs_of(["/usr/bin/timeout", "-k", "1", "5", "curl", "https://example.org"])
    ['timeout', 'curl']
    >>> programs_of("curl -s https://example.org | tee out")
    []
    """
    try:
        words = _words(cmd)
    except Exception:  # no command at all, an open quotation mark, a path that raises
        return []
    found: list[str] = []
    for word in words:
        if found and (word[:1] in "-0123456789" or "=" in word):
            continue  # an option of the wrapper, a duration, a variable
        if not found and "=" in word:
            continue  # TOKEN=... curl
        found.append(_base_name(word))
        if found[-1] not in _WRAPPERS:
            break
    return found


def _base_name(word: str) -> str:
    name = word.replace("\\", "/").rpartition("/")[2]
    return name[:-4] if name.lower().endswith(".exe") else name


def _words(cmd: Any) -> list[str]:
    from os import fsdecode  # takes a str, bytes or a path

    if is_a(cmd, (list, tuple)):
        return [str.__str__(fsdecode(word)) for word in list(cmd)[:50]]
    return _shell_words(str.__str__(fsdecode(cmd)))


def _shell_words(text: str) -> list[str]:
    """The words of a command line; none for a pipeline or a list of commands, whose code may be of any of them."""
    text = text.replace("\\\n", " ").strip()
    if len(text) > 10_000 or "`" in text or "\n" in text:
        return []
    if text[1:3] == ":\\":
        text = text.replace("\\", "/")  # C:\bin\curl.exe
    from shlex import shlex

    lexer = shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = list(lexer)
    return [] if any(word and not word.strip("();|&") for word in words) else words


TABLE: Table = {**by_class((_TIMEOUT,)), ("subprocess", "CalledProcessError"): read}
