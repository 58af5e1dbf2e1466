"""Floor 2. Asks the known errors as `Known.ask` does, and records the steps; for `explain`."""

from __future__ import annotations

from redouble.core.causes import DEPTH
from redouble.core.verdict import ask_guarded
from redouble.known import registered
from redouble.known.dispatch import entry_of, guessed
from redouble.known.row import Row
from redouble.known.table import TableRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.core.verdict import Classification, Rule
    from redouble.known.dispatch import Known


class Step:
    """One error of the walk: the classification found, and the row or rule that decided.

    Attributes:
        error: The error.
        found: The classification; `None`: no opinion.
        rule: The rule that decided, if one did.
        package: The package that registered that rule; empty for a rule of the user's.
        key: The top package and class name by which the tables know it; `None`: they do not.
        row: The row that decided; `None` where an error beneath did.
        faults: The exceptions raised by rules, by rule.
        steps: The errors beneath that a table asked about in turn.
    """

    __slots__ = ("error", "faults", "found", "key", "package", "row", "rule", "steps")

    def __init__(self, error: Any) -> None:
        self.error: Any = error
        self.found: Classification | None = None
        self.rule: Rule | None = None
        self.package: str = ""
        self.key: tuple[str, str] | None = None
        self.row: Row | None = None
        self.faults: list[tuple[Rule, Exception]] = []
        self.steps: list[Step] = []

    def ask_rule(self, rule: Rule, package: str = "") -> bool:
        """Ask a rule; return whether it had an opinion."""
        self.found = ask_guarded(rule, self.error, lambda by, fault: self.faults.append((by, fault)))
        if self.found is not None:
            self.rule, self.package, self.row = rule, package, _row(self.found)
        return self.found is not None

    def ask_known(self, known: Known, left: int = DEPTH) -> bool:
        """Ask registered rules and the tables, as `Known.ask` does; return whether one had an opinion."""
        beneath = _Beneath(known, self, left)
        for package, rule in registered.rules_for(type(self.error)):
            if self.ask_rule(rule.over(beneath) if isinstance(rule, TableRule) else rule, package):
                return True
        entry = entry_of(type(self.error))
        if entry is not None:
            self.key = entry.key
            self.found = entry.read(self.error, beneath, entry.rows)
        elif left == DEPTH:
            self.found = guessed(self.error, beneath)
        self.row = None if self.found is None else _row(self.found)
        return self.found is not None

    def decisive(self) -> Step:
        """Return the step that decided: this one, or the error beneath that its table followed."""
        for step in self.steps:
            if self.row is not None and step.row is self.row:
                return step.decisive()
        return self


class _Beneath:
    """The asker of a traced reader, in the place of `dispatch.Inner`."""

    __slots__ = ("known", "left", "step")

    def __init__(self, known: Known, step: Step, left: int) -> None:
        self.known, self.step, self.left = known, step, left

    @property
    def wall(self) -> Callable[[], float]:
        return self.known.wall

    def inner(self, error: Any) -> Classification | None:
        if self.left <= 0:
            return None
        beneath = Step(error)
        self.step.steps.append(beneath)
        beneath.ask_known(self.known, self.left - 1)
        return beneath.found


def _row(found: Classification) -> Row | None:
    return found.row if isinstance(found.row, Row) else None
