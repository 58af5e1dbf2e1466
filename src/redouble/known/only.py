"""Floor 2. `known_errors`, and `known_errors.only(...)`: a choice among the known conditions.

A condition is read off the reason that a table gives. Reasons have one form for every client: the deepest error comes
first, with its code in brackets or its status behind its name.
"""

from __future__ import annotations

import time

from redouble.core import checks
from redouble.core.record import Record
from redouble.core.verdict import Classification, Rule, Verdict
from redouble.known.dispatch import Known, entry_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from redouble.core.verdict import Fault
    from redouble.known.row import Row

TIMEOUT = "timeout"
"""The condition of every timeout, whichever client raised it."""

_BARE = {
    "BlockingIOError": "EAGAIN",
    "BrokenPipeError": "EPIPE",
    "ConnectionAbortedError": "ECONNABORTED",
    "ConnectionError": "ECONNRESET",
    "ConnectionRefusedError": "ECONNREFUSED",
    "ConnectionResetError": "ECONNRESET",
    "InterruptedError": "EINTR",
    "TimeoutError": "ETIMEDOUT",
}
"""The errno of a builtin error that carries none (Python documentation, OS exceptions)."""


class KnownErrors(Known):
    """The rule that knows the errors of real clients; `known_errors` is the one to use."""

    if TYPE_CHECKING:
        wall: Callable[[], float]  # repeated for pyright, which takes the inherited one for a method

    causes = True

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        super().__init__(wall)

    def only(self, *conditions: str) -> Rule:
        """Retry only some of the known conditions: an error that is transient by another one is not retried.

        Args:
            conditions: Errno names (`"ECONNREFUSED"`), HTTP statuses (`"503"`), and `"timeout"`, which stands for every
                timeout, whichever client raised it.

        Raises:
            TypeError: For anything but strings.
            ValueError: For no condition, or an unknown one; the error lists the known ones.

        >>> from redouble import classify, known_errors
        >>> starting = known_errors.only("ECONNREFUSED", "503")
        >>> classify(ConnectionRefusedError(111, "refused"), starting).verdict
        Verdict.TRANSIENT
        >>> classify(ConnectionResetError(104, "reset"), starting).verdict
        Verdict.PERMANENT
        """
        for word in conditions:
            if not isinstance(word, str):
                raise TypeError(
                    f"only() takes conditions such as 'ECONNREFUSED' or 'timeout', got {checks.shown(word)}"
                )
        known = conditions_known()
        unknown = [word for word in conditions if word not in known]
        if unknown or not conditions:
            got = checks.shown(unknown[0]) if unknown else "none"
            raise ValueError(f"only() takes at least one of {', '.join(known)}; got {got}")
        return Only(self, tuple(dict.fromkeys(conditions)))


class Only(Rule, Record):
    """The known errors, kept to some conditions; made by `known_errors.only`."""

    known: KnownErrors
    conditions: tuple[str, ...]

    causes = True
    asks_registered = True

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        found = self.known.ask(subject, on_fault)
        if found is None or found.verdict is Verdict.PERMANENT:
            return None
        return found if any(word in self.conditions for word in conditions_of(subject, found)) else None

    def __repr__(self) -> str:
        return f"{self.known!r}.only({', '.join(map(repr, self.conditions))})"


def conditions_known() -> tuple[str, ...]:
    """Return all conditions that some table knows to be transient, in alphabetical order, `timeout` last."""
    codes = {row.code for row in _all_rows() if row.verdict is Verdict.TRANSIENT}
    return (*sorted(code for code in codes if _is_number(code) or _is_errno(code)), TIMEOUT)


def _is_number(code: str) -> bool:
    return len(code) == 3 and code.isdecimal()


def _is_errno(code: str) -> bool:
    return code.startswith("E") and code.isalnum() and code.isupper()


def conditions_of(error: Any, found: Classification) -> set[str]:
    """Return the words in a table's reason for an error, the conditions among them.

    >>> sorted(conditions_of(TimeoutError(110, "x"), Classification(Verdict.TRANSIENT, reason="TimeoutError [ETIMEDOUT]")))
    ['ETIMEDOUT', 'TimeoutError', 'timeout']
    """
    words = {word.strip("[]") for word in found.reason.partition(" under ")[0].split()}
    names = words | {found.reason.rpartition(".")[2], (known_as(type(error)) or "?")[-1]}
    words |= {_BARE[name] for name in names if name in _BARE and not any(map(_is_errno, words))}
    if "ETIMEDOUT" in words or any(mark in name.lower() for name in names for mark in ("timeout", "timedout")):
        words.add(TIMEOUT)
    return words


# The one place that asks this package's tables.


def known_as(cls: type) -> tuple[str, str] | None:
    """Return the top package and class name by which the tables know a type; `None` when they do not."""
    entry = entry_of(cls)
    return None if entry is None else entry.key


def _all_rows() -> Iterable[Row]:
    from redouble.known.tables import all_rows  # loaded only when asked for

    return all_rows()
