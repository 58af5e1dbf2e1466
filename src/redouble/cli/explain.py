"""On top of the floors: `redouble explain`, which shows the meaning of an error, and the rows of the tables."""

from __future__ import annotations

import builtins
import errno
import importlib
import os
import socket
from io import BytesIO
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

from redouble.cli.output import say
from redouble.core.verdict import Verdict
from redouble.known.dispatch import entry_of
from redouble.known.explain import Explanation, explain, row_line
from redouble.known.sqlstate import row_of
from redouble.known.tables import PLACES, all_rows, entries, table_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from redouble.known.row import Row


def run(chosen: Namespace) -> None:
    """Print the explanation that the arguments ask for.

    Raises:
        ValueError: For an error that does not exist, or is not known; the message names it, and tells how to write it.
    """
    if chosen.header and chosen.http is None:
        raise ValueError("--header goes with --http")
    if chosen.error and not (chosen.http is chosen.sqlstate is chosen.list is None):
        raise ValueError(f"--http, --sqlstate and --list stand alone, got {' '.join(chosen.error)!r} besides")
    if chosen.http is not None:
        _say_http(chosen.http, chosen.header)
    elif chosen.sqlstate is not None:
        _say_sqlstate(chosen.sqlstate)
    elif chosen.exit_code is not None:
        say(str(explain(CalledProcessError(chosen.exit_code, chosen.error))))
    elif chosen.list is not None or not chosen.error:
        _say_rows(_of_package(chosen.list))
    elif (
        chosen.error[0] in PLACES and len(chosen.error) == 1
    ):  # a package, as `openai`: a class has a dot, or is a builtin
        _say_rows(_of_package(chosen.error[0]))
    else:
        _say_class(chosen.error[0], " ".join(chosen.error[1:]))


def _say_http(status: int, given: Sequence[str]) -> None:
    if not 300 <= status <= 599:
        raise ValueError(f"--http must be a status in 300..599, got {status}")
    headers = dict(_header(each) for each in given)
    with HTTPError("", status, "", headers, BytesIO()) as error:  # type: ignore[arg-type]  # a dict does
        why = explain(error)
    found = why.classification.because(why.classification.reason.replace("urllib.HTTPError", "HTTP"))
    way = "transient" if found.verdict is Verdict.PERMANENT else "permanent"
    override = f"retry(on={way}(YourClientsError) | known_errors)"
    say(str(Explanation(f"HTTP {status}", found, why.known, why.said_by, why.note, why.source, False, (), override)))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"--header must be NAME: VALUE, got {text!r}")
    return name.strip(), value.strip()


def _say_sqlstate(state: str) -> None:
    row = row_of(state.upper())
    if row is None:
        raise ValueError(f"--sqlstate must be five letters or digits that stand for an error, got {state!r}")
    _say_rows((row,))


def _of_package(name: str | None) -> tuple[Row, ...]:
    rows = all_rows()
    if not name:
        return rows
    found = {row: None for key, entry in entries().items() if key[0] == name for row in entry.rows.values()}
    found.update((row, None) for row in rows if row.package == name)  # rows without a class: HTTP statuses, SQLSTATEs
    if not found:
        known = ", ".join(sorted({row.package for row in rows} | PLACES.keys()))
        raise ValueError(f"no row is about the package {name!r}; there are {known}")
    return tuple(found)


def _say_rows(rows: Iterable[Row]) -> None:
    for row in rows:
        say(row_line(row))


def _say_class(name: str, code: str) -> None:
    """Explain a class that can be imported by an error of it; print only the tables' rows for any other."""
    cls = _found(name)
    if cls is None:
        rows = _rows_of((name.partition(".")[0], name.rpartition(".")[2]), code)
        if not rows:
            raise ValueError(
                f"cannot import {name!r}, and no row of the tables has this name"
                + (f" and the code {code!r}" if code else "")
                + "; the rows: redouble explain --list"
            )
        say(f"{name} cannot be imported here; this is what the tables say of it:")
        _say_rows(rows)
    elif code:
        _say_code(cls, name, code)
    else:
        say(str(explain(cls)))


def _say_code(cls: type[BaseException], name: str, code: str) -> None:
    error = _with_number(cls, code)
    rows = _further(cls, code)
    if error is not None:
        say(str(explain(error)))
    elif rows:
        _say_rows(rows)
    else:
        raise ValueError(f"no row of the tables is about {name} with the code {code!r}")


def _found(name: str) -> type[BaseException] | None:
    """Return the exception class of this name; `None` when it cannot be imported."""
    module, _, last = name.rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module) if module else builtins, last, None)
    except (ImportError, ValueError):  # ValueError: an empty name between two dots
        return None
    except Exception as error:  # any failure of the module's own code
        raise ValueError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    if found is not None and not (isinstance(found, type) and issubclass(found, BaseException)):
        raise ValueError(f"{name} is no exception class")
    return found


def _with_number(cls: type[BaseException], code: str) -> BaseException | None:
    """Return an OSError with this number, or with the number of this errno name; `None` for any other text."""
    if not issubclass(cls, OSError) or cls.__module__ not in ("builtins", "socket"):
        return None
    digits = code.lstrip("-").isdecimal() and len(code) < 10
    number = int(code) if digits else _number_of(cls, code.upper())
    return None if number is None else cls(number, os.strerror(number) if number > 0 else code)


def _number_of(cls: type[BaseException], name: str) -> int | None:
    names: Any = socket if issubclass(cls, socket.gaierror) else errno
    found = getattr(names, name, None)
    return found if isinstance(found, int) else None


def _further(cls: type[BaseException], code: str) -> list[Row]:
    entry = entry_of(cls)
    return [] if entry is None else _with_code(entry.rows.values(), code)


def _rows_of(key: tuple[str, str], code: str) -> list[Row]:
    table = table_of(key[0])
    entry = None if table is None else table.entries.get(key)
    return [] if entry is None else _with_code(entry.rows.values(), code)


def _with_code(rows: Iterable[Row], code: str) -> list[Row]:
    return [row for row in rows if code.lower() in ("", row.code.lower())]
