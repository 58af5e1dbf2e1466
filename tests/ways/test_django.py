"""Django's `method_decorator` takes a policy, though a policy can be iterated."""

from __future__ import annotations

from typing import Any

import pytest

from redouble import policy_of, retry
from redouble.testing import fake_time, scripted


def multi_decorate(decorators: Any, method: Any) -> Any:
    """As `django.utils.decorators._multi_decorate` tells one decorator from several."""
    decorators = decorators[::-1] if hasattr(decorators, "__iter__") else [decorators]
    for decorator in decorators:
        method = decorator(method)
    return method


def test_a_policy_counts_as_one_decorator() -> None:
    """The method is retried by the policy."""
    server, policy = scripted(TimeoutError(), 42), retry(attempts=2)

    def get() -> Any:
        return server()

    decorated = multi_decorate(policy, get)
    with fake_time():
        assert decorated() == 42 and policy_of(decorated).attempts == 2


def test_it_is_no_sequence_otherwise() -> None:
    """An index says what to write."""
    with pytest.raises(TypeError, match=r"a policy is no sequence: iterate it, or call it with a function; got \[0\]"):
        retry[0]  # type: ignore[index]
