"""What is checked, and how: `nox` with no arguments does everything that CI does.

`nox -s tests-3.12` runs one session (and the wheel it needs), `nox -r` reuses environments, and what stands after `--`
goes to the tool: `nox -s tests-3.12 -- tests/core -k jitter`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import nox

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False  # skipped, on CI too; the session `coverage` wants one at least
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "docs", "wheel", "integration", "tests", "coverage"]

HERE = Path(__file__).parent
PROJECT = nox.project.load_toml(HERE / "pyproject.toml")
VERSIONS = nox.project.python_versions(PROJECT)
DIST = HERE / ".nox" / "dist"
FIGURES = HERE / ".nox" / "figures"


def find_python(version: str) -> str | None:
    """The first Python of this version that really starts; a pyenv shim on PATH may stand for one that is inactive."""
    name = f"python{version}"
    places = os.environ.get("PATH", "").split(os.pathsep)
    candidates = [sys.executable, *(shutil.which(name, path=place) for place in places)]
    candidates += [str(home / "bin" / name) for home in sorted(Path.home().glob(f".pyenv/versions/{version}.*"))]
    for candidate in filter(None, candidates):
        question = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            answer = subprocess.run(question, capture_output=True, text=True, timeout=30, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.strip() == version:
            return candidate
    return None


FOUND = {version: python for version in VERSIONS if (python := find_python(version))}
NEWEST = max(FOUND, key=VERSIONS.index, default=None)
OLDEST = min(FOUND, key=VERSIONS.index, default=None)

# nox looks along PATH: let it find there, last of all, what was found elsewhere.
PLACES = [str(Path(python).parent) for python in FOUND.values()]
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])


def install(session: nox.Session, *groups: str) -> None:
    """Install dependency groups of pyproject.toml."""
    session.install(*nox.project.dependency_groups(PROJECT, *groups))


def install_wheel(session: nox.Session, *groups: str) -> None:
    """Install the built wheel and dependency groups, and make sure that the wheel is what will be tested."""
    (wheel,) = DIST.glob("*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))  # with -r, the wheel of before has the same version
    session.install(str(wheel), *nox.project.dependency_groups(PROJECT, *groups))
    where = "import redouble, sys; sys.exit(redouble.__file__ if 'site-packages' not in redouble.__file__ else 0)"
    session.run("python", "-c", where, silent=True)


def measure(session: nox.Session, *pytest_args: str) -> None:
    """Run pytest under coverage; the figures of all such runs are put together by the session `coverage`."""
    session.run(
        *("coverage", "run", "-m", "pytest", *pytest_args, *session.posargs),
        env={"COVERAGE_FILE": str(FIGURES / f".coverage.{session.name}")},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Lint, and compare with the formatter's layout."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(python=OLDEST, requires=["wheel"])
def types(session: nox.Session) -> None:
    """Check types: ours with four checkers, and that every public symbol of the wheel has a known type."""
    install_wheel(session, "types")
    session.run("mypy")
    session.run("pyright")
    session.run("pyrefly", "check")
    session.run("ty", "check", "--error-on-warning")
    with session.chdir(session.create_tmp()):  # away from ./src, which pyright would look at instead of the wheel
        session.run("pyright", "--verifytypes", "redouble", "--ignoreexternal")


@nox.session(python=NEWEST, requires=["wheel"])
def docs(session: nox.Session) -> None:
    """Build the documentation, with warnings as errors."""
    install_wheel(session, "docs")
    target = session.posargs or ["docs/_build/html"]
    shutil.rmtree("docs/_build", ignore_errors=True)
    session.run("sphinx-build", "-W", "--keep-going", "-E", "-b", "html", "docs", *target)


@nox.session(python=NEWEST)
def wheel(session: nox.Session) -> None:
    """Build the source distribution, the wheel out of that, and look what is in it."""
    for stale in (DIST, FIGURES):
        shutil.rmtree(stale, ignore_errors=True)
        stale.mkdir(parents=True)
    install(session, "build")
    session.run("python", "-m", "build", "--outdir", str(DIST), silent=True)
    (built,) = DIST.glob("*.whl")
    expected = {path.relative_to("src").as_posix() for path in Path("src").rglob("*.py")} | {"redouble/py.typed"}
    packed = {name for name in ZipFile(built).namelist() if ".dist-info/" not in name}
    if packed != expected:
        session.error(f"the wheel should not differ from src/ in {sorted(packed ^ expected)}")
    session.log(f"{built.name}: {len(packed)} files")


@nox.session(python=NEWEST, requires=["wheel"])
def integration(session: nox.Session) -> None:
    """Run what needs real sockets and real time, and real clients, in an environment of its own, on the newest Python.

    A server that is not installed is skipped with a line that says so; `.ci/run` installs them all. Only the demo is
    measured: the rest goes through lines that the other tests measure, and some of it is about time.
    """
    install_wheel(session, "integration")
    demo = "tests/integration/test_demo.py"
    measure(session, demo)
    places = session.posargs or ["tests/integration", f"--deselect={demo}", "tests/known"]
    session.run("python", "-m", "pytest", *places)


@nox.session(python=VERSIONS, requires=["wheel"])
def tests(session: nox.Session) -> None:
    """Run the tests against the installed wheel, on every supported Python that is found; the oldest one measures.

    Measuring doubles the time that the tests take, and the code is the same for all of them. The soaks look at all
    objects that are alive, so they run in a process of their own, where those of other tests are not.
    """
    install_wheel(session, "test")
    session.run("pytest", *sorted(map(str, Path("tests").rglob("test_*_soak.py"))))
    if session.python == OLDEST:
        measure(session, "--ignore-glob=*_soak.py")
    else:
        session.run("pytest", "--ignore-glob=*_soak.py", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Put the figures of all runs together: every line and every branch must have been reached."""
    if not FOUND:
        session.error(f"found none of Python {', '.join(VERSIONS)}: nothing was tested")
    for version in sorted(set(VERSIONS) - set(FOUND)):
        session.warn(f"Python {version} was not found: nothing was tested with it")
    install(session, "coverage")
    env = {"COVERAGE_FILE": str(FIGURES / ".coverage")}
    session.run("coverage", "combine", "--quiet", "--keep", str(FIGURES), env=env)
    session.run("coverage", "report", env=env)
