"""Floor 2. Selenium: a page that is not ready yet, or has just changed; a browser that cannot reach the server."""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.error_text import any_in, clipped
from redouble.known.row import PERHAPS, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "selenium/common/exceptions.py"
_NET = "Chromium, net_error_list.h"


def read(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read an error of the driver by the browser's own word in `msg`; `None` for all others."""
    text = clipped(probe(error, "msg"))
    for code, row in rows.items():
        if any_in(text, code):
            return answer(error, row)
    return None


TABLE: Table = client(
    "selenium",
    by_class(
        (TRANSIENT, SURELY_NOT, _EXC, "the page has changed: look for it again", "StaleElementReferenceException"),
        (TRANSIENT, SURELY_NOT, _EXC, "something else lies over it", "ElementClickInterceptedException"),
        (TRANSIENT, SURELY_NOT, _EXC, "it is there, and not ready", "ElementNotInteractableException"),
        (TRANSIENT, PERHAPS, _EXC, "the condition was not met in time", "TimeoutException"),
    ),
    by(read).of(
        "WebDriverException",
        (TRANSIENT, SURELY_NOT, _NET, "nothing was sent", "net::ERR_CONNECTION_REFUSED net::ERR_CONNECTION_TIMED_OUT"),
        (TRANSIENT, SURELY_NOT, _NET, "no way to the host", "net::ERR_ADDRESS_UNREACHABLE net::ERR_NETWORK_CHANGED"),
        (TRANSIENT, SURELY_NOT, _NET, "no way to the host", "net::ERR_INTERNET_DISCONNECTED"),
        (TRANSIENT, PERHAPS, _NET, "the connection broke", "net::ERR_CONNECTION_RESET net::ERR_CONNECTION_CLOSED"),
        (TRANSIENT, PERHAPS, _NET, "the connection broke", "net::ERR_EMPTY_RESPONSE net::ERR_TIMED_OUT"),
    ),
)
