"""The words of other libraries are answered with ours."""

from __future__ import annotations

from typing import Any

import pytest

from redouble import RetryPolicy, override, retry
from redouble.control.words import WORDS


@pytest.mark.parametrize(("word", "ours"), sorted(WORDS.items()))
def test_a_word_of_another_library_is_answered_with_ours(word: str, ours: str) -> None:
    """Whoever comes from there reads what to write."""
    fields: dict[str, Any] = {word: 3}
    for way in (retry, RetryPolicy, override):
        with pytest.raises(TypeError) as caught:
            way(**fields)
        assert str(caught.value) == f"retry has no field {word!r}; write {ours}"


def test_no_word_is_one_of_ours() -> None:
    """What is a field here means what it says."""
    assert WORDS.keys().isdisjoint(retry.FIELDS)


def test_a_word_of_nobody_is_answered_with_the_fields() -> None:
    """A slip of the pen needs the list."""
    with pytest.raises(TypeError, match="retry has no field 'colour'; its fields are on, result, idempotent, attempts"):
        retry(colour=3)  # type: ignore[call-overload]
