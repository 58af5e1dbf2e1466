"""Floor 1. Frozen records: the values that the library hands out and is configured with.

`dataclasses` would do, but importing it costs more than all the rest of redouble (it loads `inspect`, `re`, `ast`
and `dis`), and every program that imports redouble would pay for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sys
    from typing import Any, ClassVar

    if sys.version_info >= (3, 13):
        from typing import dataclass_transform
    else:
        from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options):
        """As that of `typing`, which is not loaded at run time."""
        return lambda cls: cls


def _field_names(namespace: dict[str, Any]) -> tuple[str, ...]:
    """The annotated names of a class body, in their order."""
    return tuple(
        name
        for name, annotation in namespace.get("__annotations__", {}).items()
        if not str(annotation).startswith("ClassVar")
    )


def _make_init(names: tuple[str, ...], defaults: dict[str, Any], setters: dict[str, Any]) -> Any:
    """Compile an `__init__` that stores each argument through its slot: the way past the frozen `__setattr__`."""
    parameters = ", ".join(f"{name}=_defaults[{name!r}]" if name in defaults else name for name in names)
    lines = [f"    _set_{name}(self, {name})" for name in names] or ["    pass"]
    source = f"def __init__(self, {parameters}):\n" + "\n".join(lines)
    scope: dict[str, Any] = {"_defaults": defaults}
    scope.update((f"_set_{name}", setter) for name, setter in setters.items())
    exec(source, scope)  # the source is made of field names alone
    return scope["__init__"]


class _RecordType(type):
    """Turns the annotated fields of a class body into slots, and its class-level values into defaults."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        fields = _field_names(namespace)
        defaults = {field: namespace.pop(field) for field in fields if field in namespace}
        namespace["__slots__"] = fields
        cls = super().__new__(mcs, name, bases, namespace)
        if fields and "__init__" not in namespace:
            init = _make_init(fields, defaults, {field: cls.__dict__[field].__set__ for field in fields})
            init.__qualname__ = f"{name}.__init__"
            init.__module__ = cls.__module__
            cls.__init__ = init  # type: ignore[misc]  # this is where the class gets its own
        if fields:
            cls.FIELDS = fields  # type: ignore[attr-defined]  # declared by Record below
        return cls


@dataclass_transform(frozen_default=True)
class Record(metaclass=_RecordType):
    """A frozen value: compared, hashed, copied, pickled and shown by its fields.

    >>> class Point(Record):
    ...     x: float
    ...     y: float = 0.0
    >>> Point(1.0)
    Point(x=1.0, y=0.0)
    >>> Point(1.0) == Point(1.0, 0.0)
    True
    >>> Point(1.0).x = 2.0
    Traceback (most recent call last):
        ...
    AttributeError: Point is frozen: x cannot be set
    """

    if TYPE_CHECKING:
        FIELDS: ClassVar[tuple[str, ...]]
    else:
        FIELDS = ()

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field) for field in self.FIELDS)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{field}={getattr(self, field)!r}" for field in self.FIELDS)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), self._values())

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


def restore(cls: type[Record], values: tuple[Any, ...]) -> Record:
    """Make a record again from its fields, as unpickling does, without judging them anew."""
    record = cls.__new__(cls)
    for field, value in zip(cls.FIELDS, values, strict=True):
        object.__setattr__(record, field, value)
    return record
