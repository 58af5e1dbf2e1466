"""The command `redouble` as a whole: its arguments, its exit codes, and what it prints when something is wrong."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NoReturn

import pytest

import redouble
from redouble.cli import main, options

MODULE = str(Path(redouble.__file__).with_name("__main__.py"))


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` lists the commands and is no failure."""
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "demo" in shown and "preview" in shown


def test_no_command_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the exit code is 2, and the message says what is missing."""
    assert main([]) == 2
    assert "required: COMMAND" in capsys.readouterr().err


def test_unknown_option_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that does not exist is named."""
    assert main(["demo", "--up"]) == 2
    assert "--up" in capsys.readouterr().err


def test_version_is_that_of_the_distribution(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--version` shows what is installed."""
    monkeypatch.setattr(options, "version", lambda name: f"1.2.3 of {name}")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "redouble 1.2.3 of redouble\n"


def test_version_without_an_installation(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from a checkout that is not installed, `--version` says so."""

    def version(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(options, "version", version)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "redouble (not installed)\n"


def test_arguments_default_to_those_of_the_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `argv`, as the console command calls it, the process's own arguments count."""
    monkeypatch.setattr(sys, "argv", ["redouble", "preview", "--failures", "1"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("retry()\n")


def test_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with a word and the exit code 130."""

    def interrupted(*, down: bool) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("redouble.cli.demo.demo", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "\nInterrupted.\n"


def test_an_end_without_a_number_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SystemExit` with anything but a number for a code, as `sys.exit("text")` raises it, gives exit code 1."""

    def ended(*, down: bool) -> NoReturn:
        raise SystemExit("enough")

    monkeypatch.setattr("redouble.cli.demo.demo", ended)
    assert main(["demo"]) == 1


def test_closed_pipe_ends_quietly(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """When nobody reads on, as in `redouble preview | head -0`, it ends with 141 and leaves nothing to be flushed."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["preview"]) == 141
    assert capfd.readouterr().err == ""


def test_module_runs_as_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m redouble` is the command."""
    monkeypatch.setattr(sys, "argv", ["redouble", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(MODULE, run_name="__main__")
    assert end.value.code == 0
    assert "usage: redouble" in capsys.readouterr().out


def test_importing_the_module_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Tools that import every module must not start the command."""
    sys.modules.pop("redouble.__main__", None)
    importlib.import_module("redouble.__main__")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [("prewiew", "preview"), ("preview --atempts 3", "--attempts"), ("run --dedline 3 x", "--deadline")],
)
def test_what_may_have_been_meant(capsys: pytest.CaptureFixture[str], written: str, meant: str) -> None:
    """A slip of the pen in a command or an option is answered with the nearest one."""
    assert main(written.split()) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err
