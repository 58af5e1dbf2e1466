"""The pictures of states in the docs are those of the tables by which links and pages move."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"

_spec = importlib.util.spec_from_file_location("pictures_of_states", EXTENSIONS / "states.py")
assert _spec is not None
assert _spec.loader is not None
states = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(states)


@pytest.mark.parametrize(("path", "text"), list(states.pictures()), ids=["link", "page"])
def test_the_pictures_are_up_to_date(path: Path, text: str) -> None:
    """Each picture is the one that its table gives (`python docs/_ext/states.py` draws it anew), and shows each state."""
    assert path.read_text(encoding="utf-8") == text
    drawn = [each.text for each in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    moves = states.LINK if path.stem == "link" else states.PAGE
    assert set(drawn) >= {state.name.replace("_", " ") for move in moves for state in move}
    assert [why for why in moves.values() if why.replace("`", "") not in drawn] == []
