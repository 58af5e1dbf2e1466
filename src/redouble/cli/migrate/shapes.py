"""On top of the floors: the forms in which a retry is written (decorator, block, call, object), and their rewriting.

A plan holds the new code for nodes of the old tree; `edits` applies it. A form that cannot be followed raises `Cannot`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from redouble.cli.migrate.draft import Cannot

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.cli.migrate.draft import Draft
    from redouble.cli.migrate.source import Source
    from redouble.cli.migrate.world import Catch

    Mentions = Callable[[str], bool]

OPENS = {"contextmanager", "asynccontextmanager", "property", "cached_property", "fixture", "overload"}
"""Decorators whose functions cannot be called again."""


ATTEMPT = {"retry_state", "num", "next_wait", "exception"}
"""The attributes of other libraries' attempts, which code may read after the loop too."""


class Plan:
    """The rewriting of one call site.

    Attributes:
        swaps: New code by the node that it replaces.
        wraps: Statements after which the rest of the block goes beneath a `with`, by the head of that `with`.
        reviews: The notes for a reviewer.
        decorated: The name of the function that was decorated, if one was.
        catches: The places that catch its RetryError, and still get one afterwards.
        catch_note: The difference for those places.
    """

    def __init__(self) -> None:
        self.swaps: dict[cst.CSTNode, str] = {}
        self.wraps: dict[cst.CSTNode, str] = {}
        self.reviews: list[str] = []
        self.decorated = ""
        self.catches: list[Catch] = []
        self.catch_note = ""

    def take(self, draft: Draft) -> None:
        """Take over the notes of a draft."""
        self.reviews += draft.reviews()


class Spelling(NamedTuple):
    """The interface of a library's retrying object and its attempts.

    Attributes:
        attempts: redouble's names for the attributes of an attempt, by the library's names.
        calls: Whether the object is called with a function.
        methods: The code after redouble's policy for each method of the object.
    """

    attempts: dict[str, str]
    calls: bool
    methods: dict[str, str]


def decorated(source: Source, node: cst.CSTNode) -> cst.FunctionDef | None:
    """Return the function that an expression decorates; `None`: the expression is no decorator.

    Raises:
        Cannot: For a class, and for a function that redouble refuses to decorate.
    """
    decorator = source.parent(node)
    if not isinstance(decorator, cst.Decorator):
        return None
    function = source.parent(decorator)
    if not isinstance(function, cst.FunctionDef):
        raise Cannot("it decorates a class")
    own = [each for each in source.within(function.body) if isinstance(each, cst.Yield)]
    if any(source.first_around(each, cst.FunctionDef) is function and not _in_lambda(source, each) for each in own):
        raise Cannot("a generator: decorate what it calls, or write `resume`")
    beneath = function.decorators[list(function.decorators).index(decorator) + 1 :]
    for other in beneath:
        named = other.decorator.func if isinstance(other.decorator, cst.Call) else other.decorator
        last = source.code(named).rpartition(".")[2]
        if last in OPENS:
            raise Cannot(f"it decorates what {last} makes: decorate the function beneath, or write `connect`")
    return function


def _in_lambda(source: Source, node: cst.CSTNode) -> bool:
    inner = next((up for up in source.around(node) if isinstance(up, (cst.Lambda, cst.FunctionDef))), None)
    return isinstance(inner, cst.Lambda)


def follow(source: Source, made: cst.BaseExpression, code: str, how: Spelling, plan: Plan, mentions: Mentions) -> None:
    """Plan the rewriting of an object and of all its uses.

    Args:
        source: The file.
        made: The expression that makes the object.
        code: The new code for it.
        how: The interface of such an object.
        plan: The plan, which gets the changes.
        mentions: Tells whether another file mentions a name.

    Raises:
        Cannot: Where a use is of another form, or out of sight.
    """
    plan.swaps[made] = code
    _use(source, made, code, how, plan, mentions, 0)


def _use(  # noqa: C901  # a list of forms
    source: Source, node: cst.BaseExpression, code: str, how: Spelling, plan: Plan, mentions: Mentions, depth: int
) -> None:
    up = source.parent(node)
    above = source.parent(up) if up is not None else None
    if depth > 4:
        raise Cannot("the object that retries is handed on")
    if isinstance(up, cst.For) and up.iter is node:
        _block(source, up, how, plan)
    elif isinstance(up, cst.Call) and up.func is node and how.calls:
        plan.swaps[node] = f"{code}.call"
    elif isinstance(up, cst.Attribute) and up.value is node and up.attr.value in how.methods:
        plan.swaps.pop(node, None)
        plan.swaps[up] = code + how.methods[up.attr.value]
        if how.methods[up.attr.value] == "" and isinstance(above, cst.Decorator):
            decorated(source, up)
    elif isinstance(up, cst.Decorator) and not how.calls:
        decorated(source, node)
    elif isinstance(up, (cst.AssignTarget, cst.Assign, cst.AnnAssign)):
        for use in _loads(source, up, mentions):
            _use(source, use, source.code(use), how, plan, mentions, depth + 1)
    elif isinstance(up, cst.Return):
        for use in _results(source, up, mentions):
            _use(source, use, source.code(use), how, plan, mentions, depth + 1)
    else:
        raise Cannot("the object that retries is handed on")


def _loads(source: Source, assign: cst.CSTNode, mentions: Mentions) -> list[cst.BaseExpression]:
    """Return the uses of the name or attribute that holds an object."""
    if isinstance(assign, cst.Assign) and len(assign.targets) == 1:
        target: cst.CSTNode = assign.targets[0].target
    elif isinstance(assign, cst.AnnAssign):
        raise Cannot("the object that retries has a declared type")
    else:
        raise Cannot("the object that retries is handed on")
    if isinstance(target, cst.Name):
        return _loads_of_name(source, assign, target, mentions)
    if isinstance(target, cst.Attribute) and source.code(target.value) == "self":
        name = target.attr.value
        if not name.startswith("_") and mentions(name):
            raise Cannot(f"other files may use .{name}")
        found = [each for each in source.nodes if isinstance(each, cst.Attribute) and each.attr.value == name]
        rest = [each for each in found if each is not target]
        if any(isinstance(source.parent(each), cst.AssignTarget) for each in rest):
            raise Cannot(f".{name} is assigned more than once")
        return list(rest)
    raise Cannot("the object that retries is handed on")


def _loads_of_name(
    source: Source, assign: cst.CSTNode, target: cst.Name, mentions: Mentions
) -> list[cst.BaseExpression]:
    function = source.first_around(assign, cst.FunctionDef)
    if function is None and (source.first_around(assign, cst.ClassDef) is not None or mentions(target.value)):
        raise Cannot(f"other files may use {target.value}")
    uses = [each for each in source.uses(target.value) if each is not target]
    if function is not None:
        uses = [each for each in uses if function in source.around(each)]
    if any(isinstance(source.parent(each), (cst.AssignTarget, cst.AnnAssign, cst.Param)) for each in uses):
        raise Cannot(f"{target.value} is assigned more than once")
    return list(uses)


def _results(source: Source, returned: cst.Return, mentions: Mentions) -> list[cst.BaseExpression]:
    """Return the calls of the function that returns an object."""
    function = source.first_around(returned, cst.FunctionDef)
    if function is None or function.decorators or function.asynchronous is not None:
        raise Cannot("the object that retries is handed on")
    name = function.name.value
    if mentions(name):
        raise Cannot(f"other files may call {name}")
    calls: list[cst.BaseExpression] = []
    for use in source.nodes:
        if isinstance(use, cst.Name) and use.value == name and use is not function.name:
            named: cst.CSTNode | None = use
            up = source.parent(use)
            if isinstance(up, cst.Attribute) and up.attr is use:
                named, up = up, source.parent(up)
            if not isinstance(up, cst.Call) or up.func is not named:
                raise Cannot(f"{name} is handed on")
            calls.append(up)
    return calls


def _block(source: Source, loop: cst.For, how: Spelling, plan: Plan) -> None:
    """Check the loop around `with attempt:`, and rename the attributes of the attempt in its body."""
    if loop.orelse is not None or not isinstance(loop.target, cst.Name):
        raise Cannot("the loop has an else, or unpacks what it gets")
    name = loop.target.value
    body = list(loop.body.body) if isinstance(loop.body, cst.IndentedBlock) else []
    entered = [place for place, line in enumerate(body) if isinstance(line, cst.With) and _enters(line, name)]
    if len(entered) != 1 or entered[0] != len(body) - 1:
        raise Cannot("the loop does more than `with attempt:`, after it or around it")
    _refuse_later_uses(source, loop, name)
    for use in source.within(loop.body):
        if not isinstance(use, cst.Name) or use.value != name:
            continue
        up = source.parent(use)
        if isinstance(up, cst.WithItem) and source.parent(up) is body[-1]:
            if up.asname is not None:
                raise Cannot("`with attempt as ...:` gives nothing in redouble")
            continue
        if isinstance(up, (cst.Arg, cst.Attribute)) and (
            getattr(up, "keyword", None) is use or getattr(up, "attr", None) is use
        ):
            continue
        _rename(source, use, how, plan)


def _refuse_later_uses(source: Source, loop: cst.For, name: str) -> None:
    """Raise Cannot for a loop whose last attempt is read after the loop."""
    function = source.first_around(loop, cst.FunctionDef)
    for use in source.uses(name):
        around = list(source.around(use))
        up = around[0]
        inside = function is None or function in around
        if inside and loop not in around and isinstance(up, cst.Attribute) and up.attr.value in ATTEMPT:
            raise Cannot(f"it uses {name}.{up.attr.value} outside of the loop")


def _enters(line: cst.With, name: str) -> bool:
    return any(isinstance(item.item, cst.Name) and item.item.value == name for item in line.items)


def _rename(source: Source, use: cst.Name, how: Spelling, plan: Plan) -> None:
    node: cst.CSTNode = use
    path: list[str] = []
    up = source.parent(node)
    while isinstance(up, cst.Attribute) and up.value is node:
        path.append(up.attr.value)
        ours = how.attempts.get(".".join(path))
        if ours is not None:
            plan.swaps[up] = f"{use.value}.{ours}"
            return
        node, up = up, source.parent(up)
    raise Cannot(f"it uses {'.'.join([use.value, *path])}")
