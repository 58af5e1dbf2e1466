"""On top of the floors: the options of the commands, and the parsing of their values."""

from __future__ import annotations

import re
import sys
from argparse import Action, ArgumentParser, ArgumentTypeError
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import redouble
from redouble import RetryPolicy, additive, exponential, proportional, retry

if TYPE_CHECKING:
    from argparse import Namespace, _SubParsersAction
    from collections.abc import Callable

    from redouble.jitters import Jitter

JITTERS = ("none", "full", "equal", "decorrelated")
MAKERS: dict[str, Callable[[float], Jitter]] = {"proportional": proportional, "additive": additive}
LIMITS = ("attempts", "deadline")
CURVE = ("initial", "factor", "maximum", "jitter")

NOT_GIVEN: Any = object()
"""Stands for an option that was not given: `None` is a value of its own, no limit."""


def add_demo(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `redouble demo`."""
    about = "Start a flaky service on this machine and get its answer in all four ways, sync and asyncio."
    parser = commands.add_parser("demo", help="see retries at work on real sockets", description=about)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--down", action="store_true", help="leave the service down, to see how a retried call gives up")
    how.add_argument(
        "--serve",
        nargs="?",
        type=port,
        const=0,
        metavar="PORT",
        help="serve the flaky service to programs of yours, on a free port or this one",
    )


def add_preview(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `redouble preview`."""
    about = (
        "Show the waits that a policy would make if every attempt failed at once. Options that are not given have the"
        " library's defaults; giving one of --attempts and --deadline lifts the other, as in Python."
    )
    parser = commands.add_parser("preview", help="show the waits of a policy", description=about)
    parser.add_argument(
        "of",
        nargs="?",
        metavar="MODULE:NAME",
        help="a policy of yours, or a function that one decorates (shop.net:fetch); options change it",
    )
    add_policy(parser)
    parser.add_argument("--failures", type=number, default=10, metavar="N", help="show at most so many waits (10)")
    parser.set_defaults(parser=parser)


def add_policy(parser: ArgumentParser) -> None:
    """Add the options that describe a policy; `policy_of` reads them."""
    policy = parser.add_argument_group("the policy")
    policy.add_argument("--attempts", type=number, metavar="N", help="give up when so many failed in a row, or none")
    policy.add_argument("--deadline", type=number, metavar="S", help="seconds for everything, or none")
    policy.add_argument("--initial", type=number, metavar="S", help="the first wait before jitter, in seconds")
    policy.add_argument("--factor", type=number, metavar="F", help="what each wait is multiplied by")
    policy.add_argument("--maximum", type=number, metavar="S", help="the longest wait in seconds, or none")
    policy.add_argument(
        "--jitter", type=jitter, metavar="J", help="none, full, equal, decorrelated, proportional:SHARE or additive:S"
    )
    parser.set_defaults(**dict.fromkeys((*LIMITS, *CURVE), NOT_GIVEN))


def add_explain(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `redouble explain`."""
    about = (
        "Say whether an error is retried, and why: for the class of an error, by what its client's documentation calls"
        " its code, for an HTTP status, a SQLSTATE or an exit code. Without arguments: all that redouble knows."
    )
    parser = commands.add_parser("explain", help="say what is known of an error", description=about)
    parser.add_argument(
        "error",
        nargs="*",
        metavar="WHAT",
        help="a class and perhaps a code (OSError ECONNREFUSED, httpx.ReadTimeout, grpc.RpcError UNAVAILABLE),"
        " a package (openai), or the program of --exit-code",
    )
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--list", nargs="?", const="", metavar="PACKAGE", help="the rows of a package, or all of them")
    asked.add_argument("--http", type=int, metavar="STATUS", help="an HTTP status")
    asked.add_argument("--sqlstate", metavar="STATE", help="a SQLSTATE, such as 40001")
    asked.add_argument("--exit-code", type=int, metavar="N", help="the exit code of a program")
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a header of the answer, with --http"
    )
    parser.set_defaults(parser=parser)


def number(text: str) -> int | float | None:
    """Parse a number, or `none`."""
    if text.lower() == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ArgumentTypeError(f"must be a number or none, got {text!r}")


def port(text: str) -> int:
    """Parse a port of TCP; 0 stands for a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"must be a port, 0 to 65535, got {text!r}")
    return int(text)


def jitter(text: str) -> Jitter | str:
    """Parse the name of a jitter, or `name:number` for those that take a number."""
    name, colon, given = text.partition(":")
    if not colon and name in JITTERS:
        return name
    value = number(given) if colon else None
    if name in MAKERS and value is not None:
        try:
            return MAKERS[name](value)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None
    raise ArgumentTypeError(f"must be one of {', '.join(JITTERS)}, proportional:SHARE or additive:S, got {text!r}")


def policy_of(chosen: Namespace) -> RetryPolicy:
    """Return the policy that the options of `add_policy` describe."""
    given = {name: value for name, value in vars(chosen).items() if value is not NOT_GIVEN}
    fields: dict[str, Any] = {name: given[name] for name in LIMITS if name in given}
    curve: dict[str, Any] = {name: given[name] for name in CURVE if name in given}
    if curve:
        fields["backoff"] = exponential(**curve)
    base = written(chosen)
    return base(**fields) if fields else base


def written(chosen: Namespace) -> RetryPolicy:
    """Return the policy that the options modify: the one that MODULE:NAME names, else `retry`."""
    of: str | None = getattr(chosen, "of", None)
    return retry if of is None else named(of)


def named(text: str) -> RetryPolicy:
    """Import the policy, or the policy of the decorated function, that `MODULE:NAME` names.

    Finds modules in the current folder, as `python -m` does.

    Raises:
        ValueError: When there is no such policy.
    """
    module, _, path = text.partition(":")
    if not module or not path:
        raise ValueError(f"what is previewed must be MODULE:NAME, such as shop.net:policy, got {text!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = reduce(getattr, path.split("."), import_module(module))
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{text} cannot be found: {error}") from None
    finally:
        del sys.path[0]
    policy = found if isinstance(found, RetryPolicy) else redouble.policy_of(found)
    if policy is None:
        raise ValueError(f"{text} must be a policy or a function that one decorates, got {found!r}")
    return policy


class Parser(ArgumentParser):
    """A parser that suggests close matches for an unknown command or option.

    From 3.15 on Python does so too, but only for choices; it is switched off, so that all versions print the same.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.suggest_on_error = False

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '([^']*)'|unrecognized arguments: (--[\w-]+)", message)
        meant = get_close_matches(wrong[1] or wrong[2], self.words(), 1) if wrong else []
        super().error(f"{message}; did you mean {meant[0]}?" if meant else message)

    def words(self) -> set[str]:
        """Return all commands and options."""
        found = set(self._option_string_actions)
        for action in self._actions:
            for name, parser in action.choices.items() if isinstance(action.choices, dict) else ():
                found |= {name, *parser.words()}
        return found


class ShowVersion(Action):
    """`--version`, which looks up the version only on request."""

    def __call__(self, parser: ArgumentParser, *args: object) -> None:
        try:
            found = version("redouble")
        except PackageNotFoundError:
            found = "(not installed)"
        print(f"redouble {found}")
        parser.exit()
