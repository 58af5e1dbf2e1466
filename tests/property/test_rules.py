"""Laws of rules: what naming an error may change, and what following the advice changes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import redouble
from redouble import Classification, Verdict, classify, known_errors, permanent, transient
from redouble.known.advice import advice, unknown_types
from redouble.known.classify import judge, judge_exception, judge_result

TRANSIENT, PERMANENT = Verdict.TRANSIENT, Verdict.PERMANENT


class FirstError(Exception):
    """An error that nothing knows."""


class SecondError(FirstError):
    """One derived from it."""


class ThirdError(SecondError):
    """One derived from that."""


class LostError(ConnectionError):
    """One that inherits what it means."""


OWN: list[type[Exception]] = [FirstError, SecondError, ThirdError, LostError, ValueError, LookupError, KeyError]
NAMES: dict[str, Any] = {cls.__name__: cls for cls in OWN}
NAMES |= {
    "redouble": redouble,
    **{name: getattr(redouble, name) for name in ("known_errors", "transient", "permanent")},
}

plain = st.one_of(
    st.sampled_from(OWN).map(lambda cls: cls("x")),
    st.sampled_from([104, 111, 13, 110, 9999]).map(lambda number: OSError(number, "x")),
    st.builds(TimeoutError),
    st.builds(lambda: OSError("bare")),
    st.sampled_from([111, 13, 9999]).map(
        lambda number: OSError(f"Multiple exceptions: [Errno {number}] x, [Errno 101] y")
    ),
)


def chained(pair: tuple[Exception, Exception]) -> Exception:
    """The first error, raised from the second."""
    pair[0].__cause__ = pair[1]
    return pair[0]


errors = st.recursive(
    plain,
    lambda inner: (
        st.tuples(plain, inner).map(chained)
        | st.lists(inner, min_size=1, max_size=3).map(lambda all_: ExceptionGroup("", all_))
    ),
    max_leaves=5,
)
kinds = st.lists(st.sampled_from([*OWN, OSError, ConnectionError, PermissionError]), min_size=1, max_size=2)


def joined(rules: list[Any]) -> Any:
    """Rules in a row; those that could never be reached are left out."""
    row = rules[0]
    for rule in rules[1:]:
        try:
            row = row | rule
        except ValueError:
            continue
    return row


one_rule = st.one_of(
    st.just(known_errors),
    st.tuples(st.sampled_from([transient, permanent]), kinds, st.booleans()).map(
        lambda made: made[0](*made[1], causes=made[2])
    ),
    kinds.map(lambda types: permanent(when=lambda error: isinstance(error, tuple(types)))),
)
rows = st.lists(one_rule, min_size=1, max_size=4).map(joined)


def meaning(error: Exception, rule: Any) -> tuple[Any, ...]:
    """What follows from an error, whatever the reason says."""
    found = judge_exception(error, rule)
    return found.verdict, found.retry_after, found.applied


def types_in(error: Any) -> set[type]:
    """The types of an error, of what is beneath it, and of what is in it."""
    found = {type(error)}
    if isinstance(error, ExceptionGroup):
        found |= {each for leaf in error.exceptions for each in types_in(leaf)}
    if str(error).startswith("Multiple exceptions"):
        found |= {OSError}
    return found


def written(text: str) -> Any:
    """The rule that an advice says to write, made of its text."""
    code = text.removeprefix("if trying again can help, write on=").partition(", else ")[0]
    for name in NAMES:
        code = code.replace(f"{__name__}.{name}", name)
        code = code.replace(f"{__name__.partition('.')[0]}.{name}", name)
    return eval(code, NAMES)


written_rows = st.lists(
    st.just(known_errors)
    | st.tuples(st.sampled_from([transient, permanent]), kinds, st.booleans()).map(
        lambda made: made[0](*made[1], causes=made[2])
    ),
    min_size=1,
    max_size=4,
).map(joined)


@given(errors, written_rows, st.lists(errors, max_size=5))
def test_following_the_advice_changes_this_verdict_and_nothing_else(
    error: Exception, rule: Any, others: list[Exception]
) -> None:
    """The rule that the advice says to write retries this error, and judges every error of another type as before."""
    text = advice(error, rule)
    if text is None:
        return
    named = set(unknown_types(error, rule))
    before = [meaning(other, rule) for other in others]
    followed = written(text)
    assert meaning(error, rule)[0] is PERMANENT
    assert meaning(error, followed)[0] is TRANSIENT
    for other, was in zip(others, before, strict=True):
        if not named & types_in(other):
            assert meaning(other, followed) == was


@given(errors, rows)
def test_advice_is_for_the_unknown_alone(error: Exception, rule: Any) -> None:
    """There is advice only where known_errors is in force, and the verdict is that nothing knows the error."""
    text = advice(error, rule)
    if text is not None:
        assert "known_errors" in repr(rule)
        assert judge_exception(error, rule).reason.startswith("no rule knows ")


@given(errors)
def test_naming_never_retries_less_or_sooner(error: Exception) -> None:
    """An error that is named by its type is retried where it was unnamed, not sooner, and no less surely not applied."""
    unnamed, named = classify(error), classify(error, transient(type(error)) | known_errors)
    assert named.verdict is TRANSIENT
    if unnamed.verdict is TRANSIENT:
        assert (named.retry_after or 0.0) >= (unnamed.retry_after or 0.0)
        assert unnamed.applied or not named.applied


@given(errors, rows)
def test_judging_is_pure_and_does_not_care_who_asks(error: Exception, rule: Any) -> None:
    """The same error is judged alike twice, with and without a listener, as an error and as whatever error."""
    found = judge_exception(error, rule)
    assert isinstance(found, Classification)
    assert (
        found == judge_exception(error, rule, lambda rule, fault: None) == judge(error, rule) == classify(error, rule)
    )


@given(st.sampled_from([*OWN, OSError]).map(lambda cls: cls("x")), rows)
def test_a_result_that_is_an_error_means_what_the_error_means(error: Exception, rule: Any) -> None:
    """An error without causes that is returned is judged as when it is raised, where a rule speaks of it."""
    found = judge_result(error, rule)
    if found is not None:
        raised = judge_exception(error, rule)
        assert (found.verdict, found.retry_after, found.applied) == (raised.verdict, raised.retry_after, raised.applied)


answers = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(list(Verdict)),
    st.builds(
        Classification,
        st.sampled_from([*Verdict, "transient", None]),
        st.none() | st.floats() | st.text(max_size=2),
        st.sampled_from([True, False, None, 1]),
        st.sampled_from([None, 5]),
        st.sampled_from(["why", "", None, 5]),
        st.sampled_from([True, False, "no"]),
    ),
)


@given(errors, answers, st.booleans())
def test_no_answer_of_a_rule_gets_into_the_way(error: Exception, answer: Any, causes: bool) -> None:
    """Whatever a predicate answers, there is a classification whose fields are what they must be."""
    rule = transient(when=lambda each: answer, causes=causes) | known_errors
    found = judge_exception(error, rule, lambda rule, fault: None)
    assert isinstance(found.verdict, Verdict)
    assert isinstance(found.reason, str) and "\n" not in found.reason
    assert found.retry_after is None or found.retry_after >= 0
    assert found.applied in (True, False) and found.redact in (True, False)
