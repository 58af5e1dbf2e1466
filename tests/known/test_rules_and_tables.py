"""Floor 2. What the tables add to a user's rule; groups, hosts with several addresses, and classes that inherit a meaning."""

from __future__ import annotations

import asyncio
import errno
import io
import ssl
import sys
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import pytest

from redouble import (
    Classification,
    Rule,
    Verdict,
    classify,
    explain,
    known_errors,
    pending,
    permanent,
    register,
    transient,
)
from redouble.core.causes import addresses
from redouble.known.classify import judge_exception, judge_result
from redouble.known.dispatch import Known

TRANSIENT, PERMANENT, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
RESET = ConnectionResetError(errno.ECONNRESET, "reset")
FORBIDDEN = PermissionError(errno.EACCES, "forbidden")


class CloudError(Exception):
    """An error of a user's own."""


class CloudNetworkError(ConnectionError):
    """An error of a user's own that inherits what it means."""


class CloudRefusedError(ConnectionRefusedError):
    """An error of a user's own that inherits that nothing was sent."""


def raised_from(cause: BaseException | None, error: Any) -> Any:
    """An error with an explicit cause."""
    error.__cause__ = cause
    return error


def busy(wait: str = "30") -> HTTPError:
    """What urllib raises for a 429."""
    error = HTTPError("http://example.com/", 429, "busy", {"Retry-After": wait}, io.BytesIO())  # type: ignore[arg-type]
    error.close()
    return error


# What a rule leaves unsaid.


@pytest.mark.parametrize(
    "rule",
    [
        HTTPError,
        lambda error: True,
        transient(HTTPError),
        transient(HTTPError) | known_errors,
        [HTTPError, known_errors],
    ],
)
def test_naming_an_error_keeps_what_the_tables_know(rule: Any) -> None:
    """A rate limit that is named by its class is retried as it would be unnamed: surely not applied, and after its hint."""
    found, unnamed = classify(busy(), rule), classify(busy())
    assert (found.verdict, found.retry_after, found.applied) == (TRANSIENT, 30.0, False)
    assert (found.verdict, found.retry_after, found.applied) == (unnamed.verdict, unnamed.retry_after, unnamed.applied)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (30.0, False)),
        ({"applied": True}, (30.0, True)),
        ({"retry_after": 5}, (5.0, False)),
        ({"retry_after": 0}, (None, False)),
        ({"retry_after": lambda error: None}, (None, False)),
        ({"retry_after": lambda error: 0}, (None, False)),
        ({"retry_after": lambda error: error.nope}, (30.0, False)),
        ({"retry_after": 5, "applied": True}, (5.0, True)),
    ],
)
def test_what_a_rule_says_outranks_the_tables(said: dict[str, Any], expected: tuple[float | None, bool]) -> None:
    """Only what was left unsaid is filled in; a hint of 0 or None is said."""
    found = classify(busy(), transient(HTTPError, **said))
    assert (found.retry_after, found.applied) == expected


def test_a_verdict_that_contradicts_the_tables_keeps_what_they_know() -> None:
    """The rule decides the verdict: an error that the tables hold to be permanent was surely not applied all the same."""
    assert classify(FORBIDDEN).verdict is PERMANENT
    found = classify(FORBIDDEN, PermissionError)
    assert (found.verdict, found.applied) == (TRANSIENT, False)
    assert classify(REFUSED, permanent(ConnectionError)) == Classification(
        PERMANENT, None, False, None, "by the rule permanent(ConnectionError)"
    )
    assert classify(busy(), pending(HTTPError)).retry_after == 30.0


def test_what_nothing_knows_is_perhaps_applied() -> None:
    """Where neither the rule nor a table says anything, there is no hint and the attempt may have been applied."""
    found = classify(CloudError(), CloudError)
    assert (found.verdict, found.retry_after, found.applied) == (TRANSIENT, None, True)


def test_what_is_beneath_a_named_error_says_that_nothing_was_sent() -> None:
    """An error of one's own that is raised from a refused connection, and named, has sent nothing."""
    assert classify(raised_from(REFUSED, CloudError()), CloudError).applied is False
    assert classify(raised_from(RESET, CloudError()), CloudError).applied is True
    assert classify(raised_from(busy(), CloudError()), CloudError).retry_after == 30.0
    assert classify(raised_from(REFUSED, CloudNetworkError()), CloudNetworkError).applied is False
    assert classify(raised_from(RESET, CloudNetworkError()), CloudNetworkError).applied is True
    assert classify(raised_from(busy(), CloudNetworkError()), CloudNetworkError).retry_after == 30.0
    assert classify(raised_from(raised_from(REFUSED, ValueError()), CloudError()), CloudError).applied is False
    assert classify(raised_from(KeyboardInterrupt(), CloudError()), CloudError).applied is True


def test_a_named_error_over_a_group() -> None:
    """Beneath an error, a group of addresses was surely not applied where each of them was not."""
    group = ExceptionGroup("", [REFUSED, OSError(errno.ENETUNREACH, "unreachable")])
    assert classify(raised_from(group, CloudError()), CloudError).applied is False
    mixed = ExceptionGroup("", [REFUSED, RESET])
    assert classify(raised_from(mixed, CloudError()), CloudError).applied is True
    unknown = ExceptionGroup("", [REFUSED, busy("7"), CloudError()])
    found = classify(raised_from(unknown, CloudError()), CloudError)
    assert (found.retry_after, found.applied) == (7.0, True)


def test_a_tangle_beneath_a_named_error_ends() -> None:
    """A group that one of its own leaves names as its cause is looked at once."""
    leaf = ValueError()
    leaf.__cause__ = ExceptionGroup("", [leaf, REFUSED])
    assert classify(raised_from(leaf, CloudError()), CloudError).applied is True


def test_the_tables_of_a_rule_are_asked_with_its_clock() -> None:
    """What is filled in comes from the `known_errors` of the rule itself, whose wall clock may be another."""
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    known = Known(wall=lambda: 784111767.0)
    assert classify(busy(date), transient(HTTPError) | known).retry_after == 10.0


def test_a_registered_rule_is_filled_in_too() -> None:
    """What a library's rule for its own errors leaves unsaid is known of the cause."""
    Busy = type("Busy", (Exception,), {"__module__": "mylib.errors"})
    unregister = register(transient(Busy), package="mylib")
    try:
        for rule in (known_errors, Busy, transient(Busy) | known_errors):
            found = classify(raised_from(REFUSED, Busy()), rule)
            assert (found.verdict, found.applied) == (TRANSIENT, False)
    finally:
        unregister()
    unregister = register(transient(Busy, applied=False, retry_after=9), package="mylib")
    try:
        assert classify(Busy(), Busy).retry_after == 9.0
    finally:
        unregister()


def test_what_goes_wrong_in_a_registered_rule_is_told_once_more_at_most() -> None:
    """A fault while something is filled in goes to whoever listens, and the rule's verdict stands."""
    Busy = type("Busy", (Exception,), {"__module__": "mylib.errors"})
    unregister = register(transient(when=lambda error: error.nope), package="mylib")
    heard: list[Exception] = []
    try:
        found = judge_exception(Busy(), transient(Busy), lambda rule, error: heard.append(error))
    finally:
        unregister()
    assert found.verdict is TRANSIENT
    assert [type(each) for each in heard] == [AttributeError]


# Results.


def answer(status: int, **headers: str) -> Any:
    """A response of some client."""
    return SimpleNamespace(status_code=status, headers=headers)


def test_a_rule_for_results_is_filled_in_by_the_response() -> None:
    """A predicate about a response keeps the wait that the response asks for, and that nothing was done."""
    rule = transient(when=lambda response: response.status_code >= 400)
    found = judge_result(answer(429, **{"Retry-After": "7"}), rule)
    assert found is not None
    assert (found.verdict, found.retry_after, found.applied) == (TRANSIENT, 7.0, False)
    found = judge_result(answer(500), rule)
    assert found is not None and found.applied is True
    assert judge_result(answer(200), rule) is None


def test_other_results_are_as_their_rule_says() -> None:
    """A value that is no response tells nothing by itself; an error that was returned tells what it means."""
    found = judge_result(None, transient(when=lambda value: value is None))
    assert found is not None and (found.verdict, found.applied, found.retry_after) == (TRANSIENT, True, None)
    said = judge_result(answer(429), transient(when=lambda value: True, applied=True, retry_after=1))
    assert said is not None and (said.applied, said.retry_after) == (True, 1.0)
    returned = judge_result(REFUSED, transient(when=lambda value: isinstance(value, Exception)))
    assert returned is not None and returned.applied is False


# Groups.


def test_a_predicate_is_asked_about_leaves_alone() -> None:
    """Predicates and `when=` never see a group, nor an error that stands for several addresses."""
    seen: list[Exception] = []

    def agrees(error: Exception) -> bool:
        seen.append(error)
        return True

    leaves = [CloudError(), ExceptionGroup("", [ValueError()])]
    assert classify(ExceptionGroup("", leaves), agrees).verdict is TRANSIENT
    assert classify(OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b"), agrees).verdict is TRANSIENT
    assert [type(error) for error in seen] == [CloudError, ValueError, ConnectionRefusedError, OSError]


def test_every_leaf_must_agree() -> None:
    """One leaf of which no rule speaks makes the group permanent."""
    group = ExceptionGroup("", [CloudError("yes"), CloudError("no")])
    found = classify(group, lambda error: error.args == ("yes",))
    assert found == Classification(
        PERMANENT, reason=f"no rule knows {__name__.partition('.')[0]}.CloudError in ExceptionGroup"
    )
    assert (
        classify(group, transient(when=lambda error: error.args == ("yes",)) | transient(CloudError)).verdict
        is TRANSIENT
    )


def test_a_type_may_name_a_group_within_a_group() -> None:
    """A rule about a class of groups decides for such a group wherever it stands."""

    class CloudGroup(ExceptionGroup[Exception]):
        """A group of a user's own."""

    inner = CloudGroup("", [ValueError()])
    assert classify(ExceptionGroup("", [CloudError(), inner]), CloudError | CloudGroup).verdict is TRANSIENT
    assert classify(ExceptionGroup("", [CloudError(), inner]), CloudError).verdict is PERMANENT


def test_a_predicate_of_a_rule_that_names_the_group_is_asked_about_its_leaves() -> None:
    """`transient(ExceptionGroup, when=...)`: the type is that of the group, the predicate's errors are in it."""
    rule = transient(ExceptionGroup, when=lambda error: isinstance(error, CloudError))
    assert classify(ExceptionGroup("", [CloudError()]), rule).verdict is TRANSIENT
    assert classify(ExceptionGroup("", [CloudError(), ValueError()]), rule).verdict is PERMANENT
    assert classify(CloudError(), rule).verdict is PERMANENT
    seen: list[Exception] = []
    leaf = CloudError()
    classify(ExceptionGroup("", [leaf]), transient(Exception, when=seen.append))
    assert seen == [leaf]


def test_the_leaves_of_a_named_group_are_what_the_tables_know() -> None:
    """A group that a type names has the longest hint of its leaves, and was applied if any of them may have been."""
    group = ExceptionGroup("", [busy("7"), busy("9")])
    found = classify(group, ExceptionGroup)
    assert (found.verdict, found.retry_after, found.applied) == (TRANSIENT, 9.0, False)
    assert classify(ExceptionGroup("", [busy("7"), RESET]), ExceptionGroup).applied is True


def test_a_leaf_is_filled_in_by_what_is_known_of_it() -> None:
    """The leaves of a group keep their own hints, whichever rule named them."""
    found = classify(ExceptionGroup("", [busy("7"), CloudError()]), HTTPError | CloudError)
    assert (found.verdict, found.retry_after, found.applied) == (TRANSIENT, 7.0, True)


def test_a_rule_of_ones_own_is_asked_about_the_group_itself() -> None:
    """A class of rules is neither a type nor a predicate: it may know groups."""

    class OfGroups(Rule):
        """Knows groups alone."""

        def ask(self, subject: Any, on_fault: Any = None) -> Classification | None:
            return Classification(TRANSIENT) if isinstance(subject, ExceptionGroup) else None

    assert classify(ExceptionGroup("", [ValueError()]), OfGroups()).verdict is TRANSIENT
    assert classify(raised_from(ExceptionGroup("", [RESET]), ValueError()), OfGroups()).verdict is PERMANENT


def test_a_registered_rule_may_name_a_group() -> None:
    """A library's own class of groups is judged by the rule that the library registered."""
    kind = type("BusyGroup", (ExceptionGroup,), {"__module__": "mylib.errors"})
    unregister = register(transient(kind), package="mylib")
    try:
        assert classify(kind("", [ValueError()])).verdict is TRANSIENT
    finally:
        unregister()


# A host with several addresses.

MULTIPLE = (
    "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno {}] Connect call failed ('1.1.1.1', 1)"
)


@pytest.mark.parametrize(
    ("rule", "number", "expected"),
    [
        (ConnectionRefusedError, 111, TRANSIENT),
        (ConnectionRefusedError, 101, PERMANENT),
        (lambda error: error.errno in (111, 101), 101, TRANSIENT),
        (transient(OSError, when=lambda error: error.errno in (111, 101)), 101, TRANSIENT),
        (transient(OSError, when=lambda error: error.errno == 111), 101, PERMANENT),
        (OSError, 13, TRANSIENT),
        (known_errors, 101, TRANSIENT),
        (known_errors, 13, PERMANENT),
        (known_errors, 9999, PERMANENT),
        (permanent(ConnectionRefusedError) | known_errors, 101, PERMANENT),
        (transient(PermissionError) | known_errors, 13, TRANSIENT),
    ],
)
def test_each_address_is_a_leaf(rule: Any, number: int, expected: Verdict) -> None:
    """Asyncio's one error for all addresses is judged by each of them, and every one must be transient."""
    assert classify(OSError(MULTIPLE.format(number)), rule).verdict is expected


@pytest.mark.parametrize("text", ["All connection attempts failed", "all attempts to connect to example.com:80 failed"])
def test_the_addresses_of_anyio_and_trio(text: str) -> None:
    """Anyio and trio raise a bare OSError from the only error, or from a group of them."""
    both = ExceptionGroup("multiple connection attempts failed", [REFUSED, OSError(errno.ENETUNREACH, "unreachable")])
    for cause in (both, REFUSED):
        error = raised_from(cause, OSError(text))
        assert classify(error).verdict is TRANSIENT
        assert classify(error, lambda each: each.errno in (111, 101)).verdict is TRANSIENT
        assert classify(error, ConnectionRefusedError).verdict is (TRANSIENT if cause is REFUSED else PERMANENT)
        assert classify(error, OSError).applied is False
    assert classify(raised_from(REFUSED, OSError("mine")), ConnectionRefusedError).verdict is PERMANENT


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        OSError("x"),
        OSError(errno.ECONNREFUSED, "refused"),
        OSError("Multiple exceptions: "),
        OSError("Multiple exceptions: no number"),
        OSError("Multiple exceptions: [Errno x] y"),
        OSError("Multiple exceptions: [Errno 1234567] y"),
        OSError("Multiple exceptions: " + ", ".join(["[Errno 111] x"] * 300)),
        ConnectionError("Multiple exceptions: [Errno 111] x"),
        OSError("All connection attempts failed"),
        raised_from(KeyboardInterrupt(), OSError("All connection attempts failed")),
        ValueError("Multiple exceptions: [Errno 111] x"),
        OSError(b"Multiple exceptions: [Errno 111] x"),
    ],
    ids=repr,
)
def test_what_stands_for_no_addresses(error: Exception) -> None:
    """Any other error is itself, and an endless list is not read."""
    assert addresses(error) is None


def test_numbers_of_windows() -> None:
    """A number that Python has no errno for is what Windows makes of it."""
    found = addresses(OSError("Multiple exceptions: [WinError 1225] refused, [WinError 1231] unreachable"))
    assert found is not None
    assert [each.winerror for each in found] == [1225, 1231]  # type: ignore[attr-defined, unused-ignore]
    if sys.platform != "win32":
        assert classify(found[0]).verdict is TRANSIENT


# Classes that only inherit what they mean.


@pytest.mark.parametrize(
    "error", [CloudNetworkError("x"), ConnectionError("x"), TimeoutError("x"), ConnectionResetError()]
)
def test_an_inherited_meaning_asks_the_cause_first(error: Exception) -> None:
    """A connection error that was raised over a permanent failure is permanent; over another one it is what it is."""
    assert classify(error).verdict is TRANSIENT
    found = classify(raised_from(FORBIDDEN, error))
    assert (found.verdict, found.applied) == (PERMANENT, False)
    assert found.reason.startswith("PermissionError [EACCES] under ")
    for cause in (ValueError("x"), RESET, raised_from(FORBIDDEN, asyncio.CancelledError()), None):
        assert classify(raised_from(cause, error)).verdict is TRANSIENT


def test_the_first_cause_that_is_known_counts() -> None:
    """An unknown cause says nothing, and what is beneath it does."""
    error = CloudNetworkError("x")
    assert classify(raised_from(raised_from(FORBIDDEN, ValueError()), error)).verdict is PERMANENT
    assert classify(raised_from(raised_from(FORBIDDEN, RESET), error)).verdict is PERMANENT
    RESET.__cause__ = None
    certificate = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    assert classify(raised_from(certificate, error)).verdict is PERMANENT
    group = ExceptionGroup("", [REFUSED, FORBIDDEN])
    assert classify(raised_from(group, error)).verdict is PERMANENT
    assert classify(raised_from(ExceptionGroup("", [REFUSED, ValueError()]), error)).verdict is TRANSIENT


def test_an_inherited_meaning_takes_the_rest_from_its_cause() -> None:
    """What inherits that nothing was sent may still stand for a reset, and a hint beneath it holds."""
    assert classify(CloudRefusedError("x")).applied is False
    assert classify(raised_from(RESET, CloudRefusedError("x"))).applied is True
    assert classify(raised_from(busy(), CloudRefusedError("x"))).retry_after == 30.0
    assert classify(raised_from(RESET, CloudRefusedError("x")), CloudRefusedError).applied is True


@pytest.mark.parametrize("kind", [CloudNetworkError, ConnectionError, TimeoutError])
@pytest.mark.parametrize("rules", [known_errors, transient(KeyError) | known_errors])
def test_an_inherited_meaning_asks_what_was_hidden(kind: type[Exception], rules: Rule) -> None:
    """`raise ... from None` over a permanent failure hides it from readers alone; an error merely handled says nothing."""
    error = kind("x")
    error.__context__, error.__suppress_context__ = FORBIDDEN, True
    assert classify(error, rules).verdict is PERMANENT
    assert explain(error, rules).classification == classify(error, rules)
    error.__suppress_context__ = False
    assert classify(error, rules).verdict is TRANSIENT


def test_what_an_error_says_itself_outranks_a_cause_that_may_pass() -> None:
    """A client's own words tell that nothing was sent, whatever timed out beneath; a cause that stays still counts."""
    error = raised_from(TimeoutError(), TimeoutError("timed out during opening handshake"))
    assert classify(error).applied is False
    assert classify(error, TimeoutError).applied is False
    assert classify(raised_from(FORBIDDEN, error)).verdict is PERMANENT


def test_a_class_from_another_package_asks_its_cause() -> None:
    """A subclass of a client's class that another package defines inherits its meaning, one of that client does not."""
    timeout = type("ConnectTimeout", (Exception,), {"__module__": "requests.exceptions"})
    own = type("Slow", (timeout,), {"__module__": "requests.more"})
    foreign = type("Slow", (timeout,), {"__module__": "shop.errors"})
    assert classify(raised_from(FORBIDDEN, foreign())).verdict is PERMANENT
    assert classify(raised_from(ValueError(), foreign())).verdict is TRANSIENT
    assert classify(raised_from(FORBIDDEN, own())).verdict == classify(raised_from(FORBIDDEN, timeout())).verdict


def test_a_users_rule_does_not_ask_the_cause_of_a_named_error() -> None:
    """A type that a user names decides, whatever is beneath the error."""
    assert classify(raised_from(FORBIDDEN, CloudNetworkError()), CloudNetworkError).verdict is TRANSIENT


# Faults, and what `on_fault` may do.


class PassingError(Exception):
    """What a signal handler raised while a rule was asked."""


@pytest.mark.parametrize(
    "rule", [transient(when=lambda error: error.nope), transient(OSError, retry_after=lambda e: e.nope)]
)
@pytest.mark.parametrize("error", [OSError(), ExceptionGroup("", [OSError()]), raised_from(OSError(), OSError())])
def test_what_on_fault_raises_passes(rule: Rule, error: Exception) -> None:
    """Whoever is told of a fault may raise, so that an error which is not the rule's can pass."""

    def pass_it_on(rule: Rule, fault: Exception) -> None:
        raise PassingError

    with pytest.raises(PassingError):
        judge_exception(error, rule, pass_it_on)


def test_tables_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tables themselves fail, that is told, the error is unknown, and a rule's verdict stands."""

    def broken(self: Any, subject: Any, on_fault: Any = None) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Known, "ask", broken)
    heard: list[Exception] = []
    found = judge_exception(RESET, known_errors, lambda rule, fault: heard.append(fault))
    assert found.verdict is PERMANENT and heard
    assert judge_exception(RESET, transient(OSError)).verdict is TRANSIENT
    assert classify(raised_from(FORBIDDEN, CloudNetworkError())).verdict is PERMANENT


def test_a_response_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the table of statuses fails, that is told, and the rule's verdict on a result stands."""

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("redouble.known.http_status.judge_response", broken)
    heard: list[Exception] = []
    found = judge_result(answer(429), transient(when=lambda value: True), lambda rule, fault: heard.append(fault))
    assert found is not None and (found.verdict, found.applied) == (TRANSIENT, True)
    assert [type(each) for each in heard] == [OSError]


def test_more_types_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that makes classes for ever fills no memory: what was remembered of types is forgotten then."""
    from redouble.known import classify as module

    monkeypatch.setattr("redouble.known.row.CACHE_SIZE", 3)
    for number in range(8):
        error = type(f"Made{number}", (Exception,), {})("x")
        assert classify(error) == classify(error)
        assert len(module._kinds) <= 3 and len(module._unknowns) <= 3


def test_a_walk_that_cannot_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no stack is left for the walk, that is told, and the error is unknown: it is never replaced."""

    def exhausted(*_: Any, **__: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr("redouble.known.classify.leaves", exhausted)
    heard: list[Exception] = []
    found = judge_exception(ExceptionGroup("", [RESET]), known_errors, lambda rule, fault: heard.append(fault))
    assert found == Classification(PERMANENT, reason="no rule knows ExceptionGroup")
    assert [type(each) for each in heard] == [RecursionError]


def test_a_clients_own_words_outweigh_the_time_limit_beneath_them() -> None:
    """What says that the handshake was not over was cut before anything was asked, whatever cut it; a forbidden one stays so."""
    cut = raised_from(asyncio.CancelledError(), TimeoutError())
    for words in ("timed out during opening handshake", "_ssl.c:990: The handshake operation timed out"):
        error = raised_from(cut, TimeoutError(words))
        assert classify(error).applied is False
        assert classify(error, TimeoutError).applied is False
        assert classify(raised_from(FORBIDDEN, TimeoutError(words))).verdict is PERMANENT
    assert classify(raised_from(cut, TimeoutError("timed out"))).applied is True
    assert classify(raised_from(cut, ConnectionRefusedError())).applied is True
