"""On top of the floors: the options of the commands for shells, `redouble run` and `redouble wait`."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from redouble.cli.options import add_policy, number

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

ANY = frozenset(range(-64, 256)) - {0}
"""All exit codes of failures; those below 0 stand for signals."""

SCHEMES = ("tcp", "http", "https", "postgres", "postgresql", "redis", "rediss", "ssh", "file")


def add(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add both commands."""
    add_run(commands)
    add_wait(commands)


def add_run(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `redouble run`."""
    about = (
        "Run a command, and again when its exit code says that it may pass: by the known codes of curl, ssh, rsync, wget"
        " and timeout, 75 (EX_TEMPFAIL) of any program, or by --on and --on-output. Exits with the command's own code,"
        " 124 where the time was over, 128+N where signal N ended it."
    )
    usage = "redouble run [options] -- COMMAND [ARGUMENT ...]"
    parser = commands.add_parser("run", help="run a command until it succeeds", description=about, usage=usage)
    add_policy(parser)
    chosen = parser.add_argument_group("what is run again")
    chosen.add_argument(
        "--on", type=exit_codes, metavar="CODES", help="these exit codes alone (75,7), or any that is not 0 (any)"
    )
    chosen.add_argument(
        "--on-output",
        type=pattern,
        metavar="REGEX",
        help="a failure whose output matches; it passes through pipes then",
    )
    chosen.add_argument(
        "--attempt-timeout", type=number, metavar="S", help="seconds for one attempt, which then counts as failed"
    )
    shown = parser.add_argument_group("what is shown, on stderr").add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="say nothing")
    shown.add_argument("--json", action="store_true", help="say it as JSON, an object a line")
    parser.add_argument("argv", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")
    parser.set_defaults(parser=parser)


def add_wait(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `redouble wait`."""
    about = (
        "Wait until all targets are up: tcp://db:5432 takes connections, https://api/health answers with a success,"
        " postgres://user:password@db/name and redis://cache let the user in, ssh://host greets, file:/run/ready exists."
        " Exits with 0 when they are, 1 at the deadline, 2 when one cannot become up, as with a wrong password."
    )
    parser = commands.add_parser("wait", help="wait until servers are up", description=about)
    parser.add_argument("targets", nargs="+", type=target, metavar="TARGET", help=f"one of {', '.join(SCHEMES)}")
    parser.add_argument("--deadline", type=number, default=60.0, metavar="S", help="seconds for all, or none (60)")
    parser.add_argument("--timeout", type=number, default=5.0, metavar="S", help="seconds for one question (5)")
    shown = parser.add_argument_group("what is shown, on stderr").add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="say nothing")
    shown.add_argument("--json", action="store_true", help="say it as JSON, an object a line")
    parser.set_defaults(parser=parser)


def target(text: str) -> str:
    """Check the form of a target."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in SCHEMES or not rest.strip("/"):
        raise ArgumentTypeError(f"must be a URL such as tcp://db:5432, with {', '.join(SCHEMES)}, got {text!r}")
    if scheme == "tcp" and not re.fullmatch(r"//(\[[^]]+\]|[^:/]+):\d+/?", rest):
        raise ArgumentTypeError(f"must have a host and a port, such as tcp://db:5432, got {text!r}")
    return text


def exit_codes(text: str) -> frozenset[int]:
    """Return the exit codes of a list, or of `any`: all but 0, and all signals."""
    if text == "any":
        return ANY
    found = text.split(",")
    if not all(code.isdecimal() and 1 <= int(code) <= 255 for code in found):
        raise ArgumentTypeError(f"must be exit codes from 1 to 255, such as 75,7, or any, got {text!r}")
    return frozenset(map(int, found))


def pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression."""
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise ArgumentTypeError(f"must be a regular expression ({error}), got {text!r}") from None
