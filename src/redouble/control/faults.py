"""Floor 3. The guard around code that redouble was handed: a rule, an observer, a clock, a curve, a logger.

Nothing that fails there hides the error of the operation. It is logged once, and the retried call goes on. What a
handler of a signal raises meanwhile is no fault of that code, and passes to the caller.
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
"""Called with every report, also one that was logged before: its text, and the error. A strict `fake_time` listens."""

_said: set[tuple[object, ...]] = set()
_saying: ContextVar[bool] = ContextVar("redouble.saying", default=False)
# Past classes that guard their attributes, and metaclasses that have their own.
_TRACEBACK: Any = BaseException.__dict__["__traceback__"]
_QUALNAME: Any = type.__dict__["__qualname__"]


def once(*key: object) -> bool:
    """Tell whether `key` is said for the first time; a key that cannot be hashed is known by its repr.

    Forgets all keys rather than grow without end.
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
    """Return the logger `redouble`; loads `logging`, so call it only for something that must be said."""
    import logging

    return logging.getLogger(LOGGER)


def loaded_logging() -> ModuleType | None:
    """Return `logging` if it is loaded; before that no program can have asked for lines below WARNING."""
    return sys.modules.get("logging")


def is_saying() -> bool:
    """Tell whether a line of redouble's is being written here: by this thread, task or greenlet."""
    return _saying.get()


def say(write: Callable[..., object], *values: object, **keywords: Any) -> None:
    """Call a method of a logger; redouble writes no other line before it returns.

    Without this a handler that ships its lines by a retried function never comes back: each failure would be a line.
    A context variable, not a lock or a thread's local: another task or greenlet may go on while a handler waits.
    """
    if _saying.get():
        return
    _saying.set(True)
    try:
        write(*values, **keywords)
    finally:
        _saying.set(False)


def warn(message: str, *values: object) -> None:
    """Log a warning; an `Exception` of the logging itself, such as of a filter, matters less than the call."""
    try:
        say(logger().warning, message, *values, stacklevel=3)
    except Exception as error:
        if raised_by_signal(error):
            raise


def report(kind: str, thing: object, error: BaseException, consequence: str, *, withhold: bool = False) -> None:
    """Log once per kind, thing and type of error that code handed to redouble raised.

    Call it where the error was caught. Raises no `Exception` but an error that the handler of a signal raised: that
    one is for the caller, and goes on from here.

    Args:
        kind: The role of the thing, such as `"observer"`.
        thing: The code that raised: it is named in the line.
        error: The error that it raised.
        consequence: How redouble goes on.
        withhold: Show the type of the error alone, since its message may contain what must not be logged.
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
    except Exception as fault:  # what cannot even be shown
        if raised_by_signal(fault):
            raise


def _tell(listener: Callable[[str, BaseException], object], line: str, error: BaseException) -> None:
    """Call a listener, whose own failure matters less than the call that the report is about."""
    try:
        listener(line, error)
    except Exception:
        return


def rule_raised(rule: Rule, error: Exception) -> None:
    """Report a rule: it counts as having no opinion. Where its `retry_after` alone raised, there is no hint."""
    if isinstance(rule, HintOf):
        report("hint of", checks.shown(rule.rule), error, "it is left out")
    else:
        report("rule", checks.shown(rule), error, "it counts as having no opinion")


def name_of(thing: object) -> str:
    """Return the name by which a log line calls a user's callable or object."""
    if isinstance(thing, str):
        return thing
    try:
        name = getattr(thing, "__qualname__", None)
    except Exception as error:  # an object that answers every name
        if raised_by_signal(error):
            raise
        name = None
    return name if isinstance(name, str) else checks.shown(thing)


def kind_name(thing: object) -> str:
    """Return the name of an object's type, whatever its class and metaclass say of themselves."""
    name: str = _QUALNAME.__get__(type(thing))
    return name


def raised_by_signal(error: BaseException) -> bool:
    """Tell whether the handler of a signal raised this error, such as Celery's `SoftTimeLimitExceeded`.

    It is seen in the error's own traceback, which then passes through a function that `signal.getsignal` names. A
    handler that was taken back meanwhile, as by a time limit within an observer, is none: its error is the observer's.
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
    """Return the code of a signal's handler: of a function, a method, a partial of one, or an object that is called."""
    try:
        while type(handler).__module__ == "functools" and hasattr(handler, "func"):
            handler = handler.func
        code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
    except Exception:  # an object of the user's that guards its attributes
        return None
    return code if isinstance(code, CodeType) else None
