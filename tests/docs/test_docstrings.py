"""That every doctest of the package runs: those of docstrings, and those of the texts beneath assignments."""

from __future__ import annotations

import ast
import doctest
import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import redouble

if TYPE_CHECKING:
    from collections.abc import Iterator


def doctests() -> Iterator[Any]:
    """Module, line and text of every string of the package that stands by itself and has a doctest in it."""
    spec = find_spec("redouble")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_bytes())):
            text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
            if isinstance(text, str) and ">>> " in text:
                yield pytest.param(module, node.lineno, text, id=f"{module}:{node.lineno}")


@pytest.mark.parametrize(("module", "line", "text"), list(doctests()))
def test_doctests_hold(module: str, line: int, text: str) -> None:
    """The doctest gives what it says, with the public names and those of its module at hand."""
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if not module.startswith("redouble.adapters."):
            raise
        pytest.skip(f"{missing.name} is not installed: pip install {missing.name}")
    names = {name: getattr(redouble, name) for name in redouble.__all__} | vars(imported)
    test = doctest.DocTestParser().get_doctest(text, names, module, f"{module}, from line {line} on", 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert "".join(report) == ""
