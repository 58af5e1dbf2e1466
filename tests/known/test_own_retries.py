"""Floor 2. Clients that try again by themselves, and how their errors tell that they gave up."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from redouble.known.own_retries import BOTOCORE, GOOGLE, PYMONGO, REDIS, TABLE, TENACITY, URLLIB3, given_up_by

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "turn-off-client-retries.md"


def error_of(module: str, name: str, *bases: type[BaseException], **carried: Any) -> Any:
    """An error of some client."""
    error = type(name, bases or (Exception,), {"__module__": module})()
    vars(error).update(carried)
    return error


def raised_in(module: str, source: str, error: BaseException, **local: Any) -> Any:
    """The error, as a function of such a module raised it; `source` is that function's, which calls `fail`."""
    stand_in = ModuleType(module)
    vars(stand_in).update(local)

    def fail() -> None:
        raise error

    stand_in.fail = fail  # type: ignore[attr-defined]
    exec(source, vars(stand_in))
    with pytest.raises(type(error)):
        stand_in.run()
    return error


INCREMENT = """
class Retry:
    def __init__(self, history): self.history = history
    def increment(self): fail()
def run(): Retry(history).increment()
"""
CALL = """
class Retry:
    def call_with_retry(self):
        failures = count
        fail()
def run(): Retry().call_with_retry()
"""
RUN = """
class _ClientConnectionRetryable:
    def __init__(self): self.__dict__.update(state)
    def run(self): fail()
def run(): _ClientConnectionRetryable().run()
"""


def aws(**metadata: Any) -> Any:
    """An answer of botocore's, as a service's own class of error bears it."""
    client = type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})
    return error_of("botocore.errorfactory", "Throttled", client, response={"ResponseMetadata": metadata})


def full(*history: Any) -> Any:
    """What urllib3 raises when it has tried so often."""
    error = error_of("urllib3.exceptions", "MaxRetryError")
    return raised_in("urllib3.util.retry", INCREMENT, error, history=history)


TRIED = ("GET", "/", OSError(), None, None)
REDIRECTED = ("GET", "/", None, 303, "/there")


def over(error: BaseException, module: str = "requests.exceptions") -> BaseException:
    """An error of requests over another, which it leaves as its context."""
    outer = error_of(module, "ConnectionError")
    outer.__context__ = error
    return outer  # type: ignore[no-any-return]


def test_who_tells_that_it_gave_up() -> None:
    """By a class of its own, by what the error carries, and by how often its frames say that it tried."""
    assert given_up_by(aws(MaxAttemptsReached=True, RetryAttempts=4)) is BOTOCORE
    assert given_up_by(error_of("google.api_core.exceptions", "RetryError")) is GOOGLE
    assert given_up_by(error_of("tenacity", "RetryError")) is TENACITY
    assert given_up_by(full(TRIED)) is URLLIB3
    assert given_up_by(over(full(TRIED))) is URLLIB3
    refused = error_of("redis.exceptions", "ConnectionError")
    assert given_up_by(raised_in("redis.retry", CALL, refused, count=2)) is REDIS
    for state in ({"_retrying": True}, {"_attempt_number": 1}):
        lost = error_of("pymongo.errors", "AutoReconnect")
        assert given_up_by(raised_in("pymongo.synchronous.mongo_client", RUN, lost, state=state)) is PYMONGO


def test_who_did_not_try_again() -> None:
    """A client whose retries were off, or that gave up at once, has given up on nothing."""
    assert given_up_by(aws(MaxAttemptsReached=True, RetryAttempts=0)) is None
    assert given_up_by(aws(MaxAttemptsReached=True)) is None
    assert given_up_by(aws(RetryAttempts=4)) is None
    assert given_up_by(error_of("botocore.exceptions", "ClientError", response=None)) is None
    assert given_up_by(error_of("botocore.exceptions", "ClientError", response={"ResponseMetadata": 5})) is None
    assert given_up_by(full()) is None
    assert given_up_by(full(REDIRECTED)) is None
    assert given_up_by(full(5, (1, 2))) is None
    assert given_up_by(error_of("urllib3.exceptions", "MaxRetryError")) is None
    for count in (1, True, "2", None):
        refused = error_of("redis.exceptions", "ConnectionError")
        assert given_up_by(raised_in("redis.retry", CALL, refused, count=count)) is None
    for state in ({}, {"_retrying": False, "_attempt_number": 0}):
        lost = error_of("pymongo.errors", "AutoReconnect")
        assert given_up_by(raised_in("pymongo.synchronous.mongo_client", RUN, lost, state=state)) is None


def test_causes_are_asked_and_contexts_are_not() -> None:
    """An explicit cause is what an error is about; a context may be about anything, but not beneath requests."""
    wrapped = ValueError()
    wrapped.__cause__ = full(TRIED)
    assert given_up_by(wrapped) is URLLIB3
    handled = ValueError()
    handled.__context__ = full(TRIED)
    assert given_up_by(handled) is None


def test_a_chain_without_end_is_walked_once() -> None:
    """A chain that comes back to its beginning ends."""
    outer, inner = ValueError(), ValueError()
    outer.__cause__, inner.__cause__ = inner, outer
    assert given_up_by(outer) is None


class Hidden(type):
    """A metaclass that hides the names of its classes."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


def test_a_hostile_class_is_nobody_we_know() -> None:
    """A class that does not like to be asked is unknown."""

    class OddError(Exception, metaclass=Hidden):
        pass

    assert given_up_by(OddError()) is None


def test_the_advice_says_what_to_write() -> None:
    """The line for the note names the client and its switch."""
    expected = "urllib3 has tried again by itself: PoolManager(retries=False) leaves that to redouble"
    assert URLLIB3.advice == expected


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.client)
def test_the_page_says_what_the_table_says(row: Any) -> None:
    """Each row is a line of the how-to, word for word."""
    cells = (row.client, row.does, f"`{row.off}`" if row.off else "", row.note)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text(encoding="utf-8").splitlines()]
    assert list(cells) in lines


def test_the_table_is_in_order() -> None:
    """A reader finds a client by its name, and each only once."""
    names = [row.client.lower() for row in TABLE]
    assert names == sorted(set(names))


@pytest.mark.parametrize("row", [row for row in TABLE if row.off], ids=lambda row: row.client)
def test_every_switch_is_python(row: Any) -> None:
    """What there is to write can be written: an expression, a statement, or an argument of a call."""
    for form in ("{}", "f({})", "{}: pass"):
        try:
            compile(form.format(row.off), "switch", "exec")
        except SyntaxError:
            continue
        return
    pytest.fail(row.off)
