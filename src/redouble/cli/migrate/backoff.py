"""On top of the floors: the translation of backoff's arguments into redouble's, for backoff 2 and python-backoff 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from redouble.cli.migrate import curves
from redouble.cli.migrate.draft import OURS, Cannot, Draft, number, without_counterpart
from redouble.cli.migrate.rules import Condition, predicate, types_in, write_on
from redouble.cli.migrate.shapes import Plan, Spelling, decorated, follow
from redouble.cli.migrate.source import bind

if TYPE_CHECKING:
    from redouble.cli.migrate.source import Ref, Source
    from redouble.cli.migrate.world import World

POSITIONS = {
    "on_exception": ("wait_gen", "exception"),
    "on_predicate": ("wait_gen", "predicate"),
    "retry_context": ("exception", "wait_gen"),
    "aretry_context": ("exception", "wait_gen"),
}
HANDLERS = ("on_backoff", "on_giveup", "on_success", "on_try")
OTHERS = {
    *("max_tries", "max_time", "jitter", "giveup", "raise_on_giveup", "logger", "backoff_log_level"),
    *("giveup_log_level", "wait_gen", "exception", "predicate"),
}
WAITS = {
    "expo": {"base", "factor", "max_value"},
    "fibo": {"max_value"},
    "constant": {"interval"},
    "runtime": {"value"},
}
SPELLING = Spelling({}, False, {})


class Policy:
    """Translates the arguments of one call into a draft."""

    def __init__(self, source: Source, kind: str, given: dict[str, cst.BaseExpression]) -> None:
        self.source = source
        self.kind = kind
        self.given = given
        self.draft: Draft = Draft("backoff")

    def translate(self) -> Draft:
        """Return the draft."""
        for handler in HANDLERS:
            if handler in self.given and self._code(handler) != "None":
                raise without_counterpart(handler, "is a handler of its own")
        if self._code("raise_on_giveup", "True") != "True":
            raise Cannot("raise_on_giveup= has no counterpart; write an `except` around the call")
        self._limits()
        shape, arguments = self._waits()
        hint = f"retry_after={arguments['value']}" if shape == "runtime" else ""
        if self.kind == "on_predicate":
            self._judge_results(hint)
        else:
            self._judge_errors(hint)
        self._backoff(shape, arguments)
        self._logs()
        self.draft.keep_repeating(decorates=self.kind.startswith("on_"))
        return self.draft

    def _judge_errors(self, hint: str) -> None:
        source = self.source
        node = self.given.get("exception")
        if node is None and self.kind == "on_exception":
            raise Cannot("it names no exception")
        met = Condition(["Exception"], [], []) if node is None else types_in(source, node)
        if "giveup" in self.given:
            met = met.joined(Condition([], [], [predicate(source, self.given["giveup"], self.draft, negated=True)]))
        write_on(self.draft, [met], extra=hint)

    def _judge_results(self, hint: str) -> None:
        write_on(self.draft, [])
        asked = self.given.get("predicate")
        if asked is None or self.source.full_name(asked) == "operator.not_":
            when = "lambda value: not value"
        else:
            when = predicate(self.source, asked, self.draft)
        self.draft.write("result", f"{OURS}transient(when={when}, {hint})" if hint else when)

    def _limits(self) -> None:
        tries, time = self._limit("max_tries"), self._limit("max_time")
        if number(tries) == 0:
            tries = "None"  # backoff compares with ==
        if tries != "None":
            self.draft.write("attempts", tries)
        if number(time) == 0:
            self.draft.write("attempts", "1")
        elif time != "None":
            self.draft.write("deadline", time, "counts the attempt just made, and a coroutine is cut off at it")
        if "attempts" not in self.draft.fields and time == "None":
            self.draft.write("attempts", "None", "for ever, as before")

    def _limit(self, word: str) -> str:
        node = self.given.get(word)
        if node is None:
            return "None"
        known = self.source.constant(node)
        if isinstance(known, cst.Lambda) or (isinstance(known, cst.Name) and known.value in self.source.functions):
            raise Cannot(f"{word}= is a function, asked at each call")
        return self.source.code(node)

    def _waits(self) -> tuple[str, dict[str, str]]:
        """Return the name of the generator of waits, and the code of its arguments."""
        node = self.given.get("wait_gen")
        path = "backoff.expo" if node is None else self.source.full_name(node) or ""
        name = path.rpartition(".")[2]
        if not path.startswith("backoff.") or name not in WAITS:
            raise Cannot(f"wait_gen={self.source.code(node) if node is not None else name} has no counterpart")
        rest = {word for word in self.given if word not in OTHERS and word not in HANDLERS}
        if rest - WAITS[name]:
            raise Cannot(f"{min(rest - WAITS[name])}= is not known")
        return name, {word: self._limit(word) if word != "value" else self._code(word) for word in rest}

    def _backoff(self, shape: str, given: dict[str, str]) -> None:
        if shape == "runtime":
            self.draft.write("backoff", curves.constant("0"))
            self.draft.write("max_hint", "None", "the wait is the server's with up to a tenth more, never less")
            return
        jitter, note = self._jitter(), ""
        most = given.get("max_value", curves.NONE)
        if shape == "expo":
            within = jitter if jitter in (curves.FULL, curves.NONE) else curves.NONE
            curve = curves.exponential(given.get("factor", "1"), given.get("base", "2"), most, within)
        elif shape == "fibo":
            curve = f"{OURS}fibonacci(1{'' if most == curves.NONE else f', maximum={most}'})"
        else:
            curve = self._constant(given.get("interval", "1"))
        if jitter not in (curves.FULL, curves.NONE) or (shape != "expo" and jitter == curves.FULL):
            curve = f"{curve}.jittered({jitter})"
        if jitter == curves.NONE:
            note = "no jitter, as before"
        self.draft.write("backoff", curve, note)

    def _constant(self, interval: str) -> str:
        node = self.given.get("interval")
        known = None if node is None else self.source.constant(node)
        if isinstance(known, (cst.List, cst.Tuple)):
            waits = [self.source.code(item.value) for item in known.elements]
            return f"{OURS}sequence({', '.join(waits)})"
        if known is not None and number(interval) is None and not isinstance(known, (cst.Integer, cst.Float)):
            self.draft.note("interval must be one number")
        return curves.constant(interval)

    def _jitter(self) -> str:
        node = self.given.get("jitter")
        if node is None:
            return curves.FULL
        if self.source.code(node) == "None":
            return curves.NONE
        path = self.source.full_name(node) or ""
        if path.startswith("backoff.") and path.endswith(".full_jitter"):
            return curves.FULL
        if path.startswith("backoff.") and path.endswith(".random_jitter"):
            return curves.additive("1")
        raise Cannot(f"jitter={self.source.code(node)} has no counterpart")

    def _logs(self) -> None:
        logger, level = self._code("logger", '"backoff"'), self._code("backoff_log_level", "")
        if logger == "None":
            self.draft.write("observers", "None")
            return
        if "giveup_log_level" in self.given:
            self.draft.note("the end is logged as a WARNING")
        if "logger" in self.given or level:
            if "logger" not in self.given:
                logger = '"backoff"'
            self.draft.write("observers", f"[{OURS}log_retries({logger}{f', {level}' if level else ''})]")

    def _code(self, word: str, default: str = "None") -> str:
        node = self.given.get(word)
        return default if node is None else self.source.code(node)


def translate(source: Source, ref: Ref, world: World) -> Plan:
    """Plan the rewriting of a use of `on_exception`, `on_predicate`, `retry_context` or `aretry_context`.

    Raises:
        Cannot: Where redouble has no counterpart, or the source does not show the effect of the code.
    """
    plan = Plan()
    call = source.parent(ref.node)
    if not isinstance(call, cst.Call) or call.func is not ref.node:
        raise Cannot(f"{ref.name} is named, and not called")
    draft = Policy(source, ref.name, bind(source, call, POSITIONS[ref.name])).translate()
    plan.take(draft)
    if ref.name in ("on_exception", "on_predicate"):
        function = decorated(source, call)
        plan.decorated = function.name.value if function is not None else ""
        plan.swaps[call] = draft.show()
    else:
        follow(source, call, draft.show(), SPELLING, plan, world.mentions_elsewhere(source))
    return plan
