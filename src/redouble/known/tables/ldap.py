"""Floor 2. LDAP: ldap3 by the result code of RFC 4511, python-ldap by class."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import as_beneath, number_at, text

_RESULTS = "RFC 4511 A.2"
_EXC = "ldap3/core/exceptions.py"
_PYTHON_LDAP = "python-ldap documentation, exceptions"

TABLE: Table = client(
    "ldap3",
    number_at("result").of(
        "LDAPOperationResult",
        (TRANSIENT, SURELY_NOT, _RESULTS, "the server is busy, or goes down", "51 52"),
        (PERMANENT, SURELY_NOT, _RESULTS, "the request, the entry or the rights", "other"),
    ),
    text().of(
        "LDAPSocketOpenError",
        (PERMANENT, SURELY_NOT, "ldap3/strategy/base.py", "no such name", ("invalid server address",)),
        (
            TRANSIENT,
            SURELY_NOT,
            "ldap3/strategy/base.py",
            "no connection came about",
            ("socket connection error", "unable to open socket"),
        ),
        (PERMANENT, SURELY_NOT, "ldap3/strategy/base.py", "a certificate, or a mistake in the settings", "other"),
    ),
    as_beneath()(
        (TRANSIENT, PERHAPS, _EXC, "the connection broke", "LDAPSocketReceiveError LDAPSocketSendError"),
        (TRANSIENT, PERHAPS, _EXC, "as the error beneath it", "LDAPMaximumRetriesError"),
    ),
    by_class(
        (
            TRANSIENT,
            PERHAPS,
            _EXC,
            "the session is gone, or no answer came",
            "LDAPSessionTerminatedByServerError LDAPResponseTimeoutError",
        ),
        (TRANSIENT, SURELY_NOT, _EXC, "no server of the pool answers", "LDAPServerPoolExhaustedError"),
        (PERMANENT, SURELY_NOT, _EXC, "a mistake in the calls or in the settings", "LDAPException"),
    ),
) + client(
    "ldap",
    by_class(
        (TRANSIENT, SURELY_NOT, _RESULTS, "the server is busy, or goes down", "BUSY UNAVAILABLE"),
        (TRANSIENT, PERHAPS, _PYTHON_LDAP, "the connection is gone, or no answer came", "SERVER_DOWN TIMEOUT"),
        (PERMANENT, SURELY_NOT, _PYTHON_LDAP, "the request, the entry or the rights", "LDAPError"),
    ),
)
