"""Floor 1. Frozen records."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import ClassVar

import pytest

from redouble.core.record import Record, restore


class Point(Record):
    """A record with a default."""

    KINDS: ClassVar[tuple[str, ...]] = ("flat",)

    x: float
    y: float = 0.0


class Place(Record):
    """Another record with the same fields."""

    x: float
    y: float = 0.0


class Empty(Record):
    """A record without fields."""


class Sorted(Record):
    """A record that makes its fields itself."""

    low: float
    high: float

    def __init__(self, *numbers: float) -> None:
        object.__setattr__(self, "low", min(numbers))
        object.__setattr__(self, "high", max(numbers))


def test_fields_are_given_by_place_or_by_name() -> None:
    """A record takes its fields in their order, or by name, and knows their defaults."""
    assert Point(1.0, 2.0) == Point(y=2.0, x=1.0)
    assert Point(1.0).y == 0.0
    assert Point.FIELDS == ("x", "y")


def test_a_class_variable_is_no_field() -> None:
    """What is annotated as a ClassVar stays with the class."""
    assert Point.KINDS == ("flat",)
    assert "KINDS" not in Point.FIELDS


@pytest.mark.parametrize("arguments", [{}, {"x": 1.0, "z": 2.0}, {"y": 1.0}])
def test_missing_and_unknown_fields_are_refused(arguments: dict[str, float]) -> None:
    """A record is made with all of its fields and no others, and the error names the class."""
    with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
        Point(**arguments)


def test_a_record_is_frozen() -> None:
    """Neither setting nor deleting is possible, for fields and for anything else."""
    point = Point(1.0)
    with pytest.raises(AttributeError, match=r"^Point is frozen: x cannot be set$"):
        point.x = 2.0  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"^Point is frozen: z cannot be set$"):
        point.z = 2.0  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"^Point is frozen: x cannot be deleted$"):
        del point.x
    assert point == Point(1.0)


def test_equality_is_by_class_and_fields() -> None:
    """Records are equal when they are of one class and have equal fields."""
    assert Point(1.0) == Point(1.0, 0.0)
    assert Point(1.0) != Point(2.0)
    assert Point(1.0) != Place(1.0)
    assert Point(1.0) != (1.0, 0.0)
    assert Empty() == Empty()


def test_equal_records_hash_alike() -> None:
    """A record can be a key, and one of another class with the same fields is another key."""
    assert {Point(1.0), Point(1.0, 0.0), Place(1.0)} == {Place(1.0), Point(1.0)}
    assert hash(Point(1.0)) == hash(Point(1.0))


def test_a_record_with_a_field_that_cannot_be_hashed_has_no_hash() -> None:
    """A record is as hashable as its fields are."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(restore(Point, ([], 0.0)))


def test_repr_names_the_fields() -> None:
    """A record shows itself as the call that makes it."""
    assert repr(Point(1.0)) == "Point(x=1.0, y=0.0)"
    assert repr(Empty()) == "Empty()"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("record", [Point(1.0, 2.0), Empty(), Sorted(3.0, 1.0, 2.0)])
def test_records_are_pickled(record: Record, protocol: int) -> None:
    """A record comes back from every pickle protocol, also one with an `__init__` of its own."""
    assert pickle.loads(pickle.dumps(record, protocol)) == record


def test_a_copy_is_the_record_itself() -> None:
    """What cannot change need not be copied."""
    point = Point(1.0)
    assert copy.copy(point) is point
    assert copy.deepcopy([point])[0] is point


def test_restore_wants_every_field() -> None:
    """A pickle of another version, with other fields, is not half restored."""
    with pytest.raises(ValueError, match="zip"):
        restore(Point, (1.0,))


def test_there_is_room_for_fields_only() -> None:
    """A record has slots, no dict."""
    assert not hasattr(Point(1.0), "__dict__")


def test_a_record_needs_no_dataclasses() -> None:
    """The module loads neither dataclasses nor typing: that is what it is for."""
    code = "import sys; import redouble.core.record; print({'dataclasses', 'inspect', 'typing'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path()}
    )
    assert answer.stdout.strip() == "set()", answer.stderr


def path() -> str:
    """Where redouble is imported from, for an interpreter that does not look into site-packages."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("redouble")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent.parent)
