"""What `redouble migrate` writes: forms, names, imports, marks. Nothing is run here but the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("libcst", reason="pip install redouble[migrate]")

from tests.integration.migrate.bringing import bring

DECORATED = '''"""A shop."""

from tenacity import retry, stop_after_attempt, wait_fixed


class Shop:
    @retry(
        stop=stop_after_attempt(5),  # a fifth is the last
        wait=wait_fixed(2),
        reraise=True,
    )
    def fetch(self):
        return 1
'''


def test_a_decorator(tmp_path: Path) -> None:
    """A decorator gets redouble's words, its comments stay, and the import is replaced where it was."""
    assert (
        bring(tmp_path, DECORATED).text
        == '''"""A shop."""

from redouble import constant, retry, transient


class Shop:
    # a fifth is the last
    @retry(
        # redouble: review: tenacity retries every Exception; looks at no Retry-After, as before
        on=transient(Exception, retry_after=0),
        idempotent=True,  # redouble: review: repeats POSTs too, as tenacity did
        attempts=5,
        backoff=constant(2),
        nested="multiply",  # redouble: review: inner retries multiply, as under tenacity
        budget=None,  # redouble: review: no retry budget, as under tenacity
    )
    def fetch(self):
        return 1
'''
    )


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """The command finds nothing more to do in what it has written, marks included."""
    text = DECORATED + "\n\n@retry(stop=stop_after_attempt(2), retry_error_callback=print)\ndef left(): ...\n"
    first = bring(tmp_path, text)
    second = bring(tmp_path, first.text)
    assert first.text != text and second.text == first.text
    assert first.code == second.code == 1


@pytest.mark.parametrize(
    ("imports", "decorator"),
    [
        ("import tenacity", "tenacity.retry(stop=tenacity.stop_after_attempt(2))"),
        ("import tenacity as t", "t.retry(stop=t.stop_after_attempt(2))"),
        ("from tenacity import retry as again, stop_after_attempt as times", "again(stop=times(2))"),
        ("import tenacity.stop\nfrom tenacity import retry", "retry(stop=tenacity.stop.stop_after_attempt(2))"),
        ("from tenacity.stop import stop_after_attempt\nimport tenacity", "tenacity.retry(stop=stop_after_attempt(2))"),
        ("import tenacity\nLIMIT = tenacity.stop_after_attempt(2)", "tenacity.retry(stop=LIMIT)"),
        ("import tenacity\nHOW = dict(stop=tenacity.stop_after_attempt(2))", "tenacity.retry(**HOW)"),
        ("import tenacity\nHOW = {'stop': tenacity.stop_after_attempt(2)}", "tenacity.retry(**HOW)"),
    ],
)
def test_names_are_followed(tmp_path: Path, imports: str, decorator: str) -> None:
    """Names are followed through imports, aliases and what the module assigns once."""
    text = bring(tmp_path, f"{imports}\n\n\n@{decorator}\ndef fetch(): ...\n").flat
    assert "attempts=2" in text and "tenacity.retry" not in text


def test_a_module_of_that_name_is_left_alone(tmp_path: Path) -> None:
    """A module of the program's own that is called backoff is none of the library's."""
    text = "from shop import backoff\nfrom . import retrying\n\n\n@backoff.on_exception(backoff.expo, OSError)\ndef f(): ...\n"
    assert bring(tmp_path, text).text == text


def test_a_name_in_use_makes_ours_dotted(tmp_path: Path) -> None:
    """Where the file uses one of our names for something else, ours are written with their module."""
    text = "import tenacity\n\nconstant = 5\n\n\n@tenacity.retry(stop=tenacity.stop_after_attempt(2))\ndef fetch(retry): ...\n"
    assert "import redouble\n" in (new := bring(tmp_path, text).text) and "@redouble.retry(" in new


def test_an_import_that_is_used_elsewhere_stays(tmp_path: Path) -> None:
    """An import stays as long as something uses it, and where nothing used it before."""
    text = (
        "from tenacity import Future, RetryError, retry, stop_after_attempt\n\n\n"
        "@retry(stop=stop_after_attempt(2), reraise=True)\ndef fetch(): ...\n\n\nKNOWN = (RetryError,)\n"
    )
    assert "from tenacity import Future, RetryError\n" in bring(tmp_path, text).text


LEFT = {
    "retry_error_callback= has no counterpart; write an `except`": "@retry(stop=stop_after_attempt(2), retry_error_callback=lambda state: None)\ndef f(): ...",
    "retry_error_cls=": "@retry(stop=stop_after_attempt(2), retry_error_cls=OSError)\ndef f(): ...",
    "hook of its own": "@retry(stop=stop_after_attempt(2), before_sleep=print)\ndef f(): ...",
    "sleep= is of its own": "@retry(stop=stop_after_attempt(2), sleep=print)\ndef f(): ...",
    "unpacked": "@retry(**settings)\ndef f(): ...",
    "a generator": "@retry(stop=stop_after_attempt(2))\ndef f():\n    yield 1",
    "two limits at once": "@retry(stop=stop_after_attempt(2) & stop_after_delay(3))\ndef f(): ...",
    "BaseException": "@retry(retry=retry_if_exception_type(BaseException))\ndef f(): ...",
    "is not known here": "@retry(stop=my_stop)\ndef f(): ...",
    "has no counterpart": "@retry(wait=wait_exception(seconds))\ndef f(): ...",
    "the file names TryAgain": "from tenacity import TryAgain\n\n@retry\ndef f():\n    raise TryAgain",
    "is named, and not called": "kind = Retrying",
    "handed on": "run(Retrying(stop=stop_after_attempt(2), reraise=True))",
    "more than `with attempt:`": "for attempt in Retrying(reraise=True):\n    with attempt:\n        f()\n    print(1)",
    "it uses attempt.retry_state.outcome": "for attempt in Retrying(reraise=True):\n    with attempt:\n        attempt.retry_state.outcome",
    "outside of the loop": "for attempt in Retrying(reraise=True):\n    with attempt:\n        f()\nprint(attempt.retry_state)",
    "its RetryError is looked into": "try:\n    Retrying(stop=stop_after_attempt(2))(f)\nexcept RetryError as e:\n    print(e.last_attempt)",
    "is looked into (shop.py)": "@retry(stop=stop_after_attempt(2))\ndef f(): ...\n\ntry:\n    f()\nexcept RetryError as e:\n    e.reraise()",
    "uses f.statistics": "@retry(stop=stop_after_attempt(2))\ndef f(): ...\n\nprint(f.statistics)",
    "is a coroutine function": "async def p(e): ...\n\n@retry(retry=retry_if_exception(p))\ndef f(): ...",
    "contextmanager": "@retry(stop=stop_after_attempt(2))\n@contextmanager\ndef f(): ...",
}


@pytest.mark.parametrize(("reason", "code"), LEFT.items(), ids=LEFT)
def test_left_as_it_is(tmp_path: Path, reason: str, code: str) -> None:
    """What has no counterpart is left as it is, with a comment above that says why, and the exit code tells."""
    names = (
        "Retrying, RetryError, retry, retry_if_exception, retry_if_exception_type, stop_after_attempt,"
        " stop_after_delay, wait_exception"
    )
    text = f"from tenacity import {names}\n\n{code}\n"
    brought = bring(tmp_path, text)
    marks = [line for line in brought.text.splitlines() if line.lstrip().startswith("# redouble: todo: ")]
    assert brought.code == 1 and any(reason in mark for mark in marks), brought.text
    assert "\n".join(line for line in brought.text.splitlines() if line not in marks) + "\n" == text


LEFT_ELSEWHERE = {
    "on_giveup= is a handler": "import backoff\n\n@backoff.on_exception(backoff.expo, OSError, on_giveup=print)\ndef f(): ...",
    "raise_on_giveup=": "import backoff\n\n@backoff.on_exception(backoff.expo, OSError, raise_on_giveup=False)\ndef f(): ...",
    "max_tries= is a function": "import backoff\n\n@backoff.on_exception(backoff.expo, OSError, max_tries=lambda: 3)\ndef f(): ...",
    "jitter=mine": "import backoff\n\n@backoff.on_exception(backoff.expo, OSError, jitter=mine)\ndef f(): ...",
    "wait_gen=mine": "import backoff\n\n@backoff.on_exception(mine, OSError)\ndef f(): ...",
    "a generator": "import stamina\n\n@stamina.retry(on=OSError)\ndef f():\n    yield 1",
    "attempt.next_wait": "import stamina\n\nfor a in stamina.retry_context(on=OSError):\n    with a:\n        print(a.next_wait)",
    "several waits": "from retrying import retry\n\n@retry(wait_fixed=1, wait_random_max=9)\ndef f(): ...",
    "wrap_exception=": "from retrying import retry\n\n@retry(wrap_exception=True)\ndef f(): ...",
    "is a class": "from retrying import retry\n\n@retry(retry_on_exception=OSError)\ndef f(): ...",
    "only sometimes": "try:\n    from tenacity import retry\nexcept ImportError:\n    retry = print\n\n@retry\ndef f(): ...",
}


@pytest.mark.parametrize(("reason", "code"), LEFT_ELSEWHERE.items(), ids=LEFT_ELSEWHERE)
def test_left_of_other_libraries(tmp_path: Path, reason: str, code: str) -> None:
    """What has no counterpart in the other libraries is left and marked likewise."""
    brought = bring(tmp_path, code.replace("attempt.next_wait", "a.next_wait") + "\n")
    wanted = reason.replace("attempt.", "a.")
    assert brought.code == 1 and any(
        "# redouble: todo: " in line and wanted in line for line in brought.text.splitlines()
    )


PARITY = {
    "on=None, result=lambda v: v is None": "@retry(retry=retry_if_result(lambda v: v is None), reraise=True)",
    'unwanted="raise"': "@retry(retry=retry_if_result(lambda v: v is None), reraise=True)",
    "attempts=None": "@retry",
    "stop=event": "@retry(stop=stop_when_event_set(event), reraise=True)",
    "attempts=5, deadline=30": "@retry(stop=stop_after_attempt(5) | stop_after_delay(30), reraise=True)",
    "exponential(1, maximum=None, jitter=None)": "@retry(wait=wait_exponential())",
    "exponential(1, maximum=30, jitter=None).at_least(2)": "@retry(wait=wait_exponential(min=2, max=30))",
    "exponential(1, maximum=60)": "@retry(wait=wait_random_exponential(max=60))",
    "log_retries(log, 30)": "@retry(before_sleep=before_sleep_log(log, 30))",
    "when=lambda it: bool(p(it))": "@retry(retry=retry_if_exception(p))",
    "transient(*KINDS, retry_after=0)": "KINDS = (OSError, KeyError)\n\n@retry(retry=retry_if_exception_type(KINDS))",
}


@pytest.mark.parametrize(("ours", "theirs"), PARITY.items(), ids=PARITY)
def test_what_parity_needs_is_written(tmp_path: Path, ours: str, theirs: str) -> None:
    """What keeps the behaviour is written out, and marked for review."""
    names = (
        "before_sleep_log, retry, retry_if_exception, retry_if_exception_type, retry_if_result, stop_after_attempt,"
        " stop_after_delay, stop_when_event_set, wait_exponential, wait_random_exponential"
    )
    brought = bring(tmp_path, f"from tenacity import {names}\n\n{theirs}\ndef f(): ...\n")
    assert ours in brought.flat, brought.text
    assert "idempotent=True,  # redouble: review: " in brought.text


def test_the_end_is_said(tmp_path: Path) -> None:
    """Where a RetryError came out before, a comment says that the operation's own error does now."""
    text = "from tenacity import retry, stop_after_attempt\n\n\n@retry(stop=stop_after_attempt(2))\ndef f(): ...\n"
    assert "@retry(  # redouble: review: raises the last error itself, not RetryError\n" in bring(tmp_path, text).text


OBJECT = """from tenacity import AsyncRetrying, Retrying, stop_after_attempt


class Client:
    def __init__(self):
        self._retrying = Retrying(stop=stop_after_attempt(3), reraise=True)

    def get(self, url):
        return self._retrying(self.send, url)

    async def read(self):
        async for attempt in AsyncRetrying(stop=stop_after_attempt(3), reraise=True):
            with attempt:
                print(attempt.retry_state.attempt_number)
                return await self.receive()


def _policy():
    return Retrying(stop=stop_after_attempt(4), reraise=True)


def load():
    for attempt in _policy():
        with attempt:
            return 1
"""


def test_objects_are_followed(tmp_path: Path) -> None:
    """A retrying object is followed through a private attribute, a name and a private function to all its uses."""
    brought = bring(tmp_path, OBJECT)
    assert brought.code == 0 and "tenacity" not in "".join(brought.text.split("# redouble")[0])
    assert "return self._retrying.call(self.send, url)" in brought.text
    assert "print(attempt.number)" in brought.text
    assert "    return retry(" in brought.text and "for attempt in _policy():" in brought.text


def test_a_public_object_that_another_file_mentions_is_left(tmp_path: Path) -> None:
    """An object that another file may use stays as it is."""
    text = "from tenacity import Retrying\n\nagain = Retrying(reraise=True)\nagain(print)\n"
    brought = bring(tmp_path, text, other="from shop import again\n\nagain.copy()\n")
    assert brought.code == 1 and "other files may use again" in brought.text


FETCH = "from tenacity import retry, stop_after_attempt\n\n\n@retry(stop=stop_after_attempt(3), reraise=True)\ndef fetch(): ...\n"


def test_tests_that_reach_into_a_function(tmp_path: Path) -> None:
    """Stand-ins for the sleep become virtual time, and `retry_with` a changed policy."""
    text = """from shop import fetch
from tenacity import stop_after_attempt, wait_none


def test_fails():
    fetch.retry.sleep = lambda seconds: None
    assert fetch() is None


def test_patched(monkeypatch):
    monkeypatch.setattr(fetch.retry, "sleep", lambda seconds: None)
    fetch()


def test_less():
    fetch.retry.wait = wait_none()
    fetch.retry_with(stop=stop_after_attempt(1))()
"""
    brought = bring(tmp_path, text, name="test_shop.py", shop=FETCH)
    assert brought.code == 0, brought.said
    assert "    with fake_time():\n        assert fetch() is None\n" in brought.text
    assert "    with fake_time():\n        fetch()\n" in brought.text
    assert "policy_of(fetch)(attempts=1, deadline=None)(fetch.__wrapped__)()" in brought.flat
    assert "from redouble.testing import fake_time\n" in brought.text and "tenacity" not in brought.text


def test_a_function_that_is_reached_into_otherwise_stays(tmp_path: Path) -> None:
    """Where a test reads a function's retrying in a way that has no counterpart, both stay as they are."""
    test = "from shop import fetch\n\n\ndef test_limit():\n    assert fetch.retry.stop.max_attempt_number == 3\n"
    brought = bring(tmp_path, FETCH, test_shop=test)
    assert "test_shop.py uses fetch.retry.stop" in brought.text and "from tenacity import" in brought.text


def test_patched_sleeps(tmp_path: Path) -> None:
    """A name by which tests patch time.sleep itself becomes that name; any other is marked."""
    text = "from unittest.mock import patch\n\n\n@patch('tenacity.nap.time.sleep')\ndef test_a(sleep): ...\n\n\n@patch('tenacity.nap.sleep')\ndef test_b(sleep): ...\n"
    brought = bring(tmp_path, text, name="test_shop.py")
    assert (
        "@patch('time.sleep')" in brought.text
        and "tenacity.nap.sleep is patched: write `with fake_time():`" in brought.text
    )


def test_stamina_in_tests(tmp_path: Path) -> None:
    """Stamina's switches become scopes: of a fixture, of a test's rest, of a block."""
    text = """import pytest
import stamina


@pytest.fixture(autouse=True)
def no_retries():
    stamina.set_active(False)


def test_a():
    with stamina.set_testing(True, attempts=2):
        pass


def test_b():
    stamina.set_testing(True)
    assert run()
"""
    brought = bring(tmp_path, text, name="test_shop.py")
    assert "with override(attempts=1, everywhere=True):\n        yield\n" in brought.text
    assert "with override(attempts=2, deadline=None, backoff=constant(0), everywhere=True):" in brought.text
    assert "everywhere=True):\n        assert run()\n" in brought.text
    assert brought.code == 0 and "import stamina" not in brought.text


def test_who_catches_retry_error_goes_on_getting_one(tmp_path: Path) -> None:
    """Where RetryError is caught, the body gets `gave_up_as(RetryError)`: around a block, a call and in a test."""
    text = """import pytest
from tenacity import RetryError, Retrying, retry, stop_after_attempt


@retry(stop=stop_after_attempt(2))
def fetch(): ...


def load():
    try:
        for attempt in Retrying(stop=stop_after_attempt(2)):
            with attempt:
                return fetch()
    except RetryError:
        return None


def test_fetch():
    with pytest.raises(RetryError):
        fetch()
"""
    brought = bring(tmp_path, text)
    assert "        with gave_up_as(RetryError):\n            for attempt in retry(" in brought.text
    assert "with pytest.raises(RetryError), gave_up_as(RetryError):\n        fetch()\n" in brought.text
    assert brought.text.count("# redouble: review: name an error of your own") == 2 and brought.code == 0
    assert bring(tmp_path, brought.text).text == brought.text


SHARED = """from tenacity import retry, stop_after_attempt, wait_fixed

_WAIT = wait_fixed(2)
again = retry(stop=stop_after_attempt(2), wait=_WAIT)


@again
def fetch(): ...
"""


def test_a_shared_decorator(tmp_path: Path) -> None:
    """A decorator with a name is a policy afterwards, and a strategy that nothing uses any more goes."""
    brought = bring(tmp_path, SHARED)
    assert "again = retry(" in brought.text and "constant(2)" in brought.text and "_WAIT" not in brought.text
    assert brought.code == 0


def test_a_shared_decorator_of_a_function_that_is_looked_into(tmp_path: Path) -> None:
    """A shared decorator stays where a test looks into the retrying of a function that it may have decorated."""
    test = "def test_limit():\n    assert made().retry.stop.max_attempt_number == 2\n"
    assert "which it may have made" in bring(tmp_path, SHARED, test_shop=test).text


def test_the_retry_error_of_a_shared_decorator(tmp_path: Path) -> None:
    """Who catches the RetryError of a function with a shared decorator goes on getting one."""
    user = "from shop import fetch\nfrom tenacity import RetryError\n\ntry:\n    fetch()\nexcept RetryError: ...\n"
    assert "    with gave_up_as(RetryError):\n        fetch()" in bring(tmp_path, user, "use.py", shop=SHARED).text


def test_a_fixture_that_reaches_into_a_function(tmp_path: Path) -> None:
    """In a fixture virtual time holds everywhere, as long as the test runs."""
    text = """import pytest
from shop import fetch


@pytest.fixture(autouse=True)
def quick():
    fetch.retry.sleep = lambda seconds: None
"""
    brought = bring(tmp_path, text, name="conftest.py", shop=FETCH)
    assert "    with fake_time(everywhere=True):\n        yield\n" in brought.text


def test_an_import_within_a_function(tmp_path: Path) -> None:
    """An import that a function had goes, and ours stands above everything that uses it."""
    text = (
        "import os\n\n\ndef load():\n    from tenacity import Retrying\n\n    return Retrying(reraise=True)(print)\n\n\n"
        "import sys\n"
    )
    assert bring(tmp_path, text).text.startswith(
        "import os\nfrom redouble import constant, retry, transient\n\n\ndef load"
    )


def test_a_library_that_tests_patch(tmp_path: Path) -> None:
    """What a function asks a library for at each call stays where a test puts a stand-in into that library."""
    text = "import tenacity\n\n\ndef load():\n    return tenacity.Retrying(wait=tenacity.wait_fixed(9), reraise=True)(print)\n"
    test = "from unittest import mock\n\nimport shop\nimport tenacity\n\n\ndef test_load():\n    with mock.patch.object(shop.tenacity, 'wait_fixed'):\n        pass\n"
    assert "# redouble: todo: test_shop.py patches tenacity itself" in bring(tmp_path, text, test_shop=test).text


IN_CLASS = """import backoff


class Shop:
    def _over(error):
        return error.args

    @backoff.on_exception(backoff.expo, OSError, giveup=_over)
    def fetch(self): ...

    def load(self):
        def over(error):
            return error.args

        @backoff.on_exception(backoff.expo, OSError, giveup=over)
        def get(): ...
"""


def test_a_predicate_of_the_class_is_not_named_in_a_lambda(tmp_path: Path) -> None:
    """A lambda in a class's body does not see the class's functions, so such a predicate is left; others are wrapped."""
    brought = bring(tmp_path, IN_CLASS)
    assert "# redouble: todo: _over is of the class" in brought.text
    assert "transient(OSError, when=lambda it: not over(it)" in brought.text


def test_a_name_that_tests_patch_in_a_module(tmp_path: Path) -> None:
    """What a test patches by its name in a module stays, so that there is something to patch."""
    text = "from tenacity import Retrying\n\n\ndef load():\n    return Retrying(reraise=True)(print)\n"
    test = "from unittest.mock import patch\n\n\n@patch('app.shop.Retrying')\ndef test_load(stand_in): ...\n"
    assert "# redouble: todo: test_shop.py patches shop.Retrying" in bring(tmp_path, text, test_shop=test).text


NONE = {
    "attempts=None, deadline=limit": "import backoff\n\n@backoff.on_exception(backoff.expo, OSError, max_time=limit)\ndef f(): ...\n",
    "deadline=None if limit is None else limit / 1000": "from retrying import retry\n\n@retry(stop_max_delay=limit)\ndef f(): ...\n",
}


@pytest.mark.parametrize(("ours", "theirs"), NONE.items(), ids=["backoff", "retrying"])
def test_a_limit_that_may_be_none(tmp_path: Path, ours: str, theirs: str) -> None:
    """A limit of time that turns out to be None is none, and brings no default limit back."""
    flat = bring(tmp_path, theirs).flat
    assert ours in flat and "attempts=None" in flat
