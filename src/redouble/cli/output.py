"""On top of the floors: printing that shows each line at once, and takes a closed pipe for the end."""

from __future__ import annotations

import os
import sys

CLOSED_PIPE = 141
"""The exit code when the reader is gone (`redouble demo | head -3`): 128 plus the number of SIGPIPE, as in shells."""


def say(text: str = "") -> None:
    """Print a line, and flush it even into a pipe.

    Raises:
        SystemExit: When the pipe's other end is closed. As it is not an `Exception`, it ends retried calls too.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # Python flushes the rest at exit, and would complain
        os.close(nowhere)
        raise SystemExit(CLOSED_PIPE) from None
