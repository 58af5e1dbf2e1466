"""Floor 2. The meaning of real clients' errors: one table per client, found without importing any client."""

from __future__ import annotations

from redouble.known.only import KnownErrors

known_errors: KnownErrors = KnownErrors()
"""The default rule: the tables of this package, each row with its source.

`known_errors.only("ECONNREFUSED", "timeout")` keeps some of the conditions.

>>> known_errors.ask(ConnectionResetError(104, "reset")).reason
'ConnectionResetError [ECONNRESET]'
>>> known_errors.ask(ValueError("bad input")) is None
True
"""
