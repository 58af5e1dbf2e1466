"""Floor 1. The tables together, as the dispatcher and the documentation see them."""

from __future__ import annotations

from redouble.known.tables import MODULES, ROWS, TABLE


def test_every_row_says_where_it_is_written() -> None:
    """No row without package, name and source, and no condition twice."""
    assert len(ROWS) > 150
    assert all(row.package and row.name and row.source.strip() for row in ROWS)
    assert len({(row.package, row.name, row.code) for row in ROWS}) == len(ROWS)


def test_every_class_of_the_table_has_a_row() -> None:
    """What is recognised is documented."""
    assert set(TABLE) <= {(row.package, row.name) for row in ROWS}


def test_no_two_modules_know_the_same_class() -> None:
    """Merging loses nothing."""
    assert sum(len(module.TABLE) for module in MODULES) == len(TABLE)
