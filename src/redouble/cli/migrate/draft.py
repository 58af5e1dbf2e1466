"""On top of the floors: the code of the redouble policy for a call site of another library, with its marks.

The module of a library writes a draft; `show` returns its code. redouble's names bear a prefix until the whole file is
known: `edits` removes the prefix, or writes `redouble.` where the file uses the same name for something else.
"""

from __future__ import annotations

import re

from redouble.control.words import answered

REVIEW = "# redouble: review: "
"""The beginning of a comment at new code that a reviewer should check; the reviewer removes the comment."""

TODO = "# redouble: todo: "
"""The beginning of a comment above code that was not rewritten; the reason follows."""

OURS = "redouble__."
"""The prefix of each of redouble's names in new code."""

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
    """A call site cannot be rewritten; the message is the reason."""


def without_counterpart(word: str, why: str = "has no counterpart") -> Cannot:
    """Return the error for an argument that cannot be translated, with the advice of the table of words.

    >>> print(without_counterpart("retry_error_callback"))
    retry_error_callback= has no counterpart; write an `except` around the call
    """
    return Cannot(f"{word}= {why}{answered(word)}")


class Draft:
    """A policy in the making.

    Attributes:
        library: The library of the call site.
        fields: The code of each field, and its note for the reviewer (empty: none).
        notes: The notes that belong to no field.
    """

    def __init__(self, library: str) -> None:
        self.library = library
        self.fields: dict[str, tuple[str, str]] = {}
        self.notes: list[str] = []

    def write(self, field: str, code: str, note: str = "") -> None:
        """Write a field, with a note for the reviewer."""
        self.fields[field] = (code, note)

    def note(self, text: str) -> None:
        """Add a note about the whole call, once."""
        if text not in self.notes:
            self.notes.append(text)

    def keep_repeating(self, decorates: bool) -> None:
        """Switch redouble's safeguards off where the other library had none, each with a note for the reviewer."""
        if "deadline" in self.fields and "attempts" not in self.fields and number(self.fields["deadline"][0]) is None:
            self.write("attempts", "None")  # a deadline that is None at run time must not restore the default attempts
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
        """Return the code of the policy; one line per field where a field has a note or one line would be too long."""
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
    """Return the literal of a number, without a decimal point where it is whole."""
    return str(int(value)) if value == int(value) else repr(value)
