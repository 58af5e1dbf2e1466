"""Floor 2. The rules that libraries bring for their own exceptions: `register`, and the order in which they are asked.

The state is one value that is replaced as a whole, so that a thread that reads it while another registers sees the old
state or the new one. The rules found for a type are cached inside that value, and dropped with it.
"""

from __future__ import annotations

from _thread import allocate_lock

from redouble.core import checks
from redouble.core.verdict import Rule, as_rule, ask_guarded, parts
from redouble.known.row import CACHE_SIZE
from redouble.known.table import TableRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from redouble.core.verdict import Classification, Fault, RuleLike
    from redouble.known.row import Asking

    Registered: TypeAlias = tuple[tuple[str, Rule], ...]


class _State:
    """The registered rules, the latest first; and for each type met so far, the rules to ask."""

    __slots__ = ("by_type", "pairs")

    def __init__(self, pairs: Registered) -> None:
        self.pairs: Registered = pairs
        self.by_type: dict[type, Registered] = {}


state: _State = _State(())
"""The current state."""

_lock = allocate_lock()


def register(rule: RuleLike, *, package: str) -> Callable[[], None]:
    """Teach `known_errors` the meaning of a library's exceptions; for that library to call when it is imported.

    From then on the rule is asked about every error with a class from `package` in its MRO, before the tables of
    `known_errors`: a package outranks redouble's own table for it. A rule that the user writes in front
    (`permanent(mylib.Busy) | known_errors`) is asked earlier. Where several packages have a class in the MRO, the
    package of the nearest class is asked first; of several rules for one package, the latest.

    Registering the same rule for the same package again has no effect. Registration is thread-safe, and holds for the
    process.

    Args:
        rule: Anything that is accepted as a rule, except `known_errors`, which asks it. A fault in it counts as no
            opinion, and is logged once.
        package: The library's top package, as it is imported: `mylib` for `mylib.errors.Busy`. One of the standard
            library counts as any other, `builtins` apart.

    Returns:
        A callable that removes the rule, for tests; a second call has no effect.

    Raises:
        TypeError: When `rule` does not stand for a rule, or `package` is not a string.
        ValueError: When `package` is not the name of a top package; when it is `builtins`, which has classes in the MRO
            of all errors; when `rule` contains `known_errors`.

    >>> from redouble import classify, transient
    >>> Busy = type("Busy", (Exception,), {"__module__": "mylib.errors"})
    >>> unregister = register(transient(Busy, applied=False), package="mylib")
    >>> classify(Busy()).verdict
    Verdict.TRANSIENT
    >>> unregister()
    >>> classify(Busy()).verdict
    Verdict.PERMANENT
    """
    pair = (_package(package), _rule(rule))
    with _lock:
        if pair not in state.pairs:
            _replace((pair, *state.pairs))

    def unregister() -> None:
        with _lock:
            _replace(tuple(each for each in state.pairs if each != pair))

    return unregister


def _replace(pairs: Registered) -> None:
    global state
    state = _State(pairs)


def _package(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"package must be the name of a top package, got {checks.shown(name)}")
    if not name.isidentifier():
        raise ValueError(f"package must be the name of a top package, without dots, got {checks.shown(name)}")
    if name == "builtins":
        raise ValueError(
            "package must not be 'builtins', whose classes are in the MRO of everybody's errors: write the rule in front"
            " of known_errors instead"
        )
    return name


def _rule(given: Any) -> Rule:
    rule = as_rule("rule", given)
    if any(getattr(part, "asks_registered", False) for part in parts(rule)):
        raise ValueError("rule must not contain known_errors, which is what asks it: register only the library's own")
    return rule


def rules_for(cls: type) -> Registered:
    """Return the rules to ask about errors of this type, in order, each with its package."""
    present = state
    try:
        found = present.by_type.get(cls)
        if found is None:
            found = _find(cls, present.pairs)
            if len(present.by_type) >= CACHE_SIZE:
                present.by_type.clear()
            present.by_type[cls] = found
    except Exception:  # a metaclass that hides its names or refuses to be hashed
        return ()
    return found


def _find(cls: type, pairs: Registered) -> Registered:
    if not issubclass(cls, BaseException):
        return ()
    packages = dict.fromkeys(base.__module__.partition(".")[0] for base in cls.__mro__)
    return tuple(pair for package in packages for pair in pairs if pair[0] == package)


def ask(error: Any, on_fault: Fault | None, known: Asking) -> Classification | None:
    """Return the opinion of the registered rules on an error; `None` when none has one.

    Rules that are tables ask `known` about errors beneath: it counts the depth.
    """
    for _, rule in rules_for(type(error)):
        found = ask_guarded(rule.over(known) if isinstance(rule, TableRule) else rule, error, on_fault)
        if found is not None:
            return found
    return None
