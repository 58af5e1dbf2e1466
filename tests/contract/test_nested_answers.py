"""HTTP answers that an inner retry gave up on and returned: a retry around does not multiply them."""

from __future__ import annotations

from typing import Any

import pytest

from redouble import http_response, retry
from redouble.testing import fake_time


class Answer:
    """A response that refuses."""

    status_code = 503
    headers: dict[str, str] = {}  # noqa: RUF012  # of the class alone


class StatusError(Exception):
    """What `raise_for_status` raises."""

    def __init__(self, response: Any) -> None:
        super().__init__("503")
        self.response = response


INNER = retry(result=http_response)


def calls_of(policy: Any, raises: bool = False, kind: Any = Answer, inner: Any = INNER) -> int:
    """How often the innermost function is called beneath two retries, each of three attempts."""
    calls = 0

    @inner
    def ask() -> Any:
        nonlocal calls
        calls += 1
        return kind()

    @policy
    def use() -> Any:
        answer = ask()
        if raises:
            raise StatusError(answer)
        return answer

    with fake_time():
        try:
            use()
        except StatusError:
            assert raises
    return calls


def test_an_answer_that_was_given_up_on_is_not_asked_for_again() -> None:
    """It bears the mark of the inner retry, as an error would."""
    assert calls_of(INNER) == 3


def test_an_error_made_of_such_an_answer_is_not_retried() -> None:
    """`raise_for_status` raises an error that bears the answer."""
    assert calls_of(retry(on=StatusError), raises=True) == 3


@pytest.mark.parametrize("raises", [False, True])
def test_who_wants_to_multiply_says_so(raises: bool) -> None:
    """`nested="multiply"` counts such an answer as a failure like any other."""
    assert calls_of(retry(on=StatusError, result=http_response, nested="multiply"), raises) == 9


def test_an_answer_of_an_earlier_attempt_is_none_of_this_one() -> None:
    """A cached answer, on which a retry gave up before, counts as one that was just received."""
    kept = Answer()
    with fake_time():
        assert INNER.call(lambda: kept) is kept
        calls = 0

        def again() -> Any:
            nonlocal calls
            calls += 1
            return kept

        INNER.call(again)
    assert calls == 3


def test_a_value_that_is_no_answer_is_left_as_it_is() -> None:
    """Nothing is written on other values, so their retries multiply as they always did."""
    made = []

    class Value:
        def __init__(self) -> None:
            made.append(self)

    unwanted = retry(result=lambda value: True)
    assert calls_of(unwanted, kind=Value, inner=unwanted) == 9
    assert all(vars(each) == {} for each in made)


def test_an_answer_that_takes_no_attributes_is_returned_all_the_same() -> None:
    """A class with slots bears no mark, and nothing is raised for it."""

    class Slotted:
        __slots__ = ()
        status_code = 503

    assert calls_of(INNER, kind=Slotted) == 9
