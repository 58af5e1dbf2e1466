"""Floor 5: long-lived work on the same scripts: connections that drop, answers that are not ready, reads that resume.

Import the functions from `redouble` and the types from here; each is loaded when it is first asked for.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.loops.checkpoint import Checkpoint, FileCheckpoint
    from redouble.loops.link import LinkStatus
    from redouble.loops.reading import Stalled
    from redouble.loops.reconnect import Link
    from redouble.loops.resume import Resuming
    from redouble.loops.session import Session
else:
    _LATER = {
        "Checkpoint": "checkpoint",
        "FileCheckpoint": "checkpoint",
        "Link": "reconnect",
        "LinkStatus": "link",
        "Resuming": "resume",
        "Session": "session",
        "Stalled": "reading",
    }

    def __getattr__(name):
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = value = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_LATER})


__all__ = ["Checkpoint", "FileCheckpoint", "Link", "LinkStatus", "Resuming", "Session", "Stalled"]
