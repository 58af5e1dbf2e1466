"""On top of the floors: `python -m redouble` is the same as the command `redouble`."""

from __future__ import annotations

import sys

from redouble.cli import main

if __name__ == "__main__":  # pragma: no cover  # the tests run it under another name, or in a process of its own
    sys.exit(main())
