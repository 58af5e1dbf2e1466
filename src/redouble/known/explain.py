"""Floor 2. `explain`, which tells people why an error is retried or not.

It walks as `classify` does, with a rule in between that records each question and its answer.
"""

from __future__ import annotations

from redouble.core import checks
from redouble.core.causes import causes, is_exception, is_group
from redouble.core.raw import is_a
from redouble.core.record import Record
from redouble.core.verdict import Classification, Rule, Verdict, as_rule, parts, type_name
from redouble.known import known_errors
from redouble.known.advice import change, importable_name
from redouble.known.classify import judge
from redouble.known.dispatch import Known, entry_of
from redouble.known.request import shows_unsafe_method
from redouble.known.row import PERHAPS
from redouble.known.tracing import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from redouble.core.verdict import Fault, RuleLike
    from redouble.known.row import Row
    from redouble.known.table import Entry


class Explanation(Record):
    """The explanation of an error's verdict; its `str()` is for people.

    Fields:
        error: The type of the error, as reasons name it.
        classification: The meaning of the error, exactly as `classify` returns it.
        known: Whether any rule or table had an opinion; `False`: none, and so the error is `PERMANENT`.
        said_by: The row or rule that decided: `the row builtins.OSError [ECONNREFUSED]`, `the rule transient(OSError)`;
            empty when none did.
        note: The note of that row; may be empty.
        source: The source of the row (an RFC, a manual page, a file of the client), or `policy` for a choice of
            redouble's; empty for a rule.
        unsafe_method: Whether the error shows a POST or PATCH without an Idempotency-Key, which a policy with
            `idempotent=None` repeats only where it was surely not applied.
        looked_at: The steps of the walk, a line each, indented by depth: the error, its causes, the errors that its
            table read beneath it, the leaves of a group.
        override: A line of code that reverses the verdict; empty for errors that no rule can change.
        depends: For a class whose errors differ by their contents: its rows, a line each. Then all other fields are
            about an empty error of that class.
        by_class: Whether the class itself fixes the contents of its errors: a SQLSTATE, a status.
    """

    __module__ = "redouble.types"

    error: str
    classification: Classification
    known: bool
    said_by: str
    note: str
    source: str
    unsafe_method: bool
    looked_at: tuple[str, ...]
    override: str
    depends: tuple[str, ...] = ()
    by_class: bool = False

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def explain(error: BaseException | type[BaseException], rules: RuleLike = known_errors) -> Explanation:
    """Tell why an error is retried or not: its meaning, the row or rule that decided, and the steps of the walk.

    The verdict is that of `classify`. Use it for debugging, not in production code: it takes some fifty times as long.
    It names types, rows and rules, and never an error's message, which may carry a secret.

    Args:
        error: Any exception; or an exception class: then the result also tells whether the contents of its errors
            decide, and by which rows.
        rules: Anything that is accepted as a rule; pass a policy's `on` to see the verdict of that policy.

    Raises:
        TypeError: As for `classify`.

    >>> print(explain(ConnectionRefusedError(111, "refused")))
    ConnectionRefusedError is TRANSIENT: it may pass, and is tried again
    reason       ConnectionRefusedError [ECONNREFUSED]
    applied      surely not: nothing was done that another attempt could repeat
    wait         as the policy's backoff has it: the server asked for nothing
    said by      the row builtins.OSError [ECONNREFUSED]: nothing listens (yet): no byte was sent
    source       errno(3), connect(2)
    looked at    ConnectionRefusedError: the row builtins.OSError [ECONNREFUSED]
    to change it retry(on=permanent(ConnectionRefusedError) | known_errors)
    """
    if isinstance(error, BaseException):
        return _of_error(error, as_rule("rules", rules))
    if is_a(error, type) and issubclass(error, BaseException):
        return _of_class(error, as_rule("rules", rules))
    instead = f"; on the command line: redouble explain {error}" if isinstance(error, str) else ""
    raise TypeError(f"error must be an exception, or a class of exceptions, got {checks.shown(error)}{instead}")


def _of_error(error: BaseException, rule: Rule, depends: tuple[str, ...] = (), by_class: bool = False) -> Explanation:
    asked = _Asked(error)
    found = judge(error, rule, None, asked.ask)
    decided = _decisive(asked.steps, found)
    return Explanation(
        type_name(type(error)),
        found,
        decided is not None,
        *_told(decided),
        shows_unsafe_method(error),
        tuple(_looked_at(error, asked.steps)),
        _override(_to_change(error, asked.steps, decided), found.verdict, rule) if is_exception(error) else "",
        depends,
        by_class,
    )


def _of_class(cls: type[BaseException], rule: Rule) -> Explanation:
    """Explain an empty error of a class, and say whether its contents would decide."""
    entry = entry_of(cls)
    error = made(cls)
    by_rule = any(not isinstance(part, Known) and part.ask(error) is not None for part in parts(rule))
    if entry is None or entry.word.fixed or by_rule:
        return _of_error(error, rule)
    if _fixes(error, entry):
        return _of_error(error, rule, by_class=True)
    return _of_error(error, rule, tuple(map(row_line, entry.rows.values())))


def _fixes(error: BaseException, entry: Entry) -> bool:
    """Return whether a class itself fixes the contents of its errors: then a blank class finds another row."""
    package, name = entry.key
    blank = type(name, (Exception,), {"__module__": entry.word.within or package})()
    rows = [None if found is None else found.row for found in map(_asking(entry), (error, blank))]
    return rows[0] is not rows[1]


def _asking(entry: Entry) -> Callable[[Any], Classification | None]:
    return lambda error: entry.read(error, known_errors, entry.rows)


def made(cls: type[BaseException]) -> BaseException:
    """Make an error of a class with the arguments that most classes take; else without its constructor."""
    for args in ((), ("explained",)):
        try:
            return cls(*args)
        except Exception:  # its constructor takes other arguments
            continue
    return cls.__new__(cls)


def row_line(row: Row) -> str:
    """Return a row as one line for people."""
    applied = "perhaps applied" if row.applied is PERHAPS else "not applied"
    note = f": {row.note}" if row.note else ""
    return f"{row.verdict.value:<9}  {applied:<15}  {row.title}{note} ({row.source})"


class _Asked:
    """Asks rules for the walk of `classify`, and records one step per error: the question and the answer."""

    __slots__ = ("steps",)

    def __init__(self, error: BaseException) -> None:
        self.steps: list[Step] = [Step(error)] if is_group(error) else []  # its leaves are asked about

    def ask(self, part: Rule, subject: Any, on_fault: Fault | None) -> Classification | None:
        """Ask one rule about one error."""
        if not (self.steps and self.steps[-1].error is subject and self.steps[-1].found is None):
            self.steps.append(Step(subject))
        step = self.steps[-1]
        _ = step.ask_known(part) if isinstance(part, Known) else step.ask_rule(part)
        return step.found


def _decisive(steps: list[Step], found: Classification) -> Step | None:
    """Return the step that gave the answer: the walk and a group's vote only add to its reason."""
    for step in steps:
        if step.found is not None and _became(step.found, found):
            return step.decisive()
    return None


def _became(one: Classification, found: Classification) -> bool:
    same = one.verdict is found.verdict and one.retry_after == found.retry_after
    return same and found.reason.startswith(one.reason)


def _told(step: Step | None) -> tuple[str, str, str]:
    """Return the row or rule that decided, its note, and its source."""
    if step is None:
        return "", "", ""
    return _by(step), "" if step.row is None else step.row.note, "" if step.row is None else step.row.source


def _by(step: Step) -> str:
    said = f"the rule {step.rule and _shown(step.rule)}" if step.row is None else f"the row {step.row.title}"
    return said + (f" that {step.package} registered" if step.package else "")


def _looked_at(error: BaseException, steps: list[Step]) -> Iterator[str]:
    chain = tuple(causes(error))
    for step in steps:
        is_link = any(step.error is link for link in chain)
        place = "" if step.error is error else "  its cause " if is_link else "  in it "
        yield from _step_lines(step, place)


def _step_lines(step: Step, place: str) -> Iterator[str]:
    yield f"{place}{type_name(type(step.error))}: {_answer(step)}"
    for rule, fault in step.faults:
        yield f"{_indent(place)}  the rule {_shown(rule)} raised {type_name(type(fault))}, which is no opinion"
    for inner in step.steps:
        yield from _step_lines(inner, _indent(place) + "  beneath it ")


def _indent(place: str) -> str:
    return " " * (len(place) - len(place.lstrip()))


def _answer(step: Step) -> str:
    if step.found is None:
        return "not known" if step.key is None else f"the table of {'.'.join(step.key)} has no opinion"
    if step.decisive() is not step:
        return f"the table of {'.'.join(step.key or ())} looks beneath it"
    return _by(step)


def _to_change(error: BaseException, steps: list[Step], decided: Step | None) -> BaseException:
    """Return the error to write a rule for: of a group, the leaf that gave the answer."""
    if is_group(error):
        for step in steps:
            gave = step.found is None if decided is None else step.decisive() is decided
            if gave and not is_group(step.error):
                leaf: BaseException = step.error
                return leaf
    return error


def _override(error: BaseException, verdict: Verdict, rule: Rule) -> str:
    maker = "transient" if verdict is Verdict.PERMANENT else "permanent"
    if is_exception(error):
        try:
            return f"retry(on={change(error, rule, maker)})"
        except Exception:  # a metaclass that hides its names or refuses to be hashed
            return f"retry(on={maker}({type_name(type(error))}) | {_shown(rule)})"
    return f"retry(on={maker}({importable_name(type(error))}) | {_shown(rule)})"  # in a BaseExceptionGroup


def _shown(rule: Rule) -> str:
    return checks.shown(rule, 200)


_MEANS = {
    Verdict.TRANSIENT: "TRANSIENT: it may pass, and is tried again",
    Verdict.PERMANENT: "PERMANENT: trying again cannot help",
    Verdict.PENDING: "PENDING: not a failure, the answer is not ready",
}


def _lines(why: Explanation) -> Iterator[str]:
    found = why.classification
    if not why.override:
        yield f"{why.error} is no Exception: it asks the program to end, and passes under every policy"
        return
    if why.depends:
        yield f"{why.error} depends on what it carries; an error of it that carries nothing: {_headline(why)}"
        yield from (f"{'' if number else 'its rows':<12} {line}" for number, line in enumerate(why.depends))
        yield f"to change it {why.override}"
        return
    yield f"{why.error} is " + ("by what its class fixes " if why.by_class else "") + _headline(why)
    yield f"reason       {found.reason}"
    if found.guessed:
        yield "guessed      no table knows this error: it is judged by what it carries"
    yield f"applied      {_applied(why)}"
    if found.verdict is not Verdict.PERMANENT:
        yield f"wait         {_wait(found)}"
    if why.said_by:
        yield f"said by      {why.said_by}" + (f": {why.note}" if why.note else "")
    if why.source:
        yield f"source       {why.source}"
    yield from (f"{'' if number else 'looked at':<12} {line}" for number, line in enumerate(why.looked_at))
    yield f"to change it {why.override}"


def _headline(why: Explanation) -> str:
    return _MEANS[why.classification.verdict] if why.known else "unknown, so PERMANENT: it is not tried again"


def _applied(why: Explanation) -> str:
    if not why.classification.applied:
        return "surely not: nothing was done that another attempt could repeat"
    if why.classification.verdict is not Verdict.TRANSIENT:
        return "perhaps"
    if why.unsafe_method:
        return "perhaps, by a POST or PATCH without Idempotency-Key: repeated only with idempotent=True"
    return "perhaps: it is repeated unless idempotent=False"


def _wait(found: Classification) -> str:
    if found.retry_after is not None:
        return f"at least {found.retry_after:g} s: the server, or the rule, asks for it"
    if found.backoff is not None:
        return f"as the rule's own {found.backoff!r} has it"
    return "as the policy's backoff has it: the server asked for nothing"
