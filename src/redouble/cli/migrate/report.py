"""On top of the floors: the output of the command: the differences, the summary, and all of it as JSON."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from redouble.cli.migrate.planning import Site


def difference(path: Path, old: str, new: str) -> str:
    """Return a unified diff of a file."""
    shown = path.as_posix().lstrip("/")
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{shown}", f"b/{shown}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def counts(sites: list[Site]) -> dict[str, int]:
    """Return the numbers of call sites found, rewritten and marked."""
    retries = [site for site in sites if site.kind == "retry"]
    return {
        "found": len(retries),
        "rewritten": sum(not site.reason for site in retries),
        "marked": sum(bool(site.reason) for site in retries),
    }


def summary(sites: list[Site], errors: dict[Path, str], written: bool) -> str:
    """Return the summary: the numbers of uses found, rewritten and marked, and the reasons for the marks."""
    lines = []
    for title, chosen in (
        ("outside of tests", [site for site in sites if not site.in_test]),
        ("in tests", [site for site in sites if site.in_test]),
    ):
        said = counts(chosen)
        lines.append(f"call sites {title}: {said['found']}, rewritten {said['rewritten']}, marked {said['marked']}")
    rest = [site for site in sites if site.kind != "retry"]
    done = sum(not site.reason for site in rest)
    lines.append(f"other uses: {len(rest)}, rewritten {done}, marked {len(rest) - done}")
    reasons = Counter(site.reason for site in sites if site.reason)
    if reasons:
        lines.append("left as they are, each with a comment `# redouble: todo:` above:")
        lines += [f"  {times:4} {reason}" for reason, times in reasons.most_common()]
    reviews = sum(bool(site.reviews) for site in sites)
    if reviews:
        lines.append(f"to review, at `# redouble: review:` comments: {reviews}")
    lines += [f"not read: {path}: {reason}" for path, reason in errors.items()]
    if not written and any(not site.reason for site in sites):
        lines.append("nothing was written: add --write")
    return "\n".join(lines)


def as_json(sites: list[Site], errors: dict[Path, str], changed: list[Path]) -> str:
    """Return the whole result as JSON."""
    places: list[dict[str, Any]] = [
        {
            "path": str(site.path),
            "line": site.line,
            "library": site.library,
            "name": site.name,
            "kind": site.kind,
            "in_test": site.in_test,
            "status": "marked" if site.reason else "rewritten",
            "reason": site.reason or None,
            "reviews": site.reviews,
        }
        for site in sites
    ]
    said = {
        "call_sites": {
            "outside_tests": counts([site for site in sites if not site.in_test]),
            "in_tests": counts([site for site in sites if site.in_test]),
        },
        "reasons": dict(Counter(site.reason for site in sites if site.reason).most_common()),
        "changed": [str(path) for path in changed],
        "not_read": {str(path): reason for path, reason in errors.items()},
        "sites": places,
    }
    return json.dumps(said, indent=2)
