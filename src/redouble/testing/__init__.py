"""On top of the floors: virtual time, operations that fail by a script, and (in `strategies`) generated policies.

`fake_time` puts a `FakeClock` under every policy within it; `scripted` makes an operation that fails by a script. The
pytest fixture `retry_clock` is a clock under `fake_time` for the length of a test.
"""

from __future__ import annotations

from redouble.testing.clock import FakeClock
from redouble.testing.faketime import fake_time
from redouble.testing.script import HANG, Scripted, ScriptedAsync, scripted
from redouble.testing.trap import Trap

__all__ = ["HANG", "FakeClock", "Scripted", "ScriptedAsync", "Trap", "fake_time", "scripted"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # tracebacks and reprs show the public import path
