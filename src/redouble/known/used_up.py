"""Floor 2. Arguments that a failed attempt has used up, so that the next one would find them empty.

No code of the arguments' own classes runs: types are compared, and only the interpreter's own objects are called.
"""

from __future__ import annotations

from _io import BufferedRandom, BufferedReader, BytesIO, FileIO, StringIO, TextIOWrapper
from itertools import islice
from types import AsyncGeneratorType, BuiltinFunctionType, CoroutineType, FunctionType, GeneratorType, MethodType

from redouble.known.handed import instance_dict, module_of, name_of, namespace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

DEPTH = 3
"""The depth of the search in containers: `files={"report": ("report.csv", file)}`."""

MANY = 20
"""The most members of a container that are read: rows of data are many, files among them few."""


def used_up(fn: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Return the name of an argument that a failed attempt has used up, or its position: `argument 1`; `None`: none is.

    Used up are a generator, an async generator or a coroutine that has begun; an iterator of a builtin (`map`, `zip`,
    `iter(a_dict)` and their kin; a list's iterator only after it has moved); and a readable file that is not at its
    start, or was closed. Dicts, lists and tuples are searched, `DEPTH` deep, and the arguments in a partial.

    Not searched are `self`, the first argument of a method, the object of a bound method, and closures. A file opened
    for appending belongs at its end. Pipes and sockets do not tell their position.

    Args:
        fn: The function that was called, as the caller knows it.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    >>> def put(lines, retries=0): ...
    >>> lines = (line for line in ["a", "b"])
    >>> used_up(put, (lines,), {}) is None
    True
    >>> next(lines)
    'a'
    >>> used_up(put, (lines,), {})
    'lines'
    >>> used_up(print, ("a", iter({"b": 1})), {})
    'argument 2'
    """
    for at, value in enumerate(args):
        if type(value) not in _PLAIN and _is_used(value) and not (at == 0 and _is_method(fn)):
            return _name_of(fn, at)
    for name, value in kwargs.items():
        if type(value) not in _PLAIN and _is_used(value):
            return name
    return used_up(fn.func, fn.args, fn.keywords) if _is_partial(fn) else None


_PLAIN = frozenset((bool, bytes, complex, float, int, str, type(None), FunctionType, MethodType, type))


def _is_used(value: Any, depth: int = DEPTH) -> bool:
    kind = type(value)
    ask = _ASK.get(kind)
    if ask is not None:
        return ask(value)
    if kind in _CONTAINERS:
        return depth > 1 and _holds_used(value.values() if kind is dict else value, depth - 1)
    module = module_of(kind)
    if module in _MODULES:
        return "__next__" in namespace_of(kind) and name_of(kind) not in _ENDLESS
    if module == "tempfile":  # wrappers in Python
        held = instance_dict(value) or {}
        return _is_used(held.get("file", held.get("_file")))
    return any(issubclass(kind, each) and _is_away(value, each) for each in (BytesIO, StringIO))


def _holds_used(members: Any, depth: int) -> bool:
    return any(type(each) not in _PLAIN and _is_used(each, depth) for each in islice(members, MANY))


_CONTAINERS = frozenset((dict, list, tuple))
_MODULES = frozenset(("builtins", "itertools", "_csv", "_collections", "collections"))
_ENDLESS = frozenset(("count", "cycle", "repeat"))
"""Endless iterators of `itertools`, which are never used up."""


def _has_begun(value: Any) -> bool:
    return value.gi_frame is None or value.gi_running or value.gi_suspended


def _coroutine_has_begun(value: Any) -> bool:
    return value.cr_frame is None or value.cr_running or value.cr_suspended


def _async_has_begun(value: Any) -> bool:
    return value.ag_frame is None or value.ag_running or _async_is_suspended(value)


def _async_is_suspended(value: Any) -> bool:
    """Return whether an async generator stands at a `yield`, and not at its beginning."""
    suspended = AsyncGeneratorType.__dict__.get("ag_suspended")
    if suspended is None:  # pragma: no cover  # it came with Python 3.12, and the newest is measured
        from opcode import opmap

        frame = value.ag_frame
        return bool(frame.f_code.co_code[frame.f_lasti] != opmap["RETURN_GENERATOR"])
    return bool(suspended.__get__(value))


def _has_moved(value: Any) -> bool:
    """Return whether an iterator over a sequence has moved: by the index in its state, which is missing at the end."""
    state = value.__reduce__()
    return len(state) < 3 or state[2] != 0


def _is_away(value: Any, kind: Any) -> bool:
    """Return whether a readable file is not at its start, or was closed, by the methods of `kind`."""
    if kind.closed.__get__(value):
        return True
    try:
        return bool(kind.readable(value) and kind.tell(value) != 0)
    except OSError:  # a pipe
        return False


def _file_is_away(value: Any) -> bool:
    """Return the same for the interpreter's own files, if they have no foreign layers beneath."""
    raw = _raw_of(value)
    if raw is None:
        return True
    if type(raw) not in _RAW or (type(raw) is FileIO and "a" in raw.mode):
        return False
    kind = type(value)
    return _is_away(value, kind) or (kind is TextIOWrapper and _is_away(value.buffer, type(value.buffer)))


def _raw_of(value: Any) -> Any:
    """Return the raw file beneath the layers of a file; `None`: it was detached."""
    if type(value) is TextIOWrapper:
        try:
            value = value.buffer
        except ValueError:  # pragma: no cover  # since Python 3.14
            return None
    return value.raw if type(value) in (BufferedReader, BufferedRandom) else value


_RAW = frozenset((BytesIO, FileIO, StringIO))

_SEQUENCES: tuple[Any, ...] = (iter([]), iter(()), iter("a"), iter("\u20ac"), iter(b""), iter(bytearray()))

_ASK: dict[Any, Callable[[Any], bool]] = {
    GeneratorType: _has_begun,
    CoroutineType: _coroutine_has_begun,
    AsyncGeneratorType: _async_has_begun,
    **dict.fromkeys(map(type, _SEQUENCES), _has_moved),
    **dict.fromkeys((BufferedRandom, BufferedReader, BytesIO, FileIO, StringIO, TextIOWrapper), _file_is_away),
}
"""The types with a check of their own."""


def _is_partial(fn: Any) -> bool:
    kind = type(fn)
    return kind not in _FUNCTIONS and name_of(kind) == "partial" and module_of(kind) == "functools"


_FUNCTIONS = frozenset((FunctionType, MethodType, BuiltinFunctionType))


def _is_method(fn: Any) -> bool:
    """Return whether a function is a method, whose first argument is the instance or the class."""
    if type(fn) is not FunctionType:
        return False
    if fn.__code__.co_argcount:
        return fn.__code__.co_varnames[0] in ("self", "cls")
    return fn.__qualname__.rpartition(".")[0].rpartition(".")[2] not in ("", "<locals>")  # a wrapper of one


def _name_of(fn: Any, at: int) -> str:
    """Return the parameter at this position, where the function's signature tells."""
    place = at
    while _is_partial(fn):
        fn, place = fn.func, place + len(fn.args)
    if type(fn) is MethodType:
        fn, place = fn.__func__, place + 1
    if type(fn) is FunctionType and place < fn.__code__.co_argcount:
        return fn.__code__.co_varnames[place]
    return f"argument {at + 1}"
