"""The guard: whatever of ours fails between catching the operation's error and raising it, that error comes out."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, retry
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


class Bench:
    """All helpers of these modules, each in a wrapper that notes its calls, and raises where it is the one to break."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed = False
        self.broken: str | None = None
        self.called: dict[str, None] = {}  # in their order
        for module, name in helpers():
            first, _, method = name.partition(".")
            owner = import_module(f"redouble.{module}")
            whole = getattr(owner, first).__dict__[method] if method else getattr(owner, first)
            known_to = (
                [getattr(owner, first)] if method else [user for user in users_of(first) if vars(user)[first] is whole]
            )
            for place in known_to:
                monkeypatch.setattr(place, method or first, self.wrapped(f"{module}.{name}", whole))

    def wrapped(self, name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def helper(*args: Any, **kwargs: Any) -> Any:
            if self.armed:
                self.called[name] = None
                if name == self.broken:
                    raise Injected(name)
            return whole(*args, **kwargs)

        return helper

    def play(self, surface: Any, broken: str | None = None) -> None:
        """Fail three times by this way in, with one helper broken from the first failure on."""
        down = [ConnectionResetError("down") for _ in range(3)]
        play, self.broken = scripted(*down), broken

        def operation() -> Any:
            self.armed = True
            return play()

        error = surface.fail(retry(attempts=3, backoff=constant(1)), operation)
        self.armed = False
        assert error in down, f"{broken} raised instead of its work, and {error!r} came out"


def helpers() -> Iterator[tuple[str, str]]:
    """Every function of these modules, and every method of their classes, as (module, dotted name)."""
    for name in MODULES:
        module = import_module(f"redouble.{name}")
        for key, value in list(vars(module).items()):
            if getattr(value, "__module__", None) not in (module.__name__, "redouble"):
                continue
            if inspect.isfunction(value) and key not in GUARD:
                yield name, key
            elif inspect.isclass(value) and not issubclass(value, BaseException):
                methods = [each for each, does in vars(value).items() if inspect.isfunction(does)]
                yield from ((name, f"{key}.{each}") for each in methods if each not in GUARD)


def users_of(name: str) -> list[Any]:
    """The places in which a function of a module is known under its name."""
    modules = [module for key, module in list(sys.modules.items()) if key.startswith("redouble.")]
    return [module for module in modules if name in vars(module)]


def test_a_helper_that_fails_hides_no_error(surface: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operation's own error is raised, whichever helper raises instead of its work, from the first failure on.

    Only those are broken, one after the other, that are called when nothing is broken: no other one can fail first.
    """
    surface.fail(retry(attempts=2, backoff=constant(1)), scripted(OSError(), OSError()))  # loads what is loaded late
    bench = Bench(monkeypatch)
    bench.play(surface)
    called = list(bench.called)
    assert {"control.tally.Tally.decide", "known.classify.judge_exception"} <= set(called) and len(called) > 50
    for name in called:
        bench.play(surface, name)
