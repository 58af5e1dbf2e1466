"""Floor 2. Recognises an error by the names of its classes, without importing any client.

An error is looked up by (top package, class name) along its MRO, in one table that is merged from the modules of this
package when the first error is judged; what was found is kept per type. Private modules of clients move, their top
packages do not; and a class that was never loaded can have no instance. So nothing needs to be imported.
"""

from __future__ import annotations

import sys
import time

from redouble.core import checks
from redouble.core.causes import DEPTH
from redouble.core.record import Record
from redouble.core.verdict import Rule
from redouble.known import registered
from redouble.known.rows import CACHE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, TypeAlias

    from redouble.core.verdict import Classification, Fault
    from redouble.known.rows import Reader, Table

    Named: TypeAlias = tuple[tuple[str, str], Reader]


class Known(Rule, Record):
    """The rule that knows the errors of real clients.

    Fields:
        wall: The wall clock, a callable that gives seconds since the epoch; `time.time` by default, tests inject
            another. It matters only where a server names a date to come back at and does not send its own `Date`.

    Raises:
        TypeError: When `wall` is no callable.

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
        """What registered rules and the tables say of an error; `None` when they do not know its class. Never raises.

        `on_fault` hears of registered rules alone: a foreign attribute that raises is no fault of a rule, but counts as
        missing.
        """
        if registered.state.pairs:
            return self._ask_all(subject, on_fault)
        reader = _reader(type(subject))
        return None if reader is None else reader(subject, self)

    def _ask_all(self, subject: Any, on_fault: Fault | None) -> Classification | None:
        found = registered.ask(subject, on_fault)
        if found is not None:
            return found
        reader = _reader(type(subject))
        return None if reader is None else reader(subject, Inner(self.wall, DEPTH, on_fault))

    def inner(self, error: Any) -> Classification | None:
        """What the tables say of an error that another one carries (`URLError.reason`); for their readers."""
        return Inner(self.wall, DEPTH).inner(error)

    def __repr__(self) -> str:
        return "known_errors"


class Inner(Record):
    """What the readers of inner errors ask in turn: a chain that never ends must not be followed for ever."""

    wall: Callable[[], float]
    left: int
    on_fault: Fault | None = None

    def inner(self, error: Any) -> Classification | None:
        if self.left <= 0:
            return None
        found = registered.ask(error, self.on_fault) if registered.state.pairs else None
        if found is not None:
            return found
        reader = _reader(type(error))
        return None if reader is None else reader(error, Inner(self.wall, self.left - 1, self.on_fault))


_readers: dict[type, Reader | None] = {}


def _reader(cls: type) -> Reader | None:
    try:
        return _readers[cls]
    except Exception:  # new; or a class whose metaclass cannot be hashed
        return _learn(cls)


def _learn(cls: type) -> Reader | None:
    """Find the reader of a type and keep it."""
    try:
        known = find(cls)
        found = None if known is None else known[1]
        if len(_readers) >= CACHE_SIZE:
            _readers.clear()
        _readers[cls] = found
    except Exception:  # a metaclass that hides its name or refuses to be hashed: nobody we know
        return None
    return found


def find(cls: type) -> Named | None:
    """The key of the tables that stands for a type, and its reader; `None` for a type that they do not know."""
    from redouble.known.tables import INHERITED, TABLE  # what never fails never pays for the tables

    foreign = False
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        # A client's own OSError or EOFError says nothing by that alone: requests' HTTPError and even its JSONDecodeError
        # are OSErrors, and an `errno` may be a broker's code. Only the builtins that say what happened are inherited.
        table: Table = INHERITED if foreign and package == "builtins" else TABLE
        key = (package, base.__name__)
        reader = table.get(key)
        if reader is not None:
            return key, reader
        foreign = foreign or package not in sys.stdlib_module_names
    return None
