"""That the uses of clients which type checkers read can be made: what they decorate is decorated, with the real clients."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from redouble import RetryPolicy, policy_of

USES = sorted((Path(__file__).parents[2] / "typing" / "clients").glob("with_*.py"))


@pytest.mark.parametrize("path", USES, ids=[path.stem for path in USES])
def test_typed_uses_can_be_imported(path: Path) -> None:
    """All that is decorated in the file can be decorated, with its `timeout_as` and `attempt_timeout`."""
    pytest.importorskip(path.stem.removeprefix("with_"), reason=f"{path.stem} needs the group `clients`")
    found = runpy.run_path(str(path))
    methods = [each for cls in found.values() if isinstance(cls, type) for each in vars(cls).values()]
    policies = [policy_of(each) for each in [*found.values(), *methods] if callable(each)]
    assert any(isinstance(policy, RetryPolicy) for policy in policies)
