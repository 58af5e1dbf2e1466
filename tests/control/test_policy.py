"""Floor 3. The policy: its defaults, what it refuses and with what words, and that it is a value."""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import pickle
import random
import threading
from datetime import timedelta
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest

import redouble
from redouble import (
    Backoff,
    Event,
    RetryBudget,
    RetryPolicy,
    Verdict,
    constant,
    exponential,
    known_errors,
    linear,
    log_retries,
    pending,
    retry,
    sequence,
    transient,
)
from redouble.control.policy import OWN_BUDGET, Policy, is_of_event_loop, refuse_async_stop
from redouble.testing import FakeClock
from redouble.types import SystemClock

DEFAULTS = {
    "on": known_errors,
    "result": None,
    "idempotent": None,
    "attempts": 3,
    "deadline": 60.0,
    "attempt_timeout": None,
    "timeout_as": None,
    "backoff": exponential(),
    "budget": OWN_BUDGET,
    "cooldown": None,
    "max_hint": 300.0,
    "long_hints": "stop",
    "unwanted": "return",
    "nested": "once",
    "stop": None,
    "observers": (),
    "name": None,
    "clock": None,
    "draw": None,
}
NO_EVENT = "stop must be a threading.Event, an asyncio.Event, a trio.Event or None, got "
DURATION = "{} must be a duration in seconds (int, float or timedelta) {}, got {}"


class Ready:
    """A clock of the user's own, with nothing but the four methods."""

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float, stop: Any = None) -> None: ...

    async def sleep_async(self, seconds: float, stop: Any = None) -> None: ...

    def call_later(self, seconds: float, callback: Any) -> Any: ...


class Slow(Ready):
    """A clock that lacks a method."""

    sleep_async = None  # type: ignore[assignment]


class Listener:
    """An observer that is an object."""

    def __call__(self, event: Event) -> None: ...


def hear(event: Event) -> None:
    """An observer."""


def half() -> float:
    """A draw."""
    return 0.5


async def later(*args: Any) -> float:
    """What has to be awaited."""
    return 0.5


def refusal(kind: type[Exception], **fields: Any) -> str:
    """The message with which a policy is refused, by an error of exactly this kind."""
    with pytest.raises(kind) as caught:
        RetryPolicy(**fields)
    assert caught.type is kind
    return str(caught.value)


# Defaults.


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items())
def test_every_field_has_its_default(field: str, value: object) -> None:
    """A policy in which nothing is written has the defaults of the documentation, of the same types."""
    found = getattr(RetryPolicy(), field)
    assert found == value and type(found) is type(value)


def test_the_table_of_defaults_is_whole() -> None:
    """The fields of a policy are those of the table above, in its order, and which of them were written."""
    assert (*DEFAULTS, "written") == RetryPolicy.FIELDS
    assert RetryPolicy().written == frozenset()


def test_retry_is_the_default_policy() -> None:
    """`retry` is a policy in which nothing is written."""
    assert type(retry) is RetryPolicy and retry == RetryPolicy()


# The two default limits.


@pytest.mark.parametrize(
    ("fields", "attempts", "deadline"),
    [
        ({}, 3, 60.0),
        ({"attempts": 20}, 20, None),
        ({"deadline": 90}, None, 90.0),
        ({"attempts": None}, None, None),
        ({"deadline": None}, 3, None),
        ({"attempts": 20, "deadline": 90}, 20, 90.0),
        ({"attempts": None, "deadline": 90}, None, 90.0),
        ({"attempts": None, "deadline": None}, None, None),
        ({"attempts": 3}, 3, None),
        ({"deadline": 60.0}, None, 60.0),
        ({"name": "fetch"}, 3, 60.0),
    ],
)
def test_writing_one_limit_lifts_the_other(
    fields: dict[str, Any], attempts: int | None, deadline: float | None
) -> None:
    """A number for one lifts the other, `attempts=None` the deadline too, and `deadline=None` only itself."""
    for policy in (RetryPolicy(**fields), retry.changed(**fields), retry(**fields)):
        assert (policy.attempts, policy.deadline) == (attempts, deadline)


@pytest.mark.parametrize(
    ("fields", "nested"),
    [
        ({}, "once"),
        ({"attempts": 5}, "once"),
        ({"deadline": None}, "once"),
        ({"deadline": 90}, "once"),
        ({"attempts": None}, "multiply"),
        ({"attempts": None, "deadline": 90}, "multiply"),
        ({"attempts": None, "nested": "once"}, "once"),
    ],
)
def test_for_ever_means_for_ever(fields: dict[str, Any], nested: str) -> None:
    """Where `attempts=None` is written, an inner give-up is a failure like any other, unless `nested` is written."""
    assert RetryPolicy(**fields).nested == retry(**fields).nested == nested


@pytest.mark.parametrize(
    ("backoff", "deadline"),
    [
        (constant(60), 60.0),
        (constant(61), None),
        (exponential(60), 60.0),
        (exponential(61, maximum=None), None),
        (exponential(40, maximum=None, jitter=redouble.proportional(0.6)), None),
        (exponential(61), 60.0),
        (sequence(1, 900), 60.0),
        (sequence(), 60.0),
    ],
    ids=repr,
)
def test_a_default_deadline_gives_way_to_a_patient_curve(backoff: Any, deadline: float | None) -> None:
    """Where the first wait may not fit it, at the highest draw, there would be no second attempt."""
    assert (retry(backoff=backoff).deadline, retry(backoff=backoff).attempts) == (deadline, 3)


def test_a_written_deadline_refuses_a_curve_that_cannot_fit() -> None:
    """In the call that writes both, a first wait that never fits is refused; one that may is not."""
    message = refusal(ValueError, deadline=5, backoff=constant(6))
    assert message == (
        "deadline must not be below the first wait of backoff, which is 6.0 s at the least: there would never be a"
        " second attempt, got 5.0"
    )
    with pytest.raises(ValueError, match="first wait of backoff"):
        retry(deadline=5, backoff=linear(6, step=1, maximum=None))
    assert retry(deadline=5, backoff=constant(5)).deadline == 5.0
    assert retry(deadline=5, backoff=exponential(60)).deadline == 5.0  # its least wait is 0 s
    assert retry(deadline=5, backoff=sequence()).deadline == 5.0


def test_a_curve_that_cannot_fit_is_refused_only_where_both_are_written() -> None:
    """What was written elsewhere, or comes from an `override`, refuses nothing: such a call gives up."""
    assert retry(backoff=constant(6))(deadline=5).deadline == 5.0
    assert retry(deadline=5)(backoff=constant(6)).deadline == 5.0
    assert retry.overridden(backoff=constant(6), deadline=5).deadline == 5.0


def test_a_curve_that_fails_is_asked_in_earnest_later() -> None:
    """A curve of the user's that raises is no reason to refuse a policy: it is reported when it is needed."""

    class Broken(Backoff):
        def delay(self, failures: int, previous: float | None, draw: Any) -> float | None:
            raise RuntimeError("broken")

    assert retry(backoff=Broken()).deadline == 60.0
    assert retry(backoff=Broken(), deadline=5).deadline == 5.0


def test_limits_written_one_after_the_other_both_hold() -> None:
    """A limit that was written stays when the other is written later, in either order."""
    assert retry(attempts=5)(deadline=9) == retry(deadline=9)(attempts=5) == retry(attempts=5, deadline=9)


# What is accepted.


@pytest.mark.parametrize("value", [90, 90.0, timedelta(minutes=1.5)])
@pytest.mark.parametrize("field", ["deadline", "max_hint"])
def test_durations_become_float_seconds(field: str, value: Any) -> None:
    """Seconds may be written as int, float or timedelta, and are kept as float."""
    found = getattr(RetryPolicy(**{field: value}), field)
    assert found == 90.0 and type(found) is float


@pytest.mark.parametrize("value", [9, 9.0, timedelta(seconds=9)])
def test_attempt_timeouts_become_float_seconds(value: Any) -> None:
    """The time of one attempt may be written in the same three ways."""
    found = RetryPolicy(attempt_timeout=value).attempt_timeout
    assert found == 9.0 and type(found) is float


@pytest.mark.parametrize("field", ["attempts", "deadline", "attempt_timeout"])
def test_none_lifts_a_limit(field: str) -> None:
    """`None` means no limit where a limit may be missing."""
    assert getattr(RetryPolicy(**{field: None}), field) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", 1),
        ("attempts", 10**9),
        ("deadline", 1e-9),
        ("deadline", threading.TIMEOUT_MAX),
        ("max_hint", 0),
        ("max_hint", threading.TIMEOUT_MAX),
        ("attempt_timeout", 60),
    ],
)
def test_the_ends_of_a_range_belong_to_it(field: str, value: Any) -> None:
    """The least and the largest value of a field are accepted."""
    assert getattr(RetryPolicy(**{field: value}), field) == value


@pytest.mark.parametrize("field", ["on", "result"])
@pytest.mark.parametrize(
    "value", [OSError, (OSError, KeyError), [OSError], OSError | KeyError, transient(OSError), lambda subject: True]
)
def test_rules_come_in_every_spelling(field: str, value: Any) -> None:
    """Whatever stands for a rule becomes one that takes an OSError for transient."""
    rule = getattr(RetryPolicy(**{field: value}), field)
    assert rule.ask(OSError("x")).verdict is Verdict.TRANSIENT


def test_no_rules_for_errors() -> None:
    """`on=None` stands for no rule at all."""
    assert RetryPolicy(on=None).on is None


@pytest.mark.parametrize("stop", [threading.Event(), asyncio.Event()])
def test_both_kinds_of_stop_are_accepted(stop: Any) -> None:
    """A stop is a threading.Event or an asyncio.Event."""
    assert RetryPolicy(stop=stop).stop is stop


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock(), Ready()])
def test_a_clock_is_whatever_has_the_methods(clock: Any) -> None:
    """Clocks are known by their methods, not by their class."""
    assert RetryPolicy(clock=clock).clock is clock


@pytest.mark.parametrize(
    "observer", [hear, print, Listener(), log_retries("x"), functools.partial(hear), Listener().__call__]
)
@pytest.mark.parametrize("many", [list, tuple])
def test_observers_become_a_tuple(observer: Any, many: Any) -> None:
    """Observers are callables in a tuple or a list, kept in their order."""
    assert RetryPolicy(observers=many([observer, hear])).observers == (observer, hear)


@pytest.mark.parametrize("value", [None, True, False])
def test_the_three_values_of_idempotent(value: bool | None) -> None:
    """`idempotent` is True, False or None, and stays what it is."""
    assert RetryPolicy(idempotent=value).idempotent is value


@pytest.mark.parametrize("value", ["once", "multiply"])
def test_the_two_words_of_nested(value: Any) -> None:
    """`nested` is one of two words."""
    assert RetryPolicy(nested=value).nested == value


# What is refused, and with what words.


@pytest.mark.parametrize("value", [0, -1, -(10**30)])
def test_too_few_attempts(value: int) -> None:
    """Fewer than one attempt is a ValueError that names argument, rule and value."""
    assert refusal(ValueError, attempts=value) == f"attempts must be a whole number >= 1 or None, got {value}"


@pytest.mark.parametrize("value", [2.5, 3.0, True, False, "3", b"3", [3], Fraction(3), inf, nan, int])
def test_attempts_that_are_no_whole_number(value: Any) -> None:
    """A float, a bool or a string is no number of attempts."""
    assert refusal(TypeError, attempts=value) == f"attempts must be a whole number >= 1 or None, got {value!r}"


@pytest.mark.parametrize("field", ["deadline", "attempt_timeout", "max_hint"])
@pytest.mark.parametrize("value", [nan, inf, -inf, -1, -0.001, timedelta(seconds=-1)])
def test_durations_that_are_none(field: str, value: Any) -> None:
    """NaN, infinities and negative durations are ValueErrors that name argument, rule and value."""
    rule = ">= 0 or None" if field == "max_hint" else "> 0 or None"
    assert refusal(ValueError, **{field: value}) == DURATION.format(field, rule, repr(value))


@pytest.mark.parametrize("field", ["deadline", "attempt_timeout"])
@pytest.mark.parametrize("value", [0, 0.0, -0.0, timedelta(0)])
def test_no_time_at_all(field: str, value: Any) -> None:
    """A limit of no time at all is refused."""
    assert refusal(ValueError, **{field: value}) == DURATION.format(field, "> 0 or None", repr(value))


@pytest.mark.parametrize("field", ["deadline", "attempt_timeout", "max_hint"])
@pytest.mark.parametrize("value", ["5", "5s", True, False, [5], 5j, Fraction(5), object, b"5"])
def test_durations_of_a_wrong_kind(field: str, value: Any) -> None:
    """A string, a bool or anything else that is no number of seconds is a TypeError."""
    rule = ">= 0 or None" if field == "max_hint" else "> 0 or None"
    assert refusal(TypeError, **{field: value}) == DURATION.format(field, rule, repr(value))


def test_a_server_may_ask_for_any_wait() -> None:
    """`max_hint=None` says that a server's wish has no limit."""
    assert RetryPolicy(max_hint=None).max_hint is None


@pytest.mark.parametrize("field", ["deadline", "attempt_timeout", "max_hint"])
@pytest.mark.parametrize("value", [1e300, 10**400, timedelta.max * 0.999, threading.TIMEOUT_MAX * 1.001])
def test_enormous_durations(field: str, value: Any) -> None:
    """A duration that no lock or sleep accepts is a ValueError."""
    assert field in refusal(ValueError, **{field: value})


@pytest.mark.parametrize("value", [0, 1, "yes", ()])
def test_idempotent_takes_no_truthiness(value: Any) -> None:
    """Nothing but None, True and False is accepted for `idempotent`."""
    kind = ValueError if isinstance(value, str) else TypeError
    assert refusal(kind, idempotent=value) == f"idempotent must be one of None, True, False, got {value!r}"


def test_another_word_for_nested() -> None:
    """Another word is a ValueError, anything that is no word a TypeError."""
    assert refusal(ValueError, nested="twice") == "nested must be one of 'once', 'multiply', got 'twice'"
    assert refusal(TypeError, nested=None) == "nested must be one of 'once', 'multiply', got None"
    assert refusal(TypeError, nested=True) == "nested must be one of 'once', 'multiply', got True"


@pytest.mark.parametrize("value", ["two words", "", "2", "a-b"])
def test_a_keyword_that_is_none(value: str) -> None:
    """A string that cannot be a keyword is a ValueError."""
    expected = f"timeout_as must be the name of a parameter, such as 'timeout', or None, got {value!r}"
    assert refusal(ValueError, timeout_as=value) == expected


@pytest.mark.parametrize("value", [5, True, b"timeout", ["timeout"]])
def test_a_keyword_of_a_wrong_kind(value: Any) -> None:
    """What is no string is a TypeError."""
    expected = f"timeout_as must be the name of a parameter, such as 'timeout', or None, got {value!r}"
    assert refusal(TypeError, timeout_as=value) == expected


def test_a_keyword_is_kept() -> None:
    """The keyword for timeouts is a string, or `None`."""
    assert RetryPolicy(timeout_as="timeout").timeout_as == "timeout"
    assert RetryPolicy(timeout_as=None).timeout_as is None


@pytest.mark.parametrize("value", [None, 5, "exponential", [1, 2], exponential])
def test_a_curve_of_a_wrong_kind(value: Any) -> None:
    """A curve is a curve, or a function of the failures: neither a number, nor a function that would make one."""
    message = refusal(TypeError, backoff=value)
    assert message.startswith("backoff must be a curve such as exponential(), or a function of the failures, got ")


def test_a_curve_may_be_a_function_of_the_failures() -> None:
    """A callable answers with the seconds after so many failures in a row."""
    curve = RetryPolicy(backoff=lambda failures: failures * 2.0).backoff
    assert [curve.delay(failures, None, 0.5) for failures in (1, 2, 3)] == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("value", [0, 10, True, object(), RetryBudget])
def test_a_budget_of_a_wrong_kind(value: Any) -> None:
    """A budget is a `RetryBudget`, or the name of one."""
    expected = "budget must be a RetryBudget, the name of one that is shared, or None, got "
    assert refusal(TypeError, budget=value).startswith(expected)


def test_a_budget_without_a_name() -> None:
    """A name that is empty is a ValueError."""
    assert refusal(ValueError, budget="").startswith("budget must be a RetryBudget, the name of one ")


def test_a_budget() -> None:
    """A budget is kept; a name means the one of that name in this process; `None` is none."""
    budget = RetryBudget(burst=5)
    assert RetryPolicy(budget=budget).budget is budget
    assert RetryPolicy(budget="test_a_budget").budget is RetryPolicy(budget="test_a_budget").budget
    assert RetryPolicy(budget=None).budget is None


@pytest.mark.parametrize("value", [True, 5, "stop", hear, threading.Lock(), threading.Condition()])
def test_a_stop_of_a_wrong_kind(value: Any) -> None:
    """What is no event is a TypeError."""
    assert refusal(TypeError, stop=value).startswith(NO_EVENT)


@pytest.mark.parametrize("value", [threading.Event, asyncio.Event])
def test_a_stop_whose_parentheses_were_forgotten(value: Any) -> None:
    """The class of an event is no event: it would fail at the first failure, over the user's error."""
    assert refusal(TypeError, stop=value).startswith(NO_EVENT)


@pytest.mark.parametrize("value", [hear, {hear}, iter([hear]), "hear", 5])
def test_observers_that_are_no_list(value: Any) -> None:
    """One observer alone or a set is a TypeError that says what is wanted."""
    expected = "observers must be a tuple or list of callables, or None, got "
    assert refusal(TypeError, observers=value).startswith(expected)


def test_observers_of_silence() -> None:
    """`observers=None` says that nobody is told, not even the log."""
    assert RetryPolicy(observers=None).observers is None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("long_hints", "wait", "'stop', 'cap'"),
        ("unwanted", "keep", "'return', 'raise'"),
        ("nested", "twice", "'once', 'multiply'"),
        ("long_hints", None, "'stop', 'cap'"),
        ("unwanted", True, "'return', 'raise'"),
    ],
)
def test_a_word_that_is_none_of_the_two(field: str, value: Any, words: str) -> None:
    """A field of two words takes no other."""
    with pytest.raises((TypeError, ValueError), match=f"^{field} must be ") as caught:
        RetryPolicy(**{field: value})
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [None, 5, "hear", log_retries, Listener])
def test_an_observer_of_a_wrong_kind(value: Any) -> None:
    """Each of the observers is a callable, and no class."""
    assert refusal(TypeError, observers=[hear, value]).startswith("each of observers must be a callable, got ")


def test_an_observer_that_would_have_to_be_awaited() -> None:
    """A coroutine function is no observer: nobody would await it."""
    assert refusal(TypeError, observers=[later]).startswith("each of observers must be ")


@pytest.mark.parametrize("value", [5, True, b"name", ["name"]])
def test_a_name_of_a_wrong_kind(value: Any) -> None:
    """What is no string is a TypeError."""
    assert refusal(TypeError, name=value) == f"name must be a string that is not empty, or None, got {value!r}"


def test_an_empty_name() -> None:
    """An empty string is a wrong value."""
    assert refusal(ValueError, name="") == "name must be a string that is not empty, or None, got ''"


@pytest.mark.parametrize("value", [5, "system", half, object(), Slow()])
def test_a_clock_of_a_wrong_kind(value: Any) -> None:
    """What lacks one of the methods of a clock is a TypeError that names them."""
    expected = "clock must have the methods now, sleep, sleep_async, call_later, or be None, got "
    assert refusal(TypeError, clock=value).startswith(expected)


def test_a_clock_whose_parentheses_were_forgotten() -> None:
    """The class of a clock tells no time."""
    assert refusal(TypeError, clock=SystemClock).startswith("clock must ")


@pytest.mark.parametrize("value", [0.5, "half", True, random.Random])
def test_a_draw_of_a_wrong_kind(value: Any) -> None:
    """A draw is a callable: neither a number nor a class."""
    assert refusal(TypeError, draw=value).startswith("draw must be a callable")


def test_a_draw_that_would_have_to_be_awaited() -> None:
    """A coroutine function gives no number."""
    assert refusal(TypeError, draw=later).startswith("draw must be a ")


@pytest.mark.parametrize("field", ["on", "result"])
@pytest.mark.parametrize("value", [5, "OSError", (), [], (OSError, 5)])
def test_rules_of_a_wrong_kind(field: str, value: Any) -> None:
    """What stands for no rule is a TypeError that names the field."""
    assert field in refusal(TypeError, **{field: value})


@pytest.mark.parametrize("value", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException])
def test_errors_that_always_pass(value: Any) -> None:
    """Asking for what is no Exception to be retried is a TypeError."""
    assert "passes untouched" in refusal(TypeError, on=value)


def test_a_rule_that_is_never_reached() -> None:
    """A general type before its subclass is refused where the policy is written."""
    assert "can never be reached" in refusal(ValueError, on=[transient(OSError), transient(TimeoutError)])


def test_a_field_that_does_not_exist() -> None:
    """An unknown field is a TypeError that lists those that exist, or names the one that was meant."""
    expected = f"retry has no field 'colour'; its fields are {', '.join(DEFAULTS)}"
    assert refusal(TypeError, colour=3) == expected
    assert refusal(TypeError, atempts=3) == "retry has no field 'atempts'; write `attempts=`"


def test_what_was_written_cannot_be_written() -> None:
    """The record of written fields is no field that can be written."""
    assert refusal(TypeError, written=frozenset()).startswith("retry has no field 'written'")


def test_a_value_that_cannot_be_shown_is_refused_all_the_same() -> None:
    """A message about a value whose repr raises still names argument and rule."""

    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert refusal(TypeError, attempts=Shy()).startswith("attempts must be a whole number >= 1 or None, got ")


# Contradictions.


def test_an_attempt_longer_than_all_of_them() -> None:
    """An attempt_timeout above the deadline is refused, with both values."""
    assert refusal(ValueError, attempt_timeout=10, deadline=5) == (
        "attempt_timeout must not be above deadline: one attempt cannot have 10.0 s when all of them together have 5.0 s"
    )
    assert RetryPolicy(attempt_timeout=5, deadline=5).attempt_timeout == 5.0


def test_an_attempt_longer_than_the_default_deadline() -> None:
    """The default deadline gives way to one attempt that may take longer; a written one does not."""
    assert RetryPolicy(attempt_timeout=61).deadline is None
    assert RetryPolicy(attempt_timeout=60).deadline == 60.0
    assert "60.0 s" in refusal(ValueError, attempt_timeout=61, deadline=60)
    assert RetryPolicy(attempt_timeout=61, attempts=3).attempt_timeout == 61.0


def test_more_attempts_than_the_curve_has_waits() -> None:
    """Attempts that a written curve can never grant are refused; one more than its waits is the most."""
    assert refusal(ValueError, attempts=4, backoff=sequence(1, 2)) == (
        "attempts must not be above 3: the curve sequence(1.0, 2.0) ends after 2 waits, got 4"
    )
    assert RetryPolicy(attempts=3, backoff=sequence(1, 2)).attempts == 3


def test_attempts_and_curves_that_agree() -> None:
    """Without a written limit, or with a curve that never ends, there is nothing to contradict."""
    assert RetryPolicy(backoff=sequence(1)).attempts == 3
    assert RetryPolicy(attempts=None, backoff=sequence(1)).attempts is None
    assert RetryPolicy(attempts=99, backoff=sequence(1).forever()).attempts == 99
    assert RetryPolicy(attempts=99, backoff=constant(1)).attempts == 99


def test_changing_a_policy_checks_contradictions_anew() -> None:
    """A change that contradicts what was written before is refused where it is made."""
    with pytest.raises(ValueError, match="attempt_timeout must not be above deadline"):
        retry(deadline=5).changed(attempt_timeout=6)


def test_an_override_may_contradict() -> None:
    """What is replaced from outside is checked by itself, but not against what was written elsewhere."""
    policy = retry(attempt_timeout=5, deadline=9, name="fetch").overridden(deadline=2)
    assert (policy.deadline, policy.attempt_timeout, policy.name) == (2.0, 5.0, "fetch")
    assert type(policy) is RetryPolicy and "deadline" in policy.written
    with pytest.raises(ValueError, match="attempts must be a whole number"):
        retry.overridden(attempts=0)


# A value.


def test_a_changed_policy_is_another_one() -> None:
    """`changed` leaves the policy as it was and keeps what was written."""
    before = retry(attempts=5, name="fetch")
    after = before.changed(attempts=6)
    assert (before.attempts, after.attempts, after.name) == (5, 6, "fetch")
    assert after.written == {"attempts", "name"}


def test_a_changed_policy_keeps_its_class() -> None:
    """A subclass of a policy stays that subclass."""

    class Mine(RetryPolicy):
        pass

    assert type(Mine(attempts=2).changed(name="x")) is Mine
    assert type(Policy(attempts=2).changed(name="x")) is Policy


def test_nothing_changed_is_the_same_policy() -> None:
    """A change of nothing compares equal."""
    assert retry.changed() == retry and retry() is retry


@pytest.mark.parametrize("field", ["attempts", "written", "unknown"])
def test_a_policy_is_frozen(field: str) -> None:
    """No field can be set or deleted."""
    with pytest.raises(AttributeError, match="RetryPolicy is frozen"):
        setattr(RetryPolicy(), field, 5)
    with pytest.raises(AttributeError, match="RetryPolicy is frozen"):
        delattr(RetryPolicy(), field)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"attempts": 5},
        {"attempts": None, "deadline": None},
        {"deadline": timedelta(minutes=2), "attempt_timeout": 7},
        {"backoff": linear(1, step=2, maximum=9).take(8), "max_hint": 10},
        {"on": (OSError, KeyError)},
        {"on": transient(OSError) | pending(KeyError)},
        {"result": None, "idempotent": False, "nested": "multiply", "timeout_as": "timeout", "name": "fetch"},
        {"cooldown": "openai"},
        {"cooldown": True},
        {"on": None, "budget": None, "stop": None, "observers": (), "clock": SystemClock(), "draw": None},
    ],
)
def test_the_repr_evaluates_back(fields: dict[str, Any]) -> None:
    """The repr shows what was written, and evaluates to an equal policy."""
    policy = RetryPolicy(**fields)
    names = {**vars(redouble), "redouble": redouble}
    if fields.get("clock") is not None:  # clocks compare by identity
        names["SystemClock"] = lambda: policy.clock
    assert eval(repr(policy), names) == policy


def test_the_repr_shows_what_was_written_in_the_order_of_the_fields() -> None:
    """Fields at their defaults are left out of the repr, unless they were written."""
    assert repr(RetryPolicy()) == "redouble.RetryPolicy()"
    assert repr(retry(name="x", attempts=3)) == "redouble.RetryPolicy(attempts=3, name='x')"
    assert repr(Policy(deadline=1)) == "redouble.Policy(deadline=1.0)"


def test_policies_are_compared_by_their_fields() -> None:
    """Equal fields make equal policies with equal hashes; another field, or another class, another policy."""
    one, same, other = retry(attempts=5, on=OSError), retry(on=OSError, attempts=5), retry(attempts=5)
    assert one == same and hash(one) == hash(same)
    assert one != other
    assert Policy(attempts=5) != retry(attempts=5)
    assert len({one, same, other}) == 2


def test_a_written_default_is_another_policy() -> None:
    """What was written counts: a written limit lifts the other one."""
    assert retry(attempts=3) != retry


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "policy",
    [
        retry,
        retry(attempts=5, on=(OSError, KeyError), backoff=exponential(1).take(7)),
        retry(draw=half, clock=None, name="fetch", deadline=timedelta(seconds=3)),
    ],
)
def test_a_policy_is_pickled(policy: RetryPolicy, protocol: int) -> None:
    """A policy comes back equal from every protocol of pickle."""
    back = pickle.loads(pickle.dumps(policy, protocol))
    assert back == policy and hash(back) == hash(policy) and type(back) is RetryPolicy


def test_a_policy_with_a_log_of_its_own_is_pickled() -> None:
    """`log_retries` goes with its policy through pickle, also when it has found its logger."""
    log = log_retries("shop", logging.DEBUG, once=True, extra={"shop": 1})
    log.wants(redouble.EventKind.GIVE_UP)
    back = pickle.loads(pickle.dumps(retry(observers=[log])))
    assert repr(back.observers[0]) == repr(log)


def test_copies_of_a_policy_are_itself() -> None:
    """What is frozen need not be copied."""
    policy = retry(attempts=5, stop=threading.Event())
    assert copy.copy(policy) is policy and copy.deepcopy(policy) is policy


# An asyncio.Event in synchronous code.


def test_an_asyncio_stop_is_refused_for_a_synchronous_function() -> None:
    """Only its own event loop can wait for an asyncio.Event: for a function that blocks its thread it is refused."""
    with pytest.raises(TypeError, match=r"stop must be a threading\.Event for the synchronous fetch: an event of"):
        refuse_async_stop(retry(stop=asyncio.Event()), "fetch")


@pytest.mark.parametrize("stop", [None, threading.Event()])
def test_other_stops_are_accepted_for_synchronous_functions(stop: Any) -> None:
    """A threading.Event, or none at all, is fine everywhere."""
    refuse_async_stop(retry(stop=stop), "fetch")


def test_events_of_event_loops_are_known_without_loading_any() -> None:
    """Those of asyncio are told from those of threads by where their class comes from."""
    assert is_of_event_loop(asyncio.Event())
    assert not is_of_event_loop(threading.Event()) and not is_of_event_loop(None)
