"""What `import redouble` costs in a fresh interpreter, beside other modules.

    python tests/bench/imports.py [module ...]

For each module: the median of 15 fresh interpreters that import it, less that of 15 that import nothing, measured in
turn. Without arguments: redouble, tenacity and stamina, as far as they are installed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from importlib.util import find_spec

RUNS = 15


def started(code: str) -> float:
    """Seconds that a fresh interpreter takes for `code`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
    return time.perf_counter() - began


def main(modules: list[str]) -> None:
    """Print a line per module."""
    codes = {module: f"import {module}" for module in modules}
    taken: dict[str, list[float]] = {module: [] for module in ("", *modules)}
    for code in codes.values():
        started(code)  # compiles and fills the caches of the file system
    for _ in range(RUNS):
        for module in taken:
            taken[module].append(started(codes.get(module, "pass")))
    nothing = statistics.median(taken[""])
    for module in modules:
        print(f"{module:<12} {1000 * (statistics.median(taken[module]) - nothing):6.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in ("redouble", "tenacity", "stamina") if find_spec(name)])
