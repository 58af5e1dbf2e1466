"""On top of the floors: what runs the code that uses a fake clock: asyncio, trio, or a thread alone.

It is found when it is needed, and never imported: where it is not loaded, it does not run this.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any


def trio_is_here() -> bool:
    """Return whether a task of trio runs this. Ask it first: in trio's guest mode a loop of asyncio runs around it."""
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)  # None also while another thread is importing it
    if lowlevel is None:
        return False
    try:
        lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def is_worker_of_trio() -> bool:
    """Return whether this is a thread that `trio.to_thread.run_sync` runs something in."""
    from_thread = getattr(sys.modules.get("trio"), "from_thread", None)
    if from_thread is None:
        return False
    try:
        from_thread.check_cancelled()
    except RuntimeError:
        return False
    except BaseException:  # trio.Cancelled: the task that waits for the thread is to end, and waits on
        return True
    return True


def current_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of asyncio that runs this, if one does."""
    return asyncio._get_running_loop()


async def pass_turn() -> None:
    """Let other tasks run."""
    if trio_is_here():
        await _trio().lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


async def hang() -> None:
    """Never end, unless cancelled."""
    if trio_is_here():
        await _trio().sleep_forever()
    else:
        await asyncio.get_running_loop().create_future()


def _trio() -> Any:
    return sys.modules["trio"]
