"""Floor 3. Which retried calls this thread or task is inside of, innermost first.

The success path of a decorated function must not pay for being found from deeper down, which a context variable would
cost twice the rest of it. So nothing is set: the frames are walked when somebody asks. A wrapper is known by its code
object; a block, whose body runs in the user's own frame, by that frame.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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
    at: FrameType | None = sys._getframe(1) if frame is None else frame
    while at is not None:
        if id(at.f_code) in _readers or (blocks and id(at) in blocks):
            yield from _calls_in(at)
        at = at.f_back


def _calls_in(frame: FrameType) -> Sequence[Enclosing]:
    """The retried calls of one frame, innermost first."""
    reader = _readers.get(id(frame.f_code))
    if reader is None:
        return blocks[id(frame)][::-1]
    found = reader(frame)
    return () if found is None else (found,)


def least_left(frame: FrameType) -> float | None:
    """The least that is left of the retried calls around `frame`; `None` when nothing bounds.

    As `min` over `enclosing`, in one plain loop: every retried call that fails pays for it.
    """
    at: FrameType | None = frame
    while at is not None:
        if id(at.f_code) in _readers or (blocks and id(at) in blocks):
            return _least_of(at)
        at = at.f_back
    return None


def _least_of(frame: FrameType) -> float | None:
    """As `least_left`, where there is something to read.

    From the outside in: a reader may have to make its call, which asks the same of the frames around it. What is made
    from the inside out asks within its asking, a few frames deeper for each call, until a function that calls itself
    has no stack left. Where there is none left, near the bottom, a call does not bound.
    """
    frames = []
    at: FrameType | None = frame
    while at is not None:
        if id(at.f_code) in _readers or (blocks and id(at) in blocks):
            frames.append(at)
        at = at.f_back
    least: float | None = None
    for each in reversed(frames):
        try:
            for call in _calls_in(each):
                left = call.left()
                if left is not None and (least is None or left < least):
                    least = left
        except RecursionError:
            continue
    return least


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
