"""Floor 2. From an error to its classification: the walk over the chain, and the vote of a group."""

from __future__ import annotations

from redouble.core import checks
from redouble.core.causes import DEPTH, cause_of, causes, is_exception, is_group, leaves
from redouble.core.verdict import Classification, Rule, Verdict, as_rule, ask_guarded
from redouble.known import known_errors
from redouble.known.row import as_applied, named, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from redouble.core.verdict import Fault, RuleLike

    Votes: TypeAlias = dict[int, Classification | None]

UNKNOWN = "no rule knows "
"""How the reason of an unknown error begins."""


def classify(error: BaseException, rules: RuleLike = known_errors) -> Classification:
    """What an error means: its verdict, the wait that the server asked for, and why.

    All rules see the outermost error first, then each explicit `__cause__`; the first opinion decides. What is said of
    a cause is said of the error, but for `applied`: who wrapped it may have done more than what failed. An exception
    group is asked itself, then each of its leaves: one permanent leaf makes it permanent, else one pending leaf
    pending, else it is transient with the longest of their hints. What no rule knows is `PERMANENT`.

    Args:
        error: Any exception. One that is not an `Exception` (`KeyboardInterrupt`, `asyncio.CancelledError`) is
            `PERMANENT` whatever the rules say.
        rules: Anything that is accepted as a rule.

    Raises:
        TypeError: When `error` is no exception, or `rules` nothing that stands for a rule.

    >>> classify(ConnectionRefusedError(111, "refused")).verdict
    Verdict.TRANSIENT
    >>> classify(ValueError("bad input")).reason
    'no rule knows ValueError'
    """
    if not isinstance(error, BaseException):
        raise TypeError(f"error must be an exception, got {checks.shown(error)}")
    return judge(error, as_rule("rules", rules))


def judge(error: BaseException, rule: Rule | None, on_fault: Fault | None = None) -> Classification:
    """As `classify`, for a rule that has been made already; `None` stands for no rule at all."""
    if not is_exception(error):
        return Classification(Verdict.PERMANENT, reason=f"{named(error)} is no Exception and passes")
    return judge_exception(error, rule, on_fault)


def judge_exception(error: Exception, rule: Rule | None, on_fault: Fault | None = None) -> Classification:
    """As `judge`, for what is known to be an `Exception`: every failure of every retried call comes through here."""
    if rule is None:
        return Classification(Verdict.PERMANENT, reason="no error is retried (on=None)")
    try:
        found = rule.ask(error, on_fault)
        if type(found) is Classification:  # the common case, with nothing between it and the rule
            return found
        if isinstance(found, Classification):
            return found
        if found is not None:
            raise TypeError(f"Rule.ask must return a Classification or None, got {checks.shown(found)}")
    except Exception as fault:
        if on_fault is not None:
            on_fault(rule, fault)
    if _is_alone(error):
        return _unknown(error)  # a mistake in the program, mostly
    try:
        return _look_deeper(error, rule, on_fault, {})
    except Exception:  # classifications that somebody made by hand and that cannot be compared; no stack left
        return _unknown(error)


def _is_alone(error: Exception) -> bool:
    return cause_of(error) is None and not is_group(error)


def _unknown(error: Exception) -> Classification:
    cls = type(error)
    try:
        found = _unknowns.get(cls)
    except Exception:  # a metaclass that refuses to be hashed
        return Classification(Verdict.PERMANENT, reason=UNKNOWN + named(error))
    if found is None:
        found = remember(_unknowns, cls, Classification(Verdict.PERMANENT, reason=UNKNOWN + named(error)))
    return found


_unknowns: dict[type, Classification] = {}


def _look_deeper(error: Exception, rule: Rule, on_fault: Fault | None, votes: Votes) -> Classification:
    """What the causes of an error say, and the leaves of a group, where `error` itself has been asked already."""
    for link in causes(error):
        if not is_exception(link):
            break
        found = None if link is error else ask_guarded(rule, link, on_fault)
        if found is None and is_group(link):
            found = _vote(link, rule, on_fault, votes)
        if found is not None:
            return found if link is error else _of_cause(found, error)
    return _unknown(error)


def _of_cause(found: Classification, error: Exception) -> Classification:
    """What is said of a cause, as said of an error that nobody knows: who raised that may have done more than what failed."""
    return as_applied(found, True).because(f"{found.reason} under {named(error)}")


def _vote(
    group: BaseExceptionGroup[BaseException], rule: Rule, on_fault: Fault | None, votes: Votes
) -> Classification | None:
    """What the leaves of a group say together; `None` for a group that one of its own leaves names as its cause.

    `votes` holds what the groups that were asked already said, `None` for those that are being asked: without it a
    tangle of groups that cause each other has no end.
    """
    under_way = sum(vote is None for vote in votes.values())
    if id(group) in votes or under_way == DEPTH:
        return votes.get(id(group))
    votes[id(group)] = None
    errors, name = leaves(group), named(group)
    if errors is None:
        found = Classification(Verdict.PERMANENT, reason=f"{name} of too many errors")
    else:
        found = _joined([_leaf(error, rule, on_fault, votes) for error in errors], name)
    votes[id(group)] = found
    return found


def _leaf(error: BaseException, rule: Rule, on_fault: Fault | None, votes: Votes) -> Classification:
    if not is_exception(error):  # only in a group that is not an Exception itself
        return judge(error, rule)
    return ask_guarded(rule, error, on_fault) or _look_deeper(error, rule, on_fault, votes)


def _joined(found: list[Classification], group: str) -> Classification:
    """One classification for a group out of those of its leaves."""
    for verdict in (Verdict.PERMANENT, Verdict.PENDING):
        for each in found:
            if each.verdict is verdict:
                return each.because(f"{each.reason} in {group}")
    longest = max(found, key=lambda each: each.retry_after or 0.0)
    return Classification(
        Verdict.TRANSIENT,
        longest.retry_after,
        any(each.applied for each in found),
        longest.backoff,
        f"{longest.reason} in {group}",
        any(each.redact for each in found),
    )
