"""What is checked, and how: `nox` with no arguments does everything that CI does.

`nox -s tests-3.12` runs one session (and the wheel it needs), `nox -r` reuses environments, and what stands after `--`
goes to the tool: `nox -s tests-3.12 -- tests/core -k jitter`.

A Python that this machine does not have, and that Debian's unstable has, is tested in a folder with such a Debian, which
`debootstrap` makes: on Linux, as root. It is kept for a month under ~/.cache/redouble.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False  # skipped, on CI too; the session `coverage` wants one at least
nox.options.download_python = "never"
HERE = Path(__file__).parent
PROJECT = nox.project.load_toml(HERE / "pyproject.toml")
VERSIONS = nox.project.python_versions(PROJECT)
BUILD = [] if os.environ.get("WHEEL") == "built" else ["wheel"]  # as .ci/run says when it runs two sessions at once
DIST = HERE / ".nox" / "dist"
FIGURES = HERE / ".nox" / "figures"


def find_python(version: str) -> str | None:
    """Return the first Python of this version that really starts; a pyenv shim on PATH may be inactive."""
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

# What Debian's unstable is asked for: its default Python was 3.14 when this was written; it has no older ones.
IN_DEBIAN = [
    version for version in VERSIONS if version not in FOUND and VERSIONS.index(version) >= VERSIONS.index("3.14")
]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "redouble"
DEBIAN = CACHE / "-".join(["sid", *IN_DEBIAN])
MONTH = 30 * 24 * 3600
PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "CI")

# What only tests with real libraries and real sockets reach.
MEASURED = [
    "tests/integration/test_demo.py",
    "tests/integration/adapters",
    "tests/integration/migrate",
    "tests/integration/transports",
    "tests/integration/servers/test_fleet_budget.py",
    "tests/integration/servers/test_sqlalchemy_transactions.py",
]

nox.options.sessions = ["lint", "types", "docs", "wheel", "integration", "browser", "coverage"]
nox.options.sessions[-1:-1] = [*(f"tests-{version}" for version in IN_DEBIAN), "tests"]

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


@nox.session(python=OLDEST, requires=BUILD)
def types(session: nox.Session) -> None:
    """Check types: ours with four checkers, and that every public symbol of the wheel has a known type."""
    install_wheel(session, "types")
    session.run("mypy")
    session.run("pyright")
    session.run("pyrefly", "check")
    session.run("ty", "check", "--error-on-warning")
    with session.chdir(session.create_tmp()):  # away from ./src, which pyright would look at instead of the wheel
        session.run("pyright", "--verifytypes", "redouble", "--ignoreexternal")


@nox.session(python=NEWEST, requires=BUILD)
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


@nox.session(python=NEWEST, requires=BUILD)
def integration(session: nox.Session) -> None:
    """Run what needs real sockets and real time, and real clients, in an environment of its own, on the newest Python.

    A server that is not installed is skipped with a line that says so; `.ci/run` installs them all. Measured are the demo
    and the adapters, which nothing else reaches: the rest goes through lines that the other tests measure, and some of it
    is about time.
    """
    install_wheel(session, "integration")
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
        return
    measure(session, *MEASURED)
    others = ["tests/integration", "tests/known", "tests/docs/test_snippets.py"]
    elsewhere = [*MEASURED, "tests/integration/docs"]  # the last one has a session of its own: browser
    session.run("python", "-m", "pytest", *others, *(f"--ignore={place}" for place in elsewhere))
    session.run("python", "-m", "pytest", "tests/cli/test_simulate.py", env={"REDOUBLE_EXAMPLES": "100"})


@nox.session(python=NEWEST, requires=BUILD)
def browser(session: nox.Session) -> None:
    """Let a headless Chromium look at the built documentation; without one this is skipped, and says so.

    Its screenshots go to the folder that REDOUBLE_SCREENSHOTS names, or else to .nox/screenshots.
    """
    install_wheel(session, "browser")
    place = os.environ.get("REDOUBLE_SCREENSHOTS", str(HERE / ".nox" / "screenshots"))
    session.run(
        "python", "-m", "pytest", "tests/integration/docs", *session.posargs, env={"REDOUBLE_SCREENSHOTS": place}
    )


def run_tests(session: nox.Session, python: Callable[..., object], figures: str) -> None:
    """Run the tests with `python`; the first Python of all, the newest, measures what they reach.

    The code is the same for all of them, and from 3.14 on measuring costs little (a fifth of the time, by
    `sys.monitoring`; on 3.11 it is three quarters). The soaks look at all objects that are alive, so they run in a process of their own,
    where those of other tests are not.
    """
    if session.posargs:
        python("-m", "pytest", *session.posargs)
        return
    python("-m", "pytest", *sorted(map(str, Path("tests").rglob("test_*_soak.py"))))
    others = ("-m", "pytest", "--ignore-glob=*_soak.py")
    if is_first():
        python("-m", "coverage", "run", *others, env={"COVERAGE_FILE": f"{figures}/.coverage.tests"})
    else:
        python(*others)


def is_first() -> bool:
    """Tell whether no other session measures, and let none after this one; building the wheel forgets that."""
    try:
        (FIGURES / "measured").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def tests_in_debian(session: nox.Session, version: str) -> None:
    """Run the tests against the installed wheel, on one of the Pythons of a Debian.

    All that is needed in there is copied, and nothing is mounted but a /proc, which goes when the command ends.
    """
    root = debian(session)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with TemporaryDirectory(dir=root / "var/tmp", prefix="redouble-") as folder:
        place = Path(folder)
        here = f"/{place.relative_to(root)}"
        with tarfile.open(sdist) as packed:
            packed.extractall(place, filter="data")
        shutil.copy(wheel, place)
        (place / "figures").mkdir()
        run = partial(run_in_debian, session, root, f"{here}/{sdist.name.removesuffix('.tar.gz')}", certificates(place))
        run(f"python{version}", "-m", "venv", f"{here}/venv")
        python = partial(run, f"{here}/venv/bin/python")
        requirements = nox.project.dependency_groups(PROJECT, "test")
        try:
            python("-m", "pip", "install", "--quiet", f"{here}/{wheel.name}", *requirements)
        except CommandFailed:
            session.skip("NOT TESTED: pip could not install what the tests need on this Python (its words are above)")
        run_tests(session, python, f"{here}/figures")
        shutil.copytree(place / "figures", FIGURES, dirs_exist_ok=True)


def debian(session: nox.Session) -> Path:
    """Return a folder with Debian's unstable and its Pythons; make it where there is none of this month.

    Where it cannot be made, the session is skipped, and says why: that needs Linux, root, and a Debian mirror.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("debootstrap") and shutil.which("unshare")):
        session.skip("NOT TESTED: this Python was not found here; a Debian that has it needs root and debootstrap")
    import fcntl  # not everywhere

    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another session may be making it
        made_at = DEBIAN / "var/lib/dpkg/status"
        if not made_at.exists() or time.time() - made_at.stat().st_mtime > MONTH:
            replace_debian(session)
    return DEBIAN


def replace_debian(session: nox.Session) -> None:
    """Make the folder anew; where that fails an old one will do, and where there is none the session is skipped."""
    for left in CACHE.glob("new-*"):  # by a run that was killed
        shutil.rmtree(left)
    with TemporaryDirectory(dir=CACHE, prefix="new-") as folder:  # whole or not at all: it is moved when it is made
        made = Path(folder) / "root"
        try:
            make_debian(session, made)
        except CommandFailed:
            if DEBIAN.exists():
                session.warn(f"no newer Debian could be made: {DEBIAN} is used, which is older than a month")
                return
            session.skip("NOT TESTED: debootstrap could not make a Debian that has this Python (its words are above)")
        if DEBIAN.exists():
            DEBIAN.rename(Path(folder) / "old")
        made.rename(DEBIAN)


def make_debian(session: nox.Session, root: Path) -> None:
    """Fill a folder with a small Debian and see that its Pythons start; its mounts and processes end with it."""
    packages = ",".join(f"python{version},python{version}-venv" for version in IN_DEBIAN)
    bootstrap = ("debootstrap", "--force-check-gpg", "--variant=minbase", f"--include={packages}", "sid", str(root))
    apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
    session.run("timeout", "--verbose", "900", *apart, *bootstrap, external=True, silent=True)
    for version in IN_DEBIAN:
        run_in_debian(session, root, "/", {}, f"python{version}", "-c", "import ensurepip, ssl, sqlite3", silent=True)


def run_in_debian(
    session: nox.Session, root: Path, folder: str, settings: dict[str, str], *command: str, **options: Any
) -> None:
    """Run a command in `folder` of the Debian at `root`, with a /proc of its own, and none of the environment's secrets."""
    for name in ("resolv.conf", "hosts"):
        shutil.copyfile(f"/etc/{name}", root / "etc" / name)
    env = {name: value for name in PASSED_ON if (value := os.environ.get(name))}
    env |= {"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **settings, **options.pop("env", {})}
    apart = ("unshare", "--mount-proc", "--pid", "--fork", "--kill-child", f"--root={root}", f"--wd={folder}")
    session.run(*apart, *command, external=True, env=env, include_outer_env=False, **options)


def certificates(place: Path) -> dict[str, str]:
    """Copy the certificates that this machine trusts, if they are one file, and return the setting for pip in there."""
    settings = [os.environ.get(name) for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    for trusted in [*settings, ssl.get_default_verify_paths().cafile]:
        if trusted and Path(trusted).is_file():
            shutil.copyfile(trusted, place / "certificates.pem")
            return {"PIP_CERT": "../certificates.pem"}
    return {}


def add_session_in_debian(version: str) -> None:
    """Add the session of one Python version, which has the name that it has where that Python is found."""

    @nox.session(name=f"tests-{version}", python=False, requires=BUILD)
    def tests(session: nox.Session) -> None:
        """Run the tests against the installed wheel, on a Python that Debian's unstable has."""
        tests_in_debian(session, version)


for version_in_debian in reversed(IN_DEBIAN):
    add_session_in_debian(version_in_debian)


@nox.session(python=[version for version in reversed(VERSIONS) if version not in IN_DEBIAN], requires=BUILD)
def tests(session: nox.Session) -> None:
    """Run the tests against the installed wheel, on every supported Python that is found."""
    install_wheel(session, "test")
    run_tests(session, partial(session.run, "python"), str(FIGURES))


@nox.session
def coverage(session: nox.Session) -> None:
    """Put the figures of all runs together: ninety-eight of a hundred lines and branches must have been reached."""
    if not FOUND:
        session.error(f"found none of Python {', '.join(VERSIONS)}: nothing was tested")
    for version in sorted(set(VERSIONS) - set(FOUND) - (set(IN_DEBIAN) if DEBIAN.exists() else set())):
        session.warn(f"Python {version} was not found: nothing was tested with it")
    install(session, "coverage")
    env = {"COVERAGE_FILE": str(FIGURES / ".coverage")}
    session.run("coverage", "combine", "--quiet", "--keep", str(FIGURES), env=env)
    session.run("coverage", "report", env=env)
