"""On top of the floors: the translation of stamina's arguments into redouble's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from redouble.cli.migrate import curves
from redouble.cli.migrate.draft import OURS, Cannot, Draft, number
from redouble.cli.migrate.rules import CLASS, Condition, is_truth, types_in, write_on
from redouble.cli.migrate.shapes import Plan, Spelling, decorated, follow
from redouble.cli.migrate.source import bind

if TYPE_CHECKING:
    from redouble.cli.migrate.source import Ref, Source
    from redouble.cli.migrate.world import World

LIMITS = ("attempts", "timeout", "wait_initial", "wait_max", "wait_jitter", "wait_exp_base")
WORDS: dict[str, tuple[str, ...]] = {
    "retry": (),
    "retry_context": ("on", *LIMITS),
    "RetryingCaller": LIMITS,
    "AsyncRetryingCaller": LIMITS,
}
SPELLING = Spelling({"num": "number"}, False, {})


def translate(source: Source, ref: Ref, world: World) -> Plan:
    """Plan the rewriting of a use of `retry`, `retry_context`, a caller, `set_active` or `set_testing`.

    Raises:
        Cannot: Where redouble has no counterpart, or the source does not show the effect of the code.
    """
    plan = Plan()
    call = source.parent(ref.node)
    if not isinstance(call, cst.Call) or call.func is not ref.node:
        raise Cannot(f"{ref.name} is named, and not called")
    if ref.name in ("set_active", "set_testing"):
        _switch(source, ref, call, plan)
        return plan
    given = bind(source, call, WORDS[ref.name])
    draft = _policy(source, given, decorates=ref.name == "retry")
    plan.take(draft)
    if ref.name == "retry":
        function = decorated(source, call)
        plan.decorated = function.name.value if function is not None else ""
        plan.swaps[call] = draft.show()
    elif ref.name == "retry_context":
        follow(source, call, draft.show(), SPELLING, plan, world.mentions_elsewhere(source))
    else:
        plan.swaps[call] = draft.show()
        for use in _callers(source, call, world):
            _call(source, use, draft, call, plan)
    return plan


def _policy(source: Source, given: dict[str, cst.BaseExpression], decorates: bool) -> Draft:
    draft = Draft("stamina")
    unknown = set(given) - {"on", *LIMITS}
    if unknown:
        raise Cannot(f"{min(unknown)}= is not known")
    code = {name: source.code(node) for name, node in given.items()}
    if "on" in given:
        _write_on(source, draft, given["on"])
    attempts, timeout = code.get("attempts", "10"), code.get("timeout", "45")
    if attempts != "None" or timeout == "None":
        draft.write("attempts", attempts, "for ever, as before" if attempts == "None" else "")
    if number(timeout) == 0:
        draft.write("attempts", "1")
    elif timeout != "None":
        draft.write("deadline", timeout, "no wait ends after it, and a coroutine is cut off at it")
    spread, most = code.get("wait_jitter", "1"), code.get("wait_max", "5")
    first, base = code.get("wait_initial", "0.1"), code.get("wait_exp_base", "2")
    if number(spread) == 0:
        draft.write("backoff", curves.exponential(first, base, most, curves.NONE), "no jitter, as before")
    else:
        curve = curves.exponential(first, base, curves.NONE, curves.additive(spread))
        draft.write("backoff", curves.capped(curve, most), "stamina's waits")
    draft.keep_repeating(decorates)
    return draft


def _write_on(source: Source, draft: Draft, node: cst.BaseExpression) -> None:
    known = source.constant(node)
    code = source.code(node)
    if isinstance(known, cst.Tuple) or CLASS.fullmatch(code.rpartition(".")[2]):
        write_on(draft, [types_in(source, node)])
        return
    defined = source.functions.get(code)
    truth = (isinstance(known, cst.Lambda) and is_truth(source, known.body)) or (
        defined is not None and defined.returns is not None and source.code(defined.returns.annotation) == "bool"
    )
    if truth:
        write_on(draft, [Condition([], [], [code])])
    else:
        draft.write(
            "on", code, "where it gives seconds, they are a hint: at least the curve's wait, a tenth more at most"
        )


def _callers(source: Source, call: cst.Call, world: World) -> list[cst.CSTNode]:
    """Return the uses of a `RetryingCaller`: its calls, and those of its `on`."""
    up = source.parent(call)
    if isinstance(up, cst.Assign) and len(up.targets) == 1 and isinstance(up.targets[0].target, cst.Name):
        target = up.targets[0].target
        function = source.first_around(up, cst.FunctionDef)
        if function is None and world.mentions_elsewhere(source)(target.value):
            raise Cannot(f"other files may use {target.value}")
        uses = [use for use in source.uses(target.value) if use is not target]
        return [use for use in uses if function is None or function in source.around(use)]
    return [call]


def _call(source: Source, use: cst.CSTNode, draft: Draft, made: cst.Call, plan: Plan) -> None:
    up = source.parent(use)
    is_on = isinstance(up, cst.Attribute) and up.attr.value == "on"
    called = source.parent(up) if is_on and up is not None else up
    named = up if is_on else use
    if not isinstance(called, cst.Call) or called.func is not named or not called.args:
        raise Cannot("the caller is handed on")
    first, rest = called.args[0], called.args[1:]
    if first.star or first.keyword is not None or (is_on and rest):
        raise Cannot("the caller is handed on")
    own = Draft("stamina")
    _write_on(source, own, first.value)
    plan.reviews += own.reviews()
    if use is made:
        draft.fields["on"] = own.fields["on"]
        policy = draft.show()
    else:
        policy = f"{source.code(use)}(on={own.fields['on'][0]})"
    shown = ", ".join(source.code(arg).rstrip().rstrip(",") for arg in rest)
    plan.swaps.pop(use, None)
    plan.swaps[called] = f"{policy}.call" if is_on else f"{policy}.call({shown})"


def _switch(source: Source, ref: Ref, call: cst.Call, plan: Plan) -> None:
    """Plan the rewriting of `set_active(False)` and `set_testing(True)`, as a statement or as a context manager."""
    given = bind(source, call, ("active" if ref.name == "set_active" else "testing",))
    code = {name: source.code(node) for name, node in given.items()}
    if code == {"active": "False"}:
        head = f"{OURS}override(attempts=1, everywhere=True)"
    elif code.pop("testing", "") == "True" and code.pop("cap", "False") == "False" and set(code) <= {"attempts"}:
        attempts = code.get("attempts", "1")
        head = f"{OURS}override(attempts={attempts}, deadline=None, backoff={OURS}constant(0), everywhere=True)"
    else:
        raise Cannot(f"{ref.name} is undone by leaving `with override(...):` in redouble")
    up = source.parent(call)
    if isinstance(up, cst.WithItem) and up.asname is None:
        plan.swaps[call] = head
        return
    line = source.parent(up) if isinstance(up, cst.Expr) else None
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        raise Cannot(f"{ref.name} is used as a value")
    if source.first_around(line, cst.FunctionDef) is None:
        raise Cannot(f"{ref.name} is called for the whole program: enter `override(...)` where it begins")
    plan.wraps[line] = head
    plan.reviews.append(f"ends with the block, where {ref.name} stayed")
