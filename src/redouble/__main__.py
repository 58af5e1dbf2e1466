"""On top of the floors: `python -m redouble` is the same as the command `redouble`."""

from __future__ import annotations

import sys

from redouble.cli import main

if __name__ == "__main__":
    sys.exit(main())
