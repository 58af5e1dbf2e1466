"""Floor 1. What an outcome means: the verdicts, the classification of one outcome, and the rules that give it.

A rule maps an error (or a returned value) to a `Classification`, or has no opinion. Rules are made by `transient`,
`permanent` and `pending`, are asked from left to right when joined with `|`, and are pure: same subject, same answer.
"""

from __future__ import annotations

import types
from enum import Enum

from redouble.core import checks
from redouble.core.backoff import Backoff, constant
from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Any, Protocol, TypeAlias, TypeVar

    from redouble.core.checks import Seconds

    T_co = TypeVar("T_co", covariant=True)

    class ListOf(Protocol[T_co]):
        """A list that is only read, so that a `list[type[OSError]]` is one of exception types; a string is none."""

        def __iter__(self) -> Iterator[T_co]: ...
        def reverse(self) -> None: ...

    Answer: TypeAlias = "bool | Verdict | Classification | None"
    Several: TypeAlias = "tuple[RuleLike, ...] | ListOf[RuleLike]"
    RuleLike: TypeAlias = "Rule | type[Exception] | types.UnionType | Callable[[Any], Answer] | Several"
    Fault: TypeAlias = Callable[["Rule", Exception], None]


class Verdict(Enum):
    """What the outcome of an attempt means.

    `TRANSIENT`: it may pass, try again. `PERMANENT`: trying again cannot help. `PENDING`: not a failure, the answer is
    not ready; ask again later.
    """

    __module__ = "redouble"

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    PENDING = "pending"

    def __repr__(self) -> str:
        return f"Verdict.{self.name}"


class Classification(Record):
    """What one outcome means, and what follows from it.

    Fields:
        verdict: The `Verdict`.
        retry_after: Seconds that the server asked to wait; `None` when it asked for nothing.
        applied: Whether the failed attempt may have taken effect: `False` surely not, `True` perhaps.
        backoff: The curve of the rule itself, counted apart from the policy's; `None` means the policy's.
        reason: One line that a person can read, such as `ConnectionRefusedError [ECONNREFUSED]`.
        redact: Whether the error's message must be kept out of logs.
        guessed: Whether no table knows the error, and a general mechanism judged it (an HTTP status that it carries).
        row: The row of the tables that it came by; `None` for a rule's.
    """

    __module__ = "redouble"

    verdict: Verdict
    retry_after: float | None = None
    applied: bool = True
    backoff: Backoff | None = None
    reason: str = ""
    redact: bool = False
    guessed: bool = False
    row: Any = None

    def because(self, reason: str) -> Classification:
        """The same classification with another reason."""
        return self._changed(reason, self.redact)

    def redacted(self) -> Classification:
        """The same classification, with the error's message kept out of logs."""
        return self._changed(self.reason, True)

    def _changed(self, reason: str, redact: bool) -> Classification:
        return Classification(
            self.verdict, self.retry_after, self.applied, self.backoff, reason, redact, self.guessed, self.row
        )


def type_name(cls: type) -> str:
    """A type as reasons and logs name it: bare for builtins and `__main__`, else under its top package (`httpx.ConnectError`)."""
    module = cls.__module__
    if not isinstance(module, str) or module in ("builtins", "__main__"):
        return cls.__qualname__
    return f"{module.partition('.')[0]}.{cls.__qualname__}"


class Rule:
    """Maps an error or a returned value to a `Classification`, or to `None`: no opinion.

    Make rules with `transient`, `permanent` and `pending`; join them with `|` (the left one is asked first). A class of
    your own needs only `ask`.

    >>> from redouble import known_errors, permanent
    >>> rules = permanent(KeyError) | known_errors
    >>> rules.ask(KeyError("x")).verdict
    Verdict.PERMANENT
    """

    __module__ = "redouble"

    __slots__ = ()

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        """What this rule says of `subject`; `None` when it has no opinion.

        `on_fault(rule, error)` hears of user code in a rule that raised, which counts as no opinion.
        """
        raise NotImplementedError

    def discard(self, value: Any) -> Awaitable[object] | None:
        """Let go of what a dropped result holds, before the wait for the next one; by default nothing is done.

        Called with each result that this rule, or one joined to it, had asked again for.

        Returns:
            `None` when all is done; else what an asyncio caller awaits, and a synchronous one ignores.
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
    retry_after: float | Callable[[Any], float | None] | None
    applied: bool
    backoff: Backoff | None
    redact: bool
    fixed: Classification | None  # the answer, where it is the same for every error of these types

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        if self.types and not isinstance(subject, self.types):
            return None
        if self.fixed is not None:
            return self.fixed
        try:
            return self._judge(subject, on_fault)
        except Exception as error:
            if on_fault is not None:
                on_fault(self, error)
            return None

    def _judge(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        answer = True if self.when is None else self.when(subject)
        if answer is None or answer is False:
            return None
        if isinstance(answer, Classification):
            return answer.redacted() if self.redact else answer
        if answer is True or isinstance(answer, Verdict):
            verdict = self.verdict if answer is True else answer
            seconds = None if self.retry_after is None else self._hint(subject, on_fault)
            return Classification(verdict, seconds, self.applied, self.backoff, self.reason, self.redact)
        raise TypeError(  # the advice comes first: logs cut what is long
            f"write bool(...) around the {type_name(type(answer))}: a rule must answer bool, None, Verdict or"
            f" Classification, got {checks.shown(answer)}"
        )

    def _hint(self, subject: Any, on_fault: Fault | None) -> float | None:
        """The seconds of `retry_after`; what goes wrong there changes nothing of the verdict, there just is no hint."""
        try:
            hint = self.retry_after(subject) if callable(self.retry_after) else self.retry_after
            return None if hint is None else checks.seconds("retry_after", hint)
        except Exception as error:
            if on_fault is not None:
                on_fault(HintOf(self), error)
            return None

    @property
    def reason(self) -> str:
        """What a classification by this rule says of it."""
        return f"by the rule {self.label}"

    @property
    def label(self) -> str:
        """The rule in short, as reasons and messages show it: `transient(OSError)`."""
        parts = [type_name(cls) for cls in self.types]
        if self.when is not None:
            parts.append(f"when={getattr(self.when, '__qualname__', None) or type(self.when).__qualname__}")
        return f"{self.verdict.value}({', '.join(parts)})"

    def __repr__(self) -> str:
        return self.label


class HintOf(Rule, Record):
    """What a fault is told of when the `retry_after` of a rule raised, and nothing else of it."""

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
        if found is None or isinstance(found, Classification):
            return found
        raise TypeError(f"Rule.ask must return a Classification or None, got {checks.shown(found)}")
    except Exception as error:
        if on_fault is not None:
            on_fault(rule, error)
        return None


def first_of(*rules: Rule) -> Rule:
    """Join rules, refusing one that could never be reached because a more general one stands before it."""
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
                if issubclass(cls, general):
                    raise ValueError(
                        f"{rule.label} can never be reached for {type_name(cls)}: {before.label} stands before it and"
                        f" takes every {type_name(general)}; put the more specific rule first"
                    )
        if rule.when is None:
            earlier.extend((cls, rule) for cls in rule.types)


def _exception_types(maker: str, types_: tuple[Any, ...]) -> tuple[type, ...]:
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
    return checks.plain_function(f"when of {maker}" if maker.endswith("()") else maker, when)


def _hint(maker: str, value: Any) -> Any:
    if callable(value) and not isinstance(value, type):
        return checks.plain_function(f"retry_after of {maker}", value)
    return checks.seconds_or_none(f"retry_after of {maker}", value)


def _curve(maker: str, value: Any) -> Backoff | None:
    if value is not None and not isinstance(value, Backoff):
        raise TypeError(f"backoff of {maker} must be a curve such as exponential() or None, got {checks.shown(value)}")
    return value


def _match(
    verdict: Verdict,
    types_: tuple[Any, ...],
    when: Any,
    retry_after: Any = None,
    applied: Any = True,
    backoff: Any = None,
    redact: Any = False,
    said_as: str | None = None,
) -> Rule:
    """Check what a maker of rules was given, and make the rule; `said_as`: what messages call the argument instead."""
    maker = said_as or f"{verdict.value}()"
    rule = _Match(
        verdict,
        _exception_types(maker, types_),
        _predicate(maker, types_, when),
        _hint(maker, retry_after),
        checks.flag("applied", applied),
        _curve(maker, backoff),
        checks.flag("redact", redact),
        None,
    )
    if when is None and not callable(retry_after):
        object.__setattr__(rule, "fixed", rule._judge(None))
    return rule


def transient(
    *types: type[Exception],
    when: Callable[[Any], Answer] | None = None,
    retry_after: Seconds | Callable[[Any], float | None] | None = None,
    applied: bool = True,
    backoff: Backoff | None = None,
    redact: bool = False,
) -> Rule:
    """A rule: these errors may pass, try again.

    Args:
        types: Exception types, subclasses included. None at all: every error (or value) that `when` agrees to.
        when: Asked after the type matched: `True` agrees, `False` or `None` has no opinion; a `Verdict` or a
            `Classification` decides by itself. `None`: the type is enough.
        retry_after: Seconds to wait at least, or a function of the error that gives them (or `None`: no hint). One
            that raises, or gives what is no duration, is logged once, and there is no hint.
        applied: Whether such a failure may have taken effect: `False` when it surely has not.
        backoff: A curve for these errors alone; it counts the failures that rules with an equal curve judged. `None`:
            the policy's curve.
        redact: Keep the error's message out of logs (it may carry a secret); its type is still named.

    Raises:
        TypeError: For anything that is not an exception type, for `KeyboardInterrupt` and its kin, for neither a type
            nor `when`.
        ValueError: For a negative, infinite or enormous `retry_after`.

    >>> rule = transient(OSError, when=lambda error: error.errno == 11)
    >>> rule.ask(OSError(11, "busy")).verdict
    Verdict.TRANSIENT
    >>> rule.ask(OSError(12, "no memory")) is None
    True
    """
    return _match(Verdict.TRANSIENT, types, when, retry_after, applied, backoff, redact)


def permanent(
    *types: type[Exception],
    when: Callable[[Any], Answer] | None = None,
    redact: bool = False,
) -> Rule:
    """A rule: trying again cannot help with these errors; they reach the caller at once, untouched.

    Args:
        types: Exception types, subclasses included. None at all: every error (or value) that `when` agrees to.
        when: Asked after the type matched, as in `transient`. `None`: the type is enough.
        redact: Keep the error's message out of logs; its type is still named.

    Raises:
        TypeError: As for `transient`.

    >>> permanent(PermissionError).ask(PermissionError(13, "denied")).verdict
    Verdict.PERMANENT
    """
    return _match(Verdict.PERMANENT, types, when, redact=redact)


def pending(
    *types: type[Exception],
    when: Callable[[Any], Answer] | None = None,
    every: Seconds = 5.0,
    redact: bool = False,
) -> Rule:
    """A rule: this is not a failure, the answer is not ready; ask again later.

    Args:
        types: Exception types, subclasses included. None at all: every error (or value) that `when` agrees to.
        when: Asked after the type matched, as in `transient`. `None`: the type is enough.
        every: Seconds between two questions when the server names none; under 0.1 s counts as 0.1 s. The default is
            RFC 8628's (section 3.5).
        redact: Keep the error's message out of logs; its type is still named.

    Raises:
        TypeError: As for `transient`.
        ValueError: For a negative, infinite or enormous `every`.

    >>> pending(when=lambda job: job == "running").ask("running").verdict
    Verdict.PENDING
    """
    return _match(Verdict.PENDING, types, when, backoff=constant(checks.seconds("every", every)), redact=redact)


def _transient(name: str, types_: tuple[Any, ...], when: Any = None) -> Rule:
    return _match(Verdict.TRANSIENT, types_, when, said_as=name)


def as_rule(name: str, value: Any) -> Rule:
    """The rule that `value` stands for, wherever a rule is accepted.

    A rule stands for itself; an exception type, `X | Y`, a tuple or a list of them, or a callable for `transient(...)`.
    """
    if isinstance(value, Rule):
        return value
    if isinstance(value, type):
        return _transient(name, (value,))
    if isinstance(value, types.UnionType) or type(value).__name__ == "_UnionGenericAlias":  # typing.Union's
        return _transient(name, value.__args__)
    if isinstance(value, (tuple, list)):
        if value and all(isinstance(item, type) for item in value):
            return _transient(name, tuple(value))
        if value:
            return first_of(*(as_rule(name, item) for item in value))
    elif callable(value):
        return _transient(name, (), value)
    raise TypeError(
        f"{name} must be a rule, an exception type, a tuple or list of them, X | Y or a callable,"
        f" got {checks.shown(value)}"
    )
