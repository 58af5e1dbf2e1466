"""On top of the floors: the rewriting of code that reaches into functions decorated by tenacity, mostly in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from redouble.cli.migrate.draft import OURS, Cannot
from redouble.cli.migrate.shapes import Plan
from redouble.cli.migrate.source import bind
from redouble.cli.migrate.tenacity import WORDS, Policy

if TYPE_CHECKING:
    from redouble.cli.migrate.source import Source
    from redouble.cli.migrate.world import Touch

PATCHED = {
    "tenacity.nap.time.sleep": "time.sleep",
    "tenacity.time.sleep": "time.sleep",
    "backoff._sync.time.sleep": "time.sleep",
    "stamina._core._t.nap.time.sleep": "time.sleep",
    "retrying.time.sleep": "time.sleep",
}
"""The names under which tests patch `time.sleep` itself, which redouble uses for waits in threads."""


def translate(touch: Touch) -> Plan:
    """Plan the rewriting of `fetch.retry_with(...)`, `fetch.retry.sleep = ...` and their kin.

    Raises:
        Cannot: Where redouble has no counterpart.
    """
    plan = Plan()
    source, node = touch.source, touch.node
    up = source.parent(node)
    if touch.path == "retry_with":
        _retry_with(source, node, up, plan)
    elif touch.path in ("retry.sleep", "retry.wait", "retry.stop"):
        _assigned(source, touch, up, plan)
    elif touch.path == "retry":
        _patched(source, node, up, plan)
    else:
        raise Cannot(f"{touch.path} has no counterpart: `outcome(error)` tells attempts and time")
    return plan


def _retry_with(source: Source, node: cst.Attribute, up: cst.CSTNode | None, plan: Plan) -> None:
    if not isinstance(up, cst.Call) or up.func is not node:
        raise Cannot("retry_with is named, and not called")
    draft = Policy(source, decorates=True).translate(bind(source, up, WORDS), changes=True)
    if not draft.fields:
        raise Cannot("retry_with changes nothing that redouble knows")
    code = source.code(node.value)
    plan.take(draft)
    plan.swaps[up] = f"{draft.show(f'{OURS}policy_of({code})')}({code}.__wrapped__)"


def _assigned(source: Source, touch: Touch, up: cst.CSTNode | None, plan: Plan) -> None:
    assign = source.parent(up) if isinstance(up, cst.AssignTarget) else None
    line = source.parent(assign) if isinstance(assign, cst.Assign) else None
    if not isinstance(assign, cst.Assign) or not isinstance(line, cst.SimpleStatementLine):
        raise Cannot(f"{touch.path} is read, which has no counterpart")
    _check_wrapped(source, line)
    plan.wraps[line] = _everywhere(source, line, _head(source, touch.path, assign.value))
    plan.reviews.append("ends with the block, where the change stayed")


def _head(source: Source, path: str, value: cst.BaseExpression) -> str:
    if path == "retry.stop":
        policy = Policy(source, decorates=False)
        policy.limit(value, True)
        fields = ", ".join(f"{name}={code}" for name, (code, _) in policy.draft.fields.items())
        return f"{OURS}override({fields})"
    if path == "retry.wait":
        if Policy(source, decorates=False).curve(value) != f"{OURS}constant(0)":
            raise Cannot("retry.wait is changed: write `with override(backoff=...):`")
    elif isinstance(value, cst.Name) and len(source.uses(value.value)) > 2:
        raise Cannot("retry.sleep is a stand-in that is asked later: `with fake_time() as clock:` has clock.sleeps")
    return f"{OURS}fake_time()"


def _check_wrapped(source: Source, line: cst.CSTNode) -> None:
    block = source.parent(line)
    if source.first_around(line, cst.FunctionDef) is None or not isinstance(block, cst.IndentedBlock):
        raise Cannot("it is changed for the whole program: write `with fake_time():` in each test")


def _everywhere(source: Source, line: cst.CSTNode, head: str) -> str:
    """Return the head of a scope; with `everywhere=True` in a fixture, which often runs outside its test's context."""
    function = source.first_around(line, cst.FunctionDef)
    if function is None or not any("fixture" in source.code(each.decorator) for each in function.decorators):
        return head
    return f"{head[:-1]}{', ' if head[-2] != '(' else ''}everywhere=True)"


def _patched(source: Source, node: cst.Attribute, up: cst.CSTNode | None, plan: Plan) -> None:
    """Plan `patch.object(fetch.retry, "sleep")` and `monkeypatch.setattr(fetch.retry, "sleep", ...)`."""
    call = source.parent(up) if isinstance(up, cst.Arg) else None
    if not isinstance(call, cst.Call) or len(call.args) < 2 or call.args[0].value is not node:
        raise Cannot("the retrying of a function is handed on")
    what = source.code(call.args[1].value).strip("\"'")
    if what not in ("sleep", "wait"):
        raise Cannot(f"retry.{what} is patched, which has no counterpart")
    above = source.parent(call)
    if isinstance(above, cst.WithItem) and above.asname is None:
        plan.swaps[call] = f"{OURS}fake_time()"
        return
    line = source.parent(above) if isinstance(above, cst.Expr) else None
    if not isinstance(line, cst.SimpleStatementLine):
        raise Cannot("the stand-in for the sleep is asked later: `with fake_time() as clock:` has clock.sleeps")
    _check_wrapped(source, line)
    plan.wraps[line] = _everywhere(source, line, f"{OURS}fake_time()")


def patched_name(node: cst.SimpleString) -> str | None:
    """Return the name in a string where it is inside of a retry library; `None` for any other string."""
    value = node.evaluated_value
    known = isinstance(value, str) and value.startswith(("tenacity.", "backoff.", "stamina.", "retrying."))
    return value if known and isinstance(value, str) else None
