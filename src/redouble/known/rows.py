"""Floor 2. What the tables of `known/` are made of: rows, readers, and guarded looks at foreign objects."""

from __future__ import annotations

from _thread import get_ident

from redouble.core.backoff import Backoff
from redouble.core.record import Record
from redouble.core.verdict import Classification, Verdict, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol, TypeAlias

    class Asking(Protocol):
        """What a reader may ask of the rule that called it: the wall clock, and what an inner error means."""

        @property
        def wall(self) -> Callable[[], float]: ...

        def inner(self, error: Any) -> Classification | None: ...

    Reader: TypeAlias = Callable[[Any, Asking], Classification | None]
    Table: TypeAlias = dict[tuple[str, str], Reader]

CACHE_SIZE = 1024
"""How many entries a cache holds before it is emptied: who makes classes for ever must not fill the memory."""

TRANSIENT, PERMANENT = Verdict.TRANSIENT, Verdict.PERMANENT


class Row(Record):
    """One line of the documented tables: what one condition of one class means.

    Fields:
        package: The top package of the class (`http` for `http.client.IncompleteRead`).
        name: The name of the class; `status` for the rows that hold for every HTTP client.
        code: The errno, number or reason that the row is about; empty when the class is enough.
        verdict: The `Verdict`.
        applied: Whether the failed attempt may have taken effect: `False` surely not.
        source: Where this is written, or `policy` for a choice of ours.
        note: What a reader should know; may be empty.
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
        """The classification that the row gives, with its reason; `applied` where the error tells more than the row."""
        if _listening:
            _hear(self)
        return Classification(self.verdict, retry_after, self.applied if applied is None else applied, backoff, reason)


_listening: dict[int, list[Row]] = {}
"""For each thread in which `explain` asks a reader: the rows that this reader has answered with."""


def _hear(row: Row) -> None:
    heard = _listening.get(get_ident())
    if heard is not None:
        heard.append(row)


def overheard(reader: Reader, error: Any, known: Asking) -> tuple[Classification | None, Row | None]:
    """What a reader says of an error, and the row that it says it by: what `explain` wants to know, and nobody else.

    What was kept must be forgotten first, for an answer that is kept makes no row speak. Another thread may judge an
    error of this kind meanwhile, and keep its answer: then no row is heard.
    """
    thread = get_ident()
    outer = _listening.get(thread)
    heard = _listening[thread] = []
    for cache in list(_caches.values()):
        cache.clear()
    try:
        found = reader(error, known)
    finally:
        if outer is None:
            del _listening[thread]
        else:
            _listening[thread] = outer
    return found, heard[-1] if heard else None


def coded(package: str, name: str, groups: Iterable[tuple[Verdict, bool, str, str, str]]) -> tuple[Row, ...]:
    """Rows of one class from groups of (verdict, applied, source, note, codes in one string)."""
    return tuple(
        Row(package, name, code, verdict, applied, source, note)
        for verdict, applied, source, note, codes in groups
        for code in codes.split()
    )


def by_class(rows: Iterable[Row]) -> Table:
    """The table of rows whose class alone decides."""
    return {(row.package, row.name): _class_reader(row) for row in rows if not row.code}


def _class_reader(row: Row) -> Reader:
    cache: dict[type, Classification] = {}

    def read(error: Any, _: Asking) -> Classification:
        cls = type(error)
        found = cache.get(cls)
        return remember(cache, cls, row.because(named(error))) if found is None else found

    return read


def remember(cache: dict[Any, Any], key: Any, value: Any) -> Any:
    """Put `value` into a bounded cache, and give it back."""
    if not cache or len(cache) >= CACHE_SIZE:
        cache.clear()
        _caches[id(cache)] = cache
    cache[key] = value
    return value


_caches: dict[int, dict[Any, Any]] = {}
"""Every cache that holds something; they belong to modules and readers, and live as long as the program."""


def as_applied(found: Classification, applied: bool) -> Classification:
    """The same classification, where the client knows better whether the attempt may have taken effect."""
    if found.applied is applied:
        return found
    return Classification(found.verdict, found.retry_after, applied, found.backoff, found.reason, found.redact)


def first_text(error: Any) -> str:
    """The first argument of an error where it is a plain text, else an empty one."""
    args = probe(error, "args")
    return args[0] if type(args) is tuple and args and type(args[0]) is str else ""


def probe(subject: Any, name: str) -> Any:
    """An attribute of a foreign object; `None` when it is missing or raises."""
    try:
        return getattr(subject, name, None)
    except Exception:  # a property of theirs: httpx's `request` raises, aiohttp's `code` warns
        return None


def is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    """`isinstance` by the real type alone: `__class__` may lie, as a mock's does, or raise."""
    return issubclass(type(value), kind)


def whole(value: Any) -> int | None:
    """`value` as a plain int; `None` when it is none: bools, floats, strings and mocks are no numbers here."""
    if type(value) is int:
        return value
    if is_a(value, int) and type(value) is not bool:
        return int.__int__(value)  # an enum's number, and no method of its class
    return None


def named(error: Any) -> str:
    """The type of an error as reasons name it."""
    cls = type(error)
    try:
        name = _names.get(cls)
        return remember(_names, cls, type_name(cls)) if name is None else name
    except Exception:  # a metaclass of theirs
        return "an error"


_names: dict[type, str] = {}


def shown_code(value: Any) -> str:
    """A code word as a reason may show it, in brackets after a blank; empty for what might be anything else."""
    if type(value) is str and len(value) <= 64 and value.isascii() and value.replace("_", "").isalnum():
        return f" [{value}]"
    return ""
