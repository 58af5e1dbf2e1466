"""Floor 2. The waits that a policy would make, without making them."""

from __future__ import annotations

import pickle

import pytest

from redouble import Backoff, constant, exponential, retry, sequence
from redouble.control.preview import NEARLY_ONE, preview
from redouble.jitters import decorrelated
from redouble.types import PreviewRow

PATIENT = retry(attempts=None, deadline=None)


def cells(rows: list[PreviewRow]) -> list[tuple[float, ...]]:
    """The rows as plain numbers, rounded."""
    return [
        (row.attempt, *(round(each, 6) for each in (row.earliest, row.typical, row.latest, row.cumulated)))
        for row in rows
    ]


def test_one_row_per_wait() -> None:
    """Each row tells the earliest, the typical, the latest and the cumulated wait."""
    assert cells(preview(PATIENT(backoff=exponential(1)), 3)) == [
        (1, 0.0, 0.5, 1.0, 0.5),
        (2, 0.0, 1.0, 2.0, 1.5),
        (3, 0.0, 2.0, 4.0, 3.5),
    ]


def test_the_latest_is_the_largest_draw() -> None:
    """The latest wait is at the largest float below one, so it never is above what can happen."""
    (row,) = preview(PATIENT(backoff=exponential(8)), 1)
    assert row.latest == 8 * NEARLY_ONE < 8 and NEARLY_ONE < 1.0


@pytest.mark.parametrize(("attempts", "rows"), [(1, 0), (2, 1), (3, 2), (10, 5), (None, 5)])
def test_the_last_attempt_is_not_followed_by_a_wait(attempts: int | None, rows: int) -> None:
    """So many attempts have one wait fewer, and never more rows come than were asked for."""
    assert len(preview(retry(attempts=attempts, deadline=None), 5)) == rows


def test_a_curve_that_ends() -> None:
    """The rows end with the curve."""
    found = preview(PATIENT(backoff=sequence(1, 2)), 5)
    assert cells(found) == [(1, 1.0, 1.0, 1.0, 1.0), (2, 2.0, 2.0, 2.0, 3.0)]
    assert preview(PATIENT(backoff=sequence()), 5) == []


def test_the_deadline_cuts() -> None:
    """The wait that would end after the deadline is the last row, and says so; on the deadline is in time."""
    rows = preview(retry(deadline=6, backoff=constant(2)), 10)
    assert [(row.cumulated, row.past_deadline) for row in rows] == [
        (2.0, False),
        (4.0, False),
        (6.0, False),
        (8.0, True),
    ]


def test_without_a_deadline_nothing_is_cut() -> None:
    """Without a deadline there are as many rows as were asked for."""
    rows = preview(PATIENT(backoff=constant(1e9)), 4)
    assert [row.past_deadline for row in rows] == [False] * 4


def test_a_jitter_that_remembers() -> None:
    """Each of the three columns is a story of its own: a wait is followed by what follows from it."""
    rows = preview(PATIENT(backoff=exponential(1, maximum=100, jitter=decorrelated)), 3)
    assert [row.earliest for row in rows] == [1.0, 1.0, 1.0]
    assert [round(row.typical, 6) for row in rows] == [2.0, 3.5, 5.75]
    assert [round(row.latest, 6) for row in rows] == [3.0, 9.0, 27.0]


def test_a_curve_whose_end_depends_on_the_draw() -> None:
    """Where a draw ends a curve of the user's, that column reads zero; the typical one decides about the rows."""

    class Moody(Backoff):
        def delay(self, failures: int, previous: float | None, draw: float) -> float | None:
            return 1.0 if draw == 0.5 and failures < 3 else None

    assert cells(preview(PATIENT(backoff=Moody()), 9)) == [(1, 0.0, 1.0, 0.0, 1.0), (2, 0.0, 1.0, 0.0, 2.0)]


@pytest.mark.parametrize("failures", [0, -1])
def test_at_least_one_row_has_to_be_asked_for(failures: int) -> None:
    """Fewer than one failure is a ValueError."""
    with pytest.raises(ValueError, match=f"failures must be a whole number >= 1, got {failures}"):
        retry.preview(failures)


def test_a_policy_tells_its_preview() -> None:
    """`policy.preview` gives the same rows, ten at most unless more are asked for."""
    assert PATIENT.preview(3) == preview(PATIENT, 3)
    assert len(PATIENT.preview()) == 10
    assert retry.preview() == preview(retry, 10)


def test_a_row_is_a_value() -> None:
    """Rows are compared by their fields, and pickled."""
    row = PreviewRow(1, 0.0, 0.5, 1.0, 0.5)
    assert not row.past_deadline and pickle.loads(pickle.dumps(row)) == row
