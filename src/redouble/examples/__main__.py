"""On top of all floors: `python -m redouble.examples` lists the programs."""

from __future__ import annotations

from redouble import examples

print(examples.__doc__)
