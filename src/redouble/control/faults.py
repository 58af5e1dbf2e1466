"""Floor 3. What goes wrong in a user's rule, observer, clock or curve: logged once, and never in the way of the error."""

from __future__ import annotations

import sys

from redouble.core import checks
from redouble.core.verdict import HintOf

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from types import ModuleType

    from redouble.core.verdict import Rule

LOGGER = "redouble"

listeners: list[Callable[[str, BaseException], object]] = []
"""Called with every report, also one that was logged before: its text, and the error. A strict `fake_time` listens."""

_said: set[tuple[object, ...]] = set()


def once(*key: object) -> bool:
    """Whether this is the first time that `key` is said; forgets everything rather than grow without end."""
    if key in _said:
        return False
    if len(_said) >= 1000:
        _said.clear()
    _said.add(key)
    return True


def logger() -> logging.Logger:
    """The logger `redouble`; loads `logging`, so only for something that must be said."""
    import logging

    return logging.getLogger(LOGGER)


def warn(message: str, *values: object) -> None:
    """Log a warning. What goes wrong in the logging itself, such as in a filter, is swallowed: it matters less than the call."""
    try:
        logger().warning(message, *values, stacklevel=2)
    except Exception:
        return


def loaded_logging() -> ModuleType | None:
    """`logging`, when somebody loaded it; while nobody did, nobody can have asked for lines below WARNING."""
    return sys.modules.get("logging")


def name_of(thing: object) -> str:
    """What to call a user's callable or object in a log line."""
    if isinstance(thing, str):
        return thing
    try:
        name = getattr(thing, "__qualname__", None)
    except Exception:  # an object that answers every name
        name = None
    return name if isinstance(name, str) else checks.shown(thing)


def report(kind: str, thing: object, error: BaseException, consequence: str) -> None:
    """Log once per kind, thing and type of error that code handed to us raised, and what follows; raises no `Exception`."""
    name = name_of(thing)
    for listener in listeners:
        _tell(listener, f"{kind} {name} raised {checks.shown(error)}; {consequence}", error)
    if once(kind, name, type(error).__qualname__):
        warn("%s %s raised %s; %s", kind, name, checks.shown(error), consequence)


def _tell(listener: Callable[[str, BaseException], object], line: str, error: BaseException) -> None:
    """Call a listener, whose own failure matters less than the call that the report is about."""
    try:
        listener(line, error)
    except Exception:
        return


def rule_raised(rule: Rule, error: Exception) -> None:
    """A rule raised: it counts as having no opinion; where it was its `retry_after` alone, there is no hint."""
    if isinstance(rule, HintOf):
        report("hint of", checks.shown(rule.rule), error, "it is left out")
    else:
        report("rule", checks.shown(rule), error, "it counts as having no opinion")
