"""On top of the floors: the command line, `redouble` or `python -m redouble`.

Each command imports its modules when it is run, so that `redouble --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from redouble.cli import migrate, options, shell, worlds

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments. `None`: the process's own.

    Returns:
        The exit code: 0 for success, 1 when the demo got no answer or `migrate` left something as it is, 2 for a
        mistake in the arguments, 130 after Ctrl-C; `run` and `wait` have their own.
    """
    try:
        return _run(_parser().parse_args(argv))
    except SystemExit as end:  # so argparse ends after --help, --version or a mistake
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def _run(chosen: Namespace) -> int:
    if chosen.command == "demo":
        from redouble.cli.demo import demo, serve

        return demo(down=chosen.down) if chosen.serve is None else serve(chosen.serve)
    if chosen.command in ("run", "wait"):
        from importlib import import_module

        code: int = import_module(f"redouble.cli.{chosen.command}").run(chosen)
        return code
    if chosen.command == "migrate":
        return migrate.run(chosen)
    try:
        _show(chosen)
    except (TypeError, ValueError) as error:  # redouble's own messages name argument, rule and value
        chosen.parser.error(str(error))
    return 0


def _show(chosen: Namespace) -> None:
    if chosen.command == "explain":
        from redouble.cli import explain

        explain.run(chosen)
    elif chosen.command == "simulate":
        from redouble.cli import simulate

        simulate.show(chosen)
    else:
        from redouble.cli import preview

        preview.show(options.policy_of(chosen), chosen.failures)


def _new_parser(**given: str) -> ArgumentParser:
    return options.Parser(**given)


def _parser() -> ArgumentParser:
    parser = _new_parser(prog="redouble", description="Retries that know when to stop.")
    parser.add_argument("--version", action=options.ShowVersion, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    options.add_demo(commands)
    options.add_preview(commands)
    options.add_explain(commands)
    worlds.add(commands)
    shell.add(commands)
    migrate.add(commands)
    return parser
