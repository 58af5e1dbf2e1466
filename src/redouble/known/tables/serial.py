"""Floor 2. pyserial: a port that is held by another or taken away; the error of the system stands in `errno` or the text."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import OTHER, text

_PORT = "serial/serialposix.py and serialwin32.py"

TABLE: Table = client(
    "serial",
    by_class((TRANSIENT, PERHAPS, _PORT, "not all was written in time", "SerialTimeoutException")),
    by_class((PERMANENT, SURELY_NOT, _PORT, "it was never opened, or was closed", "PortNotOpenError")),
    text(
        {
            "gone": ("device disconnected", "device reports readiness to read", "Input/output error", "write failed:"),
            "busy": ("Device or resource busy", "Could not exclusively lock port", "Resource temporarily unavailable"),
        },
        anywhere=True,
    ).of(
        "SerialException",
        (TRANSIENT, PERHAPS, _PORT, "the device went away, and may come back", "gone"),
        (TRANSIENT, SURELY_NOT, _PORT, "another process holds the port", "busy"),
        (PERMANENT, SURELY_NOT, _PORT, "no such port, or no right to it", OTHER),
    ),
)
