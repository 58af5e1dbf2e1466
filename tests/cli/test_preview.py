"""`redouble preview`: the table, the picture, how it ends, and what its options mean."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from redouble import additive, proportional
from redouble.cli import main
from redouble.cli.options import jitter, number


def preview(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What `redouble preview` prints."""
    assert main(["preview", *argv]) == 0
    return capsys.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The last line of what `redouble preview` says of a mistake."""
    assert main(["preview", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1].removeprefix("redouble preview: error: ")


def test_default_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """Without options it shows the library's defaults: two waits with full jitter, limited by the attempts."""
    assert (
        preview(capsys)
        == """\
retry()

attempt  earliest  typical  latest  cumulated
      1     0.000    0.050   0.100      0.050  ----------o----------
      2     0.000    0.100   0.200      0.150  --------------------o-------------------

Gives up after attempt 3, 0.150 s after the first: attempts used up.
"""
    )


def test_deadline_cuts(capsys: pytest.CaptureFixture[str]) -> None:
    """The wait that would end past the deadline is marked, and the last attempt is the one before it."""
    shown = preview(capsys, "--deadline", "10", "--initial", "1", "--jitter", "equal", "--maximum", "8")
    assert (
        shown
        == """\
retry(deadline=10.0, backoff=exponential(1.0, factor=2.0, maximum=8.0, jitter='equal'))

attempt  earliest  typical  latest  cumulated
      1     0.500    0.750   1.000      0.750    --o-
      2     1.000    1.500   2.000      2.250       --o---
      3     2.000    3.000   4.000      5.250            -----o-----
      4     4.000    6.000   8.000     11.250                      ---------o----------  past the deadline

Gives up after attempt 4, 5.250 s after the first: one more wait would end past the deadline of 10 s.
"""
    )


def test_no_jitter_is_a_point(capsys: pytest.CaptureFixture[str]) -> None:
    """Without jitter the earliest, typical and latest wait are one point; long waits have no fractions."""
    shown = preview(
        capsys, "--attempts", "4", "--initial", "60", "--factor", "4", "--maximum", "none", "--jitter", "none"
    )
    assert (
        shown
        == """\
retry(attempts=4, backoff=exponential(60.0, factor=4.0, maximum=None, jitter=None))

attempt  earliest  typical  latest  cumulated
      1    60.000   60.000  60.000     60.000    o
      2       240      240     240        300            o
      3       960      960     960       1260                                         o

Gives up after attempt 4, 1260 s after the first: attempts used up.
"""
    )


def test_no_waits_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """One attempt makes no wait: there is no table, only the end."""
    assert (
        preview(capsys, "--attempts", "1")
        == "retry(attempts=1)\n\nGives up after attempt 1, 0.000 s after the first: attempts used up.\n"
    )


def test_waits_of_zero_have_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """Waits of no length at all are points at the left."""
    row = preview(capsys, "--initial", "0").splitlines()[3]
    assert row == "      1     0.000    0.000   0.000      0.000  o"


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (("--attempts", "9"), "Goes on until 9 attempts in a row have failed."),
        (("--deadline", "60"), "Goes on until 60 s have passed."),
        (("--attempts", "9", "--deadline", "60"), "Goes on until 9 attempts in a row have failed or 60 s have passed."),
        (("--attempts", "none"), "Goes on without end: neither attempts nor deadline limit it."),
    ],
)
def test_what_comes_after_the_rows_shown(
    capsys: pytest.CaptureFixture[str], limits: tuple[str, ...], sentence: str
) -> None:
    """When `--failures` ends the table, the last line says what will end the call."""
    shown = preview(capsys, *limits, "--failures", "2").splitlines()
    assert len(shown) == 2 + 1 + 2 + 2
    assert shown[-1] == sentence


def test_ten_waits_are_shown_unless_asked_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """A policy without an end shows ten waits."""
    assert len(preview(capsys, "--attempts", "none").splitlines()) == 2 + 1 + 10 + 2


def test_the_documentation_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The example on the page about waits is the output of the command above it."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "choose-the-waits.md"
    pattern = r"```sh\nredouble preview (.*)\n```\n\n```text\n([^`]*)```"
    (example,) = re.finditer(pattern, page.read_text(encoding="utf-8"))
    assert preview(capsys, *example[1].split()) == example[2]


def test_picture_is_plain_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """Every terminal can show it."""
    assert preview(capsys, "--jitter", "decorrelated", "--attempts", "8").isascii()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--attempts", "0"), "attempts must be a whole number >= 1 or None, got 0"),
        (("--attempts", "2.5"), "attempts must be a whole number >= 1 or None, got 2.5"),
        (
            ("--deadline", "nan"),
            "deadline must be a duration in seconds (int, float or timedelta) > 0 or None, got nan",
        ),
        (("--factor", "0"), "factor must be a number > 0, got 0"),
        (("--factor", "none"), "factor must be a number > 0, got None"),
        (("--failures", "0"), "failures must be a whole number >= 1, got 0"),
        (("--initial", "soon"), "argument --initial: must be a number or none, got 'soon'"),
    ],
)
def test_mistakes_are_named(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], message: str) -> None:
    """A value that cannot be is refused in the library's own words: argument, rule and value."""
    assert complaint(capsys, *argv) == message


def test_mistakes_show_the_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever made a mistake sees which options there are."""
    main(["preview", "--attempts", "0"])
    assert capsys.readouterr().err.startswith("usage: redouble preview ")


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("0.5", 0.5), ("none", None), ("None", None)])
def test_numbers(text: str, value: float | None) -> None:
    """Whole numbers stay whole, `none` is no limit."""
    found = number(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("none", "none"),
        ("full", "full"),
        ("equal", "equal"),
        ("decorrelated", "decorrelated"),
        ("proportional:0.5", proportional(0.5)),
        ("additive:1", additive(1)),
    ],
)
def test_jitters(text: str, value: object) -> None:
    """Every jitter of the library can be named; those that take a number take it after a colon."""
    assert jitter(text) == value


ONE_OF = "must be one of none, full, equal, decorrelated, proportional:SHARE or additive:S"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some", f"{ONE_OF}, got 'some'"),
        ("full:1", f"{ONE_OF}, got 'full:1'"),
        ("proportional", f"{ONE_OF}, got 'proportional'"),
        ("additive:none", f"{ONE_OF}, got 'additive:none'"),
        ("additive:", "must be a number or none, got ''"),
        ("proportional:x", "must be a number or none, got 'x'"),
        ("proportional:2", "share of proportional() must be a number in [0, 1], got 2"),
    ],
)
def test_unknown_jitters(capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    """What names no jitter, or gives it a wrong number, is refused with rule and value."""
    assert complaint(capsys, "--jitter", text) == f"argument --jitter: {message}"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `shop` in the current folder, with a policy, a decorated function and something else."""
    source = "from redouble import retry\npolicy = retry(attempts=4)\n\n@policy\ndef fetch(): ...\n\ndef plain(): ...\n"
    (tmp_path / "shop.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("of", ["shop:policy", "shop:fetch"])
def test_a_policy_of_a_program(capsys: pytest.CaptureFixture[str], of: str) -> None:
    """A policy, and a function that one decorates, are shown by their place; options change it."""
    assert preview(capsys, of).startswith("retry(attempts=4)\n")
    assert preview(capsys, of, "--attempts", "2").startswith("retry(attempts=2)\n")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("shop", "what is previewed must be MODULE:NAME, such as shop.net:policy, got 'shop'"),
        ("shop:nothing", "shop:nothing cannot be found: module 'shop' has no attribute 'nothing'"),
        ("nowhere:policy", "nowhere:policy cannot be found: No module named 'nowhere'"),
        ("shop:plain", "shop:plain must be a policy or a function that one decorates"),
    ],
)
def test_a_place_where_no_policy_is(capsys: pytest.CaptureFixture[str], of: str, said: str) -> None:
    """It is named, with what to write."""
    assert main(["preview", of]) == 2
    assert said in capsys.readouterr().err
