"""Floor 3. What an operation is given as its timeout."""

from __future__ import annotations

from typing import Any

import pytest

from redouble import constant, deadline, retry
from redouble.testing import fake_time

TIMELY = retry(timeout_as="timeout", attempt_timeout=5, deadline=11, backoff=constant(4), on=OSError)


def timeouts(policy: Any, **kwargs: Any) -> list[Any]:
    """What the attempts of a failing call are given."""
    given: list[Any] = []

    def read(*, timeout: Any) -> None:
        given.append(timeout)
        raise OSError

    with pytest.raises(OSError):
        policy.call(read, **kwargs)
    return given


def test_each_attempt_gets_its_timeout() -> None:
    """The attempt's own, or what is left."""
    with fake_time():
        assert timeouts(TIMELY) == [5, 5, 3]


def test_a_call_keeps_the_shorter_timeout_that_it_was_made_with() -> None:
    """Whoever asks for a second gets a second, in every attempt."""
    with fake_time():
        assert timeouts(TIMELY, timeout=1) == [1, 1, 1]
        assert timeouts(TIMELY, timeout=4.5) == [4.5, 4.5, 3]


def test_each_number_of_a_pair_is_cut() -> None:
    """As requests takes it, for connecting and for reading; no timeout at all gives way."""
    with fake_time():
        assert timeouts(TIMELY, timeout=(3.05, 27)) == [(3.05, 5), (3.05, 5), (3, 3)]
        assert timeouts(TIMELY, timeout=None) == [5, 5, 3]


def test_a_timeout_of_the_clients_own_kind_is_passed_on() -> None:
    """An object that is no number of seconds says more than redouble could."""
    own = object()
    with fake_time():
        assert timeouts(TIMELY, timeout=own) == [own] * 3


def test_a_timeout_by_position_and_a_default_are_never_lengthened() -> None:
    """However the caller passes it, the parameter gets one value; the function's own default is a limit too."""
    seen = []

    @retry(timeout_as="timeout", deadline=9)
    def get(url: str, timeout: float = 2.0, *, verify: bool = True) -> None:
        seen.append((url, timeout, verify))

    with fake_time():
        get("/", 7)
        get("/", 70, verify=False)
        get("/")
    assert seen == [("/", 7, True), ("/", 9, False), ("/", 2.0, True)]


def test_no_time_left_is_no_timeout_of_zero() -> None:
    """To most clients 0 means "do not block", and would be an error of another kind."""
    with fake_time(), deadline(0):
        assert timeouts(TIMELY) == [0.001]


def test_a_zero_of_the_callers_own_stays() -> None:
    """Who says "do not block" means it."""
    with fake_time():
        assert timeouts(TIMELY(attempts=1), timeout=0) == [0]


def test_nothing_bounds_and_nothing_is_given() -> None:
    """Without any limit the operation is called as it was."""

    def read(**kwargs: Any) -> Any:
        return kwargs

    assert retry(timeout_as="timeout", attempts=2).call(read) == {}
