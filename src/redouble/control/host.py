"""Floor 3. Finds the host of the caller when it is needed: a plain thread, asyncio or trio. It imports none of them."""

from __future__ import annotations

import sys
from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Host(Enum):
    """A library that can suspend and cancel the running coroutine."""

    ASYNCIO = "asyncio"
    TRIO = "trio"


class NoHost(RuntimeError):  # noqa: N818  # it tells of a place, as StopIteration does
    """A coroutine runs where redouble cannot wait."""

    def __init__(self) -> None:
        super().__init__("neither asyncio nor trio runs this coroutine, so redouble cannot wait in it")


def running_host() -> Host:
    """Return the host of the running coroutine.

    Trio is asked first, because in its guest mode an asyncio loop runs around it. Asyncio counts only within a task.

    Raises:
        NoHost: When the coroutine does not run under asyncio or trio.
    """
    if in_trio():
        return Host.TRIO
    if in_asyncio_task():
        return Host.ASYNCIO
    raise NoHost


def in_trio() -> bool:
    """Return whether a trio task runs the caller."""
    if "trio" not in sys.modules:
        return False
    trio: Any = sys.modules["trio"]
    try:
        return bool(trio.lowlevel.in_trio_task())
    except AttributeError:  # half imported by another thread, or another module of that name
        return False


def in_asyncio_task() -> bool:
    """Return whether an asyncio task runs the caller."""
    asyncio: Any = sys.modules.get("asyncio")
    try:
        return asyncio is not None and asyncio._get_running_loop() is not None and asyncio.current_task() is not None
    except AttributeError:  # half imported by another thread
        return False


def in_event_loop() -> bool:
    """Return whether the caller runs in an event loop, which a blocking wait would hold up."""
    modules = sys.modules
    try:
        if "asyncio" in modules and modules["asyncio"]._get_running_loop() is not None:
            return True
    except AttributeError:  # half imported by another thread
        return False
    return "trio" in modules and in_trio()
