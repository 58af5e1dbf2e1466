"""Floor 1. Verdicts, classifications, and the rules: how they are made, asked and joined."""

from __future__ import annotations

import copy
import errno
import functools
import pickle
import re
import typing
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Classification, Rule, Verdict, constant, exponential, known_errors, pending, permanent, transient
from redouble.core.verdict import as_rule, ask_guarded, first_of, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSIENT, PERMANENT, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING
MAKERS: list[Callable[..., Rule]] = [transient, permanent, pending]


def is_busy(error: Any) -> bool:
    """A predicate that pickle can find."""
    return bool(error.args) and error.args[0] == "busy"


class Faults:
    """Hears what user code in a rule raised."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def __call__(self, rule: Rule, error: Exception) -> None:
        self.heard.append((repr(rule), f"{type(error).__name__}: {error}"))


class Always(Rule):
    """A rule of a user's own."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def ask(self, subject: Any, on_fault: Any = None) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def __repr__(self) -> str:
        return "Always()"


def verdict(rule: Rule, subject: Any) -> Verdict | None:
    """What a rule says of something, in a word."""
    found = rule.ask(subject)
    return None if found is None else found.verdict


# Making rules.


@pytest.mark.parametrize(("maker", "expected"), list(zip(MAKERS, Verdict, strict=True)))
def test_a_rule_by_type(maker: Callable[..., Rule], expected: Verdict) -> None:
    """A rule judges its types and their subclasses, and has no opinion of others."""
    rule = maker(OSError, KeyError)
    assert verdict(rule, ConnectionResetError()) is expected
    assert verdict(rule, KeyError()) is expected
    assert verdict(rule, LookupError()) is None
    assert verdict(rule, OSError) is None


def test_what_a_transient_rule_says() -> None:
    """All that `transient` was given is in its classification."""
    curve = exponential(1)
    rule = transient(OSError, retry_after=timedelta(seconds=3), applied=False, backoff=curve, redact=True)
    reason = "by the rule transient(OSError)"
    assert rule.ask(OSError()) == Classification(TRANSIENT, 3.0, False, curve, reason, True)


@pytest.mark.parametrize(
    ("said", "unsaid"),
    [
        ({}, ("retry_after", "applied")),
        ({"retry_after": None, "applied": None}, ("retry_after", "applied")),
        ({"applied": True}, ("retry_after",)),
        ({"applied": False}, ("retry_after",)),
        ({"retry_after": 0}, ("applied",)),
        ({"retry_after": lambda error: None}, ("applied",)),
        ({"retry_after": 5, "applied": False}, ()),
    ],
)
def test_a_rule_tells_what_it_left_unsaid(said: dict[str, Any], unsaid: tuple[str, ...]) -> None:
    """A hint of None or 0 that is said is no hint that is left unsaid."""
    rule = transient(OSError, **said)
    found = rule.ask(OSError())
    assert found is not None
    assert found.unsaid == unsaid
    assert found.rule == rule


def test_a_curve_may_be_a_function() -> None:
    """A rule's own curve may be a function of the failures, as wherever a curve is taken."""
    found = transient(OSError, backoff=lambda failures: failures * 2.0).ask(OSError())
    assert found is not None and found.backoff is not None
    assert found.backoff.delay(3, None, 0.5) == 6.0


def test_an_error_that_lies_about_its_class() -> None:
    """A rule goes by the real type: an error whose `__class__` raises is judged, and one that pretends is not believed."""

    class ShyError(OSError):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("no")

        @__class__.setter
        def __class__(self, value: Any) -> None: ...

    class PretendingError(Exception):
        __class__ = OSError  # type: ignore[assignment]

    faults = Faults()
    assert transient(OSError).ask(ShyError(), faults) is not None
    assert transient(OSError).ask(PretendingError(), faults) is None
    assert faults.heard == []


def test_what_a_rule_says_by_default() -> None:
    """No hint, may have been applied, the policy's own curve, nothing secret."""
    reason = "by the rule transient(OSError)"
    assert transient(OSError).ask(OSError()) == Classification(TRANSIENT, None, True, None, reason, False)
    assert permanent(OSError, redact=True).ask(OSError()).redact  # type: ignore[union-attr]


def test_a_pending_rule_has_a_rhythm() -> None:
    """`every` is how long a pending answer is waited for: 5 s unless written (RFC 8628)."""
    assert pending(OSError).ask(OSError()).backoff == constant(5)  # type: ignore[union-attr]
    assert pending(OSError, every=timedelta(seconds=2)).ask(OSError()).backoff == constant(2)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, TRANSIENT),
        (False, None),
        (None, None),
        (TRANSIENT, TRANSIENT),
        (PERMANENT, PERMANENT),
        (PENDING, PENDING),
        (Classification(PERMANENT, reason="mine"), PERMANENT),
        (1, TRANSIENT),
        (5, TRANSIENT),
        (0, None),
        (0.5, TRANSIENT),
        (0.0, TRANSIENT),
        (timedelta(seconds=3), TRANSIENT),
    ],
)
def test_what_a_predicate_may_answer(answer: Any, expected: Verdict | None) -> None:
    """True agrees, with False and None it does not speak, a verdict, a classification or a duration decides by itself."""
    faults = Faults()
    found = transient(OSError, when=lambda error: answer).ask(OSError(), faults)
    assert (None if found is None else found.verdict) is expected
    assert faults.heard == []


@pytest.mark.parametrize("answer", ["yes", "", [], [True], object, NotImplemented, re.match("a", "a"), {}])
def test_what_a_predicate_may_not_answer(answer: Any) -> None:
    """A text, a list or a match is a fault of the rule, which then does not speak: it may stand for anything."""
    faults = Faults()
    assert transient(when=lambda error: answer).ask(OSError(), faults) is None
    (heard,) = faults.heard
    assert heard[1].startswith("TypeError: write bool(...) around the ")
    rule = "a rule must answer bool, None, Verdict, Classification or seconds"
    assert f": {rule}, got {answer!r}"[:150] in heard[1]


@pytest.mark.parametrize(("says", "expected"), [(True, TRANSIENT), (False, None)])
@pytest.mark.parametrize("name", ["bool_", "bool", "boolean"])
def test_an_answer_that_is_almost_a_bool(name: str, says: bool, expected: Verdict | None) -> None:
    """A truth value of another library, such as numpy's, counts as its bool."""
    kind = type(name, (), {"__bool__": lambda self: says, "__module__": "numpy"})
    assert verdict(transient(when=lambda error: kind()), OSError()) is expected


@pytest.mark.parametrize(
    ("answer", "expected"), [(2.5, 2.5), (0.0, None), (timedelta(minutes=1), 60.0), (Decimal("1.5"), 1.5)]
)
@pytest.mark.parametrize("maker", [transient, pending])
def test_a_duration_is_a_hint(maker: Callable[..., Rule], answer: Any, expected: float | None) -> None:
    """A predicate that answers a duration agrees, and says how long the server asked to wait; 0 says not at all."""
    found = maker(when=lambda error: answer).ask(OSError())
    assert found is not None
    assert (found.verdict, found.retry_after, found.unsaid) == (
        maker(OSError).ask(OSError()).verdict,
        expected,
        ("applied",),
    )  # type: ignore[union-attr]


@pytest.mark.parametrize("answer", [-1.0, float("nan"), float("inf"), 1e300, timedelta(seconds=-1)])
def test_a_senseless_duration_leaves_the_verdict(answer: Any) -> None:
    """What is wrong with the duration changes nothing of the verdict: the hint is left unsaid."""
    faults = Faults()
    found = transient(OSError, when=lambda error: answer).ask(OSError(), faults)
    assert found is not None
    assert (found.verdict, found.retry_after, found.unsaid) == (TRANSIENT, None, ("retry_after", "applied"))
    ((name, error),) = faults.heard
    assert name.startswith("retry_after of transient(OSError, when=") and "retry_after must" in error


def test_a_permanent_rule_has_no_use_for_a_duration() -> None:
    """An error that is not to be retried has no wait: such an answer is a fault."""
    faults = Faults()
    assert permanent(when=lambda error: 5.0).ask(OSError(), faults) is None
    assert faults.heard[0][1].startswith("TypeError: write bool(...) around the float: ")


@pytest.mark.parametrize(
    "junk",
    [
        Classification(PERMANENT, reason=None),  # type: ignore[arg-type]
        Classification("transient"),  # type: ignore[arg-type]
        Classification(TRANSIENT, retry_after="soon"),  # type: ignore[arg-type]
        Classification(TRANSIENT, retry_after=-1.0),
        Classification(TRANSIENT, retry_after=float("nan")),
        Classification(TRANSIENT, applied=None),  # type: ignore[arg-type]
        Classification(TRANSIENT, backoff=5),  # type: ignore[arg-type]
        Classification(TRANSIENT, redact=1),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_a_classification_of_nonsense_is_no_opinion(junk: Classification) -> None:
    """A classification with a field that holds what it may not is a fault of the rule that gave it, named by its field."""
    for rule in (transient(when=lambda error: junk), Always(junk)):
        faults = Faults()
        assert ask_guarded(rule, OSError(), faults) is None
        ((_, heard),) = faults.heard
        assert re.match(r"(Type|Value)Error: (reason|verdict|retry_after|applied|backoff|redact) must ", heard)


def test_a_hint_of_another_kind_is_made_seconds() -> None:
    """The hint of a classification that a user made is a float in the end."""
    found = ask_guarded(Always(Classification(TRANSIENT, retry_after=timedelta(seconds=3))), None, None)  # type: ignore[arg-type]
    assert found is not None and found.retry_after == 3.0 and type(found.retry_after) is float


def test_a_predicate_is_asked_after_the_type() -> None:
    """A predicate sees errors of its rule's types only, and those of all types when there are none."""
    seen: list[BaseException] = []
    error, other = OSError(), ValueError()
    transient(OSError, when=seen.append).ask(other)
    transient(OSError, when=seen.append).ask(error)
    transient(when=seen.append).ask(other)
    assert seen == [error, other]


def test_a_verdict_from_a_predicate_keeps_the_rest_of_the_rule() -> None:
    """A predicate that answers a verdict changes that alone; a classification replaces everything."""
    mine = Classification(TRANSIENT, 1.0, reason="mine")
    rule = transient(when=lambda error: error.args[0], retry_after=9, applied=False, backoff=constant(1))
    found = rule.ask(OSError(PENDING))
    assert found is not None
    assert (found.verdict, found.retry_after, found.applied, found.backoff) == (PENDING, 9.0, False, constant(1))
    assert rule.ask(OSError(mine)) == mine


def test_a_redacting_rule_redacts_whatever_its_predicate_answers() -> None:
    """What `redact` asked for is not lost by a classification that does not ask for it."""
    mine = Classification(TRANSIENT, 1.0, False, constant(1), "mine")
    found = transient(when=lambda error: mine, redact=True).ask(OSError())
    assert found == Classification(TRANSIENT, 1.0, False, constant(1), "mine", True)


@pytest.mark.parametrize(("hint", "expected"), [(3, 3.0), (0, None), (timedelta(minutes=1), 60.0), (None, None)])
def test_a_hint_may_be_computed(hint: Any, expected: float | None) -> None:
    """`retry_after` may be a function of the error, which gives a duration or none."""
    found = transient(OSError, retry_after=lambda error: error.args[0]).ask(OSError(hint))
    assert found is not None
    assert found.retry_after == expected
    assert found.unsaid == ("applied",)


@pytest.mark.parametrize("hint", [-1, float("nan"), float("inf"), "120", True])
def test_a_computed_hint_that_is_no_duration(hint: Any) -> None:
    """A junk hint is a fault of the hint alone: the rule says what it says without it."""
    faults = Faults()
    rule = transient(OSError, retry_after=lambda error: hint)
    assert rule.ask(OSError(), faults) == rule.ask(OSError()) == transient(OSError).ask(OSError())
    ((name, error),) = faults.heard
    assert name == "retry_after of transient(OSError)" and "retry_after must be a duration" in error


def test_a_hint_is_asked_for_only_where_it_is_used() -> None:
    """Where the rule has no opinion, or a classification decides by itself, nobody asks for the hint."""
    asked: list[object] = []
    for answer in (False, None, Classification(PERMANENT)):
        transient(when=lambda error, answer=answer: answer, retry_after=asked.append).ask(OSError())
    assert asked == []


def test_a_rule_that_raises_has_no_opinion() -> None:
    """A bug in a predicate goes to whoever asked, and never further."""
    rule, faults = transient(OSError, when=lambda error: error.nope), Faults()
    assert rule.ask(OSError(), faults) is None
    assert rule.ask(OSError()) is None
    assert faults.heard == [(repr(rule), "AttributeError: 'OSError' object has no attribute 'nope'")]


def test_a_hint_that_raises_leaves_the_verdict() -> None:
    """A bug in a hint goes to whoever asked, too, and the rule has its opinion without the hint."""
    rule, faults = transient(OSError, retry_after=lambda error: error.nope), Faults()
    assert rule.ask(OSError(), faults) == rule.ask(OSError()) == transient(OSError).ask(OSError())
    assert faults.heard == [
        ("retry_after of transient(OSError)", "AttributeError: 'OSError' object has no attribute 'nope'")
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes_through_a_predicate(error: type[BaseException]) -> None:
    """Ctrl-C in a predicate is not swallowed."""

    def interrupted(_: Any) -> bool:
        raise error

    with pytest.raises(error):
        (transient(when=interrupted) | permanent(OSError)).ask(OSError(), Faults())


def test_rules_judge_results_too() -> None:
    """A rule without types judges whatever its predicate understands."""
    rule = pending(when=lambda job: job == "running") | permanent(when=lambda job: job == "failed")
    assert [verdict(rule, job) for job in ("running", "failed", "done")] == [PENDING, PERMANENT, None]


# Refusals.


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException, BaseExceptionGroup])
def test_what_ends_a_program_is_refused(maker: Callable[..., Rule], kind: type[BaseException]) -> None:
    """Asking for what is not an Exception is a TypeError."""
    with pytest.raises(TypeError) as caught:
        maker(OSError, kind)
    assert str(caught.value) == (
        f"{maker.__name__}() cannot take {kind.__name__}: it is no Exception but asks the program to end, and always"
        " passes untouched"
    )


def test_a_cancellation_is_refused() -> None:
    """A task's cancellation is nobody's to retry."""
    from asyncio import CancelledError

    with pytest.raises(TypeError, match=r"^transient\(\) cannot take asyncio\.CancelledError: "):
        transient(CancelledError)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^on cannot take asyncio\.CancelledError: "):
        as_rule("on", CancelledError)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("value", [int, "OSError", OSError(), None, 5, (OSError,), list[OSError]])
def test_what_is_no_exception_type_is_refused(maker: Callable[..., Rule], value: Any) -> None:
    """A rule by type takes exception types; an instance or a tuple of them is none."""
    with pytest.raises(TypeError) as caught:
        maker(value)
    message = f"{maker.__name__}() takes exception types (for anything else write when=), got {value!r}"
    assert str(caught.value) == message


@pytest.mark.parametrize("maker", MAKERS)
def test_a_rule_about_nothing_is_refused(maker: Callable[..., Rule]) -> None:
    """Neither a type nor a predicate would be every error; that has to be spelled."""
    name = maker.__name__
    with pytest.raises(TypeError) as caught:
        maker()
    message = f"{name}() must be given at least one exception type or when=; for every error: {name}(Exception)"
    assert str(caught.value) == message


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("value", [5, "busy", True, ValueError, int])
def test_a_predicate_is_a_callable(maker: Callable[..., Rule], value: Any) -> None:
    """What cannot be called, and a class, is no predicate."""
    with pytest.raises(TypeError) as caught:
        maker(OSError, when=value)
    instead = f"; a class is none: write {value.__name__}(...)" if isinstance(value, type) else ""
    assert str(caught.value) == f"when of {maker.__name__}() must be a callable, got {value!r}{instead}"


async def judge_later(error: Any) -> bool:
    """A coroutine function."""
    return True


async def judge_often(error: Any) -> Any:
    """An async generator function."""
    yield True


def judge_in_turn(error: Any) -> Any:
    """A generator function."""
    yield True


class Judge:
    """Something whose calls, and whose method, must be awaited."""

    async def __call__(self, error: Any) -> bool:
        return True

    async def method(self, error: Any) -> bool:
        return True


LATE: list[Any] = [
    judge_later,
    judge_often,
    judge_in_turn,
    Judge(),
    Judge().method,
    functools.partial(judge_later),
    functools.partial(Judge()),
]


@pytest.mark.parametrize("late", LATE, ids=repr)
def test_a_rule_cannot_await(late: Any) -> None:
    """What answers later is refused as a predicate, as a hint, and as a rule by itself."""
    message = r" must be a plain function, nobody awaits it, got "
    with pytest.raises(TypeError, match=r"^when of transient\(\)" + message):
        transient(OSError, when=late)
    with pytest.raises(TypeError, match=r"^retry_after of transient\(\)" + message):
        transient(OSError, retry_after=late)
    with pytest.raises(TypeError, match="^on" + message):
        as_rule("on", late)


@pytest.mark.parametrize("plain", [is_busy, functools.partial(is_busy), [].__contains__, str.isdigit, len])
def test_any_plain_callable_is_a_predicate(plain: Any) -> None:
    """Functions, partials, bound methods and builtins can be asked."""
    assert isinstance(transient(when=plain), Rule)


@pytest.mark.parametrize(
    ("value", "kind"), [(-1, ValueError), (float("inf"), ValueError), ("5", TypeError), (int, TypeError)]
)
def test_a_bad_hint_is_refused(value: Any, kind: type[Exception]) -> None:
    """A hint that is written down is a duration."""
    with pytest.raises(kind, match=r"^retry_after of transient\(\) must be a duration in seconds .* or None, got "):
        transient(OSError, retry_after=value)


@pytest.mark.parametrize(
    ("value", "kind"), [(-1, ValueError), (float("nan"), ValueError), ("5", TypeError), (None, TypeError)]
)
def test_a_bad_rhythm_is_refused(value: Any, kind: type[Exception]) -> None:
    """`every` is a duration, and there is no None."""
    with pytest.raises(kind, match=r"^every must be a duration in seconds .* >= 0, got "):
        pending(OSError, every=value)


@pytest.mark.parametrize("value", [5, "full", exponential, True])
def test_a_bad_curve_is_refused(value: Any) -> None:
    """A rule's own curve is a curve."""
    with pytest.raises(
        TypeError,
        match=r"^backoff of transient\(\) must be a curve such as exponential\(\), or a function of the failures, got ",
    ):
        transient(OSError, backoff=value)


@pytest.mark.parametrize("value", [1, None, "no"])
def test_bad_flags_are_refused(value: Any) -> None:
    """`applied` is True, False or None; `redact` and `causes` are True or False."""
    if value is not None:
        with pytest.raises((TypeError, ValueError), match=f"^applied must be one of None, True, False, got {value!r}$"):
            transient(OSError, applied=value)
    for maker in MAKERS:
        with pytest.raises(TypeError, match=f"^causes must be True or False, got {value!r}$"):
            maker(OSError, causes=value)
    for maker in MAKERS:
        with pytest.raises(TypeError, match=f"^redact must be True or False, got {value!r}$"):
            maker(OSError, redact=value)


# What stands for a rule.


@pytest.mark.parametrize(
    "value",
    [
        ConnectionError,
        (ConnectionError, KeyError),
        [ConnectionError, KeyError],
        ConnectionError | KeyError,
        typing.Union[ConnectionError, KeyError],  # noqa: UP007  # the older spelling, on purpose
        transient(ConnectionError),
        (permanent(KeyError), ConnectionError),
        [[ConnectionError], (KeyError | ValueError, is_busy)],
        lambda error: isinstance(error, ConnectionError),
    ],
)
def test_what_stands_for_a_transient_rule(value: Any) -> None:
    """An exception type, a tuple, a list, `X | Y` and a callable stand for `transient(...)`."""
    rule = as_rule("on", value)
    assert verdict(rule, ConnectionResetError()) is TRANSIENT
    assert verdict(rule, OSError()) is None


def test_a_rule_stands_for_itself() -> None:
    """A rule is not wrapped."""
    rule = transient(OSError)
    assert as_rule("on", rule) is rule
    assert as_rule("on", known_errors) is known_errors


@pytest.mark.parametrize("value", [None, 5, "OSError", (), [], {OSError}, OSError(), True])
def test_what_stands_for_no_rule(value: Any) -> None:
    """Anything else is refused, and so is an empty tuple: that would be no rule at all."""
    with pytest.raises(TypeError) as caught:
        as_rule("on", value)
    choices = "on must be a rule, an exception type, a tuple or list of them, X | Y or a callable"
    assert str(caught.value).partition("; ")[0] == f"{choices}, got {value!r}"


@pytest.mark.parametrize("value", [int, (OSError, int), [OSError, None, 5], OSError | None])
def test_a_type_that_is_no_exception_is_refused_by_name(value: Any) -> None:
    """The message names the argument in which the type stands."""
    with pytest.raises(TypeError, match=r"^on (takes exception types|must be a rule)"):
        as_rule("on", value)


@pytest.mark.parametrize(
    "value", [KeyboardInterrupt, (OSError, SystemExit), OSError | GeneratorExit, [is_busy, BaseException]]
)
def test_what_ends_a_program_stands_for_no_rule(value: Any) -> None:
    """Neither alone nor among others can it be asked for."""
    with pytest.raises(TypeError, match=r"^on cannot take \w+: it is no Exception"):
        as_rule("on", value)


# Joining rules.


def test_the_left_rule_is_asked_first() -> None:
    """The first rule that has an opinion decides."""
    assert verdict(permanent(ConnectionError) | transient(OSError), ConnectionError()) is PERMANENT
    assert verdict(permanent(ConnectionError) | transient(OSError), OSError()) is TRANSIENT
    assert verdict(permanent(ConnectionError) | transient(OSError), ValueError()) is None
    assert (
        verdict(permanent(ConnectionResetError) | known_errors, ConnectionResetError(errno.ECONNRESET, "x"))
        is PERMANENT
    )
    assert verdict(known_errors | permanent(OSError), ConnectionResetError(errno.ECONNRESET, "x")) is TRANSIENT


@pytest.mark.parametrize("other", [KeyError, (KeyError,), [KeyError], KeyError | ValueError, is_busy])
def test_what_stands_for_a_rule_can_be_joined_from_both_sides(other: Any) -> None:
    """`|` takes on either side whatever stands for a rule."""
    rule = permanent(OSError)
    error = KeyError("busy")
    assert verdict(rule | other, error) is TRANSIENT
    joined = as_rule("on", other | rule)  # a union since Python 3.14, where its own left side is one
    assert verdict(joined, error) is TRANSIENT
    assert verdict(joined, OSError()) is PERMANENT


class Lazy:
    """A predicate whose annotations name what exists for type checkers alone, as Python 3.14 keeps them."""

    def __call__(self, error: object) -> bool:
        return True

    def __getattribute__(self, name: str) -> Any:
        if name in ("__annotations__", "__signature__"):
            raise NameError(name)
        return super().__getattribute__(name)


def test_annotations_of_a_predicate_are_not_read() -> None:
    """They may name what cannot be found when the program runs."""
    rule = as_rule("on", Lazy())
    assert rule.ask(OSError()) is not None


def test_what_stands_for_no_rule_cannot_be_joined() -> None:
    """The message says which side it is."""
    with pytest.raises(TypeError, match=r"^the right side of \| must be a rule"):
        transient(OSError) | 5  # type: ignore[operator]
    with pytest.raises(TypeError, match=r"^the left side of \| must be a rule"):
        5 | transient(OSError)  # type: ignore[operator]


def test_joined_rules_are_flat() -> None:
    """However they were joined, rules are asked in one row."""
    a, b, c = transient(OSError), permanent(KeyError), pending(ValueError)
    assert (a | b) | c == a | (b | c) == first_of(a, b, c)
    assert repr(a | b | c) == "transient(OSError) | permanent(KeyError) | pending(ValueError)"
    assert first_of(a) is a


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (
            lambda: transient(OSError) | permanent(ConnectionError),
            "permanent(ConnectionError) can never be reached for ConnectionError: transient(OSError) stands before it"
            " and takes every OSError; put the more specific rule first",
        ),
        (
            lambda: transient(OSError) | known_errors | permanent(KeyError, OSError),
            "permanent(KeyError, OSError) can never be reached for OSError: transient(OSError) stands before it and"
            " takes every OSError; put the more specific rule first",
        ),
        (
            lambda: [Exception, lambda error: None, permanent(ValueError, when=is_busy)],
            "permanent(ValueError, when=is_busy) can never be reached for ValueError: transient(Exception) stands"
            " before it and takes every Exception; put the more specific rule first",
        ),
        (
            lambda: transient(OSError, causes=True) | permanent(ConnectionError, causes=True),
            "permanent(ConnectionError, causes=True) can never be reached for ConnectionError: transient(OSError,"
            " causes=True) stands before it and takes every OSError; put the more specific rule first",
        ),
    ],
)
def test_a_rule_that_can_never_be_reached_is_refused(join: Callable[[], Any], message: str) -> None:
    """A general type before its subclass is a slip, and is refused where it is written."""
    with pytest.raises(ValueError) as caught:
        as_rule("on", join())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "join",
    [
        lambda: permanent(ConnectionError) | transient(OSError),
        lambda: transient(OSError, when=is_busy) | permanent(ConnectionError),
        lambda: transient(when=is_busy) | permanent(ConnectionError),
        lambda: transient(Exception) | known_errors,
        lambda: known_errors | known_errors,
        lambda: Always(None) | transient(OSError),
        lambda: transient(OSError, ConnectionError) | permanent(KeyError),
        lambda: transient(OSError) | permanent(ConnectionError, causes=True),
    ],
)
def test_a_rule_that_can_be_reached_is_not_refused(join: Callable[[], Rule]) -> None:
    """Predicates leave something over, `known_errors` is exempt, and one rule may name a type and its subclass."""
    assert isinstance(join(), Rule)


def test_a_faulty_rule_leaves_the_word_to_the_next() -> None:
    """A rule that raises, or answers nonsense, has no opinion; the one after it is asked."""
    faults = Faults()
    rules = transient(when=lambda error: error.nope) | Always(OSError("bug")) | Always("junk") | permanent(KeyError)
    found = rules.ask(KeyError(), faults)
    assert found is not None
    assert found.verdict is PERMANENT
    assert faults.heard == [
        (
            "transient(when=test_a_faulty_rule_leaves_the_word_to_the_next.<locals>.<lambda>)",
            "AttributeError: 'KeyError' object has no attribute 'nope'",
        ),
        ("Always()", "OSError: bug"),
        ("Always()", "TypeError: Rule.ask must return a Classification or None, got 'junk'"),
    ]
    assert rules.ask(KeyError()) == found


def test_asking_one_rule_with_a_guard() -> None:
    """`ask_guarded` takes an answer, or nothing, and never raises what an Exception is."""
    answer = Classification(TRANSIENT)
    assert ask_guarded(Always(answer), None, None) is answer
    assert ask_guarded(Always(None), None, None) is None
    assert ask_guarded(Always(True), None, None) is None
    with pytest.raises(KeyboardInterrupt):
        ask_guarded(Always(KeyboardInterrupt()), None, None)


def test_the_base_class_has_no_answer() -> None:
    """A rule of a user's own needs `ask`."""
    with pytest.raises(NotImplementedError):
        Rule().ask(OSError())


# Values and words.


def test_a_rule_is_a_value() -> None:
    """Rules are compared, hashed, copied and pickled."""
    make = lambda: permanent(KeyError) | transient(OSError, when=is_busy, backoff=exponential(1)) | known_errors  # noqa: E731
    rule = make()
    assert rule == make()
    assert hash(rule) == hash(make())
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert copy.deepcopy(rule) is rule
    assert transient(OSError) != transient(OSError, applied=False)
    assert transient(OSError) != permanent(OSError)


def test_rules_show_what_they_are_about() -> None:
    """A rule's repr names its verdict, its types and its predicate."""
    assert repr(transient(OSError, KeyError)) == "transient(OSError, KeyError)"
    assert repr(pending(OSError, when=is_busy)) == "pending(OSError, when=is_busy)"
    assert repr(permanent(when=functools.partial(is_busy))) == "permanent(when=partial)"
    assert [repr(each) for each in Verdict] == ["Verdict.TRANSIENT", "Verdict.PERMANENT", "Verdict.PENDING"]


def test_types_are_named_under_their_top_package() -> None:
    """Builtins are named bare, others under their top package, and a strange module is left out."""
    from http.client import IncompleteRead

    strange = type("Strange", (Exception,), {"__module__": None})
    assert type_name(OSError) == "OSError"
    assert type_name(IncompleteRead) == "http.IncompleteRead"
    assert type_name(strange) == "Strange"


def test_only_types_that_the_facade_exports_are_named_as_its_own() -> None:
    """A type of a module beneath the facade keeps its place: `redouble.DeniedError` could not be imported."""
    from redouble import StillPending

    pytest.importorskip("httpx", reason="the example uses httpx: pip install httpx")
    from redouble.examples.device_code import DeniedError
    from redouble.loops import Stalled

    assert type_name(DeniedError) == "redouble.examples.device_code.DeniedError"
    assert (type_name(StillPending), type_name(Stalled)) == ("redouble.StillPending", "redouble.loops.Stalled")
    with pytest.raises(ValueError, match=r"reached for redouble\.examples\.device_code\.DeniedError"):
        transient(Exception) | permanent(DeniedError)


def test_a_classification_with_another_reason() -> None:
    """`because` and `redacted` change one thing each."""
    found = Classification(TRANSIENT, 1.0, False, constant(1), "one")
    assert found.because("two") == Classification(TRANSIENT, 1.0, False, constant(1), "two")
    assert found.redacted() == Classification(TRANSIENT, 1.0, False, constant(1), "one", True)
    assert Classification(PERMANENT) == Classification(PERMANENT, None, True, None, "", False)


def test_classifications_are_equal_by_what_they_mean() -> None:
    """How a classification came about does not count, and is in the repr only where it was guessed."""
    plain, rule = Classification(TRANSIENT, reason="x"), transient(OSError, when=lambda error: True)
    other = plain.but(guessed=True, row=object(), unsaid=("applied",), rule=rule)  # type: ignore[arg-type]
    assert other == plain and hash(other) == hash(plain) and other != plain.but(applied=False)
    assert plain != "x"
    meaning = "Classification(verdict=Verdict.TRANSIENT, retry_after=None, applied=True, backoff=None, reason='x', redact=False"
    assert (repr(plain), repr(other)) == (f"{meaning})", f"{meaning}, guessed=True)")


def test_a_classification_is_pickled_without_its_rule() -> None:
    """A rule may hold a lambda; what a classification means is kept without it."""
    found = transient(OSError, when=lambda error: True).ask(OSError())
    assert found is not None
    again = pickle.loads(pickle.dumps(found))
    assert again == found and again.unsaid == found.unsaid and again.rule is None


def test_all_fields_can_be_changed() -> None:
    """`but` changes each field, also to None."""
    values = (PERMANENT, None, False, None, "two", True, True, None, (), None)
    changes: dict[str, Any] = dict(zip(Classification.FIELDS, values, strict=True))
    found = Classification(
        TRANSIENT, 1.0, True, constant(1), "one", False, False, None, ("applied",), transient(OSError)
    )
    assert found.but()._values() == found._values()
    assert found.but(**changes)._values() == values
