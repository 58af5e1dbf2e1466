"""Floor 2. The text inside a client's error, and the words in it that mark a permanent failure."""

from __future__ import annotations

from redouble.core.raw import is_a, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_TEXT = 1000
"""The most characters of an error's text that are read: a driver may quote a whole statement."""


def first_text(error: Any) -> str:
    """Return the first argument of an error if it is a plain text, else an empty text."""
    args = probe(error, "args")
    return args[0] if type(args) is tuple and args and type(args[0]) is str else ""


def said(error: Any) -> str:
    """Return the first text among the arguments of an error; empty when there is none."""
    args = probe(error, "args")
    if type(args) is tuple:
        for value in args[:4]:
            if is_a(value, str):
                return clipped(value)
    return ""


def told(error: Any) -> str:
    """Return the same as `said`, also for clients that pass on their server's bytes (imaplib, poplib)."""
    args = probe(error, "args")
    if type(args) is tuple and args and is_a(args[0], bytes):
        return str(bytes.__getitem__(args[0], slice(LONGEST_TEXT)), "latin-1")
    return said(error)


def clipped(value: Any) -> str:
    """Return the beginning of a text, as a plain str; empty for any other value."""
    return str(str.__getitem__(value, slice(LONGEST_TEXT))) if is_a(value, str) else ""


def any_in(text: str, *marks: str) -> bool:
    """Return whether one of the marks stands in the text."""
    for mark in marks:  # noqa: SIM110  # a generator costs three times as much
        if mark in text:
            return True
    return False


def firm_text(text: str) -> bool:
    """Return whether a text quotes a permanent failure: an unknown name, or a TLS handshake that cannot succeed.

    For clients that keep no chain and quote the system's message in their own text (pymongo, kafka-python).
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
