"""On top of the floors: the code of redouble's rules, made from another library's conditions on errors and results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from redouble.cli.migrate.draft import OURS, Cannot

if TYPE_CHECKING:
    from redouble.cli.migrate.draft import Draft
    from redouble.cli.migrate.source import Source

BEYOND = {"BaseException", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError", "Cancelled"}
"""The exceptions that redouble lets pass under every configuration."""

NO_HINT = {
    *("ConnectionError", "ConnectionResetError", "ConnectionRefusedError", "ConnectionAbortedError", "BrokenPipeError"),
    *("TimeoutError", "asyncio.TimeoutError", "socket.timeout", "asyncio.exceptions.TimeoutError"),
    *("AssertionError", "AttributeError", "KeyError", "IndexError", "LookupError", "NameError", "TypeError"),
    *("FileNotFoundError", "PermissionError", "BlockingIOError", "InterruptedError", "ZeroDivisionError", "EOFError"),
}
"""Classes whose errors bear no wait that a server asked for; derived classes of clients included."""

CLASS = re.compile(r"_*[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
"""The pattern of a class's name, which the name of a tuple of classes does not match."""

TRUTHS = {"isinstance", "issubclass", "bool", "any", "all", "callable", "hasattr"}
TRUE_METHODS = {"startswith", "endswith", "isdigit", "is_set", "issubset", "exists"}


class Condition:
    """A condition on errors: the error is of one of some types, of none of others, and all predicates hold.

    Attributes:
        types: The code of the types; empty: any `Exception`.
        nots: The code of the excluded types.
        whens: The code of functions that take the error and return a truth value.
        hints: Whether such an error may bear a wait that a server asked for, which the other library ignored.
    """

    types: list[str]
    nots: list[str]
    whens: list[str]
    hints: bool

    def __init__(self, types: list[str], nots: list[str], whens: list[str], hints: bool = True) -> None:
        self.types, self.nots, self.whens, self.hints = types, nots, whens, hints

    def joined(self, other: Condition) -> Condition:
        """Return the conjunction of this condition and another.

        Raises:
            Cannot: Where both conditions name types.
        """
        if self.types and other.types:
            raise Cannot("it wants an error of two types at once")
        types = self.types or other.types
        return Condition(types, self.nots + other.nots, self.whens + other.whens, self.hints or other.hints)

    def when(self) -> str | None:
        """Return the code of one function for everything but the types; `None`: the types are enough."""
        parts = [f"not isinstance(error, {types})" for types in self.nots]
        if not parts and len(self.whens) == 1:
            return self.whens[0]
        parts += [applied(when, "error") for when in self.whens]
        return f"lambda error: {' and '.join(parts)}" if parts else None


def applied(function: str, argument: str) -> str:
    """Return the code of a call of a function, a lambda in parentheses."""
    return f"({function})({argument})" if function.startswith("lambda") else f"{function}({argument})"


def types_in(source: Source, node: cst.BaseExpression) -> Condition:
    """Return the condition that an error is of one of the types in an expression.

    Raises:
        Cannot: For `BaseException` and its kin.
    """
    known = source.constant(node)
    if isinstance(node, cst.Tuple):
        parts = [types_in(source, item.value) for item in node.elements]
        if not parts:
            raise Cannot("it names no exception at all")
        return Condition([code for part in parts for code in part.types], [], [], any(part.hints for part in parts))
    code = source.code(node)
    if code.rpartition(".")[2] in BEYOND:
        raise Cannot(f"it retries {code}, which always passes in redouble")
    if isinstance(known, cst.Tuple) or isinstance(node, cst.StarredElement):
        if any(source.code(item.value).rpartition(".")[2] in BEYOND for item in getattr(known, "elements", ())):
            raise Cannot(f"{code} holds an exception that always passes in redouble")
        return Condition([f"*{code}"], [], [])
    return Condition([code], [], [], source.full_name(node) not in NO_HINT)


def none_of(source: Source, node: cst.BaseExpression) -> Condition:
    """Return the condition that an error is of none of the types in an expression."""
    parts = [item.value for item in node.elements] if isinstance(node, cst.Tuple) else [node]
    kept = [source.code(part) for part in parts if source.code(part).rpartition(".")[2] not in BEYOND]
    if not kept:
        return Condition([], [], [])
    return Condition([], [kept[0] if len(kept) == 1 else f"({', '.join(kept)})"], [])


def is_truth(source: Source, node: cst.BaseExpression) -> bool:
    """Tell whether an expression gives `True` or `False`, by its form."""
    if isinstance(node, cst.Comparison):
        return True
    if isinstance(node, cst.UnaryOperation):
        return isinstance(node.operator, cst.Not)
    if isinstance(node, cst.BooleanOperation):
        return is_truth(source, node.left) and is_truth(source, node.right)
    if isinstance(node, cst.Name):
        return node.value in ("True", "False")
    if not isinstance(node, cst.Call):
        return False
    if isinstance(node.func, cst.Attribute):
        return node.func.attr.value in TRUE_METHODS
    return isinstance(node.func, cst.Name) and node.func.value in TRUTHS


def predicate(source: Source, node: cst.BaseExpression, draft: Draft, negated: bool = False) -> str:
    """Return the code of a predicate that returns `True` or `False` for the truth value of the given one.

    redouble accepts no other value from a predicate: a number would be a wait.

    Raises:
        Cannot: For a coroutine function, a lambda without exactly one argument, or a function that cannot be wrapped.
    """
    code, known = source.code(node), source.constant(node)
    if isinstance(node, cst.Lambda):
        return _lambda(source, node, negated)
    if not isinstance(node, (cst.Name, cst.Attribute)):
        return _unwrapped(code, negated, "is made by a call", draft)
    if isinstance(known, cst.Lambda):
        return code if is_truth(source, known.body) and not negated else _wrapped(code, negated)
    defined = source.functions.get(code) if isinstance(node, cst.Name) else None
    if defined is None:
        return _wrapped(code, negated)
    if defined.asynchronous is not None:
        raise Cannot(f"{code} is a coroutine function, which no rule awaits")
    if not negated and _returns_truth(source, defined):
        return code
    if _is_of_class_around(source, defined, node):
        return _unwrapped(code, negated, "is of the class, which a lambda there does not see", draft)
    return _wrapped(code, negated)


def _lambda(source: Source, node: cst.Lambda, negated: bool) -> str:
    names = [param.name.value for param in node.params.params]
    if len(names) != 1:
        raise Cannot("a lambda of it takes other than one argument")
    body = source.code(node.body)
    if negated:
        return f"lambda {names[0]}: not ({body})"
    return source.code(node) if is_truth(source, node.body) else f"lambda {names[0]}: bool({body})"


def _unwrapped(code: str, negated: bool, why: str, draft: Draft) -> str:
    if negated:
        raise Cannot(f"{code.splitlines()[0]} {why}")
    draft.note(f"{code.splitlines()[0]} must return True or False")
    return code


def _is_of_class_around(source: Source, function: cst.FunctionDef, node: cst.CSTNode) -> bool:
    """Tell whether a function is defined in the class whose body directly holds a node."""
    scope = _scope(source, function)
    first = next((up for up in source.around(node) if isinstance(up, (cst.Decorator, cst.FunctionDef))), None)
    start = source.parent(first) if isinstance(first, cst.Decorator) else None
    return isinstance(scope, cst.ClassDef) and _scope(source, start or node) is scope


def _scope(source: Source, node: cst.CSTNode) -> cst.CSTNode | None:
    return next((up for up in source.around(node) if isinstance(up, (cst.FunctionDef, cst.ClassDef))), None)


def _wrapped(code: str, negated: bool) -> str:
    return f"lambda it: not {code}(it)" if negated else f"lambda it: bool({code}(it))"


def _returns_truth(source: Source, function: cst.FunctionDef) -> bool:
    if function.returns is not None and source.code(function.returns.annotation) == "bool":
        return True
    returned = [
        node.value
        for node in source.within(function)
        if isinstance(node, cst.Return) and source.first_around(node, cst.FunctionDef) is function
    ]
    return bool(returned) and all(value is not None and is_truth(source, value) for value in returned)


def write_on(draft: Draft, conditions: list[Condition], note: str = "", extra: str = "") -> None:
    """Write the field `on` for any of some conditions.

    Args:
        draft: The policy in the making.
        conditions: The conditions; an empty list: no error is retried.
        note: The note for a reviewer.
        extra: A keyword argument for the rule, such as a `retry_after`.
    """
    if not conditions:
        draft.write("on", "None", note)
        return
    simple = [each for each in conditions if each.types and each.when() is None]
    if len(simple) == len(conditions):
        conditions = [Condition([code for each in simple for code in each.types], [], [], _any_hint(simple))]
    if len(conditions) == 1 and not extra and not conditions[0].hints and conditions[0].when() is None:
        types = conditions[0].types
        draft.write("on", types[0] if len(types) == 1 and types[0][0] != "*" else f"({', '.join(types)})", note)
        return
    only = conditions[0].types
    if (
        len(conditions) == 1
        and not extra
        and conditions[0].when() is None
        and len(only) == 1
        and not _is_class(only[0])
    ):
        draft.write("on", only[0].lstrip("*"), _with(note, "a Retry-After is obeyed now"))
        return
    rules = [_rule(each, extra) for each in conditions]
    hinted = "" if extra else "looks at no Retry-After, as before"
    draft.write("on", " | ".join(rules), _with(note, hinted if _any_hint(conditions) else ""))


def _any_hint(conditions: list[Condition]) -> bool:
    return any(each.hints for each in conditions)


def _is_class(code: str) -> bool:
    return code[0] == "*" or CLASS.fullmatch(code.rpartition(".")[2]) is not None


def _with(note: str, more: str) -> str:
    return "; ".join(filter(None, (note, more)))


def _rule(condition: Condition, extra: str) -> str:
    types, when = condition.types, condition.when()
    if types and not all(map(_is_class, types)):  # a name that may stand for a tuple
        tested = f"isinstance(error, {types[0]})" if len(types) == 1 else f"isinstance(error, ({', '.join(types)}))"
        when = f"lambda error: {tested}{f' and {_body(when)}' if when else ''}"
        types = []
    parts = [*(types or ([] if when else ["Exception"]))]
    if when:
        parts.append(f"when={when}")
    if extra:
        parts.append(extra)
    elif condition.hints:
        parts.append("retry_after=0")
    return f"{OURS}transient({', '.join(parts)})"


def _body(when: str) -> str:
    return when.removeprefix("lambda error: ") if when.startswith("lambda error: ") else applied(when, "error")


def write_result(draft: Draft, predicates: list[str], note: str = "") -> None:
    """Write the field `result` for any of some predicates of returned values."""
    code = predicates[0] if len(predicates) == 1 else f"[{', '.join(predicates)}]"
    draft.write("result", code, note)
