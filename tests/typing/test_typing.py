"""The files that type checkers read are Python too: what stands in them at module level works.

What the checkers say of them is held by `nox -s types`, which runs `mypy`, `pyright`, `pyrefly` and `ty`
with the settings of pyproject.toml.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from redouble import RetryPolicy, policy_of

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["ways_in", "wrong_uses"])
def test_the_files_can_be_imported(name: str) -> None:
    """All that is decorated when the file is imported can be decorated, and knows its policy."""
    found = runpy.run_path(str(HERE / f"{name}.py"))
    decorated = [policy for each in found.values() if callable(each) and (policy := policy_of(each)) is not None]
    assert len(decorated) >= 2
    assert all(isinstance(policy, RetryPolicy) for policy in decorated)


def test_wrong_uses_are_marked_one_by_one() -> None:
    """Each ignored error has its code, so that no other error hides behind it."""
    text = (HERE / "wrong_uses.py").read_text(encoding="utf-8")
    marked = re.findall(r"# type: ignore(\[[a-z, -]+\])?", text)
    assert len(marked) > 50
    assert all(marked)


@pytest.mark.parametrize(
    "line",
    [line.strip() for line in (HERE / "wrong_uses.py").read_text(encoding="utf-8").splitlines() if "retry(on=" in line],
)
def test_what_no_checker_accepts_is_refused_at_run_time(line: str) -> None:
    """A wrong rule is refused where it is written, also by whoever checks no types."""
    names = runpy.run_path(str(HERE / "wrong_uses.py"))
    with pytest.raises(TypeError, match=r"^on "):
        eval(line.partition("  # ")[0], names)
