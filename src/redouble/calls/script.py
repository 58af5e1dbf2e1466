"""Floor 4. Scripts: the course of a retried call, written once and without `async`, for drivers to perform.

A script is a generator that yields pairs of a step and its subject, such as a call. The driver of the host performs the
step, tells the call the outcome, and resumes the script, which asks the call how to go on.
"""

from __future__ import annotations

from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeAlias

    from redouble.calls.call import Call

    Script: TypeAlias = Generator[tuple["Step", Any], None, None]


class Step(Enum):
    """A step that a driver performs.

    `ATTEMPT`: call the operation and tell the call, or hand the attempt to the body that is the operation. `WAIT`: wait
    `call.delay` seconds, or less if the call is stopped. `PAUSE`: wait for the time of a `Pause`, or less if one of its
    events is set. `RAISE`: raise the error that the call held. `HAND_OUT`: return to the user's loop; the script goes
    on when that asks for the next item. `PERFORM`: run a generator that yields awaitables.
    """

    ATTEMPT = 1
    WAIT = 2
    PAUSE = 3
    RAISE = 4
    HAND_OUT = 5
    PERFORM = 6


ATTEMPT, WAIT, PAUSE, RAISE, HAND_OUT, PERFORM = Step


def attempts(call: Call, after_failure: bool = False) -> Script:
    """Yield the steps of a call until it is over.

    Args:
        call: The call; its first attempt has begun, unless a cooldown holds it back.
        after_failure: Whether that attempt has failed already.
    """
    if call.held:
        yield from held_back(call)
    while True:
        if not after_failure:
            yield ATTEMPT, call
            if call.over:
                return
        after_failure = False
        yield WAIT, call
        while (call.rest or call.cooled) and call.sleeps_on():
            yield WAIT, call
        if call.over or not call.goes_on():
            if call.raised is not None:
                yield RAISE, call
            return


def held_back(call: Call) -> Script:
    """Yield the waits of a first attempt that a cooldown holds back, then begin it."""
    while call.is_held():
        yield WAIT, call
    call.begin_held()
