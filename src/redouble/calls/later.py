"""Floor 4. Values that do their work after the retried call has ended: redouble warns of them once per function."""

from __future__ import annotations

from redouble.control import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.control.policy import Policy

_ADVICE = {
    "generator": "a generator, which does its work when it is iterated: write retry.opening(...), or return a list",
    "async_generator": "an async generator, which does its work when it is iterated: write retry.opening(...)",
    "_GeneratorContextManager": "a context manager, which does its work when it is entered: write retry.connect(...)",
    "_AsyncGeneratorContextManager": "a context manager, which does its work when it is entered: write retry.connect(...)",
    "Future": "a Future, whose work is done elsewhere: retry the function that is submitted",
}
"""The end of the warning, by the name of the value's class."""

_MODULES = {"builtins", "contextlib", "concurrent.futures._base"}


def tell_if_later(policy: Policy, name: str | None, value: object) -> None:
    """Warn once per function that the work of its returned value is not retried, and say how to write it instead.

    A policy with `observers=None` gives no warning.
    """
    kind = type(value)
    try:
        advice = _ADVICE.get(kind.__name__)
        known = advice is not None and kind.__module__ in _MODULES
        if known and policy.observers is not None and faults.once("later", name):
            faults.warn("%s: is not retried where it fails: it returns %s", name or "a retried call", advice)
    except Exception as error:  # a metaclass that hides its names
        if faults.raised_by_signal(error):
            raise
