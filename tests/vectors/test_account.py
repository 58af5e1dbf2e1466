"""The account of the vectors: what the tests of other systems say, and what became of each in this folder.

A vector is one fact out of another system's own tests, source or specification: parameters in, expected answer out. It
is known by the system and a number. Each is a case in one of the files beside this one (named by its id in the test's
id), unless it is about something that redouble has not got (`NOT_APPLICABLE`). Where redouble decides otherwise on
purpose, the case asserts what redouble does, and `DECIDED_OTHERWISE` says why.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SYSTEMS: dict[str, tuple[str, int]] = {
    "aws": ("aws/aws-sdk-go-v2, boto/botocore, smithy-lang/smithy-rs", 23),
    "awsblog": ("AWS Architecture Blog, aws-samples/aws-arch-backoff-simulator", 1),
    "cenkalti": ("cenkalti/backoff", 18),
    "effect": ("Effect-TS/effect", 9),
    "finagle": ("twitter/finagle", 22),
    "grpc": ("grpc/proposal, grpc/grpc, grpc/grpc-go", 15),
    "haskell": ("Soostone/retry", 9),
    "k8s": ("kubernetes/apimachinery, kubernetes/client-go", 15),
    "polly": ("App-vNext/Polly", 22),
    "quartz": ("coder/quartz", 7),
    "temporal": ("temporalio/temporal", 7),
    "tower": ("tower-rs/tower", 7),
    "zio": ("zio/zio", 7),
}
"""Whose vectors they are, and how many of each."""

VECTORS = [f"{system}-{number:02}" for system, (_, count) in SYSTEMS.items() for number in range(1, count + 1)]

HINT_KEEPS_THE_CURVE = (
    "a hint sets the least wait of one failure and does not restart the curve: the failures are still in a row, and a"
    " server that hints now and then would otherwise be asked at the pace of a first failure for ever"
)
NUMBERED_FROM_ONE = "attempts are numbered from 1, everywhere"
AHEAD = (
    "the deadline looks ahead, and strictly: a wait that would end after it is neither begun nor shortened, because a"
    " rushed last attempt, or a sleep that cannot pay off, helps nobody"
)
NO_QUIET = (
    "silence is no sign of health: failures and curve begin again after a success, `progress()` or a reset, not because"
    " time has passed since the last failure"
)
STOP_IS_NO_CANCELLATION = (
    "`stop` is a wish to end retrying, not a cancellation: an operation still runs once, and its own answer or error"
    " comes out (asyncio's own cancellation passes untouched)"
)
AWS_DECORRELATED = (
    "`decorrelated` is the published formula of AWS; a system's own refinement of it goes by another name"
)

DECIDED_OTHERWISE: dict[str, str] = {
    "aws-07": "a hint is believed up to `max_hint` (300 s) and ends the call above; it is not cut to the curve's wait + 5 s,"
    " which would come back before the server said",
    "cenkalti-02": "waits are float seconds, so a jittered wait is not rounded to ticks",
    "cenkalti-16": HINT_KEEPS_THE_CURVE,
    "finagle-06": AHEAD,
    "finagle-09": "the first decorrelated wait is spread as well (AWS: previous = initial), else all clients come back"
    " together once; and the maximum is no trap: the next wait may be shorter",
    "finagle-20": NUMBERED_FROM_ONE,
    "finagle-22": "a rule is asked of every failure; there is no filter for the first one alone",
    "grpc-07": HINT_KEEPS_THE_CURVE,
    "grpc-08": "nothing clamps a written number of attempts, and an `override` replaces it, up or down",
    "grpc-11": "a hint is stretched by up to a tenth (by the draw), so that those who were told the same second do not come"
    " back together; all other invariants hold as they are",
    "grpc-15": "attempts=1, a wait of 0 s and a maximum of 0 s mean what they say; 0 attempts, negative numbers, a factor"
    " below 1 and an empty set of errors are refused; 9 attempts are 9",
    "k8s-02": NO_QUIET,
    "k8s-03": NO_QUIET,
    "k8s-04": "0 attempts are refused, an unwanted answer is returned as it is and not replaced by an error, and "
    + STOP_IS_NO_CANCELLATION,
    "k8s-08": NO_QUIET,
    "k8s-09": NO_QUIET,
    "polly-10": AWS_DECORRELATED,
    "polly-11": AWS_DECORRELATED,
    "polly-12": AWS_DECORRELATED + "; its bound is 3**n, not 4 * 2**n, times the base",
    "polly-15": NUMBERED_FROM_ONE,
    "polly-19": "an unwanted result is closed by the rule that dropped it (`http_response`); of any other rule it is the caller's",
    "polly-20": STOP_IS_NO_CANCELLATION,
    "polly-21": "a retry is INFO and a give-up WARNING; an error that was permanent at once is not logged, the caller has it",
    "polly-22": "an event's `elapsed` is the time since the first attempt, which is what limits are about",
    "quartz-04": "a wait of zero or less is no wait: it takes no time and is not listed",
    "quartz-06": "leaving a trap releases it: a test that fails inside should show its own error",
    "temporal-03": "`proportional` spreads to both sides; only at the maximum does its centre move down, so that"
    " [0.8, 1.0) of the cap is proportional(1/9)",
    "temporal-04": AHEAD,
    "temporal-07": "the curve's maximum is none for hints: a hint above `max_hint` ends the call, any other is waited for",
    "tower-07": "a maximum below the first wait, or of zero, is allowed and caps from the first wait on",
    "zio-04": NO_QUIET,
    "zio-06": "a negative count is a slip and is refused, not taken for zero",
}
"""Each of these is a case that asserts what redouble does."""

BUDGET = "about a retry budget or quota that calls share, which this version has not got"
RATE = "about adapting a client's rate of requests (CUBIC, token buckets that fill by time), which is no retrying"
HEDGING = "about hedging: sending a second request while the first one runs"
COMBINED = "about combining two curves or policies at every step (longest, shortest); curves are changed by words alone"

NOT_APPLICABLE: dict[str, str] = {
    "aws-03": BUDGET,
    "aws-04": BUDGET,
    "aws-08": BUDGET,
    "aws-12": BUDGET,
    "aws-14": BUDGET,
    "aws-15": BUDGET,
    "aws-16": RATE,
    "aws-17": RATE,
    "aws-18": RATE,
    "aws-19": RATE,
    "aws-20": RATE,
    "aws-21": RATE,
    "aws-22": BUDGET,
    "aws-23": "about sorting classifiers by what they declare to come after; rules are asked in the order in which they stand",
    "cenkalti-11": "about a marker that wraps errors; redouble never wraps an error",
    "effect-03": COMBINED,
    "effect-04": COMBINED,
    "effect-07": "about schedules that keep to a fixed beat however long the work takes; a curve says what is waited after"
    " a failure",
    "finagle-11": BUDGET,
    "finagle-12": BUDGET,
    "finagle-13": BUDGET,
    "finagle-14": BUDGET,
    "finagle-15": BUDGET,
    "finagle-16": BUDGET,
    "finagle-17": BUDGET,
    "finagle-18": BUDGET,
    "grpc-02": BUDGET,
    "grpc-03": BUDGET,
    "grpc-04": BUDGET,
    "grpc-06": "about gRPC's pushback trailer, which belongs to the client's own table; none of the standard library sends it",
    "grpc-09": HEDGING,
    "grpc-10": HEDGING,
    "grpc-14": BUDGET,
    "haskell-02": COMBINED,
    "k8s-07": "about a table of keys that says at every tick whether one is in backoff; redouble has one controller a call",
    "quartz-03": "about looking at the next event without moving; the clock moves to it and says by how much",
    "quartz-05": "about traps on reading the time; traps hold waits, and an operation under test moves time by `advance`",
    "quartz-07": "about a ticker, which the clock has not got",
    "tower-01": BUDGET,
    "tower-02": BUDGET,
    "tower-03": BUDGET,
    "tower-04": BUDGET,
    "tower-05": BUDGET,
}
"""These are no cases: redouble has nothing that they speak of."""

ID = re.compile(rf"(?:{'|'.join(SYSTEMS)})-\d\d")


def vectors_of_cases() -> set[str]:
    """The vectors whose id stands in a test file of this folder, as a parameter or as the id of one."""
    found: set[str] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        if path.name != Path(__file__).name:
            texts = [node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant)]
            found |= {match[0] for text in texts if isinstance(text, str) and (match := ID.match(text))}
    return found


def test_every_vector_is_accounted_for_once() -> None:
    """Each vector agrees with a test, is tested as decided otherwise, or is not applicable: one of the three."""
    agreed = vectors_of_cases() - DECIDED_OTHERWISE.keys()
    account = [*agreed, *DECIDED_OTHERWISE, *NOT_APPLICABLE]
    assert sorted(account) == sorted(VECTORS)
    assert len(VECTORS) == 162


def test_what_is_decided_otherwise_is_tested() -> None:
    """A decision has a case that holds it."""
    assert DECIDED_OTHERWISE.keys() <= vectors_of_cases()


@pytest.mark.parametrize("reasons", [DECIDED_OTHERWISE, NOT_APPLICABLE])
def test_every_reason_is_a_sentence(reasons: dict[str, str]) -> None:
    """A reason says why, in words."""
    assert all(len(reason.split()) > 5 for reason in reasons.values())


def test_the_account_sees_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector that is in no table, or in two, fails the account."""
    for vector, table in (("tower-01", NOT_APPLICABLE), ("aws-07", DECIDED_OTHERWISE)):
        with monkeypatch.context() as patch:
            patch.delitem(table, vector)
            if table is DECIDED_OTHERWISE:
                patch.setitem(NOT_APPLICABLE, vector, "now in two tables, which is one too many")
            with pytest.raises(AssertionError):
                test_every_vector_is_accounted_for_once()
