"""Floor 1. From an error to its classification: chains, groups, the unknown and the untouchable."""

from __future__ import annotations

import asyncio
import errno
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble import (
    Classification,
    Rule,
    Verdict,
    classify,
    constant,
    exponential,
    known_errors,
    pending,
    permanent,
    transient,
)
from redouble.core.causes import DEPTH, LEAVES
from redouble.known.classify import UNKNOWN, judge

TRANSIENT, PERMANENT, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING
UNTOUCHABLE = [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException]


class WrappedError(Exception):
    """An error of some client, around another one."""


class Sure(Classification):
    """A classification of a class of its own."""


class Own(Rule):
    """A rule of a user's own, that looks at causes."""

    causes = True

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def ask(self, subject: Any, on_fault: Any = None) -> Any:
        self.asked.append(subject)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


DEEP = transient(OSError, causes=True)


def caused(*errors: BaseException) -> Any:
    """The first error, caused by the second, caused by the third..."""
    for outer, inner in pairwise(errors):
        outer.__cause__ = inner
    return errors[0]


# The unknown and the untouchable.


def test_the_unknown_is_permanent() -> None:
    """An error that no rule knows is not retried, and the reason says so."""
    found = classify(WrappedError("x"), transient(OSError))
    assert found.verdict is PERMANENT
    assert found.reason == f"{UNKNOWN}{__name__.partition('.')[0]}.WrappedError"
    assert found == classify(caused(WrappedError(), ValueError(), KeyError()), transient(OSError))


def test_the_default_rules_are_known_errors() -> None:
    """Without rules, the tables of known errors judge."""
    assert classify(ConnectionRefusedError(errno.ECONNREFUSED, "x")).verdict is TRANSIENT
    assert classify(ConnectionRefusedError(errno.ECONNREFUSED, "x")).reason == "ConnectionRefusedError [ECONNREFUSED]"
    assert classify(ValueError()).verdict is PERMANENT


@pytest.mark.parametrize("kind", UNTOUCHABLE)
def test_what_is_no_exception_passes(kind: type[BaseException]) -> None:
    """KeyboardInterrupt and its kin are never retried, and no rule is even asked."""
    rule = Own(Classification(TRANSIENT))
    found = classify(kind(), rule)
    assert found.verdict is PERMANENT
    assert found.reason.endswith(f"{kind.__name__} is no Exception and passes")
    assert rule.asked == []


def test_no_rule_at_all() -> None:
    """With on=None no error is retried."""
    assert judge(OSError(), None) == Classification(PERMANENT, reason="no error is retried (on=None)")


@pytest.mark.parametrize("value", [None, "OSError", OSError, 5])
def test_what_is_no_error_cannot_be_classified(value: Any) -> None:
    """A class instead of an instance is a slip that would pass for permanent."""
    with pytest.raises(TypeError, match=r"^error must be an exception, got "):
        classify(value)


@pytest.mark.parametrize("rules", [None, 5, (), "OSError"])
def test_what_is_no_rule_is_refused(rules: Any) -> None:
    """The rules are whatever stands for a rule."""
    with pytest.raises(TypeError, match=r"^rules must be a rule, "):
        classify(OSError(), rules)


@pytest.mark.parametrize("rules", [OSError, (OSError, KeyError), OSError | KeyError, [OSError], lambda error: True])
def test_whatever_stands_for_a_rule(rules: Any) -> None:
    """`classify` takes all that a policy takes."""
    assert classify(OSError(), rules).verdict is TRANSIENT


# Chains.


def test_the_outermost_opinion_decides() -> None:
    """All rules see the outermost error first, then each explicit cause."""
    rules = transient(OSError) | permanent(KeyError)
    assert classify(caused(OSError(), KeyError()), rules).verdict is TRANSIENT
    assert classify(caused(KeyError(), OSError()), rules).verdict is PERMANENT


@pytest.mark.parametrize(
    "rules", [OSError, lambda error: isinstance(error, OSError), transient(OSError, when=lambda error: True)]
)
def test_types_and_predicates_judge_the_raised_error_alone(rules: Any) -> None:
    """What lies beneath an error is asked about only where that is written."""
    error = caused(WrappedError(), OSError(errno.EADDRNOTAVAIL, "unknown"))
    assert classify(error, rules).verdict is PERMANENT
    assert classify(error, transient(OSError, causes=True)).verdict is TRANSIENT
    assert classify(error, transient(when=lambda each: isinstance(each, OSError), causes=True)).verdict is TRANSIENT


def test_a_fatal_error_raised_from_a_reset_is_fatal() -> None:
    """A predicate that excludes an error is not overruled by its own answer about the cause."""
    error = caused(WrappedError(), ConnectionResetError(errno.ECONNRESET, "x"))
    assert classify(error, lambda each: not isinstance(each, WrappedError)).verdict is PERMANENT
    assert classify(error, ConnectionError).verdict is PERMANENT


def test_false_leaves_the_word_to_the_next_rule() -> None:
    """False says that this rule does not speak; PERMANENT ends the search."""
    error = ConnectionResetError(errno.ECONNRESET, "x")
    assert classify(error, [lambda each: False, known_errors]).verdict is TRANSIENT
    assert classify(error, [lambda each: PERMANENT, known_errors]).verdict is PERMANENT
    assert classify(error, lambda each: False).reason == "no rule knows ConnectionResetError"


def test_all_rules_see_one_error_before_any_sees_its_cause() -> None:
    """The last rule about the outer error comes before the first one about its cause."""
    rules = transient(OSError, causes=True) | permanent(WrappedError)
    assert classify(caused(WrappedError(), OSError()), rules).verdict is PERMANENT


def test_a_cause_is_named_in_the_reason() -> None:
    """The reason says where the opinion came from, and under what."""
    found = classify(caused(RuntimeError(), ValueError(), ConnectionResetError(errno.ECONNRESET, "x")))
    assert found.verdict is TRANSIENT
    assert found.reason == "ConnectionResetError [ECONNRESET] under RuntimeError"


def test_a_context_is_no_cause() -> None:
    """What was merely being handled says nothing of the error."""
    error = ValueError()
    error.__context__ = OSError()
    assert classify(error, OSError).verdict is PERMANENT


def test_what_a_cause_says_is_kept() -> None:
    """All that a user's rule says of a cause is said of the whole."""
    rule = transient(OSError, retry_after=3, applied=False, backoff=constant(1), redact=True, causes=True)
    found = classify(caused(ValueError(), OSError()), rule)
    reason = "by the rule transient(OSError, causes=True) under ValueError"
    assert found == Classification(TRANSIENT, 3.0, False, constant(1), reason, True)


def test_an_unknown_wrapper_may_have_done_more() -> None:
    """That a cause was surely not applied says nothing of what an error that nobody knows was raised for."""
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    assert classify(refused).applied is False
    assert classify(caused(ValueError(), refused)).applied is True
    assert classify(ExceptionGroup("", [refused, refused])).applied is False
    assert classify(ExceptionGroup("", [refused, caused(ValueError(), refused)])).applied is True
    assert classify(caused(ValueError(), ExceptionGroup("", [refused]))).applied is True


def test_an_interrupt_ends_the_walk() -> None:
    """Beneath a cause that is no Exception nothing is asked."""
    assert classify(caused(ValueError(), KeyboardInterrupt(), OSError()), DEEP).verdict is PERMANENT


def test_a_cycle_of_causes_ends() -> None:
    """A chain that comes back to its beginning is asked once for each error."""
    outer, inner = ValueError(), KeyError()
    outer.__cause__, inner.__cause__ = inner, outer
    rule = Own(None)
    assert classify(outer, rule).verdict is PERMANENT
    assert rule.asked == [outer, inner]


def test_a_deep_chain_is_bounded() -> None:
    """Beyond so many links nobody looks."""
    deepest = OSError()
    assert classify(caused(*[ValueError() for _ in range(DEPTH - 1)], deepest), DEEP).verdict is TRANSIENT
    assert classify(caused(*[ValueError() for _ in range(DEPTH)], deepest), DEEP).verdict is PERMANENT


# Groups.


def test_a_group_is_asked_itself_first() -> None:
    """A rule about the group decides for all of its leaves."""
    group = ExceptionGroup("", [ValueError()])
    assert classify(group, transient(ExceptionGroup)).verdict is TRANSIENT
    assert classify(group, transient(ExceptionGroup)).reason == "by the rule transient(ExceptionGroup)"


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([OSError()], TRANSIENT),
        ([OSError(), OSError()], TRANSIENT),
        ([OSError(), ExceptionGroup("", [OSError()])], TRANSIENT),
        ([OSError(), KeyError()], PERMANENT),
        ([OSError(), ValueError()], PERMANENT),
        ([OSError(), ExceptionGroup("", [OSError(), KeyError()])], PERMANENT),
        ([OSError(), EOFError()], PENDING),
        ([EOFError(), KeyError()], PERMANENT),
        ([caused(ValueError(), OSError())], TRANSIENT),
    ],
)
def test_every_leaf_of_a_group_must_be_transient(errors: list[Exception], expected: Verdict) -> None:
    """One permanent or unknown leaf makes the group permanent, else one pending leaf pending, else it is transient."""
    rules = DEEP | permanent(KeyError) | pending(EOFError)
    for order in (errors, errors[::-1]):
        assert classify(ExceptionGroup("", order), rules).verdict is expected


def test_an_interrupt_in_a_group_passes() -> None:
    """A group with Ctrl-C in it is no Exception; as a cause it ends the walk."""
    group = BaseExceptionGroup("", [OSError(), KeyboardInterrupt()])
    assert classify(group, OSError).reason == "BaseExceptionGroup is no Exception and passes"
    assert classify(caused(ValueError(), group), DEEP).verdict is PERMANENT


def test_an_interrupt_that_hides_in_a_group_is_not_retried() -> None:
    """A group that claims to be an Exception does not make its interrupts retryable."""

    class HidingError(BaseExceptionGroup[BaseException], Exception):
        def __new__(cls, *_: Any) -> Any:
            return BaseExceptionGroup.__new__(cls, "", [OSError()])

        def __init__(self, errors: list[BaseException]) -> None:
            self.hidden = errors

        @property
        def exceptions(self) -> Any:
            return tuple(self.hidden)

    group = HidingError([OSError(), KeyboardInterrupt()])
    assert classify(group, OSError).verdict is PERMANENT


def test_what_a_group_is_told() -> None:
    """The longest hint and its curve; applied and redact when any leaf says so."""
    rules = transient(TimeoutError, retry_after=2, applied=False, redact=True) | transient(
        ConnectionError, retry_after=7, applied=False, backoff=exponential(1)
    )
    found = classify(ExceptionGroup("", [TimeoutError(), ConnectionError(), TimeoutError()]), rules)
    reason = "by the rule transient(ConnectionError) in ExceptionGroup"
    assert found == Classification(TRANSIENT, 7.0, False, exponential(1), reason, True)
    assert classify(
        ExceptionGroup("", [OSError(), TimeoutError()]), transient(TimeoutError, applied=False) | OSError
    ).applied


def test_the_reason_of_a_group_names_the_leaf_that_decided() -> None:
    """One can read which of the leaves it was, and that it was in a group."""
    group = ExceptionGroup("", [OSError(), KeyError()])
    assert classify(group, OSError).reason == "no rule knows KeyError in ExceptionGroup"
    assert classify(caused(ValueError(), group), transient(OSError, KeyError, causes=True)).reason == (
        "by the rule transient(OSError, KeyError, causes=True) in ExceptionGroup under ValueError"
    )


def test_a_group_of_too_many_is_permanent() -> None:
    """A group that is too large to be looked at is not judged to be transient."""
    assert classify(ExceptionGroup("", [OSError()] * LEAVES), OSError).verdict is TRANSIENT
    large = ExceptionGroup("", [OSError()] * (LEAVES + 1))
    found = classify(large, OSError)
    assert found == Classification(PERMANENT, reason="ExceptionGroup of too many errors")
    assert classify(ExceptionGroup("", [caused(ValueError(), large)] * 2), DEEP).verdict is PERMANENT


def test_a_leaf_that_names_its_group_as_cause() -> None:
    """A group that one of its own leaves names as its cause has no say in that leaf, and nothing runs in circles."""
    for known, expected in ((OSError(), TRANSIENT), (ValueError(), PERMANENT)):
        group = ExceptionGroup("", [known])
        known.__cause__ = group
        assert classify(group, DEEP).verdict is expected
        assert classify(known, DEEP).verdict is expected


def test_groups_that_cause_each_other() -> None:
    """A tangle of groups and causes is judged in bounded time, each group once."""
    leaves = [ValueError() for _ in range(40)]
    groups = [ExceptionGroup("", leaves) for _ in range(40)]
    for leaf, group in zip(leaves, groups, strict=True):
        leaf.__cause__ = group
    rule = Own(None)
    assert classify(groups[0], rule).verdict is PERMANENT
    assert len(rule.asked) < 5000


def test_many_leaves_may_have_groups_as_causes() -> None:
    """As many leaves as a group may have are asked for their causes, groups of their own."""
    leaves = [caused(ValueError(), ExceptionGroup("", [OSError()])) for _ in range(LEAVES)]
    assert classify(ExceptionGroup("", leaves), DEEP).verdict is TRANSIENT


def test_groups_beneath_groups_are_bounded() -> None:
    """A chain in which every leaf is caused by another group is followed so deep and no deeper."""
    for depth, expected in ((DEPTH, TRANSIENT), (DEPTH + 1, PERMANENT), (5000, PERMANENT)):
        error: Exception = OSError()
        for _ in range(depth):
            error = (
                ExceptionGroup("", [error])
                if isinstance(error, OSError)
                else ExceptionGroup("", [caused(ValueError(), error)])
            )
        assert classify(error, DEEP).verdict is expected


def test_a_group_that_causes_two_leaves_is_asked_once() -> None:
    """What a group said is remembered for the next leaf that names it."""
    shared = ExceptionGroup("", [OSError()])
    group = ExceptionGroup("", [caused(ValueError(), shared), caused(KeyError(), shared)])
    assert classify(group, DEEP).verdict is TRANSIENT


# Rules that go wrong.


def test_a_rule_that_raises_has_no_opinion() -> None:
    """The error is unknown then; whoever asked hears of the bug, for each error that was asked about."""
    heard: list[Exception] = []
    bug = RuntimeError("bug")
    error = caused(WrappedError(), OSError())
    found = judge(error, Own(bug), lambda rule, fault: heard.append(fault))
    assert found.verdict is PERMANENT
    assert heard == [bug, bug]
    assert classify(error, Own(bug)) == found


@pytest.mark.parametrize("junk", [True, "transient", TRANSIENT])
def test_a_rule_that_answers_junk_has_no_opinion(junk: Any) -> None:
    """A rule of a user's own answers a classification or None."""
    heard: list[Exception] = []
    assert judge(OSError(), Own(junk), lambda rule, fault: heard.append(fault)).verdict is PERMANENT
    message = f"Rule.ask must return a Classification or None, got {junk!r}"
    assert [str(fault) for fault in heard] == [message]
    assert classify(OSError(), Own(junk)).verdict is PERMANENT


def test_a_classification_of_a_class_of_ones_own() -> None:
    """A subclass of Classification is one."""
    sure = Classification.__new__(Sure)
    for field, value in zip(
        Classification.FIELDS, (TRANSIENT, None, True, None, "sure", False, False, None, (), None), strict=True
    ):
        object.__setattr__(sure, field, value)
    assert classify(OSError(), Own(sure)) is sure


def test_an_error_that_hides_its_cause_is_unknown() -> None:
    """A class that guards even its `__cause__` keeps nobody from its error."""

    class GuardedError(Exception):
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("no")

    found = classify(GuardedError(), OSError)
    assert found.verdict is PERMANENT
    assert found.reason.startswith(UNKNOWN)


def test_an_interrupt_in_a_rule_is_not_swallowed() -> None:
    """Ctrl-C while a rule thinks ends the program, not the rule."""
    with pytest.raises(KeyboardInterrupt):
        classify(OSError(), Own(KeyboardInterrupt()))


errors = st.recursive(
    st.sampled_from([OSError, KeyError, EOFError, ValueError]).map(lambda kind: kind()),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map(lambda each: ExceptionGroup("", each))
        | st.tuples(inner, inner).map(lambda pair: caused(*pair))
    ),
    max_leaves=10,
)


@given(errors)
def test_classifying_is_pure_and_never_raises(error: Exception) -> None:
    """The same error is judged the same way twice, in any tangle of groups and causes."""
    rules = transient(OSError) | permanent(KeyError) | pending(EOFError)
    found = classify(error, rules)
    assert found == classify(error, rules)
    assert found.verdict in Verdict
    assert found.reason
    assert "\n" not in found.reason


def test_an_answer_is_judged_by_identity_of_the_error() -> None:
    """Each error is handed to the rules as it is, outermost first, and none of them twice."""
    inner = OSError()
    error = caused(WrappedError(), ExceptionGroup("", [inner]))
    rule = Own(None)
    classify(error, rule)
    assert [id(each) for each in rule.asked] == [id(error), id(error.__cause__), id(inner)]


def test_answers_that_cannot_be_compared() -> None:
    """Classifications that a rule made with nonsense in them do not stand between an error and its caller."""
    odd = [Classification(Verdict.TRANSIENT, retry_after=wait) for wait in ("soon", 5)]  # type: ignore[arg-type]
    group = ExceptionGroup("x", [KeyError(0), KeyError(1)])
    found = classify(group, transient(KeyError, when=lambda error: odd[error.args[0]]))
    assert (found.verdict, found.reason) == (Verdict.PERMANENT, "no rule knows KeyError in ExceptionGroup")
