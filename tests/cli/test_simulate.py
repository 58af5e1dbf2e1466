"""`redouble simulate`: what it prints, what its options mean, and what it says of mistakes."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from redouble.cli import main
from redouble.cli.worlds import budget, fraction, whole

SHORT = ("simulate", "storm", "--attempts=4", "--capacity=50", "--start=5", "--outage=8", "--duration=40")
"""A small storm of 40 s: it shows all that the long one does."""

CROWD = ("simulate", "contention", "--clients", "5", "--trials", "2")


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What the command prints."""
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The last line of what the command says of a mistake."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return re.sub(r"^redouble simulate \w+: error: ", "", err.splitlines()[-1])


def data(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """What the command prints with `--json`."""
    return json.loads(printed(capsys, *argv, "--json"))


def test_a_storm(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is simulated, compares the policy with itself without a budget and with none, and draws both."""
    lines = printed(capsys, *SHORT).splitlines()
    assert lines[:3] == [
        "40 calls/s from one process to a server that answers 50/s; for 8 s it answers 5/s.",
        "policy: retry(attempts=4)",
        "budget: RetryBudget()",
    ]
    assert re.fullmatch(r"yours +\d\.\d\d +1\.\d\d +[\d.]+% +[\d.]+%  after \d+ s", lines[6])
    assert re.fullmatch(r"without budget +3\.\d\d +4\.00 +[\d.]+% +0\.0%  never", lines[7])
    assert re.fullmatch(r"no retry +1\.00 +1\.00 +[\d.]+% +[\d.]+%  after \d+ s", lines[8])
    assert re.match(r"load: attempts per second \(full height: \d{3}\)", lines[10])
    assert [line.split()[0] for line in lines if "goodput" in line] == ["goodput:"]
    assert max(map(len, lines)) <= 85


def test_without_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--budget none` there is nothing to leave out: the policy stands beside no retry alone."""
    found = data(capsys, *SHORT, "--budget", "none")
    assert [run["name"] for run in found["runs"]] == ["yours", "no retry"]
    assert found["budget"] == "none"
    assert found["runs"][0]["recovered_after"] is None


def test_a_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    """Processes have a budget each, or share one, and it is said which."""
    argv = (*SHORT, "--processes", "1600")
    alone, shared = (data(capsys, *argv, *more)["runs"][0] for more in ([], ["--shared"]))
    assert alone["amplification_outage"] > 3.5 > 1.2 > shared["amplification_outage"]
    text = printed(capsys, *argv, "--shared").splitlines()
    assert text[0].startswith("40 calls/s from 1600 processes to")
    assert text[2] == "budget: RetryBudget(), which share it"


def test_the_options_reach_the_storm(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option of the server and the calls is told back as it is simulated."""
    given = {
        "load": 0.5,
        "capacity": 50.0,
        "timeout": 0.5,
        "queue": 2.0,
        "start": 5.0,
        "outage": 8.0,
        "left": 0.25,
        "duration": 40,
        "processes": 3,
        "seed": 9,
    }
    argv = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    found = data(capsys, "simulate", "storm", *argv, "--budget", "ratio=0.2,burst=5,strict")
    assert found["storm"] == given
    assert found["budget"] == "RetryBudget(ratio=0.2, burst=5.0, strict=True)"
    assert [len(run["load"]) for run in found["runs"]] == [40] * 3


def test_the_curve_is_the_policys(capsys: pytest.CaptureFixture[str]) -> None:
    """The options of `redouble preview` describe the policy here, too."""
    found = data(capsys, *SHORT, "--initial", "1", "--jitter", "none")
    assert found["policy"] == "retry(attempts=4, backoff=exponential(1.0, factor=2.0, maximum=20.0, jitter=None))"


def test_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed prints the same, another one does not."""
    one, again, other = (printed(capsys, *SHORT, "--json", "--seed", seed) for seed in "112")
    assert one == again != other


def test_contention(capsys: pytest.CaptureFixture[str]) -> None:
    """It compares the policy with the strategies that there are, in numbers and in bars."""
    lines = printed(capsys, *CROWD).splitlines()
    assert lines[:2] == ["5 clients write one row, once each; means of 2 trials.", "policy: retry(attempts=None)"]
    names = ["yours", "no wait", "no jitter", "equal", "full", "decorrelated"]
    assert [line[:14].strip() for line in lines[4:10]] == names
    assert "gave up" not in lines[3]
    assert [line for line in lines if line and not line.startswith(" ")][-2:] == [
        "writes that reach the server",
        "ms until all have written",
    ]


def test_contention_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one JSON object."""
    found = data(capsys, *CROWD, "--leg", "0.02", "--spread", "0", "--seed", "4")
    assert found["contention"] == {"clients": 5, "leg": 0.02, "spread": 0.0, "trials": 2, "seed": 4}
    assert found["policy"] == "retry(attempts=None)"
    assert {"name", "calls", "seconds", "gave_up"} == found["runs"][0].keys()


def test_contention_with_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """A policy that limits the attempts has clients that give up, and a column for them."""
    lines = printed(
        capsys, "simulate", "contention", "--clients", "30", "--trials", "2", "--attempts", "2"
    ).splitlines()
    assert lines[3].split() == ["writes", "time", "gave", "up"]
    assert float(lines[4].split()[-1]) > 0 == float(lines[5].split()[-1])


def test_contention_with_a_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    """A written deadline stands, and nothing else limits the policy then."""
    assert data(capsys, *CROWD, "--deadline", "30")["policy"] == "retry(deadline=30.0)"


@pytest.mark.parametrize("argv", [SHORT, CROWD], ids=["storm", "contention"])
def test_drawn_into_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: tuple[str, ...]) -> None:
    """`--svg` writes the picture and says so; with `--json` it only writes."""
    path = tmp_path / "out.svg"
    assert printed(capsys, *argv, "--svg", str(path)).endswith(f"\nwritten: {path}\n")
    first = path.read_bytes()
    assert first.startswith(b"<svg ")
    json.loads(printed(capsys, *argv, "--json", "--svg", str(path)))
    assert path.read_bytes() == first


def test_progress_is_on_the_error_stream(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal a bar is shown while it runs, and none of it gets into the output."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([*SHORT, "--json"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert "yours [#" in err and "no retry [#" in err and err.endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("storm", "--load", "0"), "load must be above 0, got 0"),
        (("storm", "--load", "much"), "argument --load: must be a number such as 0.25 or 1/4, got 'much'"),
        (("storm", "--processes", "1.5"), "argument --processes: must be a whole number, got '1.5'"),
        (("storm", "--attempts", "0"), "attempts must be a whole number >= 1 or None, got 0"),
        (("storm", "--budget", "ratio=2"), "argument --budget: ratio must be a number in [0, 1], got 2.0"),
        (
            ("storm", "--budget", "burst=x"),
            "argument --budget: burst must be a number such as 0.25 or 1/4, got 'x'",
        ),
        (
            ("storm", "--budget", "rate=2"),
            "argument --budget: must be default, none, or ratio=NUMBER, burst=NUMBER, window=NUMBER, trickle=NUMBER,"
            " share=NUMBER and strict, with commas between them, got 'rate=2'",
        ),
        (("contention", "--clients", "0"), "clients must be a whole number >= 1, got 0"),
        ((*SHORT[1:], "--svg", "/nowhere/out.svg"), "cannot write /nowhere/out.svg: No such file or directory"),
    ],
)
def test_mistakes_are_named(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], message: str) -> None:
    """A value that cannot be is refused by option, rule and value."""
    assert complaint(capsys, "simulate", *argv) == message


def test_matplotlib_is_missed_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that cannot be drawn is refused at once."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    monkeypatch.setattr("redouble.cli.simulate.run", None)
    assert complaint(capsys, *SHORT, "--png", "out.png").startswith("--png needs matplotlib")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` tells the worlds, and of each its options with their defaults."""
    assert main(["simulate", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "storm" in shown and "contention" in shown
    assert main(["simulate", "storm", "--help"]) == 0
    assert "(default 0.8)" in capsys.readouterr().out


def test_which_world_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a world the exit code is 2."""
    assert main(["simulate"]) == 2
    assert "required: WORLD" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("1/1600", 1 / 1600), ("0.25", 0.25), ("3", 3.0)])
def test_numbers(text: str, value: float) -> None:
    """A share is best written as a fraction."""
    assert fraction(text) == value
    assert whole("3") == 3


@pytest.mark.parametrize("text", ["1/0", "1/", "/", "x"])
def test_what_is_no_number(text: str) -> None:
    """A fraction by zero, or of nothing, is refused."""
    with pytest.raises(Exception, match=re.escape(f"must be a number such as 0.25 or 1/4, got {text!r}")):
        fraction(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("none", "None"),
        ("default", "redouble.RetryBudget()"),
        ("strict", "redouble.RetryBudget(strict=True)"),
        ("default,share=1/4", "redouble.RetryBudget(share=0.25)"),
        (
            "ratio=0.2,burst=50,window=5,trickle=0",
            "redouble.RetryBudget(ratio=0.2, burst=50.0, window=5.0, trickle=0.0)",
        ),
    ],
)
def test_budgets(text: str, shown: str) -> None:
    """A budget is written as its settings."""
    assert repr(budget(text)) == shown


DOCS = Path(__file__).parents[2] / "docs"
STORMS = (DOCS / "explanation" / "storms.md").read_text(encoding="utf-8")
long = pytest.mark.skipif(
    "REDOUBLE_EXAMPLES" not in os.environ, reason="ten seconds, and the same in every Python: set REDOUBLE_EXAMPLES=100"
)


@long
def test_the_documentation_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The example on the page about storms is the output of the command above it."""
    (example,) = re.finditer(r"```sh\nredouble (simulate .*)\n```\n\n```text\n([^`]*)```", STORMS)
    assert printed(capsys, *example[1].split()) == example[2]


@long
@pytest.mark.parametrize(("command", "name"), re.findall(r"\*Drawn by `redouble (simulate .*) --svg (.*)`\.\*", STORMS))
def test_the_pictures_of_the_documentation_are_drawn_by_their_commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, name: str
) -> None:
    """Each picture is the one that the command beneath it draws."""
    path = tmp_path / name
    printed(capsys, *command.split(), "--svg", str(path))
    assert path.read_text(encoding="utf-8") == (DOCS / "explanation" / "storms" / name).read_text(encoding="utf-8")
