"""Laws of the cooldown, over random calls one after the other: what is waited for, and what is not."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from redouble import Cooldown, Event, EventKind, Reason, constant, outcome, retry, transient
from redouble.testing import fake_time

NEAR = 1e-6


class RefusedError(Exception):
    """A failure, with a hint or without one."""

    def __init__(self, after: float | None) -> None:
        super().__init__(after)
        self.after = after


class Call(NamedTuple):
    """A call: how long ago the one before it ended, what its attempts come to, and its limits."""

    after: float
    hints: list[float | None]
    deadline: float | None
    max_hint: float | None
    long_hints: str


hints = st.none() | st.sampled_from([0.0, 1.0, 10.0, 300.0]) | st.floats(0, 500)
limits = st.none() | st.sampled_from([5.0, 60.0]) | st.floats(0.6, 400)
calls = st.lists(
    st.builds(Call, st.floats(0, 100), st.lists(hints, max_size=4), limits, limits, st.sampled_from(["stop", "cap"])),
    min_size=1,
    max_size=6,
)


class Server:
    """Knows until when it wants no request, by what its answers said and the policies let count."""

    def __init__(self, clock: Any, shared: Cooldown) -> None:
        self.clock, self.shared = clock, shared
        self.until, self.hint = 0.0, 0.0

    def refuse(self, after: float | None, call: Call) -> None:
        """Refuse a request, with a hint: what is asked for longer than `max_hint` counts as that, or not at all."""
        if after is not None:
            most = call.max_hint
            counts = after if most is None or after <= most else most if call.long_hints == "cap" else 0.0
            if counts and self.clock.now() + counts > self.until:
                self.until, self.hint = self.clock.now() + counts, counts
        raise RefusedError(after)


@given(calls, st.floats(0, 1, exclude_max=True))
def test_no_attempt_comes_before_its_time_but_for_its_limits(calls: list[Call], draw: float) -> None:
    """An attempt within the time that the server asked for is a first one whose limits do not allow the wait, or capped.

    And no call waits past its deadline, nor longer for an attempt than the hint and a tenth.
    """
    shared = Cooldown()
    with fake_time(draw=draw) as clock:
        server = Server(clock, shared)
        for call in calls:
            clock.sleep(call.after)
            play(call, server, shared, draw)


class Played:
    """A call under way: when it began, and since when its next attempt has been waited for."""

    def __init__(self, call: Call, server: Server, draw: float) -> None:
        self.call, self.server, self.draw = call, server, draw
        self.began = self.since = server.clock.now()
        self.is_first = True
        self.answers = iter(call.hints)

    def hear(self, event: Event) -> None:
        """Note that an attempt failed, and another one follows."""
        if event.kind is EventKind.RETRY:
            self.since, self.is_first = self.server.clock.now(), False

    def may_be_early(self, left: float) -> bool:
        """Whether the limits of the call forbid that its attempt waits for the time that is left."""
        call, now = self.call, self.server.clock.now()
        waited = now - self.since
        if call.max_hint is not None and waited >= call.max_hint - NEAR:
            return True
        long = call.max_hint is not None and left > call.max_hint - waited - NEAR
        ends = now + left + 0.1 * self.draw * self.server.hint
        late = call.deadline is not None and ends > self.began + call.deadline - NEAR
        return self.is_first and (long or late)

    def operate(self) -> None:
        """Look whether this attempt may be made, and refuse it as told."""
        left = self.server.until - self.server.clock.now()
        assert left <= NEAR or self.may_be_early(left)
        for after in self.answers:
            self.server.refuse(after, self.call)


def play(call: Call, server: Server, shared: Cooldown, draw: float) -> None:
    """Make a call, and look at each of its attempts and at its end."""
    played = Played(call, server, draw)
    policy = retry(
        on=transient(RefusedError, retry_after=lambda error: error.after),
        attempts=3,
        deadline=call.deadline,
        max_hint=call.max_hint,
        long_hints=call.long_hints,  # type: ignore[arg-type]
        backoff=constant(0.5),
        cooldown=shared,
        observers=[played.hear],
    )
    try:
        policy.call(played.operate)
    except RefusedError as error:
        end = outcome(error)
        assert end is not None and end.reason in (Reason.ATTEMPTS, Reason.HINT, Reason.DEADLINE)
        assert end.reason is not Reason.HINT or (end.hint or 0.0) > 0.0
    now = server.clock.now()
    assert call.deadline is None or now <= played.began + call.deadline + NEAR
    assert shared.under(server.clock).left() <= max(0.0, server.until - now) + NEAR
