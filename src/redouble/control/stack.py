"""Floor 2. Which retried calls this thread or task is inside of, innermost first.

The success path of a decorated function must not pay for being found from deeper down, which a context variable would
cost twice the rest of it. So nothing is set: the frames are walked when somebody asks. A wrapper is known by its code
object; a block, whose body runs in the user's own frame, by that frame.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import Protocol

    class Enclosing(Protocol):
        """A retried call that is under way."""

        def left(self) -> float | None:
            """Seconds until its own deadline, <= 0 when that has passed; `None` when it has none."""
            ...


_readers: dict[int, Callable[[FrameType], Enclosing | None]] = {}  # by the id of the code: hashing code is slow
_codes: list[CodeType] = []  # kept, so that no id is used again
blocks: dict[int, list[Enclosing]] = {}
"""The open attempts of block forms, by the `id` of the frame they stand in."""


def known_by(code: CodeType, reader: Callable[[FrameType], Enclosing | None]) -> None:
    """Let frames of `code` be found; `reader` gets such a frame."""
    if id(code) not in _readers:
        _codes.append(code)
        _readers[id(code)] = reader


def enclosing(frame: FrameType | None = None) -> Iterator[Enclosing]:
    """The retried calls around the caller, innermost first."""
    at = sys._getframe(1) if frame is None else frame
    while at is not None:
        code = id(at.f_code)
        if code in _readers:
            found = _readers[code](at)
            if found is not None:
                yield found
        elif blocks and id(at) in blocks:
            yield from reversed(blocks[id(at)])
        at = at.f_back  # type: ignore[assignment]  # None ends the loop


def least_left(frame: FrameType) -> float | None:
    """The least that is left of the retried calls around `frame`; `None` when nothing bounds.

    As `min` over `enclosing`, in one plain loop: every retried call that fails pays for it.
    """
    at: FrameType | None = frame
    while at is not None:
        if id(at.f_code) in _readers or (blocks and id(at) in blocks):
            lefts = [left for call in enclosing(at) if (left := call.left()) is not None]
            return min(lefts, default=None)
        at = at.f_back
    return None


def open_block(frame_id: int, attempt: Enclosing) -> None:
    """An attempt of a block form begins in that frame."""
    blocks.setdefault(frame_id, []).append(attempt)


def close_block(frame_id: int, attempt: Enclosing) -> None:
    """It ends; harmless when it has ended already."""
    attempts = blocks.get(frame_id)
    if attempts is not None and attempt in attempts:
        attempts.remove(attempt)
        if not attempts:
            del blocks[frame_id]
