"""Floor 3. The guard around the user's code that redouble calls: a rule, an observer, a clock, a curve, a logger.

An error in such code never hides the error of the operation: it is logged once, and the retried call goes on. An error
that a signal handler raises meanwhile is not that code's, and passes to the caller.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from types import CodeType

from redouble.control.masking import clean
from redouble.core import checks
from redouble.core.verdict import HintOf

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from redouble.core.verdict import Rule

LOGGER = "redouble"
LONGEST_ERROR = 80

listeners: list[Callable[[str, BaseException], object]] = []
"""Called with the text and the error of every report, even one logged before. A strict `fake_time` listens."""

_said: set[tuple[object, ...]] = set()
_saying: ContextVar[bool] = ContextVar("redouble.saying", default=False)
# Read past classes that guard their attributes, and metaclasses that define their own.
_TRACEBACK: Any = BaseException.__dict__["__traceback__"]
_QUALNAME: Any = type.__dict__["__qualname__"]


def once(*key: object) -> bool:
    """Tell whether `key` is new, and remember it; a key that cannot be hashed is remembered by its repr.

    After 1000 keys it forgets all of them, so that it cannot grow without end.
    """
    try:
        return _is_new(key)
    except Exception:  # a hash or a comparison of the user's
        return _is_new(tuple(map(checks.shown, key)))


def _is_new(key: tuple[object, ...]) -> bool:
    if key in _said:
        return False
    if len(_said) >= 1000:
        _said.clear()
    _said.add(key)
    return True


def logger() -> logging.Logger:
    """Return the logger `redouble`; this loads `logging`, so call it only to write a line."""
    import logging

    return logging.getLogger(LOGGER)


def loaded_logging() -> ModuleType | None:
    """Return `logging` if it is loaded; until then no program can have asked for lines below WARNING."""
    return sys.modules.get("logging")


def is_saying() -> bool:
    """Tell whether this thread, task or greenlet is writing a line of redouble's."""
    return _saying.get()


def say(write: Callable[..., object], *values: object, **keywords: Any) -> None:
    """Call a method of a logger; redouble writes no other line here before the method returns.

    Otherwise a handler that ships its lines by a retried function would never return: each failure would be a line.
    A context variable, not a lock or a thread-local: another task or greenlet may log while a handler waits.
    """
    if _saying.get():
        return
    _saying.set(True)
    try:
        write(*values, **keywords)
    finally:
        _saying.set(False)


def warn(message: str, *values: object) -> None:
    """Log a warning; an `Exception` in logging itself, such as in a filter, is dropped for the sake of the call."""
    try:
        say(logger().warning, message, *values, stacklevel=3)
    except Exception as error:
        if raised_by_signal(error):
            raise


def report(kind: str, thing: object, error: BaseException, consequence: str, *, withhold: bool = False) -> None:
    """Log an error that a user's code raised, once per kind, thing and type of error.

    Call it where the error was caught. It raises no `Exception`, except an error that a signal handler raised: that
    one is meant for the caller, and is raised again here.

    Args:
        kind: The role of the code, such as `"observer"`.
        thing: The code that raised; the line names it.
        error: The error that it raised.
        consequence: How redouble goes on.
        withhold: Show only the type of the error, because its message may contain a secret.
    """
    if raised_by_signal(error):
        raise error
    try:
        name = name_of(thing)
        for listener in listeners:
            _tell(listener, f"{kind} {name} raised {checks.shown(error)}; {consequence}", error)
        if once(kind, name, kind_name(error)):
            text = kind_name(error) if withhold else clean(checks.shown(error), LONGEST_ERROR)
            warn("%s %s raised %s; %s", kind, name, text, consequence)
    except Exception as fault:  # an error or an object that cannot even be shown
        if raised_by_signal(fault):
            raise


def _tell(listener: Callable[[str, BaseException], object], line: str, error: BaseException) -> None:
    """Call a listener; its own failure is dropped for the sake of the retried call."""
    try:
        listener(line, error)
    except Exception:
        return


def rule_raised(rule: Rule, error: Exception) -> None:
    """Report a rule that raised: it has no opinion. If only its `retry_after` raised, there is no hint."""
    if isinstance(rule, HintOf):
        report("hint of", checks.shown(rule.rule), error, "it is left out")
    else:
        report("rule", checks.shown(rule), error, "it counts as having no opinion")


def name_of(thing: object) -> str:
    """Return the name of a user's callable or object for a log line."""
    if isinstance(thing, str):
        return thing
    try:
        name = getattr(thing, "__qualname__", None)
    except Exception as error:  # an object that guards its attributes
        if raised_by_signal(error):
            raise
        name = None
    return name if isinstance(name, str) else checks.shown(thing)


def kind_name(thing: object) -> str:
    """Return the real name of an object's type, even where its class or metaclass hides it."""
    name: str = _QUALNAME.__get__(type(thing))
    return name


def raised_by_signal(error: BaseException) -> bool:
    """Tell whether a signal handler raised this error, such as Celery's `SoftTimeLimitExceeded`.

    Then the error's traceback passes through a function that `signal.getsignal` returns. A handler that has been
    uninstalled meanwhile, as by a time limit within an observer, does not count: the error is the observer's.
    """
    signal: Any = sys.modules.get("signal")
    at = _TRACEBACK.__get__(error)
    if signal is None or at is None:
        return False
    codes = [code for each in map(signal.getsignal, signal.valid_signals()) if (code := _code_of(each)) is not None]
    while codes and at is not None:
        if any(at.tb_frame.f_code is code for code in codes):  # equal code may be another function's
            return True
        at = at.tb_next
    return False


def _code_of(handler: Any) -> CodeType | None:
    """Return the code of a signal handler: a function, a method, a partial of one, or a callable object."""
    try:
        while type(handler).__module__ == "functools" and hasattr(handler, "func"):
            handler = handler.func
        code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
    except Exception:  # a user's object that guards its attributes
        return None
    return code if isinstance(code, CodeType) else None
