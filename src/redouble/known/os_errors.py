"""Floor 2. OSError and its builtin subclasses, by errno: files, sockets, and asyncio's list of dead addresses.

An errno that is not in the table has no meaning here, and an explicit cause may still decide.
"""

from __future__ import annotations

import errno

from redouble.core.verdict import Classification, Verdict
from redouble.known.inside import answer, said
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, coded, named, probe, remember, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_MAN = "errno(3)"
_CONNECT = "errno(3), connect(2)"
_DOCS = "Python documentation, OS exceptions"
_MS = "Windows system error codes"
_GROUPS = (
    (TRANSIENT, False, _CONNECT, "nothing listens (yet): no byte was sent", "ECONNREFUSED"),
    (TRANSIENT, False, _CONNECT, "no way to the host", "EHOSTUNREACH ENETUNREACH ENETDOWN EHOSTDOWN"),
    (TRANSIENT, True, _CONNECT, "in flight the peer may have done it", "ETIMEDOUT"),
    (
        TRANSIENT,
        True,
        _MAN,
        "the connection is gone, the peer may have done it",
        "ECONNRESET ECONNABORTED EPIPE ENETRESET ENOTCONN ESHUTDOWN",
    ),
    (TRANSIENT, False, _CONNECT, "all local ports are used up", "EADDRNOTAVAIL"),
    (TRANSIENT, False, _MAN, "", "EAGAIN EWOULDBLOCK EINTR"),
    (TRANSIENT, False, _MAN, "a resource is used up, others may free it", "ENOBUFS ENOMEM EMFILE ENFILE"),
    (TRANSIENT, False, _MAN + "; policy", "somebody else holds it", "EBUSY ENOLCK EDEADLK"),
    (TRANSIENT, False, _MAN + "; policy", "NFS: a new look-up finds the file", "ESTALE"),
    (PERMANENT, False, _MAN + "; policy", "also a unix socket that is not there yet", "ENOENT"),
    (PERMANENT, False, _MAN, "", "EACCES EPERM EROFS"),
    (PERMANENT, False, _MAN, "", "EEXIST EISDIR ENOTDIR ENOTEMPTY ENAMETOOLONG ELOOP EXDEV EFBIG"),
    (
        PERMANENT,
        False,
        _MAN,
        "a mistake in the call",
        "EINVAL EBADF ENOTSOCK EFAULT ESPIPE EDESTADDRREQ EISCONN EMSGSIZE",
    ),
    (
        PERMANENT,
        False,
        _MAN,
        "this system cannot do it",
        "EAFNOSUPPORT EPROTONOSUPPORT EPROTOTYPE ENOPROTOOPT EOPNOTSUPP ENOTSUP ENOSYS",
    ),
    (PERMANENT, False, _MAN, "", "ENXIO ENODEV ESRCH ECHILD E2BIG ENOEXEC"),
    (PERMANENT, False, _MAN + "; policy", "somebody must make room", "ENOSPC EDQUOT"),
)

_CLASSES = {
    "BlockingIOError": "EAGAIN",
    "BrokenPipeError": "EPIPE",
    "ChildProcessError": "ECHILD",
    "ConnectionAbortedError": "ECONNABORTED",
    "ConnectionRefusedError": "ECONNREFUSED",
    "ConnectionResetError": "ECONNRESET",
    "ConnectionError": "ECONNRESET",
    "FileExistsError": "EEXIST",
    "FileNotFoundError": "ENOENT",
    "InterruptedError": "EINTR",
    "IsADirectoryError": "EISDIR",
    "NotADirectoryError": "ENOTDIR",
    "PermissionError": "EACCES",
    "ProcessLookupError": "ESRCH",
    "TimeoutError": "ETIMEDOUT",
}
"""What a builtin class means without an errno: so come asyncio's TimeoutError and, under TLS, ConnectionResetError."""

_WINDOWS = {
    64: "ECONNRESET",  # ERROR_NETNAME_DELETED
    121: "ETIMEDOUT",  # ERROR_SEM_TIMEOUT
    1225: "ECONNREFUSED",
    1231: "ENETUNREACH",
    1232: "EHOSTUNREACH",
    1236: "ECONNABORTED",
    1450: "ENOBUFS",  # ERROR_NO_SYSTEM_RESOURCES
}
"""Numbers of Windows that Python has no errno for, and reports as EINVAL."""

_CODES = coded("builtins", "OSError", _GROUPS)
_BY_CODE = {row.code: row for row in _CODES}
_MULTIPLE = Row(
    "builtins",
    "OSError",
    "Multiple exceptions",
    TRANSIENT,
    False,
    "asyncio.loop.create_connection",
    "transient when every number in the text is: no address answered, and nothing was sent",
)
_WEBSOCKETS = "websockets, asyncio/client.py and sync/client.py"
_ASYNCPG = "asyncpg/connect_utils.py, _create_ssl_connection"


def _saying(name: str, text: str, verdict: Verdict, source: str, note: str, applied: bool = False) -> Row:
    return Row("builtins", name, text, verdict, applied, source, note)


_HANDSHAKE = "nothing was asked of the server yet"
_WHOLE_TEXTS = (
    _saying("TimeoutError", "timed out during opening handshake", TRANSIENT, _WEBSOCKETS, _HANDSHAKE),
    _saying("TimeoutError", "timed out while waiting for handshake response", TRANSIENT, _WEBSOCKETS, _HANDSHAKE),
    _saying("TimeoutError", "timed out while connecting to HTTP proxy", TRANSIENT, _WEBSOCKETS, _HANDSHAKE),
    _saying("ConnectionError", "connection closed during TLS handshake", TRANSIENT, _ASYNCPG, _HANDSHAKE),
)
_NO_TLS = _saying("ConnectionError", "rejected SSL upgrade", PERMANENT, _ASYNCPG, "the server does not speak TLS")
_NO_HANDSHAKE = _saying("TimeoutError", "The handshake operation timed out", TRANSIENT, "Modules/_ssl.c", _HANDSHAKE)
_CLOSED = _saying(
    "OSError", "Socket is closed", TRANSIENT, "paramiko/channel.py", "the session was lost, maybe in use", applied=True
)
_BY_TEXT = {row.code: row for row in _WHOLE_TEXTS}
"""What clients raise as a builtin error, in words of their own that do not change."""

ROWS: tuple[Row, ...] = (
    *_CODES,
    _MULTIPLE,
    *_WHOLE_TEXTS,
    _NO_TLS,
    _NO_HANDSHAKE,
    _CLOSED,
    *(
        Row("builtins", name, "", _BY_CODE[code].verdict, _BY_CODE[code].applied, _DOCS, f"without errno, as {code}")
        for name, code in _CLASSES.items()
    ),
    *(
        Row(
            "builtins",
            "OSError",
            f"WinError {number}",
            _BY_CODE[code].verdict,
            _BY_CODE[code].applied,
            _MS,
            f"as {code}",
        )
        for number, code in _WINDOWS.items()
    ),
)

_BY_CLASS = {name: _BY_CODE[code] for name, code in _CLASSES.items()}
# Backwards, so that the first name of a number wins: EAGAIN before EWOULDBLOCK. Platforms lack some of the names.
_BY_NUMBER = {getattr(errno, row.code): row for row in reversed(_CODES) if hasattr(errno, row.code)}

_cache: dict[tuple[type, int | None], Classification] = {}


def read(error: Any, _: Asking) -> Classification | None:
    """A builtin OSError: by its errno, else by its class, else by its text."""
    cls = type(error)
    number = whole(probe(error, "errno"))
    if number is None and (cls is TimeoutError or cls is ConnectionError) and error.args:
        row = _by_words(said(error))
        if row is not None:
            return answer(error, row)
    found = _cache.get((cls, number))
    if found is None:
        found = _judge(error, cls, number)
    return found


def _by_words(text: str) -> Row | None:
    if text.endswith(": The handshake operation timed out"):  # Modules/_ssl.c
        return _NO_HANDSHAKE
    if text.startswith('PostgreSQL server at "') and text.endswith('" rejected SSL upgrade'):
        return _NO_TLS
    return _BY_TEXT.get(text)


def _judge(error: Any, cls: type, number: int | None) -> Classification | None:
    if number is None and cls is OSError:
        return _by_text(error)
    if number == errno.EINVAL:  # not remembered: on Windows it hides other numbers
        row = _BY_CODE[_WINDOWS.get(whole(probe(error, "winerror")) or 0, "EINVAL")]
        return row.because(f"{named(error)} [{row.code}]")
    known = None if number is None else _BY_NUMBER.get(number)
    if known is not None:
        return _remembered(cls, number, known.because(f"{named(error)} [{known.code}]"))
    for base in cls.__mro__:
        if base.__name__ in _BY_CLASS:
            return _remembered(cls, None, _BY_CLASS[base.__name__].because(named(error)))
    return None


def _remembered(cls: type, number: int | None, found: Classification) -> Classification:
    remember(_cache, (cls, number), found)
    return found


def _by_text(error: Any) -> Classification | None:
    """An OSError of text alone: paramiko's, or that of asyncio's create_connection."""
    args = probe(error, "args")
    text = args[0] if type(args) is tuple and len(args) == 1 else None
    if type(text) is not str:
        return None
    return answer(error, _CLOSED) if text == _CLOSED.code else _by_numbers(error, text)


def _by_numbers(error: Any, text: str) -> Classification | None:
    """`OSError("Multiple exceptions: [Errno 111] ..., [Errno 101] ...")`: no cause, no context and no errno to read."""
    if not text.startswith("Multiple exceptions: "):
        return None
    found = _rows_in(text)
    if not found:
        return None
    for row in found:
        if row.verdict is PERMANENT:
            return row.because(f"{named(error)} [{row.code}] among multiple exceptions")
    codes = " ".join(dict.fromkeys(row.code for row in found))
    return _MULTIPLE.because(f"{named(error)} [{codes}] for each address")


def _rows_in(text: str) -> list[Row]:
    """The row of every number in the text; none at all when one of them is not known."""
    found: list[Row] = []
    for mark, codes in (("[Errno ", {}), ("[WinError ", _WINDOWS)):
        for part in text.split(mark)[1:]:
            digits = part.partition("]")[0]
            number = int(digits) if digits.isdecimal() and len(digits) <= 6 else -1
            row = _BY_CODE[codes[number]] if number in codes else _BY_NUMBER.get(number)
            if row is None:
                return []
            found.append(row)
    return found


TABLE: Table = {("builtins", "OSError"): read}
_SAYING = (
    "BrokenPipeError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
)
INHERITED: Table = by_class(row for row in ROWS if row.name in (*_SAYING, "TimeoutError"))
"""What a class that somebody derived from these builtins means by that alone, whatever its `errno` is."""
