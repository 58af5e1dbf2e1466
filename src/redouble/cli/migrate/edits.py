"""On top of the floors: the application of plans to a file: new code for old nodes, comments above lines, imports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from redouble.cli.migrate.draft import OURS, REVIEW, TODO
from redouble.cli.migrate.source import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redouble.cli.migrate.shapes import Plan
    from redouble.cli.migrate.source import Source

OURS_IN = re.compile(re.escape(OURS) + r"(\w+)")
MODULE_OF = {"fake_time": "redouble.testing"}
"""The module of each of redouble's names that is not imported from `redouble`."""

MARK = re.compile(r"# redouble: (review|todo): ")


class Edits:
    """The changes of one file.

    Attributes:
        source: The file.
        swaps: New code by the node that it replaces.
        wraps: The head of a `with` for the rest of a block, by the statement that it replaces.
        comments: Comments by the node above which they stand.
        removed: Statements to delete.
        translated: The head of a `with` around the body of a `try`, or a further item of a `with`, by that statement.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.swaps: dict[cst.CSTNode, str] = {}
        self.wraps: dict[cst.CSTNode, str] = {}
        self.comments: dict[cst.CSTNode, list[str]] = {}
        self.translated: dict[cst.CSTNode, str] = {}
        self.removed: set[cst.CSTNode] = set()

    def take(self, plan: Plan) -> None:
        """Add the changes of a plan."""
        for node, code in plan.swaps.items():
            self._keep_comments(node, code)
        self.swaps |= plan.swaps
        self.wraps |= plan.wraps
        for line in plan.wraps:
            for review in plan.reviews:
                self._comment(line, REVIEW + review)

    def translate_errors(self, node: cst.CSTNode, named: str, note: str) -> None:
        """Wrap the body of a `try`, or of `with raises(...)`, in `with gave_up_as(RetryError):`."""
        self.translated[node] = f"{OURS}gave_up_as({named})"
        old = f"{named.rpartition('.')[2]}{note}"
        self._comment(node, f"{REVIEW}name an error of your own for the old library's {old}")

    def say_of_translated(self, node: cst.CSTNode, text: str) -> None:
        """Add a note for the reviewer above a statement whose errors are translated."""
        self._comment(node, REVIEW + text)

    def remove_if_unused(self, node: cst.CSTNode, mentioned: Callable[[str], bool]) -> bool:
        """Remove the assignment of a module's name without a use after the swaps; tell whether it was removed."""
        line = self.line_of(node)
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or line not in self.source.module.body:
            return False
        part = line.body[0]
        if (
            not isinstance(part, cst.Assign)
            or len(part.targets) != 1
            or any(each.comment for each in line.leading_lines)
        ):
            return False
        target = part.targets[0].target
        if not isinstance(target, cst.Name):
            return False
        uses = [use for use in self.source.uses(target.value) if use is not target]
        if not uses or any(not self._is_swapped(use) for use in uses) or mentioned(target.value):
            return False
        self.removed.add(line)
        return True

    def _is_swapped(self, node: cst.CSTNode) -> bool:
        code = next((self.swaps[up] for up in (node, *self.source.around(node)) if up in self.swaps), None)
        return code is not None and re.search(rf"\b{self.source.code(node)}\b", code) is None

    def is_translated(self, line: cst.CSTNode) -> bool:
        """Tell whether a statement catches an error that `gave_up_as` raises, since this run or an earlier one."""
        around = self.source.parent(line) if isinstance(line, cst.ExceptHandler) else line
        if around in self.translated:
            return True
        if isinstance(around, cst.Try):
            first = around.body.body[0]
            return isinstance(first, cst.With) and self.is_translated(first)
        return isinstance(around, cst.With) and "gave_up_as(" in "".join(
            self.source.code(item) for item in around.items
        )

    def mark(self, node: cst.CSTNode, reason: str) -> None:
        """Add a comment above the statement that holds a node: the reason why it was not rewritten."""
        line = self.line_of(node)
        if line is not None:
            self._comment(line, TODO + reason)

    def result(self) -> str:
        """Return the new text of the file."""
        if not (self.swaps or self.wraps or self.comments):
            return self.source.module.code
        names = {name for code in self._codes() for name in OURS_IN.findall(code)}
        dotted = bool(names & self._names_in_use(names))
        changed = self.source.module.visit(_Apply(self, dotted))
        assert isinstance(changed, cst.Module)
        return _import(changed, self.source.module, names, dotted).code if names else changed.code

    def _codes(self) -> list[str]:
        return [*self.swaps.values(), *self.wraps.values(), *self.translated.values()]

    def parsed(self, code: str, dotted: bool) -> cst.BaseExpression:
        """Return the syntax tree of new code, with the file's newlines and indentation."""
        module = self.source.module
        text = OURS_IN.sub(lambda met: _spelled(met[1], dotted), code).replace("\n", module.default_newline)
        return cst.parse_expression(text, module.config_for_parsing)

    def _comment(self, line: cst.CSTNode, text: str) -> None:
        above = self.comments.setdefault(line, [])
        if text not in above:
            above.append(text)

    def _keep_comments(self, node: cst.CSTNode, code: str) -> None:
        """Move the comments of a replaced node above it, except those that its new code keeps."""
        line = self.line_of(node)
        for each in self.source.within(node):
            if isinstance(each, cst.Comment) and each.value not in code and line is not None:
                self._comment(line, each.value)

    def line_of(self, node: cst.CSTNode) -> cst.CSTNode | None:
        lines = (each for each in (node, *self.source.around(node)) if hasattr(each, "leading_lines"))
        line = next(lines, None)
        function = self.source.parent(line) if isinstance(line, cst.Decorator) else None
        if isinstance(function, (cst.FunctionDef, cst.ClassDef)) and function.decorators[0] is line:
            return function  # the parser gives it the lines above its first decorator
        return line

    def _names_in_use(self, names: set[str]) -> set[str]:
        """Return the names that the file uses for something else, before or after the changes."""
        module, found = self.source.module, _Names(self.swaps, self.removed)
        module.visit(found)
        codes = [re.sub(re.escape(REVIEW) + ".*", "", code) for code in self.swaps.values()]
        kept = {word for code in codes for word in re.findall(r"(?<![\w.])[A-Za-z_]\w*(?!\w|\s*=[^=])", code)}
        imported = {
            (alias.asname.name.value if alias.asname else alias.name.value)  # type: ignore[union-attr]
            for node in self.source.nodes
            if isinstance(node, cst.ImportFrom) and self.source.code(node.module or cst.Name("x")) == "redouble"
            for alias in (node.names if not isinstance(node.names, cst.ImportStar) else ())
        }
        return (names & (found.names | kept)) - imported


class _Names(cst.CSTVisitor):
    """The names of a file outside of replaced nodes and of a library's imports."""

    def __init__(self, swaps: dict[cst.CSTNode, str], removed: set[cst.CSTNode]) -> None:
        self.swaps, self.removed = swaps, removed
        self.names: set[str] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if node in self.swaps or node in self.removed:
            return False
        if isinstance(node, (cst.Import, cst.ImportFrom)):
            self._imported(node)
            return False
        if isinstance(node, cst.Attribute):
            node.value.visit(self)
            return False
        if isinstance(node, cst.Arg):
            node.value.visit(self)
            return False
        if isinstance(node, cst.Name):
            self.names.add(node.value)
        return True

    def _imported(self, node: cst.Import | cst.ImportFrom) -> None:
        from_library = isinstance(node, cst.ImportFrom) and _root(node.module) in (*LIBRARIES, "redouble")
        for alias in node.names if not isinstance(node.names, cst.ImportStar) else ():
            name = alias.evaluated_alias or alias.evaluated_name.partition(".")[0]
            if not from_library and name not in LIBRARIES:
                self.names.add(name)


def _root(node: cst.BaseExpression | None) -> str:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


def _spelled(name: str, dotted: bool) -> str:
    return f"{MODULE_OF.get(name, 'redouble')}.{name}" if dotted else name


class _Apply(cst.CSTTransformer):
    """Applies the changes, by the identity of the old nodes."""

    def __init__(self, edits: Edits, dotted: bool) -> None:
        self.edits = edits
        self.dotted = dotted

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        if original_node in self.edits.removed:
            return cst.RemoveFromParent()  # type: ignore[return-value]
        code = self.edits.swaps.get(original_node)
        if code is not None:
            return self._replaced(original_node, code)
        if isinstance(original_node, cst.IndentedBlock) and isinstance(updated_node, cst.IndentedBlock):
            updated_node = self._wrapped(original_node, updated_node)
        head = self.edits.translated.get(original_node)
        if head is not None:
            updated_node = self._translated(updated_node, head)
        comments = self.edits.comments.get(original_node)
        return updated_node if comments is None else _commented(updated_node, comments)

    def _replaced(self, node: cst.CSTNode, code: str) -> cst.CSTNode:
        new = self.edits.parsed(code, self.dotted)
        old_parentheses = getattr(node, "lpar", ())
        if old_parentheses and not new.lpar:
            return new.with_changes(lpar=old_parentheses, rpar=node.rpar)  # type: ignore[attr-defined]
        return new

    def _wrapped(self, original: cst.IndentedBlock, block: cst.IndentedBlock) -> cst.IndentedBlock:
        for place in reversed(range(len(original.body))):
            head = self.edits.wraps.get(original.body[place])
            if head is None:
                continue
            rest: Sequence[cst.BaseStatement] = block.body[place + 1 :]
            if not rest:
                rest = [cst.parse_statement("yield" if self._is_fixture(original) else "pass")]
            lines = getattr(block.body[place], "leading_lines", ())
            around = cst.With(
                items=[cst.WithItem(self.edits.parsed(head, self.dotted))],
                body=cst.IndentedBlock(body=rest),
                leading_lines=lines,
            )
            block = block.with_changes(body=[*block.body[:place], around])
        return block

    def _translated(self, node: cst.CSTNode, head: str) -> cst.CSTNode:
        item = cst.WithItem(self.edits.parsed(head, self.dotted))
        if isinstance(node, cst.With):
            last = node.items[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
            return node.with_changes(items=[*node.items[:-1], last, item])
        assert isinstance(node, cst.Try)
        return node.with_changes(body=cst.IndentedBlock(body=[cst.With(items=[item], body=node.body)]))

    def _is_fixture(self, block: cst.IndentedBlock) -> bool:
        function = self.edits.source.parent(block)
        if not isinstance(function, cst.FunctionDef):
            return False
        return any("fixture" in self.edits.source.code(each.decorator) for each in function.decorators)


def _commented(node: cst.CSTNode, comments: Iterable[str]) -> cst.CSTNode:
    """Return a node with comments above it in place of older marks; the same node where it has them already."""
    lines = list(node.leading_lines)  # type: ignore[attr-defined]
    there = [line.comment.value if line.comment is not None else "" for line in lines]
    new = list(comments)
    if all(comment in there for comment in new):
        return node
    kept = [line for line, text in zip(lines, there, strict=True) if not text.startswith(TODO)]
    return node.with_changes(leading_lines=[*kept, *(cst.EmptyLine(comment=cst.Comment(text)) for text in new)])


def _import(module: cst.Module, before: cst.Module, names: set[str], dotted: bool) -> cst.Module:
    """Import redouble's names, and remove the imports of libraries that are no longer used."""
    used, was_used = _loaded(module), _loaded(before)
    gone = (was_used - used) | (set() if dotted else names)
    cleaned = module.visit(_Prune(gone))
    assert isinstance(cleaned, cst.Module)
    return _with_imports(cleaned, module, _import_lines(cleaned, names, dotted))


def _loaded(module: cst.Module) -> set[str]:
    found = _Names({}, set())
    module.visit(found)
    exported = {
        str(item.value.evaluated_value)
        for line in module.body
        if isinstance(line, cst.SimpleStatementLine)
        for part in line.body
        if isinstance(part, cst.Assign)
        and isinstance(part.value, (cst.List, cst.Tuple))
        and any(isinstance(each.target, cst.Name) and each.target.value == "__all__" for each in part.targets)
        for item in part.value.elements
        if isinstance(item.value, cst.SimpleString)
    }
    return found.names | exported


def _import_lines(module: cst.Module, names: set[str], dotted: bool) -> list[str]:
    modules: dict[str, list[str]] = {}
    for name in sorted(names):
        modules.setdefault(MODULE_OF.get(name, "redouble"), []).append(name)
    if dotted:
        lines = [f"import {each}" for each in sorted(modules)]
    else:
        lines = [f"from {each} import {', '.join(wanted)}" for each, wanted in sorted(modules.items())]
    there = module.code.splitlines()
    return [line for line in lines if line not in there]


class _Prune(cst.CSTTransformer):
    """Removes names from the imports of libraries."""

    def __init__(self, gone: set[str]) -> None:
        self.gone = gone

    def leave_ImportFrom(  # noqa: N802  # libcst looks for this name
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        if _root(original_node.module) not in LIBRARIES or isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        kept = [alias for alias in updated_node.names if self._bound(alias) not in self.gone]
        if len(kept) == len(updated_node.names):
            return updated_node
        if not kept:
            return cst.RemoveFromParent()
        last = kept[-1]
        if updated_node.lpar is None:
            kept[-1] = last.with_changes(comma=cst.MaybeSentinel.DEFAULT)
        else:
            kept[-1] = last.with_changes(comma=updated_node.names[-1].comma)
        return updated_node.with_changes(names=kept)

    def leave_Import(  # noqa: N802  # libcst looks for this name
        self, original_node: cst.Import, updated_node: cst.Import
    ) -> cst.Import | cst.RemovalSentinel:
        kept = [
            alias
            for alias in updated_node.names
            if alias.evaluated_name.partition(".")[0] not in LIBRARIES or self._bound(alias) not in self.gone
        ]
        if len(kept) == len(updated_node.names):
            return updated_node
        if not kept:
            return cst.RemoveFromParent()
        return updated_node.with_changes(names=[*kept[:-1], kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)])

    def leave_IndentedBlock(  # noqa: N802  # libcst looks for this name
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        if updated_node.body:
            return updated_node
        return updated_node.with_changes(body=[cst.SimpleStatementLine([cst.Pass()])])

    def _bound(self, alias: cst.ImportAlias) -> str:
        return alias.evaluated_alias or alias.evaluated_name.partition(".")[0]


def _with_imports(module: cst.Module, before: cst.Module, lines: list[str]) -> cst.Module:
    """Insert imports at the first top-level import of a library; without one, after the last top-level import."""
    if not lines:
        return module
    new = [cst.parse_statement(line, module.config_for_parsing) for line in lines]
    body = list(module.body)
    place = next((each for each, line in enumerate(before.body) if _imports_library(line)), None)
    if place is None:
        first = next(
            (each for each, line in enumerate(body) if isinstance(line, (cst.FunctionDef, cst.ClassDef))), None
        )
        tops = [each for each, line in enumerate(body[:first]) if _is_import(line)]
        place = tops[-1] + 1 if tops else _after_docstring(body)
    elif place < len(body) and _imports_library(body[place]):
        place += 1
    else:
        old = before.body[place]
        new[0] = new[0].with_changes(leading_lines=old.leading_lines)
    return module.with_changes(body=[*body[:place], *new, *body[place:]])


def _is_import(line: cst.CSTNode) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], (cst.Import, cst.ImportFrom))


def _imports_library(line: cst.CSTNode) -> bool:
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    for part in line.body:
        if isinstance(part, cst.ImportFrom) and _root(part.module) in LIBRARIES:
            return True
        if isinstance(part, cst.Import) and any(a.evaluated_name.partition(".")[0] in LIBRARIES for a in part.names):
            return True
    return False


def _after_docstring(body: Sequence[cst.CSTNode]) -> int:
    first = body[0] if body else None
    is_text = isinstance(first, cst.SimpleStatementLine) and isinstance(first.body[0], cst.Expr)
    return 1 if is_text and isinstance(first.body[0].value, cst.SimpleString) else 0  # type: ignore[union-attr]
