"""Floor 2. The request behind a failure: whether repeating it may apply the operation twice.

The one file that reads frames: those in the tracebacks of a failure, never those of a running call. It reads only the
method, at the places that `engines.py` names, and keeps no reference to them.
"""

from __future__ import annotations

from redouble.core.causes import cause_of, causes, is_group, leaves
from redouble.core.hints import header, picked
from redouble.core.raw import is_a, probe
from redouble.core.record import Record
from redouble.known.engines import ENGINES, NO_OPINION, READS
from redouble.known.handed import KEY_HEADERS, holds, holds_key_header, instance_dict, is_handed, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from types import FrameType, TracebackType
    from typing import Any

    from redouble.known.engines import Functions, Path, Reads
    from redouble.known.handed import Handed

UNSAFE_METHODS = frozenset({"POST", "PATCH"})
"""The common methods that are not idempotent (RFC 9110 9.2.2); a method we do not know is not judged."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""The methods that are idempotent (RFC 9110 9.2.2)."""

FRAMES = 100
"""The most frames that are read, in all tracebacks of one failure together."""

LINKS = 64
"""The most errors that are read: causes, contexts and members of groups."""

_SAYS_NOTHING = frozenset({"botocore"})
"""Clients whose method does not tell: most of AWS's protocols send every operation, reading or writing, as a POST."""

_OPTIMIZED = 0x01
"""`inspect.CO_OPTIMIZED`: the locals of such a frame are stored apart from `f_locals`."""


class Sent(Record):
    """The requests of a failed attempt, as far as redouble can see them.

    Fields:
        unsafe: Whether repeating may apply the operation twice: a POST or PATCH was sent without an idempotency key of
            the caller's.
        keys: The idempotency keys of the requests, from the caller or the client; for `earlier_keys` of the next
            attempt.
    """

    unsafe: bool
    keys: tuple[str, ...] = ()


NOTHING = Sent(False)


def sends_unsafely(
    subject: Any,
    handed: Handed | None = None,
    until: BaseException | None = None,
    earlier_keys: Collection[str] = (),
) -> Sent:
    """Return whether a failed attempt has visibly sent a POST or PATCH that must not be repeated.

    Requests are found on the error, its causes and contexts, the members of groups, and in the frames of HTTP engines
    in their tracebacks. One unsafe request anywhere in the call counts, even one that was answered by a redirect. A
    POST beneath a function that only reads by POST, or fetches a token, does not count. Where no frame of an engine is
    left (tornado's futures, process pools, a TaskGroup that was cut), or where the search meets botocore's frames, at
    which it ends, no request is seen.

    Args:
        subject: The error; or a returned response, which shows only its own request.
        handed: The function of the call, its arguments and its keyword arguments; `None`: not known. A key counts when
            its value is found there, and not when the client or the function made it.
        until: The error that was being handled when the call began: it and its causes belong to another call.
        earlier_keys: `keys` of the call's earlier attempts: a key that recurs is the same in every attempt.

    Source: RFC 9110 9.2.2 (a client should not automatically retry a method that is not idempotent, unless it knows
    better); the Idempotency-Key header, draft-ietf-httpapi-idempotency-key-header.

    >>> class Failed(Exception):
    ...     def __init__(self, request):
    ...         self.request = request
    >>> class Request:
    ...     def __init__(self, method, **headers):
    ...         self.method, self.headers = method, headers
    >>> sends_unsafely(Failed(Request("GET")))
    Sent(unsafe=False, keys=())
    >>> error = Failed(Request("POST", **{"Idempotency-Key": "7f1c"}))
    >>> sends_unsafely(error)
    Sent(unsafe=True, keys=('7f1c',))
    >>> sends_unsafely(error, handed=(print, ("7f1c",), {})).unsafe
    False
    >>> sends_unsafely(error, earlier_keys=("7f1c",)).unsafe
    False
    """
    exchanges = _exchanges_of(subject, until) if is_a(subject, BaseException) else [_Exchange(subject)]
    posting = [found for found in map(_Posting, exchanges) if found.posts]
    if not posting:
        return NOTHING
    keys = tuple(key for found in posting for key in found.keys)
    return Sent(not all(found.is_one_effect(handed, earlier_keys) for found in posting), keys)


def shows_engine(error: BaseException | None) -> bool:
    """Return whether a frame in the traceback belongs to an HTTP engine; asked first, since mostly none does."""
    at = None if error is None else _traceback_of(error)
    left = FRAMES
    while at is not None and left:
        if at.tb_frame.f_globals.get("__name__") in _MODULES:
            return True
        at, left = at.tb_next, left - 1
    return False


def shows_safe_method(error: BaseException, until: BaseException | None = None) -> bool:
    """Return whether an error shows only idempotent methods: GET, HEAD, OPTIONS, TRACE, PUT or DELETE.

    For errors of clients that no table knows. It looks where `sends_unsafely` does, and also for a local variable
    `method`, `http_method`, `http_verb` or `verb` in the frames of the package that defines the error's class.
    """
    methods = set(_methods_in_frames(error))
    methods.update(_method_of(request) for link in causes(error) for request in _requests_of(link))
    if methods & UNSAFE_METHODS or not methods & SAFE_METHODS:
        return False
    return not sends_unsafely(error, until=until).unsafe


def shows_unsafe_method(subject: Any) -> bool:
    """Return whether an error or a response carries a POST or PATCH request without an Idempotency-Key.

    It reads only the request itself, and no frame of a traceback. A key counts even if the client made it.
    """
    if not is_a(subject, BaseException):
        return _shows_unsafe(_requests_of(subject))
    if cause_of(subject) is None and type(subject).__module__ == "builtins" and not is_group(subject):
        return False  # the most common errors carry no request: spare them the search
    return any(_shows_unsafe(_requests_of(each)) for each in _and_beneath(subject, []))


def _and_beneath(error: BaseException, seen: list[BaseException]) -> Iterator[BaseException]:
    """Yield an error, its causes, and the leaves of groups with theirs: each once, as they may form cycles."""
    for link in causes(error):
        if any(link is known for known in seen):
            return
        seen.append(link)
        yield link
        if is_group(link):
            for leaf in leaves(link) or ():
                yield from _and_beneath(leaf, seen)


def values_in_frames(error: BaseException, modules: Collection[str], function: str, path: Path) -> list[Any]:
    """Return the value of a path in each frame of a function in an error's traceback; `None` where there is none.

    For `own_retries`, which reads the number of a client's attempts.
    """
    return [
        _values_in(frame, (path,))[0]
        for frame in _frames_of(error)
        if _module_of(frame) in modules and frame.f_code.co_qualname == function
    ]


# The frames and errors of one exchange, in the order in which the errors were raised.


class _Exchange:
    """One exchange with a server, as far as its frames and errors show it.

    Attributes:
        began: Whether a frame of an engine, or of a function that reads, was met.
        outside: The frames before that one: an error caught there belongs to another exchange.
        posts: Whether a frame shows a POST.
        reads: Whether it only reads, so that its POSTs do not count.
        requests: The requests that its errors carry.
    """

    __slots__ = ("began", "outside", "posts", "reads", "requests")

    def __init__(self, answer: Any = None) -> None:
        self.began: bool = False
        self.outside: list[FrameType] = []
        self.posts: bool = False
        self.reads: bool = False
        self.requests: list[Any] = [] if answer is None else _requests_of(answer)

    def of(self, error: BaseException) -> _Exchange:
        """Return the exchange of an error beneath: this one, unless the error was caught before this one began."""
        traceback = _traceback_of(error)
        if self.began and traceback is not None and _is_among(traceback.tb_frame, self.outside):
            return _Exchange()
        return self


class _Posting:
    """Whether an exchange posts, and with which keys; read when the search is complete."""

    __slots__ = ("bare", "keys", "posts", "requests")

    def __init__(self, exchange: _Exchange) -> None:
        requests = () if exchange.reads else exchange.requests
        posts = [request for request in requests if _method_of(request) in UNSAFE_METHODS]
        self.requests = requests
        self.posts = exchange.posts or bool(posts)
        self.keys = list(filter(None, map(key_of, self.requests))) if self.posts else []
        self.bare = any(type(request) is not _Method and not key_of(request) for request in posts)

    def is_one_effect(self, handed: Handed | None, earlier: Collection[str]) -> bool:
        """Return whether a key of the caller's makes it safe to repeat."""
        if self.bare:
            return False
        if not self.keys:  # the request itself is not visible: a header that was handed in went with it
            return holds_key_header(handed)
        if all(key in earlier or is_handed(key, handed) for key in self.keys):
            return True
        return any(holds(request, handed) for request in self.requests)


def _exchanges_of(error: BaseException, until: BaseException | None) -> list[_Exchange]:
    exchanges = [_Exchange()]
    waiting = [(error, exchanges[0])]
    seen: list[Any] = [until]
    left = FRAMES
    for link, exchange in waiting:  # which grows meanwhile
        if len(seen) > LINKS or _is_among(link, seen):
            continue
        seen.append(link)
        left = _look_at_frames(link, exchange, left)
        if left < 0:
            break
        if not exchange.reads:
            exchange.requests += _requests_of(link)
        for beneath in _beneath(link):
            waiting.append((beneath, _Exchange() if is_group(link) else exchange.of(beneath)))
            if not _is_among(waiting[-1][1], exchanges):
                exchanges.append(waiting[-1][1])
    return exchanges


def _is_among(subject: object, others: list[Any]) -> bool:
    for each in others:  # noqa: SIM110  # a generator costs three times as much
        if each is subject:
            return True
    return False


def _beneath(error: BaseException) -> list[BaseException]:
    """Return an error's cause, its context, and the members of a group."""
    found = [each for each in (cause_of(error), context_of(error)) if each is not None]
    if len(found) == 2 and found[0] is found[1]:
        del found[1]
    elif found and found[-1] is not cause_of(error) and _was_caught_outside(found[-1], error):
        del found[-1]
    return found + (leaves(error) or []) if is_group(error) else found


def _was_caught_outside(context: BaseException, error: BaseException) -> bool:
    """Return whether a context was being handled around the call, and so belongs to another call.

    The traceback of a context begins in the frame that handled it. Where the error was raised inside that handler, its
    traceback passes the same frame.
    """
    handled, at = _traceback_of(context), _traceback_of(error)
    if handled is None or at is None:
        return False
    while at is not None:
        if at.tb_frame is handled.tb_frame:
            return False
        at = at.tb_next
    return True


# Frames: of tracebacks alone.

context_of: Callable[[Any], BaseException | None] = BaseException.__dict__["__context__"].__get__
_traceback_of: Callable[[Any], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__

_SILENT: tuple[Functions, Reads | None] = ({}, None)
_MODULES = {name: (ENGINES.get(name, {}), READS.get(name)) for name in (*ENGINES, *READS)}
_MODULES.update(dict.fromkeys(NO_OPINION, _SILENT))


_BOTOCORE = -1
"""Stands for a number of frames: botocore's were met."""


def _look_at_frames(error: BaseException, exchange: _Exchange, left: int) -> int:
    """Search the frames of an error until they tell enough; return how many more may be searched."""
    traceback = _traceback_of(error)
    if exchange.posts or exchange.reads:
        return left
    while traceback is not None and left > 0:
        frame = traceback.tb_frame
        name = frame.f_globals.get("__name__")
        known = _MODULES.get(name) if type(name) is str else None
        if known is not None:
            if known is _SILENT:
                return _BOTOCORE
            if _tells_enough(frame, *known, exchange):
                return left
        if not exchange.began:
            exchange.outside.append(frame)
        traceback = traceback.tb_next
        left -= 1
    return left


def _tells_enough(frame: FrameType, engine: Functions, reads: Reads | None, exchange: _Exchange) -> bool:
    """Read the frame of a known module; return whether it posts, or only reads."""
    function = frame.f_code.co_qualname
    if reads is not None and _reads(reads, function, frame):
        exchange.began = exchange.reads = True
        return True
    paths = engine.get(function)
    if paths is not None:
        exchange.began = True
        exchange.posts = any(_method(value) in UNSAFE_METHODS for value in _values_in(frame, paths))
    return exchange.posts


def _reads(reads: Reads, function: str, frame: FrameType) -> bool:
    if not reads.named(function):
        return False
    if not reads.operation:
        return True
    operation = _values_in(frame, ((reads.operation,),))[0]
    return is_a(operation, str) and str.startswith(operation, reads.beginnings)


def _module_of(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if type(name) is str else ""


def _frames_of(error: Any) -> Iterator[FrameType]:
    traceback = _traceback_of(error)
    for _ in range(FRAMES):
        if traceback is None:
            return
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _values_in(frame: FrameType, paths: tuple[Path, ...]) -> list[Any]:
    """Return the values of these paths from the locals of a frame.

    Up to Python 3.12 `f_locals` is a dict that stays in the frame and keeps all locals alive, so it is emptied again.
    Not where it may be in use: in a class's body it is the namespace itself, and `locals()` returns it.
    """
    shown, code = frame.f_locals, frame.f_code
    found = [_follow(shown.get(local), steps) for local, *steps in paths]
    if type(shown) is dict and code.co_flags & _OPTIMIZED and not _HANDING_OUT.intersection(code.co_names):
        shown.clear()
    return found


_HANDING_OUT = frozenset({"locals", "vars", "exec", "eval"})


def _follow(value: Any, steps: Iterable[Any]) -> Any:
    """Follow a path from an object: attributes in the dicts of instances, and items of lists."""
    for step in steps:
        if value is None:
            return None
        if type(step) is str:
            value = (instance_dict(value) or {}).get(step)
        else:
            value = value[step] if type(value) in (list, tuple) and len(value) > step else None
    return value


_LOCALS = ("method", "http_method", "http_verb", "verb")


def _methods_in_frames(error: BaseException) -> Iterator[str]:
    """Return the methods in the frames of the package that defines the error's class."""
    package = _text(type(error), "__module__").partition(".")[0]
    for frame in _frames_of(error):
        if _module_of(frame).partition(".")[0] == package:
            paths = tuple((name,) for name in _LOCALS if name in frame.f_code.co_varnames)
            yield from map(_method, _values_in(frame, paths) if paths else ())


# Requests, as errors and responses carry them.


def _method(value: Any) -> str:
    """Return a method in capitals; empty for any other value."""
    if is_a(value, str) and str.__len__(value) <= 16:
        return str.upper(value)
    return value.decode("latin-1").upper() if type(value) is bytes and len(value) <= 16 else ""


def _method_of(request: Any) -> str:
    value = probe(request, "method")
    return _method(value) if is_a(value, str) else ""


def _shows_unsafe(requests: list[Any]) -> bool:
    return any(map(posts_without_key, requests))


def posts_without_key(request: Any) -> bool:
    """Return whether a request (with `method` and `headers`) is a POST or PATCH without an Idempotency-Key.

    A key counts even if the client made it: for callers that send this very request, and so its key, again.
    """
    return _method_of(request) in UNSAFE_METHODS and not key_of(request)


def _requests_of(subject: Any) -> list[Any]:
    """Return the request on an error or a response, and the one before it that a redirect answered."""
    if _text(type(subject), "__module__") == "builtins":
        return []  # the most common errors carry no request: spare them the search
    first = _redirected(subject)
    return [request for request in (_request_of(subject), first) if request is not None]


def _redirected(subject: Any) -> Any:
    """Return the request that began a chain of redirects: the request of the first response in `history`."""
    for answer in (subject, probe(subject, "response")):
        history = probe(answer, "history")
        if type(history) in (list, tuple) and history:
            return _request_of(history[0])
    return None


def _request_of(subject: Any) -> Any:
    if _text(type(subject), "__module__").partition(".")[0] in _SAYS_NOTHING:
        return None
    request = probe(subject, "request")
    if request is None:
        request = probe(probe(subject, "response"), "request")
    if request is None:
        request = probe(probe(subject, "inner_exception"), "request")  # azure-core's, from requests
    if request is None:
        request = probe(subject, "request_info")
    return _what_is_left(subject) if request is None else request


class _Method:
    """The method of a request, where a client keeps no more; its headers are not known."""

    __slots__ = ("method",)

    def __init__(self, method: str) -> None:
        self.method = method


def _what_is_left(subject: Any) -> _Method | None:
    """Return the method on a response of http.client: of one that is judged, or one kept by urllib or urllib3."""
    for answer in (subject, probe(subject, "fp"), probe(subject, "_original_response")):
        if _text(type(answer), "__module__") == "http.client":
            method = probe(answer, "_method")
            return _Method(method) if is_a(method, str) else None
    return None


def _text(subject: Any, name: str) -> str:
    value = probe(subject, name)
    return value if type(value) is str else ""


def key_of(request: Any) -> str:
    """Return the idempotency key in the headers of a request; empty when it has none."""
    headers = picked(probe(request, "headers"), _KEY_HEADERS)
    if headers is None:
        return ""
    keys = (key_text(header(headers, name)) for name in KEY_HEADERS)
    return next(filter(None, keys), "")


_KEY_HEADERS = frozenset(KEY_HEADERS)
