"""That the pages can be found by the words that people search for, and that their code can be read and pasted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))}
NOT_SEARCHED_FOR = {"CONTRIBUTING.md", "changelog.md", "glossary.md", "index.md", "security.md"}

MOST_COLUMNS = 88
CODE = re.compile(r"^( *)(`{3,})(\w[\w-]*|\{code-block\}.*)\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)

WORDS = (
    *("429", "max retries", "disable", "trio", "prometheus", "circuit breaker", "rate limit", "timeout", "deadlock"),
    *("websocket", "celery", "kubernetes", "tenacity", "stop", "jitter"),
)


def title(text: str) -> str:
    """The first heading of a page."""
    return re.findall(r"^# (.*)$", text, re.MULTILINE)[0]


def synonyms(text: str) -> list[str]:
    """The other words that a page says it is looked for by."""
    return [
        word.strip() for line in re.findall(r"^```\{synonyms\} (.*)$", text, re.MULTILINE) for word in line.split(",")
    ]


def named(page: str) -> bool:
    """Whether a page is one that people search for: not the contents of a room, and not a page of errors made of rows."""
    return (
        page not in NOT_SEARCHED_FOR
        and not page.startswith("reference/known-errors")
        and (not page.endswith("/index.md") or page.startswith("coming-from"))
    )


@pytest.mark.parametrize("page", [page for page in PAGES if named(page)])
def test_a_page_says_other_words_for_itself(page: str) -> None:
    """Beneath its title each page has a line of synonyms, each once."""
    words = [word.lower() for word in synonyms(PAGES[page])]
    assert words
    assert sorted(set(words)) == sorted(words)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_leads_to_a_page(word: str) -> None:
    """What people type is a synonym of some page, as it is typed."""
    assert [page for page, text in PAGES.items() if word in (each.lower() for each in synonyms(text))]


def test_no_two_pages_have_one_title() -> None:
    """A result of the search says which page it is."""
    titles = [title(text) for page, text in PAGES.items() if not page.startswith("reference/known-errors/")]
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("page", PAGES)
def test_code_is_as_wide_as_its_column(page: str) -> None:
    """No line of code is cut off at the right: what a program prints is exempt, and its output is scrolled."""
    blocks = [(kind, code) for _, _, kind, code in CODE.findall(PAGES[page]) if kind not in {"text", "diff"}]
    lines = [line for kind, code in blocks for line in code.splitlines() if kind != "python" or is_typed(line, code)]
    assert [line for line in lines if len(line) > MOST_COLUMNS] == []


def is_typed(line: str, code: str) -> bool:
    """Whether a line of a block is code: in a block with prompts, one that has a prompt."""
    return ">>> " not in code or line.startswith((">>> ", "... "))


def test_code_blocks_are_found() -> None:
    """The pages have hundreds of them, so the test above looks at something."""
    assert sum(len(CODE.findall(text)) for text in PAGES.values()) > 200
