"""On top of the floors: the translation of tenacity's arguments into redouble's, strategy by strategy.

The formulas are those of tenacity 9's `wait.py`, `stop.py` and `retry.py`; n is the number of the failed attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from redouble.cli.migrate import curves
from redouble.cli.migrate.draft import OURS, Cannot, Draft, number, without_counterpart
from redouble.cli.migrate.rules import Condition, none_of, predicate, types_in, write_on, write_result
from redouble.cli.migrate.shapes import Plan, Spelling, decorated, follow
from redouble.cli.migrate.source import bind

if TYPE_CHECKING:
    from redouble.cli.migrate.source import Ref, Source
    from redouble.cli.migrate.world import Catch, World

WORDS = (
    *("sleep", "stop", "wait", "retry", "before", "after", "before_sleep", "reraise", "retry_error_cls"),
    *("retry_error_callback", "name", "enabled"),
)
"""The parameters of `Retrying`, in their order."""

OWN_ERROR = "raises the last error itself, not RetryError"
NOTHING = {"before_nothing", "after_nothing", "before_sleep_nothing"}
SLEEPS = {"time.sleep", "asyncio.sleep", "trio.sleep", "tenacity.nap.sleep", "tenacity.sleep", "anyio.sleep"}


class Meant(NamedTuple):
    """The meaning of a `retry=` strategy: conditions on errors, and predicates of results."""

    errors: list[Condition]
    results: list[str]


class Policy:
    """Translates the arguments of one call into a draft."""

    def __init__(self, source: Source, decorates: bool, block: bool = False) -> None:
        self.source = source
        self.draft: Draft = Draft("tenacity")
        self.decorates = decorates
        self.block = block
        self.swallows: bool = False
        """Whether an unwanted result is returned at the end."""

    def translate(self, given: dict[str, cst.BaseExpression], changes: bool = False) -> Draft:
        """Return the draft.

        Args:
            given: The arguments by name.
            changes: Write only the given arguments: they change an existing policy, as with `retry_with`.
        """
        unknown = set(given) - set(WORDS)
        if unknown:
            raise Cannot(f"{min(unknown)}= is not known")
        self._end(given)
        self.limit(given.get("stop"), changes)
        self._wait(given.get("wait"), changes)
        self._retry(given.get("retry"), changes)
        self._hooks(given)
        self._sleep(given.get("sleep"))
        if "name" in given and not self._is_none(given["name"]):
            self.draft.write("name", self.source.code(given["name"]))
        if not changes:
            self.draft.keep_repeating(self.decorates)
            self._say_how_it_ends(given)
        return self.draft

    # The end of a call.

    def _end(self, given: dict[str, cst.BaseExpression]) -> None:
        if "enabled" in given and not self._is(given["enabled"], "True"):
            raise Cannot("enabled= has no counterpart: `with override(attempts=1):`")
        if "retry_error_cls" in given and not self._names(given["retry_error_cls"], "RetryError"):
            raise without_counterpart("retry_error_cls")
        callback = given.get("retry_error_callback")
        if callback is None or self._is_none(callback):
            return
        if not self._hands_out_outcome(callback):
            raise without_counterpart("retry_error_callback")
        self.swallows = True

    def _hands_out_outcome(self, callback: cst.BaseExpression) -> bool:
        """Tell whether a callback is `lambda state: state.outcome.result()`, the default end of redouble's calls."""
        known = self.source.constant(callback)
        if isinstance(known, cst.Name) and known.value in self.source.functions:
            function = self.source.functions[known.value]
            params, lines = function.params.params, getattr(function.body, "body", ())
            lines = [line for line in lines if isinstance(line, cst.SimpleStatementLine)]
            last = lines[-1].body[0] if lines and len(getattr(function.body, "body", ())) == 1 else None
            value = last.value if isinstance(last, cst.Return) else None
        elif isinstance(known, cst.Lambda):
            params, value = known.params.params, known.body
        else:
            return False
        return (
            len(params) == 1
            and value is not None
            and self.source.code(value) == (f"{params[0].name.value}.outcome.result()")
        )

    def _say_how_it_ends(self, given: dict[str, cst.BaseExpression]) -> None:
        fields = self.draft.fields
        ends = fields.get("attempts", ("", ""))[0] != "None" or "deadline" in fields or "stop" in fields
        if ends and not self.reraises(given) and not self.swallows and self.draft.fields["on"][0] != "None":
            self.draft.note(OWN_ERROR)

    def reraises(self, given: dict[str, cst.BaseExpression]) -> bool:
        """Tell whether the caller gets the operation's own error at the end."""
        return self._is(given.get("reraise"), "True")

    # The limits.

    def limit(self, node: cst.BaseExpression | None, changes: bool) -> None:
        """Write the limits of a `stop=`; all limits where they change an existing policy."""
        if node is None and changes:
            return
        limits = self._limits(node)
        if changes:
            limits = {"attempts": "None", "deadline": "None"} | limits
        for field in ("attempts", "deadline", "stop"):
            if field in limits:
                self.draft.write(field, limits[field], self._about(field, limits[field]))
        if not limits.keys() & {"attempts", "deadline"}:
            self.draft.write("attempts", "None", "for ever, as before")

    def _about(self, field: str, code: str) -> str:
        if field == "deadline" and code != "None":
            return "no wait ends after it, and a coroutine is cut off at it"
        return "ends a wait at once, too" if field == "stop" else ""

    def _limits(self, node: cst.BaseExpression | None) -> dict[str, str]:
        node = None if node is None else self.source.constant(node)
        if node is None or self._is_none(node) or self._names(node, "stop_never"):
            return {}
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
            return self._whichever(self._limits(node.left), self._limits(node.right))
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitAnd):
            return self._both(self._limits(node.left), self._limits(node.right))
        made = self._made(node, "stop=")
        call = node if isinstance(node, cst.Call) else None
        if made == "stop_any" and call is not None and not any(arg.star for arg in call.args):
            limits: dict[str, str] = {}
            for arg in call.args:
                limits = self._whichever(limits, self._limits(arg.value))
            return limits
        if made == "stop_after_attempt":
            return {"attempts": self._at_least_once(self._argument(call, "max_attempt_number"))}
        if made in ("stop_after_delay", "stop_before_delay"):
            seconds = self._argument(call, "max_delay")
            return {"attempts": "1"} if number(seconds) == 0 else {"deadline": curves.not_negative(seconds)}
        if made == "stop_when_event_set":
            return {"stop": self._argument(call, "event")}
        raise Cannot(f"stop={made} has no counterpart")

    def _at_least_once(self, code: str) -> str:
        value = number(code)
        return "1" if value is not None and value < 1 else code

    def _whichever(self, one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
        both = one | other
        for field in one.keys() & other.keys():
            values = [number(one[field]), number(other[field])]
            if None in values:
                raise Cannot(f"stop= has two limits of one kind: {one[field]} and {other[field]}")
            both[field] = one[field] if (values[0] or 0) <= (values[1] or 0) else other[field]
        return both

    def _both(self, one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
        if not one or not other:
            return {}  # one side never stops
        raise Cannot("stop= wants two limits at once (&), where redouble takes whichever comes first")

    # The waits.

    def _wait(self, node: cst.BaseExpression | None, changes: bool) -> None:
        if node is None and changes:
            return
        curve = self.curve(node)
        note = ""
        if curve == f"{OURS}constant(0)":
            note = "no wait, as before"
        elif "jitter=None" in curve:
            note = "no jitter, as before"
        self.draft.write("backoff", curve, note)

    def curve(self, node: cst.BaseExpression | None) -> str:
        """Return the code of the curve for a `wait=`."""
        node = None if node is None else self.source.constant(node)
        if node is None or self._is_none(node) or self._is(node, "0"):
            return curves.constant("0")
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            return f"{self.curve(node.left)} + {self.curve(node.right)}"
        made = self._made(node, "wait=")
        call = node if isinstance(node, cst.Call) else None
        if made == "wait_none":
            return curves.constant("0")
        if made == "wait_fixed":
            return curves.constant(self._argument(call, "wait"))
        if made == "wait_combine" and call is not None and not any(arg.star for arg in call.args):
            return " + ".join(self.curve(arg.value) for arg in call.args)
        if made == "wait_chain" and call is not None:
            return curves.in_turn([curve for arg in call.args for curve in self._links(arg)])
        shapes = {
            "wait_random": self._random,
            "wait_incrementing": self._incrementing,
            "wait_exponential": self._exponential,
            "wait_random_exponential": self._random_exponential,
            "wait_full_jitter": self._random_exponential,
            "wait_exponential_jitter": self._exponential_jitter,
        }
        if made not in shapes:
            raise Cannot(f"wait={made} has no counterpart")
        return shapes[made](call)

    def _random(self, call: cst.Call | None) -> str:
        """Return the code of `min + U(0, 1) * (max - min)`."""
        given = self._given(call, ("min", "max"))
        return curves.between(given.get("min", "0"), given.get("max", "1"))

    def _incrementing(self, call: cst.Call | None) -> str:
        """Return the code of `max(0, min(start + increment * (n - 1), max))`."""
        given = self._given(call, ("start", "increment", "max"))
        start, step = given.get("start", "0"), given.get("increment", "100")
        most = f", maximum={curves.not_negative(given['max'])}" if "max" in given else ""
        return f"{OURS}linear({curves.not_negative(start)}, step={curves.not_negative(step)}{most})"

    def _exponential(self, call: cst.Call | None) -> str:
        """Return the code of `max(min, min(multiplier * exp_base**(n - 1), max))`."""
        given = self._given(call, ("multiplier", "max", "exp_base", "min"))
        curve = self._raised(given, curves.NONE)
        return curves.at_least(curve, given.get("min", "0"))

    def _random_exponential(self, call: cst.Call | None) -> str:
        """Return the code of `U(min, max(min, min(multiplier * exp_base**(n - 1), max)))`."""
        given = self._given(call, ("multiplier", "max", "exp_base", "min"))
        least = given.get("min", "0")
        if number(least) != 0:
            self.draft.note("waits lie within the same bounds, but more of them at the least one")
        return curves.at_least(self._raised(given, curves.FULL), least)

    def _raised(self, given: dict[str, str], jitter: str) -> str:
        return curves.exponential(
            given.get("multiplier", "1"), given.get("exp_base", "2"), given.get("max", curves.NONE), jitter
        )

    def _exponential_jitter(self, call: cst.Call | None) -> str:
        """Return the code of `max(min, min(multiplier * exp_base**(n - 1) + U(0, jitter), max))`."""
        given = self._given(call, ("initial", "max", "exp_base", "jitter", "min", "multiplier"))
        initial = given.get("initial", given.get("multiplier", "1"))
        spread = given.get("jitter", "1")
        jitter = curves.NONE if number(spread) == 0 else curves.additive(spread)
        curve = curves.exponential(initial, given.get("exp_base", "2"), curves.NONE, jitter)
        return curves.at_least(curves.capped(curve, given.get("max", curves.NONE)), given.get("min", "0"))

    def _links(self, arg: cst.Arg) -> list[str]:
        """Return the curves of a chain for one of its arguments."""
        if arg.star == "":
            return [self.curve(arg.value)]
        return self._list(arg.value)

    def _list(self, node: cst.BaseExpression) -> list[str]:
        node = self.source.constant(node)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            return self._list(node.left) + self._list(node.right)
        if isinstance(node, (cst.List, cst.Tuple)) and all(isinstance(item, cst.Element) for item in node.elements):
            return [self.curve(item.value) for item in node.elements]
        times = self._times(node) if isinstance(node, cst.ListComp) else 0
        if times and isinstance(node, cst.ListComp):
            return [self.curve(node.elt)] * times
        raise Cannot("wait=wait_chain(...) is made of waits that are not spelled out")

    def _times(self, node: cst.ListComp) -> int:
        """Return the length of `[... for _ in range(3)]`; 0 for any other."""
        loop, made = node.for_in, node.for_in.iter
        if not isinstance(made, cst.Call) or self.source.code(made.func) != "range" or len(made.args) != 1:
            return 0
        times = number(self.source.code(made.args[0].value)) or 0
        names = {each.value for each in self.source.within(node.elt) if isinstance(each, cst.Name)}
        plain = not loop.ifs and loop.inner_for_in is None and self.source.code(loop.target) not in names
        return int(times) if plain and times < 100 else 0

    # The conditions of a retry.

    def _retry(self, node: cst.BaseExpression | None, changes: bool) -> None:
        if node is None and changes:
            return
        if node is None or self._is_none(node):
            write_on(self.draft, [Condition(["Exception"], [], [])], "tenacity retries every Exception")
            return
        meant = self._meant(node)
        write_on(self.draft, meant.errors)
        if not meant.results:
            if changes:
                self.draft.write("result", "None")
            return
        if self.block:
            raise Cannot("it judges results in a block: hand them over by `attempt.result(value)`")
        write_result(self.draft, meant.results)
        if not self.swallows:
            self.draft.write("unwanted", '"raise"', "raises Unwanted, where tenacity raised RetryError")

    def _meant(self, node: cst.BaseExpression) -> Meant:
        node = self.source.constant(node)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.BitOr, cst.BitAnd)):
            sides = [self._meant(node.left), self._meant(node.right)]
            return _any(sides) if isinstance(node.operator, cst.BitOr) else _all(sides)
        made = self._made(node, "retry=")
        call = node if isinstance(node, cst.Call) else None
        if made in ("retry_any", "retry_all") and call is not None and not any(arg.star for arg in call.args):
            sides = [self._meant(arg.value) for arg in call.args]
            return _any(sides) if made == "retry_any" else _all(sides)
        if made == "retry_never":
            return Meant([], [])
        if made in ("retry_if_result", "retry_if_not_result"):
            asked = self._argument_node(call, "predicate")
            return Meant([], [predicate(self.source, asked, self.draft, made == "retry_if_not_result")])
        return Meant([self._condition(made, call)], [])

    def _condition(self, made: str, call: cst.Call | None) -> Condition:
        source = self.source
        if made == "retry_if_exception":
            asked = self._argument_node(call, "predicate")
            return Condition([], [], [predicate(source, asked, self.draft)])
        if made in ("retry_if_exception_type", "retry_if_not_exception_type"):
            given = bind(source, call, ("exception_types",))
            types = given.get("exception_types")
            if made == "retry_if_exception_type":
                return Condition(["Exception"], [], []) if types is None else types_in(source, types)
            if types is None:
                raise Cannot("it retries no Exception at all")
            self.draft.note("Ctrl-C and cancellations pass")
            return none_of(source, types)
        if made == "retry_if_exception_message":
            given = bind(source, call, ("message", "match"))
            code = {name: source.code(node) for name, node in given.items()}
            if list(code) == ["message"]:
                return Condition([], [], [f"lambda error: str(error) == {code['message']}"])
        raise Cannot(f"retry={made} has no counterpart")

    # The callbacks.

    def _hooks(self, given: dict[str, cst.BaseExpression]) -> None:
        logs: list[str] = []
        for word in ("before", "after", "before_sleep"):
            hook = given.get(word)
            if hook is None or self._is_none(hook) or any(self._names(hook, name) for name in NOTHING):
                continue
            hook = self.source.constant(hook)
            name = self.source.full_name(hook.func) if isinstance(hook, cst.Call) else None
            last = (name or "").rpartition(".")[2]
            if last not in ("before_log", "after_log", "before_sleep_log") or not isinstance(hook, cst.Call):
                raise without_counterpart(word, "is a hook of its own")
            logs.append(self._log(hook))
            if last != "before_sleep_log":
                self.draft.note(f"logs retries and the end, where {last} logged each attempt")
        if logs:
            self.draft.write("observers", f"[{', '.join(dict.fromkeys(logs))}]")

    def _log(self, hook: cst.Call) -> str:
        given = self._given(hook, ("logger", "log_level", "exc_info", "sec_format"))
        if "logger" not in given:
            raise Cannot("a hook of it logs without a logger")
        parts = [given["logger"], *([given["log_level"]] if "log_level" in given else [])]
        if given.get("exc_info", "False") != "False":
            parts.append(f"exc_info={given['exc_info']}")
        self._check_logger(bind(self.source, hook, ("logger",) + ("",) * 3)["logger"])
        return f"{OURS}log_retries({', '.join(parts)})"

    def _check_logger(self, node: cst.BaseExpression) -> None:
        known = self.source.constant(node)
        name = self.source.full_name(known.func if isinstance(known, cst.Call) else known) or ""
        if name.partition(".")[0] == "loguru":
            raise Cannot("it logs to loguru, which is no logging.Logger")

    def _sleep(self, node: cst.BaseExpression | None) -> None:
        if node is not None and self.source.full_name(node) not in SLEEPS:
            raise without_counterpart("sleep", "is of its own")

    # The arguments.

    def _made(self, node: cst.BaseExpression, word: str) -> str:
        """Return the name of the strategy in an expression: a call of it, or the strategy itself."""
        named = node.func if isinstance(node, cst.Call) else node
        path = self.source.full_name(named) or ""
        if not path.startswith("tenacity."):
            raise Cannot(f"{word}{self.source.code(node).splitlines()[0][:40]} is not known here")
        if path.startswith(("tenacity.asyncio.", "tenacity._asyncio.")) and ".retry_" in path:
            raise Cannot("its predicate is awaited, which no rule does")
        return path.rpartition(".")[2]

    def _given(self, call: cst.Call | None, names: tuple[str, ...]) -> dict[str, str]:
        given = bind(self.source, call, names)
        unknown = set(given) - set(names)
        if unknown:
            raise Cannot(f"{min(unknown)}= is not known")
        return {name: self.source.code(node) for name, node in given.items()}

    def _argument_node(self, call: cst.Call | None, name: str) -> cst.BaseExpression:
        given = bind(self.source, call, (name,))
        if set(given) != {name}:
            raise Cannot(f"a strategy of it lacks its {name}")
        return given[name]

    def _argument(self, call: cst.Call | None, name: str) -> str:
        return self.source.code(self._argument_node(call, name))

    def _names(self, node: cst.BaseExpression, name: str) -> bool:
        path = self.source.full_name(node) or ""
        return path.startswith("tenacity.") and path.rpartition(".")[2] == name

    def _is(self, node: cst.BaseExpression | None, code: str) -> bool:
        return node is not None and self.source.code(self.source.constant(node)) == code

    def _is_none(self, node: cst.BaseExpression) -> bool:
        return self._is(node, "None")


def _any(sides: list[Meant]) -> Meant:
    return Meant([each for side in sides for each in side.errors], [each for side in sides for each in side.results])


def _all(sides: list[Meant]) -> Meant:
    if all(len(side.errors) == 1 and not side.results for side in sides):
        joined = sides[0].errors[0]
        for side in sides[1:]:
            joined = joined.joined(side.errors[0])
        return Meant([joined], [])
    raise Cannot("retry= wants several strategies at once (&)")


# The call sites.

SPELLING = Spelling({"retry_state.attempt_number": "number"}, True, {"wraps": "", "call": ".call"})


def translate(source: Source, ref: Ref, world: World) -> Plan:
    """Plan the rewriting of a use of `retry`, `Retrying` or `AsyncRetrying`.

    Raises:
        Cannot: Where redouble has no counterpart, or the source does not show the effect of the code.
    """
    world.refuse_try_again(source)
    plan = Plan()
    up = source.parent(ref.node)
    call = up if isinstance(up, cst.Call) and up.func is ref.node else None
    if ref.name == "retry":
        _decorator(source, ref.node, call, plan, world)
    elif call is None:
        raise Cannot(f"{ref.name} is named, and not called")
    else:
        _object(source, call, plan, world)
    return plan


def _decorator(source: Source, named: cst.BaseExpression, call: cst.Call | None, plan: Plan, world: World) -> None:
    node = named if call is None else call
    function = decorated(source, node)
    if call is None and function is None:
        raise Cannot("retry is handed on")
    direct = call is not None and len(call.args) == 1 and not call.args[0].star and call.args[0].keyword is None
    if direct and function is not None:
        raise Cannot("it is given something by position")
    given = {} if direct else bind(source, call, WORDS)
    policy = Policy(source, decorates=True)
    draft = policy.translate(given)
    plan.take(draft)
    if function is not None:
        plan.decorated = function.name.value
        world.refuse_touched(plan.decorated)
        catches = world.caught_at(source, node, plan.decorated)
    else:
        catches = _catches_of_shared(source, node, world)
    _keep_caught(plan, draft, policy, given, catches)
    plan.swaps[named if direct else node] = draft.show()


def _keep_caught(
    plan: Plan, draft: Draft, policy: Policy, given: dict[str, cst.BaseExpression], catches: list[Catch]
) -> None:
    """Plan a translation to RetryError for each place that catches it from a call site."""
    judges_results = "unwanted" in draft.fields  # an unwanted result raises RetryError, even with reraise=True
    if policy.swallows or not catches or (policy.reraises(given) and not judges_results):
        return
    if policy.reraises(given) and draft.fields["on"][0] != "None":
        raise Cannot(f"its RetryError for a result alone is caught ({catches[0].place}): catch Unwanted")
    plan.catches = catches
    if "Exception" not in draft.fields["on"][0]:
        plan.catch_note = ", which comes too where an error that is not retried follows one that is"


def _catches_of_shared(source: Source, node: cst.CSTNode, world: World) -> list[Catch]:
    """Return the places that catch the RetryError of functions under a decorator with a name or from a function."""
    world.refuse_strange()
    name = _shared_name(source, node)
    catches = world.caught_at(source, node, name)  # calls of the decorator with a function
    for each in world.decorated_by(name):
        world.refuse_touched(each)
        catches += [catch for catch in world.caught_at(source, node, each) if catch not in catches]
    return catches


def _shared_name(source: Source, node: cst.CSTNode) -> str:
    up = source.parent(node)
    if isinstance(up, cst.Assign) and isinstance(up.targets[0].target, (cst.Name, cst.Attribute)):
        return source.code(up.targets[0].target).rpartition(".")[2]
    function = source.first_around(node, cst.FunctionDef)
    return function.name.value if function is not None else "retry"


def _object(source: Source, call: cst.Call, plan: Plan, world: World) -> None:
    policy = Policy(source, decorates=False, block=isinstance(source.parent(call), cst.For))
    given = bind(source, call, WORDS)
    draft = policy.translate(given)
    plan.take(draft)
    function = source.first_around(call, cst.FunctionDef)
    if function is not None:
        world.refuse_touched(function.name.value)
    name = function.name.value if function is not None else ""
    _keep_caught(plan, draft, policy, given, world.caught_at(source, call, name))
    if plan.catches and draft.notes[-1:] == [OWN_ERROR]:
        draft.notes.pop()  # the place that catches it stands around it
    follow(source, call, draft.show(), SPELLING, plan, world.mentions_elsewhere(source))
    if "result" in draft.fields and any(isinstance(source.parent(node), cst.For) for node in plan.swaps):
        raise Cannot("it judges results in a block: hand them over by `attempt.result(value)`")
