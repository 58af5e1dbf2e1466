"""On top of the floors: the host of the code that uses a fake clock: asyncio, trio, or a plain thread.

Hosts are looked up in `sys.modules`, and never imported: one that is not loaded is not running.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any


def trio_is_here() -> bool:
    """Return whether a task of trio is running. Ask it first: in trio's guest mode an asyncio loop runs around it."""
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)  # also `None` while another thread is importing trio
    if lowlevel is None:
        return False
    try:
        lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def is_worker_of_trio() -> bool:
    """Return whether this is a worker thread of `trio.to_thread.run_sync`."""
    from_thread = getattr(sys.modules.get("trio"), "from_thread", None)
    if from_thread is None:
        return False
    try:
        from_thread.check_cancelled()
    except RuntimeError:
        return False
    except BaseException:  # trio.Cancelled: the task that waits for the thread is cancelled, but still waits
        return True
    return True


def current_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop of asyncio, if any."""
    return asyncio._get_running_loop()


async def pass_turn() -> None:
    """Let other tasks run."""
    if trio_is_here():
        await _trio().lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


async def hang() -> None:
    """Wait until cancelled."""
    if trio_is_here():
        await _trio().sleep_forever()
    else:
        await asyncio.get_running_loop().create_future()


def _trio() -> Any:
    return sys.modules["trio"]
