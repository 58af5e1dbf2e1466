"""Floor 1. SQLSTATEs."""

from __future__ import annotations

from typing import Any

import pytest

from redouble import Verdict
from redouble.known.sqlstate import ROWS, row_of

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


@pytest.mark.parametrize(
    ("states", "verdict", "applied"),
    [
        ("40001 40P01 08001 08004 57P03 57P05 25P03 25P04 53300 53200 55P03 55006", T, False),
        ("40003 08007 08000 08003 08006 57P01 57P02", T, True),
        ("57014 25006 25P02 53100 57P04 08P01 40002 23505 22012 42601 28P01 3D000 54001 0A000 P0001 XX000", P, False),
        ("40000 08999 57000 58030 ZZ000 99999 02000", P, False),
    ],
)
def test_states(states: str, verdict: Verdict, applied: bool) -> None:
    """Each state by itself, else by its class, else permanent."""
    for state in states.split():
        row = row_of(state)
        assert row is not None
        assert (row.verdict, row.applied) == (verdict, applied), state


@pytest.mark.parametrize(
    "state", [None, "", "e3q8", "HY0", "00000", "01000", "4000!", "\uff140001", "other", "22xxx", 40001, b"40001"]
)
def test_what_is_no_failure(state: Any) -> None:
    """Junk, success and warnings have no row."""
    assert row_of(state) is None


def test_only_what_is_listed_is_transient() -> None:
    """No class as a whole is transient: a state that is not known is not tried again."""
    assert not [row for row in ROWS if row.verdict is T and (row.code == "other" or row.code.endswith("xxx"))]
