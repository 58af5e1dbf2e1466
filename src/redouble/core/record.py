"""Floor 1. Frozen records: the base of policies, curves, rules, decisions and events.

`dataclasses` would do, but importing it costs more than all the rest of redouble (it loads `inspect`, `re`, `ast`
and `dis`), and every program that imports redouble would pay for it. A record keeps the promises of
`dataclass_transform`: fields are inherited, matched by position (`case Wait(delay):`) and replaced (`copy.replace`).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self

    if sys.version_info >= (3, 13):
        from typing import dataclass_transform
    else:
        from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options):
        """Replace the function of `typing`, which is not loaded at run time."""
        return lambda cls: cls


def _annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    """Return the annotations of a class body, lazy ones as text.

    Python 3.14 replaces them by a function, unless the file has `from __future__ import annotations`, as every file of
    redouble does. The function is called for text: values would need names that only exist for type checkers.
    """
    lazy = namespace.get("__annotate_func__") or namespace.get("__annotate__")
    if sys.version_info >= (3, 14) and lazy is not None:  # pragma: no cover  # the Python that measures may be older
        from annotationlib import Format, call_annotate_function

        return call_annotate_function(lazy, Format.STRING)
    found: dict[str, Any] = namespace.get("__annotations__", {})
    return found


def _is_field(annotation: object) -> bool:
    """Tell whether an annotation, a value or its text, is not a `ClassVar`."""
    text = str(annotation).strip("'\"")  # a string annotation in a file with lazy ones has quotes of its own
    return text.partition("[")[0].rpartition(".")[2] != "ClassVar"  # typing.ClassVar[int], or t.ClassVar


def _refuse_gap(name: str, fields: tuple[str, ...], defaults: dict[str, Any]) -> None:
    """Refuse a field without a default after one with a default, as Python refuses such parameters."""
    optional: str | None = None
    for field in fields:
        if field in defaults:
            optional = field
        elif optional is not None:
            raise TypeError(f"{name}.{field} must have a default, because {optional} before it has one")


def _make_init(cls: type, fields: tuple[str, ...], defaults: dict[str, Any]) -> Any:
    """Compile an `__init__` that stores each argument through its slot, past the frozen `__setattr__`."""
    parameters = ", ".join(f"{field}=_defaults[{field!r}]" if field in defaults else field for field in fields)
    lines = [f"    _set_{field}(self, {field})" for field in fields]
    scope: dict[str, Any] = {"_defaults": defaults}
    scope.update((f"_set_{field}", getattr(cls, field).__set__) for field in fields)
    exec(f"def __init__(self, {parameters}):\n" + "\n".join(lines), scope)  # safe: the source consists of field names
    init = scope["__init__"]
    init.__qualname__ = f"{cls.__name__}.__init__"
    init.__module__ = cls.__module__
    return init


class _RecordType(type):
    """Turn the annotated fields of a class body into slots, and its class-level values into defaults."""

    # No annotations here: lazy ones of a metaclass would hide those of its classes.

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        records: list[Any] = [base for base in reversed(bases) if isinstance(base, _RecordType)]
        inherited = {field: None for base in records for field in base.FIELDS}
        own = [field for field, annotation in _annotations(namespace).items() if _is_field(annotation)]
        fields = tuple(inherited | dict.fromkeys(own))
        defaults = {field: default for base in records for field, default in base._DEFAULTS.items()}
        defaults |= {field: namespace.pop(field) for field in own if field in namespace}
        namespace |= {"FIELDS": fields, "_DEFAULTS": defaults}
        own_slots = tuple(field for field in own if field not in inherited)
        namespace["__slots__"] = (
            *namespace.get("__slots__", ()),
            *own_slots,
        )  # more than the fields: slots for derived values
        namespace.setdefault("__match_args__", fields)
        cls = super().__new__(mcs, name, bases, namespace, **options)
        if own and "__init__" not in namespace:
            _refuse_gap(name, fields, defaults)
            cls.__init__ = _make_init(cls, fields, defaults)  # type: ignore[misc]  # this is where it gets its own
        return cls


@dataclass_transform(frozen_default=True)
class Record(metaclass=_RecordType):
    """A frozen value that is compared, hashed, copied, pickled and shown by its fields.

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
    >>> match Point(1.0, 2.0):
    ...     case Point(x, y):
    ...         print(x, y)
    1.0 2.0
    >>> Point(1.0).__replace__(y=3.0)  # from Python 3.13 on: copy.replace(Point(1.0), y=3.0)
    Point(x=1.0, y=3.0)
    """

    if TYPE_CHECKING:  # set by the metaclass, for each class
        FIELDS: ClassVar[tuple[str, ...]]
        _DEFAULTS: ClassVar[dict[str, Any]]

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

    def __replace__(self, **changes: Any) -> Self:
        """Return a record with some fields changed, for `copy.replace` of Python 3.13; `__init__` checks them.

        Raises:
            TypeError: For a name that is not a field.
        """
        fields = dict(zip(self.FIELDS, self._values(), strict=True))
        return type(self)(**fields | changes)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


def restore(cls: type[Record], values: tuple[Any, ...]) -> Record:
    """Make a record from its fields without checking them again, as unpickling does."""
    record = cls.__new__(cls)
    for field, value in zip(cls.FIELDS, values, strict=True):
        object.__setattr__(record, field, value)
    return record
