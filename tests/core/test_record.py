"""Floor 1. Frozen records."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from redouble import BackoffController, GaveUp, Reason, RetryPolicy, Wait, constant
from redouble.core.record import Record, restore

if TYPE_CHECKING:
    from collections.abc import Callable


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


class Solid(Point):
    """A record that inherits fields, one with another default, and adds one."""

    y: float = 7.0
    z: float = 9.0


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


@pytest.mark.parametrize("annotation", ["ClassVar[int]", "typing.ClassVar[int]", "typing.ClassVar", "'ClassVar[int]'"])
@pytest.mark.parametrize("header", ["from __future__ import annotations", ""])
def test_a_class_variable_is_no_field_however_it_is_written(header: str, annotation: str) -> None:
    """A ClassVar is found as text, as a value and within quotes, under each name of its module."""
    cls = written(header, f"kind: {annotation} = 5", "ClassVariable: int = 6")
    assert cls.FIELDS == ("ClassVariable",)
    assert cls.kind == 5
    assert cls().kind == 5


@pytest.mark.parametrize("header", ["from __future__ import annotations", ""])
def test_a_record_is_written_with_and_without_the_future_import(header: str) -> None:
    """Fields are the annotated names, wherever Python keeps the annotations."""
    cls = written(header, "x: float", "y: 'NotDefinedYet | None' = None")
    assert repr(cls(1.0)) == "Written(x=1.0, y=None)"
    assert cls.__annotations__.keys() == {"x", "y"}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before Python 3.14 a name in an annotation had to exist")
def test_annotations_may_name_what_exists_for_type_checkers_alone() -> None:
    """A record of Python 3.14 is made without evaluating the annotations of its fields."""
    cls = written("", "x: NotDefined", "y: list[NotDefined] | None = None")
    assert repr(cls(1.0)) == "Written(x=1.0, y=None)"


def written(header: str, *body: str) -> Any:
    """Return the class `Written`, a record with this body, in a file that begins with this header."""
    lines = [header, "import typing", "from typing import ClassVar", "from redouble.core.record import Record"]
    source = "\n".join([*lines, "class Written(Record):", *(f"    {line}" for line in body)])
    names: dict[str, Any] = {"__name__": "written"}
    exec(compile(source, "written.py", "exec", dont_inherit=True), names)
    return names["Written"]


def test_a_jitter_of_a_user_has_fields() -> None:
    """A jitter with fields spreads the waits of a curve, in a file without the future import as well."""
    lines = ["import redouble", "class Shifted(redouble.jitters.Jitter):", "    by: float", "    share: float = 0.5"]
    lines += ["    def __call__(self, window, previous, draw):", "        return self.by + self.share * window"]
    names: dict[str, Any] = {"__name__": "written"}
    exec(compile("\n".join(lines), "written.py", "exec", dont_inherit=True), names)
    jitter = names["Shifted"](by=1.0)
    assert repr(jitter) == "Shifted(by=1.0, share=0.5)"
    assert constant(4.0).jittered(jitter).delay(1, None, 0.9) == 3.0


def test_fields_are_inherited() -> None:
    """A record has the fields of its bases first, in their order; one that is written again has its newest default."""
    assert Solid.FIELDS == ("x", "y", "z")
    assert Solid(1.0) == Solid(1.0, 7.0, 9.0)
    assert Point(1.0) == Point(1.0, 0.0)
    assert pickle.loads(pickle.dumps(Solid(1.0))) == Solid(1.0)


def test_a_subclass_without_fields_of_its_own_is_made_as_its_base() -> None:
    """A record that adds behaviour alone keeps the fields and the `__init__` of its base."""

    class Named(Sorted):
        def __str__(self) -> str:
            return f"{self.low} to {self.high}"

    assert str(Named(3.0, 1.0)) == "1.0 to 3.0"
    assert Named.FIELDS == ("low", "high")


def test_a_field_without_a_default_comes_first() -> None:
    """A field that must be given, after one that need not be, is refused with the class, by name."""
    with pytest.raises(TypeError, match=r"^Bad\.z must have a default, because y before it has one$"):

        class Bad(Point):
            z: float


def test_a_record_is_matched_by_place() -> None:
    """`case Point(x, y)` binds the fields in their order, those inherited first."""
    for record, expected in [(Point(1.0, 2.0), [1.0, 2.0]), (Solid(1.0), [1.0, 7.0]), (Empty(), [])]:
        match record:
            case Point(x, y):
                assert [x, y] == expected
            case Empty():
                assert expected == []


def test_a_record_may_choose_how_it_is_matched() -> None:
    """A `__match_args__` of the class's own is left as it is."""

    class Turned(Record):
        __match_args__ = ("y", "x")

        x: float
        y: float

    match Turned(1.0, 2.0):
        case Turned(first, second):
            assert (first, second) == (2.0, 1.0)


@pytest.mark.parametrize(
    "replace",
    [
        pytest.param(lambda record, **changes: record.__replace__(**changes), id="__replace__"),
        pytest.param(
            getattr(copy, "replace", None),
            id="copy.replace",
            marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with Python 3.13"),
        ),
    ],
)
def test_fields_are_replaced(replace: Callable[..., Any]) -> None:
    """A record with some fields changed is of the same class, and leaves the first as it was."""
    solid = Solid(1.0, 2.0, 3.0)
    assert replace(solid, y=5.0) == Solid(1.0, 5.0, 3.0)
    assert replace(solid) == solid
    assert replace(Empty()) == Empty()
    assert solid == Solid(1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match=r"^Solid\.__init__\(\) got an unexpected keyword argument 'w'$"):
        replace(solid, w=1.0)


def test_the_decisions_are_matched_and_replaced() -> None:
    """`case Wait(delay)` and `case GaveUp(reason)`, which type checkers accept, work."""
    controller = BackoffController(RetryPolicy(attempts=2, backoff=constant(4.0), on=OSError))
    seen: list[Any] = []
    for now in (0.0, 4.0):
        controller.start(now)
        match controller.record_failure(OSError(), now):
            case Wait(delay) as wait:
                seen += [delay, wait.__replace__(delay=5.0).delay]
            case GaveUp(reason, attempts):
                seen += [reason, attempts]
    assert seen == [4.0, 5.0, Reason.ATTEMPTS, 2]


def test_a_class_is_told_what_its_base_asks_for() -> None:
    """Keywords of a class statement reach `__init_subclass__`, as they do for every class."""

    class Base(Record):
        def __init_subclass__(cls, kind: str) -> None:
            cls.kind = kind  # type: ignore[attr-defined]

    class Sub(Base, kind="flat"):
        x: float

    assert Sub.kind == "flat"  # type: ignore[attr-defined]
    assert Sub(1.0).x == 1.0


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
    code = "import sys; import redouble.core.record; print({'annotationlib', 'dataclasses', 'inspect', 'typing'} & set(sys.modules))"
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
