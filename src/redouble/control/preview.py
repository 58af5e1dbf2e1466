"""Floor 3. Lists the waits of a policy without waiting."""

from __future__ import annotations

from redouble.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.control.policy import Policy

NEARLY_ONE = 1 - 2**-53


class PreviewRow(Record):
    """The wait after one failure, in seconds.

    Fields:
        attempt: The number of the attempt that failed, from 1.
        earliest: The shortest wait that jitter allows.
        typical: The wait at a draw of 0.5.
        latest: The longest wait that jitter allows.
        cumulated: The sum of the typical waits up to this one.
        past_deadline: `True` when this wait would end past the deadline, even if attempts took no time: the call gives
            up instead.
    """

    __module__ = "redouble.types"

    attempt: int
    earliest: float
    typical: float
    latest: float
    cumulated: float
    past_deadline: bool = False


def preview(policy: Policy, failures: int) -> list[PreviewRow]:
    """Return one row per failure that is followed by a wait, at most `failures` of them."""
    rows: list[PreviewRow] = []
    limit = failures if policy.attempts is None else min(failures, policy.attempts - 1)
    previous: list[float | None] = [None, None, None]
    cumulated = 0.0
    for attempt in range(1, limit + 1):
        draws = (0.0, 0.5, NEARLY_ONE)
        waits = [policy.backoff.delay(attempt, last, draw) for last, draw in zip(previous, draws, strict=True)]
        if waits[1] is None:
            break
        earliest, typical, latest = (0.0 if wait is None else wait for wait in waits)
        cumulated += typical
        past_deadline = policy.deadline is not None and cumulated > policy.deadline
        rows.append(PreviewRow(attempt, earliest, typical, latest, cumulated, past_deadline))
        if past_deadline:
            break
        previous = list(waits)
    return rows
