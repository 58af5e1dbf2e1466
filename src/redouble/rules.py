"""The words of redouble's own tables, for the tables of other libraries: `client`, and the ways to read its rows.

A library with dozens of error classes, or one class with dozens of codes, writes them as a table, and registers it:

>>> from redouble import classify, register
>>> from redouble.rules import by_class, client, number_at, row
>>> table = client(
...     "mylib",
...     by_class(row("transient", "Busy Full", applied=False, note="nothing was put into it"), row("permanent", "Rejected")),
...     number_at("args.0").of("ServerError", row("transient", "11 12"), row("permanent", "other")),
... )
>>> unregister = register(table, package="mylib")
>>> Busy = type("Busy", (Exception,), {"__module__": "mylib.errors"})
>>> classify(Busy()).applied
False
>>> ServerError = type("ServerError", (Exception,), {"__module__": "mylib.errors"})
>>> classify(ServerError(12, "try later")).reason
'mylib.ServerError [12]'
>>> unregister()

A word that is called takes a row for each class; its `of` takes one class, or several, and a row for each code. The code
`other` stands for any that has no row. The library is not imported: errors are known by the names of their classes.
"""

from redouble.known.client import client, row
from redouble.known.table import Part, Word, by, by_class
from redouble.known.words import (
    answer_at,
    as_beneath,
    as_carried,
    beneath,
    code_at,
    handshake,
    if_beneath_agrees,
    number_at,
    status_at,
    text,
)

__all__ = [
    "Part",
    "Word",
    "answer_at",
    "as_beneath",
    "as_carried",
    "beneath",
    "by",
    "by_class",
    "client",
    "code_at",
    "handshake",
    "if_beneath_agrees",
    "number_at",
    "row",
    "status_at",
    "text",
]
