"""Floor 2. The SDK of Databricks, which keeps a class for each code of its API, and no status."""

from __future__ import annotations

from redouble.core.hints import retry_after
from redouble.core.raw import probe
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, named
from redouble.known.table import Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "databricks/sdk/errors/platform.py"


def read(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a transient error, with the seconds that the client took from the answer."""
    seconds = probe(error, "retry_after_secs")
    hint = retry_after(str(seconds), None) if type(seconds) in (int, float) else None
    return rows[""].because(named(error), hint)


TABLE: Table = client(
    "databricks",
    by(read)(
        (TRANSIENT, SURELY_NOT, _EXC, "too many requests", "TooManyRequests"),
        (TRANSIENT, SURELY_NOT, _EXC, "somebody else writes", "Aborted"),
        (TRANSIENT, PERHAPS, _EXC, "the service failed", "InternalError TemporarilyUnavailable DeadlineExceeded"),
    ),
    by_class(
        (PERMANENT, PERHAPS, _EXC, "data are lost", "DataLoss"),
        (PERMANENT, SURELY_NOT, _EXC, "the request, the rights or the thing", "DatabricksError"),
        (TRANSIENT, PERHAPS, "databricks/sdk/errors/sdk.py", "waited for in vain; it goes on", "OperationTimeout"),
    ),
)
