"""Floor 2. The search for an idempotency key in a call's arguments, without running foreign code."""

from __future__ import annotations

from itertools import islice
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType

from redouble.core.hints import text_of
from redouble.core.raw import is_a

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    Handed: TypeAlias = tuple[Any, tuple[Any, ...], dict[str, Any]]
    """A function, its positional arguments and its keyword arguments."""

KEY_HEADERS = ("idempotency-key", "x-idempotency-key", "paypal-request-id", "repeatability-request-id")
"""The headers by which a server recognises a repeated request: draft-ietf-httpapi-idempotency-key-header, PayPal's
API, OASIS Repeatable Requests. Ids that only serve tracing (X-Request-ID) do not count."""

LONGEST_KEY = 1000
"""The most characters of a key: services use 36 to 255."""

DEPTH = 5
"""The depth of the search for a key: bound method, client, settings, dict, value."""

MANY = 300
"""The most objects that are searched."""

_PLAIN = frozenset((bool, complex, float, int, type(None), str, bytes, bytearray))
_ENGINES = frozenset(
    [
        "aiohttp",
        "curl_cffi",
        "h11",
        "h2",
        "http",
        "httpcore",
        "httpcore2",
        "httplib2",
        "httpx",
        "httpx2",
        "niquests",
        "requests",
        "urllib3",
    ]
)
"""Packages whose objects are not searched: a session remembers its last request, which the caller did not hand in."""


def is_handed(key: str, handed: Handed | None) -> bool:
    """Return whether the value of a key was handed in: among arguments, `self`, a closure, a partial.

    The value may also stand as a UUID or an int with the same text. A key that the function writes into one of its own
    arguments cannot be told from one that was there before.
    """
    return any(_is_key(value, key) for value in everything(handed))


def holds_key_header(handed: Handed | None) -> bool:
    """Return whether a dict with one of the `KEY_HEADERS`, and a value, was handed in."""
    return any(is_a(value, dict) and _has_key_header(value) for value in everything(handed))


def holds(subject: Any, handed: Handed | None) -> bool:
    """Return whether this very object was handed in."""
    return any(value is subject for value in everything(handed))


def everything(handed: Handed | None) -> Iterator[Any]:
    """Return the objects handed in and their contents, nearest first, at most `MANY` objects and `DEPTH` deep."""
    level: list[Any] = (
        [] if handed is None else [handed[0], *islice(handed[1], MANY), *islice(handed[2].values(), MANY)]
    )
    seen: set[int] = set()  # ids of objects that the arguments keep alive during this search
    left = MANY
    for _ in range(DEPTH):
        beneath: list[Any] = []
        for value in level:
            if left <= 0:
                return
            left -= 1
            yield value
            if type(value) not in _PLAIN and id(value) not in seen:
                seen.add(id(value))
                beneath.extend(islice(_inside(value), left))
        level = beneath


def instance_dict(value: Any) -> dict[str, Any] | None:
    """Return the plain dict in which an instance keeps its attributes, past any code of its class."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:  # none: a class with slots, or one in C
        return None
    return found if type(found) is dict else None


def key_text(value: Any) -> str:
    """Return the text of a key, without the quotes of a structured header; empty for any other value."""
    return (text_of(value, LONGEST_KEY) or "").strip('"')


def _is_key(value: Any, key: str) -> bool:
    kind = type(value)
    if issubclass(kind, (str, bytes)):
        return key_text(value) == key
    if kind is int:
        return len(key) <= 20 and value.bit_length() <= 64 and str(value) == key
    if module_of(kind) == "uuid" and name_of(kind) == "UUID":
        return f"{value.int:032x}" == key.replace("-", "").lower()
    return False


def _has_key_header(headers: dict[Any, Any]) -> bool:
    for name, value in islice(dict.items(headers), MANY):
        if is_a(name, (str, bytes)) and (text_of(name) or "").lower() in KEY_HEADERS and key_text(value):
            return True
    return False


def _inside(value: Any) -> Iterable[Any]:
    for kind, parts in _CONTAINERS:
        if is_a(value, kind):
            return parts(value)
    return () if is_a(value, (type, ModuleType)) else _of_instance(value)


def _of_function(value: FunctionType) -> Iterator[Any]:
    for cell in value.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield from value.__defaults__ or ()
    yield from (value.__kwdefaults__ or {}).values()
    yield from (instance_dict(value) or {}).values()


def _of_instance(value: Any) -> Iterator[Any]:
    """Return the attributes of an instance, in its dict and in its slots; a `functools.partial` has slots too."""
    kinds = _mro_of(type(value))
    if any(module_of(kind).partition(".")[0] in _ENGINES for kind in kinds):
        return
    yield from (instance_dict(value) or {}).values()
    for kind in kinds:
        for slot in namespace_of(kind).values():
            if type(slot) is MemberDescriptorType:
                try:
                    yield slot.__get__(value)
                except AttributeError:  # an empty slot
                    continue


def module_of(kind: type) -> str:
    """Return the module that a class names; empty where that is not a text."""
    module = _any_module_of(kind)
    return module if type(module) is str else ""


# As `type` itself keeps them, past the properties of a metaclass.
_mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
namespace_of: Callable[[type], dict[str, Any]] = type.__dict__["__dict__"].__get__
name_of: Callable[[type], str] = type.__dict__["__name__"].__get__
_any_module_of: Callable[[type], Any] = type.__dict__["__module__"].__get__

_CONTAINERS: tuple[tuple[type, Callable[[Any], Iterable[Any]]], ...] = (
    (dict, dict.values),
    (list, list.__iter__),
    (tuple, tuple.__iter__),
    (set, set.__iter__),
    (frozenset, frozenset.__iter__),
    (MethodType, lambda method: (method.__func__, method.__self__)),
    (FunctionType, _of_function),
)
