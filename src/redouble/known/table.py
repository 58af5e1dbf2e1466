"""Floor 2. Literal tables: the rows of a client, grouped by the word that reads them.

A table is written as data, `client("mylib", by_class((TRANSIENT, PERHAPS, source, note, "Busy Late")), ...)`: a word
says how to read an error of some class, and its rows give the meaning of each reading. The simplest words are defined
here, all others in `words.py`; where a client needs more, use `by(function)`.
"""

from __future__ import annotations

from redouble.core.record import Record
from redouble.core.verdict import Rule
from redouble.known.row import Row, answer, codes_of, remember, rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from redouble.core.verdict import Classification, Fault
    from redouble.known.row import Asking, Group

    Key: TypeAlias = tuple[str, str]
    Read: TypeAlias = Callable[[Any, Asking, "Rows"], Classification | None]


class Word(Record):
    """A way to read an error; calling it, or `of`, gives it rows."""

    __module__ = "redouble.rules"

    @property
    def read(self) -> Read:
        """The function that reads. It takes the error, the asker for errors beneath it, and the rows by code."""
        raise NotImplementedError

    @property
    def fixed(self) -> bool:
        """Whether the class alone decides the verdict, and not the contents of an error."""
        return False

    @property
    def within(self) -> str:
        """The module or package whose own classes are read; empty: classes derived from them elsewhere as well."""
        return ""

    def __call__(self, *groups: Group) -> Part:
        """Return the part of a table with one row per class: the last item of each group names the classes."""
        return Part(self, "", groups)

    def of(self, names: str, *groups: Group | Row) -> Part:
        """Return the part of a table with several rows for a class: the last item of each group names their codes."""
        return Part(self, names, groups)


class _ByClass(Word):
    """The class alone decides."""

    @property
    def read(self) -> Read:
        return read_class

    @property
    def fixed(self) -> bool:
        return True


def read_class(error: Any, _: Asking, rows: Rows) -> Classification:
    """Return the one row of a class, which does not depend on the contents of its errors."""
    found = rows.kept.get(type(error))
    return remember(rows.kept, type(error), answer(error, rows[""])) if found is None else found


class _Base(Word):
    """Another word, restricted to the classes of one place."""

    place: str
    word: Word

    @property
    def read(self) -> Read:
        return self.word.read

    @property
    def fixed(self) -> bool:
        return self.word.fixed

    @property
    def within(self) -> str:
        return self.place


class _By(Word):
    """A function that a client needs."""

    function: Read
    decided: bool

    @property
    def read(self) -> Read:
        return self.function

    @property
    def fixed(self) -> bool:
        return self.decided


by_class: Word = _ByClass()
"""The class alone decides."""


def base(place: str, word: Word = by_class) -> Word:
    """Make the word for the general class of a client, which does not hold for classes that others derive from it.

    Args:
        place: The module or package of the classes: `azure.core`.
        word: The word that reads them.
    """
    return _Base(place, word)


def by(function: Read, fixed: bool = False) -> Word:
    """Make the word for a client that needs a function.

    Args:
        function: Takes the error, the asker for errors beneath it, and the rows by code.
        fixed: Whether the verdict is the same for every error of a class that this function reads.
    """
    return _By(function, fixed)


class Part(Record):
    """Rows with their word, not yet of a package.

    Fields:
        word: The word that reads them.
        names: The classes that all the rows are about; empty: each group names its own.
        groups: Groups as in `row.rows_of`; or rows that were made already, and are shared by several classes.
    """

    __module__ = "redouble.rules"

    word: Word
    names: str
    groups: tuple[Any, ...]

    def rows(self, package: str) -> Iterable[tuple[str, tuple[Row, ...]]]:
        """Return the classes of this part, each with its rows."""
        if self.names:
            return [(name, self._of_class(package, name)) for name in self.names.split()]
        return [
            (name, (Row(package, name, "", verdict, applied, source, note),))
            for verdict, applied, source, note, names in self.groups
            for name in codes_of(names)
        ]

    def _of_class(self, package: str, name: str) -> tuple[Row, ...]:
        made = tuple(each for each in self.groups if type(each) is Row)
        return made + rows_of(package, name, (each for each in self.groups if type(each) is not Row))


class Rows(dict[str, Row]):
    """The rows of a class by their code.

    Attributes:
        kept: The cached answers that depend on the class alone, by type.
    """

    __slots__ = ("kept",)
    kept: dict[type, Classification]


class Entry:
    """The entry of a table for one class: the word, and its rows by code."""

    __slots__ = ("key", "read", "rows", "word")

    def __init__(self, key: Key, word: Word, rows: Iterable[Row], read: Read | None = None) -> None:
        self.key: Key = key
        self.word: Word = word
        self.rows: Rows = Rows((row.code, row) for row in rows)
        self.rows.kept = {}
        self.read: Read = word.read if read is None else read


class Table:
    """The table of a client: its rows, in the order in which they are written, and an entry for each class."""

    __slots__ = ("entries", "rows")

    def __init__(self, entries: dict[Key, Entry]) -> None:
        self.entries: dict[Key, Entry] = entries
        rows = (row for entry in entries.values() for row in entry.rows.values())
        self.rows: tuple[Row, ...] = tuple({id(row): row for row in rows}.values())

    def __add__(self, other: Table) -> Table:
        return Table({**self.entries, **other.entries})


def client(packages: str, *parts: Part) -> Table:
    """Build the table of a client.

    Args:
        packages: Its top package; several, separated by blanks, where packages have the same classes (`redis valkey`).
        parts: Words with their rows.
    """
    return Table(
        {
            (package, name): Entry((package, name), part.word, rows)
            for package in packages.split()
            for part in parts
            for name, rows in part.rows(package)
        }
    )


class TableRule(Rule, Record):
    """A table as a rule: to be registered by a library, or written in front of `known_errors` by a user.

    Fields:
        table: The table.
        known: The asker for errors beneath.
    """

    table: Table
    known: Asking

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        """Return the table's opinion on an error; `None` when it has no class of its MRO."""
        entry = self._entry(type(subject))
        return None if entry is None else entry.read(subject, self.known, entry.rows)

    def over(self, known: Asking) -> TableRule:
        """Return the same rule with another asker for errors beneath."""
        return TableRule(self.table, known)

    def _entry(self, cls: type) -> Entry | None:
        for base in cls.__mro__:
            entry = self.table.entries.get((base.__module__.partition(".")[0], base.__name__))
            if entry is not None:
                return entry
        return None

    def __repr__(self) -> str:
        return f"client({' '.join(dict.fromkeys(key[0] for key in self.table.entries))})"
