"""Floor 2. Telegram: python-telegram-bot by class and the error beneath; Telethon by class, with a flood's seconds."""

from __future__ import annotations

from redouble.known.guess import own_hint
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import as_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_BOT = "telegram/error.py"
_REQUEST = "telegram/request/_baserequest.py"
_TELETHON = "telethon/errors/rpcbaseerrors.py"


def read_flood(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a flood with its seconds to wait: `retry_after`, a number or a timedelta, or Telethon's `seconds`."""
    hint = own_hint(error)
    hint = own_hint(error, "seconds") if hint is None else hint
    return rows[""].because(named(error), hint)


TABLE: Table = client(
    "telegram",
    as_beneath()(
        (TRANSIENT, PERHAPS, _REQUEST, "no answer, or one of 500 and above", "NetworkError"),
        (TRANSIENT, PERHAPS, _BOT, "the time was up", "TimedOut"),
    ),
    by(read_flood)((TRANSIENT, SURELY_NOT, _BOT, "too many requests", "RetryAfter")),
    by_class(
        (PERMANENT, SURELY_NOT, _BOT, "the request, the token or the chat", "TelegramError BadRequest"),
        (PERMANENT, SURELY_NOT, _BOT, "another program polls with this token", "Conflict"),
    ),
) + client(
    "telethon",
    by(read_flood)((TRANSIENT, SURELY_NOT, _TELETHON, "too many requests", "FloodError")),
    by_class(
        (TRANSIENT, PERHAPS, _TELETHON, "Telegram failed, or was too slow", "ServerError TimedOutError"),
        (PERMANENT, SURELY_NOT, _TELETHON, "the request, the rights or the account", "RPCError"),
    ),
)
