"""The loops of sync.py and aio.py are twins: without `async` and `await` their syntax trees are equal.

Up to the differences that are listed here, each with its reason. A difference that is no longer there fails the test, too.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest


class Difference(NamedTuple):
    """A statement of one twin, what stands for it in the other ("" for nothing), and why."""

    sync: str
    aio: str
    why: str


ATTEMPT = "value = fn(*args, **kwargs)"

LOOP = [
    Difference(
        "eager = not is_plain(policy)",
        "eager = not is_plain(policy) or is_cut(policy)",
        "only asyncio can cut an attempt off, for which its time limit must be set before it begins",
    ),
    Difference(
        "run = begin(policy, name, kwargs, call, first=True) if eager or scope.overriding else None",
        "run = begin(policy, name, kwargs, call, asynchronous=True, first=True) if eager or scope.overriding else None",
        "as above",
    ),
    Difference(
        "run = begin(policy, name, kwargs, call)",
        "run = begin(policy, name, kwargs, call, asynchronous=True)",
        "as above",
    ),
    Difference(
        ATTEMPT,
        """
try:
    value = fn(*args, **kwargs)
except CancelledError as cancelled:
    if run is None or not run.cut_off(cancelled) or run.cut is None:
        raise
    raise run.cut from run.cause(cancelled)
""",
        "a cancellation by the attempt's time limit becomes that limit's error",
    ),
    Difference("plain: type | None = None", "", "what comes back decides: only there can it come as a surprise"),
    Difference("nonlocal plain", "", "as above"),
    Difference(
        """
if type(value) is not plain:
    if is_awaitable(value):
        return _carry_on(policy, name, call, value, fn, args, kwargs)
    plain = None if type(value) is GENERATOR else type(value)
""",
        "",
        "as above",
    ),
]

WAIT = [
    Difference("delay = run.delay", "", "the next one looks at it twice"),
    Difference(
        """
if delay > 0.0:
    if run.alert:
        _warn_in_event_loop(run)
        run.clock.sleep(delay, thread_event(run.policy.stop))
    else:
        time.sleep(delay)
""",
        """
if run.alert:
    run.clock.sleep_async(run.delay, run.policy.stop)
else:
    asyncio.sleep(run.delay)
""",
        "a synchronous wait of 0 s is none, one of asyncio lets others run; a synchronous one may block an event loop",
    ),
    Difference(
        "",
        """
if run.closing is not None:
    closing, run.closing = run.closing, None
    _finished(closing, run.policy.result)
""",
        "only the response of an asyncio client has a connection whose closing is awaited",
    ),
]

NEXT = [
    Difference(
        "self._begin(asynchronous=False)", "self._begin(asynchronous=True)", "only asyncio can cut an attempt off"
    ),
    Difference(
        """
if self._run.alert:
    _warn_of_for_in_coroutine(self._run, sys._getframe(1).f_code.co_flags)
""",
        "",
        "only a `for` can be a forgotten `async for`",
    ),
]

TWINS = [
    ("retrying", "retrying", LOOP),
    ("wait", "wait", WAIT),
    ("Block.__next__", "Block.__anext__", NEXT),
    ("Block.__iter__", "Block.__aiter__", []),
]

SPELLINGS = {"StopAsyncIteration": "StopIteration", "__anext__": "__next__", "__aiter__": "__iter__"}


class Strip(ast.NodeTransformer):
    """Takes `async`, `await` and docstrings away."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.visit_FunctionDef(ast.FunctionDef(**vars(node)))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        node.name = SPELLINGS.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)  # type: ignore[no-any-return]

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self.generic_visit(ast.For(**vars(node)))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self.generic_visit(ast.With(**vars(node)))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(SPELLINGS.get(node.id, node.id), node.ctx)


class Replace(ast.NodeTransformer):
    """Puts statements in place of others, and counts how often."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = {ast.unparse(ast.parse(old)): ast.parse(new).body for old, new in pairs if old}
        self.used: list[str] = []

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:  # type: ignore[override]
        if isinstance(node, ast.stmt) and (text := ast.unparse(node)) in self.pairs:
            self.used.append(text)
            return self.pairs[text]
        return super().visit(node)  # type: ignore[no-any-return]


def definition(module: str, name: str) -> ast.AST:
    """A function of ours, by its qualified name, stripped."""
    spec = find_spec(f"redouble.wrappers.{module}")
    assert spec is not None and spec.origin is not None
    node: ast.AST = ast.parse(Path(spec.origin).read_bytes())
    for part in name.split("."):
        named = [each for each in ast.iter_child_nodes(node) if getattr(each, "name", None) == part]
        assert len(named) == 1, f"{module}.py has no {name}"
        node = named[0]
    return Strip().visit(node)  # type: ignore[no-any-return]


def alike(sync: ast.AST, aio: ast.AST, differences: list[Difference]) -> tuple[str, str, list[str]]:
    """Both as text, the listed differences made equal, and those that were not found exactly once."""
    without = Replace([(each.sync, "") for each in differences if not each.aio])
    replaced = Replace([(each.aio, each.sync) for each in differences])
    texts = [ast.unparse(ast.fix_missing_locations(by.visit(tree))) for by, tree in ((without, sync), (replaced, aio))]
    used = without.used + replaced.used
    expected = [ast.unparse(ast.parse(each.aio or each.sync)) for each in differences]
    return texts[0], texts[1], [each for each in expected if used.count(each) != 1]


@pytest.mark.parametrize(("sync", "aio", "differences"), TWINS, ids=[twin[0] for twin in TWINS])
def test_the_twins_are_alike(sync: str, aio: str, differences: list[Difference]) -> None:
    """Whatever one loop does, the other one does at the same place."""
    one, other, stale = alike(definition("sync", sync), definition("aio", aio), differences)
    assert one == other
    assert stale == [], "listed, but not found exactly once"


CARRIED_ON = [
    Difference(
        "run = begin(policy, name, kwargs, call, first=True) if eager or scope.overriding else None", "", "has one"
    ),
    Difference("call: list[Any] = [monotonic()]", "", "is handed over by the synchronous wrapper"),
    Difference("if run is None:\n    run = begin(policy, name, kwargs, call)", "", "has one"),
    Difference("nonlocal plain", "", "asks whatever comes back"),
    Difference(
        """
if type(value) is not plain:
    if is_awaitable(value):
        return _carry_on(policy, name, call, value, fn, args, kwargs)
    plain = None if type(value) is GENERATOR else type(value)
""",
        "",
        "as above",
    ),
    Difference("if run is not None:\n    run.let_go()", "run.let_go()", "always has a run"),
    Difference(
        "if run is None or run.returned(value):\n    return value",
        "if run.returned(value):\n    return value",
        "as above",
    ),
    Difference("", "run = begin(policy, name, kwargs, call)", "takes over what the synchronous wrapper began"),
    Difference("", "run.become_asynchronous()", "as above"),
    Difference("", "given = None", "the first attempt is the one that gave something to await"),
    Difference(
        ATTEMPT,
        """
try:
    if given is None:
        given = fn(*args, **kwargs)
    value = given if is_awaitable(given) else given
except CancelledError as cancelled:
    if not run.cut_off(cancelled) or run.cut is None:
        raise
    raise run.cut from run.cause(cancelled)
""",
        "as above, and as in the asynchronous wrapper",
    ),
]


def test_carrying_on_is_alike() -> None:
    """What goes on in asyncio where a synchronous wrapper began is the same loop, too."""
    differences = CARRIED_ON
    sync, aio = definition("sync", "retrying"), definition("aio", "carry_on")
    wrapper = next(each for each in ast.walk(sync) if getattr(each, "name", None) == "wrapper")
    one, other, stale = alike(wrapper, aio, differences)
    assert one.splitlines()[1:] == other.splitlines()[1:]
    assert stale == [], "listed, but not found exactly once"


def test_the_comparison_finds_differences() -> None:
    """A loop that forgets something, or a listed difference that is gone, is found."""
    whole, less = (
        "async def f():\n    while await g():\n        await h()\n",
        "def f():\n    while g():\n        pass\n",
    )

    def compare(*differences: Difference) -> tuple[bool, list[str]]:
        one, other, stale = alike(Strip().visit(ast.parse(less)), Strip().visit(ast.parse(whole)), list(differences))
        return one == other, stale

    listed = Difference("pass", "h()", "a reason")
    assert compare() == (False, [])
    assert compare(listed) == (True, [])
    assert compare(listed, Difference("x", "y", "gone")) == (True, ["y"])
    loops = "async def f():\n    async for x in y:\n        async with x:\n            raise StopAsyncIteration\n"
    plain = "def f():\n    for x in y:\n        with x:\n            raise StopIteration\n"
    assert ast.unparse(Strip().visit(ast.parse(loops))) == ast.unparse(ast.parse(plain))
