"""Floor 2. Advice on how to have an error judged otherwise: for the log, the note, `explain` and the docs.

`change` makes all of it, from the rule in force. Following the advice changes the verdict on this error, and on errors
of the same meaning, and no other verdict:

- an error that no rule knows is named by its type, in a rule behind all others, which leaves their verdicts unchanged;
  the usual form, in front of `known_errors`, is shown only where it is equivalent;
- an error known by its class alone, or by a rule of the user's, is named by exactly that class, in front;
- an error known by its contents (a status, an errno) is named by the reason that `classify` gives for it.
"""

from __future__ import annotations

import sys

from redouble.core import checks
from redouble.core.causes import DEPTH, addresses, cause_of, is_exception, is_group, leaves
from redouble.core.verdict import Rule, Verdict, _Match, first_of, parts, transient, type_name
from redouble.known import known_errors
from redouble.known.classify import classify, is_unknown, judge_exception
from redouble.known.dispatch import Known, entry_of
from redouble.known.only import known_as
from redouble.known.registered import rules_for
from redouble.known.row import named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.request import Sent


def advice(error: Exception, rule: Rule | None) -> str | None:
    """Return the line to write so that an error that no rule knows is retried, or no longer reported.

    `None` where `known_errors` is not in force (as the rule, or a part of it): then the user has listed all errors to
    retry. `None` also where some rule has an opinion, or no rule can be written that changes the verdict.

    >>> Busy = type("Busy", (Exception,), {"__module__": "shop"})
    >>> print(advice(Busy(), known_errors).partition(", else ")[0])
    if trying again can help, write on=transient(shop.Busy) | known_errors
    """
    if rule is None or not any(isinstance(part, Known) for part in parts(rule)):
        return None
    if not is_unknown(judge_exception(error, rule)):
        return None
    to_name = unknown_types(error, rule)
    if not to_name or judge_exception(error, with_types(rule, to_name)).verdict is not Verdict.TRANSIENT:
        return None
    return (
        f"if trying again can help, write on={change(error, rule, 'transient')}, else"
        f" {change(error, rule, 'permanent')} to be told no more{_of_context(error)}"
    )


def change(error: Exception, rule: Rule, maker: str, said: str = "") -> str:
    """Return the code of a rule that changes the verdict on this error, and on no other.

    Args:
        error: The error.
        rule: The rule in force.
        maker: The rule's name: `transient` or `permanent`.
        said: Further arguments of that rule, as code: `applied=False`.

    >>> change(ConnectionRefusedError(111, "x"), known_errors, "permanent")
    'permanent(ConnectionRefusedError) | known_errors'
    >>> change(OSError(28, "disk full"), known_errors, "transient")
    "transient(OSError, when=lambda error: classify(error).reason == 'OSError [ENOSPC]') | known_errors"
    """
    found = judge_exception(error, rule)
    if is_unknown(found):
        return _written(maker, rule, unknown_types(error, rule) or [type(error)], said)
    name = _name(type(error))
    return f"{maker}({', '.join(filter(None, (name, _when(error, found, name, maker), said)))}) | {checks.shown(rule, 200)}"


def _when(error: Exception, found: Classification, name: str, maker: str) -> str:
    """Return the condition that tells a known error from others of its class; empty where there are no others."""
    if found.row is not None and not _is_fixed(error, found, maker):
        return f"when=lambda error: classify(error).reason == {classify(error).reason!r}"
    if found.row is not None and all(entry_of(heir) is entry_of(type(error)) for heir in _heirs(type(error))):
        return ""  # a class that inherits its meaning means the same
    return f"when=lambda error: type(error) is {name}"


def _is_fixed(error: Exception, found: Classification, maker: str) -> bool:
    """Return whether the class of an error tells all: its table reads only that, or Python gives its errno a class.

    A connection error raised over a refused certificate must stay permanent: a rule that makes others of its class
    transient must not name it.
    """
    entry, cls = entry_of(type(error)), type(error)
    if " under " in found.reason or (maker == "transient" and issubclass(cls, (ConnectionError, TimeoutError))):
        return False
    return entry is None or entry.word.fixed or (cls.__module__ == "builtins" and cls is not OSError)


def unknown_types(error: Exception, rule: Rule) -> list[type[Exception]]:
    """Return the types to name: the error's own, or those of the leaves that no rule knows."""
    several = leaves(error) if is_group(error) else addresses(error)
    unknown = [each for each in several or [error] if is_exception(each) and is_unknown(judge_exception(each, rule))]
    return list(dict.fromkeys(type(each) for each in unknown))


def with_types(rule: Rule, kinds: list[type[Exception]], maker: Callable[..., Rule] = transient) -> Rule:
    """Build the rule that the advice shows as code."""
    if _may_stand_in_front(rule, kinds):
        return first_of(maker(*kinds), rule)
    exact = tuple(kinds)
    when = None if _have_no_heirs(kinds) else lambda error: type(error) in exact
    return first_of(rule, maker(*kinds, when=when))


def _written(maker: str, rule: Rule, kinds: list[type[Exception]], said: str = "") -> str:
    names, besides = ", ".join(map(_name, kinds)), f", {said}" if said else ""
    others = checks.shown(rule, 200)
    if _may_stand_in_front(rule, kinds):
        return f"{maker}({names}{besides}) | {others}"
    exact = "" if _have_no_heirs(kinds) else f", when=lambda error: type(error) in ({names},)"
    return f"{others} | {maker}({names}{exact}{besides})"


def importable_name(cls: type) -> str:
    """Return the shortest dotted name that imports a class: `httpx.ConnectError`, though it is defined deeper."""
    module = cls.__module__
    if not isinstance(module, str) or module in ("builtins", "__main__"):
        return cls.__qualname__
    packages = module.split(".")
    for length in range(1, len(packages)):
        prefix = ".".join(packages[:length])
        if getattr(sys.modules.get(prefix), cls.__qualname__, None) is cls:
            return f"{prefix}.{cls.__qualname__}"
    return f"{module}.{cls.__qualname__}"


def _name(cls: type) -> str:
    try:
        return importable_name(cls)
    except Exception:  # a module that answers nonsense
        return type_name(cls)


def _have_no_heirs(kinds: list[type[Exception]]) -> bool:
    """Return whether no class is derived from these: then naming them names no other error."""
    return not any(map(_derived, kinds))


def _heirs(cls: type) -> Iterator[type]:
    """Yield all classes that are derived from a class."""
    for heir in _derived(cls):
        yield heir
        yield from _heirs(heir)


def _derived(cls: type) -> list[type]:
    """Return the classes that the program has derived from a class so far."""
    return type.__subclasses__(cls)


def _may_stand_in_front(rule: Rule, kinds: list[type[Exception]]) -> bool:
    """Return whether a rule for these types is equivalent in front of the others and behind them."""
    if not _have_no_heirs(kinds) or any(known_as(cls) or rules_for(cls) for cls in kinds):
        return False
    return all(_says_nothing_of(part, kinds) for part in parts(rule))


def _says_nothing_of(part: Rule, kinds: list[type[Exception]]) -> bool:
    if isinstance(part, _Match):
        return bool(part.types) and not any(issubclass(cls, part.types) for cls in kinds)
    return isinstance(part, Known)


def _of_context(error: Any) -> str:
    """Name the error that was being handled when this one was raised, if `known_errors` would know it as a cause."""
    known = _known_context(error)
    if known is None:
        return ""
    name = named(known)
    return f"; it was raised while {name} was handled, which is known: raise it from that (`raise ... from error`)"


def _known_context(error: Any) -> Exception | None:
    link, seen = error, [error]
    for _ in range(DEPTH):
        if cause_of(link) is not None or _SUPPRESSED(link):
            return None
        link = _CONTEXT(link)
        if not is_exception(link) or any(link is before for before in seen):
            return None
        if judge_exception(link, known_errors).verdict is Verdict.TRANSIENT:
            return link
        seen.append(link)
    return None


_CONTEXT: Any = BaseException.__dict__["__context__"].__get__
_SUPPRESSED: Any = BaseException.__dict__["__suppress_context__"].__get__
"""Python's own descriptor, so that no property of a subclass is in the way."""


def advice_unsafe(
    error: BaseException | None,
    idempotent: bool | None,
    sent: Sent | None = None,
    used: str | None = None,
    rule: Rule | None = known_errors,
) -> str:
    """Return the end of the note of `UNSAFE`: the finding, and the code that has this failure retried.

    Args:
        error: The error that was raised; `None`: a result was returned.
        idempotent: The policy's field.
        sent: Whether an unsafe request was seen; `None`: redouble did not look, or the method is not visible.
        used: The argument that is used up, as `used_up` names it; `None`: none is used up.
        rule: The rule in force.

    >>> advice_unsafe(TimeoutError(), None, used="body")
    'body is used up: hand in a function that makes it, or write idempotent=True if it is rewound'
    >>> advice_unsafe(ConnectionAbortedError(), False)
    "it may have been done: write idempotent=True if it can be done twice, or on=transient(ConnectionAbortedError, \
when=lambda error: classify(error).reason == 'ConnectionAbortedError', applied=False) | known_errors if it was surely not done"
    """
    if used is not None:
        return f"{used} is used up: hand in a function that makes it, or write idempotent=True if it is rewound"
    return f"{_seen(idempotent, sent)}: {', or '.join(_ways(error, idempotent, rule))}"


def _seen(idempotent: bool | None, sent: Sent | None) -> str:
    if idempotent is False:
        return "it may have been done"
    if sent is None or not sent.unsafe:
        return "it may have been done, and no method is seen that can be repeated"
    return "a POST or PATCH was sent, " + ("under a key that is not yours" if sent.keys else "without a key")


def _ways(error: BaseException | None, idempotent: bool | None, rule: Rule | None) -> list[str]:
    ways = ["write idempotent=True if it can be done twice"]
    if idempotent is None:
        ways.append("send redouble.idempotency_key(value) along")
    if is_exception(error) and rule is not None:
        ways.append(f"on={_not_applied(error, rule)} if it was surely not done")
    return ways


def _not_applied(error: Exception, rule: Rule) -> str:
    try:
        return change(error, rule, "transient", "applied=False")
    except Exception:  # no stack left, or a class that hides its name
        return "transient(..., applied=False)"
