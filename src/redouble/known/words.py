"""Floor 2. The words: the few ways to read the rows of a class, besides those of `table.py`.

Each is a value that a table names, with the paths that it reads. A path goes through attributes, keys of dicts and
places in tuples: `response.status_code`, `args.0`. A missing step counts as a missing value.
"""

from __future__ import annotations

from redouble.core.raw import at, is_a, path, probe, whole
from redouble.core.verdict import Verdict
from redouble.known.error_text import any_in, clipped, told
from redouble.known.http_status import judge_response, judge_status
from redouble.known.row import answer, as_applied, named
from redouble.known.table import Word, read_class
from redouble.known.underlying import as_wrapped, firm_root, told_in_handshake
from redouble.known.underlying import beneath as found_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from redouble.core.raw import Path
    from redouble.core.verdict import Classification
    from redouble.known.row import Asking, Group, Row
    from redouble.known.table import Part, Read, Rows

OTHER = "other"
"""The code of the row for all codes without a row; a class without this row has no opinion on them."""
BY_STATUS = ("by status",)
"""The code of a row that stands for the rows of HTTP statuses."""


class _Handshake(Word):
    """By class, but surely not applied where it was the TLS handshake that timed out."""

    @property
    def read(self) -> Read:
        return _read_handshake


def _read_handshake(error: Any, known: Asking, rows: Rows) -> Classification:
    return told_in_handshake(read_class(error, known, rows), error)


handshake: Word = _Handshake()
"""By class, but surely not applied where it was the TLS handshake that timed out."""


class _Beneath(Word):
    """By the error beneath it."""

    names: tuple[str, ...]
    as_inner: bool
    agreeing: bool

    @property
    def read(self) -> Read:
        return self._read

    def _read(self, error: Any, known: Asking, rows: Rows) -> Classification:
        row = rows[""]
        found = found_beneath(error, known, *self.names)
        return answer(error, row) if found is None else as_wrapped(found, error, self._applied(row, found))

    def _applied(self, row: Row, found: Classification) -> bool:
        if self.as_inner:
            return found.applied
        if row.applied:
            return found.applied or found.verdict is not Verdict.PERMANENT
        return self.agreeing and found.applied and found.verdict is Verdict.TRANSIENT


def beneath(*names: str) -> Word:
    """Make the word for a class that wraps another error, and tells the phase by itself.

    A row from connecting stays surely not applied under any error beneath. A row in flight stays perhaps applied,
    unless the error beneath is permanent and knows better. Where no error beneath is known, the row's own verdict
    holds.

    Args:
        names: Attributes where the client keeps the error beneath, read before arguments, cause and context.
    """
    return _Beneath(names, False, False)


def if_beneath_agrees(*names: str) -> Word:
    """Make the word for a class that promises an unsent request, but is raised for broken connections as well."""
    return _Beneath(names, False, True)


def as_beneath(*names: str) -> Word:
    """Make the word for a class that wraps another error and tells no phase: the error beneath it does."""
    return _Beneath(names, True, False)


class _ByStatus(Word):
    """By the rows of HTTP statuses, where a table has none of its own."""

    def of(self, names: str, *groups: Group | Row) -> Part:
        return super().of(names, *(groups or (_ANY_STATUS,)))


_ANY_STATUS = (Verdict.TRANSIENT, True, "RFC 9110 15", "by its status and headers", BY_STATUS)


class _Answer(_ByStatus):
    """By the answer at a path."""

    where: Path
    unsent: bool
    seconds_first: bool

    @property
    def read(self) -> Read:
        return self._read

    def _read(self, error: Any, known: Asking, rows: Rows) -> Classification | None:
        response = at(error, self.where)
        found = judge_response(response, known.wall, who=named(error), seconds_first=self.seconds_first)
        return _found_or_other(found, error, rows, self.unsent)


class _Status(_ByStatus):
    """By the status at a path, with the headers at another."""

    status: tuple[Path, ...]
    headers: Path
    unsent: bool

    @property
    def read(self) -> Read:
        return self._read

    def _read(self, error: Any, known: Asking, rows: Rows) -> Classification | None:
        status = next((number for each in self.status if (number := whole(at(error, each))) is not None), None)
        headers = at(error, self.headers) if self.headers else None
        found = judge_status(status, headers, known.wall, who=named(error))
        return _found_or_other(found, error, rows, self.unsent)


def _found_or_other(found: Classification | None, error: Any, rows: Rows, unsent: bool) -> Classification | None:
    if found is not None:
        return as_applied(found, False) if unsent else found
    row = rows.get("")
    return None if row is None else answer(error, row)


def answer_at(where: str, *, unsent: bool = False, seconds_first: bool = False) -> Word:
    """Make the word for a class that carries the response of an HTTP client: its status, headers and loaded body.

    Args:
        where: The path to the response.
        unsent: Whether the request itself was not sent: the answer comes from a handshake, a proxy or a token endpoint.
        seconds_first: Whether Retry-After outranks its kin in milliseconds.
    """
    return _Answer(path(where), unsent, seconds_first)


def status_at(*status: str, headers: str = "", unsent: bool = False) -> Word:
    """Make the word for a class that carries an HTTP status.

    Args:
        status: The paths to the status; the first that leads to a whole number counts.
        headers: The path to the headers; empty: there are none.
        unsent: As in `answer_at`.
    """
    return _Status(tuple(map(path, status)), path(headers) if headers else (), unsent)


class _Number(Word):
    """By the number, or the word, at a path."""

    paths: tuple[Path, ...]
    names: Any
    mask: int | None
    texts: bool

    @property
    def read(self) -> Read:
        return self._read

    def _read(self, error: Any, _: Asking, rows: Rows) -> Classification | None:
        code = self.code(error)
        row = rows.get(code) or rows.get(f"{code[:1]}yz") or rows.get(OTHER)
        return None if row is None else answer(error, row)

    def code(self, error: Any) -> str:
        """Return the code of the row for the value that this error carries; empty where it carries none."""
        for each in self.paths:
            value = at(error, each)
            number = whole(value)
            if number is not None:
                number = number if self.mask is None else number & self.mask
                return str(number) if self.names is None else self.names.get(number, "")
            if self.texts and is_a(value, str) and value:
                return clipped(value)
        return ""


def number_at(*paths: str, names: Mapping[int, str] | None = None, mask: int | None = None) -> Word:
    """Make the word for a class whose rows are numbers; `4yz` stands for 400 to 499, as in RFC 5321.

    Args:
        paths: The paths to the number; the first that leads to a whole number counts.
        names: The codes of the rows, by number, where they are not the numbers themselves.
        mask: The bits of the number that count; `None`: all.
    """
    return _Number(tuple(map(path, paths)), names, mask, False)


def code_at(*paths: str) -> Word:
    """Make the word for a class whose rows are codes: numbers, or words such as `Neo.TransientError.Deadlock`.

    Args:
        paths: The paths to the code; the first that leads to a whole number or a text counts.
    """
    return _Number(tuple(map(path, paths)), None, None, True)


class _Text(Word):
    """By the first text that matches."""

    marks: Any
    anywhere: bool
    firm: bool

    @property
    def read(self) -> Read:
        return self._read

    def _read(self, error: Any, known: Asking, rows: Rows) -> Classification | None:
        if self.firm:
            found = firm_root(error, known)
            if found is not None:
                return found
        row = first_match(told(error), rows, self.marks, self.anywhere) or rows.get(OTHER) or rows.get("")
        return None if row is None else answer(error, row)


def first_match(text: str, rows: Rows, marks: Any = None, anywhere: bool = False) -> Row | None:
    """Return the first row with a mark at the beginning of a text, or anywhere in it."""
    for code, row in rows.items():
        sought = (code,) if marks is None or code not in marks else marks[code]
        if code not in ("", OTHER) and (any_in(text, *sought) if anywhere else text.startswith(sought)):
            return row
    return None


def text(marks: Mapping[str, tuple[str, ...]] | None = None, *, anywhere: bool = False, firm: bool = False) -> Word:
    """Make the word for a class whose first text alone tells the condition.

    Args:
        marks: The texts that stand for a row, by its code; a row that is not named there is its own mark.
        anywhere: Whether a mark may stand anywhere in the text, and not at its beginning alone.
        firm: Whether a permanent failure beneath is looked for first: an unknown name, a certificate.
    """
    return _Text(marks, anywhere, firm)


class _Cause(Word):
    """By the error at a path, and no other beneath."""

    names: tuple[str, ...]
    unsent: bool

    @property
    def read(self) -> Read:
        return self._read

    def _read(self, error: Any, known: Asking, rows: Rows) -> Classification:
        found = carried(error, known, *self.names)
        row = rows[""]
        return answer(error, row) if found is None else as_wrapped(found, error, found.applied and not self.unsent)


def carried(error: Any, known: Asking, *names: str) -> Classification | None:
    """Judge the first known error in one of these attributes."""
    for name in names:
        inner = probe(error, name)
        found = known.inner(inner) if is_a(inner, Exception) else None
        if found is not None:
            return found
    return None


def as_carried(*names: str, unsent: bool = False) -> Word:
    """Make the word for a class with the meaning of the error in an attribute: `orig`, `__cause__`.

    Args:
        names: The attributes, in the order in which they are read.
        unsent: Whether the request itself was not sent, even where that error tells otherwise.
    """
    return _Cause(names, unsent)
