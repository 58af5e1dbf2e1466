"""Floor 1. The meaning of outcomes: the verdicts, the classification of one outcome, and the rules that return it.

A rule maps an error (or a returned value) to a `Classification`, or has no opinion. Rules are made by `transient`,
`permanent` and `pending`, are asked from left to right when joined with `|`, and are pure: same subject, same answer.
A rule sees one error at a time; `known.classify` walks over causes and groups, and adds the tables.
"""

from __future__ import annotations

import types
from enum import Enum

from redouble.core import checks
from redouble.core.backoff import Backoff, as_curve, constant, plain_number
from redouble.core.record import Record, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

    from redouble.core.backoff import Curve
    from redouble.core.checks import Seconds

    T_co = TypeVar("T_co", covariant=True)

    class ListOf(Protocol[T_co]):
        """A list that is only read, so that a `list[type[OSError]]` counts as one of exception types; not a string."""

        def __iter__(self) -> Iterator[T_co]: ...
        def reverse(self) -> None: ...

    class RowLike(Protocol):
        """A row of the tables of known errors, as a classification shows it."""

        @property
        def package(self) -> str: ...
        @property
        def name(self) -> str: ...
        @property
        def code(self) -> str: ...
        @property
        def source(self) -> str: ...
        @property
        def note(self) -> str: ...

    Answer: TypeAlias = "bool | Verdict | Classification | Seconds | None"
    Several: TypeAlias = "tuple[RuleLike, ...] | ListOf[RuleLike]"
    RuleLike: TypeAlias = "Rule | type[Exception] | types.UnionType | Callable[[Any], Answer] | Several"
    Fault: TypeAlias = Callable[["Rule", Exception], None]


_US = __name__.partition(".")[0]


class Verdict(Enum):
    """The meaning of an attempt's outcome.

    `TRANSIENT`: a failure that may pass; try again. `PERMANENT`: a failure that a retry cannot help. `PENDING`: not a
    failure, but the result is not ready; ask again later.
    """

    __module__ = "redouble"

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    PENDING = "pending"

    def __repr__(self) -> str:
        return f"Verdict.{self.name}"


_KEEP: Any = ...
"""The default of each argument of `but`: it keeps the field, because `None` is a value of some fields."""


class Classification(Record):
    """The judgement of one outcome: its verdict, and details that decide about the retry.

    Two are equal when their verdicts and details are; `guessed`, `row`, `unsaid` and `rule` are not compared.

    Fields:
        verdict: The `Verdict`.
        retry_after: Seconds that the server asked to wait; `None` when it asked for no wait.
        applied: Whether the failed attempt may have taken effect: `False` surely not, `True` perhaps.
        backoff: The rule's own curve, counted apart from the policy's; `None`: the policy's curve.
        reason: One line for people to read, such as `ConnectionRefusedError [ECONNREFUSED]`.
        redact: `True`: keep the error's message out of logs.
        guessed: `True`: the error is in no row of the tables, and was judged by a general sign, such as an HTTP status
            that it carries.
        row: The row of the tables that decided; `None` when no single row did.
        unsaid: The names of the fields that the rule left open; they hold the cautious defaults.
        rule: The rule that decided, for which its `backoff` counts; `None` for the tables. It is not pickled.
    """

    __module__ = "redouble"

    verdict: Verdict
    retry_after: float | None = None
    applied: bool = True
    backoff: Backoff | None = None
    reason: str = ""
    redact: bool = False
    guessed: bool = False
    row: RowLike | None = None
    unsaid: tuple[str, ...] = ()
    rule: Rule | None = None

    def but(
        self,
        *,
        verdict: Verdict = _KEEP,
        retry_after: float | None = _KEEP,
        applied: bool = _KEEP,
        backoff: Backoff | None = _KEEP,
        reason: str = _KEEP,
        redact: bool = _KEEP,
        guessed: bool = _KEEP,
        row: RowLike | None = _KEEP,
        unsaid: tuple[str, ...] = _KEEP,
        rule: Rule | None = _KEEP,
    ) -> Classification:
        """Return this classification with some fields changed.

        >>> Classification(Verdict.TRANSIENT, 3.0).but(retry_after=None)
        Classification(verdict=Verdict.TRANSIENT, retry_after=None, applied=True, backoff=None, reason='', redact=False)
        """
        return Classification(
            self.verdict if verdict is _KEEP else verdict,
            self.retry_after if retry_after is _KEEP else retry_after,
            self.applied if applied is _KEEP else applied,
            self.backoff if backoff is _KEEP else backoff,
            self.reason if reason is _KEEP else reason,
            self.redact if redact is _KEEP else redact,
            self.guessed if guessed is _KEEP else guessed,
            self.row if row is _KEEP else row,
            self.unsaid if unsaid is _KEEP else unsaid,
            self.rule if rule is _KEEP else rule,
        )

    def because(self, reason: str) -> Classification:
        """Return this classification with another reason."""
        return self.but(reason=reason)

    def redacted(self) -> Classification:
        """Return this classification with the error's message kept out of logs."""
        return self.but(redact=True)

    def _meaning(self) -> tuple[Any, ...]:
        return self.verdict, self.retry_after, self.applied, self.backoff, self.reason, self.redact

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Classification):
            return NotImplemented
        return self._meaning() == other._meaning()

    def __hash__(self) -> int:
        return hash(self._meaning())

    def __repr__(self) -> str:
        shown = ", ".join(f"{field}={getattr(self, field)!r}" for field in self.FIELDS[:6])
        return f"{type(self).__name__}({shown}{', guessed=True' if self.guessed else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), (*self._values()[:-1], None))  # without `rule`: it may hold a lambda


def checked(found: Classification) -> Classification:
    """Return a classification from a user's rule, checked, with its hint as float seconds.

    Raises:
        TypeError, ValueError: When a field has a wrong value; the message names the field, the rule and the value.
    """
    if not isinstance(found.verdict, Verdict):
        raise TypeError(f"verdict must be a Verdict, got {checks.shown(found.verdict)}")
    if not isinstance(found.reason, str):
        raise TypeError(f"reason must be a string, got {checks.shown(found.reason)}")
    if found.backoff is not None and not isinstance(found.backoff, Backoff):
        raise TypeError(f"backoff must be a curve or None, got {checks.shown(found.backoff)}")
    checks.flag("applied", found.applied)
    checks.flag("redact", found.redact)
    if found.retry_after is None or type(found.retry_after) is float:
        seconds = found.retry_after
        if seconds is None or 0.0 <= seconds <= checks.LONGEST:
            return found
    return found.but(retry_after=checks.seconds("retry_after", found.retry_after))


def type_name(cls: type) -> str:
    """Return a type's name for reasons and logs: bare for builtins and `__main__`, else as in `httpx.ConnectError`.

    Types of this package keep their module: those that the facade exports name the facade as theirs.
    """
    module = cls.__module__
    if not isinstance(module, str) or module in ("builtins", "__main__"):
        return cls.__qualname__
    top = module.partition(".")[0]
    return f"{module if top == _US else top}.{cls.__qualname__}"


class Rule:
    """Map an error or a returned value to a `Classification`, or to `None`: no opinion.

    Make rules with `transient`, `permanent` and `pending`; join them with `|` (the left one is asked first). A subclass
    of your own needs only `ask`.

    >>> from redouble import known_errors, permanent
    >>> rules = permanent(KeyError) | known_errors
    >>> rules.ask(KeyError("x")).verdict
    Verdict.PERMANENT
    """

    __module__ = "redouble"

    __slots__ = ()

    causes = False
    """`True`: ask this rule about each explicit `__cause__` too, if no rule has an opinion on the raised error."""

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        """Return this rule's judgement of `subject`; `None` when it has no opinion.

        `on_fault(rule, error)` is called when user code in a rule raised, which counts as no opinion. Errors that
        `on_fault` raises itself pass through.
        """
        raise NotImplementedError

    def discard(self, value: Any) -> Awaitable[object] | None:
        """Release the resources of a rejected result before the wait for the next one; the default releases none.

        Called with each result that this rule, or one joined to it, judged TRANSIENT or PENDING, if a retry follows.

        Returns:
            `None` when it is released; else an awaitable for asynchronous callers, which synchronous ones ignore.
        """
        return None

    def __or__(self, other: RuleLike) -> Rule:
        return first_of(self, as_rule("the right side of |", other))

    def __ror__(self, other: RuleLike) -> Rule:
        return first_of(as_rule("the left side of |", other), self)


class _Match(Rule, Record):
    """The rule that `transient`, `permanent` and `pending` make: some types, a predicate, or both."""

    verdict: Verdict
    types: tuple[type, ...]
    when: Callable[[Any], Answer] | None
    retry_after: float | Callable[[Any], Seconds | None] | None
    applied: bool | None
    backoff: Backoff | None
    redact: bool
    causes: bool  # pyrefly: ignore[bad-override]  # a class attribute of other rules, a field of this one
    reason: str  # the `reason` of its classifications; made once, because every failure needs it

    __slots__ = ("fixed",)

    fixed: ClassVar[
        Any
    ]  # the classification, if it is the same for every error of these types; derived, so not a field

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        try:
            # By the real type: `isinstance` also reads `__class__`, which may be wrong or raise.
            if self.types and not issubclass(type(subject), self.types):
                return None
            return self._judge(subject, on_fault) if self.fixed is None else self.fixed
        except Exception as error:
            if on_fault is not None:
                on_fault(self, error)
            return None

    def names(self, group: Any) -> bool:
        """Return whether a type of this rule matches a group itself, or an error that sums up several."""
        return bool(self.types) and issubclass(type(group), self.types)

    def without_types(self) -> _Match:
        """Return this rule without its types, with its predicate alone, to judge the members of a matched group."""
        return restore(_Match, (self.verdict, (), *self._values()[2:]))  # type: ignore[return-value]

    def __getattr__(self, name: str) -> Any:
        """Compute the fixed classification when it is first read."""
        if name != "fixed":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = None
        if self.when is None and not callable(self.retry_after) and self.backoff is None:
            equal: Any = restore(_Match, self._values())  # with `self`, rule and classification would form a cycle
            found = self._said(self.verdict, None, None).but(rule=equal)
        object.__setattr__(self, "fixed", found)
        return found

    def _judge(self, subject: Any, on_fault: Fault | None) -> Classification | None:
        answer = True if self.when is None else self.when(subject)
        if answer is None or answer is False:
            return None
        if answer is True:
            return self._said(self.verdict, subject, on_fault)
        if isinstance(answer, Verdict):
            return self._said(answer, subject, on_fault)
        if isinstance(answer, Classification):
            found = checked(answer)
            return found.redacted() if self.redact else found
        agrees = truth(answer)
        if agrees is not None:
            return self._said(self.verdict, subject, on_fault) if agrees else None
        return self._with_hint(answer, subject, on_fault)

    def _said(self, verdict: Verdict, subject: Any, on_fault: Fault | None, written: Any = None) -> Classification:
        hint, said = self._hint(subject, on_fault, self.retry_after if written is None else written)
        applied = self.applied
        return Classification(
            verdict,
            hint,
            True if applied is None else applied,
            self.backoff,
            self.reason,
            self.redact,
            False,
            None,
            _UNSAID[said, applied is not None],
            self,
        )

    def _with_hint(self, answer: Any, subject: Any, on_fault: Fault | None) -> Classification:
        """Agree, with the number or `timedelta` that the predicate returned as the server's hint."""
        if self.verdict is Verdict.PERMANENT or not _is_duration(answer):
            raise TypeError(  # the advice comes first: logs cut long messages
                f"write bool(...) around the {type_name(type(answer))}: a rule must answer bool, None, Verdict,"
                f" Classification or seconds, got {checks.shown(answer)}"
            )
        return self._said(self.verdict, subject, on_fault, plain_number(answer))

    def _hint(self, subject: Any, on_fault: Fault | None, given: Any) -> tuple[float | None, bool]:
        """Return the seconds of `retry_after`, and whether the rule decided them.

        An error in `retry_after` does not change the verdict; the hint is left open.
        """
        if given is None:
            return None, False
        try:
            hint = given(subject) if callable(given) else given
            seconds = None if hint is None else checks.seconds("retry_after", hint)
        except Exception as error:
            if on_fault is not None:
                on_fault(HintOf(self), error)
            return None, False
        return seconds or None, True

    @property
    def label(self) -> str:
        """The rule's short form for reasons and messages: `transient(OSError)`."""
        return _label(self.verdict, self.types, self.when, self.causes)

    def __repr__(self) -> str:
        return self.label


_UNSAID: dict[tuple[bool, bool], tuple[str, ...]] = {
    (True, True): (),
    (False, True): ("retry_after",),
    (True, False): ("applied",),
    (False, False): ("retry_after", "applied"),
}
"""The fields that a rule left open, by whether it decided the hint, and `applied`."""


def _label(verdict: Verdict, types_: tuple[type, ...], when: Any, causes: bool) -> str:
    parts = [type_name(cls) for cls in types_]
    if when is not None:
        parts.append(f"when={getattr(when, '__qualname__', None) or type(when).__qualname__}")
    if causes:
        parts.append("causes=True")
    return f"{verdict.value}({', '.join(parts)})"


def _is_duration(answer: Any) -> bool:
    return hasattr(type(answer), "as_integer_ratio") or hasattr(type(answer), "total_seconds")


def truth(answer: Any) -> bool | None:
    """Return the truth of a whole number, or of a boolean of another type such as numpy's; `None` for other values.

    Other values are not judged by truthiness: a match object, a list or a string is more likely a mistake.
    """
    kind = type(answer)
    if hasattr(kind, "__index__") or (kind.__name__.startswith("bool") and hasattr(kind, "__bool__")):
        return bool(answer)
    return None


class HintOf(Rule, Record):
    """The subject of a fault when only the `retry_after` of a rule raised."""

    rule: Rule

    def __repr__(self) -> str:
        return f"retry_after of {self.rule!r}"


class _FirstOf(Rule, Record):
    """Rules in order: the first that has an opinion decides."""

    rules: tuple[Rule, ...]

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        for rule in self.rules:
            found = ask_guarded(rule, subject, on_fault)
            if found is not None:
                return found
        return None

    def discard(self, value: Any) -> Awaitable[object] | None:
        left = [closing for rule in self.rules if (closing := rule.discard(value)) is not None]
        return left[0] if left else None

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.rules))


def ask_guarded(rule: Rule, subject: Any, on_fault: Fault | None) -> Classification | None:
    """Ask one rule; an error in its own code counts as no opinion and goes to `on_fault`."""
    try:
        found = rule.ask(subject, on_fault)
        if found is None:
            return None
        if isinstance(found, Classification):
            made_here = found.rule is not None or found.row is not None  # redouble's own need no check
            return found if made_here else checked(found)
        raise TypeError(f"Rule.ask must return a Classification or None, got {checks.shown(found)}")
    except Exception as error:
        if on_fault is not None:
            on_fault(rule, error)
        return None


def first_of(*rules: Rule) -> Rule:
    """Join rules; refuse one that could never be reached because a more general one stands before it."""
    flat: list[Rule] = []
    for rule in rules:
        flat.extend(rule.rules if isinstance(rule, _FirstOf) else (rule,))
    _refuse_unreachable(flat)
    return flat[0] if len(flat) == 1 else _FirstOf(tuple(flat))


def _refuse_unreachable(rules: list[Rule]) -> None:
    earlier: list[tuple[type, _Match]] = []
    for rule in rules:
        if not isinstance(rule, _Match):
            continue
        for cls in rule.types:
            for general, before in earlier:
                if issubclass(cls, general) and (before.causes or not rule.causes):
                    raise ValueError(
                        f"{rule.label} can never be reached for {type_name(cls)}: {before.label} stands before it and"
                        f" takes every {type_name(general)}; put the more specific rule first"
                    )
        if rule.when is None:
            earlier.extend((cls, rule) for cls in rule.types)


def exception_types(maker: str, types_: tuple[Any, ...]) -> tuple[type, ...]:
    """Return the types given to a maker of rules; refuse any that is not an exception type that may be retried."""
    for cls in types_:
        if not isinstance(cls, type) or not issubclass(cls, BaseException):
            raise TypeError(f"{maker} takes exception types (for anything else write when=), got {checks.shown(cls)}")
        if not issubclass(cls, Exception):
            raise TypeError(
                f"{maker} cannot take {type_name(cls)}: it is no Exception but asks the program to end, and always"
                " passes untouched"
            )
    return types_


def _predicate(maker: str, types_: tuple[Any, ...], when: Any) -> Any:
    if when is None:
        if not types_:
            raise TypeError(
                f"{maker} must be given at least one exception type or when=; for every error: {maker[:-2]}(Exception)"
            )
        return None
    subject = "value" if maker in ("result", "pending()") else "error"
    return checks.asked(f"when of {maker}" if maker.endswith("()") else maker, when, subject)


def _hint(maker: str, value: Any) -> Any:
    if callable(value) and not isinstance(value, type):
        return checks.asked(f"retry_after of {maker}", value, "error")
    return checks.seconds_or_none(f"retry_after of {maker}", value)


def _curve(maker: str, value: Any) -> Backoff | None:
    return None if value is None else as_curve(f"backoff of {maker}", value)


def _match(
    verdict: Verdict,
    types_: tuple[Any, ...],
    when: Any,
    retry_after: Any = None,
    applied: Any = None,
    backoff: Any = None,
    redact: Any = False,
    causes: Any = False,
    said_as: str | None = None,
) -> Rule:
    """Check the arguments of a maker of rules, and make the rule; `said_as` replaces the maker's name in messages."""
    maker = said_as or f"{verdict.value}()"
    kinds, predicate = exception_types(maker, types_), _predicate(maker, types_, when)
    hint, said = _hint(maker, retry_after), checks.one_of("applied", applied, (None, True, False))
    curve, deep = _curve(maker, backoff), checks.flag("causes", causes)
    reason = f"by the rule {_label(verdict, kinds, predicate, deep)}"
    return _Match(verdict, kinds, predicate, hint, said, curve, checks.flag("redact", redact), deep, reason)


def transient(
    *types: type[Exception],
    when: Callable[[Any], Answer] | None = None,
    retry_after: Seconds | Callable[[Any], Seconds | None] | None = None,
    applied: bool | None = None,
    backoff: Curve | None = None,
    redact: bool = False,
    causes: bool = False,
) -> Rule:
    """Make a rule: these errors may pass, try again.

    The rule decides the verdict. If it leaves `retry_after` or `applied` open, the tables of `known_errors` decide them
    for the same error. If they do not know it, there is no hint, and the attempt may have been applied.

    Args:
        types: Exception types, subclasses included. Without any: every error (or value) for which `when` agrees.
        when: A predicate, called after the type matched. `True` agrees; `False` or `None` is no opinion; a `Verdict` or
            a `Classification` decides by itself; a float or a `timedelta` agrees, with a hint of that duration. `None`:
            the type is enough.
        retry_after: The least seconds to wait, or a function of the error that returns them; 0, and `None` from the
            function, mean no hint. A function that raises, or returns no duration, is logged once and leaves the hint
            open. `None`: left open.
        applied: Whether such a failure may have taken effect: `False` if it surely has not. `None`: left open.
        backoff: A curve for these errors alone; it counts the failures that this rule judged. `None`: the policy's.
        redact: Keep the error's message out of logs (it may carry a secret); its type is still named.
        causes: Ask this rule about each explicit `__cause__` of an error too (`raise ... from`), if no rule has an
            opinion on the error itself.

    Raises:
        TypeError: For a type that is not an exception type; for `KeyboardInterrupt` and its kin; without both a type
            and `when`.
        ValueError: For a negative, infinite or enormous `retry_after`.

    >>> rule = transient(OSError, when=lambda error: error.errno == 11)
    >>> rule.ask(OSError(11, "busy")).verdict
    Verdict.TRANSIENT
    >>> rule.ask(OSError(12, "no memory")) is None
    True
    """
    return _match(Verdict.TRANSIENT, types, when, retry_after, applied, backoff, redact, causes)


def permanent(
    *types: type[Exception],
    when: Callable[[Any], Answer] | None = None,
    redact: bool = False,
    causes: bool = False,
) -> Rule:
    """Make a rule: a retry cannot help with these errors; they reach the caller at once, untouched.

    Args:
        types: Exception types, subclasses included. Without any: every error (or value) for which `when` agrees.
        when: A predicate, called after the type matched, as in `transient`, but it may not return a duration. `None`:
            the type is enough.
        redact: Keep the error's message out of logs; its type is still named.
        causes: Ask this rule about each explicit `__cause__` too, as in `transient`.

    Raises:
        TypeError: As for `transient`.

    >>> permanent(PermissionError).ask(PermissionError(13, "denied")).verdict
    Verdict.PERMANENT
    """
    return _match(Verdict.PERMANENT, types, when, redact=redact, causes=causes)


def pending(
    *types: type[Exception],
    when: Callable[[Any], Answer] | None = None,
    every: Seconds = 5.0,
    redact: bool = False,
    causes: bool = False,
) -> Rule:
    """Make a rule: this is not a failure, but the result is not ready; ask again later.

    Args:
        types: Exception types, subclasses included. Without any: every error (or value) for which `when` agrees.
        when: A predicate, called after the type matched, as in `transient`. `None`: the type is enough.
        every: Seconds to wait before asking again, unless the server names a wait; below 0.1 s counts as 0.1 s. The
            default is RFC 8628's (section 3.5).
        redact: Keep the error's message out of logs; its type is still named.
        causes: Ask this rule about each explicit `__cause__` too, as in `transient`.

    Raises:
        TypeError: As for `transient`.
        ValueError: For a negative, infinite or enormous `every`.

    >>> pending(when=lambda job: job == "running").ask("running").verdict
    Verdict.PENDING
    """
    rhythm = constant(checks.seconds("every", every))
    return _match(Verdict.PENDING, types, when, backoff=rhythm, redact=redact, causes=causes)


def _transient(name: str, types_: tuple[Any, ...], when: Any = None) -> Rule:
    return _match(Verdict.TRANSIENT, types_, when, said_as=name)


def parts(rule: Rule) -> tuple[Rule, ...]:
    """Return the rules joined with `|`, in their order; a single rule is its only part."""
    return rule.rules if isinstance(rule, _FirstOf) else (rule,)


def as_rule(name: str, value: Any) -> Rule:
    """Return an argument as a rule.

    An exception type, `X | Y`, a tuple or a list of them, or a callable becomes `transient(...)`.
    """
    if isinstance(value, Rule):
        return value
    if isinstance(value, type):
        return _transient(name, (value,))
    if isinstance(value, types.UnionType) or type(value).__name__ == "_UnionGenericAlias":  # typing.Union's
        value = value.__args__  # since Python 3.14 they may include a rule, joined to the right of a union
    if isinstance(value, (tuple, list)):
        if value and all(isinstance(item, type) for item in value):
            return _transient(name, tuple(value))
        if value:
            return first_of(*(as_rule(name, item) for item in value))
    elif callable(value) and not _makes_rules(value):
        return _transient(name, (), value)
    raise TypeError(
        f"{name} must be a rule, an exception type, a tuple or list of them, X | Y or a callable,"
        f" got {checks.shown(value)}{_instead(name, value)}"
    )


def _makes_rules(value: Any) -> bool:
    """Return whether a function of redouble's makes rules; annotations of others may fail when read (PEP 649)."""
    package = str(getattr(value, "__module__", "")).partition(".")[0]
    return package == _US and getattr(value, "__annotations__", {}).get("return") == "Rule"


def _instead(name: str, value: Any) -> str:
    """Return advice about a value that is not a rule, as the end of the message; empty when there is none."""
    if callable(value):
        return f": it makes rules, write {value.__name__}(...)"
    if name == "result" and isinstance(value, (str, int, type(None))):
        same = "is" if value is None or isinstance(value, bool) else "=="
        return f"; write lambda value: value {same} {checks.shown(value)}"
    if isinstance(value, str):
        return "; write the exception type itself, not its name"
    if isinstance(value, BaseException):
        return f"; write its type, {type_name(type(value))}"
    if isinstance(value, int) and not isinstance(value, bool):
        return "; known_errors knows the statuses of clients, http_error(YourError) reads those of your own errors"
    return ""
