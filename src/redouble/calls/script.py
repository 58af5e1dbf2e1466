"""Floor 4. How a retried call goes on, written once and without `async`: scripts, which drivers perform.

A script is a generator. It yields steps, as pairs of what is to be done and the call that it is about; the driver of the
host does it, tells the call, and resumes the script, which reads there what came of it.
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
    """What a driver is asked for.

    `ATTEMPT`: call the operation and tell the call, or hand the attempt to the body that is the operation. `WAIT`: let
    `call.delay` seconds pass, or less when the call is stopped. `PAUSE`: let the time of a `Pause` pass, or less when
    one of its events is set. `RAISE`: raise the error that the call held. `HAND_OUT`: return to whoever loops; the script
    goes on when the next item is asked for. `PERFORM`: run a generator that yields what it wants awaited.
    """

    ATTEMPT = 1
    WAIT = 2
    PAUSE = 3
    RAISE = 4
    HAND_OUT = 5
    PERFORM = 6


ATTEMPT, WAIT, PAUSE, RAISE, HAND_OUT, PERFORM = Step


def attempts(call: Call, after_failure: bool = False) -> Script:
    """Attempt until the call is over.

    Args:
        call: The call; its first attempt has begun.
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
    """Hold a first attempt back for as long as a cooldown says, then begin it."""
    while call.is_held():
        yield WAIT, call
    call.begin_held()
