"""A Sphinx extension: `{synonyms} max retries, 429` says by which other words a page is looked for.

Each becomes an entry of the index, since Sphinx's search finds those as they are written: numbers, of which its full text
has none, and several words in a row. The page shows them in one quiet line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Synonyms(SphinxDirective):
    """The other words for what a page is about, with commas between them."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the entries of the index, their place, and the line that shows them."""
        words = [" ".join(word.split()) for word in self.arguments[0].split(",")]
        if not all(words):
            raise self.error("a word is missing between two commas")
        place = f"synonyms-{self.env.new_serialno('synonyms')}"
        entries = [("single", word, place, "main", None) for word in words]
        line = nodes.paragraph("", f"Also: {', '.join(words)}", classes=["synonyms"])
        return [addnodes.index(entries=entries), nodes.target("", "", ids=[place]), line]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("synonyms", Synonyms)
    return {"parallel_read_safe": True}
