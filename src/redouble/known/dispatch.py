"""Floor 2. Recognises an error by the names of its classes, without importing any client.

An error is looked up by (top package, class name) along its MRO, in the table of that package. The table is loaded when
its first error is judged; the entry found is cached per type. No client needs to be imported: private modules of
clients move, but their top packages do not, and a class that was never loaded has no instances.
"""

from __future__ import annotations

import sys
import time

from redouble.core import checks
from redouble.core.causes import DEPTH
from redouble.core.record import Record
from redouble.core.verdict import Rule
from redouble.known import registered
from redouble.known.row import CACHE_SIZE
from redouble.known.table import Entry
from redouble.known.tables import table_of
from redouble.known.tables.builtins import INHERITED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Literal

    from redouble.core.verdict import Classification, Fault
    from redouble.known.row import Asking


class Known(Rule, Record):
    """The rule that knows the errors of real clients.

    Fields:
        wall: The wall clock, a callable that returns seconds since the epoch; `time.time` by default, tests inject
            another. It matters only for a Retry-After date in an answer without a `Date` header.

    Raises:
        TypeError: When `wall` is not callable.

    >>> from redouble.core.verdict import Verdict
    >>> known = Known(wall=lambda: 784111777.0)
    >>> known.ask(ConnectionRefusedError(111, "refused")).verdict
    Verdict.TRANSIENT
    >>> known.ask(FileNotFoundError(2, "missing")).verdict
    Verdict.PERMANENT
    """

    asks_registered: ClassVar[bool] = True
    wall: Callable[[], float]

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        object.__setattr__(self, "wall", checks.function("wall", wall))

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        """Return the opinion of registered rules and the tables on an error; `None` when they do not know its class.

        Never raises. `on_fault` is called for registered rules only: a foreign attribute that raises counts as missing,
        and not as a fault of a rule.
        """
        if registered.state.pairs:
            known = Inner(self.wall, DEPTH, on_fault)
            found = registered.ask(subject, on_fault, known)
            return _asked(subject, known) if found is None else found
        try:  # as `_asked` does, without a call: every failure of every retried call comes through here
            entry = _entries[type(subject)]
        except Exception:
            return _asked(subject, self)
        if entry:
            return entry.read(subject, self, entry.rows)
        return guessed(subject, self) if entry is None else None

    def inner(self, error: Any) -> Classification | None:
        """Return the tables' opinion on an error that another one carries (`URLError.reason`); for the tables."""
        return Inner(self.wall, DEPTH).inner(error)

    def __repr__(self) -> str:
        return "known_errors"


class Inner(Record):
    """The tables' answers for inner errors. It counts down, so that an endless chain is not followed for ever."""

    wall: Callable[[], float]
    left: int
    on_fault: Fault | None = None

    def inner(self, error: Any) -> Classification | None:
        if self.left <= 0:
            return None
        below = Inner(self.wall, self.left - 1, self.on_fault)
        found = registered.ask(error, self.on_fault, below) if registered.state.pairs else None
        if found is not None:
            return found
        entry = entry_of(type(error))
        return None if entry is None else entry.read(error, below, entry.rows)


def _asked(subject: Any, known: Asking) -> Classification | None:
    entry = entry_of(type(subject))
    return guessed(subject, known) if entry is None else entry.read(subject, known, entry.rows)


def guessed(error: Any, known: Asking) -> Classification | None:
    """Return the guess of the general mechanisms about an error that no table knows. Never raises."""
    try:
        if type(error).__module__ == "builtins":  # the most common mistakes of all
            return None
        from redouble.known.guess import guess

        return guess(error, known)
    except Exception:  # no file can be opened; a metaclass that hides its module
        return None


_entries: dict[type, Entry | Literal[False] | None] = {}
"""The entry of each type met so far: `None` for an unknown one, `False` for Python's own, which is not guessed."""


def entry_of(cls: type) -> Entry | None:
    """Return the entry of the tables for a type; `None` for a type that they do not know. Never raises."""
    try:
        return _entries[cls] or None
    except Exception:  # a new type; or one whose metaclass cannot be hashed
        return _learn(cls)


def _learn(cls: type) -> Entry | None:
    """Find the entry of a type and cache it; a table that cannot be loaded now is tried again next time."""
    try:
        found = _find(cls)
        if len(_entries) >= CACHE_SIZE:
            _entries.clear()
        _entries[cls] = False if found is None and cls.__module__ == "builtins" else found
    except Exception:  # a metaclass that hides its name or refuses to be hashed; no file can be opened
        return None
    return found


def _find(cls: type) -> Entry | None:
    foreign = False
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        key = (package, base.__name__)
        if foreign and package == "builtins":
            # That a client's own error is an OSError or EOFError has no meaning: requests' HTTPError and even its
            # JSONDecodeError are OSErrors, and an `errno` may be a broker's code. Only builtins with a meaning of their
            # own are inherited.
            entry = INHERITED.get(key)
        else:
            table = table_of(package)
            entry = None if table is None else table.entries.get(key)
        if entry is not None and _is_within(cls.__module__, entry.word.within):
            return entry
        foreign = foreign or package not in sys.stdlib_module_names
    return None


def _is_within(module: str, place: str) -> bool:
    return not place or module == place or module.startswith(f"{place}.")
