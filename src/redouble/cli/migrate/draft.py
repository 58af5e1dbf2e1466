"""On top of the floors: the redouble policy that a call site of another library is to have, as code with its marks.

A draft is written by the module of a library and shown by `show`. Names of redouble's bear a prefix until the whole file
is known: `edits` takes it off, or writes `redouble.` where the file uses such a name otherwise.
"""

from __future__ import annotations

import re

from redouble.control.words import answered

REVIEW = "# redouble: review: "
"""How a comment begins at what was written so that nothing changes silently: look at it, then take it away."""

TODO = "# redouble: todo: "
"""How a comment begins above what was left as it is, with the reason."""

OURS = "redouble__."
"""Stands before each name of redouble's in new code."""

WIDTH = 88

ORDER = (
    "on",
    "result",
    "idempotent",
    "attempts",
    "deadline",
    "backoff",
    "stop",
    "unwanted",
    "nested",
    "budget",
    "max_hint",
    "observers",
    "name",
)


class Cannot(Exception):  # noqa: N818  # raised to say no: `raise Cannot("...")`
    """A call site is left as it is; the message is the reason."""


def without_counterpart(word: str, why: str = "has no counterpart") -> Cannot:
    """Return the reason for which an argument cannot be brought over, with what the table of words says of it.

    >>> print(without_counterpart("retry_error_callback"))
    retry_error_callback= has no counterpart; write an `except` around the call
    """
    return Cannot(f"{word}= {why}{answered(word)}")


class Draft:
    """A policy in the making.

    Attributes:
        library: Whose call site it was.
        fields: Each field's code, and its note for the reviewer (empty: none).
        notes: The notes that belong to no field.
    """

    def __init__(self, library: str) -> None:
        self.library = library
        self.fields: dict[str, tuple[str, str]] = {}
        self.notes: list[str] = []

    def write(self, field: str, code: str, note: str = "") -> None:
        """Write a field, and why a reviewer should look at it."""
        self.fields[field] = (code, note)

    def note(self, text: str) -> None:
        """Say something of the call as a whole; once."""
        if text not in self.notes:
            self.notes.append(text)

    def keep_repeating(self, decorates: bool) -> None:
        """Write what makes redouble as careless as the other library was: parity comes first, the mark says so."""
        if "deadline" in self.fields and "attempts" not in self.fields and number(self.fields["deadline"][0]) is None:
            self.write("attempts", "None")  # a deadline that turns out to be None must not bring a default back
        bounded = self.fields.get("attempts", ("None", ""))[0] != "None"
        self.write("idempotent", "True", f"repeats POSTs too, as {self.library} did")
        if bounded or "deadline" in self.fields:
            self.write("nested", '"multiply"', f"inner retries multiply, as under {self.library}")
        if decorates and bounded:
            self.write("budget", "None", f"no retry budget, as under {self.library}")

    def reviews(self) -> list[str]:
        """Return all notes."""
        noted = [self.fields[name][1] for name in ORDER if name in self.fields]
        return [*self.notes, *filter(None, noted)]

    def show(self, called: str = OURS + "retry", indent: str = "    ") -> str:
        """Return the call that makes the policy, a line for each field where one is marked or all are too long."""
        fields = [(f"{name}={self.fields[name][0]}", self.fields[name][1]) for name in ORDER if name in self.fields]
        line = f"{called}({', '.join(code for code, _ in fields)})"
        if not self.reviews() and "\n" not in line and len(line.replace(OURS, "")) <= WIDTH:
            return line
        lines = [f"{called}({_comment('; '.join(self.notes))}"]
        for code, note in fields:
            shown = indent + f"\n{indent}".join(code.split("\n")) + ","
            if note and len(shown.replace(OURS, "").splitlines()[-1]) + len(_comment(note)) > WIDTH:
                lines.append(indent + REVIEW + note)
                note = ""
            lines.append(shown + _comment(note))
        return "\n".join([*lines, ")"])


def _comment(note: str) -> str:
    return f"  {REVIEW}{note}" if note else ""


def number(code: str) -> float | None:
    """Return the number that code spells; `None` for anything else."""
    if re.fullmatch(r"-?[\d_]+(\.[\d_]*)?(e-?\d+)?|-?\.\d+", code) is None:
        return None
    return float(code.replace("_", ""))


def spelled(value: float) -> str:
    """Return a number as one writes it: whole where it is whole."""
    return str(int(value)) if value == int(value) else repr(value)
