"""Floor 2. Rows: one line a condition, and the classification that a row gives.

A row holds all facts on a condition: the tables judge by it, `explain` and the documentation show it.
"""

from __future__ import annotations

from redouble.core.backoff import Backoff
from redouble.core.record import Record
from redouble.core.verdict import Classification, Verdict, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol, TypeAlias, TypeVar

    class Asking(Protocol):
        """The services that a table gets from its rule: the wall clock, and the meaning of an inner error."""

        @property
        def wall(self) -> Callable[[], float]: ...

        def inner(self, error: Any) -> Classification | None: ...

    K = TypeVar("K")
    V = TypeVar("V")
    Codes: TypeAlias = "str | tuple[str, ...]"
    Group: TypeAlias = "tuple[Verdict, bool, str, str, Codes]"
    """Verdict, applied, source, note, and the codes (or classes) that they hold for."""

CACHE_SIZE = 1024
"""The entries of a cache before it is emptied: a program that keeps making classes must not fill the memory."""

TRANSIENT, PERMANENT, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING
SURELY_NOT, PERHAPS = False, True
"""Whether the failed attempt may have taken effect."""


class Row(Record):
    """One line of the documented tables: the meaning of one condition of one class.

    Fields:
        package: The top package of the class (`http` for `http.client.IncompleteRead`).
        name: The name of the class; `status` for the rows that hold for every HTTP client.
        code: The errno, number or reason that the row is about; empty when the class is enough.
        verdict: The `Verdict`.
        applied: Whether the failed attempt may have taken effect; `False`: surely not.
        source: The document that says so, or `policy` for a choice of redouble's.
        note: A hint for the reader; may be empty.
    """

    package: str
    name: str
    code: str
    verdict: Verdict
    applied: bool
    source: str
    note: str = ""

    def because(
        self,
        reason: str,
        retry_after: float | None = None,
        applied: bool | None = None,
        backoff: Backoff | None = None,
    ) -> Classification:
        """Make the classification of the row, with `applied` where the error tells more than the row."""
        applied = self.applied if applied is None else applied
        return Classification(self.verdict, retry_after, applied, backoff, reason, row=self)

    @property
    def title(self) -> str:
        """The name of the row in explanations: `builtins.OSError [ECONNREFUSED]`."""
        return f"{self.package}.{self.name}" + (f" [{self.code}]" if self.code else "")

    def __repr__(self) -> str:
        return f"<row {self.title}>"


def rows_of(package: str, name: str, groups: Iterable[Group]) -> tuple[Row, ...]:
    """Return the rows of one class: one for every code of every group."""
    return tuple(
        Row(package, name, code, verdict, applied, source, note)
        for verdict, applied, source, note, codes in groups
        for code in codes_of(codes)
    )


def codes_of(codes: Codes) -> tuple[str, ...]:
    """Return the codes of a group: a tuple as it is, a text split at its blanks; an empty text is one code.

    >>> codes_of("EAGAIN EINTR"), codes_of(("by status",)), codes_of("")
    (('EAGAIN', 'EINTR'), ('by status',), ('',))
    """
    return codes if type(codes) is tuple else tuple(str.split(codes)) or ("",)  # type: ignore[arg-type]  # a str


def answer(error: Any, row: Row) -> Classification:
    """Return the classification of a row for this error, made once per type."""
    key = (type(error), id(row))
    found = _answers.get(key)
    if found is None:  # it holds the row, so that no other row can have this id while it is cached
        found = row.because(named(error) + (f" [{row.code}]" if row.code else ""))
        remember(_answers, key, found)
    return found


_answers: dict[tuple[type, int], Classification] = {}


def restated(found: Classification, reason: str, applied: bool, guessed: bool = False) -> Classification:
    """Return the same classification for another error."""
    return found.but(reason=reason, applied=applied, guessed=guessed or found.guessed)


def as_applied(found: Classification, applied: bool) -> Classification:
    """Return the same classification, with the client's own answer to whether the attempt may have taken effect."""
    return found if found.applied is applied else restated(found, found.reason, applied)


def remember(cache: dict[K, V], key: K, value: V) -> V:
    """Put `value` into a bounded cache, and return it."""
    if len(cache) >= CACHE_SIZE:
        cache.clear()
    cache[key] = value
    return value


def named(error: Any) -> str:
    """Return the name of an error's type in reasons."""
    cls = type(error)
    try:
        name = _names.get(cls)
        return remember(_names, cls, type_name(cls)) if name is None else name
    except Exception:  # a metaclass that raises
        return "an error"


_names: dict[type, str] = {}


def shown_code(value: Any) -> str:
    """Return a code for a reason, in brackets after a blank; empty unless it is a plain word."""
    if type(value) is str and len(value) <= 64 and value.isascii() and value.replace("_", "").isalnum():
        return f" [{value}]"
    return ""
