"""The guard: whatever of ours fails between catching the operation's error and raising it, that error comes out."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, retry
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble.testing import FakeClock

MODULES = [
    "calls.call",
    "calls.tracebacks",
    "control.curves",
    "control.events",
    "control.faults",
    "control.mark",
    "control.tally",
    "known.classify",
    "core.verdict",
    "core.causes",
]


GUARD = {"strip", "let_go"}
"""The last things that are done, on the way out: they are the guard itself, and catch what fails within them."""


class Injected(RuntimeError):  # noqa: N818  # what it is
    """What fails in a helper."""


def helpers() -> Iterator[tuple[str, str]]:
    """Every function of these modules, and every method of their classes, as (module, dotted name)."""
    for name in MODULES:
        module = import_module(f"redouble.{name}")
        for key, value in vars(module).items():
            if getattr(value, "__module__", None) not in (module.__name__, "redouble"):
                continue
            if inspect.isfunction(value) and key not in GUARD:
                yield name, key
            elif inspect.isclass(value) and not issubclass(value, BaseException):
                methods = [each for each, does in vars(value).items() if inspect.isfunction(does)]
                yield from ((name, f"{key}.{each}") for each in methods if each not in GUARD)


def users_of(name: str) -> list[Any]:
    """The places in which a function of a module is known under its name."""
    import sys

    modules = [module for key, module in list(sys.modules.items()) if key.startswith("redouble.")]
    return [module for module in modules if name in vars(module)]


@pytest.mark.parametrize(("module", "name"), [pytest.param(*each, id=".".join(each)) for each in helpers()])
def test_a_helper_that_fails_hides_no_error(
    surface: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    """The operation's own error is raised, whichever helper raises instead of its work, from the first failure on."""
    down = [ConnectionResetError("down") for _ in range(3)]
    armed = False

    def break_it(owner: Any, key: str) -> None:
        whole = owner.__dict__[key]

        def broken(*args: Any, **kwargs: Any) -> Any:
            if armed:
                raise Injected(name)
            return whole(*args, **kwargs)

        monkeypatch.setattr(owner, key, broken)

    first, _, method = name.partition(".")
    owner = import_module(f"redouble.{module}")
    if method:
        break_it(getattr(owner, first), method)
    else:
        original = getattr(owner, first)
        for user in users_of(first):
            if vars(user)[first] is original:
                break_it(user, first)
    play = scripted(*down)

    def operation() -> Any:
        nonlocal armed
        armed = True
        return play()

    error = surface.fail(retry(attempts=3, backoff=constant(1)), operation)
    armed = False
    assert error in down
