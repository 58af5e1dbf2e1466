"""What `import redouble` loads: every program that retries something pays for that."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import redouble

if TYPE_CHECKING:
    from types import ModuleType

HEAVY = {"asyncio", "dataclasses", "datetime", "inspect", "logging", "random", "re", "threading", "typing"}


def loaded_by(statement: str, *options: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `statement`; a warning there is an error."""
    spec = find_spec("redouble")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    place = str(Path(spec.submodule_search_locations[0]).parent)
    code = f"import sys; sys.path.append({place!r}); {statement}; print(*sys.modules)"
    command = [sys.executable, "-I", "-W", "error", *options, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_bare_interpreter_has_loaded_nothing_heavy() -> None:
    """Without `site` the interpreter itself loads none of the heavy modules, so that what is seen below is ours."""
    assert loaded_by("pass", "-S") & HEAVY == set()


def test_importing_redouble_loads_nothing_heavy() -> None:
    """`import redouble` loads none of the costly parts of the standard library."""
    assert loaded_by("import redouble", "-S") & HEAVY == set()


def test_importing_redouble_loads_no_loops() -> None:
    """Nobody pays for loops who has none."""
    assert not {name for name in loaded_by("import redouble", "-S") if name.startswith("redouble.loops")}
    assert "redouble.loops.poll" in loaded_by("from redouble import poll")


def test_importing_redouble_loads_no_third_party() -> None:
    """`import redouble` loads only itself and the standard library."""
    tops = {name.partition(".")[0] for name in loaded_by("import redouble", "-S")}
    assert tops - sys.stdlib_module_names - {"__main__"} == {"redouble"}


@pytest.mark.parametrize("module", ["redouble.cli", "redouble.testing", "redouble.ways.wrap_async"])
def test_what_is_loaded_on_demand_imports_cleanly(module: str) -> None:
    """Each part that is loaded on demand can be the first import, and warns of nothing."""
    assert module in loaded_by(f"import {module}", "-S")


def test_the_pytest_plugin_does_not_load_redouble() -> None:
    """The plugin, which pytest loads wherever redouble is installed, leaves redouble alone until a fixture is used."""
    loaded = loaded_by("import _redouble_pytest")
    assert {name for name in loaded if name.partition(".")[0] == "redouble"} == set()


def test_what_is_loaded_later_is_there() -> None:
    """Loops and their kin are names like all others: they can be imported, listed, and are the same object each time."""
    assert set(redouble.__all__) <= set(dir(redouble))
    for name in redouble.__all__:
        assert getattr(redouble, name) is getattr(redouble, name)


def test_modules_that_hand_out_names_are_there() -> None:
    """After `import redouble` alone its modules that hand out names are attributes, and the loops still wait."""
    statement = "import redouble; redouble.jitters.full; redouble.types.Clock; redouble.loops"
    assert "redouble.loops.link" not in loaded_by(statement, "-S")
    assert "redouble.loops.link" in loaded_by(f"{statement}.LinkStatus", "-S")


def test_types_of_the_loops_are_loaded_later() -> None:
    """`redouble.loops` hands out each of its types when it is asked for, lists them, and knows no other name."""
    assert set(redouble.loops.__all__) <= set(dir(redouble.loops))
    for name in redouble.loops.__all__:
        assert getattr(redouble.loops, name) is getattr(redouble.loops, name)
    with pytest.raises(AttributeError, match=r"module 'redouble\.loops' has no attribute 'Bell'"):
        redouble.loops.Bell  # noqa: B018


@pytest.mark.parametrize("module", [redouble.jitters, redouble.loops, redouble.types])
def test_a_name_of_another_module_is_told_where_it_is(module: ModuleType) -> None:
    """A name that `redouble` leaves to one of its modules is an AttributeError that says which."""
    for name in module.__all__:
        where = f"{module.__name__}.{name}"
        with pytest.raises(AttributeError, match=f"^module 'redouble' has no attribute '{name}': it is {where}$"):
            getattr(redouble, name)


def test_the_version_is_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`redouble.__version__` is what the installed package says, looked up when it is asked for."""
    monkeypatch.setattr(importlib.metadata, "version", {"redouble": "7.8.9"}.__getitem__)
    assert redouble.__version__ == "7.8.9"
    assert "__version__" in dir(redouble)
    assert "importlib.metadata" not in loaded_by("import redouble", "-S")


def test_the_version_of_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redouble that is run from its source has no version, and says so as Python says that there is no such name."""
    monkeypatch.setattr(importlib.metadata, "distribution", raises_not_found)
    assert getattr(redouble, "__version__", None) is None
    with pytest.raises(AttributeError, match=r"^redouble is not installed, so its version is not known$"):
        redouble.__version__  # noqa: B018


def raises_not_found(name: str) -> None:
    """Stands in for `importlib.metadata.distribution`."""
    raise importlib.metadata.PackageNotFoundError(name)


def test_what_does_not_exist_is_said_as_python_says_it() -> None:
    """A misspelt name is an AttributeError, or an ImportError where it is imported."""
    with pytest.raises(AttributeError, match="module 'redouble' has no attribute 'retries'"):
        redouble.retries  # noqa: B018
