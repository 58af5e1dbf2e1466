"""On top of the floors: printing, so that it is seen at once and a closed pipe is no error."""

from __future__ import annotations

import os
import sys

CLOSED_PIPE = 141
"""The exit code when nobody reads on (`redouble demo | head -3`): 128 and the number of SIGPIPE, as shells have it."""


def say(text: str = "") -> None:
    """Print a line, at once also into a pipe.

    Raises:
        SystemExit: When the pipe's other end is closed. Being no `Exception`, it ends retried calls too.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # Python flushes what is left when it ends, and would complain
        os.close(nowhere)
        raise SystemExit(CLOSED_PIPE) from None
