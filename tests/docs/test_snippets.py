"""That every snippet of the README and of the documentation runs, in fake time, and prints what it is said to print."""

from __future__ import annotations

import doctest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sybil.document import Document
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

from redouble.testing import fake_time

if TYPE_CHECKING:
    from sybil.example import Example

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)]


def name_of(path: Path) -> str:
    """A page's name, as test names show it."""
    return path.relative_to(ROOT).as_posix()


def stands_beneath(text: Example, code: Example | None) -> bool:
    """Whether nothing stands between a snippet and a block of text, which then is what the snippet prints."""
    return code is not None and not text.document.text[code.region.end : text.start].strip()


def run_snippets(page: Path) -> list[str]:
    """Run the Python blocks of a page, in one namespace; return what is said to be printed but is not.

    A block of ```` ```text ```` right beneath a ```` ```python ```` block is what that one prints; one with `>>>` is a
    doctest. `<!--- skip: next --->` stands above what needs a server: tests/integration runs it.
    """
    python = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)
    parsers = [SkipParser(), python, CodeBlockParser("text", lambda _: None)]
    wrong, code, printed = [], None, ""
    document = Document.parse(str(page), *parsers)
    document.namespace["__name__"] = "__main__"  # else the classes of snippets would pass for builtins
    for example in document:
        if getattr(example.region, "lexemes", {}).get("arguments") == "text":
            if stands_beneath(example, code) and example.parsed.strip() != printed.strip():
                wrong.append(f"{page}:{example.line}: the snippet above prints:\n{printed}")
            continue
        with redirect_stdout(StringIO()) as out:
            example.evaluate()
        code, printed = example, out.getvalue()
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets_run_and_print_what_they_say(page: Path) -> None:
    """Every Python block of a page runs, in the order of the page, and prints the text beneath it."""
    try:
        with fake_time(draw=0.5):
            assert run_snippets(page) == []
    except ModuleNotFoundError as missing:  # of a client that the page is about
        pytest.skip(f"{missing.name} is not installed: pip install {missing.name}")


@pytest.mark.parametrize(
    ("page", "complaints"),
    [
        ("```python\nprint(1)\n```\n\n```text\n1\n```", 0),
        ("```python\nprint(1)\n```\n\n```text\n2\n```", 1),
        ("```python\nprint(1)\n```\n\nIn the terminal:\n\n```text\n2\n```", 0),
    ],
    ids=["right", "wrong", "of something else"],
)
def test_a_wrong_output_is_found(tmp_path: Path, page: str, complaints: int) -> None:
    """A text right beneath a snippet is compared with what it prints, any other text is not."""
    (tmp_path / "page.md").write_text(page)
    assert len(run_snippets(tmp_path / "page.md")) == complaints


@pytest.mark.parametrize("page", ["```python\n1 / 0\n```", "```python\n>>> 1 + 1\n3\n```"], ids=["raises", "differs"])
def test_a_broken_snippet_is_found(tmp_path: Path, page: str) -> None:
    """A snippet that raises, or a doctest with another result, is an error."""
    (tmp_path / "page.md").write_text(page)
    with pytest.raises((ZeroDivisionError, AssertionError)):
        run_snippets(tmp_path / "page.md")
