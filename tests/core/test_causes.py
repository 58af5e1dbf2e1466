"""Floor 1. The walk through causes and exception groups."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from redouble.core.causes import DEPTH, LEAVES, cause_of, causes, is_exception, is_group, leaves


def chain(length: int) -> list[Exception]:
    """Errors, each the cause of the one before it."""
    errors: list[Exception] = [OSError(number) for number in range(length)]
    for outer, inner in pairwise(errors):
        outer.__cause__ = inner
    return errors


def test_an_error_alone() -> None:
    """The walk begins with the error itself, and ends there without a cause."""
    error = ValueError()
    assert list(causes(error)) == [error]


def test_explicit_causes_are_followed_outermost_first() -> None:
    """Each explicit cause comes after the error that names it."""
    errors = chain(4)
    assert list(causes(errors[0])) == errors


def test_contexts_are_not_followed() -> None:
    """What was merely being handled is no cause, suppressed or not."""
    error = ValueError()
    error.__context__ = OSError()
    assert list(causes(error)) == [error]
    error.__suppress_context__ = True
    assert list(causes(error)) == [error]


def test_a_long_chain_is_cut() -> None:
    """The walk looks at so many links and no more."""
    errors = chain(DEPTH + 5)
    assert list(causes(errors[0])) == errors[:DEPTH]
    assert list(causes(errors[0], depth=2)) == errors[:2]


@pytest.mark.parametrize("back_to", [0, 1, 2])
def test_a_cycle_ends(back_to: int) -> None:
    """A chain that comes back to one of its links is walked once."""
    errors = chain(3)
    errors[2].__cause__ = errors[back_to]
    assert list(causes(errors[0])) == errors


def test_equal_errors_are_different_links() -> None:
    """Links are told apart by identity, not by what their classes call equal."""

    class SameError(Exception):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    outer, inner = SameError(), SameError()
    outer.__cause__ = inner
    assert len(list(causes(outer))) == 2


def test_leaves_are_found_in_order_at_any_depth() -> None:
    """The leaves of nested groups come in the order in which they are written."""
    a, b, c = OSError("a"), ValueError("b"), KeyboardInterrupt()
    group = BaseExceptionGroup("", [a, BaseExceptionGroup("", [ExceptionGroup("", [b]), c]), a])
    assert leaves(group) == [a, b, c, a]


def test_as_many_leaves_as_the_limit() -> None:
    """A group of exactly as many leaves as the limit is still looked at; one more is too many."""
    assert len(leaves(ExceptionGroup("", [OSError()] * LEAVES)) or ()) == LEAVES
    assert leaves(ExceptionGroup("", [OSError()] * (LEAVES + 1))) is None
    assert leaves(ExceptionGroup("", [OSError()] * 10 * LEAVES)) is None
    assert leaves(ExceptionGroup("", [OSError(), OSError()]), limit=1) is None


def test_groups_nested_without_end_are_cut() -> None:
    """Groups in groups are no way to keep the walk busy."""
    group = ExceptionGroup("", [OSError()])
    for _ in range(3 * LEAVES):
        group = ExceptionGroup("", [group])
    assert leaves(group) is None


class Refusing(ExceptionGroup[Exception]):
    """A group that does not show its errors as Python does."""

    shown: Any = None

    @property
    def exceptions(self) -> Any:
        if self.shown is None:
            raise RuntimeError("not shown")
        return self.shown


@pytest.mark.parametrize("shown", [None, [OSError()], 5])
def test_the_leaves_of_a_group_that_hides_them(shown: Any) -> None:
    """Where a group shows no tuple, what Python itself keeps counts."""
    error = ValueError()
    group = Refusing("x", [error])
    group.shown = shown
    assert leaves(group) == [error]


def test_a_cause_that_is_hidden_is_found() -> None:
    """A property of a subclass does not stand between an error and its cause."""

    class HidingError(Exception):
        __cause__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

    cause, error = OSError(), HidingError()
    with pytest.raises(HidingError):
        raise error from cause
    assert list(causes(error)) == [error, cause]
    assert cause_of(error) is cause


def test_a_class_that_lies_about_itself() -> None:
    """What counts is the real type, whatever `__class__` says."""

    class LyingError(Exception):
        __class__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

    assert not is_group(LyingError())
    assert is_exception(LyingError())
    assert not is_exception(KeyboardInterrupt())
