"""On top of the floors: `redouble migrate`, which rewrites code from tenacity, backoff, stamina and retrying.

`source` finds the uses of a library; `tenacity`, `backoff`, `stamina` and `retrying` translate them. `shapes` follows
the forms in which a retry is written, `planning` decides, `edits` changes the file. Only these modules import libcst.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from redouble.cli.output import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

LEFT = 1
"""The exit code when a use of a library was not rewritten."""

MISTAKE = 2


def add(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command's options."""
    about = (
        "Rewrite code that uses tenacity, backoff, stamina or retrying. Shows the differences; what cannot be rewritten"
        " gets a comment above it, and so does what a reviewer should look at. Ends with 0 when all was rewritten, with"
        " 1 when something was left as it is. Needs libcst: pip install redouble[migrate]."
    )
    parser = commands.add_parser("migrate", help="rewrite code that uses another retry library", description=about)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, or folders of Python")
    parser.add_argument("--write", action="store_true", help="change the files, instead of showing how")
    parser.add_argument("--json", action="store_true", help="say what was found as JSON, instead of the differences")


def run(chosen: Namespace) -> int:
    """Run the command; return its exit code."""
    if find_spec("libcst") is None:
        print("redouble migrate needs libcst: pip install redouble[migrate]", file=sys.stderr)
        return MISTAKE
    from redouble.cli.migrate import files, planning, report

    try:
        paths = list(files.python_files(chosen.paths))
    except ValueError as error:
        print(f"redouble migrate: {error}", file=sys.stderr)
        return MISTAKE
    sources, texts, errors = files.read(paths)
    found = planning.plan(sources, texts)
    changed = [source for source in sources if found.texts[source.path] != source.module.code]
    for source in changed:
        if not chosen.json:
            say(report.difference(source.path, source.module.code, found.texts[source.path]).rstrip("\n"))
        if chosen.write:
            files.write(source.path, found.texts[source.path], source.module.encoding)
    if chosen.json:
        say(report.as_json(found.sites, errors, [source.path for source in changed]))
    print(report.summary(found.sites, errors, chosen.write), file=sys.stderr)
    return LEFT if errors or any(site.reason for site in found.sites) else 0
