"""Floor 4. Keeps tracebacks as Python gave them: at most one frame of ours, and none twice when one object comes back."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

# Past classes that guard their attributes: what Python itself reads and writes.
_TRACEBACK: Any = BaseException.__traceback__
_CONTEXT: Any = BaseException.__context__

_OURS = ("redouble.calls.", "redouble.ways.", "redouble.loops.")


def traceback_of(error: BaseException) -> TracebackType | None:
    """The traceback of an error."""
    found: TracebackType | None = _TRACEBACK.__get__(error)
    return found


def context_of(error: BaseException) -> BaseException | None:
    """The error that was being handled when this one came up."""
    found: BaseException | None = _CONTEXT.__get__(error)
    return found


def put_back(error: BaseException, traceback: TracebackType | None, context: BaseException | None) -> None:
    """Undo what raising an error once more did to it."""
    _TRACEBACK.__set__(error, traceback)
    _CONTEXT.__set__(error, context)


def strip(error: BaseException) -> None:
    """Leave one frame of ours where several follow each other: the first, which is that of the way in.

    Called where the error is about to be raised: nothing that fails here is worth hiding it.
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
    """Whether a frame belongs to what stands between a way in and the operation."""
    name = at.tb_frame.f_globals.get("__name__")
    return type(name) is str and name.startswith(_OURS)


def without_head(error: BaseException) -> TracebackType | None:
    """The traceback of a caught error without the frames of ours that caught it."""
    at = traceback_of(error)
    while at is not None and is_ours(at):
        at = at.tb_next
    return at


def forget_earlier_passes(error: BaseException) -> None:
    """Cut the traceback of an error that came back, so that it shows one pass and does not grow.

    An earlier pass is known by the frame that caught it: the one that has caught it now, or the one around it.
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
