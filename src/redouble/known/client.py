"""Floor 2. Tables that other libraries write: `client` and `row`, with every argument checked."""

from __future__ import annotations

from redouble.core import checks
from redouble.core.verdict import Rule, Verdict
from redouble.known import known_errors
from redouble.known.table import Part, TableRule
from redouble.known.table import client as table_of_client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.row import Group


def client(package: str, *parts: Part) -> Rule:
    """Make a rule out of a client's table: for `register`, or for use in front of `known_errors`.

    Args:
        package: The top package of the classes: `mylib` for `mylib.errors.Busy`.
        parts: Words with the rows beneath them. Of two parts about the same class the later counts.

    Raises:
        TypeError: When `package` is not a string, or a part is not made by a word.
        ValueError: When `package` is not the name of a top package, or there is no part.

    >>> from redouble.known.table import by_class
    >>> client("mylib", by_class(row("transient", "Busy")))
    client(mylib)
    """
    if not isinstance(package, str):
        raise TypeError(f"package must be the name of a top package, got {checks.shown(package)}")
    if not package.isidentifier():
        raise ValueError(f"package must be the name of a top package, without dots, got {checks.shown(package)}")
    if not parts:
        raise ValueError("client() must be given at least one part, such as by_class(row('transient', 'Busy'))")
    for part in parts:
        if not isinstance(part, Part):
            raise TypeError(
                f"a part of client() must be a word with its rows, such as by_class(row('transient', 'Busy')),"
                f" got {checks.shown(part)}"
            )
    return TableRule(table_of_client(package, *parts), known_errors)


def row(verdict: Verdict | str, codes: str, *, applied: bool = True, note: str = "", source: str = "") -> Group:
    """Describe some classes or codes: their verdict, and the facts that go with it.

    Args:
        verdict: A `Verdict`, or its name: `"transient"`, `"permanent"`, `"pending"`.
        codes: The names of the classes, or the codes, separated by blanks. A text with blanks in it is a tuple of one.
        applied: Whether a failed attempt may have taken effect; `False` when it surely has not.
        note: A hint for readers of `explain`; may be empty.
        source: The document that says so; empty: the library itself does.

    Raises:
        TypeError: When an argument is of another type.
        ValueError: When `verdict` is not the name of one.

    >>> row("transient", "Busy Full", applied=False)
    (Verdict.TRANSIENT, False, 'its own word', '', 'Busy Full')
    """
    if not isinstance(codes, (str, tuple)) or not all(isinstance(code, str) for code in codes):
        raise TypeError(f"codes must be a string of names or codes, or a tuple of them, got {checks.shown(codes)}")
    for name, value in (("note", note), ("source", source)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {checks.shown(value)}")
    return (_verdict(verdict), checks.flag("applied", applied), source or "its own word", note, codes)


def _verdict(value: Any) -> Verdict:
    if isinstance(value, Verdict):
        return value
    if not isinstance(value, str):
        raise TypeError(f"verdict must be a Verdict or its name, got {checks.shown(value)}")
    names = [each.value for each in Verdict]
    if value not in names:
        raise ValueError(f"verdict must be one of {', '.join(names)}, got {checks.shown(value)}")
    return Verdict(value)
