"""That a browser shows the built documentation as it should: no page is cut off, the search finds, the pictures are there.

`nox -s browser` runs it. `REDOUBLE_SCREENSHOTS` names a folder for the screenshots; without it they go with the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("NOT TESTED: no browser looks at the docs: install chromium", allow_module_level=True)
for needed in ("websockets", "sphinx", "furo", "myst_parser", "sphinx_copybutton"):
    pytest.importorskip(needed, reason=f"NOT TESTED: no browser looks at the docs without {needed}: nox -s browser")

from tests.integration.docs.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[3] / "docs"
NARROW, WIDE = 390, 1440
THEMES = ("light", "dark")
SHOWN = {
    "index": "index.html",
    "how-to": "how-to/choose-the-waits.html",
    "why": "how-to/why-was-it-not-retried.html",
    "known-errors": "reference/known-errors.html",
    "known-errors-of-a-client": "reference/known-errors/http.html",
    "api": "reference/api.html",
    "search": "search.html?q=429",
}
PICTURES = {
    "how-to/choose-the-waits.html": 8,
    "how-to/limit-the-time.html": 1,
    "how-to/why-was-it-not-retried.html": 1,
    "explanation/nested-retries.html": 2,
}

FOUND = {
    "429": "how-to/share-a-rate-limit",
    "max retries": "how-to/stop-retrying",
    "disable": "how-to/stop-retrying",
    "trio": "how-to/test-your-retries",
    "prometheus": "how-to/prometheus-opentelemetry-sentry-structlog",
    "circuit breaker": "how-to/budgets",
    "rate limit": "how-to/share-a-rate-limit",
    "timeout": "how-to/limit-the-time",
    "deadlock": "how-to/run-a-transaction-again",
    "websocket": "how-to/keep-a-connection-alive",
    "celery": "how-to/retry-celery-tasks",
    "kubernetes": "how-to/in-the-shell",
    "tenacity": "coming-from/tenacity",
    "stop": "how-to/stop-retrying",
    "jitter": "how-to/choose-the-waits",
    "retry only some exceptions": "how-to/decide-what-is-retried",
    "retry http requests": "how-to/retry-http-requests",
    "limit the time": "how-to/limit-the-time",
}
"""What people type, and a page that has to be among the first results."""

FIRST = 8
"""How many results count as the first ones: as many as are seen without scrolling."""

CUT_OFF = """
(() => {
    const scrolls = element => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const inOwnBox = element => {
        for (let each = element; each && each.tagName !== "ARTICLE"; each = each.parentElement) {
            if (scrolls(each) && each.getBoundingClientRect().right <= innerWidth + 1) return true;
        }
        return false;
    };
    const page = document.documentElement;
    const wide = [...document.querySelectorAll("article table, article pre, article svg, article img, article dt")]
        .filter(each => each.getBoundingClientRect().right > innerWidth + 1 && !inOwnBox(each))
        .map(each => each.tagName + ": " + each.textContent.trim().slice(0, 60));
    if (page.scrollWidth > innerWidth) wide.push(`the page is ${page.scrollWidth} wide`);
    return wide;
})()
"""
"""What reaches over the right edge of the window, and is not in a box that scrolls by itself."""

TEXT_COLOURS = """
[...document.querySelectorAll("figure.picture svg text")].map(each => getComputedStyle(each).fill)
"""
RESULTS = """
(() => {
    const status = document.querySelector("#search-results p.search-summary");
    const links = [...document.querySelectorAll("#search-results ul.search > li > a")];
    return status && status.textContent && !Search.isOutputting && links.length
        ? links.map(each => each.getAttribute("href")) : null;
})()
"""

COPIED = """
(() => {
    let copied = null;
    document.execCommand = () => {  // what is about to be copied is the value of a text area that is there for that alone
        copied = [...document.querySelectorAll("body > textarea")].at(-1).value;
        return true;
    };
    const code = [...document.querySelectorAll(".highlight")].find(each => each.textContent.startsWith(">>>"));
    code.querySelector("button.copybtn").click();
    return copied;
})()
"""


FILTERED = """
(() => {
    const box = [...document.querySelectorAll("input.row-filter")].at(-1);
    box.value = "redis valkey";
    box.dispatchEvent(new Event("input"));
    const rows = [...box.nextElementSibling.querySelectorAll("tbody tr")];
    return rows.filter(each => each.offsetParent !== null).map(each => each.cells[0].textContent.trim());
})()
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves the built pages, and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class gives it
        pass

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # browsers ask for it by themselves, and there is none
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built as `nox -s docs` builds it."""
    target = tmp_path_factory.mktemp("docs") / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-E", "-b", "html", str(DOCS), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def site(built: Path) -> Iterator[str]:
    """The address of a server that has the built pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser."""
    found = Browser(str(CHROMIUM), tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for screenshots, which CI keeps."""
    named = os.environ.get("REDOUBLE_SCREENSHOTS")
    place = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place


def pages_of(built: Path) -> list[str]:
    """The address of each page."""
    return sorted(page.relative_to(built).as_posix() for page in built.rglob("*.html") if "_static" not in page.parts)


def test_no_page_is_cut_off_or_complains(browser: Browser, built: Path, site: str) -> None:
    """In both widths no page scrolls sideways, what is wider scrolls in its own box, and the console has no error."""
    browser.complaints.clear()
    pages = pages_of(built)
    wrong = {}
    for page in pages:
        browser.open(f"{site}/{page}")
        for width in (WIDE, NARROW):
            browser.look(width)
            if cut_off := browser.run(CUT_OFF):
                wrong[page, width] = cut_off
    assert len(pages) > 40
    assert wrong == {}
    assert browser.complaints == []


def test_known_errors_are_filtered(browser: Browser, site: str) -> None:
    """Words that are typed above the list of clients leave the rows that have all of them."""
    browser.look(WIDE)
    browser.open(f"{site}/reference/known-errors.html")
    assert browser.run(FILTERED) == ["redis, valkey"]


def test_what_is_cut_off_would_be_found(browser: Browser, site: str) -> None:
    """The script of the test above finds a table that is wider than the window."""
    browser.look(NARROW)
    browser.open(f"{site}/glossary.html")
    browser.run(
        "document.querySelector('article').insertAdjacentHTML('beforeend', '<table width=900><tr><td>x</table>')"
    )
    assert [each for each in browser.run(CUT_OFF) if each.startswith("TABLE")] == ["TABLE: x"]


def test_an_error_would_be_heard(browser: Browser, site: str) -> None:
    """An exception in a page, and a line of its console, are kept."""
    browser.complaints.clear()
    browser.open(f"{site}/glossary.html")
    browser.run("setTimeout(() => { throw new Error('of a page') }), console.error('on the console'), 1")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert [word for word in ("of a page", "on the console") if word not in str(browser.complaints)] == []
    browser.complaints.clear()


@pytest.mark.parametrize("word", FOUND)
def test_the_search_finds(browser: Browser, site: str, word: str) -> None:
    """Who types the word sees the page among the first results, and no error."""
    browser.look(WIDE)
    browser.complaints.clear()
    browser.open(f"{site}/search.html?q={word.replace(' ', '+')}")
    results = browser.wait_for(RESULTS)
    assert FOUND[word] in " ".join(results[:FIRST])
    assert browser.complaints == []


def test_pictures_are_there_in_both_themes(browser: Browser, site: str) -> None:
    """Each picture has a size, and its words another colour on a dark page than on a light one."""
    for page, count in PICTURES.items():
        colours = []
        for theme in THEMES:
            browser.look(WIDE, theme)
            browser.open(f"{site}/{page}")
            sizes = (
                "[...document.querySelectorAll('figure.picture svg')].map(each => each.getBoundingClientRect().width)"
            )
            assert [width > 200 for width in browser.run(sizes)] == [True] * count
            colours.append(set(browser.run(TEXT_COLOURS)))
        assert colours[0].isdisjoint(colours[1])


def test_a_copy_has_no_prompts(browser: Browser, site: str) -> None:
    """What a copy button gives of a block with prompts is the code, and not what it prints."""
    browser.look(WIDE)
    browser.open(f"{site}/how-to/choose-the-waits.html")
    browser.wait_for("document.querySelectorAll('button.copybtn').length")
    copied = browser.run(COPIED)
    assert copied.startswith("from redouble import constant")
    assert ">>>" not in copied
    assert "[1.0, 3.0, 9.0, 20.0, 20.0]" not in copied


def test_screenshots_are_taken(browser: Browser, site: str, screenshots: Path) -> None:
    """A person can look at the pages in both widths and both themes."""
    for width in (NARROW, WIDE):
        for theme in THEMES:
            for name, page in SHOWN.items():
                browser.look(width, theme, 2000)
                browser.open(f"{site}/{page}")
                if "search" in page:
                    browser.wait_for(RESULTS)
                browser.photograph(screenshots / f"{name}-{width}-{theme}.png")
    assert len(list(screenshots.glob("*.png"))) >= 4 * len(SHOWN)
