"""Floor 2. From an error to its classification: the order in which rules are asked, and the facts that tables add.

A rule is asked about the raised error; about its explicit causes only where it says so (`causes`), as `known_errors`
does. For an exception group, and an OSError that stands for several addresses, rules are asked about each leaf, and all
must be transient. The tables fill in the fields that a rule leaves open. `Walk` does all that for one error. Nearly all
errors need no walk: `judge_exception` judges them before it makes one. The advice about unknown errors is in `advice`.
"""

from __future__ import annotations

from redouble.core import checks
from redouble.core.causes import DEPTH, addresses, cause_of, causes, is_exception, is_group, leaves, origin_of
from redouble.core.verdict import Classification, Rule, Verdict, _Match, as_rule, ask_guarded, parts
from redouble.known import known_errors
from redouble.known.dispatch import Known
from redouble.known.only import Only, known_as
from redouble.known.row import named, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from redouble.core.verdict import Fault, RuleLike

    Ask: TypeAlias = Callable[[Rule, Any, Fault | None], Classification | None]

UNKNOWN = "no rule knows "
"""How the reason of an unknown error begins."""


def classify(error: BaseException, rules: RuleLike = known_errors) -> Classification:
    """Return the meaning of an error: its verdict, the wait that the server asked for, and the reason.

    Types and predicates judge the error that was raised. `known_errors`, and rules made with `causes=True`, are asked
    about each explicit `__cause__` too, where no rule has an opinion on the error itself. A rule decides the verdict;
    the tables of `known_errors` fill in the fields that it leaves open (`applied`, the hint).

    In a rule, a type may name an exception group itself, or an OSError that stands for several addresses. Else each
    leaf is judged: one that is permanent, or unknown, makes the group permanent, else one that is pending makes it
    pending, else it is transient with the longest of the hints. An error that no rule knows is `PERMANENT`.

    A class that only inherits its meaning (from a builtin ConnectionError or TimeoutError, or from another package's
    class) is permanent where it was raised over an error that the tables know to be permanent: its cause, or the
    context that `from None` hid.

    Args:
        error: Any exception. One that is not an `Exception` (`KeyboardInterrupt`, `asyncio.CancelledError`) is
            `PERMANENT` under any rules.
        rules: Anything that is accepted as a rule.

    Raises:
        TypeError: When `error` is not an exception, or `rules` does not stand for a rule.

    >>> classify(ConnectionRefusedError(111, "refused")).verdict
    Verdict.TRANSIENT
    >>> classify(ValueError("bad input")).reason
    'no rule knows ValueError'
    """
    checks.error("error", error)
    return judge(error, as_rule("rules", rules))


def judge(
    error: BaseException, rule: Rule | None, on_fault: Fault | None = None, ask: Ask = ask_guarded
) -> Classification:
    """Judge any error, as `classify` does, by a rule that is already built; `None` stands for no rule.

    `ask` asks one rule about one error. `explain` passes its own, and so sees each step of the walk.
    """
    if not is_exception(error):
        return Classification(Verdict.PERMANENT, reason=f"{named(error)} is no Exception and passes")
    if ask is ask_guarded or rule is None:
        return judge_exception(error, rule, on_fault)
    return _walked(error, rule, on_fault, ask)


def judge_exception(error: Exception, rule: Rule | None, on_fault: Fault | None = None) -> Classification:
    """Judge an `Exception`. Every failure of every retried call comes through here.

    Only an error that `on_fault` raises can leave this function.
    """
    if rule is known_errors:  # the default first, in one piece: nearly all errors need only this
        try:
            found = known_errors.ask(error, on_fault)
            if found is not None:
                # Raised without `from` and without `from None`, perhaps while another error was being handled.
                bare = error.__cause__ is None and (error.__context__ is None or not error.__suppress_context__)
                if (bare or _meet(type(error)) in (_STRAIGHT, _NOTHING)) and not found.unsaid:
                    return found
            elif _is_alone(error):
                return unknown(error)
        except Exception as fault:  # no file descriptor left for the tables; a property of the client's that raises
            _report(known_errors, fault, on_fault)
    elif rule is None:
        return Classification(Verdict.PERMANENT, reason="no error is retried (on=None)")
    elif _is_alone(error):
        return _judge_alone(error, rule, on_fault)
    return _walked(error, rule, on_fault, ask_guarded)  # pyright: ignore[reportArgumentType]  # a rule: `known_errors` is one


def _is_alone(error: Exception) -> bool:
    """Return whether an error has no cause and stands for no others, and so needs no walk.

    An error whose class inherits its meaning must not have a hidden context either.
    """
    if cause_of(error) is not None:
        return False
    kind = _meet(type(error))
    return kind != _SEVERAL and (kind != _INHERITS or origin_of(error) is None)


def _judge_alone(error: Exception, rule: Rule, on_fault: Fault | None) -> Classification:
    """Judge an error that is alone, by any rule."""
    found = ask_guarded(rule, error, on_fault)
    if found is None:
        return unknown(error)
    if not found.unsaid or _meet(type(error)) == _NOTHING:
        return found
    known = ask_guarded(_tables_of(parts(rule)), error, on_fault)
    return found if known is None else _filled(found, known.applied, known.retry_after)


def judge_result(value: Any, rule: Rule, on_fault: Fault | None = None) -> Classification | None:
    """Judge a returned value; `None` when it is wanted.

    An HTTP response or an exception fills in the fields that the rule leaves open.
    """
    found = ask_guarded(rule, value, on_fault)
    if found is None or not found.unsaid:
        return found
    try:
        known = _told_by(value, on_fault)
    except Exception as fault:
        _report(rule, fault, on_fault)
        return found
    return found if known is None else _filled(found, known.applied, known.retry_after)


def _told_by(value: Any, on_fault: Fault | None) -> Classification | None:
    if is_exception(value):
        return judge_exception(value, known_errors, on_fault)
    from redouble.known.http_status import judge_response  # only for a rule that leaves something unsaid

    return judge_response(value, known_errors.wall, who=named(value))


def _report(rule: Rule, fault: Exception, on_fault: Fault | None) -> None:
    if on_fault is not None:
        on_fault(rule, fault)


# The kinds of types that the walk has met.

_STRAIGHT, _INHERITS, _SEVERAL, _NOTHING = 0, 1, 2, 3
"""A type with a meaning of its own; one whose cause may know better; one for groups; an unknown one of Python's."""

_kinds: dict[type, int] = {}


def _meet(cls: type) -> int:
    """Return the kind of a type, and remember it."""
    try:
        return _kinds[cls]
    except Exception:  # a new type; or a metaclass that refuses to be hashed
        return _learn(cls)


def _learn(cls: type) -> int:
    try:
        return remember(_kinds, cls, _kind_of(cls))
    except Exception:  # a metaclass that hides its names or refuses to be hashed
        return _SEVERAL


def _kind_of(cls: type) -> int:
    if cls is OSError or issubclass(cls, BaseExceptionGroup):
        return _SEVERAL
    key = known_as(cls)
    if key is None:
        return _NOTHING if cls.__module__ == "builtins" else _STRAIGHT
    package = key[0]
    if package == "builtins":
        return _INHERITS if issubclass(cls, (ConnectionError, TimeoutError)) else _STRAIGHT
    return _STRAIGHT if cls.__module__.partition(".")[0] == package else _INHERITS


def _is_known_by_words(found: Classification, link: Any) -> bool:
    """Return whether a builtin error is known by a client's text, which says how far the attempt had come.

    The cause then adds no information: websockets raises its "timed out during opening handshake" from the bare
    TimeoutError of `asyncio.timeout`, which alone would be one in flight.
    """
    cls = type(link)
    if cls is not TimeoutError and cls is not ConnectionError:
        return False
    return link.errno is None and found.row is not None and bool(found.row.code)


# Unknown errors.


def is_unknown(found: Classification) -> bool:
    """Return whether no rule had an opinion."""
    return found.reason.startswith(UNKNOWN)


def unknown(error: BaseException) -> Classification:
    """Return the classification of an error that no rule knows."""
    cls = type(error)
    try:
        found = _unknowns.get(cls)
        if found is None:
            found = remember(_unknowns, cls, Classification(Verdict.PERMANENT, reason=UNKNOWN + named(error)))
    except Exception:  # a metaclass that refuses to be hashed
        return Classification(Verdict.PERMANENT, reason=UNKNOWN + named(error))
    return found


_unknowns: dict[type, Classification] = {}


# The walk.


def _walked(error: Exception, rule: Rule, on_fault: Fault | None, ask: Ask) -> Classification:
    try:
        found = Walk(parts(rule), on_fault, ask).judge(error)
    except Exception as fault:  # no stack left, or a case that cannot happen
        _report(rule, fault, on_fault)
        found = None
    return unknown(error) if found is None else found


def _several(error: BaseException) -> bool:
    """Return whether an error stands for several others."""
    return _meet(type(error)) == _SEVERAL and (is_group(error) or addresses(error) is not None)


def _is_table(part: Rule) -> bool:
    return isinstance(part, (Known, Only))


def _tables_of(rules: tuple[Rule, ...]) -> Known:
    """Return the tables of a rule, or the default ones; they differ by their wall clock."""
    for part in rules:
        if isinstance(part, Known):
            return part
        if isinstance(part, Only):
            return part.known
    return known_errors


def _by_words(found: Classification) -> bool:
    """Return whether an error's text decided (`timed out during opening handshake`): no code has a blank in it."""
    return found.row is not None and " " in found.row.code


def _beneath(error: BaseException, next_of: Callable[[Any], BaseException | None] = cause_of) -> Iterator[Exception]:
    """Yield the explicit causes of an error, up to the first that is not an `Exception`.

    `next_of=origin_of` also follows contexts that `from None` hid.
    """
    for link in causes(error, beneath=next_of):
        if not is_exception(link):
            return
        if link is not error:
            yield link


class Walk:
    """Asks rules about one error, its causes and its leaves."""

    __slots__ = ("_below", "_filling", "ask", "on_fault", "only_tables", "parts", "votes")

    def __init__(self, rules: tuple[Rule, ...], on_fault: Fault | None, ask: Ask) -> None:
        self.parts: tuple[Rule, ...] = rules
        self.on_fault: Fault | None = on_fault
        self.ask: Ask = ask
        self.votes: dict[int, Classification | None] = {}
        self.only_tables: bool = all(map(_is_table, rules))
        self._below: Walk | None = None
        self._filling: Walk | None = None

    def judge(self, error: Exception) -> Classification | None:
        """Return the rules' opinion on an error as raised, or on a leaf; `None` when no rule knows it."""
        found = self._of_several(error) if _several(error) else self._of_one(error, error)
        return self._of_causes(error) if found is None else found

    def _of_one(self, link: Exception, raised: Exception) -> Classification | None:
        """Ask each rule about one link of the chain beneath `raised`; the tables' facts on `raised` complete it."""
        for part in self.parts:
            found = self.ask(part, link, self.on_fault)
            if found is not None:
                return self._complete(found, part, link, raised)
        return None

    def _complete(self, found: Classification, part: Rule, link: Exception, raised: Exception) -> Classification:
        if _is_table(part):
            found = self._weighed(found, link)
        if not found.unsaid:
            return found
        applied, hint = self._known_of(raised, set())
        return _filled(found, applied, hint)

    # Causes.

    def _of_causes(self, error: Exception) -> Classification | None:
        """Ask the rules that look at causes about each of them, the outermost first."""
        if cause_of(error) is None:
            return None
        below = self._deep()
        for link in _beneath(error) if below.parts else ():
            found = below._of_several(link) if _several(link) else below._of_one(link, error)
            if found is not None:
                return self._as_of(error, found)
        return None

    def _deep(self) -> Walk:
        if self._below is None:
            deep = tuple(part for part in self.parts if part.causes or _is_table(part))
            same = len(deep) == len(self.parts)  # a single walk, whose votes bound its depth
            self._below = self if same else Walk(deep, self.on_fault, self.ask)
        return self._below

    def _as_of(self, error: Exception, found: Classification) -> Classification:
        """Turn a classification found beneath an error into one of the error itself.

        Before it raised an error that no table knows, the code may have done more than the step that failed. So only a
        rule of the user's can say that it was surely not applied.
        """
        applied = found.applied or not any(found.rule is part for part in self.parts)
        return found.but(applied=applied, reason=f"{found.reason} under {named(error)}")

    def _weighed(self, found: Classification, link: Exception) -> Classification:
        """Weigh the meaning that a class inherits against the tables' verdict on its cause."""
        cause = self._cause_of_inherited(found, link)
        if cause is None:
            return found
        if cause.verdict is Verdict.PERMANENT:
            return cause.but(reason=f"{cause.reason} under {named(link)}")
        hint = found.retry_after if found.retry_after is not None else cause.retry_after
        applied = found.applied or (cause.applied and not _is_known_by_words(found, link))
        return found.but(applied=applied, retry_after=hint)

    def _cause_of_inherited(self, found: Classification, link: Exception) -> Classification | None:
        """Return the tables' verdict on a cause where `found` is only inherited, if they have one; else `None`.

        Where the error's text decided, a transient cause adds no information.
        """
        if found.verdict is not Verdict.TRANSIENT or found.rule is not None or origin_of(link) is None:
            return None
        if _meet(type(link)) != _INHERITS:
            return None
        cause = self._tables().of_causes_alone(link)
        if cause is None or is_unknown(cause) or cause.guessed:
            return None
        return None if _by_words(found) and cause.verdict is not Verdict.PERMANENT else cause

    def of_causes_alone(self, error: Exception) -> Classification | None:
        """Return the rules' opinion on the first error that they know beneath one, hidden (`from None`) or not."""
        for link in _beneath(error, origin_of):
            found = self._of_several(link) if _several(link) else self._of_one(link, link)
            if found is not None:
                return found
        return None

    # Groups.

    def _of_several(self, group: Exception) -> Classification | None:
        """Return the opinion of a rule that names the group itself, else the common verdict of its leaves."""
        for part in self.parts:
            if self._is_about(part, group):
                found = self.ask(part, group, self.on_fault)
                if found is not None:
                    return self._complete(found, part, group, group)
        return self._vote(group)

    def _is_about(self, part: Rule, group: Any) -> bool:
        """Return whether a rule is asked about a group itself: never a predicate; tables only about its own class."""
        if isinstance(part, _Match):
            return part.when is None and part.names(group)
        return not _is_table(part) or (is_group(group) and type(group) not in (ExceptionGroup, BaseExceptionGroup))

    def _vote(self, group: Any) -> Classification | None:
        """Return the common verdict of the leaves; `None` for a group that one of its own leaves names as its cause.

        `votes` holds the verdict of each group asked so far, `None` while it is still being asked. Without it, groups
        that cause each other would be walked for ever.
        """
        if self.votes and (id(group) in self.votes or sum(vote is None for vote in self.votes.values()) == DEPTH):
            return self.votes.get(id(group))
        self.votes[id(group)] = None
        errors, name = self._leaves(group), named(group)
        if errors is None:
            found = Classification(Verdict.PERMANENT, reason=f"{name} of too many errors")
        else:
            walk = self._inside(group)
            found = _joined([walk._leaf(error) for error in errors], name)
        self.votes[id(group)] = found
        return found

    def _leaves(self, group: Any) -> list[BaseException] | None:
        if is_group(group):
            return (
                leaves(group)
                if self.only_tables
                else leaves(group, whole=lambda inner: any(self._is_about(part, inner) for part in self.parts))
            )
        return addresses(group)

    def _inside(self, group: Any) -> Walk:
        """Return the walk for the leaves: a rule whose types name the group asks its predicate about each leaf."""
        if self.only_tables:
            return self
        inside = tuple(
            part.without_types() if isinstance(part, _Match) and part.when is not None and part.names(group) else part
            for part in self.parts
        )
        same = all(one is other for one, other in zip(inside, self.parts, strict=True))
        return self if same else Walk(inside, self.on_fault, self.ask)

    def _leaf(self, error: BaseException) -> Classification:
        if not is_exception(error):  # only in a group that is not an Exception itself
            return judge(error, None)
        found = self._of_one(error, error) if _is_alone(error) else self.judge(error)
        return unknown(error) if found is None else found

    # The tables' facts, which complete a rule's verdict.

    def _tables(self) -> Walk:
        """Return the walk that asks only the tables: those of the rule, where it has any."""
        if self._filling is None:
            known = _tables_of(self.parts)
            alone = len(self.parts) == 1 and self.parts[0] is known
            self._filling = self if alone else Walk((known,), self.on_fault, self.ask)
        return self._filling

    def _known_of(self, error: Exception, seen: set[int]) -> tuple[bool | None, float | None]:
        """Return the tables' `applied` and hint of an error; `None` when they do not know it.

        Facts on a cause hold for the error: a rule that names an error stands for its causes as well.
        """
        applied: bool | None = None
        hint: float | None = None
        for link in (error, *_beneath(error)):
            if _several(link):
                return self._known_of_leaves(link, seen)
            known = self._tables()
            found = ask_guarded(known.parts[0], link, self.on_fault)
            if found is None:
                continue
            cause = known._cause_of_inherited(found, link)
            if applied is None and "applied" not in found.unsaid:
                applied = found.applied if cause is None or _is_known_by_words(found, link) else cause.applied
            for each in (found, cause):
                hint = each.retry_after if hint is None and each is not None else hint
            if not found.unsaid:  # only a registered rule may leave fields open to its causes
                break
        return applied, hint

    def _known_of_leaves(self, group: Any, seen: set[int]) -> tuple[bool | None, float | None]:
        if id(group) in seen:  # a group that causes one of its leaves
            return None, None
        seen.add(id(group))
        found = [self._known_of(leaf, seen) for leaf in self._leaves(group) or () if is_exception(leaf)]
        surely_not = bool(found) and all(applied is False for applied, _ in found)
        return not surely_not, max((hint for _, hint in found if hint is not None), default=None)


def _filled(found: Classification, applied: bool | None, hint: float | None) -> Classification:
    """Fill in the fields that a rule left open."""
    changes: dict[str, Any] = {}
    if "applied" in found.unsaid and applied is False:
        changes["applied"] = False
    if "retry_after" in found.unsaid and hint is not None:
        changes["retry_after"] = hint
    return found.but(**changes) if changes else found


def _joined(found: list[Classification], group: str) -> Classification:
    """Merge the classifications of a group's leaves into one."""
    for verdict in (Verdict.PERMANENT, Verdict.PENDING):
        for each in found:
            if each.verdict is verdict:
                return each.because(f"{each.reason} in {group}")
    longest = max(found, key=lambda each: each.retry_after or 0.0)
    return longest.but(
        applied=any(each.applied for each in found),
        reason=f"{longest.reason} in {group}",
        redact=any(each.redact for each in found),
    )
