"""On top of the floors: the one place that decides which uses of the libraries are rewritten, and which are marked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from redouble.cli.migrate import backoff, retrying, stamina, tenacity, touches
from redouble.cli.migrate.draft import Cannot
from redouble.cli.migrate.edits import Edits
from redouble.cli.migrate.source import Ref
from redouble.cli.migrate.world import World, called

if TYPE_CHECKING:
    from pathlib import Path

    from redouble.cli.migrate.shapes import Plan
    from redouble.cli.migrate.source import Source
    from redouble.cli.migrate.world import Touch

RETRIES = {
    "tenacity": {"retry", "Retrying", "AsyncRetrying"},
    "backoff": {"on_exception", "on_predicate", "retry_context", "aretry_context"},
    "stamina": {"retry", "retry_context", "RetryingCaller", "AsyncRetryingCaller"},
    "retrying": {"retry", "Retrying"},
}
"""The names that begin a retry, by library: their uses are the call sites."""

TESTS = {("stamina", "set_active"), ("stamina", "set_testing")}

TRANSLATORS = {
    "tenacity": tenacity.translate,
    "backoff": backoff.translate,
    "stamina": stamina.translate,
    "retrying": retrying.translate,
}

ADVICE = {
    "RetryError": "redouble raises the operation's own error: catch that, or `with gave_up_as(MyError):` around the call",
    "RetryCallState": "a hook of tenacity's: write an observer, which gets an Event",
    "TryAgain": "raise an error of your own, and name it in on=",
    "TornadoRetrying": "write a coroutine function, which redouble retries",
    "AttemptManager": "an attempt of redouble's is `redouble.Attempt`",
}


@dataclass
class Site:
    """A use of a library, and the decision on it.

    Attributes:
        path: The file.
        line: The line in it, before any change.
        library: The library.
        name: The used name of that library.
        kind: `retry` for a call site; `test` for a use that reaches into retries; `other` for any other use.
        in_test: Whether the file holds tests.
        reason: The reason why it was not rewritten; empty: it was rewritten.
        reviews: The notes for a reviewer.
    """

    path: Path
    line: int
    library: str
    name: str
    kind: str
    in_test: bool
    reason: str = ""
    reviews: list[str] = field(default_factory=list)


@dataclass
class Found:
    """All uses, and the new text of each file that changes."""

    sites: list[Site]
    texts: dict[Path, str]


def plan(sources: list[Source], texts: dict[Path, bytes]) -> Found:
    """Plan the rewriting of all uses of other libraries in some files."""
    world = World(sources, texts)
    reached = _plan_touches(world)
    edits = {source.path: Edits(source) for source in sources}
    names = _Names(set(), set(), set())
    sites = [
        _settle(source, ref, outcome, edits, names) for source in sources for ref, outcome in _retries(source, world)
    ]
    _say_what_else_is_translated(world, edits, names.raw)
    for touch, outcome in reached:
        site = _site(touch.source, touch.node, "tenacity", touch.path, "test" if touch.source.is_test else "other")
        _apply(edits[touch.source.path], touch.node, site, names.allow(touch, outcome))
        sites.append(site)
    for source in sources:
        sites += _others(source, edits[source.path], world)
    return Found(sites, {path: each.result() for path, each in edits.items()})


class _Names(NamedTuple):
    """Functions with a rewritten decorator, with one left as it was, and (`raw`) that never raised RetryError."""

    rewritten: set[str]
    left: set[str]
    raw: set[str]

    def allow(self, touch: Touch, outcome: Plan | Cannot) -> Plan | Cannot:
        """Return the outcome for a use that reaches into a function: `Cannot` unless its decorators were rewritten."""
        if isinstance(outcome, Cannot):
            return outcome
        if touch.function not in self.rewritten:
            return Cannot("its function goes on with tenacity")
        if touch.function in self.left:
            return Cannot(f"there are several {touch.function}, of which one goes on with tenacity")
        return outcome


def _settle(source: Source, ref: Ref, outcome: Plan | Cannot, edits: dict[Path, Edits], names: _Names) -> Site:
    site = _site(source, ref.node, ref.library, ref.name, "retry")
    _apply(edits[source.path], ref.node, site, outcome)
    if isinstance(outcome, Cannot):
        names.left.update(_function_around(source, ref.node))
        return site
    for catch in outcome.catches:
        edits[catch.source.path].translate_errors(catch.node, catch.named, outcome.catch_note)
    if outcome.decorated:
        names.rewritten.add(outcome.decorated)
        if not outcome.catches:
            names.raw.add(outcome.decorated)
    return site


def _say_what_else_is_translated(world: World, edits: dict[Path, Edits], raw: set[str]) -> None:
    """Mark each translated `try` that also calls a function which raised no RetryError before, and now does."""
    for catch in world.catches:
        here = edits[catch.source.path]
        for name in sorted(raw & set(called(catch.source, catch.node.body))) if catch.node in here.translated else ():
            here.say_of_translated(catch.node, f"what {name} gives up on comes as {catch.named} too")


def _plan_touches(world: World) -> list[tuple[Touch, Plan | Cannot]]:
    found: list[tuple[Touch, Plan | Cannot]] = []
    for touch in world.touches:
        try:
            found.append((touch, touches.translate(touch)))
        except Cannot as reason:
            found.append((touch, reason))
            world.refused[touch.function] = f"{touch.source.path.name} uses {touch.function}.{touch.path}"
    return found


def _retries(source: Source, world: World) -> list[tuple[Ref, Plan | Cannot]]:
    found: list[tuple[Ref, Plan | Cannot]] = [
        (ref, Cannot(f"{ref.name} is {ref.library}'s only sometimes"))
        for ref in source.unclear
        if ref.name in RETRIES[ref.library]
    ]
    for ref in source.refs:
        if ref.name in RETRIES[ref.library] and not _is_annotation(source, ref.node):
            try:
                world.refuse_patched(source, ref.node, ref.library)
                planned = TRANSLATORS[ref.library](source, ref, world)
                world.refuse_stand_ins(source, planned.swaps)
                found.append((ref, planned))
            except Cannot as reason:
                found.append((ref, reason))
    return found


def _is_annotation(source: Source, node: cst.CSTNode) -> bool:
    return any(isinstance(up, cst.Annotation) for up in source.around(node))


def _function_around(source: Source, node: cst.CSTNode) -> set[str]:
    for up in source.around(node):
        if isinstance(up, cst.Decorator):
            function = source.parent(up)
            return {function.name.value} if isinstance(function, cst.FunctionDef) else set()
    return set()


def _site(source: Source, node: cst.CSTNode, library: str, name: str, kind: str) -> Site:
    return Site(source.path, source.line(node), library, name, kind, source.is_test)


def _apply(edits: Edits, node: cst.CSTNode, site: Site, outcome: Plan | Cannot) -> None:
    if isinstance(outcome, Cannot):
        site.reason = str(outcome)
        edits.mark(node, site.reason)
    else:
        site.reviews = outcome.reviews
        edits.take(outcome)


def _others(source: Source, edits: Edits, world: World) -> list[Site]:
    """Mark and return all other uses: those outside of rewritten and marked statements."""
    sites: list[Site] = []
    seen: set[cst.CSTNode] = set()
    marked = set(edits.comments)
    for ref in [*source.refs, *source.unclear]:
        if ref.name in RETRIES[ref.library] and not _is_annotation(source, ref.node):
            continue
        if any(up in edits.swaps for up in [ref.node, *source.around(ref.node)]):
            continue
        line = edits.line_of(ref.node)
        if edits.remove_if_unused(ref.node, world.mentions_elsewhere(source)):
            continue
        if line is None or line in seen or line in marked or edits.is_translated(line):
            continue
        seen.add(line)
        sites.append(_other(source, ref, edits))
    return sites + _strings(source, edits)


def _other(source: Source, ref: Ref, edits: Edits) -> Site:
    is_test = (ref.library, ref.name) in TESTS
    site = _site(source, ref.node, ref.library, ref.name, "test" if is_test else "other")
    outcome: Plan | Cannot = Cannot(ADVICE.get(ref.name, f"{ref.library}'s {ref.name} stands alone"))
    if is_test:
        try:
            outcome = stamina.translate(source, ref, World([], {}))
        except Cannot as reason:
            outcome = reason
    _apply(edits, ref.node, site, outcome)
    return site


def _strings(source: Source, edits: Edits) -> list[Site]:
    """Rewrite or mark the names of a library's sleeps in strings, as tests patch them; return their sites."""
    sites: list[Site] = []
    for node in source.nodes:
        name = touches.patched_name(node) if isinstance(node, cst.SimpleString) else None
        if name is None or not isinstance(node, cst.SimpleString) or not isinstance(source.parent(node), cst.Arg):
            continue
        site = _site(source, node, name.partition(".")[0], name, "test")
        ours = touches.PATCHED.get(name)
        if ours is None:
            site.reason = "write `with fake_time():`"
            edits.mark(node, f"{name} is patched: {site.reason}")
        else:
            edits.swaps[node] = f"{node.quote}{ours}{node.quote}"
        sites.append(site)
    return sites
