"""Floor 2. What a failure tells of its request: whether repeating it may do the thing twice.

The one file in which frames are read: those of the tracebacks of a failure, never those of a call that is running, and
in them only a method, at the places that `engines.py` names. Nothing of them is kept.
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
"""How many frames are looked at, in all tracebacks of one failure together."""

LINKS = 64
"""How many errors are looked at: causes, contexts and members of groups."""

_SAYS_NOTHING = frozenset({"botocore"})
"""Clients whose method tells nothing: most of AWS's protocols send every operation, reading or writing, as a POST."""

_OPTIMIZED = 0x01
"""`inspect.CO_OPTIMIZED`: the locals of such a frame are kept apart from what `f_locals` shows."""


class Sent(Record):
    """What is seen of the requests of a failed attempt.

    Fields:
        unsafe: Whether repeating may do the thing twice: a POST or PATCH was sent, and no key of the caller's makes it
            one effect.
        keys: The idempotency keys that the requests carried, whoever made them; for `earlier_keys` of the next attempt.
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
    """Whether a failed attempt is seen to have sent a POST or PATCH that must not be repeated.

    A request is read off the error, off its causes and contexts, off the members of groups, and off the frames of HTTP
    engines in their tracebacks. One unsafe request anywhere in the call counts, also one that was answered by a redirect.
    Beneath a function that only reads by POST, or fetches a token, a POST is none. Where no frame of an engine is left
    (tornado's futures, process pools, a TaskGroup that was cut) nothing is seen, and nothing follows; nor does it from
    the frames of botocore, at which the look ends.

    Args:
        subject: The error; or a response that was returned, of which only its own request is known.
        handed: The function of the call, its arguments and its keyword arguments; `None`: they are not known. A key
            counts when its value is found there: one that the client, or the function, made by itself does not.
        until: The error that was being handled when the call began: it, and what lies beneath it, is another call's.
        earlier_keys: `keys` of the call's earlier attempts: one that comes back is the same in every attempt.

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
    """Whether a frame that the error has come by belongs to an HTTP engine: asked first, since mostly none does."""
    at = None if error is None else _traceback_of(error)
    left = FRAMES
    while at is not None and left:
        if at.tb_frame.f_globals.get("__name__") in _MODULES:
            return True
        at, left = at.tb_next, left - 1
    return False


def shows_safe_method(error: BaseException, until: BaseException | None = None) -> bool:
    """Whether an error shows an idempotent method, and no other: GET, HEAD, OPTIONS, TRACE, PUT or DELETE.

    For errors of clients that no table knows: besides where `sends_unsafely` looks, a local variable `method`,
    `http_method`, `http_verb` or `verb` counts in the frames of the package that defines the error's class.
    """
    methods = set(_methods_in_frames(error))
    methods.update(_method_of(request) for link in causes(error) for request in _requests_of(link))
    if methods & UNSAFE_METHODS or not methods & SAFE_METHODS:
        return False
    return not sends_unsafely(error, until=until).unsafe


def shows_unsafe_method(subject: Any) -> bool:
    """Whether an error or a response carries a request with POST or PATCH and without an Idempotency-Key.

    Only the request itself is looked at, no frame of a traceback; and a key counts whoever made it.
    """
    if not is_a(subject, BaseException):
        return _shows_unsafe(_requests_of(subject))
    if cause_of(subject) is None and type(subject).__module__ == "builtins" and not is_group(subject):
        return False  # the most common errors carry no request: spare them the search
    return any(_shows_unsafe(_requests_of(each)) for each in _and_beneath(subject, []))


def _and_beneath(error: BaseException, seen: list[BaseException]) -> Iterator[BaseException]:
    """Yield an error, its causes, and the leaves of the groups among them with theirs: each once, as they may tangle."""
    for link in causes(error):
        if any(link is known for known in seen):
            return
        seen.append(link)
        yield link
        if is_group(link):
            for leaf in leaves(link) or ():
                yield from _and_beneath(leaf, seen)


def values_in_frames(error: BaseException, modules: Collection[str], function: str, path: Path) -> list[Any]:
    """What a path leads to in each frame of a function in the traceback of an error; `None` where it leads nowhere.

    For `own_retries`, which asks how often a client has tried.
    """
    return [
        _values_in(frame, (path,))[0]
        for frame in _frames_of(error)
        if _module_of(frame) in modules and frame.f_code.co_qualname == function
    ]


# What belongs to one request, in the order in which the errors about it were raised.


class _Exchange:
    """One exchange with a server, as far as the frames and errors that belong to it show it.

    Attributes:
        began: Whether a frame of an engine was met, or of a function that reads.
        outside: The frames before that one: what was caught there, another exchange had failed with.
        posts: Whether a frame shows a POST.
        reads: Whether it only reads, so that its POSTs are none.
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
        """The exchange that an error beneath is about: this one, unless it was caught before this one began."""
        traceback = _traceback_of(error)
        if self.began and traceback is not None and _is_among(traceback.tb_frame, self.outside):
            return _Exchange()
        return self


class _Posting:
    """Whether an exchange posts, and by which keys: asked when all that is to be seen of it has been seen."""

    __slots__ = ("bare", "keys", "posts", "requests")

    def __init__(self, exchange: _Exchange) -> None:
        requests = () if exchange.reads else exchange.requests
        posts = [request for request in requests if _method_of(request) in UNSAFE_METHODS]
        self.requests = requests
        self.posts = exchange.posts or bool(posts)
        self.keys = list(filter(None, map(key_of, self.requests))) if self.posts else []
        self.bare = any(type(request) is not _Method and not key_of(request) for request in posts)

    def is_one_effect(self, handed: Handed | None, earlier: Collection[str]) -> bool:
        """Whether a key of the caller's makes it safe to repeat."""
        if self.bare:
            return False
        if not self.keys:  # the request itself is not to be seen: a header that was handed in went with it
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
    """What an error was raised from, what was being handled when it was raised, and what is in a group."""
    found = [each for each in (cause_of(error), context_of(error)) if each is not None]
    if len(found) == 2 and found[0] is found[1]:
        del found[1]
    elif found and found[-1] is not cause_of(error) and _was_caught_outside(found[-1], error):
        del found[-1]
    return found + (leaves(error) or []) if is_group(error) else found


def _was_caught_outside(context: BaseException, error: BaseException) -> bool:
    """Whether a context was being handled around the call, and not within it: then it is another call's.

    The traceback of what was being handled begins in the frame that handled it. Where the error was raised within that,
    it has come by the same frame.
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
"""Instead of a number of frames: those of botocore were met."""


def _look_at_frames(error: BaseException, exchange: _Exchange, left: int) -> int:
    """Look at the frames of an error until they tell enough; how many more may be looked at."""
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
    """Look at the frame of a module that is known; whether it posts, or only reads."""
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
    """What these paths lead to from the locals of a frame.

    Up to Python 3.12 `f_locals` is a dict that stays in the frame, with all that the locals held: it is emptied again,
    unless it may be in use: in a class's body it is the real thing, and `locals()` hands it out.
    """
    shown, code = frame.f_locals, frame.f_code
    found = [_follow(shown.get(local), steps) for local, *steps in paths]
    if type(shown) is dict and code.co_flags & _OPTIMIZED and not _HANDING_OUT.intersection(code.co_names):
        shown.clear()
    return found


_HANDING_OUT = frozenset({"locals", "vars", "exec", "eval"})


def _follow(value: Any, steps: Iterable[Any]) -> Any:
    """What a path leads to from an object: attributes in the dicts of instances, and items of lists."""
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
    """The methods that the frames of the package show that defines the error's class."""
    package = _text(type(error), "__module__").partition(".")[0]
    for frame in _frames_of(error):
        if _module_of(frame).partition(".")[0] == package:
            paths = tuple((name,) for name in _LOCALS if name in frame.f_code.co_varnames)
            yield from map(_method, _values_in(frame, paths) if paths else ())


# Requests, as errors and responses carry them.


def _method(value: Any) -> str:
    """A method in capitals; empty for what is none."""
    if is_a(value, str) and str.__len__(value) <= 16:
        return str.upper(value)
    return value.decode("latin-1").upper() if type(value) is bytes and len(value) <= 16 else ""


def _method_of(request: Any) -> str:
    value = probe(request, "method")
    return _method(value) if is_a(value, str) else ""


def _shows_unsafe(requests: list[Any]) -> bool:
    return any(map(posts_without_key, requests))


def posts_without_key(request: Any) -> bool:
    """Whether a request, an object with `method` and `headers`, is a POST or PATCH without an Idempotency-Key.

    A key counts whoever made it: for those who send this very request again, and with it the same key.
    """
    return _method_of(request) in UNSAFE_METHODS and not key_of(request)


def _requests_of(subject: Any) -> list[Any]:
    """The request that an error or a response carries, and the one that a redirect answered before it."""
    if _text(type(subject), "__module__") == "builtins":
        return []  # the most common errors carry no request: spare them the search
    first = _redirected(subject)
    return [request for request in (_request_of(subject), first) if request is not None]


def _redirected(subject: Any) -> Any:
    """The request that began a chain of redirects: what the first answer of `history` answered."""
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
    """All that is left of a request where a client keeps no more; its headers are not known."""

    __slots__ = ("method",)

    def __init__(self, method: str) -> None:
        self.method = method


def _what_is_left(subject: Any) -> _Method | None:
    """The method that a response of http.client knows: one that is judged, or that urllib or urllib3 has kept."""
    for answer in (subject, probe(subject, "fp"), probe(subject, "_original_response")):
        if _text(type(answer), "__module__") == "http.client":
            method = probe(answer, "_method")
            return _Method(method) if is_a(method, str) else None
    return None


def _text(subject: Any, name: str) -> str:
    value = probe(subject, name)
    return value if type(value) is str else ""


def key_of(request: Any) -> str:
    """The idempotency key among the headers of a request; empty: it has none."""
    headers = picked(probe(request, "headers"), _KEY_HEADERS)
    if headers is None:
        return ""
    keys = (key_text(header(headers, name)) for name in KEY_HEADERS)
    return next(filter(None, keys), "")


_KEY_HEADERS = frozenset(KEY_HEADERS)
