"""Floor 2. What to write about an error that nothing knows: the advice that is logged once per function and type.

It is made from the rule in force, so that following it changes the verdict on this error and nothing else. A rule that
stands behind all others does that wherever they have no opinion; the usual form, in front of `known_errors`, is shown only
where it comes to the same.
"""

from __future__ import annotations

from redouble.core import checks
from redouble.core.causes import DEPTH, addresses, cause_of, is_exception, is_group, leaves
from redouble.core.verdict import Rule, Verdict, _Match, first_of, parts, transient, type_name
from redouble.known import known_errors
from redouble.known.classify import is_unknown, judge_exception
from redouble.known.dispatch import Known
from redouble.known.only import known_as
from redouble.known.registered import rules_for
from redouble.known.row import named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def advice(error: Exception, rule: Rule | None) -> str | None:
    """Return what to write about an error that no rule knows, so that it is retried, or that no more is said of it.

    `None` where `known_errors` is not in force (neither the rule nor a part of it): then the user has written all that is
    to be retried; and where some rule has an opinion, or none can be written that changes the verdict.

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
        f"if trying again can help, write on={_written('transient', rule, to_name)}, else"
        f" {_written('permanent', rule, to_name)} to be told no more{_of_context(error)}"
    )


def unknown_types(error: Exception, rule: Rule) -> list[type[Exception]]:
    """Return the types that have to be named: the error's own, or those of the leaves that no rule knows."""
    several = leaves(error) if is_group(error) else addresses(error)
    unknown = [each for each in several or [error] if is_exception(each) and is_unknown(judge_exception(each, rule))]
    return list(dict.fromkeys(type(each) for each in unknown))


def with_types(rule: Rule, kinds: list[type[Exception]], maker: Callable[..., Rule] = transient) -> Rule:
    """Return the rule that the advice shows, made."""
    if _may_stand_in_front(rule, kinds):
        return first_of(maker(*kinds), rule)
    exact = tuple(kinds)
    when = None if _have_no_heirs(kinds) else lambda error: type(error) in exact
    return first_of(rule, maker(*kinds, when=when))


def _written(maker: str, rule: Rule, kinds: list[type[Exception]]) -> str:
    names = ", ".join(map(_name, kinds))
    others = checks.shown(rule, 200)
    if _may_stand_in_front(rule, kinds):
        return f"{maker}({names}) | {others}"
    exact = "" if _have_no_heirs(kinds) else f", when=lambda error: type(error) in ({names},)"
    return f"{others} | {maker}({names}{exact})"


def _name(cls: type) -> str:
    try:
        from redouble.known.explain import importable_name

        return importable_name(cls)
    except Exception:  # a module that answers nonsense; no descriptor left
        return type_name(cls)


def _have_no_heirs(kinds: list[type[Exception]]) -> bool:
    """Whether no class is derived from these: then naming them names no other error."""
    return not any(type.__subclasses__(cls) for cls in kinds)


def _may_stand_in_front(rule: Rule, kinds: list[type[Exception]]) -> bool:
    """Whether a rule for these types says the same in front of the others as behind them."""
    if not _have_no_heirs(kinds) or any(known_as(cls) or rules_for(cls) for cls in kinds):
        return False
    return all(_says_nothing_of(part, kinds) for part in parts(rule))


def _says_nothing_of(part: Rule, kinds: list[type[Exception]]) -> bool:
    if isinstance(part, _Match):
        return bool(part.types) and not any(issubclass(cls, part.types) for cls in kinds)
    return isinstance(part, Known)


def _of_context(error: Any) -> str:
    """Name an error that was being handled when this one was raised, where `known_errors` would have known it as a cause."""
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
"""Where Python itself keeps these, so that no property of a subclass stands between."""
