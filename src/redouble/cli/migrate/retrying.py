"""On top of the floors: the translation of retrying's arguments into redouble's. retrying counts in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from redouble.cli.migrate import curves
from redouble.cli.migrate.draft import OURS, Cannot, Draft, number
from redouble.cli.migrate.rules import Condition, predicate, types_in, write_on, write_result
from redouble.cli.migrate.shapes import Plan, Spelling, decorated, follow
from redouble.cli.migrate.source import bind

if TYPE_CHECKING:
    from redouble.cli.migrate.source import Ref, Source
    from redouble.cli.migrate.world import World

KNOWN = {
    *("stop_max_attempt_number", "stop_max_delay", "wait_fixed", "wait_random_min", "wait_random_max"),
    *("wait_incrementing_start", "wait_incrementing_increment", "wait_incrementing_max"),
    *("wait_exponential_multiplier", "wait_exponential_max", "wait_jitter_max"),
    *("retry_on_exception", "retry_on_result", "wrap_exception"),
}
SHAPES = ("wait_fixed", "wait_random", "wait_incrementing", "wait_exponential")
SPELLING = Spelling({}, False, {"call": ".call"})


def translate(source: Source, ref: Ref, world: World) -> Plan:
    """Plan the rewriting of a use of `retry` or `Retrying`.

    Raises:
        Cannot: Where redouble has no counterpart, or the source does not show the effect of the code.
    """
    plan = Plan()
    up = source.parent(ref.node)
    call = up if isinstance(up, cst.Call) and up.func is ref.node else None
    given = bind(source, call, ("stop", "wait"))
    draft = _policy(source, given, decorates=ref.name == "retry")
    plan.take(draft)
    if ref.name == "Retrying":
        if call is None:
            raise Cannot("Retrying is named, and not called")
        follow(source, call, draft.show(), SPELLING, plan, world.mentions_elsewhere(source))
        return plan
    node = ref.node if call is None else call
    function = decorated(source, node)
    if function is None and call is None:
        raise Cannot("retry is handed on")
    plan.decorated = function.name.value if function is not None else ""
    plan.swaps[node] = draft.show()
    return plan


def _policy(source: Source, given: dict[str, cst.BaseExpression], decorates: bool) -> Draft:
    given = {name: node for name, node in given.items() if source.code(node) != "None"}
    draft = Draft("retrying")
    unknown = sorted(set(given) - KNOWN)
    if unknown:
        raise Cannot(f"{unknown[0]}= has no counterpart")
    code = {name: source.code(node) for name, node in given.items()}
    if code.get("wrap_exception", "False") != "False":
        raise Cannot("wrap_exception=: write `with gave_up_as(...):` around the call")
    _judge(source, given, draft)
    if "stop_max_attempt_number" in code:
        draft.write("attempts", code["stop_max_attempt_number"])
    if "stop_max_delay" in code:
        seconds = curves.divided(code["stop_max_delay"], 1000)
        if isinstance(given["stop_max_delay"], (cst.Name, cst.Attribute)) and number(seconds) is None:
            seconds = f"None if {code['stop_max_delay']} is None else {seconds}"
        draft.write("deadline", seconds, "no wait ends after it, and an attempt counts")
    if not {"stop_max_attempt_number", "stop_max_delay"} & set(code):
        draft.write("attempts", "None", "for ever, as before")
    curve = _curve(code)
    spread = code.get("wait_jitter_max", "0")
    if number(spread) != 0:
        curve = f"{curve}.jittered({curves.additive(curves.divided(spread, 1000))})"
    note = "no wait, as before" if curve == curves.constant("0") else ""
    draft.write("backoff", curve, "no jitter, as before" if "jitter=None" in curve else note)
    draft.keep_repeating(decorates)
    return draft


def _judge(source: Source, given: dict[str, cst.BaseExpression], draft: Draft) -> None:
    asked = given.get("retry_on_exception")
    if asked is None:
        write_on(draft, [Condition(["Exception"], [], [])], "retrying retries every Exception")
    elif isinstance(source.constant(asked), cst.Tuple):
        write_on(draft, [types_in(source, asked)])
    elif source.code(asked).rpartition(".")[2][:1].isupper():
        raise Cannot("retry_on_exception= is a class, which retrying calls, so that every error is retried")
    else:
        write_on(draft, [Condition([], [], [predicate(source, asked, draft)])])
    if "retry_on_result" in given:
        write_result(draft, [predicate(source, given["retry_on_result"], draft)])
        draft.write("unwanted", '"raise"', "raises Unwanted, where retrying raised RetryError")


def _curve(code: dict[str, str]) -> str:
    shapes = [shape for shape in SHAPES if any(word == shape or word.startswith(f"{shape}_") for word in code)]
    if len(shapes) > 1:
        raise Cannot(f"it waits the longest of several waits: {', '.join(shapes)}")
    if not shapes:
        return curves.constant("0")
    if shapes[0] == "wait_fixed":
        return curves.constant(curves.divided(code["wait_fixed"], 1000))
    if shapes[0] == "wait_random":
        least, most = code.get("wait_random_min", "0"), code.get("wait_random_max", "1000")
        return curves.between(curves.divided(least, 1000), curves.divided(most, 1000))
    if shapes[0] == "wait_incrementing":
        start, step = code.get("wait_incrementing_start", "0"), code.get("wait_incrementing_increment", "100")
        longest = code.get("wait_incrementing_max")
        cap = "" if longest is None else f", maximum={curves.divided(longest, 1000)}"
        shown = [curves.not_negative(curves.divided(each, 1000)) for each in (start, step)]
        return f"{OURS}linear({shown[0]}, step={shown[1]}{cap})"
    first = curves.divided(code.get("wait_exponential_multiplier", "1"), 1000, times=2)
    most = code.get("wait_exponential_max", "1073741823")
    return curves.exponential(first, "2", curves.divided(most, 1000), curves.NONE)
