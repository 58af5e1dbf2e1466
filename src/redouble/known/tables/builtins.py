"""Floor 2. OSError and its builtin subclasses, by errno: files, sockets, and asyncio's list of dead addresses.

An errno that is not in the table has no meaning here, and an explicit cause may still decide.
"""

from __future__ import annotations

import errno

from redouble.core.raw import probe, whole
from redouble.known.error_text import said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, Row, answer, named, remember, rows_of
from redouble.known.table import Entry, Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking, Group
    from redouble.known.table import Key, Rows

_MAN = "errno(3)"
_CONNECT = "errno(3), connect(2)"
_DOCS = "Python documentation, OS exceptions"
_MS = "Windows system error codes"
_GROUPS = (
    (TRANSIENT, SURELY_NOT, _CONNECT, "nothing listens (yet): no byte was sent", "ECONNREFUSED"),
    (TRANSIENT, SURELY_NOT, _CONNECT, "no way to the host", "EHOSTUNREACH ENETUNREACH ENETDOWN EHOSTDOWN"),
    (TRANSIENT, PERHAPS, _CONNECT, "in flight the peer may have done it", "ETIMEDOUT"),
    (
        TRANSIENT,
        PERHAPS,
        _MAN,
        "the connection is gone, the peer may have done it",
        "ECONNRESET ECONNABORTED EPIPE ENETRESET ENOTCONN ESHUTDOWN",
    ),
    (TRANSIENT, SURELY_NOT, _CONNECT, "all local ports are used up", "EADDRNOTAVAIL"),
    (TRANSIENT, SURELY_NOT, _MAN, "", "EAGAIN EWOULDBLOCK EINTR"),
    (TRANSIENT, SURELY_NOT, _MAN, "a resource is used up, others may free it", "ENOBUFS ENOMEM EMFILE ENFILE"),
    (TRANSIENT, SURELY_NOT, _MAN + "; policy", "somebody else holds it", "EBUSY ENOLCK EDEADLK"),
    (TRANSIENT, SURELY_NOT, _MAN + "; policy", "NFS: a new look-up finds the file", "ESTALE"),
    (PERMANENT, SURELY_NOT, _MAN + "; policy", "also a unix socket that is not there yet", "ENOENT"),
    (PERMANENT, SURELY_NOT, _MAN, "", "EACCES EPERM EROFS"),
    (PERMANENT, SURELY_NOT, _MAN, "", "EEXIST EISDIR ENOTDIR ENOTEMPTY ENAMETOOLONG ELOOP EXDEV EFBIG"),
    (
        PERMANENT,
        SURELY_NOT,
        _MAN,
        "a mistake in the call",
        "EINVAL EBADF ENOTSOCK EFAULT ESPIPE EDESTADDRREQ EISCONN EMSGSIZE",
    ),
    (
        PERMANENT,
        SURELY_NOT,
        _MAN,
        "this system cannot do it",
        "EAFNOSUPPORT EPROTONOSUPPORT EPROTOTYPE ENOPROTOOPT EOPNOTSUPP ENOTSUP ENOSYS",
    ),
    (PERMANENT, SURELY_NOT, _MAN, "", "ENXIO ENODEV ESRCH ECHILD E2BIG ENOEXEC"),
    (PERMANENT, SURELY_NOT, _MAN + "; policy", "somebody must make room", "ENOSPC EDQUOT"),
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
"""Builtin classes without an errno: asyncio raises TimeoutError so, and under TLS ConnectionResetError."""

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

_MULTIPLE = "Multiple exceptions"
_CLOSED = "Socket is closed"
_NO_TLS = "rejected SSL upgrade"
_NO_HANDSHAKE = "The handshake operation timed out"
_WEBSOCKETS = "websockets, asyncio/client.py and sync/client.py"
_ASYNCPG = "asyncpg/connect_utils.py, _create_ssl_connection"
_BEFORE = "nothing was asked of the server yet"
_TEXTS = (
    "timed out during opening handshake",
    "timed out while waiting for handshake response",
    "timed out while connecting to HTTP proxy",
    "connection closed during TLS handshake",
)
"""Builtin errors raised by clients, with fixed texts of their own."""


def read(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read a builtin OSError by its errno, else by its class, else by its text."""
    cls = type(error)
    number = whole(probe(error, "errno"))
    if number is None and (cls is TimeoutError or cls is ConnectionError) and error.args:
        row = rows.get(_word(said(error)))
        if row is not None:
            return answer(error, row)
    found = _cache.get((cls, number))
    if found is None:
        found = _judge(error, cls, number)
    return found


def _word(text: str) -> str:
    if text.endswith(": The handshake operation timed out"):  # Modules/_ssl.c
        return _NO_HANDSHAKE
    if text.startswith('PostgreSQL server at "') and text.endswith('" rejected SSL upgrade'):
        return _NO_TLS
    return text if text in _TEXTS else "no text that is known"


def _judge(error: Any, cls: type, number: int | None) -> Classification | None:
    if number is None and cls is OSError:
        return _by_text(error)
    if number == errno.EINVAL:  # not remembered: on Windows it hides other numbers
        row = _BY_CODE[_WINDOWS.get(whole(probe(error, "winerror")) or 0, "EINVAL")]
        return row.because(f"{named(error)} [{row.code}]")
    known = None if number is None else _BY_NUMBER.get(number)
    if known is not None:
        return remember(_cache, (cls, number), known.because(f"{named(error)} [{known.code}]"))
    for base in cls.__mro__:
        if base.__name__ in _BY_CLASS:
            return remember(_cache, (cls, None), _BY_CLASS[base.__name__].because(named(error)))
    return None


def _by_text(error: Any) -> Classification | None:
    """Read an OSError that has only a text: paramiko's, or that of asyncio's create_connection."""
    args = probe(error, "args")
    text = args[0] if type(args) is tuple and len(args) == 1 else None
    if type(text) is not str:
        return None
    return answer(error, _BY_CODE[_CLOSED]) if text == _CLOSED else _by_numbers(error, text)


def _by_numbers(error: Any, text: str) -> Classification | None:
    """Read `OSError("Multiple exceptions: [Errno 111] ..., [Errno 101] ...")`, which has no cause, context or errno."""
    if not text.startswith("Multiple exceptions: "):
        return None
    found = _rows_in(text)
    if not found:
        return None
    for row in found:
        if row.verdict is PERMANENT:
            return row.because(f"{named(error)} [{row.code}] among multiple exceptions")
    codes = " ".join(dict.fromkeys(row.code for row in found))
    return _BY_CODE[_MULTIPLE].because(f"{named(error)} [{codes}] for each address")


def _rows_in(text: str) -> list[Row]:
    """Return the row of every number in the text; none when one of them is not known."""
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


def read_buffer(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read a BufferError, which has a meaning only where librdkafka's producer raises it (confluent-kafka)."""
    row = rows.get(said(error))
    return None if row is None else answer(error, row)


def _as(name: str) -> Group:
    """Return the group of a builtin class without an errno, which has the meaning of its usual errno."""
    code = _CLASSES[name]
    row = _BY_CODE[code]
    return (row.verdict, row.applied, _DOCS, f"without errno, as {code}", "")


def _windows() -> Iterator[Group]:
    for number, code in _WINDOWS.items():
        row = _BY_CODE[code]
        yield (row.verdict, row.applied, _MS, f"as {code}", (f"WinError {number}",))


_cache: dict[tuple[type, int | None], Classification] = {}
_EOF = (TRANSIENT, PERHAPS, "policy", "a peer that hung up; paramiko's after the banner", "EOFError")
_ERRNO = rows_of("builtins", "OSError", _GROUPS)
_BY_CODE = {row.code: row for row in _ERRNO}

TABLE: Table = client(
    "builtins",
    by(read).of(
        "OSError",
        *_ERRNO,
        (
            TRANSIENT,
            SURELY_NOT,
            "asyncio.loop.create_connection",
            "transient when every number in the text is: no address answered, and nothing was sent",
            (_MULTIPLE,),
        ),
        (TRANSIENT, PERHAPS, "paramiko/channel.py", "the session was lost, maybe in use", (_CLOSED,)),
        *_windows(),
    ),
    by(read).of(
        "TimeoutError",
        _as("TimeoutError"),
        (TRANSIENT, SURELY_NOT, _WEBSOCKETS, _BEFORE, _TEXTS[:3]),
        (TRANSIENT, SURELY_NOT, "Modules/_ssl.c", _BEFORE, (_NO_HANDSHAKE,)),
    ),
    by(read).of(
        "ConnectionError",
        _as("ConnectionError"),
        (TRANSIENT, SURELY_NOT, _ASYNCPG, _BEFORE, _TEXTS[3:]),
        (PERMANENT, SURELY_NOT, _ASYNCPG, "the server does not speak TLS", (_NO_TLS,)),
    ),
    *(by(read, fixed=True).of(name, _as(name)) for name in _CLASSES if name not in ("TimeoutError", "ConnectionError")),
    by_class(_EOF),
    by(read_buffer).of(
        "BufferError",
        (
            TRANSIENT,
            SURELY_NOT,
            "confluent-kafka documentation, Producer.produce",
            "the producer's own queue is full until some of it was delivered",
            ("Local: Queue full",),
        ),
    ),
)

_BY_CODE = TABLE.entries["builtins", "OSError"].rows
_BY_CLASS = {name: TABLE.entries["builtins", name].rows[""] for name in _CLASSES}
# Backwards, so that the first name of a number wins: EAGAIN before EWOULDBLOCK. Platforms lack some of the names.
_BY_NUMBER = {getattr(errno, code): row for code, row in reversed(_BY_CODE.items()) if hasattr(errno, code)}
_SAYING = ("BrokenPipeError", "ConnectionAbortedError", "ConnectionRefusedError", "ConnectionResetError")
INHERITED: dict[Key, Entry] = {
    ("builtins", name): Entry(("builtins", name), by_class, (_BY_CLASS[name],))
    for name in (*_SAYING, "ConnectionError", "TimeoutError")
}
"""The meaning that a class derived from these builtins inherits, independent of its `errno`."""
