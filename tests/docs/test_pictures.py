"""That the pictures of the documentation show what redouble does."""

from __future__ import annotations

import importlib.util
import re
import sys
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from redouble import (
    BackoffController,
    GaveUp,
    Reason,
    RetryBudget,
    Wait,
    exponential,
    permanent,
    retry,
    sequence,
    transient,
)
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def pictures() -> Any:
    """The module that draws them."""
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "_ext" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as NamedTuple asks for
    spec.loader.exec_module(module)
    return module


def shapes(drawn: str, kind: str) -> Iterator[dict[str, str]]:
    """Give the attributes of each shape of one class."""
    for element in ElementTree.fromstring(f"<all>{drawn}</all>").iter():
        if element.get("class") == kind:
            yield dict(element.attrib)


def test_every_picture_is_well_formed_and_on_a_page(pictures: Any) -> None:
    """Each picture is XML, says what it shows to those who do not see it, and stands on some page."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for name, draw in pictures.PICTURES.items():
        tree = ElementTree.fromstring(f"<all>{draw()}</all>")
        assert all(drawing.findtext("title") for drawing in tree)
        assert re.search(rf"^```\{{picture\}} {name}$", pages, re.MULTILINE)


def test_bars_are_the_range_of_the_jitter(pictures: Any) -> None:
    """Of full jitter a bar reaches from nothing to the curve's wait, and all bars have one scale."""
    rows = retry(deadline=30, backoff=exponential(1)).preview(pictures.WAITS)
    drawn = pictures.panel("exponential(1)", rows)
    bars = [*shapes(drawn, "band"), *shapes(drawn, "past")]
    assert [float(bar["data-latest"]) for bar in bars] == pytest.approx([1, 2, 4, 8, 16, 20, 20])
    assert {bar["data-earliest"] for bar in bars} == {"0.0"}
    scales = [float(bar["height"]) / float(bar["data-latest"]) for bar in bars]
    assert scales == pytest.approx([scales[0]] * len(bars), rel=0.01)


def test_the_panels_show_their_code(pictures: Any) -> None:
    """A panel of a curve is drawn from what its heading says."""
    from redouble import constant, fibonacci, linear

    names = {"exponential": exponential, "linear": linear, "fibonacci": fibonacci, "constant": constant}
    assert [policy.backoff for _, policy in pictures.curves()] == [
        eval(code, names)
        for code, _ in pictures.curves()  # code of the picture's own
    ]
    assert [policy.backoff for _, policy in pictures.jitters()[:3]] == [
        eval(code, names) for code, _ in pictures.jitters()[:3]
    ]


def test_the_wait_past_the_deadline_is_marked(pictures: Any) -> None:
    """The first wait that would end after the deadline is the last one of a panel, and no panel has two."""
    for _, policy in (*pictures.curves(), *pictures.jitters()):
        rows = policy.preview(pictures.WAITS)
        drawn = pictures.panel("code", rows)
        assert len(list(shapes(drawn, "past"))) == sum(row.past_deadline for row in rows) <= 1
        assert len(list(shapes(drawn, "limit"))) == sum(row.past_deadline for row in rows)


def test_the_time_line_is_a_played_call(pictures: Any) -> None:
    """The waits drawn are those that a fake clock counts for the same call, and nothing overlaps."""
    down = pictures.defeat()
    with fake_time(draw=0.5) as clock:
        policy = pictures.policy_of_the_line()

        def operation() -> None:
            clock.advance(0.4)
            raise ConnectionRefusedError

        with pytest.raises(ConnectionRefusedError):
            policy.call(operation)
        slept = list(clock.sleeps)
    assert [span.ended - span.began for span in down if span.kind == "wait"] == pytest.approx(slept)
    assert all(before.ended == pytest.approx(after.began) for before, after in pairwise(down))
    assert down[-1].kind == "refused"
    assert down[-1].began < pictures.DEADLINE < down[-1].ended


def test_the_time_line_shows_an_answer_and_what_the_server_asked_for(pictures: Any) -> None:
    """The upper call ends with an answer, after a wait of Retry-After and a little."""
    spans = pictures.success()
    assert [span.kind for span in spans if span.kind != "wait"] == ["failure"] * 3 + ["answer"]
    asked = spans[-2]
    assert asked.words == "Retry-After 2.1 s"
    assert spans[-1].ended < pictures.DEADLINE


def test_spans_are_drawn_to_scale(pictures: Any) -> None:
    """Each rectangle of the time line is as wide as its span is long."""
    drawn = pictures.timeline()
    boxes = [box for kind in ("wait", "failure", "answer", "refused") for box in shapes(drawn, kind)]
    assert len(boxes) == len(pictures.success()) + len(pictures.defeat())
    scales = [float(box["width"]) / (float(box["data-ended"]) - float(box["data-began"])) for box in boxes]
    assert scales == pytest.approx([scales[0]] * len(boxes), rel=0.01)


def test_twenty_seven_calls_against_three(pictures: Any) -> None:
    """Three levels of three attempts make 27 requests, and 3 by the default; each is a dot."""
    assert [len(level) for level in pictures.calls("multiply")] == [3, 9, 27]
    assert [len(level) for level in pictures.calls("once")] == [1, 1, 3]
    assert len(list(shapes(pictures.nesting(), "failure"))) == 27 + 3


def test_every_reason_is_in_the_order_of_the_decision(pictures: Any) -> None:
    """The picture asks for each reason once."""
    reasons = [end for _, end in pictures.QUESTIONS if isinstance(end, Reason)]
    assert sorted(reasons, key=lambda reason: reason.name) == sorted(Reason, key=lambda reason: reason.name)


class PerhapsDone(Exception):  # noqa: N818  # a stand-in
    """A failure that may have taken effect, with a wait that is too long."""


def test_the_order_of_the_decision_is_redoubles(pictures: Any) -> None:
    """With everything against a retry the first question decides; with that one answered no, the next one does."""
    stop, empty = Event(), RetryBudget(burst=1, trickle=0)
    stop.set()
    while empty.take():
        pass
    worst: dict[str, Any] = {
        "on": permanent(PerhapsDone),
        "idempotent": False,
        "stop": stop,
        "attempts": 1,
        "deadline": 1,
        "backoff": sequence(0).skip(1),
        "budget": empty,
        "observers": None,
    }
    again = transient(PerhapsDone, retry_after=10_000)
    mended: list[tuple[Reason, dict[str, Any]]] = [
        (Reason.PERMANENT, {"on": again}),
        (Reason.NESTED, {"nested": "multiply"}),
        (Reason.UNSAFE, {"idempotent": True}),
        (Reason.STOPPED, {"stop": None}),
        (Reason.ATTEMPTS, {"attempts": None}),
        (Reason.CURVE, {"backoff": exponential(2)}),
        (Reason.HINT, {"on": transient(PerhapsDone)}),
        (Reason.DEADLINE, {"deadline": 60}),
        (Reason.BUDGET, {"budget": None}),
    ]
    assert [reason for reason, _ in mended] == [end for _, end in pictures.QUESTIONS if isinstance(end, Reason)]
    for reason, mend in mended:
        assert _decided(worst) is reason
        worst |= mend
    assert _decided(worst) is None


def _decided(fields: dict[str, Any]) -> Reason | None:
    """Return why a controller with such a policy gives up on an error that an inner retry gave up on already."""
    error = PerhapsDone("down")
    controller = BackoffController(retry(**fields))
    with fake_time():
        controller.start(0.0)

        def inner() -> None:
            raise error

        with pytest.raises(PerhapsDone):
            retry(on=PerhapsDone, attempts=1, observers=None, budget=None).call(inner)
        decision = controller.record_failure(error, 0.1, 0.9)
    assert isinstance(decision, Wait | GaveUp)
    return decision.reason if isinstance(decision, GaveUp) else None
