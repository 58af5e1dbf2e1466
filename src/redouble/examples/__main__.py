"""On top of all floors: `python -m redouble.examples` says which programs there are."""

from __future__ import annotations

from redouble import examples

print(examples.__doc__)
