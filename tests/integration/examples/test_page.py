"""docs/examples.md says what the examples are, what they print, and how long they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.examples.by_hand import EXAMPLES, HOSTS, MOST_LINES, PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = sorted(HOSTS)


def masked(lines: list[str]) -> list[str]:
    """The lines without times and numbers, and those alike that follow each other once: waits have jitter."""
    without = [re.sub(r"\d+(\.\d+)?", "#", re.sub(r"^ *\d+\.\d\d s  ", "", line)).rstrip() for line in lines]
    return [line for line, _ in groupby(without)]


def printed(name: str) -> list[str]:
    """What the page says that the example prints."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"examples/{name}.py\n:")
    return rest.partition("```text\n")[2].partition("\n```")[0].splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_is_printed(name: str, example: Callable[[str], Any]) -> None:
    """The output on the page is that of a run, but for the numbers."""
    assert masked(example(name).run()) == masked(printed(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_redouble_part_is_short(name: str, example: Callable[[str], Any]) -> None:
    """It has about fifteen lines, and the page says how many."""
    lines = len(example(name).redouble_part())
    assert 1 < lines <= MOST_LINES
    assert re.search(rf"^\| \[`{name}`\]\(#[a-z-]+\) \| {lines} \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said(name: str, tmp_path: Any, example: Callable[[str], Any]) -> None:
    """Without its client a program says in one line what to install, and ends with exit code 2."""
    code, error = example(name).run_without_clients(tmp_path)
    assert code == 2
    assert re.fullmatch(r"\S+ is not installed: (pip|apt-get) install \S+\n", error)


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_when_it_is_told_to(name: str, example: Callable[[str], Any]) -> None:
    """`--seconds` ends a program before its own end, as Ctrl-C does: quietly, with exit code 0."""
    assert example(name).run("--seconds", "0.7")[-1] == "interrupted: the end"


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str, example: Callable[[str], Any]) -> None:
    """`--help` names the program, says what it does, and lists the hosts that can run it."""
    text = "\n".join(example(name).run("--help"))
    assert f"python -m redouble.examples.{name}" in text
    assert f"--on {{{','.join(HOSTS[name])}}}" in text


def test_each_example_is_listed() -> None:
    """`python -m redouble.examples` names every program of the package, and these tests run every one."""
    listed = subprocess.run(
        [sys.executable, "-m", "redouble.examples"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parents[1])},
    )
    programs = {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__", "__main__"}
    assert programs == set(NAMES) == set(re.findall(r"-m redouble\.examples\.(\w+)", listed.stdout))
