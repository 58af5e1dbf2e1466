"""Floor 2. What lies inside a client's error: its text, and the failed name look-up or TLS handshake under it."""

from __future__ import annotations

from redouble.core.causes import DEPTH
from redouble.core.verdict import Classification
from redouble.known.roots import under
from redouble.known.rows import PERMANENT, is_a, named, probe, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Row

LONGEST_TEXT = 4000
"""How much of an error's text is looked at: a driver may quote a whole statement."""

_answers: dict[tuple[type, int], Classification] = {}


def answer(error: Any, row: Row) -> Classification:
    """What a row of a table says of this error, made once per type; the row must live as long as its module."""
    key = (type(error), id(row))
    found = _answers.get(key)
    if found is None:
        found = row.because(named(error) + (f" [{row.code}]" if row.code else ""))
        remember(_answers, key, found)
    return found


def said(error: Any) -> str:
    """The first text among the arguments of an error; empty when there is none."""
    args = probe(error, "args")
    if type(args) is tuple:
        for value in args[:4]:
            if is_a(value, str):
                return clipped(value)
    return ""


def clipped(value: Any) -> str:
    """The beginning of a text, as a plain str; empty for what is no text."""
    return str(str.__getitem__(value, slice(LONGEST_TEXT))) if is_a(value, str) else ""


def any_in(text: str, *marks: str) -> bool:
    """Whether one of the marks stands in the text."""
    for mark in marks:  # noqa: SIM110  # a generator costs three times as much
        if mark in text:
            return True
    return False


def firm_root(error: Any, known: Asking) -> Classification | None:
    """The permanent failure over which a connection error was raised: an unknown name, a certificate, a forbidden port.

    Clients wrap these as they wrap an outage: redis-py and PyMySQL leave only the `__context__`. Nothing else in a
    chain is believed: what was being handled when an error came up may have nothing to do with it.
    """
    link, seen = error, [error]
    for _ in range(DEPTH):
        link = probe(link, "__cause__") or probe(link, "__context__")
        if not is_a(link, BaseException) or any(link is before for before in seen):
            return None
        seen.append(link)
        if _may_be_firm(type(link)):
            found = known.inner(link)
            if found is not None and found.verdict is PERMANENT:
                return under(found, error, found.applied)
    return None


def _may_be_firm(cls: type) -> bool:
    if issubclass(cls, PermissionError):
        return True
    modules = (probe(base, "__module__") for base in cls.__mro__)
    return issubclass(cls, OSError) and any(module in ("socket", "ssl") for module in modules if type(module) is str)


def firm_text(text: str) -> bool:
    """Whether a text quotes a failure that stays: a name that does not exist, or TLS that cannot come about.

    For clients that keep no chain and put what the system said into their own text (pymongo, kafka-python).
    """
    return any_in(text, *_FIRM_TEXTS)


_FIRM_TEXTS = (
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
    "HANDSHAKE_FAILURE",
    "TLSV1_ALERT_",
    "TLSV13_ALERT_",
    "Name or service not known",  # glibc's EAI_NONAME
    "nodename nor servname provided",  # the same of macOS and the BSDs
    "Name does not resolve",  # musl's
    "getaddrinfo failed",  # Windows'
    "No address associated with hostname",  # EAI_NODATA
)
