"""Floor 4. Tracebacks: at most one frame of redouble's, and no pass twice when the same error object comes back."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

# Python's own descriptors, as an error's class may guard its attributes.
_TRACEBACK: Any = BaseException.__traceback__
_CONTEXT: Any = BaseException.__context__

_OURS = ("redouble.calls.", "redouble.ways.", "redouble.loops.")


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an error."""
    found: TracebackType | None = _TRACEBACK.__get__(error)
    return found


def context_of(error: BaseException) -> BaseException | None:
    """Return the error that was being handled when this one was raised."""
    found: BaseException | None = _CONTEXT.__get__(error)
    return found


def put_back(error: BaseException, traceback: TracebackType | None, context: BaseException | None) -> None:
    """Undo the changes that raising an error once more made to it."""
    _TRACEBACK.__set__(error, traceback)
    _CONTEXT.__set__(error, context)


def strip(error: BaseException) -> None:
    """Remove redouble's frames at the head of a traceback, except for the first, which is that of the way in.

    Called just before the error is raised: a failure in here must not hide it.
    """
    try:
        head = traceback_of(error)
        after = None if head is None else head.tb_next
        while after is not None and is_ours(after):
            after = after.tb_next
        if head is not None:
            head.tb_next = after
    except Exception:
        return


def is_ours(at: TracebackType) -> bool:
    """Return whether a frame belongs to redouble's code between a way in and the operation."""
    name = at.tb_frame.f_globals.get("__name__")
    return type(name) is str and name.startswith(_OURS)


def without_head(error: BaseException) -> TracebackType | None:
    """Return the traceback of a caught error without the frames of redouble's that caught it."""
    at = traceback_of(error)
    while at is not None and is_ours(at):
        at = at.tb_next
    return at


def forget_earlier_passes(error: BaseException) -> None:
    """Cut the traceback of an error that came back, so that it shows one pass and does not grow.

    The frame that caught an earlier pass is the one that has caught it now, or the one around that.
    """
    head = traceback_of(error)
    if head is None:
        return
    here, around = head.tb_frame, head.tb_frame.f_back
    last, at = head, head.tb_next
    while at is not None:
        if at.tb_frame is here or at.tb_frame is around:
            last.tb_next = None
            strip(error)
            return
        last, at = at, at.tb_next
