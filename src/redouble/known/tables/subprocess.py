"""Floor 2. Programs that failed: exit codes, which have a meaning only together with the name of the program.

No message and no argument of the command goes into a reason: command lines hold passwords. Programs are named only when
they are in the table.
"""

from __future__ import annotations

from redouble.core.raw import is_a, probe, whole
from redouble.known.row import PERHAPS, PERMANENT, TRANSIENT, named
from redouble.known.table import Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_SYSEXITS = "sysexits(3)"
_CURL = "curl(1), EXIT CODES"
_PROGRAMS = frozenset(("curl", "ssh", "timeout", "wget", "rsync"))
"""The programs whose exit codes have rows."""

_OWN_CODES = frozenset(("curl", "wget", "rsync"))
"""Programs whose 75 is not EX_TEMPFAIL; ssh and timeout pass on the code of the program that they ran."""

_WRAPPERS = frozenset(("timeout", "env", "nice", "nohup", "setsid", "stdbuf", "time", "sudo", "exec"))
"""Programs that run another one and end with its code."""


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a program that did not exit with 0 by its code and, where `cmd` tells, by its name."""
    code = whole(probe(error, "returncode"))
    programs = programs_of(probe(error, "cmd"))
    for program in programs:
        row = rows.get(f"{program} exited {code}")
        if row is not None:
            return row.because(f"{named(error)} {row.code}")
    if code == 75 and not _OWN_CODES.intersection(programs):
        return rows["exited 75"].because(f"{named(error)} exited 75 [EX_TEMPFAIL]")
    return rows[""].because(_reason(error, programs, code))


def _reason(error: Any, programs: list[str], code: int | None) -> str:
    shown = next((program + " " for program in programs if program in _PROGRAMS), "")
    if code is None:
        return named(error)
    return f"{named(error)} {shown}" + (f"exited {code}" if code >= 0 else f"died of signal {-code}")


def _exits(program: str, *codes: int) -> tuple[str, ...]:
    return tuple(f"{program} exited {code}" for code in codes)


def programs_of(cmd: Any) -> list[str]:
    """Return the names of a command's program and of those it runs (`timeout 5 curl ...`: both); empty when unclear.

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
    """Split a command line; empty for a pipeline or a list of commands, whose exit code may be that of any of them."""
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


TABLE: Table = client(
    "subprocess",
    by(read).of(
        "CalledProcessError",
        (
            TRANSIENT,
            PERHAPS,
            _CURL,
            "no connection, or one that broke",
            _exits("curl", 5, 7, 16, 18, 28, 35, 52, 55, 56, 92, 95),
        ),
        (PERMANENT, PERHAPS, _CURL, "22 hides the status", _exits("curl", 6, 22, 60)),
        (TRANSIENT, PERHAPS, "ssh(1), EXIT STATUS", "any error of ssh itself: also a refused key", _exits("ssh", 255)),
        (TRANSIENT, PERHAPS, "timeout(1)", "the time was up", _exits("timeout", 124)),
        (TRANSIENT, PERHAPS, "wget(1), EXIT STATUS", "network failure", _exits("wget", 4)),
        (TRANSIENT, PERHAPS, "rsync(1), EXIT VALUES", "socket error or timeout", _exits("rsync", 10, 30, 35)),
        (TRANSIENT, PERHAPS, _SYSEXITS, "EX_TEMPFAIL: try later", ("exited 75",)),
        (PERMANENT, PERHAPS, _SYSEXITS + "; policy", "any other code, and every signal", ""),
    ),
    by_class((TRANSIENT, PERHAPS, "subprocess documentation", "killed at work", "TimeoutExpired")),
)
